"""The schema of a case's database: its migrations, and how a database differs from them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from importlib import resources

from mayak.case.records import IntegrityFault, Problem
from mayak.i18n import msg

Object = tuple[object, object, object, object]
"""Type, name, table and SQL of a row of ``sqlite_master``; values of any type in a damaged file."""


_REMOVED: Problem = "deleted"
_ADDED: Problem = "inserted"
_CHANGED: Problem = "changed"


@cache
def migrations() -> tuple[str, ...]:
    """Return the SQL of each version, first to last."""
    folder = resources.files("mayak.case") / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return tuple(file.read_text(encoding="utf-8") for file in files)


def objects(connection: sqlite3.Connection) -> list[Object]:
    """Return all tables, indexes, views and triggers without using them, safe in any database."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    return [tuple(row) for row in rows.fetchall()]


def pristine(version: int) -> list[Object]:
    """Return the objects that the migrations up to a version make."""
    return list(_made_by(migrations()[:version]))


def version_of(found: Sequence[Object]) -> int | None:
    """Return the version whose schema this is, text for text; None if there is none."""
    versions = range(len(migrations()), 0, -1)
    return next((v for v in versions if Counter(found) == Counter(pristine(v))), None)


def faults(found: Sequence[Object], version: int) -> list[IntegrityFault]:
    """Return what was added to, removed from or changed in the schema of a version, by name."""
    expected = pristine(version)
    named = []
    for name in sorted({one[1] for one in (*expected, *found)}, key=str):
        before = Counter(one for one in expected if one[1] == name)
        after = Counter(one for one in found if one[1] == name)
        if before == after:
            continue
        if not after:
            problem, text = _REMOVED, msg("was removed")
        elif not before:
            problem, text = _ADDED, msg("was added by hand")
        else:
            problem, text = _CHANGED, msg("was changed")
        named.append(IntegrityFault(problem, "schema", str(name), text))
    return named


def lacks_only_guards(found: Sequence[Object], version: int) -> bool:
    """Whether only indexes and triggers of a version are missing: reading needs neither."""
    expected, given = Counter(pristine(version)), Counter(found)
    return not given - expected and _are_guards(expected - given)


def is_readable(found: Sequence[Object], version: int) -> bool:
    """Whether reading the tables and views of a version runs nothing but mayak's own SQL.

    A missing index is not used, and neither are tables, views and triggers with other names. A
    changed table or view and a foreign index may compute anything.
    """
    expected, given = Counter(pristine(version)), Counter(found)
    ours = {name for _, name, _, _ in expected}
    return _are_guards(expected - given) and all(
        kind in ("table", "view", "trigger") and name not in ours
        for kind, name, _, _ in given - expected
    )


def _are_guards(some: Iterable[Object]) -> bool:
    return all(kind in ("index", "trigger") for kind, _, _, _ in some)


@cache
def columns(table: str) -> tuple[tuple[str, str, bool], ...]:
    """Return name, declared type and whether it may be empty for each column of a table or view in
    the newest version."""
    with _made(migrations()) as connection:
        rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
    return tuple((name, kind, not (required or key)) for _, name, kind, required, _, key in rows)


@cache
def _made_by(sql: tuple[str, ...]) -> tuple[Object, ...]:
    with _made(sql) as connection:
        return tuple(objects(connection))


@contextmanager
def _made(sql: tuple[str, ...]) -> Iterator[sqlite3.Connection]:
    """An empty database with the schema that these migrations make."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("\n".join(sql))
        yield connection
