"""The page's server: what may be asked, and what is answered."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal

import jinja2
from fastapi import FastAPI, Request
from fastapi import Path as Part
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, Field

from mayak.case import Filter, StoredItem
from mayak.case.decisions import SupersededError
from mayak.case.reasons import REASONS
from mayak.errors import ConfigError, MayakError
from mayak.fonts import font_path
from mayak.i18n import Language, Message, languages, msg, render
from mayak.imaging.formats import wrong_extension
from mayak.imaging.hashing import PDQ_MATCH_DISTANCE
from mayak.labels import LABELS
from mayak.review.guard import reader
from mayak.review.query import parse_filter, parse_sight, parse_sort
from mayak.review.regions import region, regions
from mayak.review.session import CountError, Desk, Shown, gone, unknown_image
from mayak.types import Prediction

Digest = Annotated[str, Part(pattern=r"^[0-9a-f]{64}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""A whole number that SQLite and NumPy can hold: for every parameter that is one."""
Json = dict[str, Any]

LARGE = {"/api/search-image": 48 * 2**20}
"""Paths that may be sent more than the guard's usual limit: a photo, in base 64."""

_MOST = 400
"""Cells of one answer."""
_NAMED = 20
"""Images that an answer names of those that were decided otherwise meanwhile."""
_NEAR = 24
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class OnScreen(BaseModel):
    """What was drawn on the screen when an act was made: images, each with its place in the result
    if it has one."""

    how: Literal["opened", "grid"]
    blurred: bool
    places: dict[Sha256, Number | None]


class OnPage(BaseModel):
    """What a page knew when an act was made there: how the images were shown (nothing: it was not
    made by a person on a page), the decisions up to ``mark``, and those of the page itself."""

    shown: OnScreen | None = None
    mark: Number | None = None
    page: str = Field("", max_length=64)

    def screen(self) -> Shown | None:
        if self.shown is None:
            return None
        return Shown(self.shown.how, self.shown.blurred, self.shown.places)


class Verdict(OnPage):
    """What is decided: images by SHA-256, ranges of a result, or both; and how many images the
    reviewer has confirmed."""

    verdict: int = Field(ge=0, le=3)
    images: list[Sha256] = []
    token: str = ""
    ranges: list[tuple[Number, Number]] = []
    count: Number | None = None


class Undo(BaseModel):
    """What is withdrawn: the act that is named, the last one in a blind sample, or the last."""

    token: str = ""
    action: Number | None = None
    sample: Number | None = None


class Picture(BaseModel):
    """An image file in base 64."""

    data: str


class Draw(BaseModel):
    size: int = Field(ge=1, le=100_000)
    run: Number | None = None


class Judgement(OnPage):
    image: Sha256
    verdict: int = Field(ge=0, le=3)


