"""Sentences about integrity faults and clocks for people who do not know the tables of a case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from mayak.case.records import IntegrityFault, LogEntry
from mayak.language import tr

_KEYS = 3
"""Technical keys that follow a sentence; the list of all faults has the others."""
_CLOCK = timedelta(seconds=1)
"""Corrections of clocks over a network are smaller than this."""

_RECORDS = {
    "sources": ("record of a source", "records of sources", "원본 등록 기록"),
    "source_hashes": ("hash of a source", "hashes of sources", "원본 해시값 기록"),
    "contents": ("record of an image", "records of images", "이미지 정보 기록"),
    "items": ("record of a file", "records of files", "파일 목록 기록"),
    "exclusions": ("record of a left-out file", "records of left-out files", "분석 제외 기록"),
    "failures": ("record of a failure", "records of failures", "읽기·분류 실패 기록"),
    "revisions": ("later outcome of a file", "later outcomes of files", "파일 처리 변경 기록"),
    "runs": ("record of a model run", "records of model runs", "모델 실행 기록"),
    "finishes": ("end of a model run", "ends of model runs", "모델 실행 종료 기록"),
    "predictions": ("score of the model", "scores of the model", "모델 점수 기록"),
    "groupings": (
        "grouping of similar images",
        "groupings of similar images",
        "유사 이미지 그룹 기록",
    ),
    "group_members": ("similar image on record", "similar images on record", "유사 이미지 기록"),
    "alerts": ("match with a hash list", "matches with hash lists", "해시 목록 일치 기록"),
    "decisions": ("decision of a reviewer", "decisions of reviewers", "검토자 판정 기록"),
    "samples": ("blind sample", "blind samples", "무작위 표본 기록"),
    "sample_items": ("image of a blind sample", "images of blind samples", "표본 이미지 기록"),
    "log": ("entry of the log", "entries of the log", "작업 기록 항목"),
    "thumbnails": ("thumbnail", "thumbnails", "축소 그림"),
}
_OTHERS = {
    "case.json": ("the file with the case's number and name", "사건의 번호와 이름이 든 파일"),
    "database": ("the case's database", "사건의 데이터베이스"),
    "sqlite_sequence": ("the counter of the log", "작업 기록의 일련번호"),
    "thumbnails": ("a thumbnail", "축소 그림"),
}
_LOCKS = re.compile(r"_(keeps|holds)$")
"""Names of triggers that refuse to change or delete rows."""


def alarms(faults: Sequence[IntegrityFault]) -> list[str]:
    """Return a sentence for each kind of fault, with its number and the first technical keys."""
    groups: dict[tuple[str, str], list[IntegrityFault]] = {}
    for fault in faults:
        kind = "locks" if fault.table == "schema" and _LOCKS.search(fault.key) else fault.table
        groups.setdefault((kind, fault.problem), []).append(fault)
    return [
        f"{_sentence(kind, problem, group)} ({_keys(group)})"
        for (kind, problem), group in groups.items()
    ]


def _sentence(kind: str, problem: str, faults: Sequence[IntegrityFault]) -> str:
    count = sum(map(_rows, faults))
    one = count == 1
    if kind == "locks":
        return tr(
            f"{count:,} of the locks that keep records from being changed or removed "
            f"{'was' if one else 'were'} {'removed' if problem == 'deleted' else 'changed'}",
            f"기록의 변경·삭제를 막는 장치 {count:,}개가 "
            f"{'제거' if problem == 'deleted' else '변경'}되었습니다",
        )
    if kind == "schema":
        if problem == "inserted":
            return tr(
                f"{count:,} {'part was' if one else 'parts were'} added to the database that "
                "mayak does not make",
                f"mayak이 만들지 않은 구조 요소 {count:,}개가 데이터베이스에 추가되었습니다",
            )
        return tr(
            f"{count:,} {'part' if one else 'parts'} of the database's structure "
            f"{'was' if one else 'were'} {'removed' if problem == 'deleted' else 'changed'}",
            f"데이터베이스의 구조 요소 {count:,}개가 "
            f"{'제거' if problem == 'deleted' else '변경'}되었습니다",
        )
    if kind not in _RECORDS or problem == "unreadable":
        about = f"{tr(*_OTHERS[kind])}: " if kind in _OTHERS else ""
        more = tr(f", and {count - 1:,} more", f", 외 {count - 1:,}건") if count > 1 else ""
        return about + faults[0].message + more
    singular, plural, korean = _RECORDS[kind]
    noun = singular if one else plural
    was, is_, does = ("was", "is", "does") if one else ("were", "are", "do")
    en, ko = {
        "changed": (f"{is_} not as recorded", "최초 기록과 다릅니다"),
        "deleted": (f"{was} removed", "제거되었습니다"),
        "inserted": (f"{was} added without the log", "작업 기록 없이 추가되었습니다"),
        "chain": (
            f"{does} not follow from the one before: the log was rewritten",
            "앞 항목과 이어지지 않습니다. 작업 기록이 다시 쓰였습니다",
        ),
    }.get(problem, (f"{does} not agree with other records", "다른 기록과 맞지 않습니다"))
    return tr(f"{count:,} {noun} {en}", f"{korean} {count:,}건이 {ko}")


def _rows(fault: IntegrityFault) -> int:
    """Number of rows of a fault: all of a gap, at least one of a changed batch."""
    span = re.search(r" (\d+)–(\d+)$", fault.key)
    if fault.problem != "deleted" or span is None:
        return 1
    return int(span[2]) - int(span[1]) + 1


def _keys(faults: Sequence[IntegrityFault]) -> str:
    keys = ", ".join(fault.key for fault in faults[:_KEYS] if fault.key)
    more = ", …" if len(faults) > _KEYS else ""
    return f"{faults[0].table} {keys}{more}".strip()


def set_back(log: Iterable[LogEntry]) -> Iterator[tuple[LogEntry, LogEntry]]:
    """Yield pairs of consecutive log entries of which the second has the earlier time.

    Entries get their time within their transaction, one after the other. So only a clock that was
    set back, or a rewritten log, dates an entry before its predecessor.
    """
    previous: tuple[LogEntry, datetime] | None = None
    for entry in log:
        try:
            at = datetime.fromisoformat(entry.at)
            if previous is not None and previous[1] - at > _CLOCK:
                yield previous[0], entry
        except (ValueError, TypeError):  # not a time, or without a zone: the audit reports it
            continue
        previous = entry, at


def clock_note(before: LogEntry, after: LogEntry) -> str:
    """Return a sentence about a pair of ``set_back``."""
    return tr(
        f"the log's times run backwards: entry {after.sequence} ({_shown(after)}) follows entry "
        f"{before.sequence} ({_shown(before)}). The computer's clock was set back, or the log was "
        "rewritten",
        f"작업 기록의 시각이 거꾸로 갑니다. 항목 {after.sequence}의 시각({_shown(after)})이 앞 "
        f"항목 {before.sequence}의 시각({_shown(before)})보다 이릅니다. 컴퓨터의 시계가 "
        "되돌려졌거나 작업 기록이 다시 쓰였을 수 있습니다",
    )


def _shown(entry: LogEntry) -> str:
    return f"{entry.at[:19].replace('T', ' ')} UTC"
