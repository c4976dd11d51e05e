"""Accuracy, precision, recall and their confidence intervals.

Labels are 0–3; a prediction of −1 (unclassifiable) is always wrong. Near-identical images of one
duplicate *group* are not independent, so intervals count effective images (``Interval``): counting
each image would make every interval too narrow. ``benchmarks/coverage.py`` simulates how often the
intervals contain the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn import metrics as sk

from mayak.errors import ConfigError
from mayak.i18n import msg
from mayak.labels import LABELS, UNCLASSIFIABLE

CONFIDENCE = 0.95
MIN_GROUPS = 20
"""With fewer groups their correlation cannot be estimated well, and a figure is marked."""
CALIBRATION_BINS = 15
"""As in Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017)."""

Method = Literal["clopper-pearson", "mover", "none"]
Floats = NDArray[np.float64]
_CLASSES = [label.index for label in LABELS]


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval over grouped images.

    ``clopper-pearson``: the exact binomial interval of a share (Clopper and Pearson 1934), with
    the effective number of images as the number of trials (Korn and Graubard 1998). ``mover``: the
    interval of a difference, from the exact intervals of the shares gained and lost (Zou and Donner
    2008). ``none``: the whole range, for a single group that is partly right.
    """

    low: float
    high: float
    method: Method
    n_groups: int
    n_effective: float
    """Number of independent images whose interval would be as wide."""

    @property
    def has_too_few_groups(self) -> bool:
        """Whether there are fewer than MIN_GROUPS groups; then ``n_effective`` is at most their
        number."""
        return self.n_groups < MIN_GROUPS

    def figures(self, name: str) -> dict[str, Any]:
        """Return the entries ``<name>_ci95`` … of a JSON file."""
        return {
            f"{name}_ci95": [self.low, self.high],
            f"{name}_ci95_method": self.method,
            f"{name}_ci95_groups": self.n_groups,
            f"{name}_ci95_effective_n": self.n_effective,
            f"{name}_ci95_too_few_groups": self.has_too_few_groups,
        }


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
    """McNemar's exact test of two runs on the same images, with the duplicate group as the unit."""

    first_only: int
    """Images that only the first run has right."""
    second_only: int
    first_better: int
    """Groups of which the first run has more images right; each is one observation."""
    second_better: int
    p: float
    """Two-sided, over groups; 1 if the runs never differ."""


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


def share_interval(right: ArrayLike, groups: ArrayLike) -> Interval:
    """Return the interval of a share of right answers (0 or 1 each), over groups."""
    hits, sizes = _by_group(np.asarray(right, dtype=np.float64), groups)
    low, high, effective = share_limits(hits, sizes)
    if len(sizes) == 1 and 0 < hits[0] < sizes[0]:
        return Interval(0.0, 1.0, "none", 1, 1.0)
    return Interval(float(low), float(high), "clopper-pearson", len(sizes), float(effective))


def difference_interval(first: ArrayLike, second: ArrayLike, groups: ArrayLike) -> Interval:
    """Return the interval of accuracy(second) − accuracy(first) on the same images, over groups."""
    change = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    gains, sizes = _by_group(np.maximum(change, 0.0), groups)
    losses, _ = _by_group(np.maximum(-change, 0.0), groups)
    low, high, effective = difference_limits(gains, losses, sizes)
    if len(sizes) == 1 and np.ptp(change) > 0:
        return Interval(-1.0, 1.0, "none", 1, 1.0)
    return Interval(float(low), float(high), "mover", len(sizes), float(effective))


def share_limits(hits: Floats, sizes: Floats) -> tuple[Floats, Floats, Floats]:
    """Return limits and effective number of images for hits (…, groups) and sizes (groups,) or
    (…, groups)."""
    effective = _effective(hits, hits, sizes, lowest=0.0)
    return *exact_limits(hits.sum(axis=-1) / sizes.sum(axis=-1), effective), effective


