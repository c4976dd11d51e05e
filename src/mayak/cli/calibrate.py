"""``mayak calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import (
    DeviceOption,
    ImagesOption,
    JsonOption,
    OwnAdapterOption,
    OwnModelOption,
    PrecisionOption,
    base_of,
)
from mayak.config import FINAL, OUTPUT
from mayak.errors import ConfigError
from mayak.language import tr
from mayak.names import printable

if TYPE_CHECKING:
    from mayak.evaluation.calibrate import CalibrationResult
    from mayak.model.risk_control import RiskBound


def calibrate(
    *,
    adapter: OwnAdapterOption = Path(OUTPUT) / FINAL,
    model: OwnModelOption = None,
    train: Annotated[
        Path,
        Parameter(
            help=tr(
                "Manifest of the images that tier 0's head is fitted to.",
                "0단계 분류기를 맞출 이미지의 목록 파일.",
            )
        ),
    ] = Path("data/train_drug_data.json"),
    manifest: Annotated[
        Path,
        Parameter(
            help=tr(
                "Manifest of the images to calibrate on, none of them trained on.",
                "보정할 이미지의 목록 파일. 학습에 쓰이지 않은 이미지여야 합니다.",
            )
        ),
    ] = Path("data/val_drug_data.json"),
    alpha: Annotated[
        float,
        Parameter(
            help=tr(
                "Of the images that the whole model calls relevant, the share that may be lost.",
                "전체 모델이 관련 있다고 보는 이미지 중 놓쳐도 되는 비율.",
            )
        ),
    ] = 0.01,
    confidence: Annotated[
        float, Parameter(help=tr("Of that promise.", "그 보장의 신뢰 수준."))
    ] = 0.95,
    batch_size: ImagesOption = 8,
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Set how sure an early tier must be to dismiss an image; exit code 1 when nothing can be
    promised or an image could not be read."""
    if batch_size < 1:
        raise ConfigError(
            tr(f"--batch-size is {batch_size}", f"--batch-size가 {batch_size}입니다"),
            remedy=tr("use 1 or more", "1 이상을 쓰십시오"),
        )
    base, revision = base_of(adapter, model)
    from mayak.dataset.manifest import read_manifest
    from mayak.dataset.training_images import Leakage

    fitted, measured = read_manifest(train), read_manifest(manifest)
    leakage = Leakage.of(adapter, measured, instead="data/val_drug_data.json")
    from mayak.evaluation.calibrate import RiskTarget
    from mayak.evaluation.calibrate import calibrate as run
    from mayak.model import load_model

    console = Console()
    vlm = load_model(base, precision=precision, adapter=adapter, device=device, revision=revision)
    found = run(
        vlm,
        fitted,
        measured,
        RiskTarget(alpha, confidence),
        batch_size=batch_size,
        progress=console,
        leakage=leakage,
    )
    path = found.calibration.write(adapter)
    promise = found.calibration.promise
    if as_json:
        console.json(_as_json(found, path))
    else:
        _show(console, found, path)
    if leakage.note:
        console.note(leakage.note)
    for failure in found.failures:
        console.note(tr("left out: ", "제외: ") + f"{printable(failure.path)} ({failure.message})")
    return int(promise is None or bool(found.failures))


def _as_json(found: CalibrationResult, path: Path) -> dict[str, object]:
    made, promise = found.calibration, found.calibration.promise
    return {
        "calibration": str(path),
        "digest": made.digest,
        "engine": made.engine,
        "data": made.data,
        "temperatures": list(made.temperatures),
        "relevant": found.relevant,
        "needed": found.needed,
        "promise": promise
        and {
            "alpha": promise.alpha,
            "confidence": promise.confidence,
            "lost": promise.lost,
            "thresholds": list(promise.thresholds),
            "shares": list(promise.shares),
        },
    }


def _show(console: Console, found: CalibrationResult, path: Path) -> None:
    made, promise = found.calibration, found.calibration.promise
    rows = [
        [
            str(tier),
            name,
            "–" if promise is None else f"{promise.shares[tier]:.1%}",
            f"{made.temperatures[tier]:.2f}",
        ]
        for tier, name in enumerate(
            (
                tr("vision tower, base tile", "시각 인코더, 기본 타일"),
                tr("language model, base tile", "언어 모델, 기본 타일"),
                tr("the whole model", "전체 모델"),
            )
        )
    ]
    console.table(
        tr("Calibration", "보정"),
        [
            tr("tier", "단계"),
            tr("reads", "판독"),
            tr("decides", "결정"),
            tr("temperature", "온도"),
        ],
        rows,
        text_columns=2,
    )
    console.result(_promised(found, promise))
    console.result(tr("calibration: ", "보정 파일: ") + str(path))


def _promised(found: CalibrationResult, promise: RiskBound | None) -> str:
    if promise is None:
        return tr(
            f"nothing can be promised: the whole model calls {found.relevant} of these images "
            f"relevant, {found.needed} are needed (or a larger --alpha); triage will ask the whole "
            "model for every image",
            f"보장할 수 없습니다. 전체 모델이 관련 있다고 본 이미지가 {found.relevant}장이며 "
            f"{found.needed}장이 필요합니다(또는 더 큰 --alpha). 분류 시 모든 이미지를 전체 "
            "모델로 봅니다",
        )
    return tr(
        f"promised: at most {promise.alpha:.1%} of what the whole model calls relevant is lost, "
        f"with {promise.confidence:.0%} confidence; here {promise.lost} of {promise.relevant}",
        f"보장: 전체 모델이 관련 있다고 볼 이미지 중 최대 {promise.alpha:.1%}만 놓칩니다(신뢰 "
        f"수준 {promise.confidence:.0%}). 여기서는 {promise.relevant}장 중 {promise.lost}장",
    )
