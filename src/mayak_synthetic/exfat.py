"""A new exFAT volume that holds given files, live and deleted.

Sections (§) are those of Microsoft's "exFAT file system specification", revision 1.00:
https://learn.microsoft.com/en-us/windows/win32/fileio/exfat-specification
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import PurePosixPath

SECTOR = 512
CLUSTER = 4096
"""Bytes; Microsoft's default for volumes up to 256 MiB."""
LABEL = "SYNTHETIC"
SERIAL_NUMBER = 0x20260301
UTC_OFFSET = timedelta(hours=9)
MODIFIED = datetime(2026, 3, 1, 9, 0, tzinfo=timezone(UTC_OFFSET))
"""Creation, change and access time of every file, by the clock of a phone in Korea."""

_ROOT = PurePosixPath()
_FIRST_CLUSTER = 2
_FREE = (1 << 20) // CLUSTER
"""Free clusters; they alone reach the minimum size of a volume, 1 MiB (§3.1.5)."""
_BOOT_SECTORS = 12
_BACKUPS = 2
"""Copies of the boot region (§2)."""
_FAT_SECTOR = _BOOT_SECTORS * _BACKUPS
_FAT_START = (0xFFFFFFF8, 0xFFFFFFFF)
_FAT_END = 0xFFFFFFFF
_VOLATILE = (106, 107, 112)
"""Bytes of the boot sector that change in use; its checksum skips them (§3.4)."""
_SET_CHECKSUM = (2, 3)
"""Offsets of the checksum in a directory entry set; it skips itself (§6.3.3)."""
_ALLOCATION_BITMAP, _UP_CASE_TABLE, _VOLUME_LABEL = 0x81, 0x82, 0x83
_FILE, _STREAM, _NAME = 0x85, 0xC0, 0xC1
_ENTRY = 32
_IN_USE = 0x80
_DIRECTORY, _ARCHIVE = 0x10, 0x20
_ALLOCATION_POSSIBLE, _NO_FAT_CHAIN = 1, 2
_STAMP = (
    (MODIFIED.year - 1980) << 25
    | MODIFIED.month << 21
    | MODIFIED.day << 16
    | MODIFIED.hour << 11
    | MODIFIED.minute << 5
    | MODIFIED.second // 2
)
"""Local time (§7.4.8)."""
_ZONE = 0x80 | UTC_OFFSET // timedelta(minutes=15)
"""The valid bit, and the offset from UTC in quarters of an hour (§7.4.10)."""
_NAME_BYTES = 30
_MAX_NAME_UNITS = 255
_FORBIDDEN = frozenset('"*/:<>?\\|').union(map(chr, range(32)))
"""§7.7.3, table 35."""
_TO_UPPER = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
_UP_CASE = struct.pack(
    "<130H", *(ord(chr(unit).translate(_TO_UPPER)) for unit in range(128)), 0xFFFF, 0x10000 - 128
)
"""The mandatory mappings; the rest of Unicode maps to itself, compressed (§7.2.5)."""


def volume(files: Mapping[str, bytes], deleted: Collection[str]) -> bytes:
    """Return the bytes of a volume that holds ``files``, by POSIX path, in any order.

    Those in ``deleted`` are as a phone leaves them: their directory entries are not in use and
    their clusters are free, but still hold the content. No file is fragmented.

    Raises:
        ValueError: exFAT cannot store a name, two names are equal for it, or a deleted file is not
            among ``files``.
    """
    gone = set(deleted)
    if missing := sorted(gone - files.keys()):
        raise ValueError(f"deleted, but not among the files: {', '.join(missing)}")
    heap = _Heap()
    listings = _Listings()
    for name in sorted(files):
        clusters = heap.place(files[name], used=name not in gone)
        entries = _entry_set(PurePosixPath(name).name, clusters, len(files[name]), _ARCHIVE)
        listings.add(PurePosixPath(name), _unused(entries) if name in gone else entries)
    folders = {folder for name in files for folder in PurePosixPath(name).parents}
    folders.discard(_ROOT)
    # The deepest first: a folder's entries name the clusters of those below.
    for folder in sorted(folders, key=lambda path: (-len(path.parts), path)):
        clusters = heap.place(listings.of(folder))
        size = len(clusters) * CLUSTER
        listings.add(folder, _entry_set(folder.name, clusters, size, _DIRECTORY))
    return _formatted(heap, listings.of(_ROOT))


