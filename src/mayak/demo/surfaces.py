"""Grounds that things lie on and walls that things hang on."""

from __future__ import annotations

import math

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from mayak.demo.canvas import (
    COLOURS,
    RGB,
    Dice,
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


def ground(dice: Dice, style: Style, size: Size) -> tuple[Image.Image, str]:
    """A ground seen from above, and its name."""
    name = dice.pick(by_style(style, GROUNDS_BASE, GROUNDS_HELDOUT))
    return _GROUNDS[name](dice, size), name


def wall(dice: Dice, style: Style, size: Size) -> tuple[Image.Image, str]:
    """A wall seen from the front, and its name."""
    name = dice.pick(by_style(style, WALLS_BASE, WALLS_HELDOUT))
    return _WALLS[name](dice, size), name


def wood(dice: Dice, size: Size) -> Image.Image:
    dark, light = dice.pick(
        (
            ((92, 56, 30), (190, 138, 88)),
            ((70, 44, 28), (132, 88, 56)),
            ((168, 128, 84), (226, 194, 148)),
        )
    )
    across = stretched_noise(dice, size, 3, 46, 3)
    if dice.chance(0.3):
        across = across.transpose(Image.Transpose.ROTATE_90).resize(size)
    image = toned(contrast(across, 1.5), dark, light)
    draw = ImageDraw.Draw(image)
    plank = dice.whole(size[1] // 4, size[1] // 2)
    for y in range(dice.whole(0, plank), size[1], plank):
        draw.line((0, y, size[0], y + dice.whole(-3, 3)), fill=mix(dark, (0, 0, 0), 0.4), width=3)
    return image


def _marble(dice: Dice, size: Size) -> Image.Image:
    grey = noise(dice, size, 2.5, 3)
    veins = grey.point([min(255, 70 + abs(v - 128) * 16) for v in range(256)])
    light = dice.shade((232, 230, 226), 10)
    return toned(veins, mix(light, (110, 108, 112), 0.6), light)


def _cloth(dice: Dice, size: Size) -> Image.Image:
    base = dice.shade(dice.pick(("navy", "red", "grey", "beige", "green", "purple")), 20)
    weave = noise(dice, size, size[0] / 3, 1)
    folds = stretched_noise(dice, size, 4, 3, 2)
    grey = Image.blend(weave, folds, 0.6)
    return toned(grey, mix(base, (0, 0, 0), 0.55), mix(base, (255, 255, 255), 0.25))


def _dark_table(dice: Dice, size: Size) -> Image.Image:
    base = dice.shade((40, 36, 36), 14)
    return toned(
        noise(dice, size, 4, 3), mix(base, (0, 0, 0), 0.4), mix(base, (150, 140, 130), 0.3)
    )


def _white_table(dice: Dice, size: Size) -> Image.Image:
    base = dice.shade((214, 212, 206), 16)
    return toned(noise(dice, size, 3, 2), mix(base, (90, 90, 90), 0.22), base)


def _tile_floor(dice: Dice, size: Size) -> Image.Image:
    base = dice.shade(dice.pick(("beige", "grey", "sky_blue", "white")), 16)
    image = toned(noise(dice, size, 8, 3), mix(base, (0, 0, 0), 0.25), base)
    _grid(image, dice, dice.whole(150, 240), mix(base, (40, 40, 40), 0.55), 5)
    return image


def _newspaper(dice: Dice, size: Size) -> Image.Image:
    base = dice.shade((206, 200, 186), 8)
    image = toned(noise(dice, size, 6, 3), mix(base, (0, 0, 0), 0.15), base)
    draw = ImageDraw.Draw(image)
    column = dice.whole(110, 170)
    for x in range(-20, size[0], column):
        for y in range(dice.whole(0, 14), size[1], 11):
            if dice.chance(0.93):
                end = x + column - 18 - (dice.whole(0, 50) if dice.chance(0.15) else 0)
                draw.line((x, y, end, y), fill=(110, 106, 100), width=4)
    for _ in range(3):
        x, y = dice.whole(0, size[0]), dice.whole(0, size[1])
        draw.rectangle((x, y, x + column * 2 - 20, y + 40), fill=(60, 58, 56))
    return image


def _patterned(dice: Dice, size: Size) -> Image.Image:
    """No material in particular: grain, direction, colours and overlay are all drawn."""
    colours = [dice.shade(colour, 30) for colour in dice.some(tuple(COLOURS), 3)]
    dull = dice.real(0.0, 0.8)
    dark, middle, light = sorted((mix(c, (128, 128, 128), dull) for c in colours), key=sum)
    across, down = (2 * (side / 6) ** dice.real(0, 1) for side in size)
    grey = stretched_noise(dice, size, across, down, dice.whole(1, 3))
    if dice.chance(0.2):
        grey = grey.filter(ImageFilter.EMBOSS)
    image = toned(contrast(grey, dice.real(0.4, 2.0)), dark, light, middle)
    line = mix(middle, dice.pick(((0, 0, 0), (255, 255, 255))), dice.real(0.2, 0.6))
    overlay = dice.pick(("none", "none", "grid", "stripes", "spots"))
    if overlay == "grid":
        _grid(image, dice, dice.whole(40, 240), line, dice.whole(2, 6))
    elif overlay == "stripes":
        step, lean = dice.whole(16, 120), dice.pick((0, 0, size[1]))
        for x in range(-lean, size[0], step):
            ImageDraw.Draw(image).line((x, 0, x + lean, size[1]), fill=line, width=step // 5 + 1)
    elif overlay == "spots":
        r = dice.whole(2, 14)
        for _ in range(dice.whole(30, 160)):
            x, y = dice.whole(0, size[0]), dice.whole(0, size[1])
            ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), fill=line)
    return image


def _metal(dice: Dice, size: Size) -> Image.Image:
    grey = stretched_noise(dice, size, 2, size[1] / 3, 1)
    return toned(contrast(grey, 0.6), (96, 100, 106), (212, 216, 220))


def _granite(dice: Dice, size: Size) -> Image.Image:
    base = dice.pick(((150, 146, 144), (98, 92, 96), (176, 150, 136)))
    grey = contrast(noise(dice, size, size[0] / 5, 2), 1.9)
    return toned(grey, mix(base, (0, 0, 0), 0.7), mix(base, (255, 255, 255), 0.45), base)


def _leather(dice: Dice, size: Size) -> Image.Image:
    base = dice.pick(((96, 52, 34), (52, 34, 30), (120, 30, 32)))
    grain = noise(dice, size, size[0] / 9, 2).filter(ImageFilter.EMBOSS)
    grain = Image.blend(grain, noise(dice, size, 4, 2), 0.35)
    return toned(contrast(grain, 1.4), mix(base, (0, 0, 0), 0.6), mix(base, (255, 230, 210), 0.3))


def _checked_cloth(dice: Dice, size: Size) -> Image.Image:
    colour = dice.shade(dice.pick(("red", "green", "blue", "orange")), 10)
    image = Image.new("RGB", size, (238, 234, 226))
    cell = dice.whole(44, 84)
    across = Image.new("L", size, 0)
    down = Image.new("L", size, 0)
    for x in range(0, size[0], cell * 2):
        ImageDraw.Draw(across).rectangle((x, 0, x + cell, size[1]), fill=120)
    for y in range(0, size[1], cell * 2):
        ImageDraw.Draw(down).rectangle((0, y, size[0], y + cell), fill=120)
    image.paste(colour, (0, 0), ImageChops.add(across, down))
    shade = toned(noise(dice, size, 5, 2), (150, 150, 150), (255, 255, 255))
    return ImageChops.multiply(image, shade)


def _cork(dice: Dice, size: Size) -> Image.Image:
    grey = contrast(noise(dice, size, size[0] / 12, 3), 1.8)
    return toned(grey, (104, 66, 34), (220, 176, 122), (180, 130, 80))


def concrete(dice: Dice, size: Size) -> Image.Image:
    base = dice.shade((150, 148, 144), 24)
    grey = Image.blend(noise(dice, size, 5, 4), noise(dice, size, size[0] / 4, 1), 0.25)
    image = toned(contrast(grey, 1.3), mix(base, (0, 0, 0), 0.35), mix(base, (255, 255, 255), 0.2))
    _crack(image, dice)
    return image


def _crack(image: Image.Image, dice: Dice) -> None:
    draw = ImageDraw.Draw(image)
    for _ in range(dice.whole(0, 2)):
        x, y = dice.real(0, image.width), 0.0
        while y < image.height * dice.real(0.6, 1.2):
            nx, ny = x + dice.real(-16, 16), y + dice.real(12, 30)
            draw.line((x, y, nx, ny), fill=(74, 72, 70), width=2)
            x, y = nx, ny


def brick(dice: Dice, size: Size) -> Image.Image:
    base = dice.pick(((156, 82, 60), (176, 108, 78), (136, 66, 56), (180, 150, 126)))
    mortar = dice.shade((196, 188, 178), 16)
    image = Image.new("RGB", size, mortar)
    draw = ImageDraw.Draw(image)
    height = dice.whole(22, 36)
    width = round(height * dice.real(2.2, 2.8))
    for row, y in enumerate(range(-4, size[1], height)):
        for x in range(-width + (row % 2) * width // 2, size[0], width):
            draw.rectangle((x + 2, y + 2, x + width - 3, y + height - 3), fill=dice.shade(base, 16))
    shade = toned(noise(dice, size, 30, 3), (150, 150, 150), (255, 255, 255))
    return ImageChops.multiply(image, shade)


def _plaster(dice: Dice, size: Size) -> Image.Image:
    base = dice.shade(
        dice.pick(((222, 214, 196), (206, 216, 214), (228, 224, 220), (206, 196, 160))), 10
    )
    grey = Image.blend(noise(dice, size, 3, 2), noise(dice, size, size[0] / 3, 1), 0.3)
    image = toned(grey, mix(base, (0, 0, 0), 0.3), mix(base, (255, 255, 255), 0.15))
    if dice.chance(0.5):  # the darker skirting of a stairwell
        band = round(size[1] * dice.real(0.62, 0.8))
        low = Image.new("RGB", (size[0], size[1] - band), dice.shade("grey", 30))
        image.paste(Image.blend(image.crop((0, band, *size)), low, 0.6), (0, band))
    return image


def _wall_tile(dice: Dice, size: Size) -> Image.Image:
    base = dice.shade(dice.pick(("white", "sky_blue", "beige")), 14)
    image = toned(noise(dice, size, 6, 2), mix(base, (0, 0, 0), 0.22), base)
    _grid(image, dice, dice.whole(56, 96), mix(base, (60, 60, 60), 0.45), 3)
    return image


def _grid(image: Image.Image, dice: Dice, cell: int, colour: RGB, width: int) -> None:
    draw = ImageDraw.Draw(image)
    for x in range(dice.whole(0, cell), image.width, cell):
        draw.line((x, 0, x, image.height), fill=colour, width=width)
    for y in range(dice.whole(0, cell), image.height, cell):
        draw.line((0, y, image.width, y), fill=colour, width=width)


def _stone(dice: Dice, size: Size) -> Image.Image:
    image = Image.new("RGB", size, (92, 88, 84))
    draw = ImageDraw.Draw(image)
    base = dice.pick(((150, 142, 130), (126, 128, 132), (168, 156, 136)))
    y = -20
    while y < size[1]:
        height, x = dice.whole(48, 84), dice.whole(-60, 0)
        while x < size[0]:
            width = dice.whole(70, 150)
            box = (x + 3, y + 3, x + width - 3, y + height - 3)
            draw.rounded_rectangle(box, 14, fill=dice.shade(base, 22))
            x += width
        y += height
    shade = toned(noise(dice, size, 40, 3), (130, 130, 130), (255, 255, 255))
    return ImageChops.multiply(image, shade)


def _panel(dice: Dice, size: Size) -> Image.Image:
    base = dice.shade(dice.pick(((96, 122, 138), (178, 174, 160), (122, 132, 108))), 12)
    grey = stretched_noise(dice, size, 3, 8, 2)
    image = toned(grey, mix(base, (0, 0, 0), 0.25), mix(base, (255, 255, 255), 0.15))
    draw = ImageDraw.Draw(image)
    step = dice.whole(46, 80)
    for x in range(dice.whole(0, step), size[0], step):
        draw.rectangle((x, 0, x + 8, size[1]), fill=mix(base, (0, 0, 0), 0.4))
        draw.line((x + 10, 0, x + 10, size[1]), fill=mix(base, (255, 255, 255), 0.5), width=2)
    return image


def _stained_plaster(dice: Dice, size: Size) -> Image.Image:
    base = dice.shade(dice.pick(((196, 176, 150), (170, 186, 170), (200, 190, 190))), 12)
    stains = contrast(stretched_noise(dice, size, 9, 2, 3), 1.9)
    return toned(stains, mix(base, (60, 46, 30), 0.6), mix(base, (255, 255, 255), 0.12), base)


def asphalt(dice: Dice, size: Size) -> Image.Image:
    base = dice.shade((92, 92, 96), 18)
    grey = contrast(noise(dice, size, size[0] / 3, 1), 1.2)
    return toned(grey, mix(base, (0, 0, 0), 0.4), mix(base, (255, 255, 255), 0.3))


def soil(dice: Dice, size: Size) -> Image.Image:
    return toned(contrast(noise(dice, size, 60, 3), 1.4), (44, 32, 22), (132, 104, 76))


def sky(dice: Dice, size: Size, *, night: bool = False) -> Image.Image:
    """A sky with clouds, a sunset, or night."""
    if night:
        return toned(Image.linear_gradient("L").resize(size), (10, 14, 34), (48, 52, 84))
    high, low = dice.pick(
        (
            ((70, 138, 214), (206, 228, 244)),
            ((120, 160, 200), (226, 230, 232)),
            ((236, 140, 84), (250, 216, 150)),
        )
    )
    image = toned(Image.linear_gradient("L").resize(size), high, low)
    clouds = contrast(stretched_noise(dice, size, 3, 6, 4), 3.0, dice.whole(130, 170))
    image.paste((250, 250, 250), (0, 0), clouds.point([v * 4 // 5 for v in range(256)]))
    return image


def foliage(dice: Dice, size: Size, tone: RGB = (58, 110, 48)) -> Image.Image:
    grey = contrast(noise(dice, size, max(6.0, size[0] / 7), 2), 1.4)
    return toned(grey, mix(tone, (0, 0, 0), 0.55), mix(tone, (220, 255, 160), 0.35), tone)


def vertical(image: Image.Image, dice: Dice) -> None:
    """A drain pipe from top to bottom."""
    width = dice.whole(18, 34)
    x = dice.whole(0, image.width - width)
    colour = dice.shade("grey", 30)
    ramp = [0.6 + 0.5 * math.sin(math.pi * k / width) for k in range(width)]
    draw = ImageDraw.Draw(image)
    for k, level in enumerate(ramp):
        shade = mix((0, 0, 0), colour, min(1.0, level))
        draw.line((x + k, 0, x + k, image.height), fill=shade)
    for y in range(dice.whole(20, 120), image.height, dice.whole(150, 260)):
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
