"""Disks whose blocks are in any order in a file, with gaps that read as zeros."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from mayak.errors import EvidenceError
from mayak.evidence.streams import Bytes
from mayak.i18n import msg

_KEPT = 16 << 20
"""Bytes of unpacked blocks and tables in memory."""


class RecentBlocks:
    """The blocks that were read last, of which ``_KEPT`` bytes are kept."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def get(self, place: int, read: Callable[[], bytes]) -> bytes:
        """Return the block of a place, from ``read`` if it is not kept."""
        with self._lock:
            block = self._blocks.pop(place, None)
            if block is None:
                block = read()
                self._size += len(block)
            self._blocks[place] = block
            while self._size > _KEPT and len(self._blocks) > 1:
                self._size -= len(self._blocks.popitem(last=False)[1])
        return block


class MappedBytes(ABC):
    """The disk inside a file that maps ranges of it to places of its own."""

    size: int

    def __init__(self, data: Bytes) -> None:
        self._data = data

    @abstractmethod
    def _piece(self, offset: int, size: int) -> bytes:
        """Return the bytes from an offset within the disk to the end of their block, at most
        ``size``."""

    def read_at(self, offset: int, size: int) -> bytes:
        parts: list[bytes] = []
        end = min(offset + size, self.size)
        while 0 <= offset < end:
            part = self._piece(offset, end - offset)
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def _stored(self, offset: int, size: int) -> bytes:
        """Return exactly ``size`` bytes of the file. Raises EvidenceError if it ends before."""
        found = self._data.read_at(offset, size)
        if len(found) < size:
            raise damaged(msg("ends before byte {end}: it is cut off", end=offset + size))
        return found

    def close(self) -> None:
        self._data.close()


class RangeBytes(MappedBytes):
    """A range of a file; an error if the file ends before it does."""

    def __init__(self, data: Bytes, offset: int, size: int) -> None:
        super().__init__(data)
        self.size, self._offset = size, offset

    def _piece(self, offset: int, size: int) -> bytes:
        return self._stored(self._offset + offset, size)


def damaged(reason: str) -> EvidenceError:
    """Return the error for an image that contradicts its format."""
    return EvidenceError(
        msg("disk image {reason}", reason=reason), remedy=msg("check that the copy is whole")
    )
