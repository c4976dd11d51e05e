"""ISO 9660: names and time stamps of files as the disc stores them.

The Sleuth Kit (4.15) passes the time stamps through this machine's time zone, ignores their offsets
from UTC, and reads neither the names nor the times of Rock Ridge.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from mayak.evidence.containers.tsk import FAULTS, Tsk
from mayak.types import NO_TIMES, FileTimes

Read = Callable[[int, int], bytes]
"""Returns bytes of the volume by offset and size."""

_QUARTER = timedelta(minutes=15)
_SECTOR = 2048
_MOST_RECORDS = 64 << 20
"""Bytes of one folder that are read."""
_MOST_AREAS, _MOST_READ = 8, 100_000
"""Areas in which one record is continued, and those that are read of one folder."""
_LONGEST_NAME = 1024
_RECORD = 33


class DirectoryRecords:
    """The directory records of a folder, with names and time stamps of Rock Ridge.

    Fields: ECMA-119 §9.1 and §8.4.26.1; IEEE P1281 (System Use Sharing Protocol) 1.12 §5.1 and
    P1282 (Rock Ridge) 1.12 §4.1.4 and §4.1.6.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._skipped = 0
        """Bytes before the fields of Rock Ridge in each record."""
        self._times: dict[int, FileTimes] = {}
        """Of the files of one folder, by the block where the content begins."""
        self._names: dict[bytes, bytes] = {}
        """Of Rock Ridge, by those of ISO 9660."""
        self._n_read = 0

    def enter(self, folder: Tsk, *, is_root: bool) -> None:
        """Read the records of a folder. Raises OSError or RuntimeError."""
        self._times, self._names, self._n_read = {}, {}, 0
        size = min(int(folder.info.meta.size), _MOST_RECORDS)
        for record in _records(folder.read_random(0, size) if size else b""):
            area = record[_RECORD + record[32] + (not record[32] & 1) :]
            if is_root and record[32:34] == b"\1\0" and area[:2] == b"SP" and len(area) >= 7:
                self._skipped = area[6]
            fields = list(self._system_use(area[self._skipped :]))
            if name := _rock_ridge_name(fields):
                self._names[_plain(record[_RECORD : _RECORD + record[32]])] = name
            times = _times(record, fields)
            block = int.from_bytes(record[2:6], "little")
            # Two names of one content are one file to the Sleuth Kit: whose times are meant?
            if self._times.setdefault(block, times) != times:
                self._times[block] = NO_TIMES

    def times(self, file: Tsk) -> FileTimes:
        """Return the times of a file of the folder. Raises OSError or RuntimeError."""
        block = next((int(run.addr) for attribute in file for run in attribute), None)
        return NO_TIMES if block is None else self._times.get(block, NO_TIMES)

    def name(self, stored: bytes) -> bytes:
        """Return the name of a file by that which the Sleuth Kit lists."""
        return self._names.get(_plain(stored), stored)

    def _system_use(self, fields: bytes) -> Iterator[bytes]:
        """Yield the fields after a record, and those of the areas in which it is continued."""
        for _ in range(_MOST_AREAS):
            more = b""
            while len(fields) >= 4 and 4 <= fields[2] <= len(fields):
                field, fields = fields[: fields[2]], fields[fields[2] :]
                if field[:2] == b"CE" and len(field) >= 28 and self._n_read < _MOST_READ:
                    self._n_read += 1
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


def _plain(name: bytes) -> bytes:
    """Return a name of ISO 9660 without its version, as the Sleuth Kit lists it."""
    return name.partition(b";")[0].rstrip(b".")


def _rock_ridge_name(fields: list[bytes]) -> bytes:
    """Return the name in the fields ``NM`` of a record; empty if there is none that a file may
    have."""
    parts = [field for field in fields if field[:2] == b"NM" and len(field) >= 5]
    name = b"".join(field[5:] for field in parts)
    if any(field[4] & 0x6 for field in parts) or name in (b".", b".."):
        return b""
    is_name = len(name) <= _LONGEST_NAME and b"/" not in name and b"\0" not in name
    return name if is_name else b""


def _times(record: bytes, fields: list[bytes]) -> FileTimes:
    recorded = _short_stamp(record[18:25])
    for field in fields:
        if field[:2] == b"TF" and len(field) >= 5:
            created, modified, accessed, changed = _rock_ridge_times(field)
            return FileTimes(modified or recorded, created, accessed, changed)
    return FileTimes(recorded)


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
