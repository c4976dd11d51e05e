"""Label 0: receipts, documents and maps."""

from __future__ import annotations

import math

from PIL import Image, ImageChops, ImageDraw

from mayak_synthetic import surfaces, wording
from mayak_synthetic.canvas import (
    COLOURS,
    Drawing,
    SeededRandom,
    Style,
    bold,
    by_style,
    mix,
    noise,
    toned,
    turned,
    typeface,
    wobbly,
)
from mayak_synthetic.substances import lay
from mayak_synthetic.surfaces import Size


def receipt(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, name = surfaces.ground(rng, style, size)
    w, h = size
    tall = round(min(h * 0.94, w * 1.5))
    wide = round(min(w * 0.7, tall * rng.uniform(0.52, 0.7)))
    slip = Image.new("RGB", (wide, tall), rng.shade((246, 245, 240), 6))
    draw = ImageDraw.Draw(slip)
    letter = max(13, wide // 14)
    face = by_style(style, rng.choice(("NanumGothic", "NanumSquareR")), "NanumGothicCoding")
    font = typeface(face, letter)
    shop = rng.choice(by_style(style, wording.SHOPS_BASE, wording.SHOPS_HELDOUT))
    draw.text(
        (wide / 2, letter * 1.6),
        shop,
        font=typeface(face, round(letter * 1.5)),
        fill=(40, 40, 44),
        anchor="mm",
    )
    draw.text(
        (wide / 2, letter * 3.2),
        f"2026-{rng.integer(1, 12):02d}-{rng.integer(1, 28):02d} 1{rng.integer(0, 9)}:00",
        font=font,
        fill=(70, 70, 74),
        anchor="mm",
    )
    y = letter * 4.4
    total = 0
    shown = [shop]
    for item, price in rng.sample(wording.RECEIPT_ITEMS, rng.integer(5, 9)):
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
    draw.text(
        (wide - letter * 0.8, y + letter * 0.7),
        f"{total:,}원",
        font=big,
        fill=(20, 20, 24),
        anchor="ra",
    )
    x = letter * 2.0
    while x < wide - letter * 2:
        bar = rng.integer(1, 5)
        draw.rectangle((x, tall - letter * 3.2, x + bar, tall - letter * 1.2), fill=(20, 20, 20))
        x += bar + rng.integer(2, 5)
    crumple = toned(noise(rng, (wide, tall), 3, 2), (196, 196, 192), (255, 255, 255))
    lay(
        image,
        ImageChops.multiply(slip, crumple).convert("RGBA"),
        (w / 2, h / 2),
        rng.uniform(-12, 12),
    )
    return image, {"ground": name, "text": "yes", "texts": tuple(shown), "count": len(shown) - 1}


def document(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, name = surfaces.ground(rng, style, size)
    w, h = size
    tall = round(min(h * 0.96, w * 1.3))
    wide = round(tall * 0.72)
    sheet = Image.new("RGB", (wide, tall), rng.shade((250, 249, 245), 5))
    draw = ImageDraw.Draw(sheet)
    title = rng.choice(
        by_style(style, wording.DOCUMENT_TITLES_BASE, wording.DOCUMENT_TITLES_HELDOUT)
    )
    draw.text(
        (wide / 2, tall * 0.1),
        title,
        font=typeface(bold(rng, style), round(wide * 0.09)),
        fill=(20, 20, 24),
        anchor="mm",
    )
    font = typeface(
        by_style(style, rng.choice(("NanumGothic", "Pretendard-Regular")), "NanumSquareRoundR"),
        max(11, wide // 26),
    )
    y = tall * 0.2
    for line in rng.sample(wording.DOCUMENT_LINES, rng.integer(6, 9)):
        draw.text((wide * 0.1, y), line, font=font, fill=(50, 50, 54))
        y += tall * 0.05
    if rng.chance(0.5):
        for row in range(4):
            draw.rectangle(
                (wide * 0.1, y + row * tall * 0.05, wide * 0.9, y + (row + 1) * tall * 0.05),
                outline=(90, 90, 94),
                width=2,
            )
        draw.line((wide * 0.35, y, wide * 0.35, y + tall * 0.2), fill=(90, 90, 94), width=2)
    draw.ellipse(
        (wide * 0.72, tall * 0.86, wide * 0.82, tall * 0.93), outline=(206, 40, 40), width=4
    )
    lay(image, sheet.convert("RGBA"), (w / 2, h / 2), rng.uniform(-7, 7))
    return image, {"ground": name, "text": "yes", "texts": (title,)}


def map_picture(rng: SeededRandom, style: Style, size: Size, *, pin: bool) -> Image.Image:
    """Draw a street map, with a pin in its middle or without."""
    w, h = size
    land = rng.shade(
        by_style(style, rng.choice(((242, 239, 230), (232, 236, 230))), (58, 64, 76)), 6
    )
    image = Image.new("RGB", size, land)
    draw = ImageDraw.Draw(image)
    dark = by_style(style, False, True)
    park = (60, 92, 70) if dark else (196, 224, 178)
    water = (40, 70, 110) if dark else (164, 204, 232)
    draw.polygon(
        wobbly(rng, (w * rng.uniform(0, 1), h * rng.uniform(0, 1)), (w * 0.3, h * 0.2), 16, 0.2),
        fill=park,
    )
    x = rng.uniform(0, w)
    draw.line((x, 0, x + rng.uniform(-0.4, 0.4) * w, h), fill=water, width=round(w * 0.09))
    tilt = rng.uniform(-0.3, 0.3)
    for share, wide, tone in ((0.11, 0.014, (255, 255, 255)), (0.36, 0.04, (252, 214, 120))):
        tone = mix(tone, (90, 96, 110), 0.75) if dark else tone
        step = share * w
        k = -float(w)
        while k < 2 * w:
            k += step * rng.uniform(0.6, 1.5)
            for turn in (tilt, tilt + math.pi / 2):
                a, b = turned([(k, -h), (k, 2 * h)], (w / 2, h / 2), turn)
                draw.line((*a, *b), fill=tone, width=max(2, round(wide * w)))
    if pin:
        x, y, r = w / 2, h * 0.44, min(size) * 0.12
        red = rng.shade(by_style(style, "red", "magenta"), 8)
        draw.ellipse(
            (x - r * 0.6, y + r * 1.9, x + r * 0.6, y + r * 2.2), fill=mix(land, (0, 0, 0), 0.4)
        )
        draw.polygon(
            ((x - r * 0.92, y + r * 0.4), (x + r * 0.92, y + r * 0.4), (x, y + r * 2.05)), fill=red
        )
        draw.ellipse((x - r, y - r, x + r, y + r), fill=red)
        draw.ellipse((x - r * 0.4, y - r * 0.4, x + r * 0.4, y + r * 0.4), fill=COLOURS["white"])
    return image
