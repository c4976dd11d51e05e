"""``CaseStore``: what is known of a case; nothing of it gets lost or changes unseen."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby, zip_longest
from operator import itemgetter
from pathlib import Path
from sqlite3 import Row
from types import TracebackType
from typing import Self, cast

from mayak.case.audit import audit
from mayak.case.database import GENESIS, Batch, Database, canonical, storable
from mayak.case.exchange import Exchange
from mayak.case.folder import (
    Identity,
    WriterLock,
    read_identity,
    storage_error,
    sync_folder,
    thumbnail_path,
    write_identity,
    write_thumbnails,
)
from mayak.case.listing import Listing
from mayak.case.records import (
    Alert,
    Content,
    Counts,
    Duplicate,
    Exclusion,
    Fault,
    Item,
    LogEntry,
    Result,
    Run,
    Source,
    SourceHash,
    StoredContent,
    StoredItem,
    Unclassified,
)
from mayak.errors import CaseError
from mayak.language import tr
from mayak.types import Engine, Failure, Prediction


class CaseStore(Exchange, Listing):
    """A case, open for writing (``create``, ``open``: one process at a time), for deciding beside
    such a writer (``review``) or reading (``read``): any number of these.

    Made of rows that are only ever added. Every method that adds some does so in one transaction
    with its log entry: it has happened as a whole, on disk, when the method returns, or not at all.
    Adding what is there already does nothing, so an interrupted piece of work is simply done again.
    A store belongs to the thread that opened it. Every method may raise CaseError.
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
                    tr(f"{folder} is not empty", f"{folder}이(가) 비어 있지 않습니다"),
                    remedy=tr("name a new folder for the case", "사건을 둘 새 폴더를 지정하십시오"),
                )
            # Built beside and moved into place: under its name there is a whole case or none.
            building = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
            building.mkdir(parents=True)
        except OSError as error:
            raise storage_error(folder, error) from error
        try:
            identity = Identity.new(folder.name)
            database = Database.create(building, operator=operator)
            try:
                with database.batch("create", always=True, **asdict(identity)):
                    pass
            finally:
                database.close()
            write_identity(building, identity)
            if folder.exists():
                folder.rmdir()
            building.rename(folder)
            sync_folder(folder.parent)
        except OSError as error:
            raise storage_error(folder, error) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return cls.open(folder, operator=operator)

    @classmethod
    def open(cls, folder: Path, *, operator: str) -> CaseStore:
        """Open a case for writing. Raises CaseError if another process writes it."""
        _require_operator(operator)
        identity = read_identity(folder)
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
        identity = read_identity(folder)
        database = Database(folder, operator=operator)
        try:
            with database.batch(action, always=True):
                pass
        except BaseException:
            database.close()
            raise
        return cls(folder, identity, database, None)

    @classmethod
    def read(cls, folder: Path) -> CaseStore:
        """Open a case for reading; whatever adds to it raises CaseError."""
        return cls(folder, read_identity(folder), Database(folder, operator=None), None)

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
            found = _first(batch, "SELECT id FROM sources WHERE path = ?", storable(path))
            return found or batch.add("sources", path=path, kind=kind)

    def add_source_hash(self, source: int, reading: SourceHash) -> None:
        """Record one reading of a whole source."""
        with self._database.batch("hash source", source=source) as batch:
            batch.add(
                "source_hashes",
                source=source,
                **{**asdict(reading), "began": _utc(reading.began), "ended": _utc(reading.ended)},
            )

    def sources(self) -> list[Source]:
        """All sources, in the order they were added."""
        hashes: dict[int, list[SourceHash]] = {}
        for row in self._database.query("SELECT * FROM source_hashes ORDER BY id"):
            hashes.setdefault(row["source"], []).append(
                SourceHash(
                    md5=row["md5"],
                    sha256=row["sha256"],
                    size=row["size"],
                    began=datetime.fromisoformat(row["began"]),
                    ended=datetime.fromisoformat(row["ended"]),
                    stored_hash=row["stored_hash"],
                    matches=None if row["matches"] is None else bool(row["matches"]),
                    accepted_damaged=bool(row["accepted_damaged"]),
                )
            )
        return [
            Source(row["id"], row["path"], row["kind"], tuple(hashes.get(row["id"], ())))
            for row in self._database.query("SELECT * FROM sources ORDER BY id")
        ]

    # ------------------------------------------------------------------ items and contents

    def add_items(self, source: int, items: Sequence[Item]) -> int:
        """Add the items that are not there yet, with their outcomes; returns how many were new.

        Call it with some hundreds at once: each call waits for the disk.
        """
        contents = [item.outcome for item in items if isinstance(item.outcome, Content)]
        # On disk before the rows that promise them.
        write_thumbnails(self.folder, (c.thumbnail for c in contents if c.thumbnail is not None))
        with self._database.batch("add items", source=source) as batch:
            locations: set[str] = set()
            digests: set[str] = set()
            for item in items:
                location = storable(item.location)
                query = "SELECT id FROM items WHERE source = ? AND location = ?"
                if location in locations or _first(batch, query, source, location):
                    continue
                locations.add(location)
                if isinstance(item.outcome, Content) and item.outcome.sha256 not in digests:
                    digests.add(item.outcome.sha256)
                    _add_content(batch, item.outcome)
                _add_item(batch, source, item)
            return len(locations)

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
                    before.content is not None and before.content != _content_of(item)
                ):
                    raise CaseError(
                        tr(
                            f"{item.display} cannot be revised: it is "
                            f"{'not in the case' if before is None else 'a content'}",
                            f"{item.display}의 결과를 바꿀 수 없습니다",
                        ),
                        remedy=tr("mayak verify checks the case", "mayak verify로 확인하십시오"),
                    )
                if _is_said(before, item):
                    continue
                revised += 1
                if isinstance(item.outcome, Content) and item.outcome.sha256 not in digests:
                    digests.add(item.outcome.sha256)
                    _add_content(batch, item.outcome)
                _add_revision(batch, before.id, item)
            return revised

    def outcome(self, source: int, location: str) -> StoredItem | None:
        """The item at a location of a source, with its present outcome."""
        query = "SELECT * FROM present WHERE source = ? AND location = ?"
        rows = self._database.query(query, source, storable(location))
        return _stored_item(rows[0]) if rows else None

    def item(self, number: int) -> StoredItem | None:
        """The item with this id, with its present outcome."""
        rows = self._database.query("SELECT * FROM present WHERE id = ?", number)
        return _stored_item(rows[0]) if rows else None

    def known_items(self, source: int) -> Iterator[StoredItem]:
        """The items of a source, in the order they were added."""
        # The plus keeps SQLite from sorting the whole source anew for each page.
        rows = self._database.pages(
            "SELECT * FROM present WHERE +source = ? AND id > ? ORDER BY id LIMIT ?", source
        )
        return map(_stored_item, rows)

    def places(self, sha256: str) -> list[StoredItem]:
        """Every item that holds a content, in the order they were added."""
        query = (
            "SELECT * FROM present WHERE id IN (SELECT item FROM places WHERE content = ?)"
            " ORDER BY id"
        )
        return [_stored_item(row) for row in self._database.query(query, sha256)]

    def content(self, sha256: str) -> StoredContent | None:
        """The content with this SHA-256."""
        rows = self._database.query("SELECT * FROM contents WHERE sha256 = ?", sha256)
        return _stored_content(rows[0]) if rows else None

    def contents(self) -> Iterator[StoredContent]:
        """All contents, in the order they were added."""
        rows = self._database.pages("SELECT * FROM contents WHERE id > ? ORDER BY id LIMIT ?")
        return map(_stored_content, rows)

    def thumbnail(self, content: StoredContent) -> bytes | None:
        """The JPEG file of a content's thumbnail; None if it has none."""
        if content.thumbnail is None:
            return None
        try:
            return thumbnail_path(self.folder, content.thumbnail).read_bytes()
        except OSError as error:
            raise storage_error(self.folder, error) from error

    def counts(self) -> Counts:
        """The numbers of the invariant, as of one moment; each counted by what stands for it."""
        (row,) = self._database.query(
            "SELECT (SELECT count(*) FROM items), count(content), count(error), count(rule),"
            " (SELECT count(*) FROM contents) FROM present"
        )
        return Counts(*row)

    def exclusion_counts(self) -> dict[str, int]:
        """Items that are left out, by the rule that did so."""
        query = "SELECT rule, count(*) FROM present WHERE rule IS NOT NULL GROUP BY rule"
        return dict(tuple(row) for row in self._database.query(query))

    # ------------------------------------------------------------------ alerts

    def add_alerts(self, alerts: Iterable[Alert]) -> int:
        """Add the alerts that are not there yet; returns how many were new."""
        with self._database.batch("alert") as batch:
            done: set[tuple[str, str]] = set()
            for alert in alerts:
                key = (alert.sha256, alert.list_digest)
                query = "SELECT id FROM alerts WHERE content = ? AND list_digest = ?"
                if key in done or _first(batch, query, *key):
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
        for row in self._database.pages("SELECT * FROM alerts WHERE id > ? ORDER BY id LIMIT ?"):
            yield Alert(row["content"], row["list"], row["list_digest"], row["kind"])

    def alerts_of(self, sha256: str) -> list[Alert]:
        """The lists of known files in which a content stands."""
        rows = self._database.query("SELECT * FROM alerts WHERE content = ? ORDER BY id", sha256)
        return [Alert(row["content"], row["list"], row["list_digest"], row["kind"]) for row in rows]

    # ------------------------------------------------------------------ runs

    def start_run(self, engine: Engine) -> int:
        """The id of the engine's run, added if it is not there."""
        with self._database.batch("start run", fingerprint=engine.fingerprint) as batch:
            query = "SELECT id FROM runs WHERE fingerprint = ?"
            return _first(batch, query, engine.fingerprint) or batch.add(
                "runs",
                fingerprint=engine.fingerprint,
                engine=canonical(asdict(engine)),
                started=datetime.now(UTC).isoformat(),
            )

    def unclassified(self, run: int) -> Iterator[Unclassified]:
        """The contents without prediction or failure in a run, in the order they were added;
        results may be added while this is read."""
        rows = self._database.pages(
            "SELECT c.id, c.sha256, i.source, i.location, i.display FROM contents c "
            "JOIN items i ON i.id = (SELECT min(item) FROM places WHERE content = c.sha256) "
            "WHERE NOT EXISTS (SELECT 1 FROM predictions WHERE run = ? AND content = c.sha256) "
            "AND NOT EXISTS (SELECT 1 FROM failures WHERE run = ? AND content = c.sha256) "
            "AND c.id > ? ORDER BY c.id LIMIT ?",
            run,
            run,
        )
        for row in rows:
            yield Unclassified(row["sha256"], row["source"], row["location"], row["display"])

    def add_results(
        self,
        run: int,
        predictions: Iterable[Prediction] = (),
        failures: Mapping[str, Failure] | None = None,
    ) -> int:
        """Add what a run says of contents that lack a result in it; ``failures`` by SHA-256.

        Returns how many were new. Raises CaseError for a prediction of another engine or a
        content that is not in the case.
        """
        with self._database.batch("classify", run=run) as batch:
            engine = batch.connection.execute(
                "SELECT fingerprint FROM runs WHERE id = ?", (run,)
            ).fetchone()
            done: set[str] = set()
            for prediction in predictions:
                if engine is None or prediction.engine != engine["fingerprint"]:
                    raise CaseError(
                        tr(
                            f"run {run} is not of engine {prediction.engine}",
                            f"실행 {run}은(는) 엔진 {prediction.engine}의 것이 아닙니다",
                        ),
                        remedy=tr(
                            "start a run for this engine", "이 엔진으로 새 실행을 시작하십시오"
                        ),
                    )
                if _is_new(batch, run, prediction.sha256, done):
                    batch.add(
                        "predictions",
                        run=run,
                        content=prediction.sha256,
                        **{f"score_{i}": float(s) for i, s in enumerate(prediction.scores)},
                        off_label=float(prediction.off_label),
                        calibrated=prediction.calibrated,
                    )
            for sha256, failure in (failures or {}).items():
                if _is_new(batch, run, sha256, done):
                    _add_failure(batch, failure, run=run, content=sha256)
            return len(done)

    def finish_run(self, run: int) -> None:
        """Record that every content has a result in the run. Raises CaseError if one has none."""
        if (missing := next(self.unclassified(run), None)) is not None:
            raise CaseError(
                tr(
                    f"run {run} is not finished: {missing.display} has no result",
                    f"실행 {run}이(가) 끝나지 않았습니다. {missing.display}의 결과가 없습니다",
                ),
                remedy=tr("resume the run", "실행을 이어서 하십시오"),
            )
        with self._database.batch("finish run", run=run) as batch:
            last = _first(batch, "SELECT coalesce(max(id), 0) FROM contents")
            query = "SELECT id FROM finishes WHERE run = ? AND last_content = ?"
            if not _first(batch, query, run, last):
                finished = datetime.now(UTC).isoformat()
                batch.add("finishes", run=run, finished=finished, last_content=last)

    def runs(self) -> list[Run]:
        """All runs, in the order they were started."""
        rows = self._database.query(
            "SELECT r.*, (SELECT finished FROM finishes WHERE run = r.id"
            "  AND last_content = (SELECT coalesce(max(id), 0) FROM contents)) AS finished,"
            " (SELECT count(*) FROM predictions WHERE run = r.id) AS predictions,"
            " (SELECT count(*) FROM failures WHERE run = r.id) AS failures"
            " FROM runs r ORDER BY r.id"
        )
        return [
            Run(
                id=row["id"],
                fingerprint=row["fingerprint"],
                engine=json.loads(row["engine"]),
                started=datetime.fromisoformat(row["started"]),
                finished=_time(row["finished"]),
                predictions=row["predictions"],
                failures=row["failures"],
            )
            for row in rows
        ]

    def predictions(self, run: int) -> Iterator[Prediction]:
        """What a run says, in the order it was added."""
        rows = self._database.pages(
            "SELECT p.*, r.fingerprint FROM predictions p JOIN runs r ON r.id = p.run "
            "WHERE +p.run = ? AND p.id > ? ORDER BY p.id LIMIT ?",
            run,
        )
        return map(_prediction, rows)

    def results_of(self, sha256: str) -> dict[int, Prediction | Failure]:
        """What each run says of a content."""
        query = (
            "SELECT p.*, r.fingerprint FROM predictions p JOIN runs r ON r.id = p.run"
            " WHERE p.run IN (SELECT id FROM runs) AND p.content = ?"
        )
        found: dict[int, Prediction | Failure] = {
            row["run"]: _prediction(row) for row in self._database.query(query, sha256)
        }
        query = "SELECT * FROM failures WHERE run IN (SELECT id FROM runs) AND content = ?"
        for row in self._database.query(query, sha256):
            failure = Failure(sha256, row["stage"], row["error"], row["message"])
            found[row["run"]] = failure
        return dict(sorted(found.items()))

    def has_result(self, run: int, sha256: str) -> bool:
        """Whether a run has said something of a content, a failure included."""
        query = (
            "SELECT EXISTS (SELECT 1 FROM predictions WHERE run = ?1 AND content = ?2)"
            " OR EXISTS (SELECT 1 FROM failures WHERE run = ?1 AND content = ?2)"
        )
        return bool(self._database.query(query, run, sha256)[0][0])

    def lacks_inside(self, run: int, source: int, location: str) -> bool:
        """Whether a run has no result of something that lies inside the item at a location: of a
        content, or because it could not be read."""
        # Locations are lists of layers: those inside begin as it does, and go on with a further.
        inside = location.removesuffix("]") + ","
        query = (
            "SELECT EXISTS (SELECT 1 FROM present p"
            " WHERE p.source = ?2 AND p.location >= ?3 || '{' AND p.location < ?3 || '|'"
            " AND (p.outcome = 'failure' OR p.outcome = 'content'"
            " AND NOT EXISTS (SELECT 1 FROM predictions WHERE run = ?1 AND content = p.content)"
            " AND NOT EXISTS (SELECT 1 FROM failures WHERE run = ?1 AND content = p.content)))"
        )
        return bool(self._database.query(query, run, source, inside)[0][0])

    def label_counts(self, run: int) -> dict[int, int]:
        """Contents by the label that a run gives them; the lowest of equals, as everywhere."""
        query = (
            "SELECT CASE max(score_0, score_1, score_2, score_3) WHEN score_0 THEN 0"
            " WHEN score_1 THEN 1 WHEN score_2 THEN 2 ELSE 3 END AS label, count(*)"
            " FROM predictions WHERE run = ? GROUP BY label ORDER BY label"
        )
        return dict(tuple(row) for row in self._database.query(query, run))

    def results(self, run: int, *, limit: int) -> list[Result]:
        """The first ``limit`` results of a run, in the order in which an examiner should see them:
        alerts, then by the probability that the image is irrelevant, lowest first; of equals the
        doubtful first."""
        query = (
            "SELECT p.*, (SELECT json_group_array(list) FROM alerts WHERE content = p.content)"
            " AS lists, (SELECT count(*) FROM places WHERE content = p.content) AS places,"
            " (SELECT min(deleted) FROM present WHERE id IN"
            "  (SELECT item FROM places WHERE content = p.content)) AS deleted,"
            " (SELECT display FROM items WHERE id ="
            "  (SELECT min(item) FROM places WHERE content = p.content)) AS display"
            " FROM (SELECT *, row_number() OVER (ORDER BY"
            "  EXISTS (SELECT 1 FROM alerts WHERE content = predictions.content) DESC, score_0,"
            "  max(score_0, score_1, score_2, score_3), content) AS rank"
            "  FROM predictions WHERE run = ?) p WHERE p.rank <= ? ORDER BY p.rank"
        )
        return [_result(row) for row in self._database.query(query, run, limit)]

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

    def set_groups(self, groups: Sequence[Sequence[str]], *, distance: int) -> None:
        """Group near-duplicates anew: contents' SHA-256 by group, found at up to ``distance``
        differing bits of PDQ. Earlier groupings stay on record. The same grouping again does
        nothing."""
        wanted = ((number, content) for number, group in enumerate(groups, 1) for content in group)
        if all(new == old for new, old in zip_longest(wanted, self._group_members())):
            return
        with self._database.batch("group", groups=len(groups), distance=distance) as batch:
            grouping = batch.add("groupings", distance=distance)
            for number, group in enumerate(groups, 1):
                for content in group:
                    batch.add("group_members", grouping=grouping, number=number, content=content)

    def groups(self) -> list[list[str]]:
        """The present groups of near-duplicates, as they were given."""
        return [
            [content for _, content in members]
            for _, members in groupby(self._group_members(), key=itemgetter(0))
        ]

    def _group_members(self) -> Iterator[tuple[int, str]]:
        # The plus keeps SQLite from sorting the whole grouping anew for each page.
        rows = self._database.pages(
            "SELECT id, number, content FROM group_members"
            " WHERE +grouping = (SELECT max(id) FROM groupings) AND id > ? ORDER BY id LIMIT ?"
        )
        return ((row["number"], row["content"]) for row in rows)

    def record(self, action: str, **detail: object) -> None:
        """Log an action that adds nothing else: a verification, an export."""
        with self._database.batch(action, always=True, **detail):
            pass

    def log(self) -> Iterator[LogEntry]:
        """The log, first entry first."""
        rows = self._database.pages(
            "SELECT sequence AS id, * FROM log WHERE sequence > ? ORDER BY sequence LIMIT ?"
        )
        for row in rows:
            yield LogEntry(
                sequence=row["sequence"],
                at=row["at"],
                operator=row["operator"],
                action=row["action"],
                detail=json.loads(row["detail"]),
                previous=row["previous"],
                hash=row["hash"],
            )

    def head(self) -> str:
        """The hash of the last log entry. Printed on paper it vouches for the whole case: who
        rewrites the log from the start gets another one."""
        rows = self._database.query("SELECT hash FROM log ORDER BY sequence DESC LIMIT 1")
        return cast(str, rows[0]["hash"]) if rows else GENESIS

    def verify(self) -> list[Fault]:
        """Every fault of the case; empty if it is as it was written. Writers may go on meanwhile.

        Re-hashes every row, log entry and thumbnail. Does not touch the sources.
        """
        return audit(self.folder, self._database)


