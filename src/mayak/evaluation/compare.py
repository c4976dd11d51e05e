"""Paired comparison of two runs on the same images, and the two-by-two table of up to four."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mayak import metrics
from mayak.errors import ConfigError, ManifestError
from mayak.evaluation import page, plots, record, two_by_two
from mayak.evaluation.alike import cautions, check_alike, differing
from mayak.evaluation.record import SavedRun
from mayak.evaluation.rows import Row
from mayak.evaluation.two_by_two import Change, TwoByTwo
from mayak.files import json_bytes
from mayak.i18n import Language, Message, msg
from mayak.labels import LABELS, UNCLASSIFIABLE

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
    """The changes from the first run to the second, on the images that all runs could read."""

    first: SavedRun
    second: SavedRun
    pairs: tuple[Pair, ...]
    first_metrics: metrics.Metrics
    second_metrics: metrics.Metrics
    change: Change
    n_seen: int
    """Images that one of the models was trained on; they are left out."""
    unpaired: int
    """Other images that some of the runs could not read."""
    table: TwoByTwo

    @property
    def cautions(self) -> list[Message]:
        """What a reader must know before the difference, in sentences."""
        unread = [pair.first for pair in self.fixed_unread]
        return cautions(self.first, self.second, self.table, len(self.fixed), unread)

    @property
    def fixed(self) -> list[Pair]:
        """Wrong in the first run, right in the second."""
        return [pair for pair in self.pairs if pair.second.is_right and not pair.first.is_right]

    @property
    def fixed_unread(self) -> list[Pair]:
        """Those of ``fixed`` whose first answer the parser could not read."""
        if not record.is_generated(self.first.kind):
            return []
        return [pair for pair in self.fixed if pair.first.predicted == UNCLASSIFIABLE]

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


def compare(
    first: Path, second: Path, out: Path, *, others: Sequence[Path] = (), language: Language = "en"
) -> Comparison:
    """Pair the runs in two folders and write ``comparison.json``, ``.html``, ``.png``, ``.svg``.

    ``others`` are further cells of the two-by-two table.

    Raises:
        ConfigError: a folder has no finished run.
        ManifestError: the runs are on different data, or what changed between them cannot be
            attributed to training; names what differs.
    """
    folders = (first, second, *others)
    if out.resolve() in [folder.resolve() for folder in folders]:
        raise ConfigError(
            msg("{out} is one of the runs compared", out=out),
            remedy=msg("name another with --out"),
        )
    runs = [record.read_run(folder) for folder in folders]
    check_alike(runs)
    result = _paired(runs)
    files = {
        RESULT: json_bytes(figures(result)),
        PAGE: _page(result, language).encode(),
    }
    files |= plots.comparison(
        _bars(runs[0], result.first_metrics), _bars(runs[1], result.second_metrics), language
    )
    record.write_files(out, files, last=RESULT, own=_OWN)
    return result


def _paired(runs: Sequence[SavedRun]) -> Comparison:
    seen = two_by_two.seen_ids(runs)
    shared = two_by_two.shared_ids(runs)
    first, second = ({row.id: row for row in run.rows} for run in runs[:2])
    pairs = tuple(Pair(first[name], second[name]) for name in shared)
    before, after = [pair.first for pair in pairs], [pair.second for pair in pairs]
    change = two_by_two.change(before, after)
    if change is None:
        raise ManifestError(
            msg(
                "{folders} have no image in common",
                folders=", ".join(str(run.folder) for run in runs),
            ),
            remedy=msg("run them again"),
        )
    return Comparison(
        first=runs[0],
        second=runs[1],
        pairs=pairs,
        first_metrics=two_by_two.measure_rows(before),
        second_metrics=two_by_two.measure_rows(after),
        change=change,
        n_seen=len(seen),
        unpaired=len({row.id for run in runs for row in run.rows} - seen) - len(pairs),
        table=TwoByTwo.of(runs),
    )


def figures(result: Comparison) -> dict[str, Any]:
    """Return the contents of ``comparison.json``."""
    changed = (("fixed", result.fixed), ("broken", result.broken), ("moved", result.moved))
    return {
        "first": _run_figures(result.first, result.first_metrics),
        "second": _run_figures(result.second, result.second_metrics),
        "dataset": result.first.figures["dataset"],
        "differs": differing(result.first, result.second),
        "cautions": result.cautions,
        "n_unpaired": result.unpaired,
        "n_seen_in_training": result.n_seen,
        **result.change.as_json(),
        "two_by_two": result.table.as_json(),
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
        "n_fixed_unread": len(result.fixed_unread),
        "changed": {name: _changes(pairs) for name, pairs in changed},
    }


def _run_figures(run: SavedRun, measured: metrics.Metrics) -> dict[str, Any]:
    return {
        "folder": run.folder.name,
        "kind": run.kind,
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
        name=page.title(run.kind),
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
        titles=[page.title(result.first.kind), page.title(result.second.kind)],
        lines=two_by_two.lines(result.table),
        columns=two_by_two.columns(),
        is_unlike={"training", "way"} <= set(differing(result.first, result.second)),
        sections=sections,
        without_images=bool(cards) and not any(card["src"] for card in cards),
        runs=[first, second],
        limits=page.limits(str(second["engine_details"]["model"])),
    )
