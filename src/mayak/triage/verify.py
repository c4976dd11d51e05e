"""Whether the sources of a case still are what the case says they were."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mayak.case import CaseStore, Fault
from mayak.case import Source as Recorded
from mayak.case.records import Problem
from mayak.errors import EvidenceError
from mayak.evidence import Source, open_source
from mayak.language import tr
from mayak.types import EvidenceItem, EvidencePath, Progress


def check_sources(case: CaseStore, progress: Progress) -> tuple[list[Fault], list[str]]:
    """The faults of the sources that are there, and the paths of those that are not.

    A source that is one file is hashed as a whole; of a folder each image that the case took in.
    """
    faults: list[Fault] = []
    absent: list[str] = []
    for recorded in case.sources():
        path = Path(recorded.path)
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
    found = source.acquire(progress)
    if found is None:
        return _folder(case, recorded, source, progress)
    if recorded.hashes and recorded.hashes[-1].sha256 != found.sha256:
        text = tr(
            f"{recorded.path} is not what it was: its SHA-256 is {found.sha256}, it was "
            f"{recorded.hashes[-1].sha256}",
            f"{recorded.path}이(가) 변경되었습니다. SHA-256이 {found.sha256}이며 이전에는 "
            f"{recorded.hashes[-1].sha256}였습니다",
        )
        return [_fault(recorded, "changed", text)]
    return []


def _folder(case: CaseStore, recorded: Recorded, source: Source, progress: Progress) -> list[Fault]:
    faults: list[Fault] = []
    present = 0
    # What lies inside a document is vouched for by nothing that could be listed here.
    taken = sum(
        item.content is not None and EvidencePath.from_json(item.location).kind != "embedded"
        for item in case.known_items(recorded.id)
    )
    with progress.task(recorded.path, taken, tr("files", "개")) as task:
        for entry in source.items():
            if not isinstance(entry, EvidenceItem):
                continue
            item = case.outcome(recorded.id, entry.path.to_json())
            if item is None or item.content is None:
                continue
            present += 1
            task.advance()
            try:
                with entry.open() as stream:
                    same = hashlib.sha256(stream.read()).hexdigest() == item.content
            except (EvidenceError, OSError) as error:
                faults.append(_fault(recorded, "unreadable", f"{item.display}: {error}"))
                continue
            if not same:
                text = tr("its bytes have changed", "내용이 변경되었습니다")
                faults.append(_fault(recorded, "changed", f"{item.display}: {text}"))
    if present < taken:
        count = taken - present
        text = tr(
            f"{recorded.path}: {count} of {taken} images are no longer there",
            f"{recorded.path}: 이미지 {taken}장 중 {count}장이 없습니다",
        )
        faults.append(_fault(recorded, "deleted", text))
    return faults


def _fault(recorded: Recorded, problem: Problem, message: str) -> Fault:
    return Fault(problem, "sources", f"id {recorded.id}", message)