def _require_operator(operator: str) -> None:
    if not operator.strip():
        raise CaseError(
            tr("no operator is named", "담당자 이름이 없습니다"),
            remedy=tr(
                "name who is working: the log records it",
                "작업자의 이름을 지정하십시오. 기록에 남습니다",
            ),
        )


def _first(batch: Batch, sql: str, *values: str | int | None) -> int | None:
    row = batch.connection.execute(sql, values).fetchone()
    return cast(int, row[0]) if row else None


def _is_new(batch: Batch, run: int, content: str, done: set[str]) -> bool:
    if content in done:
        return False
    for table in ("predictions", "failures"):
        query = f"SELECT id FROM {table} WHERE run = ? AND content = ?"  # noqa: S608
        if _first(batch, query, run, content):
            return False
    done.add(content)
    return True


def _add_content(batch: Batch, content: Content) -> None:
    if _first(batch, "SELECT id FROM contents WHERE sha256 = ?", content.sha256):
        return
    thumbnail = content.thumbnail
    batch.add(
        "contents",
        sha256=content.sha256,
        md5=content.md5,
        sha1=content.sha1,
        size=content.size,
        format=content.format,
        width=content.width,
        height=content.height,
        pdq=content.pdq,
        pdq_quality=content.pdq_quality,
        metadata=canonical(content.metadata),
        thumbnail=None if thumbnail is None else hashlib.sha256(thumbnail).hexdigest(),
        warnings=canonical(content.warnings),
    )


