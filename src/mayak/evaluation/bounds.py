"""Bounds of the accuracy of free answers: what answers that name no label can be counted as.

An unread answer (−1) may be the model's fault or the parser's. No single figure is fair to both, so
each is given: counted as wrong, left out, counted as 0 (the fallback of the paper's script), and as
a person has labelled them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from mayak.evaluation.rows import Row
from mayak.i18n import Message, msg
from mayak.labels import UNCLASSIFIABLE
from mayak.metrics import Interval, share_interval

Reading = Literal["wrong", "left_out", "as_0", "labelled"]
"""What an unread answer is counted as."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Accuracy under one reading of the unread answers."""

    reading: Reading
    n: int
    n_right: int
    interval: Interval | None
    """None if no image is left."""

    @property
    def accuracy(self) -> float | None:
        """Share of right answers; None if no image is left."""
        return self.n_right / self.n if self.n else None

    def as_json(self) -> dict[str, Any]:
        """Return the values of the bound for ``metrics.json`` and ``comparison.json``."""
        interval = self.interval.figures("accuracy") if self.interval else {"accuracy_ci95": None}
        return {"n": self.n, "accuracy": self.accuracy, **interval}


def unread(rows: Sequence[Row]) -> list[Row]:
    """Return the rows whose answer names no label."""
    return [row for row in rows if row.predicted == UNCLASSIFIABLE]


def readings(*, labelled: bool) -> tuple[Reading, ...]:
    """Return the readings that there are: the last one only after a person has labelled answers."""
    return ("wrong", "left_out", "as_0", *(("labelled",) if labelled else ()))


def read_as(rows: Sequence[Row], reading: Reading, labels: Mapping[str, int]) -> list[Row]:
    """Return the rows under one reading; ``labels`` are a person's, by id.

    An answer that the person left unread, or has not labelled yet, stays −1 and is wrong.
    """
    if reading == "wrong":
        return list(rows)
    if reading == "left_out":
        return [row for row in rows if row.predicted != UNCLASSIFIABLE]
    return [
        replace(row, predicted=0 if reading == "as_0" else labels.get(row.id, UNCLASSIFIABLE))
        if row.predicted == UNCLASSIFIABLE
        else row
        for row in rows
    ]


def bounds(rows: Sequence[Row], labels: Mapping[str, int]) -> tuple[Bound, ...]:
    """Return the accuracy of a run's rows under every reading."""
    wanted = readings(labelled=bool(labels))
    return tuple(_bound(reading, read_as(rows, reading, labels)) for reading in wanted)


def _bound(reading: Reading, rows: Sequence[Row]) -> Bound:
    right = [row.is_right for row in rows]
    interval = share_interval(right, [row.group for row in rows]) if rows else None
    return Bound(reading, len(rows), sum(right), interval)


def reading_name(reading: Reading) -> Message:
    """Return what happens to unread answers, in words."""
    return {
        "wrong": msg("counted as wrong"),
        "left_out": msg("left out"),
        "as_0": msg("counted as 0 (as the published script did)"),
        "labelled": msg("as a person labelled them"),
    }[reading]
