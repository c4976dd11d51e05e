"""The two-by-two table: {untouched, fine-tuned} × {free answers, label scores}.

The paper compares the untouched model's free answers with the fine-tuned model's answers. Two
things can change there: the model, and how it is asked. Only two cells of one column show what
fine-tuning adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mayak import metrics
from mayak.evaluation.bounds import Bound, Reading, bounds, read_as, reading_name, readings, unread
from mayak.evaluation.record import Kind, SavedRun, is_finetuned, is_generated
from mayak.evaluation.rows import Row
from mayak.i18n import Message, msg

KINDS: tuple[tuple[Kind, Kind], ...] = (
    ("zeroshot-generate", "zeroshot-score"),
    ("finetuned-generate", "finetuned-score"),
)
"""The cells, row by row."""
_COMMANDS: dict[Kind, str] = {
    "zeroshot-generate": "mayak zeroshot",
    "zeroshot-score": "mayak zeroshot --by score",
    "finetuned-generate": "mayak evaluate --by generate",
    "finetuned-score": "mayak evaluate",
}


@dataclass(frozen=True)
class TableCell:
    """One run, on the images that all compared runs could read."""

    run: SavedRun
    rows: tuple[Row, ...]
    bounds: tuple[Bound, ...]
    """The first one counts unread answers as wrong; a run by scores has no other."""
    n_unread: int
    n_labelled: int
    """Unread answers that a person has looked at."""

    @classmethod
    def of(cls, run: SavedRun, shared: Mapping[str, object]) -> TableCell:
        """Make the cell of a run; ``shared`` has the ids of the images to count."""
        rows = tuple(row for row in run.rows if row.id in shared)
        if not is_generated(run.kind):
            return cls(run, rows, bounds(rows, {})[:1], 0, 0)
        missed = unread(rows)
        labelled = sum(row.id in run.labels for row in missed)
        return cls(run, rows, bounds(rows, run.labels), len(missed), labelled)


@dataclass(frozen=True, slots=True)
class Change:
    """The paired difference from one run to another on the same images."""

    n: int
    difference: float
    """accuracy(second) − accuracy(first)."""
    interval: metrics.Interval
    mcnemar: metrics.McNemar

    def as_json(self) -> dict[str, Any]:
        """Return the values for ``comparison.json``."""
        return {
            "n": self.n,
            "accuracy_difference": self.difference,
            **self.interval.figures("accuracy_difference"),
            "mcnemar": {
                "first_only_right": self.mcnemar.first_only,
                "second_only_right": self.mcnemar.second_only,
                "groups_first_better": self.mcnemar.first_better,
                "groups_second_better": self.mcnemar.second_better,
                "p": self.mcnemar.p,
            },
        }


@dataclass(frozen=True)
class LikeWithLike:
    """What fine-tuning changes if both models are asked in the same way."""

    first: SavedRun
    second: SavedRun
    changes: Mapping[Reading, Change]
    """By what unread answers are counted as; runs by scores have ``wrong`` only. ``labelled`` only
    if a person has labelled every unread answer of both: the others would count as wrong, which
    favours the run with more labels."""
    n_unread: int
    n_labelled: int
    """Unread answers of both runs, and those that a person has looked at."""


@dataclass(frozen=True)
class TwoByTwo:
    """The cells that were measured, and what changes from the first row to the second."""

    cells: tuple[TableCell, ...]
    like_with_like: tuple[LikeWithLike, ...]

    @classmethod
    def of(cls, runs: Sequence[SavedRun]) -> TwoByTwo:
        """Make the table of runs on the same data, on the images that all of them could read."""
        shared = dict.fromkeys(shared_ids(runs))
        cells = tuple(TableCell.of(run, shared) for run in runs)
        by_kind = {cell.run.kind: cell for cell in cells}
        pairs = [
            (by_kind[first], by_kind[second])
            for first, second in zip(*KINDS, strict=True)
            if first in by_kind and second in by_kind
        ]
        return cls(cells, tuple(_like_with_like(first, second) for first, second in pairs))

    def cell(self, kind: Kind) -> TableCell | None:
        """Return the cell of a kind; None if it was not measured."""
        return next((cell for cell in self.cells if cell.run.kind == kind), None)

    @property
    def has_one_run_per_cell(self) -> bool:
        """Whether no two runs are of the same kind, so that they fit in the table."""
        return len({cell.run.kind for cell in self.cells}) == len(self.cells)

    @property
    def missing(self) -> list[str]:
        """Commands that measure the cells that are missing."""
        return [_COMMANDS[kind] for row in KINDS for kind in row if self.cell(kind) is None]

    def as_json(self) -> dict[str, Any]:
        """Return the values for ``comparison.json``."""
        return {
            "cells": [_cell_values(cell) for cell in self.cells],
            "like_with_like": [
                {
                    "by": "generate" if is_generated(pair.first.kind) else "score",
                    "first": pair.first.folder.name,
                    "second": pair.second.folder.name,
                    "unread": {name: change.as_json() for name, change in pair.changes.items()},
                }
                for pair in self.like_with_like
            ],
        }


def seen_ids(runs: Sequence[SavedRun]) -> set[str]:
    """Return the ids of the images that one of the models was trained on.

    Such an image says nothing about the other images, so no run counts it.
    """
    return {row.id for run in runs for row in run.rows if row.is_seen}


def shared_ids(runs: Sequence[SavedRun]) -> list[str]:
    """Return the ids of the unseen images that all runs could read, in order."""
    others = [{row.id for row in run.rows} for run in runs[1:]]
    seen = seen_ids(runs)
    ids = (row.id for row in runs[0].rows if row.id not in seen)
    return [name for name in ids if all(name in other for other in others)]


def change(first: Sequence[Row], second: Sequence[Row]) -> Change | None:
    """Return the paired difference on the images of both; None if there are none."""
    by_id = {row.id: row for row in second}
    pairs = [(row, by_id[row.id]) for row in first if row.id in by_id]
    if not pairs:
        return None
    before, after = [one.is_right for one, _ in pairs], [two.is_right for _, two in pairs]
    groups = [one.group for one, _ in pairs]
    return Change(
        n=len(pairs),
        difference=(sum(after) - sum(before)) / len(pairs),
        interval=metrics.difference_interval(before, after, groups),
        mcnemar=metrics.mcnemar(before, after, groups),
    )


def measure_rows(rows: Sequence[Row]) -> metrics.Metrics:
    """Return the figures of some rows of a run."""
    return metrics.measure(
        [row.label for row in rows],
        [row.predicted for row in rows],
        [row.group for row in rows],
        unclassifiable=True,
    )


def _like_with_like(first: TableCell, second: TableCell) -> LikeWithLike:
    n_unread = first.n_unread + second.n_unread
    n_labelled = first.n_labelled + second.n_labelled
    is_labelled = 0 < n_labelled == n_unread
    wanted = readings(labelled=is_labelled) if is_generated(first.run.kind) else ("wrong",)
    found = {
        name: change(
            read_as(first.rows, name, first.run.labels),
            read_as(second.rows, name, second.run.labels),
        )
        for name in wanted
    }
    changes = {name: one for name, one in found.items() if one is not None}
    return LikeWithLike(first.run, second.run, changes, n_unread, n_labelled)


def _cell_values(cell: TableCell) -> dict[str, Any]:
    values = {
        "folder": cell.run.folder.name,
        "kind": cell.run.kind,
        **cell.bounds[0].as_json(),
    }
    if is_generated(cell.run.kind):
        values["n_unread"] = cell.n_unread
        values["n_labelled"] = cell.n_labelled
        values["unread"] = {bound.reading: bound.as_json() for bound in cell.bounds}
    return values


# --- the table in words -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table as it is shown: a title and, by column, a figure and its detail."""

    title: str
    is_bound: bool
    """Whether the line belongs to the one above it and counts unread answers differently."""
    cells: tuple[tuple[str, str], ...]


