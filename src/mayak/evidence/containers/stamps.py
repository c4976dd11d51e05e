"""Time stamps of FAT, exFAT and ISO 9660 as the volume stores them.

The Sleuth Kit (4.15) passes them through this machine's time zone, where an hour in spring does not
exist, and ignores the offsets from UTC that exFAT and ISO 9660 store next to them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from mayak.evidence.base import wall_clock
from mayak.evidence.containers.tsk import FAULTS, Tsk
from mayak.types import NO_TIMES, FileTimes

Read = Callable[[int, int], bytes]
"""Returns bytes of the volume by offset and size."""

_ENTRY = 32
_READ_AHEAD = 4096
_FIRST_RECORD = 3
"""The Sleuth Kit numbers the directory entries of FAT and exFAT from here on, by their position
after the first data sector (``FATFS_FIRST_NORMINO`` in its ``tsk_fatfs.h``)."""
_FILE, _STREAM = 0x05, 0x40
"""Types of exFAT's directory entries, without the bit that marks them as in use."""
_QUARTER = timedelta(minutes=15)

_SECTOR = 2048
_MOST_RECORDS = 64 << 20
"""Bytes of one folder of ISO 9660 that are read."""
_MOST_CONTINUED = 8
_RECORD = 33


class FatStamps:
    """The time stamps in the directory entries of FAT and exFAT.

    Fields: Microsoft's "FAT32 File System Specification" 1.03 (section "FAT Directory Structure")
    and "exFAT file system specification" 1.00, §7.4 and §7.6.
    """

    def __init__(self, read: Read, sector: int, *, exfat: bool) -> None:
        """``sector``: bytes of one."""
        self._read, self._exfat = read, exfat
        self._data = self._data_start(sector)
        self._known = 0, b""
        """The bytes that were read last, and their offset."""

    def times(self, number: int, size: int) -> FileTimes | None:
        """Return the times of the file with this record number and size in bytes; None if its
        directory entry is not where it should be."""
        if self._data is None or number < _FIRST_RECORD:
            return None
        entries = self._at(self._data + (number - _FIRST_RECORD) * _ENTRY)
        if len(entries) < _ENTRY:
            return None
        return _exfat_times(entries, size) if self._exfat else _fat_times(entries, size)

    def _at(self, offset: int) -> bytes:
        """Return a directory entry and, if it is at hand, the one after it."""
        start, found = self._known
        if not start <= offset <= start + len(found) - 2 * _ENTRY:
            found = b""
            with suppress(*FAULTS):
                found = self._read(offset, _READ_AHEAD)
            start, self._known = offset, (offset, found)
        return found[offset - start :][: 2 * _ENTRY]

    def _data_start(self, sector: int) -> int | None:
        """Return the offset of the first directory entry, by the boot sector or its copy."""
        for boot_at in (0, 12 * sector if self._exfat else 6 * sector):
            boot = b""
            with suppress(*FAULTS):
                boot = self._read(boot_at, 512)
            if len(boot) < 512 or boot[510:] != b"\x55\xaa":
                continue
            if self._exfat:
                return int.from_bytes(boot[88:92], "little") * sector
            reserved, tables = struct.unpack_from("<HB", boot, 14)
            length = int.from_bytes(boot[22:24], "little") or int.from_bytes(boot[36:40], "little")
            return int(reserved + tables * length) * sector
        return None


def _fat_times(entry: bytes, size: int) -> FileTimes | None:
    tenths, time, date, accessed, modified_time, modified = struct.unpack_from(
        "<BHHH2xHH", entry, 13
    )
    if int.from_bytes(entry[28:32], "little") != size:
        return None
    return FileTimes(
        modified=wall_clock(modified, modified_time),
        created=wall_clock(date, time, tenths),
        accessed=wall_clock(accessed, 0),  # a date without a time of day
        zone_known=False,
    )


def _exfat_times(entries: bytes, size: int) -> FileTimes | None:
    if entries[0] & 0x7F != _FILE:
        return None
    stream = entries[_ENTRY:]
    if len(stream) == _ENTRY and (
        stream[0] & 0x7F != _STREAM or int.from_bytes(stream[24:32], "little") != size
    ):
        return None
    values = struct.unpack_from("<6HBBBBB", entries, 8)
    zones = values[8:]
    clocks = [
        wall_clock(values[1], values[0], values[6]),
        wall_clock(values[3], values[2], values[7]),
        wall_clock(values[5], values[4]),
    ]
    # One without an offset makes all of them what they are without one: a clock of unknown zone.
    zone_known = all(zone & 0x80 for zone, clock in zip(zones, clocks, strict=True) if clock)
    if zone_known:
        # A signed number of 7 bits.
        offsets = ((zone & 0x3F) - (zone & 0x40) for zone in zones)
        clocks = [
            clock and clock - quarters * _QUARTER
            for clock, quarters in zip(clocks, offsets, strict=True)
        ]
    created, modified, accessed = clocks
    return FileTimes(modified, created, accessed, zone_known=zone_known)


