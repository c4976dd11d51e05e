"""Whether the sources of a case still are what the case says they were."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice

from mayak.case import CaseStore, Fault, StoredItem
from mayak.case import Source as Recorded
from mayak.case.records import Problem
from mayak.errors import EvidenceError
from mayak.evidence import Source, located, open_source
from mayak.language import tr
from mayak.triage.examine import document_digest
from mayak.types import EvidenceItem, EvidencePath, Progress

_NAMED = 20
"""Files that are gone and told of by name; the rest are counted."""


def check_sources(case: CaseStore, progress: Progress) -> tuple[list[Fault], list[str]]:
    """The faults of the sources that are there, and the paths of those that are not.

    A source that is one file is hashed as a whole; of a folder, and where triage was cut off before
    the whole was hashed, each image and each document that the case took in.
    """
    faults: list[Fault] = []
    absent: list[str] = []
    for recorded in case.sources():
        path = located(recorded.path)
        if not path.exists():
            absent.append(recorded.path)
            continue
        try:
            with open_source(path) as source:
                faults += _checked(case, recorded, source, progress)
        except EvidenceError as error:
            faults.append(_fault(recorded, "unreadable", error.message))
    return faults, absent


def _checked(
    case: CaseStore, recorded: Recorded, source: Source, progress: Progress
) -> list[Fault]:
    if (source.path.kind == "folder") != (recorded.kind == "folder"):
        kinds = f"{recorded.kind} → {source.path.kind}"
        text = tr("is of another kind now", "종류가 바뀌었습니다")
        return [_fault(recorded, "changed", f"{recorded.path}: {text} ({kinds})")]
    found = source.acquire(progress) if recorded.hashes else None
    if found is None:
        return _each(case, recorded, source, progress)
    if recorded.hashes[-1].sha256 != found.sha256:
        text = tr(
            f"{recorded.path} is not what it was: its SHA-256 is {found.sha256}, it was "
            f"{recorded.hashes[-1].sha256}",
            f"{recorded.path}이(가) 변경되었습니다. SHA-256이 {found.sha256}이며 이전에는 "
            f"{recorded.hashes[-1].sha256}였습니다",
        )
        return [_fault(recorded, "changed", text)]
    return []


def _each(case: CaseStore, recorded: Recorded, source: Source, progress: Progress) -> list[Fault]:
    faults: list[Fault] = []
    taken = last = 0
    for known in case.known_items(recorded.id):
        if _digest(known) is not None:
            taken, last = taken + 1, known.id
    present = bytearray(last + 1)  # by the items' numbers: there may be millions
    with progress.task(recorded.path, taken, tr("files", "개")) as task:
        for entry in source.items():
            if not isinstance(entry, EvidenceItem):
                continue
            item = case.outcome(recorded.id, entry.path.to_json())
            if item is None or (digest := _digest(item)) is None:
                continue
            if item.id > last:  # of a triage that is writing beside this
                continue
            taken_in = {digest, *_others(case, recorded, entry.path, present)}
            present[item.id] = 1
            task.advance()
            try:
                with entry.open() as stream:
                    same = hashlib.sha256(stream.read()).hexdigest() in taken_in
            except (EvidenceError, OSError) as error:
                faults.append(_fault(recorded, "unreadable", f"{item.display}: {error}"))
                continue
            if not same:
                text = tr("its bytes have changed", "내용이 변경되었습니다")
                faults.append(_fault(recorded, "changed", f"{item.display}: {text}"))
    gone = (
        known.display
        for known in case.known_items(recorded.id)
        if known.id <= last and _digest(known) is not None and not present[known.id]
    )
    text = tr("is no longer there", "더 이상 없습니다")
    faults += [_fault(recorded, "deleted", f"{name}: {text}") for name in islice(gone, _NAMED)]
    if more := sum(1 for _ in gone):
        text = tr(
            f"{recorded.path}: {more} more of {taken} files are no longer there",
            f"{recorded.path}: 파일 {taken}개 중 {more}개가 더 없습니다",
        )
        faults.append(_fault(recorded, "deleted", text))
    return faults


def _others(
    case: CaseStore, recorded: Recorded, path: EvidencePath, present: bytearray
) -> Iterator[str | None]:
    """The SHA-256 of what was taken in later at the same place, after a change was accepted."""
    for serial in count(2):
        item = case.outcome(recorded.id, replace(path, serial=serial).to_json())
        if item is None or item.id >= len(present):
            return
        present[item.id] = 1
        yield _digest(item)


def _digest(item: StoredItem) -> str | None:
    """The SHA-256 of a file that the case took in: an image, or a document for all in it."""
    if item.content is None:
        return document_digest(item)
    inside = EvidencePath.from_json(item.location).kind == "embedded"
    return None if inside else item.content


def _fault(recorded: Recorded, problem: Problem, message: str) -> Fault:
    return Fault(problem, "sources", f"id {recorded.id}", message)
