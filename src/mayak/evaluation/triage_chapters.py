"""Values of the chapters of ``report.html`` on what triage runs (``as_triage.html.j2``)."""

from __future__ import annotations

from typing import Any

from mayak.evaluation.gain import PERCENT, VIEWED, target_name
from mayak.evaluation.triage_figures import (
    TIER_NAMES,
    TriageFigures,
    triage_notes,
    verdict_text,
)


def triage_context(figures: TriageFigures | None) -> dict[str, Any]:
    """Return the values of the chapters on what triage runs."""
    check = None if figures is None else figures.bound
    return {
        "triage": figures,
        "tier_names": TIER_NAMES,
        "checks": check and check.named(),
        "triage_notes": [] if figures is None else triage_notes(figures),
        "verdict_text": verdict_text,
        "target_name": target_name,
        "viewed": PERCENT,
        "shown": [PERCENT.index(percent) for percent in VIEWED],
    }
