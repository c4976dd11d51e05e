"""Figures against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mayak import metrics
from mayak.errors import ConfigError

LABELS = [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]
PREDICTED = [0, 0, 1, 1, 1, 2, -1, 3, 3, 0]
GROUPS = [str(i) for i in range(10)]


@pytest.fixture
def measured():
    return metrics.measure(LABELS, PREDICTED, GROUPS, unclassifiable=True)


def test_accuracy_counts_unclassifiable_as_wrong(measured):
    assert measured.accuracy == pytest.approx(0.7)
    assert (measured.n, measured.n_groups) == (10, 10)


def test_per_class_figures_by_hand(measured):
    # class 0: 2 of 3 predicted 0 are right, 2 of 3 true 0 are found
    # class 1: 2 of 3 predicted, 2 of 2 found → F1 = 2·(2/3)·1 / (5/3) = 0.8
    # class 2: 1 of 1 predicted, 1 of 2 found → F1 = 2/3
    # class 3: 2 of 2 predicted, 2 of 3 found → F1 = 0.8
    rows = [(c.precision, c.recall, c.f1, c.support) for c in measured.per_class]
    assert rows[0] == pytest.approx((2 / 3, 2 / 3, 2 / 3, 3))
    assert rows[1] == pytest.approx((2 / 3, 1.0, 0.8, 2))
    assert rows[2] == pytest.approx((1.0, 0.5, 2 / 3, 2))
    assert rows[3] == pytest.approx((1.0, 2 / 3, 0.8, 3))
    assert measured.macro_f1 == pytest.approx((2 / 3 + 0.8 + 2 / 3 + 0.8) / 4)


def test_confusion_matrix_has_the_column_of_unclassifiable_last(measured):
    assert measured.confusion == (
        (2, 1, 0, 0, 0),
        (0, 2, 0, 0, 0),
        (0, 0, 1, 0, 1),
        (1, 0, 0, 2, 0),
    )
    four = metrics.measure([0, 3], [0, 3], ["a", "b"], unclassifiable=False)
    assert four.confusion[3] == (0, 0, 0, 1)


def test_macro_f1_leaves_out_labels_without_images():
    some = metrics.measure([0, 0, 1, 1], [0, 0, 1, 1], list("abcd"), unclassifiable=False)
    assert some.macro_f1 == 1.0
    assert some.per_class[2].support == 0
    assert some.per_class[2].recall_interval is None


def test_few_images_are_marked_and_many_are_not(measured):
    assert measured.accuracy_interval.has_too_few_groups
    assert measured.accuracy_interval.n_effective == measured.accuracy_interval.n_groups == 10
    many = metrics.share_interval([True] * 30 + [False] * 10, range(40))
    assert not many.has_too_few_groups
    # 40 images of 10 groups: each group counts as one image, whatever their answers.
    few = metrics.share_interval([True] * 30 + [False] * 10, [i % 10 for i in range(40)])
    assert few.has_too_few_groups
    assert few.n_effective == 10


def test_one_error_of_99_leaves_what_clopper_and_pearson_leave():
    # Tabulated: 98 of 99 → 0.9450 to 0.9997
    interval = metrics.share_interval([True] * 98 + [False], range(99))
    assert (interval.low, interval.high) == pytest.approx((0.9450, 0.9997), abs=1e-4)
    assert interval.method == "clopper-pearson"


def test_interval_agrees_with_the_normal_approximation_for_many_independent_images():
    # 800 of 1000 right: 0.8 ± 1.96·√(0.8·0.2/1000) = 0.8 ± 0.0248
    interval = metrics.share_interval([True] * 800 + [False] * 200, range(1000))
    assert interval.low == pytest.approx(0.8 - 0.0248, abs=0.002)
    assert interval.high == pytest.approx(0.8 + 0.0248, abs=0.002)


def test_duplicates_that_are_wrong_together_widen_the_interval():
    alike = [i // 10 % 5 > 0 for i in range(400)]
    alone = metrics.share_interval(alike, range(400))
    bursts = metrics.share_interval(alike, [i // 10 for i in range(400)])
    # 400 images of 40 bursts; a little less, because their variance is estimated from 40 values.
    assert 35 < bursts.n_effective < 40
    assert bursts.high - bursts.low > 2 * (alone.high - alone.low)
    # Errors spread over the bursts show that their images are nearly independent.
    spread = metrics.share_interval([i % 5 > 0 for i in range(400)], [i // 10 for i in range(400)])
    assert spread.n_effective > 100


def test_a_large_burst_counts_less_than_its_images_and_small_ones_more():
    # n² / Σ m²: 40 single images and a burst of 20 are 60² / (40 + 400) = 8.2 images, if all of a
    # burst's answers are alike.
    groups = [*range(40), *[99] * 20]
    assert metrics.share_interval([True] * 60, groups).n_effective == pytest.approx(3600 / 440)


def test_interval_does_not_depend_on_the_order_of_images():
    right, groups = [True, False, True, True], ["a", "a", "b", "c"]
    assert metrics.share_interval(right, groups) == metrics.share_interval(
        right[::-1], groups[::-1]
    )


def test_all_right_is_not_certainty():
    # Clopper–Pearson for 20 of 20: 0.025^(1/20) = 0.8316
    interval = metrics.share_interval([True] * 40, [str(i // 2) for i in range(40)])
    assert interval.high == 1.0
    assert interval.low == pytest.approx(0.8316, abs=1e-4)


def test_all_wrong_is_not_certainty():
    interval = metrics.share_interval([False] * 10, GROUPS)
    assert interval.low == 0.0
    assert interval.high == pytest.approx(1 - 0.025**0.1)


def test_one_group_says_nothing():
    interval = metrics.share_interval([True, False], ["a", "a"])
    assert (interval.low, interval.high, interval.method) == (0.0, 1.0, "none")
    assert metrics.share_interval([True, True], ["a", "a"]).low == pytest.approx(0.025)


def runs(sizes, share, *, alike, repeats=2000):
    """Hits of each group of random runs: one answer for the whole group, or one for each image."""
    rng = np.random.default_rng(7)
    shape = (repeats, len(sizes))
    return rng.binomial(1, share, shape) * sizes if alike else rng.binomial(sizes, share, shape)


SINGLE, BURSTS = np.ones(100), np.array([1.0] * 20 + [20.0] * 9)


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.9634, 0.99])
@pytest.mark.parametrize("sizes", [SINGLE, BURSTS], ids=["single", "bursts"])
def test_94_of_100_intervals_contain_the_accuracy(sizes, share, alike):
    low, high, _ = metrics.share_limits(
        runs(sizes.astype(int), share, alike=alike).astype(float), sizes
    )
    assert ((low <= share) & (share <= high)).mean() >= 0.94


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize(("gained", "lost"), [(0.01, 0.01), (0.05, 0.01), (0.46, 0.01)])
@pytest.mark.parametrize("sizes", [SINGLE, BURSTS], ids=["single", "bursts"])
def test_94_of_100_intervals_contain_the_difference(sizes, gained, lost, alike):
    rng = np.random.default_rng(7)
    shares = [gained, lost, 1 - gained - lost]
    counts = rng.multinomial(1 if alike else sizes.astype(int), shares, size=(2000, len(sizes)))
    if alike:
        counts = counts * sizes[:, None]
    low, high, _ = metrics.difference_limits(
        counts[..., 0].astype(float), counts[..., 1].astype(float), sizes
    )
    truth = gained - lost
    assert ((low <= truth) & (truth <= high)).mean() >= 0.94


def large_and_hard(rng):
    """Images of 300 groups drawn at random: a tenth have 20 images, the rest a single one."""
    sizes = np.where(rng.random(300) < 0.1, 20, 1)
    return np.repeat(np.arange(300), sizes), np.repeat(sizes > 1, sizes)


def test_94_of_100_intervals_contain_the_accuracy_if_large_groups_are_harder():
    """Accuracy is .99 for single images and .6 in the groups of 20."""
    rng = np.random.default_rng(7)
    truth = (2 * 0.6 + 0.9 * 0.99) / 2.9
    n_inside = 0
    for _ in range(1000):
        groups, is_large = large_and_hard(rng)
        interval = metrics.share_interval(
            rng.random(len(groups)) < np.where(is_large, 0.6, 0.99), groups
        )
        n_inside += interval.low <= truth <= interval.high
    assert n_inside >= 940


def test_94_of_100_intervals_contain_the_difference_if_large_groups_gain_more():
    """The second run puts right .01 of the single images and .4 in the groups of 20."""
    rng = np.random.default_rng(7)
    truth = (2 * 0.4 + 0.9 * 0.01) / 2.9
    n_inside = 0
    for _ in range(1000):
        groups, is_large = large_and_hard(rng)
        gained = rng.random(len(groups)) < np.where(is_large, 0.4, 0.01)
        interval = metrics.difference_interval(np.zeros(len(groups)), gained, groups)
        n_inside += interval.low <= truth <= interval.high
    assert n_inside >= 940


def test_with_few_groups_a_group_counts_as_one_image_at_most():
    # A burst of 20 and 18 single images, all right: 19 of 19.
    groups = [*range(18), *[99] * 20]
    alike = metrics.share_interval([True] * 38, groups)
    assert (alike.n_groups, alike.n_effective) == (19, 19)
    assert alike.low == pytest.approx(0.025 ** (1 / 19))
    # The burst is wrong and the others are right: what the burst is decides nearly everything.
    unlike = metrics.share_interval([True] * 18 + [False] * 20, groups)
    assert unlike.n_effective < 10
    assert unlike.has_too_few_groups
    change = metrics.difference_interval([False] * 38, [True] * 38, groups)
    assert change.n_effective == 19


def test_two_groups_that_differ_leave_nearly_everything_open():
    interval = metrics.share_interval([True] * 5 + [False] * 20, ["a"] * 5 + ["b"] * 20)
    assert interval.n_effective == 1
    assert interval.high - interval.low > 0.9


def test_mcnemar_by_hand():
    # 1 lost, 9 gained of 10 discordant: p = 2·(C(10,0) + C(10,1)) / 2¹⁰ = 22/1024
    first = [True] * 5 + [True] + [False] * 9 + [False] * 3
    second = [True] * 5 + [False] + [True] * 9 + [False] * 3
    test = metrics.mcnemar(first, second, range(18))
    assert (test.first_only, test.second_only) == (1, 9)
    assert test.p == pytest.approx(22 / 1024)


def test_mcnemar_counts_a_burst_once():
    # Nine images of one burst are put right, one of another is made wrong: 1 to 1 bursts.
    first = [False] * 9 + [True]
    second = [True] * 9 + [False]
    test = metrics.mcnemar(first, second, ["burst"] * 9 + ["other"])
    assert (test.first_only, test.second_only) == (1, 9)
    assert (test.first_better, test.second_better, test.p) == (1, 1, 1.0)


def test_mcnemar_of_runs_that_never_differ():
    assert metrics.mcnemar([True, False], [True, False], ["a", "b"]).p == 1.0


def test_difference_interval_is_paired():
    # Both runs vary alike between groups; only the constant gain in half the groups is left.
    first = [i % 2 == 0 for i in range(100)]
    second = [True] * 100
    interval = metrics.difference_interval(first, second, range(100))
    assert 0.38 < interval.low < 0.5 < interval.high < 0.62


def test_difference_of_runs_that_never_differ_is_not_certainly_zero():
    interval = metrics.difference_interval([True] * 4, [True] * 4, list("abcd"))
    assert interval.high == pytest.approx(1 - 0.025**0.25)
    assert interval.low == -interval.high


def test_difference_where_everything_is_gained():
    interval = metrics.difference_interval([False] * 100, [True] * 100, range(100))
    assert interval.high == 1.0
    # An image could have been lost instead of gained, which moves the difference by 2.
    assert interval.low == pytest.approx(1 - 2 * (1 - 0.025**0.01))


def test_difference_interval_of_one_group_that_changes_in_part_says_nothing():
    interval = metrics.difference_interval([False] * 2, [True, False], ["a", "a"])
    assert (interval.low, interval.high, interval.method) == (-1.0, 1.0, "none")


def test_off_label_summary():
    summary = metrics.off_label([0.0, 0.1, 0.2, 0.3, 0.4])
    assert (summary.mean, summary.median, summary.max) == pytest.approx((0.2, 0.2, 0.4))
    assert summary.p95 == pytest.approx(0.38)


def test_calibration_error_by_hand():
    # Ten images at confidence 0.9, eight of them right: |0.8 − 0.9| = 0.1
    scores = [[0.9, 0.1, 0.0, 0.0]] * 10
    result = metrics.calibration(scores, [0] * 8 + [1] * 2)
    assert result.ece == pytest.approx(0.1)
    assert sum(count for count, _, _ in result.bins) == 10


def test_calibration_of_certainty_lies_in_the_last_bin():
    result = metrics.calibration([[0.0, 1.0, 0.0, 0.0]], [1])
    assert result.ece == 0.0
    assert result.bins[-1] == (1, 1.0, 1.0)


@pytest.mark.parametrize(
    ("labels", "predicted", "groups"),
    [([], [], []), ([0], [0, 1], ["a"]), ([0], [0], []), ([4], [0], ["a"]), ([0], [-2], ["a"])],
)
def test_refuses_what_cannot_be_measured(labels, predicted, groups):
    with pytest.raises(ConfigError):
        metrics.measure(labels, predicted, groups, unclassifiable=True)