def _add_item(batch: Batch, source: int, item: Item) -> None:
    outcome = item.outcome
    name = {Failure: "failure", Exclusion: "exclusion"}.get(type(outcome), "content")
    number = batch.add(
        "items",
        source=source,
        display=item.display,
        location=item.location,
        size=item.size,
        created=_utc(item.created),
        modified=_utc(item.modified),
        accessed=_utc(item.accessed),
        changed=_utc(item.changed),
        zone_known=item.zone_known,
        deleted=item.deleted,
        outcome=name,
        content=_content_of(item),
    )
    if isinstance(outcome, Failure):
        _add_failure(batch, outcome, item=number)
    elif isinstance(outcome, Exclusion):
        batch.add("exclusions", item=number, rule=outcome.rule, reason=outcome.reason)


def _content_of(item: Item) -> str | None:
    outcome = item.outcome
    return outcome.sha256 if isinstance(outcome, Content | Duplicate) else None


def _is_said(before: StoredItem, item: Item) -> bool:
    outcome = item.outcome
    if isinstance(outcome, Failure):
        found = before.failure
        return found is not None and (found.error, found.message) == (
            outcome.error,
            outcome.message,
        )
    if isinstance(outcome, Exclusion):
        return before.exclusion == outcome
    return before.content == outcome.sha256


