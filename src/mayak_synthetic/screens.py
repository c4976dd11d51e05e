"""Label 0, screens: memes and screenshots of apps other than messengers."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from mayak_synthetic import documents, kitchen, scenery, surfaces, wording
from mayak_synthetic.canvas import (
    RGB,
    Drawing,
    SeededRandom,
    Style,
    bold,
    by_style,
    mix,
    noise,
    paste_rounded,
    regular,
    rounded,
    toned,
    typeface,
    wrap,
)
from mayak_synthetic.surfaces import Size

APPS = ("map_app", "bank_app", "news_app", "calendar_app", "game_app")
WHITE: RGB = (255, 255, 255)
INK: RGB = (26, 26, 30)


def meme(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    """Draw a picture with big text above and below."""
    source = rng.choice((scenery.pet, scenery.pet, kitchen.food, scenery.landscape, scenery.room))
    image = source(rng, style, size)[0]
    words = rng.sample(
        by_style(style, wording.MEMES_BASE, wording.MEMES_HELDOUT), rng.integer(1, 2)
    )
    face = bold(rng, style)
    high = round(min(size) * rng.uniform(0.1, 0.13))
    font = typeface(face, high)
    boxed = rng.chance(by_style(style, 0.3, 0.7))
    draw = ImageDraw.Draw(image)
    for k, text in enumerate(words):
        while font.getlength(text) > size[0] * 0.94:
            high -= 4
            font = typeface(face, high)
        y = (
            high * 0.85
            if (k == 0) == (len(words) == 2 or rng.chance(0.5))
            else size[1] - high * 0.85
        )
        if boxed:
            band = (0.0, y + high * 0.8) if y < size[1] / 2 else (y - high * 0.8, float(size[1]))
            draw.rectangle((0, band[0], size[0], band[1]), fill=WHITE)
            draw.text((size[0] / 2, y), text, font=font, fill=INK, anchor="mm")
        else:
            fill = rng.choice(((255, 255, 255), (255, 236, 90)))
            draw.text(
                (size[0] / 2, y),
                text,
                font=font,
                fill=fill,
                anchor="mm",
                stroke_width=max(3, high // 12),
                stroke_fill=(10, 10, 10),
            )
    return image, {"text": "yes", "texts": tuple(words)}


def app_screenshot(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    app = rng.choice(APPS)
    draw = {
        "map_app": _map,
        "bank_app": _bank,
        "news_app": _news,
        "calendar_app": _calendar,
        "game_app": _game,
    }[app]
    image, texts = draw(rng, style, size)
    facts = {"theme": app, "text": "yes" if texts else "no", "texts": tuple(texts)}
    return image, facts


def _status(image: Image.Image, rng: SeededRandom, style: Style, ink: RGB) -> int:
    """Draw clock and battery; return the height."""
    high = round(image.width * 0.055)
    draw = ImageDraw.Draw(image)
    font = typeface(regular(rng, style), round(high * 0.66))
    draw.text(
        (high * 0.5, high * 0.5),
        f"{rng.integer(0, 23):02d}:{rng.integer(0, 59):02d}",
        font=font,
        fill=ink,
        anchor="lm",
    )
    draw.rectangle(
        (image.width - high * 1.3, high * 0.3, image.width - high * 0.4, high * 0.75), fill=ink
    )
    return high


def _map(rng: SeededRandom, style: Style, size: Size) -> tuple[Image.Image, list[str]]:
    w, h = size
    image = documents.map_picture(rng, style, size, pin=rng.chance(0.3))
    letter = round(w / 17)
    draw = ImageDraw.Draw(image)
    route = [(w * rng.uniform(0.1, 0.3), h * 0.7)]
    for k in range(4):
        route.append((route[-1][0] + w * rng.uniform(0.02, 0.2), h * (0.62 - k * 0.1)))
    draw.line([v for p in route for v in p], fill=(50, 110, 240), width=12, joint="curve")
    place = rng.choice(wording.SLOTS["where"])
    rounded(image, (w * 0.05, h * 0.05, w * 0.95, h * 0.05 + letter * 2), letter // 2, WHITE)
    font = typeface(regular(rng, style), letter)
    draw.text((w * 0.1, h * 0.05 + letter), place, font=font, fill=INK, anchor="lm")
    rounded(image, (0, h * 0.82, w, h * 1.05), letter, WHITE)
    line = f"{rng.integer(5, 48)}분 · {rng.uniform(0.8, 12):.1f}km"
    draw.text(
        (w * 0.07, h * 0.87),
        line,
        font=typeface(bold(rng, style), round(letter * 1.3)),
        fill=(30, 90, 220),
        anchor="lm",
    )
    rounded(image, (w * 0.07, h * 0.91, w * 0.5, h * 0.97), letter // 2, (50, 110, 240))
    draw.text((w * 0.285, h * 0.94), "길 안내", font=font, fill=WHITE, anchor="mm")
    return image, [place, line, "길 안내"]


def _bank(rng: SeededRandom, style: Style, size: Size) -> tuple[Image.Image, list[str]]:
    w, h = size
    tone = rng.shade(
        by_style(style, rng.choice(("blue", "navy", "green")), rng.choice(("purple", "orange"))), 14
    )
    image = Image.new("RGB", size, (244, 245, 248))
    draw = ImageDraw.Draw(image)
    letter = round(w / 17)
    top = round(h * 0.3)
    draw.rectangle((0, 0, w, top), fill=tone)
    _status(image, rng, style, WHITE)
    font, big = (
        typeface(regular(rng, style), letter),
        typeface(bold(rng, style), round(letter * 1.7)),
    )
    draw.text(
        (w * 0.07, top * 0.36), "내 계좌 잔액", font=font, fill=mix(tone, WHITE, 0.75), anchor="lm"
    )
    amount = f"{rng.integer(10, 9999):,},{rng.integer(0, 999):03d}원"
    draw.text((w * 0.07, top * 0.62), amount, font=big, fill=WHITE, anchor="lm")
    y = top + letter
    shown = ["내 계좌 잔액", amount]
    for item in rng.sample(
        ("월급", "점심", "교통비", "통신비", "마트", "카페", "관리비", "용돈"), 6
    ):
        rounded(image, (w * 0.04, y, w * 0.96, y + letter * 2.4), letter // 2, WHITE)
        draw.text((w * 0.09, y + letter * 1.2), item, font=font, fill=INK, anchor="lm")
        plus = rng.chance(0.3)
        draw.text(
            (w * 0.91, y + letter * 1.2),
            f"{'+' if plus else '-'}{rng.integer(1, 300)},{rng.integer(0, 9)}00",
            font=font,
            fill=(40, 90, 220) if plus else (60, 60, 64),
            anchor="rm",
        )
        shown.append(item)
        y += round(letter * 2.8)
        if y > h - letter * 3:
            break
    return image, shown


def _news(rng: SeededRandom, style: Style, size: Size) -> tuple[Image.Image, list[str]]:
    w, h = size
    image = Image.new("RGB", size, (252, 252, 250))
    draw = ImageDraw.Draw(image)
    letter = round(w / 17)
    top = _status(image, rng, style, INK)
    tone = rng.shade(
        by_style(style, rng.choice(("red", "navy", "green")), rng.choice(("orange", "purple"))), 12
    )
    draw.rectangle((0, top, w, top + letter * 2), fill=tone)
    draw.text(
        (w * 0.05, top + letter),
        "오늘의 뉴스",
        font=typeface(bold(rng, style), round(letter * 1.1)),
        fill=WHITE,
        anchor="lm",
    )
    titles = rng.sample(by_style(style, wording.NEWS_BASE, wording.NEWS_HELDOUT), 4)
    photo = rng.choice((scenery.landscape, scenery.street, scenery.building))(
        rng, style, (480, 300)
    )[0]
    y = top + round(letter * 2.6)
    wide = round(w * 0.9)
    paste_rounded(image, photo.resize((wide, round(wide * 0.56))), (round(w * 0.05), y), 14)
    y += round(wide * 0.56) + letter // 2
    face = regular(rng, style)
    for k, title in enumerate(titles):
        font = typeface(
            bold(rng, style) if k == 0 else face, round(letter * (1.2 if k == 0 else 1.0))
        )
        for row in wrap(title, font, w * 0.9):
            if y > h - letter * 1.5:
                break
            draw.text((w * 0.05, y), row, font=font, fill=INK)
            y += round(letter * 1.45)
        draw.line(
            (w * 0.05, y + letter * 0.3, w * 0.95, y + letter * 0.3), fill=(220, 220, 222), width=2
        )
        y += round(letter * 0.8)
    return image, ["오늘의 뉴스", *titles]


def _events(
    draw: ImageDraw.ImageDraw,
    rng: SeededRandom,
    size: Size,
    y: float,
    font: ImageFont.FreeTypeFont,
    ink: RGB,
) -> list[str]:
    """Draw a list of events below the days, as many as fit; return all of them."""
    w, h = size
    letter = round(w / 17)
    events = rng.sample(wording.EVERYDAY_EVENTS, 3)
    for event in events:
        if y > h - letter * 2:
            break
        draw.rectangle(
            (w * 0.06, y, w * 0.075, y + letter * 1.4),
            fill=rng.shade(rng.choice(("red", "blue", "green", "purple")), 14),
        )
        draw.text(
            (w * 0.11, y + letter * 0.7),
            f"{rng.integer(8, 20)}시 {event}",
            font=font,
            fill=ink,
            anchor="lm",
        )
        y += round(letter * 2)
    return events


def _calendar(rng: SeededRandom, style: Style, size: Size) -> tuple[Image.Image, list[str]]:
    w, h = size
    dark = style == "heldout" and rng.chance(0.5)
    ground, ink = ((28, 28, 32), (236, 236, 238)) if dark else (WHITE, INK)
    image = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(image)
    letter = round(w / 17)
    top = _status(image, rng, style, ink)
    month = f"{rng.integer(1, 12)}월"
    draw.text(
        (w * 0.06, top + letter * 1.3),
        month,
        font=typeface(bold(rng, style), round(letter * 1.8)),
        fill=ink,
        anchor="lm",
    )
    font = typeface(regular(rng, style), round(letter * 0.9))
    y = float(top + letter * 3)
    cell = (w / 7, h * 0.085)
    tone = rng.shade(rng.choice(("red", "blue", "green", "orange")), 14)
    for k, name in enumerate("일월화수목금토"):
        draw.text(
            (cell[0] * (k + 0.5), y),
            name,
            font=font,
            fill=(214, 60, 50) if k == 0 else ink,
            anchor="mm",
        )
    first, today = rng.integer(0, 6), rng.integer(1, 28)
    for day in range(1, 31):
        k = first + day - 1
        at = (cell[0] * (k % 7 + 0.5), y + letter * 1.4 + cell[1] * (k // 7))
        if day == today:
            draw.ellipse(
                (
                    at[0] - letter * 0.8,
                    at[1] - letter * 0.8,
                    at[0] + letter * 0.8,
                    at[1] + letter * 0.8,
                ),
                fill=tone,
            )
        draw.text(
            at,
            str(day),
            font=font,
            fill=WHITE if day == today else (214, 60, 50) if k % 7 == 0 else ink,
            anchor="mm",
        )
        if rng.chance(0.2):
            draw.ellipse(
                (at[0] - 5, at[1] + letter * 0.75, at[0] + 5, at[1] + letter * 0.75 + 10),
                fill=rng.shade("green", 40),
            )
    y += letter * 2 + cell[1] * 6
    events = _events(draw, rng, size, y, font, ink)
    return image, [month, *events]


def _game(rng: SeededRandom, style: Style, size: Size) -> tuple[Image.Image, list[str]]:
    w, h = size
    low, high = rng.choice(
        by_style(
            style,
            (((30, 40, 90), (110, 60, 150)), ((20, 110, 140), (120, 220, 200))),
            (((120, 30, 60), (240, 140, 80)), ((20, 60, 30), (110, 170, 70))),
        )
    )
    image = toned(Image.linear_gradient("L").resize(size), low, high)
    draw = ImageDraw.Draw(image)
    letter = round(w / 14)
    columns = rng.integer(5, 7)
    side = w * 0.9 / columns
    top = h * 0.24
    tones = [rng.shade(name, 10) for name in ("red", "yellow", "green", "sky_blue", "purple")]
    rounded(
        image,
        (w * 0.03, top - 12, w * 0.97, top + side * columns + 12),
        22,
        mix(low, (0, 0, 0), 0.3),
    )
    shape = by_style(style, "gem", "ball")
    for row in range(columns):
        for column in range(columns):
            x, y = w * 0.05 + (column + 0.5) * side, top + (row + 0.5) * side
            r, tone = side * 0.4, rng.choice(tones)
            if shape == "ball" or tone is tones[0]:
                draw.ellipse((x - r, y - r, x + r, y + r), fill=tone)
            else:
                draw.polygon(
                    (
                        (x, y - r),
                        (x + r, y - r * 0.2),
                        (x + r * 0.6, y + r),
                        (x - r * 0.6, y + r),
                        (x - r, y - r * 0.2),
                    ),
                    fill=tone,
                )
            draw.ellipse(
                (x - r * 0.45, y - r * 0.5, x - r * 0.05, y - r * 0.15), fill=mix(tone, WHITE, 0.7)
            )
    score = f"점수 {rng.integer(10, 999)}00"
    face = bold(rng, style)
    draw.text(
        (w / 2, h * 0.12),
        score,
        font=typeface(face, round(letter * 1.3)),
        fill=WHITE,
        anchor="mm",
        stroke_width=4,
        stroke_fill=(20, 20, 30),
    )
    y = top + side * columns + h * 0.08
    rounded(image, (w * 0.25, y, w * 0.75, y + letter * 2), letter, (250, 190, 50))
    draw.text(
        (w / 2, y + letter),
        "다시 하기",
        font=typeface(face, letter),
        fill=(90, 50, 10),
        anchor="mm",
    )
    return image, [score, "다시 하기"]


def photographed(image: Image.Image, rng: SeededRandom, style: Style) -> Image.Image:
    """Return a screen or print as a second phone sees it, on a table."""
    ground, _ = surfaces.ground(rng, style, image.size)
    inset = image.resize(
        (round(image.width * 0.86), round(image.height * 0.86)), Image.Resampling.BILINEAR
    )
    glare = (
        noise(rng, inset.size, 2, 1)
        .filter(ImageFilter.BoxBlur(8))
        .point([max(0, v - 170) for v in range(256)])
    )
    inset.paste(WHITE, (0, 0), glare)
    at = ((image.width - inset.width) // 2, (image.height - inset.height) // 2)
    rounded(
        ground,
        (at[0] - 12, at[1] - 22, at[0] + inset.width + 12, at[1] + inset.height + 22),
        26,
        (18, 18, 20),
    )
    ground.paste(inset, at)
    return ground
