"""``mayak evaluate``, ``mayak zeroshot`` and ``mayak compare``: measure and compare models."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from mayak.cli.as_triage import (
    calibration_to_measure,
    measure_as_triage,
    show_triage_figures,
)
from mayak.cli.console import Console
from mayak.cli.options import (
    DeviceOption,
    JsonOption,
    OwnAdapterOption,
    OwnModelOption,
    PrecisionOption,
    at_least,
    base_of,
)
from mayak.config import BASE_MODEL, FINAL, OUTPUT, Precision
from mayak.i18n import join, msg
from mayak.labels import LABELS
from mayak.names import printable

if TYPE_CHECKING:
    from mayak.evaluation.compare import Comparison
    from mayak.evaluation.record import EvaluationResult
    from mayak.evaluation.two_by_two import TwoByTwo
    from mayak.metrics import Metrics
    from mayak.model import AnswerGenerator, LabelScorer, VisionLanguageModel

ManifestOption = Annotated[Path, Parameter(help=msg("Manifest of the images to measure on."))]
OutOption = Annotated[Path, Parameter(help=msg("Folder of the results."))]
BatchOption = Annotated[
    int | None,
    Parameter(
        validator=at_least("--batch-size", 1),
        help=msg("Images at once (default: 8 to score, 4 to generate)."),
    ),
]

Way = Literal["generate", "score"]
ByOption = Annotated[
    Way,
    Parameter(
        help=msg(
            "generate: free answers of up to 50 tokens, parsed (the paper's way); score: the "
            "label's scores."
        )
    ),
]

ZEROSHOT = {
    "generate": Path("evaluation_results_zeroshot"),
    "score": Path("evaluation_results_zeroshot_score"),
}
FINETUNED = {
    "generate": Path("evaluation_results_epochs5_generate"),
    "score": Path("evaluation_results_epochs5"),
}
"""Folders of the results, by the way of asking; those of the paper have the paper's names."""
AS_TRIAGE = Path("evaluation_results_as_triage")

AsTriageOption = Annotated[
    bool,
    Parameter(
        negative="",
        help=msg(
            "Measure what `mayak triage` runs with this adapter: reduced decoding, the cascade "
            "and its calibration."
        ),
    ),
]


