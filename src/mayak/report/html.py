"""The report as one HTML file: no script, no request, nothing outside it."""

from __future__ import annotations

import base64
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mayak.fonts import with_fonts
from mayak.report.document import Document, plain


def page(document: Document) -> str:
    """The page; every value in it is escaped."""
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
        template.render(document=plain(document, document.language), pictures=pictures)
    )
