"""Whether two pictures are the same one saved twice, judged by their thumbnails.

A person decides such pictures together without looking at each: in doubt the answer is no. The
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
up to 15, some to 25 (these count as alike only). Two photos from the hand, moved by 1 %: from 60
where there is any detail."""
_GAIN = 1.15
"""By which factor contrast may differ: a copy that is 6 % brighter loses up to a tenth where white
is reached."""
_LEVEL = 20.0
"""Largest difference of a neighbourhood's mean from that of the whole picture, in grey levels.
Copies: at most 19, if one is brighter and the other darker."""
_COLOUR = 16.0
"""Largest difference of a neighbourhood's mean colour (Cb, Cr). Copies: at most 15."""
_SHRINK = 10.0
"""Pixels of a picture to one of those that are compared, at most, if it may hold small print: on
phones' screens, up to 3200 pixels long, a letter still has three or more."""
_HALF = 2.2
"""How many times as large as the other a picture with small print may be: what can be read in one
must be legible in the other, whichever is shown."""
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
class Look:
    """A thumbnail, prepared to be compared."""

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
    flat: bool
    """Whether it may hold small print."""

    @classmethod
    def of(cls, thumbnail: bytes, longer: int) -> Self:
        """Raises whatever the decoder raises over a file that is not a thumbnail's JPEG."""
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

    def shrunk(self, longer: int) -> Look:
        """The same picture with its longer side at most this long."""
        if max(self.size) <= longer:
            return self
        image = Image.frombytes("YCbCr", self.size, self.pixels.tobytes())
        return Look._made(np.asarray(shrunk(image, longer)), self.longer)

    def cut(self, width: int, height: int) -> Look:
        """The upper left part of it."""
        if self.size == (width, height):
            return self
        return Look._made(self.pixels[:height, :width], self.longer)


def same_picture(one: Look, other: Look) -> bool:
    """Whether the two are the same picture; the same answer in either order.

    They must have the same shape, and each neighbourhood of one must be that of the other but for
    its level and a little of its contrast. Detail that the thumbnails do not hold cannot be
    compared: pictures that may hold small print are never the same if their thumbnails are too
    small for it, as those of a whole conversation in one picture are.
    """
    small, large = sorted((one, other), key=lambda look: max(look.size))
    longest, shortest = max(one.longer, other.longer), min(one.longer, other.longer)
    reduced = longest / max(small.size)
    fine = one.flat or other.flat
    if longest > (_HALF if fine else _COPY) * shortest or (fine and reduced > _SHRINK):
        return False
    if min(small.size) < _NARROW and reduced > 3:
        return False
    large = large.shrunk(max(small.size))
    # Rounding makes a difference of a pixel.
    if max(abs(a - b) for a, b in zip(small.size, large.size, strict=True)) > 1:
        return False
    width, height = (min(sides) for sides in zip(small.size, large.size, strict=True))
    most = _RESIDUAL if fine else _PHOTO_RESIDUAL
    return _alike(small.cut(width, height), large.cut(width, height), most)


def _alike(one: Look, other: Look, most: float) -> bool:
    """Whether level, colour and detail are the same everywhere, the last up to ``most``."""
    for plane in zip(one.colour, other.colour, strict=True):
        if np.abs(plane[0] - plane[1]).max() > _COLOUR:
            return False
    apart = one.mean - other.mean
    if np.abs(apart - apart.mean()).max() > _LEVEL:
        return False
    luma = [look.pixels[..., 0].astype(np.float32) for look in (one, other)]
    shared = _box(luma[0] * luma[1]) - one.mean * other.mean
    for first, second in ((one, other), (other, one)):
        # What is left of the second's variance when the first, at the contrast that fits best, is
        # taken from it.
        gain = (shared / np.maximum(first.variance, 1.0)).clip(1 / _GAIN, _GAIN)
        left = second.variance - 2 * gain * shared + gain * gain * first.variance
        if left.max() > most**2:
            return False
    return True


def _box(plane: Plane) -> Plane:
    """The mean of each pixel's neighbourhood; at an edge its pixels count several times."""
    height, width = plane.shape
    plane = np.pad(plane, _WINDOW // 2, mode="edge")
    rows: Plane = sum((plane[at : at + height] for at in range(1, _WINDOW)), plane[:height])
    means: Plane = sum((rows[:, at : at + width] for at in range(1, _WINDOW)), rows[:, :width])
    return means / np.float32(_WINDOW**2)
