"""Writes the report as PDF, typeset by typst with the fonts of the package only."""

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
from mayak.report.builder import DocumentBuilder
from mayak.report.document import Document, to_json_values
from mayak.types import Progress

_TEMPLATE = "report.typ"


def write_pdf(builder: DocumentBuilder, folder: Path, progress: Progress) -> None:
    """Write ``report.pdf``, or ``report-001.pdf`` and so on if there are several volumes.

    Raises:
        MayakError: the machine has not enough memory.
    """
    volumes = builder.volumes()
    with progress.task("PDF", len(volumes), msg("volumes")) as task:
        for number in range(len(volumes)):
            name = f"report-{number + 1:03d}.pdf" if len(volumes) > 1 else "report.pdf"
            data = render_pdf(builder.volume(volumes, number), created=builder.data.as_of)
            (folder / name).write_bytes(data)
            task.advance()


def render_pdf(document: Document, *, created: datetime) -> bytes:
    """Return the document as a PDF file (PDF/A-2u).

    ``created`` is the creation time in the file: a time of the case, because the same case must
    give the same bytes. typst reads the texts as data from a JSON file, so none of them can become
    markup.

    Raises:
        MayakError: the machine has not enough memory.
    """
    values = to_json_values(document, document.language, _shows)
    del values["pictures"]
    with tempfile.TemporaryDirectory(prefix="mayak-report-") as name:
        folder = Path(name)
        (folder / "pictures").mkdir()
        for key, picture in document.pictures.items():
            (folder / "pictures" / f"{key}.jpg").write_bytes(picture)
        (folder / "data.json").write_text(json.dumps(values), encoding="utf-8")
        template = (files("mayak.report") / "templates" / _TEMPLATE).read_bytes()
        (folder / _TEMPLATE).write_bytes(template)
        # In a process of its own: typst keeps about 400 MB of each volume until its process ends.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
            try:
                return child.submit(_compile, folder, created.replace(microsecond=0)).result()
            except BrokenProcessPool as error:
                raise MayakError(
                    msg("the process that writes the PDF was stopped"),
                    remedy=msg("free memory, 1 GB should do, and write the report again"),
                ) from error


def _compile(folder: Path, created: datetime) -> bytes:
    return typst.compile(
        folder / _TEMPLATE,
        root=folder,
        font_paths=[font_path().parent],
        ignore_system_fonts=True,
        pdf_standards="a-2u",
        timestamp=created,
    )


def _shows(char: str) -> bool:
    """Whether the fonts have a glyph for a character."""
    return ord(char) in _characters()


@cache
def _characters() -> frozenset[int]:
    """Code points with a glyph in the default font or its fallback."""
    shown: set[int] = set()
    for name in (DEFAULT, FALLBACK):
        with TTFont(font_path(name), lazy=True) as font:
            shown |= font.getBestCmap().keys()
    return frozenset(shown)
