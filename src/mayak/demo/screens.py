"""What else a phone's gallery is full of: receipts, memes, other apps, documents (label 0)."""

from __future__ import annotations

from PIL import Image, ImageDraw

from mayak.demo.canvas import (
    RGB,
    Dice,
    Picture,
    Style,
    bold,
    by_style,
    gradient,
    mix,
    noise,
    regular,
    rounded,
    toned,
    typeface,
)
from mayak.demo.phrases import BRANDS, DOCUMENT, GOODS, MEMES, NEWS, SCHEDULES
from mayak.demo.surfaces import ground

Size = tuple[int, int]


def receipt(dice: Dice, style: Style, size: Size) -> Picture:
    """A till receipt on a table."""
    image, name = ground(dice, style, size)
    width, height = size
    wide = round(min(size) * dice.real(0.5, 0.66))
    tall = round(height * dice.real(0.8, 0.95))
    paper = toned(noise(dice, (wide, tall), 3), (232, 230, 224), (252, 251, 247))
    draw = ImageDraw.Draw(paper)
    step = round(wide / 10.5)
    ink = (52, 52, 58)
    shop = dice.pick(by_style(style, *BRANDS))
    face, small = typeface(bold(dice, style), round(step * 1.1)), typeface(regular(dice, style), round(step * 0.75))
    draw.text(((wide - face.getlength(shop)) / 2, step * 0.6), shop, font=face, fill=ink)
    y, total = step * 2.3, 0
    while y < tall - step * 3.4:
        price = dice.whole(5, 250) * 100
        total += price
        draw.text((step * 0.7, y), dice.pick(by_style(style, *GOODS)), font=small, fill=ink)
        figure = f"{price:,}"
        draw.text((wide - step * 0.7 - small.getlength(figure), y), figure, font=small, fill=ink)
        y += step * 1.15
    draw.line((step * 0.6, y + 2, wide - step * 0.6, y + 2), fill=ink, width=2)
    draw.text((step * 0.7, y + step * 0.4), f"합계 {total:,}원", font=face, fill=ink)
    angle = dice.real(-7, 7)
    sheet = paper.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    mask = Image.new("L", paper.size, 255).rotate(angle, Image.Resampling.BILINEAR, expand=True)
    image.paste(sheet, ((width - sheet.width) // 2, (height - sheet.height) // 2), mask)
    return image, {"ground": name, "texts": [shop]}


def meme(dice: Dice, style: Style, size: Size) -> Picture:
    """A drawn face with a caption in large type."""
    width, height = size
    sky = dice.shade(dice.pick(by_style(style, ("sky_blue", "yellow", "pink"), ("lime", "orange", "purple"))))
    image = gradient(size, sky, mix(sky, (255, 255, 255), 0.5))
    draw = ImageDraw.Draw(image)
    r = round(min(size) * dice.real(0.2, 0.27))
    cx, cy = round(width * dice.real(0.4, 0.6)), round(height * 0.6)
    skin = by_style(style, (250, 206, 80), (150, 210, 150))
    draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=skin, outline=(40, 30, 20), width=5)
    for side in (-1, 1):
        x = cx + side * r * 0.38
        draw.ellipse((x - r * 0.12, cy - r * 0.4, x + r * 0.12, cy - r * 0.1), fill=(30, 20, 20))
    arc = (0, 180) if dice.chance(0.5) else (180, 360)
    draw.arc((cx - r * 0.5, cy, cx + r * 0.5, cy + r * 0.6), *arc, fill=(30, 20, 20), width=6)
    text = dice.pick(by_style(style, *MEMES))
    face = typeface(bold(dice, style), round(width / 8.5))
    at = (width / 2, height * 0.19)
    draw.multiline_text(at, text, font=face, fill=(255, 255, 255), anchor="mm", align="center",
                        stroke_width=5, stroke_fill=(20, 20, 20))
    return image, {"texts": [text.replace("\n", " ")]}


def document(dice: Dice, style: Style, size: Size) -> Picture:
    """A printed page."""
    width, height = size
    image = toned(noise(dice, size, 2), (226, 225, 220), (250, 250, 248))
    draw = ImageDraw.Draw(image)
    title = dice.pick(by_style(style, *DOCUMENT))
    face = typeface(bold(dice, style), round(width / 12))
    draw.text((width / 2, height * 0.09), title, font=face, fill=(30, 30, 34), anchor="mm")
    small = typeface(regular(dice, style), round(width / 30))
    words = [w for group in (GOODS, BRANDS) for w in by_style(style, *group)]
    y = height * 0.18
    while y < height * 0.92:
        if dice.chance(0.14):
            y += width / 18
            continue
        line = " ".join(dice.pick(words) for _ in range(dice.whole(4, 6)))
        draw.text((width * 0.09, y), line[:26], font=small, fill=(60, 60, 64))
        y += width / 20
    return image, {"texts": [title]}


def app_screenshot(dice: Dice, style: Style) -> Picture:
    """A screen of some other app: map, bank, news, calendar, game."""
    width = dice.whole(480, 600)
    size = (width, round(width * dice.real(1.6, 2.2)))
    app = dice.pick(tuple(_APPS))
    accent = dice.shade(dice.pick(by_style(style, ("blue", "green", "navy", "orange"), ("purple", "magenta", "brown", "cyan"))))
    dark = dice.chance(0.25)
    paper: RGB = (22, 24, 28) if dark else (250, 250, 252)
    image = Image.new("RGB", size, paper)
    texts = _APPS[app](image, dice, style, accent, (235, 235, 238) if dark else (24, 26, 30))
    return image, {"app": app, "theme": "dark_screen" if dark else "light_screen", "texts": texts}


def _bar(image: Image.Image, dice: Dice, style: Style, accent: RGB, title: str) -> int:
    tall = round(image.width * 0.17)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, image.width, tall), fill=accent)
    face = typeface(bold(dice, style), round(image.width / 13))
    draw.text((image.width * 0.06, tall * 0.62), title, font=face, fill=(255, 255, 255), anchor="lm")
    return tall


