"""What is said anew of items, alerts, and results in the order in which they should be seen."""

import sqlite3

import pytest

from case_samples import ENGINE, content, digest, fill, five_items, images, item, prediction
from mayak.case import Alert, CaseStore, Counts, Duplicate, Exclusion, database, schema
from mayak.errors import CaseError
from mayak.types import Failure


@pytest.fixture
def store(tmp_path):
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        yield store


def test_an_exclusion_is_lifted_and_a_failure_mended(store):
    source, run = fill(store)
    lifted, mended = item("d.png", content("d")), item("c.jpg", Duplicate(digest("a")))
    assert store.counts() == Counts(5, 3, 1, 1, 2)
    assert store.revise_items(source, [lifted, mended]) == 2
    assert store.counts() == Counts(5, 5, 0, 0, 3)
    assert store.exclusion_counts() == {}
    assert store.outcome(source, lifted.location).content == digest("d")
    assert [place.display for place in store.occurrences(digest("a"))] == [
        "phone.zip/a.jpg",
        "phone.zip/copy of a.jpg",
        "phone.zip/c.jpg",
    ]
    assert [missing.display for missing in store.without_result(run)] == ["phone.zip/d.png"]
    assert store.revise_items(source, [lifted, mended]) == 0
    assert store.verify() == []


def test_the_last_word_stands(store):
    source, _ = fill(store)
    for reason in ("first", "second"):
        store.revise_items(source, [item("d.png", Exclusion("exclude", reason))])
    assert store.outcome(source, item("d.png", None).location).exclusion.reason == "second"
    assert store.exclusion_counts() == {"exclude": 1}
    failed = Failure("d.png", "read", "Damaged", "gone")
    store.revise_items(source, [item("d.png", failed)])
    assert store.failure_counts()["Damaged"] == 1
    assert store.first_failures(9)[-1].path.endswith("d.png")
    assert len(store.first_failures(1)) == 1
    assert store.counts() == Counts(5, 3, 2, 0, 2)
    assert store.verify() == []


@pytest.mark.parametrize("name", ["a.jpg", "never seen.jpg"])
def test_a_content_is_not_given_up_and_nothing_unknown_is_revised(store, name):
    source, _ = fill(store)
    with pytest.raises(CaseError, match="cannot be revised"):
        store.revise_items(source, [item(name, Exclusion("exclude", "no"))])
    assert store.counts() == Counts(5, 3, 1, 1, 2)


def test_alerts_come_once_for_each_list(store):
    fill(store)
    alerts = [Alert(digest("b"), name, digest(name), "md5") for name in ("x", "y", "x")]
    assert store.add_alerts(alerts) == 2
    assert store.add_alerts(alerts) == 0
    assert list(store.alerts()) == alerts[:2]
    with pytest.raises(CaseError):
        store.add_alerts([Alert(digest("never seen"), "x", digest("x"), "md5")])
    assert store.verify() == []


def test_results_come_alerts_first_then_the_likely_then_the_doubtful(store):
    source = store.add_source("phone.zip", "zip")
    store.add_items(source, images(1, 5))
    store.add_items(source, [item("copy", Duplicate(digest("4.jpg")), deleted=True)])
    run = store.start_run(ENGINE)
    scores = {
        "1.jpg": (0.9, 0.1, 0.0, 0.0),
        "2.jpg": (0.1, 0.1, 0.1, 0.7),
        "3.jpg": (0.1, 0.4, 0.5, 0.0),
        "4.jpg": (0.05, 0.95, 0.0, 0.0),
        "5.jpg": (1.0, 0.0, 0.0, 0.0),
    }
    store.add_results(run, [prediction(name, scores=s) for name, s in scores.items()])
    store.add_alerts([Alert(digest("5.jpg"), "stolen", digest("x"), "sha1")])
    results = store.results(run, limit=10)
    assert [(r.rank, r.display.removeprefix("phone.zip/")) for r in results] == [
        (1, "5.jpg"),
        (2, "4.jpg"),
        (3, "3.jpg"),
        (4, "2.jpg"),
        (5, "1.jpg"),
    ]
    first, second = results[:2]
    assert (first.alerts, first.scores.label, first.scores.margin) == (("stolen",), 0, 1.0)
    assert (second.occurrences, second.deleted, second.scores.label) == (2, False, 1)
    assert second.scores.margin == pytest.approx(0.9)
    assert [r.rank for r in store.results(run, limit=2)] == [1, 2]
    assert store.label_counts(run) == {0: 2, 1: 1, 2: 1, 3: 1}
    assert store.has_prediction(run, digest("1.jpg"))
    assert not store.has_prediction(run, digest("x"))
    some = [digest("1.jpg"), digest("x"), digest("4.jpg"), digest("1.jpg")]
    assert store.with_prediction(run, some) == {digest("1.jpg"), digest("4.jpg")}
    assert store.with_prediction(run, []) == store.with_prediction(run + 1, some) == set()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE revisions SET rule = 'x' WHERE id = 1", ("changed", "revisions", "id 1")),
        ("DELETE FROM revisions WHERE id = 1", ("deleted", "revisions", "id 1")),
        ("UPDATE alerts SET list = 'y'", ("changed", "alerts", "id 1")),
        (
            "INSERT INTO revisions (id, item, outcome, rule, reason, log, digest)"
            " VALUES (9, 1, 'exclusion', 'x', 'y', 1, '')",
            ("invariant", "revisions", "id 9"),
        ),
        (
            "INSERT INTO alerts SELECT 9, content, list, 'z', kind, log, digest FROM alerts",
            ("inserted", "alerts", "id 9"),
        ),
    ],
)
def test_what_is_done_to_revisions_and_alerts_is_named(store, statement, expected):
    source, _ = fill(store)
    store.revise_items(source, [item("d.png", Exclusion("exclude", "x"))])
    store.add_alerts([Alert(digest("a"), "x", digest("x"), "md5")])
    store.close()
    connection = sqlite3.connect(store.folder / "case.sqlite")
    for table in ("revisions", "alerts"):
        for trigger in ("keeps", "holds"):
            connection.execute(f"DROP TRIGGER {table}_{trigger}")
    connection.execute(statement)
    connection.commit()
    connection.close()
    with CaseStore.read(store.folder, tampered=True) as read:
        found = {(f.problem, f.table, f.key) for f in read.verify()}
    assert expected in found


def test_a_case_of_the_first_version_is_brought_up_to_date(tmp_path, monkeypatch):
    every, add = schema.migrations(), database.Batch.add

    def as_then(batch, table, *, zone_known=None, **values):
        if table in ("exclusions", "failures", "revisions"):
            del values["kind"]
        return add(batch, table, **values)

    with monkeypatch.context() as patch:
        patch.setattr(schema, "migrations", lambda: every[:1])
        patch.setattr(database.Batch, "add", as_then)
        with CaseStore.create(tmp_path / "case", operator="a") as store:
            with store._database.batch("add source") as batch:
                source = batch.add("sources", path="phone.zip", kind="zip")
            store.add_items(source, five_items())
    with CaseStore.open(tmp_path / "case", operator="b") as store:
        assert store.revise_items(source, [item("d.png", content("d"))]) == 1
        assert store.counts() == Counts(5, 4, 1, 0, 3)
        # Nobody knows any more whether their times had a time zone.
        assert {item.times.zone_known for item in store.known_items(source)} == {None}
        assert store.verify() == []
