"""Figures of an order of review: recall at each share of images viewed, and AUROC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from mayak.i18n import msg
from mayak.labels import LABELS, numbered_label
from mayak.metrics import MIN_GROUPS, Interval, exact_limits, independent_images, share_interval

PERCENT = (1, 2, 5, *range(10, 101, 5))
"""Shares of images viewed, in per cent, at which recall is stated."""
VIEWED = (1, 5, 10, 20, 30, 50, 70)
"""Those that the terminal and the page show in a table."""
RELEVANT = "relevant"
"""Key of classes 1 to 3 together; the others are the labels' digits."""
RESAMPLES = 1000
SEED = 42
_TAIL = 0.025

Bounds = tuple[float, float]
"""Lower and upper end of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class GainCurve:
    """Recall of a class after viewing each of ``PERCENT`` of all images in the order of review."""

    recall: tuple[float, ...]
    bounds: tuple[Bounds, ...]
    """95 % each; not a band for the whole curve."""
    n_groups: int
    """Duplicate groups of the class."""

    @property
    def has_too_few_groups(self) -> bool:
        """Whether they are fewer than MIN_GROUPS."""
        return self.n_groups < MIN_GROUPS


@dataclass(frozen=True, slots=True)
class Auroc:
    """Area under the ROC curve: the probability that an image of the class has a higher score than
    one of the others; equal scores count half."""

    value: float
    interval: Interval
    """Its groups are those of the side that has fewer."""


def target_name(key: str) -> str:
    """Return the name of ``RELEVANT`` or of a label's digit."""
    if key == RELEVANT:
        return msg("relevant (1–3)")
    return numbered_label(int(key))


def gain_curves(
    labels: ArrayLike, groups: ArrayLike, order: NDArray[np.int64]
) -> dict[str, GainCurve]:
    """Return the curves of ``RELEVANT`` and of labels 1 to 3, as far as there are such images.

    ``labels`` (N,), ``groups`` (N,): duplicate groups; ``order`` (N,): the rows as viewed. An image
    counts as found once it is viewed, whatever the model called it.

    Each interval reaches as far as the wider of two on either side: (1) percentiles over 1,000
    resamples of duplicate groups (Efron and Tibshirani 1993, ch. 13), in which the same share is
    viewed again, so that the score at which viewing ends varies too; (2) ``share_interval`` of the
    class's images at the score at which it ends here, which does not collapse if all are found.
    """
    ranked, names = np.asarray(labels)[order], np.asarray(groups)[order]
    targets = {key: mask for key, mask in _targets(ranked).items() if mask.any()}
    if not targets:
        return {}
    low, high = _resampled(np.stack(list(targets.values())), names)
    n_viewed = [_at_least(percent, len(ranked)) for percent in PERCENT]
    curves = {}
    for row, (key, mask) in enumerate(targets.items()):
        recall, bounds = [], []
        for column, n in enumerate(n_viewed):
            is_viewed = np.flatnonzero(mask) < n
            recall.append(float(is_viewed.mean()))
            if n == len(ranked):  # everything is viewed: nothing is left to chance
                bounds.append((1.0, 1.0))
                continue
            fixed = share_interval(is_viewed, names[mask])
            ends = min(fixed.low, low[row, column]), max(fixed.high, high[row, column])
            bounds.append((float(ends[0]), float(ends[1])))
        curves[key] = GainCurve(tuple(recall), tuple(bounds), len(np.unique(names[mask])))
    return curves


def aurocs(
    labels: ArrayLike, scores: NDArray[np.float64], groups: ArrayLike
) -> dict[str, Auroc | None]:
    """Return the AUROC of relevant against irrelevant images, by the probability that an image is
    not irrelevant, and of each label against the rest, by its score; None if either side is empty.

    ``labels`` (N,), ``scores`` (N, 4), ``groups`` (N,).
    """
    truth, names = np.asarray(labels), np.asarray(groups)
    found = {RELEVANT: _auroc(truth != 0, 1 - scores[:, 0], names)}
    for label in LABELS:
        digit = label.index
        found[str(digit)] = _auroc(truth == digit, scores[:, digit], names)
    return found


def _targets(labels: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    return {RELEVANT: labels != 0} | {
        str(label.index): labels == label.index for label in LABELS[1:]
    }


def _at_least(percent: int, count: int) -> int:
    """Return a share of ``count`` in whole images, rounded up."""
    return -(-percent * count // 100)


def _resampled(
    masks: NDArray[np.bool_], groups: NDArray[np.str_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends (T, P) of the percentile intervals of the recalls of T targets, ``masks``
    (T, N) in the order of review, after viewing P shares."""
    names, place = np.unique(groups, return_inverse=True)
    chances = np.full(len(names), 1 / len(names))
    rng = np.random.default_rng(SEED)
    found = np.empty((RESAMPLES, len(masks), len(PERCENT)))
    for resample in found:
        weights = rng.multinomial(len(names), chances)[place]
        viewed = weights.cumsum()
        ends = np.searchsorted(viewed, [_at_least(p, int(viewed[-1])) for p in PERCENT])
        for row, mask in enumerate(masks):
            seen = (weights * mask).cumsum()
            resample[row] = seen[ends] / seen[-1] if seen[-1] else np.nan
    low, high = np.nanpercentile(found, [100 * _TAIL, 100 * (1 - _TAIL)], axis=0)
    return low, high


def _auroc(
    is_target: NDArray[np.bool_], scores: NDArray[np.float64], groups: NDArray[np.str_]
) -> Auroc | None:
    """Return the AUROC with the interval of Clopper and Pearson (1934).

    For an AUROC of m and n independent images, min(m, n) trials are the safe number: its variance
    is at most A(1 - A) / min(m, n) (Birnbaum and Klose 1957, Ann. Math. Statist. 28).
    """
    n_targets, n_others = int(is_target.sum()), int((~is_target).sum())
    if not n_targets or not n_others:
        return None
    # Mann-Whitney's statistic from the sum of ranks.
    ranks = rankdata(scores)[is_target].sum() - n_targets * (n_targets + 1) / 2
    value = float(ranks / (n_targets * n_others))
    sizes = [
        np.unique(groups[side], return_counts=True)[1].astype(np.float64)
        for side in (is_target, ~is_target)
    ]
    trials, n_groups = min(float(independent_images(side)) for side in sizes), min(map(len, sizes))
    low, high = exact_limits(np.asarray(value), np.asarray(trials))
    return Auroc(value, Interval(float(low), float(high), "clopper-pearson", n_groups, trials))
