"""QCOW2 disk images: https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.txt

libqcow, the other reader for Python, reads zeros for some compressed clusters of version 3.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

from mayak.evidence.base import NotReadError
from mayak.evidence.containers.mapped import MappedBytes, RecentBlocks, damaged
from mayak.evidence.streams import Bytes
from mayak.i18n import msg
from mayak.signatures import CONVERT_QEMU
from mayak.types import EvidencePath, OutcomeReason

_HEADER = struct.Struct(">4xIQIIQIIQ12xI8x")
"""Version, offset and length of the backing file's name, cluster bits, size of the disk in bytes,
encryption, entries and offset of the level 1 table, number of snapshots."""
_CLUSTER_BITS = range(9, 22)
_MAX_TABLE = 32 << 20
"""Bytes of the level 1 table, QEMU's own limit."""
_PLACE = 0x00FFFFFFFFFFFE00
_COMPRESSED, _ZERO = 1 << 62, 1
_DIRTY = 1
"""The incompatible feature that concerns writers only."""
_FEATURES = {
    2: msg("an image marked as corrupt"),
    4: msg("an external data file"),
    8: msg("Zstandard compression"),
    16: msg("extended level 2 tables"),
}


class Qcow2Bytes(MappedBytes):
    """The disk inside a QCOW2 image, in its newest state."""

    def __init__(self, data: Bytes, path: EvidencePath) -> None:
        """Raises NotReadError for features that are not read, EvidenceError for a damaged one."""
        super().__init__(data)
        header = self._stored(0, _HEADER.size)
        version, backing, _, bits, size, encryption, entries, table, snapshots = _HEADER.unpack(
            header
        )
        if version not in (2, 3):
            raise _not_read(path, msg("version {version}", version=version))
        if encryption:
            raise _not_read(path, msg("encryption"), OutcomeReason.ENCRYPTED)
        if backing:
            raise _not_read(path, msg("a backing file, of which it holds only the changes"))
        if version == 3:
            (features,) = struct.unpack(">Q", self._stored(72, 8))
            if unknown := features & ~_DIRTY:
                lowest = unknown & -unknown
                named = _FEATURES.get(lowest, msg("an unknown feature"))
                raise _not_read(path, named)
        if bits not in _CLUSTER_BITS:
            raise damaged(msg("states clusters of 2^{bits} bytes", bits=bits))
        self.size = size
        self.snapshots: int = snapshots
        """Number of earlier states in it, which are not read."""
        self._version, self._bits, self._cluster = version, bits, 1 << bits
        needed = -(-size // (self._cluster * (self._cluster // 8)))
        if needed > entries or 8 * needed > _MAX_TABLE:
            raise damaged(msg("states more than fits into it: {size} bytes", size=size))
        self._first = struct.unpack(f">{needed}Q", self._stored(table, 8 * needed))
        self._second, self._unpacked = RecentBlocks(), RecentBlocks()

    def _piece(self, offset: int, size: int) -> bytes:
        inside = offset % self._cluster
        size = min(size, self._cluster - inside)
        entry = self._entry(offset >> self._bits)
        if entry & _COMPRESSED:
            content = self._unpacked.get(entry, lambda: self._decompressed(entry))
            return content[inside : inside + size]
        place = entry & _PLACE
        if not place or (self._version == 3 and entry & _ZERO):
            return bytes(size)
        return self._stored(place + inside, size)

    def _entry(self, cluster: int) -> int:
        """Return the level 2 entry of a cluster, 0 if it has none."""
        upper, lower = divmod(cluster, self._cluster // 8)
        place = self._first[upper] & _PLACE
        if not place:
            return 0
        table = self._second.get(place, lambda: self._stored(place, self._cluster))
        return int.from_bytes(table[8 * lower : 8 * lower + 8])

    def _decompressed(self, entry: int) -> bytes:
        shift = 62 - (self._bits - 8)
        place = entry & ((1 << shift) - 1)
        sectors = ((entry & (_COMPRESSED - 1)) >> shift) + 1
        # The last sector may end after the file does.
        packed = self._data.read_at(place, sectors * 512 - place % 512)
        content = b""
        with suppress(zlib.error):
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, self._cluster)
        if len(content) < self._cluster:
            raise damaged(msg("has a damaged compressed cluster, at {place}", place=place))
        return content


def _not_read(
    path: EvidencePath, feature: str, outcome: OutcomeReason = OutcomeReason.UNSUPPORTED
) -> NotReadError:
    reason = msg("is a QCOW2 disk image with {feature}, which is not read", feature=feature)
    return NotReadError(path, reason, CONVERT_QEMU, outcome)
