"""Compares the sources of a case with what the case records of them, and counts what it did not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

from mayak.case import CaseStore, Fault, StoredItem
from mayak.case import Source as Recorded
from mayak.case.records import Problem
from mayak.errors import EvidenceError
from mayak.evidence import Source, located, open_source
from mayak.i18n import msg, words
from mayak.triage.arrival import location_of
from mayak.types import EvidenceEntry, EvidencePath, Failure, Progress

_NAMED = 20
"""Files that are gone and told of by name; the rest are counted."""
_READ, _UNREAD = 1, 2
"""Whether a file that is there could be read; 0 if it is gone."""


@dataclass(slots=True)
class Compared:
    """How the files of one source were compared with what the case records of them."""

    source: int
    """Number in the case."""
    path: str
    files: int
    """Items of the case, a container's gaps included."""
    absent: bool = False
    """The source is not there."""
    whole: bool = False
    """The source is one file and was compared by the hash of the whole, with all files in it."""
    hashed: int = 0
    """Files compared by their own SHA-256; pictures in them are covered by that."""
    sized: int = 0
    """Files of which no hash is recorded (left out or not read), by presence and size alone."""
    added: int = 0
    """Files of the source that the case does not hold."""

    @property
    def uncompared(self) -> int:
        """Items that were not compared at all."""
        return 0 if self.whole else self.files - self.hashed - self.sized


def check_sources(case: CaseStore, progress: Progress) -> tuple[list[Fault], list[Compared]]:
    """The faults of the sources, and how each source was compared.

    A source that is one file is hashed as a whole. Of a folder, and if triage was cut off before
    the whole was hashed, each file is compared: by SHA-256 if the case records it (images,
    documents, files of a list), otherwise by presence and size.
    """
    faults: list[Fault] = []
    compared: list[Compared] = []
    counts = case.source_counts()
    for recorded in case.sources():
        files = counts[recorded.id].files if recorded.id in counts else 0
        told = Compared(recorded.id, recorded.path, files)
        compared.append(told)
        path = located(recorded.path)
        if not path.exists():
            told.absent = True
            continue
        try:
            with open_source(path) as source:
                faults += _checked(case, recorded, source, told, progress)
        except EvidenceError as error:
            faults.append(_fault(recorded, "unreadable", error.message))
    return faults, compared


def _checked(
    case: CaseStore, recorded: Recorded, source: Source, told: Compared, progress: Progress
) -> list[Fault]:
    if (source.path.kind == "folder") != (recorded.kind == "folder"):
        kinds = f"{recorded.kind} → {source.path.kind}"
        text = msg("is of another kind now")
        return [_fault(recorded, "changed", f"{recorded.path}: " + text + f" ({kinds})")]
    found = source.acquire(progress) if recorded.hashes else None
    if found is None:
        return list(_each(case, recorded, source, told, progress))
    told.whole = True
    if recorded.hashes[-1].sha256 != found.sha256:
        text = msg(
            "{path} is not what it was: its SHA-256 is {sha256}, it was {hashes_sha256}",
            path=recorded.path,
            sha256=found.sha256,
            hashes_sha256=recorded.hashes[-1].sha256,
        )
        return [_fault(recorded, "changed", text)]
    return []


def _each(
    case: CaseStore, recorded: Recorded, source: Source, told: Compared, progress: Progress
) -> Iterator[Fault]:
    last = listed = told.files = 0  # counted again: triage may be writing beside this
    for known in case.known_items(recorded.id):
        last, listed = known.id, listed + _is_file(known)
        told.files += 1
    present = bytearray(last + 1)  # by the items' numbers: there may be millions
    with progress.task(recorded.path, listed, msg("files")) as task:
        for entry in source.items():
            path = entry.place if isinstance(entry, Failure) else entry.path
            if path is None:  # told of a container, and no file
                continue
            item = case.outcome(recorded.id, location_of(path))
            if item is None or item.id > last:  # or of a triage that is writing beside this
                told.added += item is None
                continue
            taken_in = {item.sha256}
            if item.sha256 is not None:
                taken_in |= set(_others(case, recorded, path, present))
            present[item.id] = _READ
            task.advance()
            if (fault := _unlike(entry, item, taken_in)) is not None:
                if fault[0] == "unreadable":
                    present[item.id] = _UNREAD
                yield _fault(recorded, *fault)
    yield from _gone(case, recorded, told, present)


