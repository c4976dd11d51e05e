"""The same evidence at another path continues its case, and something else does not."""

import io
import lzma
import os
import shutil
import sys
from pathlib import Path

import pytest
from test_triage_run import Grey, compare, picture, pictures, run, told, zipped

from mayak.case import CaseStore
from mayak.cli.app import main as mayak
from mayak.cli.triage import relocate_moved
from mayak.errors import CaseError, ConfigError, IntegrityError
from mayak.evidence import open_source
from mayak.report import write_report
from mayak.review.originals import OriginalRequest, Originals
from mayak.triage import Options, relocate
from mayak.types import SilentProgress

IMAGES = Path(__file__).parent.parent / "evidence" / "images"


def move(case, old, new):
    return relocate(case, str(old), new, "김수사", SilentProgress())


def actions(case):
    with CaseStore.read(case) as store:
        return [(entry.action, entry.detail) for entry in store.log()]


def source(case):
    with CaseStore.read(case) as store:
        (found,) = store.sources()
        return found


@pytest.fixture(params=["folder", "zip", "E01", "file"])
def moved(request, tmp_path):
    """A case, the path where its source was, and the one where it is now."""
    (tmp_path / "before").mkdir()
    old, new = tmp_path / "before" / "stick", tmp_path / "after"
    if request.param == "folder":
        pictures(old, 3)
        (old / "notes.txt").write_text("a")
        zipped(old / "sent.zip", {"a.jpg": picture(8)})
    elif request.param == "zip":
        zipped(old, {f"{n}.jpg": picture(n) for n in range(3)})
    elif request.param == "E01":
        shutil.copy(IMAGES / "phone.E01", old := old.with_suffix(".E01"))
        new = new.with_suffix(".E01")
    else:
        old.write_bytes(picture(1))
    case = tmp_path / "case"
    run(case, old)
    old.rename(new)
    return case, old, new


def test_a_source_that_was_moved_is_not_added_a_second_time(moved):
    case, old, new = moved
    before = told(case)
    with pytest.raises(ConfigError) as refused:
        run(case, new)
    assert f"is source 1 of the case, which was at {old}" in refused.value.message
    assert refused.value.remedy == f'mayak case relocate "{case}" "{old}" "{new}"'
    assert source(case).path == str(old) and told(case) == before


def test_a_relocated_source_continues_its_case(moved, tmp_path):
    case, old, new = moved
    before, contents = told(case), None
    move(case, old, new)

    assert (source(case).path, source(case).former_paths) == (str(new), (str(old),))
    seeing = Grey()
    summary = run(case, new, classifier=seeing)
    assert (told(case), seeing.seen) == (before, [])
    assert summary.counts.is_balanced
    with CaseStore.read(case) as store:
        assert store.verify() == [] and compare(store) == ([], [])
        contents = [content.sha256 for content in store.contents()]
        originals = Originals()
        for sha256 in contents:
            places = tuple((str(new), item.location) for item in store.occurrences(sha256))
            assert isinstance(originals.picture(OriginalRequest(sha256, places)), bytes)
        originals.close()
        report = write_report(store, tmp_path / "report", SilentProgress()).folder
    text = (report / "report.html").read_text(encoding="utf-8")
    assert "Earlier path" in text and str(old) in text and str(new) in text
    (entry,) = (detail for action, detail in actions(case) if action == "relocate source")
    assert (entry["source"], entry["old"], entry["new"]) == (1, str(old), str(new))
    assert entry["compared"]["whole"] or entry["compared"]["hashed"]


def test_images_are_read_by_another_model_at_the_new_path(moved):
    case, old, new = moved
    move(case, old, new)
    other = Grey("other")
    summary = run(case, new, classifier=other)
    assert len(set(other.seen)) == summary.counts.distinct_contents
    with CaseStore.read(case) as store:
        assert [r.failures for r in store.runs()] == [0, 0]


