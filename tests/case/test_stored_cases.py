"""Cases that earlier versions wrote are still opened, verified and reported."""

import zipfile
from pathlib import Path

import pytest

from hostile_cases import change, edit_schema, run
from mayak.case import CaseStore
from mayak.errors import IntegrityError
from mayak.report import write_report
from mayak.types import SilentProgress

STORED = sorted((Path(__file__).parent / "stored").glob("schema-*.zip"))


@pytest.fixture(params=STORED, ids=lambda path: path.stem)
def stored(request, tmp_path):
    folder = tmp_path / "case"
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(folder)
    return folder


def test_a_stored_case_of_every_version_opens_with_what_it_held(stored):
    with CaseStore.review(stored, operator="lee") as case:
        counts = case.counts()
        assert (counts.items, counts.contents, counts.failures, counts.exclusions) == (7, 4, 1, 2)
        first = next(iter(case.contents())).sha256
        verdicts = {name: said.verdict for name, said in case.verdicts(first).items()}
        assert verdicts == {"kim": 3, "이검토": 2}
        assert [sample.missed.relevant for sample in case.samples()] == [0]
        assert case.verify() == []


def test_a_stored_case_of_every_version_is_verified_and_reported_as_it_is(stored, tmp_path):
    database = (stored / "case.sqlite").read_bytes()
    with CaseStore.read(stored) as case:
        assert case.verify() == []
        write_report(case, tmp_path / "report", SilentProgress())
    assert (stored / "case.sqlite").read_bytes() == database
    assert "사진 0.jpg" in (tmp_path / "report" / "selected.csv").read_text(encoding="utf-8-sig")


def test_rows_of_an_older_case_that_were_changed_by_hand_are_named(stored):
    change(stored, "UPDATE decisions SET verdict = 9 WHERE id = 1")
    with CaseStore.read(stored, tampered=True) as case:
        named = {(fault.problem, fault.table, fault.key) for fault in case.verify()}
    assert ("changed", "decisions", "id 1") in named


def test_a_foreign_object_in_an_older_case_is_its_only_fault(stored):
    run(stored, "CREATE TABLE notes (text)")
    with CaseStore.read(stored, tampered=True) as case:
        assert [(fault.problem, fault.key) for fault in case.verify()] == [("inserted", "notes")]
        assert case.counts().items == 7


def test_empty_values_in_an_older_case_are_one_line(stored):
    """SQLite fails to add a column to a table with them."""
    items = "(SELECT rootpage FROM sqlite_master WHERE name = 'items')"
    decisions = "UPDATE sqlite_master SET rootpage = {} WHERE name = 'decisions'"
    edit_schema(stored, decisions.format(items))
    try:
        with CaseStore.read(stored) as case:
            assert case.verify()
    except IntegrityError as error:
        assert "the database is damaged (" in error.message  # SQLite's words differ by version
        assert "\n" not in error.message
