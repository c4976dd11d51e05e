"""What people decide is kept, can be taken back, and stands beside what others decide."""

import signal
import subprocess
import sys
from datetime import UTC

import pytest

from case_samples import digest, fill, images
from mayak.case import CaseStore, database, schema
from mayak.case.decisions import PageState, SupersededError
from mayak.case.records import Seen
from mayak.errors import CaseError

A, B = digest("a"), digest("b")


@pytest.fixture
def folder(tmp_path):
    with CaseStore.create(tmp_path / "case", operator="김수사") as store:
        fill(store)
    return tmp_path / "case"


@pytest.fixture
def store(folder):
    with CaseStore.review(folder, operator="김수사") as store:
        yield store


def verdicts_of(store, sha256):
    return {reviewer: decision.verdict for reviewer, decision in store.verdicts(sha256).items()}


def test_one_act_decides_several(store):
    first = store.decide("김수사", {A: 3, B: 3})
    second = store.decide("김수사", {B: 0})
    assert second > first
    assert verdicts_of(store, A) == {"김수사": 3}
    assert verdicts_of(store, B) == {"김수사": 0}
    history = list(store.decisions())
    assert [(d.sha256, d.verdict, d.action, d.undoes) for d in history] == [
        (A, 3, first, None),
        (B, 3, first, None),
        (B, 0, second, None),
    ]
    assert history[0].at.tzinfo == UTC
    assert [e.action for e in store.log()][-3:] == ["review", "decide", "decide"]
    assert store.verify() == []


def test_undo_goes_back_without_limit_and_across_restarts(folder):
    with CaseStore.review(folder, operator="a") as store:
        store.decide("a", {A: 1, B: 1})
        store.decide("a", {A: 2})
        store.decide("a", {A: 3})
        assert store.undo("a") == [A]
        assert verdicts_of(store, A) == {"a": 2}
        store.decide("a", {A: 0})
    with CaseStore.review(folder, operator="a") as store:
        assert store.undo("a") == [A]
        assert verdicts_of(store, A) == {"a": 2}
        assert store.undo("a") == [A]
        assert verdicts_of(store, A) == {"a": 1}
        assert store.undo("a") == [A, B]
        assert verdicts_of(store, A) == verdicts_of(store, B) == {}
        head = store.head()
        assert store.undo("a") == []
        assert store.head() == head
        assert store.decide("a", {B: 2}) > max(d.action for d in store.decisions() if d.undoes)
        assert verdicts_of(store, B) == {"a": 2}
        assert store.verify() == []
        withdrawn = [(d.sha256, d.verdict) for d in store.decisions() if d.undoes is not None]
        assert withdrawn == [(A, None), (A, None), (A, None), (A, None), (B, None)]


def test_an_act_or_the_last_of_a_sample_is_withdrawn_by_itself(store):
    first = store.decide("a", {A: 1})
    store.decide("a", {A: 2})
    store.decide("a", {B: 3})
    assert store.undo("a", action=first) == [A]
    assert verdicts_of(store, A) == {"a": 2}
    assert store.undo("a", action=first) == []
    assert store.undo("b", action=first + 1) == []
    assert store.undo("a", sample=1) == []
    assert (verdicts_of(store, A), verdicts_of(store, B)) == ({"a": 2}, {"a": 3})
    assert store.verify() == []


def test_how_each_image_was_shown_is_kept(store):
    seen = {A: Seen("opened", False), B: Seen("copy", False)}
    store.decide("a", {A: 1, B: 1}, seen=seen)
    store.decide("a", {B: 0}, seen={B: Seen("bulk", None)})
    store.decide("a", {A: 2})
    found = [(row.sha256, row.seen) for row in store.decisions()]
    assert found == [(A, seen[A]), (B, seen[B]), (B, Seen("bulk", None)), (A, None)]
    assert store.verdicts(B)["a"].seen == Seen("bulk", None)
    store.undo("a")
    (status,) = store.statuses(None, [A])
    assert [row.seen for row in status.verdicts] == [seen[A]]
    assert store.verify() == []


@pytest.mark.parametrize("seen", [("seen", True), ("bulk", True), ("grid", None), ("grid", 7)])
def test_what_cannot_have_been_shown_is_refused(store, seen):
    with pytest.raises(CaseError):
        store.decide("a", {A: 1}, seen={A: Seen(*seen)})
    assert list(store.decisions()) == []


