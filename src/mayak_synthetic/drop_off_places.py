"""Label 2: drop-off places seen from near."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFilter

from mayak_synthetic import surfaces
from mayak_synthetic.canvas import (
    COLOURS,
    RGB,
    Box,
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
    toned,
    turned,
    typeface,
    wobbly,
)
from mayak_synthetic.drop_off_marks import finish

Size = tuple[int, int]


def _block(image: Image.Image, box: Box, colour: RGB, radius: int = 6) -> None:
    """Draw a box that projects from a wall: shadow, bevel, face."""
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius, fill=255)
    shadow(image, mask, (9, 13), 0.55)
    left, top, right, bottom = box
    rounded(image, box, radius, mix(colour, (0, 0, 0), 0.35))
    rounded(image, (left, top, right - 4, bottom - 5), radius, mix(colour, (255, 255, 255), 0.3))
    rounded(image, (left + 4, top + 4, right - 5, bottom - 6), radius, colour)


def _around(rng: SeededRandom, box: Box) -> Point:
    """Return a point at the edge of a box."""
    left, top, right, bottom = box
    side = rng.choice(("below", "left", "right", "behind", "below"))
    x, y = rng.uniform(left, right), rng.uniform(top, bottom)
    if side == "below":
        y = bottom + 14
    elif side == "left":
        x = left - 10
    elif side == "right":
        x = right + 10
    else:
        y = top + 6
    return x, y


def _pipe(draw: ImageDraw.ImageDraw, points: list[Point], width: int, colour: RGB) -> None:
    for inset, tone in (
        (0, mix(colour, (0, 0, 0), 0.45)),
        (2, colour),
        (max(3, width // 3), mix(colour, (255, 255, 255), 0.35)),
    ):
        wide = width - inset * 2
        if wide > 0:
            draw.line([v for p in points for v in p], fill=tone, width=wide, joint="curve")


def gas_meter(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, wall = surfaces.wall(rng, style, size)
    short = min(size)
    half = short * rng.uniform(0.19, 0.27)
    cx, cy = size[0] * rng.uniform(0.42, 0.58), size[1] * rng.uniform(0.42, 0.54)
    draw = ImageDraw.Draw(image)
    tube = rng.shade(rng.choice(("yellow", "grey", "beige", "orange")), 12)
    wide = round(short * 0.05)
    for sign in (-1, 1):
        x = cx + sign * half * 0.6
        end = (size[0] * (0 if sign < 0 else 1), cy - half * 1.7)
        _pipe(draw, [(x, cy - half * 0.5), (x, cy - half * 1.7), end], wide, tube)
        draw.rectangle(
            (x - wide * 0.8, cy - half * 1.15, x + wide * 0.8, cy - half * 0.95),
            fill=mix(tube, (0, 0, 0), 0.4),
        )
    body = rng.shade(
        by_style(style, rng.choice(("grey", "beige", "white")), rng.choice(("sky_blue", "green"))),
        12,
    )
    box = (round(cx - half), round(cy - half), round(cx + half), round(cy + half))
    _block(image, box, body, round(half * 0.3))
    rounded(
        image,
        (cx - half * 0.72, cy - half * 0.5, cx + half * 0.72, cy + half * 0.1),
        6,
        (236, 236, 230),
    )
    window = (cx - half * 0.55, cy - half * 0.36, cx + half * 0.55, cy - half * 0.08)
    rounded(image, window, 3, (24, 24, 26))
    font = typeface(bold(rng, style), max(12, round(half * 0.22)))
    draw = ImageDraw.Draw(image)
    draw.text(
        ((window[0] + window[2]) / 2, (window[1] + window[3]) / 2),
        f"0{rng.integer(1000, 9999)}",
        font=font,
        fill=(240, 240, 240),
        anchor="mm",
    )
    draw.text(
        (cx, cy + half * 0.01),
        "m³ 가스",
        font=typeface(bold(rng, style), max(10, round(half * 0.13))),
        fill=(60, 60, 60),
        anchor="mm",
    )
    r = half * 0.2
    draw.ellipse(
        (cx - r, cy + half * 0.3, cx + r, cy + half * 0.3 + 2 * r),
        fill=mix(body, (0, 0, 0), 0.2),
        outline=mix(body, (0, 0, 0), 0.5),
        width=3,
    )
    return finish(image, rng, style, _around(rng, box), {"wall": wall})


def electric_meter(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, wall = surfaces.wall(rng, style, size)
    short = min(size)
    columns = rng.choice((1, 1, 2, 3))
    half = (short * (0.2 if columns == 1 else 0.15), short * (0.27 if columns == 1 else 0.2))
    draw = ImageDraw.Draw(image)
    boxes: list[Box] = []
    body = rng.shade(
        by_style(style, rng.choice(("beige", "grey", "white")), rng.choice(("brown", "sky_blue"))),
        12,
    )
    cy = size[1] * rng.uniform(0.42, 0.52)
    for k in range(columns):
        cx = size[0] / 2 + (k - (columns - 1) / 2) * half[0] * 2.25 + rng.uniform(-8, 8)
        _pipe(draw, [(cx, 0), (cx, cy)], round(short * 0.035), rng.shade("grey", 10))
        _pipe(
            draw,
            [(cx + half[0] * 0.4, cy), (cx + half[0] * 0.4, size[1])],
            round(short * 0.03),
            rng.shade("black", 10),
        )
        box = (round(cx - half[0]), round(cy - half[1]), round(cx + half[0]), round(cy + half[1]))
        _block(image, box, body, 8)
        r = half[0] * 0.78
        top = cy - half[1] * 0.9
        draw.ellipse(
            (cx - r, top, cx + r, top + 2 * r), fill=(206, 212, 214), outline=(70, 72, 76), width=5
        )
        draw.rectangle(
            (cx - r * 0.62, top + r * 0.5, cx + r * 0.62, top + r * 0.86), fill=(20, 22, 24)
        )
        figures = typeface(bold(rng, style), max(10, round(r * 0.3)))
        draw.text(
            (cx, top + r * 0.68),
            f"{rng.integer(10000, 99999)}",
            font=figures,
            fill=(250, 250, 250),
            anchor="mm",
        )
        draw.text((cx, top + r * 1.2), "kWh", font=figures, fill=(40, 40, 40), anchor="mm")
        draw.rectangle(
            (cx - r * 0.7, top + r * 1.5, cx + r * 0.7, top + r * 1.6), fill=(150, 40, 40)
        )
        draw.rectangle(
            (box[0] + 10, box[3] - half[1] * 0.5, box[2] - 10, box[3] - 12),
            fill=mix(body, (0, 0, 0), 0.15),
            outline=mix(body, (0, 0, 0), 0.4),
        )
        boxes.append(box)
    return finish(
        image, rng, style, _around(rng, rng.choice(boxes)), {"wall": wall, "count": columns}
    )


def _mailbox_door(
    draw: ImageDraw.ImageDraw, rng: SeededRandom, at: Point, size: Point, colour: RGB
) -> None:
    """Draw the door of one mailbox with its slot, sometimes with a letter in it."""
    x, y = at
    width, height = size
    face = rng.shade(colour, 7)
    draw.rectangle(
        (x + 3, y + 3, x + width - 4, y + height - 4),
        fill=face,
        outline=mix(face, (0, 0, 0), 0.5),
        width=2,
    )
    draw.line((x + 5, y + 5, x + width - 7, y + 5), fill=mix(face, (255, 255, 255), 0.5), width=2)
    slot = (x + width * 0.14, y + height * 0.16, x + width * 0.86, y + height * 0.32)
    draw.rectangle(slot, fill=(16, 16, 18))
    draw.line(
        (slot[0], slot[3] + 2, slot[2], slot[3] + 2),
        fill=mix(face, (255, 255, 255), 0.55),
        width=2,
    )
    if rng.chance(0.25):
        draw.polygon(
            (
                (slot[0] + 8, slot[3]),
                (slot[2] - 10, slot[3]),
                (slot[2] - 14, y),
                (slot[0] + 14, y + 6),
            ),
            fill=rng.shade("white", 12),
        )


def mailbox(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, wall = surfaces.wall(rng, style, size)
    columns, rows = rng.integer(2, 4), rng.integer(2, 4)
    if size[0] > size[1]:
        columns += 1
    colour = rng.shade(
        by_style(
            style,
            rng.choice(("grey", "beige", "navy", "brown", "red")),
            rng.choice(("green", "purple", "sky_blue")),
        ),
        14,
    )
    left, top = size[0] * rng.uniform(0.06, 0.14), size[1] * rng.uniform(0.08, 0.18)
    width, height = (size[0] - 2 * left) / columns, (size[1] * 0.88 - top) / rows
    frame = (
        round(left - 12),
        round(top - 12),
        round(size[0] - left + 12),
        round(top + rows * height + 12),
    )
    _block(image, frame, mix(colour, (0, 0, 0), 0.3), 6)
    draw = ImageDraw.Draw(image)
    font = typeface(bold(rng, style), max(14, round(height * 0.17)))
    spots: list[Point] = []
    floor = rng.integer(1, 8)
    for row in range(rows):
        for column in range(columns):
            x, y = left + column * width, top + row * height
            _mailbox_door(draw, rng, (x, y), (width, height), colour)
            plate = (x + width * 0.25, y + height * 0.46, x + width * 0.75, y + height * 0.7)
            draw.rectangle(plate, fill=(240, 238, 228))
            number = f"{floor + rows - 1 - row}0{column + 1}"
            draw.text(
                ((plate[0] + plate[2]) / 2, (plate[1] + plate[3]) / 2),
                number,
                font=font,
                fill=(30, 30, 34),
                anchor="mm",
            )
            r = height * 0.045
            draw.ellipse(
                (
                    x + width / 2 - r,
                    y + height * 0.82 - r,
                    x + width / 2 + r,
                    y + height * 0.82 + r,
                ),
                fill=(200, 200, 204),
                outline=(50, 50, 52),
            )
            spots.append((x + width / 2, y + height * 0.3))
    inner = [s for s in spots if 0.2 < s[0] / size[0] < 0.8 and 0.2 < s[1] / size[1] < 0.8] or spots
    return finish(image, rng, style, rng.choice(inner), {"wall": wall, "count": rows * columns})


def air_conditioner(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, wall = surfaces.wall(rng, style, size)
    ground = round(size[1] * rng.uniform(0.74, 0.84))
    image.paste(surfaces.concrete(rng, (size[0], size[1] - ground)), (0, ground))
    width = size[0] * rng.uniform(0.6, 0.76)
    height = min(width * rng.uniform(0.7, 0.82), ground * 0.86)
    left = (size[0] - width) / 2 + rng.uniform(-0.06, 0.06) * size[0]
    box = (round(left), round(ground - height + 14), round(left + width), ground + 14)
    draw = ImageDraw.Draw(image)
    _pipe(
        draw,
        [
            (box[2] - 20, box[1] + height * 0.7),
            (box[2] + 40, box[1] + height * 0.7),
            (box[2] + 40, 0),
        ],
        20,
        rng.shade("white", 14),
    )
    body = rng.shade(
        by_style(style, (222, 220, 208), rng.choice(((186, 192, 198), (210, 200, 176)))), 10
    )
    _block(image, box, body, 8)
    draw = ImageDraw.Draw(image)
    r = min(height, width * 0.66) * 0.42
    cx, cy = left + width * 0.38, (box[1] + box[3]) / 2
    draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=(38, 40, 44))
    turn = rng.uniform(0, 2)
    for k in range(4):
        blade = [(cx, cy), (cx + r * 0.9, cy - r * 0.25), (cx + r * 0.92, cy + r * 0.25)]
        draw.polygon(turned(blade, (cx, cy), turn + k * math.pi / 2), fill=(84, 88, 94))
    for k in range(1, 8):
        q = r * k / 7
        draw.ellipse((cx - q, cy - q, cx + q, cy + q), outline=(172, 174, 172), width=2)
    for k in range(8):
        a = k * math.pi / 4
        draw.line(
            (cx, cy, cx + r * math.cos(a), cy + r * math.sin(a)), fill=(172, 174, 172), width=3
        )
    draw.ellipse((cx - r * 0.14, cy - r * 0.14, cx + r * 0.14, cy + r * 0.14), fill=(190, 192, 190))
    x = left + width * 0.74
    draw.line((x, box[1] + 6, x, box[3] - 8), fill=mix(body, (0, 0, 0), 0.35), width=3)
    for y in range(box[1] + 22, box[1] + round(height * 0.5), 12):
        draw.line((x + 14, y, box[2] - 16, y), fill=mix(body, (0, 0, 0), 0.4), width=4)
    for share in (0.16, 0.84):
        leg = left + width * share
        draw.rectangle((leg - 26, box[3] - 2, leg + 26, box[3] + 12), fill=(70, 70, 72))
    spot = _around(rng, (box[0], box[1], box[2], box[3] - 20))
    return finish(image, rng, style, spot, {"wall": wall})


def _manhole(
    draw: ImageDraw.ImageDraw, rng: SeededRandom, style: Style, at: Point, short: int, iron: RGB
) -> float:
    """Draw the cover of a manhole; return its radius."""
    cx, cy = at
    r = short * rng.uniform(0.28, 0.36)
    draw.ellipse(
        (cx - r - 14, cy - r - 14, cx + r + 14, cy + r + 14), fill=mix(iron, (0, 0, 0), 0.5)
    )
    draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=iron)
    studs = by_style(style, 8, 6)
    for ring in range(1, studs):
        q = r * ring / studs
        for k in range(ring * 6):
            a = k * 2 * math.pi / (ring * 6)
            px, py = cx + q * math.cos(a), cy + q * math.sin(a)
            draw.rectangle((px - 6, py - 5, px + 6, py + 5), fill=mix(iron, (255, 255, 255), 0.22))
    draw.ellipse(
        (cx - r * 0.24, cy - r * 0.24, cx + r * 0.24, cy + r * 0.24),
        fill=mix(iron, (0, 0, 0), 0.3),
    )
    font = typeface(bold(rng, style), round(r * 0.16))
    draw.text(
        (cx, cy),
        rng.choice(("오수", "우수", "하수")),
        font=font,
        fill=mix(iron, (255, 255, 255), 0.5),
        anchor="mm",
    )
    return r


def _grate(draw: ImageDraw.ImageDraw, rng: SeededRandom, at: Point, short: int, iron: RGB) -> float:
    """Draw a drain grate; return half of its width."""
    cx, cy = at
    half = (short * rng.uniform(0.34, 0.44), short * rng.uniform(0.2, 0.28))
    corners = (cx - half[0], cy - half[1], cx + half[0], cy + half[1])
    draw.rectangle(
        (corners[0] - 16, corners[1] - 16, corners[2] + 16, corners[3] + 16),
        fill=mix(iron, (190, 186, 180), 0.6),
    )
    draw.rectangle(corners, fill=(10, 10, 12))
    bars = rng.integer(9, 14)
    for k in range(bars + 1):
        x = corners[0] + (corners[2] - corners[0]) * k / bars
        draw.rectangle((x - 6, corners[1], x + 6, corners[3]), fill=iron)
        draw.line(
            (x - 5, corners[1], x - 5, corners[3]),
            fill=mix(iron, (255, 255, 255), 0.4),
            width=2,
        )
    for y in (corners[1], cy, corners[3]):
        draw.rectangle((corners[0], y - 7, corners[2], y + 7), fill=mix(iron, (255, 255, 255), 0.1))
    return half[0]


def drain(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image = rng.choice((surfaces.asphalt, surfaces.concrete))(rng, size)
    draw = ImageDraw.Draw(image)
    cx, cy = size[0] * rng.uniform(0.42, 0.58), size[1] * rng.uniform(0.44, 0.56)
    short = min(size)
    iron = rng.shade(by_style(style, (74, 72, 70), (112, 86, 64)), 10)
    kind = rng.choice(("grate", "manhole"))
    if rng.chance(0.5):  # the kerb
        y = cy - short * 0.34
        draw.rectangle((0, y - short * 0.12, size[0], y), fill=rng.shade((176, 172, 166), 10))
        draw.rectangle((0, y, size[0], y + 10), fill=(70, 68, 66))
    if kind == "manhole":
        extent = _manhole(draw, rng, style, (cx, cy), short, iron)
    else:
        extent = _grate(draw, rng, (cx, cy), short, iron)
    for _ in range(rng.integer(0, 12)):  # fallen leaves
        x, y = rng.integer(0, size[0]), rng.integer(0, size[1])
        draw.ellipse(
            (x, y, x + rng.integer(8, 18), y + rng.integer(5, 10)),
            fill=rng.shade((140, 104, 50), 26),
        )
    spot = (cx + rng.uniform(-0.7, 0.7) * extent, cy + rng.uniform(-0.4, 0.4) * extent)
    return finish(image, rng, style, spot, {"form": kind}, tilt=10)


def planter(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, wall = surfaces.wall(rng, style, size)
    ground = round(size[1] * rng.uniform(0.66, 0.76))
    image.paste(
        rng.choice((surfaces.asphalt, surfaces.concrete))(rng, (size[0], size[1] - ground)),
        (0, ground),
    )
    left, right = size[0] * rng.uniform(0.04, 0.14), size[0] * rng.uniform(0.86, 0.96)
    top, bottom = size[1] * rng.uniform(0.5, 0.58), size[1] * rng.uniform(0.8, 0.88)
    leaves = Image.new("L", size, 0)
    pen = ImageDraw.Draw(leaves)
    for _ in range(rng.integer(9, 14)):
        x, r = rng.uniform(left, right), rng.uniform(0.1, 0.19) * min(size)
        pen.polygon(wobbly(rng, (x, top - r * rng.uniform(0.1, 0.7)), (r, r), 18, 0.25), fill=255)
    shadow(image, leaves, (10, 6), 0.45)
    green = rng.shade(
        by_style(style, rng.choice(((58, 110, 48), (84, 128, 52))), (104, 122, 40)), 12
    )
    image.paste(surfaces.foliage(rng, size, green), (0, 0), leaves)
    pot = rng.shade(
        by_style(style, rng.choice(("brown", "grey", "beige")), rng.choice(("navy", "white"))), 14
    )
    _block(image, (round(left), round(top), round(right), round(bottom)), pot, 6)
    texture = toned(noise(rng, size, 40, 2), (160, 160, 160), (255, 255, 255))
    box = (round(left), round(top), round(right), round(bottom))
    image.paste(Image.blend(image.crop(box), texture.crop(box), 0.12), box)
    draw = ImageDraw.Draw(image)
    draw.rectangle((left - 6, top - 4, right + 6, top + 18), fill=mix(pot, (255, 255, 255), 0.25))
    draw.rectangle((left + 6, top + 18, right - 6, top + 24), fill=mix(pot, (0, 0, 0), 0.4))
    if rng.chance(0.5):
        for _ in range(rng.integer(5, 12)):
            x, y = rng.uniform(left, right), top - rng.uniform(6, 90)
            draw.ellipse(
                (x - 7, y - 7, x + 7, y + 7),
                fill=rng.shade(rng.choice(("red", "pink", "white", "yellow")), 14),
            )
    spot = (
        rng.uniform(size[0] * 0.25, size[0] * 0.75),
        top + rng.uniform(-30, 10) if rng.chance(0.6) else bottom,
    )
    return finish(image, rng, style, spot, {"wall": wall}, marked=0.9)


def stairs(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, wall = surfaces.wall(rng, style, size)
    draw = ImageDraw.Draw(image)
    steps = rng.integer(5, 8)
    tone = rng.shade(
        by_style(style, rng.choice(((168, 164, 158), (140, 130, 122))), (122, 108, 92)), 12
    )
    x0, y0 = size[0] * rng.uniform(0.0, 0.1), size[1] * 0.95
    run, rise = size[0] * 0.9 / steps, size[1] * rng.uniform(0.72, 0.84) / steps
    profile: list[Point] = [(x0, y0)]
    for k in range(steps):
        profile += [(x0 + k * run, y0 - (k + 1) * rise), (x0 + (k + 1) * run, y0 - (k + 1) * rise)]
    under = [*profile, (x0 + steps * run, y0 - (steps - 1) * rise + 6), (x0 + run * 1.1, y0)]
    floor = round(y0)
    image.paste(surfaces.concrete(rng, (size[0], size[1] - floor)), (0, floor))
    hollow = [
        (x0 + run * 1.1, y0),
        (x0 + steps * run, y0 - (steps - 1) * rise + 6),
        (x0 + steps * run, y0),
    ]
    dark = Image.new("L", size, 0)
    ImageDraw.Draw(dark).polygon(hollow, fill=150)
    image.paste((16, 14, 14), (0, 0), dark.filter(ImageFilter.BoxBlur(6)))
    draw.polygon(under, fill=tone)
    for k in range(steps):
        y = y0 - (k + 1) * rise
        draw.rectangle(
            (x0 + k * run, y, x0 + (k + 1) * run + 6, y + 9), fill=mix(tone, (255, 255, 255), 0.4)
        )
        draw.line(
            (x0 + k * run, y + 9, x0 + k * run, y + rise), fill=mix(tone, (0, 0, 0), 0.45), width=4
        )
        draw.rectangle((x0 + k * run, y + 9, x0 + k * run + 22, y + 15), fill=rng.shade("black", 4))
    rail = rng.shade(by_style(style, "grey", "green"), 12)
    for k in range(steps):
        x = x0 + (k + 0.5) * run
        draw.line(
            (x, y0 - (k + 1) * rise, x, y0 - (k + 1) * rise - size[1] * 0.22), fill=rail, width=6
        )
    draw.line(
        (
            x0 + run * 0.5,
            y0 - rise - size[1] * 0.22,
            x0 + (steps - 0.5) * run,
            y0 - steps * rise - size[1] * 0.22,
        ),
        fill=rail,
        width=12,
    )
    if rng.chance(0.5):
        mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        spot = (size[0] - (x0 + steps * run * rng.uniform(0.66, 0.8)), y0 - rng.uniform(20, 60))
        return finish(mirrored, rng, style, spot, {"wall": wall}, marked=0.9)
    return finish(
        image,
        rng,
        style,
        (x0 + steps * run * rng.uniform(0.66, 0.8), y0 - rng.uniform(20, 60)),
        {"wall": wall},
        marked=0.9,
    )


def marked_wall(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    """A bare wall foot with a pipe; only the mark shows which place is meant."""
    image, wall = surfaces.wall(rng, style, size)
    surfaces.vertical(image, rng)
    ground = round(size[1] * rng.uniform(0.74, 0.86))
    kind = rng.choice((surfaces.asphalt, surfaces.concrete, surfaces.soil))
    image.paste(kind(rng, (size[0], size[1] - ground)), (0, ground))
    edge = Image.new("L", size, 0)
    ImageDraw.Draw(edge).rectangle((0, ground - 8, size[0], ground + 10), fill=150)
    image.paste((14, 12, 12), (0, 0), edge.filter(ImageFilter.BoxBlur(8)))
    if rng.chance(0.6):
        weeds = Image.new("L", size, 0)
        pen = ImageDraw.Draw(weeds)
        at = rng.uniform(0, size[0] * 0.8)
        for _ in range(40):
            x = at + rng.uniform(0, size[0] * 0.3)
            pen.line(
                (x, ground + 10, x + rng.uniform(-24, 24), ground - rng.uniform(20, 80)),
                fill=255,
                width=4,
            )
        image.paste(contrasted_green(rng, size), (0, 0), weeds)
    spot = (size[0] * rng.uniform(0.3, 0.7), ground - rng.uniform(10, size[1] * 0.3))
    return finish(image, rng, style, spot, {"wall": wall}, marked=1.0)


def contrasted_green(rng: SeededRandom, size: Size) -> Image.Image:
    """Return a green with much light and dark, for weeds."""
    tone = rng.shade(COLOURS["green"], 16)
    return toned(
        contrast(noise(rng, size, 30, 2), 1.8),
        mix(tone, (0, 0, 0), 0.5),
        mix(tone, (240, 255, 150), 0.3),
    )
