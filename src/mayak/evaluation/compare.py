"""Paired comparison of two runs on the same images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mayak import metrics
from mayak.errors import ConfigError, ManifestError
from mayak.evaluation import page, plots, record
from mayak.evaluation.record import Row, SavedRun
from mayak.files import json_bytes
from mayak.i18n import Language, msg
from mayak.labels import LABELS

RESULT = "comparison.json"
PAGE = "comparison.html"
_OWN = (RESULT, PAGE, "comparison.png", "comparison.svg")


@dataclass(frozen=True, slots=True)
class Pair:
    """One image in both runs."""

    first: Row
    second: Row


@dataclass(frozen=True)
class Comparison:
    """The changes from the first run to the second, on the images that both could read."""

    first: SavedRun
    second: SavedRun
    pairs: tuple[Pair, ...]
    first_metrics: metrics.Metrics
    second_metrics: metrics.Metrics
    difference: metrics.Interval
    """Of accuracy(second) − accuracy(first)."""
    mcnemar: metrics.McNemar
    n_seen: int
    """Images that one of the models was trained on; they are left out."""
    unpaired: int
    """Other images that only one of the runs could read."""

    @property
    def gain(self) -> float:
        """accuracy(second) − accuracy(first) on the paired images."""
        return self.second_metrics.accuracy - self.first_metrics.accuracy

    @property
    def fixed(self) -> list[Pair]:
        """Wrong in the first run, right in the second."""
        return [pair for pair in self.pairs if pair.second.is_right and not pair.first.is_right]

    @property
    def broken(self) -> list[Pair]:
        """Right in the first run, wrong in the second."""
        return [pair for pair in self.pairs if pair.first.is_right and not pair.second.is_right]

    @property
    def moved(self) -> list[Pair]:
        """Wrong in both runs, with different labels."""
        return [
            pair
            for pair in self.pairs
            if not pair.first.is_right
            and not pair.second.is_right
            and pair.first.predicted != pair.second.predicted
        ]


def compare(first: Path, second: Path, out: Path, *, language: Language = "en") -> Comparison:
    """Pair the runs in two folders and write ``comparison.json``, ``.html``, ``.png``, ``.svg``.

    Raises:
        ConfigError: a folder has no finished run.
        ManifestError: the runs are on different data; names both digests.
    """
    if out.resolve() in (first.resolve(), second.resolve()):
        raise ConfigError(
            msg("{out} is one of the runs compared", out=out),
            remedy=msg("name another with --out"),
        )
    runs = record.read_run(first), record.read_run(second)
    digests = [str(run.figures["dataset"]) for run in runs]
    if digests[0] != digests[1]:
        raise ManifestError(
            msg(
                "the runs are on different data: {first} on {first_data}, {second} on "
                "{second_data}",
                first=first,
                first_data=digests[0],
                second=second,
                second_data=digests[1],
            ),
            remedy=msg("run `mayak zeroshot` and `mayak evaluate` with the same --manifest"),
        )
    result = _paired(*runs)
    figures = _figures(result)
    files = {
        RESULT: json_bytes(figures, allow_nan=False),
        PAGE: _page(result, language).encode(),
    }
    files |= plots.comparison(
        _bars(runs[0], result.first_metrics), _bars(runs[1], result.second_metrics), language
    )
    record.write_files(out, files, last=RESULT, own=_OWN)
    return result


def summary(result: Comparison) -> dict[str, Any]:
    """Return the contents of ``comparison.json``."""
    return _figures(result)


def _paired(first: SavedRun, second: SavedRun) -> Comparison:
    by_id = {row.id: row for row in second.rows}
    # An image that one of the models was trained on says nothing about the other images.
    seen = {row.id for row in (*first.rows, *second.rows) if row.is_seen}
    pairs = tuple(
        Pair(row, by_id[row.id]) for row in first.rows if row.id in by_id and row.id not in seen
    )
    if not pairs:
        raise ManifestError(
            msg(
                "{folder} and {second_folder} have no image in common",
                folder=first.folder,
                second_folder=second.folder,
            ),
            remedy=msg("run both again"),
        )
    groups = [pair.first.group for pair in pairs]
    right = [pair.first.is_right for pair in pairs], [pair.second.is_right for pair in pairs]
    return Comparison(
        first=first,
        second=second,
        pairs=pairs,
        first_metrics=_measured([pair.first for pair in pairs]),
        second_metrics=_measured([pair.second for pair in pairs]),
        difference=metrics.difference_interval(*right, groups),
        mcnemar=metrics.mcnemar(*right, groups),
        n_seen=len(seen),
        unpaired=sum(row.id not in seen for row in (*first.rows, *second.rows)) - 2 * len(pairs),
    )


def _measured(rows: list[Row]) -> metrics.Metrics:
    return metrics.measure(
        [row.label for row in rows],
        [row.predicted for row in rows],
        [row.group for row in rows],
        unclassifiable=True,
    )


def _figures(result: Comparison) -> dict[str, Any]:
    changed = (("fixed", result.fixed), ("broken", result.broken), ("moved", result.moved))
    return {
        "first": _run_figures(result.first, result.first_metrics),
        "second": _run_figures(result.second, result.second_metrics),
        "dataset": result.first.figures["dataset"],
        "n": len(result.pairs),
        "n_unpaired": result.unpaired,
        "n_seen_in_training": result.n_seen,
        "accuracy_difference": result.gain,
        **result.difference.figures("accuracy_difference"),
        "mcnemar": {
            "first_only_right": result.mcnemar.first_only,
            "second_only_right": result.mcnemar.second_only,
            "groups_first_better": result.mcnemar.first_better,
            "groups_second_better": result.mcnemar.second_better,
            "p": result.mcnemar.p,
        },
        "per_class": {
            str(label.index): {
                "support": before.support,
                "recall": [before.recall, after.recall],
                "precision": [before.precision, after.precision],
                "f1": [before.f1, after.f1],
            }
            for label, before, after in zip(
                LABELS,
                result.first_metrics.per_class,
                result.second_metrics.per_class,
                strict=True,
            )
        },
        "changed": {name: _changes(pairs) for name, pairs in changed},
    }


def _run_figures(run: SavedRun, measured: metrics.Metrics) -> dict[str, Any]:
    return {
        "folder": run.folder.name,
        "kind": run.figures["kind"],
        "engine": run.figures["engine"],
        "accuracy": measured.accuracy,
        **measured.accuracy_interval.figures("accuracy"),
        "macro_f1": measured.macro_f1,
    }


def _changes(pairs: Iterable[Pair]) -> list[dict[str, Any]]:
    return [
        {
            "id": pair.first.id,
            "image_path": pair.first.image_path,
            "label": pair.first.label,
            "predicted": [pair.first.predicted, pair.second.predicted],
        }
        for pair in pairs
    ]


def _bars(run: SavedRun, measured: metrics.Metrics) -> plots.Bars:
    rows = measured.per_class
    return plots.Bars(
        name=page.title(run.figures["kind"]),
        values=(measured.accuracy, *(row.recall if row.support else None for row in rows)),
        intervals=(measured.accuracy_interval, *(row.recall_interval for row in rows)),
    )


def _page(result: Comparison, language: Language) -> str:
    root = result.second.image_root
    sections: list[dict[str, Any]] = [
        {
            "title": title,
            "pairs": len(pairs),
            "cards": [
                card | {"before": pair.first}
                for card, pair in zip(
                    page.cards((pair.second for pair in pairs), root), pairs, strict=False
                )
            ],
        }
        for title, pairs in (
            (msg("Put right"), result.fixed),
            (msg("Made wrong"), result.broken),
            (msg("Wrong in another way"), result.moved),
        )
    ]
    cards = [card for section in sections for card in section["cards"]]
    first, second = result.first.figures, result.second.figures
    return page.render(
        "comparison.html.j2",
        language,
        result=result,
        titles=[page.title(first["kind"]), page.title(second["kind"])],
        sections=sections,
        without_images=bool(cards) and not any(card["src"] for card in cards),
        runs=[first, second],
        limits=page.limits(str(second["engine_details"]["model"])),
    )
