"""The SQLite database of a case: connection, migrations, and batches with their log entry.

Every change is a ``Batch``: rows and the log entry that covers them, in one transaction. The log
entry's ``detail["rows"]`` holds for each table the ids ``first`` to ``last`` and the SHA-256 over
the rows' digests in that order, so the chain of log entries covers every row.

The journal is SQLite's rollback journal (TRUNCATE, ``synchronous=FULL``), never a WAL: SQLite up to
3.51.2 can lose data when a WAL is reset, and a case on read-only media could not be read. Readers
therefore read in short statements, page by page, so that no writer waits for long.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mayak.case import schema
from mayak.case.folder import (
    DATABASE,
    STORAGE_REMEDY,
    integrity_error,
    newer,
    require_regular,
    storage_error,
)
from mayak.errors import CaseError, IntegrityError
from mayak.files import canonical_json, json_digest
from mayak.i18n import join, msg
from mayak.names import printable, storable
from mayak.untrusted import PARSE_ERRORS, parse_json

GENESIS = "0" * 64
"""The previous hash in the first log entry."""

Value = str | int | float | bytes | None

_PAGE = 500
_MAX_WAITING_ROWS = 10_000
"""Rows of a table that a batch keeps in memory before it writes them. More than ordinary batches
have: if rows are written before their log entry, SQLite checks for each further row whether it
satisfies a waiting reference."""
_TEMPORARY = ""
"""Address of a temporary database, in memory or in a file that SQLite removes by itself:
https://www.sqlite.org/inmemorydb.html#temp_db"""
_TIMEOUT = 60.0
"""Seconds that a writer waits for readers and a reader for the writer's commit."""
_MAX_BYTES = 2**26
"""Bytes of a value or a row. A damaged file may claim any length; no row of ours reaches 1 MB."""
_EXTRA_ROWS = 10_000
"""Rows of an answer that come from the query alone, or are not in the file yet."""
_ROW_BYTES = 64
"""Fewer than a row of ours takes: the digest alone takes as many."""
_STEPS = 100_000
"""Instructions of SQLite's machine, some milliseconds, between two checks for Ctrl-C."""
_PAGES_PER_STEP = 10_000
"""Pages of one step of a copy."""
_MAX_NAMED = 20
"""Objects of a foreign schema that the message names; the rest are counted."""


def row_digest(table: str, row: Mapping[str, Value]) -> str:
    """Return the SHA-256 of a row without its digest.

    Empty columns are omitted, so that a migration can add a column without changing the digests of
    older rows.
    """
    values = {name: v for name, v in row.items() if v is not None and name != "digest"}
    return json_digest([table, values])


def entry_hash(
    sequence: int, at: str, operator: str, action: str, detail: str, previous: str
) -> str:
    """Return the SHA-256 of a log entry; ``detail`` is the stored text."""
    return json_digest([sequence, at, operator, action, detail, previous])


@dataclass(slots=True)
class _Rows:
    """Rows that a batch adds to one table."""

    first: int
    next: int
    waiting: list[dict[str, Value]] = field(default_factory=list)
    running: hashlib._Hash = field(default_factory=hashlib.sha256)


