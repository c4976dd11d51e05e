"""Agreement of a faster precision with a slower one, and the record that allows its use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from mayak.config import FP8_PROOF
from mayak.errors import ModelError
from mayak.evaluation.record import EvaluationResult
from mayak.files import json_bytes, write_durably
from mayak.language import tr

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
    def enough(self) -> bool:
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
    if not found.enough:
        path.unlink(missing_ok=True)
        raise ModelError(
            tr(
                f"fp8 gives {found.same} of {found.images} images the label that bf16 gives "
                f"({found.dismissed} are called irrelevant by fp8 alone); "
                f"{MIN_SHARE:.0%} of at least {MIN_IMAGES} are needed",
                f"fp8은 이미지 {found.images}장 중 {found.same}장에서 bf16과 같은 라벨을 "
                f"냈습니다(fp8만 관련 없음으로 본 이미지 {found.dismissed}장). 이미지 "
                f"{MIN_IMAGES}장 이상에서 {MIN_SHARE:.0%} 이상 같아야 합니다",
            ),
            remedy=tr(
                "use --precision bf16, or a manifest of more images",
                "--precision bf16을 쓰거나 이미지가 더 많은 목록을 쓰십시오",
            ),
        )
    record = {
        "engine": candidate.engine.fingerprint,
        "reference": reference.engine.fingerprint,
        "manifest": str(candidate.manifest.path),
        **asdict(found),
    }
    write_durably(path, json_bytes(record))
    return found
