"""Messenger screenshots: label 1 if a trade is arranged, label 0 for everyday talk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw

from mayak_synthetic import documents, drop_off_places, drugs, kitchen, scenery, wording
from mayak_synthetic.canvas import (
    COLOURS,
    RGB,
    Drawing,
    Facts,
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


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours and shapes of one messenger."""

    name: str
    ground: RGB
    bar: RGB
    mine: RGB
    mine_text: RGB
    other: RGB
    other_text: RGB
    radius: float
    """Radius of a bubble's corners in letter heights."""
    avatar: str = "round"
    """``round``, ``square`` or ``none``."""
    time_below: bool = False
    rows: bool = False
    """All messages start at the left edge, as on a message board."""
    pattern: bool = False


WHITE: RGB = (255, 255, 255)
INK: RGB = (24, 24, 26)
THEMES_BASE = (
    Theme(
        "yellow_chat",
        (186, 206, 224),
        (186, 206, 224),
        (250, 230, 76),
        INK,
        WHITE,
        INK,
        0.5,
        "square",
    ),
    Theme("green_chat", (244, 246, 244), WHITE, (136, 226, 118), INK, (232, 234, 236), INK, 0.6),
    Theme(
        "dark_chat",
        (24, 26, 30),
        (34, 36, 42),
        (70, 92, 200),
        WHITE,
        (52, 55, 62),
        (236, 236, 238),
        0.6,
    ),
    Theme(
        "blue_chat",
        (166, 200, 226),
        (82, 136, 186),
        (222, 248, 204),
        INK,
        WHITE,
        INK,
        0.35,
        "round",
        False,
        False,
        True,
    ),
    Theme(
        "sms",
        (255, 255, 255),
        (246, 246, 248),
        (36, 128, 246),
        WHITE,
        (228, 228, 234),
        INK,
        0.8,
        "none",
        True,
    ),
)
OWN_THEME = "own_chat"
"""A messenger whose owner chose the colours."""
OWN_THEMES = 0.5
"""Share of base-style chats in such a messenger."""
THEMES_HELDOUT = (
    Theme(
        "purple_chat",
        (246, 240, 252),
        (126, 78, 190),
        (150, 98, 220),
        WHITE,
        (226, 214, 240),
        INK,
        0.15,
    ),
    Theme(
        "board_chat",
        (50, 52, 58),
        (40, 42, 47),
        (50, 52, 58),
        (226, 228, 232),
        (50, 52, 58),
        (226, 228, 232),
        0.1,
        "round",
        False,
        True,
    ),
    Theme(
        "pink_chat",
        (255, 240, 242),
        (255, 250, 250),
        (255, 170, 186),
        INK,
        WHITE,
        INK,
        0.9,
        "none",
        True,
    ),
    Theme(
        "navy_chat",
        (18, 30, 50),
        (26, 42, 68),
        (240, 150, 60),
        INK,
        (42, 62, 92),
        WHITE,
        0.3,
        "square",
        False,
        False,
        True,
    ),
    Theme(
        "beige_chat",
        (234, 228, 214),
        (20, 110, 100),
        (208, 244, 206),
        INK,
        WHITE,
        INK,
        0.25,
        "none",
        True,
        False,
        True,
    ),
)

DRUG_CARDS = (
    "drug_photo",
    "drug_photo",
    "place_photo",
    "place_photo",
    "map_pin",
    "coin_transfer",
    "price_list",
)
EVERYDAY_CARDS = (
    "food_photo",
    "pet_photo",
    "landscape_photo",
    "gift_card",
    "schedule_card",
    "food_photo",
    "pet_photo",
)
RARE_CARDS = ("map_pin", "money_transfer")


def drug_chat(rng: SeededRandom, style: Style, size: Size, scroll: float = 0.0) -> Drawing:
    """Draw a chat; ``scroll`` is how far it was scrolled down, in heights of the messages' area."""
    lines = _trade(rng, style)
    card = rng.choice(DRUG_CARDS) if rng.chance(0.97) else "none"
    return _screenshot(rng, style, size, lines, card, "drug_trade", scroll)


