"""``mayak evaluate`` and ``mayak zeroshot``: measure a fine-tuned model and the base model."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from mayak.cli.as_triage import (
    calibration_to_measure,
    measure_as_triage,
    show_few_groups,
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
from mayak.i18n import msg, msg_in
from mayak.labels import LABELS
from mayak.names import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mayak.evaluation.bounds import Bound
    from mayak.evaluation.record import EvaluationResult
    from mayak.metrics import Metrics
    from mayak.model import AnswerGenerator, LabelScorer, VisionLanguageModel

ManifestOption = Annotated[Path, Parameter(help=msg("Manifest of the images to measure on."))]
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
        _allow_fp8(console, adapter, measured("bf16", out / "bf16"), result)
    return _show(console, result, out, as_json)


def _allow_fp8(
    console: Console, adapter: Path, bf16: EvaluationResult, fp8: EvaluationResult
) -> None:
    from mayak.evaluation.agreement import allow_fp8

    found = allow_fp8(adapter, bf16, fp8)
    console.note(
        msg(
            "fp8 gives {same} of {images} images the label that bf16 gives; other commands "
            "may use it with this adapter",
            same=found.same,
            images=found.images,
        )
    )


ModelOption = Annotated[
    str,
    Parameter(help=msg("Base model: hub id, local folder or nano.")),
]
RevisionOption = Annotated[
    str | None,
    Parameter(
        help=msg("Commit of a hub model; run.json names the adapter's (default: the newest).")
    ),
]


def zeroshot(
    *,
    model: ModelOption = BASE_MODEL,
    revision: RevisionOption = None,
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
    vlm = load_model(model, precision=precision, device=device, revision=revision)
    out = out or ZEROSHOT[by]
    asked = _asked(vlm, by, batch_size)
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
        msg_in("evaluation", "label"),
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
    show_few_groups(console, _of_few_groups(measured))
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


def _of_few_groups(measured: Metrics) -> list[str]:
    few: list[str] = [
        msg("recall of ") + f"{label.index} " + label.name
        for label, row in zip(LABELS, measured.per_class, strict=True)
        if row.recall_interval and row.recall_interval.has_too_few_groups
    ]
    if measured.accuracy_interval.has_too_few_groups:
        few.insert(0, msg("accuracy"))
    return few


def _show_unread(console: Console, result: EvaluationResult, out: Path) -> None:
    console.result(
        msg(
            "answers that name no label, counted as wrong: {unclassifiable}",
            unclassifiable=result.unclassifiable,
        )
    )
    show_bounds(console, result.bounds[1:])
    console.result(
        msg("a person can label them: mayak answers {folder}", folder=shlex.quote(str(out)))
    )


def show_bounds(console: Console, bounds: Sequence[Bound]) -> None:
    """Print the accuracy under each reading of unread answers."""
    from mayak.evaluation.bounds import reading_name

    for bound in bounds:
        share = "–" if bound.accuracy is None else f"{bound.accuracy:.2%}"
        console.result(
            msg(
                "  if {reading}: accuracy {share} ({n} images)",
                reading=reading_name(bound.reading),
                share=share,
                n=bound.n,
            )
        )
