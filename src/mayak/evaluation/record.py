"""Files of an evaluate or zeroshot run: written completely or not at all, read by compare."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from mayak import metrics as measures
from mayak.dataset.manifest import Manifest
from mayak.dataset.training_images import Leakage
from mayak.errors import ConfigError
from mayak.evaluation.answer_labels import AnswerLabels
from mayak.evaluation.bounds import Bound, bounds, unread
from mayak.evaluation.rows import PREDICTIONS, Row, csv_text, predictions_csv, read_rows
from mayak.evaluation.triage_figures import TriageFigures
from mayak.files import write_durably
from mayak.i18n import msg, plural, system_error
from mayak.labels import LABELS, UNCLASSIFIABLE
from mayak.types import Engine, Failure
from mayak.untrusted import DOCUMENT_BYTES, PARSE_ERRORS, read_file, read_json

Kind = Literal["zeroshot-generate", "zeroshot-score", "finetuned-generate", "finetuned-score"]
"""What was measured: the untouched or the fine-tuned model, by free answers or by label scores."""

METRICS = "metrics.json"
FAILURES = "failures.csv"
_TABLE_DIGEST = "predictions_sha256"
_FAILURE_COLUMNS = ("image_path", "stage", "error", "message")


def is_generated(kind: Kind) -> bool:
    """Whether a run asked for free answers, which may be unread (−1), and not for scores."""
    return kind.endswith("-generate")


def is_finetuned(kind: Kind) -> bool:
    """Whether a run measured a fine-tuned model."""
    return kind.startswith("finetuned-")


@dataclass(frozen=True)
class EvaluationResult:
    """A finished run. ``rows``, ``seen`` and ``failures`` together are the manifest's samples."""

    kind: Kind
    manifest: Manifest
    engine: Engine
    metrics: measures.Metrics
    """Of ``rows``."""
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]
    leakage: Leakage | None = None
    """None for the base model, which was trained on no image of ours."""
    seen: tuple[Row, ...] = ()
    """Images that the model was trained on, or near copies of such: no figure but
    ``seen_accuracy`` counts them."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """A person's labels of unread answers, by image id."""
    triage: TriageFigures | None = None
    """Of a run that measured what triage runs."""

    @property
    def table(self) -> bytes:
        """Contents of ``predictions.csv``."""
        return predictions_csv(
            self.rows + self.seen, answers=is_generated(self.kind), tiers=self.triage is not None
        )

    @property
    def seen_accuracy(self) -> float | None:
        """Accuracy on ``seen``; None without such images."""
        return sum(row.is_right for row in self.seen) / len(self.seen) if self.seen else None

    @property
    def notes(self) -> list[str]:
        """Cautions for readers of the figures."""
        notes: list[str] = []
        if self.seen:
            notes.append(
                plural(
                    "{n} image is a training image of the adapter or a near copy of one: left out "
                    "of all figures; the accuracy on it is {accuracy:.1%}",
                    "{n} images are training images of the adapter or near copies of some: left "
                    "out of all figures; the accuracy on them is {accuracy:.1%}",
                    len(self.seen),
                    accuracy=self.seen_accuracy,
                )
            )
        if self.leakage is not None and self.leakage.note:
            notes.append(self.leakage.note)
        return notes

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Accuracy by what unread answers are counted as; the same for all if there are none."""
        return bounds(self.rows, self.labels)

    @property
    def off_label(self) -> measures.OffLabel | None:
        """Summary of the off-label masses; None for free answers."""
        masses = [row.off_label for row in self.rows if row.off_label is not None]
        return measures.off_label(masses) if masses else None

    @property
    def calibration(self) -> measures.ScoreReliability | None:
        """Comparison of scores and accuracy; None for free answers."""
        scored = [(row.scores, row.label) for row in self.rows if row.scores is not None]
        if not scored:
            return None
        return measures.calibration([s for s, _ in scored], [label for _, label in scored])

    @property
    def unclassifiable(self) -> int:
        """Number of images without a clear label."""
        return sum(row.predicted == UNCLASSIFIABLE for row in self.rows)


@dataclass(frozen=True, slots=True)
class SavedRun:
    """A finished run, read from its folder."""

    folder: Path
    figures: dict[str, Any]
    """Contents of ``metrics.json``."""
    rows: tuple[Row, ...]
    labels: Mapping[str, int] = field(default_factory=dict)
    """A person's labels of unread answers, by image id."""

    @property
    def kind(self) -> Kind:
        """Which model was measured, and how it was asked."""
        kind: Kind = self.figures["kind"]
        return kind

    @property
    def image_root(self) -> Path:
        """The folder to which image paths are relative: the data folder's parent."""
        return (self.folder / str(self.figures["manifest"])).resolve().parent.parent


