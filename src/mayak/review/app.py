"""The routes of the page's server."""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import asdict
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi import Path as Part
from fastapi.responses import HTMLResponse, JSONResponse, Response

from mayak.case.decisions import SupersededError
from mayak.case.reasons import REASONS
from mayak.errors import ConfigError
from mayak.i18n import Language, msg
from mayak.imaging.hashing import PDQ_MATCH_DISTANCE
from mayak.review import responses
from mayak.review.base import asked_language, bare_app, shell, worded
from mayak.review.query import parse_filter, parse_sight, parse_sort
from mayak.review.requests import (
    DecideRequest,
    DrawRequest,
    ImageUpload,
    JudgeRequest,
    Number,
    UndoRequest,
)
from mayak.review.responses import Json
from mayak.review.session import CountError, ReviewSession, result_expired
from mayak.signatures import KINDS

Digest = Annotated[str, Part(pattern=r"^[0-9a-f]{64}$")]

LARGE = {"/api/search-image": 48 * 2**20}
"""Paths whose requests may exceed the guard's usual limit, in bytes: a photo in base 64."""

_MAX_CELLS = 400
"""Cells of one answer."""
_NO_KIND = "-"
"""In an address: files without a kind."""
_MAX_NAMED = 20
"""Images in an answer that somebody else has decided meanwhile."""
_MAX_NEAR = 24
"""Similar images of one answer."""


def build(session: ReviewSession, language: Language) -> FastAPI:
    """Return the application. ``guard.Guard`` decides which requests reach it.

    The page is in ``language``, or if that is English in the language that the browser asks for.
    """
    app = bare_app()
    _page(app, session, language)
    for add in (_errors, _images, _results, _overviews, _search, _decisions, _samples):
        add(app, session)
    return app


def _errors(app: FastAPI, session: ReviewSession) -> None:
    """Translate exceptions into questions to the reviewer."""

    @app.exception_handler(CountError)
    async def miscounted(request: Request, error: CountError) -> JSONResponse:
        return JSONResponse(
            worded({"message": error.message}, request) | {"count": error.count}, 409
        )

    @app.exception_handler(SupersededError)
    async def superseded(request: Request, error: SupersededError) -> JSONResponse:
        named = dict(list(error.verdicts.items())[:_MAX_NAMED])
        await session.read(session.browser.refresh)
        answer = {"changed": len(error.verdicts), "verdicts": named}
        answer |= worded({"message": error.message}, request)
        return JSONResponse(answer | {"mark": session.browser.index.mark}, 409)


def _page(app: FastAPI, session: ReviewSession, language: Language) -> None:
    """Serve the page itself."""

    @app.get("/")
    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(
            shell(
                "index.html.j2",
                asked_language(request, language),
                case=session.store.name,
                reviewer=session.reviewer,
                reasons={**REASONS, **{kind.name: kind.name for kind in KINDS}},
                distance=PDQ_MATCH_DISTANCE,
                command="mayak review",
            )
        )


def _images(app: FastAPI, session: ReviewSession) -> None:
    """Serve thumbnails, originals and what is known about an image."""

    @app.get("/thumb/{digest}")
    async def thumbnail(digest: Digest) -> Response:
        data = await asyncio.to_thread(session.thumbnail, digest)
        if data is None:
            return Response(status_code=404)
        return Response(data, media_type="image/jpeg")

    @app.get("/image/{sha256}")
    async def image(sha256: Digest) -> Response:
        found = await session.original(await session.read(lambda: session.original_request(sha256)))
        if isinstance(found, bytes):
            return Response(found, media_type="image/jpeg")
        # Not an error: the page shows the reason, and the thumbnail instead.
        return JSONResponse({"why": found})

    @app.get("/api/content/{sha256}")
    async def content(sha256: Digest, run: Number | None = None) -> Json:
        return await session.read(lambda: responses.facts(session, sha256, run))

    @app.get("/api/near/{sha256}")
    async def near(sha256: Digest, run: Number | None = None) -> Json:
        return {
            "cells": await session.read(
                lambda: list(map(asdict, session.near(sha256, _MAX_NEAR, run)))
            )
        }


def _results(app: FastAPI, session: ReviewSession) -> None:
    """Filter and sort the images of the case, and return parts of a result."""

    @app.get("/api/reading")
    async def reading() -> Json:
        found = session.reading()
        return {"reading": None if found is None else {"read": found[0], "rows": found[1]}}

    @app.get("/api/status")
    async def status(run: Number | None = None) -> Json:
        return await session.read(lambda: responses.status(session, run))

    @app.get("/api/select")
    async def select(request: Request) -> Json:
        query = request.query_params
        wanted, sort = parse_filter(query), parse_sort(query)
        at = query.get("at", "")

        def work() -> Json:
            token, selection = session.select(wanted, sort, stacked=query.get("stack") != "0")
            return {
                "token": token,
                "mark": session.browser.index.mark,
                "shown": len(selection.order),
                "total": selection.total,
                "basis": session.browser.progress(wanted.run),
                "facets": selection.facets,
                "position": session.browser.position(selection, at) if at else None,
            }

        return await session.read(work)

    @app.get("/api/facets")
    async def facets(request: Request) -> Json:
        wanted = parse_filter(request.query_params)
        return {"facets": await session.read(lambda: session.browser.facets(wanted))}

    @app.get("/api/cells")
    async def cells(token: str, start: Number, count: Number) -> Response:
        def work() -> Json | None:
            selection = session.selection(token)
            if selection is None:
                return None
            found = session.browser.cells(selection, max(start, 0), min(max(count, 0), _MAX_CELLS))
            return {"cells": [asdict(cell) for cell in found], "mark": session.browser.index.mark}

        found = await session.read(work)
        return JSONResponse(found or {"cells": None}, 410 if found is None else 200)

    @app.get("/api/open")
    async def next_open(token: str, start: Number) -> Json:
        def work() -> int | None:
            selection = session.selection(token)
            if selection is None:
                raise result_expired()
            return session.browser.open_after(selection, max(start, 0))

        return {"position": await session.read(work)}


