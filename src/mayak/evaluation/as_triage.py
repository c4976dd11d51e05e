"""Measurement of a model as triage runs it: what ``mayak evaluate --as-triage`` needs to know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mayak.evaluation.rows import Row
from mayak.evaluation.triage_figures import TriagedImage, TriageFigures, triage_figures
from mayak.model import CascadeScorer
from mayak.model.cascade import LAST
from mayak.model.risk_control import drift
from mayak.types import Classifier, DecodedImage, Failure, Sample, Scores

DecodeBytes = Callable[[bytes, str], DecodedImage | Failure]
"""Decodes the bytes of a file, given its path in the manifest."""


@dataclass(frozen=True, slots=True)
class AsTriage:
    """How triage runs a model on this machine. The command makes it, because ``evaluation`` does
    not import ``triage``."""

    decode: DecodeBytes
    """Decodes as triage does for the classifier that it runs."""
    decode_whole: DecodeBytes
    """Decodes as triage does for the whole model."""
    whole_model: Classifier
    """Reads what earlier tiers dismissed."""
    cascade: CascadeScorer | None
    """The cascade that is measured; None if the adapter has no calibration."""

    def needs_whole_model(self, answer: dict[str, Any]) -> bool:
        """Return whether an early tier decided, and the whole model was not asked yet."""
        return answer["tier"] != LAST and "whole_model" not in answer

    def figures(
        self, rows: Sequence[Row], unread: Iterable[Sample], *, is_continued: bool
    ) -> TriageFigures:
        """Return the figures of a run: its scored images, and the samples that have no score.

        The images of a run that was continued are not compared with the calibration's: tier 0's
        log-odds of those read before the interruption are not stored.
        """
        calibration = None if self.cascade is None else self.cascade.calibration
        bound = None if calibration is None else calibration.risk_bound
        used = set() if calibration is None else set(calibration.images)
        found = None
        if bound is not None and self.cascade is not None and not is_continued:
            odds = self.cascade.relevant_odds
            found = drift(bound.kept, [odds[row.sha256] for row in rows if row.sha256 in odds])
        return triage_figures(
            [_triaged(row) for row in rows],
            is_calibrated=self.cascade is not None,
            risk_bound=bound,
            not_scored=sum(sample.label != 0 for sample in unread),
            n_calibration=sum(row.sha256 in used for row in rows),
            found_drift=found,
            is_continued=is_continued,
        )


def _triaged(row: Row) -> TriagedImage:
    if row.scores is None or row.tier is None or row.whole_model is None:
        raise ValueError(f"{row.id}: not a result of the cascade")
    one, two, three, four = row.scores
    scores = Scores((one, two, three, four), row.off_label or 0.0)
    return TriagedImage(row.sha256, row.group, row.label, scores, row.tier, row.whole_model)
