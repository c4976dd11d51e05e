"""Camera effects on a drawn scene: angle, light, colour cast, blur, noise."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from mayak_synthetic.canvas import Point, SeededRandom, Style, by_style, typeface

_GRAIN_SIDE = 1100


@lru_cache(maxsize=2)
def _grain(monochrome: bool) -> Image.Image:
    """Gaussian grain around 128 with σ 16, drawn once per process and cropped at random."""
    shape = (_GRAIN_SIDE, _GRAIN_SIDE) if monochrome else (_GRAIN_SIDE, _GRAIN_SIDE, 3)
    values = SeededRandom("grain", monochrome).array.standard_normal(shape, dtype=np.float32)
    grain = Image.fromarray((values * 16 + 128).clip(0, 255).astype(np.uint8))
    return grain.convert("RGB")


def shoot(
    image: Image.Image, rng: SeededRandom, style: Style, *, night: bool = False, tilt: float = 5.0
) -> Image.Image:
    """Return a phone photo of the scene, same size; ``tilt`` is the largest rotation in degrees."""
    return shoot_at(image, rng, style, (0.0, 0.0), night=night, tilt=tilt)[0]


def shoot_at(
    image: Image.Image, rng: SeededRandom, style: Style, spot: Point, *, night: bool, tilt: float
) -> tuple[Image.Image, Point]:
    """As ``shoot``; return also the position in the photo of a point of the scene."""
    image, spot = _turn(image, rng, tilt, spot)
    image = _light(image, rng, style, night=night)
    if style == "heldout" and rng.chance(0.3):  # an old phone: few pixels, scaled up
        small = (round(image.width * 0.55), round(image.height * 0.55))
        image = image.resize(small, Image.Resampling.BOX).resize(image.size)
    softness = rng.uniform(0.0, by_style(style, 1.3, 0.9))
    if softness > 0.35:
        image = image.filter(ImageFilter.BoxBlur(softness * 0.8))
    elif style == "heldout" and rng.chance(0.6):
        image = image.filter(ImageFilter.SHARPEN)
    image = _noise(image, rng, style, night=night)
    if style == "heldout" and rng.chance(0.12):
        _stamp(image, rng)
    return image, spot


def moved(
    image: Image.Image,
    *,
    shift: Point = (0.0, 0.0),
    degrees: float = 0.0,
    zoom: float = 1.0,
) -> Image.Image:
    """Return what a hand-held camera sees a moment later, same size: ``shift`` is in shares of
    width and height. What comes into view mirrors what is next to it."""
    width, height = image.size
    edge = max(width, height) // 8
    wide = Image.fromarray(
        np.pad(np.asarray(image), ((edge, edge), (edge, edge), (0, 0)), "reflect")
    )
    x = (math.cos(math.radians(degrees)) / zoom, math.sin(math.radians(degrees)) / zoom)
    middle = (width / 2, height / 2)
    centre = (edge + middle[0] + shift[0] * width, edge + middle[1] + shift[1] * height)
    corner = (
        centre[0] - x[0] * middle[0] - x[1] * middle[1],
        centre[1] + x[1] * middle[0] - x[0] * middle[1],
    )
    matrix = (x[0], x[1], corner[0], -x[1], x[0], corner[1])
    return wide.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def _turn(
    image: Image.Image, rng: SeededRandom, tilt: float, spot: Point
) -> tuple[Image.Image, Point]:
    """Rotate and skew. The corners are inside the picture, so that no pixel needs to be filled."""
    width, height = image.size
    angle = math.radians(rng.uniform(-tilt, tilt))
    inset = 0.02 + abs(math.sin(angle)) * 0.42
    skew = 0.03
    corners: list[float] = []
    for x, y in ((0, 0), (0, 1), (1, 1), (1, 0)):
        u = (inset + rng.uniform(0, skew)) if x == 0 else 1 - inset - rng.uniform(0, skew)
        v = (inset + rng.uniform(0, skew)) if y == 0 else 1 - inset - rng.uniform(0, skew)
        dx, dy = (u - 0.5) * width, (v - 0.5) * height
        corners.append(width / 2 + dx * math.cos(angle) - dy * math.sin(angle))
        corners.append(height / 2 + dx * math.sin(angle) + dy * math.cos(angle))
    turned = image.transform(
        image.size, Image.Transform.QUAD, tuple(corners), Image.Resampling.BILINEAR
    )
    # Map the spot by the affine part of the quad: its mean edges from its upper left corner.
    quad = np.array(corners).reshape(4, 2)
    down = (quad[1] - quad[0] + quad[2] - quad[3]) / 2
    right = (quad[3] - quad[0] + quad[2] - quad[1]) / 2
    start = quad.mean(axis=0) - (down + right) / 2
    u, v = np.linalg.solve(np.column_stack((right, down)), np.array(spot) - start)
    return turned, (float(u) * width, float(v) * height)


def _light(image: Image.Image, rng: SeededRandom, style: Style, *, night: bool) -> Image.Image:
    """Apply a light map (side light or torch, and vignette) and a white balance."""
    y, x = np.mgrid[0:12, 0:16].astype(np.float32)
    x, y = x / 15 - 0.5, y / 11 - 0.5
    angle = rng.uniform(0, 2 * math.pi)
    if night:
        at = (rng.uniform(-0.15, 0.15), rng.uniform(-0.15, 0.15))
        away = (x - at[0]) ** 2 + (y - at[1]) ** 2
        level = 0.16 + 0.95 * np.exp(-away / rng.uniform(0.06, 0.16))
    else:
        side = rng.uniform(0.0, 0.42)
        level = 1.0 + side * (x * math.cos(angle) + y * math.sin(angle))
        level = level - rng.uniform(0.0, 0.55) * (x * x + y * y)
        level = level * rng.uniform(*by_style(style, (0.78, 1.06), (0.68, 1.12)))
    map_ = Image.fromarray((level * 225).clip(0, 255).astype(np.uint8))
    map_ = map_.resize(image.size, Image.Resampling.BILINEAR)
    image = ImageChops.multiply(image, Image.merge("RGB", (map_, map_, map_)))
    cast = by_style(style, 0.08, 0.14)
    warm = rng.uniform(-cast, cast)
    gains = (1.1 + warm, 1.1 + rng.uniform(-cast / 3, cast / 3), 1.1 - warm)
    lift = rng.integer(0, by_style(style, 10, 24))
    gamma = rng.uniform(0.88, 1.14)
    table: list[int] = []
    for gain in gains:
        for value in range(256):
            out = lift + (255 - lift) * min(1.0, value / 255 * gain) ** gamma
            table.append(max(0, min(255, round(out))))
    return image.point(table)


def _noise(image: Image.Image, rng: SeededRandom, style: Style, *, night: bool) -> Image.Image:
    sigma = rng.uniform(*((6.0, 14.0) if night else by_style(style, (1.0, 8.0), (2.0, 9.0))))
    grain = _grain(style == "heldout")
    left = rng.integer(0, _GRAIN_SIDE - image.width)
    top = rng.integer(0, _GRAIN_SIDE - image.height)
    grain = grain.crop((left, top, left + image.width, top + image.height))
    gain = sigma / 16
    table = [max(0, min(255, round((v - 128) * gain + 128))) for v in range(256)]
    return ImageChops.add(image, grain.point(table * 3), 1, -128)


def _stamp(image: Image.Image, rng: SeededRandom) -> None:
    """Print the orange date of an old camera."""
    date = f"20{rng.integer(23, 26)} {rng.integer(1, 12):2d} {rng.integer(1, 28):2d}"
    draw = ImageDraw.Draw(image)
    font = typeface("NanumGothicCoding", max(16, image.width // 24))
    at = (image.width - font.getlength(date) - 18, image.height - font.size * 1.6)
    draw.text(at, date, font=font, fill=(250, 150, 40))
