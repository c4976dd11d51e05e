"""One compressed file, as ``disk.dd.gz`` or ``picture.jpg.xz``, that may hold pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import PurePath

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
    IMAGE_EXTENSIONS,
    KINDS,
    FileKind,
    KindTable,
    Use,
)
from mayak.types import EvidenceEntry, EvidencePath, Failure, FileTimes, OutcomeReason

_FAMILIES = ("disk image", "partition table", "file system")
_DISKS = KindTable(tuple(kind for kind in KINDS if kind.family in _FAMILIES))


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
        self._name = _inner_name(path, compression)

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        path = self._path.child("file", self._name)
        size = self._copy.size
        yield EvidenceEntry(path, size, partial(stream_of, self._copy.read_at, size), self._times)
        if self._fault is not None:
            reason = f"cannot be unpacked beyond {size} bytes: {self._fault}"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)

    def close(self) -> None:
        self._copy.close()


def _inner_name(path: EvidencePath, compression: FileKind) -> str:
    name = path.name.rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    return stem if dot and f".{extension.lower()}" in compression.extensions else name


def _may_hold_pictures(compression: FileKind, file: ContainerFile) -> bool:
    # Some formats of images, and damaged ones, are known by their names only.
    if PurePath(_inner_name(file.path, compression)).suffix.lower() in IMAGE_EXTENSIONS:
        return True
    try:
        content = ALL.identify(head_of(file, compression, FAR_HEAD))
    except NotReadError:  # nobody knows; ``_open`` names the library
        return True
    return content is None or content.use is not Use.NO_PICTURES


def _open(file: ContainerFile, path: EvidencePath, limits: Limits) -> Container | None:
    compression = COMPRESSED.identify(file.head)
    if compression is None:
        return None
    if _DISKS.identify(head_of(file, compression, FAR_HEAD)) is not None:
        # Free space that was never written to packs to a thousandth and less.
        limits = replace(limits, ratio=limits.unpacked)
    return CompressedContainer(file.data(), compression, path, limits)


FORMAT = ContainerFormat(COMPRESSED.rows, _open, holds_files=_may_hold_pictures, layer="archive")
