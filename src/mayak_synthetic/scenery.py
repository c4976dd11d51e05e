"""Label 0: streets, buildings, rooms, landscapes and pets."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFilter

from mayak_synthetic import surfaces, wording
from mayak_synthetic.canvas import (
    RGB,
    Drawing,
    Point,
    SeededRandom,
    Style,
    bold,
    by_style,
    contrast,
    mix,
    noise,
    rounded,
    shadow,
    stretched_noise,
    toned,
    typeface,
    wobbly,
)
from mayak_synthetic.surfaces import Size


def _sky_and_time(rng: SeededRandom, size: Size, share: float = 0.25) -> tuple[Image.Image, bool]:
    night = rng.chance(share)
    return surfaces.sky(rng, size, night=night), night


def _windows(
    image: Image.Image, rng: SeededRandom, box: tuple[float, float, float, float], night: bool
) -> None:
    left, top, right, bottom = box
    draw = ImageDraw.Draw(image)
    across, down = rng.integer(3, 5), max(2, round((bottom - top) / rng.integer(48, 80)))
    w, h = (right - left) / across, (bottom - top) / down
    for row in range(down):
        for column in range(across):
            lit = rng.chance(0.45 if night else 0.1)
            glass = rng.shade(
                (250, 216, 130) if lit else (26, 32, 48) if night else (110, 140, 168), 14
            )
            x, y = left + column * w, top + row * h
            draw.rectangle(
                (x + w * 0.18, y + h * 0.2, x + w * 0.82, y + h * 0.8),
                fill=glass,
                outline=(70, 72, 76),
            )


def _house(
    image: Image.Image,
    rng: SeededRandom,
    style: Style,
    box: tuple[float, float, float, float],
    night: bool,
) -> None:
    tone = rng.shade(
        by_style(
            style,
            rng.choice(("beige", "grey", "brown", "white", "sky_blue")),
            rng.choice(("pink", "green", "orange")),
        ),
        18,
    )
    tone = mix(tone, (10, 12, 24), 0.65) if night else tone
    draw = ImageDraw.Draw(image)
    draw.rectangle(box, fill=tone, outline=mix(tone, (0, 0, 0), 0.4))
    draw.rectangle((box[0] - 4, box[1] - 8, box[2] + 4, box[1] + 4), fill=mix(tone, (0, 0, 0), 0.3))
    _windows(
        image, rng, (box[0] + 6, box[1] + 14, box[2] - 6, box[3] - (box[3] - box[1]) * 0.22), night
    )


def _tree(image: Image.Image, rng: SeededRandom, foot: Point, height: float, night: bool) -> None:
    draw = ImageDraw.Draw(image)
    draw.rectangle(
        (foot[0] - height * 0.04, foot[1] - height * 0.5, foot[0] + height * 0.04, foot[1]),
        fill=(84, 62, 44),
    )
    green = rng.shade(rng.choice(((70, 120, 58), (96, 134, 60), (196, 130, 60))), 16)
    green = mix(green, (8, 12, 20), 0.6) if night else green
    for _ in range(5):
        x, y = foot[0] + rng.uniform(-0.2, 0.2) * height, foot[1] - height * rng.uniform(0.55, 0.85)
        draw.polygon(
            wobbly(rng, (x, y), (height * 0.24, height * 0.2), 16, 0.2), fill=rng.shade(green, 12)
        )


def _car(image: Image.Image, rng: SeededRandom, at: Point, long: float) -> None:
    x, y = at
    tone = rng.shade(rng.choice(("white", "black", "red", "blue", "grey")), 12)
    draw = ImageDraw.Draw(image)
    high = long * 0.26
    rounded(image, (x, y - high, x + long, y), round(high * 0.4), tone)
    roof = [
        (x + long * 0.18, y - high * 0.9),
        (x + long * 0.3, y - high * 1.75),
        (x + long * 0.7, y - high * 1.75),
        (x + long * 0.86, y - high * 0.9),
    ]
    draw.polygon(roof, fill=tone)
    glass = [
        (x + long * 0.24, y - high * 0.95),
        (x + long * 0.33, y - high * 1.6),
        (x + long * 0.67, y - high * 1.6),
        (x + long * 0.79, y - high * 0.95),
    ]
    draw.polygon(glass, fill=(60, 76, 92))
    for k in (0.22, 0.78):
        r = high * 0.36
        draw.ellipse((x + long * k - r, y - r, x + long * k + r, y + r), fill=(24, 24, 26))
        draw.ellipse(
            (x + long * k - r / 2, y - r / 2, x + long * k + r / 2, y + r / 2), fill=(150, 152, 156)
        )


def _road_marks(draw: ImageDraw.ImageDraw, rng: SeededRandom, size: Size, horizon: float) -> None:
    """Draw the pavement, and a crossing or a dashed line."""
    w, h = size
    draw.polygon(
        ((0, horizon), (w, horizon), (w, horizon + h * 0.05), (0, horizon + h * 0.05)),
        fill=rng.shade((170, 166, 160), 10),
    )
    if rng.chance(0.5):
        for k in range(7):  # a crossing
            a = w * (0.1 + k * 0.12)
            draw.polygon(
                (
                    (a, h * 0.78),
                    (a + w * 0.06, h * 0.78),
                    (a + w * 0.07, h * 0.97),
                    (a - w * 0.01, h * 0.97),
                ),
                fill=(222, 222, 216),
            )
    else:
        for k in range(4):
            draw.rectangle(
                (w * (0.05 + k * 0.26), h * 0.83, w * (0.2 + k * 0.26), h * 0.845),
                fill=(238, 220, 120),
            )


def street(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, night = _sky_and_time(rng, size)
    w, h = size
    horizon = h * rng.uniform(0.56, 0.66)
    x = -20.0
    signs = by_style(style, wording.SHOP_SIGNS_BASE, wording.SHOP_SIGNS_HELDOUT)
    shown: list[str] = []
    while x < w:
        wide = rng.uniform(0.16, 0.3) * w
        _house(
            image,
            rng,
            style,
            (x, horizon - h * rng.uniform(0.28, 0.54), x + wide, horizon + 8),
            night,
        )
        sign = rng.choice(signs)
        shown.append(sign)
        font = typeface(bold(rng, style), round(h * 0.05))
        board = (x + 8, horizon - h * 0.1, x + wide - 8, horizon - h * 0.02)
        draw = ImageDraw.Draw(image)
        draw.rectangle(
            board, fill=rng.shade(rng.choice(("red", "blue", "green", "navy", "orange")), 14)
        )
        draw.text(
            ((board[0] + board[2]) / 2, (board[1] + board[3]) / 2),
            sign,
            font=font,
            fill=(250, 250, 246),
            anchor="mm",
        )
        x += wide
    road = surfaces.asphalt(rng, (w, h - round(horizon)))
    image.paste(road, (0, round(horizon)))
    draw = ImageDraw.Draw(image)
    _road_marks(draw, rng, size, horizon)
    for _ in range(rng.integer(1, 3)):
        _car(
            image,
            rng,
            (rng.uniform(0, 0.75) * w, h * rng.uniform(0.74, 0.9)),
            w * rng.uniform(0.2, 0.32),
        )
    for _ in range(rng.integer(0, 3)):
        _tree(image, rng, (rng.uniform(0, 1) * w, horizon + h * 0.04), h * 0.36, night)
    return image, {"time": "night" if night else "day", "text": "yes", "texts": tuple(shown[:3])}


def building(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, night = _sky_and_time(rng, size)
    w, h = size
    blocks = rng.integer(1, 3)
    for k in range(blocks):
        left = w * (0.06 + k * 0.9 / blocks)
        _house(
            image,
            rng,
            style,
            (left, h * rng.uniform(0.08, 0.26), left + w * 0.84 / blocks, h * 0.9),
            night,
        )
    image.paste(surfaces.asphalt(rng, (w, h - round(h * 0.88))), (0, round(h * 0.88)))
    for _ in range(rng.integer(2, 5)):
        _tree(image, rng, (rng.uniform(0, 1) * w, h * 0.9), h * rng.uniform(0.2, 0.34), night)
    return image, {"time": "night" if night else "day", "count": blocks}


def _window(image: Image.Image, rng: SeededRandom, size: Size) -> None:
    """Draw a window with curtains on the wall of a room."""
    w, h = size
    draw = ImageDraw.Draw(image)
    left = w * rng.uniform(0.08, 0.5)
    window = (left, h * 0.1, left + w * 0.34, h * 0.46)
    view = surfaces.sky(rng, (round(window[2] - window[0]), round(window[3] - window[1])))
    image.paste(view, (round(window[0]), round(window[1])))
    draw.rectangle(window, outline=(250, 250, 248), width=10)
    draw.line(
        ((window[0] + window[2]) / 2, window[1], (window[0] + window[2]) / 2, window[3]),
        fill=(250, 250, 248),
        width=8,
    )
    curtain = rng.shade(rng.choice(("red", "navy", "green", "beige")), 14)
    for side in (window[0] - w * 0.05, window[2] - w * 0.02):
        draw.rectangle((side, h * 0.07, side + w * 0.07, h * 0.52), fill=curtain)


def _furniture(image: Image.Image, kind: str, at: Point, size: Size, tone: RGB) -> None:
    """Draw a sofa, a bed or a desk."""
    x, foot = at
    w, h = size
    draw = ImageDraw.Draw(image)
    if kind == "sofa":
        rounded(image, (x, foot - h * 0.32, x + w * 0.58, foot), 26, tone)
        rounded(
            image,
            (x + w * 0.05, foot - h * 0.17, x + w * 0.53, foot - h * 0.03),
            14,
            mix(tone, (255, 255, 255), 0.2),
        )
        for k in (0, 0.5):
            rounded(
                image,
                (x + k * w, foot - h * 0.22, x + k * w + w * 0.09, foot + 6),
                16,
                mix(tone, (0, 0, 0), 0.2),
            )
    elif kind == "bed":
        rounded(image, (x, foot - h * 0.36, x + w * 0.1, foot + 10), 8, (110, 78, 52))
        rounded(image, (x + w * 0.03, foot - h * 0.18, x + w * 0.66, foot), 16, tone)
        rounded(
            image,
            (x + w * 0.07, foot - h * 0.23, x + w * 0.22, foot - h * 0.13),
            14,
            (246, 244, 240),
        )
    else:
        top = foot - h * 0.26
        draw.rectangle((x, top, x + w * 0.58, top + 16), fill=(138, 98, 62))
        for k in (0.02, 0.54):
            draw.rectangle((x + k * w, top + 16, x + k * w + 12, foot), fill=(110, 78, 50))
        rounded(image, (x + w * 0.16, top - h * 0.2, x + w * 0.42, top - 12), 6, (26, 28, 32))
        draw.rectangle((x + w * 0.27, top - 14, x + w * 0.31, top), fill=(60, 60, 64))


def room(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    w, h = size
    paper = rng.shade(
        by_style(
            style,
            rng.choice(("beige", "white", "sky_blue")),
            rng.choice(("pink", "green", "yellow")),
        ),
        14,
    )
    paper = mix(paper, (255, 255, 255), 0.4)
    image = toned(noise(rng, size, 3, 2), mix(paper, (0, 0, 0), 0.16), paper)
    floor = round(h * rng.uniform(0.66, 0.74))
    image.paste(surfaces.wood(rng, (w, h - floor)), (0, floor))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, floor - 10, w, floor), fill=mix(paper, (255, 255, 255), 0.6))
    _window(image, rng, size)
    kind = rng.choice(("sofa", "bed", "desk"))
    tone = rng.shade(
        by_style(style, rng.choice(("grey", "brown", "navy")), rng.choice(("purple", "orange"))), 16
    )
    x = w * rng.uniform(0.06, 0.3)
    foot = floor + (h - floor) * 0.5
    _furniture(image, kind, (x, foot), size, tone)
    lamp = w * rng.uniform(0.82, 0.92)
    draw = ImageDraw.Draw(image)
    draw.rectangle((lamp - 3, h * 0.36, lamp + 3, foot), fill=(60, 56, 52))
    draw.polygon(
        (
            (lamp - 34, h * 0.38),
            (lamp + 34, h * 0.38),
            (lamp + 20, h * 0.26),
            (lamp - 20, h * 0.26),
        ),
        fill=(250, 226, 170),
    )
    return image, {"furniture": kind}


def _hills(
    draw: ImageDraw.ImageDraw, rng: SeededRandom, size: Size, horizon: int, kind: str, night: bool
) -> None:
    """Draw three ridges, one before the other."""
    w, h = size
    for layer in range(3):
        tone = mix((120, 150, 180), (52, 96, 60), (layer + 1) / 3)
        if kind == "snow":
            tone = mix((150, 170, 200), (226, 232, 240), (layer + 1) / 3)
        tone = mix(tone, (8, 12, 24), 0.6) if night else tone
        peak = h * rng.uniform(0.24, 0.34) * (1 - layer * 0.25)
        phase = (
            rng.uniform(0, 6),
            rng.uniform(0, 6),
            rng.uniform(2.0, 4.0),
            rng.uniform(6, 11),
        )
        ridge = [
            (
                x,
                horizon
                + layer * h * 0.06
                - peak
                * (
                    0.55
                    + 0.3 * math.sin(x / w * phase[2] * 2 + phase[0])
                    + 0.15 * math.sin(x / w * phase[3] * 2 + phase[1])
                ),
            )
            for x in range(0, w + 12, 12)
        ]
        draw.polygon([(0, h), *ridge, (w, h)], fill=rng.shade(tone, 6))


def landscape(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, night = _sky_and_time(rng, size, 0.12)
    w, h = size
    kind = rng.choice(by_style(style, ("mountain", "sea", "field"), ("mountain", "sea", "snow")))
    horizon = round(h * rng.uniform(0.46, 0.6))
    draw = ImageDraw.Draw(image)
    r = h * 0.06
    sun = (w * rng.uniform(0.15, 0.85), h * rng.uniform(0.1, 0.3))
    draw.ellipse(
        (sun[0] - r, sun[1] - r, sun[0] + r, sun[1] + r),
        fill=(244, 244, 226) if night else (255, 240, 180),
    )
    if kind != "sea":
        _hills(draw, rng, size, horizon, kind, night)
    low = (w, h - horizon)
    if kind == "sea":
        water = contrast(noise(rng, low, 3, 2), 1.0)
        ripples = stretched_noise(rng, low, 8, 40, 2)
        tone = (20, 30, 56) if night else rng.shade((40, 110, 160), 20)
        image.paste(
            toned(
                Image.blend(water, ripples, 0.6),
                mix(tone, (0, 0, 0), 0.4),
                mix(tone, (255, 255, 255), 0.5),
            ),
            (0, horizon),
        )
        beach = surfaces.soil(rng, (w, round(h * 0.14)))
        image.paste(
            Image.blend(beach, Image.new("RGB", beach.size, (232, 210, 166)), 0.75),
            (0, round(h * 0.86)),
        )
    else:
        start = horizon + round(h * 0.16)
        field = surfaces.foliage(
            rng,
            (w, h - start),
            rng.shade(
                (232, 236, 242) if kind == "snow" else rng.choice(((96, 146, 62), (190, 168, 84))),
                10,
            ),
        )
        image.paste(field, (0, start))
        for _ in range(rng.integer(2, 6)):
            _tree(
                image,
                rng,
                (rng.uniform(0, 1) * w, start + h * rng.uniform(0.02, 0.2)),
                h * rng.uniform(0.14, 0.26),
                night,
            )
    return image, {"form": kind, "time": "night" if night else "day"}


def _face(draw: ImageDraw.ImageDraw, kind: str, at: Point, s: float) -> None:
    """Draw eyes, nose and mouth, and a cat's whiskers; ``s`` is the radius of the head."""
    cx, cy = at
    for k in (-1, 1):
        x = cx + k * s * 0.42
        r = s * 0.17
        draw.ellipse(
            (x - r, cy - s * 0.25 - r, x + r, cy - s * 0.25 + r),
            fill=(120, 170, 80) if kind == "cat" else (40, 26, 20),
        )
        draw.ellipse(
            (x - r * 0.4, cy - s * 0.25 - r * 0.9, x + r * 0.4, cy - s * 0.25 + r * 0.9),
            fill=(14, 12, 12),
        )
        draw.ellipse(
            (x - r * 0.5, cy - s * 0.25 - r * 0.6, x - r * 0.1, cy - s * 0.25 - r * 0.2),
            fill=(255, 255, 255),
        )
    draw.polygon(
        ((cx - s * 0.14, cy + s * 0.14), (cx + s * 0.14, cy + s * 0.14), (cx, cy + s * 0.3)),
        fill=(50, 30, 30) if kind == "dog" else (226, 120, 130),
    )
    for k in (-1, 1):
        draw.arc(
            (
                cx - s * 0.17 + k * s * 0.17,
                cy + s * 0.2,
                cx + s * 0.17 + k * s * 0.17,
                cy + s * 0.5,
            ),
            20,
            160,
            fill=(60, 40, 40),
            width=4,
        )
        if kind == "cat":
            for dy in (0.22, 0.34, 0.46):
                draw.line(
                    (cx + k * s * 0.3, cy + s * 0.32, cx + k * s * 1.15, cy + s * dy),
                    fill=(250, 250, 250),
                    width=2,
                )


