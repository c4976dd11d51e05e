"""Whatever is changed by hand, ``verify`` names it."""

import hashlib
import json
import sqlite3
from functools import partial

import pytest

from case_samples import digest, fill, images, prediction
from mayak.case import CaseStore
from mayak.case.database import entry_hash, row_digest
from mayak.errors import IntegrityError
from mayak.files import canonical_json


@pytest.fixture
def folder(tmp_path):
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        _, run = fill(store)
        store.add_items(1, images(1, 4))
        first, second = (digest(f"{n}.jpg") for n in (1, 2))
        store.decide("김수사", {first: 3, second: 0})
        store.decide("b", {first: 1})
        store.undo("b")
        store.add_results(run, [prediction("3.jpg", scores=(0.7, 0.1, 0.1, 0.1))])
        sample = store.draw_sample(run, 1, 42, "b")
        store.judge("b", sample, {digest("3.jpg"): 0})
    return tmp_path / "case"


def by_hand(folder, *statements):
    """What someone with a SQLite browser does: the triggers come off and are put back."""
    connection = sqlite3.connect(folder / "case.sqlite", isolation_level=None)
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    triggers = triggers.fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(*([statement] if isinstance(statement, str) else statement))
    for _, sql in triggers:
        connection.execute(sql)
    connection.close()


def faults(folder):
    with CaseStore.read(folder, tampered=True) as store:
        return {(fault.problem, fault.table, fault.key) for fault in store.verify()}


def test_an_untouched_case_has_none(folder):
    by_hand(folder)
    assert faults(folder) == set()


@pytest.mark.parametrize(
    "table",
    [
        "log",
        "sources",
        "source_hashes",
        "contents",
        "items",
        "exclusions",
        "runs",
        "finishes",
        "predictions",
        "failures",
        "groupings",
        "group_members",
        "decisions",
        "samples",
        "sample_items",
    ],
)
def test_the_database_itself_refuses_to_change_or_delete(folder, table):
    connection = sqlite3.connect(folder / "case.sqlite")
    delete, update = f"DELETE FROM {table}", f"UPDATE {table} SET rowid = rowid"  # noqa: S608
    for statement in (delete, update):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE predictions SET score_0 = 0.9", ("changed", "predictions", "id 1")),
        ("UPDATE items SET deleted = 0 WHERE id = 2", ("changed", "items", "id 2")),
        ("UPDATE items SET modified = NULL WHERE id = 1", ("changed", "items", "id 1")),
        ("UPDATE source_hashes SET accepted_damaged = 1", ("changed", "source_hashes", "id 1")),
        ("UPDATE contents SET pdq = zeroblob(32) WHERE id = 2", ("changed", "contents", "id 2")),
        ("UPDATE exclusions SET reason = 'known'", ("changed", "exclusions", "id 1")),
        ("DELETE FROM items WHERE id = 3", ("deleted", "items", "id 3")),
        ("DELETE FROM items WHERE id > 5", ("deleted", "items", "id 6–9")),
        ("DELETE FROM predictions", ("deleted", "predictions", "id 1")),
        ("DELETE FROM predictions", ("invariant", "runs", "id 1")),
        ("DELETE FROM failures WHERE item IS NOT NULL", ("invariant", "items", "id 4")),
        ("DELETE FROM exclusions", ("invariant", "items", "id 5")),
        (
            "INSERT INTO predictions SELECT 99, 1, sha256, 1, 0, 0, 0, 0, 0, 5, '', NULL "
            "FROM contents WHERE id = 3",
            ("inserted", "predictions", "id 99"),
        ),
        (
            "INSERT INTO sources VALUES (2, 'other.zip', 'zip', 9999, '')",
            ("inserted", "sources", "id 2"),
        ),
        ("UPDATE group_members SET stack = 1 WHERE id = 2", ("changed", "group_members", "id 2")),
        ("UPDATE group_members SET stack = 1, number = id", ("invariant", "groupings", "id 1")),
        ("UPDATE decisions SET verdict = 0 WHERE id = 1", ("changed", "decisions", "id 1")),
        ("UPDATE decisions SET reviewer = 'c' WHERE id = 2", ("changed", "decisions", "id 2")),
        (
            "UPDATE decisions SET reviewer = 'c' WHERE id = 2",
            ("invariant", "decisions", "action 1"),
        ),
        ("UPDATE decisions SET undoes = 1 WHERE id = 4", ("invariant", "decisions", "action 3")),
        ("UPDATE decisions SET sample = 1 WHERE id = 3", ("invariant", "decisions", "action 2")),
        ("DELETE FROM decisions WHERE id = 2", ("deleted", "decisions", "id 2")),
        ("DELETE FROM decisions WHERE id > 3", ("deleted", "decisions", "id 5")),
        (
            "INSERT INTO decisions SELECT 6, 5, 'b', at, content, 3, NULL, NULL, log, digest,"
            " NULL, NULL"
            " FROM decisions WHERE id = 1",
            ("inserted", "decisions", "id 6"),
        ),
        (
            "UPDATE decisions SET seen = 'grid', blurred = 1 WHERE id = 1",
            ("changed", "decisions", "id 1"),
        ),
        (
            "UPDATE decisions SET seen = 'copy', blurred = 1 WHERE id = 1",
            ("invariant", "decisions", "action 1"),
        ),
        (
            "UPDATE decisions SET seen = 'grid', blurred = 0 WHERE sample = 1",
            ("invariant", "decisions", "action 4"),
        ),
        ("UPDATE samples SET population = 9", ("changed", "samples", "id 1")),
        ("DELETE FROM sample_items", ("invariant", "samples", "id 1")),
        ("UPDATE log SET operator = 'b' WHERE sequence = 4", ("changed", "log", "entry 4")),
        ("DELETE FROM log WHERE sequence = 5", ("deleted", "log", "entry 5")),
        (
            "DELETE FROM log WHERE sequence = (SELECT max(sequence) FROM log)",
            ("deleted", "log", "entry {last}"),
        ),
        ("DROP INDEX items_content", ("deleted", "schema", "items_content")),
        ("CREATE TABLE notes (text)", ("inserted", "schema", "notes")),
    ],
)
def test_what_is_done_to_a_row_is_named(folder, statement, expected):
    with CaseStore.read(folder) as store:
        last = list(store.log())[-1].sequence
    by_hand(folder, statement)
    problem, table, key = expected
    assert (problem, table, key.format(last=last)) in faults(folder)


