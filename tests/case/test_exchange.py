"""Decisions go from copy to copy of a case, whole, once, and without overwriting anyone's."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from case_samples import ENGINE, OTHER_ENGINE, digest, images, prediction
from mayak.case import CaseStore
from mayak.case.decision_export import (
    GENESIS,
    DecisionAction,
    DecisionExport,
    SampleRecord,
    _hash,
    read_export,
    renamed,
    write_export,
)
from mayak.case.records import Seen
from mayak.errors import CaseError, IntegrityError

A, B, C = (digest(f"{n}.jpg") for n in (1, 2, 3))


@pytest.fixture
def here(tmp_path):
    with CaseStore.create(tmp_path / "here", operator="a") as store:
        store.add_items(store.add_source("phone.zip", "zip"), images(1, 8))
        run = store.start_run(ENGINE)
        scores = (0.7, 0.1, 0.1, 0.1)
        store.add_results(run, [prediction(f"{n}.jpg", scores=scores) for n in range(1, 9)])
        store.decide("a", {A: 1, B: 2})
    return tmp_path / "here"


@pytest.fixture
def there(here, tmp_path):
    """The copy at which b has worked since."""
    shutil.copytree(here, tmp_path / "there")
    with CaseStore.review(tmp_path / "there", operator="b") as store:
        store.decide("b", {A: 3, B: 2})
        store.decide("b", {C: 0})
        store.undo("b")
        sample = store.draw_sample(1, 3, 7, "b")
        store.judge("b", sample, dict.fromkeys(store.sample_items(sample), 0))
    return tmp_path / "there"


def exported(folder, path):
    with CaseStore.read(folder) as store:
        write_export(path, store.export_decisions())
    return path


def merged(folder, *paths, operator="a", continued=()):
    """How many acts of whom a merge added."""
    with CaseStore.review(folder, operator=operator) as store:
        histories = [read_export(path) for path in paths]
        added = store.merge(histories, continued=continued)
    return {reviewer: taken.acts for reviewer, taken in added.items()}


def verdicts_of(store, sha256):
    return {name: decision.verdict for name, decision in store.verdicts(sha256).items()}


def test_two_reviewers_stand_beside_each_other(here, there, tmp_path):
    with CaseStore.review(here, operator="a") as store:
        store.decide("a", {C: 3})
    assert merged(here, exported(there, tmp_path / "b.jsonl")) == {"b": 4}
    with CaseStore.read(here) as store, CaseStore.read(there) as other:
        assert verdicts_of(store, A) == {"a": 1, "b": 3}
        assert verdicts_of(store, C)["a"] == 3
        assert store.disagreements() == sorted([A, C])
        theirs = [(d.sha256, d.verdict, d.at) for d in other.decisions("b")]
        assert [(d.sha256, d.verdict, d.at) for d in store.decisions("b")] == theirs
        (sample,), (original,) = store.samples(), other.samples()
        assert sample.missed == original.missed is not None
        assert store.verify() == []
        entry = list(store.log())[-1]
        assert (entry.action, entry.operator) == ("merge decisions", "a")
        assert entry.detail["acts"] == {"b": 4}
        taken = entry.detail["taken_in"]["b"]
        assert taken["samples"] == 1
        assert (taken["verdicts"], taken["withdrawn"]) == ({"0": 4, "2": 1, "3": 1}, 1)
        times = [decision.at.isoformat() for decision in other.decisions("b")]
        assert (taken["first"], taken["last"]) == (times[0], times[-1])


def test_the_same_again_changes_nothing(here, there, tmp_path):
    path = exported(there, tmp_path / "b.jsonl")
    merged(here, path)
    with CaseStore.review(here, operator="a") as store:
        head = store.head()
        assert store.merge([read_export(path), read_export(path)]) == {}
        assert store.head() == head
    # And back: the copy at b's has all of it.
    assert merged(there, exported(here, tmp_path / "a.jsonl")) == {}


def test_a_merged_act_can_be_undone_here_and_the_undoing_goes_back(here, there, tmp_path):
    merged(here, exported(there, tmp_path / "b.jsonl"))
    with CaseStore.review(here, operator="b") as store:
        assert len(store.undo("b")) == 3  # the judgements of the sample
        assert store.undo("b") == [A, B]
        assert verdicts_of(store, A) == {"a": 1}
        assert store.samples()[0].judged == 0
    back = exported(here, tmp_path / "back.jsonl")
    assert merged(there, back, continued=["b"]) == {"b": 2}
    with CaseStore.read(there) as store:
        assert verdicts_of(store, A) == {"a": 1}
        assert store.verify() == []


def test_one_reviewer_in_both_copies_is_refused_and_taken_in_under_another_name(
    here, there, tmp_path
):
    for folder, verdict in ((here, 0), (there, 3)):
        with CaseStore.review(folder, operator="a") as store:
            store.decide("a", {C: verdict})
    path = exported(there, tmp_path / "b.jsonl")
    with CaseStore.review(here, operator="a") as store:
        with pytest.raises(
            CaseError, match=r"a decided in both copies: decision 2 there"
        ) as caught:
            store.merge([read_export(path)])
        assert "--rename 'a=NEW NAME'" in caught.value.remedy
        assert store.reviewers() == ["a"]
        other = renamed(read_export(path), {"a": "a at the lab"})
        added = store.merge([other])
        assert {name: taken.acts for name, taken in added.items()} == {"a at the lab": 2, "b": 4}
        assert store.merge([other]) == {}
        assert verdicts_of(store, C) == {"a": 0, "a at the lab": 3, "b": 0}
        assert store.verify() == []
        with pytest.raises(CaseError, match="b has decisions there too"):
            renamed(read_export(path), {"a": "b"})


def forged(folder, path, reviewer, at):
    """A file that goes on in the name of a reviewer: all withdrawn, then everything irrelevant."""
    with CaseStore.read(folder) as store:
        history = store.export_decisions()
    count = sum(act.reviewer == reviewer for act in history.actions)
    acts = [
        DecisionAction(reviewer, count + number, at, verdicts, undoes, None)
        for number, (verdicts, undoes) in enumerate([({}, 1), ({A: 0, B: 0, C: 0}, None)], 1)
    ]
    write_export(path, replace(history, actions=(*history.actions, *acts)))
    return path


@pytest.mark.parametrize("operator", ["a", "root"])
def test_nobody_goes_on_in_the_name_of_one_who_decides_here(here, tmp_path, operator):
    file = forged(here, tmp_path / "f.jsonl", "a", datetime.now(UTC).isoformat())
    with pytest.raises(CaseError, match="further decisions in the name of a ") as caught:
        merged(here, file, operator=operator)
    assert "--rename 'a=NEW NAME'" in caught.value.remedy
    assert "--continue 'a'" in caught.value.remedy
    with CaseStore.read(here) as store:
        assert verdicts_of(store, A) == {"a": 1}
        assert {entry.action for entry in store.log()}.isdisjoint({"merge decisions"})
    # One examiner on two machines, who knows that these acts are their own.
    assert merged(here, file, operator=operator, continued=["a"]) == {"a": 2}
    with CaseStore.read(here) as store:
        assert verdicts_of(store, A) == {"a": 0}
        assert list(store.log())[-1].detail["continued"] == ["a"]


@pytest.mark.parametrize(
    "name", ["e\u0301", "\u00e9 ", "\u00e9\u200b", "\u202e\u00e9", "\u3164\u00e9", "\u2800\u00e9"]
)
def test_nobody_decides_in_a_name_that_looks_like_that_of_one_who_decides_here(
    here, tmp_path, name
):
    """Parts instead of a letter, a blank, and what is not drawn."""
    with CaseStore.review(here, operator="a") as store:
        store.decide("\u00e9", {A: 1})
    now = datetime.now(UTC).isoformat()
    with CaseStore.read(here) as store:
        history = replace(
            store.export_decisions(), actions=(DecisionAction(name, 1, now, {A: 0}, None, None),)
        )
    write_export(tmp_path / "f.jsonl", history)
    for continued in ((), ["\u00e9"]):
        with pytest.raises(CaseError, match="further decisions in the name of ") as caught:
            merged(here, tmp_path / "f.jsonl", continued=continued)
        assert caught.value.message.isprintable()
    assert merged(here, tmp_path / "f.jsonl", continued=[name]) == {name: 1}


@pytest.mark.parametrize(("how", "drawn"), [("copy", False), ("copy", True), ("grid", True)])
def test_what_verify_would_call_a_fault_for_ever_is_not_taken_in(here, tmp_path, how, drawn):
    """An act cannot have shown images in this way."""
    now = datetime.now(UTC).isoformat()
    draw = SampleRecord(ENGINE.fingerprint, 7, 8, "b", now, (A,)) if drawn else None
    act = DecisionAction("b", 1, now, {A: 0}, None, draw, {A: Seen(how, False)})
    with CaseStore.read(here) as store:
        forged = DecisionExport(store.id, (draw,) if draw else (), (act,))
    write_export(tmp_path / "f.jsonl", forged)
    with pytest.raises(IntegrityError, match="is not what mayak writes"):
        merged(here, tmp_path / "f.jsonl")


def test_a_sample_of_more_images_than_there_are_is_not_taken_in(here, tmp_path):
    draw = SampleRecord(ENGINE.fingerprint, 7, 9, "b", datetime.now(UTC).isoformat(), (A,))
    with CaseStore.read(here) as store:
        write_export(tmp_path / "f.jsonl", DecisionExport(store.id, (draw,), ()))
    with pytest.raises(CaseError, match=r"drawn from 9 images elsewhere; .* holds 8 "):
        merged(here, tmp_path / "f.jsonl")


def test_nobody_begins_in_the_name_of_who_merges(here, there, tmp_path):
    file = exported(there, tmp_path / "b.jsonl")
    with pytest.raises(CaseError, match="further decisions in the name of b "):
        merged(here, file, operator="b")
    assert merged(here, file, operator="b", continued=["b"]) == {"b": 4}


def test_a_sample_that_nobody_judged_yet_is_told(here, there, tmp_path):
    with CaseStore.review(there, operator="c") as store:
        store.draw_sample(1, 2, 9, "c")
        (drawn,) = (sample.drawn for sample in store.samples() if sample.reviewer == "c")
    with CaseStore.review(here, operator="a") as store:
        taken = store.merge([read_export(exported(there, tmp_path / "c.jsonl"))])["c"]
    assert (taken.acts, taken.samples) == (0, 1)
    assert taken.first == taken.last == drawn.isoformat()


def test_who_only_came_in_by_a_merge_comes_in_again(here, there, tmp_path):
    merged(here, exported(there, tmp_path / "b.jsonl"))
    with CaseStore.review(there, operator="b") as store:
        store.decide("b", {C: 1})
    assert merged(here, exported(there, tmp_path / "more.jsonl")) == {"b": 1}


def test_acts_and_samples_from_the_future_are_refused(here, there, tmp_path):
    soon = datetime.now(UTC) + timedelta(minutes=4)
    late = datetime.now(UTC) + timedelta(minutes=20)
    with pytest.raises(CaseError, match="a decision of a from the future"):
        file = forged(here, tmp_path / "late.jsonl", "a", late.isoformat())
        merged(here, file, continued=["a"])
    with CaseStore.read(there) as store:
        history = store.export_decisions()
    (draw,) = history.samples
    history = replace(history, samples=(replace(draw, drawn=late.isoformat()),), actions=())
    with (
        CaseStore.review(here, operator="a") as store,
        pytest.raises(CaseError, match="of b from the future"),
    ):
        store.merge([history])
    file = forged(here, tmp_path / "soon.jsonl", "a", soon.isoformat())
    assert merged(here, file, continued=["a"]) == {"a": 2}


def test_how_the_images_were_shown_goes_along(here, there, tmp_path):
    seen = {A: Seen("opened", True), B: Seen("bulk", None)}
    with CaseStore.review(there, operator="b") as store:
        store.decide("b", {A: 1, B: 0}, seen=seen)
    path = exported(there, tmp_path / "b.jsonl")
    assert merged(here, path) == {"b": 5}
    assert merged(here, path) == {}
    with CaseStore.read(here) as store:
        assert {name: store.verdicts(name)["b"].seen for name in (A, B)} == seen
        assert [row.seen for row in store.decisions("a")] == [None, None]
        assert store.verify() == []


def test_a_file_of_the_first_version_is_still_read(here, there, tmp_path):
    lines = exported(there, tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert records[0]["version"] == 2
    records[0]["version"] = 1
    old = tmp_path / "old.jsonl"
    old.write_text(chained(records), encoding="utf-8")
    assert merged(here, old) == {"b": 4}
    assert merged(here, tmp_path / "b.jsonl") == {}


def chained(records):
    previous = GENESIS
    for record in records:
        del record["hash"]
        previous = record["hash"] = _hash(previous, record)
    return "".join(json.dumps(record) + "\n" for record in records)


def test_another_case_is_refused(here, there, tmp_path):
    with CaseStore.create(tmp_path / "other", operator="a") as store:
        other = store.export_decisions()
    write_export(tmp_path / "other.jsonl", other)
    with CaseStore.review(here, operator="a") as store:
        histories = [read_export(exported(there, tmp_path / "b.jsonl")), other]
        with pytest.raises(CaseError, match="belong to another case"):
            store.merge(histories)
        assert store.reviewers() == ["a"], "all of the files or none"


def test_what_this_copy_lacks_is_named(here, there, tmp_path):
    with CaseStore.open(there, operator="b") as store:
        run = store.start_run(OTHER_ENGINE)
        scores = (0.7, 0.1, 0.1, 0.1)
        store.add_results(run, [prediction("8.jpg", OTHER_ENGINE, scores)])
        store.draw_sample(run, 1, 7, "b")
    with pytest.raises(CaseError, match="no run of the model"):
        merged(here, exported(there, tmp_path / "run.jsonl"))
    with CaseStore.open(here, operator="a") as store:
        store.start_run(OTHER_ENGINE)
    merged(here, tmp_path / "run.jsonl")
    with CaseStore.open(there, operator="b") as store:
        store.add_items(1, images(9, 9))
        store.decide("b", {digest("9.jpg"): 1})
    with pytest.raises(CaseError, match=f"does not hold {digest('9.jpg')}"):
        merged(here, exported(there, tmp_path / "content.jsonl"))


def test_the_same_history_is_the_same_bytes_and_nothing_is_overwritten(there, tmp_path):
    first, second = (exported(there, tmp_path / name) for name in ("1.jsonl", "2.jsonl"))
    assert first.read_bytes() == second.read_bytes()
    with pytest.raises(CaseError, match="exists already"):
        exported(there, first)
    with pytest.raises(CaseError, match="cannot be written"):
        exported(there, tmp_path / "nowhere" / "3.jsonl")


@pytest.fixture
def lines(there, tmp_path):
    """Head, sample, a's act, b's four, end."""
    found = exported(there, tmp_path / "b.jsonl").read_bytes().splitlines(keepends=True)
    assert len(found) == 8
    return found


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: [line.replace(b'": 3', b'": 1') for line in lines], "line 4 does not"),
        (lambda lines: [*lines[:2], *lines[3:]], "line 3 does not"),
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], "line 4 does not"),
        (lambda lines: [*lines[:4], lines[4][:-9] + b"\n", *lines[5:]], "line 5 cannot be read"),
        (lambda lines: [*lines[:4], b"\n", *lines[4:]], "line 5 cannot be read"),
        (lambda lines: [*lines, b"{}\n"], "line 9 was added"),
        (lambda lines: lines[:-1], "line 7 is the last: the file was cut"),
        (lambda lines: [*lines[:5], lines[5][:40]], "line 5 is the last: the file was cut"),
        (lambda lines: lines[:1], "line 1 is the last: the file was cut"),
    ],
)
def test_a_damaged_file_is_refused_with_the_line(lines, tmp_path, damage, message):
    path = tmp_path / "damaged.jsonl"
    path.write_bytes(b"".join(damage(lines)))
    with pytest.raises(IntegrityError, match=message):
        read_export(path)


@pytest.mark.parametrize("data", [b"", b"\n", b"\xff\xd8\xff", b"[1]\n", b'{"a": 1}\n', b"null"])
def test_another_file_is_refused(tmp_path, data):
    (tmp_path / "photo.jpg").write_bytes(data)
    with pytest.raises(CaseError, match="is not a file of decisions"):
        read_export(tmp_path / "photo.jpg")
    with pytest.raises(CaseError, match="cannot be read"):
        read_export(tmp_path / "missing")


@pytest.mark.parametrize(
    ("position", "changes"),
    [
        (2, {"verdicts": {A: 4}}),
        (2, {"verdicts": {A: True}}),
        (2, {"verdicts": {}}),
        (2, {"verdicts": [A]}),
        (2, {"reviewer": " "}),
        (2, {"reviewer": 7}),
        (2, {"number": 2}),
        (2, {"at": "2026-03-01T00:00:00"}),
        (2, {"undoes": 1}),
        (2, {"seen": {A: ["looked at", True]}}),
        (2, {"seen": {A: ["grid", None]}}),
        (2, {"seen": {A: ["bulk", False]}}),
        (2, {"seen": {A: ["grid"]}}),
        (2, {"seen": {C: ["grid", True]}}),
        (2, {"seen": [A]}),
        (5, {"seen": {C: ["grid", True]}}),
        (5, {"undoes": 0}),
        (5, {"undoes": 3}),
        (6, {"sample": 1}),
        (6, {"sample": -1}),
        (6, {"verdicts": {B: 0, digest("never drawn"): 0}}),
        (1, {"population": 2}),
        (1, {"seed": 2**70}),
        (1, {"items": []}),
    ],
)
def test_values_that_mayak_does_not_write_are_refused_although_the_hashes_fit(
    lines, tmp_path, position, changes
):
    records = [json.loads(line) for line in lines]
    records[position] |= changes
    path = tmp_path / "forged.jsonl"
    path.write_text(chained(records), encoding="utf-8")
    with pytest.raises(IntegrityError, match=f"line {position + 1} is not what mayak writes"):
        read_export(path)


def test_a_file_of_a_later_version_is_refused(lines, tmp_path):
    head = json.loads(lines[0]) | {"version": 3}
    (tmp_path / "later.jsonl").write_text(json.dumps(head) + "\n", encoding="utf-8")
    with pytest.raises(CaseError, match="another version of mayak"):
        read_export(tmp_path / "later.jsonl")
