"""Lists of known files, by their hashes: files to leave out, and files to raise an alert for."""

from __future__ import annotations

import csv
import re
import sqlite3
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from mayak.errors import ConfigError
from mayak.files import file_sha256
from mayak.i18n import msg, system_error

HashKind = Literal["md5", "sha1", "sha256"]

_KINDS: tuple[HashKind, ...] = ("sha256", "sha1", "md5")
"""The strongest first."""
_BYTES: dict[HashKind, int] = {"md5": 16, "sha1": 20, "sha256": 32}
_OF_LENGTH: dict[int, HashKind] = {2 * size: kind for kind, size in _BYTES.items()}
_COLUMN = re.compile(r"(md5|sha-?1|sha-?256)", re.IGNORECASE)
_SQLITE = b"SQLite format 3\0"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_CHECKED = 100_000
"""Rows of a database that are checked before it is accepted as a list of hashes."""


@dataclass(frozen=True)
class HashList:
    """A list of MD5, SHA-1 or SHA-256 hashes, of one kind or several; a context manager."""

    name: str
    digest: str
    """SHA-256 of the list's file."""
    _known: _Sorted | _Database = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> HashList:
        """Open a list by its content: one hash in each line (alone, or before a file name), CSV
        with a column named md5, sha1 or sha256, or an SQLite database of NSRL's RDS, version 3.

        Raises:
            ConfigError: the list has anything else; the message names the line.
        """
        try:
            with path.open("rb") as file:
                is_database = file.read(len(_SQLITE)) == _SQLITE
                file.seek(0)
                digest = file_sha256(file)
            known = _Database(path) if is_database else _Sorted(_hashes(path))
        except OSError as error:
            raise _unfit(
                path, msg("cannot be read: {strerror}", strerror=system_error(error))
            ) from error
        if not known.count:
            raise _unfit(path, msg("has no hash"))
        return cls(path.name, digest, known)

    def __len__(self) -> int:
        """Return the number of hashes."""
        return self._known.count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._known.close()

    def match(self, md5: str, sha1: str, sha256: str) -> HashKind | None:
        """Return the kind of the strongest hash of a file (lower-case hex) that is in the list."""
        values: dict[HashKind, str] = {"md5": md5, "sha1": sha1, "sha256": sha256}
        return next((kind for kind in _KINDS if self._known.holds(kind, values[kind])), None)


class _Sorted:
    """Hashes in memory: the sorted values of each kind in one ``bytes``."""

    def __init__(self, hashes: Iterator[bytes]) -> None:
        runs: dict[HashKind, bytearray] = {kind: bytearray() for kind in _KINDS}
        for value in hashes:
            runs[_OF_LENGTH[2 * len(value)]] += value
        self._runs = {kind: _SortedValues(bytes(run), _BYTES[kind]) for kind, run in runs.items()}
        self.count = sum(map(len, self._runs.values()))

    def holds(self, kind: HashKind, value: str) -> bool:
        run, wanted = self._runs[kind], bytes.fromhex(value)
        at = bisect_left(run, wanted)
        return at < len(run) and run[at] == wanted

    def close(self) -> None:
        """Do nothing: no file is open."""


class _SortedValues:
    """Fixed-width values in ascending order."""

    def __init__(self, values: bytes, width: int) -> None:
        import numpy as np

        self._width = width
        # numpy is used for sorting only: its fixed-width bytes lose trailing zeros when read.
        self._values = np.sort(np.frombuffer(values, dtype=f"S{width}")).tobytes()

    def __len__(self) -> int:
        return len(self._values) // self._width

    def __getitem__(self, index: int) -> bytes:
        return self._values[index * self._width : (index + 1) * self._width]


