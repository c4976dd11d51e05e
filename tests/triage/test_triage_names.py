"""Files are shown by their names on the medium; entry numbers tell those of one path apart."""

import csv
import io
import json
import zipfile

import pytest
from test_triage_run import compare, picture, run, told

from mayak.case import CaseStore
from mayak.report import write_report
from mayak.review.responses import item_values
from mayak.types import EvidencePath, SilentProgress

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name")


def archive(path, members):
    """A ZIP with members in this order; names may repeat."""
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members:
            file.writestr(name, data)
    return path


def inner(*members):
    return archive(buffer := io.BytesIO(), members) and buffer.getvalue()


@pytest.fixture
def twins(tmp_path):
    """Two pictures of one path, two archives of one path with the same damage and a picture."""
    cut = inner(("in.jpg", picture(3)))
    other = inner(("in.jpg", picture(4)))
    return archive(
        tmp_path / "phone.zip",
        [
            ("DCIM/a.jpg", picture(1)),
            ("DCIM/a.jpg", picture(2)),
            ("sent.zip", cut),
            ("sent.zip", other),
            ("lost.zip", cut + b"?" * 100),
            ("lost.zip", other + b"?" * 100),
            ("b.jpg", picture(5)[:60]),
            ("b.jpg", picture(6)[:60]),
        ],
    )


def items_at(case, display):
    with CaseStore.read(case) as store:
        return [i for i in store.known_items(1) if i.display == display and i.content is not None]


def test_names_are_those_on_the_medium_and_numbers_tell_files_apart(tmp_path, twins):
    case = tmp_path / "case"
    run(case, twins)
    with CaseStore.read(case) as store:
        shown = [item.display for item in store.known_items(1)]
        assert not any("#" in display for display in shown)
        assert {item.name for item in store.known_items(1)} == {
            "a.jpg", "in.jpg", "sent.zip", "lost.zip", "b.jpg"
        }  # fmt: skip
    assert [item.entry for item in items_at(case, "phone.zip/DCIM/a.jpg")] == [None, "2"]
    # A picture in an archive of a repeated name has the archive's number.
    assert [item.entry for item in items_at(case, "phone.zip/sent.zip/in.jpg")] == [None, "4"]
    assert item_values(items_at(case, "phone.zip/DCIM/a.jpg")[1])["entry"] == "2"


def test_two_archives_of_one_path_with_the_same_damage_have_a_gap_each(tmp_path, twins):
    first = run(tmp_path / "case", twins)
    with CaseStore.read(tmp_path / "case") as store:
        gaps = [i for i in store.known_items(1) if i.failure and i.display.endswith("lost.zip")]
    assert len(gaps) == 2
    assert run(tmp_path / "case", twins).counts == first.counts


def test_lists_graph_and_messages_tell_files_of_one_path_apart(tmp_path, twins):
    case = tmp_path / "case"
    run(case, twins)
    with CaseStore.review(case, operator="b") as store:
        store.decide("b", {item.content: 3 for item in items_at(case, "phone.zip/DCIM/a.jpg")})
        folder = write_report(store, tmp_path / "report", SilentProgress()).folder
        failures = {failure.path for failure in store.first_failures(20)}
        assert {"phone.zip/b.jpg", "phone.zip/b.jpg (entry number 8)"} <= failures
        ranked = [result.display for result in store.results(1, limit=9)]
        assert "phone.zip/DCIM/a.jpg (entry number 2)" in ranked
    with (folder / "selected.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [(row["path"], row["entry number"]) for row in csv.DictReader(file)]
    assert sorted(rows) == [("phone.zip/DCIM/a.jpg", ""), ("phone.zip/DCIM/a.jpg", "2")]
    assert "entry number 8" in (folder / "report.html").read_text(encoding="utf-8")
    graph = json.loads((folder / "case.jsonld").read_text(encoding="utf-8"))["@graph"]
    assert "entry number 2" in [node.get("uco-core:description") for node in graph]


def test_verify_names_the_file_of_a_path_that_changed(tmp_path, twins):
    case = tmp_path / "case"
    source = tmp_path / "folder"
    source.mkdir()
    inside = source / "phone.zip"
    inside.write_bytes(twins.read_bytes())
    run(case, source)
    changed = archive(
        tmp_path / "new.zip", [("DCIM/a.jpg", picture(1)), ("DCIM/a.jpg", picture(9))]
    )
    inside.write_bytes(changed.read_bytes())
    with CaseStore.read(case) as store:
        said = [fault.message for fault in compare(store)[0]]
    assert "folder/phone.zip/DCIM/a.jpg (entry number 2): its bytes have changed" in said


def test_patterns_match_names_without_numbers(tmp_path, twins):
    run(tmp_path / "case", twins, include=("*/a.jpg",))
    found = [e for e in told(tmp_path / "case").values() if isinstance(e, str)]
    assert len(found) == 2


def test_a_case_of_an_earlier_version_goes_on_and_shows_what_it_recorded(
    tmp_path, twins, monkeypatch
):
    case = tmp_path / "case"
    with monkeypatch.context() as earlier:
        earlier.setattr(EvidencePath, "__str__", lambda path: path.numbered)
        first = run(case, twins)
    before = told(case)
    assert run(case, twins).counts == first.counts  # no file, and no gap, is there twice
    assert told(case) == before
    with CaseStore.read(case) as store:
        shown = {item.display: item.entry for item in store.known_items(1)}
        assert shown["phone.zip/DCIM/a.jpg#2"] == "2"
        assert "phone.zip/b.jpg#8" in {failure.path for failure in store.first_failures(20)}
        assert store.verify() == [] and compare(store) == ([], [])
