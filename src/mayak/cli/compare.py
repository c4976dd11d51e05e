"""``mayak compare``: two runs on the same images, and the two-by-two table of up to four."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.evaluate import FINETUNED, ZEROSHOT
from mayak.cli.options import JsonOption
from mayak.errors import ConfigError
from mayak.i18n import msg
from mayak.labels import LABELS

if TYPE_CHECKING:
    from mayak.evaluation.compare import Comparison
    from mayak.evaluation.two_by_two import TwoByTwo

FoldersArgument = Annotated[
    Path,
    Parameter(
        help=msg(
            "Results of two to four runs on the same images (default: evaluation_results_zeroshot "
            "and evaluation_results_epochs5, with evaluation_results_zeroshot_score and "
            "evaluation_results_epochs5_generate if they are finished)."
        )
    ),
]


def compare(
    *folders: FoldersArgument,
    out: Annotated[Path, Parameter(help=msg("Folder of the results."))] = Path("comparison"),
    as_json: JsonOption = False,
) -> int:
    """Pair two runs on the same images: accuracy, McNemar's exact test, what changed.

    With further runs, the table of {untouched, fine-tuned} × {free answers, label scores} shows
    what training changes and what the way of asking does.
    """
    from mayak.evaluation.compare import PAGE, figures
    from mayak.evaluation.compare import compare as run
    from mayak.evaluation.record import METRICS

    console = Console()
    if not folders:
        more = (ZEROSHOT["score"], FINETUNED["generate"])
        finished = (folder for folder in more if (folder / METRICS).is_file())
        folders = (ZEROSHOT["generate"], FINETUNED["score"], *finished)
    if len(folders) == 1:
        raise ConfigError(
            msg("{folder} alone cannot be compared", folder=folders[0]),
            remedy=msg("name two to four folders of results, or none for the default ones"),
        )
    first, second, *others = folders
    result = run(first, second, out, others=others, language=console.language)
    if as_json:
        console.json(figures(result))
    else:
        _show_comparison(console, result, out / PAGE)
    return 0


def _show_comparison(console: Console, result: Comparison, page: Path) -> None:
    from mayak.evaluation.page import p_value

    before, after = result.first_metrics, result.second_metrics
    names = [result.first.folder.name, result.second.folder.name]
    rows = [
        [msg("accuracy"), f"{before.accuracy:.2%}", f"{after.accuracy:.2%}"],
        ["macro F1", f"{before.macro_f1:.3f}", f"{after.macro_f1:.3f}"],
    ]
    rows += [
        [
            msg("recall of ") + f"{label.index} " + label.name,
            f"{one.recall:.1%}" if one.support else "–",
            f"{two.recall:.1%}" if two.support else "–",
        ]
        for label, one, two in zip(LABELS, before.per_class, after.per_class, strict=True)
    ]
    for caution in result.cautions:
        console.result(msg("note: ") + caution)
    console.table(
        msg("The same {n_pairs} images", n_pairs=len(result.pairs)),
        ["", *names],
        rows,
    )
    console.result("")
    change = result.change
    low, high = 100 * change.interval.low, 100 * change.interval.high
    console.result(
        msg("difference")
        + f" {100 * change.difference:+.2f} "
        + msg("points")
        + f" (95%: {low:+.1f} … {high:+.1f}) · McNemar p = {p_value(change.mcnemar.p)}"
        + (msg(" · too few groups") if change.interval.has_too_few_groups else "")
    )
    console.result(
        msg(
            "put right {n_fixed}, made wrong {n_broken}, wrong in another way {n_moved}",
            n_fixed=len(result.fixed),
            n_broken=len(result.broken),
            n_moved=len(result.moved),
        )
    )
    if result.n_seen:
        console.result(
            msg(
                "images left out, because one of the models was trained on them: {n_seen}",
                n_seen=result.n_seen,
            )
        )
    if result.table.has_one_run_per_cell:
        console.result("")
        show_two_by_two(console, result.table)
    console.result(msg("page: ") + str(page))


def show_two_by_two(console: Console, table: TwoByTwo, title: str = "") -> None:
    """Print the two-by-two table, and the commands that measure its missing cells."""
    from mayak.evaluation.two_by_two import columns, lines

    rows = [
        [
            ("  " if line.is_bound else "") + line.title,
            *(figure + (" (" + detail + ")" if detail else "") for figure, detail in line.cells),
        ]
        for line in lines(table)
    ]
    heading = msg("Two by two: training and the way of asking")
    console.table(heading + (" · " + title if title else ""), ["", *columns()], rows)
    if table.missing:
        commands = ", ".join(f"`{command}`" for command in table.missing)
        console.result(msg("Not measured cells are measured by:") + " " + commands)
