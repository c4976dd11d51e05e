"""Label 0, photographs: what lies on a phone and has nothing to do with drugs."""

from __future__ import annotations

import math

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from mayak.demo import surfaces, wording
from mayak.demo.canvas import (
    COLOURS,
    RGB,
    Dice,
    Picture,
    Point,
    Style,
    bold,
    by_style,
    contrast,
    ellipse_mask,
    mix,
    noise,
    rounded,
    shadow,
    toned,
    turned,
    typeface,
    wobbly,
)
from mayak.demo.drugs import lay, pile, scatter
from mayak.demo.surfaces import Size


def _sky_and_time(dice: Dice, size: Size, share: float = 0.25) -> tuple[Image.Image, bool]:
    night = dice.chance(share)
    return surfaces.sky(dice, size, night=night), night


def _windows(
    image: Image.Image, dice: Dice, box: tuple[float, float, float, float], night: bool
) -> None:
    left, top, right, bottom = box
    draw = ImageDraw.Draw(image)
    across, down = dice.whole(3, 5), max(2, round((bottom - top) / dice.whole(48, 80)))
    w, h = (right - left) / across, (bottom - top) / down
    for row in range(down):
        for column in range(across):
            lit = dice.chance(0.45 if night else 0.1)
            glass = dice.shade((250, 216, 130) if lit else (26, 32, 48) if night else (110, 140, 168), 14)
            x, y = left + column * w, top + row * h
            draw.rectangle((x + w * 0.18, y + h * 0.2, x + w * 0.82, y + h * 0.8), fill=glass, outline=(70, 72, 76))


def _house(image: Image.Image, dice: Dice, style: Style, box: tuple[float, float, float, float], night: bool) -> None:
    tone = dice.shade(by_style(style, dice.pick(("beige", "grey", "brown", "white", "sky_blue")), dice.pick(("pink", "green", "orange"))), 18)
    tone = mix(tone, (10, 12, 24), 0.65) if night else tone
    draw = ImageDraw.Draw(image)
    draw.rectangle(box, fill=tone, outline=mix(tone, (0, 0, 0), 0.4))
    draw.rectangle((box[0] - 4, box[1] - 8, box[2] + 4, box[1] + 4), fill=mix(tone, (0, 0, 0), 0.3))
    _windows(image, dice, (box[0] + 6, box[1] + 14, box[2] - 6, box[3] - (box[3] - box[1]) * 0.22), night)


def _tree(image: Image.Image, dice: Dice, foot: Point, height: float, night: bool) -> None:
    draw = ImageDraw.Draw(image)
    draw.rectangle((foot[0] - height * 0.04, foot[1] - height * 0.5, foot[0] + height * 0.04, foot[1]), fill=(84, 62, 44))
    green = dice.shade(dice.pick(((70, 120, 58), (96, 134, 60), (196, 130, 60))), 16)
    green = mix(green, (8, 12, 20), 0.6) if night else green
    for _ in range(5):
        x, y = foot[0] + dice.real(-0.2, 0.2) * height, foot[1] - height * dice.real(0.55, 0.85)
        draw.polygon(wobbly(dice, (x, y), (height * 0.24, height * 0.2), 16, 0.2), fill=dice.shade(green, 12))


def _car(image: Image.Image, dice: Dice, at: Point, long: float) -> None:
    x, y = at
    tone = dice.shade(dice.pick(("white", "black", "red", "blue", "grey")), 12)
    draw = ImageDraw.Draw(image)
    high = long * 0.26
    rounded(image, (x, y - high, x + long, y), round(high * 0.4), tone)
    roof = [(x + long * 0.18, y - high * 0.9), (x + long * 0.3, y - high * 1.75), (x + long * 0.7, y - high * 1.75), (x + long * 0.86, y - high * 0.9)]
    draw.polygon(roof, fill=tone)
    glass = [(x + long * 0.24, y - high * 0.95), (x + long * 0.33, y - high * 1.6), (x + long * 0.67, y - high * 1.6), (x + long * 0.79, y - high * 0.95)]
    draw.polygon(glass, fill=(60, 76, 92))
    for k in (0.22, 0.78):
        r = high * 0.36
        draw.ellipse((x + long * k - r, y - r, x + long * k + r, y + r), fill=(24, 24, 26))
        draw.ellipse((x + long * k - r / 2, y - r / 2, x + long * k + r / 2, y + r / 2), fill=(150, 152, 156))


def street(dice: Dice, style: Style, size: Size) -> Picture:
    image, night = _sky_and_time(dice, size)
    w, h = size
    horizon = h * dice.real(0.56, 0.66)
    x = -20.0
    signs = by_style(style, wording.SHOP_SIGNS_BASE, wording.SHOP_SIGNS_HELDOUT)
    shown: list[str] = []
    while x < w:
        wide = dice.real(0.16, 0.3) * w
        _house(image, dice, style, (x, horizon - h * dice.real(0.28, 0.54), x + wide, horizon + 8), night)
        sign = dice.pick(signs)
        shown.append(sign)
        font = typeface(bold(dice, style), round(h * 0.05))
        board = (x + 8, horizon - h * 0.1, x + wide - 8, horizon - h * 0.02)
        draw = ImageDraw.Draw(image)
        draw.rectangle(board, fill=dice.shade(dice.pick(("red", "blue", "green", "navy", "orange")), 14))
        draw.text(((board[0] + board[2]) / 2, (board[1] + board[3]) / 2), sign, font=font, fill=(250, 250, 246), anchor="mm")
        x += wide
    road = surfaces.asphalt(dice, (w, h - round(horizon)))
    image.paste(road, (0, round(horizon)))
    draw = ImageDraw.Draw(image)
    draw.polygon(((0, horizon), (w, horizon), (w, horizon + h * 0.05), (0, horizon + h * 0.05)), fill=dice.shade((170, 166, 160), 10))
    if dice.chance(0.5):
        for k in range(7):  # a crossing
            a = w * (0.1 + k * 0.12)
            draw.polygon(((a, h * 0.78), (a + w * 0.06, h * 0.78), (a + w * 0.07, h * 0.97), (a - w * 0.01, h * 0.97)), fill=(222, 222, 216))
    else:
        for k in range(4):
            draw.rectangle((w * (0.05 + k * 0.26), h * 0.83, w * (0.2 + k * 0.26), h * 0.845), fill=(238, 220, 120))
    for _ in range(dice.whole(1, 3)):
        _car(image, dice, (dice.real(0, 0.75) * w, h * dice.real(0.74, 0.9)), w * dice.real(0.2, 0.32))
    for _ in range(dice.whole(0, 3)):
        _tree(image, dice, (dice.real(0, 1) * w, horizon + h * 0.04), h * 0.36, night)
    return image, {"time": "night" if night else "day", "text": "yes", "texts": tuple(shown[:3])}


