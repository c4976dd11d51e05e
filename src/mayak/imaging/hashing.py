"""Hashes that find duplicates: SHA-256 for the same bytes, PDQ for pictures that are alike."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PDQ_BITS = 256
PDQ_MATCH_DISTANCE = 31
"""Two pictures are alike at this many differing bits or fewer (PDQ's published threshold for the
same picture; two chats of one app with other words are often within it)."""
PDQ_SAME_DISTANCE = 10
"""Two pictures may be the same one saved twice at this many differing bits or fewer."""
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


def perceptual_hash(image: Image.Image) -> PerceptualHash:
    """The PDQ hash of an upright picture; of a large one its ``thumbnails.overview`` is enough.

    PDQ (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019)
    blurs the luma with two passes of a box along each axis, takes 64 × 64 samples, and compares the
    lowest 16 × 16 frequencies without the constant ones with their median. Blur and sampling are
    linear and act on rows and columns apart, so each sample is a weighted sum of a few pixels: many
    times as fast as blurring the whole picture, with the same bits.
    """
    if min(image.size) < _LEAST:
        return PerceptualHash(bytes(PDQ_BITS // 8), 0)
    grid = _grid(np.asarray(image.convert("F"), dtype=np.float32))
    coefficients = (_cosines() @ grid @ _cosines().T).ravel()
    # The lower of the two middle ones; bit 0, the lowest frequency, comes last.
    median = np.partition(coefficients, PDQ_BITS // 2 - 1)[PDQ_BITS // 2 - 1]
    return PerceptualHash(np.packbits((coefficients > median)[::-1]).tobytes(), _quality(grid))


def _grid(luma: Matrix) -> Matrix:
    """(64, 64) samples of (H, W), as if its longer side had been shrunk to 512 first."""
    scale = max(max(luma.shape) / _LONG_SIDE, 1.0)
    for _ in ("rows", "columns"):
        length = len(luma)
        places, weights = _samples(length, max(round(length / scale), 1))
        summed = luma[places[:, 0]] * weights[:, :1]
        for place, weight in zip(places.T[1:], weights.T[1:], strict=True):
            summed += luma[place] * weight[:, None]
        luma = np.ascontiguousarray(summed.T)
    return luma


@lru_cache(_LONG_SIDE)
def _samples(length: int, shrunk: int) -> tuple[NDArray[np.intp], Matrix]:
    """Which places of a line make each of 64 evenly spaced samples after it was shrunk and went
    through two passes of PDQ's box, and what each weighs: both (64, K), weights of 0 where fewer
    do."""
    window = -(-shrunk // (2 * _GRID))
    ahead = window // 2
    offsets = np.arange(shrunk)[None, :] - np.arange(shrunk)[:, None]
    # Cut off at the ends, where it averages over fewer.
    box = _averaging((offsets >= ahead + 1 - window) & (offsets <= ahead))
    at = ((np.arange(_GRID) + 0.5) * shrunk / _GRID).astype(int)
    all_weights = box[at] @ box @ _shrinking(length, shrunk)
    first = np.argmax(all_weights > 0, axis=1)
    last = length - np.argmax(all_weights[:, ::-1] > 0, axis=1)
    places = first[:, None] + np.arange(int((last - first).max()))
    beyond = places >= length
    places[beyond] = 0
    weights = np.take_along_axis(all_weights, places, axis=1)
    weights[beyond] = 0.0
    return places, weights.astype(np.float32)


def _shrinking(length: int, shrunk: int) -> NDArray[np.float64]:
    """(shrunk, length): a line resampled with a triangle twice a new pixel wide (bilinear)."""
    scale = length / shrunk
    centres = (np.arange(shrunk) + 0.5) * scale
    away = np.abs(np.arange(length) + 0.5 - centres[:, None]) / scale
    return _averaging((1.0 - away).clip(min=0.0))


def _averaging(weights: NDArray[Any]) -> NDArray[np.float64]:
    """Rows that sum to 1."""
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


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
