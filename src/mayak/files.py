"""Durable writes of files and folders, a file lock, SHA-256 of files, canonical JSON."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
import sys
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

PARTIAL = ".part"
"""Suffix of a file that is being written; a process that is killed leaves it."""

_HEX, _OLD = "[0-9a-f]" * 32, ".old"
"""Pattern of the random part of a temporary folder's name; suffix of a folder that is replaced."""

Spelling = Literal["compact", "ascii", "utf-8"]
_SPELLINGS: dict[Spelling, dict[str, Any]] = {
    "compact": {"separators": (",", ":"), "ensure_ascii": True},
    "ascii": {"separators": (", ", ": "), "ensure_ascii": True},
    "utf-8": {"separators": (", ", ": "), "ensure_ascii": False},
}
"""Three, because digests of each are recorded: ``compact`` in cases (rows, log, decision exports),
``ascii`` in adapters (calibration, training images, prompt, preprocessing), ``utf-8`` in data sets
and engines' fingerprints. With another spelling, recorded digests would no longer verify."""


def write_durably(
    path: Path, content: bytes | Callable[[BinaryIO], object], *, sync_parent: bool = True
) -> None:
    """Write a file that is complete or unchanged, even after a crash or a power cut.

    ``content`` may be a function that writes to the file that it is given. Without ``sync_parent``
    the caller must call ``sync_folder``, once for many files. Raises OSError, and what ``content``
    raises; the file is then unchanged.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        # Removed and created: what a killed process left may have been replaced by a link.
        partial.unlink(missing_ok=True)
        with partial.open("xb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    if sync_parent:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were added to a folder survive a power cut."""
    if sys.platform == "win32":  # folders cannot be opened there; NTFS journals names by itself
        return
    try:
        _sync(folder)
    except OSError as error:
        # Some file systems cannot sync folders (VirtualBox's shared ones): nothing can be done.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def _sync(path: Path) -> None:
    # Only Windows requires the right to write.
    handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def temporary_folder(target: Path, *, overwrite: bool = False, mode: int = 0o777) -> Iterator[Path]:
    """Yield a new folder next to ``target`` that takes its place at the end, whole.

    If the block raises, the new folder is removed and ``target`` is unchanged. Raises OSError, also
    if ``target`` is a folder that is not empty and may not be overwritten.
    """
    temporary = _temporary_name(target)
    try:
        temporary.mkdir(mode, parents=True)
        yield temporary
        _move_into_place(temporary, target, overwrite=overwrite)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def finish_replacing(target: Path) -> None:
    """Clean up after a process that was killed while a new folder took the place of ``target``.

    Between the two renames there is no ``target``: then the old folder is put back. Raises OSError.
    """
    for old in sorted(target.parent.glob(f".{glob.escape(target.name)}.{_HEX}{_OLD}")):
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(target)


def unfinished_folders(target: Path) -> list[Path]:
    """Return temporary folders of ``target``, of processes that were killed or still run."""
    return sorted(target.parent.glob(f".{glob.escape(target.name)}.{_HEX}"))


def _temporary_name(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}")


def _move_into_place(temporary: Path, target: Path, *, overwrite: bool) -> None:
    # 1. The content reaches the disk before the name does.
    for folder, _, names in os.walk(temporary):
        for name in names:
            _sync(Path(folder, name))
        sync_folder(Path(folder))
    # 2. Two renames: a folder that is deleted first would be half of one for a while.
    old = None
    if overwrite and target.exists():
        # Under a name of its own: ``finish_replacing`` must tell it from the new one.
        old = target.rename(f"{_temporary_name(target)}{_OLD}")
    elif target.exists():
        target.rmdir()
    try:
        temporary.rename(target)
    except OSError:
        if old is not None:
            old.rename(target)
        raise
    sync_folder(target.parent)
    # 3. The old one is no longer needed.
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


class LockHeldError(Exception):
    """Another process has the lock; ``holder`` is its number, or ``?``."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class FileLock:
    """An exclusive lock between processes: a file with the number of the one that has it.

    The system releases it when the process ends, in whatever way.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises LockHeldError if another process has it, and OSError."""
        self.path = path
        # Never deleted: a second file of the same name would be a second lock.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.fdopen(os.open(path, flags, 0o644), "r+b", buffering=0)
        try:
            _lock(self._file)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read(20).decode("ascii", "replace").strip() or "?"
            self._file.close()
            raise LockHeldError(holder) from error
        try:
            self._file.truncate(0)
            self._file.write(f"{os.getpid()}\n".encode())
        except OSError:
            self._file.close()
            raise
        if hasattr(os, "register_at_fork"):
            # A forked worker that outlives a killed parent must not keep the lock.
            file = weakref.ref(self._file)
            os.register_at_fork(after_in_child=lambda: _close(file()))

    def release(self) -> None:
        """Let the next process in."""
        if not self._file.closed:
            self._file.truncate(0)
            self._file.close()


def _close(file: BinaryIO | None) -> None:
    if file is not None:
        file.close()


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        file.seek(1 << 30)  # a byte far after the holder's number, which stays readable
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def file_sha256(file: Path | BinaryIO) -> str:
    """Return the SHA-256, in lower-case hex, of a file or of the rest of an open one. Raises
    OSError."""
    if isinstance(file, Path):
        with file.open("rb") as stream:
            return file_sha256(stream)
    # typeshed's BinaryIO lacks readinto, which every opened file has.
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def canonical_json(value: object, spelling: Spelling = "compact") -> str:
    """Return the one JSON text of a value: keys sorted, bytes as hex, other objects as ``str``."""
    return json.dumps(value, sort_keys=True, default=_plain, **_SPELLINGS[spelling])


def json_digest(value: object, spelling: Spelling = "compact") -> str:
    """Return the SHA-256, in lower-case hex, of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value, spelling).encode()).hexdigest()


def json_bytes(value: object, *, allow_nan: bool = True) -> bytes:
    """Return indented JSON for people to read, in UTF-8. Raises ValueError for NaN and infinity
    unless ``allow_nan``."""
    return (json.dumps(value, ensure_ascii=False, indent=2, allow_nan=allow_nan) + "\n").encode()


def _plain(value: object) -> object:
    return {"hex": value.hex()} if isinstance(value, bytes) else str(value)
