"""From open sources to examined files: one thread walks and reads, processes decode.

The walk knows what the case holds already, so that a run that was interrupted goes on where it
stopped, and the same bytes are decoded once.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Queue
from threading import Condition, Event, Thread

from mayak.case import CaseStore, Content, Duplicate, Exclusion, Item, StoredItem
from mayak.errors import EvidenceError, IntegrityError, MayakError
from mayak.evidence import EXCLUSIONS, Source
from mayak.hashlists import HashList
from mayak.imaging.formats import is_program, named_as_image
from mayak.imaging.hashing import sha256
from mayak.isolation import Lost, Workers
from mayak.language import tr
from mayak.triage.arrival import Arrival, Outcome, item_of, location_of, weight
from mayak.triage.examine import (
    LARGEST_FILE,
    MEMORY,
    PDF,
    SECONDS,
    Found,
    Job,
    More,
    Rules,
    document_digest,
    examine,
    given_up,
    is_candidate,
    lost,
)
from mayak.triage.options import Options
from mayak.types import EvidenceItem, EvidencePath, Failure, Sides

_HEAD = 512
_CHUNK_BYTES = 1 << 20
_CHUNK_FILES = 32
"""Small files travel to the workers together, a message each would cost more than the decoding."""
_WAITING = 1 << 29
"""Bytes of pixels that may wait for the main thread, which is away for the time of a batch."""
_AHEAD = 8
_AHEAD_BYTES = 1 << 26
"""Files, and bytes of them, that are read while those before them are hashed."""
_HASHERS = 2
_LONG = 1 << 17
"""Bytes from which on hashing takes longer than telling another thread of it."""
_LOST = 3
"""Pictures of one file that may each take a process along before the rest is given up: each can
cost the whole time that a file has."""
_RECENT = 5_000
"""Files whose outcome is remembered: more than can be on the way from here to the disk."""

_NO_FILES = ("volume", "embedded")
"""Kinds of layers that no reader lists."""

Work = tuple[Rules, tuple[Job, ...]]


@dataclass(frozen=True, slots=True)
class _Read:
    """A file that has been read and is being hashed."""

    entry: EvidenceItem
    data: bytes
    digest: str | Future[str]
    held: str | None
    """SHA-256 of what the case holds of it."""
    known: bool
    document: str | None
    """SHA-256 of the document that an earlier run took in there."""


class Feed:
    """All items of some sources, examined, in bounded memory; iterate once, then ``close``."""

    def __init__(
        self,
        options: Options,
        sources: list[tuple[int, Path, Source]],
        unproven: set[int],
        run: int | None,
        least: Sides,
        known_good: list[HashList],
    ) -> None:
        self._options, self._unproven, self._run = options, unproven, run
        self._sources = [(number, source) for number, _, source in sources]
        self._places = {number: (path, _identity(path)) for number, path, _ in sources}
        self._rules = Rules(options.smallest, least, pixels=run is not None)
        self._known_good = known_good
        self._queue: Queue[list[Arrival] | BaseException | None] = Queue()
        self._room = Condition()
        self._in_queue = 0
        """As ``weight`` counts."""
        self._stop = Event()
        self._outcomes: OrderedDict[str, Outcome | None] = OrderedDict()
        """Of each file sent to a worker, by SHA-256; None until it is known."""
        self._waiting: dict[str, list[tuple[int, EvidenceItem, bool]]] = {}
        self._whole: dict[EvidencePath, Found] = {}
        """Files whose inside is still being examined: known only when that is, so that a run that
        is cut off goes through them again."""
        self._new: set[int] = set()
        """Sources of which the case held nothing when the walk began."""
        self._sent = 0
        self._inside = 0
        self._settled_before = 0
        self.limited = False
        """Whether the walk ended at the options' limit."""
        # In the context of whoever is told of faults: it holds the language.
        in_context = copy_context().run
        self._thread = Thread(target=in_context, args=(self._work,), name="mayak-feed", daemon=True)

    @property
    def expected(self) -> int:
        """Items to come in all, as far as is known."""
        listed = sum(source.listed for _, source in self._sources)
        return listed + self._inside - self._settled_before

    def __iter__(self) -> Iterator[list[Arrival]]:
        self._thread.start()
        while (arrived := self._queue.get()) is not None:
            if isinstance(arrived, BaseException):
                raise arrived
            with self._room:
                self._in_queue -= weight(arrived)
                self._room.notify()
            yield arrived

    def close(self) -> None:
        """End the walk and its processes."""
        self._stop.set()
        with self._room:
            self._room.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _put(self, arrived: list[Arrival]) -> None:
        """Hand on, as soon as there is room."""
        with self._room:
            self._room.wait_for(lambda: self._in_queue < _WAITING or self._stop.is_set())
            self._in_queue += weight(arrived)
        self._queue.put(arrived)

    def _work(self) -> None:
        try:
            with CaseStore.read(self._options.case) as case:
                for number, source in self._sources:
                    self._walk(case, number, source)
                    if source.path.kind == "folder":
                        self._require_source(number)  # an unmounted one lists as an empty one
                    if source.path.kind == "folder" or number in self._unproven:
                        self._put(list(self._vanished(case, number, source)))
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._queue.put(error)
        else:
            self._queue.put(None)

    def _walk(self, case: CaseStore, number: int, source: Source) -> None:
        if next(case.known_items(number), None) is None:
            self._new.add(number)
        pool = Workers[Work, list[Found | More]](
            examine, max(1, self._options.workers), seconds=SECONDS, memory=MEMORY
        )
        work = _Agenda(self._chunks(case, number, source))
        for (rules, jobs), result in pool.run(work):
            if self._stop.is_set():
                return
            if isinstance(result, Lost) and len(jobs) > 1:
                # A chunk that took its process along is done again a file at a time.
                work.again.extend((rules, (job,)) for job in jobs)
                continue
            if isinstance(result, Lost):
                result, left = _after_loss(jobs[0], result.why)
            else:
                left = _further(jobs, result)
            work.again.extend((rules, (job,)) for job in left)
            self._deliver(case, number, jobs, result, {job.path for job in left})

    def _deliver(
        self,
        case: CaseStore,
        number: int,
        jobs: tuple[Job, ...],
        results: list[Found | More],
        unfinished: set[EvidencePath],
    ) -> None:
        """Hand on what was found, but for the files that are not through."""
        ready: list[Found] = []
        for found in results:
            if isinstance(found, More):
                self._inside += len(found.names) if found.part == 1 else 0
            elif found.job.path in unfinished:
                self._whole[found.job.path] = found
            else:
                ready.append(found)
        ready += [
            self._whole.pop(job.path)
            for job in jobs
            if job.path in self._whole and job.path not in unfinished
        ]
        arrived = []
        of_files = {job.path: job.data for job in jobs}
        for found in ready:
            if (image := found.image) is not None and image.scale > 1:
                data = of_files.get(found.job.path, image.data)
                found = replace(found, image=replace(image, data=data))
            arrived.append(self._arrival(case, number, found))
            if found.job.sha256 is not None:
                arrived += self._settle(found.job.sha256, found.outcome)
        self._put(arrived)

    def _settle(self, digest: str, outcome: Content | Failure | Exclusion) -> list[Arrival]:
        """Remember what became of some bytes; the files that waited for it."""
        kept: Outcome = Duplicate(digest) if isinstance(outcome, Content) else outcome
        self._outcomes[digest] = kept
        self._outcomes.move_to_end(digest)
        while len(self._outcomes) > _RECENT and self._outcomes[next(iter(self._outcomes))]:
            self._outcomes.popitem(last=False)
        return [
            Arrival(number, item_of(entry, kept), known)
            for number, entry, known in self._waiting.pop(digest, [])
        ]

    def _arrival(self, case: CaseStore, number: int, found: Found) -> Arrival:
        job = found.job
        item = Item(
            display=str(job.path),
            location=location_of(job.path),
            outcome=found.outcome,
            size=job.size,
            created=job.created,
            modified=job.modified,
            accessed=job.accessed,
            zone_known=job.zone_known,
            deleted=job.deleted,
        )
        before = self._before(case, number, item.location)
        held = None if before is None else before.content
        if held and not isinstance(found.outcome, Content):
            # What an earlier run took in stays; only the model goes without it, or sees it small.
            kept = replace(item, outcome=Duplicate(held))
            failed = found.outcome if isinstance(found.outcome, Failure) else None
            return Arrival(number, kept, known=True, image=found.image, failure=failed)
        if held and isinstance(found.outcome, Content) and found.outcome.sha256 != held:
            # Of a document that was accepted changed, or from which another decoder gets others.
            failed = Failure(item.display, "decode", "Changed", "is not what it was")
            return Arrival(number, replace(item, outcome=Duplicate(held)), True, failure=failed)
        image = found.image if isinstance(found.outcome, Content) else None
        return Arrival(number, item, before is not None, image)

    # -------------------------------------------------------------- the walk

    def _chunks(self, case: CaseStore, number: int, source: Source) -> Iterator[Work]:
        jobs: list[Job] = []
        settled: list[Arrival] = []
        size = 0
        for step in self._steps(case, number, source):
            if isinstance(step, Arrival):
                settled.append(step)
                if len(settled) >= _CHUNK_FILES:
                    self._put(settled)
                    settled = []
            else:
                jobs.append(step)
                size += len(step.data)
                if size >= _CHUNK_BYTES or len(jobs) >= _CHUNK_FILES:
                    yield self._rules, tuple(jobs)
                    jobs, size = [], 0
        if settled:
            self._put(settled)
        if jobs:
            yield self._rules, tuple(jobs)

    def _steps(self, case: CaseStore, number: int, source: Source) -> Iterator[Arrival | Job]:
        """What becomes of each item, in order; files are hashed while the next are read."""
        ahead: deque[_Read | Arrival] = deque()
        with ThreadPoolExecutor(_HASHERS, "hash") as pool:
            try:
                for entry in source.items():
                    if self._stop.is_set() or self.limited:
                        break
                    step = self._taken_up(case, number, entry, pool)
                    if step is not None:
                        ahead.append(step)
                    yield from self._gone_on_with(case, number, ahead, _AHEAD)
            except MayakError:
                yield from self._gone_on_with(case, number, ahead, 0)
                raise
            yield from self._gone_on_with(case, number, ahead, 0)

    def _gone_on_with(
        self, case: CaseStore, number: int, ahead: deque[_Read | Arrival], most: int
    ) -> Iterator[Arrival | Job]:
        """Settle what was read first, until ``most`` are left ahead."""
        while ahead and (len(ahead) > most or sum(map(_read_bytes, ahead)) > _AHEAD_BYTES):
            first = ahead.popleft()
            step = self._hashed(case, number, first) if isinstance(first, _Read) else first
            if self.limited:
                ahead.clear()
            elif step is not None:
                yield step

    def _taken_up(
        self, case: CaseStore, number: int, entry: EvidenceItem | Failure, pool: ThreadPoolExecutor
    ) -> Arrival | _Read | None:
        """An item that is settled, or its bytes; None where nothing is left to do."""
        if isinstance(entry, Failure):
            return self._unreadable(case, number, entry)
        location = location_of(entry.path)
        before = self._before(case, number, location)
        known = before is not None
        held = None if before is None else before.content
        document = None if before is None else document_digest(before)
        if held is not None:
            # What an earlier run took in stays, whatever this one leaves out.
            if number not in self._unproven and self._is_through(case, number, location, held):
                self._settled_before += 1
                return None
        elif (unwanted := self._options.unwanted(entry)) is not None:
            return Arrival(number, item_of(entry, unwanted), known)
        read = self._read(entry)
        if isinstance(read, bytes):
            digest = pool.submit(sha256, read) if len(read) >= _LONG else sha256(read)
            return _Read(entry, read, digest, held, known, document)
        if isinstance(read, Failure):
            self._require_source(number)
        if held is not None:
            return self._changed(
                number, entry, held, "can no longer be read", "더 이상 읽을 수 없습니다"
            )
        if document is not None:
            self._require_accepted(entry, "can no longer be read", "더 이상 읽을 수 없습니다")
        return Arrival(number, item_of(entry, read), known)

    def _hashed(self, case: CaseStore, number: int, read: _Read) -> Arrival | Job | None:
        """An item that is settled, or bytes to be examined; None where nothing is left to do."""
        entry, data, held, known = read.entry, read.data, read.held, read.known
        digest = read.digest if isinstance(read.digest, str) else read.digest.result()
        if read.document not in (None, digest):
            self._require_accepted(
                entry, "has changed since it was read", "읽은 뒤에 변경되었습니다"
            )
        if held is None:
            if match := self._known_to_be_good(data, digest):
                return Arrival(number, item_of(entry, match), known)
            # The images in a document lie in each copy of it.
            if not data.startswith(PDF):
                if digest in self._outcomes:
                    return self._duplicate(number, entry, digest, known)
                if case.content(digest) is not None and self._has_result(case, digest):
                    return Arrival(number, item_of(entry, Duplicate(digest)), known)
        elif digest != held:
            return self._changed(
                number, entry, held, "has changed since it was read", "읽은 뒤에 변경되었습니다"
            )
        elif number in self._unproven and self._is_through(
            case, number, location_of(entry.path), held
        ):
            self._settled_before += 1
            return None
        if self._sent == self._options.limit:
            self.limited = True
            return None
        self._outcomes[digest] = None
        self._sent += 1
        return Job(
            entry.path,
            data,
            entry.size,
            entry.modified,
            entry.created,
            entry.accessed,
            entry.zone_known,
            entry.deleted,
            digest,
        )

    def _before(self, case: CaseStore, number: int, location: str) -> StoredItem | None:
        """What the case holds of an item."""
        # A query costs as much as hashing a small file.
        return None if number in self._new else case.outcome(number, location)

    def _is_through(self, case: CaseStore, number: int, location: str, held: str) -> bool:
        """Whether nothing is left to do of a file that the case holds."""
        return (held in self._outcomes or self._has_result(case, held)) and not (
            self._run is not None and case.lacks_inside(self._run, number, location)
        )

    def _has_result(self, case: CaseStore, digest: str) -> bool:
        return self._run is None or case.has_result(self._run, digest)

    def _duplicate(
        self, number: int, entry: EvidenceItem, digest: str, known: bool
    ) -> Arrival | None:
        """The same bytes as a file before: what becomes of that one becomes of this."""
        outcome = self._outcomes[digest]
        if outcome is None:
            self._waiting.setdefault(digest, []).append((number, entry, known))
            return None
        return Arrival(number, item_of(entry, outcome), known)

    def _read(self, entry: EvidenceItem) -> bytes | Exclusion | Failure:
        path = str(entry.path)
        try:
            with entry.open() as stream:
                head = stream.read(_HEAD)
                if not head:
                    return Exclusion("empty", "0 bytes")
                if is_program(head):
                    return Exclusion("program", "PostScript or a metafile: it would have to be run")
                if not is_candidate(head, entry.path.name):
                    if entry.path.kind == "file" and named_as_image(entry.path.name):
                        # encrypted, overwritten or cut to pieces
                        text = "named as an image, but begins as none"
                        return Failure(path, "decode", "Damaged", text)
                    return Exclusion("not-an-image", "begins as no image format does")
                if entry.size > LARGEST_FILE:
                    text = f"an image of {entry.size} bytes, more than {LARGEST_FILE}"
                    return Failure(path, "read", "TooLarge", text)
                # In one piece: putting a photo together from two would hold up other threads.
                stream.seek(0)
                data = stream.read(entry.size)
                if more := stream.read():
                    data += more
        except (EvidenceError, OSError) as error:
            return Failure(path, "read", "Unreadable", str(error.__cause__ or error))
        if len(data) < entry.size:
            text = f"{len(data)} of {entry.size} bytes could be read"
            return Failure(path, "read", "Damaged", text)
        return data

    def _require_source(self, number: int) -> None:
        """Raises EvidenceError if the source itself has gone: no fault of its files then."""
        path, known = self._places[number]
        if (found := _identity(path)) is None or found != known:
            raise EvidenceError(
                tr(f"{path} is gone", f"{path}이(가) 사라졌습니다"),
                remedy=tr(
                    "connect it again and run the same command: it goes on where it stopped",
                    "다시 연결하고 같은 명령을 실행하십시오. 중단된 곳에서 이어집니다",
                ),
            )

    def _known_to_be_good(self, data: bytes, digest: str) -> Exclusion | None:
        if not self._known_good:
            return None
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        for known in self._known_good:
            if kind := known.match(md5, sha1, digest):
                return Exclusion("known-good", f"its {kind} stands in {known.name}")
        return None

    def _unreadable(self, case: CaseStore, number: int, entry: Failure) -> Arrival | None:
        if entry.place is not None:
            location = location_of(entry.place)
        else:  # it shares its path with the item of which it tells
            location = json.dumps(
                {"path": entry.path, "error": entry.error, "message": entry.message},
                separators=(",", ":"),
            )
        excluded = entry.error in EXCLUSIONS
        if not excluded:
            self._require_source(number)
        before = self._before(case, number, location)
        if before is not None and before.content is not None:
            return self._changed(
                number, entry, before.content, "can no longer be read", "더 이상 읽을 수 없습니다"
            )
        outcome = Exclusion(entry.error, entry.message) if excluded else entry
        return Arrival(number, Item(entry.path, location, outcome), known=before is not None)

    def _vanished(self, case: CaseStore, number: int, source: Source) -> Iterator[Arrival]:
        """The images that an earlier run took in and that are no longer there."""
        if number in self._new:
            return
        there: EvidencePath | None = None
        for item in case.known_items(number):
            if item.content is None:
                continue
            path = EvidencePath.from_json(item.location)
            # Of what lies in an archive, the archive is looked for, once for all that follow.
            files = (layer for layer in path.layers[1:] if layer.kind not in _NO_FILES)
            if (outermost := next(files, None)) is None:  # the source itself
                continue
            outer = replace(outermost, kind="file")
            if outer == there or source.find(outer) is not None:
                there = outer
            else:
                gone = Failure(item.display, "read", "Changed", "is no longer there", path)
                yield self._changed(
                    number, gone, item.content, "is no longer there", "더 이상 없습니다"
                )

    def _changed(
        self, number: int, entry: EvidenceItem | Failure, held: str, en: str, ko: str
    ) -> Arrival:
        """What the case holds and is not there any more: that ends the run, or where damage is
        accepted costs that content its result. Raises IntegrityError."""
        self._require_accepted(entry, en, ko)
        if isinstance(entry, Failure):
            path = str(entry.path)
            item = Item(path, location_of(entry.place) if entry.place else "", Duplicate(held))
        else:
            path, item = str(entry.path), item_of(entry, Duplicate(held))
        return Arrival(number, item, known=True, failure=Failure(path, "read", "Changed", en))

    def _require_accepted(self, entry: EvidenceItem | Failure, en: str, ko: str) -> None:
        if not self._options.accept_damaged:
            raise IntegrityError(
                f"{entry.path}: " + tr(en, ko),
                remedy=tr(
                    "give the source as it was, or go on with --accept-damaged",
                    "원래 그대로의 원본을 지정하거나 --accept-damaged로 계속하십시오",
                ),
            )


