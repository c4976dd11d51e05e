"""Folders of this machine's file system."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mayak.evidence.base import (
    Container,
    container_gap,
    decode_name,
    entry_failure,
    from_unix_time,
)
from mayak.evidence.streams import guarded, open_quietly, translated
from mayak.types import EvidenceEntry, EvidencePath, Failure, FileTimes, OutcomeReason

_JUNCTION = 0xA0000003
"""The reparse tag of Windows' junctions, which are folders to ``stat`` and may point anywhere."""


class FolderContainer(Container):
    """The files below a folder, in the order of their names in each folder."""

    finds_quickly = True

    def __init__(self, folder: Path, path: EvidencePath) -> None:
        self._folder = folder
        self._path = path

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        manifest = hashlib.sha256()
        for entry in self._listed():
            if isinstance(entry, EvidenceEntry):
                manifest.update(b"%s\0%d\0" % (_raw_name(entry.path), entry.size))
            yield entry
        self.manifest = manifest.hexdigest()

    def _listed(self) -> Iterator[EvidenceEntry | Failure]:
        stack = [self._folder]
        while stack:
            folder = stack.pop()
            below: list[Path] = []
            try:
                with os.scandir(folder) as listing:
                    names = sorted(listing, key=lambda entry: os.fsencode(entry.name))
            except OSError as exc:
                reason = f"folder cannot be read: {exc.strerror}"
                if folder == self._folder:
                    yield container_gap(self._path, OutcomeReason.UNREADABLE, reason)
                else:
                    yield entry_failure(self._path_of(folder), OutcomeReason.UNREADABLE, reason)
                continue
            for name in names:
                yield from self._entry(Path(name.path), below)
            stack.extend(reversed(below))

    def find(self, path: EvidencePath) -> EvidenceEntry | None:
        """Return the file at a path that ``entries`` gave, if it is there and no link leads to
        it."""
        name = _raw_name(path)
        # The path comes from a case, which anybody may have written.
        file = self._folder / os.fsdecode(name)
        if ".." in file.parts or not file.is_relative_to(self._folder):
            return None
        if file.resolve() != self._folder.resolve() / file.relative_to(self._folder):
            return None
        entry = next(self._entry(file, []), None)
        return entry if isinstance(entry, EvidenceEntry) else None

    def _path_of(self, file: Path) -> EvidencePath:
        name, raw = decode_name(os.fsencode(file.relative_to(self._folder).as_posix()))
        return self._path.child("file", name, raw)

    def _entry(self, file: Path, below: list[Path]) -> Iterator[EvidenceEntry | Failure]:
        """Yield what a name of a folder is, or add it to the folders ``below``."""
        path = self._path_of(file)
        try:
            status = file.lstat()
        except OSError as exc:
            yield entry_failure(
                path, OutcomeReason.UNREADABLE, f"cannot be examined: {exc.strerror}"
            )
            return
        junction = getattr(status, "st_reparse_tag", 0) == _JUNCTION
        if stat.S_ISLNK(status.st_mode) or junction:
            reason = f"is a link to {_link_target(file)}, which is not followed"
            yield entry_failure(path, OutcomeReason.SYMBOLIC_LINK, reason)
        elif stat.S_ISDIR(status.st_mode):
            below.append(file)
        elif not stat.S_ISREG(status.st_mode):
            reason = "is a device, pipe or socket, which is not opened"
            yield entry_failure(path, OutcomeReason.SPECIAL_FILE, reason)
        elif not os.access(file, os.R_OK):
            yield entry_failure(path, OutcomeReason.UNREADABLE, "this user may not read it")
        else:
            yield EvidenceEntry(path, status.st_size, FileOnDisk(file), file_times(status))


def _raw_name(path: EvidencePath) -> bytes:
    return path.name.encode("utf-8") if path.raw is None else path.raw


def _link_target(file: Path) -> str:
    try:
        return ascii(os.readlink(file))  # noqa: PTH115
    except OSError:
        return "an unknown target"


@dataclass(frozen=True, slots=True)
class FileOnDisk:
    """Opens a file of a folder; the other pieces of a split one are next to it."""

    file: Path

    def __call__(self) -> BinaryIO:
        with translated():
            return guarded(open_quietly(self.file))


def file_times(status: os.stat_result) -> FileTimes:
    # On Unix st_ctime is the last change of the entry, not its creation.
    born = getattr(status, "st_birthtime", None)
    if born is None and sys.platform == "win32":
        born = status.st_ctime
    return FileTimes(
        modified=from_unix_time(status.st_mtime_ns // 10**9, status.st_mtime_ns % 10**9),
        created=None if born is None else from_unix_time(born),
        accessed=from_unix_time(status.st_atime_ns // 10**9, status.st_atime_ns % 10**9),
    )
