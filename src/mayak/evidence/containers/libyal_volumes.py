"""XFS and APFS volumes, with libfsxfs and libfsapfs; alone imports pyfsxfs and pyfsapfs.

Both list what is live. Deleted files, extended attributes and the snapshots of APFS are not listed.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any, BinaryIO

from mayak.evidence.base import (
    Choices,
    Container,
    NotReadError,
    container_gap,
    entry_failure,
    from_unix_time,
    library_for,
)
from mayak.evidence.containers import xfs_log
from mayak.evidence.progress import note_progress
from mayak.evidence.streams import Bytes, stream_of, translated
from mayak.i18n import msg
from mayak.signatures import GIVE_PASSWORD, MOUNT_OR_UNTESTED
from mayak.types import EvidenceEntry, EvidencePath, Failure, FileTimes, OutcomeReason, Space

_Entry = Any
"""A file entry of one of the libraries, which state no types."""
_NANOSECONDS = 10**9


class _Tree:
    """The files below a root entry."""

    def __init__(
        self,
        root: _Entry,
        path: EvidencePath,
        number: Callable[[_Entry], int],
        by_number: Callable[[int], _Entry],
        holes: Callable[[_Entry], list[tuple[int, int]]] = lambda _: [],
    ) -> None:
        """``number`` returns the record number of an entry, ``by_number`` the entry of one, and
        ``holes`` the ranges that must read as zeros and do not."""
        self._root = root
        self._path = path
        self._number, self._by_number = number, by_number
        self._holes = holes
        self._lock = Lock()

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        """Yield every live file."""
        stack = [(self._root, "")]
        seen = {self._number(self._root)}
        while stack:
            folder, prefix = stack.pop()
            below: list[tuple[_Entry, str]] = []
            for entry in self._children(folder, prefix):
                if isinstance(entry, Failure):
                    yield entry
                    continue
                name = prefix + self._name(entry)
                if not stat.S_ISDIR(entry.file_mode):
                    yield self._item(entry, self._path.child("file", name))
                # In a damaged volume a folder can contain itself.
                elif (number := self._number(entry)) not in seen:
                    seen.add(number)
                    below.append((entry, f"{name}/"))
            stack.extend(reversed(below))

    def _children(self, folder: _Entry, prefix: str) -> Iterator[_Entry | Failure]:
        """Yield what is in a folder, and a Failure for entries of it that cannot be read."""
        unread, fault = 0, ""
        try:
            with self._lock:
                count = int(folder.number_of_sub_file_entries)
            for index in range(count):
                try:
                    with self._lock:
                        entry = folder.get_sub_file_entry(index)
                        entry.file_mode  # noqa: B018  (reads the record)
                except OSError as exc:
                    unread, fault = unread + 1, str(exc)
                    continue
                yield entry
        except OSError as exc:
            yield self._gap(prefix, f"folder cannot be read: {exc}")
        if unread:
            yield self._gap(prefix, f"{unread} entries of it cannot be read: {fault}")

    def _gap(self, prefix: str, reason: str) -> Failure:
        if not prefix:
            return container_gap(self._path, OutcomeReason.UNREADABLE, reason)
        path = self._path.child("file", prefix.rstrip("/"))
        return entry_failure(path, OutcomeReason.UNREADABLE, reason)

    def _name(self, entry: _Entry) -> str:
        # The libraries give no name that is not UTF-8.
        with suppress(OSError), self._lock:
            return str(entry.name)
        return f"[record {self._number(entry)}]"

    def _item(self, entry: _Entry, path: EvidencePath) -> EvidenceEntry | Failure:
        if stat.S_ISLNK(entry.file_mode):
            reason = "is a symbolic link, which is not followed"
            return entry_failure(path, OutcomeReason.SYMBOLIC_LINK, reason)
        if not stat.S_ISREG(entry.file_mode):
            return entry_failure(path, OutcomeReason.SPECIAL_FILE, "is a device, pipe or socket")
        try:
            with self._lock:
                number, size = self._number(entry), int(entry.size)
                times = FileTimes(
                    _time(entry, "modification"),
                    _time(entry, "creation"),
                    _time(entry, "access"),
                    _time(entry, "inode_change"),
                )
        except OSError as exc:
            return entry_failure(path, OutcomeReason.UNREADABLE, f"record cannot be read: {exc}")
        return EvidenceEntry(path, size, partial(self._open, number, size), times)

    def _open(self, number: int, size: int) -> BinaryIO:
        with translated(), self._lock:
            entry = self._by_number(number)
            holes = self._holes(entry)

        def read_at(offset: int, length: int) -> bytes:
            with self._lock:
                entry.seek(offset)
                found = bytearray(entry.read(min(length, size - offset)))
            if not found and offset < size:
                raise OSError(f"ends at byte {offset} of {size}")
            for start, end in holes:
                first, last = max(start - offset, 0), min(end - offset, len(found))
                if first < last:
                    found[first:last] = bytes(last - first)
            return bytes(found)

        return stream_of(read_at, size)


def _time(entry: _Entry, kind: str) -> datetime | None:
    nanoseconds = getattr(entry, f"get_{kind}_time_as_integer")()
    return None if nanoseconds is None else from_unix_time(*divmod(nanoseconds, _NANOSECONDS))


def _holes(entry: _Entry) -> list[tuple[int, int]]:
    """Return where an APFS file has holes. Their extents name block 0, and the library reads that
    block, which is the container's own."""
    holes, start = [], 0
    for index in range(int(entry.number_of_extents)):
        place, size, _ = entry.get_extent(index)
        if not place:
            holes.append((start, start + size))
        start += size
    return holes


