"""Triage on media that fill up, cannot be written to, or go away."""

import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_triage_run import digests, picture, run, told, zipped

from mayak.case import CaseStore
from mayak.errors import CaseError

IMAGES = Path(__file__).parent.parent / "evidence" / "images"


@contextmanager
def mounted(folder, *options):
    """Something mounted on a folder for a while; a skipped test where that is not allowed."""
    folder.mkdir(exist_ok=True)
    if sys.platform != "linux" or subprocess.run(["mount", *options, folder]).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "사진"
    folder.mkdir()
    for number in range(400):
        (folder / f"{number}.jpg").write_bytes(picture(number))
    (folder / "cut.jpg").write_bytes(picture(1)[:60])
    return folder


def sound(case):
    with CaseStore.read(case) as store:
        return store.verify() == []


def test_a_disk_that_fills_up_leaves_a_case_that_goes_on(tmp_path, photos):
    fresh = run(tmp_path / "fresh", photos)
    reached = []
    # Before there is a case, at the thumbnails of the second batch, in the database after them.
    for room in ("16k", "1200k", "2100k"):
        with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", f"size={room}", "none") as disk:
            case = disk / "case"
            with pytest.raises(CaseError, match=r"cannot be .*(full|No space)") as raised:
                run(case, photos)
            assert raised.value.exit_code == 2
            assert "free space" in raised.value.remedy
            if case.exists():
                assert sound(case)
                reached.append(len(told(case)))
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)

            assert run(case, photos) == fresh

            assert told(case) == told(tmp_path / "fresh")
            assert sound(case)
    assert reached == sorted(reached) and 0 < reached[-1] < 401


@pytest.fixture
def media(tmp_path):
    """A folder with sources of three kinds that nobody may write to."""
    folder = tmp_path / "media"
    (folder / "사진").mkdir(parents=True)
    for number in range(20):
        (folder / "사진" / f"{number}.jpg").write_bytes(picture(number))
    shutil.copy(IMAGES / "phone.E01", folder)
    zipped(folder / "phone.zip", {"a/1.jpg": picture(1), "b.png": picture(900, "PNG")})
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return folder


def traces(folder):
    """All that writing to a folder would change: names, bytes, rights, times of change."""
    status = {path: path.stat() for path in (folder, *folder.rglob("*"))}
    kept = {p: (s.st_mode, s.st_mtime_ns, s.st_ctime_ns, s.st_size) for p, s in status.items()}
    return kept, digests(folder)


def test_sources_without_the_right_to_write_are_left_as_they_are(tmp_path, media):
    before = traces(media)
    summary = run(tmp_path / "case", *sorted(media.iterdir()))
    assert traces(media) == before
    assert (summary.counts.contents, summary.counts.balanced) == (22, True)
    assert sound(tmp_path / "case")


def test_sources_on_a_read_only_mount_are_read_like_others(tmp_path, media):
    with mounted(tmp_path / "locked", "--bind", media) as locked:
        subprocess.run(["mount", "-o", "remount,bind,ro", locked], check=True)
        with pytest.raises(OSError, match="Read-only"):
            (locked / "new").touch()
        summary = run(tmp_path / "case", *sorted(locked.iterdir()))
    assert summary == run(tmp_path / "other", *sorted(media.iterdir()))
    assert told(tmp_path / "case") == told(tmp_path / "other")