def _cat_ears(draw: ImageDraw.ImageDraw, at: Point, s: float, fur: RGB) -> None:
    """Draw the ears of a cat; ``s`` is the radius of its head."""
    cx, cy = at
    for k in (-1, 1):
        draw.polygon(
            (
                (cx + k * s * 0.95, cy - s * 1.15),
                (cx + k * s * 0.98, cy - s * 0.1),
                (cx + k * s * 0.2, cy - s * 0.75),
            ),
            fill=fur,
        )
        draw.polygon(
            (
                (cx + k * s * 0.86, cy - s * 0.92),
                (cx + k * s * 0.86, cy - s * 0.3),
                (cx + k * s * 0.4, cy - s * 0.66),
            ),
            fill=(236, 170, 170),
        )


def pet(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    """Draw a simple cat or dog, indoors or on grass."""
    w, h = size
    image = (
        room(rng, style, size)[0].filter(ImageFilter.BoxBlur(6))
        if rng.chance(0.6)
        else surfaces.foliage(rng, size, rng.shade((110, 160, 70), 14))
    )
    kind = rng.choice(("cat", "dog"))
    fur = rng.shade(
        rng.choice(
            by_style(
                style,
                ((226, 150, 80), (90, 84, 82), (240, 236, 228), (170, 120, 76)),
                ((200, 180, 150), (60, 56, 60)),
            )
        ),
        12,
    )
    ear_tone = mix(fur, (0, 0, 0), 0.3)
    s = min(size) * rng.uniform(0.26, 0.32)
    cx, cy = w * rng.uniform(0.42, 0.58), h * rng.uniform(0.38, 0.46)
    mask = Image.new("L", size, 0)
    body = (cx - s * 1.0, cy + s * 0.3, cx + s * 1.0, cy + s * 2.5)
    ImageDraw.Draw(mask).ellipse(body, fill=255)
    shadow(image, mask, (10, 12), 0.4)
    draw = ImageDraw.Draw(image)
    draw.ellipse(body, fill=mix(fur, (0, 0, 0), 0.12))
    draw.ellipse(
        (cx - s * 0.5, cy + s * 0.7, cx + s * 0.5, cy + s * 2.3),
        fill=mix(fur, (255, 255, 255), 0.45),
    )
    if kind == "cat":
        _cat_ears(draw, (cx, cy), s, fur)
    draw.ellipse((cx - s, cy - s * 0.9, cx + s, cy + s * 0.85), fill=fur)
    if kind == "dog":
        for k in (-1, 1):
            ear = [
                (cx + k * s * 0.62, cy - s * 0.82),
                (cx + k * s * 1.25, cy - s * 0.3),
                (cx + k * s * 1.15, cy + s * 0.55),
                (cx + k * s * 0.75, cy + s * 0.1),
            ]
            draw.polygon(ear, fill=ear_tone)
        draw.ellipse(
            (cx - s * 0.5, cy - s * 0.02, cx + s * 0.5, cy + s * 0.75),
            fill=mix(fur, (255, 255, 255), 0.5),
        )
    _face(draw, kind, (cx, cy), s)
    return image, {"animal": kind}
