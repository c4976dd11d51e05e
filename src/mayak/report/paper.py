"""The report as PDF, set by typst with the shipped fonts alone."""

from __future__ import annotations

import json
import tempfile
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

import typst
from fontTools.ttLib import TTFont

from mayak.fonts import DEFAULT, FALLBACK, font_path
from mayak.report.document import Document, plain


def paper(document: Document, *, at: datetime) -> bytes:
    """A PDF file (PDF/A-2) of the document. ``at`` is the time that it states of itself.

    typst reads the texts as data, from a file: none of them can become markup.
    """
    values = plain(document, _shows)
    del values["pictures"]
    with tempfile.TemporaryDirectory(prefix="mayak-report-") as name:
        folder = Path(name)
        (folder / "pictures").mkdir()
        for key, picture in document.pictures.items():
            (folder / "pictures" / f"{key}.jpg").write_bytes(picture)
        (folder / "data.json").write_text(json.dumps(values), encoding="utf-8")
        template = (files("mayak.report") / "templates" / "report.typ").read_bytes()
        (folder / "report.typ").write_bytes(template)
        made = typst.compile(
            folder / "report.typ",
            root=folder,
            font_paths=[font_path().parent],
            ignore_system_fonts=True,
            pdf_standards="a-2u",
            timestamp=at.replace(microsecond=0),
        )
    if not isinstance(made, bytes):
        raise TypeError(type(made))
    return made


def _shows(char: str) -> bool:
    return ord(char) in _characters()


@cache
def _characters() -> frozenset[int]:
    """What the fonts of the text can show, and those of hashes and paths as well."""
    shown: set[int] = set()
    for name in (DEFAULT, FALLBACK):
        with TTFont(font_path(name), lazy=True) as font:
            shown |= font.getBestCmap().keys()
    return frozenset(shown)
