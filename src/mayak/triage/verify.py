"""Compares the sources of a case with what the case records of them, and counts how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

from mayak.case import CaseStore, IntegrityFault, StoredItem, StoredSource
from mayak.case.reasons import because, source_kind
from mayak.case.records import Problem
from mayak.errors import EvidenceError
from mayak.evidence import Choices, LockedError, NotReadError, Source, located, open_source
from mayak.files import file_sha256
from mayak.i18n import message_of, msg
from mayak.triage.outcome import location_of
from mayak.types import EvidenceEntry, EvidencePath, Failure, OutcomeReason, Progress

_NAMED = 20
"""Missing files that are listed by name; the others are counted."""
_READ, _UNREAD = 1, 2
"""State of a file: read, or present and not readable; 0 if it is missing."""


@dataclass(slots=True)
class SourceComparison:
    """How the files of one source were compared with what the case records of them."""

    source: int
    """Number in the case."""
    path: str
    files: int
    """Items of the case, a container's gaps included."""
    absent: bool = False
    """The source does not exist."""
    whole: bool = False
    """The source is one file and was compared by its own hash, which covers all files in it."""
    hashed: int = 0
    """Files compared by their own SHA-256, which covers the pictures in them."""
    sized: int = 0
    """Files without a recorded hash (left out or not read), compared by presence and size."""
    added: int = 0
    """Files of the source that are not in the case."""
    locked: int = 0
    """Files that were not compared because a container around them needs a password."""

    @property
    def uncompared(self) -> int:
        """Number of items that were not compared."""
        return 0 if self.whole else self.files - self.hashed - self.sized


def check_sources(
    case: CaseStore, progress: Progress, choices: Choices | None = None
) -> tuple[list[IntegrityFault], list[SourceComparison]]:
    """Return the faults of the sources, and how each source was compared.

    A source that is one file is hashed as a whole. In a folder, and if triage ended before it had
    hashed the source, each file is compared: by SHA-256 if the case records it (images, documents,
    files of a list), otherwise by presence and size.
    """
    faults: list[IntegrityFault] = []
    compared: list[SourceComparison] = []
    for recorded in case.sources():
        path = located(recorded.path)
        comparison = SourceComparison(recorded.id, recorded.path, _count(case, recorded))
        if not path.exists():
            comparison.absent = True
        else:
            try:
                with open_source(path, choices=choices, root=recorded.root) as source:
                    found, comparison = compare_source(case, recorded, source, progress)
                    faults += found
            except EvidenceError as error:
                if isinstance(error, NotReadError) and error.outcome == OutcomeReason.ENCRYPTED:
                    comparison.locked = comparison.files
                else:
                    faults.append(_fault(recorded, "unreadable", error.message))
        compared.append(comparison)
    return faults, compared


def compare_source(
    case: CaseStore, recorded: StoredSource, source: Source, progress: Progress
) -> tuple[list[IntegrityFault], SourceComparison]:
    """Return the faults of one open source, and how it was compared. Raises EvidenceError."""
    comparison = SourceComparison(recorded.id, recorded.path, _count(case, recorded))
    return _checked(case, recorded, source, comparison, progress), comparison


def _count(case: CaseStore, recorded: StoredSource) -> int:
    counts = case.source_counts().get(recorded.id)
    return 0 if counts is None else counts.files


def _checked(
    case: CaseStore,
    recorded: StoredSource,
    source: Source,
    comparison: SourceComparison,
    progress: Progress,
) -> list[IntegrityFault]:
    if (source.path.kind == "folder") != (recorded.kind == "folder"):
        text = msg(
            "{path} is of another kind now ({kind} → {path_kind})",
            path=recorded.path,
            kind=source_kind(recorded.kind),
            path_kind=source_kind(source.path.kind),
        )
        return [_fault(recorded, "changed", text)]
    found = source.acquire(progress) if recorded.hashes else None
    if found is None:
        return list(_compare_files(case, recorded, source, comparison, progress))
    comparison.whole = True
    if recorded.hashes[-1].sha256 != found.sha256:
        text = msg(
            "{path} is not what it was: its SHA-256 is {sha256}, it was {hashes_sha256}",
            path=recorded.path,
            sha256=found.sha256,
            hashes_sha256=recorded.hashes[-1].sha256,
        )
        return [_fault(recorded, "changed", text)]
    return []


def _compare_files(
    case: CaseStore,
    recorded: StoredSource,
    source: Source,
    comparison: SourceComparison,
    progress: Progress,
) -> Iterator[IntegrityFault]:
    last = listed = comparison.files = 0  # counted again: triage may be writing meanwhile
    for known in case.known_items(recorded.id):
        last, listed = known.id, listed + _is_file(known)
        comparison.files += 1
    present = bytearray(last + 1)  # by the items' numbers: there may be millions
    with progress.task(recorded.path, listed, msg("files")) as task:
        for entry in source.items():
            path = entry.entry if isinstance(entry, Failure) else entry.path
            if path is None:  # what a container lacks: not a file
                continue
            item = case.outcome(recorded.id, location_of(path))
            if item is None or item.id > last:  # or added by triage meanwhile
                comparison.added += item is None
                continue
            if isinstance(entry, Failure) and entry.error == OutcomeReason.ENCRYPTED:
                present[item.id] = _UNREAD
                comparison.locked += item.sha256 is not None
                task.advance()
                continue
            taken_in = {item.sha256}
            if item.sha256 is not None:
                taken_in |= set(_later_versions(case, recorded, path, present))
            present[item.id] = _READ
            task.advance()
            if (fault := _difference(entry, item, taken_in)) is not None:
                if fault[0] == "unreadable":
                    present[item.id] = _UNREAD
                yield _fault(recorded, *fault)
    yield from _missing_files(case, recorded, source, comparison, present)


