"""``CaseStore``: what is known of a case; nothing of it gets lost or changes unseen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from itertools import groupby, zip_longest
from operator import itemgetter
from pathlib import Path
from sqlite3 import Row
from types import TracebackType
from typing import Self, cast

from mayak.case.audit import audit, extent
from mayak.case.database import GENESIS, Database
from mayak.case.exchange import Exchange
from mayak.case.folder import (
    Identity,
    WriterLock,
    read_identity,
    read_thumbnail,
    require_regular,
    storage_error,
    write_identity,
    write_thumbnails,
)
from mayak.case.listing import Listing
from mayak.case.records import (
    Alert,
    Content,
    Counts,
    Extent,
    Fault,
    Item,
    LogEntry,
    Source,
    SourceCounts,
    SourceHash,
    StoredContent,
    StoredItem,
)
from mayak.case.rows import (
    add_content,
    add_item,
    add_revision,
    content_of,
    first,
    is_said,
    stored_content,
    stored_item,
    utc,
)
from mayak.case.runs import Runs
from mayak.case.values import checked, json_object, moment, row_of
from mayak.errors import CaseError
from mayak.files import staged_folder
from mayak.i18n import msg
from mayak.names import storable
from mayak.types import EvidencePath, Failure


class CaseStore(Exchange, Runs, Listing):
    """A case, open for writing (``create``, ``open``: one process at a time), for deciding beside
    such a writer (``review``) or reading (``read``): any number of these.

    Made of rows that are only ever added. Every method that adds some does so in one transaction
    with its log entry: it has happened as a whole, on disk, when the method returns, or not at all.
    Adding what is there already does nothing, so an interrupted piece of work is simply done again.
    A store belongs to one thread at a time. Every method may raise CaseError.
    """

    def __init__(
        self, folder: Path, identity: Identity, database: Database, lock: WriterLock | None
    ) -> None:
        self.folder = folder
        self.id = identity.id
        self.name = identity.name
        self.created = datetime.fromisoformat(identity.created)
        self._database = database
        self._lock = lock

    @classmethod
    def create(cls, folder: Path, *, operator: str) -> CaseStore:
        """Make a case in a new or empty folder, which is its name, and open it for writing."""
        folder = folder.resolve()
        _require_operator(operator)
        try:
            if folder.exists() and any(folder.iterdir()):
                raise CaseError(
                    msg("{folder} is not empty", folder=folder),
                    remedy=msg("name a new folder for the case"),
                )
            # For its owner alone, whatever the umask of a program that uses the library: a closed
            # folder also closes the files in it.
            with staged_folder(folder, mode=0o700) as stage:
                identity = Identity.new(storable(folder.name))
                database = Database.create(stage, operator=operator)
                try:
                    with database.batch("create", always=True, **asdict(identity)):
                        pass
                finally:
                    database.close()
                write_identity(stage, identity)
        except OSError as error:
            raise storage_error(folder, error) from error
        return cls.open(folder, operator=operator)

    @classmethod
    def open(cls, folder: Path, *, operator: str) -> CaseStore:
        """Open a case for writing. Raises CaseError if another process writes it."""
        _require_operator(operator)
        identity = _identity(folder, writing=True)
        lock = WriterLock(folder)
        try:
            database = Database(folder, operator=operator)
            try:
                with database.batch("open", always=True):
                    pass
            except BaseException:
                database.close()
                raise
        except BaseException:
            lock.release()
            raise
        return cls(folder, identity, database, lock)

    @classmethod
    def review(cls, folder: Path, *, operator: str, action: str = "review") -> CaseStore:
        """Open a case to decide while another process may be adding to it: without the lock, which
        a writer holds for its whole run. What is written is kept whole by the transactions.
        ``action`` is what the log calls it."""
        _require_operator(operator)
        identity = _identity(folder, writing=True)
        database = Database(folder, operator=operator)
        try:
            with database.batch(action, always=True):
                pass
        except BaseException:
            database.close()
            raise
        return cls(folder, identity, database, None)

    @classmethod
    def read(cls, folder: Path, *, tampered: bool = False) -> CaseStore:
        """Open a case for reading; whatever adds to it raises CaseError. With ``tampered`` a case
        with a foreign schema is opened too, for ``verify``."""
        identity = _identity(folder, writing=False)
        return cls(folder, identity, Database(folder, operator=None, tampered=tampered), None)

    @property
    def readable(self) -> bool:
        """Whether more than ``verify`` may be asked of a case that was opened ``tampered``."""
        return self._database.readable

    def interrupt(self) -> None:
        """End the statement that another thread is in, which raises KeyboardInterrupt there."""
        self._database.connection.interrupt()

    def close(self) -> None:
        """Close the database and let the next writer in."""
        self._database.close()
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ------------------------------------------------------------------ sources

    def add_source(self, path: str, kind: str) -> int:
        """The id of a source, added if its path is not there."""
        with self._database.batch("add source", path=storable(path), kind=kind) as batch:
            found = first(batch, "SELECT id FROM sources WHERE path = ?", storable(path))
            return found or batch.add("sources", path=path, kind=kind)

    def add_source_hash(self, source: int, reading: SourceHash) -> None:
        """Record one reading of a whole source."""
        with self._database.batch("hash source", source=source) as batch:
            batch.add(
                "source_hashes",
                source=source,
                **{**asdict(reading), "began": utc(reading.began), "ended": utc(reading.ended)},
            )

    def sources(self) -> list[Source]:
        """All sources, in the order they were added."""
        hashes: dict[int, list[SourceHash]] = {}
        for row in self._database.query("SELECT * FROM source_hashes ORDER BY id"):
            hashes.setdefault(row["source"], []).append(_source_hash(row))
        found = map(_source, self._database.query("SELECT * FROM sources ORDER BY id"))
        return [replace(source, hashes=tuple(hashes.get(source.id, ()))) for source in found]

    # ------------------------------------------------------------------ items and contents

    def add_items(self, source: int, items: Sequence[Item]) -> int:
        """Add the items that are not there yet, with their outcomes; returns how many were new.

        Call it with some hundreds at once: each call waits for the disk.
        """
        contents = [item.outcome for item in items if isinstance(item.outcome, Content)]
        # On disk before the rows that promise them.
        write_thumbnails(self.folder, (c.thumbnail for c in contents if c.thumbnail is not None))
        with self._database.batch("add items", source=source) as batch:
            placed: dict[str, Item] = {}
            digests: set[str] = set()
            query = "SELECT id FROM items WHERE source = ? AND location = ?"
            for item in items:
                location = storable(item.location)
                if location in placed or first(batch, query, source, location):
                    if (elsewhere := self._elsewhere(source, item, placed)) is None:
                        continue
                    item, location = elsewhere, storable(elsewhere.location)
                placed[location] = item
                if isinstance(item.outcome, Content) and item.outcome.sha256 not in digests:
                    digests.add(item.outcome.sha256)
                    add_content(batch, item.outcome)
                add_item(batch, source, item)
            return len(placed)

    def _elsewhere(self, source: int, item: Item, placed: Mapping[str, Item]) -> Item | None:
        """An item whose place is taken by another one, at a place of its own; None where it is
        there already. No reader gives one place to two files; if one did, none may vanish."""
        try:
            path = EvidencePath.from_json(item.location)
        except ValueError:  # what is told of a container: the same words, the same thing
            return None
        serial, elsewhere = path.serial, item
        while (same := self._is_there(source, elsewhere, placed)) is False:
            serial = max(serial, 1) + 1
            other = replace(path, serial=serial)
            elsewhere = replace(item, display=str(other), location=other.to_json())
        return None if same else elsewhere

    def _is_there(self, source: int, item: Item, placed: Mapping[str, Item]) -> bool | None:
        """Whether what lies at an item's place is the same; None where nothing does."""
        if (there := placed.get(storable(item.location))) is not None:
            content = content_of(item)
            return content_of(there) == content if content else there.outcome == item.outcome
        before = self.outcome(source, item.location)
        return None if before is None else is_said(before, item)

    def revise_items(self, source: int, items: Sequence[Item]) -> int:
        """Say anew what became of items; returns of how many it differs from what was said before.

        The last word stands, earlier ones stay on record. Raises CaseError for an item that is not
        in the case, and for one that is a content already: what was found is not given up.
        """
        contents = [item.outcome for item in items if isinstance(item.outcome, Content)]
        write_thumbnails(self.folder, (c.thumbnail for c in contents if c.thumbnail is not None))
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
                if is_said(before, item):
                    continue
                revised += 1
                if isinstance(item.outcome, Content) and item.outcome.sha256 not in digests:
                    digests.add(item.outcome.sha256)
                    add_content(batch, item.outcome)
                add_revision(batch, before.id, item)
            return revised

    def outcome(self, source: int, location: str) -> StoredItem | None:
        """The item at a location of a source, with its present outcome."""
        query = "SELECT * FROM present WHERE source = ? AND location = ?"
        rows = self._database.query(query, source, storable(location))
        return stored_item(rows[0]) if rows else None

    def item(self, number: int) -> StoredItem | None:
        """The item with this id, with its present outcome."""
        rows = self._database.query("SELECT * FROM present WHERE id = ?", number)
        return stored_item(rows[0]) if rows else None

    def known_items(self, source: int) -> Iterator[StoredItem]:
        """The items of a source, in the order they were added."""
        # The plus keeps SQLite from sorting the whole source anew for each page.
        rows = self._database.pages(
            "SELECT * FROM present WHERE +source = ? AND id > ? ORDER BY id LIMIT ?", source
        )
        return map(stored_item, rows)

    def last_item(self) -> int:
        """The number of the item that was added last; 0 where there is none."""
        return int(self._database.query("SELECT coalesce(max(id), 0) FROM items")[0][0])

    def places(self, sha256: str) -> list[StoredItem]:
        """Every item that holds a content, in the order they were added."""
        query = (
            "SELECT * FROM present WHERE id IN (SELECT item FROM places WHERE content = ?)"
            " ORDER BY id"
        )
        return [stored_item(row) for row in self._database.query(query, sha256)]

    def content(self, sha256: str) -> StoredContent | None:
        """The content with this SHA-256."""
        rows = self._database.query("SELECT * FROM contents WHERE sha256 = ?", sha256)
        return stored_content(rows[0]) if rows else None

    def contents(self) -> Iterator[StoredContent]:
        """All contents, in the order they were added."""
        rows = self._database.pages("SELECT * FROM contents WHERE id > ? ORDER BY id LIMIT ?")
        return map(stored_content, rows)

    def thumbnail(self, content: StoredContent) -> bytes | None:
        """The JPEG file of a content's thumbnail, as it was written; None if it has none."""
        if content.thumbnail is None:
            return None
        with checked(self.folder, f"thumbnail {content.thumbnail}"):
            try:
                return read_thumbnail(self.folder, content.thumbnail)
            except OSError as error:
                raise storage_error(self.folder, error) from error

    def counts(self) -> Counts:
        """The numbers of the invariant, as of one moment; each counted by what stands for it."""
        (row,) = self._database.query(
            "SELECT (SELECT count(*) FROM items), count(content), count(error), count(rule),"
            " (SELECT count(*) FROM contents) FROM present"
        )
        return Counts(*row)

    def source_counts(self) -> dict[int, SourceCounts]:
        """The items of each source that has any."""
        query = (
            "SELECT source, count(*), sum(content IS NOT NULL OR rule IS NOT NULL"
            # As ``StoredItem.sha256``.
            " AND substr(reason, -72, 8) = 'SHA-256 '"
            " AND substr(reason, -64) NOT GLOB '*[^0-9a-f]*'),"
            " sum(deleted OR coalesce(rule = 'DeletedWithoutContent', 0)),"
            ' sum(instr(location, \'"kind":"embedded"\') > 0),'
            " sum(substr(location, 1, 1) = '{'),"  # of a file it is a list
            ' max(instr(location, \'"kind":"image"\') > 0) FROM present GROUP BY source'
        )
        return {
            number: SourceCounts(files, hashed, deleted, inside, gaps, bool(disk))
            for number, files, hashed, deleted, inside, gaps, disk in self._database.query(query)
        }

    def left_out(self, rule: str) -> Iterator[str]:
        """The displayed paths of the items that a rule leaves out, in the order they were added."""
        rows = self._database.pages(
            "SELECT id, display FROM present WHERE rule = ? AND id > ? ORDER BY id LIMIT ?", rule
        )
        return (row["display"] for row in rows)

    def exclusion_counts(self) -> dict[str, int]:
        """Items that are left out, by the rule that did so."""
        query = "SELECT rule, count(*) FROM present WHERE rule IS NOT NULL GROUP BY rule"
        return dict(tuple(row) for row in self._database.query(query))

    def failure_counts(self) -> dict[str, int]:
        """Items that could not be read, by the recorded reason."""
        query = "SELECT error, count(*) FROM present WHERE error IS NOT NULL GROUP BY error"
        return dict(tuple(row) for row in self._database.query(query))

    def first_failures(self, limit: int) -> list[Failure]:
        """The first items that could not be read, in the order they were added."""
        query = (
            "SELECT display, stage, error, message FROM present WHERE error IS NOT NULL"
            " ORDER BY id LIMIT ?"
        )
        return [Failure(*row) for row in self._database.query(query, limit)]

    # ------------------------------------------------------------------ alerts

    def add_alerts(self, alerts: Iterable[Alert]) -> int:
        """Add the alerts that are not there yet; returns how many were new."""
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
        """All alerts, in the order they were added."""
        rows = self._database.pages("SELECT * FROM alerts WHERE id > ? ORDER BY id LIMIT ?")
        return map(_alert, rows)

    def alerts_of(self, sha256: str) -> list[Alert]:
        """The lists of known files in which a content stands."""
        rows = self._database.query("SELECT * FROM alerts WHERE content = ? ORDER BY id", sha256)
        return [_alert(row) for row in rows]

    # ------------------------------------------------------------------ groups, log, verification

    def perceptual_hashes(self, least_quality: int) -> Iterator[tuple[str, bytes]]:
        """SHA-256 and PDQ of the contents whose PDQ has this quality or more, in the order they
        were added."""
        rows = self._database.pages(
            "SELECT id, sha256, pdq FROM contents"
            " WHERE pdq_quality >= ? AND id > ? ORDER BY id LIMIT ?",
            least_quality,
        )
        return ((row["sha256"], row["pdq"]) for row in rows)

    def set_groups(
        self,
        groups: Sequence[Sequence[str]],
        *,
        distance: int,
        stacks: Sequence[Sequence[str]] = (),
        stack_distance: int | None = None,
    ) -> None:
        """Group the contents that are alike anew: their SHA-256 by group, found at up to
        ``distance`` differing bits of PDQ, and by stack those that are the same picture, at up to
        ``stack_distance`` (None: not looked for). Earlier groupings stay on record. The same
        grouping again does nothing."""
        stack_of = {content: at for at, stack in enumerate(stacks, 1) for content in stack}
        wanted = (
            (number, content, stack_of.get(content))
            for number, group in enumerate(groups, 1)
            for content in group
        )
        present = zip_longest(wanted, self._group_members())
        if all(new == old for new, old in present) and (
            not groups or stack_distance == self._stack_distance()
        ):
            return
        with self._database.batch(
            "group", groups=len(groups), stacks=len(stacks), distance=distance
        ) as batch:
            grouping = batch.add("groupings", distance=distance, stack_distance=stack_distance)
            for number, group in enumerate(groups, 1):
                for content in group:
                    batch.add(
                        "group_members",
                        grouping=grouping,
                        number=number,
                        content=content,
                        stack=stack_of.get(content),
                    )

    def groups(self) -> list[list[str]]:
        """The present groups of contents that are alike, as they were given."""
        return [
            [content for _, content, _ in members]
            for _, members in groupby(self._group_members(), key=itemgetter(0))
        ]

    def stacks(self) -> list[list[str]]:
        """The contents that are the same picture, by stack."""
        found: dict[int, list[str]] = {}
        for _, content, stack in self._group_members():
            if stack is not None:
                found.setdefault(stack, []).append(content)
        return [found[number] for number in sorted(found)]

    def lacks_stacks(self) -> bool:
        """Whether there are groups, but a version of mayak that knew of no stacks made them."""
        return self._stack_distance() is None and any(True for _ in self._group_members())

    def _stack_distance(self) -> int | None:
        query = "SELECT stack_distance FROM groupings ORDER BY id DESC LIMIT 1"
        rows = self._database.query(query)
        return rows[0]["stack_distance"] if rows else None

    def _group_members(self) -> Iterator[tuple[int, str, int | None]]:
        # The plus keeps SQLite from sorting the whole grouping anew for each page.
        rows = self._database.pages(
            "SELECT id, number, content, stack FROM group_members"
            " WHERE +grouping = (SELECT max(id) FROM groupings) AND id > ? ORDER BY id LIMIT ?"
        )
        return ((row["number"], row["content"], row["stack"]) for row in rows)

    def record(self, action: str, **detail: object) -> None:
        """Log an action that adds nothing else: a verification, an export."""
        with self._database.batch(action, always=True, **detail):
            pass

    def log(self) -> Iterator[LogEntry]:
        """The log, first entry first."""
        rows = self._database.pages(
            "SELECT *, sequence AS id FROM log WHERE sequence > ? ORDER BY sequence LIMIT ?"
        )
        return map(_log_entry, rows)

    def entry_of(self, head: str) -> int | None:
        """The number of the log entry with this hash."""
        rows = self._database.query("SELECT sequence FROM log WHERE hash = ?", head)
        return int(rows[0]["sequence"]) if rows else None

    def head(self) -> str:
        """The hash of the last log entry. Printed on paper it vouches for the whole case: who
        rewrites the log from the start gets another one."""
        rows = self._database.query("SELECT hash FROM log ORDER BY sequence DESC LIMIT 1")
        return cast(str, rows[0]["hash"]) if rows else GENESIS

    def extent(self) -> Extent:
        """How much ``verify`` compares."""
        return extent(self._database)

    def verify(self) -> list[Fault]:
        """Every fault of the case; empty if it is as it was written. Writers may go on meanwhile.

        Re-hashes every row, log entry and thumbnail. Does not touch the sources.
        """
        return audit(self.folder, self._database)


