"""Shrink pictures: thumbnails for pages and reports, overviews for hashing."""

from __future__ import annotations

import io

from PIL import Image

from mayak.types import Sides

_OVERVIEW = 1024
SIDE = 320
"""Pixels of a thumbnail's longer side, at most."""
_GAP = 3.0
"""The resampling filter is applied to a picture three times as large or more; larger pictures are
first averaged by a whole number, which is faster."""
_THIN = 32
"""Pixels of a thumbnail's shorter side below which no part of the picture is cropped."""
_QUALITY = 90
"""At 80, compression noise hides a changed word (``imaging.same``)."""
OVERVIEW = Sides(3 * SIDE, 64)
"""Sides of a picture that is decoded only for its hash and thumbnail: three thumbnails (``_GAP``),
and the 64 rows and columns that PDQ samples."""


def overview(image: Image.Image) -> Image.Image:
    """Return an RGB picture with a longer side of at most 1024, for the PDQ hash.

    It is averaged by a whole number, which is fastest.
    """
    factor = -(-max(image.size) // _OVERVIEW)
    return image.reduce(factor) if factor > 1 else image


def thumbnail(image: Image.Image) -> bytes:
    """Return an upright RGB picture as a JPEG with a longer side of at most 320 pixels.

    It has no metadata, and the same pixels give the same bytes.
    """
    stream = io.BytesIO()
    shrunk(image, SIDE).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def shrunk(image: Image.Image, longer: int) -> Image.Image:
    """Return the picture with a longer side of at most ``longer``; copies of other sizes give
    nearly the same result.

    For that, the filter is as wide as a new pixel (bicubic), and both sides have exactly the same
    scale, which crops less than a new pixel at the right or the lower edge.
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
