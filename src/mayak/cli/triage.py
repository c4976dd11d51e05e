"""``mayak triage`` and ``mayak verify``: evidence into a case, and whether the case still holds."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import (
    AdapterOption,
    CaseOption,
    DeviceOption,
    ImagesOption,
    JsonOption,
    ModelOption,
    OperatorOption,
    PrecisionOption,
    base_of,
    user,
)
from mayak.config import BASE_MODEL
from mayak.errors import ConfigError, IntegrityError
from mayak.labels import LABELS
from mayak.language import tr
from mayak.names import printable
from mayak.workers import cores

if TYPE_CHECKING:
    from mayak.case import CaseStore
    from mayak.model import CascadeScorer
    from mayak.model.risk_control import Drift
    from mayak.triage import Options, Summary

_FIRST = 10
"""Results that are shown at the end."""


def triage(
    # json_list: a source's name may begin with a bracket.
    *sources: Annotated[
        Path,
        Parameter(
            json_list=False,
            help=tr(
                "Folders, archives, disk images, single files.",
                "폴더, 압축 파일, 디스크 이미지, 파일.",
            ),
        ),
    ],
    case: CaseOption,
    operator: OperatorOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    include: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help=tr(
                "Take only paths that match this pattern, for example '*/DCIM/*'; repeatable.",
                "이 패턴에 맞는 경로만 처리합니다. 예: '*/DCIM/*'. 여러 번 지정 가능.",
            ),
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help=tr(
                "Leave out paths that match this pattern; repeatable.",
                "이 패턴에 맞는 경로를 제외합니다. 여러 번 지정 가능.",
            ),
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        Parameter(
            help=tr(
                "Leave out files last changed before this time (local, 2026-01-31 or "
                "2026-01-31T12:00:00).",
                "이 시각 전에 마지막으로 변경된 파일을 제외합니다(현지 시각, 2026-01-31 또는 "
                "2026-01-31T12:00:00).",
            )
        ),
    ] = None,
    smallest: Annotated[
        int,
        Parameter(
            help=tr(
                "Leave out images whose longer side has fewer pixels.",
                "긴 변이 이보다 작은(픽셀) 이미지를 제외합니다.",
            )
        ),
    ] = 32,
    limit: Annotated[
        int | None,
        Parameter(
            help=tr("Examine so many images at most.", "최대 이 수만큼의 이미지만 처리합니다.")
        ),
    ] = None,
    known_good: Annotated[
        list[Path] | None,
        Parameter(
            negative="",
            help=tr(
                "Hash list of files to leave out (text, CSV or NSRL's SQLite); repeatable.",
                "제외할 파일의 해시 목록(텍스트, CSV, NSRL SQLite). 여러 번 지정 가능.",
            ),
        ),
    ] = None,
    known_bad: Annotated[
        list[Path] | None,
        Parameter(
            negative="",
            help=tr(
                "Hash list of files that raise an alert; repeatable.",
                "경보를 낼 파일의 해시 목록. 여러 번 지정 가능.",
            ),
        ),
    ] = None,
    accept_damaged: Annotated[
        bool,
        Parameter(
            negative="",
            help=tr(
                "Go on with a source whose hash does not match; the case records it.",
                "해시가 맞지 않는 원본도 계속 처리합니다. 사건에 기록됩니다.",
            ),
        ),
    ] = False,
    exhaustive: Annotated[
        bool,
        Parameter(
            negative="",
            help=tr(
                "Ask the whole model for every image, whatever `mayak calibrate` has set.",
                "`mayak calibrate`의 설정과 관계없이 모든 이미지를 전체 모델로 봅니다.",
            ),
        ),
    ] = False,
    batch_size: ImagesOption = 8,
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Take evidence into a case and classify its images; the same command again goes on.

    Nothing is written to the sources. Exit code 1 when a file could not be read, 3 when a source is
    damaged or has changed.
    """
    _check(sources, limit, smallest, batch_size)
    from mayak.triage import Options, check
    from mayak.triage import triage as run

    options = Options(
        sources=sources,
        case=case,
        operator=operator or user(),
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        since=None if since is None else since.astimezone(),
        smallest=smallest,
        limit=limit,
        known_good=tuple(known_good or ()),
        known_bad=tuple(known_bad or ()),
        accept_damaged=accept_damaged,
        workers=cores(),
    )
    check(options)
    console = Console()
    name, revision = (model or BASE_MODEL, None) if adapter is None else base_of(adapter, model)
    from mayak.model import Calibration, CascadeScorer, LabelScorer, load_model

    # Before the model, whose loading takes long.
    calibration = None if exhaustive or adapter is None else Calibration.read(adapter)
    vlm = load_model(name, precision=precision, adapter=adapter, device=device, revision=revision)
    cascade = None if calibration is None else CascadeScorer(vlm, calibration, batch_size)
    classifier = cascade or LabelScorer(vlm, batch_size)
    try:
        summary = run(options, classifier, console)
    except KeyboardInterrupt:
        console.note(
            tr(
                "stopped; the same command goes on from here",
                "중단했습니다. 같은 명령을 다시 실행하면 이어집니다",
            )
        )
        raise
    found = None if cascade is None else _compared(options, cascade, summary)
    from mayak.case import CaseStore

    with CaseStore.read(case) as store:
        if as_json:
            console.json(_as_json(store, summary, found))
        else:
            _show(console, store, summary, found)
    if summary.damaged:
        return IntegrityError.exit_code
    return int(bool(summary.failures))


