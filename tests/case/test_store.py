"""What is put into a case comes out of it, once, and is logged."""

import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from case_samples import (
    ENGINE,
    OTHER_ENGINE,
    content,
    digest,
    fill,
    five_items,
    images,
    item,
    prediction,
    source_hash,
    stacks_of,
)
from mayak.case import CaseStore, Counts, Duplicate, Item
from mayak.case.schema import migrations
from mayak.errors import CaseError, IntegrityError
from mayak.types import EvidencePath, Failure, FileTimes


@pytest.fixture
def store(tmp_path):
    with CaseStore.create(tmp_path / "case-0417", operator="김수사") as store:
        yield store


def test_everything_comes_out_as_it_went_in(store):
    source, run = fill(store)
    assert store.sources()[0].path == "phone.zip"
    assert store.sources()[0].hashes == (source_hash(),)
    a, b, copy, failed, excluded = store.known_items(source)
    assert a.display == "phone.zip/a.jpg"
    assert a.times.modified == datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
    assert a.content == copy.content == digest("a")
    assert b.deleted and not a.deleted
    assert failed.failure == Failure("phone.zip/c.jpg", "decode", "DecodeError", "not an image")
    assert excluded.exclusion.rule == "too small"
    stored = store.content(digest("a"))
    assert stored.pdq == bytes(range(32))
    assert stored.metadata == {"camera": "카메라", "gps": [37.5, 127.0]}
    assert stored.warnings == ("first of 2 frames",)
    assert store.thumbnail(stored) == content("a").thumbnail
    assert [c.sha256 for c in store.contents()] == [digest("a"), digest("b")]
    assert list(store.predictions(run)) == [prediction("a")]
    assert store.groups() == [[digest("a"), digest("b")]]
    (stated,) = store.runs()
    assert (stated.predictions, stated.failures) == (1, 1)
    assert stated.engine["model"] == "nano"
    assert stated.finished is not None
    assert store.verify() == []


def test_counts_state_the_invariant(store):
    fill(store)
    counts = store.counts()
    assert counts == Counts(items=5, contents=3, failures=1, exclusions=1, distinct_contents=2)
    assert counts.is_balanced


def test_odd_file_names_survive(store):
    source = store.add_source("dump\udcff", "folder")
    odd = replace(item("x", content("x")), display="x\udce9.jpg", location='"x\udce9"')
    assert store.add_items(source, [odd]) == 1
    assert store.add_items(source, [odd]) == 0
    assert store.add_source("dump\udcff", "folder") == source
    (stored,) = store.known_items(source)
    assert stored.location == '"x\\udce9"'
    assert store.verify() == []


def test_doing_it_again_does_nothing(store):
    fill(store)
    head, counts = store.head(), store.counts()
    source = store.add_source("phone.zip", "zip")
    assert store.add_items(source, five_items()) == 0
    run = store.start_run(ENGINE)
    failed = {digest(name): Failure(name, "classify", "OSError", "no") for name in "ab"}
    assert store.add_results(run, [prediction("a", scores=(1, 0, 0, 0))], failed) == 0
    store.finish_run(run)
    store.set_groups([[digest("a"), digest("b")]], distance=31)
    assert (store.head(), store.counts()) == (head, counts)
    assert list(store.predictions(run)) == [prediction("a")]


def test_an_item_twice_in_a_batch_is_one(store):
    source = store.add_source("phone.zip", "zip")
    assert store.add_items(source, images(1, 3) + images(2, 4)) == 4


def test_unclassified_streams_while_results_arrive(store):
    source = store.add_source("phone.zip", "zip")
    store.add_items(source, images(1, 1200, thumbnail=None))
    store.add_items(source, [item("again.jpg", Duplicate(digest("7.jpg")))])
    run = store.start_run(ENGINE)
    store.add_results(run, [prediction(f"{n}.jpg") for n in range(1, 101)])
    seen = []
    for missing in store.without_result(run):
        assert missing.display == f"phone.zip/{len(seen) + 101}.jpg"
        store.add_results(run, [replace(prediction("x"), sha256=missing.sha256)])
        seen.append(missing.sha256)
        if len(seen) == 600:
            break
    assert len(list(store.without_result(run))) == 500


