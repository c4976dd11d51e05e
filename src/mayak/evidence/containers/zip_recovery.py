"""The bytes of a ZIP that its directory does not name: members in them, and how many are none."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from mayak.evidence.base import RATIO_FLOOR, Limits
from mayak.evidence.containers.zip_records import (
    DESCRIBED,
    ENCRYPTED,
    END,
    END_64_LOCATOR,
    LOCAL,
    LONGEST_DESCRIPTOR,
    MEMBER,
    Directory,
    Member,
    descriptor_length,
    last_directory,
    members_of,
    with_zip64,
)
from mayak.evidence.streams import BUFFER, CHUNK, Bytes

MIN_REGION = 64
"""Bytes that belong to no member from which on they are examined. Fewer hold no picture: a header,
a name and the smallest of images take more. The exact end of a member is only known from its own
header, and few of those need to be read: extra fields and what follows a member are seldom as
long."""
_MAX_DIRECTORIES = 20
"""Directories besides the last one that are looked for; a file can consist of nothing else. Without
those after that, the members are found by their own headers."""
_MAX_FAILED_SEARCHES = 20
"""Members of a region whose end may be searched for without success: each search can go on to the
end of the region, and a file can consist of nothing but their headers."""
_MAX_METHOD = 99
_SIGNING_BLOCK = b"APK Sig Block 42"
_DESCRIPTOR = re.compile(rb"PK\x07\x08")
_RECORD = re.compile(rb"PK(?:\x01\x02|\x03\x04|\x05\x06)")


def is_bomb(data: Bytes, limits: Limits, unpacked: int) -> bool:
    """Whether members that unpack to this many bytes are too much for a file of this size."""
    return unpacked > max(RATIO_FLOOR, limits.ratio * data.size)


def unlisted_members(
    data: Bytes, limits: Limits, regions: list[tuple[int, int]], unpacked: int
) -> Iterator[Member | int]:
    """Yield the members in regions that no directory names, and numbers of bytes that are none.

    ``unpacked`` is how many bytes the members of the directory unpack to.
    """
    waiting = deque(regions)
    left = _MAX_DIRECTORIES
    while waiting:
        low, high = waiting.popleft()
        region = _Region(data, limits, low, high)
        inner: Directory | None = None
        if left:
            # If ZIPs were joined, or an end record was put after the end, there is another
            # directory, which names the members better than their headers do.
            left -= 1
            with suppress(zipfile.BadZipFile):
                inner, extents, size = _inner_directory(region)
                unpacked += size
        if inner is None or is_bomb(data, limits, unpacked):
            yield from region.members()
            continue
        for member in members_of(data, inner):
            # One outside the region is in the directory that counts, as after a tool has appended
            # members and another directory.
            if low <= member.offset < high and _is_file(member):
                yield member
        waiting.extend(extents.unused(inner.records))


def _inner_directory(region: _Region) -> tuple[Directory, Extents, int]:
    """Return the directory in a region, the extents of its members, and what they unpack to.

    Raises:
        BadZipFile: there is none, or only that of a ZIP that is a member itself.
    """
    inner = last_directory(region.data, region.low, region.high)
    if region.is_in_member(inner.start):
        raise zipfile.BadZipFile("it belongs to a member")
    extents = Extents(region.data, region.low, region.high)
    size = 0
    for member in members_of(region.data, inner):
        if region.low <= member.offset < region.high:
            extents.add(member)
            size += member.size
    return inner, extents, size


class Extents:
    """The byte ranges between two offsets that members take up."""

    def __init__(self, data: Bytes, low: int, high: int) -> None:
        self._data = data
        self._low, self._high = low, high
        # Packed: there may be millions of members.
        self._starts, self._ends, self._name_lengths = array("q"), array("q"), array("H")

    def add(self, member: Member) -> None:
        start = min(max(member.offset, self._low), self._high)
        # With an extra field in its header it ends later.
        end = member.offset + LOCAL.size + len(member.name) + member.packed
        self._starts.append(start)
        self._ends.append(min(max(end, start), self._high))
        self._name_lengths.append(len(member.name))

    def unused(self, records: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
        """Return the ranges that belong neither to members nor to these records."""
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
        for index in np.flatnonzero(following - reached >= MIN_REGION).tolist():
            low, one = int(reached[index]), int(order[index])
            if one < members:
                low = max(low, self._exact_end(one))
            found.append((low, int(following[index])))
        return [(low, high) for low, high in found if high - low >= MIN_REGION]

    def _exact_end(self, index: int) -> int:
        """Return the end of a member, with its extra field and its data descriptor."""
        start, end = self._starts[index], self._ends[index]
        try:
            head = self._data.read_at(start, LOCAL.size)
            if len(head) < LOCAL.size or not head.startswith(b"PK\x03\x04"):
                return end
            packed = end - start - LOCAL.size - self._name_lengths[index]
            _, _, flags, *_, extra_length = LOCAL.unpack(head)
            end += int(extra_length)
            if flags & DESCRIBED:
                end += descriptor_length(self._data.read_at(end, LONGEST_DESCRIPTOR), packed)
        except OSError:
            return self._high  # the member cannot be read either, which is a failure of its own
        return end


class _Region:
    """A byte range that no directory describes."""

    def __init__(self, data: Bytes, limits: Limits, low: int, high: int) -> None:
        self.data = data
        self._limits = limits
        self.low, self.high = low, high
        self._failed_searches = 0

    def members(self) -> Iterator[Member | int]:
        """Yield members by their local headers, and numbers of bytes that are none."""
        at, high = self.low, self._signing_block()
        while at < high:
            after = self._record_end(at)
            if not after and (found := self._member(at)):
                member, after = found
                if _is_file(member):
                    yield member
                if after > self.high:  # it is cut off, or its length is wrong
                    after, _ = self._next_record(at, high)
            if not after:
                after, empty = self._next_record(at, high)
                if not empty:
                    yield after - at
            at = after

    def is_in_member(self, position: int) -> bool:
        """Whether an offset is in one of the members at the beginning of this region."""
        at = self.low
        while at <= position:
            found = self._member(at, searched=False)
            if found is None:
                return False
            at = found[1]
        return True

    def _read(self, at: int, size: int) -> bytes:
        return self.data.read_at(at, max(0, min(size, self.high - at)))

    def _signing_block(self) -> int:
        """Return the start of Android's signing block, which is before the directory; else the
        end of the region."""
        tail = self._read(self.high - 24, 24) if self.high - self.low >= 32 else b""
        if tail.endswith(_SIGNING_BLOCK):
            start = self.high - 8 - int.from_bytes(tail[:8], "little")
            if start >= self.low and self._read(start, 8) == tail[:8]:
                return start
        return self.high

    def _record_end(self, at: int) -> int:
        """Return the end of a record other than a member; 0 if none begins there."""
        head = self._read(at, MEMBER.size).ljust(MEMBER.size, b"\0")
        mark, size = head[:4], 0
        if mark == b"PK\x01\x02":
            size = MEMBER.size + sum(struct.unpack_from("<3H", head, 28))
        elif mark == b"PK\x05\x06":
            size = END.size + int.from_bytes(head[20:22], "little")
            size = size if at + size <= self.high else END.size
        elif mark == b"PK\x06\x06":
            size = 12 + int.from_bytes(head[4:12], "little")
        elif mark == b"PK\x06\x07":
            size = END_64_LOCATOR.size
        elif mark == b"PK\x07\x08":
            # The descriptor of a member, or the mark before the first one of a split ZIP.
            ends = (size for size in (16, 24, 4) if self._read(at + size, 2) == b"PK")
            size = next(ends, 16)
        return at + size if size and at + size <= self.high else 0

    def _member(self, at: int, *, searched: bool = True) -> tuple[Member, int] | None:
        """Return the member whose header begins there, and its end; None if that is not known.
        Only of a member that the file ends in is the end after that of the region.

        ``searched``: whether its content may be read to find its end.
        """
        head = self._read(at, LOCAL.size)
        if len(head) < LOCAL.size or not head.startswith(b"PK\x03\x04"):
            return None
        _, _, flags, method, time, date, crc, packed, size, name_length, extra_length = (
            LOCAL.unpack(head)
        )
        start = at + LOCAL.size + name_length + extra_length
        if method > _MAX_METHOD or start > self.high:
            return None
        rest = self._read(at + LOCAL.size, name_length + extra_length)
        name, extra = rest[:name_length], rest[name_length:]
        size, packed = with_zip64(extra, size, packed)
        if flags & DESCRIBED and not packed:
            if not searched or self._failed_searches == _MAX_FAILED_SEARCHES:
                return None
            inflates = method == zipfile.ZIP_DEFLATED and not flags & ENCRYPTED
            content = (self._inflated(start) if inflates else None) or self._described(start)
            if content is None:
                self._failed_searches += 1
                return None
            crc, packed, size = content
        after = start + packed
        if after > self.high and (self.high < self.data.size or not searched):
            return None
        if flags & DESCRIBED:
            after += descriptor_length(self._read(after, LONGEST_DESCRIPTOR), packed)
        member = Member(name, 0, flags, method, time, date, crc, packed, size, 0, at, extra)
        return member, after

    def _inflated(self, at: int) -> tuple[int, int, int] | None:
        """Return checksum, packed and unpacked size of the Deflate stream at an offset; a packed
        size of more than is left if the file ends in it."""
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        position, size, crc = at, 0, 0
        while not inflater.eof:
            block = self._read(position, BUFFER)
            position += len(block)
            if not block:
                return (crc, position - at + 1, size) if self.high == self.data.size else None
            while block and not inflater.eof:
                if self._limits.too_much(size, position - at):
                    return None
                try:
                    part = inflater.decompress(block, CHUNK)
                except zlib.error:
                    return None
                size, crc = size + len(part), zlib.crc32(part, crc)
                block = inflater.unconsumed_tail
        return crc, position - at - len(inflater.unused_data), size

    def _described(self, at: int) -> tuple[int, int, int] | None:
        """Return CRC-32, packed and unpacked size of content that ends at its data descriptor."""
        position = at
        while (position := self._find(_DESCRIPTOR, position, self.high)) < self.high:
            found = self._read(position, LONGEST_DESCRIPTOR)
            if length := descriptor_length(found, position - at):
                form = "<4xL2Q" if length == LONGEST_DESCRIPTOR else "<4x3L"
                crc, packed, size = struct.unpack_from(form, found)
                return crc, packed, size
            position += 1
        return None

    def _next_record(self, at: int, high: int) -> tuple[int, bool]:
        """Return where the next record may begin, and whether only zeros are before it."""
        after = self._find(_RECORD, at + 1, high)
        blocks = (
            self._read(position, min(CHUNK, after - position))
            for position in range(at, after, CHUNK)
        )
        return after, not any(block.strip(b"\0") for block in blocks)

    def _find(self, marks: re.Pattern[bytes], at: int, high: int) -> int:
        """Return the offset of the next of some marks of 4 bytes, ``high`` if there is none."""
        size = MIN_REGION
        while at < high:
            block = self._read(at, min(size, high - at))
            if match := marks.search(block):
                return at + match.start()
            if len(block) < 4 or at + len(block) >= high:
                break
            at += len(block) - 3
            size = min(4 * size, CHUNK)  # the next is mostly near, or very far
        return high


def _is_file(member: Member) -> bool:
    """Whether a member that no directory names is listed: folders are not, nor are those without
    a name with which Android's tools fill holes."""
    return member.has_content or not (member.name.endswith(b"/") or not member.name)