class _Heap:
    """Clusters, allocated one after the other."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.used: list[bool] = []

    def place(self, content: bytes, *, used: bool = True) -> range:
        """Store ``content`` and return its clusters."""
        first = _FIRST_CLUSTER + len(self.used)
        self.data += _padded(content, CLUSTER)
        self.used += [used] * _pieces(len(content), CLUSTER)
        return range(first, _FIRST_CLUSTER + len(self.used))

    def overwrite(self, clusters: range, content: bytes) -> None:
        start = (clusters.start - _FIRST_CLUSTER) * CLUSTER
        self.data[start : start + len(content)] = content


class _Listings:
    """The directory entries of each folder, by up-cased name, which is unique (§7.7)."""

    def __init__(self) -> None:
        self._folders: dict[PurePosixPath, dict[str, bytes]] = defaultdict(dict)

    def add(self, path: PurePosixPath, entries: bytes) -> None:
        siblings = self._folders[path.parent]
        if (key := path.name.translate(_TO_UPPER)) in siblings:
            raise ValueError(f"{path}: its folder holds another file of that name")
        siblings[key] = entries

    def of(self, folder: PurePosixPath) -> bytes:
        return b"".join(self._folders[folder].values())


def _entry_set(name: str, clusters: range, size: int, attributes: int) -> bytes:
    """Return file, stream extension and file name entries (§7.4, §7.6, §7.7)."""
    units = name.encode("utf-16-le")
    length = len(units) // 2
    if name in (".", "..") or not 1 <= length <= _MAX_NAME_UNITS or _FORBIDDEN.intersection(name):
        raise ValueError(f"exFAT cannot store the name {name!r}")
    parts = [units[start : start + _NAME_BYTES] for start in range(0, len(units), _NAME_BYTES)]
    head = struct.pack(
        "<BB2xH2xIII2xBBB7x",
        *(_FILE, 1 + len(parts), attributes),
        *(_STAMP, _STAMP, _STAMP, _ZONE, _ZONE, _ZONE),
    )
    upper = name.translate(_TO_UPPER).encode("utf-16-le")
    # An empty file has neither a first cluster nor the flag of an unfragmented one (§6.3.4.2).
    flags, first = _ALLOCATION_POSSIBLE, 0
    if clusters:
        flags, first = flags | _NO_FAT_CHAIN, clusters.start
    stream = struct.pack(
        "<BBxBH2xQ4xIQ", _STREAM, flags, length, _checksum(upper, 16), size, first, size
    )
    entries = head + stream + b"".join(struct.pack("<Bx30s", _NAME, part) for part in parts)
    return entries[:2] + struct.pack("<H", _checksum(entries, 16, _SET_CHECKSUM)) + entries[4:]


def _unused(entries: bytes) -> bytes:
    """Return the entries after deletion: each is marked, nothing else changes (§6.2.1.4)."""
    return b"".join(
        bytes((entries[start] & ~_IN_USE,)) + entries[start + 1 : start + _ENTRY]
        for start in range(0, len(entries), _ENTRY)
    )


def _formatted(heap: _Heap, listing: bytes) -> bytes:
    """Return the volume around ``heap``; ``listing`` holds the entries of the root's files."""
    up_case = heap.place(_UP_CASE)
    count = len(heap.used) + _pieces(3 * _ENTRY + len(listing), CLUSTER) + _FREE
    # The bitmap has a bit for each of its own clusters too.
    count += _pieces(count, 8 * CLUSTER - 1)
    bitmap_size = _pieces(count, 8)
    bitmap = heap.place(bytes(bitmap_size))
    own = (
        struct.pack("<BB22s8x", _VOLUME_LABEL, len(LABEL), LABEL.encode("utf-16-le")),
        struct.pack("<B19xIQ", _ALLOCATION_BITMAP, bitmap.start, bitmap_size),
        struct.pack(
            "<B3xI12xIQ",
            *(_UP_CASE_TABLE, _checksum(_UP_CASE, 32), up_case.start, len(_UP_CASE)),
        ),
    )
    root = heap.place(b"".join(own) + listing)
    # Written last, when all clusters are allocated.
    heap.overwrite(bitmap, _bits(heap.used))
    # These three have no entry with the flag of an unfragmented file, so they need FAT chains.
    fat = _fat((up_case, bitmap, root), count)
    heap_sector = _pieces(_FAT_SECTOR * SECTOR + len(fat), CLUSTER) * CLUSTER // SECTOR
    boot = _boot_region(
        fat_sectors=len(fat) // SECTOR,
        heap_sector=heap_sector,
        clusters=count,
        root=root.start,
        percent=100 * sum(heap.used) // count,
    )
    front = (boot * _BACKUPS + fat).ljust(heap_sector * SECTOR, b"\0")
    return front + bytes(heap.data).ljust(count * CLUSTER, b"\0")