class _Database:
    """NSRL's RDS 3: hashes in hex, upper or lower case, looked up in the database itself."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError if there is no hash, or a value that is not a hash."""
        self._path = path
        self._connection: sqlite3.Connection | None = None
        """For lookups, which one thread makes."""
        try:
            with closing(self._connect()) as connection:
                self._table, columns = self._find(connection)
                lacking = self._checked(connection, columns)
                self._searched = self._needed(connection, columns)
                # Rows without a hash do not count; to exclude them takes long.
                rows = f" WHERE {' OR '.join(map(_given, columns))}" if lacking else ""
                (self.count,) = connection.execute(
                    f"SELECT count(*) FROM {self._table}{rows}"  # noqa: S608
                ).fetchone()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _unfit(path, msg("SQLite error: {error}", error=error)) from error

    def _connect(self) -> sqlite3.Connection:
        # Immutable: no file is written next to it, and read-only media work, too.
        uri = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        # The table may be a view, which can compute anything. Python checks for Ctrl-C when the
        # handler is called.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.set_progress_handler(lambda: None, 100_000)
        return connection

    def _find(self, connection: sqlite3.Connection) -> tuple[str, tuple[HashKind, ...]]:
        for table in ("METADATA", "FILE"):
            names = {row[1].lower() for row in connection.execute(f"PRAGMA table_info({table})")}
            if columns := tuple(kind for kind in _KINDS if kind in names):
                return table, columns
        raise _unfit(
            self._path, msg("is not an RDS 3 database: no table FILE or METADATA with hashes")
        )

    def _checked(self, connection: sqlite3.Connection, columns: tuple[HashKind, ...]) -> bool:
        """Whether a hash is missing in the first rows. Raises ConfigError for a value that is not
        a hash, which no file could ever match."""
        lacking = False
        query = f"SELECT {', '.join(columns)} FROM {self._table} LIMIT {_CHECKED}"  # noqa: S608
        for number, row in enumerate(connection.execute(query), 1):
            for kind, value in zip(columns, row, strict=True):
                if value in (None, ""):
                    lacking = True
                elif not _is_hash(kind, value):
                    raise _unfit(
                        self._path,
                        msg(
                            "column {kind} of table {table}: row {number} is not {hash} in hex: "
                            "{value!r}",
                            kind=kind,
                            table=self._table,
                            number=number,
                            hash=kind.upper(),
                            value=str(value)[:80],
                        ),
                    )
        return lacking

    def _needed(
        self, connection: sqlite3.Connection, columns: tuple[HashKind, ...]
    ) -> tuple[HashKind, ...]:
        """Return the columns that must be searched for a file: those up to the first that every
        row has. Most databases have an index of the first only, and searching another column reads
        all rows."""
        for position, kind in enumerate(columns, 1):
            lacks = f"SELECT 1 FROM {self._table} WHERE {kind} IS NULL OR {kind} = '' LIMIT 1"  # noqa: S608
            if connection.execute(lacks).fetchone() is None:
                return columns[:position]
        return columns

    def holds(self, kind: HashKind, value: str) -> bool:
        if kind not in self._searched:
            return False
        query = f"SELECT 1 FROM {self._table} WHERE {kind} IN (?, ?) LIMIT 1"  # noqa: S608
        if self._connection is None:
            self._connection = self._connect()
        found = self._connection.execute(query, (value.upper(), value.lower()))
        return found.fetchone() is not None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _given(kind: HashKind) -> str:
    """Return the SQL condition that a row has this hash."""
    return f"({kind} IS NOT NULL AND {kind} <> '')"


def _is_hash(kind: HashKind, value: object) -> bool:
    return (
        isinstance(value, str)
        and len(value) == 2 * _BYTES[kind]
        and re.fullmatch("[0-9a-f]+|[0-9A-F]+", value) is not None
    )


def _hashes(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        if file.read(2) in _UTF_16:
            raise _unfit(path, msg("is text in UTF-16, which is not read"))
        file.seek(0)
        lines = enumerate(map(_text, file), 1)
        column: int | None = None
        first = True
        for number, line in lines:
            if not line or line.startswith("#"):
                continue
            try:
                if first and (column := _header(line)) is not None:
                    first = False
                    continue
                first = False
                value = _cell(line, column)
            except csv.Error as error:
                text = msg("line {number} is not CSV: {error}", number=number, error=error)
                raise _unfit(path, text) from error
            if len(value) not in _OF_LENGTH or not re.fullmatch("[0-9a-fA-F]+", value):
                raise _unfit(
                    path,
                    msg(
                        "line {number} is not MD5, SHA-1 or SHA-256: {value!r}",
                        number=number,
                        value=value[:80],
                    ),
                )
            yield bytes.fromhex(value)


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return line.decode("cp949", "replace").strip()


def _header(line: str) -> int | None:
    """Return the column of the strongest hash, None if the line is not a header."""
    names = [name.strip().lower().replace("-", "") for name in next(csv.reader([line]))]
    if not any(_COLUMN.fullmatch(name) for name in names):
        return None
    return next(names.index(kind) for kind in _KINDS if kind in names)


def _cell(line: str, column: int | None) -> str:
    if column is None:
        # md5sum and similar programs write the file's name after the hash.
        return line.split(maxsplit=1)[0].lstrip("\\")
    cells = next(csv.reader([line]))
    return cells[column].strip() if column < len(cells) else ""


def _unfit(path: Path, text: str) -> ConfigError:
    return ConfigError(
        f"{path}: " + text,
        remedy=msg(
            "give text in UTF-8 with a hash a line, CSV with a column md5, sha1 or sha256, or "
            "NSRL's RDS 3 (SQLite)"
        ),
    )
