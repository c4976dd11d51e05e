"""FAT and exFAT: the time stamps of files as the volume stores them.

The Sleuth Kit (4.15) passes them through this machine's time zone, where an hour in spring does not
exist, and ignores the offsets from UTC that exFAT stores next to them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from mayak.evidence.base import wall_clock
from mayak.evidence.containers.tsk import FAULTS
from mayak.types import FileTimes

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
