"""Deflate64, which ZIP and 7z have in common; alone imports inflate64.

PPMd, the other rare method of both, is not read: its library, pyppmd 1.3, writes past its buffers
if what it gets is damaged or was decrypted with a wrong password.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mayak.evidence.streams import BUFFER

_STEP = 4096
"""Packed bytes that are unpacked at a time: they make 4 MiB at most."""


def require_deflate64() -> None:
    """Raises ImportError: the library is not installed."""
    import inflate64  # noqa: F401


def from_deflate64(packed: Iterator[bytes]) -> Iterator[bytes]:
    import inflate64

    inflater = inflate64.Inflater()
    for block in packed:
        for at in range(0, len(block), _STEP):
            if inflater.eof:
                return
            yield inflater.inflate(block[at : at + _STEP])


def blocks_of(read: Callable[[int], bytes], length: int) -> Iterator[bytes]:
    """Yield up to ``length`` bytes of what ``read(size)`` gives."""
    while block := read(min(BUFFER, length)):
        length -= len(block)
        yield block
