"""Trailing data: another file after the end of an image, in the same file."""

from __future__ import annotations

import re

from mayak import signatures
from mayak.imaging.png import chunks

_SCAN = 0xDA
_END = re.compile(rb"\xff\xd9")
"""``re`` finds it more than twice as fast as ``bytes.find``."""

_PADDING = 4096
"""Zero bytes that may separate the image from what follows, at most."""


def trailing_data(data: bytes, kind: str) -> tuple[str, ...]:
    """Return a warning if another image, a video, a document or an archive begins after the end of
    an image.

    ``kind`` is Pillow's name of the format: the end is known for JPEG and PNG. The further images
    of an MPO belong to it.
    """
    end = _png_end(data) if kind == "PNG" else _jpeg_end(data) if kind in ("JPEG", "MPO") else None
    if end is None or end >= len(data):
        return ()
    rest = data[end : end + _PADDING + 512]
    # Before the video of a motion photo is its length, or a mark of the phone's maker.
    video = rest.find(b"ftyp") - 4
    found = begins_as(rest.lstrip(b"\0")[:512]) or (
        begins_as(rest[video : video + 512]) if video >= 0 else None
    )
    if found is None or (kind == "MPO" and found == "JPEG"):
        return ()
    return (f"{len(data) - end} bytes after the image's end, which begin as {found}",)


def begins_as(head: bytes) -> str | None:
    """Return the kind of image, video, document or archive that begins with these first 512 bytes;
    None if none does."""
    kind = signatures.ATTACHED.identify(head)
    if kind is None:
        return None
    return kind.described if kind.family == "document" else kind.name


def _png_end(data: bytes) -> int | None:
    return next((end for kind, _, end in chunks(data) if kind == b"IEND"), None)


def _jpeg_end(data: bytes) -> int | None:
    at = jpeg_scan(data)
    # Coded samples do not contain this marker, the tables between scans hardly ever.
    found = None if at is None else _END.search(data, at)
    return found.end() if found else None


def jpeg_scan(data: bytes) -> int | None:
    """Return the offset of a JPEG's first scan; None if it has none."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == _SCAN:
            return at
        # Any number of 0xFF may precede a marker; after each other marker comes its length.
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])
    return None
