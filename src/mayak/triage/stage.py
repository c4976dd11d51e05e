"""The interface of the stage that decodes files and scores pictures."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Protocol

from mayak.triage.decoding import DecodeBatch, DecodeRequest, DecodeRules
from mayak.types import DecodedImage, Engine, Prediction, Sides


class DecodeAndScore(Protocol):
    """The stage that decodes files and scores pictures; ``local.LocalStage`` does it here.

    A stage on other machines finds a file by the path of its request if it can open the same
    source, or is sent its bytes. It may score a picture where it decoded it: then the result has a
    prediction and no pixels, and nothing comes to ``score``.
    """

    @property
    def engine(self) -> Engine | None:
        """What scores the pictures; None if nothing does."""
        ...

    @property
    def min_sides(self) -> Sides:
        """Sides from which on a JPEG may be decoded at a reduced scale."""
        ...

    def decode(
        self, requests: Iterator[tuple[DecodeRequest, ...]], rules: DecodeRules
    ) -> Generator[DecodeBatch, None, None]:
        """Decode files and yield results as they are done; called in the reading thread, for one
        source after the other. Requests are fetched as there is room for them."""
        ...

    def score(self, images: Iterable[DecodedImage]) -> Iterator[Prediction]:
        """Score pictures, in their order, until they end; called once, in the thread that called
        ``triage``."""
        ...
