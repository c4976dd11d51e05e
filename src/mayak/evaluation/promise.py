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
from numpy.typing import NDArray
from scipy.stats import ks_2samp

Thresholds = tuple[float, float | None]
"""Of tiers 0 and 1; None where tier 1 is not asked."""
STEPS = 200
"""Candidate thresholds: each dismisses another half per cent of the irrelevant images."""
LEAST_FOUND = 20
"""Relevant images; of fewer a distribution cannot be told."""
DOUBT = 0.001
"""Probability of a warning where nothing has changed."""
_WAYS = ([0], [0, 1])
"""The tiers that may dismiss."""


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
    doubt = (1 - confidence) / len(_WAYS)
    return math.ceil(math.log(doubt) / math.log1p(-alpha))


def choose_thresholds(
    odds: NDArray[np.float64], relevant: NDArray[np.bool_], *, alpha: float, confidence: float
) -> Thresholds | None:
    """Thresholds of tiers 0 and 1 that dismiss as much as the promise allows.

    ``odds`` (N, 2): each tier's log-odds of being irrelevant; ``relevant`` (N,): what the whole
    model says. An image is dismissed by the first tier whose threshold its log-odds exceed, which
    are never below 0. None where nothing can be promised. Independent images are assumed.

    Learn then Test (Angelopoulos et al. 2021, arXiv:2110.01052) with MAPIE. There are two ways:
    tier 0 alone, and both tiers, each dismissing the same share of the irrelevant images. On each,
    thresholds are tested in a fixed order, from those that dismiss nothing on, by the exact
    binomial tail, and the last before the first that fails is taken; the two share the doubt
    between them (Bonferroni). Of what they find, that which leaves fewer irrelevant images to the
    whole model is taken. The thresholds to be tested are quantiles of the irrelevant images alone:
    given who is relevant, these are independent of the images on which they are tested.
    """
    if relevant.sum() < needed(alpha, confidence) or relevant.all():
        return None
    best: Thresholds | None = None
    least = np.inf
    for way in _WAYS:
        candidates = _candidates(odds[~relevant][:, way])
        held = _held(odds[relevant][:, way], candidates, alpha, (1 - confidence) / len(_WAYS))
        if held is None:
            continue
        chosen = candidates[held]
        left = float(np.mean(np.all(odds[~relevant][:, way] <= chosen, axis=1)))
        if left < least:
            least = left
            best = float(chosen[0]), float(chosen[1]) if len(way) == 2 else None
    return best


def _candidates(irrelevant: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds (STEPS, tiers) that each dismiss a further share of these images (N, tiers)."""
    shares = 1 - np.arange(STEPS) / STEPS
    found: NDArray[np.float64] = np.quantile(irrelevant, shares, axis=0, method="higher")
    return found.clip(min=0)


def _held(
    relevant: NDArray[np.float64], candidates: NDArray[np.float64], alpha: float, doubt: float
) -> int | None:
    """The last candidate that loses at most ``alpha`` of such images; None where none does."""
    # Here, for it takes seconds to import, and triage asks only for ``drift``.
    from mapie.risk_control import BinaryClassificationController

    dismissed = np.any(relevant[:, None, :] > candidates, axis=2)
    # A candidate dismisses all that those before it do. So each image has one first candidate that
    # dismisses it, which orders it as MAPIE wants a score to: kept below, dismissed from there on.
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
        warnings.simplefilter("ignore", UserWarning)  # that none is valid is said below
        controller.calibrate(((first - 0.5) / STEPS).clip(0, 1), np.ones(len(first), dtype=int))
    valid = controller.valid_predict_params
    return round(float(np.max(valid)) * STEPS) if len(valid) else None


def drift(kept: tuple[float, ...], found: list[float]) -> Drift:
    """Whether the relevant images that were found look to tier 0 as those of the calibration did
    (two-sample Kolmogorov-Smirnov). Of both sides only such as were not dismissed are compared."""
    if len(found) < LEAST_FOUND:
        return Drift(len(found), None, None)
    result = ks_2samp(kept, found)
    return Drift(len(found), float(result.statistic), float(result.pvalue))
