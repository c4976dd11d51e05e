"""Whether a faster precision says what the slower one says, and the record that lets it be used."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from mayak.config import FP8_PROOF
from mayak.errors import ModelError
from mayak.evaluation.record import Result
from mayak.files import json_bytes, write_durably
from mayak.i18n import msg

LEAST_IMAGES = 100
"""Fewer say too little: of 100 images without a difference, up to 3 % may still differ (95 %)."""
LEAST_SHARE = 0.99
"""Of the images that both must give the same label."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two engines' predictions on the same images."""

    images: int
    same: int
    """Images with the same label."""
    dismissed: int
    """Images that only the faster engine calls irrelevant."""
    largest_difference: float
    """Of any image's score."""

    @property
    def enough(self) -> bool:
        """Whether the faster engine may stand for the other."""
        return self.images >= LEAST_IMAGES and self.same >= LEAST_SHARE * self.images


def agreement(reference: Result, candidate: Result) -> Agreement:
    """Both ran over the same manifest; images that either could not read are left out."""
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


def allow_fp8(adapter: Path, reference: Result, candidate: Result) -> Agreement:
    """Record beside the adapter that its fp8 engine agrees with the bf16 one.

    Raises ModelError, and withdraws an earlier record, where it does not.
    """
    found = agreement(reference, candidate)
    path = adapter / FP8_PROOF
    if not found.enough:
        path.unlink(missing_ok=True)
        raise ModelError(
            msg(
                "fp8 gives {same} of {images} images the label that bf16 gives ({dismissed} are "
                "called irrelevant by fp8 alone); {least_share:.0%} of at least {least_images} "
                "are needed",
                same=found.same,
                images=found.images,
                dismissed=found.dismissed,
                least_share=LEAST_SHARE,
                least_images=LEAST_IMAGES,
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
