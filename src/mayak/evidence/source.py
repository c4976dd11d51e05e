"""Open evidence by its content, with the readers of containers in a process of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Self

from mayak.evidence.acquire import Acquisition, acquire, hash_task, sample_digest
from mayak.evidence.base import Choices, Limits, container_gap, loss_text, note_locked
from mayak.evidence.containers.segments import open_pieces
from mayak.evidence.isolated import Reader
from mayak.evidence.open import open_without_readers
from mayak.evidence.streams import Bytes
from mayak.evidence.walk import Walk, is_below
from mayak.types import EvidenceEntry, EvidencePath, Failure, Progress, SilentProgress, Space


def open_source(
    path: Path,
    limits: Limits | None = None,
    choices: Choices | None = None,
    *,
    root: EvidencePath | None = None,
) -> Source:
    """Open evidence by its content; nothing is written to it.

    ``root`` has the name under which its files are listed, for a source that was somewhere else
    before; without it, that is the file's or the folder's own.

    Raises:
        EvidenceError: it is missing or not readable, lacks a piece, or is of no known kind, or its
            reader crashed, made no progress or took too much memory.
    """
    limits = limits or Limits()
    choices = choices or Choices()
    reader = Reader(path, limits, choices, root)
    containers = _Containers(reader)
    walk = open_without_readers(path, limits, choices, containers, root)
    if walk is not None:
        return Source(walk.path, walk, containers, None)
    try:
        opened, stored, disk_size = reader.open()
        data = open_pieces(path) if disk_size is None else None
        return Source(opened, None, containers, data, stored, disk_size or 0)
    except BaseException:
        reader.close()
        raise


class Source:
    """An open source: its entries, and the hash of the whole."""

    def __init__(
        self,
        path: EvidencePath,
        walk: Walk | None,
        containers: _Containers,
        data: Bytes | None,
        stored: dict[str, str] | None = None,
        disk_size: int = 0,
    ) -> None:
        """``walk``: through a folder or a single file, None for a container; ``data``: the
        container's bytes, None if the disk in it is hashed, of ``disk_size`` bytes."""
        self.path = path
        self._walk, self._containers, self._data = walk, containers, data
        self._reader = containers.reader
        self.stored = stored or {}
        """Acquisition hashes in an E01: ``md5`` or ``sha1``, and the hex."""
        self._disk_size = disk_size
        self._listed = 0
        self.opened_with_password = self._reader.opened_with_password
        """Containers that one of the passwords opened; those inside are added when the walk reaches
        them."""
        self.locked: list[Failure] = [] if walk is None else walk.locked
        """Of the containers that the walk has met and no password opens."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the source, and end what still reads it."""
        self._reader.close()
        for opened in (self._walk, self._data):
            if opened is not None:
                opened.close()

    @property
    def listed(self) -> int:
        """Number of entries known so far; those of containers inside are added when the walk
        reaches them."""
        return self._listed if self._walk is None else self._walk.listed

    @property
    def unexamined(self) -> Counter[Space]:
        """Bytes that belong to no file and were not looked at, of the containers that ``items`` has
        listed to their end."""
        return self._reader.unexamined

    def count(self) -> None:
        """Count the entries without opening any, as the total for a progress bar."""
        if self._walk is None:
            self._listed = self._reader.count()
        else:
            self._walk.count()

    def items(self, stop: Event | None = None) -> Iterator[EvidenceEntry | Failure]:
        """Yield every file of the source, and a Failure for each entry that cannot be read.

        An archive or a disk image is an item itself and is followed by its files, or by a Failure
        ``NoEntries`` if it has none. An E01 inside is read to its end first: if an acquisition
        hash in it does not match, a Failure ``HashMismatch`` comes before its files. A file or
        container with which the reader crashed, made no progress or took too much memory cannot be
        opened, or has a Failure that names it.

        Raises:
            EvidenceError: the source itself cannot be read any more.
            CancelledError: ``stop`` was set while a reader worked.
        """
        self._containers.stop = stop
        self._reader.unexamined.clear()
        if self._walk is not None:
            yield from self._walk.items(stop)
            return
        for item, _ in self._reader.items(self.path, self._listed, stop, is_whole=True):
            self._listed = self._reader.listed
            if isinstance(item, Failure):
                note_locked(item, self.locked)
            yield item

    def is_locked(self, displayed: str) -> bool:
        """Whether a path is inside a container that the walk has met and no password opens."""
        return is_below(displayed, self.locked)

    def find(self, path: EvidencePath) -> EvidenceEntry | None:
        """Return the file at a path that ``items`` gave; None if it is not there any more.

        Enters only the containers that the path names, and keeps what it has listed of them for
        the next call.

        Raises:
            LockedError: it is in a container that is encrypted and could not be opened.
            EvidenceError: a container cannot be read.
        """
        n_read = sum(layer.kind not in ("volume", "embedded") for layer in path.layers)
        if self._walk is not None and (n_read <= 2 or self.path.kind != "folder"):
            return self._walk.find(path)
        return self._reader.find(path)

    def identity(self) -> str:
        """Return what identifies the source besides its path, as a hex digest: of a folder the
        paths and sizes of its files, of others their size and samples of their bytes.

        It costs little, so equal ones are compared in full. Raises EvidenceError.
        """
        if self._walk is not None:
            return self._walk.identity()
        return self._reader.identity() if self._data is None else sample_digest(self._data)

    def acquire(
        self, progress: Progress | None = None, stop: Event | None = None
    ) -> Acquisition | None:
        """Read all of the source once and hash it; None for a folder, which is not one file.

        May run in a thread of its own while files are read.

        Raises:
            EvidenceError: the source cannot be read to its end.
            CancelledError: ``stop`` was set.
        """
        progress = progress or SilentProgress()
        if self._walk is not None:
            return self._walk.acquire(progress, stop)
        if self._data is not None:
            return acquire(self.path, self._data, self.stored, progress, stop)
        with hash_task(self.path, self._disk_size, progress) as task:
            return self._reader.acquire(task, stop)


class _Containers:
    """The containers of a folder, for the walk through it."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.listed = 0
        self.stop: Event | None = None

    def items(self, entry: EvidenceEntry, listed: int) -> Iterator[EvidenceEntry | Failure]:
        self.listed = listed
        is_first = True
        for item, lost in self.reader.items(entry.path, listed, self.stop, is_whole=False):
            self.listed = self.reader.listed
            if is_first:
                # The file itself is read here, which takes no reader.
                if isinstance(item, EvidenceEntry):
                    path, kind, is_piece = item.path, item.kind, item.is_piece
                    entry = replace(entry, path=path, kind=kind, is_piece=is_piece)
                yield entry
                if lost is not None:
                    reason = f"cannot be entered: {loss_text(lost, self.reader.limits)}"
                    yield container_gap(entry.path, lost, reason)
            if not is_first or isinstance(item, Failure):
                yield item
            is_first = False
        if is_first:  # it is not there any more
            yield entry

    def covers(self, path: EvidencePath) -> bool:
        return self.reader.covers(path)
