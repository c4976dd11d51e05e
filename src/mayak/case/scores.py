"""Scores of predictions as rows, in SQL and as arrays.

``mayak.types.Scores`` defines the label and the margin. ``LABEL`` and ``ranked`` compute the same
for many predictions at once.
"""

from __future__ import annotations

import sys
from sqlite3 import Row
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mayak.types import Scores

LABEL = (
    "CASE max(score_0, score_1, score_2, score_3) WHEN score_0 THEN 0"
    " WHEN score_1 THEN 1 WHEN score_2 THEN 2 ELSE 3 END"
)
"""SQL expression: the label of a row of ``predictions``."""


def scores(row: Row) -> Scores:
    """Return the scores of a row of ``predictions``.

    Raises:
        ValueError: a score is not a probability.
    """
    values = (row["score_0"], row["score_1"], row["score_2"], row["score_3"])
    off_label = row["off_label"]
    # Written so that NaN fails too.
    if not (all(0 <= score <= 1 for score in values) and abs(off_label) <= sys.float_info.max):
        raise ValueError(f"scores {values}, off_label {off_label}")
    return Scores(values, off_label)


def ranked(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the labels and margins of N predictions, given their scores (N, 4).

    Pass the scores as stored, before they are rounded to 32 bits: rounding makes scores equal.
    """
    top = np.sort(values, axis=1)
    return values.argmax(axis=1), top[:, 3] - top[:, 2]