class Batch:
    """Rows to be written together, and the log entry that covers them, within one transaction."""

    def __init__(self, connection: sqlite3.Connection, detail: dict[str, Any]) -> None:
        self.connection = connection
        self.detail = detail
        self._tables: dict[str, _Rows] = {}
        # Not the last entry's sequence: where entries were deleted by hand, the gap must stay.
        last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
        if last is not None and not isinstance(last["seq"], int):  # a table without types
            raise sqlite3.DatabaseError("sqlite_sequence has no number")
        self._sequence = (last["seq"] if last else 0) + 1

    @property
    def empty(self) -> bool:
        """Whether nothing was added."""
        return not self._tables

    def add(self, table: str, **values: Value) -> int:
        """Add a row; return its id."""
        rows = self._tables.get(table)
        if rows is None:
            query = f"SELECT coalesce(max(id), 0) + 1 FROM {table}"  # noqa: S608
            first = self.connection.execute(query).fetchone()[0]
            rows = self._tables[table] = _Rows(first, first)
        number = rows.next
        rows.next += 1
        row: dict[str, Value] = {"id": number}
        for name, value in values.items():
            if isinstance(value, str):
                value = storable(value)
            elif isinstance(value, bool):
                value = int(value)
            row[name] = value
        row["log"] = self._sequence
        row["digest"] = digest = row_digest(table, row)
        rows.running.update(digest.encode())
        rows.waiting.append(row)
        if len(rows.waiting) == _MAX_WAITING_ROWS:
            self._insert(table)
        return number

    def write(self, at: str, operator: str, action: str) -> None:
        """Write the log entry and the rows it covers into the open transaction."""
        execute = self.connection.execute
        head = execute("SELECT hash FROM log ORDER BY sequence DESC LIMIT 1").fetchone()
        previous = head[0] if head else GENESIS
        covered = {
            table: {
                "first": rows.first,
                "last": rows.next - 1,
                "digest": rows.running.hexdigest(),
            }
            for table, rows in self._tables.items()
        }
        detail = canonical_json({**self.detail, "rows": covered} if covered else self.detail)
        hashed = entry_hash(self._sequence, at, storable(operator), action, detail, previous)
        execute(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self._sequence, at, storable(operator), action, detail, previous, hashed),
        )
        for table in self._tables:
            self._insert(table)

    def _insert(self, table: str) -> None:
        """Write the waiting rows, so that a transaction need not fit into memory."""
        rows = self._tables[table].waiting
        if rows:
            names = list(rows[0])
            marks = ", ".join(f":{name}" for name in names)
            self.connection.executemany(
                f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})",  # noqa: S608
                rows,
            )
            rows.clear()