def ordinary_chat(rng: SeededRandom, style: Style, size: Size, scroll: float = 0.0) -> Drawing:
    """Draw a chat, as ``drug_chat``."""
    wordings = by_style(style, wording.EVERYDAY_BASE, wording.EVERYDAY_HELDOUT)
    mine = rng.chance(0.5)
    lines = []
    for text in rng.sample(wordings, 8):
        lines.append((mine, _line(rng, style, text, wording.EVERYDAY_THINGS)))
        mine = not mine if rng.chance(0.75) else mine
    card = "none"
    if rng.chance(0.6):
        card = rng.choice(RARE_CARDS) if rng.chance(0.12) else rng.choice(EVERYDAY_CARDS)
    return _screenshot(rng, style, size, lines, card, "everyday", scroll)


def holds_slang(text: str) -> bool:
    """Return whether a message or its template names the goods or the trade."""
    return "{item}" in text or "{qty}" in text or any(word in text for word in wording.SLANG)


def fill(rng: SeededRandom, template: str) -> str:
    """Return a wording with its slots filled."""
    return template.format(**{name: rng.choice(values) for name, values in wording.SLOTS.items()})


def _line(rng: SeededRandom, style: Style, template: str, things: Sequence[str]) -> str:
    """Return a filled wording. In the base style it is often a thing and a phrase that fits any
    thing, so that only the thing separates a trade from other talk."""
    if style == "base" and rng.chance(0.4):
        template = f"{rng.choice(things)} {rng.choice(wording.REMARKS)}"
    return fill(rng, template)


def _trade(rng: SeededRandom, style: Style) -> list[tuple[bool, str]]:
    """(mine, text) in the order of a trade; the phone is the buyer's or the seller's."""
    stages = by_style(style, wording.DRUG_BASE, wording.DRUG_HELDOUT)
    buyer = rng.chance(0.6)
    first = rng.choice((0, 0, 0, 1, 1, 2))
    counts = {
        "ask": rng.choice((1, 2)),
        "offer": rng.choice((1, 2)),
        "pay": 1,
        "drop": 2,
        "close": 1,
    }
    if first == 2:  # the middle of a long trade
        counts = {"pay": 2, "drop": 3, "close": 2}
    lines: list[tuple[bool, str]] = []
    for stage in wording.STAGES[first:]:
        speaker = stage in ("ask", "pay", "close")
        wordings = list(stages[stage])
        if not any(holds_slang(text) for _, text in lines):
            wordings = [text for text in wordings if holds_slang(text)]
        lines += [
            (speaker == buyer, _line(rng, style, text, wording.DRUG_THINGS))
            for text in rng.sample(wordings, counts[stage])
        ]
    return lines


def _own_theme(rng: SeededRandom) -> Theme:
    dark = rng.chance(0.4)
    far = INK if dark else WHITE
    colours = [rng.shade(colour, 24) for colour in rng.sample(tuple(COLOURS), 4)]
    ground = mix(colours[0], far, rng.uniform(0.5, 1.0))
    bar = rng.choice((ground, mix(colours[1], far, rng.uniform(0.0, 0.8))))
    mine = mix(colours[2], far, rng.uniform(0.0, 0.6))
    other = mix(mix(ground, WHITE, 0.2) if dark else colours[3], far, rng.uniform(0.0, 0.2))
    if not dark:
        other = mix(other, WHITE, rng.uniform(0.6, 1.0))
    return Theme(
        OWN_THEME,
        ground,
        bar,
        mine,
        _legible(mine),
        other,
        _legible(other),
        rng.uniform(0.05, 1.0),
        rng.choice(("round", "square", "none")),
        time_below=rng.chance(0.3),
        pattern=rng.chance(0.3),
    )


def _legible(ground: RGB) -> RGB:
    return INK if sum(ground) > 400 else WHITE


