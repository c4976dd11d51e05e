import itertools
import sqlite3

import numpy as np
import pytest

from mayak.case.scores import LABEL, ranked
from mayak.types import Scores

EVERY = [
    tuple(float(n) for n in values) for values in itertools.product((0.0, 0.25, 0.5, 1.0), repeat=4)
]
"""With all kinds of equals."""


@pytest.mark.parametrize(
    ("values", "label", "best", "margin"),
    [
        ((0.1, 0.2, 0.3, 0.4), 3, 0.4, 0.1),
        ((0.4, 0.4, 0.1, 0.1), 0, 0.4, 0.0),
        ((0.0, 0.25, 0.5, 0.25), 2, 0.5, 0.25),
        ((0.0, 0.0, 0.0, 1.0), 3, 1.0, 1.0),
    ],
)
def test_the_label_is_the_lowest_of_the_highest_scores(values, label, best, margin):
    scores = Scores(values, 0.01)
    assert (scores.label, scores.best) == (label, best)
    assert scores.margin == pytest.approx(margin)


def test_sql_computes_the_same_label():
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE predictions (score_0, score_1, score_2, score_3)")
    connection.executemany("INSERT INTO predictions VALUES (?, ?, ?, ?)", EVERY)
    query = f"SELECT {LABEL} FROM predictions ORDER BY rowid"  # noqa: S608
    found = connection.execute(query)
    assert [label for (label,) in found] == [Scores(values, 0.0).label for values in EVERY]


def test_arrays_compute_the_same_labels_and_margins():
    labels, margins = ranked(np.array(EVERY))
    assert labels.tolist() == [Scores(values, 0.0).label for values in EVERY]
    assert margins.tolist() == [Scores(values, 0.0).margin for values in EVERY]
