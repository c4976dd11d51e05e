"""Deflate64 and PPMd, which ZIP and 7z have in common; alone imports inflate64 and pyppmd."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

from mayak.evidence.streams import BUFFER, CHUNK

MAX_MODEL = 1 << 30
"""Bytes of memory that PPMd may ask for; 7-Zip's highest level takes 256 MiB."""
_STEP = 4096
"""Packed bytes that are unpacked at a time: Deflate64 makes 4 MiB of them at most."""


def require_deflate64() -> None:
    """Raises ImportError: the library is not installed."""
    import inflate64  # noqa: F401


def require_ppmd() -> None:
    """Raises ImportError: the library is not installed."""
    import pyppmd  # noqa: F401


def from_deflate64(packed: Iterator[bytes]) -> Iterator[bytes]:
    import inflate64

    inflater = inflate64.Inflater()
    for block in packed:
        for at in range(0, len(block), _STEP):
            if inflater.eof:
                return
            yield inflater.inflate(block[at : at + _STEP])


def from_ppmd7(packed: Iterator[bytes], properties: bytes, size: int) -> Iterator[bytes]:
    """PPMd variant H, of 7z. Raises ValueError for properties that are not possible."""
    import pyppmd

    if len(properties) < 5:
        raise ValueError("the properties of PPMd are damaged")
    order, memory = struct.unpack_from("<BL", properties)
    _check(order, memory)
    return _ppmd(pyppmd.Ppmd7Decoder(order, memory), packed, size)


def from_ppmd8(packed: Iterator[bytes], size: int) -> Iterator[bytes]:
    """PPMd variant I, revision 1, of ZIP (APPNOTE 6.3, chapter 5.10). Raises ValueError."""
    import pyppmd

    first = next(packed, b"")
    if len(first) < 2:
        raise ValueError("the properties of PPMd are missing")
    word = int.from_bytes(first[:2], "little")
    order, memory, restore = (word & 0xF) + 1, ((word >> 4 & 0xFF) + 1) << 20, word >> 12
    _check(order, memory)

    def rest() -> Iterator[bytes]:
        yield first[2:]
        yield from packed

    return _ppmd(pyppmd.Ppmd8Decoder(order, memory, restore), rest(), size)


def _check(order: int, memory: int) -> None:
    if not 2 <= order <= 64 or not 1 << 11 <= memory <= MAX_MODEL:
        raise ValueError(f"PPMd of order {order} with {memory} bytes of memory is not read")


def _ppmd(decoder: Any, packed: Iterator[bytes], size: int) -> Iterator[bytes]:  # noqa: ANN401
    """``size``: of what is unpacked, which no mark in it ends."""
    left = size
    is_over = False
    while left > 0:
        block = b""
        if decoder.needs_input:
            block = next(packed, b"")
            if not block and is_over:
                raise EOFError("its packed bytes end too early")
            is_over = is_over or not block
        # The last symbols may need a byte more than there are.
        part = decoder.decode(block or (b"\0" if is_over else b""), min(left, CHUNK))
        if not part and not decoder.needs_input:
            raise EOFError("its packed bytes are damaged")
        left -= len(part)
        yield part


def blocks_of(read: Callable[[int], bytes], length: int) -> Iterator[bytes]:
    """Yield up to ``length`` bytes of what ``read(size)`` gives."""
    while block := read(min(BUFFER, length)):
        length -= len(block)
        yield block
