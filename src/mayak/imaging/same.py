"""Compare thumbnails: are two pictures the same one, saved twice?

A person decides such pictures together without looking at each, so in doubt they are different. The
limits come from measurements of chats (1080 × 2340 and 720 × 1560), receipts, drawn scenes and
photos, each saved again as JPEG of quality 55–85, at 75 % and 50 % of its size, 6 % brighter and
darker, and of chats that differ in one syllable (``tests/imaging/test_same.py`` holds the kinds).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mayak.imaging.thumbnails import SIDE, shrunk

_WINDOW = 5
"""Side of the neighbourhood that is compared, in pixels of the thumbnail: about one letter of a
chat."""
_RESIDUAL = 10.0
"""Largest difference of the detail of a neighbourhood, in grey levels (standard deviation), if one
of the two may hold small print.

Copies of chats: at most 9. Chats with other words: from 28. With another syllable: 떨/떡 35, 떨/딸
15, 개/게 13. Receipts: copies 7, another digit from 31. Not told apart from a copy: one stroke
within a letter (찾/잦 7), and a letter of less than two pixels in the thumbnail (a word of such
letters is).
"""
_PHOTO_RESIDUAL = 16.0
"""The same for photos: copies of 12 megapixels at most 8, of 1 megapixel at half their size mostly
up to 15, some to 25 (these only count as alike). Two hand-held photos that differ by 1 % of their
width: from 60 in areas with detail."""
_GAIN = 1.15
"""Factor by which contrast may differ: a copy that is 6 % brighter loses up to a tenth where it
reaches white."""
_LEVEL = 20.0
"""Largest difference of a neighbourhood's mean from that of the whole picture, in grey levels.
Copies: at most 19, if one is brighter and the other darker."""
_COLOUR = 16.0
"""Largest difference of a neighbourhood's mean colour (Cb, Cr). Copies: at most 15."""
_SHRINK = 10.0
"""Pixels of a picture to one of those that are compared, at most, if it may hold small print: on
phones' screens, up to 3200 pixels long, a letter still has three or more."""
_HALF = 2.2
"""Factor by which a picture with small print may be larger than the other: what can be read in one
must be legible in the other, because either may be shown."""
_COPY = 5.0
"""The same for a photo: messengers send 960 of 4032 pixels."""
_NARROW = 96
"""Pixels of the shorter side that are compared, at least, of any picture that was shrunk to less
than a third: a whole conversation in one picture is a strip without a letter."""
_FLAT = 0.25
_FLAT_SHARE = 0.12
"""What may hold small print: a picture with this share of neighbourhoods whose variance is below
``_FLAT``, or more. Screenshots, documents, drawings: .15 to .97; photos: mostly below .12."""

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ComparisonThumbnail:
    """A thumbnail, prepared for comparison."""

    pixels: NDArray[np.uint8]
    """(H, W, 3) in YCbCr."""
    longer: int
    """The longer side of the whole picture."""
    mean: Plane
    """(H, W), luma of each pixel's neighbourhood."""
    variance: Plane
    """(H, W), likewise."""
    colour: tuple[Plane, Plane]
    """Cb and Cr of the neighbourhoods, of every other row and column, as JPEG keeps them."""
    is_flat: bool
    """Whether it may hold small print."""

    @classmethod
    def of(cls, thumbnail: bytes, longer: int) -> Self:
        """Prepare a thumbnail; ``longer`` is the longer side of the whole picture.

        Raises what the decoder raises for a file that is not a thumbnail's JPEG.
        """
        with Image.open(io.BytesIO(thumbnail), formats=("JPEG",)) as image:
            if max(image.size) > SIDE:
                raise ValueError(image.size)
            image.draft("YCbCr", image.size)
            return cls._made(np.asarray(image.convert("YCbCr")), longer)

    @classmethod
    def _made(cls, pixels: NDArray[np.uint8], longer: int) -> Self:
        luma = pixels[..., 0].astype(np.float32)
        mean = _box(luma)
        variance = (_box(luma * luma) - mean * mean).clip(0)
        blue, red = (_box(pixels[::2, ::2, plane].astype(np.float32)) for plane in (1, 2))
        flat = float((variance < _FLAT).mean()) > _FLAT_SHARE
        return cls(pixels, longer, mean, variance, (blue, red), flat)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width, _ = self.pixels.shape
        return width, height

    def shrunk(self, longer: int) -> ComparisonThumbnail:
        """Return the picture with a longer side of at most ``longer`` pixels."""
        if max(self.size) <= longer:
            return self
        image = Image.frombytes("YCbCr", self.size, self.pixels.tobytes())
        return ComparisonThumbnail._made(np.asarray(shrunk(image, longer)), self.longer)

    def cut(self, width: int, height: int) -> ComparisonThumbnail:
        """Return the upper left part of the picture."""
        if self.size == (width, height):
            return self
        return ComparisonThumbnail._made(self.pixels[:height, :width], self.longer)


def same_picture(one: ComparisonThumbnail, other: ComparisonThumbnail) -> bool:
    """Return whether two thumbnails show the same picture; the order does not matter.

    They must have the same shape, and each neighbourhood of one must equal that of the other except
    for its level and a little of its contrast. Detail that thumbnails lack cannot be compared:
    pictures that may have small print are never the same if their thumbnails are too small for it,
    such as those of a whole conversation in one picture.
    """
    small, large = sorted((one, other), key=lambda look: max(look.size))
    longest, shortest = max(one.longer, other.longer), min(one.longer, other.longer)
    reduced = longest / max(small.size)
    fine = one.is_flat or other.is_flat
    if longest > (_HALF if fine else _COPY) * shortest or (fine and reduced > _SHRINK):
        return False
    if min(small.size) < _NARROW and reduced > 3:
        return False
    large = large.shrunk(max(small.size))
    # Rounding may cause a difference of a pixel.
    if max(abs(a - b) for a, b in zip(small.size, large.size, strict=True)) > 1:
        return False
    width, height = (min(sides) for sides in zip(small.size, large.size, strict=True))
    max_residual = _RESIDUAL if fine else _PHOTO_RESIDUAL
    return _alike(small.cut(width, height), large.cut(width, height), max_residual)


def _alike(one: ComparisonThumbnail, other: ComparisonThumbnail, max_residual: float) -> bool:
    """Return whether level, colour and detail agree everywhere, detail up to ``max_residual``."""
    for plane in zip(one.colour, other.colour, strict=True):
        if np.abs(plane[0] - plane[1]).max() > _COLOUR:
            return False
    apart = one.mean - other.mean
    if np.abs(apart - apart.mean()).max() > _LEVEL:
        return False
    luma = [look.pixels[..., 0].astype(np.float32) for look in (one, other)]
    shared = _box(luma[0] * luma[1]) - one.mean * other.mean
    for first, second in ((one, other), (other, one)):
        # The variance of the second that remains after subtracting the first at the best-fitting
        # contrast.
        gain = (shared / np.maximum(first.variance, 1.0)).clip(1 / _GAIN, _GAIN)
        residual = second.variance - 2 * gain * shared + gain * gain * first.variance
        if residual.max() > max_residual**2:
            return False
    return True


def _box(plane: Plane) -> Plane:
    """Return the mean of each pixel's neighbourhood; pixels at an edge count several times."""
    height, width = plane.shape
    plane = np.pad(plane, _WINDOW // 2, mode="edge")
    rows: Plane = sum((plane[at : at + height] for at in range(1, _WINDOW)), plane[:height])
    means: Plane = sum((rows[:, at : at + width] for at in range(1, _WINDOW)), rows[:, :width])
    return means / np.float32(_WINDOW**2)
