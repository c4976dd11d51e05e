"""Containers are read in a process of their own: one that is lost costs what it was lost in."""

import hashlib
import io
import lzma
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from concurrent.futures import CancelledError
from pathlib import Path
from threading import Event, Timer

import psutil
import pytest

import faulty_readers
from mayak.errors import EvidenceError, MayakError
from mayak.evidence import Choices, Limits, ReaderLostError, open_in_process, open_source
from mayak.evidence.base import container_gap
from mayak.evidence.wire import PathReader, PathWriter, failure_of, failure_row
from mayak.i18n import render
from mayak.types import EvidencePath, Failure
from phone_backups import PASSWORD, IosFile, Keybag, ios_backup, write

IMAGES = Path(__file__).parent / "images"
LIMITS = Limits(seconds=2, memory=1 << 30)
OUTCOMES = {"crash": "crashed", "hang": "too-slow", "greedy": "out-of-memory"}

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="there, no signals, and no limit of memory"
)


@pytest.fixture
def faulty(monkeypatch):
    monkeypatch.setattr("mayak.evidence.process.serve", faulty_readers.serve)


def jpeg(number, size=10_000):
    return b"\xff\xd8\xff\xe0" + random.Random(number).randbytes(size)


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def rows(source):
    """All that a source gives, as values that compare."""
    found = []
    for item in source.items():
        if isinstance(item, Failure):
            found.append((item.path, item.error, item.message, item.entry, item.container))
            continue
        try:
            with item.open() as stream:
                content = stream.read()
        except ReaderLostError as error:
            content = error.outcome
        except EvidenceError as error:
            content = str(error)
        found.append((item.path, item.size, item.times, item.is_deleted, content))
    return found


def unpacked(folder):
    for image in IMAGES.iterdir():
        if image.suffix == ".xz":
            (folder / image.stem).write_bytes(lzma.decompress(image.read_bytes()))
        else:
            shutil.copy(image, folder)
    return folder


def test_every_source_gives_the_same_as_without_a_process_of_its_own(tmp_path):
    unpacked(tmp_path)
    (tmp_path / "a.zip").write_bytes(
        zipped({"b.zip": zipped({"c.jpg": jpeg(1)}), "d.jpg": jpeg(2), "empty": b"", "e.txt": b"e"})
    )
    (tmp_path / "large.zip").write_bytes(zipped({"large.jpg": jpeg(3, 20 << 20), "f.jpg": jpeg(4)}))
    for path in (*sorted(tmp_path.iterdir()), tmp_path):
        with open_in_process(path) as source:
            source.count()
            expected = rows(source), source.listed, source.path, source.identity()
            expected_hash = source.acquire()
        with open_source(path) as source:
            source.count()
            found = rows(source), source.listed, source.path, source.identity()
            assert found == expected, path
            found_hash = source.acquire()
            if expected_hash is None:
                assert found_hash is None
                continue
            for name in ("md5", "sha256", "bytes", "stored", "matches"):
                assert getattr(found_hash, name) == getattr(expected_hash, name)


def test_files_are_read_long_after_they_were_listed_and_more_than_once(tmp_path):
    files = {f"{number}.jpg": jpeg(number) for number in range(2000)}
    (tmp_path / "a.zip").write_bytes(zipped(files))
    with open_source(tmp_path) as source:
        items = list(source.items())
        for item in (*items[-3:], *items[1:4], *items[1:4]):
            with item.open() as stream:
                assert stream.read(5) == files[item.path.name][:5]
                stream.seek(-7, io.SEEK_END)
                assert stream.read() == files[item.path.name][-7:]


def backup(folder):
    files = [IosFile("CameraRollDomain", f"Media/{n}.jpg", jpeg(n)) for n in range(2)]
    write(folder, ios_backup(files, Keybag()))
    return folder


