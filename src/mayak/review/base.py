"""What every page of the server has: its HTML, scripts, words, fonts, and answers to errors."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import jinja2
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response

from mayak.errors import MayakError
from mayak.fonts import font_path
from mayak.i18n import Language, catalogue, languages, msg, render
from mayak.labels import LABELS
from mayak.review.guard import reader

_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


def bare_app() -> FastAPI:
    """Return an application that serves scripts, words and fonts, and no page yet.

    Errors are answered by a message in the language that the browser asks for.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    static = dict(_static(files("mayak.review") / "static", "/static/"))

    @app.get("/static/{name:path}")
    async def asset(name: str) -> Response:
        # Only files listed at the start are served, so no name can lead out of the folder.
        file = static.get(f"/static/{name}")
        if file is None:
            return Response(status_code=404)
        return Response(file.read_bytes(), media_type=_TYPES[f".{name.rpartition('.')[2]}"])

    @app.get("/words/{code}")
    async def words(code: str) -> Response:
        if code not in languages():
            return Response(status_code=404)
        return JSONResponse({} if code == "en" else catalogue(code).forms)

    @app.get("/font/{weight}")
    async def font(weight: str) -> Response:
        if weight not in ("Regular", "Bold"):
            return Response(status_code=404)
        return FileResponse(font_path(f"Pretendard-{weight}"), media_type="font/otf")

    @app.exception_handler(MayakError)
    async def fault(request: Request, error: MayakError) -> JSONResponse:
        values = {"message": error.message, "remedy": error.remedy}
        return JSONResponse(worded(values, request), 400)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        message = msg("{where} is not valid", where=where)
        return JSONResponse(worded({"message": message, "remedy": ""}, request), 422)

    return app


def worded(texts: dict[str, str], request: Request) -> dict[str, Any]:
    """Return texts of an answer in the language that the browser asks for."""
    language = reader(request.headers)
    return {name: render(text, language) for name, text in texts.items()}


def asked_language(request: Request, language: Language) -> Language:
    """Return the language of a page: ``language``, or if that is English the browser's."""
    return reader(request.headers) if language == "en" else language


def shell(template: str, language: Language, **values: Any) -> str:  # noqa: ANN401 - JSON values
    """Return a page's HTML, which has only the values that its scripts start with."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mayak.review"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    boot = {
        "labels": [label.name for label in LABELS],
        "languages": languages(),
        "language": language,
        **values,
    }
    return environment.get_template(template).render(boot=boot)


def _static(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _static(entry, f"{prefix}{entry.name}/")
        elif f".{entry.name.rpartition('.')[2]}" in _TYPES:
            found.append((prefix + entry.name, entry))
    return found
