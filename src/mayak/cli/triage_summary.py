"""What ``mayak triage`` shows at its end: on the terminal, or as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mayak.cli.console import Console
from mayak.labels import LABELS
from mayak.language import tr
from mayak.names import printable

if TYPE_CHECKING:
    from mayak.case import CaseStore
    from mayak.evaluation.promise import Drift
    from mayak.triage import Summary

_FIRST = 10
"""Results and failures that are shown."""


def summary_values(case: CaseStore, summary: Summary, drift: Drift | None) -> dict[str, Any]:
    """Return the summary as JSON values."""
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


def show_summary(console: Console, case: CaseStore, summary: Summary, drift: Drift | None) -> None:
    """Show the results, the sums, and what the examiner must know of them."""
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
        counted = [f"{name} {summary.tiers.get(tier, 0)}" for tier, name in enumerate(_tiers())]
        console.result(tr("decided by: ", "결정한 단계: ") + ", ".join(counted))
    if drift is not None:
        _show_drift(console, drift)
    _show_reasons(console, case, summary)
    _show_notes(console, summary)


def _show_reasons(console: Console, case: CaseStore, summary: Summary) -> None:
    """Count the files that were not read or left out, by reason."""
    from mayak.case.reasons import reason, remedy
    from mayak.report.left_out import left_out, warning

    for name, count in sorted(case.failure_counts().items()):
        console.result(tr("not read: ", "읽지 못함: ") + f"{reason(name)} ({name}) {count}")
        if (advice := remedy(name)) is not None:
            console.result("  " + tr("remedy: ", "해결: ") + advice)
    for rule, count in sorted(summary.exclusions.items()):
        console.result(tr("left out: ", "제외: ") + f"{reason(rule)} ({rule}) {count}")
    if (text := warning(left_out(lambda: case.left_out("not-an-image")))) is not None:
        console.result(text)


def _show_notes(console: Console, summary: Summary) -> None:
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
    """Show the results that an examiner should see first."""
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