def building(dice: Dice, style: Style, size: Size) -> Picture:
    image, night = _sky_and_time(dice, size)
    w, h = size
    blocks = dice.whole(1, 3)
    for k in range(blocks):
        left = w * (0.06 + k * 0.9 / blocks)
        _house(image, dice, style, (left, h * dice.real(0.08, 0.26), left + w * 0.84 / blocks, h * 0.9), night)
    image.paste(surfaces.asphalt(dice, (w, h - round(h * 0.88))), (0, round(h * 0.88)))
    for _ in range(dice.whole(2, 5)):
        _tree(image, dice, (dice.real(0, 1) * w, h * 0.9), h * dice.real(0.2, 0.34), night)
    return image, {"time": "night" if night else "day", "count": blocks}


def room(dice: Dice, style: Style, size: Size) -> Picture:
    w, h = size
    paper = dice.shade(by_style(style, dice.pick(("beige", "white", "sky_blue")), dice.pick(("pink", "green", "yellow"))), 14)
    paper = mix(paper, (255, 255, 255), 0.4)
    image = toned(noise(dice, size, 3, 2), mix(paper, (0, 0, 0), 0.16), paper)
    floor = round(h * dice.real(0.66, 0.74))
    image.paste(surfaces.wood(dice, (w, h - floor)), (0, floor))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, floor - 10, w, floor), fill=mix(paper, (255, 255, 255), 0.6))
    left = w * dice.real(0.08, 0.5)
    window = (left, h * 0.1, left + w * 0.34, h * 0.46)
    view = surfaces.sky(dice, (round(window[2] - window[0]), round(window[3] - window[1])))
    image.paste(view, (round(window[0]), round(window[1])))
    draw.rectangle(window, outline=(250, 250, 248), width=10)
    draw.line(((window[0] + window[2]) / 2, window[1], (window[0] + window[2]) / 2, window[3]), fill=(250, 250, 248), width=8)
    curtain = dice.shade(dice.pick(("red", "navy", "green", "beige")), 14)
    for side in (window[0] - w * 0.05, window[2] - w * 0.02):
        draw.rectangle((side, h * 0.07, side + w * 0.07, h * 0.52), fill=curtain)
    kind = dice.pick(("sofa", "bed", "desk"))
    tone = dice.shade(by_style(style, dice.pick(("grey", "brown", "navy")), dice.pick(("purple", "orange"))), 16)
    x = w * dice.real(0.06, 0.3)
    foot = floor + (h - floor) * 0.5
    if kind == "sofa":
        rounded(image, (x, foot - h * 0.32, x + w * 0.58, foot), 26, tone)
        rounded(image, (x + w * 0.05, foot - h * 0.17, x + w * 0.53, foot - h * 0.03), 14, mix(tone, (255, 255, 255), 0.2))
        for k in (0, 0.5):
            rounded(image, (x + k * w, foot - h * 0.22, x + k * w + w * 0.09, foot + 6), 16, mix(tone, (0, 0, 0), 0.2))
    elif kind == "bed":
        rounded(image, (x, foot - h * 0.36, x + w * 0.1, foot + 10), 8, (110, 78, 52))
        rounded(image, (x + w * 0.03, foot - h * 0.18, x + w * 0.66, foot), 16, tone)
        rounded(image, (x + w * 0.07, foot - h * 0.23, x + w * 0.22, foot - h * 0.13), 14, (246, 244, 240))
    else:
        top = foot - h * 0.26
        draw.rectangle((x, top, x + w * 0.58, top + 16), fill=(138, 98, 62))
        for k in (0.02, 0.54):
            draw.rectangle((x + k * w, top + 16, x + k * w + 12, foot), fill=(110, 78, 50))
        rounded(image, (x + w * 0.16, top - h * 0.2, x + w * 0.42, top - 12), 6, (26, 28, 32))
        draw.rectangle((x + w * 0.27, top - 14, x + w * 0.31, top), fill=(60, 60, 64))
    lamp = w * dice.real(0.82, 0.92)
    draw = ImageDraw.Draw(image)
    draw.rectangle((lamp - 3, h * 0.36, lamp + 3, foot), fill=(60, 56, 52))
    draw.polygon(((lamp - 34, h * 0.38), (lamp + 34, h * 0.38), (lamp + 20, h * 0.26), (lamp - 20, h * 0.26)), fill=(250, 226, 170))
    return image, {"furniture": kind}


