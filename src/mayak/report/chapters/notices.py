"""The notices on the first page: integrity faults, missing files, images without a result."""

from __future__ import annotations

from mayak.case import alarms
from mayak.language import tr
from mayak.report.document import Prose
from mayak.report.left_out import warning
from mayak.report.report_data import ReportData
from mayak.report.text import files as files_text
from mayak.report.text import images, shortened
from mayak.report.words import moment_of, numbers

_NOTED = 6
"""Kinds of faults on the first page."""


def notices(found: ReportData) -> tuple[Prose, ...]:
    """Return the notices of the first page, alarms first."""
    return tuple(
        notice
        for notice in (
            _faulty(found),
            _sums_off(found),
            _faulty_before(found),
            _damaged(found),
            _accepting(found),
            _unhashed(found),
            _sound(found),
            _unlike_their_hash(found),
            _incomplete(found),
            _without_result(found),
            _not_looked_into(found),
        )
        if notice is not None
    )


def _faulty(found: ReportData) -> Prose | None:
    if not found.faults:
        return None
    count = len(found.faults)
    points = alarms(found.faults)
    if (more := len(points) - _NOTED) > 0:
        points[_NOTED:] = [
            tr(f"and {more:,} more kinds, see Integrity", f"그 밖에 {more:,}종류(‘무결성’ 참조)")
        ]
    return Prose(
        tr(
            f"INTEGRITY FAILURE. The case is not as it was written: {count:,} "
            f"fault{'s' * (count != 1)}. Do not rely on this report until they are explained.",
            f"무결성 문제: 사건의 기록이 작성된 때와 다릅니다(문제 {count:,}건). 원인이 밝혀질 "
            "때까지 이 보고서를 근거로 삼지 마십시오.",
        ),
        "alarm",
        tuple(shortened(point, 300) for point in points),
    )


def _sums_off(found: ReportData) -> Prose | None:
    if found.balanced:
        return None
    return Prose(
        tr(
            "THE SUMS DO NOT HOLD: the lists do not account for all files of the case, see "
            "Integrity.",
            "집계가 맞지 않습니다: 목록의 합이 사건의 전체 파일 수와 다릅니다(‘무결성’ 참조).",
        ),
        "alarm",
    )


def _faulty_before(found: ReportData) -> Prose | None:
    check = found.history.last_check
    if check is None or not (faults := check.detail.get("faults")):
        return None
    return Prose(
        tr(
            f"INTEGRITY FAILURE ON RECORD. The last verification ({moment_of(check)}, "
            f"{check.operator}) found {faults} faults. Run mayak verify again.",
            f"기록된 무결성 문제: 마지막 검증({moment_of(check)}, {check.operator})에서 "
            f"문제 {faults}건이 확인되었습니다. mayak verify를 다시 실행하십시오.",
        ),
        "alarm",
    )


def _damaged(found: ReportData) -> Prose | None:
    if not found.damaged:
        return None
    return Prose(
        tr(
            "DAMAGED OR CHANGED SOURCES were accepted by the operator:",
            "손상되었거나 변경된 원본을 담당자가 수락하고 분석하였습니다:",
        ),
        "alarm",
        tuple(shortened(source.path, 300) for source in found.damaged),
    )


def _accepting(found: ReportData) -> Prose | None:
    """Return a notice of --accept-damaged; a folder has no hash that would record it."""
    entries = found.history.accepting
    if not entries:
        return None
    which = numbers([entry.sequence for entry in entries])
    return Prose(
        tr(
            "Triage was told to go on with damaged or changed files (--accept-damaged, log entry "
            f"{which}). An image file of a folder that had changed since it was read is listed "
            "with its earlier and its later bytes; one that was gone is listed all the same.",
            f"손상되었거나 변경된 파일을 수락하도록 설정하고 분석하였습니다(--accept-damaged, 작업 "
            f"기록 항목 {which}). 폴더의 이미지 파일이 읽은 뒤 변경된 경우 변경 전과 후의 내용을 "
            "모두 기재하며, 없어진 이미지 파일도 그대로 기재합니다.",
        ),
        "warning",
    )


def _unhashed(found: ReportData) -> Prose | None:
    reasons = found.history.unreadable
    if not reasons:
        return None
    return Prose(
        tr(
            "SOURCES THAT COULD NOT BE READ TO THEIR END, so that there is no hash of the whole:",
            "끝까지 읽지 못하여 전체 해시값이 없는 원본:",
        ),
        "alarm",
        tuple(
            shortened(f"{source.path}: {reasons[source.id]}", 300)
            for source in found.sources
            if source.id in reasons
        ),
    )


