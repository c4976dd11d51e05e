"""What the tiers of a cascade lose, and whether the risk bound is kept in fact."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from mayak.cli.as_triage import show_triage_figures
from mayak.cli.console import Console
from mayak.evaluation.as_triage import AsTriage
from mayak.evaluation.rows import Row
from mayak.evaluation.triage_figures import Share, TriagedImage, triage_figures, triage_notes
from mayak.metrics import Interval
from mayak.model.risk_control import Drift, RiskBound
from mayak.types import Scores

BOUND = RiskBound(0.05, 0.95, 400, 0, (1.0, None), (0.5, 0.0, 0.5), ())


def image(number, label, predicted, tier=2, whole=None):
    scores = Scores(tuple(0.7 if index == predicted else 0.1 for index in range(4)), 0.0)
    whole = predicted if whole is None else whole
    return TriagedImage(f"{number:064x}", f"g{number}", label, scores, tier, whole)


def figures(images, **changes):
    values = {
        "is_calibrated": True,
        "risk_bound": BOUND,
        "not_scored": 0,
        "n_calibration": 0,
        "found_drift": None,
    }
    return triage_figures(images, **(values | changes))


def test_each_tier_answers_for_what_it_dismissed():
    images = [
        image(0, 0, 0, tier=0),
        image(1, 1, 0, tier=0, whole=1),  # lost by tier 0, which the whole model had found
        image(2, 3, 0, tier=0),  # lost by tier 0, as by the whole model
        image(3, 2, 0, tier=1, whole=2),
        image(4, 3, 0, tier=2),
        image(5, 3, 1, tier=2),  # the wrong class, but not lost
        image(6, 0, 0, tier=1, whole=2),  # the whole model would have been wrong
        image(7, 1, 1, tier=2),
    ]
    found = figures(images, not_scored=3)
    assert [tier.decided for tier in found.tiers] == [3, 2, 3]
    assert [(tier.lost.count, tier.lost.of) for tier in found.tiers] == [(2, 6), (1, 6), (1, 6)]
    assert found.tiers[0].lost_by_label == {1: 1, 2: 0, 3: 1}
    assert (found.lost.count, found.lost.of) == (4, 6)
    assert found.lost_by_label == {1: 1, 2: 1, 3: 2}
    # The bound is about tiers 0 and 1: of five that the whole model calls relevant, three.
    model, truth = found.bound.against_model, found.bound.against_truth
    assert (model.count, model.of) == (3, 5)
    assert (truth.count, truth.of) == (3, 6)
    values = found.as_json()
    assert values["relevant_not_scored"] == 3
    assert values["bound"]["truth"]["share"] == 0.5
    assert values["bound"]["truth"]["share_ci95"] == [truth.interval.low, truth.interval.high]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.06, 0.13, "broken"), (0.0, 0.05, "kept"), (0.04, 0.06, "open"), (0.05, 0.06, "open")],
)
def test_the_verdict_is_that_of_the_whole_interval(low, high, verdict):
    few = Interval(low, high, "clopper-pearson", 19, 19.0)
    assert Share(1, 20, few).verdict(0.05) == "too-few-groups"
    assert Share(1, 20, Interval(low, high, "clopper-pearson", 400, 400.0)).verdict(0.05) == verdict


def test_few_images_decide_nothing():
    """None of ten is lost: the bound may be kept, which ten images cannot show."""
    images = [image(n, 1, 1) for n in range(10)] + [image(20, 0, 0, tier=0)]
    check = figures(images).bound
    assert check.against_truth.count == 0
    assert check.against_truth.verdict(0.05) == "too-few-groups"
    assert Share(0, 0, None).verdict(0.05) == "too-few-groups"


def test_a_loss_like_that_on_another_style_is_broken():
    lost = [image(n, 1, 0, tier=0, whole=1) for n in range(24)]
    kept = [image(100 + n, 1, 1) for n in range(216)]
    values = figures(lost + kept).as_json()["bound"]
    assert values["whole_model"]["verdict"] == values["truth"]["verdict"] == "broken"
    assert values["truth"]["share"] == 0.1


def test_without_a_bound_the_whole_model_answers_for_all():
    found = figures([image(0, 0, 0), image(1, 1, 0)], risk_bound=None, is_calibrated=False)
    assert found.as_json()["bound"] is None
    assert found.as_json()["temperatures"] is False
    assert found.tiers[2].lost.count == 1


def test_images_are_viewed_as_a_case_shows_them():
    """By the score of irrelevant, lowest first; equals by the highest score, doubtful first."""
    sure = replace(image(0, 0, 0), scores=Scores((0.9, 0.05, 0.03, 0.02), 0.0))
    doubtful = replace(image(1, 1, 1), scores=Scores((0.2, 0.3, 0.25, 0.25), 0.0))
    certain = replace(image(2, 2, 2), scores=Scores((0.2, 0.0, 0.8, 0.0), 0.0))
    gain = figures([sure, certain, doubtful]).as_json()["gain"]
    place = gain["viewed"].index(0.3)
    assert (gain["1"]["recall"][place], gain["2"]["recall"][place]) == (1.0, 0.0)


def test_a_tie_with_irrelevant_is_not_lost():
    """Triage shows such an image as relevant, because nothing was decided."""
    tied = replace(image(0, 3, 3), scores=Scores((0.4, 0.1, 0.1, 0.4), 0.0), whole_model=-1)
    found = figures([tied, image(1, 0, 0, tier=0)])
    assert (found.lost.count, found.lost.of) == (0, 1)
    assert found.bound.against_model.of == 1


def test_drift_is_in_the_values():
    values = figures([image(0, 0, 0), image(1, 1, 1)], found_drift=Drift(30, 0.5, 1e-6)).as_json()
    assert values["drift"] == {"found": 30, "distance": 0.5, "p": 1e-6, "differs": True}


def test_a_curve_of_few_groups_is_marked_in_the_figures():
    images = [image(n, 1, 1) for n in range(10)] + [image(100 + n, 0, 0) for n in range(30)]
    values = figures(images).as_json()
    assert values["gain"]["relevant"]["groups"] == 10
    assert values["gain"]["relevant"]["too_few_groups"] is True
    assert values["auroc"]["relevant"]["groups"] == 10
    assert values["auroc"]["relevant"]["too_few_groups"] is True
    more = [image(200 + n, 1, 1) for n in range(20)]
    values = figures(images + more).as_json()
    assert values["gain"]["relevant"]["too_few_groups"] is False
    assert values["auroc"]["relevant"]["too_few_groups"] is False


def test_the_terminal_names_the_curves_of_few_groups(capsys):
    """Ten groups of class 1, 25 of class 2, 12 irrelevant ones: the other side of relevant."""
    images = [image(n, 1, 1) for n in range(10)]
    images += [image(100 + n, 2, 2) for n in range(25)]
    images += [image(200 + n, 0, 0) for n in range(12)]
    show_triage_figures(Console(), figures(images))
    last = capsys.readouterr().out.split("too few groups (fewer than 20 duplicate groups): ")[-1]
    named = " ".join(last.split())
    assert named.startswith("AUROC: relevant (1–3), 1 ")
    assert "2 " not in named


def as_triage_figures(**changes):
    """Figures of two relevant images, the second of which was seen in training."""
    rows = [row(number) for number in (1, 2)]
    odds = {each.sha256: float(each.id) for each in rows}
    calibration = SimpleNamespace(risk_bound=replace(BOUND, kept=(1.0,) * 40), images=())
    cascade = SimpleNamespace(calibration=calibration, relevant_odds=odds)
    measured = AsTriage(None, None, None, cascade)
    return measured.figures(rows[:1], [], **changes)


def row(number):
    return Row(
        id=str(number),
        image_path=f"{number}.jpg",
        sha256=f"{number:064x}",
        group=str(number),
        label=1,
        predicted=1,
        scores=(0.1, 0.7, 0.1, 0.1),
        off_label=0.0,
        answer=None,
        tier=2,
        whole_model=1,
    )


def test_drift_compares_the_measured_images_only():
    assert as_triage_figures(is_continued=False).drift.found == 1


def test_a_continued_run_states_that_drift_was_not_compared():
    found = as_triage_figures(is_continued=True)
    assert found.drift is None
    assert found.as_json()["drift_not_compared"] is True
    assert any("interrupted" in note for note in triage_notes(found))
    assert as_triage_figures(is_continued=False).as_json()["drift_not_compared"] is False