def landscape(dice: Dice, style: Style, size: Size) -> Picture:
    image, night = _sky_and_time(dice, size, 0.12)
    w, h = size
    kind = dice.pick(by_style(style, ("mountain", "sea", "field"), ("mountain", "sea", "snow")))
    horizon = round(h * dice.real(0.46, 0.6))
    draw = ImageDraw.Draw(image)
    r = h * 0.06
    sun = (w * dice.real(0.15, 0.85), h * dice.real(0.1, 0.3))
    draw.ellipse((sun[0] - r, sun[1] - r, sun[0] + r, sun[1] + r), fill=(244, 244, 226) if night else (255, 240, 180))
    if kind != "sea":
        for layer in range(3):
            tone = mix((120, 150, 180), (52, 96, 60), (layer + 1) / 3)
            if kind == "snow":
                tone = mix((150, 170, 200), (226, 232, 240), (layer + 1) / 3)
            tone = mix(tone, (8, 12, 24), 0.6) if night else tone
            peak = h * dice.real(0.24, 0.34) * (1 - layer * 0.25)
            phase = (dice.real(0, 6), dice.real(0, 6), dice.real(2.0, 4.0), dice.real(6, 11))
            ridge = [
                (x, horizon + layer * h * 0.06 - peak * (0.55 + 0.3 * math.sin(x / w * phase[2] * 2 + phase[0]) + 0.15 * math.sin(x / w * phase[3] * 2 + phase[1])))
                for x in range(0, w + 12, 12)
            ]
            draw.polygon([(0, h), *ridge, (w, h)], fill=dice.shade(tone, 6))
    low = (w, h - horizon)
    if kind == "sea":
        water = contrast(noise(dice, low, 3, 2), 1.0)
        ripples = surfaces.stretched_noise(dice, low, 8, 40, 2)
        tone = (20, 30, 56) if night else dice.shade((40, 110, 160), 20)
        image.paste(toned(Image.blend(water, ripples, 0.6), mix(tone, (0, 0, 0), 0.4), mix(tone, (255, 255, 255), 0.5)), (0, horizon))
        beach = surfaces.soil(dice, (w, round(h * 0.14)))
        image.paste(Image.blend(beach, Image.new("RGB", beach.size, (232, 210, 166)), 0.75), (0, round(h * 0.86)))
    else:
        start = horizon + round(h * 0.16)
        field = surfaces.foliage(dice, (w, h - start), dice.shade((232, 236, 242) if kind == "snow" else dice.pick(((96, 146, 62), (190, 168, 84))), 10))
        image.paste(field, (0, start))
        for _ in range(dice.whole(2, 6)):
            _tree(image, dice, (dice.real(0, 1) * w, start + h * dice.real(0.02, 0.2)), h * dice.real(0.14, 0.26), night)
    return image, {"form": kind, "time": "night" if night else "day"}


