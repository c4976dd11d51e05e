"""The report as PDF, set by typst with the shipped fonts alone."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from functools import cache
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path

import typst
from fontTools.ttLib import TTFont

from mayak.errors import MayakError
from mayak.fonts import DEFAULT, FALLBACK, font_path
from mayak.i18n import msg
from mayak.report.document import Document, plain

_TEMPLATE = "report.typ"


def paper(document: Document, *, at: datetime) -> bytes:
    """A PDF file (PDF/A-2u) of the document. ``at`` is the time that it states of itself. Raises
    MayakError where memory does not suffice.

    typst reads the texts as data, from a file: none of them can become markup.
    """
    values = plain(document, document.language, _shows)
    del values["pictures"]
    with tempfile.TemporaryDirectory(prefix="mayak-report-") as name:
        folder = Path(name)
        (folder / "pictures").mkdir()
        for key, picture in document.pictures.items():
            (folder / "pictures" / f"{key}.jpg").write_bytes(picture)
        (folder / "data.json").write_text(json.dumps(values), encoding="utf-8")
        template = (files("mayak.report") / "templates" / _TEMPLATE).read_bytes()
        (folder / _TEMPLATE).write_bytes(template)
        # typst keeps some 400 MB of each volume until its process ends.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
            try:
                return child.submit(_compile, folder, at.replace(microsecond=0)).result()
            except BrokenProcessPool as error:
                raise MayakError(
                    msg("setting the PDF took its process along"),
                    remedy=msg("free memory, 1 GB should do, and write the report again"),
                ) from error


def _compile(folder: Path, at: datetime) -> bytes:
    return typst.compile(
        folder / _TEMPLATE,
        root=folder,
        font_paths=[font_path().parent],
        ignore_system_fonts=True,
        pdf_standards="a-2u",
        timestamp=at,
    )


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
