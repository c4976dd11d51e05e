"""Decode and score files as a triage run does, without a case: to measure what triage runs."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Self

from mayak.case import Exclusion
from mayak.case.reasons import reason
from mayak.i18n import msg
from mayak.imaging.hashing import sha256
from mayak.imaging.sandbox import Sandbox
from mayak.triage.decoding import (
    DecodeRequest,
    DecodeResult,
    DecodeRules,
    DecodeWork,
    MoreParts,
    decode_files,
    lost,
)
from mayak.triage.local import LocalStage, with_file
from mayak.triage.options import MIN_PIXELS
from mayak.triage.reading import read
from mayak.types import (
    Classifier,
    DecodedImage,
    Engine,
    EvidenceEntry,
    EvidencePath,
    Failure,
    Prediction,
    Sides,
)
from mayak.workers import Lost


class FileDecoder:
    """Decodes single files in ``count`` worker processes, with the rules of a triage run; a context
    manager, for callers of any thread.

    Of a file with several pictures the first is decoded; triage records the others as files of
    their own.
    """

    def __init__(self, count: int) -> None:
        self._sandbox = Sandbox[DecodeWork, list[DecodeResult | MoreParts]](decode_files, count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.close()

    def __call__(self, data: bytes, path: str, min_sides: Sides) -> DecodedImage | Failure:
        """Decode the bytes of a file; what triage would leave out is a failure too."""
        entry = EvidenceEntry(EvidencePath("file", path), len(data), lambda: io.BytesIO(data))
        taken = read(entry)
        if not isinstance(taken, bytes):
            return _refused(path, taken)
        request = DecodeRequest(entry, data, sha256(data))
        rules = DecodeRules(MIN_PIXELS, min_sides, with_pixels=True)
        results = self._sandbox((rules, (request,)))
        if isinstance(results, Lost):
            results = [lost(request, results.why, self._sandbox.failure_text(results))]
        found = next(
            each
            for each in results
            if isinstance(each, DecodeResult) and each.request.path == entry.path
        )
        if isinstance(found.outcome, Failure | Exclusion):
            return _refused(path, found.outcome)
        image = with_file(found, {entry.path: data}).image
        if image is None:
            raise RuntimeError("a picture was decoded without its pixels")
        return image


def _refused(path: str, outcome: Failure | Exclusion) -> Failure:
    if isinstance(outcome, Failure):
        return replace(outcome, path=path)
    text = msg(
        "triage leaves it out: {reason} ({detail})",
        reason=reason(outcome.rule),
        detail=outcome.reason,
    )
    return Failure(path, "decode", outcome.rule, text)


class StageClassifier:
    """``types.Classifier`` whose engine and predictions are those of a triage run."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._stage = LocalStage(classifier, 1)

    @property
    def engine(self) -> Engine:
        """The engine that a case records."""
        engine = self._stage.engine
        return self._classifier.engine if engine is None else engine

    @property
    def min_sides(self) -> Sides:
        """A JPEG with larger sides may be passed to ``classify`` at a reduced scale."""
        return self._stage.min_sides

    def classify(self, images: Iterable[DecodedImage]) -> Iterator[Prediction]:
        """Yield one prediction per image, in order."""
        return self._stage.score(images)