def _wrapped(dice: Dice, side: int) -> Image.Image:
    """A sweet in a twisted wrapper, RGBA."""
    tone = dice.shade(dice.pick(("red", "orange", "yellow", "green", "pink", "purple", "blue")), 12)
    sprite = Image.new("RGBA", (side * 2, side * 2), (*tone, 0))
    draw = ImageDraw.Draw(sprite)
    c, r = side, side * 0.42
    for sign in (-1, 1):
        draw.polygon(((c + sign * r * 0.8, c), (c + sign * side * 0.92, c - r * 0.75), (c + sign * side * 0.8, c), (c + sign * side * 0.92, c + r * 0.75)), fill=(*mix(tone, (255, 255, 255), 0.35), 255))
    draw.ellipse((c - r * 1.15, c - r, c + r * 1.15, c + r), fill=(*tone, 255))
    for k in (-0.6, 0.0, 0.6):
        draw.arc((c - r * 1.1 + k * r, c - r, c + r * 0.6 + k * r, c + r), 110, 250, fill=(255, 255, 255, 200), width=max(2, side // 16))
    draw.ellipse((c - r * 0.6, c - r * 0.75, c, c - r * 0.35), fill=(255, 255, 255, 190))
    return sprite.resize((side, side), Image.Resampling.BOX)


def _bear(dice: Dice, side: int) -> Image.Image:
    tone = dice.shade(dice.pick(("red", "orange", "yellow", "green")), 12)
    sprite = Image.new("RGBA", (side * 2, side * 2), (*tone, 0))
    draw = ImageDraw.Draw(sprite)
    s = side * 2
    for box in ((0.3, 0.4, 0.7, 0.92), (0.32, 0.12, 0.68, 0.5), (0.26, 0.08, 0.42, 0.24), (0.58, 0.08, 0.74, 0.24), (0.16, 0.44, 0.36, 0.62), (0.64, 0.44, 0.84, 0.62), (0.24, 0.78, 0.46, 0.98), (0.54, 0.78, 0.76, 0.98)):
        draw.ellipse([v * s for v in box], fill=(*tone, 235))
    draw.ellipse((s * 0.4, s * 0.5, s * 0.52, s * 0.72), fill=(*mix(tone, (255, 255, 255), 0.6), 255))
    for x in (0.43, 0.55):
        draw.ellipse((s * x, s * 0.24, s * x + s * 0.04, s * 0.28), fill=(60, 20, 10, 255))
    return sprite.resize((side, side), Image.Resampling.BOX)


def _lollipop(dice: Dice, side: int) -> Image.Image:
    tone = dice.shade(dice.pick(("red", "pink", "green", "purple")), 12)
    sprite = Image.new("RGBA", (side * 2, side * 2), (*tone, 0))
    draw = ImageDraw.Draw(sprite)
    s, r = side * 2, side * 0.56
    c = (s * 0.38, s * 0.34)
    draw.line((*c, s * 0.86, s * 0.96), fill=(244, 240, 230, 255), width=max(6, side // 9))
    draw.ellipse((c[0] - r, c[1] - r, c[0] + r, c[1] + r), fill=(*tone, 255))
    for k in range(1, 5):
        q = r * k / 5
        draw.arc((c[0] - q, c[1] - q, c[0] + q, c[1] + q), k * 80, k * 80 + 250, fill=(255, 255, 255, 255), width=max(4, side // 14))
    return sprite.resize((side, side), Image.Resampling.BOX)


def _chocolate(dice: Dice, side: int) -> Image.Image:
    sprite = Image.new("RGBA", (side, side), (90, 54, 34, 0))
    draw = ImageDraw.Draw(sprite)
    tone = dice.shade((98, 58, 36), 10)
    draw.rounded_rectangle((side * 0.12, side * 0.2, side * 0.88, side * 0.8), side // 12, fill=(*tone, 255))
    for row in range(2):
        for column in range(3):
            x, y = side * (0.16 + column * 0.24), side * (0.24 + row * 0.28)
            draw.rectangle((x, y, x + side * 0.2, y + side * 0.23), fill=(*mix(tone, (255, 220, 190), 0.18), 255), outline=(*mix(tone, (0, 0, 0), 0.4), 255), width=2)
    return sprite


def sweets(dice: Dice, style: Style, size: Size) -> Picture:
    image, name = surfaces.ground(dice, style, size)
    short = min(size)
    centre = (size[0] / 2, size[1] / 2)
    holder = dice.pick(("none", "bowl"))
    radius = (short * 0.38, short * 0.34)
    if holder == "bowl":
        _dish(image, dice, centre, short * 0.44, dice.pick(("white", "pink", "sky_blue")))
        radius = (short * 0.26, short * 0.24)
    form = dice.pick(by_style(style, ("wrapped_sweet", "jelly_bear", "lollipop"), ("wrapped_sweet", "chocolate", "jelly_bear")))
    maker = {"wrapped_sweet": _wrapped, "jelly_bear": _bear, "lollipop": _lollipop, "chocolate": _chocolate}[form]
    side = round(short * (0.19 if form != "lollipop" else 0.3))
    kinds = dice.whole(3, 5)
    each = dice.whole(2, 4) if form != "lollipop" else 1
    for _ in range(kinds):
        scatter(image, dice, maker(dice, side), centre, radius, each)
    return image, {"ground": name, "container": holder, "form": form, "count": kinds * each}


def blister_pack(dice: Dice, style: Style, size: Size) -> Picture:
    image, name = surfaces.ground(dice, style, size)
    short = min(size)
    count = dice.whole(1, 2)
    colour = dice.pick(by_style(style, ("white", "red", "yellow", "pink"), ("green", "orange", "sky_blue")))
    rows, columns = dice.pick(((2, 5), (2, 4), (3, 4)))
    cell = round(short * (0.15 if count == 1 else 0.115))
    for k in range(count):
        w, h = columns * cell + cell // 2, rows * cell + cell // 2
        foil = toned(contrast(noise(dice, (w, h), 24, 2), 1.0), (150, 154, 160), (236, 238, 242))
        draw = ImageDraw.Draw(foil)
        for row in range(rows):
            for column in range(columns):
                x, y = cell * 0.35 + column * cell, cell * 0.35 + row * cell
                box = (x, y, x + cell * 0.8, y + cell * 0.8)
                draw.ellipse(box, fill=(196, 200, 206), outline=(120, 124, 130), width=2)
                if dice.chance(0.88):
                    tone = dice.shade(colour, 8)
                    inner = (x + cell * 0.12, y + cell * 0.12, x + cell * 0.68, y + cell * 0.68)
                    draw.ellipse(inner, fill=tone, outline=mix(tone, (0, 0, 0), 0.3))
                draw.arc((x + 4, y + 4, x + cell * 0.76, y + cell * 0.76), 190, 280, fill=(255, 255, 255), width=max(2, cell // 18))
        font = typeface(bold(dice, style), max(9, cell // 6))
        for column in range(columns):
            draw.text((cell * 0.4 + column * cell, h - cell * 0.2), dice.pick(("정제", "500mg", "감기약")), font=font, fill=(70, 90, 140))
        at = (size[0] / 2 + dice.real(-20, 20), size[1] / 2 + (k - (count - 1) / 2) * h * 1.25)
        lay(image, foil.convert("RGBA"), at, dice.real(-14, 14))
    return image, {"ground": name, "container": "blister", "colour": colour, "count": count}


def medicine_bottle(dice: Dice, style: Style, size: Size) -> Picture:
    image, name = _table(dice, style, size)
    w, h = size
    draw_h = h * dice.real(0.58, 0.7)
    wide = draw_h * dice.real(0.5, 0.62)
    cx, foot = w * dice.real(0.42, 0.58), h * 0.86
    body = dice.shade(by_style(style, dice.pick(((186, 110, 40), (240, 240, 236))), dice.pick(((60, 130, 80), (80, 110, 180)))), 10)
    _stand(image, (cx, foot), wide)
    rounded(image, (cx - wide / 2, foot - draw_h * 0.82, cx + wide / 2, foot), round(wide * 0.16), body)
    rounded(image, (cx - wide * 0.38, foot - draw_h, cx + wide * 0.38, foot - draw_h * 0.8), 10, dice.shade(dice.pick(("white", "blue", "red")), 8))
    rounded(image, (cx - wide / 2, foot - draw_h * 0.6, cx + wide / 2, foot - draw_h * 0.14), 2, (248, 248, 244))
    title = dice.pick(by_style(style, ("비타민", "감기약", "소화제", "영양제"), ("유산균", "두통약", "오메가")))
    draw = ImageDraw.Draw(image)
    draw.text((cx, foot - draw_h * 0.45), title, font=typeface(bold(dice, style), round(wide * 0.22)), fill=dice.shade(dice.pick(("red", "blue", "green")), 10), anchor="mm")
    for k in range(3):
        draw.line((cx - wide * 0.36, foot - draw_h * (0.3 - k * 0.05), cx + wide * dice.real(0.1, 0.36), foot - draw_h * (0.3 - k * 0.05)), fill=(150, 150, 150), width=4)
    _gloss(image, (cx - wide * 0.4, foot - draw_h * 0.78, cx - wide * 0.3, foot - draw_h * 0.06))
    return image, {"ground": name, "container": "bottle", "text": "yes", "texts": (title,)}


def _table(dice: Dice, style: Style, size: Size) -> tuple[Image.Image, str]:
    """A table before a wall, seen from the front."""
    image, _ = surfaces.wall(dice, style, size)
    image = Image.blend(image, Image.new("RGB", size, dice.shade((226, 218, 206), 14)), 0.55)
    top = round(size[1] * dice.real(0.56, 0.66))
    board, name = surfaces.ground(dice, style, (size[0], size[1] - top))
    image.paste(board, (0, top))
    return image.filter(ImageFilter.BoxBlur(1)), name


def _stand(image: Image.Image, foot: Point, wide: float) -> None:
    mask = ellipse_mask(image.size, (foot[0] - wide * 0.62, foot[1] - 16, foot[0] + wide * 0.7, foot[1] + 18), 8)
    image.paste((20, 16, 14), (0, 0), mask.point([v * 9 // 20 for v in range(256)]))


def _gloss(image: Image.Image, box: tuple[float, float, float, float]) -> None:
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).rectangle(box, fill=120)
    image.paste((255, 255, 255), (0, 0), mask.filter(ImageFilter.BoxBlur(4)))


def _dish(image: Image.Image, dice: Dice, centre: Point, r: float, colour: str) -> None:
    """A plate or bowl from above."""
    mask = ellipse_mask(image.size, (centre[0] - r, centre[1] - r, centre[0] + r, centre[1] + r), 1)
    shadow(image, mask, (7, 11), 0.5)
    tone = dice.shade(colour, 8)
    image.paste(tone, (0, 0), mask)
    draw = ImageDraw.Draw(image)
    for share, shade in ((0.98, 0.12), (0.76, 0.16), (0.73, 0.05)):
        q = r * share
        draw.ellipse((centre[0] - q, centre[1] - q, centre[0] + q, centre[1] + q), outline=mix(tone, (0, 0, 0), shade), width=4)


def flour(dice: Dice, style: Style, size: Size) -> Picture:
    """Flour in a bowl among eggs and a whisk: powder of the kitchen."""
    image, name = surfaces.ground(dice, style, size)
    short = min(size)
    centre = (size[0] * 0.44, size[1] * 0.48)
    r = short * 0.36
    _dish(image, dice, centre, r, dice.pick(by_style(style, ("sky_blue", "white", "grey"), ("orange", "green"))))
    pile(image, dice, centre, (r * 0.5, r * 0.48), (246, 240, 226), peak=0.6)
    for _ in range(dice.whole(2, 3)):
        at = (size[0] * dice.real(0.76, 0.9), size[1] * dice.real(0.15, 0.85))
        egg = ellipse_mask(image.size, (at[0] - short * 0.075, at[1] - short * 0.1, at[0] + short * 0.075, at[1] + short * 0.1), 1)
        shadow(image, egg, (6, 9), 0.5)
        tone = dice.shade((222, 170, 124), 12)
        image.paste(tone, (0, 0), egg)
        shine = ellipse_mask(image.size, (at[0] - short * 0.045, at[1] - short * 0.07, at[0], at[1] - short * 0.015), 5)
        image.paste(mix(tone, (255, 255, 255), 0.7), (0, 0), shine)
    whisk = Image.new("RGBA", (round(short * 0.62), round(short * 0.16)), (0, 0, 0, 0))
    pen = ImageDraw.Draw(whisk)
    wide, high = whisk.size
    pen.rounded_rectangle((0, high * 0.4, wide * 0.46, high * 0.62), 8, fill=(120, 82, 50, 255))
    for k in (0.5, 0.34, 0.18):
        pen.ellipse((wide * 0.42, high * (0.5 - k), wide * 0.99, high * (0.5 + k)), outline=(206, 210, 214, 255), width=4)
    lay(image, whisk, (size[0] * 0.5, size[1] * 0.86), dice.real(-30, 30))
    _spoon(image, dice, (size[0] * 0.14, size[1] * 0.5), short)
    return image, {"ground": name, "container": "bowl", "colour": "white", "form": "heap"}


def _spoon(image: Image.Image, dice: Dice, at: Point, short: int) -> None:
    spoon = Image.new("RGBA", (round(short * 0.1), round(short * 0.46)), (0, 0, 0, 0))
    pen = ImageDraw.Draw(spoon)
    wide, high = spoon.size
    tone = dice.pick(((206, 210, 214, 255), (160, 112, 66, 255)))
    pen.ellipse((0, 0, wide - 1, high * 0.34), fill=tone)
    pen.rectangle((wide * 0.4, high * 0.3, wide * 0.6, high), fill=tone)
    lay(image, spoon, at, dice.real(-20, 20))


def seasoning_jar(dice: Dice, style: Style, size: Size) -> Picture:
    """Labelled glass jars of salt, sugar or flour on a kitchen table."""
    image, name = _table(dice, style, size)
    w, h = size
    count = dice.whole(1, 3)
    titles = dice.some(by_style(style, ("소금", "설탕", "밀가루"), ("굵은소금", "흰설탕", "전분")), count)
    for k, title in enumerate(titles):
        wide = w * (0.42 if count == 1 else 0.3 if count == 2 else 0.24)
        wide = min(wide, h * 0.44)
        high = min(wide * dice.real(1.2, 1.5), h * 0.62)
        cx, foot = w * (k + 0.5) / count * 0.9 + w * 0.05, h * dice.real(0.82, 0.9)
        _stand(image, (cx, foot), wide)
        glass = (round(cx - wide / 2), round(foot - high), round(cx + wide / 2), round(foot))
        rounded(image, glass, round(wide * 0.14), (212, 222, 226))
        level = foot - high * dice.real(0.6, 0.8)
        filling = toned(noise(dice, (round(wide * 0.9), max(8, round(foot - level - 8))), 30, 2), (218, 214, 204), (252, 252, 250))
        image.paste(filling, (round(cx - wide * 0.45), round(level)))
        lid = dice.shade(by_style(style, dice.pick(("red", "grey", "brown")), dice.pick(("green", "yellow"))), 12)
        rounded(image, (cx - wide * 0.46, foot - high - wide * 0.16, cx + wide * 0.46, foot - high + 4), 8, lid)
        tag = (cx - wide * 0.36, foot - high * 0.46, cx + wide * 0.36, foot - high * 0.16)
        rounded(image, tag, 6, (250, 246, 232))
        font = typeface(bold(dice, style), round(wide * (0.24 if len(title) < 4 else 0.16)))
        ImageDraw.Draw(image).text((cx, (tag[1] + tag[3]) / 2), title, font=font, fill=(50, 40, 36), anchor="mm")
        _gloss(image, (glass[0] + wide * 0.07, glass[1] + 8, glass[0] + wide * 0.13, glass[3] - 12))
    return image, {"ground": name, "container": "jar", "count": count, "text": "yes", "texts": tuple(titles)}


def coffee(dice: Dice, style: Style, size: Size) -> Picture:
    image, name = surfaces.ground(dice, style, size)
    short = min(size)
    centre = (size[0] * dice.real(0.42, 0.58), size[1] * dice.real(0.42, 0.56))
    _dish(image, dice, centre, short * 0.4, "white")
    r = short * 0.25
    handle = dice.pick((-1, 1))
    cup = dice.shade(dice.pick(by_style(style, ("white", "sky_blue", "red"), ("green", "yellow", "black"))), 8)
    draw = ImageDraw.Draw(image)
    x = centre[0] + handle * r * 1.15
    draw.ellipse((x - r * 0.34, centre[1] - r * 0.26, x + r * 0.34, centre[1] + r * 0.26), outline=cup, width=round(r * 0.16))
    for q, tone in ((r, cup), (r * 0.88, mix(cup, (0, 0, 0), 0.25)), (r * 0.83, dice.shade((96, 58, 34), 10))):
        draw.ellipse((centre[0] - q, centre[1] - q, centre[0] + q, centre[1] + q), fill=tone)
    cream = (240, 218, 182)
    form = dice.pick(("latte_art", "black_coffee"))
    if form == "latte_art":
        for q in (0.62, 0.46, 0.3):
            draw.ellipse((centre[0] - r * q, centre[1] - r * q * 1.1, centre[0] + r * q, centre[1] + r * q * 0.9), outline=cream, width=round(r * 0.08))
        draw.polygon(((centre[0] - r * 0.2, centre[1] - r * 0.1), (centre[0] + r * 0.2, centre[1] - r * 0.1), (centre[0], centre[1] + r * 0.5)), fill=cream)
    else:
        draw.arc((centre[0] - r * 0.76, centre[1] - r * 0.76, centre[0] + r * 0.76, centre[1] + r * 0.76), 200, 290, fill=(196, 150, 100), width=6)
    _spoon(image, dice, (centre[0] - handle * short * 0.36, centre[1]), short)
    return image, {"ground": name, "container": "cup", "form": form, "colour": "brown"}


def food(dice: Dice, style: Style, size: Size) -> Picture:
    image, name = surfaces.ground(dice, style, size)
    short = min(size)
    centre = (size[0] * dice.real(0.45, 0.55), size[1] * dice.real(0.45, 0.55))
    r = short * dice.real(0.38, 0.44)
    form = dice.pick(by_style(style, ("stew", "rice_bowl", "pizza", "noodles", "fried_egg"), ("stew", "gimbap", "pizza", "salad", "noodles")))
    _dish(image, dice, centre, r, "black" if form == "stew" else dice.pick(by_style(style, ("white", "sky_blue"), ("grey", "yellow"))))
    draw = ImageDraw.Draw(image)
    cx, cy = centre
    q = r * 0.72

    def bits(count: int, tones: tuple[RGB, ...], side: float, reach: float = 0.85) -> None:
        for _ in range(count):
            away, a = math.sqrt(dice.real(0, 1)) * q * reach, dice.real(0, 6.28)
            at = (cx + away * math.cos(a), cy + away * math.sin(a))
            s = side * dice.real(0.7, 1.3)
            draw.polygon(wobbly(dice, at, (s, s * dice.real(0.5, 1)), 10, 0.2), fill=dice.shade(dice.pick(tones), 14))

    if form == "stew":
        draw.ellipse((cx - q * 1.1, cy - q * 1.1, cx + q * 1.1, cy + q * 1.1), fill=dice.shade((190, 62, 28), 12))
        bits(26, ((244, 236, 214), (90, 140, 60), (216, 110, 60), (236, 200, 150)), short * 0.045)
    elif form in ("rice_bowl", "salad"):
        base: RGB = (246, 244, 238) if form == "rice_bowl" else (120, 170, 70)
        draw.ellipse((cx - q, cy - q, cx + q, cy + q), fill=base)
        tones: tuple[RGB, ...] = ((226, 120, 40), (80, 140, 60), (150, 90, 50), (240, 210, 90), (200, 50, 50))
        for k, tone in enumerate(tones):
            a = k * 2 * math.pi / len(tones)
            for _ in range(14):
                at = (cx + q * 0.6 * math.cos(a) + dice.real(-0.18, 0.18) * q, cy + q * 0.6 * math.sin(a) + dice.real(-0.18, 0.18) * q)
                end = (at[0] + dice.real(-26, 26), at[1] + dice.real(-26, 26))
                draw.line((*at, *end), fill=dice.shade(tone, 16), width=7)
        _egg(draw, centre, q * 0.36)
    elif form == "pizza":
        draw.ellipse((cx - q * 1.15, cy - q * 1.15, cx + q * 1.15, cy + q * 1.15), fill=(206, 148, 82))
        draw.ellipse((cx - q, cy - q, cx + q, cy + q), fill=(240, 196, 92))
        bits(16, ((186, 44, 36), (186, 44, 36), (60, 110, 50), (40, 34, 30)), short * 0.05)
        for k in range(4):
            a = k * math.pi / 4
            draw.line((cx - q * 1.15 * math.cos(a), cy - q * 1.15 * math.sin(a), cx + q * 1.15 * math.cos(a), cy + q * 1.15 * math.sin(a)), fill=(150, 100, 50), width=4)
    elif form == "noodles":
        draw.ellipse((cx - q, cy - q, cx + q, cy + q), fill=dice.shade((206, 120, 60), 14))
        for _ in range(60):
            x, y = cx + dice.real(-0.6, 0.6) * q, cy + dice.real(-0.6, 0.6) * q
            s, a = dice.real(0.12, 0.38) * q, dice.whole(0, 360)
            draw.arc((x - s, y - s, x + s, y + s), a, a + 170, fill=dice.shade((242, 214, 146), 12), width=6)
        bits(8, ((80, 140, 60), (216, 60, 40)), short * 0.03)
    elif form == "gimbap":
        for k in range(7):
            a = k * 2 * math.pi / 6
            at = centre if k == 6 else (cx + q * 0.62 * math.cos(a), cy + q * 0.62 * math.sin(a))
            s = q * 0.3
            for share, tone in ((1.0, (28, 36, 30)), (0.88, (246, 244, 238))):
                draw.ellipse((at[0] - s * share, at[1] - s * share, at[0] + s * share, at[1] + s * share), fill=tone)
            for n, tone in enumerate(((236, 130, 50), (240, 210, 80), (80, 150, 70), (220, 110, 120))):
                px, py = at[0] + s * 0.3 * math.cos(n * 1.57), at[1] + s * 0.3 * math.sin(n * 1.57)
                draw.rectangle((px - s * 0.2, py - s * 0.2, px + s * 0.2, py + s * 0.2), fill=tone)
    else:
        _egg(draw, (cx - q * 0.25, cy), q * 0.6)
        bits(10, ((206, 60, 44), (90, 150, 60)), short * 0.05, 0.95)
    for k in (-1, 1):  # chopsticks
        x = centre[0] + r * 1.12 + k * 9
        draw.line((x, cy - r, x + 16, cy + r), fill=(176, 178, 182), width=8)
    return image, {"ground": name, "container": "plate", "form": form}


def _egg(draw: ImageDraw.ImageDraw, at: Point, r: float) -> None:
    draw.ellipse((at[0] - r * 1.1, at[1] - r, at[0] + r, at[1] + r * 1.05), fill=(252, 250, 244))
    draw.ellipse((at[0] - r * 0.45, at[1] - r * 0.45, at[0] + r * 0.45, at[1] + r * 0.45), fill=(246, 180, 50))
    draw.ellipse((at[0] - r * 0.25, at[1] - r * 0.3, at[0], at[1] - r * 0.1), fill=(255, 226, 150))


def pet(dice: Dice, style: Style, size: Size) -> Picture:
    """A cat or dog, drawn simply, indoors or on grass."""
    w, h = size
    image = room(dice, style, size)[0].filter(ImageFilter.BoxBlur(6)) if dice.chance(0.6) else surfaces.foliage(dice, size, dice.shade((110, 160, 70), 14))
    kind = dice.pick(("cat", "dog"))
    fur = dice.shade(dice.pick(by_style(style, ((226, 150, 80), (90, 84, 82), (240, 236, 228), (170, 120, 76)), ((200, 180, 150), (60, 56, 60)))), 12)
    ear_tone = mix(fur, (0, 0, 0), 0.3)
    s = min(size) * dice.real(0.26, 0.32)
    cx, cy = w * dice.real(0.42, 0.58), h * dice.real(0.38, 0.46)
    mask = Image.new("L", size, 0)
    body = (cx - s * 1.0, cy + s * 0.3, cx + s * 1.0, cy + s * 2.5)
    ImageDraw.Draw(mask).ellipse(body, fill=255)
    shadow(image, mask, (10, 12), 0.4)
    draw = ImageDraw.Draw(image)
    draw.ellipse(body, fill=mix(fur, (0, 0, 0), 0.12))
    draw.ellipse((cx - s * 0.5, cy + s * 0.7, cx + s * 0.5, cy + s * 2.3), fill=mix(fur, (255, 255, 255), 0.45))
    if kind == "cat":
        for k in (-1, 1):
            draw.polygon(((cx + k * s * 0.95, cy - s * 1.15), (cx + k * s * 0.98, cy - s * 0.1), (cx + k * s * 0.2, cy - s * 0.75)), fill=fur)
            draw.polygon(((cx + k * s * 0.86, cy - s * 0.92), (cx + k * s * 0.86, cy - s * 0.3), (cx + k * s * 0.4, cy - s * 0.66)), fill=(236, 170, 170))
    draw.ellipse((cx - s, cy - s * 0.9, cx + s, cy + s * 0.85), fill=fur)
    if kind == "dog":
        for k in (-1, 1):
            ear = [(cx + k * s * 0.62, cy - s * 0.82), (cx + k * s * 1.25, cy - s * 0.3), (cx + k * s * 1.15, cy + s * 0.55), (cx + k * s * 0.75, cy + s * 0.1)]
            draw.polygon(ear, fill=ear_tone)
        draw.ellipse((cx - s * 0.5, cy - s * 0.02, cx + s * 0.5, cy + s * 0.75), fill=mix(fur, (255, 255, 255), 0.5))
    for k in (-1, 1):
        x = cx + k * s * 0.42
        r = s * 0.17
        draw.ellipse((x - r, cy - s * 0.25 - r, x + r, cy - s * 0.25 + r), fill=(120, 170, 80) if kind == "cat" else (40, 26, 20))
        draw.ellipse((x - r * 0.4, cy - s * 0.25 - r * 0.9, x + r * 0.4, cy - s * 0.25 + r * 0.9), fill=(14, 12, 12))
        draw.ellipse((x - r * 0.5, cy - s * 0.25 - r * 0.6, x - r * 0.1, cy - s * 0.25 - r * 0.2), fill=(255, 255, 255))
    draw.polygon(((cx - s * 0.14, cy + s * 0.14), (cx + s * 0.14, cy + s * 0.14), (cx, cy + s * 0.3)), fill=(50, 30, 30) if kind == "dog" else (226, 120, 130))
    for k in (-1, 1):
        draw.arc((cx - s * 0.17 + k * s * 0.17, cy + s * 0.2, cx + s * 0.17 + k * s * 0.17, cy + s * 0.5), 20, 160, fill=(60, 40, 40), width=4)
        if kind == "cat":
            for dy in (0.22, 0.34, 0.46):
                draw.line((cx + k * s * 0.3, cy + s * 0.32, cx + k * s * 1.15, cy + s * dy), fill=(250, 250, 250), width=2)
    return image, {"animal": kind}


def receipt(dice: Dice, style: Style, size: Size) -> Picture:
    image, name = surfaces.ground(dice, style, size)
    w, h = size
    tall, wide = round(min(h * 0.94, w * 1.5)), 0
    wide = round(min(w * 0.7, tall * dice.real(0.52, 0.7)))
    slip = Image.new("RGB", (wide, tall), dice.shade((246, 245, 240), 6))
    draw = ImageDraw.Draw(slip)
    letter = max(13, wide // 14)
    face = by_style(style, dice.pick(("NanumGothic", "NanumSquareR")), "NanumGothicCoding")
    font = typeface(face, letter)
    shop = dice.pick(by_style(style, wording.SHOPS_BASE, wording.SHOPS_HELDOUT))
    draw.text((wide / 2, letter * 1.6), shop, font=typeface(face, round(letter * 1.5)), fill=(40, 40, 44), anchor="mm")
    draw.text((wide / 2, letter * 3.2), f"2026-{dice.whole(1, 12):02d}-{dice.whole(1, 28):02d} {dice.whole(8, 22)}:{dice.whole(10, 59)}", font=font, fill=(70, 70, 74), anchor="mm")
    y = letter * 4.4
    total = 0
    shown = [shop]
    for item, price in dice.some(wording.RECEIPT_ITEMS, dice.whole(5, 9)):
        if y > tall - letter * 7:
            break
        draw.text((letter * 0.8, y), item, font=font, fill=(50, 50, 54))
        draw.text((wide - letter * 0.8, y), f"{price:,}", font=font, fill=(50, 50, 54), anchor="ra")
        total += price
        shown.append(item)
        y += letter * 1.5
    draw.line((letter * 0.6, y + 4, wide - letter * 0.6, y + 4), fill=(60, 60, 64), width=2)
    big = typeface(face, round(letter * 1.35))
    draw.text((letter * 0.8, y + letter * 0.7), "합계", font=big, fill=(20, 20, 24))
    draw.text((wide - letter * 0.8, y + letter * 0.7), f"{total:,}원", font=big, fill=(20, 20, 24), anchor="ra")
    x = letter * 2.0
    while x < wide - letter * 2:
        bar = dice.whole(1, 5)
        draw.rectangle((x, tall - letter * 3.2, x + bar, tall - letter * 1.2), fill=(20, 20, 20))
        x += bar + dice.whole(2, 5)
    crumple = toned(noise(dice, (wide, tall), 3, 2), (196, 196, 192), (255, 255, 255))
    lay(image, ImageChops.multiply(slip, crumple).convert("RGBA"), (w / 2, h / 2), dice.real(-12, 12))
    return image, {"ground": name, "text": "yes", "texts": tuple(shown), "count": len(shown) - 1}


def document(dice: Dice, style: Style, size: Size) -> Picture:
    image, name = surfaces.ground(dice, style, size)
    w, h = size
    tall = round(min(h * 0.96, w * 1.3))
    wide = round(tall * 0.72)
    sheet = Image.new("RGB", (wide, tall), dice.shade((250, 249, 245), 5))
    draw = ImageDraw.Draw(sheet)
    title = dice.pick(by_style(style, wording.DOCUMENT_TITLES_BASE, wording.DOCUMENT_TITLES_HELDOUT))
    draw.text((wide / 2, tall * 0.1), title, font=typeface(bold(dice, style), round(wide * 0.09)), fill=(20, 20, 24), anchor="mm")
    font = typeface(by_style(style, dice.pick(("NanumGothic", "Pretendard-Regular")), "NanumSquareRoundR"), max(11, wide // 26))
    y = tall * 0.2
    for line in dice.some(wording.DOCUMENT_LINES, dice.whole(6, 9)):
        draw.text((wide * 0.1, y), line, font=font, fill=(50, 50, 54))
        y += tall * 0.05
    if dice.chance(0.5):
        for row in range(4):
            draw.rectangle((wide * 0.1, y + row * tall * 0.05, wide * 0.9, y + (row + 1) * tall * 0.05), outline=(90, 90, 94), width=2)
        draw.line((wide * 0.35, y, wide * 0.35, y + tall * 0.2), fill=(90, 90, 94), width=2)
    draw.ellipse((wide * 0.72, tall * 0.86, wide * 0.82, tall * 0.93), outline=(206, 40, 40), width=4)
    lay(image, sheet.convert("RGBA"), (w / 2, h / 2), dice.real(-7, 7))
    return image, {"ground": name, "text": "yes", "texts": (title,)}


def map_picture(dice: Dice, style: Style, size: Size, *, pin: bool) -> Image.Image:
    """A street map, with a pin in its middle or without."""
    w, h = size
    land = dice.shade(by_style(style, dice.pick(((242, 239, 230), (232, 236, 230))), (58, 64, 76)), 6)
    image = Image.new("RGB", size, land)
    draw = ImageDraw.Draw(image)
    dark = by_style(style, False, True)
    park = (60, 92, 70) if dark else (196, 224, 178)
    water = (40, 70, 110) if dark else (164, 204, 232)
    draw.polygon(wobbly(dice, (w * dice.real(0, 1), h * dice.real(0, 1)), (w * 0.3, h * 0.2), 16, 0.2), fill=park)
    x = dice.real(0, w)
    draw.line((x, 0, x + dice.real(-0.4, 0.4) * w, h), fill=water, width=round(w * 0.09))
    tilt = dice.real(-0.3, 0.3)
    for share, wide, tone in ((0.11, 0.014, (255, 255, 255)), (0.36, 0.04, (252, 214, 120))):
        tone = mix(tone, (90, 96, 110), 0.75) if dark else tone
        step = share * w
        k = -w
        while k < 2 * w:
            k += step * dice.real(0.6, 1.5)
            for turn in (tilt, tilt + math.pi / 2):
                a, b = turned([(k, -h), (k, 2 * h)], (w / 2, h / 2), turn)
                draw.line((*a, *b), fill=tone, width=max(2, round(wide * w)))
    if pin:
        x, y, r = w / 2, h * 0.44, min(size) * 0.12
        red = dice.shade(by_style(style, "red", "magenta"), 8)
        draw.ellipse((x - r * 0.6, y + r * 1.9, x + r * 0.6, y + r * 2.2), fill=mix(land, (0, 0, 0), 0.4))
        draw.polygon(((x - r * 0.92, y + r * 0.4), (x + r * 0.92, y + r * 0.4), (x, y + r * 2.05)), fill=red)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=red)
        draw.ellipse((x - r * 0.4, y - r * 0.4, x + r * 0.4, y + r * 0.4), fill=COLOURS["white"])
    return image
