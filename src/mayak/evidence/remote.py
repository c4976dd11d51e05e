"""Files that another process reads."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO

from mayak.evidence.base import Limits, ReaderLostError
from mayak.evidence.streams import BUFFER
from mayak.types import EvidencePath, OutcomeReason

_MAX_READ = 8 << 20


class RemoteFile:
    """Opens a file that the other process reads, of which the first bytes have arrived."""

    def __init__(
        self,
        entry: tuple[EvidencePath, int],
        read: Callable[[int, int], bytes],
        limits: Limits,
        content: bytes,
        is_whole: bool,
        outcome: OutcomeReason | None,
    ) -> None:
        """``entry``: path and size; ``read`` returns bytes at an offset, fewer only at the end;
        ``outcome``: how the reader was lost with this file."""
        self._path, self._size = entry
        self._read_at, self._limits = read, limits
        self._content: bytes | None = content
        self._is_whole = is_whole
        self.outcome = outcome
        self.is_read = False
        """Whether it was opened."""

    def __call__(self) -> BinaryIO:
        if self.outcome is not None:
            raise ReaderLostError(self._path, self.outcome, self._limits)
        self.is_read = True
        content, self._content = self._content, None
        if content is not None and self._is_whole:
            return io.BytesIO(content)
        if not content and self._size:
            self._read(0, 0)  # what cannot be opened at all fails here
        return io.BufferedReader(_RemoteStream(self._read, content or b"", self._size), BUFFER)

    def _read(self, at: int, size: int) -> bytes:
        try:
            return self._read_at(at, size)
        except ReaderLostError as lost:
            self.outcome = lost.outcome
            raise

    def release(self) -> None:
        """Forget the content, when the walk goes on."""
        self._content = None


class _RemoteStream(io.RawIOBase):
    """A file that the other process reads, in large blocks."""

    def __init__(self, read: Callable[[int, int], bytes], start: bytes, size: int) -> None:
        self._read, self._start, self._size = read, start, size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any buffer
        view = memoryview(buffer).cast("B")
        part = self._next(len(view))
        view[: len(part)] = part
        return len(part)

    def readall(self) -> bytes:
        parts: list[bytes] = []
        while part := self._next(_MAX_READ):
            parts.append(part)
        return b"".join(parts)

    def _next(self, limit: int) -> bytes:
        at = self._position
        if at < len(self._start):
            part = self._start[at : at + limit]
        else:
            part = self._read(at, min(limit, _MAX_READ))
        self._position += len(part)
        return part