class Database:
    """One connection to a case's database, for one thread at a time."""

    def __init__(
        self, folder: Path, *, operator: str | None, new: bool = False, tampered: bool = False
    ) -> None:
        """Connect; without an operator read-only.

        ``tampered`` is for the audit, which names each object of a foreign schema: if the database
        is not ``is_readable`` then, no row may be read.

        Raises:
            CaseError: the database cannot be used.
            IntegrityError: mayak did not make the folder or the schema.
        """
        self.folder = folder
        self.is_readable = True
        self.operator = operator
        path = folder / DATABASE
        require_regular(folder, writing=operator is not None)
        if not path.exists():
            raise integrity_error(
                folder, msg("the database {database} is missing", database=DATABASE)
            )
        with self.translated():
            self.connection = _connect(_address(path, "rw" if operator is not None else "ro"))
            try:
                if operator is None:
                    self._recover(path)
                if not new and not self._has_own_schema(tampered=tampered) and not self.is_readable:
                    return
                if operator is not None:
                    for pragma in ("journal_mode = TRUNCATE", "synchronous = FULL"):
                        self.connection.execute(f"PRAGMA {pragma}")
                self._check_version()
                if operator is not None:
                    # Only now: a migration may make a table again to which others refer.
                    self.connection.execute("PRAGMA foreign_keys = ON")
            except BaseException:
                self.connection.close()
                raise

    @classmethod
    def create(cls, folder: Path, *, operator: str) -> Database:
        """Create an empty database of the present version.

        Raises:
            CaseError: it cannot be created.
        """
        if sqlite3.sqlite_version_info < (3, 37):
            raise CaseError(
                msg(
                    "SQLite {sqlite_version} is too old for a case",
                    sqlite_version=sqlite3.sqlite_version,
                ),
                remedy=msg("use a Python with SQLite ≥ 3.37"),
            )
        (folder / DATABASE).touch(exist_ok=False)
        return cls(folder, operator=operator, new=True)

    def close(self) -> None:
        self.connection.close()

    def query(self, sql: str, *values: Value) -> list[sqlite3.Row]:
        """Return all rows of a small answer.

        Raises:
            CaseError: the database cannot be read.
        """
        if not self.is_readable:
            raise integrity_error(self.folder, msg("the database's schema is not mayak's"))
        # A tree whose pages repeat each other has more rows than its file has bytes.
        try:
            max_rows = _EXTRA_ROWS + (self.folder / DATABASE).stat().st_size // _ROW_BYTES
        except OSError as error:
            raise storage_error(self.folder, error) from error
        with self.translated():
            rows = self.connection.execute(sql, values).fetchmany(max_rows + 1)
            if len(rows) > max_rows:
                raise sqlite3.DatabaseError("more rows than the file can hold")
        return rows

    def pages(self, sql: str, *values: Value) -> Iterator[sqlite3.Row]:
        """Yield the rows of a large answer in the order of ``id``; no lock is held between pages.

        The last two parameters of ``sql`` are the last id read and the size of a page.
        """
        after = 0
        while rows := self.query(sql, *values, after, _PAGE):
            with self.translated():
                require_progress(after, rows)
            yield from rows
            after = rows[-1]["id"]

    @contextmanager
    def batch(self, action: str, *, always: bool = False, **detail: object) -> Iterator[Batch]:
        """Open a transaction that ends with its log entry.

        Without rows and without ``always`` nothing is written.

        Raises:
            CaseError: nothing was written.
        """
        if self.operator is None:
            raise CaseError(
                msg("case {folder} is open for reading", folder=self.folder),
                remedy=msg("open it for writing"),
            )
        with self.translated():
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                # Rows of one batch refer to each other in any order.
                self.connection.execute("PRAGMA defer_foreign_keys = ON")
                batch = Batch(self.connection, dict(detail))
                yield batch
                if always or not batch.empty:
                    batch.write(datetime.now(UTC).isoformat(), self.operator, action)
                self.connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Translate SQLite's errors.

        Raises:
            CaseError: with a remedy.
            KeyboardInterrupt: Ctrl-C ended the statement.
        """
        try:
            yield
        except sqlite3.Error as error:
            require_uninterrupted(error)
            raise _case_error(self.folder, error) from error
        except UnicodeDecodeError as error:  # SQLite's message quotes a damaged schema
            raise _damaged(self.folder, error) from error
        except OverflowError as error:
            raise CaseError(
                msg("case {folder}: a number is out of SQLite's range", folder=self.folder),
                remedy=msg("mayak verify lists what is wrong"),
            ) from error

    def _roll_back(self) -> None:
        # After a full disk SQLite may have rolled back by itself; if it cannot, the journal
        # remains, and the next connection rolls back.
        if self.connection.in_transaction:
            with suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")

    def _recover(self, path: Path) -> None:
        """Roll back what a killed process left half-written; a read-only connection may not."""
        try:
            self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            require_regular(self.folder, writing=True)
            undoing = _connect(_address(path, "rw"))
            try:
                undoing.execute("SELECT count(*) FROM sqlite_master").fetchone()
            finally:
                undoing.close()

    def _has_own_schema(self, *, tampered: bool) -> bool:
        """Whether the schema is that of the database's version, text for text, and the version that
        of its log.

        With ``tampered`` this sets ``is_readable`` and does not raise for a foreign schema. No SQL
        of the case has been run before: a foreign view or trigger acts when it is used.

        Raises:
            IntegrityError: naming what is not mayak's.
        """
        execute = self.connection.execute
        logged: object = None
        # One transaction: another process may be bringing the database up to date.
        execute("BEGIN")
        try:
            version = execute("PRAGMA user_version").fetchone()[0]
            found = schema.objects(self.connection)
            own = schema.version_of(found)
            if own is None and self.operator is None and schema.lacks_only_guards(found, version):
                own = version  # for reading; verify and the report name what was removed
            if own is not None:
                logged = self._logged_version()
        finally:
            self._roll_back()
        newest = len(schema.migrations())
        if not found:
            raise integrity_error(self.folder, msg("the database is empty"))
        if own is None:
            if version > newest:
                raise newer(self.folder)
            claimed = version if version > 0 else newest
            if not tampered:
                faults = schema.faults(found, claimed)
                listed = [printable(one.key) + " " + one.message for one in faults[:_MAX_NAMED]]
                if more := len(faults) - len(listed):
                    listed.append(msg("and {more} more", more=more))
                named = join(", ", listed)
                raise integrity_error(
                    self.folder, msg("the database's schema is not mayak's: {named}", named=named)
                )
            self.is_readable = schema.is_readable(found, claimed)
            return False
        if version != own or logged not in (None, own):
            raise integrity_error(
                self.folder,
                msg(
                    "the database's version was changed by hand: it is {version}, the log says "
                    "{logged}",
                    version=version,
                    logged=logged or own,
                ),
            )
        return True

    def _logged_version(self) -> object:
        """The last version in the log; None if its entry was rewritten, which the audit reports."""
        query = "SELECT detail FROM log WHERE action = 'migrate' ORDER BY sequence DESC LIMIT 1"
        try:
            return parse_json(self.connection.execute(query).fetchone()["detail"])["version"]
        except PARSE_ERRORS:
            return None

    def _check_version(self) -> None:
        version = self.connection.execute("PRAGMA user_version").fetchone()[0]
        known = schema.migrations()
        if version < 1 and self.operator is None:
            return  # changed by hand: the audit takes the schema for the newest
        if version > len(known):
            raise newer(self.folder)
        if version < len(known) and self.operator is None:
            self._copy_up_to_date(known[version:])
            return
        for number in range(version + 1, len(known) + 1):
            self._migrate(number, known[number - 1])

    def _copy_up_to_date(self, migrations: Sequence[str]) -> None:
        """Read an older case in a temporary copy of the newest version.

        The case itself is not changed, so this works on read-only media too. The copy's log is that
        of the case, without a further entry.
        """
        copy = _connect(_TEMPORARY)
        try:
            # In steps: Python runs its handler of Ctrl-C between them.
            self.connection.backup(copy, pages=_PAGES_PER_STEP, progress=lambda *_: None)
            # A new column with a check makes SQLite check existing rows. The audit reports those
            # that were changed by hand.
            copy.execute("PRAGMA ignore_check_constraints = ON")
            for sql in migrations:
                for statement in _statements(sql):
                    copy.execute(statement)
            copy.execute(f"PRAGMA user_version = {len(schema.migrations())}")
        except BaseException as error:
            copy.close()
            # SQLite reports an empty value in a column that may not be empty like this.
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR:
                raise _damaged(self.folder, error) from error
            raise
        self.connection.close()
        self.connection = copy

    def _migrate(self, number: int, sql: str) -> None:
        """Migrate by one version: schema, version number and log entry in one transaction."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            if self.connection.execute("PRAGMA user_version").fetchone()[0] >= number:
                self.connection.execute("ROLLBACK")  # another process did it meanwhile
                return
            # Not executescript, which would commit before it begins.
            for statement in _statements(sql):
                self.connection.execute(statement)
            self.connection.execute(f"PRAGMA user_version = {number}")
            digest = hashlib.sha256(sql.encode()).hexdigest()
            batch = Batch(self.connection, {"version": number, "sha256": digest})
            batch.write(datetime.now(UTC).isoformat(), self.operator or "", "migrate")
            self.connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise


