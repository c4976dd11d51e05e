"""Label 0: flour, salt, coffee and food, which look like powder only at first."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from mayak_synthetic import surfaces
from mayak_synthetic.canvas import (
    RGB,
    Drawing,
    Point,
    SeededRandom,
    Style,
    bold,
    by_style,
    ellipse_mask,
    mix,
    noise,
    rounded,
    shadow,
    toned,
    typeface,
    wobbly,
)
from mayak_synthetic.substances import lay, pile
from mayak_synthetic.surfaces import Size
from mayak_synthetic.tabletop import dish, footing, front_table, gloss


def flour(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    """Draw flour in a bowl among eggs and a whisk: powder of the kitchen."""
    image, name = surfaces.ground(rng, style, size)
    short = min(size)
    centre = (size[0] * 0.44, size[1] * 0.48)
    r = short * 0.36
    dish(
        image,
        rng,
        centre,
        r,
        rng.choice(by_style(style, ("sky_blue", "white", "grey"), ("orange", "green"))),
    )
    pile(image, rng, centre, (r * 0.5, r * 0.48), (246, 240, 226), peak=0.6)
    for _ in range(rng.integer(2, 3)):
        at = (size[0] * rng.uniform(0.76, 0.9), size[1] * rng.uniform(0.15, 0.85))
        egg = ellipse_mask(
            image.size,
            (
                at[0] - short * 0.075,
                at[1] - short * 0.1,
                at[0] + short * 0.075,
                at[1] + short * 0.1,
            ),
            1,
        )
        shadow(image, egg, (6, 9), 0.5)
        tone = rng.shade((222, 170, 124), 12)
        image.paste(tone, (0, 0), egg)
        shine = ellipse_mask(
            image.size,
            (at[0] - short * 0.045, at[1] - short * 0.07, at[0], at[1] - short * 0.015),
            5,
        )
        image.paste(mix(tone, (255, 255, 255), 0.7), (0, 0), shine)
    whisk = Image.new("RGBA", (round(short * 0.62), round(short * 0.16)), (0, 0, 0, 0))
    pen = ImageDraw.Draw(whisk)
    wide, high = whisk.size
    pen.rounded_rectangle((0, high * 0.4, wide * 0.46, high * 0.62), 8, fill=(120, 82, 50, 255))
    for k in (0.5, 0.34, 0.18):
        pen.ellipse(
            (wide * 0.42, high * (0.5 - k), wide * 0.99, high * (0.5 + k)),
            outline=(206, 210, 214, 255),
            width=4,
        )
    lay(image, whisk, (size[0] * 0.5, size[1] * 0.86), rng.uniform(-30, 30))
    _spoon(image, rng, (size[0] * 0.14, size[1] * 0.5), short)
    return image, {"ground": name, "container": "bowl", "colour": "white", "form": "heap"}


def _spoon(image: Image.Image, rng: SeededRandom, at: Point, short: int) -> None:
    spoon = Image.new("RGBA", (round(short * 0.1), round(short * 0.46)), (0, 0, 0, 0))
    pen = ImageDraw.Draw(spoon)
    wide, high = spoon.size
    tone = rng.choice(((206, 210, 214, 255), (160, 112, 66, 255)))
    pen.ellipse((0, 0, wide - 1, high * 0.34), fill=tone)
    pen.rectangle((wide * 0.4, high * 0.3, wide * 0.6, high), fill=tone)
    lay(image, spoon, at, rng.uniform(-20, 20))


def seasoning_jar(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    """Draw labelled glass jars of salt, sugar or flour on a kitchen table."""
    image, name = front_table(rng, style, size)
    w, h = size
    count = rng.integer(1, 3)
    titles = rng.sample(
        by_style(style, ("소금", "설탕", "밀가루"), ("굵은소금", "흰설탕", "전분")), count
    )
    for k, title in enumerate(titles):
        wide = w * (0.42 if count == 1 else 0.3 if count == 2 else 0.24)
        wide = min(wide, h * 0.44)
        high = min(wide * rng.uniform(1.2, 1.5), h * 0.62)
        cx, foot = w * (k + 0.5) / count * 0.9 + w * 0.05, h * rng.uniform(0.82, 0.9)
        footing(image, (cx, foot), wide)
        glass = (round(cx - wide / 2), round(foot - high), round(cx + wide / 2), round(foot))
        rounded(image, glass, round(wide * 0.14), (212, 222, 226))
        level = foot - high * rng.uniform(0.6, 0.8)
        filling = toned(
            noise(rng, (round(wide * 0.9), max(8, round(foot - level - 8))), 30, 2),
            (218, 214, 204),
            (252, 252, 250),
        )
        image.paste(filling, (round(cx - wide * 0.45), round(level)))
        lid = rng.shade(
            by_style(style, rng.choice(("red", "grey", "brown")), rng.choice(("green", "yellow"))),
            12,
        )
        rounded(
            image,
            (cx - wide * 0.46, foot - high - wide * 0.16, cx + wide * 0.46, foot - high + 4),
            8,
            lid,
        )
        tag = (cx - wide * 0.36, foot - high * 0.46, cx + wide * 0.36, foot - high * 0.16)
        rounded(image, tag, 6, (250, 246, 232))
        font = typeface(bold(rng, style), round(wide * (0.24 if len(title) < 4 else 0.16)))
        ImageDraw.Draw(image).text(
            (cx, (tag[1] + tag[3]) / 2), title, font=font, fill=(50, 40, 36), anchor="mm"
        )
        gloss(image, (glass[0] + wide * 0.07, glass[1] + 8, glass[0] + wide * 0.13, glass[3] - 12))
    return image, {
        "ground": name,
        "container": "jar",
        "count": count,
        "text": "yes",
        "texts": tuple(titles),
    }


def coffee(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, name = surfaces.ground(rng, style, size)
    short = min(size)
    centre = (size[0] * rng.uniform(0.42, 0.58), size[1] * rng.uniform(0.42, 0.56))
    dish(image, rng, centre, short * 0.4, "white")
    r = short * 0.25
    handle = rng.choice((-1, 1))
    cup = rng.shade(
        rng.choice(by_style(style, ("white", "sky_blue", "red"), ("green", "yellow", "black"))), 8
    )
    draw = ImageDraw.Draw(image)
    x = centre[0] + handle * r * 1.15
    draw.ellipse(
        (x - r * 0.34, centre[1] - r * 0.26, x + r * 0.34, centre[1] + r * 0.26),
        outline=cup,
        width=round(r * 0.16),
    )
    for q, tone in (
        (r, cup),
        (r * 0.88, mix(cup, (0, 0, 0), 0.25)),
        (r * 0.83, rng.shade((96, 58, 34), 10)),
    ):
        draw.ellipse((centre[0] - q, centre[1] - q, centre[0] + q, centre[1] + q), fill=tone)
    cream = (240, 218, 182)
    form = rng.choice(("latte_art", "black_coffee"))
    if form == "latte_art":
        for q in (0.62, 0.46, 0.3):
            draw.ellipse(
                (
                    centre[0] - r * q,
                    centre[1] - r * q * 1.1,
                    centre[0] + r * q,
                    centre[1] + r * q * 0.9,
                ),
                outline=cream,
                width=round(r * 0.08),
            )
        draw.polygon(
            (
                (centre[0] - r * 0.2, centre[1] - r * 0.1),
                (centre[0] + r * 0.2, centre[1] - r * 0.1),
                (centre[0], centre[1] + r * 0.5),
            ),
            fill=cream,
        )
    else:
        draw.arc(
            (
                centre[0] - r * 0.76,
                centre[1] - r * 0.76,
                centre[0] + r * 0.76,
                centre[1] + r * 0.76,
            ),
            200,
            290,
            fill=(196, 150, 100),
            width=6,
        )
    _spoon(image, rng, (centre[0] - handle * short * 0.36, centre[1]), short)
    return image, {"ground": name, "container": "cup", "form": form, "colour": "brown"}


def food(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, name = surfaces.ground(rng, style, size)
    short = min(size)
    centre = (size[0] * rng.uniform(0.45, 0.55), size[1] * rng.uniform(0.45, 0.55))
    r = short * rng.uniform(0.38, 0.44)
    form = rng.choice(
        by_style(
            style,
            ("stew", "rice_bowl", "pizza", "noodles", "fried_egg"),
            ("stew", "gimbap", "pizza", "salad", "noodles"),
        )
    )
    dish(
        image,
        rng,
        centre,
        r,
        "black"
        if form == "stew"
        else rng.choice(by_style(style, ("white", "sky_blue"), ("grey", "yellow"))),
    )
    draw = ImageDraw.Draw(image)
    _DISHES[form](_Plate(draw, rng, centre, r * 0.72, short))
    cy = centre[1]
    for k in (-1, 1):  # chopsticks
        x = centre[0] + r * 1.12 + k * 9
        draw.line((x, cy - r, x + 16, cy + r), fill=(176, 178, 182), width=8)
    return image, {"ground": name, "container": "plate", "form": form}


@dataclass(frozen=True, slots=True)
class _Plate:
    """Where a dish is drawn."""

    draw: ImageDraw.ImageDraw
    rng: SeededRandom
    centre: Point
    radius: float
    """Of the food, in pixels."""
    short: int
    """The shorter side of the picture in pixels."""


def _bits(
    plate: _Plate, count: int, tones: tuple[RGB, ...], side: float, reach: float = 0.85
) -> None:
    """Draw pieces of food within ``reach`` of the radius."""
    rng, (cx, cy) = plate.rng, plate.centre
    for _ in range(count):
        away, a = math.sqrt(rng.uniform(0, 1)) * plate.radius * reach, rng.uniform(0, 6.28)
        at = (cx + away * math.cos(a), cy + away * math.sin(a))
        s = side * rng.uniform(0.7, 1.3)
        plate.draw.polygon(
            wobbly(rng, at, (s, s * rng.uniform(0.5, 1)), 10, 0.2),
            fill=rng.shade(rng.choice(tones), 14),
        )


def _stew(plate: _Plate) -> None:
    draw, rng, (cx, cy), q = plate.draw, plate.rng, plate.centre, plate.radius
    draw.ellipse(
        (cx - q * 1.1, cy - q * 1.1, cx + q * 1.1, cy + q * 1.1),
        fill=rng.shade((190, 62, 28), 12),
    )
    _bits(
        plate,
        26,
        ((244, 236, 214), (90, 140, 60), (216, 110, 60), (236, 200, 150)),
        plate.short * 0.045,
    )


def _rice_bowl(plate: _Plate) -> None:
    _bowl(plate, (246, 244, 238))


def _salad(plate: _Plate) -> None:
    _bowl(plate, (120, 170, 70))


def _bowl(plate: _Plate, base: RGB) -> None:
    """Draw strips of five kinds in a ring around an egg."""
    draw, rng, (cx, cy), q = plate.draw, plate.rng, plate.centre, plate.radius
    draw.ellipse((cx - q, cy - q, cx + q, cy + q), fill=base)
    tones: tuple[RGB, ...] = (
        (226, 120, 40),
        (80, 140, 60),
        (150, 90, 50),
        (240, 210, 90),
        (200, 50, 50),
    )
    for k, tone in enumerate(tones):
        a = k * 2 * math.pi / len(tones)
        for _ in range(14):
            at = (
                cx + q * 0.6 * math.cos(a) + rng.uniform(-0.18, 0.18) * q,
                cy + q * 0.6 * math.sin(a) + rng.uniform(-0.18, 0.18) * q,
            )
            end = (at[0] + rng.uniform(-26, 26), at[1] + rng.uniform(-26, 26))
            draw.line((*at, *end), fill=rng.shade(tone, 16), width=7)
    _egg(draw, plate.centre, q * 0.36)


def _pizza(plate: _Plate) -> None:
    draw, (cx, cy), q = plate.draw, plate.centre, plate.radius
    draw.ellipse((cx - q * 1.15, cy - q * 1.15, cx + q * 1.15, cy + q * 1.15), fill=(206, 148, 82))
    draw.ellipse((cx - q, cy - q, cx + q, cy + q), fill=(240, 196, 92))
    _bits(
        plate,
        16,
        ((186, 44, 36), (186, 44, 36), (60, 110, 50), (40, 34, 30)),
        plate.short * 0.05,
    )
    for k in range(4):
        a = k * math.pi / 4
        draw.line(
            (
                cx - q * 1.15 * math.cos(a),
                cy - q * 1.15 * math.sin(a),
                cx + q * 1.15 * math.cos(a),
                cy + q * 1.15 * math.sin(a),
            ),
            fill=(150, 100, 50),
            width=4,
        )


def _noodles(plate: _Plate) -> None:
    draw, rng, (cx, cy), q = plate.draw, plate.rng, plate.centre, plate.radius
    draw.ellipse((cx - q, cy - q, cx + q, cy + q), fill=rng.shade((206, 120, 60), 14))
    for _ in range(60):
        x, y = cx + rng.uniform(-0.6, 0.6) * q, cy + rng.uniform(-0.6, 0.6) * q
        s, a = rng.uniform(0.12, 0.38) * q, rng.integer(0, 360)
        draw.arc(
            (x - s, y - s, x + s, y + s),
            a,
            a + 170,
            fill=rng.shade((242, 214, 146), 12),
            width=6,
        )
    _bits(plate, 8, ((80, 140, 60), (216, 60, 40)), plate.short * 0.03)


def _gimbap(plate: _Plate) -> None:
    draw, (cx, cy), q = plate.draw, plate.centre, plate.radius
    for k in range(7):
        a = k * 2 * math.pi / 6
        at = plate.centre if k == 6 else (cx + q * 0.62 * math.cos(a), cy + q * 0.62 * math.sin(a))
        s = q * 0.3
        for share, tone in ((1.0, (28, 36, 30)), (0.88, (246, 244, 238))):
            draw.ellipse(
                (at[0] - s * share, at[1] - s * share, at[0] + s * share, at[1] + s * share),
                fill=tone,
            )
        for n, tone in enumerate(((236, 130, 50), (240, 210, 80), (80, 150, 70), (220, 110, 120))):
            px, py = at[0] + s * 0.3 * math.cos(n * 1.57), at[1] + s * 0.3 * math.sin(n * 1.57)
            draw.rectangle((px - s * 0.2, py - s * 0.2, px + s * 0.2, py + s * 0.2), fill=tone)


def _fried_egg(plate: _Plate) -> None:
    draw, (cx, cy), q = plate.draw, plate.centre, plate.radius
    _egg(draw, (cx - q * 0.25, cy), q * 0.6)
    _bits(plate, 10, ((206, 60, 44), (90, 150, 60)), plate.short * 0.05, 0.95)


_DISHES = {
    "stew": _stew,
    "rice_bowl": _rice_bowl,
    "salad": _salad,
    "pizza": _pizza,
    "noodles": _noodles,
    "gimbap": _gimbap,
    "fried_egg": _fried_egg,
}


def _egg(draw: ImageDraw.ImageDraw, at: Point, r: float) -> None:
    draw.ellipse((at[0] - r * 1.1, at[1] - r, at[0] + r, at[1] + r * 1.05), fill=(252, 250, 244))
    draw.ellipse(
        (at[0] - r * 0.45, at[1] - r * 0.45, at[0] + r * 0.45, at[1] + r * 0.45),
        fill=(246, 180, 50),
    )
    draw.ellipse((at[0] - r * 0.25, at[1] - r * 0.3, at[0], at[1] - r * 0.1), fill=(255, 226, 150))
