"""One compressed file, as ``disk.dd.gz`` or ``picture.jpg.xz``, that may hold pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from mayak.evidence.base import (
    Container,
    ContainerFile,
    ContainerFormat,
    Limits,
    NotReadError,
    container_gap,
    from_unix_time,
)
from mayak.evidence.containers.compression import head_of, unpacked_copy
from mayak.evidence.streams import Bytes, stream_of
from mayak.signatures import (
    ALL,
    COMPRESSED,
    FAR_HEAD,
    HEAD,
    FileKind,
    Use,
)
from mayak.types import EvidenceEntry, EvidencePath, Failure, FileTimes, OutcomeReason

_DISKS = ("disk image", "partition table", "file system")


class CompressedContainer(Container):
    """The one file, unpacked to a temporary copy: what is in it is read in any order."""

    def __init__(
        self, data: Bytes, compression: FileKind, path: EvidencePath, limits: Limits
    ) -> None:
        """
        Raises:
            EvidenceError: it unpacks to too much, or the library for it is not installed.
        """
        self._path = path
        head = data.read_at(0, HEAD)
        self._copy, self._fault = unpacked_copy(data, compression, path, limits)
        # RFC 1952: the file's time, 0 if it is not known.
        seconds = int.from_bytes(head[4:8], "little") if compression.name == "gzip" else 0
        self._times = FileTimes(from_unix_time(seconds))
        name = path.name.rpartition("/")[2]
        stem, dot, extension = name.rpartition(".")
        self._name = stem if dot and f".{extension.lower()}" in compression.extensions else name

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        path = self._path.child("file", self._name)
        size = self._copy.size
        yield EvidenceEntry(path, size, partial(stream_of, self._copy.read_at, size), self._times)
        if self._fault is not None:
            reason = f"cannot be unpacked beyond {size} bytes: {self._fault}"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)

    def close(self) -> None:
        self._copy.close()


def _content(file: ContainerFile, compression: FileKind) -> FileKind | None:
    return ALL.identify(head_of(file, compression, FAR_HEAD))


def _may_hold_pictures(compression: FileKind, file: ContainerFile) -> bool:
    try:
        content = _content(file, compression)
    except NotReadError:  # nobody knows; ``_open`` names the library
        return True
    return content is None or content.use is not Use.NO_PICTURES


def _open(file: ContainerFile, path: EvidencePath, limits: Limits) -> Container | None:
    compression = COMPRESSED.identify(file.head)
    if compression is None:
        return None
    content = _content(file, compression)
    if content is not None and content.family in _DISKS:
        # Free space that was never written to packs to a thousandth and less.
        limits = replace(limits, ratio=limits.unpacked)
    return CompressedContainer(file.data(), compression, path, limits)


FORMAT = ContainerFormat(COMPRESSED.rows, _open, holds_files=_may_hold_pictures, layer="archive")