def _sound(found: ReportData) -> Prose | None:
    if not found.sound:
        return None
    extent = found.extent
    return Prose(
        tr(
            f"Integrity: {extent.entries:,} log entries, {extent.records:,} records and "
            f"{extent.thumbnails:,} thumbnails of the case were compared with their recorded "
            "hashes for this report; no fault was found. This does not show a case whose hashes "
            "were all computed again or that was set back to an earlier state: for that, compare "
            "the log head with one that was noted elsewhere. ",
            f"무결성: 이 보고서를 작성할 때 사건의 작업 기록 {extent.entries:,}건, 기록 행 "
            f"{extent.records:,}건, 축소 그림 {extent.thumbnails:,}개를 기록된 해시값과 "
            "대조하였으며 다른 점이 없었습니다. 해시값을 모두 다시 계산하였거나 이전 상태로 "
            "되돌린 사건은 이 방법으로 드러나지 않으므로, 따로 적어 둔 기록 최종 해시와 "
            "비교하십시오. ",
        )
        + _compared_again(found),
        "good",
    )


def _compared_again(found: ReportData) -> str:
    """Return which sources were compared again after triage, and how."""
    history, count = found.history, len(found.sources)
    done = [source for source in found.sources if source.id in history.compared]
    if not done:
        check = history.last_check
        if check is None or "sources" in check.detail:
            return tr(
                "No source has been compared again since it was taken in.",
                "원본은 분석 이후 다시 대조하지 않았습니다.",
            )
        return tr(
            f"The verification of {moment_of(check)} does not record which sources it compared.",
            f"{moment_of(check)}의 검증에는 어느 원본을 대조하였는지 기록되어 있지 않습니다.",
        )
    latest = moment_of(max((history.compared[s.id][0] for s in done), key=lambda e: e.sequence))
    text = tr(
        f"{len(done):,} of {count:,} sources were compared again, last at {latest}",
        f"원본 {count:,}개 가운데 {len(done):,}개를 다시 대조하였습니다(마지막 {latest})",
    )
    by_size = without = 0
    for source in done:
        how = history.compared[source.id][1]
        files = found.source_counts[source.id].files if source.id in found.source_counts else 0
        by_size += how.get("sized", 0)
        without += how.get("uncompared", 0) + max(0, files - how.get("files", 0))
    if by_size:
        text += tr(
            f"; {files_text(by_size)} without a recorded hash by presence and size alone",
            f", 해시값을 기록하지 않은 {files_text(by_size)}는 존재 여부와 크기만 대조",
        )
    if without:
        text += tr(
            f"; {files_text(without)} not at all",
            f", {files_text(without)}는 대조하지 않음",
        )
    left = [n for n, s in enumerate(found.sources, 1) if s.id not in history.compared]
    if left:
        text += tr(
            f"; not compared: source {numbers(left)}", f", 대조하지 않은 원본: {numbers(left)}"
        )
    check = history.last_check
    seen = {} if check is None else {s.get("source"): s for s in check.detail.get("sources") or ()}
    absent = [
        n
        for n, source in enumerate(found.sources, 1)
        if source.id in history.compared and seen.get(source.id, {}).get("absent")
    ]
    if check is not None and absent:
        text += tr(
            f"; absent at the last verification ({moment_of(check)}): source {numbers(absent)}",
            f", 마지막 검증({moment_of(check)}) 때 없던 원본: {numbers(absent)}",
        )
    return text + "."


def _unlike_their_hash(found: ReportData) -> Prose | None:
    if not (count := found.failures.get("HashMismatch", 0)):
        return None
    return Prose(
        tr(
            f"Disk images inside the sources that are not what their stored hash says: {count:,}, "
            "listed among the files that could not be read.",
            f"원본 안의 디스크 이미지 {count:,}개가 저장된 해시와 다릅니다. 읽지 못한 파일 목록에 "
            "있습니다.",
        ),
        "warning",
    )


def _incomplete(found: ReportData) -> Prose | None:
    if not found.incomplete:
        return None
    which = numbers(found.incomplete)
    return Prose(
        tr(
            f"FILES MAY BE MISSING. That triage went through source {which} to the end is not on "
            "record: it was stopped, ended at its limit, or was done by an earlier version of "
            "mayak. Files that it did not reach are in no list and no number of this report.",
            f"빠진 파일이 있을 수 있습니다. 번호 {which}의 원본은 끝까지 처리하였다는 기록이 "
            "없습니다. 중단되었거나, 한도에서 멈추었거나, 이전 버전의 mayak으로 처리한 것입니다. "
            "처리하지 않은 파일은 이 보고서의 목록과 수치에 들어 있지 않습니다.",
        ),
        "warning",
    )


def _without_result(found: ReportData) -> Prose | None:
    if not (missing := found.images["unclassified"]):
        return None
    return Prose(
        tr(
            f"Neither a model result nor a decision: {images(missing)}.",
            f"모델 결과도 검토자의 판정도 없음: {images(missing)}.",
        ),
        "warning",
    )


def _not_looked_into(found: ReportData) -> Prose | None:
    text = warning(found.left_out)
    if text is None:
        return None
    return Prose(f"{text} {tr('See Limits.', '‘한계’ 참조.')}", "warning")