def evaluate(
    *,
    adapter: OwnAdapterOption = Path(OUTPUT) / FINAL,
    model: OwnModelOption = None,
    manifest: ManifestOption = Path("data/test_drug_data.json"),
    out: Annotated[
        Path | None,
        Parameter(
            help=msg(
                "Folder of the results (default: evaluation_results_epochs5; with --by generate "
                "evaluation_results_epochs5_generate, with --as-triage "
                "evaluation_results_as_triage)."
            )
        ),
    ] = None,
    by: ByOption = "score",
    as_triage: AsTriageOption = False,
    batch_size: BatchOption = None,
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Measure a fine-tuned model on the test set; exit code 1 if an image could not be read."""
    base, revision = base_of(adapter, model)
    from mayak.dataset.manifest import read_manifest
    from mayak.dataset.training_images import Leakage
    from mayak.evaluation.run import evaluate as run

    samples = read_manifest(manifest)
    leakage = Leakage.of(adapter, samples)
    leakage.refuse_all_seen(samples)
    from mayak.model import load_model

    console = Console()
    load = partial(load_model, base, adapter=adapter, device=device, revision=revision)
    if as_triage:
        out = out or AS_TRIAGE
        calibration = calibration_to_measure(adapter, by)
        vlm = load(precision=precision)
        size = batch_size or 8
        result = measure_as_triage(vlm, calibration, samples, out, console, size, leakage)
        return _show(console, result, out, as_json)

    def measured(precision: Precision, out: Path) -> EvaluationResult:
        # fp8 is proven by comparing scores
        vlm = load(precision=precision, unproven=by == "score")
        asked = _asked(vlm, by, batch_size)
        return run(samples, asked, out, console, leakage=leakage, language=console.language)

    out = out or FINETUNED[by]
    result = measured(precision, out)
    if precision == "fp8" and by == "score":
        from mayak.evaluation.agreement import allow_fp8

        found = allow_fp8(adapter, measured("bf16", out / "bf16"), result)
        console.note(
            msg(
                "fp8 gives {same} of {images} images the label that bf16 gives; other commands "
                "may use it with this adapter",
                same=found.same,
                images=found.images,
            )
        )
    return _show(console, result, out, as_json)


ModelOption = Annotated[
    str,
    Parameter(help=msg("Base model: hub id, local folder or nano.")),
]


def zeroshot(
    *,
    model: ModelOption = BASE_MODEL,
    manifest: ManifestOption = Path("data/test_drug_data.json"),
    out: Annotated[
        Path | None,
        Parameter(
            help=msg(
                "Folder of the results (default: evaluation_results_zeroshot; with --by score "
                "evaluation_results_zeroshot_score)."
            )
        ),
    ] = None,
    by: ByOption = "generate",
    batch_size: BatchOption = None,
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Measure the base model on the test set; exit code 1 if an image could not be read."""
    from mayak.dataset.manifest import read_manifest
    from mayak.evaluation.run import zeroshot as run

    samples = read_manifest(manifest)
    from mayak.model import load_model

    console = Console()
    asked = _asked(load_model(model, precision=precision, device=device), by, batch_size)
    out = out or ZEROSHOT[by]
    result = run(samples, asked, out, console, language=console.language)
    return _show(console, result, out, as_json)


def _asked(
    vlm: VisionLanguageModel, by: Way, batch_size: int | None
) -> AnswerGenerator | LabelScorer:
    """Return what asks a loaded model in one of the two ways."""
    from mayak.model import AnswerGenerator, LabelScorer

    if by == "generate":
        return AnswerGenerator(vlm, batch_size or 4)
    return LabelScorer(vlm, batch_size or 8)


FirstArgument = Annotated[Path, Parameter(help=msg("Results of one run."))]
SecondArgument = Annotated[
    Path,
    Parameter(help=msg("Results of another, on the same images.")),
]
OthersArgument = Annotated[
    Path,
    Parameter(
        help=msg(
            "Results of further runs for the two-by-two table (default, if no folder is named: "
            "evaluation_results_zeroshot_score and evaluation_results_epochs5_generate, if they "
            "exist)."
        )
    ),
]


def compare(
    first: FirstArgument = ZEROSHOT["generate"],
    second: SecondArgument = FINETUNED["score"],
    *others: OthersArgument,
    out: OutOption = Path("comparison"),
    as_json: JsonOption = False,
) -> int:
    """Pair two runs on the same images: accuracy, McNemar's exact test, what changed.

    With further runs, the table of {untouched, fine-tuned} × {free answers, label scores} shows
    what training changes and what the way of asking does.
    """
    from mayak.evaluation.compare import PAGE, summary
    from mayak.evaluation.compare import compare as run

    console = Console()
    if (first, second) == (ZEROSHOT["generate"], FINETUNED["score"]) and not others:
        others = tuple(
            folder for folder in (ZEROSHOT["score"], FINETUNED["generate"]) if folder.is_dir()
        )
    result = run(first, second, out, others=others, language=console.language)
    if as_json:
        console.json(summary(result))
    else:
        _show_comparison(console, result, out / PAGE)
    return 0


def _show(console: Console, result: EvaluationResult, out: Path, as_json: bool) -> int:
    from mayak.evaluation.page import REPORT
    from mayak.evaluation.record import figures, is_generated

    if as_json:
        console.json(figures(result, out))
        return int(bool(result.failures))
    measured = result.metrics
    rows = [
        [
            f"{label.index} " + label.name,
            f"{row.recall:.1%}" if row.support else "–",
            f"{row.precision:.1%}",
            f"{row.f1:.3f}",
            str(row.support),
        ]
        for label, row in zip(LABELS, measured.per_class, strict=True)
    ]
    columns = [
        msg("label"),
        msg("recall"),
        msg("precision"),
        "F1",
        msg("images"),
    ]
    console.table(msg("By label"), columns, rows)
    interval = measured.accuracy_interval
    console.result("")
    console.result(
        msg("accuracy")
        + f" {measured.accuracy:.2%} (95%: {interval.low:.1%}–{interval.high:.1%})"
        + f" · macro F1 {measured.macro_f1:.3f} · "
        + msg("{count} images", count=measured.n)
    )
    _show_few_groups(console, measured)
    if result.unclassifiable and is_generated(result.kind):
        _show_unread(console, result, out)
    elif result.unclassifiable:
        console.result(
            msg(
                "images with two highest scores that are equal, counted as wrong: {n_tied}",
                n_tied=result.unclassifiable,
            )
        )
    if result.triage is not None:
        show_triage_figures(console, result.triage)
    for note in result.notes:
        console.result(msg("note: ") + note)
    for failure in result.failures:
        console.note(msg("not scored: ") + f"{printable(failure.path)} (" + failure.message + ")")
    console.result(msg("report: ") + str(out / REPORT))
    return int(bool(result.failures))


def _show_few_groups(console: Console, measured: Metrics) -> None:
    from mayak.metrics import MIN_GROUPS

    few = [
        msg("recall of ") + f"{label.index} " + label.name
        for label, row in zip(LABELS, measured.per_class, strict=True)
        if row.recall_interval and row.recall_interval.has_too_few_groups
    ]
    if measured.accuracy_interval.has_too_few_groups:
        few.insert(0, msg("accuracy"))
    if few:
        console.result(
            msg(
                "too few groups (fewer than {least} duplicate groups): {figures}",
                least=MIN_GROUPS,
                figures=join(", ", few),
            )
        )


def _show_unread(console: Console, result: EvaluationResult, out: Path) -> None:
    from mayak.evaluation.bounds import reading_name

    console.result(
        msg(
            "answers that name no label, counted as wrong: {unclassifiable}",
            unclassifiable=result.unclassifiable,
        )
    )
    for bound in result.bounds[1:]:
        share = "–" if bound.accuracy is None else f"{bound.accuracy:.2%}"
        console.result(
            msg(
                "  if {reading}: accuracy {share} ({n} images)",
                reading=reading_name(bound.reading),
                share=share,
                n=bound.n,
            )
        )
    console.result(
        msg("a person can label them: mayak answers {folder}", folder=shlex.quote(str(out)))
    )


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
    for caution in result.cautions:
        console.result(msg("note: ") + caution)
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


def show_two_by_two(console: Console, table: TwoByTwo) -> None:
    """Print the two-by-two table, and the commands that measure its missing cells."""
    from mayak.evaluation.two_by_two import columns, lines

    rows = [
        [
            ("  " if line.is_bound else "") + line.title,
            *(figure + (" (" + detail + ")" if detail else "") for figure, detail in line.cells),
        ]
        for line in lines(table)
    ]
    console.table(msg("Two by two: training and the way of asking"), ["", *columns()], rows)
    if table.missing:
        commands = ", ".join(f"`{command}`" for command in table.missing)
        console.result(msg("Not measured cells are measured by:") + " " + commands)
