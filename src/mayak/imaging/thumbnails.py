"""Small pictures for pages and reports."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 256
_QUALITY = 80


def thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """A JPEG of sRGB pixels, uint8 (H, W, 3), its longer side at most 256 pixels.

    Never enlarged, without metadata, and the same bytes for the same pixels.
    """
    image = Image.fromarray(pixels)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.HAMMING, reducing_gap=1.0)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
