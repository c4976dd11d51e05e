"""What things are called in a report."""

from __future__ import annotations

from mayak.case import Run, StoredItem
from mayak.labels import LABELS
from mayak.language import tr
from mayak.report.survey import Kind
from mayak.report.text import moment


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
        "irrelevant": tr("decided: irrelevant", "사람의 판정: 관련 없음"),
        "unseen": tr("model: irrelevant, not reviewed", "모델 분류: 관련 없음(미검토)"),
        "failure": tr("could not be read", "읽지 못함"),
        "exclusion": tr("left out by a rule", "규칙에 따른 제외"),
    }[name]


def run(shown: Run | None) -> str:
    """Which run's scores are shown."""
    if shown is None:
        return tr("none: nothing was classified", "없음(분류하지 않음)")
    model = str(shown.engine.get("model")).partition("@")[0]
    until = f"{moment(shown.finished)} UTC" if shown.finished else tr("not finished", "끝나지 않음")
    return tr(f"{shown.id}: {model}, {until}", f"{shown.id}번: {model}, {until}")


def zone(item: StoredItem) -> str | None:
    """What the times of a file are to be read by; None where it has none."""
    if not any((item.created, item.modified, item.accessed, item.changed)):
        return None
    if item.zone_known is None:
        return tr(
            "UTC, or unknown: it was not recorded", "UTC 또는 알 수 없음(시간대 여부 기록 없음)"
        )
    if item.zone_known:
        return "UTC"
    return tr("unknown: as the device's clock showed", "알 수 없음(기기 시계에 표시된 시각)")


def rule(name: str) -> str:
    """What a rule of exclusion leaves out; the rule's own name where it is not one of mayak's."""
    return {
        "not-an-image": tr("not an image", "이미지가 아님"),
        "empty": tr("empty file", "빈 파일"),
        "program": tr("program that draws, never run", "그림을 그리는 프로그램(실행 안 함)"),
        "document": tr(
            "document (its images are files of their own)", "문서(안의 이미지는 따로 처리)"
        ),
        "too-small": tr("smaller than the limit", "기준보다 작은 이미지"),
        "include": tr("outside the paths asked for", "지정한 경로 밖"),
        "exclude": tr("in a path that was left out", "제외한 경로"),
        "since": tr("older than the date asked for", "지정한 날짜 이전"),
        "known-good": tr("in a list of harmless files", "무해 파일 목록에 있음"),
        "SymbolicLink": tr("link", "링크"),
        "SpecialFile": tr("device or the like", "장치 등 특수 파일"),
        "DeletedWithoutContent": tr("deleted, no content left", "삭제되어 내용이 없음"),
    }.get(name, name)


def stage(name: str) -> str:
    """Where a file failed."""
    return {
        "read": tr("reading", "읽기"),
        "decode": tr("decoding", "디코딩"),
        "classify": tr("classifying", "분류"),
    }.get(name, name)
