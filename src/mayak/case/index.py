"""An in-memory index of a case: its contents and items as NumPy columns.

Filters and sorts over a million contents take milliseconds on it. The tables of a case only grow,
so the columns do too: ``refresh`` reads the rows that were added since the last time. The index
takes about 150 bytes for a content that occurs once. Rows are in the order of the case: row 0 is
the first content or item.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from sqlite3 import Row
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mayak.case.database import Database, require_progress
from mayak.case.records import TABLES
from mayak.case.scores import ranked
from mayak.case.values import checked, damaged, metadata, row_name, verdict
from mayak.untrusted import PARSE_ERRORS

_PAGE = 10_000
"""Rows of one statement: a writer waits for readers as long as a statement runs."""
_CONTENTS_PER_QUERY = 500
_TABLES = (
    "contents",
    "items",
    "revisions",
    "predictions",
    "failures",
    "alerts",
    "groupings",
    "decisions",
)

UNKNOWN_TIME = np.iinfo(np.int64).min

Ints = NDArray[np.int64]
Small = NDArray[np.int32]
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


class TextTable:
    """Distinct texts, numbered in the order in which they first occur."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Return the number of a text; add the text if it is new."""
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return number

    def known(self, text: str) -> int:
        """Return the number of a text; -1 if it is not in the table."""
        return self._numbers.get(text, -1)


class RunColumns:
    """Predictions and failures of one run, a row for each content; empty without a run."""

    def __init__(self, run: int | None) -> None:
        self.run = run
        self.scores: Floats = np.empty((0, 4), np.float32)
        self.label = np.empty(0, np.int8)
        """-1 if the run has no prediction."""
        self.margin: Floats = np.empty(0, np.float32)
        self.off_label: Floats = np.empty(0, np.float32)
        self.failed: Flags = np.empty(0, np.bool_)
        self.seen = {"predictions": 0, "failures": 0}

    def grow(self, count: int) -> None:
        """Extend the columns to ``count`` contents."""
        self.scores = _grown(self.scores, count, np.nan)
        self.label = _grown(self.label, count, -1)
        self.margin = _grown(self.margin, count, np.nan)
        self.off_label = _grown(self.off_label, count, np.nan)
        self.failed = _grown(self.failed, count, fill=False)


