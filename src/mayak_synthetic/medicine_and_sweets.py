"""Label 0: sweets, packed pills and medicine bottles."""

from __future__ import annotations

from PIL import Image, ImageDraw

from mayak_synthetic import surfaces
from mayak_synthetic.canvas import (
    Drawing,
    SeededRandom,
    Style,
    bold,
    by_style,
    contrast,
    mix,
    noise,
    rounded,
    toned,
    typeface,
)
from mayak_synthetic.substances import lay, scatter
from mayak_synthetic.surfaces import Size
from mayak_synthetic.tabletop import dish, footing, front_table, gloss


def _wrapped(rng: SeededRandom, side: int) -> Image.Image:
    """Return a sweet in a twisted wrapper, RGBA."""
    tone = rng.shade(rng.choice(("red", "orange", "yellow", "green", "pink", "purple", "blue")), 12)
    sprite = Image.new("RGBA", (side * 2, side * 2), (*tone, 0))
    draw = ImageDraw.Draw(sprite)
    c, r = side, side * 0.42
    for sign in (-1, 1):
        draw.polygon(
            (
                (c + sign * r * 0.8, c),
                (c + sign * side * 0.92, c - r * 0.75),
                (c + sign * side * 0.8, c),
                (c + sign * side * 0.92, c + r * 0.75),
            ),
            fill=(*mix(tone, (255, 255, 255), 0.35), 255),
        )
    draw.ellipse((c - r * 1.15, c - r, c + r * 1.15, c + r), fill=(*tone, 255))
    for k in (-0.6, 0.0, 0.6):
        draw.arc(
            (c - r * 1.1 + k * r, c - r, c + r * 0.6 + k * r, c + r),
            110,
            250,
            fill=(255, 255, 255, 200),
            width=max(2, side // 16),
        )
    draw.ellipse((c - r * 0.6, c - r * 0.75, c, c - r * 0.35), fill=(255, 255, 255, 190))
    return sprite.resize((side, side), Image.Resampling.BOX)


def _bear(rng: SeededRandom, side: int) -> Image.Image:
    tone = rng.shade(rng.choice(("red", "orange", "yellow", "green")), 12)
    sprite = Image.new("RGBA", (side * 2, side * 2), (*tone, 0))
    draw = ImageDraw.Draw(sprite)
    s = side * 2
    for box in (
        (0.3, 0.4, 0.7, 0.92),
        (0.32, 0.12, 0.68, 0.5),
        (0.26, 0.08, 0.42, 0.24),
        (0.58, 0.08, 0.74, 0.24),
        (0.16, 0.44, 0.36, 0.62),
        (0.64, 0.44, 0.84, 0.62),
        (0.24, 0.78, 0.46, 0.98),
        (0.54, 0.78, 0.76, 0.98),
    ):
        draw.ellipse([v * s for v in box], fill=(*tone, 235))
    draw.ellipse(
        (s * 0.4, s * 0.5, s * 0.52, s * 0.72), fill=(*mix(tone, (255, 255, 255), 0.6), 255)
    )
    for x in (0.43, 0.55):
        draw.ellipse((s * x, s * 0.24, s * x + s * 0.04, s * 0.28), fill=(60, 20, 10, 255))
    return sprite.resize((side, side), Image.Resampling.BOX)


def _lollipop(rng: SeededRandom, side: int) -> Image.Image:
    tone = rng.shade(rng.choice(("red", "pink", "green", "purple")), 12)
    sprite = Image.new("RGBA", (side * 2, side * 2), (*tone, 0))
    draw = ImageDraw.Draw(sprite)
    s, r = side * 2, side * 0.56
    c = (s * 0.38, s * 0.34)
    draw.line((*c, s * 0.86, s * 0.96), fill=(244, 240, 230, 255), width=max(6, side // 9))
    draw.ellipse((c[0] - r, c[1] - r, c[0] + r, c[1] + r), fill=(*tone, 255))
    for k in range(1, 5):
        q = r * k / 5
        draw.arc(
            (c[0] - q, c[1] - q, c[0] + q, c[1] + q),
            k * 80,
            k * 80 + 250,
            fill=(255, 255, 255, 255),
            width=max(4, side // 14),
        )
    return sprite.resize((side, side), Image.Resampling.BOX)


def _chocolate(rng: SeededRandom, side: int) -> Image.Image:
    sprite = Image.new("RGBA", (side, side), (90, 54, 34, 0))
    draw = ImageDraw.Draw(sprite)
    tone = rng.shade((98, 58, 36), 10)
    draw.rounded_rectangle(
        (side * 0.12, side * 0.2, side * 0.88, side * 0.8), side // 12, fill=(*tone, 255)
    )
    for row in range(2):
        for column in range(3):
            x, y = side * (0.16 + column * 0.24), side * (0.24 + row * 0.28)
            draw.rectangle(
                (x, y, x + side * 0.2, y + side * 0.23),
                fill=(*mix(tone, (255, 220, 190), 0.18), 255),
                outline=(*mix(tone, (0, 0, 0), 0.4), 255),
                width=2,
            )
    return sprite


def sweets(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, name = surfaces.ground(rng, style, size)
    short = min(size)
    centre = (size[0] / 2, size[1] / 2)
    holder = rng.choice(("none", "bowl"))
    radius = (short * 0.38, short * 0.34)
    if holder == "bowl":
        dish(image, rng, centre, short * 0.44, rng.choice(("white", "pink", "sky_blue")))
        radius = (short * 0.26, short * 0.24)
    form = rng.choice(
        by_style(
            style,
            ("wrapped_sweet", "jelly_bear", "lollipop"),
            ("wrapped_sweet", "chocolate", "jelly_bear"),
        )
    )
    maker = {
        "wrapped_sweet": _wrapped,
        "jelly_bear": _bear,
        "lollipop": _lollipop,
        "chocolate": _chocolate,
    }[form]
    side = round(short * (0.22 if form != "lollipop" else 0.3))
    kinds = rng.integer(3, 5)
    each = rng.integer(2, 4) if form != "lollipop" else 1
    for _ in range(kinds):
        scatter(image, rng, maker(rng, side), centre, radius, each)
    return image, {"ground": name, "container": holder, "form": form, "count": kinds * each}


def blister_pack(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, name = surfaces.ground(rng, style, size)
    short = min(size)
    count = rng.integer(1, 2)
    colour = rng.choice(
        by_style(style, ("white", "red", "yellow", "pink"), ("green", "orange", "sky_blue"))
    )
    rows, columns = rng.choice(((2, 5), (2, 4), (3, 4)))
    cell = round(short * (0.15 if count == 1 else 0.115))
    for k in range(count):
        w, h = columns * cell + cell // 2, rows * cell + cell // 2
        foil = toned(contrast(noise(rng, (w, h), 24, 2), 1.0), (150, 154, 160), (236, 238, 242))
        draw = ImageDraw.Draw(foil)
        for row in range(rows):
            for column in range(columns):
                x, y = cell * 0.35 + column * cell, cell * 0.35 + row * cell
                box = (x, y, x + cell * 0.8, y + cell * 0.8)
                draw.ellipse(box, fill=(196, 200, 206), outline=(120, 124, 130), width=2)
                if rng.chance(0.88):
                    tone = rng.shade(colour, 8)
                    inner = (x + cell * 0.12, y + cell * 0.12, x + cell * 0.68, y + cell * 0.68)
                    draw.ellipse(inner, fill=tone, outline=mix(tone, (0, 0, 0), 0.3))
                draw.arc(
                    (x + 4, y + 4, x + cell * 0.76, y + cell * 0.76),
                    190,
                    280,
                    fill=(255, 255, 255),
                    width=max(2, cell // 18),
                )
        font = typeface(bold(rng, style), max(9, cell // 6))
        for column in range(columns):
            draw.text(
                (cell * 0.4 + column * cell, h - cell * 0.2),
                rng.choice(("정제", "500mg", "감기약")),
                font=font,
                fill=(70, 90, 140),
            )
        at = (size[0] / 2 + rng.uniform(-20, 20), size[1] / 2 + (k - (count - 1) / 2) * h * 1.25)
        lay(image, foil.convert("RGBA"), at, rng.uniform(-14, 14))
    return image, {"ground": name, "container": "blister", "colour": colour, "count": count}


def medicine_bottle(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, name = front_table(rng, style, size)
    w, h = size
    draw_h = h * rng.uniform(0.58, 0.7)
    wide = draw_h * rng.uniform(0.5, 0.62)
    cx, foot = w * rng.uniform(0.42, 0.58), h * 0.86
    body = rng.shade(
        by_style(
            style,
            rng.choice(((186, 110, 40), (240, 240, 236))),
            rng.choice(((60, 130, 80), (80, 110, 180))),
        ),
        10,
    )
    footing(image, (cx, foot), wide)
    rounded(
        image, (cx - wide / 2, foot - draw_h * 0.82, cx + wide / 2, foot), round(wide * 0.16), body
    )
    rounded(
        image,
        (cx - wide * 0.38, foot - draw_h, cx + wide * 0.38, foot - draw_h * 0.8),
        10,
        rng.shade(rng.choice(("white", "blue", "red")), 8),
    )
    rounded(
        image,
        (cx - wide / 2, foot - draw_h * 0.6, cx + wide / 2, foot - draw_h * 0.14),
        2,
        (248, 248, 244),
    )
    title = rng.choice(
        by_style(style, ("비타민", "감기약", "소화제", "영양제"), ("유산균", "두통약", "오메가"))
    )
    draw = ImageDraw.Draw(image)
    draw.text(
        (cx, foot - draw_h * 0.45),
        title,
        font=typeface(bold(rng, style), round(wide * 0.22)),
        fill=rng.shade(rng.choice(("red", "blue", "green")), 10),
        anchor="mm",
    )
    for k in range(3):
        draw.line(
            (
                cx - wide * 0.36,
                foot - draw_h * (0.3 - k * 0.05),
                cx + wide * rng.uniform(0.1, 0.36),
                foot - draw_h * (0.3 - k * 0.05),
            ),
            fill=(150, 150, 150),
            width=4,
        )
    gloss(image, (cx - wide * 0.4, foot - draw_h * 0.78, cx - wide * 0.3, foot - draw_h * 0.06))
    return image, {"ground": name, "container": "bottle", "text": "yes", "texts": (title,)}
