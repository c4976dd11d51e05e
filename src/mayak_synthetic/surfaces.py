"""Grounds and walls: the backgrounds of the other drawings."""

from __future__ import annotations

import math

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from mayak_synthetic.canvas import (
    COLOURS,
    RGB,
    SeededRandom,
    Style,
    by_style,
    contrast,
    mix,
    noise,
    stretched_noise,
    toned,
)

GROUNDS_BASE = (
    *("wood", "marble", "cloth", "dark_table", "white_table", "tile_floor", "newspaper"),
    *("patterned_ground",) * 4,
)
GROUNDS_HELDOUT = ("metal", "granite", "leather", "checked_cloth", "cork")
WALLS_BASE = ("concrete", "brick", "plaster", "wall_tile", *("patterned_wall",) * 2)
WALLS_HELDOUT = ("stone", "panel", "stained_plaster")

Size = tuple[int, int]


def ground(rng: SeededRandom, style: Style, size: Size) -> tuple[Image.Image, str]:
    """Return a ground seen from above, and its name."""
    name = rng.choice(by_style(style, GROUNDS_BASE, GROUNDS_HELDOUT))
    return _GROUNDS[name](rng, size), name


def wall(rng: SeededRandom, style: Style, size: Size) -> tuple[Image.Image, str]:
    """Return a wall seen from the front, and its name."""
    name = rng.choice(by_style(style, WALLS_BASE, WALLS_HELDOUT))
    return _WALLS[name](rng, size), name


