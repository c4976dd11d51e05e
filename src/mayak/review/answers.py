"""The page on which a person decides what a model's unread answers say."""

from __future__ import annotations

import asyncio
from typing import Annotated, Protocol

from fastapi import Path as Part
from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, Field

from mayak.errors import ConfigError
from mayak.i18n import Language, msg
from mayak.labels import LABELS, QUESTION, UNCLASSIFIABLE
from mayak.review.base import asked_language, bare_app, shell
from mayak.review.guard import App
from mayak.review.responses import Json

Position = Annotated[int, Part(ge=0, le=2**31)]


class AnswersToLabel(Protocol):
    """A run's unread answers; ``mayak.evaluation`` implements it. Without the true labels."""

    reviewer: str

    @property
    def name(self) -> str: ...

    @property
    def answers(self) -> list[str]: ...

    @property
    def labels(self) -> list[int | None]:
        """0–3, −1 for "names no label", None if not decided."""
        ...

    def picture(self, position: int) -> bytes | None:
        """Return an image as a JPEG; None if it cannot be shown."""
        ...

    def decide(self, position: int, label: int | None) -> None:
        """Store a label durably, or withdraw it. Raises MayakError."""
        ...


class LabelRequest(BaseModel):
    """What one answer says; null withdraws it. ``answer`` is its text as the page showed it."""

    position: int = Field(ge=0, le=2**31)
    answer: str
    label: int | None = Field(ge=UNCLASSIFIABLE, le=LABELS[-1].index)


def build_answers(answers: AnswersToLabel, language: Language) -> App:
    """Return the application. ``guard.Guard`` decides which requests reach it.

    The page is in ``language``, or if that is English in the language that the browser asks for.
    """
    app = bare_app()
    texts = answers.answers

    @app.get("/")
    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(
            shell(
                "answers.html.j2",
                asked_language(request, language),
                case=answers.name,
                reviewer=answers.reviewer,
                question=QUESTION,
                reasons={},
                command="mayak answers",
            )
        )

    @app.get("/api/answers")
    async def every() -> Json:
        return {
            "answers": [
                {"answer": text, "label": label}
                for text, label in zip(texts, answers.labels, strict=True)
            ]
        }

    @app.get("/picture/{position}")
    async def picture(position: Position) -> Response:
        found = None
        if position < len(texts):
            found = await asyncio.to_thread(answers.picture, position)
        if found is None:
            return Response(status_code=404)
        return Response(found, media_type="image/jpeg")

    @app.post("/api/label")
    async def label(body: LabelRequest) -> Json:
        if body.position >= len(texts) or texts[body.position] != body.answer:
            raise ConfigError(
                msg("this answer is not one of the run's"), remedy=msg("reload the page")
            )
        answers.decide(body.position, body.label)
        return {"label": body.label}

    return app