def _unlike(
    entry: EvidenceEntry | Failure, item: StoredItem, taken_in: set[str | None]
) -> tuple[Problem, str] | None:
    """In what a file that is there differs from what is recorded of it."""
    if isinstance(entry, Failure):
        before = entry.error if item.exclusion is None else item.exclusion.rule
        if item.sha256 is None and before == entry.error:
            return None
        return "unreadable", f"{item.display}: " + entry.message
    if item.sha256 is None:
        if item.size in (None, entry.size):
            return None
        text = msg(
            "its size is {size} bytes, {item_size} were recorded",
            size=entry.size,
            item_size=item.size,
        )
        return "changed", f"{item.display}: " + text
    try:
        with entry.open() as stream:
            same = hashlib.sha256(stream.read()).hexdigest() in taken_in
    except (EvidenceError, OSError) as error:
        return "unreadable", f"{item.display}: " + words(error)
    text = msg("its bytes have changed")
    return None if same else ("changed", f"{item.display}: " + text)


def _gone(
    case: CaseStore, recorded: Recorded, told: Compared, present: bytearray
) -> Iterator[Fault]:
    """Count what was compared, and name what is there no more."""
    gone: list[str] = []
    more = 0
    holder: tuple[str, bool] = "", False
    """The last file with pictures in it, and whether it was compared by its hash."""
    for known in case.known_items(recorded.id):
        if known.id >= len(present):
            break
        try:
            path = EvidencePath.from_json(known.location)
        except ValueError:  # told of a container, and no file
            continue
        if path.kind == "embedded":
            while path.kind == "embedded" and path.parent is not None:
                path = path.parent
            location = location_of(path)
            if location != holder[0]:
                outer = case.outcome(recorded.id, location)
                holder = location, outer is not None and _is_hashed(outer, present)
            told.hashed += holder[1]
            continue
        told.hashed += _is_hashed(known, present)
        told.sized += known.sha256 is None
        if not present[known.id]:
            if len(gone) < _NAMED:
                gone.append(known.display)
            else:
                more += 1
    text = msg("is no longer there")
    for name in gone:
        yield _fault(recorded, "deleted", f"{name}: " + text)
    if more:
        text = msg(
            "{path}: {more} more of {files} files are no longer there",
            path=recorded.path,
            more=more,
            files=told.files,
        )
        yield _fault(recorded, "deleted", text)


def _is_hashed(known: StoredItem, present: bytearray) -> bool:
    """Whether a file was compared by its SHA-256: one that is gone or not read was not."""
    read = known.id < len(present) and present[known.id] == _READ
    return known.sha256 is not None and read


def _is_file(known: StoredItem) -> bool:
    """Whether a walk lists an item: no picture in a file, and nothing told of a container."""
    return known.location.startswith("[") and '"kind":"embedded"' not in known.location


def _others(
    case: CaseStore, recorded: Recorded, path: EvidencePath, present: bytearray
) -> Iterator[str | None]:
    """The SHA-256 of what was taken in later at the same place, after a change was accepted."""
    for serial in count(2):
        item = case.outcome(recorded.id, location_of(replace(path, serial=serial)))
        if item is None or item.id >= len(present):
            return
        present[item.id] = _READ
        yield item.sha256


def _fault(recorded: Recorded, problem: Problem, message: str) -> Fault:
    return Fault(problem, "evidence", f"source {recorded.id}", message)
