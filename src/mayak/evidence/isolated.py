"""Reads the containers of a source in a process of its own, which may be lost.

The readers parse whatever a suspect or a worn medium wrote. If one crashes, makes no progress or
takes too much memory, its process is ended and another one starts. It takes the same steps up to
the one that was lost, which becomes a Failure, and goes on after it.
"""

from __future__ import annotations

import io
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from threading import Event, RLock
from typing import Any, BinaryIO, TypeVar

from mayak.errors import MayakError
from mayak.evidence.acquire import Acquisition
from mayak.evidence.base import Choices, Limits, ReaderLostError, container_gap, loss_text
from mayak.evidence.serving import ReaderJob, serve
from mayak.evidence.streams import BUFFER
from mayak.evidence.wire import (
    Channel,
    Json,
    PathReader,
    acquisition_of,
    error_of,
    failure_of,
    times_of,
)
from mayak.types import EvidenceEntry, EvidencePath, Failure, OutcomeReason, Task
from mayak.untrusted import PARSE_ERRORS
from mayak.workers import SharedMemory

T = TypeVar("T")

_START_S = 120.0
"""Seconds in which a process must have started, whatever the limit of its steps."""
_POLL_S = 0.1
_MAX_READ = 8 << 20
_LOST_IN_CONTAINER = 4
"""Lost steps after which a container is not read any further: each costs the time of a walk up to
it, and up to ``Limits.seconds``."""
_LOST_IN_ALL = 32
"""The same for a container at the top, with all that is in it."""
_ASKED = -1


class _LossError(Exception):
    """A process that was lost."""

    def __init__(self, outcome: OutcomeReason, step: int = 0, container: int = 0) -> None:
        super().__init__(outcome)
        self.outcome, self.step, self.container = outcome, step, container


class ReaderProcess:
    """One process with its channel; the caller sees to it that one thread at a time uses it."""

    def __init__(self, job: ReaderJob) -> None:
        context = _context()
        pipe, theirs = context.Pipe()
        shared = SharedMemory.new()
        self._notes = context.RawArray("Q", 3)
        self._limits = job.limits
        self.channel = Channel(pipe, shared)
        self._process = context.Process(
            target=serve, args=(theirs, shared, self._notes, job), daemon=True
        )
        self._process.start()
        theirs.close()  # so that the process's death ends the pipe

    def start(self, stop: Event | None = None) -> None:
        """Wait until it runs.

        Raises:
            RuntimeError: it ended instead.
        """
        try:
            self._receive(_START_S, stop)
        except _LossError as loss:
            raise RuntimeError(
                "the process that reads containers ended while it started; a script must open "
                "evidence under `if __name__ == '__main__':`"
            ) from loss

    def ask(self, request: Json, stop: Event | None = None) -> tuple[Json, list[bytes]]:
        """Send a request and return its answer. Raises as ``answer``."""
        self.send(request)
        return self.answer(stop)

    def send(self, request: Json) -> None:
        """Send a request; it fails when the answer is received, if the process is lost."""
        try:
            self.channel.send(request)
        except OSError:
            return

    def answer(self, stop: Event | None = None) -> tuple[Json, list[bytes]]:
        """Return the answer to the next request that was sent.

        Raises:
            _LossError: the process crashed, made no progress, or took too much memory.
            CancelledError: ``stop`` was set.
            MayakError: what the reader raised.
        """
        message, parts = self._receive(self._limits.seconds, stop)
        if "lost" in message:
            raise self._lost(OutcomeReason.OUT_OF_MEMORY)
        if "error" in message:
            raise error_of(message["error"])
        return message, parts

    def _receive(self, seconds: float, stop: Event | None) -> tuple[Json, list[bytes]]:
        progress, since = self._notes[0], time.monotonic()
        try:
            while True:
                if stop is not None and stop.is_set():
                    raise CancelledError
                if self.channel.poll(min(_POLL_S, seconds)):
                    return self.channel.receive()
                now = time.monotonic()
                if progress != self._notes[0]:
                    progress, since = self._notes[0], now
                elif now - since > seconds:
                    raise self._lost(OutcomeReason.TOO_SLOW)
        except (EOFError, OSError, *PARSE_ERRORS) as error:
            raise self._lost(OutcomeReason.CRASHED) from error

    def _lost(self, outcome: OutcomeReason) -> _LossError:
        _, step, container = self._notes
        return _LossError(outcome, int(step), int(container))

    def kill(self) -> None:
        """End the process, even if a thread is waiting for its answer."""
        self._process.kill()

    def end(self) -> None:
        """End the process and release what it held."""
        self._process.kill()
        self._process.join()
        self.channel.close()