def _check(sources: tuple[Path, ...], limit: int | None, smallest: int, batch_size: int) -> None:
    if not sources:
        raise ConfigError(
            tr("no source is named", "원본이 지정되지 않았습니다"),
            remedy="mayak triage dump.E01 photos/ --case case-0417",
        )
    for name, value, least in (
        ("--limit", limit, 1),
        ("--smallest", smallest, 0),
        ("--batch-size", batch_size, 1),
    ):
        if value is not None and value < least:
            raise ConfigError(
                tr(f"{name} is {value}", f"{name}이(가) {value}입니다"),
                remedy=tr(f"use {least} or more", f"{least} 이상을 쓰십시오"),
            )


def _compared(options: Options, cascade: CascadeScorer, summary: Summary) -> Drift | None:
    """Whether the relevant images look as those of the calibration did; the case's log keeps it
    with the promise. None where nothing was promised or no image was read."""
    promise = cascade.calibration.promise
    if promise is None or not cascade.n_answered:
        return None
    from mayak.case import CaseStore
    from mayak.model.risk_control import drift

    found = drift(promise.kept, cascade.relevant_odds)
    with CaseStore.open(options.case, operator=options.operator) as case:
        case.record(
            "cascade",
            run=summary.run,
            alpha=promise.alpha,
            confidence=promise.confidence,
            relevant=promise.relevant,
            lost=promise.lost,
            **asdict(found),
            differs=found.differs,
        )
    return found


def _as_json(case: CaseStore, summary: Summary, drift: Drift | None) -> dict[str, Any]:
    from mayak.report.left_out import left_out

    counts = summary.counts
    left = left_out(lambda: case.left_out("not-an-image"))
    return {
        "case": case.id,
        "run": summary.run,
        "items": counts.items,
        "contents": counts.contents,
        "failures": counts.failures,
        "exclusions": counts.exclusions,
        "balanced": counts.balanced,
        "distinct_contents": counts.distinct_contents,
        "excluded_by": summary.exclusions,
        "not_looked_into": {"kinds": dict(left.kinds), "backups": left.backups},
        "labels": {str(label): count for label, count in summary.labels.items()},
        "decided_by_tier": {str(tier): count for tier, count in summary.tiers.items()},
        "drift": None if drift is None else asdict(drift) | {"differs": drift.differs},
        "unread": summary.failures,
        "unread_by": case.failure_counts(),
        "alerts": summary.alerts,
        "near_duplicate_groups": summary.groups,
        "limited": summary.limited,
        "unclassified": summary.unclassified,
        "damaged_sources": [printable(path) for path in summary.damaged],
        "empty_sources": [printable(path) for path in summary.empty],
        "log_head": case.head(),
    }


