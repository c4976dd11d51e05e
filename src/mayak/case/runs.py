"""``Runs``: the predictions and failures of models for the contents of a case."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from sqlite3 import Row

from mayak.case.database import Batch, Database
from mayak.case.records import ContentWithoutResult, RankedResult, Run, described
from mayak.case.rows import add_failure, first
from mayak.case.scores import LABEL, REVIEW_ORDER, scores
from mayak.case.values import json_object, moment, optional_moment, row_of, texts
from mayak.errors import CaseError
from mayak.files import canonical_json
from mayak.i18n import msg
from mayak.types import Engine, Failure, Prediction

_IS_RESULT = "NOT EXISTS (SELECT 1 FROM predictions WHERE run = f.run AND content = f.content)"
"""Whether a failure ``f`` of a run is the result of its content: a later attempt can succeed."""


class Runs:
    """Model runs of a case.

    A run holds all results of one engine; a changed engine makes another run.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def start_run(self, engine: Engine) -> int:
        """Add a run for an engine if there is none; return its id."""
        with self._database.batch("start run", fingerprint=engine.fingerprint) as batch:
            query = "SELECT id FROM runs WHERE fingerprint = ?"
            return first(batch, query, engine.fingerprint) or batch.add(
                "runs",
                fingerprint=engine.fingerprint,
                engine=canonical_json(asdict(engine)),
                started=datetime.now(UTC).isoformat(),
            )

    def without_result(self, run: int) -> Iterator[ContentWithoutResult]:
        """Yield the contents without a result in a run, in the order they were added.

        Results may be added during the iteration.
        """
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
            yield ContentWithoutResult(
                row["sha256"], row["source"], row["location"], row["display"]
            )

    def add_results(
        self,
        run: int,
        predictions: Iterable[Prediction] = (),
        failures: Mapping[str, Failure] | None = None,
    ) -> int:
        """Add predictions of contents that have none in the run, and failures of contents that
        have no result; return how many were new.

        ``failures`` are by SHA-256 of the content. A prediction that comes after a failure takes
        its place: the failure stays on record and is no longer a result.

        Raises:
            CaseError: a prediction is of another engine, or a content is not in the case.
        """
        with self._database.batch("classify", run=run) as batch:
            engine = batch.connection.execute(
                "SELECT fingerprint FROM runs WHERE id = ?", (run,)
            ).fetchone()
            done: set[str] = set()
            for prediction in predictions:
                if engine is None or prediction.engine != engine["fingerprint"]:
                    raise CaseError(
                        msg(
                            "run {run} is not of engine {engine}", run=run, engine=prediction.engine
                        ),
                        remedy=msg("start a run for this engine"),
                    )
                if _is_new(batch, ("predictions",), run, prediction.sha256, done):
                    batch.add(
                        "predictions",
                        run=run,
                        content=prediction.sha256,
                        **{f"score_{i}": float(s) for i, s in enumerate(prediction.scores.values)},
                        off_label=float(prediction.scores.off_label),
                        calibrated=prediction.is_calibrated,
                        tier=prediction.tier,
                    )
            for sha256, failure in (failures or {}).items():
                if _is_new(batch, ("predictions", "failures"), run, sha256, done):
                    add_failure(batch, failure, run=run, content=sha256)
            return len(done)

    def finish_run(self, run: int) -> None:
        """Record that every content has a result in the run.

        Raises:
            CaseError: a content has none.
        """
        if (missing := next(self.without_result(run), None)) is not None:
            raise CaseError(
                msg(
                    "run {run} is not finished: {display} has no result",
                    run=run,
                    display=missing.display,
                ),
                remedy=msg("resume the run"),
            )
        with self._database.batch("finish run", run=run) as batch:
            last = first(batch, "SELECT coalesce(max(id), 0) FROM contents")
            query = "SELECT id FROM finishes WHERE run = ? AND last_content = ?"
            if not first(batch, query, run, last):
                finished = datetime.now(UTC).isoformat()
                batch.add("finishes", run=run, finished=finished, last_content=last)

    def runs(self) -> list[Run]:
        """Return all runs, in the order they were started."""
        rows = self._database.query(
            "SELECT r.*, (SELECT finished FROM finishes WHERE run = r.id"  # noqa: S608
            "  AND last_content = (SELECT coalesce(max(id), 0) FROM contents)) AS finished,"
            " (SELECT count(*) FROM predictions WHERE run = r.id) AS predictions,"
            f" (SELECT count(*) FROM failures f WHERE f.run = r.id AND {_IS_RESULT}) AS failures"
            " FROM runs r ORDER BY r.id"
        )
        return [_run(row) for row in rows]

    def predictions(self, run: int) -> Iterator[Prediction]:
        """Yield the predictions of a run, in the order they were added."""
        rows = self._database.pages(
            "SELECT p.*, r.fingerprint FROM predictions p JOIN runs r ON r.id = p.run "
            "WHERE +p.run = ? AND p.id > ? ORDER BY p.id LIMIT ?",
            run,
        )
        return map(_prediction, rows)

    def results_of(self, sha256: str) -> dict[int, Prediction | Failure]:
        """Return the result of each run for a content."""
        query = (
            "SELECT p.*, r.fingerprint FROM predictions p JOIN runs r ON r.id = p.run"
            " WHERE p.run IN (SELECT id FROM runs) AND p.content = ?"
        )
        found: dict[int, Prediction | Failure] = {
            row["run"]: _prediction(row) for row in self._database.query(query, sha256)
        }
        query = "SELECT * FROM failures WHERE run IN (SELECT id FROM runs) AND content = ?"
        for row in self._database.query(query, sha256):
            found.setdefault(row["run"], _failure(row))
        return dict(sorted(found.items()))

    def has_prediction(self, run: int, sha256: str) -> bool:
        """Whether a run has a prediction for a content."""
        return bool(self.with_prediction(run, [sha256]))

    def with_prediction(self, run: int, contents: Iterable[str]) -> set[str]:
        """Return those of some contents (SHA-256) for which a run has a prediction."""
        query = (
            "SELECT value FROM json_each(?2)"
            " WHERE EXISTS (SELECT 1 FROM predictions WHERE run = ?1 AND content = value)"
        )
        return {row["value"] for row in self._database.query(query, run, json.dumps([*contents]))}

    def unscored(self, run: int) -> list[Failure]:
        """Return why contents have no prediction in a run that tried them, in the order they were
        added; each with the displayed path of the content's first occurrence."""
        query = (
            "SELECT i.display, i.location, f.stage, f.error, f.message FROM failures f"  # noqa: S608
            " LEFT JOIN items i ON i.id = (SELECT min(item) FROM places WHERE content = f.content)"
            f" WHERE f.run = ? AND {_IS_RESULT} ORDER BY f.id"
        )
        rows = self._database.query(query, run)
        return [
            Failure(described(display, location), *failure) for display, location, *failure in rows
        ]

    def lacks_inside(self, run: int, source: int, location: str) -> bool:
        """Whether a run lacks a prediction for a content inside the item at a location, or
        something inside could not be read."""
        # Locations are lists of layers: those inside begin like it, with a further layer.
        inside = location.removesuffix("]") + ","
        query = (
            "SELECT EXISTS (SELECT 1 FROM present p"
            " WHERE p.source = ?2 AND p.location >= ?3 || '{' AND p.location < ?3 || '|'"
            " AND (p.outcome = 'failure' OR p.outcome = 'content'"
            " AND NOT EXISTS (SELECT 1 FROM predictions WHERE run = ?1 AND content = p.content)))"
        )
        return bool(self._database.query(query, run, source, inside)[0][0])

    def label_counts(self, run: int) -> dict[int, int]:
        """Return the number of contents by the label of a run."""
        query = (
            f"SELECT {LABEL} AS label, count(*)"  # noqa: S608
            " FROM predictions WHERE run = ? GROUP BY label ORDER BY label"
        )
        return dict(tuple(row) for row in self._database.query(query, run))

    def tier_counts(self, run: int) -> dict[int, int]:
        """Return the number of contents by the tier that decided in a run (``Prediction.tier``)."""
        query = (
            "SELECT coalesce(tier, 2) AS tier, count(*) FROM predictions WHERE run = ?"
            " GROUP BY 1 ORDER BY 1"
        )
        return dict(tuple(row) for row in self._database.query(query, run))

    def results(self, run: int, *, limit: int) -> list[RankedResult]:
        """Return the first ``limit`` results of a run, in the order in which to examine them.

        See ``mayak.case.scores.review_key``.
        """
        query = (
            "SELECT p.*, (SELECT json_group_array(list) FROM alerts WHERE content = p.content)"  # noqa: S608
            " AS lists, (SELECT count(*) FROM places WHERE content = p.content) AS occurrences,"
            " (SELECT min(deleted) FROM present WHERE id IN"
            "  (SELECT item FROM places WHERE content = p.content)) AS deleted,"
            " i.display AS display, i.location AS location"
            f" FROM (SELECT *, row_number() OVER (ORDER BY {REVIEW_ORDER}) AS rank"
            "  FROM predictions WHERE run = ?) p"
            " LEFT JOIN items i ON i.id = (SELECT min(item) FROM places WHERE content = p.content)"
            " WHERE p.rank <= ? ORDER BY p.rank"
        )
        return [_result(row) for row in self._database.query(query, run, limit)]


