"""PNGs that Pillow refuses: with large text or profile chunks, and Apple's variant (CgBI)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from PIL import PngImagePlugin

_START = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_EACH = PngImagePlugin.MAX_TEXT_CHUNK
_ALL = PngImagePlugin.MAX_TEXT_MEMORY
"""Unpacked bytes of one text or profile, and of all texts, above which Pillow refuses the whole
picture (1 and 64 MiB)."""


def is_cgbi(data: bytes) -> bool:
    """Return whether a file is a PNG as Xcode writes it into iOS applications: without zlib's
    header and with the colours in another order. Only Apple's software reads it."""
    return data.startswith(_START) and data[12:16] == b"CgBI"


def without_large_texts(data: bytes) -> tuple[bytes, list[str]]:
    """Return a PNG without the texts and the profile that Pillow would refuse, and a warning for
    each kind that was left out. Other files are returned as they are.

    Nothing is unpacked beyond the limit.
    """
    if not data.startswith(_START):
        return data, []
    total = texts = 0
    profile = False
    kept: list[bytes] = []
    end = 0
    for kind, start, stop in chunks(data):
        if kind != b"iCCP" and kind not in _TEXTS:
            continue
        size = _unpacked(kind, data[start + 8 : stop - 4])
        if kind == b"iCCP" and size > _EACH:
            profile = True
        elif kind in _TEXTS and (size > _EACH or total + size > _ALL):
            texts += 1
        else:
            total += size
            continue
        kept.append(data[end:start])
        end = stop
    warnings = [f"{texts} text chunks left unread: too large"] if texts else []
    warnings += ["colour profile ignored: larger than 1 MiB"] if profile else []
    return (b"".join((*kept, data[end:])), warnings) if kept else (data, [])


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each chunk of a PNG, its first byte and the byte after its last."""
    at = len(_START)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        kind = data[at + 4 : at + 8]
        if end <= len(data):
            yield kind, at, end
        if kind == b"IEND":
            return
        at = end


def _unpacked(kind: bytes, body: bytes) -> int:
    """Return the unpacked size of a text or profile in bytes; limit + 1 if it is larger."""
    _, _, rest = body.partition(b"\0")
    if kind == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        packed, rest = kind != b"tEXt", rest[1:]
    if not packed:
        return len(body) if kind == b"tEXt" else len(rest)
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(rest, _EACH)
    except zlib.error:  # Pillow takes a damaged text for an empty one
        return 0
    return _EACH + 1 if unpacking.unconsumed_tail else len(text)
