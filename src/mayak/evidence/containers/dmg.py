"""DMG disk images (UDIF): a trailer, and in a property list tables of compressed chunks.

Apple publishes no description; fields as in QEMU's ``block/dmg.c``. libmodi, the other reader for
Python, fails at bzip2 and LZMA.
"""

from __future__ import annotations

import bz2
import lzma
import plistlib
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

from mayak.evidence.base import NotReadError
from mayak.evidence.containers.mapped import MappedBytes, RecentBlocks, damaged
from mayak.evidence.streams import Bytes
from mayak.i18n import msg
from mayak.signatures import CONVERT_MAC, END
from mayak.types import EvidencePath

_TRAILER = struct.Struct(">24xQ24xI156xQQ260xQ12x")
"""Offset of the data, number of segments, offset and length of the property list, sectors."""
_TABLE = struct.Struct(">4s4xQ8xQ168xI")
"""Mark, first sector, offset of its data, number of chunks."""
_CHUNK = struct.Struct(">I4xQQQQ")
"""Type, first sector within the table's, sectors, offset and length of the data."""
_SECTOR = 512
_MAX_LIST = 64 << 20
_MAX_CHUNK = 64 << 20
"""Bytes of a chunk; Apple writes up to 1 MiB."""
_ZEROS, _RAW, _IGNORED, _LZFSE = 0, 1, 2, 0x80000007
_NO_DATA = (0x7FFFFFFE, 0xFFFFFFFF)
"""A comment, the end of a table."""


def _adc(packed: bytes, size: int) -> bytes:
    """Unpack Apple Data Compression: runs of literal bytes, and copies of two lengths."""
    out = bytearray()
    at = 0
    while at < len(packed) and len(out) < size:
        code = packed[at]
        if code & 0x80:
            length = (code & 0x7F) + 1
            out += packed[at + 1 : at + 1 + length]
            at += 1 + length
            continue
        width = 3 if code & 0x40 else 2
        if code & 0x40:
            length, distance = (code & 0x3F) + 4, int.from_bytes(packed[at + 1 : at + 3])
        else:
            length, distance = (
                (code >> 2) + 3,
                (code & 3) << 8 | int.from_bytes(packed[at + 1 : at + 2]),
            )
        start = len(out) - distance - 1
        if start < 0:
            break
        repeated = bytes(out[start : start + length])
        out += (repeated * (length // len(repeated) + 1))[:length]
        at += width
    return bytes(out)


_UNPACK: dict[int, Callable[[bytes, int], bytes]] = {
    0x80000004: _adc,
    0x80000005: lambda packed, size: zlib.decompressobj().decompress(packed, size),
    0x80000006: lambda packed, size: bz2.BZ2Decompressor().decompress(packed, size),
    0x80000008: lambda packed, size: lzma.LZMADecompressor().decompress(packed, size),
}


class _Chunk(NamedTuple):
    start: int
    """Byte of the disk."""
    size: int
    """Bytes of the disk."""
    kind: int
    place: int
    """Byte of the file."""
    length: int
    """Bytes in the file."""


class DmgBytes(MappedBytes):
    """The disk inside a DMG."""

    def __init__(self, data: Bytes, path: EvidencePath) -> None:
        """Raises NotReadError for what is not read, EvidenceError if it is damaged."""
        super().__init__(data)
        trailer = self._stored(max(data.size - END, 0), END)
        if not trailer.startswith(b"koly"):
            raise damaged(msg("has lost its end, where a DMG names its chunks"))
        begin, segments, offset, length, sectors = _TRAILER.unpack(trailer)
        if segments > 1 or not length:
            what = msg("is a DMG in several parts, or an old one without a list; it is not read")
            raise NotReadError(path, what, CONVERT_MAC)
        self.size = sectors * _SECTOR
        self._chunks = sorted(
            chunk for table in self._tables(offset, length) for chunk in _chunks(table, begin)
        )
        for chunk, following in zip(self._chunks, [*self._chunks[1:], None], strict=True):
            end = self.size if following is None else following.start
            if chunk.start + chunk.size > end or chunk.length > data.size:
                raise damaged(msg("has a damaged table of chunks"))
        self.has_lzfse = any(chunk.kind == _LZFSE for chunk in self._chunks)
        self._unpacked = RecentBlocks()

    def _tables(self, offset: int, length: int) -> list[bytes]:
        if length > _MAX_LIST:
            raise damaged(msg("has a damaged table of chunks"))
        try:
            tree = plistlib.loads(self._stored(offset, length), fmt=plistlib.FMT_XML)
            return [bytes(table["Data"]) for table in tree["resource-fork"]["blkx"]]
        # plistlib raises whatever its parts do for text that is not a property list.
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as exc:
            raise damaged(msg("has a damaged table of chunks")) from exc

    def _piece(self, offset: int, size: int) -> bytes:
        index = bisect_right(self._chunks, offset, key=lambda chunk: chunk.start) - 1
        inside = offset - self._chunks[index].start if index >= 0 else 0
        if index < 0 or inside >= self._chunks[index].size:
            # Between two chunks, or after the last one.
            end = self._chunks[index + 1].start if index + 1 < len(self._chunks) else self.size
            return bytes(min(size, end - offset))
        chunk = self._chunks[index]
        size = min(size, chunk.size - inside)
        if chunk.kind in (_ZEROS, _IGNORED):
            return bytes(size)
        if chunk.kind == _RAW:
            return self._stored(chunk.place + inside, size)
        content = self._unpacked.get(chunk.start, lambda: self._content(chunk))
        return content[inside : inside + size]

    def _content(self, chunk: _Chunk) -> bytes:
        packed = self._stored(chunk.place, chunk.length)
        try:
            content = _UNPACK[chunk.kind](packed, chunk.size)
        except (zlib.error, lzma.LZMAError, OSError, EOFError) as exc:
            raise damaged(msg("has a damaged chunk at {place}", place=chunk.place)) from exc
        if len(content) < chunk.size:
            raise damaged(msg("has a damaged chunk at {place}", place=chunk.place))
        return content


def _chunks(table: bytes, begin: int) -> list[_Chunk]:
    """Return the chunks of a table, without those of no bytes; ``begin``: offset of the data."""
    if len(table) < _TABLE.size:
        raise damaged(msg("has a damaged table of chunks"))
    mark, first, offset, count = _TABLE.unpack_from(table)
    rows = table[_TABLE.size : _TABLE.size + count * _CHUNK.size]
    if mark != b"mish" or len(rows) != count * _CHUNK.size:
        raise damaged(msg("has a damaged table of chunks"))
    chunks = []
    for kind, sector, sectors, place, length in _CHUNK.iter_unpack(rows):
        if kind in _NO_DATA or not sectors:
            continue
        size = sectors * _SECTOR
        is_packed = kind in _UNPACK or kind == _LZFSE
        is_sound = kind in (_ZEROS, _IGNORED) or (kind == _RAW and length == size)
        if not is_sound and not (is_packed and size <= _MAX_CHUNK):
            raise damaged(msg("has a damaged table of chunks"))
        chunks.append(
            _Chunk((first + sector) * _SECTOR, size, kind, begin + offset + place, length)
        )
    return chunks