def way(kind: Kind) -> Message:
    """Return how a run asked the model; the heading of a column."""
    return msg("free answers") if is_generated(kind) else msg("label scores")


def columns() -> list[Message]:
    """Return the headings of the table's columns."""
    return [way(kind) for kind in KINDS[0]]


def lines(table: TwoByTwo) -> list[Line]:
    """Return the lines of the table: both models, each with its bounds, and the difference."""
    shown: list[Line] = []
    for kinds in KINDS:
        cells = [table.cell(kind) for kind in kinds]
        title = msg("fine-tuned") if is_finetuned(kinds[0]) else msg("untouched")
        shown += _model_lines(title, cells)
    return shown + _difference_lines(table)


def _model_lines(title: str, cells: Sequence[TableCell | None]) -> list[Line]:
    mains = tuple(
        _bound_text(cell.bounds[0]) if cell else ("–", msg("not measured")) for cell in cells
    )
    shown = [Line(title, False, mains)]
    generated = cells[0]
    if generated is not None and generated.n_unread:
        shown += [
            Line(_bound_title(generated, bound), True, (_bound_text(bound), ("", "")))
            for bound in generated.bounds[1:]
        ]
    return shown


def _bound_title(cell: TableCell, bound: Bound) -> Message:
    if bound.reading == "labelled":
        counts = {"n": cell.n_unread, "n_labelled": cell.n_labelled}
        if cell.n_labelled == cell.n_unread:
            return msg("{n} unread answers, {n_labelled} of them labelled by a person", **counts)
        return msg(
            "{n} unread answers, {n_labelled} of them labelled by a person, the others counted as "
            "wrong",
            **counts,
        )
    return msg("{n} unread answers {reading}", n=cell.n_unread, reading=reading_name(bound.reading))


