"""The chapters that say how far a report can be relied on: notices, methods, limits, integrity."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mayak import __version__
from mayak.case import LogEntry, Run, Source, SourceHash, alarms, clock_note
from mayak.labels import QUESTION
from mayak.language import tr
from mayak.report.document import Block, Cell, Facts, Prose, Section, Table
from mayak.report.left_out import warning
from mayak.report.report_data import Survey
from mayak.report.text import files as files_text
from mayak.report.text import images, moment, shortened, size

_NOTED = 6
"""Kinds of faults on the first page."""
_NAMED = 20
"""Sources named by number, and pairs of log entries, in one sentence."""
_FAULTS = 200
"""Faults in the chapter on integrity; `mayak verify` lists all."""
_HISTORY = 50


def notices(found: Survey) -> tuple[Prose, ...]:
    """What stands on the first page, alarms first."""
    return tuple(
        said
        for said in (
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
        if said is not None
    )


def _faulty(found: Survey) -> Prose | None:
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


def _sums_off(found: Survey) -> Prose | None:
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


def _faulty_before(found: Survey) -> Prose | None:
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


def _damaged(found: Survey) -> Prose | None:
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


def _accepting(found: Survey) -> Prose | None:
    """Of a folder, no hash of the whole records what was accepted."""
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


def _unhashed(found: Survey) -> Prose | None:
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


def _sound(found: Survey) -> Prose | None:
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


def _compared_again(found: Survey) -> str:
    """Which sources were compared since they were taken in, and how far."""
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
    told = tr(
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
        told += tr(
            f"; {files_text(by_size)} without a recorded hash by presence and size alone",
            f", 해시값을 기록하지 않은 {files_text(by_size)}는 존재 여부와 크기만 대조",
        )
    if without:
        told += tr(
            f"; {files_text(without)} not at all",
            f", {files_text(without)}는 대조하지 않음",
        )
    left = [n for n, s in enumerate(found.sources, 1) if s.id not in history.compared]
    if left:
        told += tr(
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
        told += tr(
            f"; absent at the last verification ({moment_of(check)}): source {numbers(absent)}",
            f", 마지막 검증({moment_of(check)}) 때 없던 원본: {numbers(absent)}",
        )
    return told + "."


def _unlike_their_hash(found: Survey) -> Prose | None:
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


def _incomplete(found: Survey) -> Prose | None:
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


def _without_result(found: Survey) -> Prose | None:
    if not (missing := found.images["unclassified"]):
        return None
    return Prose(
        tr(
            f"Neither a model result nor a decision: {images(missing)}.",
            f"모델 결과도 검토자의 판정도 없음: {images(missing)}.",
        ),
        "warning",
    )


def _not_looked_into(found: Survey) -> Prose | None:
    text = warning(found.left_out)
    if text is None:
        return None
    return Prose(f"{text} {tr('See Limits.', '‘한계’ 참조.')}", "warning")


def moment_of(entry: LogEntry) -> str:
    return f"{entry.at[:19].replace('T', ' ')} UTC"


def methods(found: Survey, *, clear: bool) -> Section:
    """What was done, in plain words."""
    points = [
        _listing(found),
        _accounting(found),
        tr(
            "Images with the same bytes (SHA-256) count as one image and are listed at every "
            "place where they were found; the pictures inside a repeated image file at the first "
            "place alone.",
            "내용(SHA-256)이 같은 이미지는 한 장으로 세며, 확인된 모든 위치를 기재합니다. 같은 "
            "이미지 파일이 여러 곳에 있으면 그 안의 나머지 그림은 첫 위치에만 기재합니다.",
        ),
        _asking(found),
        _deciding(found),
        tr(
            "Times are in UTC (Korean time is nine hours ahead). Times of files are those that "
            "the source states; where it keeps a clock without a time zone (FAT, most ZIP files) "
            "that clock is shown as it is and the time zone is given as unknown.",
            "시각은 UTC입니다(한국 표준시는 9시간을 더합니다). 파일의 시각은 원본에 기록된 값이며, "
            "시간대 없이 기록하는 원본(FAT, 대부분의 ZIP)은 기록된 시각을 그대로 적고 시간대를 "
            "‘알 수 없음’으로 표시하였습니다.",
        ),
        tr("The thumbnails are shown clearly.", "축소 그림을 흐리게 처리하지 않았습니다.")
        if clear
        else tr(
            "The thumbnails are blurred; the originals are identified by their hashes.",
            "축소 그림은 흐리게 처리하였습니다. 원본은 해시값으로 확인합니다.",
        ),
        tr(
            "Signs in names that cannot be seen or that change the direction of writing are "
            "spelt out by number, such as \\u202e; a long name is shortened in the middle and "
            "stands whole in the CSV files.",
            "보이지 않거나 글의 방향을 바꾸는 문자는 \\u202e처럼 번호로 적었습니다. 긴 이름은 "
            "가운데를 줄였으며 전체 이름은 CSV 파일에 있습니다.",
        ),
    ]
    title = tr("Methods", "분석 방법")
    return Section(title, (Prose("", points=tuple(points)),))


def _listing(found: Survey) -> str:
    """How many files were listed, and whether that is all of them."""
    deleted = sum(counts.deleted for counts in found.source_counts.values())
    entered = found.exclusions.get("container", 0)
    told = tr(
        "mayak opens sources for reading only. Listed in "
        f"{len(found.sources):,} source{'s' * (len(found.sources) != 1)}: "
        f"{files_text(found.counts.items)}, {deleted:,} of them deleted, with what could be "
        f"listed of {entered:,} archives and disk images inside the sources. ",
        f"mayak은 원본을 읽기 전용으로 엽니다. 원본 {len(found.sources):,}개에서 "
        f"{files_text(found.counts.items)}를 나열하였으며(삭제된 파일 {deleted:,}개 포함), 그 안의 "
        f"압축 파일과 디스크 이미지 {entered:,}개는 나열할 수 있는 안의 파일까지 포함합니다. ",
    )
    if found.incomplete:
        which = numbers(found.incomplete)
        return told + tr(
            f"Of source {which} it is not on record that triage came to the end: files may be "
            "missing.",
            f"번호 {which}의 원본은 끝까지 처리하였다는 기록이 없으므로 빠진 파일이 있을 수 "
            "있습니다.",
        )
    return told + tr(
        "Triage went through every source to its end. An archive or disk image of a kind that "
        "mayak does not know is one file to it: what is in it is not listed (see Limits).",
        "모든 원본을 끝까지 처리하였습니다. mayak이 알지 못하는 종류의 압축 파일이나 디스크 "
        "이미지는 파일 하나로 취급하며 그 안은 나열하지 않습니다(‘한계’ 참조).",
    )


def _accounting(found: Survey) -> str:
    """What the three outcomes mean, and whether they add up."""
    counts = found.counts
    told = tr(
        "Each listed file is an image, a file that could not be read, or a file that a rule left "
        "out, which then was not examined further. ",
        "나열한 파일은 이미지, 읽지 못한 파일, 규칙에 따라 제외한 파일 중 하나이며, 제외한 파일은 "
        "더 분석하지 않았습니다. ",
    )
    told += _no_files(found)
    sums = outcome_sum(found)
    if counts.balanced:
        return told + tr(f"The numbers add up: {sums}.", f"집계: {sums}.")
    return told + tr(f"THE NUMBERS DO NOT ADD UP: {sums}.", f"집계가 맞지 않습니다: {sums}.")


def _no_files(found: Survey) -> str:
    """How many of the rows that are counted as files are none of their own in a source."""
    inside = sum(counts.inside for counts in found.source_counts.values())
    gaps = sum(counts.gaps for counts in found.source_counts.values())
    told = ""
    if inside:
        told += tr(
            f"Counted as files are also {inside:,} pictures inside other files: pages, frames, "
            "pictures of documents and pictures under transparency. ",
            f"다른 파일 안의 그림(쪽, 장면, 문서의 그림, 투명 영역에 가려진 그림) {inside:,}장도 "
            "파일로 셉니다. ",
        )
    if gaps:
        told += tr(
            f"Counted as files that could not be read are also {gaps:,} notes on what could not "
            "be listed of archives, disk images and folders, besides the row of the archive or "
            "disk image itself. ",
            f"압축 파일, 디스크 이미지, 폴더에서 나열하지 못한 부분을 적은 {gaps:,}행도 읽지 못한 "
            "파일로 세며, 압축 파일이나 디스크 이미지 자체의 행과는 별개입니다. ",
        )
    return told


def outcome_sum(found: Survey) -> str:
    """Files by outcome, as the case has them."""
    counts = found.counts
    sign = "=" if counts.balanced else "≠"
    return tr(
        f"{counts.items:,} files {sign} {counts.contents:,} images + {counts.failures:,} not read "
        f"+ {counts.exclusions:,} left out",
        f"파일 {counts.items:,} {sign} 이미지 {counts.contents:,} + 읽지 못함 "
        f"{counts.failures:,} + 제외 {counts.exclusions:,}",
    )


def _asking(found: Survey) -> str:
    """Of how many images the model was asked, and what its score is."""
    run = found.run
    if run is None:
        return tr("No model was asked about the images.", "이미지를 모델로 분류하지 않았습니다.")
    tiers = found.tiers[run.id]
    asked = tiers.get(1, 0) + tiers.get(2, 0)
    told = tr(
        f"A vision-language model was asked one question of {images(asked)}: “{QUESTION}” ",
        f"시각·언어 모델에 {images(asked)}에 대하여 이미지마다 다음 질문을 하였습니다. "
        f"“{QUESTION}” ",
    )
    if quick := tiers.get(0, 0):
        told += tr(
            f"Called irrelevant by a quicker stage, without the question: {images(quick)}. ",
            f"{images(quick)}은 질문 없이 빠른 단계에서 ‘관련 없음’으로 분류하였습니다. ",
        )
    if lacking := found.counts.distinct_contents - run.predictions:
        told += tr(
            f"Without a result: {images(lacking)}. ", f"{images(lacking)}은 결과가 없습니다. "
        )
    told += tr(
        "A score is the share of a label's probability among the four labels",
        "점수는 네 분류의 확률 가운데 해당 분류의 확률이 차지하는 비율",
    )
    if run.engine.get("calibration"):
        told += tr(
            ", adjusted by the calibration that Integrity names", "이며 ‘무결성’에 적은 보정을 거침"
        )
    return told + tr(
        ". It orders the work of looking; it is not the probability that the answer is right.",
        "입니다. 먼저 볼 순서를 정할 뿐, 답이 맞을 확률이 아닙니다.",
    )


def _deciding(found: Survey) -> str:
    """Who decided, and how far that says who looked."""
    back = tr(
        f"{found.withdrawn:,} decisions were withdrawn and stay on record.",
        f"취소한 판정 {found.withdrawn:,}건도 기록에 남아 있습니다.",
    )
    if not found.reviewers:
        return tr("No decision of a reviewer stands. ", "유효한 검토자 판정이 없습니다. ") + back
    return (
        tr(
            "The reviewers named in this report decided, not the model. Each decision is kept with "
            "name and time. ‘Not reviewed’ means that no decision stands, not that nobody looked. ",
            "판정은 모델이 아니라 이 보고서에 적힌 검토자가 하였습니다. 판정마다 이름과 시각이 "
            "기록됩니다. ‘미검토’는 유효한 판정이 없다는 뜻이며, 아무도 보지 않았다는 뜻이 "
            "아닙니다. ",
        )
        + back
    )


def numbers(found: Sequence[int]) -> str:
    """Numbers of sources, the first few."""
    shown = ", ".join(map(str, found[:_NAMED]))
    return shown + (", …" if len(found) > _NAMED else "")


def integrity(found: Survey) -> Section:
    """What a court can check: sources, hashes, engine, log, sums."""
    blocks: list[Block] = [_log(found), *_clock(found), *_sums(found), _hashes(found)]
    if found.faults:
        faults = found.faults[:_FAULTS]
        blocks.append(
            Prose(
                tr(
                    f"Faults, {len(faults):,} of {len(found.faults):,}:",
                    f"문제 {len(found.faults):,}건 가운데 {len(faults):,}건:",
                ),
                "alarm",
                tuple(shortened(str(fault), 300) for fault in faults),
            )
        )
    for number, source in enumerate(found.sources, 1):
        blocks += _source(number, source, found)
    for run in found.runs:
        blocks += _engine(run, found.tiers[run.id], shown=run == found.run)
    blocks += _history(found)
    return Section(tr("Integrity", "무결성"), tuple(blocks))


def _log(found: Survey) -> Facts:
    head = tr("Log head (SHA-256)", "기록 최종 해시(SHA-256)")
    case = tr("Case number (UUID)", "사건 식별번호(UUID)")
    return Facts(
        (
            (case, found.case),
            (tr("Case created", "사건 생성"), f"{moment(found.created)} UTC"),
            (tr("Log entries", "기록 항목 수"), f"{found.entries:,}"),
            (tr("Last entry", "마지막 기록"), f"{moment(found.as_of)} UTC"),
            (head, found.head),
            (tr("This report made by", "보고서 작성 프로그램"), f"mayak {__version__}"),
        ),
        code=frozenset({case, head}),
    )


def _clock(found: Survey) -> list[Block]:
    """Entries of the log whose times run backwards."""
    pairs = found.history.set_back
    if not pairs:
        return []
    text = tr(
        f"Entries of the log with an earlier time than the entry before them: {len(pairs):,}. That "
        "alone does not prove a change: clocks are set.",
        f"작업 기록의 시각이 {len(pairs):,}곳에서 거꾸로 갑니다. 시계는 조정될 수 있으므로 "
        "그것만으로 변경되었다고 볼 수는 없습니다.",
    )
    return [Prose(text, "warning", tuple(clock_note(*pair) for pair in pairs[:_NAMED]))]


def _sums(found: Survey) -> list[Block]:
    chosen, waiting, rest = found.listed
    items = found.counts.items
    sign = "=" if chosen + waiting + rest == items else "≠"
    lists = tr(
        f"{items:,} files {sign} {chosen:,} selected + {waiting:,} not settled + {rest:,} not "
        "selected",
        f"파일 {items:,} {sign} 선별 {chosen:,} + 미확정 {waiting:,} + 선별하지 않음 {rest:,}",
    )
    text = (
        tr("Every listed file is accounted for:", "나열한 모든 파일이 집계되었습니다:")
        if found.balanced
        else tr("THE SUMS DO NOT HOLD:", "집계가 맞지 않습니다:")
    )
    return [Prose(text, "plain" if found.balanced else "alarm", (outcome_sum(found), lists))]


def _hashes(found: Survey) -> Prose:
    """How many rows of the lists carry a hash, and why the others do not."""
    counts, hashed = found.counts, found.hashed
    without = counts.items - hashed
    told = tr(
        f"{hashed:,} of {counts.items:,} rows of the lists carry a hash: images MD5, SHA-1 and "
        "SHA-256, documents and files of a list of known files SHA-256. ",
        f"목록 {counts.items:,}행 가운데 {hashed:,}행에 해시값이 있습니다. 이미지는 MD5, SHA-1, "
        "SHA-256, 문서와 알려진 파일 목록에 있는 파일은 SHA-256입니다. ",
    )
    if without:
        told += tr(
            f"{without:,} carry none: {counts.failures:,} could not be read, and the others were "
            "left out by a rule without being hashed.",
            f"해시값이 없는 {without:,}행은 읽지 못한 파일 {counts.failures:,}개와, 규칙에 따라 "
            "제외하여 해시값을 계산하지 않은 파일입니다.",
        )
    return Prose(told)


def _source(number: int, source: Source, found: Survey) -> list[Block]:
    title = tr(f"Source {number}", f"원본 {number}")
    rows: list[tuple[str, str]] = [
        (title, shortened(source.path, 300)),
        (tr("Kind", "종류"), source.kind),
        (tr("Listed", "나열"), _listed(source, found)),
    ]
    code: set[str] = set()
    if not source.hashes:
        rows.append((tr("Hash", "해시값"), _no_hash(source, found)))
    for count, reading in enumerate(source.hashes, 1):
        which = "" if len(source.hashes) == 1 else tr(f", reading {count}", f", {count}차")
        rows += [
            (tr("Size", "크기") + which, size(reading.size)),
            ("MD5" + which, reading.md5),
            ("SHA-256" + which, reading.sha256),
            (
                tr("Computed (UTC)", "해시 계산(UTC)") + which,
                f"{moment(reading.began)} – {moment(reading.ended)}",
            ),
            (tr("Stored hash", "저장된 해시") + which, _compared(reading)),
        ]
        code |= {"MD5" + which, "SHA-256" + which}
    rows.append((tr("Compared again", "재대조"), _again(source, found)))
    return [Facts(tuple(rows), code=frozenset(code))]


def _listed(source: Source, found: Survey) -> str:
    counts = found.source_counts.get(source.id)
    told = files_text(counts.files if counts else 0)
    if source.id in found.history.complete:
        return told + tr(", to the end of the source", ", 원본 끝까지 처리함")
    return told + tr(
        "; that it was gone through to the end is not on record",
        ". 끝까지 처리하였다는 기록이 없음",
    )


def _no_hash(source: Source, found: Survey) -> str:
    """Why there is no hash of the whole, and what there is instead."""
    counts = found.source_counts.get(source.id)
    files, hashed = (counts.files, counts.hashed) if counts else (0, 0)
    each = tr(
        f"{hashed:,} of its {files:,} files have a hash of their own in the lists; of the other "
        f"{files - hashed:,} only a change of presence or size can be found",
        f"파일 {files:,}개 가운데 {hashed:,}개의 해시값을 목록에 기재함. 나머지 "
        f"{files - hashed:,}개는 해시값이 없어 없어지거나 크기가 달라진 것만 알 수 있음",
    )
    if source.kind == "folder":
        why = tr("none as a whole (a folder). ", "전체 해시 없음(폴더). ")
    elif (reason := found.history.unreadable.get(source.id)) is not None:
        why = tr(
            f"NONE as a whole: it could not be read to its end ({reason}). ",
            f"전체 해시 없음: 끝까지 읽지 못함({reason}). ",
        )
    else:
        why = tr(
            "NOT YET COMPUTED as a whole: triage did not come to its end; run it again. ",
            "전체 해시 미계산. 분류가 끝나지 않았으므로 다시 실행하십시오. ",
        )
    return why + each


def _again(source: Source, found: Survey) -> str:
    """When and how the source was last compared with what is recorded of it."""
    if source.id not in found.history.compared:
        return tr("not on record", "기록 없음")
    entry, how = found.history.compared[source.id]
    if how.get("whole"):
        return moment_of(entry) + tr(": as a whole, by SHA-256", ": 전체 SHA-256 대조")
    return moment_of(entry) + tr(
        f": {how.get('hashed', 0):,} files by SHA-256, {how.get('sized', 0):,} by presence and "
        f"size, {how.get('uncompared', 0):,} not compared",
        f": 파일 {how.get('hashed', 0):,}개 SHA-256 대조, {how.get('sized', 0):,}개 존재 여부와 "
        f"크기 대조, {how.get('uncompared', 0):,}개 대조하지 않음",
    )


def _compared(reading: SourceHash) -> str:
    if reading.stored_hash is None:
        said = tr("the source stores no hash of itself", "원본에 저장된 해시 없음")
    elif reading.matches:
        said = tr("matches the stored hash", "저장된 해시와 일치") + f" ({reading.stored_hash})"
    else:
        said = (
            tr("DIFFERS from the stored hash", "저장된 해시와 다름") + f" ({reading.stored_hash})"
        )
    if reading.accepted_damaged:
        said += tr("; accepted by the operator", ", 담당자가 수락함")
    return said


def _engine(run: Run, tiers: dict[int, int], *, shown: bool) -> list[Block]:
    engine = run.engine
    title = tr(f"Model run {run.id}", f"모델 실행 {run.id}")
    names = {
        "adapter": tr("Adapter (SHA-256)", "어댑터(SHA-256)"),
        "prompt": tr("Prompt (SHA-256)", "질문(SHA-256)"),
        "preprocessing": tr("Preprocessing (SHA-256)", "전처리(SHA-256)"),
        "calibration": tr("Calibration (SHA-256)", "보정(SHA-256)"),
    }
    finger = tr("Fingerprint", "엔진 지문")
    software = ", ".join(f"{name} {version}" for name, version in engine.get("software", ()))
    state = (
        f"{moment(run.started)} – {moment(run.finished)}"
        if run.finished
        else f"{moment(run.started)} – " + tr("not finished", "끝나지 않음")
    )
    rows = [
        (title, tr("scores shown in this report", "이 보고서의 점수") if shown else "–"),
        (tr("Model", "모델"), str(engine.get("model"))),
        *((said, str(engine.get(key) or tr("none", "없음"))) for key, said in names.items()),
        (tr("Precision", "정밀도"), str(engine.get("precision"))),
        (tr("Software", "소프트웨어"), software or "–"),
        (finger, run.fingerprint),
        (tr("From – to (UTC)", "시작 – 끝(UTC)"), state),
        (
            tr("Results", "결과"),
            tr(
                f"{run.predictions:,} scores, {run.failures:,} failures",
                f"점수 {run.predictions:,}건, 실패 {run.failures:,}건",
            ),
        ),
    ]
    if tiers.keys() - {2}:
        counts = [tiers.get(tier, 0) for tier in range(3)]
        text = tr(
            "vision tower {:,}, language model on the base tile {:,}, whole model {:,}",
            "시각 인코더 {:,}, 언어 모델(기본 타일) {:,}, 전체 모델 {:,}",
        )
        rows.append((tr("Images decided by", "이미지를 결정한 단계"), text.format(*counts)))
    return [Facts(tuple(rows), code=frozenset({*names.values(), finger}))]


def _history(found: Survey) -> list[Block]:
    notable = found.history.notable
    entries = notable[-_HISTORY:]
    rows: list[tuple[Cell, ...]] = [
        (str(e.sequence), moment_of(e), shortened(e.operator, 60), _told(e)) for e in entries
    ]
    if not rows:
        return []
    text = tr("What was done with the sources:", "원본에 대한 작업 기록:")
    if len(entries) < len(notable):
        text = tr(
            f"What was done with the sources, the last {len(entries):,} of "
            f"{len(notable):,} entries:",
            f"원본에 대한 작업 기록 {len(notable):,}건 가운데 마지막 {len(entries):,}건:",
        )
    columns = (
        tr("Entry", "항목"),
        tr("Time", "시각"),
        tr("Operator", "담당자"),
        tr("What", "내용"),
    )
    return [Prose(text), Table(columns, tuple(rows), (0.6, 1.9, 1.1, 4.0), small=True)]


def _told(entry: LogEntry) -> Cell:
    detail = entry.detail
    if entry.action == "verify":
        absent = detail.get("absent", [])
        return tr(
            f"verification: {detail.get('faults')} faults in what was compared, "
            f"{len(absent)} sources absent",
            f"검증: 대조한 범위에서 문제 {detail.get('faults')}건, 없는 원본 {len(absent)}개",
        )
    if entry.action == "triage finished":
        which = ", ".join(map(str, detail.get("sources", ())))
        if detail.get("limited"):
            return tr(
                f"triage ended at its limit (sources {which})",
                f"분석: 한도에서 멈춤(원본 번호 {which})",
            )
        return tr(
            f"triage came to the end of sources {which}",
            f"분석: 원본을 끝까지 처리함(번호 {which})",
        )
    if entry.action == "source cannot be hashed":
        return (
            tr(
                f"source {detail.get('source')} could not be read to its end",
                f"원본을 끝까지 읽지 못함(번호 {detail.get('source')})",
            ),
            str(detail.get("reason")),
        )
    if entry.action == "refuse source":
        return (
            tr(
                f"source {detail.get('source')} refused: damaged or changed",
                f"원본 {detail.get('source')} 거부: 손상 또는 변경",
            ),
            f"SHA-256 {detail.get('sha256')}",
        )
    if entry.action == "cascade":
        return _promised(detail)
    said = [tr("triage of ", "분석: ") + ", ".join(map(str, detail.get("sources", ())))]
    said += _options(detail.get("options", {}))
    for key, name in (
        ("known_good", tr("left out by list ", "제외 해시 목록 ")),
        ("known_bad", tr("alert by list ", "경보 해시 목록 ")),
    ):
        said += [f"{name}{file}: {digest}" for file, digest in detail.get(key, {}).items()]
    return tuple(shortened(line, 300) for line in said)


def _promised(detail: Mapping[str, Any]) -> Cell:
    told = tr(
        f"run {detail['run']}: of what the whole model would call relevant, at most "
        f"{detail['alpha']:.1%} was to be lost to earlier tiers, with {detail['confidence']:.0%} "
        f"confidence ({detail['lost']} of {detail['relevant']} in the calibration)",
        f"실행 {detail['run']}: 전체 모델이 관련 있다고 볼 이미지 중 앞 단계에서 놓치는 비율을 "
        f"최대 {detail['alpha']:.1%}로 보장(신뢰 수준 {detail['confidence']:.0%}, 보정에서는 "
        f"{detail['relevant']}장 중 {detail['lost']}장)",
    )
    if detail["differs"]:
        drift = tr(
            f"the {detail['found']} relevant images found look other than those of the "
            "calibration: this may not have held",
            f"발견된 관련 이미지 {detail['found']}장이 보정에 쓴 이미지와 달라 보장이 성립하지 "
            "않았을 수 있음",
        )
    elif detail["p"] is None:
        drift = tr(
            f"{detail['found']} relevant images are too few to compare with the calibration's",
            f"관련 이미지 {detail['found']}장은 보정에 쓴 이미지와 비교하기에 부족함",
        )
    else:
        drift = tr(
            f"the {detail['found']} relevant images found look like those of the calibration",
            f"발견된 관련 이미지 {detail['found']}장은 보정에 쓴 이미지와 비슷함",
        )
    return told, drift


def _options(options: dict[str, Any]) -> list[str]:
    given = {name: value for name, value in options.items() if value not in (None, [], False)}
    text = " ".join(f"{name}={json.dumps(v, ensure_ascii=False)}" for name, v in given.items())
    return [tr("options ", "선택 사항 ") + text] if text else []
