"""Android sparse images: the header and chunks of libsparse's ``sparse_format.h``."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right

from mayak.evidence.containers.mapped import MappedBytes, damaged
from mayak.evidence.streams import Bytes
from mayak.i18n import msg

_HEADER = struct.Struct("<4xHHHHIII")
"""Version (two numbers), length of this header and of a chunk's, block size, blocks, chunks."""
_CHUNK = struct.Struct("<H2xII")
"""Type, number of blocks, bytes of it with its header."""
_RAW, _FILL, _NOTHING, _CHECKSUM = 0xCAC1, 0xCAC2, 0xCAC3, 0xCAC4


class AndroidSparseBytes(MappedBytes):
    """The volume inside an Android sparse image."""

    def __init__(self, data: Bytes) -> None:
        """Raises EvidenceError if it is damaged."""
        super().__init__(data)
        major, _, header, chunk_header, self._block, blocks, chunks = _HEADER.unpack(
            self._stored(0, _HEADER.size)
        )
        if major != 1 or not self._block or self._block % 4 or chunk_header < _CHUNK.size:
            raise damaged(msg("has a header that is not one of version 1"))
        if chunks * chunk_header > data.size:
            raise damaged(msg("states {chunks} chunks, more than fit into it", chunks=chunks))
        self.size = blocks * self._block
        # Of each chunk: its first byte of the volume, its type, where its data is.
        self._starts, self._types, self._places = array("Q"), array("H"), array("Q")
        place, start = header, 0
        for _ in range(chunks):
            kind, count, length = _CHUNK.unpack(self._stored(place, _CHUNK.size))
            stored = {_RAW: count * self._block, _FILL: 4, _NOTHING: 0, _CHECKSUM: 4}.get(kind)
            if stored is None or length != chunk_header + stored:
                raise damaged(msg("has a damaged chunk at {place}", place=place))
            if kind != _CHECKSUM:
                self._starts.append(start)
                self._types.append(kind)
                self._places.append(place + chunk_header)
                start += count * self._block
            place += length
        if start != self.size:
            raise damaged(
                msg("holds {start} of the {size} bytes that it states", start=start, size=self.size)
            )

    def _piece(self, offset: int, size: int) -> bytes:
        # Of chunks without blocks, which begin at the same byte, the last counts.
        number = bisect_right(self._starts, offset) - 1
        end = self._starts[number + 1] if number + 1 < len(self._starts) else self.size
        inside, size = offset - self._starts[number], min(size, end - offset)
        kind, place = self._types[number], self._places[number]
        if kind == _NOTHING:
            return bytes(size)
        if kind == _FILL:
            shift = inside % 4
            pattern = self._stored(place, 4)
            return (pattern * (size // 4 + 2))[shift : shift + size]
        return self._stored(place + inside, size)
