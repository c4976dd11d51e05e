"""The process that reads the containers of a source: it answers one request after the other.

It notes each step before it takes it, in memory that its parent reads if the process is lost.
"""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO

from mayak.errors import EvidenceError
from mayak.evidence.base import Choices, Limits, LostStep, Watch
from mayak.evidence.nested import LostFile
from mayak.evidence.open import open_in_process
from mayak.evidence.progress import on_progress
from mayak.evidence.streams import Bytes, translated
from mayak.evidence.walk import Walk
from mayak.evidence.wire import (
    Channel,
    Json,
    PathWriter,
    acquisition_row,
    error_row,
    failure_row,
    times_row,
)
from mayak.i18n import msg
from mayak.signatures import ALL, Use
from mayak.types import EvidenceEntry, EvidencePath, Failure, OutcomeReason, Task
from mayak.workers import SharedMemory, become_worker

Notes = Any
"""An array of three 64-bit numbers in shared memory: how often there was progress, the number of
the last step, and that of its container."""

_HEAD = 4096
"""Bytes of each file that are sent with it: most are not read any further."""
_WHOLE = 12 << 20
"""Size of a picture that is sent as a whole, if pictures are read at all."""
_BATCH = 256
_BATCH_BYTES = 4 << 20
_BATCH_S = 0.1
_MAX_BLOCKS = 1 << 16


@dataclass(frozen=True, slots=True)
class ReaderJob:
    """What the process is started for."""

    source: Path
    limits: Limits
    choices: Choices
    root: EvidencePath | None = None
    """As of ``open_source``."""
    temporary: str = field(default_factory=tempfile.gettempdir)
    """The folder for unpacked copies."""


def serve(pipe: Connection, shared: SharedMemory | None, notes: Notes, job: ReaderJob) -> None:
    """Answer requests until the other end of the pipe is closed."""
    become_worker(job.limits.memory)
    tempfile.tempdir = job.temporary
    watch = _NotedSteps(notes)
    on_progress(watch.progress)
    channel = Channel(pipe, shared)
    channel.send({})  # it has started
    server = _Server(channel, watch, job)
    with suppress(EOFError, ConnectionError):
        while True:
            request, _ = channel.receive()
            watch.renew()
            try:
                server.answer(request)
            except MemoryError:
                channel.send({"lost": OutcomeReason.OUT_OF_MEMORY})
            except Exception as error:  # noqa: BLE001 - raised again in the parent
                channel.send({"error": error_row(error)})


