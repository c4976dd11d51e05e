"""Label 2: ordinary corners of a town with one spot marked on the photograph."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFilter

from mayak.demo import surfaces
from mayak.demo.canvas import (
    COLOURS,
    RGB,
    Box,
    Dice,
    Facts,
    Picture,
    Point,
    Style,
    bold,
    by_style,
    mix,
    noise,
    rounded,
    rounded_mask,
    shadow,
    toned,
    typeface,
    wobbly,
)
from mayak.demo.drugs import bag, lay

Size = tuple[int, int]

MARKS_BASE = ("circle", "circle", "arrow", "arrow", "cross")
MARKS_HELDOUT = ("ellipse_arrow", "double_circle", "box")
MARK_COLOURS_BASE = ("red", "red", "red", "yellow", "lime", "blue")
MARK_COLOURS_HELDOUT = ("magenta", "orange", "cyan", "white")



def _stroke(image: Image.Image, points: list[Point], colour: RGB, width: int) -> None:
    """A finger-drawn line with round ends."""
    draw = ImageDraw.Draw(image)
    draw.line([(round(x), round(y)) for x, y in points], fill=colour, width=width, joint="curve")
    for x, y in (points[0], points[-1]):
        draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=colour)


def _arrow(image: Image.Image, dice: Dice, spot: Point, radius: float, colour: RGB, width: int) -> None:
    """An arrow whose tip lies at the spot; it comes from where there is room."""
    inward = math.atan2(image.height / 2 - spot[1], image.width / 2 - spot[0])
    angle = inward + dice.real(-0.9, 0.9)
    long = radius * dice.real(2.2, 3.2)
    tail = (spot[0] + long * math.cos(angle), spot[1] + long * math.sin(angle))
    bend = dice.real(-0.15, 0.15) * long
    middle = (
        (spot[0] + tail[0]) / 2 - bend * math.sin(angle),
        (spot[1] + tail[1]) / 2 + bend * math.cos(angle),
    )
    _stroke(image, [tail, middle, spot], colour, width)
    for turn in (-0.5, 0.5):
        head = radius * 0.9
        wing = (spot[0] + head * math.cos(angle + turn), spot[1] + head * math.sin(angle + turn))
        _stroke(image, [wing, spot], colour, width)


def _loop(dice: Dice, spot: Point, radius: Point) -> list[Point]:
    """A hand-drawn ring that overshoots its start."""
    ring = wobbly(dice, spot, radius, 30, 0.06)
    start = dice.whole(0, 29)
    ring = ring[start:] + ring[:start]
    return [*ring, *((x + radius[0] * 0.05, y - radius[1] * 0.05) for x, y in ring[:4])]


def _mark(image: Image.Image, dice: Dice, style: Style, spot: Point, radius: float) -> tuple[str, str]:
    """Draw the mark; its kind and colour."""
    if not dice.chance(0.85):
        return "none", "none"
    kind = dice.pick(by_style(style, MARKS_BASE, MARKS_HELDOUT))
    name = dice.pick(by_style(style, MARK_COLOURS_BASE, MARK_COLOURS_HELDOUT))
    colour = mix(COLOURS[name], dice.shade(name, 20), 0.5)
    width = max(4, round(min(image.size) * dice.real(0.011, 0.022)))
    x, y = spot
    if kind == "circle":
        _stroke(image, _loop(dice, spot, (radius * dice.real(0.9, 1.2), radius)), colour, width)
    elif kind == "arrow":
        _arrow(image, dice, spot, radius, colour, width)
    elif kind == "cross":
        r = radius * dice.real(0.6, 0.85)
        for sign in (-1, 1):
            lean = dice.real(-0.15, 0.15) * r
            _stroke(image, [(x - r, y - sign * r + lean), (x, y), (x + r, y + sign * r)], colour, width)
    elif kind == "ellipse_arrow":
        _stroke(image, _loop(dice, spot, (radius * 1.3, radius * 0.8)), colour, width)
        side = 1 if x < image.width / 2 else -1
        _arrow(image, dice, (x + side * radius * 1.35, y), radius * 0.7, colour, width)
    elif kind == "double_circle":
        for factor in (0.7, 1.1):
            _stroke(image, _loop(dice, spot, (radius * factor, radius * factor)), colour, width)
    else:
        r = radius * 0.95
        lean = dice.real(-0.06, 0.06) * r
        corners = [(x - r, y - r + lean), (x + r, y - r), (x + r, y + r + lean), (x - r, y + r)]
        _stroke(image, [*corners, corners[0]], colour, width)
    return kind, name


def _packet(image: Image.Image, dice: Dice, style: Style, spot: Point, side: float) -> str:
    """A small wrapped thing at the spot; its kind."""
    if not dice.chance(0.4):
        return "none"
    kind = dice.pick(("taped", "taped", "zip_bag"))
    width = max(24, round(side))
    if kind == "zip_bag":
        contents = dice.pick(("powder", "crystals"))
        sprite, _ = bag(dice, style, (width, round(width * 1.3)), contents)
    else:
        sprite = Image.new("RGBA", (width, round(width * 0.68)), (0, 0, 0, 0))
        tape = dice.shade(by_style(style, dice.pick(((26, 26, 28), (32, 32, 36))), (20, 24, 34)), 8)
        rounded(sprite, (0, 0, *sprite.size), width // 7, tape)
        sprite.putalpha(rounded_mask(sprite.size, width // 7))
        draw = ImageDraw.Draw(sprite)
        for k in range(dice.whole(3, 5)):
            at = sprite.width * (k + dice.real(0.2, 0.8)) / 5
            lean = dice.real(-0.2, 0.2) * width
            draw.line((at, 2, at + lean, sprite.height - 3), fill=(*mix(tape, (150, 150, 156), 0.45), 255), width=2)
        draw.line((width * 0.1, 3, width * 0.8, 3), fill=(150, 152, 158, 255), width=2)
    lay(image, sprite, spot, dice.real(-30, 30))
    return kind


def _finish(
    image: Image.Image, dice: Dice, style: Style, spots: list[Point], scale: float, place: str, wall: str
) -> Picture:
    """Hide the packet at one of the spots, mark it, and say what is there."""
    x, y = dice.pick(spots)
    edge = scale * 0.2
    spot = (
        min(max(x, edge), image.width - edge),
        min(max(y, edge), image.height - edge),
    )
    kind = _packet(image, dice, style, spot, scale * dice.real(0.2, 0.3))
    mark, colour = _mark(image, dice, style, spot, scale * dice.real(0.22, 0.36))
    facts: Facts = {
        "place": place,
        "wall": wall,
        "mark": mark,
        "mark_colour": colour,
        "packet": "no" if kind == "none" else "yes",
        "packet_kind": kind,
        "time": "night" if dice.chance(0.3) else "day",
    }
    return image, facts


def _frame(dice: Dice, size: Size, low: float = 0.3, high: float = 0.44) -> tuple[Point, float]:
    """Where the thing hangs, and half its height."""
    centre = (size[0] * dice.real(0.4, 0.6), size[1] * dice.real(0.42, 0.56))
    return centre, min(size) * dice.real(low, high)


def _slab(image: Image.Image, box: tuple[float, ...], radius: int, fill: RGB, depth: int = 10) -> Box:
    """A box-shaped thing on the wall: shadow, body, lit upper and dark lower edge."""
    left, top, right, bottom = (round(v) for v in box)
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle((left, top, right, bottom), radius, fill=255)
    shadow(image, mask, (depth, round(depth * 1.3)), 0.6)
    rounded(image, (left, top, right, bottom), radius, mix(fill, (0, 0, 0), 0.4))
    rounded(image, (left, top, right - 2, bottom - 4), radius, mix(fill, (255, 255, 255), 0.35))
    rounded(image, (left + 2, top + 3, right - 3, bottom - 5), radius, fill)
    return left, top, right, bottom


def _pipe(image: Image.Image, points: list[Point], width: int, colour: RGB) -> None:
    """A round pipe along a path."""
    draw = ImageDraw.Draw(image)
    for share, tone in ((1.0, (0, 0, 0)), (0.75, colour), (0.3, (255, 255, 255))):
        fill = colour if tone == colour else mix(colour, tone, 0.45)
        shift = 0 if share > 0.5 else -width * 0.12
        path = [(round(x + shift), round(y + shift)) for x, y in points]
        draw.line(path, fill=fill, width=max(2, round(width * share)), joint="curve")


def _back(dice: Dice, style: Style, size: Size) -> tuple[Image.Image, str]:
    image, name = surfaces.wall(dice, style, size)
    if dice.chance(0.2):
        surfaces.vertical(image, dice)
    return image, name


def _standing(dice: Dice, style: Style, size: Size, level: float) -> tuple[Image.Image, str]:
    """A wall above a pavement."""
    image, name = _back(dice, style, size)
    line = round(size[1] * level)
    draw_floor = dice.pick(by_style(style, (surfaces.asphalt, surfaces.concrete), (surfaces.soil,)))
    image.paste(draw_floor(dice, (size[0], size[1] - line)), (0, line))
    edge = Image.new("L", (size[0], 40), 0)
    ImageDraw.Draw(edge).rectangle((0, 14, size[0], 26), fill=190)
    image.paste((20, 18, 18), (0, line - 20), edge.filter(ImageFilter.BoxBlur(6)))
    return image, name


def gas_meter(dice: Dice, style: Style, size: Size) -> Picture:
    """A metal body with a row of figures, between two pipes."""
    image, name = _back(dice, style, size)
    (x, y), s = _frame(dice, size, 0.24, 0.34)
    pipe = dice.shade(by_style(style, dice.pick(("yellow", "grey", "orange")), dice.pick(("white", "green"))), 14)
    thick = max(10, round(s * 0.17))
    left, right = x - s * 0.5, x + s * 0.5
    turn = y - s * dice.real(1.2, 1.5)
    _pipe(image, [(left, y - s * 0.6), (left, turn), (-20.0, turn)], thick, pipe)
    _pipe(image, [(right, y - s * 0.6), (right, -20.0)], thick, pipe)
    draw = ImageDraw.Draw(image)
    for at in (left, right):
        draw.rectangle((at - thick * 0.8, y - s * 0.86, at + thick * 0.8, y - s * 0.66), fill=(120, 120, 118))
    draw.rectangle((right - thick * 0.5, turn + s * 0.1, right + thick * 1.9, turn + s * 0.2), fill=dice.shade("red", 20))
    body = dice.shade(by_style(style, (188, 190, 188), dice.pick(((150, 170, 196), (206, 196, 160)))), 14)
    box = _slab(image, (x - s * 0.85, y - s * 0.7, x + s * 0.85, y + s * 0.75), round(s * by_style(style, 0.3, 0.12)), body)
    draw.line((box[0] + 3, y + s * 0.12, box[2] - 3, y + s * 0.12), fill=mix(body, (0, 0, 0), 0.35), width=4)
    _slab(image, (x - s * 0.58, y - s * 0.5, x + s * 0.58, y - s * 0.02), 6, (236, 236, 230), 3)
    _counter(image, dice, (x - s * 0.46, y - s * 0.42, x + s * 0.46, y - s * 0.18))
    font = typeface(bold(dice, style), max(10, round(s * 0.11)))
    draw.text((x, y - s * 0.1), "m³  GAS", font=font, fill=(60, 60, 66), anchor="mm")
    draw.ellipse((x - s * 0.1, y + s * 0.35, x + s * 0.1, y + s * 0.55), outline=mix(body, (0, 0, 0), 0.4), width=3)
    spots = [(x + s * 0.2, y + s * 0.85), (left, y - s * 0.9), (box[2] + s * 0.1, y + s * 0.2), (box[0], y + s * 0.4)]
    return _finish(image, dice, style, spots, s * 1.5, "gas_meter", name)


def _counter(image: Image.Image, dice: Dice, box: tuple[float, ...]) -> None:
    """A row of black number wheels, the last ones red."""
    draw = ImageDraw.Draw(image)
    step = (box[2] - box[0]) / 7
    font = typeface("NanumGothicCoding", max(10, round((box[3] - box[1]) * 0.85)))
    for k in range(7):
        cell = (box[0] + k * step + 1, box[1], box[0] + (k + 1) * step - 1, box[3])
        draw.rectangle(cell, fill=(24, 24, 26) if k < 5 else (170, 34, 30))
        at = ((cell[0] + cell[2]) / 2, (cell[1] + cell[3]) / 2)
        draw.text(at, str(dice.whole(0, 9)), font=font, fill=(240, 240, 240), anchor="mm")


def electric_meter(dice: Dice, style: Style, size: Size) -> Picture:
    """A glass-fronted dial meter in a box, with cables; two in a row at times."""
    image, name = _back(dice, style, size)
    (x, y), s = _frame(dice, size, 0.28, 0.4)
    count = dice.pick((1, 1, 2))
    half = s * (0.62 if count == 1 else 0.5)
    spots: list[Point] = []
    draw = ImageDraw.Draw(image)
    for k in range(count):
        cx = x + (k - (count - 1) / 2) * half * 2.3
        for off in (-0.3, 0.0, 0.3):
            path = [(cx + off * half, y + s * 0.7), (cx + off * half * 1.2, float(size[1] + 10))]
            _pipe(image, path, max(5, round(s * 0.06)), dice.shade("black", 20))
        _pipe(image, [(cx, y - s), (cx, -10.0)], max(8, round(s * 0.12)), dice.shade("grey", 20))
        case = dice.shade(by_style(style, dice.pick(((196, 194, 186), (120, 126, 130))), dice.pick(((86, 104, 96), (210, 190, 150)))), 10)
        _slab(image, (cx - half, y - s, cx + half, y + s * 0.9), round(s * 0.07), case)
        if style == "base":
            r = half * 0.84
            ring = (cx - r, y - s * 0.85, cx + r, y - s * 0.85 + 2 * r)
            draw.ellipse(ring, fill=(52, 54, 58))
            draw.ellipse((ring[0] + 6, ring[1] + 6, ring[2] - 6, ring[3] - 6), fill=(226, 228, 226))
            middle = ring[1] + r
        else:
            middle = y - s * 0.3
            _slab(image, (cx - half * 0.8, y - s * 0.8, cx + half * 0.8, y + s * 0.25), 8, (186, 202, 190), 2)
            r = half * 0.84
        _counter(image, dice, (cx - r * 0.62, middle - r * 0.44, cx + r * 0.62, middle - r * 0.12))
        draw.rectangle((cx - r * 0.7, middle + r * 0.1, cx + r * 0.7, middle + r * 0.24), fill=(150, 152, 154))
        draw.rectangle((cx + r * dice.real(-0.6, 0.4), middle + r * 0.1, cx + r * 0.5, middle + r * 0.24), fill=(190, 40, 36))
        font = typeface(bold(dice, style), max(10, round(r * 0.24)))
        draw.text((cx, middle + r * 0.5), "kWh", font=font, fill=(40, 40, 44), anchor="mm")
        draw.arc((cx - r * 0.85, middle - r * 0.85, cx + r * 0.85, middle + r * 0.85), 200, 250, fill=(255, 255, 255), width=4)
        _slab(image, (cx - half * 0.8, y + s * 0.5, cx + half * 0.8, y + s * 0.82), 4, mix(case, (0, 0, 0), 0.25), 1)
        spots += [(cx, y + s), (cx + half, y + s * 0.2), (cx - half * 0.3, y - s)]
    return _finish(image, dice, style, spots, s * 1.4, "electric_meter", name)


def mailbox(dice: Dice, style: Style, size: Size) -> Picture:
    """Rows of small numbered doors in an entrance."""
    image, name = _back(dice, style, size)
    columns, rows = dice.whole(3, 5), dice.whole(2, 4)
    (x, y), s = _frame(dice, size, 0.36, 0.46)
    wide = min(s * 1.15, size[0] * 0.46)
    tone = dice.shade(by_style(style, dice.pick(((178, 182, 186), (150, 120, 88), (96, 104, 112))), dice.pick(((60, 96, 130), (168, 52, 46), (220, 216, 200)))), 10)
    left, top, right, bottom = _slab(image, (x - wide, y - s * 0.85, x + wide, y + s * 0.85), 5, tone, 12)
    draw = ImageDraw.Draw(image)
    cell = ((right - left - 12) / columns, (bottom - top - 12) / rows)
    spots: list[Point] = [(x, top - 4.0), (right - cell[0] * 0.4, bottom + 6.0)]
    font = typeface(bold(dice, style), max(11, round(min(cell[1], cell[0]) * 0.2)))
    for row in range(rows):
        for column in range(columns):
            a, b = left + 6 + column * cell[0], top + 6 + row * cell[1]
            box = (a + 3, b + 3, a + cell[0] - 3, b + cell[1] - 3)
            door = dice.shade(tone, 8)
            draw.rectangle(box, fill=door, outline=mix(tone, (0, 0, 0), 0.5), width=2)
            draw.line((box[0] + 2, box[1] + 2, box[2] - 2, box[1] + 2), fill=mix(door, (255, 255, 255), 0.5), width=2)
            slot = (box[0] + cell[0] * 0.12, b + cell[1] * 0.16, box[2] - cell[0] * 0.12, b + cell[1] * 0.28)
            draw.rectangle(slot, fill=(22, 22, 24))
            if dice.chance(0.3):  # post sticking out
                letter = (slot[0] + 6, slot[1] - cell[1] * 0.06, slot[2] - 8, slot[3] - 2)
                draw.rectangle(letter, fill=dice.pick(((240, 238, 230), (222, 210, 180), (190, 214, 236))))
            number = f"{rows - row}0{column + 1}"
            draw.rectangle((a + cell[0] * 0.3, b + cell[1] * 0.42, a + cell[0] * 0.7, b + cell[1] * 0.66), fill=(236, 234, 226))
            draw.text((a + cell[0] / 2, b + cell[1] * 0.54), number, font=font, fill=(30, 30, 34), anchor="mm")
            r = max(3, cell[0] * 0.05)
            draw.ellipse((box[2] - r * 4, b + cell[1] * 0.78 - r, box[2] - r * 2, b + cell[1] * 0.78 + r), fill=(60, 60, 62))
            spots.append((a + cell[0] / 2, b + cell[1] * 0.25))
    return _finish(image, dice, style, spots, s * 0.95, "mailbox", name)


def air_conditioner(dice: Dice, style: Style, size: Size) -> Picture:
    """An outdoor unit with a round fan guard, on the ground or on brackets."""
    low = dice.chance(0.6)
    image, name = _standing(dice, style, size, 0.78) if low else _back(dice, style, size)
    s = min(size) * dice.real(0.34, 0.42)
    wide = min(s * 1.25, size[0] * 0.44)
    x, y = size[0] * dice.real(0.46, 0.54), (size[1] * 0.84 - s if low else size[1] * 0.48)
    hose = dice.shade(by_style(style, (222, 220, 212), (60, 62, 66)), 10)
    path = [(x + wide * 0.9, y + s * 0.4), (x + wide * 1.25, y + s * 0.2), (x + wide * 1.2, -10.0)]
    _pipe(image, path, max(10, round(s * 0.1)), hose)
    draw = ImageDraw.Draw(image)
    for sign in (-0.7, 0.7):
        draw.rectangle((x + sign * wide - 16, y + s * 0.75, x + sign * wide + 16, y + s * 0.98), fill=(58, 58, 60))
    body = dice.shade(by_style(style, dice.pick(((226, 226, 220), (206, 204, 192))), dice.pick(((150, 156, 160), (188, 176, 150)))), 8)
    box = _slab(image, (x - wide, y - s * 0.75, x + wide, y + s * 0.8), 10, body, 14)
    centre, r = (x - wide * 0.28, y + s * 0.02), min(s * 0.66, wide * 0.64)
    circle = (centre[0] - r, centre[1] - r, centre[0] + r, centre[1] + r)
    draw.ellipse(circle, fill=(44, 46, 48))
    for k in range(by_style(style, 3, 5)):
        start = k * 360 / by_style(style, 3, 5) + dice.whole(0, 40)
        inner = (circle[0] + r * 0.1, circle[1] + r * 0.1, circle[2] - r * 0.1, circle[3] - r * 0.1)
        draw.pieslice(inner, start, start + 48, fill=(92, 94, 98))
    guard = mix(body, (90, 90, 90), 0.25)
    for k in range(1, 8):
        q = r * k / 7
        draw.ellipse((centre[0] - q, centre[1] - q, centre[0] + q, centre[1] + q), outline=guard, width=2)
    for k in range(12):
        a = k * math.pi / 6
        draw.line((*centre, centre[0] + r * math.cos(a), centre[1] + r * math.sin(a)), fill=guard, width=2)
    draw.ellipse((centre[0] - r * 0.16, centre[1] - r * 0.16, centre[0] + r * 0.16, centre[1] + r * 0.16), fill=body)
    for k in range(9):
        at = y - s * 0.5 + k * s * 0.07
        draw.line((x + wide * 0.5, at, x + wide * 0.9, at), fill=mix(body, (0, 0, 0), 0.4), width=3)
    draw.rectangle((x + wide * 0.52, y + s * 0.3, x + wide * 0.88, y + s * 0.5), fill=(240, 220, 120))
    spots = [(x - wide * 0.4, y + s * 0.9), (box[2] + 8.0, y + s * 0.4), (x, box[1] - 6.0), (x + wide * 0.3, y + s * 0.9)]
    return _finish(image, dice, style, spots, s * 1.2, "air_conditioner", name)


def drain(dice: Dice, style: Style, size: Size) -> Picture:
    """An iron grate or a round cover in the ground, from above."""
    name = dice.pick(by_style(style, ("asphalt", "concrete", "tile_floor"), ("soil", "granite")))
    if name in ("tile_floor", "granite"):
        image = surfaces._GROUNDS[name](dice, size)
    else:
        image = {"asphalt": surfaces.asphalt, "concrete": surfaces.concrete, "soil": surfaces.soil}[name](dice, size)
    (x, y), s = _frame(dice, size, 0.26, 0.38)
    draw = ImageDraw.Draw(image)
    iron = dice.shade(by_style(style, (104, 100, 98), (128, 98, 74)), 14)
    round_one = dice.chance(by_style(style, 0.4, 0.5))
    if round_one:
        for r, tone in ((1.12, (62, 60, 58)), (1.04, (24, 22, 22)), (1.0, iron)):
            draw.ellipse((x - s * r, y - s * r, x + s * r, y + s * r), fill=tone)
        step = max(10, round(s * 0.15))
        dark, light = mix(iron, (0, 0, 0), 0.45), mix(iron, (255, 255, 255), 0.25)
        for gx in range(round(x - s), round(x + s), step):
            for gy in range(round(y - s), round(y + s), step):
                if 0.3 * s < math.hypot(gx - x, gy - y) < s * 0.86:
                    draw.rectangle((gx, gy, gx + step * 0.55, gy + step * 0.55), fill=dark)
                    draw.line((gx, gy, gx + step * 0.55, gy), fill=light, width=2)
        draw.ellipse((x - s * 0.92, y - s * 0.92, x + s * 0.92, y + s * 0.92), outline=dark, width=4)
        word = dice.pick(by_style(style, ("하수", "오수", "상수도"), ("통신", "우수")))
        font = typeface(bold(dice, style), max(14, round(s * 0.22)))
        draw.text((x, y), word, font=font, fill=light, anchor="mm")
    else:
        wide = s * dice.real(1.0, 1.5)
        box = (x - wide, y - s * 0.8, x + wide, y + s * 0.8)
        draw.rectangle((box[0] - 14, box[1] - 14, box[2] + 14, box[3] + 14), fill=mix(iron, (180, 178, 172), 0.6))
        draw.rectangle(box, fill=(14, 14, 15))
        step = s * dice.real(0.16, 0.24)
        bars = int(2 * wide / step)
        for k in range(bars + 1):
            at = box[0] + k * 2 * wide / max(1, bars)
            draw.rectangle((at - step * 0.22, box[1], at + step * 0.22, box[3]), fill=iron)
            draw.line((at - step * 0.2, box[1], at - step * 0.2, box[3]), fill=mix(iron, (255, 255, 255), 0.35), width=2)
        for at in (box[1], y, box[3]):
            draw.rectangle((box[0] - 6, at - 6, box[2] + 6, at + 6), fill=iron)
        for _ in range(5):  # fallen leaves
            lx, ly = dice.real(box[0], box[2]), dice.real(box[1], box[3])
            draw.ellipse((lx - 9, ly - 4, lx + 9, ly + 4), fill=dice.shade(dice.pick(("brown", "orange", "green")), 20))
    spots = [(x, y + s * 0.7), (x + s * 0.75, y), (x - s * 0.7, y - s * 0.3)]
    return _finish(image, dice, style, spots, s * 1.3, "manhole" if round_one else "drain", name)


def planter(dice: Dice, style: Style, size: Size) -> Picture:
    """A pot with a plant before a wall."""
    image, name = _standing(dice, style, size, dice.real(0.64, 0.74))
    s = min(size) * dice.real(0.34, 0.42)
    x, base = size[0] * dice.real(0.4, 0.6), size[1] * dice.real(0.88, 0.94)
    rim = base - s * 0.85
    tone = dice.shade(by_style(style, dice.pick(((184, 98, 62), (120, 112, 106), (226, 220, 210))), dice.pick(((44, 84, 140), (52, 52, 56)))), 12)
    oblong = dice.chance(by_style(style, 0.25, 0.5))
    top_half, low_half = (s * 0.95, s * 0.88) if oblong else (s * 0.6, s * 0.42)
    pot = [(x - top_half, rim), (x + top_half, rim), (x + low_half, base), (x - low_half, base)]
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).polygon(pot, fill=255)
    shadow(image, mask, (14, 8), 0.6)
    ramp = Image.linear_gradient("L").rotate(90).resize(size)
    image.paste(toned(ramp, mix(tone, (0, 0, 0), 0.4), mix(tone, (255, 255, 255), 0.2)), (0, 0), mask)
    draw = ImageDraw.Draw(image)
    draw.ellipse((x - top_half * 0.96, rim - s * 0.14, x + top_half * 0.96, rim + s * 0.1), fill=(60, 42, 30))
    green = dice.shade(by_style(style, dice.pick(((58, 110, 48), (84, 128, 52))), dice.pick(((110, 96, 52), (60, 100, 84)))), 12)
    spiky = dice.chance(by_style(style, 0.4, 0.6))
    for _ in range(46 if spiky else 90):
        shade = mix(dice.shade(green, 24), (20, 30, 14), dice.real(0, 0.4))
        if spiky:
            a, long = -math.pi / 2 + dice.real(-1.1, 1.1), s * dice.real(0.6, 1.25)
            root = (x + dice.real(-0.5, 0.5) * top_half, rim)
            tip = (root[0] + long * math.cos(a), root[1] + long * math.sin(a))
            draw.polygon(((root[0] - s * 0.04, rim), tip, (root[0] + s * 0.04, rim)), fill=shade)
        else:
            a, away = dice.real(0, 2 * math.pi), math.sqrt(dice.real(0, 1))
            lx = x + away * math.cos(a) * top_half * 1.15
            ly = rim - s * 0.5 + away * math.sin(a) * s * 0.5
            r = s * dice.real(0.07, 0.15)
            draw.polygon(wobbly(dice, (lx, ly), (r, r * 0.6), 8, 0.3), fill=shade)
    lip = (x - top_half * 1.08, rim, x + top_half * 1.08, rim + s * 0.15)
    rounded(image, lip, 6, mix(tone, (255, 255, 255), 0.15))
    draw.line((lip[0] + 4, lip[3], lip[2] - 4, lip[3]), fill=mix(tone, (0, 0, 0), 0.5), width=4)
    spots = [(x + low_half * 1.15, base - 4), (x - low_half * 1.1, base - 6), (x + top_half * 0.3, rim - s * 0.04)]
    return _finish(image, dice, style, spots, s * 1.2, "planter", name)


def stairs(dice: Dice, style: Style, size: Size) -> Picture:
    """A flight of steps from the side with the dark room under it."""
    image, name = _back(dice, style, size)
    width, height = size
    floor = round(height * 0.86)
    image.paste(surfaces.concrete(dice, (width, height - floor)), (0, floor))
    count = dice.whole(5, 8)
    run, rise = width * 0.95 / count, floor * dice.real(0.8, 0.95) / count
    thick = rise * 0.8
    profile: list[Point] = [(0.0, float(floor))]
    for k in range(count):
        profile += [(k * run, floor - (k + 1) * rise), ((k + 1) * run, floor - (k + 1) * rise)]
    end = profile[-1]
    dark = Image.new("L", size, 0)
    ImageDraw.Draw(dark).polygon([*profile, (width, end[1]), (width, floor)], fill=170)
    image.paste((16, 14, 16), (0, 0), dark.filter(ImageFilter.BoxBlur(6)))
    slab = [*profile, (float(width), end[1]), (float(width), end[1] + rise + thick), (run * 0.9 + thick, float(floor))]
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).polygon(slab, fill=255)
    tone = dice.shade(by_style(style, dice.pick(((168, 164, 158), (142, 140, 138), (190, 180, 164))), dice.pick(((126, 84, 56), (92, 104, 116)))), 12)
    body = toned(noise(dice, size, 12, 3), mix(tone, (0, 0, 0), 0.3), mix(tone, (255, 255, 255), 0.15))
    image.paste(body, (0, 0), mask)
    draw = ImageDraw.Draw(image)
    nosing = by_style(style, mix(tone, (255, 255, 255), 0.55), COLOURS["yellow"])
    for k in range(count):
        step_y = floor - (k + 1) * rise
        draw.rectangle((k * run - 4, step_y, (k + 1) * run, step_y + max(5, rise * 0.16)), fill=nosing)
        draw.line((k * run, step_y, k * run, step_y + rise), fill=mix(tone, (0, 0, 0), 0.55), width=3)
    if dice.chance(0.6):  # a handrail on posts
        rail = dice.shade(by_style(style, dice.pick(("grey", "black")), dice.pick(("red", "green"))), 14)
        for k in range(0, count, 1):
            foot = floor - (k + 1) * rise
            draw.line(((k + 0.5) * run, foot, (k + 0.5) * run, foot - height * 0.24), fill=rail, width=6)
        first, last = floor - rise - height * 0.24, floor - count * rise - height * 0.24
        draw.line((run * 0.5, first, (count - 0.5) * run, last), fill=rail, width=11)
    if dice.chance(0.5):  # a carton kept below
        at = width * dice.real(0.72, 0.82)
        _slab(image, (at, floor - rise * 1.4, at + width * 0.16, floor + 10), 3, dice.shade((176, 136, 92), 14), 4)
    if dice.chance(by_style(style, 0.5, 0.3)):
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        spots = [(width * 0.45, floor + 6.0), (width * 0.25, floor + 8.0), (width * 0.35, floor - rise * 0.5)]
    else:
        spots = [(width * 0.55, floor + 6.0), (width * 0.75, floor + 8.0), (width * 0.65, floor - rise * 0.5)]
    return _finish(image, dice, style, spots, min(size) * 0.42, "stairs", name)
