"""What lies behind the end of an image in the same file, or is attached to a document."""

from __future__ import annotations

import re

from mayak import signatures

_SCAN = 0xDA
_END = re.compile(rb"\xff\xd9")
"""Found by ``re`` more than twice as fast as by ``bytes.find``."""

_PADDING = 4096
"""Bytes that may fill up the file before what follows."""


def behind(data: bytes, kind: str) -> tuple[str, ...]:
    """A warning where more than an image of this format (Pillow's name) is in its bytes: what
    begins behind its end as another image, a PDF or an archive does.

    Known of JPEG and PNG. The further images of an MPO are its own.
    """
    end = _png_end(data) if kind == "PNG" else _jpeg_end(data) if kind in ("JPEG", "MPO") else None
    if end is None or end >= len(data):
        return ()
    rest = data[end : end + _PADDING + 512].lstrip(b"\0")[:512]
    found = begins_as(rest)
    if found is None or (kind == "MPO" and found == "JPEG"):
        return ()
    return (f"{len(data) - end} bytes behind the image's end, which begin as {found}",)


def begins_as(head: bytes) -> str | None:
    """What image, document or archive a file of these first 512 bytes is; None for all others."""
    kind = signatures.ATTACHED.identify(head)
    if kind is None:
        return None
    return kind.described if kind.family == "document" else kind.name


def _png_end(data: bytes) -> int | None:
    at = 8
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        at += 12 + length
        if kind == b"IEND":
            return at
    return None


def _jpeg_end(data: bytes) -> int | None:
    at = jpeg_scan(data)
    # Coded samples hold no such mark, the tables between scans hardly ever.
    found = None if at is None else _END.search(data, at)
    return found.end() if found else None


def jpeg_scan(data: bytes) -> int | None:
    """Offset of a JPEG's first scan; None if it has none."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == _SCAN:
            return at
        # Any number of 0xFF may stand before a marker; each other one has its length behind it.
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])
    return None
