"""Fonts of the drawings: those that mayak ships, and those that only drawings use."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from mayak import fonts

DRAWN_FONTS = {
    "NanumSquareR": "NanumSquareR.ttf",
    "NanumSquareB": "NanumSquareB.ttf",
    "NanumSquareRoundR": "NanumSquareRoundR.ttf",
    "NanumSquareRoundB": "NanumSquareRoundB.ttf",
}
"""Name to file name of the fonts that only drawings use."""


def font_path(name: str) -> Path:
    """Return the file of a font.

    Raises:
        ConfigError: the name is unknown, or a file of mayak's own fonts is missing.
    """
    if name in DRAWN_FONTS:
        return Path(str(files(__name__))) / DRAWN_FONTS[name]
    return fonts.font_path(name)
