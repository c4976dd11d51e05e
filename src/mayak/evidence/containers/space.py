"""Space of a volume that belongs to no file: free clusters, and the slack after files.

It is counted, by the file system's own records, and not read.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from mayak.evidence.containers import tsk
from mayak.evidence.containers.tsk import FAULTS, Tsk
from mayak.types import EvidenceEntry, Failure, Space

_CHUNK = 1 << 20
_NTFS_BITMAP = 6
"""Record of the file ``$Bitmap``."""
_MAX_RESIDENT = 700
"""Bytes of content that may be inside an NTFS record, which has no slack of its own."""
_MAX_TABLE = 1 << 30
"""Bytes of a table of clusters that are read: FAT32 has no larger one."""

Read = Callable[[int, int], bytes]
"""Returns bytes of a volume by offset and length."""


class VolumeSpace:
    """The space of one mounted volume."""

    def __init__(self, system: Tsk, partition: int, read: Read) -> None:
        """``partition``: bytes of the partition that the volume is in."""
        self._system, self._read = system, read
        self._is_ntfs = system.info.ftype == tsk.NTFS
        self._cluster = 0
        """Bytes that are allocated at once; 0 if that is not known."""
        with suppress(*FAULTS, struct.error, IndexError):
            self._cluster = _cluster_size(system, read)
        self._slack = 0
        stated = int(system.info.block_count) * int(system.info.block_size)
        self.size = min(stated, partition)
        self._rest = partition - self.size

    def add(self, entry: EvidenceEntry | Failure) -> None:
        """Count the slack of a file."""
        if isinstance(entry, EvidenceEntry) and not entry.is_deleted and self._cluster:
            is_resident = self._is_ntfs and entry.size <= _MAX_RESIDENT
            self._slack += 0 if is_resident else -entry.size % self._cluster

    def unexamined(self) -> Mapping[Space, int]:
        """Return the bytes that belong to no file. Reads the volume's table or bitmap."""
        free = _free_bytes(self._system, self._read)
        if free is None:
            return {"uncounted": self.size}
        return {"free": min(free, self.size), "slack": self._slack + self._rest}


def _cluster_size(system: Tsk, read: Read) -> int:
    if system.info.ftype not in tsk.FAT_TYPES:
        return int(system.info.block_size)
    boot = read(0, 512)
    if boot[3:8] == b"EXFAT":  # Microsoft's exFAT specification, 3.1.14 and 3.1.15
        return int(1 << min(boot[108] + boot[109], 25))
    return int(struct.unpack_from("<H", boot, 11)[0] * boot[13])


def _free_bytes(system: Tsk, read: Read) -> int | None:
    """Return the bytes of a volume's free clusters; None if that is not known."""
    kind = system.info.ftype
    with suppress(*FAULTS, struct.error, ValueError, ArithmeticError, IndexError):
        if kind == tsk.NTFS:
            return _ntfs(system)
        if kind in tsk.EXT_TYPES:
            return _ext(read)
        if kind in tsk.FAT_TYPES:
            boot = read(0, 512)
            return _exfat(boot, read) if boot[3:8] == b"EXFAT" else _fat(boot, read)
        if kind == tsk.HFS:
            return _hfs(read)
        if kind == tsk.ISO9660:
            return 0
    return None


def _ntfs(system: Tsk) -> int:
    file = system.open_meta(_NTFS_BITMAP)
    clusters = int(system.info.block_count)
    free = _zero_bits(lambda at, size: bytes(file.read_random(at, size)), 0, clusters)
    return free * int(system.info.block_size)


def _ext(read: Read) -> int:
    """By the superblock: https://docs.kernel.org/filesystems/ext4/globals.html"""
    block = read(1024, 1024)
    (low, power), (features,) = (
        struct.unpack_from("<L8xL", block, 12),
        struct.unpack_from("<L", block, 96),
    )
    high = struct.unpack_from("<L", block, 0x158)[0] if features & 0x80 else 0
    return int((high << 32 | low) << (10 + min(power, 6)))


def _hfs(read: Read) -> int:
    """By the volume header (Apple's TN1150)."""
    size, _, free = struct.unpack_from(">3L", read(1024, 512), 40)
    return int(size * free)


def _exfat(boot: bytes, read: Read) -> int | None:
    """By the allocation bitmap, which an entry of the root folder names (Microsoft's exFAT
    specification, 7.1)."""
    heap, clusters, root = struct.unpack_from("<3L", boot, 88)
    sector, cluster = 1 << min(boot[108], 12), 1 << min(boot[108] + boot[109], 25)

    def offset(number: int) -> int:
        return int(heap * sector + (number - 2) * cluster)

    folder = read(offset(root), cluster)
    for at in range(0, len(folder), 32):
        if folder[at] == 0x81:
            first = struct.unpack_from("<L", folder, at + 20)[0]
            return _zero_bits(read, offset(first), clusters) * cluster
    return None


def _fat(boot: bytes, read: Read) -> int:
    """By the first table (Microsoft's FAT specification, 3)."""
    sector, per_cluster, reserved, copies, entries, small, _, old = struct.unpack_from(
        "<HBHBHHBH", boot, 11
    )
    large, new = struct.unpack_from("<2L", boot, 32)
    table = old or new
    used = reserved + copies * table + -(-entries * 32 // sector)
    clusters = max(((small or large) - used) // per_cluster, 0)
    start = reserved * sector
    size = min(table * sector, _MAX_TABLE)
    if clusters < 4085:
        free = _zeros_of_12_bits(read(start, size), clusters)
    else:
        free = _zeros(read, start, clusters, "H" if clusters < 65525 else "I")
    return int(free * per_cluster * sector)


def _zeros(read: Read, start: int, clusters: int, code: str) -> int:
    """Count the entries of a table that are 0; the first cluster is number 2."""
    entry = array(code).itemsize
    free = 0
    for data in _chunks(read, start + 2 * entry, min(clusters * entry, _MAX_TABLE)):
        entries = array(code, data[: len(data) // entry * entry])
        if sys.byteorder == "big":
            entries.byteswap()
        free += entries.count(0)
    return free


def _zeros_of_12_bits(table: bytes, clusters: int) -> int:
    numbers = range(2, min(clusters + 2, len(table) * 2 // 3))
    pairs = ((n, int.from_bytes(table[n * 3 // 2 : n * 3 // 2 + 2], "little")) for n in numbers)
    return sum((pair >> 4 if n % 2 else pair & 0xFFF) == 0 for n, pair in pairs)


def _zero_bits(read: Read, start: int, count: int) -> int:
    """Count the zeros among the first bits of a bitmap."""
    size = min(-(-count // 8), _MAX_TABLE)
    used = seen = 0
    for data in _chunks(read, start, size):
        seen += len(data)
        bits = int.from_bytes(data, "little")
        if (beyond := seen * 8 - count) > 0:
            bits &= (1 << max(len(data) * 8 - beyond, 0)) - 1
        used += bits.bit_count()
    return max(min(count, seen * 8) - used, 0)


def _chunks(read: Read, start: int, size: int) -> Iterator[bytes]:
    for at in range(0, size, _CHUNK):
        if not (data := read(start + at, min(_CHUNK, size - at))):
            return
        yield data