def figures(result: EvaluationResult, out: Path) -> dict[str, Any]:
    """Return the contents of ``metrics.json``."""
    measured = result.metrics
    columns = [label.index for label in LABELS]
    if len(measured.confusion[0]) > len(LABELS):
        columns.append(UNCLASSIFIABLE)
    off_label, calibration = result.off_label, result.calibration
    return {
        "kind": result.kind,
        "accuracy": measured.accuracy,
        **measured.accuracy_interval.figures("accuracy"),
        "macro_f1": measured.macro_f1,
        "n": measured.n,
        "n_groups": measured.n_groups,
        "n_failed": len(result.failures),
        "per_class": {
            str(label.index): {
                "precision": row.precision,
                "recall": row.recall,
                "f1": row.f1,
                "support": row.support,
                "recall_ci95": None,
            }
            | (row.recall_interval.figures("recall") if row.recall_interval else {})
            for label, row in zip(LABELS, measured.per_class, strict=True)
        },
        "confusion_matrix": [list(row) for row in measured.confusion],
        "confusion_columns": columns,
        "off_label": off_label and asdict(off_label),
        "calibration": calibration and asdict(calibration),
        "parser": parser_figures(result.rows, result.labels) if is_generated(result.kind) else None,
        "engine": result.engine.fingerprint,
        "engine_details": asdict(result.engine) | {"software": dict(result.engine.software)},
        "dataset": result.manifest.digest,
        "manifest": _relative(result.manifest.path, out),
        "fold": result.manifest.fold and asdict(result.manifest.fold),
        "training_record": _compared(result),
        "as_triage": result.triage and result.triage.as_json(),
        "failures": [_failure_values(failure) for failure in result.failures],
        _TABLE_DIGEST: hashlib.sha256(result.table).hexdigest(),
    }


def parser_figures(rows: Sequence[Row], labels: Mapping[str, int]) -> dict[str, Any]:
    """Return what ``metrics.json`` has of answers that name no label, and of their bounds."""
    missed = unread(rows)
    return {
        "answered": len(rows) - len(missed),
        "unclassifiable": len(missed),
        "labelled": sum(row.id in labels for row in missed),
        "bounds": {bound.reading: bound.as_json() for bound in bounds(rows, labels)},
    }


def _failure_values(failure: Failure) -> dict[str, Any]:
    values = asdict(failure)
    values["place"] = values.pop("entry")  # the key of the file's format
    return values


def _compared(result: EvaluationResult) -> dict[str, Any] | None:
    leakage = result.leakage
    if leakage is None:
        return None
    if leakage.record is None:
        note = (
            "the adapter is without a record: leakage cannot be checked"
            if leakage.compared
            else "not compared: the caller gave no training record"
        )
        return {"digest": None, "validation_images": None, "note": note}
    return {
        "digest": leakage.record,
        "validation_images": leakage.validation_images,
        "related_images": leakage.related_images,
        "namesake_images": leakage.namesake_images,
        "seen": len(result.seen),
        "seen_accuracy": result.seen_accuracy,
        "note": "images seen in training, by SHA-256 or PDQ, are in no other figure"
        if leakage.is_by_pdq
        else "images seen in training, by SHA-256, are in no other figure; the record has no PDQ: "
        "near copies were not looked for",
    }


def failures_csv(failures: Iterable[Failure]) -> str:
    """Return ``failures.csv``."""
    return csv_text(
        _FAILURE_COLUMNS,
        (
            {"image_path": f.path, "stage": f.stage, "error": f.error, "message": f.message}
            for f in failures
        ),
    )


