"""VDI, VirtualBox's disk images: header and block map as in its VDICore.h."""

from __future__ import annotations

import struct
from array import array
from sys import byteorder

from mayak.evidence.base import NotReadError
from mayak.evidence.containers.mapped import MappedBytes, damaged
from mayak.evidence.streams import Bytes
from mayak.i18n import msg
from mayak.signatures import CONVERT_QEMU
from mayak.types import EvidencePath

_HEADER = struct.Struct("<68xI4xI260xII20xQIII4x16x16x32s")
"""Version, type, offsets of the map and of the data, size of the disk in bytes, block size, extra
bytes before each block, number of blocks, and of a differencing image what it was made from."""
_VERSION = 0x00010001
_DYNAMIC, _FIXED = 1, 2
_UNUSED = 0xFFFFFFFE
"""From this entry of the map on: a block that reads as zeros."""


class VdiBytes(MappedBytes):
    """The disk inside a VDI."""

    def __init__(self, data: Bytes, path: EvidencePath) -> None:
        """Raises NotReadError for a version or type that is not read, EvidenceError for a damaged
        one."""
        super().__init__(data)
        fields = _HEADER.unpack(self._stored(0, _HEADER.size))
        version, kind, table, self._start, size, block, extra, blocks, parent = fields
        if version != _VERSION or kind not in (_DYNAMIC, _FIXED) or extra or any(parent):
            what = msg("is a VDI of another type (a snapshot's, or an old one), which is not read")
            raise NotReadError(path, what, CONVERT_QEMU)
        # The map is read at once: it cannot be larger than the file.
        if block < 512 or block % 512 or size > block * blocks or 4 * blocks > data.size:
            raise damaged(msg("states more than fits into it: {size} bytes", size=size))
        self.size, self._block = size, block
        self._map = array("I", self._stored(table, 4 * blocks))
        if byteorder == "big":
            self._map.byteswap()

    def _piece(self, offset: int, size: int) -> bytes:
        number, inside = divmod(offset, self._block)
        size = min(size, self._block - inside)
        entry = self._map[number]
        if entry >= _UNUSED:
            return bytes(size)
        start = self._start + entry * self._block
        return self._stored(start + inside, size)
