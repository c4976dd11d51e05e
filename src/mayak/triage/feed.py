"""From open sources to examined files: one thread walks and reads, processes decode.

The walk knows what the case holds already, so that a run that was interrupted goes on where it
stopped, and the same bytes are decoded once.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread

from mayak.case import CaseStore, Content, Duplicate, Exclusion, Item
from mayak.errors import EvidenceError, MayakError
from mayak.evidence import Source
from mayak.hashlists import HashList
from mayak.i18n import msg
from mayak.imaging.formats import is_apple_double, is_pdf, is_program, named_as_image
from mayak.imaging.hashing import sha256
from mayak.imaging.office import needs_password
from mayak.imaging.sandbox import MAX_FILE_BYTES, Sandbox
from mayak.triage.arrival import Arrival, Outcome, item_of, location_of, weight
from mayak.triage.bounded_queue import ByteBoundedQueue
from mayak.triage.examine import (
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
from mayak.triage.held import Held, Place, is_alike
from mayak.triage.options import Options
from mayak.types import EvidenceEntry, EvidencePath, Failure, Sides
from mayak.workers import Lost, free_memory

_HEAD = 512
_CHUNK_BYTES = 1 << 20
_CHUNK_FILES = 32
"""Small files travel to the workers together, a message each would cost more than the decoding."""
_WAITING = 1 << 28
"""Bytes that may wait for whoever writes the case, who is away for the time of a transaction."""
_AHEAD = 8
_AHEAD_BYTES = 1 << 26
"""Files, and bytes of them, that are read while those before them are hashed."""
_HASHERS = 2
_LONG = 1 << 17
"""Bytes from which on hashing takes longer than telling another thread of it."""
_UNDER_WAY = 1 << 29
"""Bytes of files with the workers and waiting for them, from which on no more are read; less if the
machine has not eight times as much. One file comes on top, copies of it as well."""
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

    entry: EvidenceEntry
    data: bytes
    digest: str | Future[str]
    content: str | None
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
        known_bad: list[HashList],
    ) -> None:
        self._options, self._unproven, self._run = options, unproven, run
        self._sources = [(number, Place.of(path), source) for number, path, source in sources]
        self._rules = Rules(options.smallest, least, pixels=run is not None)
        self._known_good, self._known_bad = known_good, known_bad
        self._alarming: dict[str, str] = {}
        """Why files are looked for, by SHA-256."""
        self._arrived = ByteBoundedQueue(weight, _WAITING)
        self._stop = Event()
        self._outcomes: OrderedDict[str, Outcome | None] = OrderedDict()
        """Of each file sent to a worker, by SHA-256; None until it is known."""
        self._waiting: dict[str, list[tuple[int, EvidenceEntry, bool]]] = {}
        self._whole: dict[EvidencePath, Found] = {}
        """Files whose inside is still being examined: known only when that is, so that a run that
        is cut off goes through them again."""
        self._sent = 0
        self._more = 0
        """Items that no source lists: what lies in documents, changed and vanished files."""
        self._settled_before = 0
        self.damaged: list[str] = []
        """Disk images inside sources that are not what their stored hash says."""
        self.limited = False
        """Whether the walk ended at the options' limit."""
        self._thread = Thread(target=self._work, name="mayak-feed", daemon=True)

    @property
    def expected(self) -> int:
        """Items to come in all, as far as is known."""
        listed = sum(source.listed for *_, source in self._sources)
        return listed + self._more - self._settled_before

    def __iter__(self) -> Iterator[list[Arrival]]:
        """Some at a time, as they come; none from time to time."""
        self._thread.start()
        yield from self._arrived

    def stop(self) -> None:
        """No more is wanted; does not wait for the walk."""
        self._stop.set()
        self._arrived.close()

    def close(self) -> None:
        """End the walk and its processes."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        try:
            with CaseStore.read(self._options.case) as case:
                for number, place, source in self._sources:
                    unproven = number in self._unproven
                    held = Held(case, number, place, self._options, self._run, unproven=unproven)
                    self._walk(held, source)
                    if source.path.kind == "folder":
                        place.require()  # an unmounted one lists as an empty one
                    compared = source.path.kind == "folder" or unproven
                    if compared and not (self.limited or self._stop.is_set()):
                        vanished = list(held.vanished(source))
                        self._more += len(vanished)
                        self._arrived.put(vanished)
                    self.damaged += held.damaged
        except BaseException as error:  # noqa: BLE001 - raised again where they are taken
            self._arrived.end(error)
        else:
            self._arrived.end()

    def _walk(self, held: Held, source: Source) -> None:
        pool = Sandbox[Work, list[Found | More]](examine, self._options.workers)
        work = _Agenda(self._chunks(held, source))
        most = min(_UNDER_WAY, free_memory() // 8)
        for (rules, jobs), result in pool.run(work, weight=_work_bytes, max_weight=most):
            if self._stop.is_set():
                return
            if isinstance(result, Lost) and len(jobs) > 1:
                # A chunk that took its process along is done again a file at a time.
                work.again.extend((rules, (job,)) for job in jobs)
                continue
            if isinstance(result, Lost):
                result, left = _after_loss(jobs[0], result.why, pool.failure_text(result))
            else:
                left = _further(jobs, result)
            work.again.extend((rules, (job,)) for job in left)
            self._deliver(held, jobs, result, {job.path for job in left})
            del jobs, result, left  # large files, while the next is read

    def _deliver(
        self,
        held: Held,
        jobs: tuple[Job, ...],
        results: list[Found | More],
        unfinished: set[EvidencePath],
    ) -> None:
        """Hand on what was found, but for the files that are not through."""
        ready: list[Found] = []
        for found in results:
            if isinstance(found, More):
                self._more += len(found.names) if found.part == 1 else 0
                continue
            self._more += found.unlisted
            if found.job.path in unfinished:
                self._whole[found.job.path] = found
            else:
                ready.append(found)
        ready += [
            self._whole.pop(job.path)
            for job in jobs
            if job.path in self._whole and job.path not in unfinished
        ]
        arrived: list[Arrival] = []
        of_files = {job.path: job.data for job in jobs}
        for found in ready:
            if (image := found.image) is not None and image.scale > 1:
                data = of_files.get(found.job.path, image.data)
                found = replace(found, image=replace(image, data=data))
            arrived += self._arrivals(held, found)
            if found.job.sha256 is not None:
                arrived += self._settle(found.job.sha256, found.outcome)
        self._arrived.put(arrived)

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

    def _arrivals(self, held: Held, found: Found) -> Iterator[Arrival]:
        job, number, outcome = found.job, held.number, found.outcome
        if isinstance(outcome, Failure) and job.sha256 in self._alarming:
            # No alert can be raised for what is no image; those who look for it must find it.
            outcome = replace(outcome, message=f"{outcome.message}; {self._alarming[job.sha256]}")
        item = Item(
            display=str(job.path),
            location=location_of(job.path),
            outcome=outcome,
            size=job.size,
            times=job.times,
            deleted=job.deleted,
        )
        image = found.image if isinstance(outcome, Content) else None
        before = held.before(item.location)
        content = None if before is None else before.content
        if content and not isinstance(outcome, Content):
            # What an earlier run took in stays; only the model goes without it, or sees it small.
            kept = replace(item, outcome=Duplicate(content))
            failed = outcome if isinstance(outcome, Failure) else None
            yield Arrival(number, kept, known=True, image=found.image, failure=failed)
        elif content and isinstance(outcome, Content) and outcome.sha256 != content:
            # Of a document that was accepted changed, or from which another decoder gets others.
            failed = Failure(item.display, "decode", "Changed", "is not what it was")
            self._more += 1
            yield Arrival(number, replace(item, outcome=Duplicate(content)), True, failure=failed)
            path, content = held.another(job.path, outcome.sha256)
            item = replace(item, display=str(path), location=location_of(path))
            yield Arrival(number, item, content is not None, image)
        else:
            yield Arrival(number, item, before is not None, image)

    # -------------------------------------------------------------- the walk

    def _chunks(self, held: Held, source: Source) -> Iterator[Work]:
        jobs: list[Job] = []
        settled: list[Arrival] = []
        size = 0
        for step in self._steps(held, source):
            if isinstance(step, Arrival):
                settled.append(step)
                if len(settled) >= _CHUNK_FILES:
                    self._arrived.put(settled)
                    settled = []
            else:
                jobs.append(step)
                size += len(step.data)
                if size >= _CHUNK_BYTES or len(jobs) >= _CHUNK_FILES:
                    yield self._rules, tuple(jobs)
                    jobs, size = [], 0
        if settled:
            self._arrived.put(settled)
        if jobs:
            yield self._rules, tuple(jobs)

    def _steps(self, held: Held, source: Source) -> Iterator[Arrival | Job]:
        """What becomes of each item, in order; files are hashed while the next are read."""
        ahead: deque[_Read | Arrival] = deque()
        with ThreadPoolExecutor(_HASHERS, "hash") as pool:
            try:
                for entry in source.items(self._stop):
                    if self._stop.is_set() or self.limited:
                        break
                    step = self._taken_up(held, entry, pool)
                    if step is not None:
                        ahead.append(step)
                    yield from self._gone_on_with(held, ahead, _AHEAD)
            except MayakError:
                yield from self._gone_on_with(held, ahead, 0)
                raise
            yield from self._gone_on_with(held, ahead, 0)

    def _gone_on_with(
        self, held: Held, ahead: deque[_Read | Arrival], most: int
    ) -> Iterator[Arrival | Job]:
        """Settle what was read first, until ``most`` are left ahead."""
        while ahead and (len(ahead) > most or sum(map(_read_bytes, ahead)) > _AHEAD_BYTES):
            first = ahead.popleft()
            yield from self._hashed(held, first) if isinstance(first, _Read) else (first,)
            if self.limited:
                ahead.clear()

    def _taken_up(
        self, held: Held, entry: EvidenceEntry | Failure, pool: ThreadPoolExecutor
    ) -> Arrival | _Read | None:
        """An item that is settled, or its bytes; None where nothing is left to do."""
        if isinstance(entry, Failure):
            return held.unreadable(entry)
        before = held.before(location_of(entry.path))
        known = before is not None
        content = None if before is None else before.content
        document = None if before is None else document_digest(before)
        if content is not None:
            # What an earlier run took in stays, whatever this one leaves out.
            same = not held.unproven and is_alike(entry, before)
            if same and self._is_through(held, entry, content):
                self._settled_before += 1
                return None
        elif (unwanted := self._options.unwanted(entry)) is not None:
            return Arrival(held.number, item_of(entry, unwanted), known)
        read = self._read(entry)
        if isinstance(read, bytes):
            digest = pool.submit(sha256, read) if len(read) >= _LONG else sha256(read)
            return _Read(entry, read, digest, content, known, document)
        if isinstance(read, Failure):
            held.place.require()
        if content is not None:
            return held.unread(entry, content)
        if document is not None:
            held.require_accepted(entry, msg("can no longer be read"))
        return Arrival(held.number, item_of(entry, read), known)

    def _hashed(self, held: Held, read: _Read) -> Iterator[Arrival | Job]:
        """What is settled of a file, and its bytes where they are to be examined."""
        entry, data, known, content = read.entry, read.data, read.known, read.content
        digest = read.digest if isinstance(read.digest, str) else read.digest.result()
        if read.document not in (None, digest):
            held.require_accepted(entry, msg("has changed since it was read"))
        if content is not None and digest != content:
            # What lies there now is a file of its own.
            path, taken_in = held.another(entry.path, digest)
            self._more += 1
            yield held.changed(entry, content, accepted=taken_in is not None)
            entry, content, known = replace(entry, path=path), taken_in, taken_in is not None
        hashes = _all_hashes(data, digest) if self._known_bad or self._known_good else ()
        alarm = _listed(self._known_bad, hashes)
        if content is None:
            if alarm is None and (match := _listed(self._known_good, hashes)):
                # A list can be wrong, and the file in a folder be changed: its hash says which.
                reason = f"{match}; SHA-256 {digest}"
                yield Arrival(held.number, item_of(entry, Exclusion("known-good", reason)), known)
                return
            # The images in a document lie in each copy of it.
            if not is_pdf(data):
                if digest in self._outcomes:
                    yield from self._duplicate(held.number, entry, digest, known)
                    return
                if held.content(digest) is not None and held.has_result(digest):
                    yield Arrival(held.number, item_of(entry, Duplicate(digest)), known)
                    return
        elif self._is_through(held, entry, digest):
            self._settled_before += 1
            return
        if self._sent == self._options.limit:
            self.limited = True
            return
        self._outcomes[digest] = None
        self._sent += 1
        if alarm is not None:
            self._alarming[digest] = f"{alarm}, a list of files that are looked for"
        yield Job(
            entry.path,
            data,
            entry.size,
            entry.times,
            entry.deleted,
            digest,
            sought=alarm is not None,
        )

    def _is_through(self, held: Held, entry: EvidenceEntry, content: str) -> bool:
        """Whether nothing is left to do of a file that the case holds."""
        done = content in self._outcomes or held.has_result(content)
        return done and not held.lacks_inside(location_of(entry.path))

    def _duplicate(
        self, number: int, entry: EvidenceEntry, digest: str, known: bool
    ) -> Iterator[Arrival]:
        """The same bytes as a file before: what becomes of that one becomes of this."""
        outcome = self._outcomes[digest]
        if outcome is None:
            self._waiting.setdefault(digest, []).append((number, entry, known))
        else:
            yield Arrival(number, item_of(entry, outcome), known)

    def _read(self, entry: EvidenceEntry) -> bytes | Exclusion | Failure:
        path = str(entry.path)
        try:
            with entry.open() as stream:
                head = stream.read(_HEAD)
                if not head:
                    return Exclusion("empty", "0 bytes")
                if is_apple_double(head, entry.path.name):
                    return Exclusion("apple-double", "AppleDouble: what a Mac keeps beside a file")
                if is_program(head):
                    return Exclusion("program", "PostScript or a metafile: it would have to be run")
                if not is_candidate(head, entry.path.name):
                    if needs_password(stream, head):
                        return Failure(path, "read", "Encrypted", "is a document with a password")
                    if entry.path.kind == "file" and named_as_image(entry.path.name):
                        # encrypted, overwritten or cut to pieces
                        text = "named as an image, but begins as none"
                        return Failure(path, "decode", "Damaged", text)
                    if entry.path.kind in ("zip", "tar", "image"):
                        return Exclusion("container", "what lies in it follows it")
                    return Exclusion("not-an-image", "begins as no image format does")
                if entry.size > MAX_FILE_BYTES:
                    text = f"an image of {entry.size} bytes, more than {MAX_FILE_BYTES}"
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


def _all_hashes(data: bytes, sha256: str) -> tuple[str, str, str]:
    """MD5, SHA-1 and SHA-256, as lists of known files have them."""
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return md5, hashlib.sha1(data, usedforsecurity=False).hexdigest(), sha256


def _listed(lists: list[HashList], hashes: tuple[str, ...]) -> str | None:
    """In which list some bytes stand, in words."""
    for known in lists:
        if kind := known.match(*hashes):
            return f"its {kind} stands in {known.name}"
    return None


def _read_bytes(step: _Read | Arrival) -> int:
    return len(step.data) if isinstance(step, _Read) else 0


def _work_bytes(work: Work) -> int:
    return sum(len(job.data) for job in work[1])


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


def _after_loss(job: Job, why: str, text: str) -> tuple[list[Found | More], list[Job]]:
    """What stands for a job that took its process along, and what is left of it to do."""
    if job.part and job.most > 1:
        return [], [replace(job, alone=job.part + job.most - 1)]
    if job.part >= len(job.names):  # the file itself, or the last picture in it
        return [lost(job, why, text)], []
    following = replace(job, part=job.part + 1, lost=job.lost + 1)
    if following.lost == _LOST:
        return [lost(job, why, text), *given_up(following)], []
    return [lost(job, why, text)], [following]