def _map_app(image: Image.Image, dice: Dice, style: Style, accent: RGB, ink: RGB) -> list[str]:
    width, height = image.size
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, height), fill=by_style(style, (234, 236, 226), (222, 228, 238)))
    for _ in range(8):
        x, y = dice.whole(0, width), dice.whole(0, height)
        park = dice.pick(((196, 224, 180), (170, 206, 234), (226, 220, 206)))
        draw.rectangle((x - 80, y - 60, x + 80, y + 60), fill=park)
    for _ in range(10):
        across = (0, dice.whole(0, height), width, dice.whole(0, height))
        down = (dice.whole(0, width), 0, dice.whole(0, width), height)
        draw.line(across if dice.chance(0.5) else down, fill=(255, 255, 255), width=dice.whole(6, 18))
    route = [(width * dice.real(0.1, 0.9), height * t) for t in (0.3, 0.45, 0.6, 0.75)]
    draw.line(route, fill=accent, width=10)
    text = dice.pick(("길찾기", "내 주변", "지하철역"))
    rounded(image, (20, 30, width - 20, 30 + width // 7), 16, (255, 255, 255))
    face = typeface(regular(dice, style), round(width / 14))
    draw.text((44, 30 + width // 14), text, font=face, fill=(40, 40, 40), anchor="lm")
    return [text]


def _bank(image: Image.Image, dice: Dice, style: Style, accent: RGB, ink: RGB) -> list[str]:
    width, height = image.size
    y = _bar(image, dice, style, accent, "내 통장")
    draw = ImageDraw.Draw(image)
    big, face = typeface(bold(dice, style), round(width / 10)), typeface(regular(dice, style), round(width / 17))
    draw.text((width * 0.06, y + width * 0.06), f"{dice.whole(10, 900) * 1000:,}원", font=big, fill=ink)
    y += round(width * 0.24)
    while y < height - width * 0.1:
        sign = dice.pick(("-", "+"))
        shop = dice.pick((*by_style(style, *BRANDS), "급여", "교통비", "통신비"))
        draw.text((width * 0.06, y), shop, font=face, fill=ink)
        amount = f"{sign}{dice.whole(10, 900) * 100:,}"
        colour = (220, 60, 60) if sign == "-" else (40, 110, 220)
        draw.text((width * 0.94, y), amount, font=face, fill=colour, anchor="ra")
        y += round(width * 0.13)
    return ["내 통장"]


def _news(image: Image.Image, dice: Dice, style: Style, accent: RGB, ink: RGB) -> list[str]:
    width, height = image.size
    y = _bar(image, dice, style, accent, dice.pick(("뉴스", "오늘의 소식", "속보")))
    draw = ImageDraw.Draw(image)
    face = typeface(bold(dice, style), round(width / 15))
    texts = []
    for text in dice.some(by_style(style, *NEWS), 6):
        if y > height - width * 0.3:
            break
        sky = dice.shade(dice.pick(("sky_blue", "green", "beige", "grey")))
        picture = gradient((round(width * 0.26), round(width * 0.2)), sky, mix(sky, (40, 60, 40), 0.5))
        image.paste(picture, (round(width * 0.69), y + round(width * 0.04)))
        draw.text((width * 0.05, y + width * 0.06), text, font=face, fill=ink)
        draw.line((0, y + width * 0.27, width, y + width * 0.27), fill=mix(ink, (128, 128, 128), 0.7))
        texts.append(text)
        y += round(width * 0.29)
    return texts


def _calendar(image: Image.Image, dice: Dice, style: Style, accent: RGB, ink: RGB) -> list[str]:
    width, height = image.size
    month = f"{dice.whole(1, 12)}월"
    y = _bar(image, dice, style, accent, month)
    draw = ImageDraw.Draw(image)
    face = typeface(regular(dice, style), round(width / 22))
    cell, day = width / 7, 1 - dice.whole(0, 6)
    for row in range(5):
        for column in range(7):
            at = (column * cell + cell * 0.5, y + cell * (row + 0.5))
            if 1 <= day <= 31:
                if dice.chance(0.12):
                    draw.ellipse((at[0] - 22, at[1] - 22, at[0] + 22, at[1] + 22), fill=accent)
                draw.text(at, str(day), font=face, fill=(220, 60, 60) if column == 0 else ink, anchor="mm")
            day += 1
    y += round(cell * 5.3)
    items = dice.some(by_style(style, *SCHEDULES), 4)
    for item in items:
        if y > height - cell:
            break
        rounded(image, (20, y, width - 20, y + cell * 0.8), 10, mix(accent, (255, 255, 255), 0.7))
        draw.text((44, y + cell * 0.4), item, font=face, fill=(30, 30, 34), anchor="lm")
        y += round(cell)
    return [month, *items]


def _game(image: Image.Image, dice: Dice, style: Style, accent: RGB, ink: RGB) -> list[str]:
    width, height = image.size
    image.paste(gradient(image.size, mix(accent, (0, 0, 0), 0.4), accent))
    draw = ImageDraw.Draw(image)
    cells = 7
    cell = width * 0.92 / cells
    colours = [dice.shade(c) for c in ("red", "yellow", "green", "blue", "purple", "orange")]
    top = height * 0.28
    for row in range(int((height * 0.66) / cell)):
        for column in range(cells):
            x, y = width * 0.04 + column * cell, top + row * cell
            colour = dice.pick(colours)
            draw.rounded_rectangle((x + 3, y + 3, x + cell - 3, y + cell - 3), 14, fill=colour)
            draw.ellipse((x + cell * 0.2, y + cell * 0.15, x + cell * 0.45, y + cell * 0.35), fill=mix(colour, (255, 255, 255), 0.6))
    face = typeface(bold(dice, style), round(width / 10))
    score = f"점수 {dice.whole(10, 99) * 100}"
    draw.text((width / 2, height * 0.14), score, font=face, fill=(255, 255, 255), anchor="mm")
    return [score]


_APPS = {"map_app": _map_app, "bank_app": _bank, "news_app": _news, "calendar_app": _calendar, "game_app": _game}
