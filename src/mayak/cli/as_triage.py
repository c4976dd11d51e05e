"""``mayak evaluate --as-triage``: measures what triage runs; shows the figures of a triage."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mayak.cli.console import Console
from mayak.errors import ConfigError
from mayak.i18n import join, msg
from mayak.workers import cores

if TYPE_CHECKING:
    from mayak.dataset.manifest import Manifest
    from mayak.dataset.training_images import Leakage
    from mayak.evaluation.record import EvaluationResult
    from mayak.evaluation.triage_figures import BoundCheck, Share, TriageFigures
    from mayak.model import Calibration, VisionLanguageModel


def calibration_to_measure(adapter: Path, by: str) -> Calibration | None:
    """Return the calibration that triage would use, before the model is loaded, which takes long.

    Raises:
        ConfigError: free answers are asked for, which triage does not read.
        ModelError: the calibration is damaged.
    """
    if by != "score":
        raise ConfigError(
            msg("--as-triage measures scores: triage does not ask for free answers"),
            remedy=msg("leave out --by or --as-triage"),
        )
    from mayak.model import Calibration

    return Calibration.read(adapter)


def measure_as_triage(
    model: VisionLanguageModel,
    calibration: Calibration | None,
    samples: Manifest,
    out: Path,
    console: Console,
    batch_size: int,
    leakage: Leakage,
) -> EvaluationResult:
    """Measure what ``mayak triage`` runs with this model and calibration."""
    from mayak.evaluation.as_triage import AsTriage
    from mayak.evaluation.run import evaluate
    from mayak.model import CascadeScorer, LabelScorer
    from mayak.triage.outside_case import FileDecoder, StageClassifier

    whole = LabelScorer(model, batch_size)
    cascade = None if calibration is None else CascadeScorer(model, calibration, batch_size)
    classifier = StageClassifier(cascade or whole)
    with FileDecoder(cores()) as decode:
        as_triage = AsTriage(
            decode=partial(decode, min_sides=classifier.min_sides),
            decode_whole=partial(decode, min_sides=whole.min_sides),
            whole_model=whole,
            cascade=cascade,
        )
        return evaluate(
            samples,
            classifier,
            out,
            console,
            leakage=leakage,
            language=console.language,
            as_triage=as_triage,
        )


def show_triage_figures(console: Console, figures: TriageFigures) -> None:
    """Show tiers, risk bound and order of review."""
    from mayak.evaluation.triage_figures import triage_notes

    _show_tiers(console, figures)
    if figures.bound is not None:
        _show_bound(console, figures.bound)
    if figures.drift is not None and figures.drift.has_drifted:
        console.result(msg("triage would warn: these images differ from those of the calibration"))
    _show_gain(console, figures)
    for note in triage_notes(figures):
        console.result(msg("note: ") + note)


def show_few_groups(console: Console, figures: Sequence[str]) -> None:
    """Name the figures of too few duplicate groups, if there are any."""
    from mayak.metrics import MIN_GROUPS

    if figures:
        console.result(
            msg(
                "too few groups (fewer than {least} duplicate groups): {figures}",
                least=MIN_GROUPS,
                figures=join(", ", figures),
            )
        )


def share_text(share: Share) -> str:
    """Return count, number of images, share and interval."""
    if share.value is None or share.interval is None:
        return "–"
    low, high = share.interval.low, share.interval.high
    text = f"{share.count} / {share.of} = {share.value:.1%} ({low:.1%}–{high:.1%})"
    return text + (msg(" · too few groups") if share.interval.has_too_few_groups else "")


def _show_tiers(console: Console, figures: TriageFigures) -> None:
    from mayak.evaluation.triage_figures import TIER_NAMES

    rows = [
        [str(tier), name, str(found.decided), share_text(found.lost)]
        for tier, (name, found) in enumerate(zip(TIER_NAMES, figures.tiers, strict=True))
    ]
    decided = sum(found.decided for found in figures.tiers)
    rows.append(["", msg("all tiers"), str(decided), share_text(figures.lost)])
    console.table(
        msg("Relevant images called irrelevant, by the tier that decided"),
        [msg("tier"), msg("reads"), msg("decides"), msg("lost, of all relevant images (95%)")],
        rows,
        text_columns=2,
    )
    if figures.not_scored:
        console.result(
            msg("relevant images that were not scored: {count}", count=figures.not_scored)
        )


def _show_bound(console: Console, check: BoundCheck) -> None:
    from mayak.evaluation.triage_figures import verdict_text

    alpha = check.bound.alpha
    console.result("")
    console.result(
        msg(
            "risk bound: early tiers dismiss at most {alpha:.1%} of the relevant images",
            alpha=alpha,
        )
    )
    for name, share in check.named():
        console.result(f"  {share_text(share)} " + name + ": " + verdict_text(share.verdict(alpha)))


def _show_gain(console: Console, figures: TriageFigures) -> None:
    from mayak.evaluation.gain import PERCENT, VIEWED, target_name

    rows, few = [], []
    for key, curve in figures.gain.items():
        area = figures.auroc[key]
        shown = "–"
        if area is not None:
            interval = area.interval
            shown = f"{area.value:.4f} ({interval.low:.3f}–{interval.high:.3f})"
        if curve.has_too_few_groups:
            few.append(target_name(key))
        elif area is not None and area.interval.has_too_few_groups:
            few.append("AUROC: " + target_name(key))
        recalls = [f"{curve.recall[PERCENT.index(percent)]:.0%}" for percent in VIEWED]
        rows.append([target_name(key), *recalls, shown])
    console.result("")
    console.table(
        msg("Recall after viewing a share of all images in the order of review"),
        [msg("images"), *(f"{percent}%" for percent in VIEWED), "AUROC (95%)"],
        rows,
    )
    show_few_groups(console, few)
