"""Integrity check of a case: find rows and files that were changed, deleted or inserted.

Three hashes protect a row: its own digest (names the row that was changed), the digest over its
batch in the log (finds a row that was changed together with its digest, and names the batch) and
the chain of log entries (finds a rewritten log). If somebody rewrites all three from the start,
only a ``head()`` that was recorded elsewhere shows it.

The database is read in short statements. Because rows are only ever added, a batch that a writer
adds meanwhile is read whole with its log entry or not at all.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mayak.case import schema
from mayak.case.database import (
    GENESIS,
    Database,
    entry_hash,
    require_progress,
    require_uninterrupted,
    row_digest,
)
from mayak.case.folder import IDENTITY, Identity, identity_text, read_identity, read_thumbnail
from mayak.case.records import IntegrityFault, VerificationScope
from mayak.errors import CaseError
from mayak.i18n import msg
from mayak.untrusted import PARSE_ERRORS, RECORD_BYTES, parse_json, read_file

_CHUNK = 500
PAGES = "pages"
"""Key of the fault of which no report can be made."""
_SHARED_PAGE = "2nd reference to page"
"""SQLite's message about a page that is in two places of its trees. In a tree made for it, each
level repeats the one below some hundred times, and reading all rows would take years."""


def audit(folder: Path, database: Database) -> list[IntegrityFault]:
    """Return all faults of the case in ``folder``; a check that fails to run is a fault too."""
    connection = database.connection
    if not database.is_readable:
        return list(_schema(connection))
    checks: tuple[Callable[[], Iterator[IntegrityFault]], ...] = (
        lambda: _integrity(connection),
        lambda: _references(connection),
        lambda: _schema(connection),
        lambda: _chain(connection),
        lambda: _identity(folder, connection),
        lambda: _rows(connection),
        lambda: _thumbnails(folder, connection),
        lambda: _invariants(connection),
    )
    faults: list[IntegrityFault] = []
    # A byte changed by hand may leave text that is not UTF-8; it must be read to be named.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        for check in checks:
            if any(_SHARED_PAGE in fault.message for fault in faults):
                text = msg("pages are used more than once: the rows were not compared")
                faults.append(IntegrityFault("unreadable", "database", PAGES, text))
                break
            try:
                faults.extend(check())
            except (sqlite3.Error, *PARSE_ERRORS) as error:
                require_uninterrupted(error)
                faults.append(
                    IntegrityFault(
                        "unreadable", "database", "", msg("cannot be read ({error})", error=error)
                    )
                )
    finally:
        connection.text_factory = str
    return list(dict.fromkeys(faults))


def extent(database: Database) -> VerificationScope:
    """Return how much ``audit`` compares with recorded hashes."""
    records = sum(_count(database, name) for name in _row_tables())
    (thumbnails,) = database.query("SELECT count(DISTINCT thumbnail) FROM contents")[0]
    return VerificationScope(_count(database, "log"), records, thumbnails)


def _count(database: Database, table: str) -> int:
    return int(database.query(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608


def _integrity(connection: sqlite3.Connection) -> Iterator[IntegrityFault]:
    # Only our tables of a foreign schema: SQL of other objects must not run.
    parts = _tables() if any(_schema(connection)) else [""]
    for part in parts:
        check = f"PRAGMA integrity_check('{part}')" if part else "PRAGMA integrity_check"
        for (found,) in connection.execute(check):
            if found != "ok":
                yield IntegrityFault(
                    "unreadable", "database", "", msg("SQLite finds: {found}", found=found)
                )


def _references(connection: sqlite3.Connection) -> Iterator[IntegrityFault]:
    for part in _tables():
        for table, rowid, parent, _ in connection.execute(f"PRAGMA foreign_key_check('{part}')"):
            yield IntegrityFault(
                "invariant",
                table,
                f"id {rowid}",
                msg("refers to a row of {parent} that is not there", parent=parent),
            )


def _row_tables() -> list[str]:
    """The tables whose rows the log covers."""
    return [name for name in _tables() if name not in ("log", "sqlite_sequence")]


def _tables() -> list[str]:
    """The tables of the newest version; an older case is migrated before it is read."""
    found = schema.pristine(len(schema.migrations()))
    return [str(name) for kind, name, _, _ in found if kind == "table"]


def _schema(connection: sqlite3.Connection) -> Iterator[IntegrityFault]:
    """Tables, indexes, views and triggers as the migrations make them."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    newest = len(schema.migrations())
    yield from schema.faults(
        schema.objects(connection), version if 0 < version <= newest else newest
    )


