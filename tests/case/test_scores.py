import itertools
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from mayak.case.scores import LABEL, REVIEW_ORDER, ranked, review_key, review_order
from mayak.types import Scores

EVERY = [
    tuple(float(n) for n in values) for values in itertools.product((0.0, 0.25, 0.5, 1.0), repeat=4)
]
"""With all kinds of equals."""


@pytest.mark.parametrize(
    ("values", "label", "best", "margin"),
    [
        ((0.1, 0.2, 0.3, 0.4), 3, 0.4, 0.1),
        ((0.4, 0.4, 0.1, 0.1), 1, 0.4, 0.0),
        ((0.4, 0.1, 0.1, 0.4), 3, 0.4, 0.0),
        ((0.1, 0.1, 0.4, 0.4), 2, 0.4, 0.0),
        ((0.25, 0.25, 0.25, 0.25), 1, 0.25, 0.0),
        ((0.4, 0.2, 0.2, 0.2), 0, 0.4, 0.2),
        ((0.0, 0.25, 0.5, 0.25), 2, 0.5, 0.25),
        ((0.0, 0.0, 0.0, 1.0), 3, 1.0, 1.0),
    ],
)
def test_the_label_has_the_highest_score_and_a_tie_is_never_irrelevant(values, label, best, margin):
    scores = Scores(values, 0.01)
    assert (scores.label, scores.best) == (label, best)
    assert scores.margin == pytest.approx(margin)
    assert scores.is_tied == (margin == 0.0)


@pytest.fixture
def connection():
    with closing(sqlite3.connect(":memory:")) as opened:
        yield opened


def test_sql_computes_the_same_label(connection):
    connection.execute("CREATE TABLE predictions (score_0, score_1, score_2, score_3)")
    connection.executemany("INSERT INTO predictions VALUES (?, ?, ?, ?)", EVERY)
    query = f"SELECT {LABEL} FROM predictions ORDER BY rowid"  # noqa: S608
    found = connection.execute(query)
    assert [label for (label,) in found] == [Scores(values, 0.0).label for values in EVERY]


def test_arrays_compute_the_same_labels_and_margins():
    labels, margins = ranked(np.array(EVERY))
    assert labels.tolist() == [Scores(values, 0.0).label for values in EVERY]
    assert margins.tolist() == [Scores(values, 0.0).margin for values in EVERY]


CONTENTS = [
    (f"{n:064x}", values, has_alert)
    for n, (values, has_alert) in enumerate(itertools.product(EVERY, (False, True)))
]
IN_ORDER = sorted(
    range(len(CONTENTS)),
    key=lambda n: review_key(CONTENTS[n][0], Scores(CONTENTS[n][1], 0.0), has_alert=CONTENTS[n][2]),
)


def test_alerts_then_the_least_irrelevant_then_the_doubtful_are_reviewed_first():
    keys = [
        review_key("e", Scores((0.9, 0.1, 0.0, 0.0), 0.0), has_alert=True),
        review_key("d", None, has_alert=True),
        review_key("c", Scores((0.1, 0.5, 0.4, 0.0), 0.0), has_alert=False),
        review_key("b", Scores((0.1, 0.9, 0.0, 0.0), 0.0), has_alert=False),
        review_key("a", Scores((1.0, 0.0, 0.0, 0.0), 0.0), has_alert=False),
        review_key("0", None, has_alert=False),
    ]
    assert sorted(keys) == keys


def test_sql_sorts_in_the_order_of_review(connection):
    connection.execute("CREATE TABLE predictions (content, score_0, score_1, score_2, score_3)")
    connection.execute("CREATE TABLE alerts (content)")
    connection.executemany(
        "INSERT INTO predictions VALUES (?, ?, ?, ?, ?)",
        [(sha256, *values) for sha256, values, _ in CONTENTS],
    )
    connection.executemany(
        "INSERT INTO alerts VALUES (?)", [(sha256,) for sha256, _, alert in CONTENTS if alert]
    )
    query = f"SELECT content FROM predictions ORDER BY {REVIEW_ORDER}"  # noqa: S608
    found = [sha256 for (sha256,) in connection.execute(query)]
    assert found == [CONTENTS[n][0] for n in IN_ORDER]


def test_arrays_are_sorted_in_the_order_of_review():
    scores = np.array([values for _, values, _ in CONTENTS], np.float32)
    alert = np.array([alert for *_, alert in CONTENTS])
    assert review_order(scores, alert).tolist() == IN_ORDER
    without = np.vstack([np.full((1, 4), np.nan, np.float32), scores])
    assert review_order(without, np.array([False, *alert])).tolist() == [
        *(n + 1 for n in IN_ORDER),
        0,
    ]
