"""Messenger screenshots: drug deals, and the everyday talk that looks just like them."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

from mayak.demo import drugs
from mayak.demo.canvas import (
    RGB,
    Dice,
    Facts,
    Picture,
    Style,
    bold,
    by_style,
    gradient,
    mix,
    paste_rounded,
    regular,
    rounded,
    typeface,
    wrap,
)
from mayak.demo.phrases import (
    DEAL,
    NAMES,
    NEUTRAL,
    PRICES,
    SCHEDULES,
    TALK,
)


@dataclass(frozen=True)
class Theme:
    """How a messenger looks."""

    name: str
    ground: RGB
    header: RGB
    title: RGB
    mine: RGB
    mine_text: RGB
    theirs: RGB
    theirs_text: RGB
    radius: float
    """Of a bubble's corners, in line heights."""
    avatars: bool
    centred: bool = False
    """Title in the middle of the header."""
    footer: bool = True


BASE_THEMES = (
    Theme("yellow_messenger", (178, 199, 217), (168, 190, 210), (25, 25, 25), (254, 229, 0),
          (20, 20, 20), (255, 255, 255), (20, 20, 20), 0.5, True),
    Theme("green_messenger", (236, 239, 232), (250, 250, 250), (20, 20, 20), (149, 236, 105),
          (15, 15, 15), (255, 255, 255), (15, 15, 15), 0.7, True, True),
    Theme("dark_messenger", (24, 26, 30), (34, 37, 43), (235, 235, 235), (62, 99, 221),
          (255, 255, 255), (48, 52, 60), (236, 236, 236), 0.7, True),
    Theme("blue_messenger", (211, 226, 190), (82, 136, 193), (255, 255, 255), (239, 253, 222),
          (10, 10, 10), (255, 255, 255), (10, 10, 10), 0.45, False),
    Theme("text_messages", (255, 255, 255), (246, 246, 246), (20, 20, 20), (0, 122, 255),
          (255, 255, 255), (233, 233, 235), (10, 10, 10), 0.8, False, True),
)
HELDOUT_THEMES = (
    Theme("purple_messenger", (245, 240, 250), (107, 76, 154), (255, 255, 255), (138, 100, 190),
          (255, 255, 255), (226, 216, 240), (30, 20, 40), 0.25, True, True, False),
    Theme("teal_messenger", (14, 30, 34), (8, 20, 24), (210, 235, 235), (0, 128, 120),
          (240, 255, 252), (30, 52, 58), (225, 240, 240), 1.0, False),
    Theme("beige_messenger", (240, 232, 218), (120, 88, 60), (255, 246, 232), (232, 170, 100),
          (40, 24, 10), (255, 252, 244), (50, 36, 24), 0.1, True),
)


def drug_chat(dice: Dice, style: Style) -> Picture:
    """A conversation that arranges a deal (label 1)."""
    deal = dice.some(by_style(style, *DEAL), dice.whole(3, 5))
    texts = deal + dice.some(by_style(style, *NEUTRAL), dice.whole(0, 2))
    dice.shuffle(texts)
    kinds = ("baggie", "powder", "place_photo", "map", "crypto", "price_list")
    attachment = dice.pick(kinds) if dice.chance(0.75) else "none"
    return _chat(dice, style, texts, attachment)


def ordinary_chat(dice: Dice, style: Style) -> Picture:
    """Everyday talk in the same messengers (label 0)."""
    texts = dice.some(by_style(style, *TALK), dice.whole(3, 5))
    texts += dice.some(by_style(style, *NEUTRAL), dice.whole(0, 2))
    dice.shuffle(texts)
    kinds = ("food", "cat", "landscape", "gift_card", "schedule")
    attachment = "none"
    if dice.chance(0.6):
        attachment = dice.pick(("map", "transfer")) if dice.chance(0.12) else dice.pick(kinds)
    return _chat(dice, style, texts, attachment)


