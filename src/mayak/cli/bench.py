"""``mayak bench``: measures the stages of triage on this machine."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import (
    BatchSizeOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    PrecisionOption,
    at_least,
    base_of,
)
from mayak.i18n import msg

if TYPE_CHECKING:
    from mayak.bench import Outlook, Stage, StageName


AdapterOption = Annotated[
    Path | None,
    Parameter(
        help=msg(
            "Adapter that `mayak train` made (default: none; next to 4-bit weights it costs time)."
        )
    ),
]
SecondsOption = Annotated[
    float,
    Parameter(
        validator=at_least("--seconds", 0.1),
        help=msg("Time for each of eight stages."),
    ),
]


def bench(
    *,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    batch_size: BatchSizeOption = 8,
    seconds: SecondsOption = 5.0,
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Measure each stage of triage alone, on drawn pictures of a phone's sizes.

    Close other programs first, because they slow the measurement down.
    """
    base, revision = base_of(adapter, model)
    from mayak.bench import MIXES, make_images, measure, outlook
    from mayak.model import load_model
    from mayak.model.cascade import CascadeTiers

    console = Console()
    vlm = load_model(base, precision=precision, adapter=adapter, device=device, revision=revision)
    with tempfile.TemporaryDirectory(prefix="mayak-bench-") as folder:
        stages = measure(
            CascadeTiers(vlm),
            make_images(Path(folder)),
            device=str(vlm.device),
            min_sides=vlm.min_sides,
            min_base_sides=vlm.min_base_sides,
            batch_size=batch_size,
            seconds=seconds,
            progress=console,
        )
    apart = vlm.device.type != "cpu"
    outlooks = [outlook(stages, mix, apart=apart) for mix in MIXES]
    if as_json:
        console.json(
            {
                "model": vlm.engine.model,
                "precision": vlm.engine.precision,
                "device": str(vlm.device),
                "software": dict(vlm.engine.software),
                "stages": [asdict(stage) for stage in stages],
                "outlooks": [asdict(outlook) for outlook in outlooks],
            }
        )
    else:
        console.result(f"{vlm.engine.model}, {vlm.engine.precision}, {vlm.device}")
        _show(console, stages, outlooks)
    return 0


def _show(console: Console, stages: list[Stage], outlooks: list[Outlook]) -> None:
    titles: dict[StageName, str] = {
        "read": msg("read, SHA-256"),
        "decode base": msg("decode for the base tile, PDQ, thumbnail"),
        "decode": msg("decode for all tiles, PDQ, thumbnail"),
        "tiles base": msg("make the base tile"),
        "tiles all": msg("make all tiles"),
        "tower": msg("tier 0: vision tower"),
        "base tile": msg("tier 1: language model, base tile"),
        "full": msg("tier 2: full model"),
    }
    console.table(
        msg("Each stage alone"),
        [
            msg("stage"),
            msg("on"),
            msg("images/s"),
            msg("ms an image"),
        ],
        [
            [titles[stage.name], stage.on, f"{stage.images_s:.1f}", f"{1e3 / stage.images_s:.1f}"]
            for stage in stages
        ],
        text_columns=2,
    )
    console.table(
        msg("Together, at most (arithmetic; tiers 0 / 1 / 2)"),
        [
            msg("images decided by tier"),
            msg("model's time by tier"),
            msg("bound by"),
            msg("images/s"),
            msg("h for 100,000"),
        ],
        [
            [
                _shares(outlook.mix),
                _shares(outlook.model_time),
                _bound(outlook.bound),
                f"{outlook.images_s:.1f}",
                f"{1e5 / outlook.images_s / 3600:.1f}",
            ]
            for outlook in outlooks
        ],
        text_columns=3,
    )


def _shares(parts: tuple[float, float, float]) -> str:
    return " / ".join(f"{100 * part:.0f}" for part in parts) + " %"


def _bound(stage: StageName | None) -> str:
    if stage is None:
        return msg("the processor")
    return {
        "read": msg("reading"),
        "decode": msg("decoding"),
        "tiles all": msg("making tiles"),
    }.get(stage, msg("the model"))