def _identity(folder: Path, *, writing: bool) -> Identity:
    require_regular(folder, writing=writing)
    return read_identity(folder)


@row_of("sources")
def _source(row: Row) -> Source:
    return Source(row["id"], row["path"], row["kind"], ())


@row_of("source_hashes")
def _source_hash(row: Row) -> SourceHash:
    return SourceHash(
        md5=row["md5"],
        sha256=row["sha256"],
        size=row["size"],
        began=moment(row["began"]),
        ended=moment(row["ended"]),
        stored_hash=row["stored_hash"],
        matches=None if row["matches"] is None else bool(row["matches"]),
        accepted_damaged=bool(row["accepted_damaged"]),
    )


@row_of("alerts")
def _alert(row: Row) -> Alert:
    return Alert(row["content"], row["list"], row["list_digest"], row["kind"])


@row_of("log")
def _log_entry(row: Row) -> LogEntry:
    return LogEntry(
        sequence=row["sequence"],
        at=row["at"],
        operator=row["operator"],
        action=row["action"],
        detail=json_object(row["detail"]),
        previous=row["previous"],
        hash=row["hash"],
    )


def _require_operator(operator: str) -> None:
    if not operator.strip():
        raise CaseError(
            msg("no operator is named"),
            remedy=msg("name who is working: the log records it"),
        )
