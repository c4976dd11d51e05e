"""Reads the containers of a source in a process of its own, which may be lost.

The readers parse whatever a suspect or a worn medium wrote. If one crashes, makes no progress or
takes too much memory, its process is ended and another one starts. It takes the same steps up to
the one that was lost, which becomes a Failure, and goes on after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, RLock
from typing import Any, TypeVar, cast, get_args

from mayak.errors import MayakError
from mayak.evidence.acquire import Acquisition
from mayak.evidence.base import Choices, Limits, ReaderLostError, container_gap, loss_text
from mayak.evidence.process import LossError, ReaderProcess
from mayak.evidence.remote import RemoteFile
from mayak.evidence.serving import ReaderJob
from mayak.evidence.wire import (
    FAILURE_COLUMNS,
    Json,
    PathReader,
    acquisition_of,
    error_of,
    failure_of,
    is_kind,
    times_of,
)
from mayak.types import EvidenceEntry, EvidencePath, Failure, OutcomeReason, Space, Task
from mayak.untrusted import PARSE_ERRORS

T = TypeVar("T")

_LOST_IN_CONTAINER = 4
"""Lost steps after which a container is not read any further: each costs the time of a walk up to
it, and up to ``Limits.seconds``."""
_LOST_IN_ALL = 32
"""The same for a container at the top, with all that is in it."""
_ASKED = -1


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
    """Whether files of the last batch were opened."""


@dataclass(slots=True)
class _Batch:
    items: list[EvidenceEntry | Failure]
    is_end: bool
    listed: int
    error: MayakError | None = None


class Reader:
    """The containers of one source, read in another process; for callers of any thread."""

    def __init__(
        self, source: Path, limits: Limits, choices: Choices, root: EvidencePath | None
    ) -> None:
        self._job = ReaderJob(source, limits, choices, root)
        self.limits = limits
        self.listed = 0
        """Entries known so far, by the last walk."""
        self.opened_with_password: list[EvidencePath] = []
        """Containers that one of the passwords opened, as far as they are known."""
        self._turn, self._change = RLock(), RLock()
        self._process: ReaderProcess | None = None
        self._walk: _WalkState | None = None
        """The walk that the process is on."""
        self.unexamined: Counter[Space] = Counter()
        """As of ``Walk``, of the walks that have ended."""
        self._stop: Event | None = None
        self._is_closed = False
        self._lost_firsts = 0

    def open(self) -> tuple[EvidencePath, dict[str, str], int | None]:
        """Open the source; return its path, the acquisition hashes in it, and the size of what is
        hashed as the source, None if that is the file at its path.

        Raises:
            EvidenceError: it is not a source, or its reader was lost.
        """

        def parsed(
            message: Json, _: list[bytes]
        ) -> tuple[EvidencePath, dict[str, str], int | None]:
            path = PathReader().path(message["path"])
            if message["unlocked"]:
                self._note_unlocked(path)
            stored = {str(name): str(value) for name, value in message["stored"].items()}
            return path, stored, None if message["medium"] is None else int(message["medium"])

        return self._asked({"do": "open"}, self._job.source, parsed)

    def identity(self) -> str:
        """As ``Walk.identity``. Raises ReaderLostError, too."""

        def parsed(message: Json, _: list[bytes]) -> str:
            return bytes.fromhex(message["identity"]).hex()

        return self._asked({"do": "identity"}, self._job.source, parsed)

    def count(self) -> int:
        """Return the number of entries; at least one if the reader is lost, which the walk names.

        Raises: what the reader raises.
        """
        source = self._job.source
        try:
            return self._asked({"do": "count"}, source, lambda message, _: int(message["listed"]))
        except ReaderLostError:
            return 1

    def find(self, path: EvidencePath) -> EvidenceEntry | None:
        """As ``Walk.find``. Raises ReaderLostError, too."""

        def parsed(message: Json, _: list[bytes]) -> EvidenceEntry | None:
            if message["entry"] is None:
                return None
            paths = PathReader(path)
            paths.learn(message["layers"])
            return self._entry(message["entry"], paths, None, None, b"")

        return self._asked({"do": "find", "path": path.to_json()}, path, parsed)

    def covers(self, path: EvidencePath) -> bool:
        """As ``Walk.covers_in_folder``; False if the reader is lost, which the walk names, too."""
        if self._lost_firsts >= _LOST_IN_CONTAINER:
            return False
        request = {"do": "covers", "path": path.to_json()}
        try:
            return self._asked(request, path, lambda message, _: bool(message["covers"]))
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
            opened: list[bool] = []
            batch.items.reverse()
            while batch.items:
                item = batch.items.pop()
                if isinstance(item, Failure):
                    yield item, None
                    continue
                opener = _opener(item)
                yield item, opener.outcome
                opened.append(opener.is_read)
                opener.release()
            if opened:
                walk.are_read = any(opened)
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
        except LossError as loss:
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
                return self._asked(request, path, lambda _, parts: _one(parts, size))
            except ReaderLostError:
                if walk is not None:
                    walk.n_lost[_ASKED] += 1
                raise

    def close(self) -> None:
        """End the process, and with it the calls of other threads."""
        with self._change:
            self._is_closed = True
            if self._process is not None:
                self._process.kill()
        with self._turn:
            self._end()

    # ------------------------------------------------------------ one request after the other

    def _asked(self, request: Json, what: object, parse: Callable[[Json, list[bytes]], T]) -> T:
        """Return what ``parse`` makes of the answer to a request about ``what``."""
        with self._turn:
            message, parts = self._answer(request, what)
            try:
                return parse(message, parts)
            except PARSE_ERRORS:
                raise ReaderLostError(what, OutcomeReason.CRASHED, self.limits) from None

    def _answer(self, request: Json, what: object) -> tuple[Json, list[bytes]]:
        if self._walk is not None and self._walk.is_asked:
            # Its answer comes first.
            self._walk.arrived = self._arriving(self._walk)
        try:
            return self._running().ask(request, self._stop)
        except LossError as loss:
            self._end()
            raise ReaderLostError(what, loss.outcome, self.limits) from None
        except MayakError:
            raise
        except BaseException:  # its answer would be taken for that of the next request
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
        walk.is_asked = True

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
        except LossError as loss:
            self._end()
            return self._note(walk, loss)
        except MayakError:
            walk.is_asked = False
            raise
        except PARSE_ERRORS:
            self._end()
            return self._note(walk, LossError(OutcomeReason.CRASHED))
        except BaseException:  # its answer would be taken for that of the next request
            self._end()
            raise

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

    def _note(self, walk: _WalkState, loss: LossError) -> _Batch | None:
        """Have the lost step left out; return the last batch if too many were lost."""
        walk.n_lost[loss.container] += 1
        leaves = walk.n_lost[loss.container] >= _LOST_IN_CONTAINER
        walk.lost[loss.step] = loss.outcome, leaves
        if walk.n_lost.total() < _LOST_IN_ALL:
            return None
        reason = f"is not read any further: {loss_text(loss.outcome, self.limits)}"
        listed = self.listed if walk.n_items else walk.listed
        return _Batch([container_gap(walk.root, loss.outcome, reason)], True, listed)

    def _batch(self, walk: _WalkState, message: Json, parts: list[bytes]) -> _Batch:
        walk.paths.learn(message["layers"])
        for row in message["unlocked"]:
            self._note_unlocked(walk.paths.path(row))
        items: list[EvidenceEntry | Failure] = []
        contents = iter(parts)
        for number, row in enumerate(message["items"], walk.n_items):
            if len(row) == FAILURE_COLUMNS:
                items.append(failure_of(row, walk.paths))
            else:
                items.append(self._entry(row, walk.paths, walk, number, next(contents)))
        error = None if message["raised"] is None else error_of(message["raised"])
        batch = _Batch(items, bool(message["end"]), int(message["listed"]), error)
        if batch.is_end:
            self.unexamined.update(_space(message["unexamined"]))
        walk.n_items += len(items)
        return batch

    def _note_unlocked(self, path: EvidencePath) -> None:
        if path not in self.opened_with_password:  # another process may have opened it before
            self.opened_with_password.append(path)

    def _entry(
        self,
        row: list[Any],
        paths: PathReader,
        walk: _WalkState | None,
        number: int | None,
        content: bytes,
    ) -> EvidenceEntry:
        path, size, times, is_deleted, is_whole, lost, kind, is_piece = row
        if not isinstance(size, int) or size < 0 or not (kind == "" or is_kind(kind)):
            raise ValueError(row)
        at = paths.path(path)
        outcome = None if lost is None else OutcomeReason(lost)
        read = partial(self.read, walk, number, at)
        opener = RemoteFile((at, size), read, self.limits, content, bool(is_whole), outcome)
        times = times_of(times)
        return EvidenceEntry(at, size, opener, times, bool(is_deleted), kind, bool(is_piece))

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


def _space(found: Json) -> dict[Space, int]:
    """Return the bytes that were not looked at, by their kind."""
    names = get_args(Space)
    if not all(name in names and isinstance(n, int) and n >= 0 for name, n in found.items()):
        raise ValueError(found)
    return cast(dict[Space, int], found)


def _one(parts: list[bytes], max_bytes: int) -> bytes:
    (part,) = parts
    if len(part) > max_bytes:
        raise ValueError(len(part))
    return part


def _opener(entry: EvidenceEntry) -> RemoteFile:
    assert isinstance(entry.open, RemoteFile)  # noqa: S101 - made above
    return entry.open
