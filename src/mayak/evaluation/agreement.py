"""Agreement of a faster precision with a slower one, and the record that allows its use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from mayak.config import FP8_PROOF
from mayak.errors import ModelError
from mayak.evaluation.record import EvaluationResult
from mayak.files import json_bytes, write_durably
from mayak.i18n import msg

MIN_IMAGES = 100
"""With 100 images without a difference, up to 3 % may still differ (95 % confidence)."""
MIN_SHARE = 0.99
"""Share of the images to which both must give the same label."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two engines' predictions on the same images."""

    images: int
    same: int
    """Images with the same label."""
    dismissed: int
    """Images that only the faster engine calls irrelevant."""
    largest_difference: float
    """Largest difference of any score of any image."""

    @property
    def is_enough(self) -> bool:
        """Whether the faster engine may replace the other."""
        return self.images >= MIN_IMAGES and self.same >= MIN_SHARE * self.images


def agreement(reference: EvaluationResult, candidate: EvaluationResult) -> Agreement:
    """Compare two runs over the same manifest; images that either could not read are left out."""
    theirs = {row.id: row for row in reference.rows}
    pairs = [(theirs[row.id], row) for row in candidate.rows if row.id in theirs]
    differences = [
        abs(a - b)
        for one, two in pairs
        for a, b in zip(one.scores or (), two.scores or (), strict=True)
    ]
    return Agreement(
        images=len(pairs),
        same=sum(one.predicted == two.predicted for one, two in pairs),
        dismissed=sum(one.predicted != 0 and two.predicted == 0 for one, two in pairs),
        largest_difference=max(differences, default=0.0),
    )


def allow_fp8(adapter: Path, reference: EvaluationResult, candidate: EvaluationResult) -> Agreement:
    """Record next to the adapter that its fp8 engine agrees with the bf16 one.

    Raises:
        ModelError: it does not agree. An earlier record is then removed.
    """
    found = agreement(reference, candidate)
    path = adapter / FP8_PROOF
    if not found.is_enough:
        path.unlink(missing_ok=True)
        raise ModelError(
            msg(
                "fp8 gives {same} of {images} images the label that bf16 gives ({dismissed} are "
                "called irrelevant by fp8 alone); {min_share:.0%} of at least {min_images} are "
                "needed",
                same=found.same,
                images=found.images,
                dismissed=found.dismissed,
                min_share=MIN_SHARE,
                min_images=MIN_IMAGES,
            ),
            remedy=msg("use --precision bf16, or a manifest of more images"),
        )
    record = {
        "engine": candidate.engine.fingerprint,
        "reference": reference.engine.fingerprint,
        "manifest": str(candidate.manifest.path),
        **asdict(found),
    }
    write_durably(path, json_bytes(record))
    return found
