"""``mayak evaluate``, ``mayak zeroshot`` and ``mayak compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import (
    DeviceOption,
    JsonOption,
    OwnAdapterOption,
    OwnModelOption,
    PrecisionOption,
    base_of,
)
from mayak.config import BASE_MODEL, FINAL, OUTPUT, Precision
from mayak.errors import ConfigError
from mayak.labels import LABELS
from mayak.language import tr
from mayak.names import printable

if TYPE_CHECKING:
    from mayak.evaluation.compare import Comparison
    from mayak.evaluation.record import EvaluationResult

ManifestOption = Annotated[
    Path, Parameter(help=tr("Manifest of the images to measure on.", "측정할 이미지의 목록 파일."))
]
OutOption = Annotated[Path, Parameter(help=tr("Folder of the results.", "결과를 둘 폴더."))]
BatchOption = Annotated[
    int | None,
    Parameter(
        help=tr(
            "Images at once (default: 8 to score, 4 to generate).",
            "한 번에 처리할 이미지 수 (기본: 점수 8, 답변 생성 4).",
        )
    ),
]


def evaluate(
    *,
    adapter: OwnAdapterOption = Path(OUTPUT) / FINAL,
    model: OwnModelOption = None,
    manifest: ManifestOption = Path("data/test_drug_data.json"),
    out: OutOption = Path("evaluation_results_epochs5"),
    batch_size: BatchOption = None,
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Measure a fine-tuned model on the test set; exit code 1 when an image could not be read."""
    base, revision = base_of(adapter, model)
    batch = _batch(batch_size, 8)
    from mayak.dataset.manifest import read_manifest
    from mayak.dataset.training_images import Leakage
    from mayak.evaluation.run import evaluate as run

    samples = read_manifest(manifest)
    leakage = Leakage.of(adapter, samples)
    from mayak.model import LabelScorer, load_model

    console = Console()

    def measured(precision: Precision, out: Path) -> EvaluationResult:
        vlm = load_model(
            base,
            precision=precision,
            adapter=adapter,
            device=device,
            revision=revision,
            unproven=True,
        )
        return run(samples, LabelScorer(vlm, batch), out, console, leakage=leakage)

    result = measured(precision, out)
    if precision == "fp8":
        from mayak.evaluation.agreement import allow_fp8

        found = allow_fp8(adapter, measured("bf16", out / "bf16"), result)
        console.note(
            tr(
                f"fp8 gives {found.same} of {found.images} images the label that bf16 gives; other "
                "commands may use it with this adapter",
                f"fp8은 이미지 {found.images}장 중 {found.same}장에서 bf16과 같은 라벨을 냈습니다. "
                "이제 다른 명령도 이 어댑터에 fp8을 쓸 수 있습니다",
            )
        )
    return _shown(console, result, out, as_json)


