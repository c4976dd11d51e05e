"""Values of the chapters of ``report.html`` on what triage runs (``as_triage.html.j2``)."""

from __future__ import annotations

from typing import Any

from mayak.evaluation.gain import PERCENT, target_name
from mayak.evaluation.triage_figures import (
    TIER_NAMES,
    TriageFigures,
    calibration_note,
    verdict_text,
)
from mayak.i18n import msg

_VIEWED = (1, 5, 10, 20, 30, 50, 70)
"""Shares of images viewed, in per cent, whose recall is in the table."""


def triage_context(figures: TriageFigures | None) -> dict[str, Any]:
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
