"""``mayak train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.config import OUTPUT, load_train_config
from mayak.i18n import msg


def train(
    *,
    config: Annotated[
        str | None,
        Parameter(
            help=msg(
                "Preset repo, paper or nano, or a YAML file (default: repo; nano with --model "
                "nano)."
            )
        ),
    ] = None,
    data: Annotated[
        Path,
        Parameter(help=msg("Folder that `mayak prepare` made.")),
    ] = Path("data"),
    output: Annotated[Path, Parameter(help=msg("Folder of the results."))] = Path(OUTPUT),
    model: Annotated[
        str | None,
        Parameter(help=msg("Base model: hub id, local folder or nano.")),
    ] = None,
    precision: Annotated[
        Literal["nf4", "bf16", "fp32"] | None,
        Parameter(help=msg("Of the base's weights.")),
    ] = None,
    epochs: Annotated[int | None, Parameter(help=msg("Passes over the training images."))] = None,
    batch_size: Annotated[int | None, Parameter(help=msg("Images a forward pass."))] = None,
    seed: Annotated[int | None, Parameter(help=msg("Seed of everything random."))] = None,
    device: Annotated[
        str,
        Parameter(help=msg("auto (all GPUs, or the CPU), cpu, cuda, cuda:1 …")),
    ] = "auto",
    devices: Annotated[int | None, Parameter(help=msg("How many of them."))] = None,
    resume: Annotated[
        bool,
        Parameter(
            negative="",
            help=msg("Go on with an interrupted run."),
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        Parameter(
            negative="",
            help=msg("Discard the run that the output folder holds."),
        ),
    ] = False,
    json: Annotated[bool, Parameter(negative="", help=msg("Result as JSON."))] = False,
) -> int:
    """Fine-tune the base model with QLoRA; options given here win over the configuration."""
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
            msg("interrupted; the same command with --resume goes on from the last checkpoint")
        )
        return 130
    if not result.leads:
        return 0
    if json:
        console.json(result.summary())
        return 0
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
    return 0