def _bound_text(bound: Bound) -> tuple[str, str]:
    if bound.accuracy is None or bound.interval is None:
        return "–", msg("no image is left")
    low, high = 100 * bound.interval.low, 100 * bound.interval.high
    detail = msg("95%: {low:.1f}–{high:.1f}, {n} images", low=low, high=high, n=bound.n)
    return f"{bound.accuracy:.2%}", detail + _mark(bound.interval)


def _difference_lines(table: TwoByTwo) -> list[Line]:
    by_way = {is_generated(pair.first.kind): pair for pair in table.like_with_like}
    if not by_way:
        return []
    answers = by_way.get(True)
    generated = answers.changes if answers else {}
    scored = by_way[False].changes if False in by_way else {}
    shown = [
        Line(
            msg("difference, like with like"),
            False,
            (_change_text(generated.get("wrong")), _change_text(scored.get("wrong"))),
        )
    ]
    # Without an unread answer all readings are the same.
    if any(cell.n_unread for cell in table.cells):
        shown += [
            Line(_reading_title(name), True, (_change_text(one), ("", "")))
            for name, one in generated.items()
            if name != "wrong"
        ]
    if answers and 0 < answers.n_labelled < answers.n_unread:
        open_ = msg(
            "{n_open} of {n} unread answers not labelled",
            n_open=answers.n_unread - answers.n_labelled,
            n=answers.n_unread,
        )
        shown.append(Line(_reading_title("labelled"), True, (("–", open_), ("", ""))))
    return shown


def _reading_title(reading: Reading) -> Message:
    return msg("unread answers {reading}", reading=reading_name(reading))


def _change_text(one: Change | None) -> tuple[str, str]:
    if one is None:
        return "–", msg("not measured")
    low, high = 100 * one.interval.low, 100 * one.interval.high
    detail = msg("95%: {low:+.1f} … {high:+.1f}, {n} images", low=low, high=high, n=one.n)
    return points(one.difference), detail + _mark(one.interval)


def _mark(interval: metrics.Interval) -> str:
    return msg(" · too few groups") if interval.has_too_few_groups else ""


def points(difference: float) -> Message:
    """Return a difference of two shares in percentage points."""
    return msg("{points:+.2f} points", points=100 * difference)
