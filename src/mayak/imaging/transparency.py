"""Transparency: composite a picture over a visible ground, and find pictures that alpha hides."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from PIL.TiffImagePlugin import TiffImageFile

UNDER = "under the transparency"
"""Name of the picture that transparency hides."""

_HIDING = 32
"""Alpha below which a picture is hidden: at most an eighth of its contrast remains."""
_MARGIN = 8
"""Pixels around the visible part that are not searched for a hidden picture: anti-aliasing mixes
colours into them, and so does WebP, in blocks of 8 pixels."""
_MIN_PIXELS = 32 * 32
"""Pixels of a hidden picture, at least: fewer show nothing."""
_MIN_DEVIATION = 4.0
"""Standard deviation of a hidden picture's samples, at least. Without a picture they are constant,
up to an error of 0.2 in lossy WebP; a picture has tens."""
_FEW_COLOURS = 16
"""Colours, of 16 levels a channel, that a hidden area without a picture has, at most: a constant
colour between two levels has 8, and programs leave one or two of them."""
_STEP = 32
_MIN_STEPS, _MIN_LINES = 6, 8
"""A text or drawing of few colours has at least 8 rows and columns with 6 or more steps of more
than 32 levels: as many as three letters have."""
_BLANK = 16
"""Levels between the darkest and the brightest sample of a picture in which nothing can be seen."""


def keep_under_alpha(image: Image.Image) -> bool:
    """Make the decoder of a TIFF return premultiplied samples as they are; return whether they are
    premultiplied.

    Pillow would divide them by alpha while it reads, and clear the samples under an alpha of 0.
    """
    tiles = image.tile if isinstance(image, TiffImageFile) else []
    multiplied = False
    for number, tile in enumerate(tiles):
        mode, *rest = tile.args if isinstance(tile.args, tuple) else (None,)
        if isinstance(mode, str) and mode.startswith("RGBa"):
            tiles[number] = tile._replace(args=(mode.replace("RGBa", "RGBA", 1), *rest))
            multiplied = True
    return multiplied


def undo_multiplication(image: Image.Image) -> Image.Image:
    """Divide the colours of premultiplied RGBA by alpha; colours under an alpha of 0 are kept."""
    return Image.frombytes("RGBa", image.size, image.tobytes()).convert("RGBA")


def composited(rgba: Image.Image, noted: list[str]) -> Image.Image:
    """Composite a picture over white, or over black if nothing of it could be seen on white."""
    alpha = rgba.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return rgba.convert("RGB")
    for ground in ("white", "black"):
        image = Image.new("RGB", rgba.size, ground)
        image.paste(rgba, mask=alpha)
        if ground == "white":
            on_white = image
            if not _is_blank(image):
                break
        elif not _is_blank(image):
            noted.append("transparency laid over black: on white nothing would be seen")
            return image
    noted.append("transparency laid over white")
    return on_white


def _is_blank(image: Image.Image) -> bool:
    extrema = cast("tuple[tuple[int, int], ...]", image.getextrema())  # of three channels
    return all(high - low <= _BLANK for low, high in extrema)


def hides_picture(rgba: Image.Image) -> bool:
    """Return whether the nearly transparent part of a picture contains a picture.

    Pixels with an alpha of 0 are examined separately from those with little alpha: a glow has one
    colour, and its surroundings may have another.
    """
    alpha = np.asarray(rgba.getchannel("A"))
    if alpha.min() >= _HIDING:
        return False
    visible = Image.fromarray((alpha >= _HIDING).view(np.uint8))
    hidden = np.asarray(visible.filter(ImageFilter.MaxFilter(2 * _MARGIN + 1))) == 0
    pixels = np.asarray(rgba)[:, :, :3]
    return any(_is_picture(pixels, hidden & part) for part in (alpha == 0, alpha > 0))


def _is_picture(pixels: NDArray[np.uint8], selected: NDArray[np.bool_]) -> bool:
    """Return whether the selected pixels (H, W, 3) vary as those of a picture do."""
    samples = pixels[selected]
    if len(samples) < _MIN_PIXELS or samples.var(axis=0).max() < _MIN_DEVIATION**2:
        return False
    red, green, blue = (samples >> 4).astype(np.uint16).T
    if np.count_nonzero(np.bincount(red << 8 | green << 4 | blue)) > _FEW_COLOURS:
        return True
    # Few colours: either a text or a drawing, or areas of one colour that programs leave (WebP's
    # lossless encoder in tiles). Only the former change often along a line.
    lines_with_steps = 0
    for lines, at in ((pixels, selected), (pixels.swapaxes(0, 1), selected.swapaxes(0, 1))):
        steps = np.abs(np.diff(lines.astype(np.int16), axis=1)).max(axis=2) > _STEP
        lines_with_steps += int(
            np.count_nonzero((steps & at[:, 1:] & at[:, :-1]).sum(axis=1) >= _MIN_STEPS)
        )
    return lines_with_steps >= _MIN_LINES
