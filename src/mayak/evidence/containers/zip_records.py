"""The records of a ZIP file, as PKWARE's APPNOTE 6.3 defines them; all numbers little-endian."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from mayak.evidence.base import decode_name, from_unix_time, wall_clock
from mayak.evidence.streams import Bytes, stream_of
from mayak.types import FileTimes

ENCRYPTED = 0x1
DESCRIBED = 0x8
"""A flag: sizes and checksum follow the content, and may be missing before it."""

END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
END_64_LOCATOR = struct.Struct("<4sLQL")
MEMBER = struct.Struct("<4s4B4H3L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")
LONGEST_DESCRIPTOR = 24
_LONGEST_COMMENT = 0xFFFF
_PACKED_NOTHING = 32
"""Bytes that a method may need to pack nothing: 2 of Deflate, 14 of bzip2, some more of LZMA."""
_IN_EXTRA = 0xFFFFFFFF
"""The value of a field that is too small for its number; the number is in an extra field."""
_ZIP64, _EXTENDED_TIMESTAMP, _NTFS, _OLD_UNIX = 0x0001, 0x5455, 0x000A, 0x5855


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of the central directory, or one local header."""

    name: bytes
    system: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    size: int
    attributes: int
    offset: int
    """Of its local header, in the file or, if that is split, in all pieces joined."""
    extra: bytes

    @property
    def has_content(self) -> bool:
        return self.size > 0 or self.packed > _PACKED_NOTHING

    @property
    def end(self) -> int:
        """The end of its packed bytes, if its extra field is as long in its local header."""
        return self.offset + LOCAL.size + len(self.name) + len(self.extra) + self.packed

    @property
    def text(self) -> str:
        """Its name, decoded."""
        return decode_name(self.name)[0]

    def times(self) -> FileTimes:
        stated = _stated_times(self.extra)
        if stated is not None:
            return stated
        return FileTimes(wall_clock(self.date, self.time), zone_known=False)


@dataclass(frozen=True, slots=True)
class Directory:
    """Where a central directory is, and what its end record states."""

    start: int
    length: int
    before: int
    """Bytes in front of the ZIP; negative if its first ones are missing."""
    stated: int
    """Number of members by the end record."""
    records: tuple[tuple[int, int], ...]
    """Start and end of the directory and of each of its end records."""
    disks: tuple[int, ...] = (0,)
    """Offsets of the pieces of a split ZIP; what others state of disks is ignored."""


def number_of_disks(data: Bytes) -> int:
    """Return of how many pieces the ZIP that ends here states to be the last one."""
    tail = data.read_at(max(0, data.size - END.size - _LONGEST_COMMENT), data.size)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < END.size:
        return 1
    number = int(END.unpack_from(tail, at)[1]) + 1
    locator = tail[max(0, at - END_64_LOCATOR.size) : at]
    if number == 0x10000 and locator.startswith(b"PK\x06\x07"):
        number = int(END_64_LOCATOR.unpack(locator)[3])
    return number


def last_directory(data: Bytes, low: int, high: int, disks: tuple[int, ...] = (0,)) -> Directory:
    """Find the last central directory between two offsets. Raises BadZipFile."""
    tail_at = max(low, high - END.size - _LONGEST_COMMENT)
    tail = data.read_at(tail_at, high - tail_at)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < END.size:
        raise zipfile.BadZipFile("it has no directory")
    end = tail_at + at
    _, _, disk, _, stated, length, offset, comment = END.unpack_from(tail, at)
    # No comment begins as a member does.
    comment = 0 if tail.startswith(b"PK\x03\x04", at + END.size) else comment
    records = [(end, min(end + END.size + comment, high))]
    large_at = end - END_64_LOCATOR.size - END_64.size
    locator = (
        data.read_at(end - END_64_LOCATOR.size, END_64_LOCATOR.size) if large_at >= low else b""
    )
    if locator.startswith(b"PK\x06\x07"):
        records.append((end - END_64_LOCATOR.size, end))
        # At the offset that it states, or right before it if bytes were put in front of the ZIP.
        for position in (END_64_LOCATOR.unpack(locator)[2], large_at):
            record = data.read_at(position, END_64.size) if low <= position < high else b""
            if len(record) == END_64.size and record.startswith(b"PK\x06\x06"):
                _, more, _, _, _, disk, _, stated, length, offset = END_64.unpack(record)
                records.append((position, min(position + 12 + more, end)))
                end = position
                break
    if length > end - low:
        raise zipfile.BadZipFile("its directory is outside of it")
    start = end - length
    before = start - _from_start(disks, disk, offset)
    return Directory(start, length, before, stated, (*records, (start, end)), disks)


