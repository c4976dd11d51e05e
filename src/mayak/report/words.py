"""Names of classes, states and reasons in a report."""

from __future__ import annotations

from collections.abc import Sequence

from mayak.case import LogEntry, Run, StoredItem
from mayak.case.reasons import reason
from mayak.case.records import Seen, SeenHow
from mayak.labels import LABELS
from mayak.language import tr
from mayak.report.report_data import Kind, ReportData
from mayak.report.text import moment
from mayak.types import Failure

_NAMED = 20
"""Numbers that one sentence lists."""


def label(index: int) -> str:
    return f"{index} {LABELS[index].name}"


def kind(name: Kind) -> str:
    """Return why a file is in its list."""
    return {
        "selected": tr("selected", "선별"),
        "disputed": tr("reviewers differ", "검토자 간 판정 불일치"),
        "proposed": tr("proposed by the model, not reviewed", "모델 제안(미검토)"),
        "alert": tr("in a list of known files, not reviewed", "해시 목록 일치(미검토)"),
        "unclassified": tr("without a model result, not reviewed", "모델 결과 없음(미검토)"),
        "irrelevant": tr("decided: irrelevant", "검토자의 판정: 관련 없음"),
        "unseen": tr("model: irrelevant, not reviewed", "모델 분류: 관련 없음(미검토)"),
        "failure": tr("could not be read", "읽지 못함"),
        "exclusion": tr("left out by a rule", "규칙에 따른 제외"),
    }[name]


def seen_how(how: SeenHow | None) -> str:
    """Return how an image was shown when it was decided."""
    if how is None:
        return tr("not recorded", "기록 없음")
    return {
        "opened": tr("opened", "크게 보기"),
        "grid": tr("in the grid", "목록"),
        "copy": tr("behind a copy", "같은 사진의 사본"),
        "bulk": tr("not on the screen", "화면에 표시하지 않음"),
    }[how]


def seen(how: Seen | None) -> str:
    """Return how an image was shown, and whether it was blurred."""
    if how is None or how.blurred is None:
        return seen_how(how and how.how)
    clear = tr("blurred", "흐림") if how.blurred else tr("clear", "선명")
    return f"{seen_how(how.how)}, {clear}"


def run(shown: Run | None) -> str:
    """Return the model run whose scores are shown."""
    if shown is None:
        return tr("none: nothing was classified", "없음(분류하지 않음)")
    model = str(shown.engine.get("model")).partition("@")[0]
    until = f"{moment(shown.finished)} UTC" if shown.finished else tr("not finished", "끝나지 않음")
    return tr(f"{shown.id}: {model}, {until}", f"{shown.id}번: {model}, {until}")


def zone(item: StoredItem) -> str | None:
    """Return the time zone of a file's times; None if it has no times."""
    if item.times.is_empty:
        return None
    if item.times.zone_known is None:
        return tr("not recorded", "기록 없음")
    return "UTC" if item.times.zone_known else tr("unknown", "알 수 없음")


def because(name: str, recorded: str) -> str:
    """Return a reason in the reader's language, with its recorded name and text."""
    return f"{reason(name)} ({name}): {recorded}"


def failed(failure: Failure) -> str:
    """Return the stage and the reason of a failure."""
    return f"{stage(failure.stage)}: {because(failure.error, failure.message)}"


def stage(name: str) -> str:
    """Return the name of the stage in which a file failed."""
    return {
        "read": tr("reading", "읽기"),
        "decode": tr("decoding", "디코딩"),
        "classify": tr("classifying", "분류"),
    }.get(name, name)


def moment_of(entry: LogEntry) -> str:
    """Return the time of a log entry in UTC, to the second."""
    return f"{entry.at[:19].replace('T', ' ')} UTC"


def outcome_sum(found: ReportData) -> str:
    """Return the sum of files by outcome."""
    counts = found.counts
    sign = "=" if counts.balanced else "≠"
    return tr(
        f"{counts.items:,} files {sign} {counts.contents:,} images + {counts.failures:,} not read "
        f"+ {counts.exclusions:,} left out",
        f"파일 {counts.items:,} {sign} 이미지 {counts.contents:,} + 읽지 못함 "
        f"{counts.failures:,} + 제외 {counts.exclusions:,}",
    )


def numbers(found: Sequence[int]) -> str:
    """Return numbers as text, the first few if there are many."""
    shown = ", ".join(map(str, found[:_NAMED]))
    return shown + (", …" if len(found) > _NAMED else "")
