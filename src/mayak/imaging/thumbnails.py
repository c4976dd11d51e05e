"""Small pictures: for all that needs no detail, and for pages and reports."""

from __future__ import annotations

import io

from PIL import Image

from mayak.types import Sides

_OVERVIEW = 1024
SIDE = 320
"""Pixels of a thumbnail's longer side, at most."""
_GAP = 3.0
"""The resampling filter is applied to a picture at least three times as large; what is larger still
is averaged by a whole number first, which is faster."""
_THIN = 32
"""Pixels of a thumbnail's shorter side, below which nothing is left out."""
_QUALITY = 90
"""At 80, noise of the thumbnail itself hides a changed word (``imaging.same``)."""
OVERVIEW = Sides(3 * SIDE, 64)
"""Of a picture that is decoded for hash and thumbnail alone: three times the latter, as ``_GAP``,
and PDQ, which looks at 512 pixels of the longer side, samples 64 rows and columns."""


def overview(image: Image.Image) -> Image.Image:
    """An RGB picture for the PDQ hash, its longer side 1024 at most.

    Shrunk by a whole number, the fastest way.
    """
    factor = -(-max(image.size) // _OVERVIEW)
    return image.reduce(factor) if factor > 1 else image


def thumbnail(image: Image.Image) -> bytes:
    """A JPEG of an upright RGB picture, its longer side 320 pixels, or as it was if it was shorter.

    Without metadata, and the same bytes for the same pixels.
    """
    stream = io.BytesIO()
    shrunk(image, SIDE).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def shrunk(image: Image.Image, longer: int) -> Image.Image:
    """The picture with its longer side at most this long; copies of other sizes come out alike.

    For that the filter is as wide as a new pixel (bicubic), and both sides are brought to the same
    scale, which leaves out a part of a new pixel's width at the right or the lower edge.
    """
    scale = longer / max(image.size)
    if scale >= 1:
        return image
    size, box = [], []
    for side in image.size:
        exact = round(side * scale, 6)
        size.append(int(exact) if exact >= _THIN else max(round(exact), 1))
        box.append(min(size[-1] / scale, side) if exact >= _THIN else side)
    return image.resize(
        (size[0], size[1]),
        Image.Resampling.BICUBIC,
        (0.0, 0.0, float(box[0]), float(box[1])),
        reducing_gap=_GAP,
    )
