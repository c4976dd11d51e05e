"""Scores of predictions as rows, in SQL and as arrays, and the order of review that they give.

``mayak.types.Scores`` defines the label and the margin. ``LABEL`` and ``ranked`` compute the same
for many predictions at once. ``review_key`` defines the order of review, and ``REVIEW_ORDER`` and
``review_order`` sort by it.
"""

from __future__ import annotations

import sys
from math import inf
from sqlite3 import Row
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mayak.types import Scores

LABEL = (
    "CASE max(score_0, score_1, score_2, score_3)"
    " WHEN score_1 THEN 1 WHEN score_2 THEN 2 WHEN score_3 THEN 3 ELSE 0 END"
)
"""SQL expression: the label of a row of ``predictions``."""

REVIEW_ORDER = (
    "EXISTS (SELECT 1 FROM alerts WHERE content = predictions.content) DESC,"
    " score_0, max(score_0, score_1, score_2, score_3), content"
)
"""SQL terms of ``ORDER BY``: rows of ``predictions`` of one run in the order of review."""


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
    relevant = values[:, 1:]
    labels = np.where(values[:, 0] > relevant.max(axis=1), 0, 1 + relevant.argmax(axis=1))
    return labels, top[:, 3] - top[:, 2]


def review_key(
    sha256: str, scores: Scores | None, *, has_alert: bool
) -> tuple[bool, float, float, str]:
    """Return the sort key of a content in the order in which to examine contents.

    Alerts come first, then the rest by the probability that the image is irrelevant, lowest first;
    of equals the doubtful first. Contents without scores come after those with scores.
    """
    if scores is None:
        return not has_alert, inf, inf, sha256
    return not has_alert, scores.values[0], scores.best, sha256


def review_order(values: NDArray[Any], has_alert: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the rows of N contents in the order of review, given their scores (N, 4), NaN for a
    content without scores, and whether they have an alert (N,). Equals keep their order."""
    order: NDArray[np.int64] = np.lexsort((values.max(axis=1), values[:, 0], ~has_alert))
    return order
