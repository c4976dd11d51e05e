"""Risk control of the cascade: thresholds with a bound on what they lose, and a check for drift.

The bound: of the images that the whole model would call relevant, at most the share ``alpha`` is
dismissed by an earlier tier, with confidence ``confidence`` over the choice of the calibration
images. It holds for images from the same distribution as those, and for no others.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

Thresholds = tuple[float, float | None]
"""Of tiers 0 and 1; None if tier 1 is skipped."""
STEPS = 200
"""Candidate thresholds: each dismisses another half per cent of the irrelevant images."""
MIN_FOUND = 20
"""Relevant images that a test for drift needs."""
DRIFT_LEVEL = 0.001
"""Probability of a drift warning if nothing has changed."""
_TIER_SETS = ([0], [0, 1])
"""The tiers that may dismiss."""


@dataclass(frozen=True, slots=True)
class RiskBound:
    """The bound that a calibration's thresholds keep, and what it was measured on."""

    alpha: float
    """Largest share that may be lost of the images that the whole model calls relevant."""
    confidence: float
    relevant: int
    """Calibration images that the whole model calls relevant, one per duplicate group."""
    lost: int
    """Of these, how many an earlier tier dismisses."""
    thresholds: Thresholds
    """An image with higher log-odds of being irrelevant is dismissed. The second is None if tier 1
    is skipped because it could dismiss too few images safely."""
    shares: tuple[float, float, float]
    """Share of all calibration images that each tier decides."""
    kept: tuple[float, ...]
    """Tier 0's log-odds of the relevant images that are not lost, to detect drift later."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Comparison of the relevant images found with those of the calibration."""

    found: int
    distance: float | None
    """Kolmogorov-Smirnov's, 0 to 1; None if too few were found."""
    p: float | None

    @property
    def has_drifted(self) -> bool:
        """Whether the images differ from those of the calibration."""
        return self.p is not None and self.p < DRIFT_LEVEL


def min_relevant(alpha: float, confidence: float) -> int:
    """Return how many relevant images a bound needs even if none of them is lost."""
    doubt = (1 - confidence) / len(_TIER_SETS)
    return math.ceil(math.log(doubt) / math.log1p(-alpha))


def choose_thresholds(
    odds: NDArray[np.float64], relevant: NDArray[np.bool_], *, alpha: float, confidence: float
) -> Thresholds | None:
    """Return thresholds of tiers 0 and 1 that dismiss as much as the bound allows; None if no
    threshold keeps it.

    ``odds`` (N, 2): each tier's log-odds of being irrelevant; ``relevant`` (N,): whether the whole
    model calls the image relevant. The first tier whose threshold an image's log-odds exceed
    dismisses it. Thresholds are never below 0. Images must be independent.

    Learn then Test (Angelopoulos et al. 2021, arXiv:2110.01052) with MAPIE:

    1. There are two families of thresholds: tier 0 alone, and both tiers, each dismissing the same
       share of the irrelevant images.
    2. In each, thresholds are tested in a fixed order, starting with those that dismiss nothing, by
       the exact binomial tail; the last before the first failure is taken. The two families share
       the error probability (Bonferroni).
    3. Of the two results, the one that leaves fewer irrelevant images to the whole model is taken.

    The candidates are quantiles of the irrelevant images alone: given which images are relevant,
    they are independent of the images on which they are tested.
    """
    if relevant.sum() < min_relevant(alpha, confidence) or relevant.all():
        return None
    best: Thresholds | None = None
    fewest = np.inf
    for tiers in _TIER_SETS:
        candidates = _candidates(odds[~relevant][:, tiers])
        doubt = (1 - confidence) / len(_TIER_SETS)
        valid = _last_valid(odds[relevant][:, tiers], candidates, alpha, doubt)
        if valid is None:
            continue
        chosen = candidates[valid]
        left = float(np.mean(np.all(odds[~relevant][:, tiers] <= chosen, axis=1)))
        if left < fewest:
            fewest = left
            best = float(chosen[0]), float(chosen[1]) if len(tiers) == 2 else None
    return best


def _candidates(irrelevant: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return thresholds (STEPS, tiers) that each dismiss a further share of images (N, tiers)."""
    shares = 1 - np.arange(STEPS) / STEPS
    found: NDArray[np.float64] = np.quantile(irrelevant, shares, axis=0, method="higher")
    return found.clip(min=0)


def _last_valid(
    relevant: NDArray[np.float64], candidates: NDArray[np.float64], alpha: float, doubt: float
) -> int | None:
    """Return the last candidate that loses at most ``alpha`` of such images; None if none does."""
    # Imported here because it takes seconds, and triage needs only ``drift``.
    from mapie.risk_control import BinaryClassificationController

    dismissed = np.any(relevant[:, None, :] > candidates, axis=2)
    # A candidate dismisses all that the candidates before it dismiss. Each image therefore has one
    # first candidate that dismisses it, and its number can serve as MAPIE's score: the image is
    # kept below it and dismissed from there on.
    first = np.where(dismissed.any(axis=1), dismissed.argmax(axis=1), STEPS)
    controller = BinaryClassificationController(
        lambda scores: np.column_stack([1 - scores, scores]),
        risk="recall",
        target_level=1 - alpha,
        confidence_level=1 - doubt,
        list_predict_params=np.arange(STEPS) / STEPS,
        fwer_method="fixed_sequence",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "none is valid" is the None returned below
        controller.calibrate(((first - 0.5) / STEPS).clip(0, 1), np.ones(len(first), dtype=int))
    valid = controller.valid_predict_params
    return round(float(np.max(valid)) * STEPS) if len(valid) else None


def drift(kept: tuple[float, ...], found: list[float]) -> Drift:
    """Test whether the relevant images found differ from those of the calibration.

    Compares the distributions of tier 0's log-odds (two-sample Kolmogorov-Smirnov). Both contain
    only images that were not dismissed.
    """
    if len(found) < MIN_FOUND:
        return Drift(len(found), None, None)
    result = ks_2samp(kept, found)
    return Drift(len(found), float(result.statistic), float(result.pvalue))