class _NotedSteps(Watch):
    """Notes steps for the parent, and leaves out those in which an earlier process was lost."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._blocks: set[tuple[int, int]] = set()
        """What was read since the last step or request, by the id of the bytes and the block."""
        self.begin({})

    def begin(self, lost: dict[int, LostStep]) -> None:
        """Start to count the steps of a walk."""
        self._lost = lost
        self._containers = self._steps = 0
        self._left: dict[int, LostStep] = {}

    def enter(self) -> int:
        self._containers += 1
        return self._containers

    def step(self, container: int) -> LostStep | None:
        self._steps += 1
        self._notes[1], self._notes[2] = self._steps, container
        self._notes[0] += 1
        self.renew()
        lost = self._lost.get(self._steps)
        if lost is not None and lost.leaves:
            self._left[container] = lost
        return lost

    def leaves(self, container: int) -> LostStep | None:
        return self._left.get(container)

    def progress(self) -> None:
        self._notes[0] += 1

    def renew(self) -> None:
        """Have all that is read count as progress again."""
        self._blocks.clear()

    def reads(self, data: Bytes, block: int) -> None:
        key = id(data), block
        if key not in self._blocks:
            if len(self._blocks) == _MAX_BLOCKS:
                self._blocks.clear()
            self._blocks.add(key)
            self.progress()


class _Server:
    """The source, its walk, and the files that were listed last."""

    def __init__(self, channel: Channel, watch: _NotedSteps, job: ReaderJob) -> None:
        self._channel, self._watch, self._job = channel, watch, job
        self._opened: Walk | None = None
        self._items: Iterator[EvidenceEntry | Failure] = iter(())
        self._paths = PathWriter()
        self._number = 0
        """Of the next item of the walk."""
        self._recent: deque[dict[int, EvidenceEntry]] = deque(maxlen=3)
        self._reading: tuple[object, BinaryIO] | None = None
        self._requests: dict[str, Callable[[Json], None]] = {
            "open": self._open,
            "count": self._count,
            "walk": self._begin,
            "next": self._next,
            "read": self._read,
            "find": self._find,
            "covers": self._covers,
            "identity": self._identity,
            "acquire": self._acquire,
        }

    def answer(self, request: Json) -> None:
        """Send the answer to a request. Raises what the reader raises."""
        self._requests[request["do"]](request)

    @property
    def _source(self) -> Walk:
        if self._opened is None:
            job = self._job
            self._opened = open_in_process(
                job.source, job.limits, job.choices, self._watch, root=job.root
            )
        return self._opened

    def _open(self, _: Json) -> None:
        source = self._source
        paths = PathWriter()
        size = None if source.medium is None else source.medium.size
        self._channel.send(
            {
                "path": paths.row(source.path),
                "stored": source.stored,
                "medium": size,
                "unlocked": bool(source.opened_with_password),
            }
        )

    def _identity(self, _: Json) -> None:
        self._channel.send({"identity": self._source.identity()})

    def _count(self, _: Json) -> None:
        self._source.count()
        self._channel.send({"listed": self._source.listed})

    def _begin(self, request: Json) -> None:
        """Begin a walk, after the items that were sent before an earlier process was lost."""
        lost = {
            int(step): LostStep(OutcomeReason(reason), leaves)
            for step, (reason, leaves) in request["lost"].items()
        }
        source = self._source
        self._watch.begin(lost)
        source.listed = request["listed"]
        self._paths, self._number = PathWriter(), 0
        self._recent.clear()
        at = request["at"]
        self._items = source.items() if at is None else source.items_of(EvidencePath.from_json(at))
        while self._number < request["skipped"] and next(self._items, None) is not None:
            self._number += 1
        self._channel.send({})

    def _next(self, request: Json) -> None:
        """Send the next items, each file with its first bytes, pictures whole if asked to."""
        rows: list[list[Any]] = []
        parts: list[list[bytes]] = []
        entries: dict[int, EvidenceEntry] = {}
        until = time.monotonic() + _BATCH_S
        n_bytes = 0
        is_end = False
        error: Json | None = None
        try:
            while len(rows) < _BATCH and n_bytes < _BATCH_BYTES and time.monotonic() < until:
                item = next(self._items, None)
                if item is None:
                    is_end = True
                    break
                if isinstance(item, Failure):
                    rows.append(failure_row(item, self._paths))
                else:
                    content, is_whole = _content(item, wanted=request["pictures"])
                    rows.append(self._entry_row(item, self._paths, is_whole))
                    parts.append(content)
                    n_bytes += sum(map(len, content))
                    entries[self._number] = item
                self._number += 1
        except MemoryError:
            raise
        except Exception as exc:  # noqa: BLE001 - what came before it is still read
            error = error_row(exc)
        self._recent.append(entries)
        unlocked = [self._paths.row(path) for path in self._source.opened_with_password]
        self._source.opened_with_password.clear()
        self._channel.send(
            {
                "layers": self._paths.new(),
                "items": rows,
                "unlocked": unlocked,
                "end": is_end,
                "listed": self._source.listed,
                "unexamined": self._source.unexamined,
                "raised": error,
            },
            parts,
        )

    def _entry_row(self, entry: EvidenceEntry, paths: PathWriter, is_whole: bool) -> list[Any]:
        lost = entry.open.outcome if isinstance(entry.open, LostFile) else None
        times = times_row(entry.times)
        told = [entry.kind, entry.is_piece]
        return [paths.row(entry.path), entry.size, times, entry.is_deleted, is_whole, lost, *told]

    def _find(self, request: Json) -> None:
        entry = self._source.find(EvidencePath.from_json(request["path"]))
        paths = PathWriter()
        row = None if entry is None else self._entry_row(entry, paths, False)
        self._channel.send({"entry": row, "layers": paths.new()})

    def _covers(self, request: Json) -> None:
        covers = self._source.covers_in_folder(EvidencePath.from_json(request["path"]))
        self._channel.send({"covers": covers})

    def _read(self, request: Json) -> None:
        """Send bytes of a file, named by its number in the walk or, if that is long ago, by its
        path; the stream stays open for the next ones."""
        key = request["number"], request["path"]
        if self._reading is None or self._reading[0] != key:
            self._close_reading()
            self._reading = key, self._entry(*key).open()
        stream = self._reading[1]
        with translated():
            if stream.tell() != request["offset"]:
                stream.seek(request["offset"])
            data = stream.read(request["size"])
        self._channel.send({}, [[data]])

    def _close_reading(self) -> None:
        if self._reading is not None:
            self._reading[1].close()
            self._reading = None

    def _entry(self, number: int | None, path: str) -> EvidenceEntry:
        for entries in self._recent:
            if number in entries:
                return entries[number]
        found = self._source.find(EvidencePath.from_json(path))
        if found is None:
            raise EvidenceError(
                msg("{path} is not there any more", path=EvidencePath.from_json(path)),
                remedy=msg("check that the medium is connected and the copy is whole"),
            )
        return found

    def _acquire(self, _: Json) -> None:
        found = self._source.acquire(_SentProgress(self._channel))
        self._channel.send({"acquisition": None if found is None else acquisition_row(found)})


def _content(entry: EvidenceEntry, *, wanted: bool) -> tuple[list[bytes], bool]:
    """Return the first bytes of a file, all of a picture if ``wanted``, in pieces, and whether that
    is all."""
    content: list[bytes] = []
    if isinstance(entry.open, LostFile):
        return content, False
    # If they cannot be read, the same happens again when the parent asks for them.
    with suppress(EvidenceError, OSError), entry.open() as stream:
        head = stream.read(_HEAD)
        content.append(head)
        if len(head) < _HEAD:
            return content, True
        kind = ALL.identify(head)
        is_picture = kind is not None and (
            kind.use is Use.DECODED or (kind.use is Use.ENTERED and kind.layer is None)
        )
        if wanted and is_picture and entry.size <= _WHOLE:
            rest = stream.read(entry.size + 1 - _HEAD)
            content.append(rest)
            return content, _HEAD + len(rest) <= entry.size
    return content, False


class _SentProgress:
    """Sends the progress of a task to the parent, which shows it."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Task]:  # noqa: ARG002
        yield self

    def advance(self, steps: int = 1, **_: float | str) -> None:
        self._channel.send({"advance": steps})

    def expect(self, total: int) -> None:  # noqa: ARG002
        return
