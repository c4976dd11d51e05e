"""Hashes that find duplicates: SHA-256 for equal bytes, PDQ for pictures that look alike."""

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
"""Differing bits of two pictures that look alike, at most (PDQ's published threshold for the same
picture; two chats of one app with different words are often within it)."""
PDQ_SAME_DISTANCE = 10
"""Differing bits of two pictures that may be the same one saved twice, at most."""
PDQ_MIN_QUALITY = 50
"""Below this quality PDQ's authors advise against matching: the picture has too little texture."""

_LONG_SIDE = 512
"""PDQ filters every picture down to 64 × 64; its authors shrink to this side first, for speed."""
_GRID = 64
_FREQUENCIES = 16
_MIN_SIDE = 5
"""Pixels of a side, at least; smaller pictures have a hash of zeros, of quality 0."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PerceptualHash:
    """A PDQ hash: 256 bits in 32 bytes, most significant first, and a quality of 0–100."""

    bits: bytes
    quality: int

    @property
    def usable(self) -> bool:
        """Return whether the picture has enough texture to be compared."""
        return self.quality >= PDQ_MIN_QUALITY

    @property
    def comparable_hex(self) -> str:
        """The bits in hex, or an empty text if the picture cannot be compared."""
        return self.bits.hex() if self.usable else ""


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def perceptual_hash(image: Image.Image) -> PerceptualHash:
    """Return the PDQ hash of an upright picture; for a large one, ``thumbnails.overview`` of it is
    enough.

    PDQ (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019)
    blurs the luma with two passes of a box along each axis, takes 64 × 64 samples, and compares the
    lowest 16 × 16 frequencies without the constant ones with their median. Blur and sampling are
    linear and separable, so each sample is a weighted sum of a few pixels: many times as fast as
    blurring the whole picture, with the same bits. Written here because it needs no native library
    in the processes that decode; tests compare it with recorded hashes of the reference.
    """
    if min(image.size) < _MIN_SIDE:
        return PerceptualHash(bytes(PDQ_BITS // 8), 0)
    grid = _grid(np.asarray(image.convert("F"), dtype=np.float32))
    coefficients = (_cosines() @ grid @ _cosines().T).ravel()
    # The lower median; bit 0, the lowest frequency, comes last.
    median = np.partition(coefficients, PDQ_BITS // 2 - 1)[PDQ_BITS // 2 - 1]
    return PerceptualHash(np.packbits((coefficients > median)[::-1]).tobytes(), _quality(grid))


def _grid(luma: Matrix) -> Matrix:
    """Return (64, 64) samples of (H, W), as if its longer side had been shrunk to 512 first."""
    scale = max(max(luma.shape) / _LONG_SIDE, 1.0)
    for _ in ("rows", "columns"):
        length = len(luma)
        indices, weights = _samples(length, max(round(length / scale), 1))
        summed = luma[indices[:, 0]] * weights[:, :1]
        for index, weight in zip(indices.T[1:], weights.T[1:], strict=True):
            summed += luma[index] * weight[:, None]
        luma = np.ascontiguousarray(summed.T)
    return luma


@lru_cache(_LONG_SIDE)
def _samples(length: int, shrunk: int) -> tuple[NDArray[np.intp], Matrix]:
    """Return the positions in a line and their weights, both (64, K), for 64 evenly spaced samples.

    Each sample is the weighted sum of a line that was shrunk and blurred by two passes of PDQ's
    box. Weights of 0 fill up samples of fewer positions.
    """
    window = -(-shrunk // (2 * _GRID))
    ahead = window // 2
    offsets = np.arange(shrunk)[None, :] - np.arange(shrunk)[:, None]
    # At the ends of the line the box averages over fewer positions.
    box = _averaging((offsets >= ahead + 1 - window) & (offsets <= ahead))
    at = ((np.arange(_GRID) + 0.5) * shrunk / _GRID).astype(int)
    all_weights = box[at] @ box @ _shrinking(length, shrunk)
    first = np.argmax(all_weights > 0, axis=1)
    last = length - np.argmax(all_weights[:, ::-1] > 0, axis=1)
    indices = first[:, None] + np.arange(int((last - first).max()))
    beyond = indices >= length
    indices[beyond] = 0
    weights = np.take_along_axis(all_weights, indices, axis=1)
    weights[beyond] = 0.0
    return indices, weights.astype(np.float32)


def _shrinking(length: int, shrunk: int) -> NDArray[np.float64]:
    """Return the weights (shrunk, length) of bilinear resampling: triangles of two new pixels."""
    scale = length / shrunk
    centres = (np.arange(shrunk) + 0.5) * scale
    away = np.abs(np.arange(length) + 0.5 - centres[:, None]) / scale
    return _averaging((1.0 - away).clip(min=0.0))


def _averaging(weights: NDArray[Any]) -> NDArray[np.float64]:
    """Scale rows so that each sums to 1."""
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


@lru_cache(1)
def _cosines() -> Matrix:
    """Return (16, 64): the DCT-II of a line, frequencies 1 to 16."""
    frequencies = np.arange(1, _FREQUENCIES + 1)
    angles = np.outer(frequencies, 2 * np.arange(_GRID) + 1) * (np.pi / (2 * _GRID))
    return np.asarray(np.sqrt(2 / _GRID) * np.cos(angles), dtype=np.float32)


def _quality(grid: Matrix) -> int:
    """Return 0–100: the differences of neighbours in the grid, in whole percent of white, summed on
    PDQ's scale."""
    steps = sum(
        int((np.abs(np.diff(grid, axis=axis)) * 100 / 255).astype(int).sum()) for axis in (0, 1)
    )
    return min(steps // 90, 100)
