"""Self-contained HTML pages, which load nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mayak import __version__
from mayak.evaluation.pictures import data_uri, label_name, surest_first, thumbnail
from mayak.evaluation.record import EvaluationResult, Kind, Row
from mayak.fonts import with_fonts
from mayak.labels import LABELS, QUESTION, UNCLASSIFIABLE
from mayak.language import language, tr
from mayak.metrics import Interval

_THUMBNAIL = 320
_MAX_PICTURES = 200
"""Pictures in a page, about 25 KB each; the CSV files contain the rest."""


def report(result: EvaluationResult, figures: dict[str, Any]) -> str:
    """Return ``report.html`` of one run."""
    wrong = surest_first(row for row in result.rows if not row.right)
    root = result.manifest.path.resolve().parent.parent
    columns = [label.index for label in LABELS]
    if len(result.metrics.confusion[0]) > len(LABELS):
        columns.append(UNCLASSIFIABLE)
    return render(
        "report.html.j2",
        title=title(result.kind),
        result=result,
        metrics=result.metrics,
        figures=figures,
        columns=columns,
        wrong=len(wrong),
        cards=[card(row, root) for row in wrong[:_MAX_PICTURES]],
        engine=result.engine,
        manifest_name=result.manifest.path.name,
        stages={
            "read": tr("reading", "읽기"),
            "decode": tr("decoding", "디코딩"),
            "classify": tr("classifying", "분류"),
        },
        limits=limits(result.engine.model),
    )


def title(kind: Kind) -> str:
    """Return a run's name in headings."""
    return {
        "evaluate": tr("Fine-tuned model", "미세조정 모델"),
        "zeroshot-generate": tr("Untouched model, free answers", "기본 모델(제로샷, 자유 답변)"),
        "zeroshot-score": tr("Untouched model, label scores", "기본 모델(제로샷, 라벨 점수)"),
    }[kind]


def card(row: Row, root: Path) -> dict[str, Any]:
    """Return the values of one image on a page: row, thumbnail (None if unreadable) and score."""
    small = thumbnail(root, row, _THUMBNAIL)
    return {
        "row": row,
        "src": data_uri(small) if small is not None else None,
        "score": max(row.scores) if row.scores else None,
    }


def cards(rows: Iterable[Row], root: Path) -> list[dict[str, Any]]:
    """Return the first rows as cards, up to the limit of a page."""
    return [card(row, root) for row in list(rows)[:_MAX_PICTURES]]


def limits(model: str) -> list[str]:
    """Return the limits of the figures, in sentences."""
    sentences = [
        tr(
            "The figures describe these images. Images of other devices, years, drugs or apps may "
            "be harder.",
            "이 수치는 이 시험 이미지에 대한 것입니다. 다른 기기, 시기, 마약류, 앱의 이미지는 더 "
            "어려울 수 있습니다.",
        ),
        tr(
            "Intervals count a group of near-duplicates as one observation. They cover chance in "
            "the choice of images, not mislabelled images or a test set unlike real work.",
            "신뢰구간은 유사 이미지 그룹을 관측값 하나로 셉니다. 이미지 선택의 우연만 반영하며, "
            "잘못 붙은 라벨이나 실무와 다른 시험 세트는 반영하지 않습니다.",
        ),
        tr(
            "Scores are not calibrated probabilities. A classification tells where to look first; "
            "it is no finding and needs a person's eye.",
            "점수는 보정된 확률이 아닙니다. 분류는 먼저 볼 곳을 알려 줄 뿐 판정이 아니며, 반드시 "
            "사람이 확인해야 합니다.",
        ),
    ]
    if model.startswith("nano@"):
        sentences.insert(
            0,
            tr(
                "The embedded model “nano” and its synthetic images demonstrate the machinery. "
                "They say nothing about casework.",
                "내장 모델 ‘nano’와 합성 이미지는 동작을 보여 주기 위한 것이며, 실제 사건에 대한 "
                "성능을 뜻하지 않습니다.",
            ),
        )
    return sentences


def render(template: str, **context: Any) -> str:  # noqa: ANN401 - a template's values
    """Render one of the shipped templates; every value is escaped."""
    folder = Path(str(files("mayak.evaluation") / "templates"))
    environment = Environment(
        loader=FileSystemLoader(folder, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": _percent, "interval": _interval, "p_value": p_value}
    environment.globals |= {
        "tr": tr,
        "label_name": label_name,
        "labels": LABELS,
        "question": QUESTION,
        "language": language(),
        "version": __version__,
    }
    return with_fonts(environment.get_template(template).render(**context))


def p_value(p: float) -> str:
    """Format a p-value; it is never shown as 0."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}%"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "–"
    return f"{100 * interval.low:.1f}–{100 * interval.high:.1f}%"
