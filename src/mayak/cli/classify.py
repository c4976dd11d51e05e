"""``mayak classify``: prints the scores of a few image files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import (
    AdapterOption,
    BatchSizeOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    PrecisionOption,
    base_of,
)
from mayak.errors import ConfigError, DecodeError
from mayak.i18n import msg, system_error
from mayak.imaging import decode_file
from mayak.labels import LABELS, numbered_label
from mayak.names import printable
from mayak.types import Classifier, DecodedImage, Failure, OutcomeReason, Prediction

if TYPE_CHECKING:
    from collections.abc import Iterable


FilesArgument = Annotated[
    Path,
    Parameter(
        json_list=False,  # a file's name may begin with a bracket
        help=msg("Image files."),
    ),
]


def classify(
    *files: FilesArgument,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    batch_size: BatchSizeOption = 8,
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Classify image files; exit code 1 if a file could not be read."""
    _check(files)
    base, revision = base_of(adapter, model)
    from mayak.model import LabelScorer, load_model

    console = Console()
    vlm = load_model(base, precision=precision, adapter=adapter, device=device, revision=revision)
    found, failures = classified(LabelScorer(vlm, batch_size, compiled=False), files)
    if as_json:
        console.json(
            {
                "engine": vlm.engine.fingerprint,
                "predictions": [_as_json(path, prediction) for path, prediction in found],
                "failures": [
                    {"path": f.path, "stage": f.stage, "error": f.error, "message": f.message}
                    for f in failures
                ],
            }
        )
    else:
        _show(console, found, failures)
    return int(bool(failures))


def classified(
    classifier: Classifier, files: Iterable[Path]
) -> tuple[list[tuple[Path, Prediction]], list[Failure]]:
    """Classify the files; return their predictions in order, and the files that failed."""
    read: list[Path] = []
    failures: list[Failure] = []

    def images() -> Iterator[DecodedImage]:
        for path in files:
            try:
                image = decode_file(path)
            except DecodeError as error:
                failures.append(
                    Failure(str(path), "decode", OutcomeReason.DECODE_ERROR, error.message)
                )
            except OSError as error:
                reason = system_error(error)
                failures.append(Failure(str(path), "read", type(error).__name__, reason))
            else:
                read.append(path)
                yield image

    predictions = list(classifier.classify(images()))
    return list(zip(read, predictions, strict=True)), failures


def _check(files: tuple[Path, ...]) -> None:
    if not files:
        raise ConfigError(
            msg("no files are named"),
            remedy="mayak classify photo.jpg …",
        )
    if folders := [str(path) for path in files if path.is_dir()]:
        raise ConfigError(
            msg("{folders}: a folder", folders=", ".join(folders)),
            remedy=msg("name image files, for example with FOLDER/*.jpg"),
        )


def _show(console: Console, found: list[tuple[Path, Prediction]], failures: list[Failure]) -> None:
    if found:
        columns = [
            msg("file"),
            msg("label"),
            *(label.answer for label in LABELS),
            msg("off-label"),
        ]
        rows = [
            [
                printable(str(path)),
                numbered_label(prediction.scores.label, is_tied=prediction.scores.is_tied),
                *(f"{score:.3f}" for score in prediction.scores.values),
                f"{prediction.scores.off_label:.2g}",
            ]
            for path, prediction in found
        ]
        console.table(msg("Scores by label"), columns, rows)
    for failure in failures:
        console.note(msg("not read: ") + f"{printable(failure.path)} (" + failure.message + ")")


def _as_json(path: Path, prediction: Prediction) -> dict[str, Any]:
    return {
        "path": printable(str(path)),
        "sha256": prediction.sha256,
        "label": prediction.scores.label,
        "name": LABELS[prediction.scores.label].name,
        "tied": prediction.scores.is_tied,
        "scores": list(prediction.scores.values),
        "off_label": prediction.scores.off_label,
        "calibrated": prediction.is_calibrated,
    }
