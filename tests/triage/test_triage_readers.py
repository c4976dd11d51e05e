"""What a run makes of files and containers with which their reader is lost."""

import sys

import pytest
from test_triage_run import Grey, picture, pictures, run, told, zipped

import faulty_readers
from mayak.case import CaseStore
from mayak.case.reasons import reason

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no signals there")


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_a_file_that_crashes_its_reader_is_named_and_tried_again(tmp_path, monkeypatch, kind):
    folder, case = pictures(tmp_path / "x", 2), tmp_path / "case"
    members = {f"{number}.jpg": picture(number) for number in range(10, 14)}
    inner = zipped(tmp_path / "inner.zip", {"30.jpg": picture(30)}).read_bytes()
    bad = {"crash-in-read.jpg": picture(20), "crash-in-enter.zip": inner}
    archive = zipped(folder / "a.zip", {"10.jpg": members.pop("10.jpg"), **bad, **members})
    source = archive if kind == "zip" else folder
    place = "a.zip" if kind == "zip" else "x/a.zip"
    monkeypatch.setattr("mayak.evidence.process.serve", faulty_readers.serve)

    first = run(case, source)

    outcomes = told(case)
    assert outcomes[f"{place}/crash-in-read.jpg"].error == "crashed"
    assert outcomes[f"{place}/crash-in-enter.zip"].error == "crashed"
    assert "the reader crashed" in outcomes[f"{place}/crash-in-enter.zip"].message
    assert "reader" in reason("crashed")
    n_read = 4 if kind == "zip" else 6
    assert (first.failures, first.counts.contents) == (2, n_read)
    assert first.counts.is_balanced
    with CaseStore.read(case) as store:
        assert store.verify() == []
    monkeypatch.undo()

    again = Grey()
    second = run(case, source, classifier=again)

    assert (second.failures, second.counts.contents) == (0, n_read + 2)
    assert len(again.seen) == 2
