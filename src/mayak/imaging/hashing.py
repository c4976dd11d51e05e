"""Hashes that find duplicates: SHA-256 for the same bytes, PDQ for the same picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PDQ_BITS = 256
PDQ_MATCH_DISTANCE = 31
"""Two pictures are the same at this many differing bits or fewer (PDQ's published threshold)."""
PDQ_MIN_QUALITY = 50
"""Below it PDQ's authors advise against matching: the picture has too little texture."""

_LONG_SIDE = 512
"""PDQ filters down to 64 × 64 whatever comes in; its authors shrink to this first, for speed."""
_GRID = 64
_FREQUENCIES = 16
_LEAST = 5
"""Pixels of a side; of what is smaller PDQ says nothing, at quality 0."""

Matrix = NDArray[np.float32]


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
    """The PDQ hash of upright pixels, uint8 (H, W, 3).

    PDQ (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019)
    blurs the luma with two passes of a box along each axis, takes 64 × 64 samples, and compares the
    lowest 16 × 16 frequencies without the constant ones with their median. Blur and sampling are
    linear and act on rows and columns apart, so each sample is a weighted sum of a few pixels: many
    times as fast as blurring the whole picture, with the same bits.
    """
    if min(pixels.shape[:2]) < _LEAST:
        return PerceptualHash(bytes(PDQ_BITS // 8), 0)
    grid = _grid(_luma(Image.fromarray(pixels)))
    coefficients = (_cosines() @ grid @ _cosines().T).ravel()
    # The lower of the two middle ones; bit 0, the lowest frequency, comes last.
    median = np.partition(coefficients, PDQ_BITS // 2 - 1)[PDQ_BITS // 2 - 1]
    return PerceptualHash(np.packbits((coefficients > median)[::-1]).tobytes(), _quality(grid))


def _luma(image: Image.Image) -> Matrix:
    """(H, W) of 0–255, the longer side 512 at most."""
    scale = _LONG_SIDE / max(image.size)
    if scale >= 1:
        return np.asarray(image.convert("F"))
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    small = image.convert("L").resize(size, Image.Resampling.BILINEAR, reducing_gap=1.5)
    return np.asarray(small, dtype=np.float32)


def _grid(luma: Matrix) -> Matrix:
    """(64, 64)."""
    for _ in ("columns", "rows"):
        luma = luma.swapaxes(0, 1)
        places, weights = _samples(luma.shape[1])
        luma = np.einsum("rpk,pk->rp", luma[:, places], weights)
    return luma


@lru_cache(_LONG_SIDE)
def _samples(length: int) -> tuple[NDArray[np.intp], Matrix]:
    """Which places of a line make each of 64 evenly spaced samples after two passes of PDQ's box,
    and what each weighs: both (64, K), weights of 0 where fewer do."""
    window = -(-length // (2 * _GRID))
    ahead = window // 2
    offsets = np.arange(length)[None, :] - np.arange(length)[:, None]
    box = ((offsets >= ahead + 1 - window) & (offsets <= ahead)).astype(np.float64)
    box /= box.sum(axis=1, keepdims=True)  # cut off at the ends, where it averages over fewer
    at = ((np.arange(_GRID) + 0.5) * length / _GRID).astype(int)
    twice = box[at] @ box
    first = np.argmax(twice > 0, axis=1)
    reach = int((twice > 0).sum(axis=1).max())
    places = np.minimum(first[:, None] + np.arange(reach), length - 1)
    weights = np.take_along_axis(twice, places, axis=1)
    weights[first[:, None] + np.arange(reach) >= length] = 0.0
    return places, weights.astype(np.float32)


@lru_cache(1)
def _cosines() -> Matrix:
    """(16, 64): the DCT-II of a line, frequencies 1 to 16."""
    frequencies = np.arange(1, _FREQUENCIES + 1)
    angles = np.outer(frequencies, 2 * np.arange(_GRID) + 1) * (np.pi / (2 * _GRID))
    return np.asarray(np.sqrt(2 / _GRID) * np.cos(angles), dtype=np.float32)


def _quality(grid: Matrix) -> int:
    """0–100: how much neighbours in the grid differ, in whole percent of white, by PDQ's scale."""
    steps = sum(
        int((np.abs(np.diff(grid, axis=axis)) * 100 / 255).astype(int).sum()) for axis in (0, 1)
    )
    return min(steps // 90, 100)