def _overviews(app: FastAPI, session: ReviewSession) -> None:
    """Serve the timeline, the map and the files that gave no image."""

    @app.get("/api/timeline")
    async def timeline(request: Request) -> Json:
        wanted = parse_filter(request.query_params)
        return await session.read(lambda: session.browser.timeline(wanted))

    @app.get("/api/map")
    async def map_positions(request: Request) -> Json:
        query = request.query_params
        wanted, sight = parse_filter(query), parse_sight(query)

        def work() -> Json:
            found = session.browser.map(wanted, *(sight or ()))
            # The page compares this with the part of the map that it shows by now.
            return {**found, "sight": query.get("sight", "")}

        return await session.read(work)

    @app.get("/api/regions")
    async def districts(request: Request) -> Json:
        wanted = parse_filter(request.query_params)
        return {"regions": await session.read(lambda: responses.district_counts(session, wanted))}

    @app.get("/api/rejected")
    async def rejected(
        start: Number = 0,
        count: Number = 100,
        kind: str = "",
        reason: str = "",
        file_kind: str = "",
        q: str = "",
    ) -> Json:
        def work() -> Json:
            found = session.browser.rejected(
                kind or None,
                reason or None,
                "" if file_kind == _NO_KIND else file_kind or None,
                q,
                max(start, 0),
                min(max(count, 0), _MAX_CELLS),
            )
            items = [responses.item_values(item) for item in found["items"]]
            unexamined = {} if start > 0 else session.store.unexamined()
            return {**found, "items": items, "unexamined": unexamined}

        return await session.read(work)


def _search(app: FastAPI, session: ReviewSession) -> None:
    """Hash an uploaded image, to search for similar ones."""

    @app.post("/api/search-image")
    async def search_image(picture: ImageUpload) -> Json:
        try:
            data = base64.b64decode(picture.data, validate=True)
        except binascii.Error as error:
            raise ConfigError(
                msg("the file did not arrive whole"),
                remedy=msg("choose it again"),
            ) from error
        found = await session.hash(data)
        if isinstance(found, str):
            raise ConfigError(
                msg("this file cannot be read as an image"),
                remedy=msg("choose another one"),
            )
        return {"near": found.hex()}


def _decisions(app: FastAPI, session: ReviewSession) -> None:
    """Record decisions and withdraw them."""

    @app.post("/api/decide")
    async def decide(body: DecideRequest) -> Json:
        action, images = await session.decide(
            body.verdict,
            body.images,
            body.token,
            body.ranges,
            count=body.count,
            shown=body.shown_images(),
            mark=body.mark,
            page=body.page,
        )
        return {"action": action, "images": images, "mark": session.browser.index.mark}

    @app.post("/api/undo")
    async def undo(body: UndoRequest) -> Json:
        images = await session.write(
            lambda store: store.undo(session.reviewer, action=body.action, sample=body.sample)
        )

        def work() -> Json:
            selection = session.selection(body.token)
            position = None
            if selection is not None and images:
                position = session.browser.position(selection, images[0])
            verdicts = {image: session.browser.verdict(image) for image in images}
            mark = session.browser.index.mark
            return {"verdicts": verdicts, "position": position, "mark": mark}

        return await session.read(work)


def _samples(app: FastAPI, session: ReviewSession) -> None:
    """Draw, show and judge blind samples."""

    @app.get("/api/samples")
    async def samples() -> Json:
        return {"samples": await session.read(lambda: [asdict(s) for s in session.store.samples()])}

    @app.post("/api/samples")
    async def draw(body: DrawRequest) -> Json:
        return {
            "sample": await session.write(lambda store: session.draw(store, body.size, body.run))
        }

    @app.get("/api/samples/{sample}")
    async def sample(sample: Number) -> Json:
        return await session.read(lambda: responses.sample_values(session, sample))

    @app.post("/api/samples/{sample}/judge")
    async def judge(sample: Number, body: JudgeRequest) -> Json:
        action = await session.judge(
            sample,
            body.image,
            body.verdict,
            shown=body.shown_images(),
            mark=body.mark,
            page=body.page,
        )
        return {"action": action, "mark": session.browser.index.mark}