def _screenshot(
    rng: SeededRandom,
    style: Style,
    size: Size,
    lines: list[tuple[bool, str]],
    card: str,
    talk: str,
    scroll: float,
) -> Drawing:
    own = style == "base" and rng.chance(OWN_THEMES)
    theme = _own_theme(rng) if own else rng.choice(by_style(style, THEMES_BASE, THEMES_HELDOUT))
    width, height = size
    ground = Image.new("RGB", size, rng.shade(theme.ground, 6))
    if theme.pattern:
        soft = noise(rng, size, by_style(style, 6, 24), 2)
        ground = toned(soft, mix(theme.ground, (0, 0, 0), 0.1), mix(theme.ground, WHITE, 0.16))
    letter = round(width / 15.2 * rng.uniform(1.0, 1.1))
    page = _Page(rng, style, ground, theme, letter, regular(rng, style))
    page.header(rng.choice(by_style(style, wording.NAMES_BASE, wording.NAMES_HELDOUT)))
    bottom = height - round(letter * 2.1)
    shown, placed = _fill(rng, page, lines, card, bottom)
    if scroll:
        # Numbers of its own: what is drawn next must be the same for every scroll.
        page.rng = SeededRandom("later", *(text for _, text in lines))
        more = _more(page.rng, style, talk)
        shown = page.scroll(round(scroll * (bottom - page.top)), bottom, more)
    page.footer(bottom)
    facts: Facts = {
        "theme": theme.name,
        "talk": talk,
        "attachment": placed,
        "count": len(shown),
        "messages": tuple(shown),
        "text": "yes",
        "time": page.time,
    }
    return page.image, facts


def _fill(
    rng: SeededRandom, page: _Page, lines: list[tuple[bool, str]], card: str, bottom: int
) -> tuple[list[str], str]:
    """Draw messages and the attachment down to ``bottom``; return their texts, and what was
    attached."""
    place = rng.integer(1, 3)
    shown: list[str] = []
    placed = "none"
    sender = rng.chance(0.4)
    previous: bool | None = None
    for number, (mine, text) in enumerate(lines):
        if card != "none" and placed == "none" and number == place:
            extra = page.card(card, sender, previous is not sender, bottom)
            if extra is not None:
                placed, previous = card, sender
                shown += extra
        if len(shown) >= 9 or not page.bubble(text, mine, previous is not mine, bottom):
            break
        previous = mine
        shown.append(text)
    return shown, placed


def _more(rng: SeededRandom, style: Style, talk: str) -> Iterator[tuple[bool, str]]:
    """Yield what was written later in a chat."""
    everyday = by_style(style, wording.EVERYDAY_BASE, wording.EVERYDAY_HELDOUT)
    while True:
        if talk == "drug_trade":
            yield from _trade(rng, style)
        else:
            for text in rng.sample(everyday, 8):
                yield rng.chance(0.5), _line(rng, style, text, wording.EVERYDAY_THINGS)


