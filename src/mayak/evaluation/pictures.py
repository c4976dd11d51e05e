"""Thumbnails and the contact sheet of misclassified images."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from PIL import Image, ImageDraw, ImageFont

from mayak.errors import DecodeError
from mayak.evaluation.rows import Row
from mayak.fonts import font_path
from mayak.i18n import Language, msg, render
from mayak.imaging import decode_file
from mayak.labels import label_name
from mayak.names import printable

_SIDE = 300
_GAP = 12
_CAPTION = 66
_HEADER = 44
_COLUMNS = 4
_MAX_IMAGES = 80
"""Images on a sheet; a larger sheet is not read, and becomes too large to open."""


def by_confidence(rows: Iterable[Row]) -> list[Row]:
    """Sort rows by the score of the predicted label, highest first."""
    return sorted(rows, key=lambda row: (-(max(row.scores) if row.scores else 0.0), row.id))


def thumbnail(root: Path, row: Row, side: int) -> Image.Image | None:
    """Return the image within ``side`` × ``side`` pixels; None if it is missing, changed or
    unreadable."""
    try:
        image = decode_file(root / row.image_path)
    except (OSError, DecodeError):
        return None
    if image.sha256 != row.sha256:
        return None
    small = Image.fromarray(image.pixels)
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return small


def data_uri(picture: Image.Image) -> str:
    """Return a picture as a ``data:`` address of a JPEG."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(picture, 78)).decode()


def contact_sheet(rows: Iterable[Row], root: Path, language: Language) -> bytes:
    """Return misclassified images as one JPEG: name, true → predicted, score, off-label mass."""
    wrong = by_confidence(rows)
    shown = wrong[:_MAX_IMAGES]
    columns = min(_COLUMNS, len(shown))
    lines = -(-len(shown) // columns)
    cell = (_SIDE + _GAP, _SIDE + _CAPTION + _GAP)
    # One narrow column would cut the heading off.
    width = max(columns * cell[0] + _GAP, 2 * cell[0])
    sheet = Image.new("RGB", (width, _HEADER + lines * cell[1] + _GAP), "#f4f5f7")
    draw = ImageDraw.Draw(sheet)
    bold = ImageFont.truetype(font_path("Pretendard-Bold"), 19)
    plain = ImageFont.truetype(font_path("Pretendard-Regular"), 15)
    title = msg("Misclassified: {n_wrong}", n_wrong=len(wrong))
    if len(wrong) > len(shown):
        title += msg(" (the {n_shown} surest)", n_shown=len(shown))
    draw.text((_GAP, 12), render(title, language), fill="#1b1f24", font=bold)
    for at, row in enumerate(shown):
        x = _GAP + at % columns * cell[0]
        y = _HEADER + at // columns * cell[1]
        draw.rectangle((x, y, x + _SIDE, y + _SIDE + _CAPTION), fill="#ffffff")
        small = thumbnail(root, row, _SIDE)
        if small is not None:
            sheet.paste(small, (x + (_SIDE - small.width) // 2, y + (_SIDE - small.height) // 2))
        scores = _scores(row)
        name = printable(PurePosixPath(row.image_path).name)
        text = (
            (label_name(row.label) + " → " + label_name(row.predicted), "#b42318"),
            (name, "#3d4650"),
            (scores, "#3d4650"),
        )
        for line, (words, colour) in enumerate(text):
            fitted = _fitted(draw, render(words, language), plain, _SIDE - 12)
            draw.text((x + 6, y + _SIDE + 4 + 20 * line), fitted, fill=colour, font=plain)
    return jpeg(sheet, 85)


def _scores(row: Row) -> str:
    if row.scores is None or row.off_label is None:
        return "“" + " ".join((row.answer or "").split()) + "”"
    return msg(
        "score {scores:.3f}, off-label {off_label:.2g}",
        scores=max(row.scores),
        off_label=row.off_label,
    )


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Cut a text to a width in pixels, with an ellipsis."""
    if draw.textlength(text, font=font) <= width:
        return text
    while text and draw.textlength(text + "…", font=font) > width:
        text = text[:-1]
    return text + "…"


def jpeg(picture: Image.Image, quality: int) -> bytes:
    """Return a picture as a JPEG."""
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality, optimize=True)
    return data.getvalue()