def _entries(connection: sqlite3.Connection) -> Iterator[sqlite3.Row]:
    after = 0
    query = "SELECT *, sequence AS id FROM log WHERE sequence > ? ORDER BY sequence LIMIT ?"
    while rows := connection.execute(query, (after, _CHUNK)).fetchall():
        require_progress(after, rows)
        yield from rows
        after = rows[-1]["sequence"]


def _chain(connection: sqlite3.Connection) -> Iterator[IntegrityFault]:
    # First: a writer may add entries while they are read.
    counter = _counter(connection)
    for (number,) in connection.execute("SELECT sequence FROM log WHERE sequence < 1").fetchall():
        yield IntegrityFault(
            "inserted", "log", msg("entry {number}", number=number), msg("was inserted")
        )
    previous, last = GENESIS, 0
    for entry in _entries(connection):
        sequence = entry["sequence"]
        if sequence > last + 1:
            yield _deleted("log", "entry", last + 1, sequence - 1)
        if sequence == last + 1 and entry["previous"] != previous:
            yield IntegrityFault(
                "chain",
                "log",
                msg("entry {number}", number=sequence),
                msg("does not follow from the entry before it: one of the two was rewritten"),
            )
        fields = ("sequence", "at", "operator", "action", "detail", "previous")
        if entry_hash(*(entry[name] for name in fields)) != entry["hash"]:
            yield IntegrityFault(
                "changed", "log", msg("entry {number}", number=sequence), msg("was changed")
            )
        previous, last = entry["hash"], sequence
    if counter > last:
        yield _deleted("log", "entry", last + 1, counter)
    if _counter(connection) < last:
        message = msg("was set back: nothing can be added")
        yield IntegrityFault("changed", "sqlite_sequence", "log", message)


