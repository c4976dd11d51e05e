"""``mayak train``: fine-tunes the base model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import JsonOption, at_least
from mayak.cli.train_repeats import seeded_runs, show, summary, train_repeats
from mayak.config import OUTPUT, load_train_config
from mayak.i18n import msg

if TYPE_CHECKING:
    from mayak.training import TrainResult


ConfigOption = Annotated[
    str | None,
    Parameter(
        help=msg(
            "Preset repo, paper or nano, or a YAML file (default: repo; nano with --model nano)."
        )
    ),
]
DataOption = Annotated[
    Path,
    Parameter(help=msg("Folder that `mayak prepare` made.")),
]
OutputOption = Annotated[Path, Parameter(help=msg("Folder of the results."))]
ModelOption = Annotated[
    str | None,
    Parameter(help=msg("Base model: hub id, local folder or nano.")),
]
PrecisionOption = Annotated[
    Literal["nf4", "bf16", "fp32"] | None,
    Parameter(help=msg("Of the base's weights.")),
]
EpochsOption = Annotated[int | None, Parameter(help=msg("Passes over the training images."))]
BatchSizeOption = Annotated[int | None, Parameter(help=msg("Images a forward pass."))]
SeedOption = Annotated[int | None, Parameter(help=msg("Seed of everything random."))]
DeviceOption = Annotated[
    str,
    Parameter(help=msg("auto (all GPUs, or the CPU), cpu, cuda, cuda:1 …")),
]
DevicesOption = Annotated[int | None, Parameter(help=msg("How many of them."))]
ResumeOption = Annotated[
    bool,
    Parameter(
        negative="",
        help=msg("Go on with an interrupted run."),
    ),
]
RepeatOption = Annotated[
    int | None,
    Parameter(
        validator=at_least("--repeat", 2),
        help=msg(
            "Train with so many seeds, from the given one on, into OUTPUT_seed42 …; shows mean and "
            "standard deviation."
        ),
    ),
]
OverwriteOption = Annotated[
    bool,
    Parameter(
        negative="",
        help=msg("Discard the run in the output folder."),
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
    repeat: RepeatOption = None,
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
    console = Console()
    if repeat:
        given |= {"config": chosen, "data": data, "device": device, "devices": devices}
        runs = seeded_runs(settings, output, repeat)
        code = train_repeats(
            runs, given, data=data, resume=resume, overwrite=overwrite, console=console
        )
        if code == 0:
            console.json(summary(runs)) if as_json else show(console, summary(runs), data)
        return code
    from mayak.training import train as run

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
            msg("interrupted; the same command with --resume continues from the last checkpoint")
        )
        return 130
    if result.is_leader:  # of several processes of one training
        console.json(result.summary()) if as_json else _show(console, result)
    return 0


def _show(console: Console, result: TrainResult) -> None:
    rows = [
        [msg("validation accuracy"), f"{result.best_accuracy:.4f}"],
        [msg("validation loss"), f"{result.best_loss:.4f}"],
        [msg("best step"), f"{result.best_step}/{result.steps}"],
        [msg("trained parameters"), f"{result.trained_parameters:,}"],
        [msg("images a second"), f"{result.samples_per_second:.2f}"],
    ]
    if result.best_base_tile_accuracy is not None:
        accuracy = f"{result.best_base_tile_accuracy:.4f}"
        name = msg("validation accuracy, base tile alone")
        rows.insert(1, [name, accuracy])
    if result.peak_gpu_gib is not None:
        rows.append([msg("peak GPU memory"), f"{result.peak_gpu_gib:.2f} GiB"])
    console.table(msg("Training"), [msg("figure"), msg("value")], rows)
    console.result(msg("adapter: ") + str(result.final))