def test_what_a_password_opens_and_does_not_open_is_the_same_in_a_process(tmp_path):
    """As a folder, as a file of it, and inside another container."""
    folder = backup(tmp_path / "phone")
    (tmp_path / "in").mkdir()
    below = [path for path in folder.rglob("*") if path.is_file()]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in below}
    (tmp_path / "in" / "a.zip").write_bytes(zipped(files))
    for passwords in ((), ("wrong",), ("wrong", PASSWORD)):
        choices = Choices(passwords)
        for path in (folder, folder / "Manifest.plist", tmp_path / "in"):
            root = None if path.is_file() else EvidencePath("file", "폰")
            found = []
            for opens in (open_in_process, open_source):
                with opens(path, choices=choices, root=root) as source:
                    items = rows(source)
                    hashed = source.acquire()
                    is_locked = [source.is_locked(f"{gap.path}/a") for gap in source.locked]
                    found.append(
                        {
                            "items": items,
                            "path": source.path,
                            "opened": source.opened_with_password,
                            "locked": source.locked,
                            "identity": source.identity(),
                            "hash": hashed and hashed.sha256,
                        }
                    )
                    assert bool(source.opened_with_password) == (PASSWORD in passwords)
                    assert is_locked == ([] if PASSWORD in passwords else [True])
            assert found[0] == found[1]
            if path.is_file():
                plist = (folder / "Manifest.plist").read_bytes()
                assert found[1]["hash"] == hashlib.sha256(plist).hexdigest()
            else:
                assert found[1]["path"].name == "폰"


@pytest.mark.usefixtures("faulty")
def test_many_passwords_that_each_take_long_are_all_tried(tmp_path):
    """``slow`` as a password takes half a second."""
    folder = backup(tmp_path / "phone")
    choices = Choices((*(["slow"] * 6), PASSWORD))
    with open_source(folder, Limits(seconds=1.5), choices) as source:
        assert not [item for item in source.items() if isinstance(item, Failure)]
        assert source.opened_with_password


def test_a_folder_in_which_nothing_is_a_container_starts_no_process(tmp_path, monkeypatch):
    """Not for a picture that is named as a backup names its files, either."""
    names = ["a.jpg", "b.txt", "ab/ab" + "0" * 38, "c.z01"]
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(jpeg(number))
    monkeypatch.setattr("mayak.evidence.isolated.ReaderProcess", None)
    with open_source(tmp_path) as source:
        source.count()
        assert sorted(row[0].name for row in rows(source)) == sorted(names)
        assert source.find(source.path.child("file", "a.jpg")) is not None
    with open_source(tmp_path / "a.jpg") as source:
        assert len(rows(source)) == 1


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize("place", ["open", "read"])
@pytest.mark.parametrize("how", OUTCOMES)
def test_a_file_with_which_the_reader_is_lost_is_named_and_the_rest_is_read(tmp_path, how, place):
    name = f"{how}-in-{place}.jpg"
    files = {f"{number}.jpg": jpeg(number) for number in range(3)}
    archive = zipped({"0.jpg": files["0.jpg"], name: jpeg(9), **files})
    (tmp_path / "a.zip").write_bytes(archive)
    (tmp_path / "z.jpg").write_bytes(jpeg(5))
    for path in (tmp_path, tmp_path / "a.zip"):
        with open_source(path, LIMITS) as source:
            source.count()
            found = {row[0].name: row[-1] for row in rows(source)}
        assert found.pop(name) == OUTCOMES[how]
        if path == tmp_path:
            assert (found.pop("a.zip"), found.pop("z.jpg")) == (archive, jpeg(5))
        assert found == files


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize("how", OUTCOMES)
def test_an_archive_in_whose_list_the_reader_is_lost_costs_its_rest_alone(tmp_path, how):
    inner = {"1.jpg": jpeg(1), f"{how}-in-list.jpg": jpeg(2), "3.jpg": jpeg(3)}
    outer = {"b.zip": zipped(inner), f"{how}-in-enter.zip": zipped({}), "4.jpg": jpeg(4)}
    (tmp_path / "a.zip").write_bytes(zipped(outer))
    (tmp_path / f"{how}-in-enter.zip").write_bytes(zipped({"x": b""}))
    with open_source(tmp_path, LIMITS) as source:
        source.count()
        found = rows(source)
    names = [str(row[0]).removeprefix(tmp_path.name + "/") for row in found]
    bad = f"{how}-in-enter.zip"
    expected = ["a.zip", "a.zip/b.zip", "a.zip/b.zip/1.jpg", "a.zip/b.zip"]
    assert names == [*expected, f"a.zip/{bad}", f"a.zip/{bad}", "a.zip/4.jpg", bad, bad]
    assert [row[1] for row in found if isinstance(row[0], str)] == [OUTCOMES[how]] * 3
    assert found[6][-1] == jpeg(4)


