"""Small pictures: for all that needs no detail, and for pages and reports."""

from __future__ import annotations

import io

from PIL import Image

from mayak.types import Sides

_OVERVIEW = 1024
_SIDE = 320
_QUALITY = 80
OVERVIEW = Sides(2 * _SIDE, 64)
"""Of a picture that is decoded for hash and thumbnail alone: twice the latter, and PDQ, which looks
at 512 pixels of the longer side, samples 64 rows and columns."""


def overview(image: Image.Image) -> Image.Image:
    """An RGB picture, its longer side 1024 at most.

    Shrunk by a whole number, the fastest way: the one look at all pixels that a hash and a
    thumbnail share.
    """
    return _shrunk(image, _OVERVIEW)


def thumbnail(image: Image.Image) -> bytes:
    """A JPEG of an RGB picture, its longer side at most 320 pixels, and more than 160 if it was.

    Never enlarged, without metadata, and the same bytes for the same pixels.
    """
    stream = io.BytesIO()
    _shrunk(image, _SIDE).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    factor = -(-max(image.size) // side)
    return image.reduce(factor) if factor > 1 else image
