"""Self-contained HTML pages, which load nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mayak import __version__
from mayak.evaluation.bounds import Reading, bounds, reading_name, unread
from mayak.evaluation.pictures import by_confidence, data_uri, thumbnail
from mayak.evaluation.record import EvaluationResult, Kind
from mayak.evaluation.rows import Row
from mayak.evaluation.triage_chapters import triage_context
from mayak.fonts import with_fonts
from mayak.i18n import Language, msg, msg_in
from mayak.i18n import render as worded
from mayak.labels import LABELS, QUESTION, UNCLASSIFIABLE, label_name
from mayak.metrics import MIN_GROUPS, Interval

REPORT = "report.html"
_THUMBNAIL = 320
_MAX_PICTURES = 200
"""Pictures in a page, about 25 KB each; the CSV files contain the rest."""
_UNREAD = ("<!-- unread answers -->", "<!-- end of unread answers -->")
"""Around the part of the report that ``with_unread_section`` replaces."""


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
        unread=Markup(unread_section(result.rows, result.labels, language))  # noqa: S704 - escaped
        if result.unclassifiable
        else "",
        **triage_context(result.triage),
    )


def unread_section(rows: Sequence[Row], labels: Mapping[str, int], language: Language) -> str:
    """Return the part of ``report.html`` on unread answers, which changes as they are labelled."""
    found = {bound.reading: bound for bound in bounds(rows, labels)}
    every: tuple[Reading, ...] = ("wrong", "left_out", "as_0", "labelled")
    missed = unread(rows)
    return _filled(
        "unread.html.j2",
        language,
        n_unread=len(missed),
        n_labelled=sum(row.id in labels for row in missed),
        bounds=[(reading_name(reading), found.get(reading)) for reading in every],
    )


def with_unread_section(report: str, rows: Sequence[Row], labels: Mapping[str, int]) -> str:
    """Return a ``report.html`` with its part on unread answers brought up to date.

    The page has only the glyphs that it was made with; the part always has the same words.
    """
    before, begin, rest = report.partition(_UNREAD[0])
    _, end, after = rest.partition(_UNREAD[1])
    language = re.search(r'<html lang="([a-z]+)">', before)
    if not (begin and end and language):  # of a version that had no such part
        return report
    return before + unread_section(rows, labels, language[1]).rstrip("\n") + after


def title(kind: Kind) -> str:
    """Return a run's name in headings."""
    return {
        "zeroshot-generate": msg("Base model without fine-tuning, free answers"),
        "zeroshot-score": msg("Base model without fine-tuning, label scores"),
        "finetuned-generate": msg("Fine-tuned model, free answers"),
        "finetuned-score": msg("Fine-tuned model, label scores"),
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
            "Intervals allow for near-duplicates, which are not independent. They cover chance in "
            "the choice of images, not mislabelled images or a test set unlike real work. “Too few "
            "groups” marks a figure of fewer than {least} duplicate groups: its interval counts a "
            "group as one image at most, and may be too narrow.",
            least=MIN_GROUPS,
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
    """Render one of the shipped templates with its fonts; every value is escaped."""
    return with_fonts(_filled(template, language, **context))


def _filled(template: str, language: Language, **context: Any) -> str:  # noqa: ANN401
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
    return environment.get_template(template).render(**context)


def p_value(p: float) -> str:
    """Format a p-value; it is never shown as 0."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}%"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "–"
    limits = f"{100 * interval.low:.1f}–{100 * interval.high:.1f}%"
    return limits + (msg(" · too few groups") if interval.has_too_few_groups else "")