class IsoStamps:
    """The time stamps in the directory records of ISO 9660, with those of Rock Ridge.

    Fields: ECMA-119 §9.1 and §8.4.26.1; IEEE P1281 (System Use Sharing Protocol) 1.12 §5.1 and
    P1282 (Rock Ridge) 1.12 §4.1.6.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._skipped = 0
        """Bytes before the fields of Rock Ridge in each record."""
        self._times: dict[int, FileTimes] = {}
        """Of the files of one folder, by the block where the content begins."""

    def enter(self, folder: Tsk, *, is_root: bool) -> None:
        """Read the records of a folder. Raises OSError or RuntimeError."""
        self._times = {}
        size = min(int(folder.info.meta.size), _MOST_RECORDS)
        for record in _records(folder.read_random(0, size) if size else b""):
            fields = record[_RECORD + record[32] + (not record[32] & 1) :]
            if is_root and record[32:34] == b"\1\0" and fields[:2] == b"SP" and len(fields) >= 7:
                self._skipped = fields[6]
            times = self._of_record(record, fields[self._skipped :])
            block = int.from_bytes(record[2:6], "little")
            # Two names of one content are one file to the Sleuth Kit: whose times are meant?
            if self._times.setdefault(block, times) != times:
                self._times[block] = NO_TIMES

    def times(self, file: Tsk) -> FileTimes:
        """Return the times of a file of the folder. Raises OSError or RuntimeError."""
        block = next((int(run.addr) for attribute in file for run in attribute), None)
        return NO_TIMES if block is None else self._times.get(block, NO_TIMES)

    def _of_record(self, record: bytes, fields: bytes) -> FileTimes:
        recorded = _short_stamp(record[18:25])
        for field in self._system_use(fields):
            if field[:2] == b"TF" and len(field) >= 5:
                created, modified, accessed, changed = _rock_ridge_times(field)
                return FileTimes(modified or recorded, created, accessed, changed)
        return FileTimes(recorded)

    def _system_use(self, fields: bytes) -> Iterator[bytes]:
        """Yield the fields after a record, and those of the areas in which it is continued."""
        for _ in range(_MOST_CONTINUED):
            more = b""
            while len(fields) >= 4 and 4 <= fields[2] <= len(fields):
                field, fields = fields[: fields[2]], fields[fields[2] :]
                if field[:2] == b"CE" and len(field) >= 28:
                    block, offset, length = struct.unpack_from("<L4xL4xL", field, 4)
                    with suppress(*FAULTS):
                        at = block * _SECTOR + offset
                        more = self._read(at, min(length, _SECTOR))
                yield field
            if not more:
                return
            fields = more


def _records(data: bytes) -> Iterator[bytes]:
    """Yield the directory records of a folder; none crosses the end of a sector."""
    offset = 0
    while offset < len(data):
        length = data[offset]
        if length <= _RECORD:
            offset = (offset // _SECTOR + 1) * _SECTOR
            continue
        record = data[offset : offset + length]
        if len(record) == length and _RECORD + record[32] <= length:
            yield record
        offset += length


def _rock_ridge_times(field: bytes) -> list[datetime | None]:
    """Return created, modified, accessed and changed of a field ``TF``."""
    flags, at = field[4], 5
    length, parse = (17, _long_stamp) if flags & 0x80 else (7, _short_stamp)
    found: list[datetime | None] = []
    for bit in range(4):
        stamp = b""
        if flags >> bit & 1:
            stamp, at = field[at : at + length], at + length
        found.append(parse(stamp) if len(stamp) == length else None)
    return found


def _short_stamp(stamp: bytes) -> datetime | None:
    year, month, day, hour, minute, second, quarters = struct.unpack("<6Bb", stamp)
    return _utc((1900 + year, month, day, hour, minute, second), quarters)


def _long_stamp(stamp: bytes) -> datetime | None:
    digits, quarters = stamp[:16], int.from_bytes(stamp[16:], "little", signed=True)
    if not digits.isdigit():
        return None
    places = ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))
    return _utc(tuple(int(digits[start:end]) for start, end in places), quarters)


def _utc(fields: tuple[int, ...], quarters: int) -> datetime | None:
    """Return the UTC of a clock that is so many quarters of an hour ahead of it; None for what is
    not a time, and for the zeros of a missing one."""
    with suppress(ValueError, OverflowError):
        year, month, day, hour, minute, second = fields
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC) - quarters * _QUARTER
    return None
