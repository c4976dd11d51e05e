"""Trailing data: another file after the end of an image, in the same file."""

from __future__ import annotations

import re

from mayak.imaging.formats import is_pdf, looks_like_image, signature

_SCAN = 0xDA
_END = re.compile(rb"\xff\xd9")
"""``re`` finds it more than twice as fast as ``bytes.find``."""

_CONTAINERS = (
    (b"PK\3\4", "ZIP"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "RAR"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document"),
    (b"SQLite format 3\0", "SQLite"),
)
_PADDING = 4096
"""Zero bytes that may separate the image from what follows, at most."""


def trailing_data(data: bytes, kind: str) -> tuple[str, ...]:
    """Return a warning if another image, a PDF or an archive begins after the end of an image.

    ``kind`` is Pillow's name of the format: the end is known for JPEG and PNG. The further images
    of an MPO belong to it.
    """
    end = _png_end(data) if kind == "PNG" else _jpeg_end(data) if kind in ("JPEG", "MPO") else None
    if end is None or end >= len(data):
        return ()
    rest = data[end : end + _PADDING + 512].lstrip(b"\0")[:512]
    found = begins_as(rest)
    if found is None or (kind == "MPO" and found == "JPEG"):
        return ()
    return (f"{len(data) - end} bytes after the image's end, which begin as {found}",)


def begins_as(head: bytes) -> str | None:
    """Return the kind of image, document or archive that these first 512 bytes begin, or None."""
    for start, name in _CONTAINERS:
        if head.startswith(start):
            return name
    if is_pdf(head):
        return "PDF"
    return signature(head) if looks_like_image(head, "") else None


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