class XfsContainer(Container):
    """The live files of an XFS volume."""

    def __init__(self, data: Bytes, path: EvidencePath) -> None:
        """Raises NotReadError if the library is missing, OSError if the volume is damaged."""
        with library_for(path, "XFS"):
            import pyfsxfs
        self._data, self._path = data, path
        self._volume = pyfsxfs.volume()
        self._volume.open_file_object(stream_of(data.read_at, data.size))
        self._tree = _Tree(
            self._volume.get_root_directory(),
            path,
            lambda entry: int(entry.inode_number),
            self._volume.get_file_entry_by_inode,
        )

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        with translated():
            is_behind = xfs_log.holds_changes(self._data)
        if is_behind:
            reason = (
                "was not unmounted: the changes in its log are not in these files; "
                "mount a copy, which applies them, and give that folder"
            )
            yield container_gap(self._path, OutcomeReason.UNSUPPORTED, reason)
        yield from self._tree.entries()

    def unexamined(self) -> Mapping[Space, int]:
        return {"uncounted": self._data.size}


class ApfsContainer(Container):
    """The live files of all volumes of an APFS container."""

    def __init__(self, data: Bytes, path: EvidencePath, choices: Choices) -> None:
        """Raises NotReadError if it is not to be read, OSError if it is damaged."""
        if not choices.untested_readers:
            what = msg("is {kind}, which is read by an untested reader only", kind="APFS")
            raise NotReadError(path, what, MOUNT_OR_UNTESTED)
        with library_for(path, "APFS"):
            import pyfsapfs
        self._data, self._path = data, path
        self._choices = choices
        self._container = pyfsapfs.container()
        self._container.open_file_object(stream_of(data.read_at, data.size))

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        for index in range(int(self._container.number_of_volumes)):
            volume = self._container.get_volume(index)
            path = self._path.child("volume", f"volume {index + 1} ({volume.name})")
            try:
                if volume.is_locked() and not self._unlock(volume):
                    reason = f"is an encrypted volume (APFS): {GIVE_PASSWORD!s}"
                    yield container_gap(path, OutcomeReason.ENCRYPTED, reason)
                    continue
                root = volume.get_root_directory()
            except OSError as exc:
                yield container_gap(path, OutcomeReason.UNREADABLE, f"cannot be read: {exc}")
                continue
            if root is None:  # it was made and never used
                continue
            yield from _Tree(
                root,
                path,
                lambda entry: int(entry.identifier),
                volume.get_file_entry_by_identifier,
                _holes,
            ).entries()

    def unexamined(self) -> Mapping[Space, int]:
        return {"uncounted": self._data.size}

    def _unlock(self, volume: Any) -> bool:  # noqa: ANN401
        for password in self._choices.passwords:
            note_progress()
            volume.set_password(password)
            # It raises for what cannot be a recovery password.
            with suppress(OSError, ValueError):
                volume.set_recovery_password(password)
            if volume.unlock():
                return True
        return False