def _counter(connection: sqlite3.Connection) -> int:
    """The highest number that a log entry ever had, as SQLite stores it; 0 if it does not."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
    return found[0] if found else 0


def _identity(folder: Path, connection: sqlite3.Connection) -> Iterator[IntegrityFault]:
    try:
        stated = asdict(read_identity(folder))
    except CaseError as error:
        yield IntegrityFault("unreadable", "case.json", "", error.message)
        return
    query = "SELECT detail FROM log WHERE action = 'create' ORDER BY sequence LIMIT 1"
    created = connection.execute(query).fetchone()
    written = parse_json(created["detail"]) if created else {}
    # Compared as bytes too: other programs may read duplicate or additional keys.
    logged: dict[str, Any] = {name: written.get(name) for name in stated}
    identity = Identity(**logged)
    stored = read_file(folder / IDENTITY, RECORD_BYTES, follow=False)
    if stated == asdict(identity) and stored != identity_text(identity):
        yield IntegrityFault("changed", "case.json", "", msg("was changed"))
    for name, value in stated.items():
        if written.get(name) != value:
            yield IntegrityFault(
                "changed",
                "case.json",
                name,
                msg("is {value!r}, the log says {get!r}", value=value, get=written.get(name)),
            )


def _rows(connection: sqlite3.Connection) -> Iterator[IntegrityFault]:
    """Compare every row with its digest, its batch and the log."""
    ends = dict.fromkeys(_row_tables(), 0)
    newest = 0
    for entry in _entries(connection):
        newest = entry["sequence"]
        try:
            covered = parse_json(entry["detail"]).get("rows", {})
            for table in [name for name in covered if name in ends]:
                yield from _batch(connection, table, newest, **covered[table])
                ends[table] = max(ends[table], covered[table]["last"])
        except PARSE_ERRORS:
            continue  # a rewritten entry: the check of the chain reports it
    for table, end in ends.items():
        # Rows that a writer adds meanwhile belong to entries after the newest that was read.
        query = (
            f"SELECT id FROM {table} t WHERE (id < 1 OR id > ?) AND "  # noqa: S608
            "NOT EXISTS (SELECT 1 FROM log WHERE sequence = t.log AND sequence > ?)"
        )
        for (number,) in connection.execute(query, (end, newest)).fetchall():
            yield IntegrityFault("inserted", table, f"id {number}", msg("was inserted"))


def _batch(
    connection: sqlite3.Connection, table: str, sequence: int, first: int, last: int, digest: str
) -> Iterator[IntegrityFault]:
    """Compare the rows of a batch with their digests and with log entry ``sequence``."""
    query = f"SELECT * FROM {table} WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"  # noqa: S608
    running = hashlib.sha256()
    expected, named = first, False
    while rows := connection.execute(query, (expected, last, _CHUNK)).fetchall():
        require_progress(expected - 1, rows)
        for row in rows:
            values: dict[str, Any] = dict(row)
            if row["id"] != expected:
                yield _deleted(table, "id", expected, row["id"] - 1)
                named = True
            if row_digest(table, values) != row["digest"] or row["log"] != sequence:
                yield IntegrityFault("changed", table, f"id {row['id']}", msg("was changed"))
                named = True
            running.update(str(row["digest"]).encode())
            expected = row["id"] + 1
    if expected <= last:
        yield _deleted(table, "id", expected, last)
        named = True
    if not named and running.hexdigest() != digest:
        yield IntegrityFault(
            "changed",
            table,
            _span("id", first, last),
            msg(
                "one of these rows was changed together with its digest (log entry {sequence})",
                sequence=sequence,
            ),
        )


def _deleted(table: str, name: str, first: int, last: int) -> IntegrityFault:
    return IntegrityFault("deleted", table, _span(name, first, last), msg("was deleted"))


def _span(name: str, first: int, last: int) -> str:
    numbers = str(first) if first == last else f"{first}–{last}"
    return msg("entry {number}", number=numbers) if name == "entry" else f"{name} {numbers}"


def _thumbnails(folder: Path, connection: sqlite3.Connection) -> Iterator[IntegrityFault]:
    """Compare every thumbnail with its name, which is its digest.

    A thumbnail that no content names is left by an interrupted batch; it is not a fault.
    """
    query = "SELECT id, thumbnail FROM contents WHERE id > ? ORDER BY id LIMIT ?"
    after = 0
    while rows := connection.execute(query, (after, _CHUNK)).fetchall():
        require_progress(after, rows)
        after = rows[-1]["id"]
        for digest in {row["thumbnail"]: None for row in rows if row["thumbnail"]}:
            key = f"{str(digest)[:2]}/{digest}.jpg"
            try:
                read_thumbnail(folder, digest)
            except FileNotFoundError:
                yield IntegrityFault("deleted", "thumbnails", key, msg("is missing"))
            except OSError as error:
                message = msg("cannot be read ({error})", error=error)
                yield IntegrityFault("unreadable", "thumbnails", key, message)
            except (ValueError, TypeError):
                message = msg("is another file than was written")
                yield IntegrityFault("changed", "thumbnails", key, message)


def _invariants(connection: sqlite3.Connection) -> Iterator[IntegrityFault]:
    """Check that nothing vanished: each item has exactly the outcome it states, each content has an
    item and, in a finished run, a result."""
    query = (
        "SELECT i.id, i.display FROM items i LEFT JOIN failures f ON f.item = i.id"
        " LEFT JOIN exclusions x ON x.item = i.id"
        " LEFT JOIN contents c ON c.sha256 = i.content"
        " WHERE (i.outcome = 'content') != (c.id IS NOT NULL)"
        " OR (i.outcome = 'failure') != (f.id IS NOT NULL)"
        " OR (i.outcome = 'exclusion') != (x.id IS NOT NULL)"
    )
    for number, display in connection.execute(query).fetchall():
        yield IntegrityFault(
            "invariant",
            "items",
            f"id {number}",
            msg("{display} does not have the outcome it states", display=display),
        )
    query = (
        "SELECT id, sha256 FROM contents c"
        " WHERE NOT EXISTS (SELECT 1 FROM places WHERE content = c.sha256)"
    )
    for number, sha256 in connection.execute(query).fetchall():
        message = msg("no item holds {sha256}", sha256=sha256)
        yield IntegrityFault("invariant", "contents", f"id {number}", message)
    query = (
        "SELECT r.id FROM revisions r JOIN items i ON i.id = r.item WHERE i.content IS NOT NULL"
        " OR EXISTS (SELECT 1 FROM revisions b WHERE b.item = r.item AND b.id < r.id"
        "  AND b.content IS NOT NULL)"
    )
    for (number,) in connection.execute(query).fetchall():
        message = msg("revises an item that is a content")
        yield IntegrityFault("invariant", "revisions", f"id {number}", message)
    query = (
        "SELECT d.run, c.sha256 FROM (SELECT run, max(last_content) AS last FROM finishes"
        " GROUP BY run) d JOIN contents c ON c.id <= d.last"
        " WHERE NOT EXISTS (SELECT 1 FROM predictions WHERE run = d.run AND content = c.sha256)"
        " AND NOT EXISTS (SELECT 1 FROM failures WHERE run = d.run AND content = c.sha256)"
    )
    for run, sha256 in connection.execute(query).fetchall():
        message = msg("finished, but {sha256} has no result", sha256=sha256)
        yield IntegrityFault("invariant", "runs", f"id {run}", message)
    query = (
        "SELECT DISTINCT grouping FROM (SELECT grouping FROM group_members"
        " WHERE stack IS NOT NULL GROUP BY grouping, stack HAVING min(number) != max(number))"
    )
    for (number,) in connection.execute(query).fetchall():
        message = msg("has a stack whose images are of several groups")
        yield IntegrityFault("invariant", "groupings", f"id {number}", message)
    yield from _decided(connection)


def _decided(connection: sqlite3.Connection) -> Iterator[IntegrityFault]:
    """Check that an action is of one reviewer and withdraws only that reviewer's decisions, and
    that a sample is whole and judged by the reviewer for whom it was drawn."""
    checks = (
        (
            "SELECT action FROM decisions GROUP BY action HAVING count(DISTINCT reviewer) > 1"
            " OR count(DISTINCT at) > 1 OR min(coalesce(undoes, 0)) != max(coalesce(undoes, 0))"
            " OR min(coalesce(sample, 0)) != max(coalesce(sample, 0))",
            "decisions",
            msg("is not one action of one reviewer"),
        ),
        (
            "SELECT DISTINCT u.action FROM decisions u LEFT JOIN decisions d"
            " ON d.action = u.undoes AND d.content = u.content AND d.reviewer = u.reviewer"
            " AND d.verdict IS NOT NULL AND d.sample IS u.sample"
            " WHERE u.undoes IS NOT NULL AND d.id IS NULL",
            "decisions",
            msg("withdraws what this reviewer had not decided"),
        ),
        (
            "SELECT DISTINCT d.action FROM decisions d JOIN samples s ON s.id = d.sample"
            " WHERE d.reviewer != s.reviewer OR NOT EXISTS"
            "  (SELECT 1 FROM sample_items WHERE sample = d.sample AND content = d.content)",
            "decisions",
            msg("judges what was not drawn for it"),
        ),
        (
            "SELECT DISTINCT action FROM decisions d WHERE seen = 'copy' AND NOT EXISTS"
            " (SELECT 1 FROM decisions WHERE action = d.action AND seen IN ('opened', 'grid'))"
            " OR sample IS NOT NULL AND seen NOT IN ('opened', 'bulk')",
            "decisions",
            msg(
                "states that images were shown in a way in which that action cannot have shown them"
            ),
        ),
        (
            "SELECT id FROM samples s WHERE size !="
            " (SELECT count(*) FROM sample_items WHERE sample = s.id)",
            "samples",
            msg("does not have the size that it states"),
        ),
    )
    for query, table, message in checks:
        name = "action" if table == "decisions" else "id"
        for (number,) in connection.execute(query).fetchall():
            yield IntegrityFault("invariant", table, f"{name} {number}", message)
