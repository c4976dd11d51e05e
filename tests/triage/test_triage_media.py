"""Triage on media that fill up, cannot be written to, or go away."""

import errno
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from test_triage_run import Grey, digests, picture, run, told, zipped

from mayak.case import CaseStore
from mayak.errors import CaseError, ConfigError, EvidenceError
from mayak.evidence import serving
from mayak.evidence.streams import FileBytes

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


def test_a_full_temporary_folder_is_no_fault_of_an_archive(tmp_path, monkeypatch):
    noise = np.random.default_rng(1).bytes(12 << 20)  # more than is unpacked in memory
    inner = zipped(tmp_path / "inner.zip", {"a.jpg": picture(1), "noise": noise})
    source = zipped(tmp_path / "phone.zip", {"inner.zip": inner.read_bytes(), "b.jpg": picture(2)})
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=1m", "none") as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        with pytest.raises(ConfigError, match=r"temporary folder .*No space left") as raised:
            run(tmp_path / "case", source)
        assert "TMPDIR" in raised.value.remedy
        monkeypatch.undo()
    assert run(tmp_path / "case", source) == run(tmp_path / "fresh", source)
    assert told(tmp_path / "case") == told(tmp_path / "fresh")
    assert sound(tmp_path / "case")


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
    assert (summary.counts.contents, summary.counts.is_balanced) == (22, True)
    assert sound(tmp_path / "case")


def test_sources_on_a_read_only_mount_are_read_like_others(tmp_path, media):
    with mounted(tmp_path / "locked", "--bind", media) as locked:
        subprocess.run(["mount", "-o", "remount,bind,ro", locked], check=True)
        with pytest.raises(OSError, match="Read-only"):
            (locked / "new").touch()
        summary = run(tmp_path / "case", *sorted(locked.iterdir()))
    assert summary == run(tmp_path / "other", *sorted(media.iterdir()))
    assert told(tmp_path / "case") == told(tmp_path / "other")


class Pulling(Grey):
    """Does something when the first image has been scored."""

    def __init__(self, pull):
        super().__init__()
        self._pull = pull

    def classify(self, images):
        for number, prediction in enumerate(super().classify(images)):
            if number == 0:
                self._pull()
            yield prediction


def pulled(case, source, pull):
    """A run over a source that goes away, and what is left of it."""
    with pytest.raises(EvidenceError, match=f"{source.name}.* is gone") as raised:
        run(case, source, classifier=Pulling(pull))
    assert raised.value.exit_code == 2
    assert "connect it again" in raised.value.remedy
    assert sound(case)
    left = told(case)
    # What could be said before stays; that the stick was gone is no fault of its files.
    assert not any("No such file" in str(outcome) for outcome in left.values())
    return left


def test_a_stick_that_is_unmounted_is_not_taken_for_an_empty_one(tmp_path, photos):
    stick = tmp_path / "stick"
    with mounted(stick, "-t", "tmpfs", "none"):
        for part in ("a", "b"):
            shutil.copytree(photos, stick / part)
        pulled(tmp_path / "case", stick, lambda: subprocess.run(["umount", "-l", stick]))
        (stick / "not the stick").touch()
        subprocess.run(["mount", "-t", "tmpfs", "none", stick], check=True)
        for part in ("a", "b"):
            shutil.copytree(photos, stick / part)
        summary = run(tmp_path / "case", stick)
        assert summary == run(tmp_path / "fresh", stick)
    assert told(tmp_path / "case") == told(tmp_path / "fresh")


def read_unless(hidden):
    read_at = FileBytes.read_at

    def read(self, offset, size):
        if hidden.exists():  # an open file outlives its name, but not its medium
            raise OSError(errno.EIO, "Input/output error")
        return read_at(self, offset, size)

    return read


def serve_from_a_stick(pipe, shared, notes, job):
    """What a reader's process runs, few files ahead of the one that asks for them."""
    FileBytes.read_at = read_unless(job.source.with_name("hidden"))
    serving._BATCH = 4
    serving.serve(pipe, shared, notes, job)


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_a_source_that_goes_away_costs_nothing_of_what_it_holds(
    tmp_path, photos, kind, monkeypatch
):
    source = photos
    if kind == "zip":
        members = {path.name: path.read_bytes() for path in photos.iterdir()}
        source = zipped(tmp_path / "stick.zip", members)
    hidden = tmp_path / "hidden"
    monkeypatch.setattr(FileBytes, "read_at", read_unless(hidden))
    monkeypatch.setattr("mayak.evidence.process.serve", serve_from_a_stick)
    left = pulled(tmp_path / "case", source, lambda: source.rename(hidden))
    hidden.rename(source)
    assert run(tmp_path / "case", source) == run(tmp_path / "fresh", source)
    assert told(tmp_path / "case") == told(tmp_path / "fresh")
    assert left.items() <= told(tmp_path / "case").items()
