"""The chapter on integrity: log, sums, hashes, sources, model runs and recorded actions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mayak import __version__
from mayak.case import LogEntry, Run, Source, SourceHash, clock_note
from mayak.language import tr
from mayak.report.document import Block, Cell, Facts, Prose, Section, Table
from mayak.report.report_data import ReportData
from mayak.report.text import files as files_text
from mayak.report.text import moment, shortened, size
from mayak.report.words import moment_of, outcome_sum

_PAIRS = 20
"""Pairs of log entries whose times run backwards."""
_FAULTS = 200
"""Faults in the chapter on integrity; `mayak verify` lists all."""
_HISTORY = 50
"""Recorded actions, the last ones."""


def integrity(found: ReportData) -> Section:
    """Return the chapter: everything that a court can check."""
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


def _log(found: ReportData) -> Facts:
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


def _clock(found: ReportData) -> list[Block]:
    """Return log entries whose times run backwards."""
    pairs = found.history.set_back
    if not pairs:
        return []
    text = tr(
        f"Entries of the log with an earlier time than the entry before them: {len(pairs):,}. That "
        "alone does not prove a change: clocks are set.",
        f"작업 기록의 시각이 {len(pairs):,}곳에서 거꾸로 갑니다. 시계는 조정될 수 있으므로 "
        "그것만으로 변경되었다고 볼 수는 없습니다.",
    )
    return [Prose(text, "warning", tuple(clock_note(*pair) for pair in pairs[:_PAIRS]))]


def _sums(found: ReportData) -> list[Block]:
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


def _hashes(found: ReportData) -> Prose:
    """Return how many rows of the lists have a hash, and why the others have none."""
    counts, hashed = found.counts, found.hashed
    without = counts.items - hashed
    text = tr(
        f"{hashed:,} of {counts.items:,} rows of the lists carry a hash: images MD5, SHA-1 and "
        "SHA-256, documents and files of a list of known files SHA-256. ",
        f"목록 {counts.items:,}행 가운데 {hashed:,}행에 해시값이 있습니다. 이미지는 MD5, SHA-1, "
        "SHA-256, 문서와 알려진 파일 목록에 있는 파일은 SHA-256입니다. ",
    )
    if without:
        text += tr(
            f"{without:,} carry none: {counts.failures:,} could not be read, and the others were "
            "left out by a rule without being hashed.",
            f"해시값이 없는 {without:,}행은 읽지 못한 파일 {counts.failures:,}개와, 규칙에 따라 "
            "제외하여 해시값을 계산하지 않은 파일입니다.",
        )
    return Prose(text)


def _source(number: int, source: Source, found: ReportData) -> list[Block]:
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


def _listed(source: Source, found: ReportData) -> str:
    counts = found.source_counts.get(source.id)
    text = files_text(counts.files if counts else 0)
    if source.id in found.history.complete:
        return text + tr(", to the end of the source", ", 원본 끝까지 처리함")
    return text + tr(
        "; that it was gone through to the end is not on record",
        ". 끝까지 처리하였다는 기록이 없음",
    )


def _no_hash(source: Source, found: ReportData) -> str:
    """Return why there is no hash of the whole source, and what there is instead."""
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


def _again(source: Source, found: ReportData) -> str:
    """Return when and how the source was last compared with its record."""
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


def _history(found: ReportData) -> list[Block]:
    notable = found.history.notable
    entries = notable[-_HISTORY:]
    rows: list[tuple[Cell, ...]] = [
        (str(e.sequence), moment_of(e), shortened(e.operator, 60), _action(e)) for e in entries
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


def _action(entry: LogEntry) -> Cell:
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
        return _risk_bound(detail)
    said = [tr("triage of ", "분석: ") + ", ".join(map(str, detail.get("sources", ())))]
    said += _options(detail.get("options", {}))
    for key, name in (
        ("known_good", tr("left out by list ", "제외 해시 목록 ")),
        ("known_bad", tr("alert by list ", "경보 해시 목록 ")),
    ):
        said += [f"{name}{file}: {digest}" for file, digest in detail.get(key, {}).items()]
    return tuple(shortened(line, 300) for line in said)


def _risk_bound(detail: Mapping[str, Any]) -> Cell:
    text = tr(
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
    return text, drift


def _options(options: dict[str, Any]) -> list[str]:
    given = {name: value for name, value in options.items() if value not in (None, [], False)}
    text = " ".join(f"{name}={json.dumps(v, ensure_ascii=False)}" for name, v in given.items())
    return [tr("options ", "선택 사항 ") + text] if text else []
