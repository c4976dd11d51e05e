"""Reading without writing: random access to files, joined pieces and unpacked copies."""

from __future__ import annotations

import io
import os
import tempfile
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from threading import Lock
from typing import IO, Any, BinaryIO, Protocol, cast

from mayak.errors import ConfigError, EvidenceError, MayakError
from mayak.evidence.progress import note_progress
from mayak.i18n import msg, system_error

CHUNK = 1 << 20
BUFFER = 1 << 16
IN_MEMORY = 8 << 20


class Bytes(Protocol):
    """Random access to a fixed number of bytes; safe to read from several threads."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer only at the end. Raises OSError."""
        ...

    def close(self) -> None: ...


def open_quietly(path: Path) -> BinaryIO:
    """Open a file for reading, without changing its access time if the system allows that."""
    # O_NONBLOCK: a pipe put in the file's place must not hang the run.
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    quiet = getattr(os, "O_NOATIME", 0)
    try:
        handle = os.open(path, flags | quiet)
    except PermissionError:
        # Only a file's owner and root may ask for O_NOATIME.
        if not quiet:
            raise
        handle = os.open(path, flags)
    return open(handle, "rb", buffering=0)  # noqa: PTH123


class FileBytes:
    """The bytes of an open file, which is closed at the latest when they are garbage-collected."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        weakref.finalize(self, file.close)
        self._lock = Lock()
        self.size = file.seek(0, io.SEEK_END)

    def read_at(self, offset: int, size: int) -> bytes:
        # A damaged table may name an offset that no file can have.
        if not 0 <= offset < self.size:
            return b""
        parts: list[bytes] = []
        with self._lock:
            self._file.seek(offset)
            while size > 0 and (part := self._file.read(size)):
                parts.append(part)
                size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        self._file.close()


class JoinedBytes:
    """Several pieces as one, in their order."""

    def __init__(self, pieces: Sequence[Bytes]) -> None:
        self._pieces = pieces
        self._starts = [0, *accumulate(piece.size for piece in pieces)]
        self.size = self._starts[-1]

    def read_at(self, offset: int, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0 and offset < self.size:
            index = bisect_right(self._starts, offset) - 1
            part = self._pieces[index].read_at(offset - self._starts[index], size)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        for piece in self._pieces:
            piece.close()


class HandleBytes:
    """The disk that a handle of one of the libyal libraries gives."""

    def __init__(self, handle: Any, size: int) -> None:  # noqa: ANN401
        self._handle = handle
        self._lock = Lock()
        self.size = size

    def read_at(self, offset: int, size: int) -> bytes:
        if not 0 <= offset < self.size:
            return b""
        with self._lock:
            self._handle.seek(offset)
            found = bytes(self._handle.read(min(size, self.size - offset)))
        if len(found) < min(size, self.size - offset):
            raise OSError(f"ends at byte {offset + len(found)} of {self.size}")
        return found

    def close(self) -> None:
        self._handle.close()


class Unpacked(FileBytes):
    """The content of a stream, copied to memory or, if large, to an unnamed temporary file.

    Containers inside compressed archives need random access, which their compression lacks. The
    copy exists until it is closed or garbage-collected.
    """

    def __init__(self, stream: BinaryIO, check: Callable[[int], None]) -> None:
        """``check`` is called with the number of bytes so far, and raises to stop.

        Raises:
            ConfigError: the temporary folder is full, which is not a fault of the evidence.
        """
        copy = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        try:
            copy_temporarily(stream, cast(BinaryIO, copy), check)
            with _temporary():
                super().__init__(copy)
        except BaseException:
            with suppress(OSError):
                copy.close()
            raise


def copy_temporarily(stream: BinaryIO, copy: BinaryIO, check: Callable[[int], None]) -> None:
    """Copy a stream to a temporary file. ``check`` is called with the number of bytes so far, and
    raises to stop.

    Raises:
        ConfigError: the temporary folder is full.
    """
    total = 0
    while block := stream.read(CHUNK):
        total += len(block)
        check(total)
        note_progress()
        with _temporary():
            copy.write(block)


@contextmanager
def _temporary() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        folder = tempfile.gettempdir()
        raise ConfigError(
            msg(
                "temporary folder {folder}: cannot be written ({strerror})",
                folder=folder,
                strerror=system_error(exc),
            ),
            remedy=msg(
                "free space there, or name a larger folder with TMPDIR, then run the same command "
                "again: it continues where it stopped"
            ),
        ) from exc


class _Seekable(io.RawIOBase):
    """A stream to read from any position."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