def test_a_run_with_gaps_is_not_finished(store):
    source = store.add_source("phone.zip", "zip")
    store.add_items(source, images(1, 2))
    run = store.start_run(ENGINE)
    store.add_results(run, [prediction("1.jpg")])
    with pytest.raises(CaseError, match=r"phone.zip/2.jpg has no result"):
        store.finish_run(run)
    store.add_results(run, [prediction("2.jpg")])
    store.finish_run(run)
    assert store.runs()[0].finished
    store.add_items(source, images(3, 3))
    assert store.runs()[0].finished is None
    assert store.verify() == []


def test_another_engine_is_another_run(store):
    _, run = fill(store)
    other = store.start_run(OTHER_ENGINE)
    assert other != run
    assert {u.sha256 for u in store.without_result(other)} == {digest("a"), digest("b")}
    with pytest.raises(CaseError, match="not of engine"):
        store.add_results(run, [prediction("a", OTHER_ENGINE)])
    store.add_results(other, [prediction("a", OTHER_ENGINE)])
    assert list(store.predictions(run)) == [prediction("a")]


def test_results_must_be_of_contents_in_the_case(store):
    _, run = fill(store)
    with pytest.raises(CaseError):
        store.add_results(run, [prediction("never seen")])
    with pytest.raises(CaseError):
        store.add_results(
            store.start_run(OTHER_ENGINE),
            [prediction("a", OTHER_ENGINE, scores=(float("nan"), 0, 0, 1))],
        )
    assert store.verify() == []


def test_regrouping_keeps_the_earlier_grouping(store):
    fill(store)
    store.set_groups([], distance=31)
    assert store.groups() == []
    assert [e.detail["groups"] for e in store.log() if e.action == "group"] == [1, 0]


def test_the_log_tells_who_did_what(store):
    fill(store)
    store.record("export", file="report.pdf")
    entries = list(store.log())
    assert [entry.action for entry in entries] == [
        *("migrate" for _ in migrations()),
        "create",
        "open",
        "add source",
        "hash source",
        "add items",
        "start run",
        "classify",
        "finish run",
        "group",
        "export",
    ]
    assert {entry.operator for entry in entries} == {"김수사"}
    assert entries[-1].detail == {"file": "report.pdf"}
    assert all(b.previous == a.hash for a, b in pairwise(entries))
    assert store.head() == entries[-1].hash


def test_a_time_without_zone_is_refused_and_nothing_is_written(store):
    source = store.add_source("phone.zip", "zip")
    naive = datetime(2026, 3, 1)
    with pytest.raises(ValueError, match="time zone"):
        store.add_items(
            source, [*images(1, 1), item("x", content("x"), times=FileTimes(created=naive))]
        )
    assert store.counts().items == 0