def _difference(
    entry: EvidenceEntry | Failure, item: StoredItem, taken_in: set[str | None]
) -> tuple[Problem, str] | None:
    """Return how an existing file differs from what the case records of it; None if it does not."""
    if isinstance(entry, Failure):
        before = entry.error if item.exclusion is None else item.exclusion.rule
        if item.sha256 is None and before == entry.error:
            return None
        return "unreadable", item.described + ": " + because(entry.error, entry.message)
    if item.sha256 is None:
        if item.size in (None, entry.size):
            return None
        text = msg(
            "its size is {size} bytes, {item_size} were recorded",
            size=entry.size,
            item_size=item.size,
        )
        return "changed", item.described + ": " + text
    try:
        with entry.open() as stream:
            same = file_sha256(stream) in taken_in
    except (EvidenceError, OSError) as error:
        return "unreadable", item.described + ": " + message_of(error)
    text = msg("its bytes have changed")
    return None if same else ("changed", item.described + ": " + text)


def _missing_files(
    case: CaseStore,
    recorded: StoredSource,
    source: Source,
    comparison: SourceComparison,
    present: bytearray,
) -> Iterator[IntegrityFault]:
    """Count what was compared, and yield the faults of files that the walk has not listed."""
    gone: list[str] = []
    n_gone = 0
    holder: tuple[str, bool] = "", False
    for known in case.known_items(recorded.id):
        if known.id >= len(present):
            break
        try:
            path = EvidencePath.from_json(known.location)
        except ValueError:  # what a container lacks: not a file
            continue
        if path.kind == "embedded":
            holder = _holder(case, recorded, path, holder, present)
            comparison.hashed += holder[1]
            continue
        if not present[known.id]:
            try:
                entry = _unlisted(source, path)
            except LockedError:
                comparison.locked += 1
                continue
            if entry is None:
                n_gone += 1
                gone += [known.described] if n_gone <= _NAMED else []
            else:
                present[known.id] = _READ
                if (fault := _difference(entry, known, {known.sha256})) is not None:
                    yield _fault(recorded, *fault)
        comparison.hashed += _is_hashed(known, present)
        comparison.sized += known.sha256 is None
    text = msg("is no longer there")
    for name in gone:
        yield _fault(recorded, "deleted", name + ": " + text)
    if more := n_gone - len(gone):
        text = msg(
            "{path}: {more} more of {files} files are no longer there",
            path=recorded.path,
            more=more,
            files=comparison.files,
        )
        yield _fault(recorded, "deleted", text)


def _unlisted(source: Source, path: EvidencePath) -> EvidenceEntry | None:
    """Return a file that the walk does not list under this path: a container that a password opens
    now lists it under another. Raises LockedError if such a container is locked now."""
    try:
        return source.find(path)
    except LockedError:
        raise
    except EvidenceError:
        return None


def _holder(
    case: CaseStore,
    recorded: StoredSource,
    path: EvidencePath,
    last: tuple[str, bool],
    present: bytearray,
) -> tuple[str, bool]:
    """Return the location of the file that a picture is in, and whether that was compared by its
    hash; ``last`` is what was returned for the picture before."""
    while path.kind == "embedded" and path.parent is not None:
        path = path.parent
    location = location_of(path)
    if location == last[0]:
        return last
    outer = case.outcome(recorded.id, location)
    return location, outer is not None and _is_hashed(outer, present)


def _is_hashed(known: StoredItem, present: bytearray) -> bool:
    """Whether a file was compared by its SHA-256: a missing or unreadable one was not."""
    read = known.id < len(present) and present[known.id] == _READ
    return known.sha256 is not None and read


def _is_file(known: StoredItem) -> bool:
    """Whether a walk lists an item: not a picture in a file, nor what a container lacks."""
    return known.location.startswith("[") and '"kind":"embedded"' not in known.location


def _later_versions(
    case: CaseStore, recorded: StoredSource, path: EvidencePath, present: bytearray
) -> Iterator[str | None]:
    """Yield the SHA-256 of files recorded later at the same path, after an accepted change."""
    for serial in count(2):
        item = case.outcome(recorded.id, location_of(replace(path, serial=serial)))
        if item is None or item.id >= len(present):
            return
        present[item.id] = _READ
        yield item.sha256


def _fault(recorded: StoredSource, problem: Problem, message: str) -> IntegrityFault:
    return IntegrityFault(problem, "evidence", msg("source {number}", number=recorded.id), message)