@pytest.mark.usefixtures("faulty")
def test_of_a_container_in_which_the_reader_is_lost_again_and_again_the_rest_is_a_gap(tmp_path):
    bad = {f"{number}/crash-in-read.jpg": jpeg(number) for number in range(9)}
    outer = {"bad.zip": zipped(bad), "good.zip": zipped({"1.jpg": jpeg(1)})}
    (tmp_path / "a.zip").write_bytes(zipped(outer))
    with open_source(tmp_path / "a.zip", LIMITS) as source:
        found = rows(source)
    failures = [row for row in found if isinstance(row[0], str)]
    assert [(row[0], row[1]) for row in failures] == [("a.zip/bad.zip", "crashed")]
    assert "is not read any further: the reader crashed" in failures[0][2]
    assert 1 < sum(row[-1] == "crashed" for row in found) < 9
    assert found[-1][-1] == jpeg(1)


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize("how", OUTCOMES)
def test_a_source_with_which_the_reader_is_lost_is_named(tmp_path, how):
    path = tmp_path / f"{how}-in-enter.zip"
    path.write_bytes(zipped({"1.jpg": jpeg(1)}))
    with pytest.raises(ReaderLostError, match=f"{how}-in-enter.zip: the reader") as raised:
        open_source(path, LIMITS)
    assert raised.value.outcome == OUTCOMES[how]


def test_what_a_reader_raises_is_told_in_the_language_of_the_examiner(tmp_path):
    (tmp_path / "a.E01").write_bytes(b"EVF\x09\r\n\xff\0" + bytes(600))
    told = []
    for opens in (open_in_process, open_source):
        with pytest.raises(EvidenceError) as raised:
            opens(tmp_path / "a.E01")
        error = raised.value
        told.append((error.message, error.remedy, str(error.__cause__)))
        told[-1] += (render(error.message, "ko"), render(error.remedy, "ko"))
    assert told[0] == told[1]
    assert told[1][3] != told[1][0]


@pytest.mark.usefixtures("faulty")
def test_a_walk_that_is_stopped_does_not_wait_for_its_reader(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"hang-in-read.jpg": jpeg(1)}))
    stop = Event()
    timer = Timer(0.5, stop.set)
    timer.start()
    limits = Limits(seconds=600)
    with open_source(tmp_path / "a.zip", limits) as source, pytest.raises(CancelledError):
        list(source.items(stop))
    timer.join()


def test_without_shared_memory_all_goes_through_the_pipe(tmp_path, monkeypatch):
    files = {f"{number}.jpg": jpeg(number) for number in range(300)}
    (tmp_path / "a.zip").write_bytes(
        zipped({"empty": b"", "large.jpg": jpeg(3, 20 << 20), **files})
    )
    with open_source(tmp_path / "a.zip") as source:
        expected = rows(source)
    monkeypatch.setattr("mayak.workers.SharedMemory.new", lambda: None)
    with open_source(tmp_path / "a.zip") as source:
        assert rows(source) == expected


