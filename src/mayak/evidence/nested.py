"""Files inside a source while a walk comes by: what may be a container, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

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
from mayak.evidence.containers.segments import numbered_pieces, open_pieces
from mayak.evidence.streams import CHUNK, IN_MEMORY, Bytes, FileBytes, Unpacked, translated
from mayak.i18n import msg
from mayak.signatures import FAR_HEAD, FileKind
from mayak.types import EvidenceEntry, EvidencePath, OutcomeReason

_PACKED_LAYERS = ("zip", "archive")
"""Containers whose members can only be read from their start on."""
_MAX_BLOCKS = 1 << 16


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

    def beside(self, name: str) -> ContainerFile | None:
        found = self.within.find(_beside(self.entry.path, name))
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
        file, parent = self.on_disk, self.path.parent
        # A disk is read where it is, so that bad sectors cost only the files that need them.
        if file is not None and (self.path.kind == "image" or len(numbered_pieces(file)) > 1):
            return WatchedBytes(open_pieces(file), self.watch)
        # Of small files a copy in memory keeps no file open.
        is_packed = parent is not None and parent.kind in _PACKED_LAYERS
        if not is_packed and self.entry.size > IN_MEMORY:
            return WatchedBytes(FileBytes(self.entry.open()), self.watch)
        with self.entry.open() as stream, translated():
            return Unpacked(stream, self._check)

    def _check(self, unpacked: int) -> None:
        self.watch.progress()
        if unpacked > self.limits.unpacked:
            reason = msg("is larger than {limit} bytes", limit=self.limits.unpacked)
            raise LimitExceededError(self.path, reason)


class OfSeveral:
    """The containers of several files among the entries of a container, opened when the first of
    their files is met."""

    def __init__(self, opened: Callable[[ContainerFormat, EvidencePath], Container | None]) -> None:
        self._open = opened
        self._containers: dict[EvidencePath, Container | None] = {}
        """By the path of their first file; None if that is not there or is none."""

    def covers(self, path: EvidencePath) -> bool:
        """Whether one of them yields this file under a name of its own."""
        for reader, name in first_files(path.name):
            first = replace(path, name=name, raw=None, serial=0)
            if first not in self._containers:
                self._containers[first] = self._open(reader, first)
            container = self._containers[first]
            if container is not None and container.covers(path):
                return True
        return False


def _beside(path: EvidencePath, name: str) -> EvidencePath:
    """Return the path of a file in the same folder."""
    folder, slash, _ = path.name.rpartition("/")
    return replace(path, kind="file", name=folder + slash + name, raw=None, serial=0)


class PeekedFile:
    """Opens a file whose start was read: the first time with the same stream, until the walk goes
    on to the next file. A list of many files must not hold them all open."""

    def __init__(
        self, stream: BinaryIO, opener: Callable[[], BinaryIO], kind: FileKind | None
    ) -> None:
        self._stream: BinaryIO | None = stream
        self._opener = opener
        self._kind = kind

    @property
    def unread(self) -> FileKind | None:
        """The kind of container that it is, if no reader enters it."""
        return self._kind if self._kind is not None and self._kind.layer is None else None

    @property
    def may_be_container(self) -> bool:
        """Whether a reader may enter it."""
        return self._kind is not None and self._kind.layer is not None

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
    """Bytes that a reader reads, which is progress if it has not read the same ones before."""

    def __init__(self, inner: Bytes, watch: Watch) -> None:
        self._inner, self._watch = inner, watch
        self.size = inner.size
        self._blocks: set[int] = set()

    def read_at(self, offset: int, size: int) -> bytes:
        block = offset // CHUNK
        if block not in self._blocks:
            if len(self._blocks) == _MAX_BLOCKS:
                self._blocks.clear()
            self._blocks.add(block)
            self._watch.progress()
        return self._inner.read_at(offset, size)

    def close(self) -> None:
        self._inner.close()
