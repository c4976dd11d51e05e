"""``mayak calibrate``: sets temperatures and thresholds of the cascade."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mayak.cli.as_triage import show_triage_figures
from mayak.cli.console import Console
from mayak.cli.options import (
    BatchSizeOption,
    DeviceOption,
    JsonOption,
    OwnAdapterOption,
    OwnModelOption,
    PrecisionOption,
    base_of,
)
from mayak.config import FINAL, OUTPUT
from mayak.i18n import msg
from mayak.names import printable

if TYPE_CHECKING:
    from mayak.evaluation.calibrate import CalibrationResult
    from mayak.evaluation.held_out import HeldOut
    from mayak.model.risk_control import RiskBound


TrainOption = Annotated[
    Path,
    Parameter(help=msg("Manifest of the images that tier 0's head is fitted to.")),
]
ManifestOption = Annotated[
    Path,
    Parameter(
        help=msg("Manifest of the images to calibrate on; none of them may be a training image.")
    ),
]
AlphaOption = Annotated[
    float,
    Parameter(
        help=msg("Of the images that the whole model calls relevant, the share that may be lost.")
    ),
]
ConfidenceOption = Annotated[float, Parameter(help=msg("Confidence of that bound."))]


def calibrate(
    *,
    adapter: OwnAdapterOption = Path(OUTPUT) / FINAL,
    model: OwnModelOption = None,
    train: TrainOption = Path("data/train_drug_data.json"),
    manifest: ManifestOption = Path("data/val_drug_data.json"),
    alpha: AlphaOption = 0.01,
    confidence: ConfidenceOption = 0.95,
    batch_size: BatchSizeOption = 8,
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Set how sure an early tier must be to dismiss an image.

    Exit code 1 if there are too few images for a bound, or if an image could not be read.
    """
    base, revision = base_of(adapter, model)
    from mayak.dataset.manifest import read_manifest
    from mayak.dataset.training_images import Leakage

    fitted, measured = read_manifest(train), read_manifest(manifest)
    leakage = Leakage.of(adapter, measured)
    leakage.refuse_seen(measured, instead="data/val_drug_data.json")
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
    bound = found.calibration.risk_bound
    if as_json:
        console.json(_as_json(found, path))
    else:
        _show(console, found, path)
    if leakage.note:
        console.note(leakage.note)
    for failure in found.failures:
        console.note(msg("left out: ") + f"{printable(failure.path)} (" + failure.message + ")")
    return int(bound is None or bool(found.failures))


def _as_json(found: CalibrationResult, path: Path) -> dict[str, object]:
    made, bound = found.calibration, found.calibration.risk_bound
    return {
        "calibration": str(path),
        "digest": made.digest,
        "engine": made.engine,
        "data": made.data,
        "temperatures": list(made.temperatures),
        "relevant": found.relevant,
        "needed": found.needed,
        "promise": bound
        and {
            "alpha": bound.alpha,
            "confidence": bound.confidence,
            "lost": bound.lost,
            "thresholds": list(bound.thresholds),
            "shares": list(bound.shares),
        },
        "held_out": made.held_out,
    }


def _show(console: Console, found: CalibrationResult, path: Path) -> None:
    from mayak.evaluation.triage_figures import TIER_NAMES

    made, bound = found.calibration, found.calibration.risk_bound
    rows = [
        [
            str(tier),
            name,
            "–" if bound is None else f"{bound.shares[tier]:.1%}",
            f"{made.temperatures[tier]:.2f}",
        ]
        for tier, name in enumerate(TIER_NAMES)
    ]
    console.table(
        msg("Calibration"),
        [
            msg("tier"),
            msg("reads"),
            msg("decides"),
            msg("temperature"),
        ],
        rows,
        text_columns=2,
    )
    console.result(_bound_text(found, bound))
    _show_held_out(console, found.held_out)
    console.result(msg("calibration: ") + str(path))


def _show_held_out(console: Console, held_out: HeldOut | None) -> None:
    if held_out is None:
        console.result(
            msg(
                "not measured on held-out images: they are too few for a bound without a twentieth "
                "of them; measure with `mayak evaluate --as-triage`"
            )
        )
        return
    console.result("")
    console.result(
        msg(
            "Held out: each twentieth of the {count} images is measured with temperatures and "
            "thresholds set on the others.",
            count=held_out.metrics.n,
        )
    )
    interval = held_out.metrics.accuracy_interval
    console.result(
        msg("accuracy")
        + f" {held_out.metrics.accuracy:.2%} (95%: {interval.low:.1%}–{interval.high:.1%}) · "
        + msg("Calibration error")
        + f" {held_out.reliability.ece:.3f}"
    )
    show_triage_figures(console, held_out.triage)


def _bound_text(found: CalibrationResult, bound: RiskBound | None) -> str:
    if bound is None:
        return msg(
            "no bound can be given: the whole model calls {relevant} of these images relevant, "
            "{needed} are needed (or a larger --alpha); triage will ask the whole model for every "
            "image",
            relevant=found.relevant,
            needed=found.needed,
        )
    return msg(
        "bound: at most {alpha:.1%} of what the whole model calls relevant is lost, with "
        "{confidence:.0%} confidence; here {lost} of {relevant}",
        alpha=bound.alpha,
        confidence=bound.confidence,
        lost=bound.lost,
        relevant=bound.relevant,
    )