def _show(console: Console, case: CaseStore, summary: Summary, drift: Drift | None) -> None:
    from mayak.case.reasons import reason, remedy
    from mayak.report.left_out import left_out, warning

    counts = summary.counts
    sign = "=" if counts.balanced else "≠"
    console.table(
        tr("Images by label", "라벨별 이미지"),
        [tr("label", "라벨"), tr("images", "이미지")],
        [
            [f"{label.index} {label.name}", str(summary.labels.get(label.index, 0))]
            for label in LABELS
        ],
    )
    if summary.run is not None:
        show_results(console, case, summary.run)
    _show_failures(console, case)
    console.result(
        tr(
            f"{counts.items} files {sign} {counts.contents} images + {counts.failures} not read + "
            f"{counts.exclusions} left out",
            f"파일 {counts.items}개 {sign} 이미지 {counts.contents} + 읽지 못함 "
            f"{counts.failures} + 제외 {counts.exclusions}",
        )
    )
    console.result(
        tr(
            f"{counts.distinct_contents} different images, {summary.groups} groups of near-"
            "duplicates",
            f"서로 다른 이미지 {counts.distinct_contents}장, 유사 이미지 그룹 {summary.groups}개",
        )
    )
    if summary.tiers.keys() - {2}:
        said = [f"{name} {summary.tiers.get(tier, 0)}" for tier, name in enumerate(_tiers())]
        console.result(tr("decided by: ", "결정한 단계: ") + ", ".join(said))
    if drift is not None:
        _show_drift(console, drift)
    for name, count in sorted(case.failure_counts().items()):
        console.result(tr("not read: ", "읽지 못함: ") + f"{reason(name)} ({name}) {count}")
        if (advice := remedy(name)) is not None:
            console.result("  " + tr("remedy: ", "해결: ") + advice)
    for rule, count in sorted(summary.exclusions.items()):
        console.result(tr("left out: ", "제외: ") + f"{reason(rule)} ({rule}) {count}")
    if (text := warning(left_out(lambda: case.left_out("not-an-image")))) is not None:
        console.result(text)
    if summary.alerts:
        console.result(
            tr(
                f"ALERT: {summary.alerts} images stand in a list of known files",
                f"경보: 이미지 {summary.alerts}장이 등록된 목록에 있습니다",
            )
        )
    if summary.limited:
        console.result(
            tr(
                "stopped at --limit: the sources hold more",
                "--limit에서 멈췄습니다. 원본에 더 있습니다",
            )
        )
    if summary.unclassified:
        console.result(
            tr(
                f"{summary.unclassified} images of the case have no result of this model: run it "
                "over their sources too",
                f"사건의 이미지 {summary.unclassified}장은 이 모델의 결과가 없습니다. 해당 원본도 "
                "지정하여 실행하십시오",
            )
        )
    for source in summary.empty:
        console.result(tr(f"holds no file: {source}", f"파일이 없는 원본: {source}"))
    for source in summary.damaged:
        console.result(tr(f"DAMAGED, accepted: {source}", f"손상된 원본(수락됨): {source}"))


def _show_failures(console: Console, case: CaseStore) -> None:
    from mayak.case.reasons import reason

    rows = [
        [printable(failure.path), reason(failure.error), printable(failure.message)]
        for failure in case.first_failures(_FIRST)
    ]
    if rows:
        console.table(
            tr(f"Not read, the first {len(rows)}", f"읽지 못한 파일(처음 {len(rows)}개)"),
            [tr("place", "위치"), tr("reason", "사유"), tr("recorded", "기록")],
            rows,
            text_columns=3,
        )


def _tiers() -> tuple[str, str, str]:
    return (
        tr("vision tower", "시각 인코더"),
        tr("base tile", "기본 타일"),
        tr("whole model", "전체 모델"),
    )


def _show_drift(console: Console, drift: Drift) -> None:
    if drift.differs:
        console.result(
            tr(
                f"WARNING: the {drift.found} relevant images look other than those of the "
                f"calibration (distance {drift.distance:.2f}): its promise may not hold here. Go "
                "through the sources with --exhaustive, or calibrate on images like these",
                f"경고: 관련 이미지 {drift.found}장이 보정에 쓴 이미지와 다릅니다(거리 "
                f"{drift.distance:.2f}). 보장이 성립하지 않을 수 있으므로 --exhaustive로 다시 "
                "분류하거나 이와 비슷한 이미지로 보정하십시오",
            )
        )
    elif drift.p is None:
        console.result(
            tr(
                f"{drift.found} relevant images: too few to tell whether they are like those of "
                "the calibration",
                f"관련 이미지 {drift.found}장: 보정에 쓴 이미지와 비슷한지 판단하기에 부족합니다",
            )
        )


def show_results(console: Console, case: CaseStore, run: int) -> None:
    """The results that an examiner should see first, and where they lie."""
    rows = []
    for result in case.results(run, limit=_FIRST):
        label = LABELS[result.scores.label]
        marks = [tr("deleted", "삭제됨")] * result.deleted + list(result.alerts)
        rows.append(
            [
                str(result.rank),
                f"{label.index} {label.name}",
                f"{result.scores.best:.3f}",
                printable(result.display),
                ", ".join(marks),
            ]
        )
    if rows:
        console.table(
            tr("First to look at", "먼저 볼 이미지"),
            [
                tr("rank", "순위"),
                tr("label", "라벨"),
                tr("score", "점수"),
                tr("place", "위치"),
                tr("note", "비고"),
            ],
            rows,
            text_columns=5,
        )
