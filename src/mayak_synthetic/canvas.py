"""Drawing tools of every subject: seeded random numbers, colours, textures, type, soft shapes."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from mayak_synthetic.fonts import font_path

Style = Literal["base", "heldout"]
RGB = tuple[int, int, int]
Box = tuple[int, int, int, int]
Point = tuple[float, float]
Facts = dict[str, Any]
Drawing = tuple[Image.Image, Facts]
T = TypeVar("T")

BASE_FONTS = ("Pretendard-Regular", "NanumGothic", "NanumSquareR")
BASE_BOLD_FONTS = ("Pretendard-Bold", "NanumSquareB")
HELDOUT_FONTS = ("NanumSquareRoundR", "NanumGothicCoding")
HELDOUT_BOLD_FONTS = ("NanumSquareRoundB",)

COLOURS: dict[str, RGB] = {
    "white": (240, 240, 238),
    "black": (28, 28, 30),
    "grey": (140, 142, 146),
    "red": (214, 48, 44),
    "orange": (240, 138, 36),
    "yellow": (246, 208, 48),
    "green": (62, 158, 84),
    "lime": (150, 220, 60),
    "cyan": (50, 200, 220),
    "sky_blue": (128, 186, 230),
    "blue": (44, 106, 206),
    "navy": (32, 48, 92),
    "purple": (138, 82, 190),
    "magenta": (226, 46, 170),
    "pink": (240, 150, 182),
    "brown": (130, 88, 56),
    "beige": (222, 204, 172),
}


class SeededRandom:
    """Random numbers, the same for the same parts on every machine and in every process."""

    def __init__(self, *parts: object) -> None:
        digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
        self._random = random.Random(digest)
        self.array = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "big")))

    def choice(self, values: Sequence[T]) -> T:
        return values[self._random.randrange(len(values))]

    def sample(self, values: Sequence[T], count: int) -> list[T]:
        """Return ``count`` different values in random order, or all if there are fewer."""
        return self._random.sample(list(values), min(count, len(values)))

    def shuffle(self, values: list[T]) -> None:
        self._random.shuffle(values)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def integer(self, low: int, high: int) -> int:
        """Return an integer, both ends included."""
        return self._random.randint(low, max(low, high))

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def shade(self, colour: str | RGB, amount: int = 14) -> RGB:
        """Return a colour near a named one: brightness and channels are shifted a little."""
        base = COLOURS[colour] if isinstance(colour, str) else colour
        lift = self.integer(-amount, amount)
        red, green, blue = (
            max(0, min(255, c + lift + self.integer(-amount // 2, amount // 2))) for c in base
        )
        return red, green, blue


def by_style(style: Style, base: T, heldout: T) -> T:
    return base if style == "base" else heldout


@lru_cache(maxsize=256)
def typeface(name: str, size: int) -> ImageFont.FreeTypeFont:
    # The basic engine: Raqm is not in every Pillow build, and the pictures must not differ.
    return ImageFont.truetype(str(font_path(name)), size, layout_engine=ImageFont.Layout.BASIC)


def regular(rng: SeededRandom, style: Style) -> str:
    return rng.choice(by_style(style, BASE_FONTS, HELDOUT_FONTS))


def bold(rng: SeededRandom, style: Style) -> str:
    return rng.choice(by_style(style, BASE_BOLD_FONTS, HELDOUT_BOLD_FONTS))


def mix(a: RGB, b: RGB, t: float) -> RGB:
    red, green, blue = (round(x + (y - x) * t) for x, y in zip(a, b, strict=True))
    return red, green, blue


def noise(rng: SeededRandom, size: tuple[int, int], cells: float, octaves: int = 3) -> Image.Image:
    """Return fractal noise as ``L``, mean about 128; ``cells``: coarsest grid along the width."""
    return stretched_noise(rng, size, cells, max(2.0, cells * size[1] / size[0]), octaves)


def stretched_noise(
    rng: SeededRandom, size: tuple[int, int], across: float, down: float, octaves: int = 3
) -> Image.Image:
    """Return fractal noise with its own number of grid cells in each direction."""
    full = size
    fine = 2 ** (octaves - 1)
    if max(across * fine / size[0], down * fine / size[1]) < 0.25 and min(size) > 64:
        # If the noise is this soft, nobody sees half the size, and it costs a quarter.
        size = (size[0] // 2, size[1] // 2)
    total: Image.Image | None = None
    for octave in range(octaves):
        grid = (
            max(2, min(size[0], round(across * 2**octave))),
            max(2, min(size[1], round(down * 2**octave))),
        )
        values = rng.array.integers(0, 256, (grid[1], grid[0]), dtype=np.uint8)
        layer = Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)
        total = layer if total is None else Image.blend(total, layer, 0.36)
    assert total is not None  # noqa: S101 - octaves is at least 1
    return total if size == full else total.resize(full, Image.Resampling.BILINEAR)


def toned(grey: Image.Image, dark: RGB, light: RGB, middle: RGB | None = None) -> Image.Image:
    """Colour an ``L`` picture by a ramp between colours."""
    return ImageOps.colorize(grey, dark, light, middle)


def contrast(grey: Image.Image, gain: float, centre: int = 128) -> Image.Image:
    table = [max(0, min(255, round((v - centre) * gain + centre))) for v in range(256)]
    return grey.point(table)


def gradient(size: tuple[int, int], top: RGB, bottom: RGB) -> Image.Image:
    ramp = Image.linear_gradient("L").resize(size)
    return ImageOps.colorize(ramp, top, bottom)


def ellipse_mask(size: tuple[int, int], box: Sequence[float], blur: float) -> Image.Image:
    """Return an ``L`` mask of one ellipse. Only the box around it is blurred, which is faster."""
    margin = round(blur) + 2
    left, top = round(box[0]) - margin, round(box[1]) - margin
    part = Image.new("L", (round(box[2]) - left + margin + 1, round(box[3]) - top + margin + 1), 0)
    inside = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    ImageDraw.Draw(part).ellipse(inside, fill=255)
    mask = Image.new("L", size, 0)
    mask.paste(part.filter(ImageFilter.BoxBlur(blur)) if blur else part, (left, top))
    return mask


@lru_cache(maxsize=64)
def _corner(radius: int) -> Image.Image:
    """Return a smooth disc of this radius."""
    disc = Image.new("L", (radius * 8, radius * 8), 0)
    ImageDraw.Draw(disc).ellipse((0, 0, radius * 8 - 1, radius * 8 - 1), fill=255)
    return disc.resize((radius * 2, radius * 2), Image.Resampling.BOX)


def rounded_mask(size: tuple[int, int], radius: int) -> Image.Image:
    width, height = size
    radius = max(1, min(radius, width // 2, height // 2))
    mask = Image.new("L", size, 255)
    disc = _corner(radius)
    for x, left in ((0, 0), (width - radius, radius)):
        for y, top in ((0, 0), (height - radius, radius)):
            mask.paste(disc.crop((left, top, left + radius, top + radius)), (x, y))
    return mask


def rounded(image: Image.Image, box: Sequence[float], radius: int, fill: RGB) -> None:
    """Draw a filled rounded rectangle with smooth corners."""
    left, top, right, bottom = (round(v) for v in box)
    size = (max(2, right - left), max(2, bottom - top))
    image.paste(fill, (left, top, left + size[0], top + size[1]), rounded_mask(size, radius))


def paste_rounded(image: Image.Image, inset: Image.Image, at: tuple[int, int], radius: int) -> None:
    image.paste(inset, at, rounded_mask(inset.size, radius))


def shadow(image: Image.Image, mask: Image.Image, offset: tuple[int, int], strength: float) -> None:
    """Darken ``image`` under ``mask``, which is moved by ``offset`` and blurred."""
    box = mask.getbbox()
    if box is None:
        return
    margin = 20
    region = (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)
    part = mask.crop(region)  # beyond the edges a crop is black
    soft = part.reduce(4).filter(ImageFilter.BoxBlur(2))
    soft = soft.resize(part.size, Image.Resampling.BILINEAR).point(
        [round(v * strength) for v in range(256)]
    )
    image.paste((12, 10, 10), (region[0] + offset[0], region[1] + offset[1]), soft)


def relief(height: NDArray[np.float32], angle: float, strength: float) -> NDArray[np.float32]:
    """Return Lambert-like shading of a height field (H, W): 0.35 to 1.4, and 1 on flat parts."""
    slope_y, slope_x = np.gradient(height)
    toward = slope_x * math.cos(angle) + slope_y * math.sin(angle)
    shaded: NDArray[np.float32] = np.clip(1.0 - toward * strength, 0.35, 1.4).astype(np.float32)
    return shaded


def to_array(grey: Image.Image) -> NDArray[np.float32]:
    return np.asarray(grey, dtype=np.float32) / 255.0


def to_grey(values: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray((values * 255.0).clip(0, 255).astype(np.uint8))


def wobbly(
    rng: SeededRandom, centre: Point, radius: Point, points: int = 28, roughness: float = 0.12
) -> list[Point]:
    """Return a closed outline around a centre, uneven by ``roughness`` of the radius."""
    phases = [(rng.uniform(0, 6.28), rng.uniform(0.3, 1.0) / k) for k in (1, 2, 3, 5)]
    outline: list[Point] = []
    for step in range(points):
        angle = 2 * math.pi * step / points
        swell = sum(
            weight * math.sin(k * angle + phase)
            for k, (phase, weight) in zip((2, 3, 4, 7), phases, strict=True)
        )
        r = 1 + roughness * swell
        outline.append(
            (
                centre[0] + radius[0] * r * math.cos(angle),
                centre[1] + radius[1] * r * math.sin(angle),
            )
        )
    return outline


def turned(points: Sequence[Point], centre: Point, angle: float) -> list[Point]:
    """Return points turned around a centre by an angle in radians."""
    c, s = math.cos(angle), math.sin(angle)
    return [
        (
            centre[0] + (x - centre[0]) * c - (y - centre[1]) * s,
            centre[1] + (x - centre[0]) * s + (y - centre[1]) * c,
        )
        for x, y in points
    ]


def wrap(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Split text into lines that fit a width; a word is broken only if it is wider than a line."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        candidate = f"{line} {word}".strip()
        if font.getlength(candidate) <= width:
            line = candidate
            continue
        if line:
            lines.append(line)
        while font.getlength(word) > width:
            cut = max(
                1,
                next(
                    n
                    for n in range(len(word), 0, -1)
                    if n == 1 or font.getlength(word[:n]) <= width
                ),
            )
            lines.append(word[:cut])
            word = word[cut:]
        line = word
    return [*lines, line] if line else lines