@cache
def _context() -> ForkServerContext | SpawnContext:
    """Return how processes are started: on Linux by a server that has imported the readers, which
    takes a twentieth of the time."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mayak.evidence.serving"])
    return context


@dataclass(slots=True)
class _WalkState:
    """How far a walk has come, to go on with it in another process."""

    root: EvidencePath
    """The file of a folder, or the source."""
    is_whole: bool
    """Whether it is the source."""
    listed: int
    process: ReaderProcess | None = None
    paths: PathReader = field(default_factory=PathReader)
    lost: dict[int, tuple[str, bool]] = field(default_factory=dict)
    """By step: the outcome, and whether its container is left."""
    n_lost: Counter[int] = field(default_factory=Counter)
    """Lost processes by container; under ``_ASKED`` those that read a file later."""
    n_items: int = 0
    """Items that have arrived."""
    is_asked: bool = False
    """Whether the next batch is asked for."""
    arrived: _Batch | None = None
    """A batch that arrived before it was needed."""
    are_read: bool = True
    """Whether the pictures of the last batch were opened."""


@dataclass(slots=True)
class _Batch:
    items: list[EvidenceEntry | Failure]
    is_end: bool
    listed: int
    error: MayakError | None = None


class Reader:
    """The containers of one source, read in another process; for callers of any thread."""

    def __init__(self, source: Path, limits: Limits, choices: Choices) -> None:
        self._job = ReaderJob(source, limits, choices)
        self.limits = limits
        self.listed = 0
        """Entries known so far, by the last walk."""
        self._turn, self._change = RLock(), RLock()
        self._process: ReaderProcess | None = None
        self._walk: _WalkState | None = None
        """The walk that the process is on."""
        self._stop: Event | None = None
        self._is_closed = False
        self._lost_firsts = 0

    def open(self) -> tuple[EvidencePath, dict[str, str], int | None]:
        """Open the source; return its path, the acquisition hashes in it, and the size of the disk
        in it, None if its bytes are those of its file.

        Raises:
            EvidenceError: it is not a source, or its reader was lost.
        """
        message = self._asked({"do": "open"}, self._job.source)
        return self._parsed(
            lambda: (
                PathReader().path(message["path"]),
                {str(name): str(value) for name, value in message["stored"].items()},
                None if message["medium"] is None else int(message["medium"]),
            )
        )

    def count(self) -> int:
        """Return the number of entries; at least one if the reader is lost, which the walk names.

        Raises: what the reader raises.
        """
        try:
            return int(self._asked({"do": "count"}, self._job.source)["listed"])
        except ReaderLostError:
            return 1

    def find(self, path: EvidencePath) -> EvidenceEntry | None:
        """As ``Walk.find``. Raises ReaderLostError, too."""
        message = self._asked({"do": "find", "path": path.to_json()}, path)
        if message["entry"] is None:
            return None

        def parsed() -> EvidenceEntry:
            paths = PathReader(path)
            paths.learn(message["layers"])
            return self._entry(message["entry"], paths, None, None, b"")

        return self._parsed(parsed)

    def covers(self, path: EvidencePath) -> bool:
        """As ``Walk.covers``; False if the reader is lost in it, as the walk names that, too."""
        if self._lost_firsts >= _LOST_IN_CONTAINER:
            return False
        try:
            return bool(self._asked({"do": "covers", "path": path.to_json()}, path)["covers"])
        except ReaderLostError:
            self._lost_firsts += 1
            return False

    def items(
        self, root: EvidencePath, listed: int, stop: Event | None, *, is_whole: bool
    ) -> Iterator[tuple[EvidenceEntry | Failure, OutcomeReason | None]]:
        """Walk the source, or one file of a folder with what is in it: ``root``; yields each item,
        and how the reader was lost with it.

        Raises:
            CancelledError: ``stop`` was set.
        """
        self._stop = stop
        walk = _WalkState(root, is_whole, listed)
        while True:
            batch = self._next(walk)
            self.listed = batch.listed
            batch.items.reverse()
            while batch.items:
                item = batch.items.pop()
                if isinstance(item, Failure):
                    yield item, None
                    continue
                opener = _opener(item)
                yield item, opener.outcome
                walk.are_read |= opener.is_read
                opener.release()
            if batch.error is not None:
                raise batch.error
            if batch.is_end:
                return

    def acquire(self, task: Task, stop: Event | None) -> Acquisition | None:
        """Hash the disk in the source, in a process of its own.

        Raises:
            EvidenceError: it cannot be read to its end, or its reader was lost.
            CancelledError: ``stop`` was set.
        """
        process = ReaderProcess(self._job)
        try:
            process.start(stop)
            process.send({"do": "acquire"})
            while True:
                message, _ = process.answer(stop)
                if "advance" not in message:
                    row = message["acquisition"]
                    return None if row is None else acquisition_of(row)
                task.advance(int(message["advance"]))
        except _LossError as loss:
            raise ReaderLostError(self._job.source, loss.outcome, self.limits) from None
        except PARSE_ERRORS as error:
            if isinstance(error, MayakError):
                raise
            outcome = OutcomeReason.CRASHED
            raise ReaderLostError(self._job.source, outcome, self.limits) from None
        finally:
            process.end()

    def read(
        self, walk: _WalkState | None, number: int | None, path: EvidencePath, at: int, size: int
    ) -> bytes:
        """Return bytes of a file, fewer only at its end.

        Raises:
            EvidenceError: they cannot be read, or the reader was lost.
        """
        request = {"do": "read", "path": path.to_json(), "offset": at, "size": size}
        with self._turn:
            is_recent = walk is not None and walk is self._walk and walk.process is self._process
            request["number"] = number if is_recent else None
            if walk is not None and walk.n_lost[_ASKED] >= _LOST_IN_ALL:
                raise ReaderLostError(path, OutcomeReason.CRASHED, self.limits)
            try:
                _, parts = self._answer(request, path)
            except ReaderLostError:
                if walk is not None:
                    walk.n_lost[_ASKED] += 1
                raise
        return parts[0]

    def close(self) -> None:
        """End the process, and with it the calls of other threads."""
        with self._change:
            self._is_closed = True
            if self._process is not None:
                self._process.kill()
        with self._turn:
            self._end()

    # ------------------------------------------------------------ one request after the other

    def _asked(self, request: Json, what: object) -> Json:
        with self._turn:
            return self._answer(request, what)[0]

    def _answer(self, request: Json, what: object) -> tuple[Json, list[bytes]]:
        """Return the answer to a request about ``what``."""
        if self._walk is not None and self._walk.is_asked:
            # Its answer comes first.
            self._walk.arrived = self._arriving(self._walk)
        try:
            return self._running().ask(request, self._stop)
        except _LossError as loss:
            self._end()
            raise ReaderLostError(what, loss.outcome, self.limits) from None
        except CancelledError:
            self._end()
            raise

    def _next(self, walk: _WalkState) -> _Batch:
        with self._turn:
            batch, walk.arrived = walk.arrived, None
            while batch is None:
                batch = self._arriving(walk)
            if not batch.is_end and batch.error is None and walk.process is self._process:
                self._ask_next(walk)  # the next one is made while this one is used
            return batch

    def _ask_next(self, walk: _WalkState) -> None:
        self._running().send({"do": "next", "pictures": walk.are_read})
        walk.is_asked, walk.are_read = True, False

    def _arriving(self, walk: _WalkState) -> _Batch | None:
        """Return the next batch of a walk; None if the reader was lost in it."""
        try:
            process = self._running()
            if walk is not self._walk or walk.process is not process:
                self._resume(walk, process)
            if not walk.is_asked:
                self._ask_next(walk)
            message, parts = process.answer(self._stop)
            walk.is_asked = False
            return self._batch(walk, message, parts)
        except _LossError as loss:
            self._end()
            return self._note(walk, loss)
        except CancelledError:
            self._end()
            raise
        except PARSE_ERRORS as error:
            if isinstance(error, MayakError):
                raise
            self._end()
            return self._note(walk, _LossError(OutcomeReason.CRASHED))

    def _resume(self, walk: _WalkState, process: ReaderProcess) -> None:
        if self._walk is not None and self._walk.is_asked:
            self._walk.arrived = self._arriving(self._walk)
            process = self._running()
        walk.paths, walk.process, walk.is_asked = PathReader(walk.root), process, False
        self._walk = walk
        request = {
            "do": "walk",
            "at": None if walk.is_whole else walk.root.to_json(),
            "listed": walk.listed,
            "lost": walk.lost,
            "skipped": walk.n_items,
        }
        process.ask(request, self._stop)

    def _note(self, walk: _WalkState, loss: _LossError) -> _Batch | None:
        """Have the lost step left out; return the last batch if too many were lost."""
        walk.n_lost[loss.container] += 1
        leaves = walk.n_lost[loss.container] >= _LOST_IN_CONTAINER
        walk.lost[loss.step] = loss.outcome, leaves
        if walk.n_lost.total() < _LOST_IN_ALL:
            return None
        reason = f"is not read any further: {loss_text(loss.outcome, self.limits)}"
        return _Batch([container_gap(walk.root, loss.outcome, reason)], True, walk.listed)

    def _batch(self, walk: _WalkState, message: Json, parts: list[bytes]) -> _Batch:
        walk.paths.learn(message["layers"])
        items: list[EvidenceEntry | Failure] = []
        contents = iter(parts)
        for number, row in enumerate(message["items"], walk.n_items):
            if len(row) == 4:
                items.append(failure_of(row, walk.paths))
            else:
                items.append(self._entry(row, walk.paths, walk, number, next(contents)))
        error = None if message["raised"] is None else error_of(message["raised"])
        batch = _Batch(items, bool(message["end"]), int(message["listed"]), error)
        walk.n_items += len(items)
        return batch

    def _entry(
        self,
        row: list[Any],
        paths: PathReader,
        walk: _WalkState | None,
        number: int | None,
        content: bytes,
    ) -> EvidenceEntry:
        path, size, times, is_deleted, is_whole, lost = row
        if not isinstance(size, int) or size < 0:
            raise ValueError(row)
        at = paths.path(path)
        outcome = None if lost is None else OutcomeReason(lost)
        opener = _RemoteFile(self, walk, number, at, size, content, bool(is_whole), outcome)
        return EvidenceEntry(at, size, opener, times_of(times), bool(is_deleted))

    def _parsed(self, parse: Callable[[], T]) -> T:
        try:
            return parse()
        except PARSE_ERRORS:
            outcome = OutcomeReason.CRASHED
            raise ReaderLostError(self._job.source, outcome, self.limits) from None

    def _running(self) -> ReaderProcess:
        """Return the process, a new one if the last was lost."""
        with self._change:
            if self._is_closed:
                raise CancelledError
            if self._process is not None:
                return self._process
            process = self._process = ReaderProcess(self._job)
        try:
            process.start(self._stop)
        except BaseException:
            self._end()
            raise
        return process

    def _end(self) -> None:
        with self._change:
            process, self._process = self._process, None
        if process is not None:
            process.end()
        if self._walk is not None:
            self._walk.is_asked = False


class _RemoteFile:
    """Opens a file that the other process reads, of which the first bytes have arrived."""

    def __init__(
        self,
        reader: Reader,
        walk: _WalkState | None,
        number: int | None,
        path: EvidencePath,
        size: int,
        content: bytes,
        is_whole: bool,
        outcome: OutcomeReason | None,
    ) -> None:
        self._reader, self._walk, self._number = reader, walk, number
        self._path, self._size = path, size
        self._content: bytes | None = content
        self._is_whole = is_whole
        self.outcome = outcome
        """How the reader was lost with this file."""
        self.is_read = False
        """Whether it was opened."""

    def __call__(self) -> BinaryIO:
        if self.outcome is not None:
            raise ReaderLostError(self._path, self.outcome, self._reader.limits)
        self.is_read = True
        content, self._content = self._content, None
        if content is not None and self._is_whole:
            return io.BytesIO(content)
        if not content and self._size:
            self._read(0, 0)  # what cannot be opened at all fails here
        return io.BufferedReader(_RemoteStream(self._read, content or b"", self._size), BUFFER)

    def _read(self, at: int, size: int) -> bytes:
        try:
            return self._reader.read(self._walk, self._number, self._path, at, size)
        except ReaderLostError as lost:
            self.outcome = lost.outcome
            raise

    def release(self) -> None:
        """Forget the content, when the walk goes on."""
        self._content = None


class _RemoteStream(io.RawIOBase):
    """A file that the other process reads, in large blocks."""

    def __init__(self, read: Callable[[int, int], bytes], start: bytes, size: int) -> None:
        self._read, self._start, self._size = read, start, size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any buffer
        view = memoryview(buffer).cast("B")
        part = self._next(len(view))
        view[: len(part)] = part
        return len(part)

    def readall(self) -> bytes:
        parts: list[bytes] = []
        while part := self._next(_MAX_READ):
            parts.append(part)
        return b"".join(parts)

    def _next(self, limit: int) -> bytes:
        at = self._position
        if at < len(self._start):
            part = self._start[at : at + limit]
        else:
            part = self._read(at, min(limit, _MAX_READ))
        self._position += len(part)
        return part


def _opener(entry: EvidenceEntry) -> _RemoteFile:
    assert isinstance(entry.open, _RemoteFile)  # noqa: S101 - made above
    return entry.open