def _statements(sql: str) -> Iterator[str]:
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    yield statement


def _address(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


def _connect(address: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        address, uri=True, timeout=_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    # SQLite's advice for files from elsewhere: https://www.sqlite.org/security.html
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
        connection.execute(f"PRAGMA {pragma}")
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_BYTES)
    # Python runs its handler of Ctrl-C in this callback; an exception ends the statement.
    connection.set_progress_handler(lambda: None, _STEPS)
    return connection


def require_uninterrupted(error: Exception) -> None:
    """Turn SQLite's report of a statement that Ctrl-C ended into an exception.

    Raises:
        KeyboardInterrupt: Ctrl-C ended the statement.
    """
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
        raise KeyboardInterrupt from error


def require_progress(after: int, rows: Sequence[sqlite3.Row]) -> None:
    """Require that a page of rows ends after the last id of the page before.

    The pages of a damaged tree may refer to each other in circles, and reading would not end.

    Raises:
        sqlite3.DatabaseError: the ids are out of order.
    """
    last = rows[-1]["id"]
    if not isinstance(last, int) or last <= after:
        raise sqlite3.DatabaseError("ids are out of order")


def _damaged(folder: Path, reason: object) -> IntegrityError:
    shown = printable(str(reason))
    return integrity_error(folder, msg("the database is damaged ({shown})", shown=shown))


def _case_error(folder: Path, error: sqlite3.Error) -> CaseError:
    # The low byte is the primary code; the errors that Python itself raises carry none.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
    ):
        remedy = STORAGE_REMEDY
    elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        remedy = msg("another program uses the database: close it and run the command again")
    elif code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG) or (
        not code and not isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError)
    ):
        return _damaged(folder, error)
    else:
        remedy = msg("mayak verify lists what is wrong")
    return CaseError(
        msg("case {folder}: the database cannot be used ({error})", folder=folder, error=error),
        remedy=remedy,
    )
