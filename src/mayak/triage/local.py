"""The stage "decode and score" on this machine: decoder processes and one classifier."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace

from mayak.imaging.sandbox import Sandbox
from mayak.imaging.thumbnails import OVERVIEW
from mayak.triage.decoding import (
    DecodeBatch,
    DecodeRequest,
    DecodeResult,
    DecodeRules,
    DecodeWork,
    MoreParts,
    decode_files,
    given_up,
    lost,
)
from mayak.types import Classifier, DecodedImage, Engine, EvidencePath, Prediction, Sides
from mayak.workers import Lost, free_memory

_MAX_WAITING = 1 << 29
"""Bytes of files in decoders and waiting for them, beyond which no more are fetched; less if the
machine has not eight times as much. One file and its copies come on top."""
_MAX_LOST = 3
"""Pictures of one file that decoders may die over before the rest is given up: each can take the
whole time that a file has."""


class LocalStage:
    """Decodes in worker processes and scores with one classifier, in the thread that calls it.

    Without a classifier, files are decoded and no picture is scored.
    """

    def __init__(self, classifier: Classifier | None, workers: int) -> None:
        self._classifier, self._n_workers = classifier, workers

    @property
    def engine(self) -> Engine | None:
        """The classifier's engine, with how its pixels are made."""
        if self._classifier is None:
            return None
        engine, min_sides = self._classifier.engine, self._classifier.min_sides
        decoding = f"JPEG scaled down to {min_sides.longer} by {min_sides.shorter} or more"
        made = hashlib.sha256(f"{engine.preprocessing} {decoding}".encode()).hexdigest()
        return replace(engine, preprocessing=made)

    @property
    def min_sides(self) -> Sides:
        """Sides from which on a JPEG may be decoded at a reduced scale."""
        return OVERVIEW if self._classifier is None else self._classifier.min_sides

    def decode(
        self, requests: Iterator[tuple[DecodeRequest, ...]], rules: DecodeRules
    ) -> Generator[DecodeBatch, None, None]:
        """Decode files, those of a tuple in one process; yields results as they are done."""
        sandbox = Sandbox[DecodeWork, list[DecodeResult | MoreParts]](decode_files, self._n_workers)
        work = _WorkQueue((rules, each) for each in requests)
        unfinished = _Unfinished()
        max_waiting = min(_MAX_WAITING, free_memory() // 8)
        done = sandbox.run(work, weight=_nbytes, max_weight=max_waiting)
        for (_, chunk), result in done:
            if isinstance(result, Lost) and len(chunk) > 1:
                # One of these files killed the process: they are decoded one by one.
                work.again.extend((rules, (each,)) for each in chunk)
                continue
            if isinstance(result, Lost):
                result, left = _after_loss(chunk[0], result.why, sandbox.failure_text(result))
            else:
                left = _continued(chunk, result)
            work.again.extend((rules, (each,)) for each in left)
            yield unfinished.sorted(chunk, result, {each.path for each in left})
            del chunk, result, left  # large files, while the next is read

    def score(self, images: Iterable[DecodedImage]) -> Iterator[Prediction]:
        """Score pictures, in their order, until they end."""
        if self._classifier is None or (engine := self.engine) is None:
            for _ in images:
                pass
            return
        for prediction in self._classifier.classify(images):
            yield replace(prediction, engine=engine.fingerprint)


class _WorkQueue(Iterator[DecodeWork]):
    """Work that results have added, then the work of the walk; it can end and continue later."""

    def __init__(self, walk: Iterator[DecodeWork]) -> None:
        self._walk = walk
        self.again: deque[DecodeWork] = deque()

    def __next__(self) -> DecodeWork:
        return self.again.popleft() if self.again else next(self._walk)


class _Unfinished:
    """Results of files of which some embedded pictures are still to be decoded."""

    def __init__(self) -> None:
        self._results: dict[EvidencePath, DecodeResult] = {}

    def sorted(
        self,
        chunk: tuple[DecodeRequest, ...],
        results: list[DecodeResult | MoreParts],
        unfinished: set[EvidencePath],
    ) -> DecodeBatch:
        """Keep the results of unfinished files; return the others, and those finished now."""
        ready: list[DecodeResult] = []
        n_found = 0
        for found in results:
            if isinstance(found, MoreParts):
                n_found += len(found.names) if found.part == 1 else 0
                continue
            n_found += found.is_unlisted
            if found.request.path in unfinished:
                self._results[found.request.path] = found
            else:
                ready.append(found)
        ready += [
            self._results.pop(each.path)
            for each in chunk
            if each.path in self._results and each.path not in unfinished
        ]
        files = {each.path: each.data for each in chunk}
        return DecodeBatch([with_file(found, files) for found in ready], n_found)


def with_file(found: DecodeResult, files: dict[EvidencePath, bytes]) -> DecodeResult:
    """Return a result whose picture has the bytes of its file, if that was decoded at a reduced
    scale: it may be decoded again. The decoder process does not send them back."""
    if found.image is None or found.image.scale == 1:
        return found
    data = files.get(found.request.path, found.image.data)
    return replace(found, image=replace(found.image, data=data))


def _nbytes(work: DecodeWork) -> int:
    return sum(len(each.data) for each in work[1])


def _continued(
    chunk: tuple[DecodeRequest, ...], results: list[DecodeResult | MoreParts]
) -> list[DecodeRequest]:
    """Files with more embedded pictures to decode."""
    more = {found.path: found for found in results if isinstance(found, MoreParts)}
    return [
        replace(each, part=more[each.path].part, names=more[each.path].names)
        for each in chunk
        if each.path in more
    ]


def _after_loss(
    request: DecodeRequest, why: str, text: str
) -> tuple[list[DecodeResult | MoreParts], list[DecodeRequest]]:
    """Return the results for a request whose decoder died, and the requests that remain."""
    if request.part and request.n_parts > 1:
        return [], [replace(request, single_until=request.part + request.n_parts - 1)]
    if request.part >= len(request.names):  # the file itself, or the last picture in it
        return [lost(request, why, text)], []
    following = replace(request, part=request.part + 1, n_lost=request.n_lost + 1)
    if following.n_lost == _MAX_LOST:
        return [lost(request, why, text), *given_up(following)], []
    return [lost(request, why, text)], [following]