def _is_new(batch: Batch, tables: tuple[str, ...], run: int, content: str, done: set[str]) -> bool:
    if content in done:
        return False
    for table in tables:
        query = f"SELECT id FROM {table} WHERE run = ? AND content = ?"  # noqa: S608
        if first(batch, query, run, content):
            return False
    done.add(content)
    return True


@row_of("runs")
def _run(row: Row) -> Run:
    return Run(
        id=row["id"],
        fingerprint=row["fingerprint"],
        engine=json_object(row["engine"]),
        started=moment(row["started"]),
        finished=optional_moment(row["finished"]),
        predictions=row["predictions"],
        failures=row["failures"],
    )


@row_of("failures")
def _failure(row: Row) -> Failure:
    return Failure(row["content"], row["stage"], row["error"], row["message"])


@row_of("predictions")
def _prediction(row: Row) -> Prediction:
    return Prediction(
        sha256=row["content"],
        scores=scores(row),
        is_calibrated=bool(row["calibrated"]),
        engine=row["fingerprint"],
        tier=2 if row["tier"] is None else row["tier"],
    )


@row_of("predictions")
def _result(row: Row) -> RankedResult:
    return RankedResult(
        rank=row["rank"],
        sha256=row["content"],
        scores=scores(row),
        alerts=texts(row["lists"]),
        display=described(row["display"], row["location"]),
        occurrences=row["occurrences"],
        deleted=bool(row["deleted"]),
    )
