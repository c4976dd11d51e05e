"""VMDK disk images: VMware's "Virtual Disk Format 5.0" (sparse, compressed and flat extents).

libvmdk, the other reader for Python, reads other bytes where a flat extent does not begin with its
file, or a sparse one does not end with a whole grain.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from mayak.evidence.base import ContainerFile, Medium, NotReadError
from mayak.evidence.containers.mapped import MappedBytes, RangeBytes, RecentBlocks, damaged
from mayak.evidence.containers.segments import missing_piece
from mayak.evidence.streams import Bytes, JoinedBytes
from mayak.i18n import msg
from mayak.signatures import CONVERT_QEMU, VMDK, VMDK_DESCRIPTOR
from mayak.types import EvidencePath

_SECTOR = 512
_MAX_DESCRIPTOR = 1 << 20
_HEADER = struct.Struct("<4xIIQQQQIQQ13xH")
"""Version, flags, capacity and grain size in sectors, offset and length of the descriptor, entries
of a grain table, offsets of the second and the first grain directory, compression."""
_FOOTER = 1024
"""The header's copy, from the end of a file that was written as a stream."""
_AT_END = (1 << 64) - 1
_ZERO_GRAINS, _COMPRESSED = 1 << 2, 1 << 16
_MAX_GRAIN = 4096
"""Sectors of a grain; VMware writes 128."""
_EXTENT = re.compile(
    r'^\s*(?:RW|RDONLY)\s+(\d{1,15})\s+(\w+)(?:\s+"([^"]*)"(?:\s+(\d{1,15}))?)?', re.MULTILINE
)
_PARENT = re.compile(r"^\s*parentCID\s*=\s*([0-9a-fA-F]{1,8})", re.MULTILINE)
_NO_PARENT = 0xFFFFFFFF
_LATER_EXTENT = re.compile(r"(.+)-(?:flat|[fs]\d{3,})(\.vmdk)", re.IGNORECASE)
_FLAT = ("FLAT", "VMFS")


