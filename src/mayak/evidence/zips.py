"""ZIP, read in place: its directory is gone through as it lies, however many members it lists."""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import zipfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import BinaryIO, cast

import numpy as np

from mayak.evidence.reader import RATIO_FLOOR, Limits, decode_name, failure, gap, moment
from mayak.evidence.streams import Bytes, guarded, stream_of, translated
from mayak.types import EvidenceItem, EvidencePath, Failure

ENCRYPTED = 0x1
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
AES = 99

# The records of PKWARE's APPNOTE 6.3, all numbers little-endian.
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_END_64_AT = struct.Struct("<4sLQL")
_MEMBER = struct.Struct("<4s4B4H3L5H2L")
_LOCAL = struct.Struct("<4s22x2H")
_LONGEST_COMMENT = 0xFFFF
_IN_EXTRA = 0xFFFFFFFF
"""What stands in a field that is too large for it: an extra field has the number."""


@dataclass(frozen=True, slots=True)
class _Member:
    """One entry of the directory."""

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
    """Of its own header, in the file."""
    extra: bytes


class ZipReader:
    """A ZIP's members, by its central directory."""

    def __init__(self, data: Bytes, path: EvidencePath, limits: Limits) -> None:
        """Raises EvidenceError for a directory that is not there or is damaged."""
        self._data = data
        self._path = path
        self._limits = limits
        self._unpacked = 0
        names = array("Q")
        with translated(path):
            self._start, self._length, self._before, self._stated = _directory(data)
            for member in self._members():
                # One that is refused by itself is not unpacked, and costs the others nothing.
                if not limits.too_much(member.size, member.packed):
                    self._unpacked += member.size
                names.append(_key(member))
        self._count = len(names)
        # Not the names themselves: there may be millions, and hardly one twice.
        keys, times = np.unique(np.frombuffer(names, dtype=np.uint64), return_counts=True)
        self._shared: frozenset[int] = frozenset(keys[times > 1].tolist())

    def items(self) -> Iterator[EvidenceItem | Failure]:
        if self._count > self._limits.members:
            reason = f"has {self._count} members, more than {self._limits.members}"
            yield gap(self._path, "LimitExceeded", reason)
            return
        # Members that overlap on disk unpack to far more than the archive could hold.
        if self._unpacked > max(RATIO_FLOOR, self._limits.ratio * self._data.size):
            yield gap(
                self._path,
                "LimitExceeded",
                f"{self._data.size} bytes claim to unpack to {self._unpacked}: taken for a bomb",
            )
            return
        seen: set[int] = set()
        with translated():
            for position, member in enumerate(self._members(), 1):
                name, raw = decode_name(member.name)
                again = False
                if self._shared and (key := _key(member)) in self._shared:
                    again = key in seen
                    seen.add(key)
                path = self._path.child("file", name, raw, position if again else 0)
                if not name.endswith("/"):
                    yield self._entry(member, path)
                elif member.size:
                    yield failure(path, "Damaged", "is named as a folder but has content")
        # Many write no more than the last 16 bits of it.
        if (self._count - self._stated) % 0x10000:
            reason = f"lists {self._count} members, of {self._stated} by its end record"
            yield gap(self._path, "Damaged", reason)

    def _members(self) -> Iterator[_Member]:
        stream = stream_of(self._data.read_at, self._length, self._start)
        while head := stream.read(_MEMBER.size):
            if len(head) < _MEMBER.size:
                raise zipfile.BadZipFile("its directory is cut off")
            mark, _, system, _, _, flags, method, time, date, *rest = _MEMBER.unpack(head)
            crc, packed, size, named, added, noted, _, _, attributes, offset = rest
            if mark != b"PK\x01\x02":
                raise zipfile.BadZipFile("its directory is damaged")
            name, extra = stream.read(named), stream.read(added)
            if len(name) + len(extra) < named + added:
                raise zipfile.BadZipFile("its directory is cut off")
            stream.seek(noted, io.SEEK_CUR)
            size, packed, offset = _large(extra, size, packed, offset)
            yield _Member(
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
                offset + self._before,
                extra,
            )

    def _entry(self, member: _Member, path: EvidencePath) -> EvidenceItem | Failure:
        # Only Unix writes a mode; elsewhere these bits mean something else.
        mode = member.attributes >> 16 if member.system == 3 else 0
        if stat.S_ISLNK(mode):
            return failure(path, "SymbolicLink", "is a symbolic link, which is not followed")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            return failure(path, "SpecialFile", "is a device, pipe or socket")
        if member.flags & ENCRYPTED or member.method == AES:
            return failure(path, "Encrypted", "is an encrypted ZIP member")
        if member.method not in METHODS:
            reason = f"uses ZIP compression method {member.method}, which is not read"
            return failure(path, "Unsupported", reason)
        if bomb := self._limits.too_much(member.size, member.packed):
            return failure(path, "LimitExceeded", bomb)
        modified = _utc(member.extra)
        zone_known = modified is not None
        return EvidenceItem(
            path,
            member.size,
            partial(self._open, member),
            modified=modified or _clock(member),
            zone_known=zone_known,
        )

    def _open(self, member: _Member) -> BinaryIO:
        with translated():
            inside = 0 <= member.offset < self._data.size
            head = self._data.read_at(member.offset, _LOCAL.size) if inside else b""
            if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
                raise zipfile.BadZipFile("its header is damaged")
            _, named, added = _LOCAL.unpack(head)
            start = member.offset + _LOCAL.size
            if self._data.read_at(start, named) != member.name:
                raise zipfile.BadZipFile("its header and the directory name it differently")
            info = zipfile.ZipInfo(decode_name(member.name)[0])
            info.compress_type, info.CRC = member.method, member.crc
            info.compress_size, info.file_size = member.packed, member.size
            packed = stream_of(self._data.read_at, member.packed, start + named + added)
            return guarded(cast(BinaryIO, zipfile.ZipExtFile(packed, "r", info)))

    def close(self) -> None:
        return None


