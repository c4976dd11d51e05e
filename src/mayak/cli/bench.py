"""``mayak bench``: what this machine does, and where the time goes."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import (
    DeviceOption,
    ImagesOption,
    JsonOption,
    ModelOption,
    PrecisionOption,
    base_of,
)
from mayak.config import BASE_MODEL
from mayak.errors import ConfigError
from mayak.language import tr

if TYPE_CHECKING:
    from mayak.bench import Outlook, Stage, StageName


def bench(
    *,
    model: ModelOption = None,
    adapter: Annotated[
        Path | None,
        Parameter(
            help=tr(
                "Adapter that `mayak train` made (default: none; beside 4-bit weights it costs "
                "time).",
                "`mayak train`이 만든 어댑터 폴더 (기본: 없음. 4비트 가중치에서는 시간이 더 "
                "걸립니다).",
            )
        ),
    ] = None,
    batch_size: ImagesOption = 8,
    seconds: Annotated[
        float, Parameter(help=tr("Time for each of eight stages.", "여덟 단계 각각의 측정 시간."))
    ] = 5.0,
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Measure each stage of triage alone, on drawn pictures of a phone's sizes.

    Close other programs first: they take their share.
    """
    for name, value, least in (("--batch-size", batch_size, 1), ("--seconds", seconds, 0.1)):
        if value < least:
            raise ConfigError(
                tr(f"{name} is {value}", f"{name}이(가) {value}입니다"),
                remedy=tr(f"use {least} or more", f"{least} 이상을 쓰십시오"),
            )
    name, revision = (model or BASE_MODEL, None) if adapter is None else base_of(adapter, model)
    from mayak.bench import MIXES, make_images, measure, outlook
    from mayak.model import load_model
    from mayak.model.cascade import CascadeTiers

    console = Console()
    vlm = load_model(name, precision=precision, adapter=adapter, device=device, revision=revision)
    with tempfile.TemporaryDirectory(prefix="mayak-bench-") as folder:
        stages = measure(
            CascadeTiers(vlm),
            make_images(Path(folder)),
            device=str(vlm.device),
            least=vlm.least,
            least_for_base=vlm.least_for_base,
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
        "read": tr("read, SHA-256", "읽기, SHA-256"),
        "decode base": tr(
            "decode for the base tile, PDQ, thumbnail", "기본 타일용 디코딩, PDQ, 축소 그림"
        ),
        "decode": tr("decode for all tiles, PDQ, thumbnail", "모든 타일용 디코딩, PDQ, 축소 그림"),
        "tiles base": tr("make the base tile", "기본 타일 만들기"),
        "tiles all": tr("make all tiles", "모든 타일 만들기"),
        "tower": tr("tier 0: vision tower", "0단계: 비전 타워"),
        "base tile": tr("tier 1: language model, base tile", "1단계: 언어 모델, 기본 타일"),
        "full": tr("tier 2: full model", "2단계: 전체 모델"),
    }
    console.table(
        tr("Each stage alone", "단계별(각각 따로 측정)"),
        [
            tr("stage", "단계"),
            tr("on", "장치"),
            tr("images/s", "장/초"),
            tr("ms an image", "장당 ms"),
        ],
        [
            [titles[stage.name], stage.on, f"{stage.images_s:.1f}", f"{1e3 / stage.images_s:.1f}"]
            for stage in stages
        ],
        text_columns=2,
    )
    console.table(
        tr(
            "Together, at most (arithmetic; tiers 0 / 1 / 2)",
            "합쳐서 최대(계산값, 0 / 1 / 2단계)",
        ),
        [
            tr("images decided by tier", "단계별 결정 이미지"),
            tr("model's time by tier", "단계별 모델 시간"),
            tr("bound by", "병목"),
            tr("images/s", "장/초"),
            tr("h for 100,000", "10만 장(시간)"),
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
        return tr("the processor", "프로세서")
    return {
        "read": tr("reading", "읽기"),
        "decode": tr("decoding", "디코딩"),
        "tiles all": tr("making tiles", "타일 만들기"),
    }.get(stage, tr("the model", "모델"))
