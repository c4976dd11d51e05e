"""Photos of everyday things, some of which look much like drugs or hiding places (label 0)."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from mayak.demo.canvas import (
    RGB,
    Dice,
    Picture,
    Style,
    by_style,
    gradient,
    mix,
    noise,
    regular,
    rounded,
    rounded_mask,
    shadow,
    toned,
    typeface,
)
from mayak.demo.drugs import POWDER_COLOURS, pile
from mayak.demo.surfaces import asphalt, foliage, ground, sky, wall

Size = tuple[int, int]
_BRIGHT = ("red", "yellow", "green", "blue", "purple", "pink", "orange", "cyan")


def _disc(image: Image.Image, centre: tuple[float, float], radius: float, fill: RGB, depth: int = 8) -> None:
    """A flat round thing seen from above, with its shadow."""
    mask = Image.new("L", image.size, 0)
    box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    shadow(image, mask, (depth, depth), 0.5)
    ImageDraw.Draw(image).ellipse(box, fill=fill)


def street(dice: Dice, style: Style, size: Size) -> Picture:
    """A road between houses."""
    width, height = size
    night = dice.chance(0.25)
    image = sky(dice, size, night=night)
    draw = ImageDraw.Draw(image)
    horizon = round(height * dice.real(0.5, 0.62))
    x = 0
    while x < width:
        wide, tall = dice.whole(width // 9, width // 4), dice.whole(height // 5, horizon)
        tone = dice.shade(dice.pick(by_style(style, ("beige", "grey", "brown"), ("sky_blue", "pink", "white"))))
        if night:
            tone = mix(tone, (0, 0, 0), 0.6)
        draw.rectangle((x, horizon - tall, x + wide, horizon), fill=tone)
        for wy in range(horizon - tall + 14, horizon - 14, 30):
            for wx in range(x + 10, x + wide - 16, 28):
                lit = (255, 226, 140) if night and dice.chance(0.5) else mix(tone, (30, 40, 60), 0.55)
                draw.rectangle((wx, wy, wx + 14, wy + 18), fill=lit)
        x += wide + dice.whole(0, 8)
    road = asphalt(dice, (width, height - horizon))
    image.paste(road, (0, horizon))
    vanish = width * dice.real(0.35, 0.65)
    for k in range(5):
        near, far = horizon + (height - horizon) * (k / 5) ** 1.5, horizon + (height - horizon) * ((k + 0.6) / 5) ** 1.5
        half = (near - horizon) * 0.04 + 1
        draw.polygon(((vanish - half, near), (vanish + half, near), (vanish + half * 1.6, far), (vanish - half * 1.6, far)), fill=(235, 235, 225))
    for _ in range(dice.whole(1, 3)):
        car = dice.shade(dice.pick(("red", "white", "navy", "grey", "yellow")))
        cx, cy, s = dice.whole(40, width - 120), horizon + dice.whole(6, height // 6), dice.whole(60, 110)
        draw.rounded_rectangle((cx, cy, cx + s, cy + s * 0.34), 8, fill=car)
        draw.rounded_rectangle((cx + s * 0.18, cy - s * 0.2, cx + s * 0.78, cy + s * 0.1), 8, fill=mix(car, (0, 0, 0), 0.4))
        for wheel in (0.2, 0.8):
            wx = cx + s * wheel
            draw.ellipse((wx - s * 0.1, cy + s * 0.22, wx + s * 0.1, cy + s * 0.42), fill=(20, 20, 22))
    return image, {"time": "night" if night else "day"}


def building(dice: Dice, style: Style, size: Size) -> Picture:
    """A block of flats from below."""
    width, height = size
    image = sky(dice, size)
    draw = ImageDraw.Draw(image)
    tone = dice.shade(dice.pick(by_style(style, ("white", "beige", "grey"), ("brown", "sky_blue", "pink"))))
    left, right, top = width * dice.real(0.05, 0.25), width * dice.real(0.75, 0.95), height * dice.real(0.04, 0.2)
    draw.polygon(((left + 20, top), (right - 20, top), (right, height), (left, height)), fill=tone)
    rows, columns = dice.whole(6, 10), dice.whole(4, 7)
    for row in range(rows):
        y = top + (height - top) * (row + 0.2) / rows
        for column in range(columns):
            x = left + 30 + (right - left - 60) * column / columns
            pane = mix((90, 130, 170), (230, 240, 250), dice.real(0, 0.6))
            draw.rectangle((x, y, x + (right - left) / columns * 0.6, y + (height - top) / rows * 0.55), fill=pane)
    return image, {"time": "day"}


def room(dice: Dice, style: Style, size: Size) -> Picture:
    """A living room: sofa, window, lamp."""
    width, height = size
    back, name = wall(dice, style, size)
    image = Image.blend(back, Image.new("RGB", size, dice.shade("beige")), 0.45)
    draw = ImageDraw.Draw(image)
    floor = round(height * 0.72)
    draw.rectangle((0, floor, width, height), fill=dice.shade(dice.pick(("brown", "beige"))))
    wx = dice.whole(width // 12, width // 2)
    draw.rectangle((wx, height * 0.1, wx + width * 0.3, height * 0.42), fill=(190, 220, 245), outline=(245, 245, 245), width=9)
    draw.line((wx + width * 0.15, height * 0.1, wx + width * 0.15, height * 0.42), fill=(245, 245, 245), width=6)
    sofa = dice.shade(dice.pick(by_style(style, ("navy", "red", "grey"), ("green", "purple", "orange"))))
    sx = dice.whole(width // 10, width // 3)
    draw.rounded_rectangle((sx, height * 0.5, sx + width * 0.5, height * 0.72), 22, fill=sofa)
    draw.rounded_rectangle((sx - 18, height * 0.6, sx + width * 0.5 + 18, height * 0.84), 22, fill=mix(sofa, (0, 0, 0), 0.15))
    for k in range(2):
        x = sx + width * (0.06 + 0.24 * k)
        draw.rounded_rectangle((x, height * 0.53, x + width * 0.15, height * 0.66), 12, fill=mix(sofa, (255, 255, 255), 0.45))
    lx = width * 0.88
    draw.line((lx, height * 0.4, lx, height * 0.85), fill=(50, 50, 50), width=6)
    draw.polygon(((lx - 34, height * 0.4), (lx + 34, height * 0.4), (lx + 20, height * 0.27), (lx - 20, height * 0.27)), fill=(255, 232, 170))
    return image, {"wall": name}


def landscape(dice: Dice, style: Style, size: Size) -> Picture:
    """Hills or a shore."""
    width, height = size
    image = sky(dice, size)
    if dice.chance(0.5):
        for layer in range(3):
            top = height * (0.38 + 0.17 * layer)
            mask = Image.new("L", size, 0)
            points = [(x, top - dice.real(0, height * 0.16)) for x in range(0, width + 80, 60)]
            ImageDraw.Draw(mask).polygon([(0, height), *points, (width, height)], fill=255)
            tone = mix((110, 140, 170), by_style(style, (58, 110, 48), (150, 110, 40)), layer / 2)
            image.paste(foliage(dice, size, tone), (0, 0), mask)
        return image, {"view": "hills"}
    horizon = round(height * 0.5)
    sea = toned(noise(dice, (width, height - horizon), 5), (16, 70, 120), (120, 190, 220))
    image.paste(sea, (0, horizon))
    sand = toned(noise(dice, (width, height // 4), 8), (200, 176, 130), (236, 220, 180))
    image.paste(sand, (0, height - height // 4))
    return image, {"view": "sea"}


def food(dice: Dice, style: Style, size: Size) -> Picture:
    """A dish on a table."""
    image, name = ground(dice, style, size)
    draw = ImageDraw.Draw(image)
    cx, cy, r = size[0] * dice.real(0.42, 0.58), size[1] * dice.real(0.42, 0.58), min(size) * dice.real(0.3, 0.4)
    _disc(image, (cx, cy), r, dice.shade((244, 244, 240)))
    draw.ellipse((cx - r * 0.82, cy - r * 0.82, cx + r * 0.82, cy + r * 0.82), fill=(226, 226, 222))
    sauce = dice.shade(dice.pick(((204, 70, 40), (226, 170, 70), (110, 140, 60), (120, 70, 40))))
    q = r * 0.74
    draw.ellipse((cx - q, cy - q, cx + q, cy + q), fill=sauce)
    for _ in range(dice.whole(30, 60)):
        a, d, s = dice.real(0, 6.28), dice.real(0, q * 0.85), dice.real(r * 0.04, r * 0.12)
        x, y = cx + d * math.cos(a), cy + d * math.sin(a)
        topping = dice.shade(dice.pick(((250, 230, 160), (90, 160, 70), (240, 240, 230), (200, 60, 50), (240, 150, 60))))
        draw.ellipse((x - s, y - s, x + s, y + s * dice.real(0.5, 1)), fill=topping)
    x = cx + r * 1.18
    for k in (0, 14):
        draw.line((x + k, cy - r * 0.9, x + k, cy + r * 0.9), fill=by_style(style, (110, 70, 40), (190, 190, 196)), width=7)
    return image, {"ground": name}


def sweets(dice: Dice, style: Style, size: Size) -> Picture:
    """Wrapped candies and chocolate."""
    image, name = ground(dice, style, size)
    width, height = size
    if dice.chance(0.6):
        _disc(image, (width / 2, height / 2), min(size) * 0.42, dice.shade(dice.pick(("white", "sky_blue", "beige"))))
    draw = ImageDraw.Draw(image)
    count = dice.whole(7, 14)
    for _ in range(count):
        x, y = width / 2 + dice.real(-0.26, 0.26) * width, height / 2 + dice.real(-0.26, 0.26) * height
        s, a = min(size) * dice.real(0.045, 0.07), dice.real(0, 3.14)
        tone = dice.shade(dice.pick(_BRIGHT))
        ux, uy = math.cos(a), math.sin(a)
        for side in (-1, 1):
            tip = (x + side * ux * s * 2.1, y + side * uy * s * 2.1)
            fan = ((x + side * ux * s * 0.8, y + side * uy * s * 0.8), (tip[0] - uy * s * 0.8, tip[1] + ux * s * 0.8), (tip[0] + uy * s * 0.8, tip[1] - ux * s * 0.8))
            draw.polygon(fan, fill=mix(tone, (255, 255, 255), 0.45), outline=mix(tone, (0, 0, 0), 0.3))
        draw.ellipse((x - s, y - s, x + s, y + s), fill=tone, outline=mix(tone, (0, 0, 0), 0.35), width=2)
        for k in (-0.4, 0.2):
            draw.line((x - uy * s * 0.8 + ux * s * k, y + ux * s * 0.8 + uy * s * k, x + uy * s * 0.8 + ux * s * k, y - ux * s * 0.8 + uy * s * k), fill=(255, 255, 255), width=4)
    return image, {"ground": name, "count": count}


def blister_pack(dice: Dice, style: Style, size: Size) -> Picture:
    """Pills from the chemist's, in their foil."""
    image, name = ground(dice, style, size)
    width, height = size
    rows, columns = dice.whole(2, 3), dice.whole(4, 6)
    cell = min(width * 0.8 / columns, height * 0.7 / rows)
    wide, tall = round(cell * columns + 20), round(cell * rows + 20)
    foil = toned(noise(dice, (wide, tall), 12), (150, 154, 160), (226, 230, 234))
    draw = ImageDraw.Draw(foil)
    tone = dice.shade(dice.pick(("white", "pink", "yellow", "sky_blue", "orange")))
    for row in range(rows):
        for column in range(columns):
            x, y = 10 + cell * (column + 0.5), 10 + cell * (row + 0.5)
            r, q = cell * 0.4, cell * 0.28
            draw.ellipse((x - r, y - r, x + r, y + r), fill=(206, 210, 216), outline=(120, 124, 130), width=2)
            if dice.chance(0.9):
                draw.ellipse((x - q, y - q * by_style(style, 1.0, 0.6), x + q, y + q * by_style(style, 1.0, 0.6)), fill=tone, outline=mix(tone, (0, 0, 0), 0.25))
            draw.arc((x - r * 0.8, y - r * 0.8, x + r * 0.8, y + r * 0.8), 200, 260, fill=(255, 255, 255), width=3)
    angle = dice.real(-20, 20)
    turned = foil.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    shape = rounded_mask(foil.size, 16).rotate(angle, Image.Resampling.BILINEAR, expand=True)
    at = ((width - turned.width) // 2, (height - turned.height) // 2)
    mask = Image.new("L", size, 0)
    mask.paste(shape, at)
    shadow(image, mask, (8, 8), 0.5)
    image.paste(turned, at, shape)
    return image, {"ground": name, "colour": "white"}


def medicine_bottle(dice: Dice, style: Style, size: Size) -> Picture:
    """A labelled bottle or box of medicine."""
    image, name = ground(dice, style, size)
    width, height = size
    wide, tall = min(size) * dice.real(0.3, 0.4), height * dice.real(0.6, 0.75)
    left, top = (width - wide) / 2, (height - tall) / 2
    body = dice.shade(dice.pick(by_style(style, ("brown", "white", "orange"), ("green", "navy", "beige"))))
    rounded(image, (left + 8, top + tall * 0.14 + 10, left + wide + 8, top + tall + 10), 22, (40, 38, 36))
    rounded(image, (left, top + tall * 0.14, left + wide, top + tall), 22, body)
    rounded(image, (left + wide * 0.12, top, left + wide * 0.88, top + tall * 0.16), 8, dice.shade("white"))
    label = (left + 4, top + tall * 0.36, left + wide - 4, top + tall * 0.82)
    rounded(image, label, 6, (250, 250, 248))
    draw = ImageDraw.Draw(image)
    face = typeface(regular(dice, style), round(wide / 6))
    text = dice.pick(by_style(style, ("감기약", "비타민", "소화제"), ("종합감기", "유산균", "두통약")))
    draw.text(((label[0] + label[2]) / 2, label[1] + wide * 0.2), text, font=face, fill=(200, 40, 40), anchor="mm")
    for k in range(4):
        y = label[1] + wide * (0.42 + 0.12 * k)
        draw.line((label[0] + 14, y, label[2] - 14 - k * 10, y), fill=(120, 120, 124), width=4)
    return image, {"ground": name, "texts": [text]}


def cooking(dice: Dice, style: Style, size: Size) -> Picture:
    """Flour, sugar or salt in a kitchen: bowl, spoon, eggs."""
    image, name = ground(dice, style, size)
    width, height = size
    cx, cy, r = width * 0.45, height * 0.5, min(size) * dice.real(0.3, 0.36)
    rim = dice.shade(dice.pick(by_style(style, ("sky_blue", "white", "red"), ("green", "navy", "yellow"))))
    _disc(image, (cx, cy), r, rim, 12)
    draw = ImageDraw.Draw(image)
    draw.ellipse((cx - r * 0.88, cy - r * 0.88, cx + r * 0.88, cy + r * 0.88), fill=mix(rim, (0, 0, 0), 0.2))
    pile(image, dice, (cx, cy), (r * 0.62, r * 0.58), POWDER_COLOURS["white"])
    for k in range(dice.whole(1, 3)):
        x, y, s = width * 0.86, height * (0.24 + 0.26 * k), min(size) * 0.075
        _disc(image, (x, y), s, dice.shade((236, 196, 150)), 6)
        draw.ellipse((x - s * 0.5, y - s * 0.6, x, y - s * 0.1), fill=(250, 226, 196))
    draw.line((cx + r * 0.2, cy + r * 0.1, cx + r * 1.25, cy + r * 1.1), fill=(150, 104, 62), width=14)
    draw.ellipse((cx - r * 0.06, cy - r * 0.16, cx + r * 0.36, cy + r * 0.26), fill=(170, 122, 76))
    return image, {"ground": name, "colour": "white"}


def coffee(dice: Dice, style: Style, size: Size) -> Picture:
    """A cup on a saucer from above."""
    image, name = ground(dice, style, size)
    cx, cy, r = size[0] * dice.real(0.4, 0.6), size[1] * dice.real(0.42, 0.58), min(size) * dice.real(0.22, 0.3)
    cup = dice.shade(dice.pick(by_style(style, ("white", "beige", "navy"), ("red", "green", "yellow"))))
    _disc(image, (cx, cy), r * 1.45, mix(cup, (255, 255, 255), 0.4))
    _disc(image, (cx, cy), r, cup, 6)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((cx + r * 0.9, cy - 14, cx + r * 1.4, cy + 14), 12, fill=cup)
    draw.ellipse((cx - r * 0.86, cy - r * 0.86, cx + r * 0.86, cy + r * 0.86), fill=dice.shade((96, 58, 32)))
    if dice.chance(0.6):
        foam = (222, 190, 150)
        draw.ellipse((cx - r * 0.5, cy - r * 0.4, cx + r * 0.1, cy + r * 0.2), fill=foam)
        draw.ellipse((cx - r * 0.1, cy - r * 0.4, cx + r * 0.5, cy + r * 0.2), fill=foam)
        draw.polygon(((cx - r * 0.48, cy), (cx + r * 0.48, cy), (cx, cy + r * 0.6)), fill=foam)
    return image, {"ground": name}


def pet(dice: Dice, style: Style, size: Size) -> Picture:
    """A cat or a dog that looks at the camera."""
    image, name = ground(dice, style, size)
    width, height = size
    draw = ImageDraw.Draw(image)
    dog = dice.chance(0.5)
    fur = dice.shade(dice.pick(by_style(style, ((226, 160, 84), (120, 118, 120), (60, 56, 54)), ((240, 232, 220), (150, 100, 60), (190, 180, 170)))))
    dark = mix(fur, (0, 0, 0), 0.25)
    cx, cy, r = width * dice.real(0.4, 0.6), height * 0.45, min(size) * dice.real(0.2, 0.26)
    draw.ellipse((cx - r * 1.2, cy + r * 0.4, cx + r * 1.2, height * 1.15), fill=dark)
    for side in (-1, 1):
        if dog:
            draw.ellipse((cx + side * r * 1.0 - r * 0.32, cy - r * 0.7, cx + side * r * 1.0 + r * 0.32, cy + r * 0.7), fill=dark)
        else:
            draw.polygon(((cx + side * r, cy - r * 0.3), (cx + side * r * 0.85, cy - r * 1.45), (cx + side * r * 0.2, cy - r * 0.85)), fill=dark)
    draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=fur)
    for side in (-1, 1):
        x, y = cx + side * r * 0.42, cy - r * 0.12
        draw.ellipse((x - r * 0.17, y - r * 0.17, x + r * 0.17, y + r * 0.17), fill=(36, 26, 20) if dog else (130, 190, 80))
        draw.ellipse((x - r * 0.06, y - r * 0.13, x + r * 0.06, y + r * 0.1), fill=(10, 10, 10))
    draw.ellipse((cx - r * 0.4, cy + r * 0.16, cx + r * 0.4, cy + r * 0.76), fill=mix(fur, (255, 255, 255), 0.5))
    draw.ellipse((cx - r * 0.16, cy + r * 0.18, cx + r * 0.16, cy + r * 0.42), fill=(40, 30, 30))
    return image, {"ground": name, "animal": "dog" if dog else "cat"}