def _directory(data: Bytes) -> tuple[int, int, int, int]:
    """Where the directory begins in the file, its bytes, the bytes that lie before the ZIP (less
    than 0 where its first ones are missing), and how many members it says to have.

    Raises BadZipFile.
    """
    tail_at = max(0, data.size - _END.size - _LONGEST_COMMENT)
    tail = data.read_at(tail_at, data.size - tail_at)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise zipfile.BadZipFile("it has no directory")
    end = tail_at + at
    *_, stated, length, offset, _ = _END.unpack_from(tail, at)
    large_at = end - _END_64_AT.size - _END_64.size
    locator = data.read_at(end - _END_64_AT.size, _END_64_AT.size) if large_at >= 0 else b""
    if locator.startswith(b"PK\x06\x07"):
        # Where it says, or right before where something was put in front of the ZIP.
        for place in (_END_64_AT.unpack(locator)[2], large_at):
            record = data.read_at(place, _END_64.size) if place < data.size else b""
            if len(record) == _END_64.size and record.startswith(b"PK\x06\x06"):
                *_, stated, length, offset = _END_64.unpack(record)
                end = place
                break
    if length > end:
        raise zipfile.BadZipFile("its directory lies outside of it")
    return end - length, length, end - length - offset, stated


def _key(member: _Member) -> int:
    """A hash of a member's name, as it is read."""
    digest = hashlib.blake2b(decode_name(member.name)[0].encode(), digest_size=8)
    return int.from_bytes(digest.digest())


def _large(extra: bytes, *fields: int) -> Iterator[int]:
    """Size, packed size and offset, from the ZIP64 extra field where they are too large."""
    body = next((body for kind, body in _fields(extra) if kind == 0x0001), b"")
    numbers = iter(struct.unpack_from(f"<{len(body) // 8}Q", body))
    for field in fields:
        yield next(numbers, field) if field == _IN_EXTRA else field


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, offset)
        yield kind, extra[offset + 4 : offset + 4 + size]
        offset += 4 + size


def _clock(member: _Member) -> datetime | None:
    """The time by a clock of an unknown zone, in steps of 2 s; None for days that never were."""
    time, date = member.time, member.date
    try:
        return datetime(
            (date >> 9) + 1980,
            date >> 5 & 0xF,
            date & 0x1F,
            time >> 11,
            time >> 5 & 0x3F,
            (time & 0x1F) * 2,
            tzinfo=UTC,
        )
    except ValueError:
        return None


def _utc(extra: bytes) -> datetime | None:
    """The modification time of an extended-timestamp or NTFS extra field, which are UTC."""
    for kind, body in _fields(extra):
        if kind == 0x5455 and len(body) >= 5 and body[0] & 1:
            return moment(struct.unpack_from("<i", body, 1)[0])
        if kind == 0x000A and len(body) >= 16 and body[4:6] == b"\x01\0":
            # 100 ns since 1601.
            return moment(struct.unpack_from("<Q", body, 8)[0] / 1e7 - 11_644_473_600)
    return None
