"""Writes the report as one HTML file, without scripts, requests or external files."""

from __future__ import annotations

import base64
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mayak.fonts import with_fonts
from mayak.report.builder import DocumentBuilder
from mayak.report.document import Document, to_json_values
from mayak.types import Progress

_IMAGES = 300
"""Images of each class that the page shows; the PDF has all."""


def write_html(builder: DocumentBuilder, folder: Path, _: Progress) -> None:
    """Write ``report.html``."""
    html = render_html(builder.page(_IMAGES))
    (folder / "report.html").write_text(html, encoding="utf-8", newline="\n")


def render_html(document: Document) -> str:
    """Return the page; every value in it is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(str(files("mayak.report") / "templates")), encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pictures = {
        key: "data:image/jpeg;base64," + base64.b64encode(data).decode()
        for key, data in document.pictures.items()
    }
    template = environment.get_template("report.html.j2")
    return with_fonts(
        template.render(document=to_json_values(document, document.language), pictures=pictures)
    )
