"""``mayak evaluate``, ``mayak zeroshot`` and ``mayak compare``: measure and compare models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from mayak.cli.as_triage import measure_as_triage, show_triage_figures
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
from mayak.i18n import msg
from mayak.labels import LABELS
from mayak.names import printable

if TYPE_CHECKING:
    from mayak.evaluation.compare import Comparison
    from mayak.evaluation.record import EvaluationResult

RESULTS = "evaluation_results_epochs5"
AS_TRIAGE_RESULTS = "evaluation_results_as_triage"
ManifestOption = Annotated[Path, Parameter(help=msg("Manifest of the images to measure on."))]
OutOption = Annotated[Path, Parameter(help=msg("Folder of the results."))]
BatchOption = Annotated[
    int | None,
    Parameter(
        validator=at_least("--batch-size", 1),
        help=msg("Images at once (default: 8 to score, 4 to generate)."),
    ),
]


EvaluateOutOption = Annotated[
    Path | None,
    Parameter(
        help=msg(
            "Folder of the results (default: evaluation_results_epochs5; with --as-triage "
            "evaluation_results_as_triage)."
        )
    ),
]
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
    out: EvaluateOutOption = None,
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
    from mayak.model import Calibration, LabelScorer, load_model

    console = Console()
    out = out or Path(AS_TRIAGE_RESULTS if as_triage else RESULTS)
    if as_triage:
        calibration = Calibration.read(adapter)
        vlm = load_model(
            base, precision=precision, adapter=adapter, device=device, revision=revision
        )
        result = measure_as_triage(
            vlm, calibration, samples, out, console, batch_size=batch_size or 8, leakage=leakage
        )
        return _show(console, result, out, as_json)

    def measured(precision: Precision, out: Path) -> EvaluationResult:
        vlm = load_model(
            base,
            precision=precision,
            adapter=adapter,
            device=device,
            revision=revision,
            unproven=True,
        )
        scorer = LabelScorer(vlm, batch_size or 8)
        return run(samples, scorer, out, console, leakage=leakage, language=console.language)

    result = measured(precision, out)
    if precision == "fp8":
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
ByOption = Annotated[
    Literal["generate", "score"],
    Parameter(
        help=msg(
            "generate: free answers of up to 50 tokens, parsed (the paper's way); score: the "
            "label's scores."
        )
    ),
]


def zeroshot(
    *,
    model: ModelOption = BASE_MODEL,
    manifest: ManifestOption = Path("data/test_drug_data.json"),
    out: OutOption = Path("evaluation_results_zeroshot"),
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
    from mayak.model import AnswerGenerator, LabelScorer, load_model

    console = Console()
    vlm = load_model(model, precision=precision, device=device)
    classifier: AnswerGenerator | LabelScorer = (
        AnswerGenerator(vlm, batch_size or 4)
        if by == "generate"
        else LabelScorer(vlm, batch_size or 8)
    )
    result = run(samples, classifier, out, console, language=console.language)
    return _show(console, result, out, as_json)


FirstArgument = Annotated[Path, Parameter(help=msg("Results of one run."))]
SecondArgument = Annotated[
    Path,
    Parameter(help=msg("Results of another, on the same images.")),
]


def compare(
    first: FirstArgument = Path("evaluation_results_zeroshot"),
    second: SecondArgument = Path(RESULTS),
    *,
    out: OutOption = Path("comparison"),
    as_json: JsonOption = False,
) -> int:
    """Pair two runs on the same images: accuracy, McNemar's exact test, what changed."""
    from mayak.evaluation.compare import PAGE, summary
    from mayak.evaluation.compare import compare as run

    console = Console()
    result = run(first, second, out, language=console.language)
    if as_json:
        console.json(summary(result))
    else:
        _show_comparison(console, result, out / PAGE)
    return 0


def _show(console: Console, result: EvaluationResult, out: Path, as_json: bool) -> int:
    from mayak.evaluation.record import figures
    from mayak.evaluation.run import REPORT

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
    if result.kind == "zeroshot-generate":
        console.result(
            msg(
                "answers that name no label, counted as wrong: {unclassifiable}",
                unclassifiable=result.unclassifiable,
            )
        )
    if result.triage is not None:
        show_triage_figures(console, result.triage)
    if result.leakage is not None and result.leakage.note:
        console.result(msg("note: ") + result.leakage.note)
    for failure in result.failures:
        console.note(msg("not scored: ") + f"{printable(failure.path)} (" + failure.message + ")")
    console.result(msg("report: ") + str(out / REPORT))
    return int(bool(result.failures))


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
    low, high = 100 * result.difference.low, 100 * result.difference.high
    console.result(
        msg("difference")
        + f" {100 * result.gain:+.2f} "
        + msg("points")
        + f" (95%: {low:+.1f} … {high:+.1f}) · McNemar p = {p_value(result.mcnemar.p)}"
    )
    console.result(
        msg(
            "put right {n_fixed}, made wrong {n_broken}, wrong in another way {n_moved}",
            n_fixed=len(result.fixed),
            n_broken=len(result.broken),
            n_moved=len(result.moved),
        )
    )
    console.result(msg("page: ") + str(page))