def _chat(dice: Dice, style: Style, texts: list[str], attachment: str) -> Picture:
    theme = dice.pick(by_style(style, BASE_THEMES, HELDOUT_THEMES))
    width = dice.whole(480, 600)
    height = round(width * dice.real(1.6, 2.2))
    size = round(width / dice.real(13.0, 15.5))
    face, small = typeface(regular(dice, style), size), typeface(regular(dice, style), size // 2)
    image = Image.new("RGB", (width, height), dice.shade(theme.ground, 6))
    if theme.name in ("blue_messenger", "beige_messenger"):
        image.paste(gradient(image.size, theme.ground, mix(theme.ground, (120, 150, 120), 0.25)))
    draw = ImageDraw.Draw(image)
    top = _header(image, draw, dice, style, theme, size)
    bottom = height - (round(size * 1.9) if theme.footer else 0)
    y = top + dice.whole(size // 3, size)
    shown: list[str] = []
    placed = attachment == "none"
    order: list[str | None] = [*texts]
    if not placed:
        order.insert(dice.whole(0, min(2, len(order))), None)
    minute = dice.whole(0, 700)
    for item in order:
        mine = dice.chance(0.45)
        room = round(width * by_style(style, 0.66, 0.7))
        margin = round(width * 0.03)
        indent = margin + (round(size * 1.7) if theme.avatars and not mine else 0)
        if item is None:
            inset = _attachment(attachment, dice, style, (round(width * 0.56), round(width * 0.42)))
            if y + inset.height > bottom:
                continue
            x = width - margin - inset.width if mine else indent
            paste_rounded(image, inset, (x, y), round(size * max(0.3, theme.radius * 0.6)))
            placed = True
            tall, wide = inset.height, inset.width
        else:
            lines = wrap(item, face, room - size)
            wide = round(max(face.getlength(line) for line in lines) + size * 0.9)
            tall = round(len(lines) * size * 1.22 + size * 0.62)
            if y + tall > bottom:
                break
            x = width - margin - wide if mine else indent
            fill = theme.mine if mine else theme.theirs
            rounded(image, (x, y, x + wide, y + tall), round(size * theme.radius), fill)
            ink = theme.mine_text if mine else theme.theirs_text
            for row, line in enumerate(lines):
                at = (x + size * 0.45, y + size * 0.22 + row * size * 1.22)
                draw.text(at, line, font=face, fill=ink)
            shown.append(item)
        if theme.avatars and not mine:
            _avatar(image, dice, (margin, y), round(size * 1.35), theme.radius)
        minute += dice.whole(0, 4)
        stamp = f"{9 + minute // 60 % 12}:{minute % 60:02}"
        faint = mix(theme.ground, (128, 128, 128), 0.75)
        at_x = x - small.getlength(stamp) - 6 if mine else x + wide + 6
        draw.text((at_x, y + tall - size * 0.6), stamp, font=small, fill=faint)
        y += tall + dice.whole(size // 4, size // 2)
    if theme.footer:
        draw.rectangle((0, bottom, width, height), fill=mix(theme.header, (128, 128, 128), 0.06))
        box = (size, bottom + size * 0.35, width - size * 2, height - size * 0.35)
        rounded(image, box, size // 2, mix(theme.header, (255, 255, 255), 0.35))
    return image, {
        "theme": theme.name,
        "attachment": attachment if placed else "none",
        "messages": shown,
    }


def _header(
    image: Image.Image, draw: ImageDraw.ImageDraw, dice: Dice, style: Style, theme: Theme, size: int
) -> int:
    """Status bar, back arrow and name; gives where messages begin."""
    width = image.width
    status, tall = round(size * 0.9), round(size * 2.9)
    draw.rectangle((0, 0, width, tall), fill=theme.header)
    small = typeface(regular(dice, style), round(size * 0.55))
    clock = f"{dice.whole(1, 12)}:{dice.whole(0, 59):02}"
    draw.text((size * 0.6, size * 0.2), clock, font=small, fill=theme.title)
    level = width - size * 1.5
    draw.rectangle((level, size * 0.3, level + size * 0.9, size * 0.7), outline=theme.title)
    fill = level + size * dice.real(0.2, 0.85)
    draw.rectangle((level, size * 0.3, fill, size * 0.7), fill=theme.title)
    name = dice.pick(NAMES)
    face = typeface(bold(dice, style), round(size * 1.0))
    x = (width - face.getlength(name)) / 2 if theme.centred else size * 1.6
    draw.text((x, status + size * 0.35), name, font=face, fill=theme.title)
    middle = status + size * 0.95
    arrow = [(size, middle - size * 0.4), (size * 0.55, middle), (size, middle + size * 0.4)]
    draw.line(arrow, fill=theme.title, width=3)
    return tall


def _avatar(image: Image.Image, dice: Dice, at: tuple[int, int], side: int, radius: float) -> None:
    colour = dice.shade(dice.pick(((200, 120, 110), (110, 150, 200), (140, 180, 120), (180, 160, 110))))
    face = Image.new("RGB", (side, side), colour)
    draw = ImageDraw.Draw(face)
    light = mix(colour, (255, 255, 255), 0.6)
    draw.ellipse((side * 0.32, side * 0.18, side * 0.68, side * 0.54), fill=light)
    draw.ellipse((side * 0.15, side * 0.62, side * 0.85, side * 1.3), fill=light)
    paste_rounded(image, face, at, round(side * min(0.5, 0.2 + radius * 0.3)))


# --- attachments ---------------------------------------------------------------------------------


def _attachment(kind: str, dice: Dice, style: Style, size: tuple[int, int]) -> Image.Image:
    if kind in ("baggie", "powder"):
        image, _ = getattr(drugs, kind)(dice, style, size)
        return image.resize(size)
    return {
        "place_photo": _place,
        "map": _map,
        "crypto": _crypto,
        "transfer": _transfer,
        "price_list": _price_list,
        "food": _food,
        "cat": _cat,
        "landscape": _landscape,
        "gift_card": _gift_card,
        "schedule": _schedule,
    }[kind](dice, style, size)


def _place(dice: Dice, style: Style, size: tuple[int, int]) -> Image.Image:
    """A wall with a box on it and the spot marked."""
    width, height = size
    wall = dice.shade(dice.pick(((150, 90, 70), (150, 150, 145), (196, 184, 160))))
    image = Image.new("RGB", size, wall)
    draw = ImageDraw.Draw(image)
    line = mix(wall, (0, 0, 0), 0.25)
    for row in range(0, height, 16):
        draw.line((0, row, width, row), fill=line)
        for column in range(row // 16 % 2 * 18, width, 36):
            draw.line((column, row, column, row + 16), fill=line)
    left, top = dice.whole(20, width // 3), dice.whole(10, height // 3)
    box = (left, top, left + width // 2, top + height // 2)
    draw.rectangle(box, fill=dice.shade((170, 174, 178)), outline=(60, 60, 60), width=3)
    draw.ellipse((left + 14, top + 12, left + 54, top + 52), fill=(230, 230, 226), outline=(40, 40, 40))
    mark = dice.pick(by_style(style, ((220, 30, 30), (250, 210, 30)), ((255, 90, 20), (30, 230, 90))))
    cx, cy, r = box[2] - 10, box[3] - 6, dice.whole(24, 36)
    draw.ellipse((cx - r, cy - r, cx + r, cy + r), outline=mark, width=6)
    return image


def _map(dice: Dice, style: Style, size: tuple[int, int]) -> Image.Image:
    width, height = size
    ground = by_style(style, (232, 234, 224), (216, 226, 236))
    image = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(image)
    for _ in range(3):
        x, y = dice.whole(0, width), dice.whole(0, height)
        park = dice.pick(((196, 224, 180), (176, 208, 232)))
        draw.rectangle((x - 50, y - 30, x + 50, y + 30), fill=park)
    for _ in range(6):
        ends = (dice.whole(-20, width), 0, dice.whole(0, width + 20), height)
        if dice.chance(0.5):
            ends = (0, dice.whole(-20, height), width, dice.whole(0, height + 20))
        draw.line(ends, fill=(255, 255, 255), width=dice.whole(5, 12))
    x, y, r = width // 2, height // 2 - 10, 20
    pin = by_style(style, (222, 46, 40), (150, 40, 200))
    draw.polygon(((x - r + 4, y + 8), (x + r - 4, y + 8), (x, y + r * 2)), fill=pin)
    draw.ellipse((x - r, y - r, x + r, y + r), fill=pin)
    draw.ellipse((x - 8, y - 8, x + 8, y + 8), fill=(255, 255, 255))
    return image


def _card(
    dice: Dice, style: Style, size: tuple[int, int], fill: RGB, lines: list[str], ink: RGB
) -> Image.Image:
    image = Image.new("RGB", size, fill)
    draw = ImageDraw.Draw(image)
    step = size[1] / (len(lines) + 0.5)
    face_size = round(min(step * 0.66, size[0] / 9))
    for row, line in enumerate(lines):
        face = typeface((bold if row == 0 else regular)(dice, style), face_size)
        draw.text((size[0] * 0.06, step * (row + 0.25)), line, font=face, fill=ink)
    return image


def _crypto(dice: Dice, style: Style, size: tuple[int, int]) -> Image.Image:
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz123456789"
    address = "".join(dice.pick(letters) for _ in range(14))
    coin = dice.pick(("비트코인", "테더", "이더리움"))
    lines = [f"{coin} 송금", f"{dice.real(0.001, 0.09):.4f}", f"bc1{address}"]
    image = _card(dice, style, size, (28, 32, 44), lines, (240, 240, 240))
    r = size[1] // 7
    x, y = size[0] - r - 14, r + 14
    ImageDraw.Draw(image).ellipse((x - r, y - r, x + r, y + r), fill=(247, 147, 26))
    return image


def _transfer(dice: Dice, style: Style, size: tuple[int, int]) -> Image.Image:
    lines = ["송금 완료", f"{dice.whole(5, 60)},000원", dice.pick(("점심값", "회비", "택시비"))]
    return _card(dice, style, size, (255, 255, 255), lines, (30, 60, 120))


def _price_list(dice: Dice, style: Style, size: tuple[int, int]) -> Image.Image:
    rows = dice.some(by_style(style, *PRICES), 3)
    lines = ["가격표", *(f"{row} {dice.whole(5, 90)}만" for row in rows)]
    fill = dice.pick(((16, 16, 18), (250, 250, 244), (60, 20, 30)))
    ink = (20, 20, 20) if sum(fill) > 400 else (255, 232, 120)
    return _card(dice, style, size, fill, lines, ink)


def _gift_card(dice: Dice, style: Style, size: tuple[int, int]) -> Image.Image:
    lines = [dice.pick(("커피 쿠폰", "케이크 교환권", "생일 선물")), "선물이 도착했어요"]
    fill = dice.pick(((255, 214, 224), (214, 236, 255), (255, 240, 200)))
    image = _card(dice, style, size, fill, lines, (60, 40, 40))
    x, y = size[0] * 0.72, size[1] * 0.62
    draw = ImageDraw.Draw(image)
    draw.rectangle((x, y, x + 60, y + 44), fill=(230, 90, 110))
    draw.rectangle((x + 26, y, x + 34, y + 44), fill=(255, 230, 120))
    return image


def _schedule(dice: Dice, style: Style, size: tuple[int, int]) -> Image.Image:
    lines = ["일정", *dice.some(by_style(style, *SCHEDULES), 3)]
    return _card(dice, style, size, (250, 252, 255), lines, (40, 50, 70))


def _food(dice: Dice, style: Style, size: tuple[int, int]) -> Image.Image:
    width, height = size
    table = dice.pick(by_style(style, ((150, 104, 66), (220, 214, 204)), ((90, 110, 96), (206, 180, 150))))
    image = Image.new("RGB", size, dice.shade(table))
    draw = ImageDraw.Draw(image)
    cx, cy, r = width // 2, height // 2, round(height * 0.42)
    draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=(246, 246, 244), outline=(190, 190, 188))
    sauce = dice.shade(dice.pick(((204, 70, 40), (226, 170, 70), (120, 150, 70))))
    q = round(r * 0.75)
    draw.ellipse((cx - q, cy - q, cx + q, cy + q), fill=sauce)
    for _ in range(26):
        x, y = cx + dice.whole(-q // 2, q // 2), cy + dice.whole(-q // 2, q // 2)
        s = dice.whole(5, 13)
        topping = dice.pick(((250, 230, 160), (90, 160, 70), (240, 240, 230), (200, 60, 50)))
        draw.ellipse((x - s, y - s, x + s, y + s), fill=dice.shade(topping))
    return image


def _cat(dice: Dice, style: Style, size: tuple[int, int]) -> Image.Image:
    width, height = size
    wall = dice.pick(by_style(style, ((230, 220, 200), (200, 214, 226)), ((214, 200, 224), (196, 222, 204))))
    image = Image.new("RGB", size, wall)
    draw = ImageDraw.Draw(image)
    fur = dice.shade(dice.pick(((230, 160, 80), (120, 120, 124), (60, 56, 54), (240, 236, 228))))
    cx, cy, r = width // 2, round(height * 0.55), round(height * 0.32)
    for side in (-1, 1):
        ear = ((cx + side * r, cy - r * 0.3), (cx + side * r * 0.8, cy - r * 1.35), (cx + side * r * 0.2, cy - r * 0.9))
        draw.polygon(ear, fill=fur)
    draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=fur)
    for side in (-1, 1):
        x = cx + side * r * 0.4
        draw.ellipse((x - 9, cy - 18, x + 9, cy + 6), fill=(120, 200, 90))
        draw.ellipse((x - 3, cy - 14, x + 3, cy + 2), fill=(10, 10, 10))
        draw.line((cx + side * 10, cy + 18, cx + side * r, cy + 10), fill=(250, 250, 250), width=2)
    draw.polygon(((cx - 7, cy + 10), (cx + 7, cy + 10), (cx, cy + 19)), fill=(230, 120, 130))
    return image


def _landscape(dice: Dice, style: Style, size: tuple[int, int]) -> Image.Image:
    width, height = size
    sky = dice.pick(by_style(style, ((110, 170, 230), (240, 170, 120)), ((170, 140, 220), (120, 210, 220))))
    image = gradient(size, sky, mix(sky, (255, 255, 255), 0.7))
    draw = ImageDraw.Draw(image)
    for layer in range(3):
        y = height * (0.5 + 0.15 * layer)
        points = [(x, y - dice.real(0, height * 0.22)) for x in range(0, width + 60, 50)]
        hill = mix((120, 150, 150), (60, 120, 60), layer / 2)
        draw.polygon([(0, height), *points, (width, height)], fill=dice.shade(hill))
    return image