def build(desk: Desk, language: Language) -> FastAPI:
    """The application; whoever may ask it is the guard's business. The page is in ``language``, or
    if that is English in the language that the browser asks for."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    static = dict(_static(files("mayak.review") / "static", "/static/"))

    @app.exception_handler(MayakError)
    async def fault(request: Request, error: MayakError) -> JSONResponse:
        told = {"message": error.message, "remedy": error.remedy}
        return JSONResponse(_worded(told, request), 400)

    # What the page asks the reviewer before it sends the same again, confirmed.
    @app.exception_handler(CountError)
    async def miscounted(request: Request, error: CountError) -> JSONResponse:
        return JSONResponse(
            _worded({"message": error.message}, request) | {"count": error.count}, 409
        )

    @app.exception_handler(SupersededError)
    async def superseded(request: Request, error: SupersededError) -> JSONResponse:
        named = dict(list(error.verdicts.items())[:_NAMED])
        await desk.read(desk.browser.refresh)
        answer = {"changed": len(error.verdicts), "verdicts": named}
        answer |= _worded({"message": error.message}, request)
        return JSONResponse(answer | {"mark": desk.browser.columns.mark}, 409)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        message = msg("{where} makes no sense", where=where)
        return JSONResponse(_worded({"message": message, "remedy": ""}, request), 422)

    @app.get("/")
    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(_shell(desk, reader(request.headers) if language == "en" else language))

    @app.get("/static/{name:path}")
    async def asset(name: str) -> Response:
        # Only what was listed at the start is there to be had, whatever the name says.
        file = static.get(f"/static/{name}")
        if file is None:
            return Response(status_code=404)
        return Response(file.read_bytes(), media_type=_TYPES[f".{name.rpartition('.')[2]}"])

    @app.get("/font/{weight}")
    async def font(weight: str) -> Response:
        if weight not in ("Regular", "Bold"):
            return Response(status_code=404)
        return FileResponse(font_path(f"Pretendard-{weight}"), media_type="font/otf")

    @app.get("/thumb/{digest}")
    async def thumbnail(digest: Digest) -> Response:
        data = await asyncio.to_thread(desk.thumbnail, digest)
        if data is None:
            return Response(status_code=404)
        return Response(data, media_type="image/jpeg")

    @app.get("/image/{sha256}")
    async def image(sha256: Digest) -> Response:
        found = await desk.original(await desk.read(lambda: desk.wanted(sha256)))
        if isinstance(found, bytes):
            return Response(found, media_type="image/jpeg")
        # No error: that there is no picture is what was asked, and the thumbnail stands for it.
        return JSONResponse({"why": found})

    _looking(app, desk)
    _deciding(app, desk)
    return app


def _looking(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/reading")
    async def reading() -> Json:
        found = desk.reading()
        return {"reading": None if found is None else {"read": found[0], "rows": found[1]}}

    @app.get("/api/status")
    async def status(run: Number | None = None) -> Json:
        return await desk.read(lambda: _status(desk, run))

    @app.get("/api/select")
    async def select(request: Request) -> Json:
        query = request.query_params
        wanted, sort = parse_filter(query), parse_sort(query)
        at = query.get("at", "")

        def work() -> Json:
            token, selection = desk.select(wanted, sort, stacked=query.get("stack") != "0")
            return {
                "token": token,
                "mark": desk.browser.columns.mark,
                "shown": len(selection.order),
                "total": selection.total,
                "basis": desk.browser.progress(wanted.run),
                "facets": selection.facets,
                "position": desk.browser.position(selection, at) if at else None,
            }

        return await desk.read(work)

    @app.get("/api/facets")
    async def facets(request: Request) -> Json:
        wanted = parse_filter(request.query_params)
        return {"facets": await desk.read(lambda: desk.browser.facets(wanted))}

    @app.get("/api/cells")
    async def cells(token: str, start: Number, count: Number) -> Response:
        def work() -> Json | None:
            selection = desk.selection(token)
            if selection is None:
                return None
            found = desk.browser.cells(selection, max(start, 0), min(max(count, 0), _MOST))
            return {"cells": [asdict(cell) for cell in found], "mark": desk.browser.columns.mark}

        found = await desk.read(work)
        return JSONResponse(found or {"cells": None}, 410 if found is None else 200)

    @app.get("/api/open")
    async def next_open(token: str, start: Number) -> Json:
        def work() -> int | None:
            selection = desk.selection(token)
            if selection is None:
                raise gone()
            return desk.browser.open_after(selection, max(start, 0))

        return {"position": await desk.read(work)}

    @app.get("/api/content/{sha256}")
    async def content(sha256: Digest, run: Number | None = None) -> Json:
        return await desk.read(lambda: _facts(desk, sha256, run))

    @app.get("/api/near/{sha256}")
    async def near(sha256: Digest, run: Number | None = None) -> Json:
        return {"cells": await desk.read(lambda: list(map(asdict, desk.near(sha256, _NEAR, run))))}

    @app.get("/api/timeline")
    async def timeline(request: Request) -> Json:
        wanted = parse_filter(request.query_params)
        return await desk.read(lambda: desk.browser.timeline(wanted))

    @app.get("/api/map")
    async def places(request: Request) -> Json:
        query = request.query_params
        wanted, sight = parse_filter(query), parse_sight(query)

        def work() -> Json:
            found = desk.browser.map(wanted, *(sight or ()))
            # So the page knows which part of the map this is about.
            return {**found, "sight": query.get("sight", "")}

        return await desk.read(work)

    @app.get("/api/regions")
    async def districts(request: Request) -> Json:
        wanted = parse_filter(request.query_params)
        return {"regions": await desk.read(lambda: _regions(desk, wanted))}

    @app.get("/api/rejected")
    async def rejected(
        start: Number = 0, count: Number = 100, kind: str = "", reason: str = "", q: str = ""
    ) -> Json:
        def work() -> Json:
            found = desk.browser.rejected(
                kind or None, reason or None, q, max(start, 0), min(max(count, 0), _MOST)
            )
            return {**found, "items": [_item(item) for item in found["items"]]}

        return await desk.read(work)

    @app.post("/api/search-image")
    async def search_image(picture: Picture) -> Json:
        try:
            data = base64.b64decode(picture.data, validate=True)
        except binascii.Error as error:
            raise ConfigError(
                msg("the file did not arrive whole"),
                remedy=msg("choose it again"),
            ) from error
        found = await desk.hash(data)
        if isinstance(found, str):
            raise ConfigError(
                msg("this file cannot be read as an image"),
                remedy=msg("choose another one"),
            )
        return {"near": found.hex()}


def _deciding(app: FastAPI, desk: Desk) -> None:
    @app.post("/api/decide")
    async def decide(body: Verdict) -> Json:
        action, images = await desk.decide(
            body.verdict,
            body.images,
            body.token,
            body.ranges,
            count=body.count,
            shown=body.screen(),
            mark=body.mark,
            page=body.page,
        )
        return {"action": action, "images": images, "mark": desk.browser.columns.mark}

    @app.post("/api/undo")
    async def undo(body: Undo) -> Json:
        images = await desk.write(
            lambda store: store.undo(desk.reviewer, action=body.action, sample=body.sample)
        )

        def work() -> Json:
            selection = desk.selection(body.token)
            position = None
            if selection is not None and images:
                position = desk.browser.position(selection, images[0])
            verdicts = {image: desk.browser.verdict(image) for image in images}
            mark = desk.browser.columns.mark
            return {"verdicts": verdicts, "position": position, "mark": mark}

        return await desk.read(work)

    @app.get("/api/samples")
    async def samples() -> Json:
        return {"samples": await desk.read(lambda: [asdict(s) for s in desk.store.samples()])}

    @app.post("/api/samples")
    async def draw(body: Draw) -> Json:
        return {"sample": await desk.write(lambda store: desk.draw(store, body.size, body.run))}

    @app.get("/api/samples/{sample}")
    async def sample(sample: Number) -> Json:
        return await desk.read(lambda: _sample(desk, sample))

    @app.post("/api/samples/{sample}/judge")
    async def judge(sample: Number, body: Judgement) -> Json:
        action = await desk.judge(
            sample,
            body.image,
            body.verdict,
            shown=body.screen(),
            mark=body.mark,
            page=body.page,
        )
        return {"action": action, "mark": desk.browser.columns.mark}


def _worded(told: dict[str, str], request: Request) -> Json:
    """Texts of an answer in the language that the browser asks for."""
    language = reader(request.headers)
    return {name: render(text, language) for name, text in told.items()}


def _static(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _static(entry, f"{prefix}{entry.name}/")
        elif f".{entry.name.rpartition('.')[2]}" in _TYPES:
            found.append((prefix + entry.name, entry))
    return found


def _in_each_language(text: Message) -> dict[Language, str]:
    return {language: render(text, language) for language in languages()}


def _shell(desk: Desk, shown: Language) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mayak.review"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    boot = {
        "case": desk.store.name,
        "reviewer": desk.reviewer,
        "labels": [_in_each_language(label.name) for label in LABELS],
        "reasons": {name: _in_each_language(text) for name, text in REASONS.items()},
        "distance": PDQ_MATCH_DISTANCE,
        "language": shown,
    }
    return environment.get_template("index.html.j2").render(boot=boot)


def _status(desk: Desk, run: int | None) -> Json:
    desk.browser.refresh()
    return {
        **desk.browser.progress(run),
        "mark": desk.browser.columns.mark,
        "sources": {str(source.id): source.path for source in desk.store.sources()},
        "run": desk.browser.run if run is None else run,
        "runs": [
            {
                "id": known.id,
                "model": known.engine.get("model"),
                "adapter": known.engine.get("adapter"),
                "started": known.started,
                "finished": known.finished,
            }
            for known in desk.browser.runs
        ],
        "reviewers": list(desk.browser.columns.verdicts),
    }


def _facts(desk: Desk, sha256: str, run: int | None) -> Json:
    """All that is known of a content."""
    store = desk.store
    content = store.content(sha256)
    if content is None:
        raise unknown_image(sha256)
    sources = {source.id: source.path for source in store.sources()}
    shown = desk.browser.run if run is None else run
    return {
        "sha256": content.sha256,
        "md5": content.md5,
        "sha1": content.sha1,
        "size": content.size,
        "format": content.format,
        "width": content.width,
        "height": content.height,
        "pdq": content.pdq.hex() if content.pdq else None,
        "pdq_quality": content.pdq_quality,
        "metadata": content.metadata,
        "thumbnail": content.thumbnail,
        "warnings": content.warnings,
        "places": [
            _item(place)
            | {
                "source": sources[place.source],
                "warnings": wrong_extension(place.name, content.format),
            }
            for place in store.places(sha256)
        ],
        "results": [
            {
                "run": number,
                "current": number == shown,
                **asdict(result),
                "scores": result.scores.values,
                "off_label": result.scores.off_label,
            }
            if isinstance(result, Prediction)
            else {"run": number, "current": number == shown, "error": result.message}
            for number, result in store.results_of(sha256).items()
        ],
        "alerts": [{"list": alert.list, "kind": alert.kind} for alert in store.alerts_of(sha256)],
        "verdicts": [
            {"reviewer": name, "verdict": said.verdict, "at": said.at}
            for name, said in store.verdicts(sha256).items()
        ],
        "group": desk.browser.group(sha256),
        "similar": desk.browser.similar(sha256),
        "region": region(*place) if (place := _position(content.metadata)) else None,
    }


def _regions(desk: Desk, wanted: Filter) -> list[tuple[str | None, int]]:
    """Districts in which images were taken, or none, each with the number of images; most first."""
    positions, images = desk.browser.positions(wanted)
    counts: Counter[str | None] = Counter()
    for name, count in zip(regions(positions), images, strict=True):
        counts[name] += int(count)
    return counts.most_common()


def _position(metadata: Mapping[str, Any]) -> tuple[float, float] | None:
    where = metadata.get("location")
    return (where["latitude"], where["longitude"]) if isinstance(where, dict) else None


def _item(item: StoredItem) -> Json:
    return {
        "path": item.display,
        "source": item.source,
        "size": item.size,
        **asdict(item.times),
        "deleted": item.deleted,
        "failure": None
        if item.failure is None
        else {
            "stage": item.failure.stage,
            "error": item.failure.error,
            "message": item.failure.message,
        },
        "exclusion": None
        if item.exclusion is None
        else {"rule": item.exclusion.rule, "reason": item.exclusion.reason},
    }


def _sample(desk: Desk, number: int) -> Json:
    """A sample without any score: it is judged blindly."""
    # First: what is decided meanwhile is newer than what the page is told.
    mark = desk.browser.columns.mark
    judged = desk.store.sample_items(number)
    (found,) = (s for s in desk.store.samples() if s.id == number)
    thumbnails = desk.browser.thumbnails(list(judged))
    return {
        **asdict(found),
        "mark": mark,
        "items": [
            {"sha256": sha256, "thumbnail": thumbnails.get(sha256), "verdict": verdict}
            for sha256, verdict in judged.items()
        ],
    }
