"""``mayak verify``: compares a case and its sources with what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
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


def verify(
    case: CaseOption,
    *,
    operator: OperatorOption = None,
    head: Annotated[
        str | None,
        Parameter(
            help=tr(
                "Log head that was noted earlier: whether the log still holds it.",
                "이전에 적어 둔 기록 최종 해시. 기록에 그대로 있는지 확인합니다.",
            )
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Check a case and its sources against what was recorded, and say what was not checked.

    Exit code 3 if anything differs, otherwise 1 if a source could not be compared.
    """
    from mayak.case import CaseStore, Fault, alarms

    console = Console()
    with CaseStore.read(case, tampered=True) as store:
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
    absent = [source.path for source in compared or () if source.absent]
    try:
        # Without the writer's lock: triage may be at work.
        with CaseStore.review(case, operator=operator or user(), action="open") as store:
            sources = None if compared is None else [_recorded(source) for source in compared]
            store.record("verify", faults=len(faults), absent=absent, head=last, sources=sources)
    except CaseError as error:
        console.note(tr("not recorded in the case: ", "사건에 기록하지 못함: ") + error.message)
    if as_json:
        console.json(
            {
                "faults": [
                    {"problem": f.problem, "table": f.table, "key": f.key, "message": f.message}
                    for f in faults
                ],
                "notes": notes,
                "checked": None if extent is None else asdict(extent),
                "sources": None
                if compared is None
                else [asdict(one) | {"uncompared": one.uncompared} for one in compared],
                "absent": absent,
                "noted_head_is_entry": noted,
                "log_head": last,
            }
        )
    else:
        for fault in faults:
            console.result(printable(str(fault)))  # names of files may hold line breaks
        for note in notes:
            console.result(tr("note: ", "참고: ") + note)
        for source in compared or ():
            console.result(printable(_told(source)))
        of_case = [fault for fault in faults if fault.table not in ("evidence", "log head")]
        _conclude(console, faults, alarms(of_case), extent, compared)
        _tell_of_head(console, head, noted)
        if last is not None:
            console.result(tr("log head: ", "기록 최종 해시: ") + last)
    if faults:
        return IntegrityError.exit_code
    return int(compared is None or any(_is_open(source) for source in compared))


def _sources(
    console: Console, store: CaseStore, faults: list[Fault]
) -> tuple[list[Fault], list[Compared] | None]:
    """What differs in the sources, and how each was compared; None if none could be."""
    from mayak.triage.verify import check_sources

    if any(fault.problem == "unreadable" for fault in faults):
        return [], None
    try:
        return check_sources(store, console)
    except CaseError as error:  # of rows that were changed, some cannot be read as such
        if not faults:
            raise
        console.note(tr("sources not compared: ", "원본을 대조하지 못함: ") + error.message)
        return [], None


def _clock_notes(console: Console, store: CaseStore, faults: list[Fault]) -> list[str]:
    """Notes on times of the log that run backwards."""
    from mayak.case import clock_note, set_back

    try:
        return [clock_note(*pair) for pair in set_back(store.log())]
    except CaseError as error:  # an entry that was changed cannot be read as such
        if not faults:
            raise
        console.note(tr("times not compared: ", "시각을 대조하지 못함: ") + error.message)
        return []


def _is_open(source: Compared) -> bool:
    """Whether a source holds files and none of them was compared."""
    return source.absent or (source.files > 0 and source.uncompared == source.files)


def _recorded(source: Compared) -> dict[str, object]:
    """What the case's log keeps of a comparison."""
    values = asdict(source) | {"uncompared": source.uncompared}
    return {name: value for name, value in values.items() if name != "path"}


def _told(source: Compared) -> str:
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
    said = [
        tr(
            f"{source.hashed:,} of {source.files:,} files compared by SHA-256",
            f"파일 {source.files:,}개 가운데 {source.hashed:,}개는 SHA-256을 대조함",
        )
    ]
    if source.sized:
        said.append(
            tr(
                f"{source.sized:,} without a recorded hash (left out or not read) by presence and "
                "size alone",
                f"해시값을 기록하지 않은 {source.sized:,}개(제외 또는 읽지 못함)는 존재 여부와 "
                "크기만 대조함",
            )
        )
    if source.uncompared:
        said.append(
            tr(f"{source.uncompared:,} not compared", f"{source.uncompared:,}개는 대조하지 못함")
        )
    if source.added:
        said.append(
            tr(
                f"{source.added:,} files are there that the case does not hold",
                f"사건에 없는 파일 {source.added:,}개가 있음",
            )
        )
    return title + "; ".join(said)


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


def _tell_of_head(console: Console, head: str | None, noted: int | None) -> None:
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