_OLD_KINDS = {"evaluate": "finetuned-score"}
"""Kinds that earlier versions wrote: fine-tuned models could only be measured by scores."""
_REQUIRED = {
    "kind": str,
    "dataset": str,
    "engine": str,
    "engine_details": dict,
    "manifest": str,
    "n": int,
}
_OPTIONAL = ("training_record", "fold")
"""Objects that are null or absent if they do not apply."""


def read_run(folder: Path) -> SavedRun:
    """Read a finished run.

    Raises:
        ConfigError: a file is missing or damaged, or the table is not the one that the figures
            were computed from; names it.
    """
    try:
        found = _read_figures(folder / METRICS)
        table = read_file(folder / PREDICTIONS, DOCUMENT_BYTES)
        if _TABLE_DIGEST in found and found[_TABLE_DIGEST] != hashlib.sha256(table).hexdigest():
            raise _not_its_table(folder)
        rows = read_rows(table)
    except FileNotFoundError as error:
        raise ConfigError(
            msg(
                "{folder} has no finished run ({name} is missing)",
                folder=folder,
                name=Path(error.filename).name,
            ),
            remedy=msg("run `mayak zeroshot` and `mayak evaluate`, or name their folders"),
        ) from error
    except (OSError, csv.Error, *PARSE_ERRORS) as error:
        raise ConfigError(
            msg("the run in {folder} cannot be read ({error})", folder=folder, error=error),
            remedy=msg("run it again"),
        ) from error
    # Earlier versions wrote no digest of the table.
    n_seen = (found.get("training_record") or {}).get("seen", 0)
    is_whole = table.endswith(b"\n") and len(rows) == found["n"] + n_seen
    if not is_whole or len({row.id for row in rows}) != len(rows):
        raise _not_its_table(folder)
    return SavedRun(folder, found, rows, AnswerLabels.of(folder, rows).labels)


def _read_figures(path: Path) -> dict[str, Any]:
    found = read_json(path, DOCUMENT_BYTES)
    if not isinstance(found, dict):
        raise ValueError(msg("{name}: no JSON object", name=path.name))
    missing = [key for key, kind in _REQUIRED.items() if not isinstance(found.get(key), kind)]
    missing += [key for key in _OPTIONAL if not isinstance(found.get(key) or {}, dict)]
    if missing:
        raise ValueError(
            msg(
                "{name}: without {keys}, or not as they should be",
                name=path.name,
                keys=", ".join(missing),
            )
        )
    found["kind"] = _OLD_KINDS.get(found["kind"], found["kind"])
    if found["kind"] not in get_args(Kind):
        raise ValueError(msg("{name}: unknown kind {kind}", name=path.name, kind=found["kind"]))
    return found


def _not_its_table(folder: Path) -> ConfigError:
    return ConfigError(
        msg(
            "{path} is not the one that {name} was computed from: it was changed, or a copy is "
            "incomplete",
            path=folder / PREDICTIONS,
            name=METRICS,
        ),
        remedy=msg("copy the folder again, or run it again"),
    )


def make_folder(out: Path) -> None:
    """Make the output folder.

    Raises:
        ConfigError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            msg(
                "the folder {out} cannot be made ({strerror})",
                out=out,
                strerror=system_error(error),
            ),
            remedy=msg("name another with --out"),
        ) from error


def write_files(out: Path, files: dict[str, bytes], *, last: str, own: Iterable[str]) -> None:
    """Replace this program's files in ``out``, so that none of an older run remains.

    ``last`` marks a finished run: it is removed first and written last, so that a folder with it
    contains one complete run, whenever the process is killed. ``own`` names all files that such a
    run may have; other files in the folder are left alone.
    """
    make_folder(out)
    with writing(out):
        (out / last).unlink(missing_ok=True)
        for name in own:
            if name not in files:
                (out / name).unlink(missing_ok=True)
        for name, data in sorted(files.items(), key=lambda item: item[0] == last):
            write_durably(out / name, data)


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn the system's error about a folder that cannot be written into a ConfigError."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            msg(
                "the folder {out} cannot be written ({strerror})",
                out=out,
                strerror=system_error(error),
            ),
            remedy=msg("make room or name another with --out; the same command continues"),
        ) from error


def _relative(path: Path, folder: Path) -> str:
    """Return a POSIX path relative to the folder, so that both can be moved together; across drives
    an absolute one."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
