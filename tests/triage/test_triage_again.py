"""What a later run makes of failures, gaps and losses that an earlier one recorded."""

import hashlib
import io
import os
from threading import Thread

import pytest
from PIL import Image
from test_triage_run import Grey, picture, pictures, run, told, zipped

from mayak.case import CaseStore
from mayak.cli.console import Console
from mayak.cli.triage_summary import show_summary, summary_values
from mayak.errors import EvidenceError, IntegrityError
from mayak.evidence import open_in_process
from mayak.triage import local, reading, writing
from mayak.triage.decoding import decode_files
from mayak.types import Prediction


def results(case, sha256):
    with CaseStore.read(case) as store:
        assert store.verify() == []
        return list(store.results_of(sha256).values())


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_an_intact_copy_of_a_changed_file_is_scored(tmp_path, monkeypatch):
    folder, case = pictures(tmp_path / "x", 40), tmp_path / "case"
    for name in ("0.jpg", "z.jpg"):  # the first and the last
        (folder / name).write_bytes(picture(90))
    run(case, folder)
    (folder / "0.jpg").write_bytes(picture(91))
    monkeypatch.setattr(reading, "_CHUNK_FILES", 1)
    monkeypatch.setattr(writing, "_BATCH", 1)  # its failure is on disk before the copy is read
    other = Grey("other")

    summary = run(case, folder, classifier=other, accept_damaged=True)

    assert sha(picture(90)) in other.seen
    assert isinstance(results(case, sha(picture(90)))[1], Prediction)
    assert (summary.failures, summary.without_result) == (0, 0)


def dying(work):
    """Dies over a picture."""
    if any(request.sha256 == sha(picture(5)) for request in work[1]):
        os._exit(1)
    return decode_files(work)


def test_an_image_that_could_not_be_scored_is_tried_once_more(tmp_path, monkeypatch, capsys):
    folder, case = pictures(tmp_path / "x", 8), tmp_path / "case"
    run(case, folder)
    monkeypatch.setattr(local, "decode_files", dying)
    first = run(case, folder, classifier=Grey("other"))
    assert (first.failures, first.without_result) == (1, 0)
    with CaseStore.read(case) as store:
        show_summary(Console(), store, first, None, None)
        assert summary_values(store, first, None, None)["unscored_by"] == {"crashed": 1}
    shown = capsys.readouterr().out
    assert "x/05.jpg" in shown and "not scored: the reader or decoder crashed (crashed) 1" in shown
    monkeypatch.undo()
    again = Grey("other")

    second = run(case, folder, classifier=again)

    assert again.seen == [sha(picture(5))]
    assert (second.failures, second.counts) == (0, first.counts)
    with CaseStore.read(case) as store:
        assert [(r.predictions, r.failures) for r in store.runs()] == [(8, 0), (8, 0)]
        assert store.unscored(2) == []
        assert next(store.statuses(2, [sha(picture(5))])).failure is None


@pytest.mark.parametrize("options", [{}, {"min_pixels": 200}], ids=["dies", "too small"])
def test_new_copies_of_a_known_image_are_images(tmp_path, monkeypatch, options):
    folder, case = pictures(tmp_path / "x", 8), tmp_path / "case"
    run(case, folder)
    for name in ("copy 1.jpg", "copy 2.jpg"):
        (folder / name).write_bytes(picture(5))
    if not options:
        monkeypatch.setattr(local, "decode_files", dying)

    counts = run(case, folder, classifier=Grey("other"), **options).counts

    assert (counts.contents, counts.failures, counts.exclusions) == (10, 0, 0)
    with CaseStore.read(case) as store:
        assert len(store.occurrences(sha(picture(5)))) == 3
        assert store.verify() == []


def accepted(case):
    with CaseStore.read(case) as store:
        return [e.detail["files"] for e in store.log() if e.action == "accept damage"]


def test_each_loss_and_change_that_was_accepted_is_on_record(tmp_path, capsys):
    folder, case = pictures(tmp_path / "x", 8), tmp_path / "case"
    Image.open(io.BytesIO(picture(30))).save(folder / "scan.pdf")
    run(case, folder)
    (folder / "01.jpg").unlink()
    (folder / "02.jpg").write_bytes(picture(40))
    Image.open(io.BytesIO(picture(31))).save(folder / "scan.pdf")

    summary = run(case, folder, accept_damaged=True)

    assert summary.damaged == ["x/02.jpg", "x/scan.pdf", "x/01.jpg"]
    (logged,) = accepted(case)
    assert logged == [
        "x/02.jpg: has changed since it was read",
        "x/scan.pdf: has changed since it was read",
        "x/01.jpg: is no longer there",
    ]
    with CaseStore.read(case) as store:
        show_summary(Console(), store, summary, None, None)
        assert store.verify() == []
    assert "DAMAGED OR CHANGED, accepted: x/01.jpg" in capsys.readouterr().out
    run(case, folder, accept_damaged=True)  # still gone, and accepted again
    assert accepted(case)[1:] == [["x/01.jpg: is no longer there"]]


