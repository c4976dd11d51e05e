"""Order of review: recall at shares viewed, AUROC, and their intervals."""

import numpy as np
import pytest

from mayak.evaluation.gain import PERCENT, aurocs, gain_curves


def at(curve, percent):
    place = PERCENT.index(percent)
    return curve.recall[place], curve.bounds[place]


def test_recall_counts_what_has_been_viewed():
    """Twenty images, in the order of review: 1, 0, 3, 0, 1, 0, 0 …"""
    labels = [1, 0, 3, 0, 1] + [0] * 15
    curves = gain_curves(labels, [f"g{n}" for n in range(20)], np.arange(20))
    assert list(curves) == ["relevant", "1", "3"]
    assert at(curves["relevant"], 5)[0] == pytest.approx(1 / 3)  # one image
    assert at(curves["relevant"], 15)[0] == pytest.approx(2 / 3)
    assert at(curves["1"], 20)[0] == 0.5
    assert at(curves["1"], 25)[0] == 1.0
    assert at(curves["3"], 10)[0] == 0.0
    assert at(curves["3"], 100) == (1.0, (1.0, 1.0))


def test_the_order_is_that_of_review_not_of_the_rows():
    labels = np.array([0] * 9 + [2])
    curves = gain_curves(labels, np.arange(10).astype(str), np.arange(10)[::-1])
    assert at(curves["2"], 10)[0] == 1.0


def test_a_share_is_rounded_up_to_whole_images():
    curves = gain_curves([1, 0, 0], ["a", "b", "c"], np.arange(3))
    assert at(curves["1"], 1)[0] == 1.0


def test_all_found_is_not_certainty():
    """Forty images of the class, all viewed first."""
    labels = [2] * 40 + [0] * 160
    curves = gain_curves(labels, [f"g{n}" for n in range(200)], np.arange(200))
    recall, (low, high) = at(curves["2"], 50)
    assert (recall, high) == (1.0, 1.0)
    assert 0.85 < low < 0.95


def test_copies_count_as_one_image():
    labels = [1] * 40 + [0] * 40
    order = np.array([n for pair in zip(range(40), range(40, 80), strict=True) for n in pair])
    alone = gain_curves(labels, [f"g{n}" for n in range(80)], order)["1"]
    copies = gain_curves(labels, [f"g{n // 10}" for n in range(80)], order)["1"]
    widths = [high - low for low, high in (at(alone, 50)[1], at(copies, 50)[1])]
    assert at(alone, 50)[0] == at(copies, 50)[0] == 0.5
    assert widths[1] > 1.5 * widths[0]


def test_the_interval_knows_that_the_cut_varies():
    """A class at the place where viewing ends: how much of it is seen depends on how many images of
    another class come before it, which varies more than a share of its forty images would."""
    labels = [1] * 200 + [2] * 40 + [0] * 160
    curve = gain_curves(labels, [f"g{n}" for n in range(400)], np.arange(400))["2"]
    recall, (low, high) = at(curve, 55)
    assert recall == 0.5
    assert high - low > 0.7


def test_no_relevant_images_have_no_curve():
    assert gain_curves([0, 0], ["a", "b"], np.arange(2)) == {}


def test_auroc_counts_pairs():
    """Three of four pairs are in the right order, for class 3 half of one is a tie."""
    scores = np.array(
        [[0.1, 0.9, 0, 0], [0.6, 0.1, 0, 0.3], [0.5, 0.2, 0, 0.3], [0.9, 0.1, 0, 0.0]]
    )
    found = aurocs([1, 3, 0, 0], scores, ["a", "b", "c", "d"])
    assert found["relevant"].value == 0.75
    assert found["3"].value == pytest.approx(2.5 / 3)
    assert found["2"] is None
    low, high = found["relevant"].interval.low, found["relevant"].interval.high
    assert 0 <= low < 0.75 < high <= 1


def test_a_perfect_auroc_is_as_sure_as_its_smaller_side():
    """Ten disjoint pairs in the right order: the bound of Clopper and Pearson for ten of ten."""
    scores = np.zeros((1010, 4))
    scores[:10, 1], scores[10:, 0] = 1, 1
    labels = [1] * 10 + [0] * 1000
    found = aurocs(labels, scores, [f"g{n}" for n in range(1010)])["relevant"]
    assert found.value == 1
    assert (found.interval.low, found.interval.high) == (pytest.approx(0.025**0.1), 1.0)
    grouped = aurocs(labels, scores, ["g"] * 10 + [f"g{n}" for n in range(1000)])["relevant"]
    assert (grouped.interval.low, grouped.interval.high) == (pytest.approx(0.025), 1.0)


def test_few_groups_are_marked():
    """Thirty images of class 1 in 15 groups, thirty of class 2 in 30 groups."""
    labels = np.array([1] * 30 + [2] * 30 + [0] * 30)
    groups = [f"g{n // 2}" for n in range(30)] + [f"g{n}" for n in range(30, 90)]
    curves = gain_curves(labels, groups, np.arange(90))
    assert (curves["1"].n_groups, curves["2"].n_groups) == (15, 30)
    assert curves["1"].has_too_few_groups
    assert not curves["2"].has_too_few_groups
    scores = np.full((90, 4), 0.1)
    scores[np.arange(90), labels] = 0.7
    areas = aurocs(labels, scores, groups)
    assert areas["1"].interval.has_too_few_groups
    assert not areas["2"].interval.has_too_few_groups
    # The side with fewer groups counts, also if it is the other one.
    assert aurocs(np.minimum(labels, 1), scores, groups)["0"].interval.n_groups == 30
