"""ZIP, read in place: its directory is gone through as it lies, however many members it lists.

What lies in the file beside that directory and its members is accounted for too: members that it
does not name are listed under ``UNLISTED``, and of other bytes it is said how many there are.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
import struct
import zipfile
import zlib
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import BinaryIO, cast

import numpy as np

from mayak.evidence.reader import RATIO_FLOOR, Limits, decode_name, failure, gap, moment
from mayak.evidence.streams import BUFFER, CHUNK, Bytes, guarded, stream_of, translated
from mayak.types import EvidenceEntry, EvidencePath, Failure, FileTimes

ENCRYPTED = 0x1
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
AES = 99
_DESCRIBED = 0x8
"""A flag: sizes and checksum stand behind the content, and need not before it."""
_WITH_BACKSLASH = {3, 19}
"""Systems on which a file's name may hold a backslash: Unix and macOS, as APPNOTE 4.4.2.2 numbers
the system that an entry was made on."""
UNLISTED = "[unlisted]/"
"""Stands before the name of a member that no entry of the ZIP's directory names."""

# The records of PKWARE's APPNOTE 6.3, all numbers little-endian.
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_END_64_AT = struct.Struct("<4sLQL")
_MEMBER = struct.Struct("<4s4B4H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_LONGEST_COMMENT = 0xFFFF
_LONGEST_TARGET = 4096
"""Bytes of a path on Linux, and so of the content that makes a symbolic link."""
_SIGNING = b"APK Sig Block 42"
_PACKED_NOTHING = 32
"""Bytes that a method may need to pack nothing: 2 of Deflate, 14 of bzip2, some more of LZMA."""
_LEAST = 64
"""Bytes beside all members from which on they are looked at. Fewer hold no picture: a header, a
name and the smallest of images take more. Where exactly a member ends, its own header tells, and
few of those need to be read: extra fields and what follows a member are seldom as long."""
_DIRECTORIES = 20
"""Directories beside the last one that are looked for; a file can be made of nothing else. Of what
further ones would have told, the members' own headers tell."""
_FAILED = 20
"""Members of a part of the file whose end may be sought in vain: each search can go on to the end
of the part, and a file can be made of nothing but their headers."""
_LAST_METHOD = 99
_LONGEST_DESCRIPTOR = 24
_DESCRIPTOR = re.compile(rb"PK\x07\x08")
_RECORD = re.compile(rb"PK(?:\x01\x02|\x03\x04|\x05\x06)")
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


@dataclass(frozen=True, slots=True)
class _Directory:
    """Where a directory lies, and what its end record says."""

    start: int
    length: int
    before: int
    """Bytes that lie before the ZIP; less than 0 where its first ones are missing."""
    stated: int
    """How many members it says to have."""
    records: tuple[tuple[int, int], ...]
    """From where to where the directory and the records of its end lie."""


class ZipReader:
    """A ZIP's members, by its central directory, and those that it does not name."""

    def __init__(self, data: Bytes, path: EvidencePath, limits: Limits) -> None:
        """Raises EvidenceError for a directory that is not there or is damaged."""
        self._data = data
        self._path = path
        self._limits = limits
        self._unpacked = 0
        names = array("Q")
        self._backslashed = False
        slashed = False
        with translated(path):
            self._directory = _directory(data, 0, data.size)
            extents = _Extents(data, 0, data.size)
            for member in self._members(self._directory):
                # One that is refused by itself is not unpacked, and costs the others nothing.
                if not limits.too_much(member.size, member.packed):
                    self._unpacked += member.size
                names.append(_key(member))
                extents.add(member)
                slashed = slashed or b"/" in member.name
                self._backslashed = self._backslashed or (
                    b"\\" in member.name and member.system not in _WITH_BACKSLASH
                )
        # APPNOTE asks for "/" between folders; some programs for Windows write "\" all the same.
        # Elsewhere it may be a part of a name.
        self._backslashed = self._backslashed and not slashed
        self._count = len(names)
        # Not the names themselves: there may be millions, and hardly one twice.
        keys, times = np.unique(np.frombuffer(names, dtype=np.uint64), return_counts=True)
        self._shared: frozenset[int] = frozenset(keys[times > 1].tolist())
        del names, keys, times
        self._beside = extents.between(self._directory.records)

    def items(self) -> Iterator[EvidenceEntry | Failure]:
        if self._count > self._limits.members:
            reason = f"has {self._count} members, more than {self._limits.members}"
            yield gap(self._path, "LimitExceeded", reason)
            return
        # Members that overlap on disk unpack to far more than the archive could hold.
        if self._bomb(self._unpacked):
            yield gap(
                self._path,
                "LimitExceeded",
                f"{self._data.size} bytes claim to unpack to {self._unpacked}: taken for a bomb",
            )
            return
        seen: set[int] = set()
        with translated():
            for position, member in enumerate(self._members(self._directory), 1):
                name, raw = self._name(member)
                again = False
                if self._shared and (key := _key(member)) in self._shared:
                    again = key in seen
                    seen.add(key)
                if not name.endswith("/") or _has_content(member):
                    path = self._path.child("file", name, raw, position if again else 0)
                    yield self._entry(member, path)
        # Many write no more than the last 16 bits of it.
        if (self._count - self._directory.stated) % 0x10000:
            reason = f"lists {self._count} members, of {self._directory.stated} by its end record"
            yield gap(self._path, "Damaged", reason)
        if self._beside:
            with translated():
                yield from self._unlisted()

    def _name(self, member: _Member) -> tuple[str, bytes | None]:
        """A member's name with "/" between folders, and its bytes if they are others."""
        name, raw = decode_name(member.name)
        if self._backslashed and "\\" in name:
            return name.replace("\\", "/"), member.name
        return name, raw

    def _bomb(self, unpacked: int) -> bool:
        return unpacked > max(RATIO_FLOOR, self._limits.ratio * self._data.size)

    def _unlisted(self) -> Iterator[EvidenceEntry | Failure]:
        """The members beside those of the directory, and how many bytes are none."""
        unexplained = 0
        position = self._count
        for found in self._found_beside():
            if isinstance(found, int):
                unexplained += found
                continue
            position += 1
            if position > self._limits.members:
                reason = f"has more than {self._limits.members} members, with those not listed"
                yield gap(self._path, "LimitExceeded", reason)
                return
            name, raw = self._name(found)
            raw = None if raw is None else UNLISTED.encode() + raw
            # Numbered on from the directory's, so that no two have the same place.
            yield self._entry(found, self._path.child("file", UNLISTED + name, raw, position))
        if unexplained >= _LEAST:
            reason = f"{unexplained} bytes that no entry of the directory names"
            yield gap(self._path, "Damaged", reason)

    def _found_beside(self) -> Iterator[_Member | int]:
        """Members that the directory does not name, and numbers of bytes that are none."""
        regions = deque(self._beside)
        unpacked, left = self._unpacked, _DIRECTORIES
        while regions:
            low, high = regions.popleft()
            part = _Part(self._data, self._limits, low, high)
            inner: _Directory | None = None
            if left:
                # Where ZIPs were joined, or an end was put behind the end, another directory knows
                # best what there is.
                left -= 1
                with suppress(zipfile.BadZipFile):
                    inner, extents, size = self._inside(part)
                    unpacked += size
            if inner is None or self._bomb(unpacked):
                yield from part.walked()
                continue
            for member in self._members(inner):
                # One that lies elsewhere is named by the directory that counts, as where a tool
                # has appended members and another directory.
                if low <= member.offset < high and _is_file(member):
                    yield member
            regions.extend(extents.between(inner.records))

    def _inside(self, part: _Part) -> tuple[_Directory, _Extents, int]:
        """A directory in a part of the file, what its members take up, and what they unpack to.

        Raises BadZipFile where there is none, or only that of a ZIP that is a member itself.
        """
        inner = _directory(self._data, part.low, part.high)
        if part.in_member(inner.start):
            raise zipfile.BadZipFile("it belongs to a member")
        extents = _Extents(self._data, part.low, part.high)
        size = 0
        for member in self._members(inner):
            if part.low <= member.offset < part.high:
                extents.add(member)
                size += member.size
        return inner, extents, size

    def _members(self, directory: _Directory) -> Iterator[_Member]:
        stream = stream_of(self._data.read_at, directory.length, directory.start)
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
            if method == zipfile.ZIP_STORED and not flags & ENCRYPTED:
                size = max(size, packed)  # what lies there, whatever the entry says
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
                offset + directory.before,
                extra,
            )

    def _entry(self, member: _Member, path: EvidencePath) -> EvidenceEntry | Failure:
        # Only Unix writes a mode; elsewhere these bits mean something else.
        mode = member.attributes >> 16 if member.system == 3 else 0
        if stat.S_ISLNK(mode) and max(member.size, member.packed) <= _LONGEST_TARGET:
            return failure(path, "SymbolicLink", "is a symbolic link, which is not followed")
        # What was packed out of a pipe (``zip - -``) has the mode of the pipe and all its content.
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG) and not member.size and not member.packed:
            return failure(path, "SpecialFile", "is a device, pipe or socket")
        if member.flags & ENCRYPTED or member.method == AES:
            return failure(path, "Encrypted", "is an encrypted ZIP member")
        if member.method not in METHODS:
            reason = f"uses ZIP compression method {member.method}, which is not read"
            return failure(path, "Unsupported", reason)
        if not member.size and member.packed > _PACKED_NOTHING:
            reason = f"says that it is empty, but has {member.packed} packed bytes"
            return failure(path, "Damaged", reason)
        if bomb := self._limits.too_much(member.size, member.packed):
            return failure(path, "LimitExceeded", bomb)
        modified = _utc(member.extra)
        zone_known = modified is not None
        return EvidenceEntry(
            path,
            member.size,
            partial(self._open, member),
            FileTimes(modified or _clock(member), zone_known=zone_known),
        )

    def _open(self, member: _Member) -> BinaryIO:
        with translated():
            inside = 0 <= member.offset < self._data.size
            head = self._data.read_at(member.offset, _LOCAL.size) if inside else b""
            if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
                raise zipfile.BadZipFile("its header is damaged")
            *_, named, added = _LOCAL.unpack(head)
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