def plain_wall(dice: Dice, style: Style, size: Size) -> Picture:
    """A wall with a picture or a clock, nothing hidden and nothing marked."""
    image, name = wall(dice, style, size)
    draw = ImageDraw.Draw(image)
    cx, cy, r = size[0] * dice.real(0.35, 0.65), size[1] * dice.real(0.35, 0.6), min(size) * dice.real(0.16, 0.24)
    if dice.chance(0.5):
        _disc(image, (cx, cy), r, (246, 246, 242))
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), outline=(40, 40, 44), width=10)
        for hour in range(12):
            a = hour * math.pi / 6
            x, y = cx + r * 0.78 * math.cos(a), cy + r * 0.78 * math.sin(a)
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(30, 30, 30))
        for reach, a in ((0.5, dice.real(0, 6.28)), (0.7, dice.real(0, 6.28))):
            draw.line((cx, cy, cx + r * reach * math.cos(a), cy + r * reach * math.sin(a)), fill=(20, 20, 20), width=7)
        return image, {"wall": name, "thing": "clock"}
    sheet = gradient((round(r * 2.4), round(r * 1.8)), dice.shade(dice.pick(_BRIGHT)), (250, 240, 220))
    at = (round(cx - r * 1.2), round(cy - r * 0.9))
    draw.rectangle((at[0] - 14, at[1] - 14, at[0] + sheet.width + 14, at[1] + sheet.height + 14), fill=dice.shade("brown"))
    image.paste(sheet, at)
    return image, {"wall": name, "thing": "framed_picture"}
