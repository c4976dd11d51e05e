"""Whether the log of an XFS volume holds changes that are not in its files yet.

Fields as in the chapter "Journaling Log" of "XFS Filesystem Structure" (xfs-documentation).
"""

from __future__ import annotations

import struct

from mayak.evidence.streams import Bytes

_BLOCK = 512
_RECORD = struct.Struct(">4x4xII24xI276xI")
"""Version, bytes after the header, number of operations, bytes of a buffer."""
_MARK = b"\xfe\xed\xba\xbe"
_MAX_RECORD = (256 << 10) // _BLOCK + 8
_OPERATION = 9
"""The byte of a record's first operation that has its flags."""
_UNMOUNTED = 0x20
"""The operation that an unmounted volume's log ends with."""


class _Log:
    """The log's blocks of 512 bytes, written round and round."""

    def __init__(self, data: Bytes) -> None:
        head = data.read_at(0, 128).ljust(128, b"\0")
        block, start, per_group, length = (
            struct.unpack_from(form, head, at)[0]
            for form, at in ((">I", 4), (">Q", 48), (">I", 84), (">I", 96))
        )
        bits = min(head[124], 31)
        self._data = data
        self._start = ((start >> bits) * per_group + (start & ((1 << bits) - 1))) * block
        self.length = length * block // _BLOCK if start else 0
        """Blocks; 0 if the log is on another device."""

    def read(self, block: int) -> bytes:
        return self._data.read_at(self._start + block * _BLOCK, _BLOCK).ljust(_BLOCK, b"\0")

    def cycle(self, block: int) -> bytes:
        """Return the number of the round in which a block was written."""
        found = self.read(block)
        return found[4:8] if found.startswith(_MARK) else found[:4]


def holds_changes(data: Bytes) -> bool:
    """Whether the log does not end with an unmount: an interrupted copy, or a volume in use.

    Raises OSError.
    """
    log = _Log(data)
    if not log.length:
        return False
    # 1. The end of the newest round: the first block of another one.
    newest = log.cycle(0)
    if newest == bytes(4):  # nothing was written
        return False
    low, high = 1, log.length
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if log.cycle(middle) == newest else (low, middle)
    # 2. The last record before it.
    for back in range(1, min(_MAX_RECORD, log.length)):
        block = (low - back) % log.length
        record = log.read(block)
        if record.startswith(_MARK):
            break
    else:
        return True
    # 3. Whether that is an unmount, and ends there.
    version, size, operations, buffer = _RECORD.unpack_from(record)
    header = max(-(-buffer // (32 << 10)), 1) if version == 2 else 1
    if operations != 1 or block + header + -(-size // _BLOCK) != block + back:
        return True
    return not log.read((block + header) % log.length)[_OPERATION] & _UNMOUNTED
