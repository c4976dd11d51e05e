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


def test_interval_holds_the_share_and_repeats_exactly(measured):
    interval = measured.accuracy_interval
    assert interval.method == "bootstrap"
    assert 0.3 <= interval.low < 0.7 < interval.high <= 1.0
    again = metrics.share_interval(np.array(LABELS) == np.array(PREDICTED), GROUPS)
    assert again == interval


def test_bootstrap_agrees_with_the_normal_approximation_for_many_independent_images():
    # 800 of 1000 right: 0.8 ± 1.96·√(0.8·0.2/1000) = 0.8 ± 0.0248
    interval = metrics.share_interval([True] * 800 + [False] * 200, [str(i) for i in range(1000)])
    assert interval.low == pytest.approx(0.8 - 0.0248, abs=0.004)
    assert interval.high == pytest.approx(0.8 + 0.0248, abs=0.004)


def test_duplicates_widen_the_interval():
    right = [True] * 80 + [False] * 20
    alone = metrics.share_interval(right, [str(i) for i in range(100)])
    bursts = metrics.share_interval(right, [str(i // 10) for i in range(100)])
    assert bursts.high - bursts.low > 2 * (alone.high - alone.low)


def test_interval_does_not_depend_on_the_order_of_images():
    right, groups = [True, False, True, True], ["a", "a", "b", "c"]
    assert metrics.share_interval(right, groups) == metrics.share_interval(
        right[::-1], groups[::-1]
    )


def test_all_right_is_not_certainty():
    # Clopper–Pearson for 20 of 20: 0.025^(1/20) = 0.8316
    interval = metrics.share_interval([True] * 40, [str(i // 2) for i in range(40)])
    assert (interval.high, interval.method) == (1.0, "exact")
    assert interval.low == pytest.approx(0.8316, abs=1e-4)


def test_all_wrong_is_not_certainty():
    interval = metrics.share_interval([False] * 10, GROUPS)
    assert interval.low == 0.0
    assert interval.high == pytest.approx(1 - 0.025**0.1)


def test_one_group_says_nothing():
    assert metrics.share_interval([True, False], ["a", "a"]) == metrics.Interval(0.0, 1.0, "none")
    assert metrics.share_interval([True, True], ["a", "a"]).low == pytest.approx(0.025)


def test_mcnemar_by_hand():
    # 1 lost, 9 gained of 10 discordant: p = 2·(C(10,0) + C(10,1)) / 2¹⁰ = 22/1024
    first = [True] * 5 + [True] + [False] * 9 + [False] * 3
    second = [True] * 5 + [False] + [True] * 9 + [False] * 3
    test = metrics.mcnemar(first, second)
    assert (test.first_only, test.second_only) == (1, 9)
    assert test.p == pytest.approx(22 / 1024)


def test_mcnemar_of_runs_that_never_differ():
    assert metrics.mcnemar([True, False], [True, False]).p == 1.0


def test_difference_interval_is_paired():
    # Both runs vary alike between groups; only the constant gain in half the groups is left.
    first = [i % 2 == 0 for i in range(100)]
    second = [True] * 100
    interval = metrics.difference_interval(first, second, [str(i) for i in range(100)])
    assert 0.38 < interval.low < 0.5 < interval.high < 0.62


def test_difference_of_runs_that_never_differ_is_not_certainly_zero():
    interval = metrics.difference_interval([True] * 4, [True] * 4, list("abcd"))
    assert interval.high == pytest.approx(1 - 0.025**0.25)
    assert interval.low == -interval.high


def test_difference_where_everything_is_gained():
    interval = metrics.difference_interval([False] * 100, [True] * 100, list(map(str, range(100))))
    assert interval.high == 1.0
    assert interval.low == pytest.approx(1 - 2 * (1 - 0.025**0.01))


def test_the_interval_is_that_of_95_percent():
    # Three of seven groups right: a resample without one of them has probability (4/7)⁷ = 1.99 %,
    # less than the 2.5 % left out at each end, so the interval starts at one of seven.
    interval = metrics.share_interval([True] * 3 + [False] * 4, list("abcdefg"))
    assert interval.low == pytest.approx(1 / 7)


def test_a_bootstrap_in_several_blocks_is_that_of_one():
    # 4,000,000 draws are one block: 1,600 and then 400 resamples of 2,500 groups.
    n, resamples = 2500, 2000
    right = np.arange(n) % 5 != 0
    interval = metrics.share_interval(right, np.arange(n), resamples=resamples, seed=3)
    draws = np.random.default_rng(3).multinomial(n, np.full(n, 1 / n), size=resamples)
    low, high = np.percentile(draws @ right.astype(float) / n, [2.5, 97.5])
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert 0.775 < interval.low < 0.8 < interval.high < 0.825


def test_difference_interval_of_groups_of_unequal_size():
    # Group a gains three images of three, b none of one: resamples aa, ab, bb give 1, 3/4 and 0.
    groups = ["a", "a", "a", "b"]
    interval = metrics.difference_interval([False] * 4, [True] * 3 + [False], groups)
    assert interval == metrics.Interval(0.0, 1.0, "bootstrap")
    # Every group gains all of its images, however many they are: nothing is left to resample.
    whole = metrics.difference_interval([False] * 4, [True] * 4, groups)
    assert whole.method == "exact"
    # Bound for 2 of 2: √0.025; an unseen kind of group moves the difference by up to 2.
    assert (whole.low, whole.high) == pytest.approx((1 - 2 * (1 - 0.025**0.5), 1.0))


def test_difference_interval_of_groups_that_all_change_by_half_says_nothing():
    groups = ["a", "a", "b", "b", "b", "b"]
    second = [True, False, True, False, True, False]
    interval = metrics.difference_interval([False] * 6, second, groups)
    assert interval == metrics.Interval(-1.0, 1.0, "none")


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
