"""The shipped Korean fonts: texts look the same if the system has none."""

from __future__ import annotations

import base64
import io
import unicodedata
from importlib.resources import files
from pathlib import Path

from mayak.errors import ConfigError
from mayak.i18n import msg

FONTS = {
    "Pretendard-Regular": "Pretendard-Regular.otf",
    "Pretendard-Bold": "Pretendard-Bold.otf",
    "NanumGothic": "NanumGothic.ttf",
    "NanumGothicCoding": "NanumGothicCoding.ttf",
}
"""Name to file name; all hold the 11,172 Hangul syllables."""

DEFAULT = "Pretendard-Regular"
DEFAULT_BOLD = "Pretendard-Bold"
FALLBACK = "NanumGothic"

_COMPOSING = ["ccmp", "ljmo", "vjmo", "tjmo", "kern"]
MARK = "/* the shipped fonts */"
"""In the style of an HTML page: the place where ``with_fonts`` inserts them."""


def font_path(name: str = DEFAULT) -> Path:
    """Return the file of a shipped font.

    Raises:
        ConfigError: the name is unknown, or the file is missing.
    """
    if name not in FONTS:
        raise ConfigError(
            msg("no shipped font is called {name!r}", name=name),
            remedy=msg("choose one of {fonts}", fonts=", ".join(FONTS)),
        )
    path = Path(str(files(__name__))) / FONTS[name]
    if not path.is_file():
        raise ConfigError(
            msg("the font file {path} is missing", path=path),
            remedy=msg("install mayak again"),
        )
    return path


def with_fonts(page: str) -> str:
    """Embed the default fonts in an HTML page at ``MARK``, reduced to the glyphs that it needs.

    The same page gives the same bytes.
    """
    faces = [
        f"@font-face {{ font-family: Pretendard; font-weight: {weight}; "
        f"src: url(data:font/woff;base64,{_subset(name, page)}) format('woff'); }}"
        for name, weight in ((DEFAULT, "400"), (DEFAULT_BOLD, "600 700"))
    ]
    return page.replace(MARK, "\n".join(faces))


def _subset(name: str, text: str) -> str:
    """Return a shipped font with the glyphs of a text, as WOFF in Base64."""
    from fontTools import subset  # half a second to import

    # Without the time of its making; of the layout rules those that put a Mac's Hangul names, whose
    # letters stand apart, together.
    options = subset.Options(recalc_timestamp=False, layout_features=_COMPOSING)
    subsetter = subset.Subsetter(options)
    # Browsers show a syllable of separate letters by the glyph of the whole one.
    subsetter.populate(text=text + unicodedata.normalize("NFC", text))
    stream = io.BytesIO()
    with subset.load_font(font_path(name), options) as font:
        subsetter.subset(font)
        font.flavor = "woff"
        font.save(stream, reorderTables=False)
    return base64.b64encode(stream.getvalue()).decode("ascii")