def difference_limits(
    gains: Floats, losses: Floats, sizes: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return limits of (gains − losses) / images, and the effective number of images.

    ``gains`` and ``losses`` (…, groups) count the images that only the second or only the first run
    has right. The shares are two cells of a multinomial distribution, with its correlation between
    them (Zou and Donner 2008, "Construction of confidence limits about effect measures: a general
    approach", Statistics in Medicine 27).
    """
    effective = _effective(gains - losses, gains + losses, sizes, lowest=-1.0)
    n = sizes.sum(axis=-1)
    gained, lost = gains.sum(axis=-1) / n, losses.sum(axis=-1) / n
    gained_low, gained_high = exact_limits(gained, effective)
    lost_low, lost_high = exact_limits(lost, effective)
    others = (1.0 - gained) * (1.0 - lost)
    # Without an image that stays the same the two are each other's complement.
    complement = np.asarray(gained + lost) > 1.0 - 1e-9
    correlation = -np.sqrt(gained * lost / np.where(complement, 1.0, others))
    correlation = np.where(complement, -1.0, correlation)

    def span(one: Floats, other: Floats) -> Floats:
        return np.asarray(np.sqrt(one**2 + other**2 - 2.0 * correlation * one * other))

    low = gained - lost - span(gained - gained_low, lost_high - lost)
    high = gained - lost + span(gained_high - gained, lost - lost_low)
    return np.maximum(low, -1.0), np.minimum(high, 1.0), effective


def mcnemar(first_right: ArrayLike, second_right: ArrayLike, groups: ArrayLike) -> McNemar:
    """McNemar's exact test over groups: two-sided binomial over those that one run has better.

    With one image in each group it is the usual test of images. The images of a burst are not
    independent: a test that counts each makes p too small.
    """
    change = np.asarray(second_right, dtype=np.float64) - np.asarray(first_right, dtype=np.float64)
    net, _ = _by_group(change, groups)
    lost, gained = int((net < 0).sum()), int((net > 0).sum())
    p = float(stats.binomtest(lost, lost + gained, 0.5).pvalue) if lost + gained else 1.0
    return McNemar(int((change < 0).sum()), int((change > 0).sum()), lost, gained, p)


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


def _by_group(values: Floats, groups: ArrayLike) -> tuple[Floats, Floats]:
    """Return the sum of values and the number of images of each group, in order of its name."""
    _, place = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(place, values).astype(np.float64)
    return sums, np.bincount(place).astype(np.float64)


def _effective(sums: Floats, squares: Floats, sizes: Floats, *, lowest: float) -> Floats:
    """Return the effective number of images: the smaller of two estimates.

    ``sums`` and ``squares`` (…, groups) are those of values from ``lowest`` to 1. The first
    estimate allows for answers that are alike within groups; of fewer than MIN_GROUPS groups it is
    their number. The second allows for large groups that are harder or easier than small ones, and
    is at least 1. Single images are independent: their number needs no estimate.
    """
    n_groups = sums.shape[-1]
    n = np.broadcast_to(sizes.sum(axis=-1), sums.shape[:-1])
    if n_groups == 1:
        return np.ones_like(n)
    if n_groups < MIN_GROUPS:
        by_correlation = np.full_like(n, n_groups)
    else:
        by_correlation = _by_correlation(sums, squares, sizes, lowest)
    by_ratio = np.maximum(_by_ratio(sums, squares, sizes), 1.0)
    return np.where(n == n_groups, n, np.minimum(by_correlation, by_ratio))


def _by_correlation(sums: Floats, squares: Floats, sizes: Floats, lowest: float) -> Floats:
    """Return n / (1 + ρ(m − 1)): the number of images, divided by the design effect (Kish 1965).

    m is the size of a random image's group; ρ is the correlation within groups, estimated as Fleiss
    and Cuzick (1979, "The reliability of dichotomous judgments") do: 1 − variance within groups /
    variance. Imagined groups of identical values are added: m images of 0, and m images of 1 (for
    values from −1: half of them −1). Without them a few scattered errors would pass for proof of
    independence. With them ρ is 1 until errors are seen that the rest of their group does not
    share. Their weight was chosen by simulation, so that the intervals cover
    (``benchmarks/coverage.py``).
    """
    n, n_groups = sizes.sum(axis=-1), sizes.shape[-1]
    m = n / independent_images(sizes)
    within = (squares - sums**2 / sizes).sum(axis=-1)
    padded = n + 2.0 * m
    mean = (sums.sum(axis=-1) + (lowest + 1.0) * m) / padded
    variance = (squares.sum(axis=-1) + m) / padded - mean**2
    freedom = np.maximum(padded - n_groups - 2.0, 1e-9)  # 0 for single images, as is `within`
    correlation = np.clip(1.0 - within / (freedom * variance), 0.0, 1.0)
    return np.asarray(n / (1.0 + correlation * (m - 1.0)))


def _by_ratio(sums: Floats, squares: Floats, sizes: Floats) -> Floats:
    """Return the variance of a value / the variance of the mean, infinite if the latter is 0.

    The mean is a ratio of two sums over groups, values and images. Its linearised variance (Cochran
    1977, "Sampling Techniques", ch. 6) contains how size and accuracy of the groups vary together,
    which a correlation within groups does not. It is estimated from the groups, so Student's
    quantile takes the place of the normal one (Korn and Graubard 1998).
    """
    n, n_groups = sizes.sum(axis=-1), sizes.shape[-1]
    mean = sums.sum(axis=-1) / n
    rest = sums - mean[..., None] * sizes
    of_mean = (rest**2).sum(axis=-1) / n**2 * n_groups / (n_groups - 1)
    of_value = squares.sum(axis=-1) / n - mean**2
    end = (1.0 + CONFIDENCE) / 2.0
    student = (stats.norm.ppf(end) / stats.t.ppf(end, n_groups - 1)) ** 2
    unlimited = np.full_like(of_mean, np.inf)
    return np.asarray(np.divide(student * of_value, of_mean, out=unlimited, where=of_mean > 0))


def independent_images(sizes: Floats) -> Floats:
    """Return how many independent images some in groups of these sizes (…, groups) are worth, if
    those of a group are alike (Kish 1965): the number of groups if all are of one size."""
    return np.asarray(sizes.sum(axis=-1) ** 2 / (sizes**2).sum(axis=-1))


def exact_limits(share: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Return Clopper and Pearson's limits of a share of n trials, as beta quantiles, which need no
    whole numbers."""
    tail = (1.0 - CONFIDENCE) / 2.0
    hits, misses = share * n, (1.0 - share) * n
    low = np.where(hits > 0, stats.beta.ppf(tail, hits, misses + 1.0), 0.0)
    high = np.where(misses > 0, stats.beta.ppf(1.0 - tail, hits + 1.0, misses), 1.0)
    return low, high
