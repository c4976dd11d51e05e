"""Powder, splinters, tablets, herb and bags: drawing tools of drugs and kitchen."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from mayak_synthetic.canvas import (
    COLOURS,
    RGB,
    Point,
    SeededRandom,
    Style,
    by_style,
    contrast,
    mix,
    noise,
    relief,
    rounded_mask,
    shadow,
    to_array,
    to_grey,
    toned,
    turned,
    wobbly,
)

Size = tuple[int, int]


POWDER_COLOURS: dict[str, RGB] = {
    "white": (244, 243, 238),
    "off_white": (232, 222, 198),
    "pink": (238, 188, 200),
    "brown": (176, 138, 100),
    "yellow": (236, 216, 140),
}


CRYSTAL_COLOURS: dict[str, RGB] = {
    "clear": (226, 234, 240),
    "white": (244, 246, 248),
    "sky_blue": (170, 212, 240),
    "yellow": (236, 220, 160),
}


TABLET_COLOURS = ("pink", "sky_blue", "yellow", "green", "orange", "purple", "white", "red")


IMPRINTS_BASE = ("heart", "star", "cross", "line", "smile")


IMPRINTS_HELDOUT = ("diamond", "crown", "ring")


TABLET_SHAPES = ("round", "square", "oval")


def pile(
    image: Image.Image,
    rng: SeededRandom,
    centre: Point,
    radius: Point,
    colour: RGB,
    *,
    peak: float = 1.0,
) -> None:
    """Draw a heap of powder with a lit and a shaded side onto ``image``."""
    left, top = round(centre[0] - radius[0] * 1.5), round(centre[1] - radius[1] * 1.5)
    width, height = round(radius[0] * 3), round(radius[1] * 3)
    half = (max(8, width // 2), max(8, height // 2))
    y, x = np.mgrid[0 : half[1], 0 : half[0]].astype(np.float32)
    x, y = (x / half[0] - 0.5) * 3, (y / half[1] - 0.5) * 3
    lumps = to_array(noise(rng, half, 5, 4))
    grain = to_array(noise(rng, half, max(8.0, half[0] / 3), 1))
    distance = np.sqrt(x * x + y * y) + (lumps - 0.5) * 0.85
    body = np.clip(1.0 - distance, 0, 1)
    field = body**0.85 * peak * 26 + grain * 1.1 + lumps * 5 * np.sqrt(body)
    light = relief(field.astype(np.float32), rng.uniform(-2.6, -0.6), 0.16)
    tone = np.clip(light * 0.86 + 0.04, 0, 1.08)
    mask = np.clip((body + (grain - 0.5) * 0.10) * 16, 0, 1)
    dust = np.clip((0.24 - np.abs(distance - 1.0)) * 4, 0, 1) * (grain > 0.72)
    mask = np.maximum(mask, dust * 0.7)
    shades = np.clip(tone[..., None] * np.array(colour, np.float32), 0, 255).astype(np.uint8)
    alpha = to_grey(mask.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    heap = Image.fromarray(shades).resize((width, height), Image.Resampling.BILINEAR)
    cast = Image.new("L", image.size, 0)
    cast.paste(alpha, (left, top))
    shadow(image, cast, (round(radius[0] * 0.08), round(radius[1] * 0.12)), 0.5)
    image.paste(heap, (left, top), alpha)


def shards(
    image: Image.Image,
    rng: SeededRandom,
    centre: Point,
    radius: Point,
    colour: RGB,
    count: int,
    side: float,
) -> None:
    """Draw a cluster of glassy splinters with bright and dark facets."""
    overlay = image.copy()
    glow = Image.new("L", image.size, 0)
    draw, veil = ImageDraw.Draw(overlay), ImageDraw.Draw(glow)
    bright, dim = mix(colour, (255, 255, 255), 0.75), mix(colour, (54, 62, 74), 0.5)
    places = []
    for _ in range(count):
        away, angle = math.sqrt(rng.uniform(0, 1)), rng.uniform(0, 2 * math.pi)
        places.append(
            (
                centre[0] + radius[0] * away * math.cos(angle),
                centre[1] + radius[1] * away * math.sin(angle),
            )
        )
    places.sort(key=lambda p: p[1])
    for x, y in places:
        size = side * rng.uniform(0.5, 1.25)
        long, angle = rng.uniform(1.0, 2.4), rng.uniform(0, math.pi)
        corners = []
        for k in range(rng.integer(4, 6)):
            a = k * 2 * math.pi / 5 + rng.uniform(-0.3, 0.3)
            r = size * rng.uniform(0.7, 1.0)
            corners.append((x + r * long * math.cos(a), y + r * math.sin(a)))
        corners = turned(corners, (x, y), angle)
        apex = (x + rng.uniform(-0.4, 0.4) * size, y + rng.uniform(-0.4, 0.4) * size)
        drop = [(px + size * 0.25, py + size * 0.4) for px, py in corners]
        draw.polygon(drop, fill=mix(dim, (20, 22, 26), 0.6))
        veil.polygon(drop, fill=90)
        veil.polygon(corners, fill=225)
        for k, corner in enumerate(corners):
            following = corners[(k + 1) % len(corners)]
            draw.polygon(
                (corner, following, apex), fill=mix(dim, bright, rng.uniform(0.15, 1.0) ** 0.8)
            )
        draw.line((*corners[0], *apex), fill=(255, 255, 255), width=1)
        if rng.chance(0.4):
            draw.line((*corners[0], *corners[1]), fill=(255, 255, 255), width=2)
    image.paste(overlay, (0, 0), glow.filter(ImageFilter.BoxBlur(0.7)))


def tablet(
    rng: SeededRandom, style: Style, diameter: int, colour: str, shape: str, imprint: str
) -> Image.Image:
    """Return one tablet as RGBA with a bevelled rim and a pressed sign."""
    zoom = 3
    side = diameter * zoom
    width = round(side * 0.62) if shape == "oval" else side
    tone = rng.shade(mix(COLOURS[colour], (255, 255, 255), by_style(style, 0.25, 0.1)), 10)
    sprite = Image.new("RGBA", (side, side), (*tone, 0))
    draw = ImageDraw.Draw(sprite)
    left = (side - width) // 2
    radius = side // 5 if shape == "square" else width // 2

    def layer(inset: int, fill: RGB, move: int = 0) -> None:
        box = (
            left + inset + move,
            inset + move,
            left + width - 1 - inset + move,
            side - 1 - inset + move,
        )
        draw.rounded_rectangle(box, max(2, radius - inset), fill=(*fill, 255))

    layer(0, mix(tone, (0, 0, 0), 0.35))
    layer(zoom, mix(tone, (255, 255, 255), 0.5))
    layer(zoom * 2, mix(tone, (0, 0, 0), 0.1), zoom // 2)
    layer(zoom * 3, tone)
    _imprint(draw, (side / 2, side / 2), width * 0.24, imprint, mix(tone, (0, 0, 0), 0.42), zoom)
    return sprite.resize((diameter, diameter), Image.Resampling.BOX)


def _imprint(
    draw: ImageDraw.ImageDraw, at: Point, r: float, sign: str, colour: RGB, zoom: int
) -> None:
    x, y = at
    if sign == "heart":
        draw.ellipse((x - r, y - r * 0.9, x, y + r * 0.1), fill=colour)
        draw.ellipse((x, y - r * 0.9, x + r, y + r * 0.1), fill=colour)
        draw.polygon(
            ((x - r * 0.97, y - r * 0.2), (x + r * 0.97, y - r * 0.2), (x, y + r)), fill=colour
        )
    elif sign == "star":
        points = [
            (
                x + r * (1.1 if k % 2 == 0 else 0.45) * math.sin(k * math.pi / 5),
                y - r * (1.1 if k % 2 == 0 else 0.45) * math.cos(k * math.pi / 5),
            )
            for k in range(10)
        ]
        draw.polygon(points, fill=colour)
    elif sign == "cross":
        draw.rectangle((x - r * 0.2, y - r, x + r * 0.2, y + r), fill=colour)
        draw.rectangle((x - r, y - r * 0.2, x + r, y + r * 0.2), fill=colour)
    elif sign == "line":
        draw.rectangle((x - r * 1.4, y - zoom, x + r * 1.4, y + zoom), fill=colour)
    elif sign == "smile":
        draw.arc((x - r, y - r, x + r, y + r), 20, 160, fill=colour, width=zoom * 2)
        for eye in (x - r * 0.5, x + r * 0.5):
            draw.ellipse(
                (eye - zoom * 1.5, y - r * 0.6, eye + zoom * 1.5, y - r * 0.1), fill=colour
            )
    elif sign == "diamond":
        draw.polygon(
            ((x, y - r * 1.2), (x + r * 0.8, y), (x, y + r * 1.2), (x - r * 0.8, y)), fill=colour
        )
    elif sign == "crown":
        points = [(x - r, y + r * 0.7), (x - r, y - r * 0.7), (x - r * 0.4, y), (x, y - r)]
        points += [(x + r * 0.4, y), (x + r, y - r * 0.7), (x + r, y + r * 0.7)]
        draw.polygon(points, fill=colour)
    else:
        draw.ellipse((x - r, y - r, x + r, y + r), outline=colour, width=zoom * 2)


def scatter(
    image: Image.Image,
    rng: SeededRandom,
    sprite: Image.Image,
    centre: Point,
    radius: Point,
    count: int,
) -> None:
    """Draw copies of a sprite, turned at random, each with its shadow; they overlap little."""
    taken: list[Point] = []
    side = sprite.width
    dark = Image.new("RGB", sprite.size, (10, 8, 8))
    for _ in range(count):
        at = (centre[0], centre[1])
        for _ in range(12):
            away, angle = math.sqrt(rng.uniform(0, 1)), rng.uniform(0, 2 * math.pi)
            at = (
                centre[0] + radius[0] * away * math.cos(angle),
                centre[1] + radius[1] * away * math.sin(angle),
            )
            if all((at[0] - x) ** 2 + (at[1] - y) ** 2 > (side * 0.8) ** 2 for x, y in taken):
                break
        taken.append(at)
    taken.sort(key=lambda p: p[1])
    for x, y in taken:
        copy = sprite.rotate(rng.integer(0, 359), Image.Resampling.BILINEAR)
        corner = (round(x - side / 2), round(y - side / 2))
        alpha = copy.getchannel("A")
        soft = alpha.filter(ImageFilter.BoxBlur(3)).point([v * 11 // 20 for v in range(256)])
        image.paste(dark, (corner[0] + side // 12, corner[1] + side // 8), soft)
        image.paste(copy, corner, alpha)


def leaf_clump(
    image: Image.Image, rng: SeededRandom, centre: Point, radius: Point, tone: RGB
) -> None:
    """Draw crumbled dried herb: many small flakes over a dark heap."""
    base = Image.new("L", image.size, 0)
    outline = wobbly(rng, centre, (radius[0] * 0.95, radius[1] * 0.95), 30, 0.2)
    ImageDraw.Draw(base).polygon(outline, fill=255)
    shadow(image, base, (6, 9), 0.6)
    box = (
        round(centre[0] - radius[0] * 1.3),
        round(centre[1] - radius[1] * 1.3),
        round(radius[0] * 2.6),
        round(radius[1] * 2.6),
    )
    crumbs = contrast(noise(rng, (box[2], box[3]), max(8.0, box[2] / 9), 3), 2.2)
    heap = toned(crumbs, mix(tone, (0, 0, 0), 0.75), mix(tone, (236, 240, 170), 0.45), tone)
    mask = base.crop((box[0], box[1], box[0] + box[2], box[1] + box[3])).filter(
        ImageFilter.BoxBlur(2)
    )
    image.paste(heap, (box[0], box[1]), mask)
    draw = ImageDraw.Draw(image)
    for _ in range(110):
        away, angle = math.sqrt(rng.uniform(0, 1.25)), rng.uniform(0, 2 * math.pi)
        x = centre[0] + radius[0] * away * math.cos(angle)
        y = centre[1] + radius[1] * away * math.sin(angle)
        long, turn = rng.uniform(3, 11), rng.uniform(0, math.pi)
        dx, dy = long * math.cos(turn), long * math.sin(turn)
        shade = mix(
            rng.shade(tone, 26), rng.choice(((0, 0, 0), (222, 216, 130), (150, 96, 40))), 0.3
        )
        draw.polygon(
            (
                (x - dx, y - dy),
                (x - dy * 0.4, y + dx * 0.4),
                (x + dx, y + dy),
                (x + dy * 0.3, y - dx * 0.3),
            ),
            fill=shade,
        )


def fan_leaf(
    image: Image.Image, rng: SeededRandom, centre: Point, radius: float, tone: RGB
) -> None:
    """Draw a leaf of seven toothed fingers."""
    mask = Image.new("L", image.size, 0)
    draw = ImageDraw.Draw(mask)
    turn = rng.uniform(-0.7, 0.7)
    ribs: list[tuple[float, float, float, float]] = []
    for finger in range(-3, 4):
        angle = finger * 0.52 + turn
        long = radius * (1 - 0.13 * abs(finger))
        edge: list[Point] = []
        for sign in (1, -1):
            steps = range(13) if sign == 1 else range(12, -1, -1)
            for k in steps:
                along = k / 12
                out = math.sin(math.pi * along**0.8) * 0.13 * (1.25 if k % 2 else 0.85)
                edge.append((sign * out * long, -along * long))
        edge = [(centre[0] + x, centre[1] + y) for x, y in edge]
        draw.polygon(turned(edge, centre, angle), fill=255)
        tip = turned([(centre[0], centre[1] - long * 0.92)], centre, angle)[0]
        ribs.append((*centre, *tip))
    shadow(image, mask, (5, 8), 0.5)
    texture = toned(
        noise(rng, image.size, 40, 2), mix(tone, (0, 0, 0), 0.45), mix(tone, (240, 255, 190), 0.3)
    )
    image.paste(texture, (0, 0), mask)
    ImageDraw.Draw(image).line(
        (*centre, *turned([(centre[0], centre[1] + radius * 0.3)], centre, turn)[0]),
        fill=mix(tone, (0, 0, 0), 0.3),
        width=4,
    )
    for rib in ribs:
        ImageDraw.Draw(image).line(rib, fill=mix(tone, (230, 240, 170), 0.5), width=2)


def bag(rng: SeededRandom, style: Style, size: Size, contents: str) -> tuple[Image.Image, str]:
    """Return an upright zip bag as RGBA, and the colour of its content."""
    width, height = size
    body = Image.new("RGB", size, rng.shade((206, 212, 216), 8))
    level = height * rng.uniform(0.5, 0.62)
    centre = (width / 2, (height + level) / 2 + height * 0.02)
    radius = (width * 0.40, (height - level) * 0.46)
    if contents == "powder":
        colour = rng.choice(tuple(POWDER_COLOURS))
        pile(
            body, rng, centre, (radius[0] * 1.1, radius[1] * 1.3), POWDER_COLOURS[colour], peak=0.7
        )
    elif contents == "crystals":
        colour = rng.choice(tuple(CRYSTAL_COLOURS))
        shards(body, rng, centre, radius, CRYSTAL_COLOURS[colour], 46, width * 0.055)
    elif contents == "tablets":
        colour = rng.choice(TABLET_COLOURS)
        imprint = rng.choice(by_style(style, IMPRINTS_BASE, IMPRINTS_HELDOUT))
        pill = tablet(rng, style, max(14, width // 5), colour, "round", imprint)
        scatter(body, rng, pill, centre, (radius[0] * 0.85, radius[1] * 0.8), rng.integer(6, 10))
    else:
        colour = "green"
        leaf_clump(
            body, rng, centre, (radius[0] * 0.9, radius[1] * 0.95), rng.shade((92, 112, 56), 14)
        )
    film = contrast(noise(rng, size, 4, 3), 2.6)
    body.paste((255, 255, 255), (0, 0), film.point([max(0, v - 165) for v in range(256)]))
    draw = ImageDraw.Draw(body)
    for _ in range(rng.integer(3, 6)):
        x, y = rng.uniform(0, width), rng.uniform(height * 0.2, height)
        end = (x + rng.uniform(-0.35, 0.35) * width, y + rng.uniform(-0.3, 0.3) * height)
        draw.line((x, y, *end), fill=(248, 250, 252), width=rng.integer(1, 3))
    zip_colour = rng.shade(
        by_style(style, rng.choice(("red", "blue", "grey")), rng.choice(("green", "purple"))), 10
    )
    top = round(height * 0.12)
    draw.rectangle((0, top, width, top + max(3, height // 36)), fill=zip_colour)
    draw.line((0, top + height // 18, width, top + height // 18), fill=(170, 176, 182), width=2)
    draw.rectangle(
        (1, 1, width - 2, height - 2), outline=(246, 248, 250), width=max(2, width // 60)
    )
    alpha = rounded_mask(size, max(4, width // 22))
    alpha = alpha.point([v * 88 // 100 for v in range(256)])
    core = Image.new("L", size, 0)
    ImageDraw.Draw(core).rectangle((width * 0.08, level, width * 0.92, height * 0.95), fill=38)
    body.putalpha(ImageChops.add(alpha, core.filter(ImageFilter.BoxBlur(width // 16))))
    return body, colour


def lay(image: Image.Image, sprite: Image.Image, centre: Point, angle: float) -> None:
    """Paste an RGBA sprite, turned by degrees, with a soft shadow."""
    sprite = sprite.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    at = (round(centre[0] - sprite.width / 2), round(centre[1] - sprite.height / 2))
    alpha = sprite.getchannel("A")
    cast = Image.new("L", image.size, 0)
    cast.paste(alpha, at)
    shadow(image, cast, (6, 10), 0.45)
    image.paste(sprite, at, alpha)
