"""``mayak verify``: compares a case and its sources with what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import CaseOption, JsonOption, OperatorOption, user
from mayak.errors import CaseError, IntegrityError
from mayak.language import tr
from mayak.names import printable

if TYPE_CHECKING:
    from mayak.case import CaseStore, Extent, Fault
    from mayak.triage.verify import Compared


HeadOption = Annotated[
    str | None,
    Parameter(
        help=tr(
            "Log head that was noted earlier: whether the log still holds it.",
            "이전에 적어 둔 기록 최종 해시. 기록에 그대로 있는지 확인합니다.",
        )
    ),
]


def verify(
    case: CaseOption,
    *,
    operator: OperatorOption = None,
    head: HeadOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check a case and its sources against what was recorded, and list what was not checked.

    Exit code 3 if anything differs, otherwise 1 if a source could not be compared.
    """
    from mayak.case import CaseStore

    console = Console()
    with CaseStore.read(case, tampered=True) as store:
        found = _compare(console, store, head)
    try:
        # Without the writer's lock, because triage may be running.
        with CaseStore.review(case, operator=operator or user(), action="open") as store:
            store.record(
                "verify",
                faults=len(found.faults),
                absent=found.absent,
                head=found.last_head,
                sources=None
                if found.compared is None
                else [_recorded(source) for source in found.compared],
            )
    except CaseError as error:
        console.note(tr("not recorded in the case: ", "사건에 기록하지 못함: ") + error.message)
    if as_json:
        console.json(_values(found))
    else:
        _show(console, found, head)
    if found.faults:
        return IntegrityError.exit_code
    return int(found.compared is None or any(_is_open(source) for source in found.compared))


@dataclass(frozen=True, slots=True)
class _Verification:
    """What was compared, and what differs."""

    faults: list[Fault]
    notes: list[str]
    extent: Extent | None
    """Of the case; None if it could not be read in full."""
    compared: list[Compared] | None
    """Of the sources; None if none could be compared."""
    noted_entry: int | None
    """The log entry of the noted head, if there is one."""
    last_head: str | None

    @property
    def absent(self) -> list[str]:
        return [source.path for source in self.compared or () if source.absent]


def _compare(console: Console, store: CaseStore, head: str | None) -> _Verification:
    """Compare the case, its sources and a noted log head with what was recorded."""
    from mayak.case import Fault

    faults = store.verify()
    whole = store.readable and not any(fault.problem == "unreadable" for fault in faults)
    extent = store.extent() if whole else None
    found, compared = _sources(console, store, faults)
    faults += found
    notes = _clock_notes(console, store, faults)
    noted = store.entry_of(head) if head is not None and store.readable else None
    if head is not None and store.readable and noted is None:
        text = tr("the noted head is not in the log", "적어 둔 최종 해시가 기록에 없습니다")
        faults.append(Fault("deleted", "log head", head, text))
    last = store.head() if store.readable else None
    return _Verification(faults, notes, extent, compared, noted, last)


def _values(found: _Verification) -> dict[str, object]:
    """Return the result as JSON values."""
    return {
        "faults": [
            {"problem": f.problem, "table": f.table, "key": f.key, "message": f.message}
            for f in found.faults
        ],
        "notes": found.notes,
        "checked": None if found.extent is None else asdict(found.extent),
        "sources": None
        if found.compared is None
        else [asdict(one) | {"uncompared": one.uncompared} for one in found.compared],
        "absent": found.absent,
        "noted_head_is_entry": found.noted_entry,
        "log_head": found.last_head,
    }


def _show(console: Console, found: _Verification, head: str | None) -> None:
    from mayak.case import alarms

    for fault in found.faults:
        console.result(printable(str(fault)))  # names of files may contain line breaks
    for note in found.notes:
        console.result(tr("note: ", "참고: ") + note)
    for source in found.compared or ():
        console.result(printable(_comparison(source)))
    of_case = [fault for fault in found.faults if fault.table not in ("evidence", "log head")]
    _conclude(console, found.faults, alarms(of_case), found.extent, found.compared)
    _show_noted_head(console, head, found.noted_entry)
    if found.last_head is not None:
        console.result(tr("log head: ", "기록 최종 해시: ") + found.last_head)


def _sources(
    console: Console, store: CaseStore, faults: list[Fault]
) -> tuple[list[Fault], list[Compared] | None]:
    """Return what differs in the sources, and how each was compared (None: no source could be)."""
    from mayak.triage.verify import check_sources

    if any(fault.problem == "unreadable" for fault in faults):
        return [], None
    try:
        return check_sources(store, console)
    except CaseError as error:  # a changed row may be unreadable
        if not faults:
            raise
        console.note(tr("sources not compared: ", "원본을 대조하지 못함: ") + error.message)
        return [], None