def test_another_source_is_refused_and_that_is_logged(moved):
    case, old, new = moved
    if new.is_dir():
        (new / "00.jpg").write_bytes(picture(77))
    else:
        data = bytearray(new.read_bytes())
        data[len(data) // 2] ^= 1
        new.write_bytes(data)
    with pytest.raises(IntegrityError) as refused:
        move(case, old, new)
    assert refused.value.exit_code == 3
    assert source(case).path == str(old)
    assert ("refuse relocation", str(new)) in [
        (action, detail.get("new")) for action, detail in actions(case)
    ]


def test_a_folder_that_lacks_a_file_is_refused(tmp_path):
    case, folder = tmp_path / "case", pictures(tmp_path / "a", 2)
    (folder / "notes.txt").write_text("left out, and not hashed")
    run(case, folder)
    folder = folder.rename(tmp_path / "b")
    (folder / "notes.txt").write_text("of another size")
    with pytest.raises(IntegrityError, match=r"notes\.txt: its size is 15 bytes"):
        move(case, tmp_path / "a", folder)
    (folder / "notes.txt").unlink()
    with pytest.raises(IntegrityError, match=r"notes\.txt: is no longer there"):
        move(case, tmp_path / "a", folder)


def test_a_copy_of_a_source_that_is_still_there_is_a_source_of_its_own(tmp_path):
    case, folder = tmp_path / "case", pictures(tmp_path / "a", 2)
    run(case, folder)
    shutil.copytree(folder, tmp_path / "b")
    run(case, tmp_path / "b")
    with CaseStore.read(case) as store:
        assert len(store.sources()) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_another_name_of_a_source_is_the_same_source(tmp_path):
    case, folder = tmp_path / "case", pictures(tmp_path / "a", 2)
    run(case, folder)
    (tmp_path / "b").symlink_to(folder)
    with pytest.raises(ConfigError, match="is source 1 of the case"):
        run(case, tmp_path / "b")


def test_other_evidence_at_another_path_is_a_source_of_its_own(tmp_path):
    case, folder = tmp_path / "case", pictures(tmp_path / "a", 2)
    run(case, folder)
    folder.rename(tmp_path / "gone")
    other = pictures(tmp_path / "b", 2)
    # The same names and sizes, and other bytes.
    shutil.copytree(tmp_path / "gone", other, dirs_exist_ok=True)
    data = bytearray((other / "00.jpg").read_bytes())
    data[-3] ^= 1
    (other / "00.jpg").write_bytes(data)
    run(case, other)
    with CaseStore.read(case) as store:
        assert len(store.sources()) == 2


def test_an_empty_folder_is_no_other_empty_folder(tmp_path):
    case = tmp_path / "case"
    (tmp_path / "a").mkdir()
    run(case, tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "gone")
    (tmp_path / "b").mkdir()
    run(case, tmp_path / "b")
    with CaseStore.read(case) as store:
        assert len(store.sources()) == 2


def test_a_path_may_be_used_by_another_source_afterwards(tmp_path):
    """As a drive letter is, when the next stick is connected."""
    case, drive = tmp_path / "case", tmp_path / "drive"
    pictures(drive, 2)
    run(case, drive)
    drive.rename(tmp_path / "other")
    move(case, drive, tmp_path / "other")
    pictures(drive, 4)
    for name in ("00.jpg", "01.jpg"):
        (drive / name).unlink()
    run(case, drive)
    with CaseStore.read(case) as store:
        assert [s.path for s in store.sources()] == [str(tmp_path / "other"), str(drive)]
        assert store.verify() == [] and compare(store) == ([], [])


def test_a_path_of_another_source_of_the_case_is_refused(tmp_path):
    case, one = tmp_path / "case", pictures(tmp_path / "a", 2)
    shutil.copytree(one, tmp_path / "b")
    run(case, one, tmp_path / "b")
    with pytest.raises(CaseError, match="source 2 of the case is at"):
        move(case, one, tmp_path / "b")


def test_a_source_moves_back(moved):
    case, old, new = moved
    move(case, old, new)
    new.rename(old)
    move(case, new, old)
    assert (source(case).path, source(case).former_paths) == (str(old), (str(old), str(new)))
    before = told(case)
    run(case, old)
    assert told(case) == before


def test_a_damaged_disk_that_gave_no_file_keeps_its_gap(tmp_path):
    disk = bytearray(1 << 20)
    disk[0:8] = b"LUKS\xba\xbe\0\1"
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "disk.dd").write_bytes(disk)
    case = tmp_path / "case"
    run(case, tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    move(case, tmp_path / "a", tmp_path / "b")
    before = told(case)
    run(case, tmp_path / "b")
    assert told(case) == before


def test_a_disk_that_gave_no_file_keeps_its_gaps(tmp_path):
    disk = bytearray(lzma.decompress((IMAGES / "gpt.dd.xz").read_bytes()))
    start = disk.index(b"\x53\xef") - 56  # of the superblock: nothing knows the volume without it
    disk[start : start + 1024] = bytes(1024)
    (tmp_path / "a.dd").write_bytes(disk)
    case = tmp_path / "case"
    assert run(case, tmp_path / "a.dd").failures == 1
    (tmp_path / "a.dd").rename(tmp_path / "b.dd")
    move(case, tmp_path / "a.dd", tmp_path / "b.dd")
    before = told(case)
    assert run(case, tmp_path / "b.dd").failures == 1
    assert told(case) == before


def test_an_unknown_old_path_names_those_that_are_known(tmp_path):
    case, folder = tmp_path / "case", pictures(tmp_path / "a", 1)
    run(case, folder)
    with pytest.raises(ConfigError, match="the case has no source at") as refused:
        move(case, tmp_path / "x", folder)
    assert str(folder) in refused.value.remedy


def test_a_case_of_an_earlier_version_can_be_relocated(tmp_path, monkeypatch):
    case, folder = tmp_path / "case", pictures(tmp_path / "a", 2)
    monkeypatch.setattr(CaseStore, "add_source_identity", lambda *_: None)
    run(case, folder)
    monkeypatch.undo()
    assert source(case).identity is None
    folder.rename(tmp_path / "b")
    move(case, folder, tmp_path / "b")
    run(case, tmp_path / "b")
    assert source(case).identity is not None


def test_the_identity_of_a_source_does_not_depend_on_its_path_or_its_times(tmp_path):
    folder = pictures(tmp_path / "a", 3)
    with open_source(folder) as opened:
        before = opened.identity()
    os.utime(folder / "00.jpg", (1, 1))
    folder = folder.rename(tmp_path / "b")
    with open_source(folder) as opened:
        assert opened.identity() == before
    (folder / "00.jpg").rename(folder / "09.jpg")
    with open_source(folder) as opened:
        assert opened.identity() != before


# ---------------------------------------------------------------------- the commands


def command(*arguments):
    with pytest.raises(SystemExit) as stopped:
        mayak(list(map(str, arguments)))
    return stopped.value.code


def test_the_command_relocates_and_refuses(tmp_path, capsys):
    case, folder = tmp_path / "case", pictures(tmp_path / "a", 2)
    run(case, folder)
    folder = folder.rename(tmp_path / "b")
    assert command("verify", case) == 1
    assert "`mayak case relocate` states where" in capsys.readouterr().out
    assert command("case", "relocate", case, tmp_path / "a", folder) == 0
    out = capsys.readouterr().out
    assert f"source 1 of the case is at {folder} now" in out
    assert "2 files by SHA-256" in out
    (folder / "01.jpg").write_bytes(picture(70))
    assert command("case", "relocate", case, folder, folder.rename(tmp_path / "c")) == 3
    assert "01.jpg: its bytes have changed" in capsys.readouterr().err


@pytest.mark.parametrize("answer", ["y\n", "네\n", "\n", ""])
def test_triage_asks_on_a_terminal(tmp_path, monkeypatch, answer):
    case, folder = tmp_path / "case", pictures(tmp_path / "a", 2)
    run(case, folder)
    folder = folder.rename(tmp_path / "b")
    monkeypatch.setattr("mayak.cli.console.Console.is_interactive", True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    options = Options(sources=(folder,), case=case, operator="김수사")
    if answer.strip():
        relocate_moved(options)
        assert source(case).path == str(folder)
        run(case, folder)
    else:
        with pytest.raises(ConfigError, match="is source 1 of the case"):
            relocate_moved(options)
        assert source(case).path == str(tmp_path / "a")
