"""Small pictures: for all that needs no detail, and for pages and reports."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_OVERVIEW = 1024
_SIDE = 256
_QUALITY = 80


def overview(pixels: NDArray[np.uint8]) -> Image.Image:
    """The RGB picture of sRGB pixels, uint8 (H, W, 3), its longer side 1024 at most.

    Shrunk by a whole number, the fastest way: the one look at all pixels that a hash and a
    thumbnail share.
    """
    image = Image.fromarray(pixels)
    factor = -(-max(image.size) // _OVERVIEW)
    return image.reduce(factor) if factor > 1 else image


def thumbnail(image: Image.Image) -> bytes:
    """A JPEG of an RGB picture, its longer side at most 256 pixels.

    Never enlarged, without metadata, and the same bytes for the same pixels.
    """
    scale = min(_SIDE / max(image.size), 1.0)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    small = image.resize(size, Image.Resampling.HAMMING, reducing_gap=1.0)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