def _clock_notes(console: Console, store: CaseStore, faults: list[Fault]) -> list[str]:
    """Return notes on log entries whose times run backwards."""
    from mayak.case import clock_note, set_back

    try:
        return [clock_note(*pair) for pair in set_back(store.log())]
    except CaseError as error:  # a changed entry may be unreadable
        if not faults:
            raise
        console.note(tr("times not compared: ", "시각을 대조하지 못함: ") + error.message)
        return []


def _is_open(source: Compared) -> bool:
    """Whether a source has files and none of them was compared."""
    return source.absent or (source.files > 0 and source.uncompared == source.files)


def _recorded(source: Compared) -> dict[str, object]:
    """Return what the case's log records of a comparison."""
    values = asdict(source) | {"uncompared": source.uncompared}
    return {name: value for name, value in values.items() if name != "path"}


def _comparison(source: Compared) -> str:
    title = tr(f"source {source.source}, {source.path}: ", f"원본 {source.source}, {source.path}: ")
    if source.absent:
        return title + tr(
            f"NOT COMPARED, it is not there (files in the case: {source.files:,})",
            f"대조하지 못함. 원본이 없습니다(파일 {source.files:,}개)",
        )
    if source.whole:
        return title + tr(
            f"compared as a whole by SHA-256, with all {source.files:,} files in it",
            f"전체 SHA-256을 대조함(안의 파일 {source.files:,}개 포함)",
        )
    parts = [
        tr(
            f"{source.hashed:,} of {source.files:,} files compared by SHA-256",
            f"파일 {source.files:,}개 가운데 {source.hashed:,}개는 SHA-256을 대조함",
        )
    ]
    if source.sized:
        parts.append(
            tr(
                f"{source.sized:,} without a recorded hash (left out or not read) by presence and "
                "size alone",
                f"해시값을 기록하지 않은 {source.sized:,}개(제외 또는 읽지 못함)는 존재 여부와 "
                "크기만 대조함",
            )
        )
    if source.uncompared:
        parts.append(
            tr(f"{source.uncompared:,} not compared", f"{source.uncompared:,}개는 대조하지 못함")
        )
    if source.added:
        parts.append(
            tr(
                f"{source.added:,} files are there that the case does not hold",
                f"사건에 없는 파일 {source.added:,}개가 있음",
            )
        )
    return title + "; ".join(parts)


def _conclude(
    console: Console,
    faults: Sequence[Fault],
    sentences: Sequence[str],
    extent: Extent | None,
    compared: Sequence[Compared] | None,
) -> None:
    for sentence in sentences:
        console.result(printable(sentence))
    what = (
        tr("the case could not be read in full", "사건을 모두 읽지 못함")
        if extent is None
        else tr(
            f"compared with their hashes: {extent.entries:,} log entries, {extent.records:,} "
            f"records, {extent.thumbnails:,} thumbnails",
            f"해시값을 대조함: 작업 기록 {extent.entries:,}건, 기록 행 {extent.records:,}건, 축소 "
            f"그림 {extent.thumbnails:,}개",
        )
    )
    if compared is None:
        what += tr("; no source was compared", ", 원본은 대조하지 못함")
    elif left := sum(map(_is_open, compared)):
        what += tr(
            f"; {left} of {len(compared)} sources NOT compared",
            f", 원본 {len(compared)}개 가운데 {left}개는 대조하지 못함",
        )
    result = (
        tr(f"{len(faults)} faults", f"문제 {len(faults)}건")
        if faults
        else tr("no fault found in what was compared", "대조한 범위에서 다른 점을 찾지 못함")
    )
    console.result(f"{result} ({what})")


def _show_noted_head(console: Console, head: str | None, noted: int | None) -> None:
    if head is None:
        console.result(
            tr(
                "not compared with a noted log head: a case whose hashes were all computed again, "
                "or that was set back to an earlier state, shows no fault. Note the log head "
                "outside of this machine, and give it with --head",
                "적어 둔 기록 최종 해시와 대조하지 않았습니다. 해시값을 모두 다시 계산하였거나 "
                "이전 상태로 되돌린 사건은 문제로 나타나지 않습니다. 기록 최종 해시를 이 컴퓨터 "
                "밖에 적어 두고 --head로 지정하십시오",
            )
        )
    elif noted is not None:
        console.result(
            tr(
                f"the noted log head is entry {noted} of the log; of later entries it says nothing",
                f"적어 둔 최종 해시는 기록의 항목 {noted}입니다. 그 뒤의 항목은 확인되지 않습니다",
            )
        )
