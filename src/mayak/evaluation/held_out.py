"""Figures of a calibration on images that it was not calibrated on, by cross-fitting.

A calibration uses all its images for temperatures and thresholds, because the risk bound needs
every one of them. So no image is left that could measure it honestly. Instead the images are
divided into twenty parts, and each part is measured with temperatures and thresholds set on the
other nineteen: no image is measured by thresholds that were set on it. The figures are
therefore those of calibrations on 95 % of the images. They choose nothing, so the bound of the
final thresholds, which are set on all images, is unaffected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from mayak.case.scores import ranked
from mayak.evaluation.triage_figures import TriagedImage, TriageFigures, triage_figures
from mayak.labels import UNCLASSIFIABLE
from mayak.metrics import Metrics, ScoreReliability, calibration, measure
from mayak.model.cascade import LAST, TIERS
from mayak.model.risk_control import RiskBound
from mayak.types import Sample, Scores

PARTS = 20
"""More parts need fewer images for a bound without one of them, and take longer."""

Fit = Callable[[NDArray[np.int64]], tuple[tuple[float, ...], RiskBound | None]]
"""Sets temperatures and the risk bound on some rows of the images."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Figures of a calibration on parts of the images that were left out of it."""

    metrics: Metrics
    reliability: ScoreReliability
    triage: TriageFigures

    def as_json(self) -> dict[str, Any]:
        """Return the values that the calibration keeps."""
        measured = self.metrics
        return {
            "method": f"cross-fitting in {PARTS} parts over duplicate groups",
            "n": measured.n,
            "n_groups": measured.n_groups,
            "accuracy": measured.accuracy,
            **measured.accuracy_interval.figures("accuracy"),
            "macro_f1": measured.macro_f1,
            "ece": self.reliability.ece,
            "as_triage": self.triage.as_json(),
        }


def held_out(
    samples: list[Sample], logits: NDArray[np.float64], odds: NDArray[np.float64], fit: Fit
) -> HeldOut | None:
    """Measure the calibration that ``fit`` makes on images that it leaves out.

    ``logits`` (3, N, 4) and ``odds`` (3, N): of each tier. None if there is a bound on all images
    but not without some part: what the early tiers lose cannot be measured then.
    """
    _, bound = fit(np.arange(len(samples)))
    part_of = parts(samples)
    images: list[TriagedImage] = []
    for part in range(PARTS):
        rows = np.flatnonzero(part_of == part)
        if not len(rows):
            continue
        temperatures, part_bound = fit(np.flatnonzero(part_of != part))
        if bound is not None and part_bound is None:
            return None
        tiers = deciding_tiers(odds[:, rows], None if bound is None else part_bound)
        scores = np.stack(
            [softmax(logits[tier, rows] / temperatures[tier], axis=1) for tier in TIERS]
        )[tiers, np.arange(len(rows))]
        whole, _ = ranked(logits[LAST, rows])
        images += [
            TriagedImage(
                samples[row].sha256,
                samples[row].group,
                samples[row].label,
                Scores(tuple(scores[at].tolist()), 0.0),
                int(tiers[at]),
                int(whole[at]),
            )
            for at, row in enumerate(rows)
        ]
    labels = [image.label for image in images]
    return HeldOut(
        measure(
            labels,
            [UNCLASSIFIABLE if s.is_tied else s.label for s in (i.scores for i in images)],
            [image.group for image in images],
            unclassifiable=True,
        ),
        calibration([image.scores.values for image in images], labels),
        triage_figures(
            images,
            is_calibrated=True,
            risk_bound=bound,
            not_scored=0,
            n_calibration=0,
            found_drift=None,
        ),
    )


def parts(samples: list[Sample]) -> NDArray[np.int64]:
    """Return the part of each image. Groups stay whole; parts depend only on the images' contents
    and labels, and have nearly equal numbers of groups of each label."""
    first: dict[str, Sample] = {}
    for sample in sorted(samples, key=lambda sample: sample.sha256):
        first.setdefault(sample.group, sample)
    groups = sorted(first, key=lambda name: (first[name].label, first[name].sha256))
    part = {name: at % PARTS for at, name in enumerate(groups)}
    return np.array([part[sample.group] for sample in samples])


def deciding_tiers(odds: NDArray[np.float64], bound: RiskBound | None) -> NDArray[np.int64]:
    """Return the tier (N,) that decides each image, from each tier's log-odds (3, N) of being
    irrelevant."""
    tiers = np.full(odds.shape[1], LAST, dtype=np.int64)
    if bound is not None:
        for tier in (1, 0):
            limit = bound.thresholds[tier]
            if limit is not None:
                tiers[odds[tier] > limit] = tier
    return tiers