def test_a_trigger_left_off_is_named(folder):
    connection = sqlite3.connect(folder / "case.sqlite")
    connection.execute("DROP TRIGGER items_keeps")
    connection.close()
    assert faults(folder) == {("deleted", "schema", "items_keeps")}


def test_a_row_changed_with_its_digest_is_caught_by_its_batch(folder):
    connection = sqlite3.connect(folder / "case.sqlite")
    connection.row_factory = sqlite3.Row
    row = dict(connection.execute("SELECT * FROM items WHERE id = 7").fetchone())
    connection.close()
    row["display"] = "somewhere else"
    forged = row_digest("items", row)
    by_hand(
        folder, ("UPDATE items SET display = ?, digest = ? WHERE id = 7", [row["display"], forged])
    )
    assert faults(folder) == {("changed", "items", "id 6–9")}


def test_a_log_entry_rewritten_with_its_hash_breaks_the_chain(folder):
    connection = sqlite3.connect(folder / "case.sqlite")
    entry = list(connection.execute("SELECT * FROM log WHERE sequence = 5").fetchone())
    connection.close()
    entry[2] = "someone else"
    forged = entry_hash(*entry[:6])
    by_hand(
        folder,
        ("UPDATE log SET operator = ?, hash = ? WHERE sequence = 5", [entry[2], forged]),
    )
    assert faults(folder) == {("chain", "log", "entry 6")}


def test_a_log_rewritten_to_its_end_has_another_head(folder):
    """The limit of what a case can prove by itself."""
    with CaseStore.read(folder) as store:
        head, entries = store.head(), list(store.log())
    updates, previous = [], entries[0].previous
    for entry in entries:
        fields = (
            entry.sequence,
            entry.at,
            "b",
            entry.action,
            canonical_json(entry.detail),
            previous,
        )
        previous, before = entry_hash(*fields), previous
        updates.append(
            (
                "UPDATE log SET operator = 'b', previous = ?, hash = ? WHERE sequence = ?",
                [before, previous, entry.sequence],
            )
        )
    by_hand(folder, *updates)
    assert faults(folder) == set()
    with CaseStore.read(folder) as store:
        assert store.head() != head


def test_a_byte_changed_in_the_file_is_named(folder):
    path = folder / "case.sqlite"
    data = path.read_bytes()
    assert data.count(b"16 \xc3\x97 16 pixels") == 1
    path.write_bytes(data.replace(b"16 \xc3\x97 16 pixels", b"16 \xff\x97 16 pixels"))
    assert faults(folder) == {("changed", "exclusions", "id 1")}