def _read_bytes(step: _Read | Arrival) -> int:
    return len(step.data) if isinstance(step, _Read) else 0


class _Agenda(Iterator[Work]):
    """Work that came to be on the way, then that of the walk: it can end, and have more later."""

    def __init__(self, walk: Iterator[Work]) -> None:
        self._walk = walk
        self.again: deque[Work] = deque()

    def __next__(self) -> Work:
        return self.again.popleft() if self.again else next(self._walk)


def _further(jobs: tuple[Job, ...], results: list[Found | More]) -> list[Job]:
    """The files whose inside is to be gone on with."""
    more = {found.path: found for found in results if isinstance(found, More)}
    return [
        replace(job, part=more[job.path].part, names=more[job.path].names)
        for job in jobs
        if job.path in more
    ]


def _after_loss(job: Job, why: str) -> tuple[list[Found | More], list[Job]]:
    """What stands for a job that took its process along, and what is left of it to do."""
    if job.part and job.most > 1:
        return [], [replace(job, alone=job.part + job.most - 1)]
    if job.part >= len(job.names):  # the file itself, or the last picture in it
        return [lost(job, why)], []
    following = replace(job, part=job.part + 1, lost=job.lost + 1)
    if following.lost == _LOST:
        return [lost(job, why), *given_up(following)], []
    return [lost(job, why)], [following]


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a source from what is found under its name later; None where nothing is.

    Where a stick was mounted, a folder of the same name remains when it is pulled.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
