"""Tables seen from the front, and plates, shadows and highlights of things on them."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFilter

from mayak_synthetic import surfaces
from mayak_synthetic.canvas import Point, SeededRandom, Style, ellipse_mask, mix, shadow
from mayak_synthetic.surfaces import Size


def front_table(rng: SeededRandom, style: Style, size: Size) -> tuple[Image.Image, str]:
    """Return a table before a wall, seen from the front, and the name of its surface."""
    image, _ = surfaces.wall(rng, style, size)
    image = Image.blend(image, Image.new("RGB", size, rng.shade((226, 218, 206), 14)), 0.55)
    top = round(size[1] * rng.uniform(0.56, 0.66))
    board, name = surfaces.ground(rng, style, (size[0], size[1] - top))
    image.paste(board, (0, top))
    return image.filter(ImageFilter.BoxBlur(1)), name


def footing(image: Image.Image, foot: Point, wide: float) -> None:
    mask = ellipse_mask(
        image.size, (foot[0] - wide * 0.62, foot[1] - 16, foot[0] + wide * 0.7, foot[1] + 18), 8
    )
    image.paste((20, 16, 14), (0, 0), mask.point([v * 9 // 20 for v in range(256)]))


def gloss(image: Image.Image, box: tuple[float, float, float, float]) -> None:
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).rectangle(box, fill=120)
    image.paste((255, 255, 255), (0, 0), mask.filter(ImageFilter.BoxBlur(4)))


def dish(image: Image.Image, rng: SeededRandom, centre: Point, r: float, colour: str) -> None:
    """Draw a plate or bowl from above."""
    mask = ellipse_mask(image.size, (centre[0] - r, centre[1] - r, centre[0] + r, centre[1] + r), 1)
    shadow(image, mask, (7, 11), 0.5)
    tone = rng.shade(colour, 8)
    image.paste(tone, (0, 0), mask)
    draw = ImageDraw.Draw(image)
    for share, shade in ((0.98, 0.12), (0.76, 0.16), (0.73, 0.05)):
        q = r * share
        draw.ellipse(
            (centre[0] - q, centre[1] - q, centre[0] + q, centre[1] + q),
            outline=mix(tone, (0, 0, 0), shade),
            width=4,
        )