def test_a_database_in_ruins_is_an_answer_not_a_crash(folder):
    path = folder / "case.sqlite"
    connection = sqlite3.connect(path)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'items'")
    start = (root.fetchone()[0] - 1) * 4096
    connection.close()
    data = bytearray(path.read_bytes())
    data[start : start + 4096] = b"\x55" * 4096
    path.write_bytes(data)
    assert ("unreadable", "database", "") in faults(folder)


def test_thumbnails_swapped_or_missing_are_named(folder):
    paths = sorted((folder / "thumbnails").rglob("*.jpg"))
    first, second, third = paths[:3]
    swapped = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(swapped)
    third.unlink()
    keys = [path.relative_to(folder / "thumbnails").as_posix() for path in paths]
    assert faults(folder) == {
        ("changed", "thumbnails", keys[0]),
        ("changed", "thumbnails", keys[1]),
        ("deleted", "thumbnails", keys[2]),
    }


def test_an_edited_case_json_is_named(folder):
    path = folder / "case.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(values | {"name": "case-0418"}), encoding="utf-8")
    assert faults(folder) == {("changed", "case.json", "name")}


@pytest.mark.parametrize(
    ("old", "new"), [("{", '{"operator": "evil",'), ("{", '{"name": "evil",'), ("1,", "true,")]
)
def test_a_case_json_that_other_programs_read_otherwise_is_named(folder, old, new):
    path = folder / "case.json"
    path.write_text(path.read_text().replace(old, new, 1))
    assert faults(folder) == {("changed", "case.json", "")}


def test_an_impossible_date_in_case_json_is_damage(folder):
    path = folder / "case.json"
    path.write_text(path.read_text().replace('"created": "2', '"created": "x'))
    with pytest.raises(IntegrityError, match=r"case\.json is damaged"):
        CaseStore.read(folder)


def test_a_log_entry_before_the_first_is_named(folder):
    fields = (-5, "2020", "evil", "verify", "{}", "0" * 64)
    values = (*fields, entry_hash(*fields))
    by_hand(folder, ("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)", values))
    assert faults(folder) == {("inserted", "log", "entry -5")}


@pytest.mark.parametrize(
    "statement", ["UPDATE sqlite_sequence SET seq = 3", "DELETE FROM sqlite_sequence"]
)
def test_a_log_counter_set_back_is_named(folder, statement):
    by_hand(folder, statement)
    assert faults(folder) == {("changed", "sqlite_sequence", "log")}


def test_a_table_of_somebody_else_is_named_and_hides_nothing(folder):
    by_hand(
        folder,
        "CREATE TABLE x (a)",
        "ANALYZE",
        "INSERT INTO alerts VALUES (9, (SELECT sha256 FROM contents), 'l', 'd', 'md5', 1, 'd')",
    )
    assert faults(folder) == {
        ("inserted", "schema", "x"),
        ("inserted", "schema", "sqlite_stat1"),
        ("inserted", "alerts", "id 9"),
    }


@pytest.mark.parametrize("version", [0, 5, 99])
def test_a_version_changed_by_hand_is_no_older_or_newer_case(folder, version):
    by_hand(folder, f"PRAGMA user_version = {version}")
    for opened in (CaseStore.read, partial(CaseStore.open, operator="a")):
        with pytest.raises(IntegrityError, match=f"it is {version}, the log says"):
            opened(folder)


def test_an_emptied_or_missing_database_is_not_begun_anew(folder):
    path = folder / "case.sqlite"
    path.write_bytes(b"")
    with pytest.raises(IntegrityError, match="is empty"):
        CaseStore.open(folder, operator="a")
    assert path.stat().st_size == 0
    path.unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        CaseStore.read(folder)


def test_the_digests_are_what_the_documentation_says(folder):
    """Anyone can recompute them without mayak."""
    connection = sqlite3.connect(folder / "case.sqlite")
    source, log, stored = connection.execute("SELECT path, log, digest FROM sources").fetchone()
    text = f'["sources",{{"id":1,"kind":"zip","log":{log},"path":"{source}"}}]'
    assert stored == hashlib.sha256(text.encode()).hexdigest()
    *fields, hashed = connection.execute("SELECT * FROM log WHERE sequence = 2").fetchone()
    connection.close()
    text = json.dumps(fields, separators=(",", ":"))
    assert hashed == hashlib.sha256(text.encode()).hexdigest()
