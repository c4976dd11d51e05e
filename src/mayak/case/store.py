"""``CaseStore``: append-only storage of one case.

Nothing is lost, and every change can be detected. The store is a facade: each part of the case has
a class of its own (``sources``, ``items``, ``grouping``, ``runs``, ``decisions``, ``sampling``,
``exchange``, ``statuses``), and its methods are listed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime
from functools import wraps
from pathlib import Path
from sqlite3 import Row
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

from mayak.case.audit import audit, extent
from mayak.case.browse import Browser
from mayak.case.database import GENESIS, Database
from mayak.case.decisions import Decisions
from mayak.case.exchange import Exchange
from mayak.case.folder import (
    Identity,
    WriterLock,
    read_identity,
    require_regular,
    storage_error,
    write_identity,
)
from mayak.case.grouping import Groupings
from mayak.case.items import Items
from mayak.case.records import TABLES, IntegrityFault, LogEntry, VerificationScope
from mayak.case.runs import Runs
from mayak.case.sampling import Samples
from mayak.case.sources import Sources
from mayak.case.statuses import ReviewStatuses
from mayak.case.values import checked, json_object, row_of
from mayak.errors import CaseError
from mayak.files import temporary_folder
from mayak.i18n import msg
from mayak.names import storable

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def _of(
    part: str, method: Callable[Concatenate[Any, Arguments], Answer]
) -> Callable[Concatenate[CaseStore, Arguments], Answer]:
    """Make a method of the store from a method of one of its parts."""

    @wraps(method)
    def call(store: CaseStore, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        return method(getattr(store, part), *args, **kwargs)

    return call


class CaseStore:
    """An open case.

    One process at a time may write it (``create``, ``open``). Any number of processes may decide
    at the same time (``review``) or read (``read``).

    Rows are only ever added. A method that adds rows does so in one transaction with its log entry:
    when it returns, all of them are on disk, and if it raises, none. Adding what is already there
    does nothing, so interrupted work is simply repeated. Use a store in one thread at a time. Every
    method may raise CaseError.
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
        self._sources = Sources(database)
        self._items = Items(folder, database)
        self._groupings = Groupings(database)
        self._runs = Runs(database)
        self._decisions = Decisions(database)
        self._samples = Samples(database, self._decisions)
        self._exchange = Exchange(folder, identity.id, database, self._decisions, self._samples)
        self._statuses = ReviewStatuses(database)

    @classmethod
    def create(cls, folder: Path, *, operator: str) -> CaseStore:
        """Make a case in a new or empty folder, named as the folder, and open it for writing."""
        folder = folder.resolve()
        _require_operator(operator)
        try:
            if folder.exists() and any(folder.iterdir()):
                raise CaseError(
                    msg("{folder} is not empty", folder=folder),
                    remedy=msg("name a new folder for the case"),
                )
            # For its owner alone, independent of the umask of a program that uses the library: a
            # closed folder also closes the files in it.
            with temporary_folder(folder, mode=0o700) as temporary:
                identity = Identity.new(storable(folder.name))
                database = Database.create(temporary, operator=operator)
                try:
                    with database.batch("create", always=True, **asdict(identity)):
                        pass
                finally:
                    database.close()
                write_identity(temporary, identity)
        except OSError as error:
            raise storage_error(folder, error) from error
        return cls.open(folder, operator=operator)

    @classmethod
    def open(cls, folder: Path, *, operator: str) -> CaseStore:
        """Open a case for writing.

        Raises:
            CaseError: another process writes it.
        """
        return cls._opened(folder, operator, "open", is_writer=True)

    @classmethod
    def review(cls, folder: Path, *, operator: str, action: str = "review") -> CaseStore:
        """Open a case to decide while another process may be adding to it.

        This takes no lock, because a writer holds it for its whole run; transactions keep the two
        apart. ``action`` is the name of the opening in the log.
        """
        return cls._opened(folder, operator, action, is_writer=False)

    @classmethod
    def _opened(cls, folder: Path, operator: str, action: str, *, is_writer: bool) -> CaseStore:
        _require_operator(operator)
        identity = _identity(folder, writing=True)
        with ExitStack() as undo:
            lock = WriterLock(folder) if is_writer else None
            if lock is not None:
                undo.callback(lock.release)
            database = Database(folder, operator=operator)
            undo.callback(database.close)
            with database.batch(action, always=True):
                pass
            undo.pop_all()
        return cls(folder, identity, database, lock)

    @classmethod
    def read(cls, folder: Path, *, tampered: bool = False) -> CaseStore:
        """Open a case for reading; methods that add rows raise CaseError.

        With ``tampered`` a case with a foreign schema is opened too, for ``verify``.
        """
        identity = _identity(folder, writing=False)
        return cls(folder, identity, Database(folder, operator=None, tampered=tampered), None)

    @property
    def is_readable(self) -> bool:
        """Whether a case that was opened ``tampered`` allows more than ``verify``."""
        return self._database.is_readable

    def interrupt(self) -> None:
        """End the statement that another thread runs; it raises KeyboardInterrupt there."""
        self._database.connection.interrupt()

    def close(self) -> None:
        """Close the database and let the next writer in."""
        self._database.close()
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ parts

    def browse(self, reviewer: str, *, distance: int) -> Browser:
        """Return a browser of the contents for a reviewer.

        ``distance``: maximum number of differing bits of PDQ hashes of near-duplicates.
        """
        return Browser(self._database, self._items, self._runs, reviewer, distance=distance)

    add_source = _of("_sources", Sources.add_source)
    add_source_hash = _of("_sources", Sources.add_source_hash)
    add_source_identity = _of("_sources", Sources.add_source_identity)
    relocate = _of("_sources", Sources.relocate)
    sources = _of("_sources", Sources.sources)
    add_items = _of("_items", Items.add_items)
    revise_items = _of("_items", Items.revise_items)
    outcome = _of("_items", Items.outcome)
    item = _of("_items", Items.item)
    known_items = _of("_items", Items.known_items)
    open_gaps = _of("_items", Items.open_gaps)
    at_paths = _of("_items", Items.at_paths)
    last_item = _of("_items", Items.last_item)
    occurrences = _of("_items", Items.occurrences)
    left_out = _of("_items", Items.left_out)
    first_failures = _of("_items", Items.first_failures)
    census = _of("_items", Items.census)
    unknown_beginnings = _of("_items", Items.unknown_beginnings)
    content = _of("_items", Items.content)
    contents = _of("_items", Items.contents)
    thumbnail = _of("_items", Items.thumbnail)
    perceptual_hashes = _of("_items", Items.perceptual_hashes)
    counts = _of("_items", Items.counts)
    source_counts = _of("_items", Items.source_counts)
    exclusion_counts = _of("_items", Items.exclusion_counts)
    failure_counts = _of("_items", Items.failure_counts)
    add_alerts = _of("_items", Items.add_alerts)
    alerts = _of("_items", Items.alerts)
    alerts_of = _of("_items", Items.alerts_of)

    set_groups = _of("_groupings", Groupings.set_groups)
    groups = _of("_groupings", Groupings.groups)
    lacks_stacks = _of("_groupings", Groupings.lacks_stacks)

    start_run = _of("_runs", Runs.start_run)
    finish_run = _of("_runs", Runs.finish_run)
    runs = _of("_runs", Runs.runs)
    without_result = _of("_runs", Runs.without_result)
    add_results = _of("_runs", Runs.add_results)
    predictions = _of("_runs", Runs.predictions)
    results = _of("_runs", Runs.results)
    results_of = _of("_runs", Runs.results_of)
    has_prediction = _of("_runs", Runs.has_prediction)
    with_prediction = _of("_runs", Runs.with_prediction)
    unscored = _of("_runs", Runs.unscored)
    lacks_inside = _of("_runs", Runs.lacks_inside)
    label_counts = _of("_runs", Runs.label_counts)
    tier_counts = _of("_runs", Runs.tier_counts)

    decide = _of("_decisions", Decisions.decide)
    undo = _of("_decisions", Decisions.undo)
    decisions = _of("_decisions", Decisions.decisions)
    verdicts = _of("_decisions", Decisions.verdicts)
    decided = _of("_decisions", Decisions.decided)
    disagreements = _of("_decisions", Decisions.disagreements)
    reviewers = _of("_decisions", Decisions.reviewers)
    statuses = _of("_statuses", ReviewStatuses.statuses)

    draw_sample = _of("_samples", Samples.draw_sample)
    samples = _of("_samples", Samples.samples)
    sample_items = _of("_samples", Samples.sample_items)
    judge = _of("_samples", Samples.judge)

    export_decisions = _of("_exchange", Exchange.export_decisions)
    merge = _of("_exchange", Exchange.merge)

    # ------------------------------------------------------------------ log, verification

    def record(self, action: str, **detail: object) -> None:
        """Log an action that adds no rows, for example a verification or an export."""
        with self._database.batch(action, always=True, **detail):
            pass

    def log(self) -> Iterator[LogEntry]:
        """Yield the entries of the log, oldest first."""
        rows = self._database.pages(
            "SELECT *, sequence AS id FROM log WHERE sequence > ? ORDER BY sequence LIMIT ?"
        )
        return map(_log_entry, rows)

    def triage_options(self) -> Iterator[dict[str, Any]]:
        """Yield the options of the triage runs, oldest first."""
        for entry in self.log():
            if entry.action == "triage":
                yield entry.detail.get("options") or {}

    def unexamined(self) -> dict[int, dict[str, int]]:
        """Return by source the bytes that belong to no file and were not looked at (``Space``), as
        the last run recorded them; only sources of which some are known."""
        found: dict[int, dict[str, int]] = {}
        for entry in self.log():  # page by page: a damaged table may have no end
            if entry.action == "triage finished":
                with checked(self.folder, TABLES["log"] + f" {entry.sequence}"):
                    for number, space in (entry.detail.get("unexamined") or {}).items():
                        found[int(number)] = {str(name): int(size) for name, size in space.items()}
        return found

    def entry_of(self, head: str) -> int | None:
        """Return the number of the log entry with this hash."""
        rows = self._database.query("SELECT sequence FROM log WHERE hash = ?", head)
        return int(rows[0]["sequence"]) if rows else None

    def head(self) -> str:
        """Return the hash of the last log entry.

        Printed on paper it protects the whole case: a log that is rewritten from the start has
        another one.
        """
        rows = self._database.query("SELECT hash FROM log ORDER BY sequence DESC LIMIT 1")
        return cast(str, rows[0]["hash"]) if rows else GENESIS

    def extent(self) -> VerificationScope:
        """Return how much ``verify`` compares."""
        return extent(self._database)

    def verify(self) -> list[IntegrityFault]:
        """Compare every row, log entry and thumbnail with its hash; return all faults.

        Writers may continue meanwhile. The sources are not read.
        """
        return audit(self.folder, self._database)


def _identity(folder: Path, *, writing: bool) -> Identity:
    require_regular(folder, writing=writing)
    return read_identity(folder)


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
            remedy=msg("name who is working with --operator: the log records it"),
        )
