"""How a content stands between the model and the reviewers."""

import pytest

from case_samples import ENGINE, digest, fill, images, prediction
from mayak.case import Alert, CaseStore


@pytest.fixture
def store(tmp_path):
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        source = store.add_source("phone.zip", "zip")
        store.add_items(source, images(1, 6))
        run = store.start_run(ENGINE)
        relevant, irrelevant = (0.1, 0.1, 0.1, 0.7), (0.7, 0.1, 0.1, 0.1)
        store.add_results(
            run,
            [
                prediction("1.jpg", scores=relevant),
                prediction("2.jpg", scores=irrelevant),
                prediction("3.jpg", scores=irrelevant),
                prediction("4.jpg", scores=(0.4, 0.4, 0.1, 0.1)),
                prediction("5.jpg", scores=relevant),
            ],
        )
        store.add_alerts([Alert(digest("3.jpg"), "bad.txt", "0" * 64, "md5")])
        yield store


def states(store, run=1):
    names = [f"{n}.jpg" for n in range(1, 7)]
    found = store.statuses(run, [digest(name) for name in names])
    return [status.state for status in found]


def test_before_anybody_decides_the_model_and_the_lists_speak(store):
    before = [
        "proposed",
        "unreviewed_irrelevant",
        "alert",
        "proposed",  # irrelevant is only as likely as another label
        "proposed",
        "without_result",
    ]
    assert states(store) == before
    assert states(store, None) == ["without_result"] * 2 + ["alert"] + ["without_result"] * 3


def test_people_overrule_the_model(store):
    store.decide("a", {digest("1.jpg"): 0, digest("2.jpg"): 1, digest("3.jpg"): 0})
    store.decide("a", {digest("6.jpg"): 2})
    after = [
        "irrelevant",
        "selected",
        "irrelevant",
        "proposed",
        "proposed",
        "selected",
    ]
    assert states(store) == after


def test_reviewers_who_differ_settle_nothing(store):
    store.decide("a", {digest("1.jpg"): 3, digest("2.jpg"): 2})
    store.decide("b", {digest("1.jpg"): 3, digest("2.jpg"): 0})
    assert states(store)[:2] == ["selected", "disputed"]
    first, second = store.statuses(1, [digest("1.jpg"), digest("2.jpg")])
    assert (first.decided, second.decided) == (3, None)
    assert [(d.reviewer, d.verdict) for d in second.verdicts] == [("a", 2), ("b", 0)]
    store.undo("b")
    assert states(store)[:2] == ["selected", "selected"]


def test_each_place_is_counted_and_a_failure_told(tmp_path):
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        _, run = fill(store)
        first, second = store.statuses(run, [digest("a"), digest("b")])
    assert (first.occurrences, second.occurrences) == (2, 1)
    assert (first.proposal, first.scores.values) == (3, (0.1, 0.2, 0.3, 0.4))
    assert (second.state, second.failure.error) == ("without_result", "ModelError")