class _Page:
    """A screenshot that is laid out from the top."""

    def __init__(
        self,
        rng: SeededRandom,
        style: Style,
        image: Image.Image,
        theme: Theme,
        letter: int,
        face: str,
    ) -> None:
        self.rng, self.style, self.image, self.theme = rng, style, image, theme
        self.letter = letter
        self.face = face
        self.font = typeface(face, letter)
        self.small = typeface(face, round(letter * 0.5))
        self.ground = image.copy()
        self.draw = ImageDraw.Draw(image)
        self.top = self.y = 0
        self.written: list[tuple[int, str]] = []
        """The top and the text of each message, and of each line of an attachment."""
        self.minutes = rng.integer(0, 1439)
        self.time = "night" if self.minutes < 360 or self.minutes > 1200 else "day"
        self.avatar = rng.shade(
            rng.choice(("sky_blue", "pink", "green", "orange", "purple", "grey")), 20
        )
        self.edge = round(letter * 0.4)
        self.dim = mix(theme.ground, (255, 255, 255) if sum(theme.ground) < 300 else (0, 0, 0), 0.5)

    def _clock(self) -> str:
        return f"{self.minutes // 60 % 24:02d}:{self.minutes % 60:02d}"

    def header(self, name: str) -> None:
        theme, letter = self.theme, self.letter
        bar = round(letter * 0.8)
        high = round(letter * self.rng.uniform(1.9, 2.3))
        self.draw.rectangle((0, 0, self.image.width, bar + high), fill=theme.bar)
        ink = WHITE if sum(theme.bar) < 420 else INK
        self.draw.text((self.edge, bar * 0.25), self._clock(), font=self.small, fill=ink)
        for k in range(3):
            x = self.image.width - self.edge - k * letter * 0.5
            self.draw.rectangle((x - letter * 0.3, bar * 0.35, x, bar * 0.9), fill=ink)
        title = typeface(bold(self.rng, self.style), round(letter * 0.95))
        middle = bar + high / 2
        centred = theme.avatar == "none"
        self.draw.line(
            [(self.edge * 2, middle - 10), (self.edge, middle), (self.edge * 2, middle + 10)],
            fill=ink,
            width=4,
        )
        x = self.image.width / 2 if centred else letter * 1.6
        self.draw.text((x, middle), name, font=title, fill=ink, anchor="mm" if centred else "lm")
        self.draw.line(
            (0, bar + high, self.image.width, bar + high),
            fill=mix(theme.bar, (0, 0, 0), 0.15),
            width=2,
        )
        self.top = bar + high + 3
        self.y = bar + high + round(letter * 0.4)
        if self.rng.chance(0.3):
            day = self.rng.choice(wording.SLOTS["day"])
            date = f"{self.rng.integer(1, 12)}월 {self.rng.integer(1, 28)}일 {day}"
            self.draw.text(
                (self.image.width / 2, self.y), date, font=self.small, fill=self.dim, anchor="ma"
            )
            self.y += round(letter * 0.85)

    def footer(self, top: int) -> None:
        theme, letter = self.theme, self.letter
        self.draw.rectangle(
            (0, top, self.image.width, self.image.height),
            fill=theme.bar if sum(theme.bar) > 600 or sum(theme.ground) < 300 else WHITE,
        )
        dark = sum(theme.ground) < 300
        field = mix(theme.bar, WHITE, 0.12) if dark else (236, 237, 240)
        middle = (top + self.image.height) / 2
        rounded(
            self.image,
            (
                letter * 1.5,
                middle - letter * 0.7,
                self.image.width - letter * 1.6,
                middle + letter * 0.7,
            ),
            round(letter * 0.6),
            field,
        )
        ink = (200, 200, 204) if dark else (110, 112, 118)
        self.draw.line((letter * 0.45, middle, letter * 1.15, middle), fill=ink, width=4)
        self.draw.line(
            (letter * 0.8, middle - letter * 0.35, letter * 0.8, middle + letter * 0.35),
            fill=ink,
            width=4,
        )
        send = (
            self.image.width - letter * 1.35,
            middle - letter * 0.5,
            self.image.width - letter * 0.35,
            middle + letter * 0.5,
        )
        tone = theme.mine if theme.mine != theme.ground else (90, 110, 230)
        rounded(self.image, send, round(letter * 0.5), tone)

    def _place(
        self, mine: bool, first: bool, wide: int, high: int, bottom: int
    ) -> tuple[int, int] | None:
        """Place a bubble of this size and draw its avatar; None if there is no room."""
        theme, letter = self.theme, self.letter
        gutter = round(letter * 1.65) if theme.avatar != "none" else self.edge
        gap = round(letter * (0.5 if first else 0.22))
        if self.y + gap + high + (letter if theme.time_below else 6) > bottom:
            return None
        self.y += gap
        left = gutter if not mine or theme.rows else self.image.width - self.edge - wide
        if first and theme.avatar != "none" and (not mine or theme.rows):
            side = round(letter * 1.3)
            tone = self.avatar if not mine else mix(self.avatar, (60, 60, 200), 0.6)
            face = (round(letter * 0.2), self.y, round(letter * 0.2) + side, self.y + side)
            rounded(self.image, face, side // 2 if theme.avatar == "round" else side // 3, tone)
            pale = mix(tone, WHITE, 0.6)
            x, y = face[0] + side / 2, face[1]
            self.draw.ellipse(
                (x - side * 0.16, y + side * 0.2, x + side * 0.16, y + side * 0.52), fill=pale
            )
            self.draw.pieslice(
                (x - side * 0.32, y + side * 0.56, x + side * 0.32, y + side * 1.2),
                180,
                360,
                fill=pale,
            )
        return left, self.y

    def _stamp(self, mine: bool, left: int, wide: int, high: int) -> None:
        self.minutes += self.rng.integer(0, 3)
        text = self._clock()
        if self.theme.time_below:
            if self.rng.chance(0.3):
                at = (left + wide, self.y + high + 3) if mine else (left, self.y + high + 3)
                self.draw.text(
                    at, text, font=self.small, fill=self.dim, anchor="ra" if mine else "la"
                )
                self.y += round(self.letter * 0.5)
        elif not self.theme.rows:
            at = (left - 6, self.y + high - 4) if mine else (left + wide + 6, self.y + high - 4)
            self.draw.text(at, text, font=self.small, fill=self.dim, anchor="rs" if mine else "ls")
        self.y += high

    def bubble(self, text: str, mine: bool, first: bool, bottom: int) -> bool:
        theme, letter = self.theme, self.letter
        pad = (round(letter * 0.5), round(letter * 0.4)) if not theme.rows else (4, 4)
        rows = wrap(
            text, self.font, self.image.width * (0.66 if not theme.rows else 0.8) - pad[0] * 2
        )
        step = round(letter * 1.22)
        wide = round(max(self.font.getlength(row) for row in rows)) + pad[0] * 2
        high = step * len(rows) + pad[1] * 2 - round(letter * 0.15)
        at = self._place(mine, first, wide, high, bottom)
        if at is None:
            return False
        left, top = at
        if not theme.rows:
            fill_ = theme.mine if mine else theme.other
            rounded(
                self.image,
                (left, top, left + wide, top + high),
                round(letter * theme.radius),
                fill_,
            )
        ink = theme.mine_text if mine else theme.other_text
        for k, row in enumerate(rows):
            self.draw.text(
                (left + pad[0], top + pad[1] + k * step - letter * 0.06),
                row,
                font=self.font,
                fill=ink,
            )
        self._stamp(mine, left, wide, high)
        self.written.append((top, text))
        return True

    def card(self, kind: str, mine: bool, first: bool, bottom: int) -> list[str] | None:
        """Draw an attachment; return the text written on it, or None if there is no room."""
        wide = round(self.image.width * self.rng.uniform(0.56, 0.66))
        high = round(wide * self.rng.uniform(0.66, 0.82))
        if bottom - self.y < high + self.letter * 4:  # keep room for two messages
            return None
        at = self._place(mine, first, wide, high, bottom)
        if at is None:
            return None
        inset, texts = attachment(self.rng, self.style, kind, (wide, high), self.face, self.letter)
        paste_rounded(self.image, inset, at, round(self.letter * min(0.5, self.theme.radius + 0.1)))
        self._stamp(mine, at[0], wide, high)
        self.written += [(at[1], text) for text in texts]
        return texts

    def scroll(self, distance: int, bottom: int, more: Iterator[tuple[bool, str]]) -> list[str]:
        """Move the messages up by ``distance`` pixels, below the header, and write ``more`` until
        the picture is full; return the texts that are seen. The wallpaper stays."""
        width, height = self.ground.size
        tall = Image.new("RGB", (width, height + distance))
        for top in range(0, tall.height, height):
            tall.paste(self.ground, (0, top))
        plain = tall.copy()
        first = self.image
        tall.paste(first.crop((0, 0, width, self.y)), (0, 0))
        self.image, self.draw = tall, ImageDraw.Draw(tall)
        previous: bool | None = None
        for mine, text in more:
            if not self.bubble(text, mine, previous is not mine, bottom + distance):
                break
            previous = mine
        seen = (0, self.top + distance, width, bottom + distance)
        content = tall.crop(seen)
        changed = ImageChops.difference(content, plain.crop(seen)).convert("L")
        self.image = self.ground.copy()
        self.image.paste(content, (0, self.top), changed.point(lambda value: 255 * (value > 0)))
        self.image.paste(first.crop((0, 0, width, self.top)), (0, 0))
        self.draw = ImageDraw.Draw(self.image)
        return [text for top, text in self.written if seen[1] <= top < seen[3]]


def attachment(
    rng: SeededRandom, style: Style, kind: str, size: Size, face: str, letter: int
) -> tuple[Image.Image, list[str]]:
    """Return a picture or card for a bubble, and the text written on it."""
    if kind == "drug_photo":
        draw = rng.choice(
            (
                drugs.baggie,
                drugs.baggie,
                drugs.powder,
                drugs.crystals,
                drugs.tablets,
                drugs.dried_leaf,
            )
        )
        return _small(draw(rng, style, (480, round(480 * size[1] / size[0])))[0], size), []
    if kind == "place_photo":
        draw = rng.choice(
            (
                drop_off_places.gas_meter,
                drop_off_places.mailbox,
                drop_off_places.air_conditioner,
                drop_off_places.drain,
                drop_off_places.planter,
                drop_off_places.electric_meter,
                drop_off_places.marked_wall,
            )
        )
        return _small(draw(rng, style, (480, round(480 * size[1] / size[0])))[0], size), []
    if kind in ("food_photo", "pet_photo", "landscape_photo"):
        photo = {
            "food_photo": kitchen.food,
            "pet_photo": scenery.pet,
            "landscape_photo": scenery.landscape,
        }[kind]
        return _small(photo(rng, style, (480, round(480 * size[1] / size[0])))[0], size), []
    if kind == "map_pin":
        return documents.map_picture(rng, style, size, pin=True), []
    return _card(rng, style, kind, size, face, letter)


def _small(image: Image.Image, size: Size) -> Image.Image:
    return image.resize(size, Image.Resampling.BILINEAR)


def _card(
    rng: SeededRandom, style: Style, kind: str, size: Size, face: str, letter: int
) -> tuple[Image.Image, list[str]]:
    """Return a card with a coloured head, a large line and two or three rows."""
    rows: list[str]
    if kind == "coin_transfer":
        head, tone = rng.choice((("코인 전송", (240, 150, 30)), ("코인 지갑", (60, 70, 90))))
        rows = [f"0.0{rng.integer(11, 98)} BTC", "전송 완료", "입금 주소 bc1q…"]
    elif kind == "money_transfer":
        head, tone = "송금", (60, 120, 230)
        rows = [f"{rng.integer(1, 9)}만 원", "받기 완료"]
    elif kind == "price_list":
        head, tone = rng.choice((("가격표", (40, 40, 44)), ("메뉴", (120, 30, 40))))
        items = rng.sample(wording.SLOTS["item"], 3)
        rows = [
            f"{item} {rng.choice(('1그램', '반개', '2그램'))} {rng.choice(wording.SLOTS['price'])}"
            for item in items
        ]
    elif kind == "gift_card":
        head, tone = "선물", (240, 120, 150)
        rows = [
            rng.choice(("케이크 교환권", "커피 두 잔", "꽃다발", "문화상품권")),
            "선물이 도착했어요",
        ]
    else:
        head, tone = "일정", (70, 160, 120)
        rows = [
            f"{rng.integer(1, 12)}월 {rng.integer(1, 28)}일 {rng.choice(wording.SLOTS['day'])}",
            rng.choice(wording.EVERYDAY_EVENTS),
            rng.choice(wording.SLOTS["where"]),
        ]
    image = Image.new("RGB", size, rng.shade((250, 250, 248), 4))
    draw = ImageDraw.Draw(image)
    band = round(size[1] * 0.28)
    draw.rectangle((0, 0, size[0], band), fill=rng.shade(tone, 14))
    draw.text(
        (letter * 0.5, band / 2),
        head,
        font=typeface(bold(rng, style), round(letter * 0.9)),
        fill=WHITE,
        anchor="lm",
    )
    if kind == "coin_transfer":
        r = band * 0.36
        x = size[0] - r * 1.6
        draw.ellipse((x - r, band / 2 - r, x + r, band / 2 + r), fill=(250, 210, 90))
        draw.text(
            (x, band / 2),
            "B",
            font=typeface(bold(rng, style), round(r * 1.4)),
            fill=(160, 100, 10),
            anchor="mm",
        )
    elif kind == "gift_card":
        x, y, r = size[0] - band * 0.6, band / 2, band * 0.3
        draw.rectangle((x - r, y - r, x + r, y + r), fill=(250, 220, 120))
        draw.rectangle((x - r * 0.2, y - r, x + r * 0.2, y + r), fill=(214, 48, 44))
        draw.rectangle((x - r, y - r * 0.2, x + r, y + r * 0.2), fill=(214, 48, 44))
    step = (size[1] - band) / (len(rows) + 0.3)
    for k, row in enumerate(rows):
        big = round(min(letter * 0.95, step * 0.72))
        font = typeface(face, big)
        while font.getlength(row) > size[0] - letter and big > 12:
            big -= 2
            font = typeface(face, big)
        draw.text((letter * 0.5, band + step * (k + 0.62)), row, font=font, fill=INK, anchor="lm")
    return image, [head, *rows]