class ContentIndex:
    """Columns of contents and items for filters and sorts.

    Use it in the thread of its database only. ``version`` grows with every change.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.version = 0
        self.cameras, self.folders, self.reasons = TextTable(), TextTable(), TextTable()
        self._seen = dict.fromkeys(_TABLES, 0)
        self._last = dict.fromkeys(_TABLES, 0)
        self._data_version = -1
        self._runs: dict[int | None, RunColumns] = {}
        # Contents.
        self.ids: Small = np.empty(0, np.int32)
        self.alert: Flags = np.empty(0, np.bool_)
        self.group: Small = np.empty(0, np.int32)
        """Number of the group of near-duplicates, from 1; 0 if the content is in none."""
        self.stack: Small = np.empty(0, np.int32)
        """Number of the stack of copies of one picture, from 1; 0 if the content is in none."""
        self.pdq: NDArray[np.uint64] = np.empty((0, 4), np.uint64)
        self.quality = np.empty(0, np.int8)
        """Quality of the PDQ hash; -1 without a hash."""
        self.camera: Small = np.empty(0, np.int32)
        self.taken: Ints = np.empty(0, np.int64)
        self.position: Floats = np.empty((0, 2), np.float32)
        """GPS latitude and longitude in degrees (N, 2); NaN if the file has none."""
        self.verdicts: dict[str, NDArray[np.int8]] = {}
        """By reviewer; -1 if the reviewer has not decided the content."""
        # Items.
        self.items: Small = np.empty(0, np.int32)
        self.item_content: Small = np.empty(0, np.int32)
        """Row of its content; -1 for a failure or an exclusion."""
        self.item_source = np.empty(0, np.int16)
        self.item_folder: Small = np.empty(0, np.int32)
        self.item_deleted: Flags = np.empty(0, np.bool_)
        self.item_reason = np.empty(0, np.int16)
        """Number in ``reasons`` of outcome (``failure`` or ``exclusion``), reason and, if it is
        known, kind of file, separated by blanks; -1 for a content."""
        self.item_modified: Ints = np.empty(0, np.int64)
        self.names = b""
        """File names without folders, normalised by ``folded``, each after a line feed."""
        self.name_at: Ints = np.empty(0, np.int64)
        # Contents, computed from their items.
        self.time: Ints = np.empty(0, np.int64)
        """Seconds since 1970: when taken, by the camera's clock whatever its zone; otherwise the
        earliest modification, UTC."""
        self.deleted: Flags = np.empty(0, np.bool_)
        """Whether all occurrences are deleted."""
        self.occurrences: Small = np.empty(0, np.int32)
        self.first_item: Small = np.empty(0, np.int32)

    def refresh(self, advance: Callable[[int], None] = lambda _: None) -> bool:
        """Read the rows that were added since the last call; return whether there were any.

        Calls ``advance`` with the number of rows of each page.

        Raises:
            CaseError: a row cannot be read.
        """
        stamp = self._database.query("PRAGMA data_version")[0][0]
        if stamp == self._data_version:
            return False
        # All tables up to one moment: rows committed while this reads wait for the next call, and
        # no row is read before its content.
        self._last = self._lasts()
        changed = self._read("contents", lambda: self._read_contents(advance))
        changed = self._read("items", lambda: self._read_items(advance)) or changed
        changed = self._read("revisions", self._read_revisions) or changed
        if changed:
            self._summarise_items()
        for run in self._runs.values():
            changed = self._read("predictions", partial(self._read_run, run, advance)) or changed
        changed = self._read("alerts", lambda: self._read_alerts(advance)) or changed
        changed = self._read("group_members", self._read_groups) or changed
        changed = self._read("decisions", self._read_verdicts) or changed
        self.version += changed
        self._data_version = stamp
        return changed

    @property
    def mark(self) -> int:
        """Id of the last row of ``decisions`` that was read."""
        return self._seen["decisions"]

    def _read(self, table: str, read: Callable[[], bool]) -> bool:
        with checked(self._database.folder, TABLES[table]):
            return read()

    def run_columns(
        self, run: int | None, advance: Callable[[int], None] = lambda _: None
    ) -> RunColumns:
        """Return the columns of a run as of the last ``refresh``; the first call reads them."""
        if run not in self._runs:
            columns = RunColumns(run)
            columns.grow(len(self.ids))
            self._read("predictions", lambda: self._read_run(columns, advance))
            self._runs[run] = columns
        return self._runs[run]

    def ahead(self) -> int:
        """Return an upper bound of the rows that the next ``refresh`` reads."""
        return sum(self._lasts().values()) - sum(self._seen.values())

    def _lasts(self) -> dict[str, int]:
        """Return the last id of each table, all at one moment."""
        lasts = ", ".join(
            f"(SELECT coalesce(max(id), 0) FROM {table})"  # noqa: S608
            for table in _TABLES
        )
        (row,) = self._database.query(f"SELECT {lasts}")
        return dict(zip(_TABLES, row, strict=True))

    def at(self, ids: Sequence[int] | Small) -> Ints:
        """Return the rows of contents in the index, given their ids in the database."""
        return np.searchsorted(self.ids, np.asarray(ids, np.int32))

    def _pages(
        self, table: str, sql: str, *values: int | None, seen: dict[str, int] | None = None
    ) -> Iterator[list[Row]]:
        """Yield pages of unread rows; ``sql`` ends in the range of ids and a limit."""
        seen = self._seen if seen is None else seen
        after, last = seen[table], self._last[table]
        while after < last and (rows := self._database.query(sql, *values, after, last, _PAGE)):
            with self._database.translated():
                require_progress(after, rows)
            after = rows[-1]["id"]
            yield rows
        seen[table] = last

    def _read_contents(self, advance: Callable[[int], None]) -> bool:
        parts: dict[str, list[NDArray[Any]]] = {}
        pages = self._pages(
            "contents",
            "SELECT id, pdq, pdq_quality, metadata FROM contents"
            " WHERE id BETWEEN ? + 1 AND ? ORDER BY id LIMIT ?",
        )
        for rows in pages:
            ids, pdq, quality, texts = zip(*rows, strict=True)
            if not all(h is None or len(h) == 32 for h in pdq):
                raise ValueError("pdq")
            stated = [self._stated(*one) for one in zip(ids, texts, strict=True)]
            columns: dict[str, NDArray[Any]] = {
                "ids": np.array(ids, np.int32),
                "pdq": np.frombuffer(
                    b"".join(h or bytes(32) for h in pdq), dtype=np.uint64
                ).reshape(-1, 4),
                "quality": np.array([-1 if q is None else q for q in quality], np.int8),
                "taken": np.array([taken for taken, _, _ in stated], np.int64),
                "camera": np.array([camera for _, camera, _ in stated], np.int32),
                "position": np.array([position for _, _, position in stated], np.float32),
            }
            for name, values in columns.items():
                parts.setdefault(name, []).append(values)
            advance(len(rows))
        if not parts:
            return False
        for name, arrays in parts.items():
            setattr(self, name, np.concatenate([getattr(self, name), *arrays]))
            arrays.clear()
        count = len(self.ids)
        for run in self._runs.values():
            run.grow(count)
        self.alert = _grown(self.alert, count, fill=False)
        self.group = _grown(self.group, count, 0)
        self.stack = _grown(self.stack, count, 0)
        self.verdicts = {name: _grown(v, count, -1) for name, v in self.verdicts.items()}
        return True

    def _stated(self, number: int, text: str) -> tuple[int, int, tuple[float, float]]:
        """Return the time, the camera's number and the position in a content's metadata."""
        nowhere = (np.nan, np.nan)
        if text == "{}":
            return UNKNOWN_TIME, -1, nowhere
        try:
            values = metadata(text)
        except PARSE_ERRORS as error:
            raise damaged(self._database.folder, row_name("contents", number), error) from error
        taken, location = values.get("taken"), values.get("location")
        camera = " ".join(str(values[key]) for key in ("make", "model") if values.get(key))
        position = nowhere
        if isinstance(location, dict):
            position = location["latitude"], location["longitude"]
        return _wall_clock(taken), self.cameras.number(camera) if camera else -1, position

    def _read_items(self, advance: Callable[[int], None]) -> bool:
        parts: dict[str, list[NDArray[Any]]] = {}
        blobs, end = [self.names], len(self.names)
        pages = self._pages(
            "items",
            "SELECT i.id, i.source, i.display, i.deleted, c.id AS content,"
            " CAST(strftime('%s', i.modified) AS INTEGER) AS modified,"
            " iif(i.outcome = 'content', NULL, i.outcome || ' ' || coalesce(x.rule, f.error)"
            "  || ' ' || coalesce(x.kind, f.kind, '')) AS reason"
            " FROM items i LEFT JOIN contents c ON c.sha256 = i.content"
            " LEFT JOIN exclusions x ON x.item = i.id LEFT JOIN failures f ON f.item = i.id"
            " WHERE i.id BETWEEN ? + 1 AND ? ORDER BY i.id LIMIT ?",
        )
        for rows in pages:
            ids, source, display, deleted, content, modified, reason = zip(*rows, strict=True)
            if min(source) < 0:
                raise ValueError("source")
            folders, names = [], []
            for text in display:
                folder, _, name = text.rpartition("/")
                folders.append(self.folders.number(folder))
                names.append(b"\n" + folded(name).encode("utf-8", "surrogatepass"))
            lengths = np.fromiter(map(len, names), np.int64, len(names))
            starts = end + np.cumsum(lengths) - lengths
            end += int(lengths.sum())
            blobs.append(b"".join(names))
            columns: dict[str, NDArray[Any]] = {
                "items": np.array(ids, np.int32),
                "item_source": np.array(source, np.int16),
                "item_deleted": np.array(deleted, np.bool_),
                "item_content": self._found(content),
                "item_modified": np.array(
                    [UNKNOWN_TIME if m is None else m for m in modified], np.int64
                ),
                "item_reason": np.array(
                    [-1 if r is None else self.reasons.number(r) for r in reason], np.int16
                ),
                "item_folder": np.array(folders, np.int32),
                "name_at": starts,
            }
            for column, values in columns.items():
                parts.setdefault(column, []).append(values)
            advance(len(rows))
        if not parts:
            return False
        self.names = b"".join(blobs)
        for column, arrays in parts.items():
            setattr(self, column, np.concatenate([getattr(self, column), *arrays]))
            arrays.clear()
        return True

    def _found(self, ids: Sequence[int | None]) -> Small:
        given = np.array([0 if i is None else i for i in ids], np.int32)
        return np.where(given > 0, np.searchsorted(self.ids, given), -1).astype(np.int32)

    def _read_revisions(self) -> bool:
        pages = self._pages(
            "revisions",
            "SELECT r.id, r.item, c.id AS content,"
            " iif(r.outcome = 'content', NULL, r.outcome || ' ' || coalesce(r.rule, r.error)"
            "  || ' ' || coalesce(r.kind, '')) AS reason"
            " FROM revisions r LEFT JOIN contents c ON c.sha256 = r.content"
            " WHERE r.id BETWEEN ? + 1 AND ? ORDER BY r.id LIMIT ?",
        )
        changed = False
        for rows in pages:
            changed = True
            at = np.searchsorted(self.items, np.array([row["item"] for row in rows], np.int32))
            self.item_content[at] = self._found([row["content"] for row in rows])
            self.item_reason[at] = [
                -1 if row["reason"] is None else self.reasons.number(row["reason"]) for row in rows
            ]
        return changed

    def _summarise_items(self) -> None:
        """Compute the columns of contents that depend on their items."""
        count = len(self.ids)
        held = np.flatnonzero(self.item_content >= 0)
        content = self.item_content[held]
        self.occurrences = np.bincount(content, minlength=count).astype(np.int32)
        self.deleted = np.ones(count, np.bool_)
        self.deleted[content[~self.item_deleted[held]]] = False
        # The last of several writes to one element counts: backwards, the first item.
        self.first_item = np.zeros(count, np.int32)
        self.first_item[content[::-1]] = held[::-1]
        never = np.iinfo(np.int64).max
        earliest = np.full(count, never)
        modified = self.item_modified[held]
        known = modified != UNKNOWN_TIME
        np.minimum.at(earliest, content[known], modified[known])
        earliest[earliest == never] = UNKNOWN_TIME
        self.time = np.where(self.taken == UNKNOWN_TIME, earliest, self.taken)

    def _read_run(self, columns: RunColumns, advance: Callable[[int], None]) -> bool:
        if columns.run is None:
            return False
        pages = self._pages(
            "predictions",
            "SELECT p.id, c.id AS content, score_0, score_1, score_2, score_3, off_label"
            " FROM predictions p JOIN contents c ON c.sha256 = p.content"
            " WHERE +p.run = ? AND p.id BETWEEN ? + 1 AND ? ORDER BY p.id LIMIT ?",
            columns.run,
            seen=columns.seen,
        )
        changed = False
        for rows in pages:
            changed = True
            table = np.array([tuple(row) for row in rows])
            at = self.at(table[:, 1].astype(np.int32))
            scores = table[:, 2:6]
            if not (((scores >= 0) & (scores <= 1)).all() and np.isfinite(table[:, 6]).all()):
                raise ValueError("scores")
            columns.label[at], columns.margin[at] = ranked(scores)
            columns.scores[at] = scores
            columns.off_label[at] = table[:, 6]
            advance(len(rows))
        pages = self._pages(
            "failures",
            "SELECT f.id, c.id AS content FROM failures f JOIN contents c ON c.sha256 = f.content"
            " WHERE f.run = ? AND f.id BETWEEN ? + 1 AND ? ORDER BY f.id LIMIT ?",
            columns.run,
            seen=columns.seen,
        )
        changed = self._mark(columns.failed, pages, advance) or changed
        columns.failed &= columns.label < 0  # a later attempt can succeed
        return changed

    def _read_alerts(self, advance: Callable[[int], None]) -> bool:
        pages = self._pages(
            "alerts",
            "SELECT a.id, c.id AS content FROM alerts a JOIN contents c ON c.sha256 = a.content"
            " WHERE a.id BETWEEN ? + 1 AND ? ORDER BY a.id LIMIT ?",
        )
        return self._mark(self.alert, pages, advance)

    def _mark(
        self, column: Flags, pages: Iterator[list[Row]], advance: Callable[[int], None]
    ) -> bool:
        changed = False
        for rows in pages:
            changed = True
            column[self.at([row["content"] for row in rows])] = True
            advance(len(rows))
        return changed

    def _read_groups(self) -> bool:
        last = self._last["groupings"]
        if last == self._seen["groupings"]:
            return False
        self._seen["groupings"] = last
        self.group = np.zeros(len(self.ids), np.int32)
        self.stack = np.zeros(len(self.ids), np.int32)
        rows = self._database.pages(
            "SELECT m.id, c.id AS content, m.number, coalesce(m.stack, 0) AS stack"
            " FROM group_members m JOIN contents c ON c.sha256 = m.content"
            " WHERE +m.grouping = ? AND m.id > ? ORDER BY m.id LIMIT ?",
            last,
        )
        found = [(row["content"], row["number"], row["stack"]) for row in rows]
        members = np.array(found, np.int64).reshape(-1, 3)  # a grouping may be empty
        # Numbers are the sizes of what counts them; a stack of 0 is none.
        if ((members[:, 1:] < (1, 0)) | (members[:, 1:] > len(self.ids))).any():
            raise ValueError("number")
        at = self.at(members[:, 0].astype(np.int32))
        self.group[at] = members[:, 1]
        self.stack[at] = members[:, 2]
        return True

    def _read_verdicts(self) -> bool:
        last, before = self._last["decisions"], self._seen["decisions"]
        if last == before:
            return False
        self._seen["decisions"] = last
        if not before:
            pages = self._database.pages(
                "SELECT v.decision AS id, c.id AS content, v.reviewer, v.verdict FROM verdicts v"
                " JOIN contents c ON c.sha256 = v.content"
                " WHERE v.decision <= ? AND v.decision > ? ORDER BY v.decision LIMIT ?",
                last,
            )
            for row in pages:
                self._decided(row)
            return True
        touched = self._database.query(
            "SELECT DISTINCT c.id, c.sha256 FROM decisions d JOIN contents c"
            " ON c.sha256 = d.content WHERE d.id > ? AND d.id <= ?",
            before,
            last,
        )
        for start in range(0, len(touched), _CONTENTS_PER_QUERY):
            some = touched[start : start + _CONTENTS_PER_QUERY]
            at = self.at([row["id"] for row in some])
            for column in self.verdicts.values():
                column[at] = -1
            marks = ", ".join("?" * len(some))
            query = (
                "SELECT c.id AS content, v.reviewer, v.verdict FROM verdicts v"  # noqa: S608
                f" JOIN contents c ON c.sha256 = v.content WHERE v.content IN ({marks})"
            )
            for row in self._database.query(query, *(row["sha256"] for row in some)):
                self._decided(row)
        return True

    def _decided(self, row: Row) -> None:
        column = self.verdicts.get(row["reviewer"])
        if column is None:
            column = self.verdicts[row["reviewer"]] = np.full(len(self.ids), -1, np.int8)
        if (label := verdict(row["verdict"])) is not None:
            column[self.at([row["content"]])] = label


def folded(text: str) -> str:
    """Return a name as searches compare it: one line, NFC (macOS uses NFD), case-folded."""
    return unicodedata.normalize("NFC", text.replace("\n", " ")).casefold()


def _wall_clock(text: object) -> int:
    """Return the seconds since 1970 that a camera's clock showed, whatever its zone."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return int(UNKNOWN_TIME)
    return int(moment.replace(tzinfo=UTC).timestamp())


def _grown(column: NDArray[Any], count: int, fill: float) -> NDArray[Any]:
    more = np.full((count - len(column), *column.shape[1:]), fill, column.dtype)
    return np.concatenate([column, more])