def _from_start(disks: tuple[int, ...], disk: int, offset: int) -> int:
    """Return an offset in a piece as one in all of them."""
    return offset + (disks[disk] if disk < len(disks) else 0)


def members_of(data: Bytes, directory: Directory) -> Iterator[Member]:
    """Yield the entries of a central directory, one at a time. Raises BadZipFile."""
    stream = stream_of(data.read_at, directory.length, directory.start)
    while head := stream.read(MEMBER.size):
        if len(head) < MEMBER.size:
            raise zipfile.BadZipFile("its directory is cut off")
        mark, _, system, _, _, flags, method, time, date, *rest = MEMBER.unpack(head)
        crc, packed, size, name_length, extra_length, comment, disk, _, attributes, offset = rest
        if mark != b"PK\x01\x02":
            raise zipfile.BadZipFile("its directory is damaged")
        name, extra = stream.read(name_length), stream.read(extra_length)
        if len(name) + len(extra) < name_length + extra_length:
            raise zipfile.BadZipFile("its directory is cut off")
        stream.seek(comment, io.SEEK_CUR)
        size, packed, offset = with_zip64(extra, size, packed, offset)
        if method == zipfile.ZIP_STORED and not flags & ENCRYPTED:
            size = max(size, packed)  # so many bytes are there, even if the entry states less
        yield Member(
            name,
            system,
            flags,
            method,
            time,
            date,
            crc,
            packed,
            size,
            attributes,
            _from_start(directory.disks, disk, offset) + directory.before,
            extra,
        )


def descriptor_length(found: bytes, packed: int) -> int:
    """Return the length of the data descriptor at the start of bytes that follow this many packed
    ones; 0 if there is none.

    It is the checksum, the packed and the unpacked size, these of 4 or 8 bytes each, mostly after
    a mark.
    """
    mark = 4 if found.startswith(b"PK\x07\x08") else 0
    for form, length in (("<4xQ", 20), ("<4xL", 12)):
        if len(found) >= mark + length and struct.unpack_from(form, found, mark)[0] == packed:
            return mark + length
    return 0


def with_zip64(extra: bytes, *fields: int) -> Iterator[int]:
    """Yield size, packed size and offset, from the ZIP64 extra field if they are too large."""
    body = extra_field(extra, _ZIP64)
    numbers = iter(struct.unpack_from(f"<{len(body) // 8}Q", body))
    for field in fields:
        yield next(numbers, field) if field == _IN_EXTRA else field


def extra_field(extra: bytes, wanted: int) -> bytes:
    """Return the content of an extra field; empty if there is none of this number."""
    return next((body for kind, body in _extra_fields(extra) if kind == wanted), b"")


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, offset)
        yield kind, extra[offset + 4 : offset + 4 + size]
        offset += 4 + size


def _stated_times(extra: bytes) -> FileTimes | None:
    """Return the times of extra fields that state UTC; None if none states a modification time.

    APPNOTE 4.5.5 (NTFS) and Info-ZIP's "proginfo/extrafld.txt" (0x5455, 0x5855). In a directory
    0x5455 holds no other time than that of modification, whatever its flags are.
    """
    found = [times for kind, body in _extra_fields(extra) if (times := _times_of(kind, body))]
    return max(found, key=lambda times: times.created is not None, default=None)


def _times_of(kind: int, body: bytes) -> FileTimes | None:
    times: list[datetime | None] = []
    if kind == _EXTENDED_TIMESTAMP and body[:1] and body[0] & 1:
        numbers = struct.unpack_from(f"<{min((len(body) - 1) // 4, 3)}l", body, 1)
        flagged = iter(numbers)
        times = [
            from_unix_time(next(flagged, 0)) if body[0] >> bit & 1 else None for bit in range(3)
        ]
    elif kind == _NTFS and len(body) >= 32 and body[4:8] == b"\x01\0\x18\0":
        # 100 ns since 1601.
        times = [_filetime(number) for number in struct.unpack_from("<3Q", body, 8)]
    elif kind == _OLD_UNIX and len(body) >= 8:
        accessed, modified = struct.unpack_from("<2l", body)
        times = [from_unix_time(modified), from_unix_time(accessed), None]
    if not times or times[0] is None:
        return None
    modified, accessed, created = times
    return FileTimes(modified, created, accessed)


def _filetime(number: int) -> datetime | None:
    """Return the UTC of a number of 100 ns since 1601; None for 0, which means unknown."""
    seconds, rest = divmod(number, 10**7)
    return from_unix_time(seconds - 11_644_473_600, rest * 100) if number else None