def _fat(chains: Iterable[range], count: int) -> bytes:
    """Return the file allocation table (§4.1), in whole sectors."""
    entries = [*_FAT_START, *[0] * count]
    for chain in chains:
        for cluster, after in pairwise(chain):
            entries[cluster] = after
        entries[chain[-1]] = _FAT_END
    return _padded(struct.pack(f"<{len(entries)}I", *entries), SECTOR)


def _boot_region(
    *, fat_sectors: int, heap_sector: int, clusters: int, root: int, percent: int
) -> bytes:
    """Return boot sector, extended boot sectors, parameters, reserve and checksum (§3)."""
    main = struct.pack(
        "<3s8s53xQQIIIIIIHHBBBBB7x390sH",
        b"\xeb\x76\x90",
        b"EXFAT   ",
        0,  # 0: the offset on the medium is not stated (§3.1.4)
        heap_sector + clusters * CLUSTER // SECTOR,
        _FAT_SECTOR,
        fat_sectors,
        heap_sector,
        clusters,
        root,
        SERIAL_NUMBER,
        0x0100,  # revision 1.00
        0,  # the first FAT, not dirty, no media failure
        SECTOR.bit_length() - 1,
        (CLUSTER // SECTOR).bit_length() - 1,
        1,  # one FAT
        0x80,
        percent,
        b"\xf4" * 390,  # halts a processor that boots from it (§3.1.19)
        0xAA55,
    )
    extended = struct.pack("<508xI", 0xAA550000)
    sectors = main + extended * 8 + bytes(2 * SECTOR)
    checksum = struct.pack("<I", _checksum(sectors, 32, _VOLATILE))
    return sectors + checksum * (SECTOR // len(checksum))


def _checksum(data: bytes, bits: int, skipped: Collection[int] = ()) -> int:
    """Add each byte to the sum rotated right by one bit (§3.4, §6.3.3, §7.2.2, §7.6.4)."""
    mask = (1 << bits) - 1
    total = 0
    for index, byte in enumerate(data):
        if index not in skipped:
            total = ((total >> 1 | total << bits - 1) + byte) & mask
    return total


def _bits(flags: list[bool]) -> bytes:
    """Return one bit per flag, the lowest first (§7.1.5)."""
    data = bytearray(_pieces(len(flags), 8))
    for index, flag in enumerate(flags):
        data[index // 8] |= flag << index % 8
    return bytes(data)


def _padded(data: bytes, unit: int) -> bytes:
    return data + bytes(-len(data) % unit)


def _pieces(size: int, unit: int) -> int:
    """Return how many units of that size hold ``size``."""
    return -(-size // unit)
