"""A single-segment E01 (EWF as EnCase 6 writes it) around the bytes of a medium.

The format is that of libyal's "Expert Witness Compression Format (EWF)":
https://github.com/libyal/libewf/tree/main/documentation
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path

SECTOR = 512
CHUNK_SECTORS = 64
ACQUIRED = datetime(2026, 3, 2, 10, 0, tzinfo=timezone(timedelta(hours=9)))
MAX_CHUNKS = 16375
"""The number that fits one table in every version of EnCase: 511 MiB of medium."""

_SIGNATURE = b"EVF\x09\x0d\x0a\xff\x00"
_DESCRIPTOR = 76
"""Bytes at the head of each section."""
_COMPRESSED = 1 << 31
_FAST = 1
"""Level of zlib, and the format's number for "fast": pictures hardly shrink."""
_REMOVABLE = 0
_IMAGE, _PHYSICAL = 1, 2
_DESCRIPTION, _SOFTWARE = "synthetic, drawn by mayak demo", "mayak"


def write_e01(path: Path, medium: bytes) -> None:
    """Write ``medium`` with its MD5 and SHA-1; an existing file is overwritten.

    The same medium gives the same file with the same version of zlib.

    Raises:
        ValueError: the medium is empty, is not whole sectors, or has more than ``MAX_CHUNKS``.
    """
    size = CHUNK_SECTORS * SECTOR
    if len(medium) % SECTOR or not 0 < len(medium) <= MAX_CHUNKS * size:
        raise ValueError(f"{len(medium)} bytes are not a medium that one table describes")
    chunks = [medium[start : start + size] for start in range(0, len(medium), size)]
    stored = [_stored(chunk) for chunk in chunks]
    md5 = hashlib.md5(medium, usedforsecurity=False).digest()
    sha1 = hashlib.sha1(medium, usedforsecurity=False).digest()
    segment = _Segment()
    # EnCase 4 and later write header2 twice and the older header once.
    for _ in range(2):
        segment.add(b"header2", zlib.compress(_header2().encode("utf-16")))
    segment.add(b"header", zlib.compress(_header().encode("ascii")))
    volume = _volume(len(chunks), len(medium) // SECTOR)
    segment.add(b"volume", volume)
    base = len(segment.data)
    segment.add(b"sectors", b"".join(data for data, _ in stored))
    table = _table(stored, base)
    segment.add(b"table", table)
    segment.add(b"table2", table)
    segment.add(b"data", volume)
    segment.add(b"digest", _checked(md5 + sha1 + bytes(40)))
    segment.add(b"hash", _checked(md5 + bytes(16)))
    segment.end()
    path.write_bytes(segment.data)


class _Segment:
    """A segment file: sections, each with the offset of the next."""

    def __init__(self) -> None:
        self.data = bytearray(_SIGNATURE + struct.pack("<BHH", 1, 1, 0))

    def add(self, kind: bytes, body: bytes) -> None:
        size = _DESCRIPTOR + len(body)
        self._describe(kind, len(self.data) + size, size)
        self.data += body

    def end(self) -> None:
        # The last section names itself as the next, and EnCase writes no size.
        self._describe(b"done", len(self.data), 0)

    def _describe(self, kind: bytes, after: int, size: int) -> None:
        self.data += _checked(struct.pack("<16sQQ40x", kind, after, size))


def _checked(data: bytes) -> bytes:
    """Return ``data`` and its Adler-32, as most structures of the format end."""
    return data + struct.pack("<I", zlib.adler32(data))


def _stored(chunk: bytes) -> tuple[bytes, int]:
    """Return the chunk as it is stored, and the flag of its table entry."""
    packed = zlib.compress(chunk, _FAST)
    return (packed, _COMPRESSED) if len(packed) < len(chunk) else (_checked(chunk), 0)


def _header2() -> str:
    """Return the text of header2: who acquired what; times in seconds since 1970."""
    source = ("srce", "0\t1", "p\tn\tid\tev\ttb\tlo\tpo\tah\tgu\taq", "0\t0")
    subject = ("sub", "0\t1", "p\tn\tid\tnu\tco\tgu", "0\t0")
    main = ("3", "main", *_rows("a c n e t md sn av ov m u p dc", str(int(ACQUIRED.timestamp()))))
    # EnCase 5 and later list one source and one subject, both empty.
    lines = (*main, "", *source, "\t\t\t\t\t-1\t-1\t\t\t", "", *subject, "\t\t\t\t1\t", "", "")
    return "\n".join(lines)


def _header() -> str:
    """Return the header for older readers; times as year, month, day, hour, minute, second."""
    moment = " ".join(str(part) for part in ACQUIRED.timetuple()[:6])
    return "\r\n".join(("1", "main", *_rows("c n a e t av ov m u p", moment), "", ""))


def _rows(keys: str, moment: str) -> tuple[str, str]:
    known = {"a": _DESCRIPTION, "av": _SOFTWARE, "m": moment, "u": moment, "p": "0"}
    return "\t".join(keys.split()), "\t".join(known.get(key, "") for key in keys.split())


def _volume(chunks: int, sectors: int) -> bytes:
    """Return the size and kind of the medium, for the volume section and the data section."""
    return _checked(
        struct.pack(
            "<B3xIIIQ12xB15xB3xI988x",
            *(_REMOVABLE, chunks, CHUNK_SECTORS, SECTOR, sectors),
            *(_IMAGE | _PHYSICAL, _FAST, CHUNK_SECTORS),
        )
    )


def _table(stored: list[tuple[bytes, int]], base: int) -> bytes:
    """Return the offsets of the chunks, counted from ``base``, the start of the sectors section."""
    entries = []
    offset = _DESCRIPTOR
    for data, flag in stored:
        entries.append(offset | flag)
        offset += len(data)
    head = _checked(struct.pack("<I4xQ4x", len(entries), base))
    return head + _checked(struct.pack(f"<{len(entries)}I", *entries))
