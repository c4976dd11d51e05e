"""The table of a run, ``predictions.csv``: one row per evaluated image."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mayak.i18n import msg
from mayak.labels import LABELS
from mayak.untrusted import PARSE_ERRORS

PREDICTIONS = "predictions.csv"
_SCORES = tuple(f"score_{label.index}" for label in LABELS)
_SEEN = "seen_in_training"
_COLUMNS = ("id", "image_path", "sha256", "label", "predicted", *_SCORES, "off_label", "group")


@dataclass(frozen=True, slots=True)
class Row:
    """One evaluated image and the model's answer."""

    id: str
    image_path: str
    sha256: str
    group: str
    label: int
    predicted: int
    """0–3, or −1 for a free answer without a clear label, or two labels with the same score."""
    scores: tuple[float, ...] | None
    """Four scores that sum to 1; None for a free answer."""
    off_label: float | None
    answer: str | None
    is_seen: bool = False
    """Whether the model was trained on the image, or on a near copy of it."""
    tier: int | None = None
    """Tier of the cascade that decided; None for a free answer."""
    whole_model: int | None = None
    """Label that the whole model gives the image; ``predicted`` if no earlier tier decided."""

    @property
    def is_right(self) -> bool:
        """Whether the prediction is the label."""
        return self.predicted == self.label


def predictions_csv(rows: Sequence[Row], *, answers: bool, tiers: bool) -> bytes:
    """Return ``predictions.csv``. ``answers`` adds the column of free answers, ``tiers`` the tier
    that decided and the label that the whole model gives; images seen in training add one that
    marks them."""
    columns = _COLUMNS
    if answers:
        columns += ("answer",)
    if tiers:
        columns += ("tier", "whole_model")
    if any(row.is_seen for row in rows):
        columns += (_SEEN,)
    return csv_text(columns, map(_cells, rows)).encode()


def read_rows(table: bytes) -> tuple[Row, ...]:
    """Parse ``predictions.csv``.

    Raises:
        ValueError: a row is incomplete or damaged; names it.
    """
    rows = []
    text = io.StringIO(table.decode("utf-8"), newline="")
    for number, cells in enumerate(csv.DictReader(text), 1):
        try:
            if None in cells or None in cells.values():
                raise ValueError("a row of another length than the header")
            rows.append(_row(cells))
        except PARSE_ERRORS as error:
            raise ValueError(
                msg("{name}, row {number}: incomplete or damaged", name=PREDICTIONS, number=number)
            ) from error
    return tuple(rows)


def csv_text(columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> str:
    """Return a CSV table with a header; keys without a column are left out."""
    text = io.StringIO()
    # RFC 4180's line end: only with it does the writer quote a lone carriage return in a name.
    writer = csv.DictWriter(text, tuple(columns), extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _cells(row: Row) -> dict[str, Any]:
    scores = row.scores or ("",) * len(LABELS)
    cells = asdict(row) | dict(zip(_SCORES, map(_figure, scores), strict=True))
    cells[_SEEN] = "yes" if row.is_seen else ""
    return cells | {"off_label": _figure("" if row.off_label is None else row.off_label)}


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.8f}"


def _row(cells: dict[str, str]) -> Row:
    scored = all(cells[name] for name in _SCORES)
    return Row(
        id=cells["id"],
        image_path=cells["image_path"],
        sha256=cells["sha256"],
        group=cells["group"],
        label=int(cells["label"]),
        predicted=int(cells["predicted"]),
        scores=tuple(float(cells[name]) for name in _SCORES) if scored else None,
        off_label=float(cells["off_label"]) if cells["off_label"] else None,
        answer=cells.get("answer"),
        is_seen=bool(cells.get(_SEEN)),
        tier=int(cells["tier"]) if cells.get("tier") else None,
        whole_model=int(cells["whole_model"]) if cells.get("whole_model") else None,
    )