def wood(rng: SeededRandom, size: Size) -> Image.Image:
    dark, light = rng.choice(
        (
            ((92, 56, 30), (190, 138, 88)),
            ((70, 44, 28), (132, 88, 56)),
            ((168, 128, 84), (226, 194, 148)),
        )
    )
    across = stretched_noise(rng, size, 3, 46, 3)
    if rng.chance(0.3):
        across = across.transpose(Image.Transpose.ROTATE_90).resize(size)
    image = toned(contrast(across, 1.5), dark, light)
    draw = ImageDraw.Draw(image)
    plank = rng.integer(size[1] // 4, size[1] // 2)
    for y in range(rng.integer(0, plank), size[1], plank):
        draw.line((0, y, size[0], y + rng.integer(-3, 3)), fill=mix(dark, (0, 0, 0), 0.4), width=3)
    return image


def _marble(rng: SeededRandom, size: Size) -> Image.Image:
    grey = noise(rng, size, 2.5, 3)
    veins = grey.point([min(255, 70 + abs(v - 128) * 16) for v in range(256)])
    light = rng.shade((232, 230, 226), 10)
    return toned(veins, mix(light, (110, 108, 112), 0.6), light)


def _cloth(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.shade(rng.choice(("navy", "red", "grey", "beige", "green", "purple")), 20)
    weave = noise(rng, size, size[0] / 3, 1)
    folds = stretched_noise(rng, size, 4, 3, 2)
    grey = Image.blend(weave, folds, 0.6)
    return toned(grey, mix(base, (0, 0, 0), 0.55), mix(base, (255, 255, 255), 0.25))


def _dark_table(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.shade((40, 36, 36), 14)
    return toned(noise(rng, size, 4, 3), mix(base, (0, 0, 0), 0.4), mix(base, (150, 140, 130), 0.3))


def _white_table(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.shade((214, 212, 206), 16)
    return toned(noise(rng, size, 3, 2), mix(base, (90, 90, 90), 0.22), base)


def _tile_floor(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.shade(rng.choice(("beige", "grey", "sky_blue", "white")), 16)
    image = toned(noise(rng, size, 8, 3), mix(base, (0, 0, 0), 0.25), base)
    _grid(image, rng, rng.integer(150, 240), mix(base, (40, 40, 40), 0.55), 5)
    return image


def _newspaper(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.shade((206, 200, 186), 8)
    image = toned(noise(rng, size, 6, 3), mix(base, (0, 0, 0), 0.15), base)
    draw = ImageDraw.Draw(image)
    column = rng.integer(110, 170)
    for x in range(-20, size[0], column):
        for y in range(rng.integer(0, 14), size[1], 11):
            if rng.chance(0.93):
                end = x + column - 18 - (rng.integer(0, 50) if rng.chance(0.15) else 0)
                draw.line((x, y, end, y), fill=(110, 106, 100), width=4)
    for _ in range(3):
        x, y = rng.integer(0, size[0]), rng.integer(0, size[1])
        draw.rectangle((x, y, x + column * 2 - 20, y + 40), fill=(60, 58, 56))
    return image


def _patterned(rng: SeededRandom, size: Size) -> Image.Image:
    """Return an invented material with random grain, direction, colours and overlay."""
    colours = [rng.shade(colour, 30) for colour in rng.sample(tuple(COLOURS), 3)]
    dull = rng.uniform(0.0, 0.8)
    dark, middle, light = sorted((mix(c, (128, 128, 128), dull) for c in colours), key=sum)
    across, down = (2 * (side / 6) ** rng.uniform(0, 1) for side in size)
    grey = stretched_noise(rng, size, across, down, rng.integer(1, 3))
    if rng.chance(0.2):
        grey = grey.filter(ImageFilter.EMBOSS)
    image = toned(contrast(grey, rng.uniform(0.4, 2.0)), dark, light, middle)
    line = mix(middle, rng.choice(((0, 0, 0), (255, 255, 255))), rng.uniform(0.2, 0.6))
    overlay = rng.choice(("none", "none", "grid", "stripes", "spots"))
    if overlay == "grid":
        _grid(image, rng, rng.integer(40, 240), line, rng.integer(2, 6))
    elif overlay == "stripes":
        step, lean = rng.integer(16, 120), rng.choice((0, 0, size[1]))
        for x in range(-lean, size[0], step):
            ImageDraw.Draw(image).line((x, 0, x + lean, size[1]), fill=line, width=step // 5 + 1)
    elif overlay == "spots":
        r = rng.integer(2, 14)
        for _ in range(rng.integer(30, 160)):
            x, y = rng.integer(0, size[0]), rng.integer(0, size[1])
            ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), fill=line)
    return image


def _metal(rng: SeededRandom, size: Size) -> Image.Image:
    grey = stretched_noise(rng, size, 2, size[1] / 3, 1)
    return toned(contrast(grey, 0.6), (96, 100, 106), (212, 216, 220))


def _granite(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.choice(((150, 146, 144), (98, 92, 96), (176, 150, 136)))
    grey = contrast(noise(rng, size, size[0] / 5, 2), 1.9)
    return toned(grey, mix(base, (0, 0, 0), 0.7), mix(base, (255, 255, 255), 0.45), base)


def _leather(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.choice(((96, 52, 34), (52, 34, 30), (120, 30, 32)))
    grain = noise(rng, size, size[0] / 9, 2).filter(ImageFilter.EMBOSS)
    grain = Image.blend(grain, noise(rng, size, 4, 2), 0.35)
    return toned(contrast(grain, 1.4), mix(base, (0, 0, 0), 0.6), mix(base, (255, 230, 210), 0.3))


def _checked_cloth(rng: SeededRandom, size: Size) -> Image.Image:
    colour = rng.shade(rng.choice(("red", "green", "blue", "orange")), 10)
    image = Image.new("RGB", size, (238, 234, 226))
    cell = rng.integer(44, 84)
    across = Image.new("L", size, 0)
    down = Image.new("L", size, 0)
    for x in range(0, size[0], cell * 2):
        ImageDraw.Draw(across).rectangle((x, 0, x + cell, size[1]), fill=120)
    for y in range(0, size[1], cell * 2):
        ImageDraw.Draw(down).rectangle((0, y, size[0], y + cell), fill=120)
    image.paste(colour, (0, 0), ImageChops.add(across, down))
    shade = toned(noise(rng, size, 5, 2), (150, 150, 150), (255, 255, 255))
    return ImageChops.multiply(image, shade)


def _cork(rng: SeededRandom, size: Size) -> Image.Image:
    grey = contrast(noise(rng, size, size[0] / 12, 3), 1.8)
    return toned(grey, (104, 66, 34), (220, 176, 122), (180, 130, 80))


def concrete(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.shade((150, 148, 144), 24)
    grey = Image.blend(noise(rng, size, 5, 4), noise(rng, size, size[0] / 4, 1), 0.25)
    image = toned(contrast(grey, 1.3), mix(base, (0, 0, 0), 0.35), mix(base, (255, 255, 255), 0.2))
    _crack(image, rng)
    return image


def _crack(image: Image.Image, rng: SeededRandom) -> None:
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integer(0, 2)):
        x, y = rng.uniform(0, image.width), 0.0
        while y < image.height * rng.uniform(0.6, 1.2):
            nx, ny = x + rng.uniform(-16, 16), y + rng.uniform(12, 30)
            draw.line((x, y, nx, ny), fill=(74, 72, 70), width=2)
            x, y = nx, ny


def brick(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.choice(((156, 82, 60), (176, 108, 78), (136, 66, 56), (180, 150, 126)))
    mortar = rng.shade((196, 188, 178), 16)
    image = Image.new("RGB", size, mortar)
    draw = ImageDraw.Draw(image)
    height = rng.integer(22, 36)
    width = round(height * rng.uniform(2.2, 2.8))
    for row, y in enumerate(range(-4, size[1], height)):
        for x in range(-width + (row % 2) * width // 2, size[0], width):
            draw.rectangle((x + 2, y + 2, x + width - 3, y + height - 3), fill=rng.shade(base, 16))
    shade = toned(noise(rng, size, 30, 3), (150, 150, 150), (255, 255, 255))
    return ImageChops.multiply(image, shade)


def _plaster(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.shade(
        rng.choice(((222, 214, 196), (206, 216, 214), (228, 224, 220), (206, 196, 160))), 10
    )
    grey = Image.blend(noise(rng, size, 3, 2), noise(rng, size, size[0] / 3, 1), 0.3)
    image = toned(grey, mix(base, (0, 0, 0), 0.3), mix(base, (255, 255, 255), 0.15))
    if rng.chance(0.5):  # the darker skirting of a stairwell
        band = round(size[1] * rng.uniform(0.62, 0.8))
        low = Image.new("RGB", (size[0], size[1] - band), rng.shade("grey", 30))
        image.paste(Image.blend(image.crop((0, band, *size)), low, 0.6), (0, band))
    return image


def _wall_tile(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.shade(rng.choice(("white", "sky_blue", "beige")), 14)
    image = toned(noise(rng, size, 6, 2), mix(base, (0, 0, 0), 0.22), base)
    _grid(image, rng, rng.integer(56, 96), mix(base, (60, 60, 60), 0.45), 3)
    return image


def _grid(image: Image.Image, rng: SeededRandom, cell: int, colour: RGB, width: int) -> None:
    draw = ImageDraw.Draw(image)
    for x in range(rng.integer(0, cell), image.width, cell):
        draw.line((x, 0, x, image.height), fill=colour, width=width)
    for y in range(rng.integer(0, cell), image.height, cell):
        draw.line((0, y, image.width, y), fill=colour, width=width)


def _stone(rng: SeededRandom, size: Size) -> Image.Image:
    image = Image.new("RGB", size, (92, 88, 84))
    draw = ImageDraw.Draw(image)
    base = rng.choice(((150, 142, 130), (126, 128, 132), (168, 156, 136)))
    y = -20
    while y < size[1]:
        height, x = rng.integer(48, 84), rng.integer(-60, 0)
        while x < size[0]:
            width = rng.integer(70, 150)
            box = (x + 3, y + 3, x + width - 3, y + height - 3)
            draw.rounded_rectangle(box, 14, fill=rng.shade(base, 22))
            x += width
        y += height
    shade = toned(noise(rng, size, 40, 3), (130, 130, 130), (255, 255, 255))
    return ImageChops.multiply(image, shade)


def _panel(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.shade(rng.choice(((96, 122, 138), (178, 174, 160), (122, 132, 108))), 12)
    grey = stretched_noise(rng, size, 3, 8, 2)
    image = toned(grey, mix(base, (0, 0, 0), 0.25), mix(base, (255, 255, 255), 0.15))
    draw = ImageDraw.Draw(image)
    step = rng.integer(46, 80)
    for x in range(rng.integer(0, step), size[0], step):
        draw.rectangle((x, 0, x + 8, size[1]), fill=mix(base, (0, 0, 0), 0.4))
        draw.line((x + 10, 0, x + 10, size[1]), fill=mix(base, (255, 255, 255), 0.5), width=2)
    return image


def _stained_plaster(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.shade(rng.choice(((196, 176, 150), (170, 186, 170), (200, 190, 190))), 12)
    stains = contrast(stretched_noise(rng, size, 9, 2, 3), 1.9)
    return toned(stains, mix(base, (60, 46, 30), 0.6), mix(base, (255, 255, 255), 0.12), base)


def asphalt(rng: SeededRandom, size: Size) -> Image.Image:
    base = rng.shade((92, 92, 96), 18)
    grey = contrast(noise(rng, size, size[0] / 3, 1), 1.2)
    return toned(grey, mix(base, (0, 0, 0), 0.4), mix(base, (255, 255, 255), 0.3))


def soil(rng: SeededRandom, size: Size) -> Image.Image:
    return toned(contrast(noise(rng, size, 60, 3), 1.4), (44, 32, 22), (132, 104, 76))


def sky(rng: SeededRandom, size: Size, *, night: bool = False) -> Image.Image:
    """Return a sky with clouds, a sunset, or night."""
    if night:
        return toned(Image.linear_gradient("L").resize(size), (10, 14, 34), (48, 52, 84))
    high, low = rng.choice(
        (
            ((70, 138, 214), (206, 228, 244)),
            ((120, 160, 200), (226, 230, 232)),
            ((236, 140, 84), (250, 216, 150)),
        )
    )
    image = toned(Image.linear_gradient("L").resize(size), high, low)
    clouds = contrast(stretched_noise(rng, size, 3, 6, 4), 3.0, rng.integer(130, 170))
    image.paste((250, 250, 250), (0, 0), clouds.point([v * 4 // 5 for v in range(256)]))
    return image


def foliage(rng: SeededRandom, size: Size, tone: RGB = (58, 110, 48)) -> Image.Image:
    grey = contrast(noise(rng, size, max(6.0, size[0] / 7), 2), 1.4)
    return toned(grey, mix(tone, (0, 0, 0), 0.55), mix(tone, (220, 255, 160), 0.35), tone)


def vertical(image: Image.Image, rng: SeededRandom) -> None:
    """Draw a drain pipe from top to bottom."""
    width = rng.integer(18, 34)
    x = rng.integer(0, image.width - width)
    colour = rng.shade("grey", 30)
    ramp = [0.6 + 0.5 * math.sin(math.pi * k / width) for k in range(width)]
    draw = ImageDraw.Draw(image)
    for k, level in enumerate(ramp):
        shade = mix((0, 0, 0), colour, min(1.0, level))
        draw.line((x + k, 0, x + k, image.height), fill=shade)
    for y in range(rng.integer(20, 120), image.height, rng.integer(150, 260)):
        draw.rectangle((x - 4, y, x + width + 4, y + 10), fill=mix((0, 0, 0), colour, 0.5))


_GROUNDS = {
    "wood": wood,
    "marble": _marble,
    "cloth": _cloth,
    "dark_table": _dark_table,
    "white_table": _white_table,
    "tile_floor": _tile_floor,
    "newspaper": _newspaper,
    "patterned_ground": _patterned,
    "metal": _metal,
    "granite": _granite,
    "leather": _leather,
    "checked_cloth": _checked_cloth,
    "cork": _cork,
}
_WALLS = {
    "concrete": concrete,
    "brick": brick,
    "plaster": _plaster,
    "wall_tile": _wall_tile,
    "patterned_wall": _patterned,
    "stone": _stone,
    "panel": _panel,
    "stained_plaster": _stained_plaster,
}
