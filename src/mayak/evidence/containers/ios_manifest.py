"""``Manifest.db``, the list of files of an iTunes or Finder backup: an SQLite database.

Its table ``Files`` has a row for each file, folder and link of the phone: ``fileID``, the name of
the file in the backup (SHA-1 of domain, "-" and path), ``domain``, ``relativePath``, ``flags`` (1
for a file, 2 a folder, 4 a link) and ``file``, a property list with size, times and key.
"""

from __future__ import annotations

import hashlib
import plistlib
import re
import shutil
import sqlite3
import sys
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from xml.parsers.expat import ExpatError

import numpy as np

from mayak.errors import EvidenceError
from mayak.evidence.base import LimitExceededError, from_unix_time
from mayak.evidence.streams import copy_temporarily
from mayak.i18n import msg
from mayak.types import EvidencePath, FileTimes
from mayak.untrusted import PARSE_ERRORS

FOLDER, LINK = 2, 4
MAX_BYTES = 4 << 30
"""Bytes of ``Manifest.db``; a backup of a million files has less than 1 GiB."""
_MAX_RECORD = 1 << 20
"""Bytes of a property list; those of real files have less than 10 KiB."""
_MAX_VALUE = 16 << 20
"""Bytes of one value that SQLite reads."""
_MIN_ROW = 40
"""Bytes of a row at least: its ``fileID`` alone has so many."""
_FILE_ID = re.compile(rb"[0-9a-f]{40}")
_SELECT = (
    "SELECT fileID, domain, relativePath, flags, "  # noqa: S608 - nothing is put into it
    f"CASE WHEN length(file) <= {_MAX_RECORD} THEN file END FROM Files"
)
PLIST_ERRORS = (*PARSE_ERRORS, ExpatError)
"""What ``plistlib`` raises for damaged property lists, binary or XML."""


@dataclass(frozen=True, slots=True)
class BackupRow:
    """A row of ``Files`` that names a file or a link."""

    position: int
    """Of all rows, from 1."""
    file_id: str
    name: bytes
    """Domain and path, with ``/`` between them."""
    canonical_id: bytes
    """The ``fileID`` that belongs to the name, in binary."""
    flags: object
    record: bytes
    """The property list, empty if there is none."""

    @property
    def is_canonical(self) -> bool:
        return self.canonical_id.hex() == self.file_id


class FileRecord:
    """What a row's property list, an archived ``MBFile``, states; values of other types than
    expected are left out."""

    def __init__(self, data: bytes) -> None:
        self._objects: list[Any] = []
        self._file: dict[str, Any] = {}
        try:
            archive = plistlib.loads(data)
            self._objects = archive["$objects"]
            root = self._objects[archive["$top"]["root"].data]
            self._file = root if isinstance(root, dict) else {}
        except PLIST_ERRORS:
            return

    @property
    def size(self) -> int | None:
        return self._integer("Size")

    @property
    def times(self) -> FileTimes:
        """Unix times, which are UTC."""
        modified, created, changed = (
            from_unix_time(self._integer(name) or 0)
            for name in ("LastModified", "Birth", "LastStatusChange")
        )
        return FileTimes(modified, created, changed=changed)

    @property
    def target(self) -> str:
        """Where a link leads."""
        target = self._referenced("Target")
        return target if isinstance(target, str) else ""

    @property
    def wrapped_key(self) -> tuple[int, bytes] | None:
        """The number of the protection class, and the key wrapped in the class's; None if the file
        is not encrypted."""
        key = self._referenced("EncryptionKey")
        data = key.get("NS.data") if isinstance(key, dict) else key
        if not isinstance(data, bytes) or len(data) < 4:
            return None
        return int.from_bytes(data[:4], "little"), data[4:]

    def _integer(self, name: str) -> int | None:
        value = self._file.get(name)
        return value if type(value) is int else None

    def _referenced(self, name: str) -> object:
        value = self._file.get(name)
        try:
            return self._objects[value.data] if isinstance(value, plistlib.UID) else value
        except PLIST_ERRORS:
            return None


