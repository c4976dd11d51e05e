"""Hashes that find duplicates: SHA-256 for the same bytes, PDQ for the same picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image

PDQ_BITS = 256
PDQ_MATCH_DISTANCE = 31
"""Two pictures are the same at this many differing bits or fewer (PDQ's published threshold)."""
PDQ_MIN_QUALITY = 50
"""Below it PDQ's authors advise against matching: the picture has too little texture."""

_LONG_SIDE = 512
"""PDQ filters down to 64 × 64 whatever comes in; its authors shrink to this first, for speed."""


@dataclass(frozen=True, slots=True)
class PerceptualHash:
    """A PDQ hash: 256 bits in 32 bytes, most significant first, and a quality of 0–100."""

    bits: bytes
    quality: int

    @property
    def usable(self) -> bool:
        """Whether there is texture enough to compare it."""
        return self.quality >= PDQ_MIN_QUALITY


def sha256(data: bytes) -> str:
    """SHA-256 of bytes, lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def perceptual_hash(pixels: NDArray[np.uint8]) -> PerceptualHash:
    """The PDQ hash of upright pixels, uint8 (H, W, 3)."""
    height, width = pixels.shape[:2]
    scale = _LONG_SIDE / max(height, width)
    if scale < 1:
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        small = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        pixels = np.asarray(small)
    bits, quality = pdqhash.compute(np.ascontiguousarray(pixels))
    return PerceptualHash(np.packbits(bits.astype(np.uint8)).tobytes(), int(quality))
