"""Label 3: powders, crystals, tablets, bags and dried leaf, photographed from near."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFilter

from mayak_synthetic.canvas import (
    Drawing,
    Facts,
    Point,
    SeededRandom,
    Style,
    by_style,
    contrast,
    ellipse_mask,
    mix,
    noise,
    rounded,
    shadow,
    toned,
    turned,
    typeface,
)
from mayak_synthetic.substances import (
    CRYSTAL_COLOURS,
    IMPRINTS_BASE,
    IMPRINTS_HELDOUT,
    POWDER_COLOURS,
    TABLET_COLOURS,
    TABLET_SHAPES,
    bag,
    fan_leaf,
    lay,
    leaf_clump,
    pile,
    scatter,
    shards,
    tablet,
)
from mayak_synthetic.surfaces import ground

Size = tuple[int, int]


def carrier(image: Image.Image, rng: SeededRandom, style: Style) -> tuple[str, Point, Point]:
    """Draw a holder under the substance; return its name, centre and the radius of free room."""
    width, height = image.size
    short = min(width, height)
    centre = (width * rng.uniform(0.42, 0.58), height * rng.uniform(0.44, 0.58))
    name = rng.choice(
        by_style(
            style,
            # Plates are among them: otherwise crockery alone would separate food from drugs.
            ("none", "paper", "foil", "mirror", "scale", "hand", "plate"),
            ("none", "plate", "card", "scale"),
        )
    )
    if name == "none":
        return name, centre, (short * rng.uniform(0.24, 0.38), short * rng.uniform(0.2, 0.32))
    if name == "hand":
        return name, *_hand(image, rng, short)
    if name == "scale":
        return name, *_scale(image, rng, style, centre, short)
    if name == "plate":
        r = short * 0.42
        mask = ellipse_mask(
            image.size, (centre[0] - r, centre[1] - r, centre[0] + r, centre[1] + r), 1
        )
        shadow(image, mask, (6, 10), 0.5)
        colours = by_style(style, ("white", "grey", "pink"), ("white", "sky_blue", "black"))
        image.paste(rng.shade(rng.choice(colours), 10), (0, 0), mask)
        rim = ellipse_mask(
            image.size,
            (
                centre[0] - r * 0.75,
                centre[1] - r * 0.75,
                centre[0] + r * 0.75,
                centre[1] + r * 0.75,
            ),
            3,
        )
        image.paste((150, 150, 150), (0, 0), rim.point([v // 5 for v in range(256)]))
        return name, centre, (r * 0.55, r * 0.5)
    return name, *_sheet(image, rng, name, centre, short)


def _sheet(
    image: Image.Image, rng: SeededRandom, name: str, centre: Point, short: int
) -> tuple[Point, Point]:
    """Draw paper, foil, a mirror or a card."""
    half = (short * rng.uniform(0.40, 0.5), short * rng.uniform(0.32, 0.42))
    corners: list[Point] = [
        (centre[0] - half[0], centre[1] - half[1]),
        (centre[0] + half[0], centre[1] - half[1]),
        (centre[0] + half[0], centre[1] + half[1]),
        (centre[0] - half[0], centre[1] + half[1]),
    ]
    corners = turned(corners, centre, rng.uniform(-0.5, 0.5))
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    shadow(image, mask, (5, 9), 0.5)
    if name == "foil":
        crumple = contrast(noise(rng, image.size, 14, 3).filter(ImageFilter.EMBOSS), 2.4)
        sheet = toned(crumple, (96, 98, 104), (250, 250, 252))
    elif name == "mirror":
        sheet = toned(noise(rng, image.size, 2, 1), (70, 84, 96), (176, 192, 204))
    elif name == "card":
        sheet = Image.new(
            "RGB", image.size, rng.shade(rng.choice(("navy", "black", "purple", "green")), 10)
        )
    else:
        base = rng.shade((236, 234, 226), 8)
        sheet = toned(noise(rng, image.size, 5, 2), mix(base, (0, 0, 0), 0.16), base)
    image.paste(sheet, (0, 0), mask.filter(ImageFilter.BoxBlur(0.7)))
    if name == "mirror":
        ImageDraw.Draw(image).polygon(corners, outline=(226, 230, 234), width=6)
    return centre, (half[1] * 0.74, half[1] * 0.62)


def _scale(
    image: Image.Image, rng: SeededRandom, style: Style, centre: Point, short: int
) -> tuple[Point, Point]:
    """Draw a pocket scale with a lit figure."""
    half = (short * 0.36, short * 0.46)
    body = rng.shade(
        by_style(style, rng.choice(("black", "grey")), rng.choice(("white", "navy"))), 8
    )
    mask = Image.new("L", image.size, 0)
    box = (centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1])
    ImageDraw.Draw(mask).rounded_rectangle(box, 18, fill=255)
    shadow(image, mask, (8, 12), 0.55)
    image.paste(body, (0, 0), mask)
    plate = (box[0] + 14, box[1] + 14, box[2] - 14, box[1] + half[1] * 1.42)
    steel = contrast(noise(rng, image.size, 3, 2), 0.6)
    plate_mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(plate_mask).rounded_rectangle(plate, 10, fill=255)
    image.paste(toned(steel, (140, 144, 150), (226, 230, 234)), (0, 0), plate_mask)
    lcd = (
        centre[0] - half[0] * 0.7,
        box[3] - half[1] * 0.42,
        centre[0] + half[0] * 0.7,
        box[3] - half[1] * 0.1,
    )
    rounded(image, lcd, 6, rng.choice(((150, 190, 120), (110, 180, 230))))
    figure = f"{rng.uniform(0.2, 9.8):.2f} g"
    font = typeface(
        "NanumGothicCoding" if style == "heldout" else "Pretendard-Bold", round(half[1] * 0.26)
    )
    ImageDraw.Draw(image).text(
        ((lcd[0] + lcd[2]) / 2, (lcd[1] + lcd[3]) / 2),
        figure,
        font=font,
        fill=(20, 30, 24),
        anchor="mm",
    )
    return ((plate[0] + plate[2]) / 2, (plate[1] + plate[3]) / 2), (half[0] * 0.66, half[1] * 0.5)


def _hand(image: Image.Image, rng: SeededRandom, short: int) -> tuple[Point, Point]:
    """Draw an open palm from the lower edge."""
    skin = rng.shade(rng.choice(((226, 178, 144), (206, 152, 116), (236, 194, 166))), 10)
    centre = (image.width * rng.uniform(0.45, 0.55), image.height * 0.58)
    r = short * 0.3
    mask = Image.new("L", image.size, 0)
    draw = ImageDraw.Draw(mask)
    draw.ellipse(
        (centre[0] - r, centre[1] - r * 0.95, centre[0] + r, centre[1] + r * 1.1), fill=255
    )
    draw.rectangle((centre[0] - r * 0.66, centre[1], centre[0] + r * 0.66, image.height), fill=255)
    lines: list[tuple[Point, Point]] = []
    for k, long in zip((-0.72, -0.26, 0.2, 0.64), (1.5, 1.8, 1.75, 1.45), strict=True):
        start = (centre[0] + k * r, centre[1] - r * 0.4)
        end = (centre[0] + k * r * 1.5, centre[1] - r * long)
        lines.append((start, end))
    thumb = rng.choice((-1, 1))
    lines.append(
        (
            (centre[0] + thumb * r * 0.7, centre[1] + r * 0.3),
            (centre[0] + thumb * r * 1.5, centre[1] - r * 0.4),
        )
    )
    for start, end in lines:
        draw.line((*start, *end), fill=255, width=round(r * 0.42))
        draw.ellipse(
            (end[0] - r * 0.21, end[1] - r * 0.21, end[0] + r * 0.21, end[1] + r * 0.21), fill=255
        )
    shadow(image, mask, (8, 12), 0.5)
    rough = toned(
        noise(rng, image.size, 6, 3),
        mix(skin, (90, 30, 20), 0.35),
        mix(skin, (255, 236, 220), 0.3),
    )
    image.paste(rough, (0, 0), mask.filter(ImageFilter.BoxBlur(1.5)))
    crease = mix(skin, (110, 50, 36), 0.55)
    pen = ImageDraw.Draw(image)
    pen.arc(
        (centre[0] - r, centre[1] - r * 0.5, centre[0] + r * 0.6, centre[1] + r * 1.4),
        200,
        320,
        fill=crease,
        width=3,
    )
    for start, end in lines:
        pen.line(
            (start[0] - r * 0.12, start[1] - r * 0.2, start[0] + r * 0.12, start[1] - r * 0.2),
            fill=crease,
            width=2,
        )
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        pen.line(
            (middle[0] - r * 0.14, middle[1], middle[0] + r * 0.14, middle[1]), fill=crease, width=2
        )
    return (centre[0], centre[1] + r * 0.1), (r * 0.62, r * 0.52)


def powder(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, name = ground(rng, style, size)
    holder, centre, radius = carrier(image, rng, style)
    colour = rng.choice(tuple(POWDER_COLOURS)) if rng.chance(0.6) else "white"
    form = "heap" if holder in ("hand", "scale") else rng.choice(("heap", "heap", "lines", "heaps"))
    if form == "heap":
        count = 1
        pile(image, rng, centre, radius, POWDER_COLOURS[colour])
    elif form == "heaps":
        count = rng.integer(2, 3)
        for k in range(count):
            at = (
                centre[0] + (k - (count - 1) / 2) * radius[0] * 1.25,
                centre[1] + rng.uniform(-0.4, 0.4) * radius[1],
            )
            pile(image, rng, at, (radius[0] * 0.5, radius[1] * 0.55), POWDER_COLOURS[colour])
    else:
        count = rng.integer(2, 4)
        for k in range(count):
            at = (centre[0], centre[1] + (k - (count - 1) / 2) * radius[1] * 0.62)
            pile(
                image,
                rng,
                at,
                (radius[0] * 1.05, radius[1] * 0.18),
                POWDER_COLOURS[colour],
                peak=0.4,
            )
    facts: Facts = {
        "ground": name,
        "container": holder,
        "colour": colour,
        "form": form,
        "count": count,
    }
    return image, facts


def crystals(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, name = ground(rng, style, size)
    holder, centre, radius = carrier(image, rng, style)
    colour = rng.choice(tuple(CRYSTAL_COLOURS))
    side = min(size) * rng.uniform(*by_style(style, (0.026, 0.046), (0.03, 0.052)))
    room = radius[0] * radius[1] / side**2
    shards(
        image,
        rng,
        centre,
        radius,
        CRYSTAL_COLOURS[colour],
        min(110, max(26, round(room * 1.5))),
        side,
    )
    return image, {
        "ground": name,
        "container": holder,
        "colour": colour,
        "form": "cluster",
        "count": 1,
    }


def tablets(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, name = ground(rng, style, size)
    holder, centre, radius = carrier(image, rng, style)
    kinds = rng.sample(TABLET_COLOURS, rng.integer(1, 3))
    shape = rng.choice(TABLET_SHAPES if style == "base" else ("round", "square"))
    imprint = rng.choice(by_style(style, IMPRINTS_BASE, IMPRINTS_HELDOUT))
    diameter = round(min(size) * rng.uniform(0.085, 0.13))
    if holder in ("hand", "scale"):
        diameter = round(diameter * 0.8)
    each = rng.integer(3, 7) if len(kinds) > 1 else rng.integer(4, 16)
    for colour in kinds:
        sprite = tablet(rng, style, diameter, colour, shape, imprint)
        scatter(image, rng, sprite, centre, (radius[0] * 1.1, radius[1] * 1.1), each)
    return image, {
        "ground": name,
        "container": holder,
        "colour": kinds[0],
        "colours": tuple(kinds),
        "shape": shape,
        "imprint": imprint,
        "count": each * len(kinds),
    }


def baggie(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, name = ground(rng, style, size)
    contents = rng.choice(("powder", "powder", "crystals", "crystals", "tablets", "dried_leaf"))
    count = rng.choice((1, 1, 2, 3))
    short = min(size)
    width = round(short * (rng.uniform(0.46, 0.62) if count == 1 else 0.36 if count == 2 else 0.29))
    height = round(width * rng.uniform(1.15, 1.4))
    angle = rng.uniform(-35, 35)
    colour = "white"
    for k in range(count):
        sprite, colour = bag(
            SeededRandom(rng.integer(0, 10**9), k), style, (width, height), contents
        )
        spread = (k - (count - 1) / 2) * width * 1.18
        centre = (
            size[0] / 2
            + spread * (1 if size[0] > size[1] else 0.8)
            + rng.uniform(-0.03, 0.03) * short,
            size[1] / 2 + rng.uniform(-0.08, 0.08) * short,
        )
        lay(image, sprite, centre, angle if count == 1 else rng.uniform(-18, 18))
    return image, {
        "ground": name,
        "container": "zip_bag",
        "contents": contents,
        "colour": colour,
        "count": count,
    }


def dried_leaf(rng: SeededRandom, style: Style, size: Size) -> Drawing:
    image, name = ground(rng, style, size)
    holder, centre, radius = carrier(image, rng, style)
    tone = rng.shade(rng.choice(((92, 116, 54), (110, 106, 58), (74, 98, 52))), 10)
    form = rng.choice(
        by_style(style, ("heap", "heap", "fan_leaf", "rolled"), ("heap", "heaps", "fan_leaf"))
    )
    count = 1
    if form == "fan_leaf":
        fan_leaf(image, rng, (centre[0], centre[1] + radius[1] * 0.5), max(radius) * 1.25, tone)
        leaf_clump(
            image,
            rng,
            (centre[0] + radius[0] * 0.7, centre[1] + radius[1] * 0.8),
            (radius[0] * 0.45, radius[1] * 0.4),
            tone,
        )
    elif form == "heaps":
        count = 2
        for sign in (-1, 1):
            leaf_clump(
                image,
                rng,
                (centre[0] + sign * radius[0] * 0.62, centre[1]),
                (radius[0] * 0.55, radius[1] * 0.7),
                tone,
            )
    else:
        leaf_clump(image, rng, centre, radius, tone)
    if form == "rolled":
        count = _joints(image, rng, (centre[0], centre[1] + radius[1] * 0.9), min(size))
    return image, {
        "ground": name,
        "container": holder,
        "colour": "green",
        "form": form,
        "count": count,
    }


def _joints(image: Image.Image, rng: SeededRandom, centre: Point, short: int) -> int:
    """Draw hand-rolled paper sticks; return how many."""
    count = rng.integer(1, 3)
    for k in range(count):
        long, thick = round(short * 0.34), max(10, round(short * 0.036))
        stick = Image.new("RGBA", (long, thick), (0, 0, 0, 0))
        draw = ImageDraw.Draw(stick)
        draw.polygon(
            ((0, thick * 0.3), (long, 0), (long, thick), (0, thick * 0.7)),
            fill=(232, 226, 210, 255),
        )
        draw.line((0, thick * 0.7, long, thick), fill=(186, 178, 160, 255), width=3)
        draw.polygon(
            (
                (0, thick * 0.3),
                (long * 0.06, thick * 0.2),
                (long * 0.06, thick * 0.8),
                (0, thick * 0.7),
            ),
            fill=(120, 110, 60, 255),
        )
        lay(
            image,
            stick,
            (centre[0] + rng.uniform(-20, 20), centre[1] + k * thick * 1.8),
            rng.uniform(-20, 20),
        )
    return count
