"""Stages 1 to 5 of triage: walks sources, reads files that may be images, and has them decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

from mayak.case import CaseStore, Exclusion
from mayak.errors import EvidenceError, MayakError
from mayak.evidence import ReaderLostError, Source
from mayak.imaging.formats import (
    is_apple_double,
    is_pdf,
    is_program,
    looks_like_image,
    named_as_image,
)
from mayak.imaging.office import needs_password
from mayak.imaging.sandbox import MAX_FILE_BYTES
from mayak.signatures import DECRYPT, OFFICE_DOCUMENT
from mayak.signatures.census import NO_IMAGE
from mayak.triage.bounded_queue import ByteBoundedQueue
from mayak.triage.census import without_image
from mayak.triage.decoding import DecodeRequest, DecodeRules
from mayak.triage.hashing import ReadFile, hashed
from mayak.triage.options import Options
from mayak.triage.outcome import ItemOutcome
from mayak.triage.recorded import RecordedSource, SourceIdentity
from mayak.triage.resolve import FileToRead, Resolver, Step, UnreadFile
from mayak.triage.stage import DecodeAndScore
from mayak.types import EvidenceEntry, Failure, OutcomeReason

_CHUNK_BYTES = 1 << 20
_CHUNK_FILES = 32
"""Small files are decoded some at a time: a message for each would cost more than decoding it."""
_MAX_OUTCOMES = 1 << 28
"""Bytes of outcomes that may wait for the writer, which is busy for the time of a transaction."""
_HEAD = 512

OpenSource = tuple[int, Path, Source]
"""Number in the case, path as given, open source."""


class ReadingStages:
    """Walk, read, hash, resolve and decode, for the sources of a run; runs in one thread."""

    def __init__(
        self,
        options: Options,
        sources: list[OpenSource],
        unproven: set[int],
        stage: DecodeAndScore,
        run: int | None,
        resolver: Resolver,
    ) -> None:
        """``unproven``: see ``Acquisitions``."""
        self._options, self._unproven, self._stage, self._run = options, unproven, stage, run
        self._sources = [(n, SourceIdentity.of(path), source) for n, path, source in sources]
        self._rules = DecodeRules(options.min_pixels, stage.min_sides, with_pixels=run is not None)
        self._resolver = resolver
        self.outcomes = ByteBoundedQueue[ItemOutcome](lambda each: each.nbytes, _MAX_OUTCOMES)
        """What became of the items; ends with the error that ended the reading, if one did."""
        self._stop = Event()
        self._n_found = 0
        """Pictures that were found inside files."""

    @property
    def n_expected(self) -> int:
        """Items of the run, as far as is known."""
        n_listed = sum(source.listed for *_, source in self._sources)
        return n_listed + self._n_found + self._resolver.n_unlisted - self._resolver.n_settled

    @property
    def is_cancelled(self) -> bool:
        """Whether ``cancel`` was called."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """Read no further file, and drop the outcomes that nobody has taken; from any thread."""
        self._stop.set()
        self.outcomes.close()

    def run(self) -> None:
        """Read the sources, one after the other, and end ``outcomes``."""
        try:
            with CaseStore.read(self._options.case) as case:
                for number, identity, source in self._sources:
                    is_unproven = number in self._unproven
                    recorded = RecordedSource(
                        case, number, identity, self._run, is_unproven=is_unproven
                    )
                    self._decode(recorded, source)
                    is_folder = source.path.kind == "folder"
                    if is_folder:
                        identity.require()  # an unmounted one lists as an empty one
                    is_complete = not (self._resolver.is_limited or self._stop.is_set())
                    if is_complete and (is_folder or is_unproven):
                        self.outcomes.put(self._resolver.missing(recorded, source))
                    if is_complete:
                        self.outcomes.put(self._resolver.closed_gaps(recorded))
        except BaseException as error:  # noqa: BLE001 - raised again in the writing thread
            self.outcomes.end(error)
        else:
            self.outcomes.end()

    def _decode(self, recorded: RecordedSource, source: Source) -> None:
        ended_by: list[MayakError] = []
        requests = self._requests(recorded, source, ended_by)
        with closing(self._stage.decode(requests, self._rules)) as batches:
            for batch in batches:
                if self._stop.is_set():
                    return
                self._n_found += batch.n_found
                steps = (
                    s for each in batch.results for s in self._resolver.resolve(recorded, each)
                )
                self.outcomes.put([step for step in steps if isinstance(step, ItemOutcome)])
                del batch, steps  # pixels, while the next files are read
        if ended_by:
            raise ended_by[0]

    def _requests(
        self, recorded: RecordedSource, source: Source, ended_by: list[MayakError]
    ) -> Iterator[tuple[DecodeRequest, ...]]:
        """Collect requests into chunks; outcomes that need no decoding go to the writer.

        An error of the stages before is added to ``ended_by``, not raised: what came before it is
        still decoded.
        """
        chunk: list[DecodeRequest] = []
        settled: list[ItemOutcome] = []
        size = 0
        try:
            for step in self._resolved(recorded, source):
                if isinstance(step, ItemOutcome):
                    settled.append(step)
                    if len(settled) >= _CHUNK_FILES:
                        self.outcomes.put(settled)
                        settled = []
                elif isinstance(step, DecodeRequest):
                    chunk.append(step)
                    size += len(step.data)
                    if size >= _CHUNK_BYTES or len(chunk) >= _CHUNK_FILES:
                        yield tuple(chunk)
                        chunk, size = [], 0
        except MayakError as error:
            ended_by.append(error)
        if settled:
            self.outcomes.put(settled)
        if chunk:
            yield tuple(chunk)

    def _resolved(self, recorded: RecordedSource, source: Source) -> Iterator[Step]:
        with closing(hashed(self._files(recorded, source))) as files:
            for each in files:
                if isinstance(each, ItemOutcome):
                    yield each
                else:
                    yield from self._resolver.resolve(recorded, each)
                if self._resolver.is_limited:
                    return

    def _files(self, recorded: RecordedSource, source: Source) -> Iterator[ReadFile | ItemOutcome]:
        """Walk the source and read its files."""
        for entry in source.items(self._stop):
            if self._stop.is_set():
                return
            for step in self._resolver.resolve(recorded, entry):
                if isinstance(step, FileToRead):
                    data = self._options.quieted(read(step.entry))
                    if isinstance(data, bytes):
                        yield ReadFile(step.entry, data, step.before)
                        continue
                    (step,) = self._resolver.resolve(recorded, UnreadFile(step, data))
                if isinstance(step, ItemOutcome):
                    yield step


def read(entry: EvidenceEntry) -> bytes | Exclusion | Failure:
    """Return a file's bytes if it may be an image or contain some, or else why they are not read.

    Of other files the first bytes are read (``census``).
    """
    path = str(entry.path)
    if entry.is_piece:  # whatever it begins with
        text = "a later piece of a split file, which is read with its first one"
        return Exclusion(OutcomeReason.CONTAINER, text, entry.kind or None)
    try:
        with entry.open() as stream:
            head = stream.read(_HEAD)
            if not head:
                return Exclusion(OutcomeReason.EMPTY, "0 bytes")
            if is_apple_double(head, entry.path.name):
                return Exclusion(
                    OutcomeReason.APPLE_DOUBLE,
                    "AppleDouble: metadata that macOS writes next to a file",
                )
            if is_program(head):
                return Exclusion(
                    OutcomeReason.PROGRAM, "PostScript or a metafile, which is not executed"
                )
            if not _may_be_image(entry, head):
                if needs_password(stream, head):
                    return Failure(
                        path,
                        "read",
                        OutcomeReason.ENCRYPTED,
                        f"is a document with a password: {DECRYPT!s}",
                        kind=OFFICE_DOCUMENT.name,
                    )
                return without_image(entry, stream)
            if entry.size > MAX_FILE_BYTES:
                text = f"an image of {entry.size} bytes, more than {MAX_FILE_BYTES}"
                return Failure(path, "read", OutcomeReason.TOO_LARGE, text)
            # In one call: joining two parts of a photo would hold up other threads.
            stream.seek(0)
            data = stream.read(entry.size)
            if more := stream.read():
                data += more
    except ReaderLostError as error:
        return Failure(path, "read", error.outcome, str(error.reason))
    except (EvidenceError, OSError) as error:
        return Failure(path, "read", OutcomeReason.UNREADABLE, str(error.__cause__ or error))
    if len(data) < entry.size:
        text = f"{len(data)} of {entry.size} bytes could be read"
        return Failure(path, "read", OutcomeReason.DAMAGED, text)
    return data


def _may_be_image(entry: EvidenceEntry, head: bytes) -> bool:
    """Whether a file with these first bytes is an image or a PDF."""
    name = entry.path.name
    if entry.kind in NO_IMAGE and not named_as_image(name):
        return False
    return is_pdf(head) or looks_like_image(head, name)
