"""Thresholds that keep a promise, and whether what is seen later is what they were set on.

The promise: of the images that the whole model would call relevant, at most the share ``alpha`` is
dismissed by an earlier tier, with confidence ``confidence`` over the choice of the calibration
images. It holds for images that come from where those came from, and is silent about others.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from mapie.risk_control import BinaryClassificationController
from numpy.typing import NDArray
from scipy.stats import ks_2samp

STEPS = 200
"""Candidate thresholds: each dismisses another half per cent of the irrelevant images."""
LEAST_FOUND = 20
"""Relevant images; of fewer a distribution cannot be told."""
DOUBT = 0.001
"""Probability of a warning where nothing has changed."""


@dataclass(frozen=True, slots=True)
class Drift:
    """The relevant images found, held against those of the calibration."""

    found: int
    distance: float | None
    """Kolmogorov-Smirnov's, 0 to 1; None where too few were found."""
    p: float | None

    @property
    def differs(self) -> bool:
        return self.p is not None and self.p < DOUBT


def needed(alpha: float, confidence: float) -> int:
    """Relevant images below which nothing can be promised, even if none is lost."""
    return math.ceil(math.log1p(-confidence) / math.log1p(-alpha))


def choose_thresholds(
    odds: NDArray[np.float64], relevant: NDArray[np.bool_], *, alpha: float, confidence: float
) -> tuple[float, float] | None:
    """Thresholds of tiers 0 and 1 that dismiss as much as the promise allows.

    ``odds`` (N, 2): each tier's log-odds of being irrelevant; ``relevant`` (N,): what the whole
    model says. An image is dismissed by the first tier whose threshold its log-odds exceed, which
    are never below 0. None where nothing can be promised. Independent images are assumed.

    Learn then Test (Angelopoulos et al. 2021, arXiv:2110.01052) with MAPIE: candidates are tested
    in a fixed order, from those that dismiss nothing on, each by the exact binomial tail, and the
    last before the first that fails is taken. The candidates are quantiles of the irrelevant
    images alone, at which both tiers dismiss the same share of these; given who is relevant, they
    are independent of the images on which they are tested.
    """
    shares = np.arange(STEPS) / STEPS
    if relevant.sum() < needed(alpha, confidence) or relevant.all():
        return None
    candidates = np.quantile(odds[~relevant], 1 - shares, axis=0, method="higher").clip(min=0)
    dismissed = (odds[relevant, None, :] > candidates).any(axis=2)
    # A candidate dismisses all that those before it do. So each image has one first candidate that
    # dismisses it, which orders it as MAPIE wants a score to: kept below, dismissed from there on.
    first = np.where(dismissed.any(axis=1), dismissed.argmax(axis=1), STEPS)
    kept_below = (first - 0.5) / STEPS
    controller = BinaryClassificationController(
        lambda scores: np.column_stack([1 - scores, scores]),
        risk="recall",
        target_level=1 - alpha,
        confidence_level=confidence,
        list_predict_params=shares,
        fwer_method="fixed_sequence",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that none is valid is said below
        controller.calibrate(kept_below.clip(0, 1), np.ones(len(first), dtype=int))
    valid = controller.valid_predict_params
    if not len(valid):
        return None
    first_tier, second_tier = candidates[round(float(np.max(valid)) * STEPS)]
    return float(first_tier), float(second_tier)


def drift(kept: tuple[float, ...], found: list[float]) -> Drift:
    """Whether the relevant images that were found look to tier 0 as those of the calibration did
    (two-sample Kolmogorov-Smirnov). Of both sides only such as were not dismissed are compared."""
    if len(found) < LEAST_FOUND:
        return Drift(len(found), None, None)
    result = ks_2samp(kept, found)
    return Drift(len(found), float(result.statistic), float(result.pvalue))