def _directory(data: Bytes, low: int, high: int) -> _Directory:
    """The last directory in a part of the file. Raises BadZipFile."""
    tail_at = max(low, high - _END.size - _LONGEST_COMMENT)
    tail = data.read_at(tail_at, high - tail_at)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise zipfile.BadZipFile("it has no directory")
    end = tail_at + at
    *_, stated, length, offset, noted = _END.unpack_from(tail, at)
    # No comment begins as a member does.
    noted = 0 if tail.startswith(b"PK\x03\x04", at + _END.size) else noted
    records = [(end, min(end + _END.size + noted, high))]
    large_at = end - _END_64_AT.size - _END_64.size
    locator = data.read_at(end - _END_64_AT.size, _END_64_AT.size) if large_at >= low else b""
    if locator.startswith(b"PK\x06\x07"):
        records.append((end - _END_64_AT.size, end))
        # Where it says, or right before where something was put in front of the ZIP.
        for place in (_END_64_AT.unpack(locator)[2], large_at):
            record = data.read_at(place, _END_64.size) if low <= place < high else b""
            if len(record) == _END_64.size and record.startswith(b"PK\x06\x06"):
                _, more, *_, stated, length, offset = _END_64.unpack(record)
                records.append((place, min(place + 12 + more, end)))
                end = place
                break
    if length > end - low:
        raise zipfile.BadZipFile("its directory lies outside of it")
    start = end - length
    return _Directory(start, length, start - offset, stated, (*records, (start, end)))


