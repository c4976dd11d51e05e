"""cpio archives, read in place: newc, crc, odc and the binary form in both byte orders.

The forms are those of cpio(5) of libarchive; an initial RAM disk of Linux is several of them, one
after the other, the last one mostly compressed.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count, pairwise
from typing import BinaryIO, Literal

from mayak.evidence.base import (
    Container,
    ContainerFormat,
    Limits,
    container_gap,
    decode_name,
    entry_failure,
    from_unix_time,
)
from mayak.evidence.streams import CHUNK, Bytes, stream_of
from mayak.signatures import CPIO
from mayak.types import EvidenceEntry, EvidencePath, Failure, FileTimes, OutcomeReason

AFTER_END = "[after the end]"
"""Name of the bytes after the last archive, which may be a compressed one."""
_TRAILER = b"TRAILER!!!"
_LONGEST_NAME = 1 << 16
_LONGEST_HEADER = 110


@dataclass(frozen=True, slots=True)
class _Header:
    mode: int
    links: int
    modified: int
    size: int
    inode: tuple[int, ...]
    """With the numbers of its device: the same for all hard links to a file."""
    name_length: int
    length: int
    """Bytes before the name."""
    alignment: int
    """Of the content and of the next header, in bytes."""


class _DamagedError(ValueError):
    """Something else than a header."""


class CpioContainer(Container):
    """The members of a cpio archive and of those that follow it, in their order."""

    def __init__(self, data: Bytes, path: EvidencePath, limits: Limits) -> None:
        self._data = data
        self._path = path
        self._limits = limits

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        at = 0
        seen: set[str] = set()
        # Of hard links only the last one has the content.
        contents: dict[tuple[int, ...], tuple[int, int]] = {}
        empty_links: list[tuple[_Header, EvidencePath]] = []
        for number in count(1):
            if number > self._limits.members:
                reason = f"has more than {self._limits.members} members"
                yield container_gap(self._path, OutcomeReason.LIMIT_EXCEEDED, reason)
                break
            try:
                header, raw_name, start, after = self._member(at)
            except _DamagedError as exc:
                reason = f"cannot be read past member {number - 1}: {exc}"
                yield container_gap(self._path, OutcomeReason.DAMAGED, reason)
                break
            if raw_name == _TRAILER:
                at = self._after_zeros(after)
                if _order(self._data.read_at(at, 6)) is not None:
                    continue
                if at < self._data.size:
                    yield self._rest(at)
                break
            name, raw = decode_name(raw_name)
            path = self._path.child("file", name, raw, number if name in seen else 0)
            seen.add(name)
            at = after
            if stat.S_ISREG(header.mode) and header.links > 1 and not header.size:
                empty_links.append((header, path))
                continue
            if stat.S_ISREG(header.mode):
                contents[header.inode] = start, header.size
            if not stat.S_ISDIR(header.mode):
                yield self._entry(header, path, start, header.size)
        for header, path in empty_links:
            yield self._entry(header, path, *contents.get(header.inode, (0, 0)))

    def _member(self, at: int) -> tuple[_Header, bytes, int, int]:
        """Return a header, its name, and start and end of its content. Raises _DamagedError."""
        head = self._data.read_at(at, _LONGEST_HEADER)
        header = _parse(head)
        if not 0 < header.name_length <= _LONGEST_NAME:
            raise _DamagedError("the length of a name is not possible")
        name = self._data.read_at(at + header.length, header.name_length)
        if len(name) < header.name_length:
            raise _DamagedError("it is cut off")
        start = at + header.length + header.name_length
        start += -(start - at) % header.alignment
        after = start + header.size
        return header, name.rstrip(b"\0"), start, after + -(after - start) % header.alignment

    def _after_zeros(self, at: int) -> int:
        """Return the offset of the next byte that is not 0, or the end."""
        while block := self._data.read_at(at, CHUNK):
            if rest := block.lstrip(b"\0"):
                return at + len(block) - len(rest)
            at += len(block)
        return self._data.size

    def _rest(self, at: int) -> EvidenceEntry:
        path = self._path.child("file", AFTER_END, serial=at)
        size = self._data.size - at
        return EvidenceEntry(path, size, partial(stream_of, self._data.read_at, size, at))

    def _entry(
        self, header: _Header, path: EvidencePath, start: int, size: int
    ) -> EvidenceEntry | Failure:
        if stat.S_ISLNK(header.mode):
            target = self._data.read_at(start, min(size, 4096))
            reason = f"is a symbolic link to {decode_name(target)[0]!a}, which is not followed"
            return entry_failure(path, OutcomeReason.SYMBOLIC_LINK, reason)
        if not stat.S_ISREG(header.mode):
            return entry_failure(path, OutcomeReason.SPECIAL_FILE, "is a device, pipe or socket")
        if start + size > self._data.size:
            reason = "is cut off: the archive ends before it does"
            return entry_failure(path, OutcomeReason.DAMAGED, reason)
        times = FileTimes(from_unix_time(header.modified))
        return EvidenceEntry(path, size, partial(self._open, start, size), times)

    def _open(self, start: int, size: int) -> BinaryIO:
        return stream_of(self._data.read_at, size, start)


def _order(head: bytes) -> Literal["text", "little", "big"] | None:
    """Return the form of a header, None if it is not one."""
    if head[:6] in (b"070701", b"070702", b"070707"):
        return "text"
    if head[:2] == b"\xc7\x71":
        return "little"
    return "big" if head[:2] == b"\x71\xc7" else None


def _parse(head: bytes) -> _Header:
    """Raises _DamagedError."""
    order = _order(head)
    try:
        if order is None or len(head) < 26:
            raise _DamagedError("it ends without its last record" if not head else "no header")
        if order != "text":
            words = [int.from_bytes(head[at : at + 2], order) for at in range(0, 26, 2)]
            _, device, inode, mode, _, _, links, _, high, low, name, size_high, size_low = words
            modified, size = high << 16 | low, size_high << 16 | size_low
            return _Header(mode, links, modified, size, (device, inode), name, 26, 2)
        if head[5:6] == b"7":
            ends = (6, 12, 18, 24, 30, 36, 42, 48, 59, 65, 76)
            pairs = pairwise(ends)
            device, inode, mode, _, _, links, _, modified, name, size = (
                int(head[low:high], 8) for low, high in pairs
            )
            return _Header(mode, links, modified, size, (device, inode), name, 76, 1)
        fields = [int(head[at : at + 8], 16) for at in range(6, 110, 8)]
    except ValueError as exc:
        raise _DamagedError(str(exc)) from exc
    inode, mode, _, _, links, modified, size, major, minor, _, _, name, _ = fields
    return _Header(mode, links, modified, size, (major, minor, inode), name, 110, 4)


FORMAT = ContainerFormat(
    (CPIO,), lambda file, path, limits: CpioContainer(file.data(), path, limits)
)
