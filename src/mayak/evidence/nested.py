"""Files inside a source while a walk comes by: what may be a container, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from mayak.errors import EvidenceError
from mayak.evidence.base import (
    Choices,
    Container,
    ContainerFile,
    ContainerFormat,
    LimitExceededError,
    Limits,
    ReaderLostError,
    Watch,
)
from mayak.evidence.containers import first_files
from mayak.evidence.containers.folder import FileOnDisk
from mayak.evidence.containers.segments import later_pieces, numbered_pieces, open_pieces
from mayak.evidence.streams import (
    CHUNK,
    IN_MEMORY,
    Bytes,
    FileBytes,
    JoinedBytes,
    Unpacked,
    translated,
)
from mayak.i18n import msg
from mayak.signatures import CONTAINERS, FAR_HEAD, FileKind
from mayak.types import EvidenceEntry, EvidencePath, OutcomeReason


@dataclass(frozen=True, slots=True)
class NestedFile:
    """An entry that may be a container, as readers get it."""

    within: Container
    entry: EvidenceEntry
    path: EvidencePath
    """The entry's, with the kind of the container's layer."""
    head: bytes
    limits: Limits
    choices: Choices
    watch: Watch

    def entry_beside(self, name: str) -> EvidenceEntry | None:
        folder = self.entry.path.name.rpartition("/")[0]
        return self.within.find(sibling(self.entry.path, f"{folder}/{name}" if folder else name))

    def beside(self, name: str) -> ContainerFile | None:
        found = self.entry_beside(name)
        if found is None:
            return None
        with translated(), found.open() as stream:
            head = stream.read(FAR_HEAD)
        return replace(self, entry=found, path=found.path, head=head)

    @property
    def on_disk(self) -> Path | None:
        opener = self.entry.open
        return opener.file if isinstance(opener, FileOnDisk) else None

    def stream(self) -> BinaryIO:
        return self.entry.open()

    def data(self) -> Bytes:
        file = self.on_disk
        # A disk is read where it is, so that bad sectors cost only the files that need them.
        if file is not None and (self.path.kind == "image" or len(numbered_pieces(file)) > 1):
            return WatchedBytes(open_pieces(file), self.watch)
        later = later_pieces(self) if file is None else []
        if later:
            return JoinedBytes([self._alone(), *(piece.data() for piece in later)])
        return self._alone()

    def _alone(self) -> Bytes:
        """Return its bytes without those of later pieces."""
        # Of small files a copy in memory keeps no file open.
        if self.within.random_access and self.entry.size > IN_MEMORY:
            return WatchedBytes(FileBytes(self.entry.open()), self.watch)
        with self.entry.open() as stream, translated():
            return WatchedBytes(Unpacked(stream, self._check), self.watch)

    def _check(self, unpacked: int) -> None:
        if unpacked > self.limits.unpacked:
            reason = msg("is larger than {limit} bytes", limit=self.limits.unpacked)
            raise LimitExceededError(self.path, reason)


class OfSeveral:
    """The containers of several files among the entries of a container, opened when the first of
    their files is met."""

    def __init__(
        self,
        within: Container,
        opened: Callable[[ContainerFormat, EvidencePath], Container | None],
    ) -> None:
        self._within = within
        self._open = opened
        self._containers: dict[EvidencePath, Container | None] = {}
        """By the path of their first file; None if that is not there or is none."""
        self._named: set[EvidencePath] | None = None
        """The files that their name may make the first ones, once all entries were listed."""

    def covers(self, path: EvidencePath) -> bool:
        """Whether a file belongs to one of them."""
        return self.reader_of(path) is not None

    def reader_of(self, path: EvidencePath) -> ContainerFormat | None:
        """Return the reader of the one that a file belongs to, None if it belongs to none."""
        for reader, name in first_files(path.name):
            first = sibling(path, name)
            if first not in self._containers:
                is_there = self._may_hold(first)
                self._containers[first] = self._open(reader, first) if is_there else None
            container = self._containers[first]
            if container is not None and container.covers(path):
                return reader
        return None

    def _may_hold(self, first: EvidencePath) -> bool:
        """Whether a first file may be there. Many files have a name as a backup gives them: if
        ``find`` has to list all entries, and keeps the list, it must not be asked in vain."""
        if self._within.finds_quickly or CONTAINERS.named(first.name) is None:
            return True
        if self._named is None:
            self._named = set()
            with suppress(EvidenceError), translated():
                for entry in self._within.entries():
                    if isinstance(entry, EvidenceEntry) and CONTAINERS.named(entry.path.name):
                        self._named.add(entry.path)
        return first in self._named

    def opened(self, first: EvidencePath) -> Container | None:
        """Return the container that begins at a path, if it was opened already."""
        return self._containers.get(first)


def sibling(path: EvidencePath, name: str) -> EvidencePath:
    """Return the path of a file whose name begins with the same folders, in the same encoding."""
    raw = None
    if path.raw is not None:
        # Some programs write "\\" between folders; in no encoding here is it part of a letter.
        slash = b"/" if b"/" in path.raw else b"\\"
        folders = 0
        for ours, other in zip(path.name.split("/"), name.split("/")[:-1], strict=False):
            if ours != other:
                break
            folders += 1
        rest = "/".join(name.split("/")[folders:]).encode().replace(b"/", slash)
        raw = slash.join([*path.raw.split(slash)[:folders], rest])
    return replace(
        path, kind="file", name=name, raw=None if raw == name.encode() else raw, serial=0
    )


class PeekedFile:
    """Opens a file whose start was read: the first time with the same stream, until the walk goes
    on to the next file. A list of many files must not hold them all open."""

    def __init__(
        self,
        stream: BinaryIO,
        opener: Callable[[], BinaryIO],
        kind: FileKind | None,
        is_piece: bool,
        may_be_container: bool,
    ) -> None:
        self._stream: BinaryIO | None = stream
        self._opener = opener
        self._kind, self._is_piece = kind, is_piece
        self.may_be_container = may_be_container
        """Whether a reader may enter it."""

    def as_entry(self, entry: EvidenceEntry) -> EvidenceEntry:
        """Return the entry with what its first bytes tell."""
        kind = "" if self._kind is None else self._kind.name
        return replace(entry, open=self, kind=kind, is_piece=self._is_piece)

    def __call__(self) -> BinaryIO:
        stream, self._stream = self._stream, None
        return stream or self._opener()

    def release(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


@dataclass(frozen=True, slots=True)
class LostFile:
    """Opens a file that is not read again, because its reader was lost."""

    path: EvidencePath
    outcome: OutcomeReason
    limits: Limits

    def __call__(self) -> BinaryIO:
        raise ReaderLostError(self.path, self.outcome, self.limits)


class WatchedBytes:
    """Bytes that note each block that is read as progress."""

    def __init__(self, inner: Bytes, watch: Watch) -> None:
        self._inner, self._watch = inner, watch
        self.size = inner.size

    def read_at(self, offset: int, size: int) -> bytes:
        self._watch.reads(self, offset // CHUNK)
        return self._inner.read_at(offset, size)

    def close(self) -> None:
        self._inner.close()
