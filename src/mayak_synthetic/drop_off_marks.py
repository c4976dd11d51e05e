"""The photo of a drop-off place: a packet, the camera, and the mark drawn on the photo."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from mayak_synthetic.camera import shoot_at
from mayak_synthetic.canvas import (
    RGB,
    Drawing,
    Facts,
    Point,
    SeededRandom,
    Style,
    by_style,
    mix,
    shadow,
    turned,
    wobbly,
)

MARKS_BASE = ("circle", "circle", "arrow", "cross_mark")


MARKS_HELDOUT = ("box_mark", "double_circle", "bracket", "arrow")


MARK_COLOURS_BASE = ("red", "red", "yellow", "orange", "blue")


MARK_COLOURS_HELDOUT = ("lime", "magenta", "cyan")


def finish(
    image: Image.Image,
    rng: SeededRandom,
    style: Style,
    spot: Point,
    facts: Facts,
    *,
    marked: float = 0.8,
    tilt: float = 5.0,
) -> Drawing:
    """Hide a taped packet at the spot (in some), take the photo, and mark it (in most).

    The mark is drawn on the photo, as on a phone's screen, so night and blur do not dim it.
    """
    width, height = image.size
    short = min(image.size)
    spot = (
        min(max(spot[0], width * 0.26), width * 0.74),
        min(max(spot[1], height * 0.26), height * 0.74),
    )
    facts["packet"] = "no"
    if rng.chance(0.5):
        _packet(image, rng, style, spot, short * rng.uniform(0.05, 0.085))
        facts["packet"] = "yes"
    night = rng.chance(0.2)
    facts["time"] = "night" if night else "day"
    image, spot = shoot_at(image, rng, style, spot, night=night, tilt=tilt)
    facts["mark"] = facts["mark_colour"] = "none"
    if rng.chance(marked):
        facts["mark"], facts["mark_colour"] = mark(image, rng, style, spot, short)
    return image, facts


def mark(
    image: Image.Image, rng: SeededRandom, style: Style, spot: Point, short: float
) -> tuple[str, str]:
    """Draw a mark as a finger does on a phone's screen; return its shape and colour."""
    shape = rng.choice(by_style(style, MARKS_BASE, MARKS_HELDOUT))
    colour = rng.choice(by_style(style, MARK_COLOURS_BASE, MARK_COLOURS_HELDOUT))
    tone = rng.shade(colour, 8)
    pen = max(5, round(short * rng.uniform(0.014, 0.026)))
    draw = ImageDraw.Draw(image)
    radius = short * rng.uniform(0.13, 0.22)
    if shape in ("circle", "double_circle"):
        for swell in (1.0, 1.25) if shape == "double_circle" else (1.0,):
            wide = rng.uniform(0.95, 1.35)
            ring = wobbly(rng, spot, (radius * swell * wide, radius * swell), 40, 0.06)
            ring = ring[rng.integer(0, 8) :] + ring[:3]
            _stroke(draw, [*ring, ring[0]] if rng.chance(0.7) else ring, tone, pen)
    elif shape == "arrow":
        angle = rng.uniform(0, 2 * math.pi)
        start = (spot[0] + math.cos(angle) * radius * 2.3, spot[1] + math.sin(angle) * radius * 2.3)
        tip = (spot[0] + math.cos(angle) * radius * 0.5, spot[1] + math.sin(angle) * radius * 0.5)
        bend = ((start[0] + tip[0]) / 2 + rng.uniform(-12, 12), (start[1] + tip[1]) / 2)
        pen = round(pen * 1.3)
        _stroke(draw, [start, bend, tip], tone, pen)
        for side in (-0.5, 0.5):
            barb = (
                tip[0] + math.cos(angle + side) * radius * 0.75,
                tip[1] + math.sin(angle + side) * radius * 0.75,
            )
            _stroke(draw, [tip, barb], tone, pen)
    elif shape == "cross_mark":
        pen = round(pen * 1.3)
        for sign in (-1, 1):
            a = (spot[0] - radius * 0.7, spot[1] - sign * radius * 0.7 + rng.uniform(-6, 6))
            b = (spot[0] + radius * 0.7, spot[1] + sign * radius * 0.7)
            _stroke(draw, [a, b], tone, pen)
    elif shape == "box_mark":
        x, y = radius * rng.uniform(0.9, 1.3), radius
        corners = [
            (spot[0] - x, spot[1] - y),
            (spot[0] + x, spot[1] - y + 4),
            (spot[0] + x - 5, spot[1] + y),
            (spot[0] - x, spot[1] + y - 4),
        ]
        _stroke(draw, [*corners, corners[0]], tone, pen)
    else:  # corner brackets
        for sx in (-1, 1):
            for sy in (-1, 1):
                corner = (spot[0] + sx * radius, spot[1] + sy * radius)
                ends = (
                    (corner[0] - sx * radius * 0.55, corner[1]),
                    (corner[0], corner[1] - sy * radius * 0.55),
                )
                _stroke(draw, [ends[0], corner, ends[1]], tone, pen)
    return shape, colour


def _stroke(draw: ImageDraw.ImageDraw, points: list[Point], colour: RGB, width: int) -> None:
    draw.line([v for p in points for v in p], fill=colour, width=width, joint="curve")
    r = width / 2
    for x, y in (points[0], points[-1]):
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def _packet(image: Image.Image, rng: SeededRandom, style: Style, spot: Point, half: float) -> None:
    tone = rng.shade(by_style(style, "black", rng.choice(("brown", "grey"))), 8)
    x, y = spot
    box = [
        (x - half * 1.4, y - half),
        (x + half * 1.4, y - half),
        (x + half * 1.4, y + half),
        (x - half * 1.4, y + half),
    ]
    box = turned(box, spot, rng.uniform(-0.5, 0.5))
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).polygon(box, fill=255)
    shadow(image, mask, (3, 5), 0.6)
    draw = ImageDraw.Draw(image)
    draw.polygon(box, fill=tone)
    shine = mix(tone, (255, 255, 255), 0.35)
    for t in (0.3, 0.62):
        a = (box[0][0] + (box[1][0] - box[0][0]) * t, box[0][1] + (box[1][1] - box[0][1]) * t)
        b = (box[3][0] + (box[2][0] - box[3][0]) * t, box[3][1] + (box[2][1] - box[3][1]) * t)
        draw.line((*a, *b), fill=shine, width=2)