def test_a_verdict_over_a_newer_one_of_the_same_reviewer_is_refused(store):
    def mark():
        return max(row["id"] for row in store._database.query("SELECT id FROM decisions"))

    store.decide("a", {A: 1})
    known = PageState(mark())
    store.decide("a", {A: 3}, known=known)
    elsewhere = store.decide("a", {B: 2})
    store.decide("b", {A: 0, B: 0})
    head = store.head()
    with pytest.raises(SupersededError) as caught:
        store.decide("a", {A: 0, B: 2}, known=known)
    assert caught.value.verdicts == {A: 3}
    assert store.head() == head
    # The same verdict again, an act of the same page, or one that was withdrawn, is no question.
    store.decide("a", {B: 2}, known=known)
    store.decide("a", {A: 3}, known=known)
    store.decide("a", {B: 0}, known=PageState(known.mark, lambda action: action >= elsewhere))
    store.undo("a")
    store.decide("a", {A: 1}, known=PageState(mark()))
    assert (verdicts_of(store, A), verdicts_of(store, B)) == ({"a": 1, "b": 0}, {"a": 2, "b": 0})


def test_reviewers_do_not_touch_each_other(store):
    store.decide("a", {A: 1})
    store.decide("b", {A: 2, B: 0})
    assert verdicts_of(store, A) == {"a": 1, "b": 2}
    assert store.undo("a") == [A]
    assert store.undo("a") == []
    assert verdicts_of(store, A) == {"b": 2}
    assert store.reviewers() == ["a", "b"]
    assert [d.verdict for d in store.decisions("b")] == [2, 0]


@pytest.mark.parametrize(
    ("reviewer", "verdicts", "message"),
    [
        ("a", {digest("never seen"): 1}, "is not an image of this case"),
        ("a", {A: 4}, "4 is not a verdict"),
        ("a", {A: None}, "None is not a verdict"),
        ("a", {}, "no image is given"),
        (" ", {A: 1}, "no reviewer"),
    ],
)
def test_what_cannot_be_decided_leaves_nothing(store, reviewer, verdicts, message):
    head = store.head()
    with pytest.raises(CaseError, match=message):
        store.decide(reviewer, {B: 1, **verdicts} if verdicts else verdicts)
    assert list(store.decisions()) == []
    assert store.head() == head


def test_a_reader_does_not_decide(folder):
    with CaseStore.read(folder) as reader, pytest.raises(CaseError, match="open for reading"):
        reader.decide("a", {A: 1})


def test_the_view_finds_a_verdict_by_index(store):
    plan = " ".join(
        row["detail"]
        for row in store._database.query(
            "EXPLAIN QUERY PLAN SELECT * FROM verdicts WHERE content = 'x'"
        )
    )
    assert "SCAN" not in plan


DECIDER = """
import sys
from pathlib import Path
from mayak.case import CaseStore

with CaseStore.review(Path(sys.argv[1]), operator="b") as store:
    contents = [c.sha256 for c in store.contents()]
    n = 0
    while True:
        action = store.decide("b", {contents[n % len(contents)]: n % 4})
        n += 1
        print(action, flush=True)
"""


def test_a_reviewer_decides_while_a_writer_adds(folder):
    with CaseStore.open(folder, operator="a") as store:
        decider = subprocess.Popen(
            [sys.executable, "-c", DECIDER, str(folder)], stdout=subprocess.PIPE, text=True
        )
        decider.stdout.readline()
        for first in range(1, 400, 20):
            assert store.add_items(1, images(first, first + 19, thumbnail=None)) == 20
        decider.send_signal(signal.SIGKILL)
        said = decider.communicate()[0].splitlines(keepends=True)
        acknowledged = [1, *(int(line) for line in said if line.endswith("\n"))]
        assert store.counts().items == 405
        assert store.verify() == []
        actions = [decision.action for decision in store.decisions("b")]
    assert acknowledged == list(range(1, len(acknowledged) + 1))
    assert actions[: len(acknowledged)] == acknowledged
    assert len(actions) <= len(acknowledged) + 1


def test_two_reviewers_open_an_old_case_at_once(folder, monkeypatch):
    """Both find it old; one brings it up to date, the other goes on."""
    versions = (*schema.migrations(), "CREATE INDEX further ON decisions (at);")
    monkeypatch.setattr(schema, "migrations", lambda: versions)
    migrate = database.Database._migrate

    def late(self, number, sql):
        monkeypatch.setattr(database.Database, "_migrate", migrate)
        CaseStore.review(folder, operator="quick").close()
        migrate(self, number, sql)

    monkeypatch.setattr(database.Database, "_migrate", late)
    with CaseStore.review(folder, operator="slow") as store:
        assert [e.operator for e in store.log() if e.action == "migrate"][-1] == "quick"
        assert store.verify() == []