def _add_revision(batch: Batch, number: int, item: Item) -> None:
    outcome = item.outcome
    failed = outcome if isinstance(outcome, Failure) else None
    excluded = outcome if isinstance(outcome, Exclusion) else None
    batch.add(
        "revisions",
        item=number,
        outcome="failure" if failed else "exclusion" if excluded else "content",
        content=_content_of(item),
        rule=excluded.rule if excluded else None,
        reason=excluded.reason if excluded else None,
        stage=failed.stage if failed else None,
        error=failed.error if failed else None,
        message=failed.message if failed else None,
    )


def _add_failure(batch: Batch, failure: Failure, **about: int | str) -> None:
    batch.add(
        "failures", **about, stage=failure.stage, error=failure.error, message=failure.message
    )


def _utc(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"{moment} names no time zone")
    return moment.astimezone(UTC).isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _stored_item(row: Row) -> StoredItem:
    outcome = row["outcome"]
    return StoredItem(
        id=row["id"],
        source=row["source"],
        display=row["display"],
        location=row["location"],
        size=row["size"],
        created=_time(row["created"]),
        modified=_time(row["modified"]),
        accessed=_time(row["accessed"]),
        changed=_time(row["changed"]),
        zone_known=None if row["zone_known"] is None else bool(row["zone_known"]),
        deleted=bool(row["deleted"]),
        outcome=outcome,
        content=row["content"],
        failure=Failure(row["display"], row["stage"], row["error"], row["message"])
        if outcome == "failure"
        else None,
        exclusion=Exclusion(row["rule"], row["reason"]) if outcome == "exclusion" else None,
    )


