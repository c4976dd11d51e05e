"""``mayak summary``: mean and spread over runs of one kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import JsonOption
from mayak.i18n import msg
from mayak.labels import LABELS

if TYPE_CHECKING:
    from mayak.evaluation.over_runs import RunsSummary, Spread

RunsArgument = Annotated[
    Path,
    Parameter(
        help=msg(
            "Results of runs of one kind: trained with several seeds and measured on one test set, "
            "or the folds of a cross-validation."
        )
    ),
]
OutOption = Annotated[Path, Parameter(help=msg("Folder of the results."))]


def summary(
    *runs: RunsArgument, out: OutOption = Path("summary"), as_json: JsonOption = False
) -> int:
    """Show mean and standard deviation over runs of one kind, in a table and on a page."""
    from mayak.evaluation.over_runs import PAGE, figures, summarise

    console = Console()
    result = summarise(runs, out, language=console.language)
    if as_json:
        console.json(figures(result))
    else:
        _show(console, result, out / PAGE)
    return 0


def _show(console: Console, result: RunsSummary, page: Path) -> None:
    from mayak.evaluation.over_runs import notes

    rows = [[msg("accuracy"), *_cells(result.accuracy)], ["macro F1", *_cells(result.macro_f1)]]
    rows += [
        [
            msg("recall of ") + f"{label.index} " + label.name,
            *_cells(result.per_class(label.index)["recall"]),
        ]
        for label in LABELS
    ]
    columns = ["", msg("mean"), msg("standard deviation"), msg("lowest"), msg("highest")]
    console.table(msg("Summary of {n} runs", n=len(result.runs)), columns, rows)
    console.result("")
    if result.pooled is not None:
        interval = result.pooled.accuracy_interval
        console.result(
            msg("accuracy over all {n} images", n=result.pooled.n)
            + f" {result.pooled.accuracy:.2%} (95%: {interval.low:.1%}–{interval.high:.1%})"
            + (msg(" · too few groups") if interval.has_too_few_groups else "")
        )
    for note in notes(result):
        console.result(msg("note: ") + note)
    console.result(msg("page: ") + str(page))


def _cells(spread: Spread | None) -> list[str]:
    if spread is None:
        return ["–"] * 4
    values = (spread.mean, spread.sd, spread.min, spread.max)
    return ["–" if value is None else f"{value:.4f}" for value in values]
