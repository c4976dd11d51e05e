"""Self-contained HTML pages, which load nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mayak import __version__
from mayak.evaluation.gain import PERCENT, target_name
from mayak.evaluation.pictures import by_confidence, data_uri, thumbnail
from mayak.evaluation.record import EvaluationResult, Kind, Row
from mayak.evaluation.triage_figures import (
    TIER_NAMES,
    TriageFigures,
    calibration_note,
    verdict_text,
)
from mayak.fonts import with_fonts
from mayak.i18n import Language, msg, msg_in
from mayak.i18n import render as worded
from mayak.labels import LABELS, QUESTION, UNCLASSIFIABLE, label_name
from mayak.metrics import Interval

_THUMBNAIL = 320
_MAX_PICTURES = 200
"""Pictures in a page, about 25 KB each; the CSV files contain the rest."""


def report(result: EvaluationResult, figures: dict[str, Any], language: Language) -> str:
    """Return ``report.html`` of one run."""
    wrong = by_confidence(row for row in result.rows if not row.is_right)
    root = result.manifest.path.resolve().parent.parent
    columns = [label.index for label in LABELS]
    if len(result.metrics.confusion[0]) > len(LABELS):
        columns.append(UNCLASSIFIABLE)
    return render(
        "report.html.j2",
        language,
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
            "read": msg("reading"),
            "decode": msg("decoding"),
            "classify": msg("classifying"),
        },
        limits=limits(
            result.engine.model,
            is_calibrated=result.triage is not None and result.triage.is_calibrated,
        ),
        **_triage_context(result.triage),
    )


_VIEWED = (1, 5, 10, 20, 30, 50, 70)
"""Shares of images viewed, in per cent, whose recall is in the table."""


def _triage_context(figures: TriageFigures | None) -> dict[str, Any]:
    """Return the values of the chapters on what triage runs."""
    check = None if figures is None else figures.bound
    return {
        "triage": figures,
        "tier_names": TIER_NAMES,
        "checks": check
        and (
            (msg("of what the whole model calls relevant"), check.against_model),
            (msg("of the images labelled relevant"), check.against_truth),
        ),
        "calibration_note": None if figures is None else calibration_note(figures),
        "verdict_text": verdict_text,
        "target_name": target_name,
        "viewed": PERCENT,
        "shown": [PERCENT.index(percent) for percent in _VIEWED],
    }


def title(kind: Kind) -> str:
    """Return a run's name in headings."""
    return {
        "evaluate": msg("Fine-tuned model"),
        "zeroshot-generate": msg("Untouched model, free answers"),
        "zeroshot-score": msg("Untouched model, label scores"),
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


def limits(model: str, *, is_calibrated: bool = False) -> list[str]:
    """Return the limits of the figures, in sentences. ``is_calibrated``: scores are divided by a
    calibration's temperatures."""
    sentences: list[str] = [
        msg(
            "The figures describe these images. Images of other devices, years, drugs or apps may "
            "be harder."
        ),
        msg(
            "Intervals count a group of near-duplicates as one observation. They cover chance in "
            "the choice of images, not mislabelled images or a test set unlike real work."
        ),
        msg(
            "Scores are divided by the temperatures of `mayak calibrate`: the calibration error "
            "says how far they are off on these images."
        )
        if is_calibrated
        else msg("Scores are not calibrated probabilities."),
        msg(
            "A classification tells where to look first; it is not a finding and needs a person's "
            "eye."
        ),
    ]
    if model.startswith("nano@"):
        sentences.insert(
            0,
            msg(
                "The embedded model “nano” and its synthetic images demonstrate that the program "
                "works. They do not measure accuracy on real cases."
            ),
        )
    return sentences


def render(template: str, language: Language, **context: Any) -> str:  # noqa: ANN401
    """Render one of the shipped templates in a language; every value is escaped."""
    folder = Path(str(files("mayak.evaluation") / "templates"))
    environment = Environment(
        loader=FileSystemLoader(folder, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: worded(value, language) if isinstance(value, str) else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": _percent, "interval": _interval, "p_value": p_value}
    environment.globals |= {
        "msg": msg,
        "msg_in": msg_in,
        "label_name": label_name,
        "labels": LABELS,
        "question": QUESTION,
        "language": language,
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
