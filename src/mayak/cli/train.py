"""``mayak train``: fine-tunes the base model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import JsonOption
from mayak.config import OUTPUT, load_train_config
from mayak.language import tr

if TYPE_CHECKING:
    from mayak.training.fit import TrainResult


ConfigOption = Annotated[
    str | None,
    Parameter(
        help=tr(
            "Preset repo, paper or nano, or a YAML file (default: repo; nano with --model nano).",
            "사전 설정 repo, paper, nano 또는 YAML 파일 (기본: repo, --model nano이면 nano).",
        )
    ),
]
DataOption = Annotated[
    Path,
    Parameter(help=tr("Folder that `mayak prepare` made.", "`mayak prepare`가 만든 폴더.")),
]
OutputOption = Annotated[Path, Parameter(help=tr("Folder of the results.", "결과를 둘 폴더."))]
ModelOption = Annotated[
    str | None,
    Parameter(
        help=tr(
            "Base model: hub id, local folder or nano.",
            "기본 모델: 허브 이름, 폴더 또는 nano.",
        )
    ),
]
PrecisionOption = Annotated[
    Literal["nf4", "bf16", "fp32"] | None,
    Parameter(help=tr("Of the base's weights.", "기본 모델 가중치의 정밀도.")),
]
EpochsOption = Annotated[
    int | None, Parameter(help=tr("Passes over the training images.", "학습 반복 횟수."))
]
BatchSizeOption = Annotated[
    int | None, Parameter(help=tr("Images a forward pass.", "한 번에 계산할 이미지 수."))
]
SeedOption = Annotated[
    int | None, Parameter(help=tr("Seed of everything random.", "모든 무작위의 시드."))
]
DeviceOption = Annotated[
    str,
    Parameter(
        help=tr(
            "auto (all GPUs, or the CPU), cpu, cuda, cuda:1 …",
            "auto(모든 GPU, 없으면 CPU), cpu, cuda, cuda:1 …",
        )
    ),
]
DevicesOption = Annotated[int | None, Parameter(help=tr("How many of them.", "사용할 장치 수."))]
ResumeOption = Annotated[
    bool,
    Parameter(
        negative="",
        help=tr("Go on with an interrupted run.", "중단된 학습을 이어서 합니다."),
    ),
]
OverwriteOption = Annotated[
    bool,
    Parameter(
        negative="",
        help=tr(
            "Discard the run that the output folder holds.",
            "출력 폴더에 있는 학습 결과를 지우고 시작합니다.",
        ),
    ),
]


def train(
    *,
    config: ConfigOption = None,
    data: DataOption = Path("data"),
    output: OutputOption = Path(OUTPUT),
    model: ModelOption = None,
    precision: PrecisionOption = None,
    epochs: EpochsOption = None,
    batch_size: BatchSizeOption = None,
    seed: SeedOption = None,
    device: DeviceOption = "auto",
    devices: DevicesOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> int:
    """Fine-tune the base model with QLoRA; options override the configuration."""
    chosen = config or ("nano" if model == "nano" else "repo")
    given: dict[str, Any] = {
        "model": model,
        "precision": precision,
        "epochs": epochs,
        "batch_size": batch_size,
        "seed": seed,
    }
    settings = load_train_config(chosen, given)
    from mayak.training import train as run

    console = Console()
    try:
        result = run(
            settings,
            data=data,
            output=output,
            resume=resume,
            overwrite=overwrite,
            progress=console,
            device=device,
            devices=devices,
            note=console.note,
        )
    except KeyboardInterrupt:
        console.note(
            tr(
                "interrupted; the same command with --resume goes on from the last checkpoint",
                "중단되었습니다. 같은 명령에 --resume을 붙이면 마지막 체크포인트부터 이어서 합니다",
            )
        )
        return 130
    if not result.leads:  # another process of the same training shows the result
        return 0
    if as_json:
        console.json(result.summary())
    else:
        _show(console, result)
    return 0


def _show(console: Console, result: TrainResult) -> None:
    rows = [
        [tr("validation accuracy", "검증 정확도"), f"{result.best_accuracy:.4f}"],
        [tr("validation loss", "검증 손실"), f"{result.best_loss:.4f}"],
        [tr("best step", "최고 단계"), f"{result.best_step}/{result.steps}"],
        [tr("trained parameters", "학습한 매개변수"), f"{result.trained_parameters:,}"],
        [tr("images a second", "초당 이미지"), f"{result.samples_per_second:.2f}"],
    ]
    if result.best_base_tile_accuracy is not None:
        accuracy = f"{result.best_base_tile_accuracy:.4f}"
        name = tr("validation accuracy, base tile alone", "검증 정확도(기본 타일만)")
        rows.insert(1, [name, accuracy])
    if result.peak_gpu_gib is not None:
        rows.append([tr("peak GPU memory", "최대 GPU 메모리"), f"{result.peak_gpu_gib:.2f} GiB"])
    console.table(tr("Training", "학습"), [tr("figure", "항목"), tr("value", "값")], rows)
    console.result(tr("adapter: ", "어댑터: ") + str(result.final))
