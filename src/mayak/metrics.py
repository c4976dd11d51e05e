"""Accuracy, precision, recall and their confidence intervals.

Labels are 0–3; a prediction of −1 (unclassifiable) is always wrong. Intervals are computed over
duplicate *groups*, not images: near-identical images are one observation, and counting each would
make every interval too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn import metrics as sk

from mayak.errors import ConfigError
from mayak.i18n import msg
from mayak.labels import LABELS, UNCLASSIFIABLE

RESAMPLES = 2000
SEED = 42
CONFIDENCE = 0.95
CALIBRATION_BINS = 15
"""As in Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017)."""

Method = Literal["bootstrap", "exact", "none"]
_CLASSES = [label.index for label in LABELS]


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval and its method.

    ``bootstrap``: percentiles over resampled groups. ``exact``: Clopper–Pearson over groups, if a
    bootstrap would collapse to a point. ``none``: the whole range, for a single group that is
    partly right.
    """

    low: float
    high: float
    method: Method


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """One label's figures; ``recall_interval`` is None if the label has no images."""

    precision: float
    recall: float
    f1: float
    support: int
    recall_interval: Interval | None


@dataclass(frozen=True, slots=True)
class Metrics:
    """The figures of one run."""

    n: int
    n_groups: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    """Mean F1 of the labels that have images; the others would count as 0."""
    per_class: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows: true label 0–3. Columns: predicted 0–3, and −1 last if it can occur."""


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's exact test of two runs on the same images."""

    first_only: int
    """Images that only the first run has right."""
    second_only: int
    p: float
    """Two-sided; 1 if the runs never differ."""


@dataclass(frozen=True, slots=True)
class OffLabel:
    """Probability of all tokens but the four labels', summarised over the images."""

    mean: float
    median: float
    p95: float
    max: float


@dataclass(frozen=True, slots=True)
class ScoreReliability:
    """Agreement of the highest score with the share of right answers."""

    ece: float
    """Expected calibration error: mean |accuracy − confidence| of equal-width bins, weighted."""
    bins: tuple[tuple[int, float, float], ...]
    """(images, mean confidence, accuracy) of each bin; zeros if it is empty."""


def measure(
    labels: Sequence[int],
    predicted: Sequence[int],
    groups: Sequence[str],
    *,
    unclassifiable: bool,
) -> Metrics:
    """Return all figures of one run. ``unclassifiable`` adds the −1 column to the confusion matrix.

    Raises:
        ConfigError: there are no images, the lengths differ, or a label is out of range.
    """
    truth, guess = _checked(labels, predicted, groups)
    right = truth == guess
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        truth, guess, labels=_CLASSES, zero_division=0.0
    )
    names = np.asarray(groups)
    per_class = tuple(
        ClassMetrics(
            float(precision[c]),
            float(recall[c]),
            float(f1[c]),
            int(support[c]),
            share_interval(right[truth == c], names[truth == c]) if support[c] else None,
        )
        for c in _CLASSES
    )
    columns = [*_CLASSES, UNCLASSIFIABLE]
    matrix = sk.confusion_matrix(truth, guess, labels=columns)[: len(_CLASSES)]
    if not unclassifiable:
        matrix = matrix[:, : len(_CLASSES)]
    return Metrics(
        n=len(truth),
        n_groups=len(set(groups)),
        accuracy=float(right.mean()),
        accuracy_interval=share_interval(right, names),
        macro_f1=float(f1[support > 0].mean()),
        per_class=per_class,
        confusion=tuple(tuple(int(count) for count in row) for row in matrix),
    )