@pytest.mark.parametrize(
    "root",
    [EvidencePath("zip", "b.zip"), EvidencePath("zip", "a.zip", EvidencePath("folder", "x"))],
)
def test_a_reader_that_speaks_of_other_evidence_is_not_believed(tmp_path, root):
    """As one that was taken over by what it reads might."""
    asked = EvidencePath("zip", "a.zip")
    sent, received = PathWriter(), PathReader(asked)
    entry = root.child("file", "1.jpg")
    row, layers = sent.row(entry), sent.new()
    with pytest.raises(ValueError, match=r"zip|folder"):
        received.learn(layers)
        received.path(row)
    failure = failure_row(container_gap(root, "Damaged", "text"), PathWriter())
    with pytest.raises(ValueError, match="Damaged"):
        failure_of(failure, received)


def processes():
    """The readers' processes of this one, by what they run."""
    return {
        child.pid
        for child in psutil.Process().children(recursive=True)
        if "multiprocessing" in " ".join(child.cmdline()) and child.children() == []
    }


def test_no_process_is_left(tmp_path):
    unpacked(tmp_path)
    open_source(tmp_path / "fat.dd").close()  # starts what starts the processes
    before = processes()
    with open_source(tmp_path / "phone.E01") as source:
        list(source.items())
        assert source.acquire().matches
    with pytest.raises(EvidenceError):
        (tmp_path / "a.zip").write_bytes(b"PK\3\4")
        open_source(tmp_path / "a.zip")
    assert processes() <= before


def test_the_process_ends_with_its_parent_even_while_it_hangs_in_a_library(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"1.jpg": jpeg(1), "lock-in-read.jpg": jpeg(2)}))
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            from pathlib import Path
            import faulty_readers
            from mayak.evidence import open_source, process
            if __name__ == "__main__":
                process.serve = faulty_readers.serve
                with open_source(Path(sys.argv[1])) as source:
                    print(source._reader._process._process.pid, flush=True)
                    list(source.items())
            """
        )
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen(
        [sys.executable, script, tmp_path / "a.zip"],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
    ) as parent:
        reader = psutil.Process(int(parent.stdout.readline()))
        time.sleep(0.5)  # it hangs by now; if not, the test is only easier
        parent.send_signal(signal.SIGKILL)
    reader.wait(30)


def damaged(data, seed):
    """Bytes with up to twenty of them changed; some are cut off, too."""
    rng = random.Random(seed)
    changed = bytearray(data)
    for _ in range(rng.randint(1, 20)):
        near = rng.randrange(min(4096, len(data)))
        at = rng.choice([near, len(data) - 1 - near, rng.randrange(len(data))])
        changed[at] ^= rng.randrange(1, 256)
    if rng.random() < 0.1:
        del changed[rng.randrange(1, len(changed)) :]
    return bytes(changed)


def test_flipped_bytes_cost_at_most_the_source_and_nothing_of_its_folder(tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    unpacked(whole)
    names = sorted(path.name for path in whole.iterdir())
    folder = tmp_path / "folder"
    folder.mkdir()
    for seed in range(48):
        name = names[seed % len(names)]
        data = damaged((whole / name).read_bytes(), seed)
        (folder / f"{seed}-{name}").write_bytes(data)
    (folder / "zzz.jpg").write_bytes(jpeg(1))
    with open_source(folder, Limits(seconds=20)) as source:
        source.count()
        found = rows(source)
    listed = [str(row[0]) for row in found if not isinstance(row[0], str)]
    assert len(set(listed)) == len(listed)
    for path in folder.iterdir():
        assert f"folder/{path.name}" in listed
    assert found[-1][-1] == jpeg(1)
    for seed in range(0, 48, 5):
        path = folder / f"{seed}-{names[seed % len(names)]}"
        try:
            with open_source(path, Limits(seconds=20)) as source:
                rows(source)
        except MayakError as error:
            assert path.name in str(error)
