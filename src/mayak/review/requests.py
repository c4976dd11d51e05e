"""The bodies of the page's POST requests, checked by pydantic."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from mayak.labels import LABELS
from mayak.review.session import ShownImages

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""A whole number that SQLite and NumPy can hold; every integer parameter has this type."""
LabelIndex = Annotated[int, Field(ge=0, le=LABELS[-1].index)]


class Screen(BaseModel):
    """What was drawn on the screen when a decision was made.

    ``positions`` has the images with their positions in the result, None without one.
    """

    how: Literal["opened", "grid"]
    blurred: bool
    positions: dict[Sha256, Number | None]


class PageAction(BaseModel):
    """An action on a page, with what the page knew when it was made.

    ``shown`` is absent if no person made the action on a page. ``mark`` is the last decision that
    the page had read, ``page`` identifies the page.
    """

    shown: Screen | None = None
    mark: Number | None = None
    page: str = Field("", max_length=64)

    def shown_images(self) -> ShownImages | None:
        if self.shown is None:
            return None
        return ShownImages(self.shown.how, self.shown.blurred, self.shown.positions)


class DecideRequest(PageAction):
    """A decision on images by SHA-256, on ranges of a result, or on both.

    ``count`` is the number of images that the reviewer has confirmed.
    """

    verdict: LabelIndex
    images: list[Sha256] = []
    token: str = ""
    ranges: list[tuple[Number, Number]] = []
    count: Number | None = None


class JudgeRequest(PageAction):
    """A decision on one image of a blind sample."""

    image: Sha256
    verdict: LabelIndex


class UndoRequest(BaseModel):
    """Withdraw the action with this number, else the last one in a blind sample, else the last."""

    token: str = ""
    action: Number | None = None
    sample: Number | None = None


class DrawRequest(BaseModel):
    """Draw a blind sample of a run."""

    size: int = Field(ge=1, le=100_000)
    run: Number | None = None


class ImageUpload(BaseModel):
    """An image file in base 64, to search for similar images."""

    data: str
