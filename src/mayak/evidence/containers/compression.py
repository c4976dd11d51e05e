"""Streams of compressed files; alone imports lz4 and the backport of zstd."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any, BinaryIO, Protocol, cast

from mayak.evidence.base import ContainerFile, LimitExceededError, Limits, library_for
from mayak.evidence.streams import (
    BUFFER,
    Bytes,
    Unpacked,
    stream_of,
    stream_of_blocks,
    translated,
)
from mayak.signatures import FileKind
from mayak.types import EvidencePath

_LEGACY_LZ4 = b"\x02\x21\x4c\x18"
_LEGACY_BLOCK = 8 << 20
"""Bytes that a block of LZ4's legacy format unpacks to at most (LZ4 Frame Format, "Legacy")."""
_MAX_WINDOW_LOG = 31
"""As ``zstd --long=31`` makes them, the largest of all."""


class Decompressor(Protocol):
    """What bz2, lzma, lz4 and zstd have in common: unpacks one stream."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes | None: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def decompressed(packed: BinaryIO, compression: FileKind, path: EvidencePath) -> BinaryIO:
    """Unpack a stream. With any compression, bytes after its end are a fault, as in gzip.

    Raises:
        NotReadError: the library for it is not installed.
    """
    if compression.name == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=packed, mode="rb"))
    if compression.name == "LZ4" and packed.read(4) == _LEGACY_LZ4:
        return stream_of_blocks(partial(_legacy_blocks, packed, path))
    packed.seek(0)
    make = _decompressor(compression, path)
    return cast(BinaryIO, io.BufferedReader(_Decompressor(packed, make), BUFFER))


def _decompressor(compression: FileKind, path: EvidencePath) -> Callable[[], Decompressor]:
    match compression.name:
        case "bzip2":
            return bz2.BZ2Decompressor
        case "xz":
            return lzma.LZMADecompressor
        case "Zstandard":
            with library_for(path, "Zstandard"):
                zstd = _zstd()
            options = {zstd.DecompressionParameter.window_log_max: _MAX_WINDOW_LOG}
            return partial(zstd.ZstdDecompressor, options=options)
        case _:
            with library_for(path, "LZ4"):
                import lz4.frame
            return cast(Callable[[], Decompressor], lz4.frame.LZ4FrameDecompressor)


def _zstd() -> Any:  # noqa: ANN401 - a module
    try:
        return import_module("compression.zstd")  # from Python 3.14 on
    except ImportError:
        return import_module("backports.zstd")


def _legacy_blocks(packed: BinaryIO, path: EvidencePath) -> Iterator[bytes]:
    with library_for(path, "LZ4"):
        import lz4.block
    packed.seek(4)
    while head := packed.read(4):
        length = int.from_bytes(head, "little")
        if head == _LEGACY_LZ4:  # another stream follows
            continue
        block = packed.read(min(length, 2 * _LEGACY_BLOCK))
        if len(head) < 4 or len(block) < length:
            raise EOFError("Compressed file ended before the end-of-stream marker")
        yield lz4.block.decompress(block, uncompressed_size=_LEGACY_BLOCK)


def head_of(file: ContainerFile, compression: FileKind, size: int) -> bytes:
    """Return the first bytes that a compressed file unpacks to; fewer if it is damaged.

    Raises:
        NotReadError: the library for it is not installed.
    """
    with file.stream() as stream, decompressed(stream, compression, file.path) as inner:
        found = b""
        until_fault = _UntilFault(inner)
        while len(found) < size and (part := until_fault.read(size - len(found))):
            found += part
        return found


def unpacked_copy(
    data: Bytes, compression: FileKind, path: EvidencePath, limits: Limits
) -> tuple[Unpacked, Exception | None]:
    """Return what a compressed file unpacks to, and why it could not be unpacked any further.

    Raises:
        LimitExceededError: it is too much.
        NotReadError: the library for it is not installed.
    """

    def check(unpacked: int) -> None:
        if reason := limits.too_much(unpacked, data.size):
            raise LimitExceededError(path, reason)

    packed = stream_of(data.read_at, data.size)
    with translated(path), decompressed(packed, compression, path) as inner:
        stream = _UntilFault(inner)
        return Unpacked(cast(BinaryIO, stream), check), stream.fault


class _UntilFault:
    """A stream that ends where decompression fails; ``fault`` is the reason."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = cast(io.BufferedIOBase, inner)
        self.fault: Exception | None = None

    def read(self, size: int) -> bytes:
        try:
            # Bytes that ``read`` has gathered before a fault would be lost with it.
            return b"" if self.fault else self._inner.read1(size)
        except MemoryError:
            raise
        except Exception as fault:  # noqa: BLE001 - decompressors have no common ancestor of errors
            self.fault = fault
            return b""


class _Decompressor(io.RawIOBase):
    """The content of streams of one compression, one after the other."""

    def __init__(self, packed: BinaryIO, make: Callable[[], Decompressor]) -> None:
        self._packed = packed
        self._make = make
        self._inner = make()
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._inner.eof:
                rest = self._inner.unused_data or b""
                while not (left := rest.lstrip(b"\0")):  # zeros may fill up the file
                    if not (rest := self._packed.read(BUFFER)):
                        return 0
                self._inner, self._rest = self._make(), left
            if self._inner.needs_input:
                block, self._rest = self._rest or self._packed.read(BUFFER), b""
                if not block:
                    raise EOFError("Compressed file ended before the end-of-stream marker")
            else:
                block = b""
            if part := self._inner.decompress(block, len(buffer)):
                buffer[: len(part)] = part
                return len(part)
