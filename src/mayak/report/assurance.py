"""The chapters that say how far a report can be relied on: notices, methods, limits, integrity."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mayak import __version__
from mayak.case import LogEntry, Run, Sample, Source, SourceHash
from mayak.labels import QUESTION
from mayak.language import tr
from mayak.report.document import Block, Cell, Facts, Prose, Section, Table
from mayak.report.survey import Survey
from mayak.report.text import files, images, moment, shortened, size

_NOTED = 5
"""Faults on the first page."""
_FAULTS = 200
"""Faults in the chapter on integrity; `mayak verify` lists all."""
_HISTORY = 50


def notices(found: Survey) -> tuple[Prose, ...]:
    """What stands on the first page, alarms first."""
    said: list[Prose] = []
    if found.faults:
        count = len(found.faults)
        points = [str(fault) for fault in found.faults[:_NOTED]]
        if count > _NOTED:
            points.append(tr(f"and {count - _NOTED:,} more", f"외 {count - _NOTED:,}건"))
        said.append(
            Prose(
                tr(
                    f"INTEGRITY FAILURE. The case is not as it was written: {count:,} "
                    f"fault{'s' * (count != 1)}. Do not rely on this report until they are "
                    "explained.",
                    f"무결성 문제: 사건의 기록이 작성된 때와 다릅니다(문제 {count:,}건). 원인이 "
                    "밝혀질 때까지 이 보고서를 근거로 삼지 마십시오.",
                ),
                "alarm",
                tuple(shortened(point, 300) for point in points),
            )
        )
    check = found.last_check
    if check and (faults := check.detail.get("faults")):
        said.append(
            Prose(
                tr(
                    f"INTEGRITY FAILURE ON RECORD. The last verification ({moment_of(check)}, "
                    f"{check.operator}) found {faults} faults. Run mayak verify again.",
                    f"기록된 무결성 문제: 마지막 검증({moment_of(check)}, {check.operator})에서 "
                    f"문제 {faults}건이 확인되었습니다. mayak verify를 다시 실행하십시오.",
                ),
                "alarm",
            )
        )
    if found.damaged:
        said.append(
            Prose(
                tr(
                    "DAMAGED OR CHANGED SOURCES were accepted by the operator:",
                    "손상되었거나 변경된 원본을 담당자가 수락하고 분석하였습니다:",
                ),
                "alarm",
                tuple(shortened(source.path, 300) for source in found.damaged),
            )
        )
    if found.sound:
        said.append(
            Prose(
                tr(
                    "Integrity: every record and thumbnail of the case was verified for this "
                    "report; no fault was found. ",
                    "무결성: 이 보고서를 작성할 때 사건의 모든 기록과 축소 그림을 검증하였으며 "
                    "이상이 없습니다. ",
                )
                + (
                    tr(
                        "The sources have not been compared again since they were taken in.",
                        "원본은 분석 이후 다시 대조하지 않았습니다.",
                    )
                    if check is None
                    else tr(
                        f"The sources were last compared at {moment_of(check)}.",
                        f"원본은 {moment_of(check)}에 마지막으로 대조하였습니다.",
                    )
                ),
                "good",
            )
        )
    if missing := found.images["unclassified"]:
        said.append(
            Prose(
                tr(
                    f"Neither a model result nor a decision: {images(missing)}.",
                    f"모델 결과도 검토자의 판정도 없음: {images(missing)}.",
                ),
                "warning",
            )
        )
    return tuple(said)


def moment_of(entry: LogEntry) -> str:
    return f"{entry.at[:19].replace('T', ' ')} UTC"


def methods(found: Survey, *, clear: bool) -> Section:
    """What was done, in plain words."""
    points = [
        tr(
            "The sources were opened for reading only. Every file in them was listed, files in "
            "archives and disk images inside them and deleted files with content included.",
            "원본은 읽기 전용으로 열었습니다. 원본 안의 모든 파일을 나열하였으며, 압축 파일과 그 "
            "안의 디스크 이미지, 내용이 남아 있는 삭제된 파일도 포함합니다.",
        ),
        tr(
            "Each file is an image, a file that could not be read, or a file that a stated rule "
            "left out. The three add up to all files; nothing is dropped without a word.",
            "각 파일은 이미지, 읽지 못한 파일, 정해진 규칙에 따라 제외한 파일 중 하나이며, 셋의 "
            "합은 전체 파일 수와 같습니다. 사유 없이 빠지는 파일은 없습니다.",
        ),
        tr(
            "Images with the same bytes (SHA-256) count as one image and are listed at every "
            "place where they lie.",
            "내용(SHA-256)이 같은 이미지는 한 장으로 세며, 놓인 모든 위치를 기재합니다.",
        ),
        tr(
            f"A vision-language model was asked one question of each image: “{QUESTION}” Its "
            "score is the share of the answer's probability among the four labels. It orders the "
            "work of looking; it is not the probability that the answer is right.",
            f"시각·언어 모델에 이미지마다 다음 질문을 하였습니다. “{QUESTION}” 점수는 네 분류 "
            "사이에서 "
            "답의 확률이 차지하는 몫입니다. 먼저 볼 순서를 정할 뿐, 답이 맞을 확률이 아닙니다.",
        ),
        tr(
            "The reviewers named in this report decided, not the model. Each decision is "
            "kept with name and time; "
            f"{found.withdrawn:,} decisions were withdrawn and stay on record.",
            "판정은 모델이 아니라 이 보고서에 적힌 검토자가 하였습니다. 판정마다 이름과 "
            "시각이 기록되며, 취소한 판정 "
            f"{found.withdrawn:,}건도 기록에 남아 있습니다.",
        ),
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
            "spelt out by number, such as ‹U+202E›; a long name is shortened in the middle and "
            "stands whole in the CSV files.",
            "보이지 않거나 글의 방향을 바꾸는 문자는 ‹U+202E›처럼 번호로 적었습니다. 긴 이름은 "
            "가운데를 줄였으며 전체 이름은 CSV 파일에 있습니다.",
        ),
    ]
    title = tr("Methods", "분석 방법")
    return Section(title, (Prose("", points=tuple(points)),))


def limits(found: Survey) -> Section:
    """What the report does not say, with the estimate of what was missed."""
    points = [
        tr(
            "Images that the model calls irrelevant and nobody has reviewed may be relevant: "
            f"{images(found.images['unseen'])}.",
            "모델이 ‘관련 없음’으로 분류하고 아무도 검토하지 않은 이미지 "
            f"{found.images['unseen']:,}장 가운데 관련 있는 것이 있을 수 있습니다.",
        ),
        tr(
            f"{files(found.counts.failures)} could not be read, and encrypted or damaged parts "
            "of the sources were not examined.",
            f"읽지 못한 파일이 {found.counts.failures:,}개 있으며, 암호화되었거나 손상된 부분은 "
            "조사하지 못하였습니다.",
        ),
        tr(
            "Films were not examined, and of animations some frames only.",
            "동영상은 조사하지 않았으며, 움직이는 그림은 일부 장면만 조사하였습니다.",
        ),
        tr(
            "What a file states of itself (camera, time, place) can be altered by anybody.",
            "파일 스스로 적은 정보(촬영 기기, 시각, 위치)는 누구나 바꿀 수 있습니다.",
        ),
    ]
    tiers = found.tiers[found.run.id] if found.run else {}
    if early := tiers.get(0, 0) + tiers.get(1, 0):
        points.append(
            tr(
                f"{early:,} images were called irrelevant by a quicker reading than the whole "
                "model's. What that may have lost, and whether it held, stands under Integrity.",
                f"이미지 {early:,}장은 전체 모델이 아닌 빠른 단계에서 ‘관련 없음’으로 "
                "분류되었습니다. 이로 인해 놓칠 수 있는 비율과 그 성립 여부는 ‘무결성’에 "
                "적었습니다.",
            )
        )
    if found.run and str(found.run.engine.get("model", "")).startswith("nano@"):
        points.insert(
            0,
            tr(
                "The embedded model “nano” demonstrates the machinery. Its proposals say nothing "
                "about real images.",
                "내장 모델 ‘nano’는 동작을 보여 주기 위한 것이며, 실제 이미지에 대한 제안으로서 "
                "의미가 없습니다.",
            ),
        )
    blocks: list[Block] = [Prose("", points=tuple(points))]
    if found.samples:
        blocks.append(
            Prose(
                tr(
                    "How much was missed, estimated from blind random samples of what the model "
                    "called irrelevant and nobody had decided:",
                    "누락 추정: 모델이 ‘관련 없음’으로 분류하고 아무도 판정하지 않은 이미지에서 "
                    "무작위로 뽑아 점수를 가리고 판정한 결과입니다.",
                ),
                points=tuple(map(_estimate, found.samples)),
            )
        )
    else:
        blocks.append(
            Prose(
                tr(
                    "No blind sample was drawn, so that nothing can be said of how many relevant "
                    "images were missed.",
                    "무작위 표본을 판정하지 않았으므로, 놓친 이미지가 얼마나 되는지 추정할 수 "
                    "없습니다.",
                ),
                "warning",
            )
        )
    return Section(tr("Limits", "한계"), tuple(blocks))


def _estimate(sample: Sample) -> str:
    drawn = tr(
        f"Sample {sample.id}: {sample.size:,} of {sample.population:,} images, drawn "
        f"{moment(sample.drawn)} UTC, judged by {sample.reviewer}. ",
        f"표본 {sample.id}: 이미지 {sample.population:,}장 가운데 {sample.size:,}장"
        f"(추출 {moment(sample.drawn)} UTC, 판정 {sample.reviewer}). ",
    )
    missed = sample.missed
    if missed is None:
        return drawn + tr(
            f"{sample.judged:,} judged so far; there is no estimate until all are.",
            f"{sample.judged:,}장을 판정하였으며, 모두 판정해야 추정할 수 있습니다.",
        )
    low, high = (100 * end for end in missed.interval)
    return drawn + tr(
        f"{missed.relevant:,} were relevant ({100 * missed.fraction:.2f}%). With 95 % confidence "
        f"between {missed.low:,} and {missed.high:,} relevant images were missed "
        f"({low:.2f}–{high:.2f}%).",
        f"관련 있음 {missed.relevant:,}장({100 * missed.fraction:.2f}%). 95% 신뢰수준에서 놓친 "
        f"이미지는 {missed.low:,}장에서 {missed.high:,}장 사이입니다({low:.2f}–{high:.2f}%).",
    )


def integrity(found: Survey) -> Section:
    """What a court can check: sources, hashes, engine, log, sums."""
    blocks: list[Block] = [_log(found), *_sums(found)]
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
        blocks += _source(number, source)
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


def _sums(found: Survey) -> list[Block]:
    counts = found.counts
    chosen, waiting, rest = found.listed
    parts = tr(
        f"{counts.items:,} files = {counts.contents:,} images + {counts.failures:,} not read + "
        f"{counts.exclusions:,} left out",
        f"파일 {counts.items:,} = 이미지 {counts.contents:,} + 읽지 못함 {counts.failures:,} + "
        f"제외 {counts.exclusions:,}",
    )
    lists = tr(
        f"{counts.items:,} files = {chosen:,} selected + {waiting:,} not settled + {rest:,} not "
        "selected",
        f"파일 {counts.items:,} = 선별 {chosen:,} + 미확정 {waiting:,} + 선별하지 않음 {rest:,}",
    )
    holds = counts.balanced and chosen + waiting + rest == counts.items
    text = (
        tr("Every file is accounted for:", "모든 파일이 집계되었습니다:")
        if holds
        else tr("THE SUMS DO NOT HOLD:", "집계가 맞지 않습니다:")
    )
    return [Prose(text, "plain" if holds else "alarm", (parts, lists))]


def _source(number: int, source: Source) -> list[Block]:
    title = tr(f"Source {number}", f"원본 {number}")
    rows: list[tuple[str, str]] = [
        (title, shortened(source.path, 300)),
        (tr("Kind", "종류"), source.kind),
    ]
    code: set[str] = set()
    if not source.hashes:
        text = (
            tr(
                "none as a whole: the hash of each file stands in the lists",
                "전체 해시 없음. 파일마다 해시값을 목록에 기재",
            )
            if source.kind == "folder"
            else tr(
                "NOT YET COMPUTED as a whole: triage was cut off; run it again",
                "전체 해시 미계산. 분류가 중단되었으므로 다시 실행하십시오",
            )
        )
        rows.append((tr("Hash", "해시값"), text))
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
            (tr("Compared", "해시 대조") + which, _compared(reading)),
        ]
        code |= {"MD5" + which, "SHA-256" + which}
    return [Facts(tuple(rows), code=frozenset(code))]


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
    entries = found.notable[-_HISTORY:]
    rows: list[tuple[Cell, ...]] = [
        (str(e.sequence), moment_of(e), shortened(e.operator, 60), _told(e)) for e in entries
    ]
    if not rows:
        return []
    text = tr("What was done with the sources:", "원본에 대한 작업 기록:")
    if len(entries) < len(found.notable):
        text = tr(
            f"What was done with the sources, the last {len(entries):,} of "
            f"{len(found.notable):,} entries:",
            f"원본에 대한 작업 기록 {len(found.notable):,}건 가운데 마지막 {len(entries):,}건:",
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
            f"verification of case and sources: {detail.get('faults')} faults, "
            f"{len(absent)} sources absent",
            f"사건과 원본 검증: 문제 {detail.get('faults')}건, 없는 원본 {len(absent)}개",
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
