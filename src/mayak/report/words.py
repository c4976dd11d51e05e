"""What things are called in a report."""

from __future__ import annotations

from mayak.case import Run, StoredItem
from mayak.case.reasons import reason
from mayak.case.records import Seen, SeenHow
from mayak.labels import LABELS
from mayak.language import tr
from mayak.report.report_data import Kind
from mayak.report.text import moment
from mayak.types import Failure


def label(index: int) -> str:
    return f"{index} {LABELS[index].name}"


def kind(name: Kind) -> str:
    """Why a file stands in its list."""
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
    """How an image was shown when it was decided."""
    if how is None:
        return tr("not recorded", "기록 없음")
    return {
        "opened": tr("opened", "크게 보기"),
        "grid": tr("in the grid", "목록"),
        "copy": tr("behind a copy", "같은 사진의 사본"),
        "bulk": tr("not on the screen", "화면에 표시하지 않음"),
    }[how]


def seen(how: Seen | None) -> str:
    """The same, with blurred or clear."""
    if how is None or how.blurred is None:
        return seen_how(how and how.how)
    clear = tr("blurred", "흐림") if how.blurred else tr("clear", "선명")
    return f"{seen_how(how.how)}, {clear}"


def run(shown: Run | None) -> str:
    """Which run's scores are shown."""
    if shown is None:
        return tr("none: nothing was classified", "없음(분류하지 않음)")
    model = str(shown.engine.get("model")).partition("@")[0]
    until = f"{moment(shown.finished)} UTC" if shown.finished else tr("not finished", "끝나지 않음")
    return tr(f"{shown.id}: {model}, {until}", f"{shown.id}번: {model}, {until}")


def zone(item: StoredItem) -> str | None:
    """What the times of a file are to be read by; None where it has none."""
    if item.times.is_empty:
        return None
    if item.times.zone_known is None:
        return tr("not recorded", "기록 없음")
    return "UTC" if item.times.zone_known else tr("unknown", "알 수 없음")


def because(name: str, recorded: str) -> str:
    """A reason in the user's language, its recorded name and the words that stand on record."""
    return f"{reason(name)} ({name}): {recorded}"


def failed(failure: Failure) -> str:
    """Where and why something failed."""
    return f"{stage(failure.stage)}: {because(failure.error, failure.message)}"


def stage(name: str) -> str:
    """Where a file failed."""
    return {
        "read": tr("reading", "읽기"),
        "decode": tr("decoding", "디코딩"),
        "classify": tr("classifying", "분류"),
    }.get(name, name)
