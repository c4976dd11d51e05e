"""Full-size pictures, read again from their source by a process that a bad file cannot hurt.

The browser never gets evidence as it lies there, only what was decoded here.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from PIL import Image

from mayak.errors import DecodeError, EvidenceError
from mayak.evidence import Source, located, open_source
from mayak.imaging import decode
from mayak.imaging.decode import decode_picture
from mayak.imaging.hashing import perceptual_hash
from mayak.imaging.inside import picture_inside
from mayak.imaging.sandbox import MAX_FILE_BYTES, Sandbox
from mayak.imaging.thumbnails import OVERVIEW, overview
from mayak.types import EvidencePath
from mayak.workers import Lost

_SIDE = 8192
"""Pixels; browsers refuse or stumble over longer sides."""
_QUALITY = 92

Why = Literal["missing", "changed", "undecodable", "crashed", "too-slow", "out-of-memory"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture, and where a copy of it lies."""

    sha256: str
    places: tuple[tuple[str, str], ...]
    """Path of the source and location in it (``EvidencePath`` as JSON)."""


class Originals:
    """Reads pictures from their sources, one at a time."""

    def __init__(self) -> None:
        self._sandbox = Sandbox(_work)

    def picture(self, wanted: Wanted) -> bytes | Why:
        """A JPEG of the picture, upright, or why there is none."""
        found = self._sandbox(wanted)
        return found.why if isinstance(found, Lost) else found

    def hash(self, data: bytes) -> bytes | Why:
        """The PDQ hash of an image file's bytes, or why there is none."""
        found = self._sandbox(data)
        return found.why if isinstance(found, Lost) else found

    def close(self) -> None:
        self._sandbox.close()


def _work(work: Wanted | bytes) -> bytes | Why:
    if isinstance(work, bytes):
        try:
            picture = decode_picture(work, least=OVERVIEW, partial=True)
            return perceptual_hash(overview(picture.image)).bits
        except DecodeError:
            return "undecodable"
    why: Why = "missing"
    for source, location in work.places:
        try:
            data = _read(source, EvidencePath.from_json(location))
        except DecodeError:  # of the file that holds the picture
            why = "undecodable"
            continue
        except (EvidenceError, OSError, ValueError):
            continue
        if data is None:
            continue
        if hashlib.sha256(data).hexdigest() != work.sha256:
            why = "changed"
            continue
        try:
            return _jpeg(data)
        except DecodeError:
            return "undecodable"
    return why


@lru_cache(8)
def _source(path: str) -> Source:
    return open_source(located(path))


def _read(source: str, path: EvidencePath) -> bytes | None:
    if not located(source).exists():  # a medium that was taken out may come back
        _source.cache_clear()
        return None
    item = _source(source).find(path)
    if item is None or item.size > MAX_FILE_BYTES:
        return None
    with item.open() as stream:
        data = stream.read(MAX_FILE_BYTES)
    if path.kind != "embedded":
        return data
    return picture_inside(data, path.name)


def _jpeg(data: bytes) -> bytes:
    image = Image.fromarray(decode(data, partial=True).pixels)
    if max(image.size) > _SIDE:
        image.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY, subsampling=0)
    return stream.getvalue()
