"""Durable writes, temporary folders and digests: what a crash leaves, and recorded values."""

import dataclasses
import errno
import hashlib
import os
import shutil
import stat
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from mayak import files
from mayak.case.database import row_digest
from mayak.case.decision_export import DecisionExport, write_export
from mayak.cli.demo_ledger import Ledger
from mayak.dataset.store import DataFolder
from mayak.dataset.training_images import TrainingImages
from mayak.evaluation.record import METRICS, write_files
from mayak.files import canonical_json, file_sha256, json_digest, temporary_folder, write_durably
from mayak.model.calibration import CALIBRATION, Calibration, Head
from mayak.training.record import write_json
from mayak.types import Engine


@pytest.fixture
def synced(monkeypatch):
    """What reached the disk: paths of files and folders, in order."""
    found = []
    sync = os.fsync

    def recorded(handle):
        found.append(os.fstat(handle).st_ino)
        sync(handle)

    monkeypatch.setattr(os, "fsync", recorded)
    return found


def calibration():
    head = Head((0.0,), (1.0,), ((0.1,),) * 4, (0.0,) * 4)
    return Calibration("e", head, (1.0, 1.0, 1.0), None, {"train": "a", "train_images": 3})


WRITERS = {
    CALIBRATION: lambda folder: calibration().write(folder),
    METRICS: lambda folder: write_files(folder, {METRICS: b"{}"}, last=METRICS, own=[METRICS]),
    "demo.json": Ledger,
    "dataset.json": lambda folder: DataFolder(folder).publish(folder, [], {"dataset.json": {}}),
    "run.json": lambda folder: write_json(folder / "run.json", {}),
    "decisions.jsonl": lambda folder: write_export(
        folder / "decisions.jsonl", DecisionExport("case", (), ())
    ),
}


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be synced there")
@pytest.mark.parametrize("name", WRITERS)
def test_a_written_file_and_its_name_are_on_the_disk(name, tmp_path, synced):
    WRITERS[name](tmp_path)
    assert (tmp_path / name).stat().st_ino in synced
    assert tmp_path.stat().st_ino in synced[synced.index((tmp_path / name).stat().st_ino) :]
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be synced there")
@pytest.mark.parametrize("kind", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_a_file_system_that_cannot_sync_folders_is_written_all_the_same(
    kind, tmp_path, monkeypatch
):
    sync = os.fsync

    def refused(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(kind, os.strerror(kind))
        sync(handle)

    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(OSError) if kind == errno.EIO else nullcontext():
        write_durably(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


KILLED = """
import os, sys
from pathlib import Path
from mayak.files import write_durably
os.{call} = lambda *args: os._exit(9)
write_durably(Path(sys.argv[1]), b"new")
"""


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_kill_before_the_new_file_is_whole_leaves_the_old_one(call, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED.format(call=call), str(path)])
    assert done.returncode == 9
    assert path.read_bytes() == b"old"
    write_durably(path, b"new")  # over what was left
    assert path.read_bytes() == b"new"
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [OSError("full"), RuntimeError("torch"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_alone(error, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise error

    with pytest.raises(type(error)):
        write_durably(path, fail)
    assert path.read_bytes() == b"old"
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_link_under_the_name_of_the_partial_file_is_not_followed(tmp_path):
    (tmp_path / "evidence.dd").write_bytes(b"evidence")
    (tmp_path / "a.json.part").symlink_to(tmp_path / "evidence.dd")
    write_durably(tmp_path / "a.json", b"new")
    assert (tmp_path / "evidence.dd").read_bytes() == b"evidence"


def test_a_temporary_folder_replaces_the_old_one_whole(tmp_path, synced):
    target = tmp_path / "report"
    (target / "inside").mkdir(parents=True)
    (target / "inside" / "old").write_bytes(b"old")
    with temporary_folder(target, overwrite=True) as temporary:
        (temporary / "deep").mkdir()
        (temporary / "deep" / "new").write_bytes(b"new")
        assert (target / "inside" / "old").read_bytes() == b"old"
    assert [path.relative_to(target) for path in target.rglob("*")] == [
        Path("deep"),
        Path("deep/new"),
    ]
    assert (target / "deep" / "new").stat().st_ino in synced
    assert [target] == list(tmp_path.iterdir())


def test_a_temporary_folder_that_fails_leaves_the_old_one_and_nothing_else(tmp_path):
    target = tmp_path / "report"
    target.mkdir()
    (target / "old").write_bytes(b"old")
    with pytest.raises(ValueError, match="no"), temporary_folder(target) as temporary:
        (temporary / "new").write_bytes(b"new")
        raise ValueError("no")
    assert [path.name for path in tmp_path.rglob("*")] == ["report", "old"]


def test_a_temporary_folder_takes_the_place_of_an_empty_one_and_of_no_other(tmp_path):
    target = tmp_path / "case"
    target.mkdir()
    with temporary_folder(target) as temporary:
        (temporary / "first").write_bytes(b"first")
    with pytest.raises(OSError, match="not empty"), temporary_folder(target) as temporary:
        (temporary / "second").write_bytes(b"second")
    assert [path.name for path in tmp_path.rglob("*")] == ["case", "first"]


def test_a_swap_that_is_refused_puts_the_old_folder_back(tmp_path, monkeypatch):
    target = tmp_path / "report"
    target.mkdir()
    (target / "old").write_bytes(b"old")
    rename = Path.rename

    def refused(path, new):
        if new == target and not (path / "old").exists():
            raise OSError("refused")
        return rename(path, new)

    monkeypatch.setattr(Path, "rename", refused)
    with (
        pytest.raises(OSError, match="refused"),
        temporary_folder(target, overwrite=True) as temporary,
    ):
        (temporary / "new").write_bytes(b"new")
    assert (target / "old").read_bytes() == b"old"
    assert [target] == list(tmp_path.iterdir())


@pytest.mark.parametrize("renames", [1, 2])
def test_a_kill_while_a_folder_is_replaced_loses_neither(tmp_path, renames):
    target = tmp_path / "re[port"
    target.mkdir()
    (target / "old").write_bytes(b"old")
    script = f"""
import os
from pathlib import Path
from mayak.files import temporary_folder
rename, left = Path.rename, [{renames}]
def killed(path, new):
    moved = rename(path, new)
    left[0] -= 1
    if not left[0]:
        os._exit(9)
    return moved
Path.rename = killed
with temporary_folder(Path({str(target)!r}), overwrite=True) as temporary:
    (temporary / "new").write_bytes(b"new")
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 9
    files.finish_replacing(target)
    for left in files.unfinished_folders(target):
        shutil.rmtree(left)
    assert [path.name for path in tmp_path.rglob("*")] == [
        "re[port",
        "old" if renames == 1 else "new",
    ]


def test_folders_of_killed_processes_are_found_and_others_are_not(tmp_path):
    target = tmp_path / "re[port"
    with temporary_folder(target) as temporary:
        (tmp_path / ".re[port.old").mkdir()
        (tmp_path / f".repo.{'0' * 32}").mkdir()
        assert files.unfinished_folders(target) == [temporary]
    assert files.unfinished_folders(target) == []


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path):
    data = bytes(range(256)) * 9999
    (tmp_path / "a").write_bytes(data)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(data).hexdigest()
    with (tmp_path / "a").open("rb") as file:
        assert file_sha256(file) == hashlib.sha256(data).hexdigest()


def test_canonical_json_to_the_letter():
    value = {"나": [1, 2.5, None], "a": b"\x00\xff", "b": Path("x")}
    assert canonical_json(value) == ('{"a":{"hex":"00ff"},"b":"x","\\ub098":[1,2.5,null]}')
    assert canonical_json({"나": [1, 2]}, "ascii") == '{"\\ub098": [1, 2]}'
    assert canonical_json({"나": [1, 2]}, "utf-8") == '{"나": [1, 2]}'


def test_digests_that_are_recorded_somewhere_never_change():
    """The values are those of the releases that recorded them; a change here breaks old files."""
    engine = Engine("모델", None, "bf16", "0" * 64, "1" * 64, (("torch", "2.11"),))
    images = TrainingImages(("a" * 64,), ("b" * 64,))
    assert engine.fingerprint == "e2af8bae222dfccb"
    assert dataclasses.replace(engine, calibration="c").fingerprint == "ed3772f0f6a1132e"
    assert images.digest == "7bd988ed1097a78558e63c00dddc16b0f9811cbcd2891afaebb63d9d7e6d9a19"
    assert (
        calibration().digest == "b712d484930293c0c2439804d0a75c24afcf2a84ceb5d06f41941e71907b6cd1"
    )
    assert (
        row_digest("items", {"path": "사진", "raw": b"\xff", "size": 1, "none": None})
        == "80988f8224891975dca9f933d5901b6a9cbeef860192d328aaa4bce4fa2e8b76"
    )
    assert (
        json_digest([["사진.jpg", "a" * 64, 1]], "utf-8")
        == "caf5fa064f5a0c750f17406e0fbe229980776b523684c9b9b01e1add882adc35"
    )