def share_interval(
    right: ArrayLike, groups: ArrayLike, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """Return the interval of a share of right answers, over groups.

    Percentile bootstrap (Efron and Tibshirani 1993, ch. 13) that resamples whole groups. If all are
    right or all wrong, every resample is equal and the bootstrap would claim certainty; then
    Clopper–Pearson (1934) with one trial per group.
    """
    hits, sizes = _by_group(np.asarray(right, dtype=np.float64), groups)
    n = len(sizes)
    if hits.sum() in (0.0, sizes.sum()):
        doubt = 1.0 - _all_alike(n)
        return Interval(1.0 - doubt, 1.0, "exact") if hits.any() else Interval(0.0, doubt, "exact")
    if n == 1:
        return Interval(0.0, 1.0, "none")
    return _percentiles(hits, sizes, resamples, seed)


def difference_interval(
    first: ArrayLike,
    second: ArrayLike,
    groups: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """Return the interval of accuracy(second) − accuracy(first) on the same images, over groups.

    Paired percentile bootstrap. If every group changes equally (none at all, or all in the same
    direction) it would collapse; then from Clopper–Pearson's bound on the share of groups that
    change differently.
    """
    change = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    gains, sizes = _by_group(change, groups)
    means = gains / sizes
    if (means == means[0]).all():
        value = float(means[0])
        if value not in (-1.0, 0.0, 1.0):
            return Interval(-1.0, 1.0, "none")
        # An unseen kind of group moves the difference by 1 from 0, by up to 2 from ±1.
        doubt = (1.0 - _all_alike(len(sizes))) * (1.0 if value == 0 else 2.0)
        return Interval(max(-1.0, value - doubt), min(1.0, value + doubt), "exact")
    return _percentiles(gains, sizes, resamples, seed)


def mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> McNemar:
    """McNemar's exact test: two-sided binomial over the discordant pairs.

    Images are assumed to be independent; bursts of near-duplicates make p too small. The bootstrap
    interval of the difference does not have this fault.
    """
    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    lost, gained = int((first & ~second).sum()), int((~first & second).sum())
    p = float(stats.binomtest(lost, lost + gained, 0.5).pvalue) if lost + gained else 1.0
    return McNemar(lost, gained, p)


def off_label(masses: ArrayLike) -> OffLabel:
    """Summarise the off-label masses of at least one image."""
    values = np.asarray(masses, dtype=np.float64)
    return OffLabel(
        float(values.mean()),
        float(np.median(values)),
        float(np.percentile(values, 95)),
        float(values.max()),
    )


def calibration(
    scores: ArrayLike, labels: Sequence[int], bins: int = CALIBRATION_BINS
) -> ScoreReliability:
    """Return the expected calibration error of scores (N, 4) against labels (N,). Of an image with
    several highest scores none is right."""
    table = np.asarray(scores, dtype=np.float64)
    confidence = table.max(axis=1)
    is_best = table == confidence[:, None]
    right = is_best[np.arange(len(table)), np.asarray(labels)] & (is_best.sum(axis=1) == 1)
    # Bins are half-open on the left: (0, 1/b], (1/b, 2/b] …
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    filled = np.maximum(counts, 1)
    mean_confidence = np.bincount(place, confidence, minlength=bins) / filled
    mean_right = np.bincount(place, right, minlength=bins) / filled
    ece = float((counts * np.abs(mean_right - mean_confidence)).sum() / len(confidence))
    rows = zip(counts.tolist(), mean_confidence.tolist(), mean_right.tolist(), strict=True)
    return ScoreReliability(ece, tuple(rows))


def _checked(
    labels: Sequence[int], predicted: Sequence[int], groups: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    truth, guess = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if not len(truth) or not len(truth) == len(guess) == len(groups):
        raise ConfigError(
            msg(
                "{n_truth} labels, {n_guess} predictions and {n_groups} groups",
                n_truth=len(truth),
                n_guess=len(guess),
                n_groups=len(groups),
            ),
            remedy=msg("each image needs one of each"),
        )
    if not np.isin(truth, _CLASSES).all() or not np.isin(guess, [*_CLASSES, -1]).all():
        raise ConfigError(msg("labels are 0–3, predictions −1 to 3"))
    return truth, guess


def _by_group(
    values: NDArray[np.float64], groups: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of values and the number of images of each group, in order of its name."""
    _, place = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(place, values).astype(np.float64)
    return sums, np.bincount(place).astype(np.float64)


def _all_alike(n: int) -> float:
    """Return Clopper–Pearson's lower bound for n successes of n: (α/2)^(1/n)."""
    return float(((1.0 - CONFIDENCE) / 2.0) ** (1.0 / n))


def _percentiles(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], resamples: int, seed: int
) -> Interval:
    """Return the percentile interval of sum(sums) / sum(sizes) over resampled groups."""
    rng = np.random.default_rng(seed)
    n = len(sizes)
    shares = np.empty(resamples)
    step = max(1, 4_000_000 // n)  # bounds the memory of one block of draws to 32 MB
    for start in range(0, resamples, step):
        stop = min(resamples, start + step)
        draws = rng.multinomial(n, np.full(n, 1.0 / n), size=stop - start)
        shares[start:stop] = (draws @ sums) / (draws @ sizes)
    tail = 100.0 * (1.0 - CONFIDENCE) / 2.0
    low, high = np.percentile(shares, [tail, 100.0 - tail])
    return Interval(float(low), float(high), "bootstrap")
