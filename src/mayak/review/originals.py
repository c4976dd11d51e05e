"""Reads full-size images again from their source, in a worker process with limits.

The browser never receives the bytes of evidence, only a JPEG made from the decoded image.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

from PIL import Image

from mayak.errors import DecodeError, EvidenceError
from mayak.evidence import Choices, LockedError, NotReadError, Walk, located, open_in_process
from mayak.imaging import decode
from mayak.imaging.decode import decode_picture
from mayak.imaging.hashing import perceptual_hash
from mayak.imaging.inside import picture_inside
from mayak.imaging.sandbox import MAX_FILE_BYTES, Sandbox
from mayak.imaging.thumbnails import OVERVIEW, overview
from mayak.types import EvidencePath, OutcomeReason
from mayak.workers import Lost

_SIDE = 8192
"""Pixels of the longer side; browsers fail on larger images."""
_QUALITY = 92

OriginalError = Literal[
    "missing", "locked", "changed", "undecodable", "crashed", "too-slow", "out-of-memory"
]


@dataclass(frozen=True, slots=True)
class OriginalRequest:
    """An image to read, with its occurrences."""

    sha256: str
    occurrences: tuple[tuple[str, str], ...]
    """Path of the source, and location in it (``EvidencePath`` as JSON)."""


class Originals:
    """Reads images from their sources, one at a time."""

    def __init__(self, choices: Choices | None = None) -> None:
        # The passwords reach the worker through a pipe, never in its arguments.
        self._sandbox = Sandbox(partial(_work, choices or Choices()))

    def picture(self, wanted: OriginalRequest) -> bytes | OriginalError:
        """Return the image as an upright JPEG, or the reason why not."""
        found = self._sandbox(wanted)
        return found.why if isinstance(found, Lost) else found

    def hash(self, data: bytes) -> bytes | OriginalError:
        """Return the PDQ hash of an image file, or the reason why not."""
        found = self._sandbox(data)
        return found.why if isinstance(found, Lost) else found

    def close(self) -> None:
        self._sandbox.close()


def _work(choices: Choices, work: OriginalRequest | bytes) -> bytes | OriginalError:
    if isinstance(work, bytes):
        try:
            picture = decode_picture(work, min_sides=OVERVIEW, partial=True)
            return perceptual_hash(overview(picture.image)).bits
        except DecodeError:
            return "undecodable"
    why: OriginalError = "missing"
    for source, location in work.occurrences:
        try:
            data = _read(source, choices, EvidencePath.from_json(location))
        except LockedError:
            why = "locked"
            continue
        except NotReadError as error:  # the source itself
            why = "locked" if error.outcome == OutcomeReason.ENCRYPTED else why
            continue
        except DecodeError:  # the file that contains the image cannot be decoded
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
def _source(path: str, choices: Choices, root: EvidencePath) -> Walk:
    return open_in_process(located(path), choices=choices, root=root)


def _read(source: str, choices: Choices, path: EvidencePath) -> bytes | None:
    if not located(source).exists():  # a medium that was removed may be connected again
        _source.cache_clear()
        return None
    item = _source(source, choices, path.layers[0]).find(path)
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