def zeroshot(
    *,
    model: Annotated[
        str,
        Parameter(
            help=tr(
                "Base model: hub id, local folder or nano.",
                "기본 모델: 허브 이름, 폴더 또는 nano.",
            )
        ),
    ] = BASE_MODEL,
    manifest: ManifestOption = Path("data/test_drug_data.json"),
    out: OutOption = Path("evaluation_results_zeroshot"),
    by: Annotated[
        Literal["generate", "score"],
        Parameter(
            help=tr(
                "generate: free answers of up to 50 tokens, parsed (the paper's way); score: the "
                "label's scores.",
                "generate: 최대 50토큰의 자유 답변을 해석(논문 방식). score: 라벨 점수.",
            )
        ),
    ] = "generate",
    batch_size: BatchOption = None,
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Measure the untouched model on the test set; exit code 1 when an image could not be read."""
    batch = _batch(batch_size, 4 if by == "generate" else 8)
    from mayak.dataset.manifest import read_manifest
    from mayak.evaluation.run import zeroshot as run

    samples = read_manifest(manifest)
    from mayak.model import AnswerGenerator, LabelScorer, load_model

    console = Console()
    vlm = load_model(model, precision=precision, device=device)
    asked = AnswerGenerator(vlm, batch) if by == "generate" else LabelScorer(vlm, batch)
    result = run(samples, asked, out, console)
    return _shown(console, result, out, as_json)


def compare(
    first: Annotated[Path, Parameter(help=tr("Results of one run.", "첫 번째 결과 폴더."))] = Path(
        "evaluation_results_zeroshot"
    ),
    second: Annotated[
        Path,
        Parameter(help=tr("Results of another, on the same images.", "같은 이미지의 다른 결과.")),
    ] = Path("evaluation_results_epochs5"),
    *,
    out: OutOption = Path("comparison"),
    as_json: JsonOption = False,
) -> int:
    """Pair two runs on the same images: accuracy, McNemar's exact test, what changed."""
    from mayak.evaluation.compare import PAGE, summary
    from mayak.evaluation.compare import compare as run

    console = Console()
    result = run(first, second, out)
    if as_json:
        console.json(summary(result))
    else:
        _show_comparison(console, result, out / PAGE)
    return 0


def _batch(asked: int | None, default: int) -> int:
    if asked is not None and asked < 1:
        raise ConfigError(
            tr(f"--batch-size is {asked}", f"--batch-size가 {asked}입니다"),
            remedy=tr("use 1 or more", "1 이상을 쓰십시오"),
        )
    return default if asked is None else asked


def _shown(console: Console, result: EvaluationResult, out: Path, as_json: bool) -> int:
    from mayak.evaluation.record import figures
    from mayak.evaluation.run import REPORT

    if as_json:
        console.json(figures(result, out))
        return int(bool(result.failures))
    measured = result.metrics
    rows = [
        [
            f"{label.index} {label.name}",
            f"{row.recall:.1%}" if row.support else "–",
            f"{row.precision:.1%}",
            f"{row.f1:.3f}",
            str(row.support),
        ]
        for label, row in zip(LABELS, measured.per_class, strict=True)
    ]
    columns = [
        tr("label", "라벨"),
        tr("recall", "재현율"),
        tr("precision", "정밀도"),
        "F1",
        tr("images", "이미지"),
    ]
    console.table(tr("By label", "라벨별"), columns, rows)
    interval = measured.accuracy_interval
    console.result("")
    console.result(
        tr("accuracy", "정확도")
        + f" {measured.accuracy:.2%} (95%: {interval.low:.1%}–{interval.high:.1%})"
        + f" · macro F1 {measured.macro_f1:.3f} · "
        + tr(f"{measured.n} images", f"이미지 {measured.n}장")
    )
    if result.kind == "zeroshot-generate":
        console.result(
            tr(
                f"answers that name no label, counted as wrong: {result.unclassifiable}",
                f"라벨을 말하지 않은 답변(오답 처리): {result.unclassifiable}",
            )
        )
    if result.leakage is not None and result.leakage.note:
        console.result(tr("note: ", "주의: ") + result.leakage.note)
    for failure in result.failures:
        console.note(
            tr("not scored: ", "채점하지 않음: ") + f"{printable(failure.path)} ({failure.message})"
        )
    console.result(tr("report: ", "보고서: ") + str(out / REPORT))
    return int(bool(result.failures))


def _show_comparison(console: Console, result: Comparison, page: Path) -> None:
    from mayak.evaluation.page import p_value

    before, after = result.first_metrics, result.second_metrics
    names = [result.first.folder.name, result.second.folder.name]
    rows = [
        [tr("accuracy", "정확도"), f"{before.accuracy:.2%}", f"{after.accuracy:.2%}"],
        ["macro F1", f"{before.macro_f1:.3f}", f"{after.macro_f1:.3f}"],
    ]
    rows += [
        [
            tr("recall of ", "재현율: ") + f"{label.index} {label.name}",
            f"{one.recall:.1%}" if one.support else "–",
            f"{two.recall:.1%}" if two.support else "–",
        ]
        for label, one, two in zip(LABELS, before.per_class, after.per_class, strict=True)
    ]
    console.table(
        tr(f"The same {len(result.pairs)} images", f"같은 이미지 {len(result.pairs)}장"),
        ["", *names],
        rows,
    )
    console.result("")
    low, high = 100 * result.difference.low, 100 * result.difference.high
    console.result(
        tr("difference", "차이")
        + f" {100 * result.gain:+.2f} "
        + tr("points", "%p")
        + f" (95%: {low:+.1f} … {high:+.1f}) · McNemar p = {p_value(result.mcnemar.p)}"
    )
    console.result(
        tr(
            f"put right {len(result.fixed)}, made wrong {len(result.broken)}, wrong in another "
            f"way {len(result.moved)}",
            f"새로 맞힘 {len(result.fixed)}, 새로 틀림 {len(result.broken)}, 다르게 틀림 "
            f"{len(result.moved)}",
        )
    )
    console.result(tr("page: ", "비교 페이지: ") + str(page))