def test_what_came_before_a_refusal_is_in_the_case(tmp_path):
    folder, case = tmp_path / "x", tmp_path / "case"
    folder.mkdir()
    (folder / "z.jpg").write_bytes(picture(90))
    run(case, folder)
    for number in range(40):
        (folder / f"{number:02}.jpg").write_bytes(picture(number))
    (folder / "notes.txt").write_text("hello", encoding="utf-8")
    (folder / "z.jpg").write_bytes(picture(91))

    with pytest.raises(IntegrityError, match=r"z\.jpg"):
        run(case, folder)

    with CaseStore.read(case) as store:
        assert store.counts().items == 42
        assert [r.predictions for r in store.runs()] == [41]
        assert store.verify() == []


@pytest.mark.parametrize("name", ["mayak-read", "mayak-case"])
def test_a_thread_that_cannot_start_ends_the_run(tmp_path, monkeypatch, name):
    folder, case = pictures(tmp_path / "x", 4), tmp_path / "case"
    start = Thread.start

    def started(thread):
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(Thread, "start", started)
    ended = []

    def attempt():
        with pytest.raises(RuntimeError, match="new thread"):
            run(case, folder)
        ended.append(True)

    attempting = Thread(target=attempt, daemon=True)
    attempting.start()
    attempting.join(60)
    assert ended
    monkeypatch.undo()
    assert run(case, folder).counts.contents == 4


def test_a_gap_closes_when_its_archive_is_whole(tmp_path):
    folder, case = pictures(tmp_path / "x", 2), tmp_path / "case"
    whole = zipped(tmp_path / "whole.zip", {"1.jpg": picture(11), "2.jpg": picture(12)})
    cut, other = folder / "cut.zip", folder / "other.zip"
    for path in (cut, other):
        path.write_bytes(whole.read_bytes()[:20])
    assert run(case, folder).failures == 2
    assert run(case, folder).failures == 2

    cut.write_bytes(whole.read_bytes())
    other.unlink()
    summary = run(case, folder)

    assert summary.counts.contents == 4
    assert (summary.failures, summary.exclusions["gap-closed"]) == (1, 1)  # the other is gone
    assert run(case, folder) == summary
    closed = told(case)["x/cut.zip"]
    assert closed.rule == "gap-closed" and "container cannot be entered" in closed.reason
    with CaseStore.read(case) as store:
        assert store.verify() == []


def test_the_gap_of_a_zip_without_its_end_closes_when_it_is_whole(tmp_path):
    folder, case = pictures(tmp_path / "x", 2), tmp_path / "case"
    whole = zipped(tmp_path / "whole.zip", {"1.jpg": picture(11), "2.jpg": picture(12)})
    (folder / "cut.zip").write_bytes(whole.read_bytes()[:-30])
    summary = run(case, folder)
    assert (summary.counts.contents, summary.failures) == (4, 1)

    (folder / "cut.zip").write_bytes(whole.read_bytes())
    summary = run(case, folder)
    assert (summary.counts.contents, summary.failures) == (4, 0)
    assert "no directory" in told(case)["x/cut.zip"].reason


def test_a_gap_stays_open_while_its_archive_cannot_be_read(tmp_path, monkeypatch):
    folder, case = pictures(tmp_path / "x", 2), tmp_path / "case"
    whole = zipped(tmp_path / "whole.zip", {"1.jpg": picture(11)}).read_bytes()
    zipped(folder / "outer.zip", {"cut.zip": whole[:20]})
    assert run(case, folder).failures == 1
    # The outer archive cannot be opened this time, the inner one is not met.
    monkeypatch.setattr("mayak.triage.pipeline.open_source", open_in_process)
    monkeypatch.setattr("mayak.evidence.containers.zip.ZipContainer.__init__", breaks_off)
    assert run(case, folder).failures == 2
    monkeypatch.undo()
    assert run(case, folder).failures == 1


def breaks_off(self, *_):
    raise EvidenceError("the medium did not answer")


def test_an_archive_that_had_no_files_has_some_now(tmp_path):
    folder, case = pictures(tmp_path / "x", 1), tmp_path / "case"
    zipped(folder / "a.zip", {})
    assert run(case, folder).exclusions["NoEntries"] == 1
    zipped(folder / "a.zip", {"1.jpg": picture(11)})
    assert "NoEntries" not in run(case, folder).exclusions
    (folder / "a.zip").unlink()
    with pytest.raises(IntegrityError, match=r"1\.jpg: is no longer there"):
        run(case, folder)