class SparseExtent(MappedBytes):
    """The sectors inside a sparse extent, which may be compressed."""

    def __init__(self, data: Bytes) -> None:
        """Raises EvidenceError if it is damaged."""
        super().__init__(data)
        version, flags, capacity, grain, _, _, self._entries, _, directory, packing = (
            _HEADER.unpack(self._stored(0, _HEADER.size))
        )
        if directory == _AT_END:
            footer = self._stored(max(data.size - _FOOTER, 0), _FOOTER)
            if not VMDK.matches(footer):
                raise damaged(msg("lacks its footer: it is cut off"))
            directory = _HEADER.unpack_from(footer)[8]
        if version not in (1, 2, 3) or packing not in (0, 1):
            raise damaged(msg("states version {version}", version=version))
        if not 0 < grain <= _MAX_GRAIN or not 0 < self._entries <= 4096:
            raise damaged(msg("states grains of {grain} sectors", grain=grain))
        self.size = capacity * _SECTOR
        self._grain = grain * _SECTOR
        self._compressed, self._zeros = bool(flags & _COMPRESSED), bool(flags & _ZERO_GRAINS)
        count = -(-self.size // (self._grain * self._entries))
        if 4 * count > data.size:
            raise damaged(msg("states more than fits into it: {size} bytes", size=self.size))
        self._directory = self._table(directory, count)
        self._tables, self._unpacked = RecentBlocks(), RecentBlocks()

    def _table(self, sector: int, count: int) -> bytes:
        return self._stored(sector * _SECTOR, 4 * count)

    def _piece(self, offset: int, size: int) -> bytes:
        number, inside = divmod(offset, self._grain)
        size = min(size, self._grain - inside)
        sector = self._sector(number)
        if not sector or (self._zeros and sector == 1):
            return bytes(size)
        if not self._compressed:
            return self._stored(sector * _SECTOR + inside, size)
        content = self._unpacked.get(sector, lambda: self._decompressed(sector))
        content = content[inside : inside + size]
        if len(content) < size:
            raise damaged(msg("has a damaged compressed grain, at {place}", place=sector))
        return content

    def _sector(self, grain: int) -> int:
        """Return the sector where a grain is stored, 0 if it is not."""
        upper, lower = divmod(grain, self._entries)
        place = _number(self._directory, upper)
        if not place:
            return 0
        table = self._tables.get(place, lambda: self._table(place, self._entries))
        return _number(table, lower)

    def _decompressed(self, sector: int) -> bytes:
        (length,) = struct.unpack("<8xI", self._stored(sector * _SECTOR, 12))
        packed = self._data.read_at(sector * _SECTOR + 12, min(length, 2 * self._grain + 1024))
        try:
            return zlib.decompressobj().decompress(packed, self._grain)
        except zlib.error as exc:
            raise damaged(msg("has a damaged compressed grain, at {place}", place=sector)) from exc


def _number(table: bytes, index: int) -> int:
    """Return an entry of a table of numbers of 32 bits."""
    return int.from_bytes(table[4 * index : 4 * index + 4], "little")


class _Files(JoinedBytes):
    """All files of a disk one after the other: what is hashed as its source."""

    def __init__(self, files: Sequence[Bytes]) -> None:
        super().__init__(files)
        self.stored: dict[str, str] = {}


def open_vmdk(file: ContainerFile, path: EvidencePath) -> tuple[Bytes, Medium | None]:
    """Return the disk inside a VMDK and, if that is several files, the files.

    Raises:
        EvidenceError: an extent is missing or damaged, or is not read.
    """
    data = file.data()
    text = _descriptor(data)
    if not text:
        raise NotReadError(
            path,
            msg("is a VMDK disk image of several files, of which this is one"),
            msg("put all of them into one folder and give the text file that names them"),
        )
    parent = _PARENT.search(text)
    if parent is not None and int(parent[1], 16) != _NO_PARENT:
        what = msg("is a VMDK disk image that holds only changes to another, which is not read")
        raise NotReadError(path, what, CONVERT_QEMU)
    extents = _EXTENT.findall(text)
    if VMDK.matches(file.head):
        # It is its own extent. The descriptor may name it as it was called before.
        if len(extents) != 1 or extents[0][1] != "SPARSE":
            raise damaged(msg("names other extents than itself"))
        return SparseExtent(data), None
    if not extents:
        raise damaged(msg("names no extents"))
    files = {"": data}
    disk = JoinedBytes([_opened(extent, file, path, files) for extent in extents])
    return disk, _Files(list(files.values()))


def _descriptor(data: Bytes) -> str:
    """Return the text that names the extents, empty for an extent without it."""
    offset, length = 0, _MAX_DESCRIPTOR
    head = data.read_at(0, _HEADER.size)
    if VMDK.matches(head):
        offset, length = (_SECTOR * sectors for sectors in _HEADER.unpack(head)[4:6])
        if not offset:
            return ""
    text = data.read_at(offset, min(length, _MAX_DESCRIPTOR)).decode("utf-8", "replace")
    return text.strip("\0")


def _opened(
    extent: tuple[str, str, str, str],
    file: ContainerFile,
    path: EvidencePath,
    files: dict[str, Bytes],
) -> Bytes:
    """Open an extent; its file is added to ``files``."""
    sectors, kind, name, offset = extent
    size = int(sectors) * _SECTOR
    if kind not in (*_FLAT, "SPARSE"):
        what = msg("is a VMDK disk image with an extent {kind!r}, which is not read", kind=kind)
        raise NotReadError(path, what, CONVERT_QEMU)
    own = file.path.name.rpartition("/")[2]
    if not name or name in (own, ".", "..") or "/" in name or "\\" in name:
        raise damaged(msg("names {name!r} as an extent, which is not a file next to it", name=name))
    if name not in files:
        found = file.beside(name)
        if found is None:
            raise missing_piece(file.on_disk or Path(path.name), name)
        files[name] = found.data()
    if kind in _FLAT:
        return RangeBytes(files[name], int(offset or 0) * _SECTOR, size)
    inside = SparseExtent(files[name])
    if inside.size != size:
        raise damaged(msg("has another size than its extent {name!r}", name=name))
    return inside


def is_extent(file: ContainerFile) -> bool:
    """Whether a file next to this one names it as an extent of a VMDK."""
    name = file.path.name.rpartition("/")[2]
    match = _LATER_EXTENT.fullmatch(name)
    if match is None:
        return False
    first = file.beside(match[1] + match[2])
    if first is None or not VMDK_DESCRIPTOR.matches(first.head):
        return False
    return any(extent[2] == name for extent in _EXTENT.findall(_descriptor(first.data())))