def test_create_refuses_a_folder_in_use(tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(CaseError, match="not empty"):
        CaseStore.create(tmp_path, operator="a")
    with pytest.raises(CaseError, match="no operator"):
        CaseStore.create(tmp_path / "new", operator=" ")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_create_takes_an_empty_folder(tmp_path):
    (tmp_path / "case").mkdir()
    CaseStore.create(tmp_path / "case", operator="a").close()
    with CaseStore.open(tmp_path / "case", operator="b") as store:
        assert store.name == "case"
        assert store.created.tzinfo is not None
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


@pytest.mark.parametrize("opened", [CaseStore.read, lambda f: CaseStore.open(f, operator="a")])
def test_what_is_no_case_is_named(tmp_path, opened):
    with pytest.raises(CaseError, match=r"is not a case: case\.json"):
        opened(tmp_path)
    CaseStore.create(tmp_path / "case", operator="a").close()
    (tmp_path / "case" / "case.json").write_text("{", encoding="utf-8")
    with pytest.raises(IntegrityError, match="damaged"):
        opened(tmp_path / "case")
    (tmp_path / "case" / "case.json").write_text('{"format": 2}', encoding="utf-8")
    with pytest.raises(CaseError, match="newer version"):
        opened(tmp_path / "case")


def test_one_writer_at_a_time(store):
    script = (
        "import sys; from pathlib import Path; from mayak.case import CaseStore\n"
        "CaseStore.open(Path(sys.argv[1]), operator='b')"
    )
    command = [sys.executable, "-c", script, str(store.folder)]
    holder = (store.folder / "case.lock").read_text().strip()
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 1
    assert f"is being written by another mayak (process {holder})" in found.stderr
    with pytest.raises(CaseError, match="being written"):
        CaseStore.open(store.folder, operator="b")
    store.close()
    assert subprocess.run(command).returncode == 0


def test_readers_read_while_the_writer_writes(store):
    source = store.add_source("phone.zip", "zip")
    store.add_items(source, images(1, 600, thumbnail=None))
    faults, totals = [], []
    stop = threading.Event()

    def reading():
        with CaseStore.read(store.folder) as reader:
            while not stop.is_set():
                faults.extend(reader.verify())
                totals.append(reader.counts())

    thread = threading.Thread(target=reading)
    thread.start()
    with CaseStore.read(store.folder) as slow:
        half_read = slow.known_items(source)
        next(half_read)  # a page that is lying around holds no writer up
        for n in range(601, 1000, 20):
            store.add_items(source, images(n, n + 19, thumbnail=None))
        stop.set()
        thread.join()
        assert len(list(half_read)) == 999
    assert faults == []
    assert totals and all(counts.is_balanced for counts in totals)


def test_readers_do_not_write(store):
    with CaseStore.read(store.folder) as reader:
        with pytest.raises(CaseError, match="open for reading"):
            reader.add_source("phone.zip", "zip")
        assert reader.id == store.id
        assert reader.verify() == []


def test_stacks_are_kept_with_their_grouping_and_a_repeated_one_adds_nothing(store):
    store.add_items(store.add_source("phone.zip", "zip"), images(1, 5))
    one, two, three, four, _ = (digest(f"{n}.jpg") for n in range(1, 6))
    groups, stacks = [[one, two, three], [four, digest("5.jpg")]], [[one, three]]
    store.set_groups(groups, distance=31, stacks=stacks, stack_distance=10)
    assert (store.groups(), stacks_of(store)) == (groups, stacks)
    assert not store.lacks_stacks()
    before = store.head()
    store.set_groups(groups, distance=31, stacks=stacks, stack_distance=10)
    assert store.head() == before
    store.set_groups(groups, distance=31, stacks=[[one, two]], stack_distance=10)
    assert (store.groups(), stacks_of(store)) == (groups, [[one, two]])
    assert store.verify() == []


def test_a_grouping_of_an_earlier_version_holds_and_stacks_nothing(tmp_path, monkeypatch):
    folder, known = tmp_path / "case", migrations()
    monkeypatch.setattr("mayak.case.schema.migrations", lambda: known[:6])
    with CaseStore.create(folder, operator="a") as store:
        with store._database.batch("add source") as batch:
            source = batch.add("sources", path="phone.zip", kind="zip")
        store.add_items(source, images(1, 2))
        members = [digest("1.jpg"), digest("2.jpg")]
        with store._database.batch("group", groups=1, distance=31) as batch:
            batch.add("groupings", distance=31)
            for content in members:
                batch.add("group_members", grouping=1, number=1, content=content)
    monkeypatch.undo()
    with CaseStore.open(folder, operator="b") as store:
        assert store.verify() == []
        assert (store.groups(), stacks_of(store)) == ([members], [])
        assert store.lacks_stacks()
        store.set_groups([members], distance=31, stacks=[], stack_distance=10)
        assert not store.lacks_stacks()
        assert store.verify() == []


def test_a_grouping_that_is_written_in_pieces_is_one(store):
    digests = [digest(f"{number}.jpg") for number in range(2_500)]
    store.add_items(store.add_source("phone.zip", "zip"), images(0, 2_499))
    before = len(list(store.log()))
    groups = [digests[:1_200], digests[1_200:2_450]]

    store.set_groups(groups, distance=31)
    store.set_groups(groups, distance=31)
    assert store.groups() == groups
    assert len(list(store.log())) == before + 1
    assert store.verify() == []

    store.set_groups(groups[:1], distance=31)
    assert store.groups() == groups[:1]
    assert store.verify() == []


def test_a_second_file_at_one_place_gets_a_place_of_its_own(store):
    source = store.add_source("phone.dd", "image")
    path = EvidencePath("image", "phone.dd").child("file", "A.JPG").to_json()
    first, second, third = (
        Item("phone.dd/A.JPG", path, content(name), size=1) for name in ("a", "b", "c")
    )
    assert store.add_items(source, [first, second]) == 2
    assert store.add_items(source, [second, first, third]) == 1  # the others are there
    found = [(each.display, each.entry, each.content) for each in store.known_items(source)]
    assert found == [
        ("phone.dd/A.JPG", None, digest("a")),
        ("phone.dd/A.JPG", "2", digest("b")),
        ("phone.dd/A.JPG", "3", digest("c")),
    ]
    assert store.counts().is_balanced and store.verify() == []
