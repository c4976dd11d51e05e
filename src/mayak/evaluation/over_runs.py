"""Mean and spread over runs of one kind: several seeds on one test set, or the folds of a
cross-validation."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from mayak import metrics
from mayak.errors import ConfigError
from mayak.evaluation import page, record
from mayak.evaluation.alike import BASE_PARTS
from mayak.evaluation.record import SavedRun
from mayak.evaluation.two_by_two import measure_rows, seen_ids
from mayak.files import json_bytes
from mayak.i18n import Language, join, msg
from mayak.labels import LABELS

RESULT = "summary.json"
PAGE = "summary.html"

Design = Literal["seeds", "folds"]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several runs."""

    mean: float
    sd: float | None
    """Sample standard deviation (n − 1); None of a single value."""
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Return the spread of values; None if there are none."""
        if not values:
            return None
        sd = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.mean(values), sd, min(values), max(values))


@dataclass(frozen=True)
class RunsSummary:
    """Runs of one kind with their figures."""

    runs: tuple[SavedRun, ...]
    measured: tuple[metrics.Metrics, ...]
    """Of each run, without images that one of the models was trained on."""
    n_seen: int
    """Such images."""
    design: Design
    pooled: metrics.Metrics | None
    """Over the images of all folds; None for several seeds on the same images."""

    @property
    def accuracy(self) -> Spread | None:
        """Of all runs."""
        return Spread.of([its.accuracy for its in self.measured])

    @property
    def macro_f1(self) -> Spread | None:
        """Of all runs."""
        return Spread.of([its.macro_f1 for its in self.measured])

    def per_class(self, label: int) -> dict[str, Spread | None]:
        """Return the spread of recall, precision and F1, over the runs with images of a label."""
        rows = [its.per_class[label] for its in self.measured if its.per_class[label].support]
        wanted: dict[str, Callable[[metrics.ClassMetrics], float]] = {
            "recall": lambda row: row.recall,
            "precision": lambda row: row.precision,
            "f1": lambda row: row.f1,
        }
        return {name: Spread.of([get(row) for row in rows]) for name, get in wanted.items()}


def summarise(folders: Sequence[Path], out: Path, *, language: Language = "en") -> RunsSummary:
    """Read runs of one kind and write ``summary.json`` and ``summary.html``.

    Raises:
        ConfigError: a folder has no finished run, there are fewer than two, or they are not of one
            kind: other models, the same adapter twice, or test sets that are neither one nor the
            folds of a cross-validation.
    """
    if out.resolve() in {folder.resolve() for folder in folders}:
        raise ConfigError(
            msg("{out} is one of the runs compared", out=out),
            remedy=msg("name another with --out"),
        )
    runs = tuple(record.read_run(folder) for folder in folders)
    _refuse_unlike(runs)
    design = _design(runs)
    seen = seen_ids(runs)
    counted = [[row for row in run.rows if row.id not in seen] for run in runs]
    result = RunsSummary(
        runs=runs,
        measured=tuple(map(measure_rows, counted)),
        n_seen=len(seen),
        design=design,
        pooled=measure_rows([row for rows in counted for row in rows])
        if design == "folds"
        else None,
    )
    files = {
        RESULT: json_bytes(figures(result), allow_nan=False),
        PAGE: _page(result, language).encode(),
    }
    record.write_files(out, files, last=RESULT, own=tuple(files))
    return result


def figures(result: RunsSummary) -> dict[str, Any]:
    """Return the contents of ``summary.json``."""
    pooled = result.pooled
    return {
        "design": result.design,
        "kind": result.runs[0].kind,
        "accuracy": _values(result.accuracy),
        "macro_f1": _values(result.macro_f1),
        "n_seen_in_training": result.n_seen,
        "per_class": {
            str(label.index): {
                name: _values(spread) for name, spread in result.per_class(label.index).items()
            }
            for label in LABELS
        },
        "pooled": pooled
        and {"n": pooled.n, "accuracy": pooled.accuracy}
        | pooled.accuracy_interval.figures("accuracy"),
        "runs": [
            {
                "folder": run.folder.name,
                "engine": run.figures["engine"],
                "dataset": run.figures["dataset"],
                "n": its.n,
                "n_unclassifiable": unclassifiable(its),
                "n_failed": run.figures.get("n_failed"),
                "accuracy": its.accuracy,
                **its.accuracy_interval.figures("accuracy"),
                "macro_f1": its.macro_f1,
            }
            for run, its in zip(result.runs, result.measured, strict=True)
        ],
    }


def unclassifiable(measured: metrics.Metrics) -> int:
    """Return the number of images without a clear label, which count as wrong."""
    return sum(row[-1] for row in measured.confusion)  # its last column is −1


def _chose_checkpoint(run: SavedRun) -> int:
    """Return how many of a run's images its model's checkpoint was chosen by, as far as known."""
    return int((run.figures.get("training_record") or {}).get("validation_images") or 0)


def _values(spread: Spread | None) -> dict[str, Any] | None:
    return None if spread is None else asdict(spread)


def _refuse_unlike(runs: Sequence[SavedRun]) -> None:
    if len(runs) < 2:
        raise ConfigError(
            msg("a mean needs two runs or more"),
            remedy=msg("name the folders of several `mayak evaluate`"),
        )
    kinds = {
        ", ".join(
            [run.kind, *(str(run.figures["engine_details"].get(part)) for part in BASE_PARTS)]
        )
        for run in runs
    }
    if len(kinds) > 1:
        listed = "; ".join(sorted(kinds))
        raise ConfigError(
            msg("the runs are not of one kind: {listed}", listed=listed),
            remedy=msg("compare two kinds with `mayak compare`"),
        )
    for one, other in combinations(runs, 2):
        if all(one.figures[key] == other.figures[key] for key in ("engine", "dataset")):
            raise ConfigError(
                msg(
                    "{first} and {second} are the same model on the same images",
                    first=one.folder,
                    second=other.folder,
                ),
                remedy=msg("name each run once"),
            )


def _design(runs: Sequence[SavedRun]) -> Design:
    """Return whether the runs have one test set, or are the folds of a cross-validation.

    Test sets without a common image are not enough: one may be a validation set, whose images chose
    the checkpoint.
    """
    if len({run.figures["dataset"] for run in runs}) == 1:
        return "seeds"
    for one, other in combinations(runs, 2):
        if {row.id for row in one.rows} & {row.id for row in other.rows}:
            raise ConfigError(
                msg(
                    "the test sets of {first} and {second} overlap in part",
                    first=one.folder,
                    second=other.folder,
                ),
                remedy=msg("name runs on one test set, or on the folds of `mayak prepare --folds`"),
            )
    _refuse_other_folds(runs)
    return "folds"


def _refuse_other_folds(runs: Sequence[SavedRun]) -> None:
    """Refuse runs that are not, each once, all folds of one cross-validation with a model each."""
    test_sets = msg(
        "name the runs on the test set of each folder that `mayak prepare --folds` made"
    )
    folds = [run.figures.get("fold") for run in runs]
    for run, fold in zip(runs, folds, strict=True):
        if fold is None:
            raise ConfigError(
                msg(
                    "the runs are on different images, and those of {folder} are not the test set "
                    "of a fold",
                    folder=run.folder,
                ),
                remedy=test_sets,
            )
    known = [fold for fold in folds if fold is not None]
    numbers = sorted(fold["number"] for fold in known)
    if len({(fold["folds"], fold["input"]) for fold in known}) > 1 or numbers != list(
        range(1, known[0]["folds"] + 1)
    ):
        raise ConfigError(
            msg(
                "the runs are not all folds of one cross-validation: {listed}",
                listed=join(
                    ", ",
                    [
                        msg("fold {number} of {folds}", number=fold["number"], folds=fold["folds"])
                        for fold in known
                    ],
                ),
            ),
            remedy=test_sets,
        )
    adapters = {str(run.figures["engine_details"].get("adapter")) for run in runs}
    if len(adapters) < len(runs):
        raise ConfigError(
            msg("the folds were not tested with a model each"),
            remedy=msg(
                "train an adapter on each fold; measure the untouched model on all images, from a "
                "folder made with `mayak prepare --test-only`"
            ),
        )


def _page(result: RunsSummary, language: Language) -> str:
    model = str(result.runs[0].figures["engine_details"]["model"])
    return page.render(
        "summary.html.j2",
        language,
        result=result,
        title=page.title(result.runs[0].kind),
        model=model.split("@")[0],
        rows=list(zip(result.runs, result.measured, strict=True)),
        notes=[*notes(result), *page.limits(model)],
    )


def notes(result: RunsSummary) -> list[str]:
    """Return what the spread measures and what it does not, and what counted as wrong.

    That intervals over folds are too narrow: Bates, Hastie and Tibshirani, "Cross-validation: what
    does it estimate and how well does it do it?", JASA 2023.
    """
    seeds = msg(
        "The standard deviation shows how the runs differ on one test set: by the seed alone, if "
        "nothing else of their training differs. It does not cover the choice of the images; the "
        "interval of each run does."
    )
    folds = msg(
        "The standard deviation shows how the folds differ. It is not the error of the mean, "
        "because the folds share training images. For this reason the interval over all images can "
        "be too narrow as well."
    )
    found: list[str] = [seeds if result.design == "seeds" else folds]
    if result.n_seen:
        found.append(
            msg(
                "{n} images are training images of one of the models, or near copies of them, and "
                "are left out.",
                n=result.n_seen,
            )
        )
    if count := sum(map(_chose_checkpoint, result.runs)):
        found.append(
            msg(
                "{n} images chose the checkpoint of the model that was measured on them: the "
                "figures are too good.",
                n=count,
            )
        )
    if count := sum(map(unclassifiable, result.measured)):
        found.append(
            msg("Images without a clear label count as wrong: {count} in all runs.", count=count)
        )
    return found