class _Extents:
    """Which bytes of a part of the file are taken up."""

    def __init__(self, data: Bytes, low: int, high: int) -> None:
        self._data = data
        self._low, self._high = low, high
        # Packed: there may be millions of members.
        self._starts, self._ends, self._names = array("q"), array("q"), array("H")

    def add(self, member: _Member) -> None:
        start = min(max(member.offset, self._low), self._high)
        # With an extra field in its header it ends later.
        end = member.offset + _LOCAL.size + len(member.name) + member.packed
        self._starts.append(start)
        self._ends.append(min(max(end, start), self._high))
        self._names.append(len(member.name))

    def between(self, records: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
        """From where to where bytes lie that belong neither to members nor to these records."""
        members = len(self._starts)
        self._starts.extend(low for low, _ in records)
        self._ends.extend(high for _, high in records)
        starts = np.frombuffer(self._starts, dtype=np.int64)
        ends = np.frombuffer(self._ends, dtype=np.int64)
        order = np.argsort(starts, kind="stable")
        starts = starts[order]
        reached = np.maximum.accumulate(ends[order])
        following = np.append(starts[1:], self._high)
        found = [(self._low, int(starts[0]))]
        for index in np.flatnonzero(following - reached >= _LEAST).tolist():
            low, one = int(reached[index]), int(order[index])
            if one < members:
                low = max(low, self._end(one))
            found.append((low, int(following[index])))
        return [(low, high) for low, high in found if high - low >= _LEAST]

    def _end(self, index: int) -> int:
        """Where a member ends, with its extra field and what is written behind its content."""
        start, end = self._starts[index], self._ends[index]
        try:
            head = self._data.read_at(start, _LOCAL.size)
            if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
                return end
            packed = end - start - _LOCAL.size - self._names[index]
            _, _, flags, *_, added = _LOCAL.unpack(head)
            end += int(added)
            if flags & _DESCRIBED:
                end += _described(self._data.read_at(end, _LONGEST_DESCRIPTOR), packed)
        except OSError:
            return self._high  # nor can the member be read, which is told of it
        return end


class _Part:
    """A part of the file that no directory tells of."""

    def __init__(self, data: Bytes, limits: Limits, low: int, high: int) -> None:
        self._data = data
        self._limits = limits
        self.low, self.high = low, high
        self._failed = 0

    def walked(self) -> Iterator[_Member | int]:
        """Members by their own headers, and numbers of bytes that are none."""
        at, high = self.low, self._signed()
        while at < high:
            after = self._record(at)
            if not after and (found := self._member(at)):
                member, after = found
                if _is_file(member):
                    yield member
            if not after:
                after, empty = self._next(at, high)
                if not empty:
                    yield after - at
            at = after

    def in_member(self, place: int) -> bool:
        """Whether a place lies in the content of a member at the beginning of this part."""
        at = self.low
        while at <= place:
            found = self._member(at, measured=False)
            if found is None:
                return False
            at = found[1]
        return True

    def _read(self, at: int, size: int) -> bytes:
        return self._data.read_at(at, max(0, min(size, self.high - at)))

    def _signed(self) -> int:
        """Where Android's signing block begins, which lies before the directory; else the end."""
        tail = self._read(self.high - 24, 24) if self.high - self.low >= 32 else b""
        if tail.endswith(_SIGNING):
            start = self.high - 8 - int.from_bytes(tail[:8], "little")
            if start >= self.low and self._read(start, 8) == tail[:8]:
                return start
        return self.high

    def _record(self, at: int) -> int:
        """Where a record that is no member ends; 0 where none begins."""
        head = self._read(at, _MEMBER.size).ljust(_MEMBER.size, b"\0")
        mark, size = head[:4], 0
        if mark == b"PK\x01\x02":
            size = _MEMBER.size + sum(struct.unpack_from("<3H", head, 28))
        elif mark == b"PK\x05\x06":
            size = _END.size + int.from_bytes(head[20:22], "little")
            size = size if at + size <= self.high else _END.size
        elif mark == b"PK\x06\x06":
            size = 12 + int.from_bytes(head[4:12], "little")
        elif mark == b"PK\x06\x07":
            size = _END_64_AT.size
        elif mark == b"PK\x07\x08":
            # What follows a member, or the mark before the first one of a split ZIP.
            ends = (size for size in (16, 24, 4) if self._read(at + size, 2) == b"PK")
            size = next(ends, 16)
        return at + size if size and at + size <= self.high else 0

    def _member(self, at: int, *, measured: bool = True) -> tuple[_Member, int] | None:
        """The member whose header begins there, and where it ends; None where it cannot be told."""
        head = self._read(at, _LOCAL.size)
        if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
            return None
        _, _, flags, method, time, date, crc, packed, size, named, added = _LOCAL.unpack(head)
        start = at + _LOCAL.size + named + added
        if method > _LAST_METHOD or start > self.high:
            return None
        rest = self._read(at + _LOCAL.size, named + added)
        name, extra = rest[:named], rest[named:]
        size, packed = _large(extra, size, packed)
        if flags & _DESCRIBED and not packed:
            if not measured or self._failed == _FAILED:
                return None
            inflates = method == zipfile.ZIP_DEFLATED and not flags & ENCRYPTED
            content = (self._inflated(start) if inflates else None) or self._marked(start)
            if content is None:
                self._failed += 1
                return None
            crc, packed, size = content
        after = start + packed
        if after > self.high:
            return None
        if flags & _DESCRIBED:
            after += _described(self._read(after, _LONGEST_DESCRIPTOR), packed)
        member = _Member(name, 0, flags, method, time, date, crc, packed, size, 0, at, extra)
        return member, after

    def _inflated(self, at: int) -> tuple[int, int, int] | None:
        """Checksum, packed and unpacked size of what Deflate has packed there."""
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        place, size, crc = at, 0, 0
        while not inflater.eof:
            block = self._read(place, BUFFER)
            place += len(block)
            if not block:
                return None
            while block and not inflater.eof:
                if self._limits.too_much(size, place - at):
                    return None
                try:
                    part = inflater.decompress(block, CHUNK)
                except zlib.error:
                    return None
                size, crc = size + len(part), zlib.crc32(part, crc)
                block = inflater.unconsumed_tail
        return crc, place - at - len(inflater.unused_data), size

    def _marked(self, at: int) -> tuple[int, int, int] | None:
        """The same of content whose end is known by the mark behind it alone."""
        place = at
        while (place := self._find(_DESCRIPTOR, place, self.high)) < self.high:
            found = self._read(place, _LONGEST_DESCRIPTOR)
            if length := _described(found, place - at):
                form = "<4xL2Q" if length == _LONGEST_DESCRIPTOR else "<4x3L"
                crc, packed, size = struct.unpack_from(form, found)
                return crc, packed, size
            place += 1
        return None

    def _next(self, at: int, high: int) -> tuple[int, bool]:
        """Where the next record may begin, and whether there is nothing but zeros before it."""
        after = self._find(_RECORD, at + 1, high)
        blocks = (self._read(place, min(CHUNK, after - place)) for place in range(at, after, CHUNK))
        return after, not any(block.strip(b"\0") for block in blocks)

    def _find(self, marks: re.Pattern[bytes], at: int, high: int) -> int:
        """Where one of some marks of 4 bytes comes next, before ``high``; else that."""
        size = _LEAST
        while at < high:
            block = self._read(at, min(size, high - at))
            if match := marks.search(block):
                return at + match.start()
            if len(block) < 4 or at + len(block) >= high:
                break
            at += len(block) - 3
            size = min(4 * size, CHUNK)  # the next is mostly near, or very far
        return high


def _described(found: bytes, packed: int) -> int:
    """The length of the record with which bytes behind so much packed content begin; 0 if none.

    It is checksum, packed and unpacked size, these of 4 or 8 bytes each, mostly behind a mark.
    """
    mark = 4 if found.startswith(b"PK\x07\x08") else 0
    for form, length in (("<4xQ", 20), ("<4xL", 12)):
        if len(found) >= mark + length and struct.unpack_from(form, found, mark)[0] == packed:
            return mark + length
    return 0


def _has_content(member: _Member) -> bool:
    return member.size > 0 or member.packed > _PACKED_NOTHING


def _is_file(member: _Member) -> bool:
    """Whether a member that no directory names is to be listed: folders are not, nor are the
    nameless ones with which Android's tools fill holes."""
    return _has_content(member) or not (member.name.endswith(b"/") or not member.name)


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
