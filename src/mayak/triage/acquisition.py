"""Hash whole sources and compare them with recorded hashes, before or while files are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TypeVar

from mayak.case import CaseStore, SourceHash
from mayak.case.reasons import source_kind
from mayak.errors import EvidenceError, IntegrityError
from mayak.evidence import Acquisition, Source
from mayak.i18n import msg
from mayak.triage.options import Options
from mayak.types import Progress

T = TypeVar("T")


class Acquisitions:
    """Hashes each source of a run once.

    If there is a hash to compare with, in the case or in an E01, the source is compared before its
    files are read. A new source is hashed while its files are read: reading it twice, one after the
    other, would double the time of a run.
    """

    def __init__(self, case: CaseStore, options: Options, progress: Progress) -> None:
        self._case, self._options, self._progress = case, options, progress
        self.unproven: set[int] = set()
        """Numbers of sources whose files have to be compared one by one: an earlier run ended
        before it had hashed the source, or the hash has changed and that was accepted."""
        self.damaged: list[str] = []
        """Accepted sources that differ from their hash or cannot be read to their end."""
        self._stop = Event()
        # One after the other: two at once would only make a disk seek.
        self._thread = ThreadPoolExecutor(1, "acquire")
        self._running: list[tuple[int, Path, Future[Acquisition | None]]] = []

    def close(self) -> None:
        """End the hashing that still runs."""
        self._stop.set()
        self._thread.shutdown(cancel_futures=True)

    def add(self, number: int, path: Path, source: Source) -> None:
        """Compare a source with its recorded hash, or start to hash it.

        Raises:
            IntegrityError: it differs and that is not accepted.
            EvidenceError: it cannot be read.
        """
        recorded = next(s for s in self._case.sources() if s.id == number)
        if (recorded.kind == "folder") != (source.path.kind == "folder"):
            raise IntegrityError(
                msg(
                    "{path} is of another kind now ({kind} → {path_kind})",
                    path=source.path,
                    kind=source_kind(recorded.kind),
                    path_kind=source_kind(source.path.kind),
                ),
                remedy=msg("give the source as it was, or take this one in from another path"),
            )
        before = recorded.hashes
        held = next(self._case.known_items(number), None)
        if held is not None and not before and source.path.kind != "folder":
            self.unproven.add(number)
        if before or source.stored:
            found = self._hash_of(number, path, lambda: source.acquire(self._progress))
            if found is not None:
                self._compare(number, path, found, before)
            return
        hashing = self._thread.submit(source.acquire, self._progress, self._stop)
        self._running.append((number, path, hashing))

    def record_during(self, elements: Iterable[T]) -> Iterator[T]:
        """Yield the elements as they come, and record the hashes that are done meanwhile.

        Those of unproven sources are not recorded yet: with a recorded hash, the next run would not
        compare their files.
        """
        for each in elements:
            yield each
            self._record(r for r in self._running if r[-1].done() and r[0] not in self.unproven)

    def finish(self, *, compared: bool) -> None:
        """Wait for the hashes that are left and record them; those of unproven sources only if all
        their files were ``compared``.

        Raises:
            EvidenceError: a source cannot be read to its end.
        """
        self._record(r for r in self._running if compared or r[0] not in self.unproven)

    def _record(self, finished: Iterable[tuple[int, Path, Future[Acquisition | None]]]) -> None:
        for running in list(finished):
            number, path, hashing = running
            self._running.remove(running)
            found = self._hash_of(number, path, hashing.result)
            if found is not None:
                self._case.add_source_hash(number, _reading(found, accepted=False))

    def _hash_of(
        self, number: int, path: Path, hashing: Callable[[], Acquisition | None]
    ) -> Acquisition | None:
        """Return the hash of a source; None for a folder, and for a source that cannot be read to
        its end if that is accepted: later changes of it cannot be detected."""
        try:
            return hashing()
        except EvidenceError as error:
            reason = str(error.__cause__ or error.message)
            self._case.record("source cannot be hashed", source=number, reason=reason)
            if not self._options.accept_damaged:
                raise EvidenceError(
                    error.message,
                    remedy=msg(
                        "take a good copy, or continue with --accept-damaged, without a hash of "
                        "the whole"
                    ),
                ) from error
            self.damaged.append(str(path))
            return None

    def _compare(
        self, number: int, path: Path, found: Acquisition, before: tuple[SourceHash, ...]
    ) -> None:
        differs = found.matches is False
        message = msg("{path} is damaged: it does not match its stored hash", path=path)
        if before and before[-1].sha256 != found.sha256:
            differs = True
            message = msg("{path} has changed since it was last read", path=path)
        if differs and not self._options.accept_damaged:
            # Not recorded as a hash: the next run compares with the last accepted one.
            self._case.record("refuse source", source=number, sha256=found.sha256, md5=found.md5)
            raise IntegrityError(
                message,
                remedy=msg(
                    "take a good copy, or continue with --accept-damaged, which the case records"
                ),
            )
        if not before or differs:
            self._case.add_source_hash(number, _reading(found, accepted=differs))
        if before and differs:
            self.unproven.add(number)  # what of it has changed
        if differs:
            self.damaged.append(str(path))


def _reading(found: Acquisition, *, accepted: bool) -> SourceHash:
    stored = " ".join(f"{kind}:{value}" for kind, value in found.stored) or None
    return SourceHash(
        md5=found.md5,
        sha256=found.sha256,
        size=found.bytes,
        began=found.started,
        ended=found.ended,
        stored_hash=stored,
        matches=found.matches,
        accepted_damaged=accepted,
    )