class _Reading(_Seekable):
    """A seekable read-only stream over ``read_at``; faults are raised as EvidenceError."""

    def __init__(
        self,
        read_at: Callable[[int, int], bytes],
        start: int,
        size: int,
        release: Callable[[], None],
    ) -> None:
        self._read_at = read_at
        self._start = start
        self._size = size
        self._release = release
        self._position = 0

    def close(self) -> None:
        if not self.closed:
            self._release()
        super().close()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        part = self._next(len(view))
        view[: len(part)] = part
        return len(part)

    def readall(self) -> bytes:
        # In as few reads as possible: the inherited method reads 8 KiB at a time.
        parts: list[bytes] = []
        while part := self._next(self._size):
            parts.append(part)
        return b"".join(parts)

    def _next(self, limit: int) -> bytes:
        wanted = min(limit, self._size - self._position)
        if wanted <= 0:
            return b""
        with translated():
            part = self._read_at(self._start + self._position, wanted)
        self._position += len(part)
        return part


def stream_of(
    read_at: Callable[[int, int], bytes],
    size: int,
    start: int = 0,
    release: Callable[[], None] = lambda: None,
) -> BinaryIO:
    """Return a buffered stream of ``size`` bytes from ``start``; ``release`` is called when it is
    closed."""
    return io.BufferedReader(_Reading(read_at, start, size, release), BUFFER)


class _Blocks(_Seekable):
    """A stream of blocks that are made one after the other; seeking back starts again."""

    def __init__(self, blocks: Callable[[], Iterator[bytes]]) -> None:
        self._blocks = blocks
        self._left = blocks()
        self._block = b""
        self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("its length is not known")
        target = offset + (self._position if whence == io.SEEK_CUR else 0)
        if target < self._position:
            self._left, self._block, self._position = self._blocks(), b"", 0
        while self._position < target and self.read(min(CHUNK, target - self._position)):
            pass
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._block:
            block = next(self._left, None)
            if block is None:
                return 0
            self._block = block
        count = min(len(buffer), len(self._block))
        buffer[:count] = self._block[:count]
        self._block = self._block[count:]
        self._position += count
        return count


def stream_of_blocks(blocks: Callable[[], Iterator[bytes]]) -> BinaryIO:
    """Return a buffered stream of what a generator yields; seeking back calls ``blocks`` again."""
    return io.BufferedReader(_Blocks(blocks), BUFFER)


class _Guarded(_Seekable):
    """Another stream whose faults are raised as EvidenceError."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner = cast(io.BufferedIOBase, inner)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with translated():
            return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with translated():
            return self._inner.readinto(buffer)

    def readall(self) -> bytes:
        with translated():
            return self._inner.read()

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()


def guarded(inner: IO[bytes]) -> BinaryIO:
    """Return a decompressor's stream, buffered, whose faults are raised as EvidenceError."""
    return io.BufferedReader(_Guarded(inner), BUFFER)


class translated:  # noqa: N801
    """Context manager: what readers and decompressors raise becomes EvidenceError, once."""

    def __init__(self, what: object = "") -> None:
        """``what`` is named in the message, if the caller does not name it."""
        self._what = f"{what}: " if what else ""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        # zipfile, zlib, lzma and tarfile have no common ancestor below Exception.
        # That memory ran out is not a fault of the evidence.
        if isinstance(exc, Exception) and not isinstance(exc, MayakError | MemoryError):
            raise EvidenceError(
                self._what + msg("cannot be read: {exc}", exc=exc),
                remedy=msg("check that the medium is connected and the copy is whole"),
            ) from exc
