"""ext2, ext3 and ext4: inodes as they are on the disk, and files that the Sleuth Kit hangs on.

For a file whose blocks are listed by pointers and that needs the third level of them, the Sleuth
Kit (4.15) reads all of that level as soon as the file is listed: 17 million entries with blocks
of 1 KiB, 1,000 million with 4 KiB, for any size of file. One inode of a hostile image blocks a run
for minutes to hours, in C, without a reaction to Ctrl-C; an intact file of 4 GiB on ext3 does so,
too. For listing files, TSK therefore gets such inodes as empty ones (``hidden``), and their content
is read here (``content``).

Fields: https://docs.kernel.org/filesystems/ext4/dynamic.html and globals.html, little-endian.
"""

from __future__ import annotations

import stat
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np

SUPERBLOCK = 1024
"""Its offset and its length in bytes."""
META_BG, IN_64_BIT = 0x10, 0x80
SPARSE_SUPER = 0x1
EXTENTS, INLINE, ENCRYPTED = 0x80000, 0x10000000, 0x800
DIRECT = 12
INODE = 128
"""Bytes of an inode that all versions have."""
MOST_GROUPS = 1 << 20

Read = Callable[[int, int], bytes]


class Inodes:
    """The inodes of one file system."""

    def __init__(self, read: Read, superblock: bytes) -> None:
        """``read`` returns bytes of the volume."""
        self._read = read
        self._superblock = superblock
        number = self.number
        self._block = 1024 << min(number(0x18), 6)
        self._each = number(0x58, 2) or INODE
        self._in_group = max(number(0x28), 1)
        wide = number(0x60) & IN_64_BIT
        self._descriptor = (number(0xFE, 2) or 32) if wide else 32
        self._pointers = self._block // 4
        self._two_levels = (DIRECT + self._pointers + self._pointers**2) * self._block
        self._starts: list[int] | None = None
        self._ends: list[int] = []

    def number(self, at: int, size: int = 4) -> int:
        """Return a number of the superblock."""
        return int.from_bytes(self._superblock[at : at + size], "little")

    def raw(self, number: int) -> bytes:
        """Return the first 128 bytes of an inode; none if they cannot be read."""
        group, index = divmod(number - 1, self._in_group)
        with suppress(OSError, RuntimeError):
            descriptor = self._read(self._descriptor_at(group), self._descriptor)
            inode = self._read(self._table(descriptor) + index * self._each, INODE)
            return inode if len(inode) == INODE else b""
        return b""

    def is_encrypted(self, number: int) -> bool:
        """Whether the flags of an inode mark its content as encrypted."""
        return bool(int.from_bytes(self.raw(number)[32:36], "little") & ENCRYPTED)

    def hidden_size(self, number: int) -> int:
        """Return the size in bytes of a file that TSK gets as empty; 0 for all others."""
        raw = self.raw(number)
        if not raw:
            return 0
        mode, low, flags = struct.unpack_from("<H2xL24xL", raw)
        high = struct.unpack_from("<L", raw, 108)[0] if stat.S_ISREG(mode) else 0
        size = int(high << 32 | low)
        return size if not flags & (EXTENTS | INLINE) and size > self._two_levels else 0

    def content(self, number: int, size: int) -> Read:
        """Return a function that reads a file whose blocks are listed by pointers."""
        return _Mapped(self._read, self.raw(number)[40:100], self._block, size).read_at

    def hidden(self, offset: int, data: bytes) -> bytes:
        """Return bytes of the volume as TSK gets them: an inode that would take long is empty."""
        parts = list(self._tables(offset, offset + len(data)))
        if not parts:
            return data
        shown = np.frombuffer(data, dtype=np.uint8).copy()
        for start, end in parts:
            inodes = shown[start:end].reshape(-1, self._each)
            mode = inodes[:, 0:2].copy().view("<u2")[:, 0]
            low = inodes[:, 4:8].copy().view("<u4")[:, 0].astype(np.uint64)
            high = inodes[:, 108:112].copy().view("<u4")[:, 0].astype(np.uint64)
            flags = inodes[:, 32:36].copy().view("<u4")[:, 0]
            size = low | np.where(mode >> 12 == stat.S_IFREG >> 12, high, 0) << np.uint64(32)
            long = (flags & (EXTENTS | INLINE) == 0) & (size > self._two_levels)
            inodes[long, 4:8] = 0
            inodes[long, 108:112] = 0
        return shown.tobytes()

    def _tables(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges between two offsets that are whole inodes, relative to ``low``."""
        if self._starts is None:
            self._starts, self._ends = self._found()
        index = max(bisect_right(self._starts, low) - 1, 0)
        for start, end in zip(self._starts[index:], self._ends[index:], strict=True):
            if start >= high:
                return
            first = max(start, -(-low // self._each) * self._each)
            last = min(end, high) // self._each * self._each
            if first < last:
                yield first - low, last - low

    def _found(self) -> tuple[list[int], list[int]]:
        """Return the starts and ends of the inode tables; adjacent ones are merged."""
        # Otherwise an inode is not always at a multiple of its length.
        if self._each & (self._each - 1) or not INODE <= self._each <= self._block:
            return [], []
        starts: list[int] = []
        # As TSK counts them, not by the inodes: the table of a group too many could be anywhere.
        blocks = self.number(4) - self.number(0x14)
        groups = min(-(-blocks // max(self.number(0x20), 1)), MOST_GROUPS)
        each = self._block // self._descriptor
        # Their real offsets, and those that TSK reads, because it does not know META_BG.
        for offset_of in (self._descriptor_at, self._descriptor_in_a_row):
            for first in range(0, groups, max(each, 1)):
                block = b""
                with suppress(OSError, RuntimeError):
                    block = self._read(offset_of(first), self._block)
                if not block:
                    break
                count = min(each, groups - first, len(block) // self._descriptor)
                starts += [self._table(block[i * self._descriptor :]) for i in range(count)]
        merged: list[tuple[int, int]] = []
        for start in sorted(set(starts)):
            end = start + self._in_group * self._each
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            else:
                merged.append((start, end))
        return [start for start, _ in merged], [end for _, end in merged]

    def _table(self, descriptor: bytes) -> int:
        """Return the offset of a group's inode table, by its descriptor."""
        table = int.from_bytes(descriptor[8:12], "little")
        if self._descriptor >= 64:
            table |= int.from_bytes(descriptor[40:44], "little") << 32
        return table * self._block

    def _descriptor_at(self, group: int) -> int:
        first, each = self.number(0x14), max(self._block // self._descriptor, 1)
        if self.number(0x60) & META_BG and group // each >= self.number(0x104):
            # Each block of descriptors is in the first group of those that it describes.
            holder = group // each * each
            sparse = self.number(0x64) & SPARSE_SUPER
            copy = not sparse or holder < 2 or any(_is_power(holder, base) for base in (3, 5, 7))
            block = first + holder * self.number(0x20) + copy
            return block * self._block + group % each * self._descriptor
        return self._descriptor_in_a_row(group)

    def _descriptor_in_a_row(self, group: int) -> int:
        return (self.number(0x14) + 1) * self._block + group * self._descriptor


class _Mapped:
    """The content of a file whose blocks are listed by pointers, at up to three levels."""

    def __init__(self, read: Read, pointers: bytes, block: int, size: int) -> None:
        self._read = read
        self._first = struct.unpack("<15L", pointers)
        self._block = block
        self._size = size
        self._each = block // 4
        self._last: dict[int, tuple[int, bytes]] = {}
        """The block of pointers that was read last, by level."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Raises OSError if a block is missing."""
        parts: list[bytes] = []
        end = min(offset + size, self._size)
        while offset < end:
            index, within = divmod(offset, self._block)
            length = min(self._block - within, end - offset)
            number = self._number(index)
            parts.append(self._at(number, within, length) if number else bytes(length))
            offset += length
        return b"".join(parts)

    def _at(self, number: int, within: int, length: int) -> bytes:
        found = self._read(number * self._block + within, length)
        if len(found) < length:
            raise OSError(f"block {number} is beyond the end of the volume")
        return found

    def _number(self, index: int) -> int:
        """Return the number of a block of the file; 0 in a hole."""
        if index < DIRECT:
            return int(self._first[index])
        index -= DIRECT
        for level in (1, 2, 3):
            if index < self._each**level:
                return self._through(self._first[DIRECT - 1 + level], level, index)
            index -= self._each**level
        raise OSError("its size is beyond what its pointers can hold")

    def _through(self, number: int, level: int, index: int) -> int:
        while level and number:
            known, table = self._last.get(level, (0, b""))
            if known != number:
                table = self._at(number, 0, self._block)
                self._last[level] = number, table
            level -= 1
            entry, index = divmod(index, self._each**level)
            number = int.from_bytes(table[4 * entry : 4 * entry + 4], "little")
        return number


def _is_power(number: int, base: int) -> bool:
    while number % base == 0:
        number //= base
    return number == 1