class BackupManifest:
    """The rows of a ``Manifest.db``, read from a copy in the temporary folder, which has no name
    there any more if the system allows that (not on Windows)."""

    def __init__(self, data: BinaryIO, log: BinaryIO | None, path: EvidencePath) -> None:
        """``log`` is its write-ahead log. ``path`` is named in errors.

        Raises:
            EvidenceError: it is larger than any, or is not such a database.
        """
        folder = Path(tempfile.mkdtemp(prefix="mayak-"))
        remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        size = 0

        def check(copied: int) -> None:
            if copied > MAX_BYTES:
                reason = msg("is larger than {limit} bytes", limit=MAX_BYTES)
                raise LimitExceededError(path, reason)

        for stream, name in ((data, "Manifest.db"), (log, "Manifest.db-wal")):
            if stream is not None:
                with (folder / name).open("wb") as copy:
                    copy_temporarily(stream, copy, check)
                    size += copy.tell()
        self.fault: str | None = None
        """What ended the list of rows before its end."""
        self.n_invalid = 0
        """Rows that name no file."""
        try:
            self._database = _opened(folder / "Manifest.db")
            weakref.finalize(self, self._database.close)
            self._check_rows(size // _MIN_ROW)
        except sqlite3.Error as exc:
            raise EvidenceError(
                msg("Manifest.db cannot be read: {exc}", exc=exc),
                remedy=msg("check that the medium is connected and the copy is whole"),
            ) from exc
        if sys.platform != "win32":
            remove()

    def _check_rows(self, max_rows: int) -> None:
        """Read all rows once, so that ``holds`` knows which of them ``rows`` will yield."""
        found = bytearray()
        self._n_rows = 0
        self.is_regular = True
        """Whether each file has the ``fileID`` of its name, and no two have the same."""
        try:
            for position, values in enumerate(self._database.execute(_SELECT), 1):
                if position > max_rows:
                    self.fault = f"it lists more rows than it has room for ({max_rows})"
                    break
                self._n_rows = position
                row = _row(position, values)
                if row is None:
                    self.n_invalid += 1
                elif row.flags != FOLDER:
                    found += bytes.fromhex(row.file_id)
                    self.is_regular = self.is_regular and row.is_canonical
        except sqlite3.Error as exc:
            if not self._n_rows:
                raise
            self.fault = str(exc)
        self.n_files = len(found) // 20
        ids = np.frombuffer(bytes(found), dtype="S20")
        self._ids, counts = np.unique(ids, return_counts=True)
        self._repeated = {_binary(each) for each in self._ids[counts > 1]}
        self.is_regular = self.is_regular and not self._repeated

    def rows(self) -> Iterator[BackupRow]:
        """Yield the rows that name a file or a link, as far as they can be read."""
        selected = self._database.execute(f"{_SELECT} LIMIT {self._n_rows}")
        for position, values in enumerate(selected, 1):
            row = _row(position, values)
            if row is not None and row.flags != FOLDER:
                yield row

    def row(self, file_id: bytes) -> BackupRow | None:
        """Return the row with a ``fileID`` in binary, None if there is none or several have it."""
        if not self.holds(file_id) or file_id in self._repeated:
            return None
        selected = self._database.execute(f"{_SELECT} WHERE fileID = ?", (file_id.hex(),))
        return next((row for values in selected if (row := _row(0, values))), None)

    def holds(self, file_id: bytes) -> bool:
        """Whether ``rows`` yields a row with this ``fileID``, in binary."""
        index = int(np.searchsorted(self._ids, np.bytes_(file_id)))
        return index < len(self._ids) and _binary(self._ids[index]) == file_id

    def is_repeated(self, file_id: bytes) -> bool:
        """Whether several rows have this ``fileID``, in binary."""
        return file_id in self._repeated

    def __len__(self) -> int:
        return self._n_rows


def _binary(number: np.bytes_) -> bytes:
    """Return the 20 bytes of a SHA-1; NumPy drops zeros at the end."""
    return bytes(number).ljust(20, b"\0")


def _row(position: int, values: tuple[object, ...]) -> BackupRow | None:
    """Return a row, None if it does not name a file. SQLite columns hold values of any type."""
    file_id, domain, relative, flags, record = values
    if (
        not isinstance(file_id, bytes)
        or not _FILE_ID.fullmatch(file_id)
        or not isinstance(domain, bytes)
        or not isinstance(relative, bytes)
    ):
        return None
    content = record if isinstance(record, bytes) else b""
    own_id = canonical_id(domain, relative)
    return BackupRow(position, file_id.decode(), domain + b"/" + relative, own_id, flags, content)


def canonical_id(domain: bytes, relative: bytes) -> bytes:
    """Return the ``fileID``, in binary, that devices give to a path in a domain."""
    return hashlib.sha1(domain + b"-" + relative, usedforsecurity=False).digest()


def _opened(file: Path) -> sqlite3.Connection:
    """Open a copy of a database that somebody else made: only its table ``Files`` can be read, by
    statements that cannot run for ever. Raises sqlite3.Error."""
    database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    try:
        database.text_factory = bytes  # a name may be in no encoding
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
        # The log is read at once, and neither it nor an index of it is opened again.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA cell_size_check = ON")
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        database.set_authorizer(_authorized)
    except sqlite3.Error:
        database.close()
        raise
    return database


def _authorized(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """Refuse views, virtual tables and functions, with which a query may never end."""
    if action == sqlite3.SQLITE_SELECT:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_READ and (first or "").lower() == "files":
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and second == "length":
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