def _stored_content(row: Row) -> StoredContent:
    return StoredContent(
        id=row["id"],
        sha256=row["sha256"],
        md5=row["md5"],
        sha1=row["sha1"],
        size=row["size"],
        format=row["format"],
        width=row["width"],
        height=row["height"],
        pdq=row["pdq"],
        pdq_quality=row["pdq_quality"],
        metadata=json.loads(row["metadata"]),
        thumbnail=row["thumbnail"],
        warnings=tuple(json.loads(row["warnings"])),
    )


def _prediction(row: Row) -> Prediction:
    return Prediction(
        sha256=row["content"],
        scores=(row["score_0"], row["score_1"], row["score_2"], row["score_3"]),
        off_label=row["off_label"],
        calibrated=bool(row["calibrated"]),
        engine=row["fingerprint"],
    )


def _result(row: Row) -> Result:
    scores = (row["score_0"], row["score_1"], row["score_2"], row["score_3"])
    second, best = sorted(scores)[-2:]
    return Result(
        rank=row["rank"],
        sha256=row["content"],
        scores=scores,
        off_label=row["off_label"],
        margin=best - second,
        alerts=tuple(json.loads(row["lists"])),
        display=row["display"],
        places=row["places"],
        deleted=bool(row["deleted"]),
    )
