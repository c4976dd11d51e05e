"""``Items``: the files found in the sources of a case, and the images that these hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from sqlite3 import Row

from mayak.case.database import Database
from mayak.case.folder import read_thumbnail, storage_error, write_thumbnails
from mayak.case.records import (
    BEGINS,
    TABLES,
    Alert,
    CensusRow,
    Content,
    Counts,
    Item,
    SourceCounts,
    StoredContent,
    StoredItem,
    described,
)
from mayak.case.rows import (
    add_content,
    add_item,
    add_revision,
    content_of,
    first,
    is_recorded,
    stored_content,
    stored_item,
)
from mayak.case.values import checked, row_name, row_of
from mayak.errors import CaseError
from mayak.i18n import msg
from mayak.names import storable
from mayak.types import EvidencePath, Failure, OutcomeReason


class Items:
    """Items, contents and alerts of a case."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database

    # ------------------------------------------------------------------ adding items

    def add_items(self, source: int, items: Sequence[Item]) -> int:
        """Add the items that are not in the case, with their outcomes; return how many were new.

        Pass some hundreds at once: each call waits for the disk.
        """
        self._write_thumbnails(items)
        with self._database.batch("add items", source=source) as batch:
            added: dict[str, Item] = {}
            digests: set[str] = set()
            query = "SELECT id FROM items WHERE source = ? AND location = ?"
            for item in items:
                location = storable(item.location)
                if location in added or first(batch, query, source, location):
                    if (moved := self._with_free_location(source, item, added)) is None:
                        continue
                    item, location = moved, storable(moved.location)
                added[location] = item
                if isinstance(item.outcome, Content) and item.outcome.sha256 not in digests:
                    digests.add(item.outcome.sha256)
                    add_content(batch, item.outcome)
                add_item(batch, source, item)
            return len(added)

    def _write_thumbnails(self, items: Sequence[Item]) -> None:
        # On disk before the rows that name them.
        write_thumbnails(
            self._folder,
            (
                item.outcome.thumbnail
                for item in items
                if isinstance(item.outcome, Content) and item.outcome.thumbnail is not None
            ),
        )

    def _with_free_location(
        self, source: int, item: Item, added: Mapping[str, Item]
    ) -> Item | None:
        """Return an item whose location is taken by another one with a location of its own.

        None if the item itself is in the case. No reader gives two files one location; if one did,
        neither file may vanish.
        """
        try:
            path = EvidencePath.from_json(item.location)
        except ValueError:  # a gap of a container: the same location is the same gap
            return None
        serial, moved = path.serial, item
        while (same := self._is_there(source, moved, added)) is False:
            serial = max(serial, 1) + 1
            other = replace(path, serial=serial)
            moved = replace(item, display=str(other), location=other.to_json())
        return None if same else moved

    def _is_there(self, source: int, item: Item, added: Mapping[str, Item]) -> bool | None:
        """Whether the item at this location has the same content or outcome; None without one."""
        if (there := added.get(storable(item.location))) is not None:
            content = content_of(item)
            return content_of(there) == content if content else there.outcome == item.outcome
        before = self.outcome(source, item.location)
        return None if before is None else is_recorded(before, item)

    def revise_items(self, source: int, items: Sequence[Item]) -> int:
        """Record new outcomes for known items; return how many changed.

        The latest outcome counts, earlier ones are kept.

        Raises:
            CaseError: an item is not in the case, or is a content: an image that was found is
                never given up.
        """
        self._write_thumbnails(items)
        with self._database.batch("revise items", source=source) as batch:
            digests: set[str] = set()
            revised = 0
            for item in items:
                before = self.outcome(source, item.location)
                if before is None or (
                    before.content is not None and before.content != content_of(item)
                ):
                    raise CaseError(
                        msg(
                            "{display} cannot be revised: it is not in the case",
                            display=item.display,
                        )
                        if before is None
                        else msg(
                            "{display} cannot be revised: it is a content", display=item.display
                        ),
                        remedy=msg("mayak verify checks the case"),
                    )
                if is_recorded(before, item):
                    continue
                revised += 1
                if isinstance(item.outcome, Content) and item.outcome.sha256 not in digests:
                    digests.add(item.outcome.sha256)
                    add_content(batch, item.outcome)
                add_revision(batch, before.id, item)
            return revised

    # ------------------------------------------------------------------ reading items

    def outcome(self, source: int, location: str) -> StoredItem | None:
        """Return the item at a location of a source, with its latest outcome."""
        query = "SELECT * FROM present WHERE source = ? AND location = ?"
        rows = self._database.query(query, source, storable(location))
        return stored_item(rows[0]) if rows else None

    def item(self, number: int) -> StoredItem | None:
        """Return the item with this id, with its latest outcome."""
        rows = self._database.query("SELECT * FROM present WHERE id = ?", number)
        return stored_item(rows[0]) if rows else None

    def known_items(self, source: int) -> Iterator[StoredItem]:
        """Yield the items of a source, in the order they were added."""
        # The plus keeps SQLite from sorting the whole source again for each page.
        rows = self._database.pages(
            "SELECT * FROM present WHERE +source = ? AND id > ? ORDER BY id LIMIT ?", source
        )
        return map(stored_item, rows)

    def open_gaps(self, source: int) -> list[StoredItem]:
        """Return the recorded gaps in the containers of a source (what could not be listed, or that
        nothing was) which no later run has closed, in the order they were added."""
        # The location of a file is a list, that of a gap an object.
        rows = self._database.query(
            "SELECT * FROM present WHERE source = ? AND location >= '{' AND location < '|'"
            " AND (error IS NOT NULL OR rule = ?) ORDER BY id",
            source,
            OutcomeReason.NO_ENTRIES,
        )
        return list(map(stored_item, rows))

    def at_paths(self, source: int, paths: Iterable[str]) -> dict[str, int]:
        """Return the ids of the files of a source at some paths, by path
        (``EvidencePath.numbered``)."""
        wanted = set(paths)
        # Earlier versions displayed the path with its numbers.
        shown = wanted | {re.sub(r"#[0-9]+(?=/|$)", "", path) for path in wanted}
        rows = self._database.query(
            "SELECT id, location FROM items WHERE source = ? AND location < '{'"
            " AND display IN (SELECT value FROM json_each(?)) ORDER BY id",
            source,
            json.dumps([*shown]),
        )
        found: dict[str, int] = {}
        for row in rows:
            with checked(self._folder, row_name("items", row["id"])):
                path = EvidencePath.from_json(row["location"]).numbered
            if path in wanted:
                found[path] = row["id"]
        return found

    def last_item(self) -> int:
        """Return the id of the item that was added last; 0 if there is none."""
        return int(self._database.query("SELECT coalesce(max(id), 0) FROM items")[0][0])

    def occurrences(self, sha256: str) -> list[StoredItem]:
        """Return every item that holds a content, in the order they were added."""
        query = (
            "SELECT * FROM present WHERE id IN (SELECT item FROM places WHERE content = ?)"
            " ORDER BY id"
        )
        return [stored_item(row) for row in self._database.query(query, sha256)]

    def left_out(self, rule: str) -> Iterator[str]:
        """Yield the displayed paths of the items that a rule excludes, in the order they were
        added."""
        rows = self._database.pages(
            "SELECT id, display FROM present WHERE rule = ? AND id > ? ORDER BY id LIMIT ?", rule
        )
        return (row["display"] for row in rows)

    def first_failures(self, limit: int) -> list[Failure]:
        """Return the first items that could not be read, in the order they were added.

        Those of a kind that is not opened come last: there may be thousands, which are counted by
        kind, and among which a single loss would be overlooked.
        """
        query = (
            "SELECT display, location, stage, error, message, kind FROM present"
            " WHERE error IS NOT NULL ORDER BY error = ?, id LIMIT ?"
        )
        rows = self._database.query(query, OutcomeReason.NOT_OPENED, limit)
        return [
            Failure(described(display, location), stage, error, message, kind=kind)
            for display, location, stage, error, message, kind in rows
        ]

    # ------------------------------------------------------------------ contents

    def content(self, sha256: str) -> StoredContent | None:
        """Return the content with this SHA-256."""
        rows = self._database.query("SELECT * FROM contents WHERE sha256 = ?", sha256)
        return stored_content(rows[0]) if rows else None

    def contents(self) -> Iterator[StoredContent]:
        """Yield all contents, in the order they were added."""
        rows = self._database.pages("SELECT * FROM contents WHERE id > ? ORDER BY id LIMIT ?")
        return map(stored_content, rows)

    def thumbnail(self, content: StoredContent) -> bytes | None:
        """Return the JPEG file of a content's thumbnail; None if it has none."""
        if content.thumbnail is None:
            return None
        with checked(self._folder, TABLES["thumbnails"] + f" {content.thumbnail}"):
            try:
                return read_thumbnail(self._folder, content.thumbnail)
            except OSError as error:
                raise storage_error(self._folder, error) from error

    def perceptual_hashes(self, min_quality: int) -> Iterator[tuple[str, bytes]]:
        """Yield SHA-256 and PDQ of the contents whose PDQ has this quality or more, in the order
        they were added."""
        rows = self._database.pages(
            "SELECT id, sha256, pdq FROM contents"
            " WHERE pdq_quality >= ? AND id > ? ORDER BY id LIMIT ?",
            min_quality,
        )
        return ((row["sha256"], row["pdq"]) for row in rows)

    # ------------------------------------------------------------------ counting

    def counts(self) -> Counts:
        """Return the numbers of items by outcome, all at one moment."""
        (row,) = self._database.query(
            "SELECT (SELECT count(*) FROM items), count(content), count(error), count(rule),"
            " (SELECT count(*) FROM contents) FROM present"
        )
        return Counts(*row)

    def source_counts(self) -> dict[int, SourceCounts]:
        """Return the numbers of items of each source that has any."""
        query = (
            "SELECT source, count(*), sum(content IS NOT NULL OR rule IS NOT NULL"
            # As ``StoredItem.sha256``.
            " AND substr(reason, -72, 8) = 'SHA-256 '"
            " AND substr(reason, -64) NOT GLOB '*[^0-9a-f]*'),"
            " sum(deleted OR coalesce(rule = ?, 0)),"
            ' sum(instr(location, \'"kind":"embedded"\') > 0),'
            " sum(substr(location, 1, 1) = '{'),"  # the location of a file is a list
            ' max(instr(location, \'"kind":"image"\') > 0) FROM present GROUP BY source'
        )
        rows = self._database.query(query, OutcomeReason.DELETED_WITHOUT_CONTENT)
        return {
            number: SourceCounts(files, hashed, deleted, inside, gaps, bool(disk))
            for number, files, hashed, deleted, inside, gaps, disk in rows
        }

    def exclusion_counts(self) -> dict[str, int]:
        """Return the number of excluded items by rule."""
        query = "SELECT rule, count(*) FROM present WHERE rule IS NOT NULL GROUP BY rule"
        return dict(tuple(row) for row in self._database.query(query))

    def failure_counts(self) -> dict[str, int]:
        """Return the number of items that could not be read, by the recorded reason."""
        query = "SELECT error, count(*) FROM present WHERE error IS NOT NULL GROUP BY error"
        return dict(tuple(row) for row in self._database.query(query))

    def census(self) -> list[CensusRow]:
        """Return the numbers of items without an image by outcome, reason and kind, the most
        frequent first."""
        query = (
            "SELECT outcome, coalesce(error, rule), kind, count(*) FROM present"
            " WHERE error IS NOT NULL OR rule IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3"
        )
        with checked(self._folder, TABLES["items"]):
            return [_census_row(row) for row in self._database.query(query)]

    def unknown_beginnings(self, limit: int) -> list[tuple[str, int]]:
        """Return the most frequent first bytes of files of no known kind, in hex, with the numbers
        of files."""
        query = (
            "SELECT reason, count(*) FROM present WHERE rule = ? GROUP BY reason"
            " ORDER BY count(*) DESC, reason LIMIT ?"
        )
        rows = self._database.query(query, OutcomeReason.UNKNOWN, limit)
        with checked(self._folder, TABLES["exclusions"]):
            return [(text.removeprefix(BEGINS), count) for text, count in rows]

    # ------------------------------------------------------------------ alerts

    def add_alerts(self, alerts: Iterable[Alert]) -> int:
        """Add the alerts that are not in the case; return how many were new."""
        with self._database.batch("alert") as batch:
            done: set[tuple[str, str]] = set()
            for alert in alerts:
                key = (alert.sha256, alert.list_digest)
                query = "SELECT id FROM alerts WHERE content = ? AND list_digest = ?"
                if key in done or first(batch, query, *key):
                    continue
                done.add(key)
                batch.add(
                    "alerts",
                    content=alert.sha256,
                    list=alert.list,
                    list_digest=alert.list_digest,
                    kind=alert.kind,
                )
            return len(done)

    def alerts(self) -> Iterator[Alert]:
        """Yield all alerts, in the order they were added."""
        rows = self._database.pages("SELECT * FROM alerts WHERE id > ? ORDER BY id LIMIT ?")
        return map(_alert, rows)

    def alerts_of(self, sha256: str) -> list[Alert]:
        """Return the alerts of a content."""
        rows = self._database.query("SELECT * FROM alerts WHERE content = ? ORDER BY id", sha256)
        return [_alert(row) for row in rows]


def _census_row(row: Row) -> CensusRow:
    outcome, reason, kind, files = row
    if outcome not in ("failure", "exclusion") or not isinstance(reason, str):
        raise ValueError(f"{outcome!r} {reason!r}")
    if kind is not None and not isinstance(kind, str):
        raise ValueError(f"kind {kind!r}")
    return CensusRow(outcome, reason, kind, files)


@row_of("alerts")
def _alert(row: Row) -> Alert:
    return Alert(row["content"], row["list"], row["list_digest"], row["kind"])
