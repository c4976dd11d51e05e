"""``ReviewStatus``: the model's proposal and the reviewers' decisions on a content together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from sqlite3 import Row
from typing import Literal

from mayak.case.database import Database
from mayak.case.decisions import seen_of
from mayak.case.records import Decision
from mayak.case.scores import scores
from mayak.case.values import checked, moment, texts, verdict
from mayak.types import Failure, Scores
from mayak.untrusted import parse_json

State = Literal[
    "selected",
    "disputed",
    "proposed",
    "alert",
    "without_result",
    "irrelevant",
    "unreviewed_irrelevant",
]
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class ReviewStatus:
    """The review status of one content."""

    sha256: str
    scores: Scores | None
    """Of the given run; None if it has none."""
    failure: Failure | None
    """Why the run has no scores."""
    verdicts: tuple[Decision, ...]
    """The present one of each reviewer, oldest first."""
    alerts: tuple[str, ...]
    """Names of the lists of known files that contain it."""
    occurrences: int
    """Number of items that hold it."""

    @property
    def proposal(self) -> int | None:
        """The model's label."""
        return None if self.scores is None else self.scores.label

    @property
    def decided(self) -> int | None:
        """The label on which all reviewers agree; None if they disagree or nobody decided."""
        labels = {decision.verdict for decision in self.verdicts}
        return labels.pop() if len(labels) == 1 else None

    @property
    def state(self) -> State:
        """The state of the review.

        ``selected``: decided to be relevant. ``irrelevant``: decided not to be. ``disputed``: the
        reviewers disagree. If nobody decided: ``proposed`` if the model labels it relevant,
        ``alert`` if only a list of known files contains it, ``without_result`` if the model has no
        result, otherwise ``unreviewed_irrelevant``.
        """
        if self.verdicts:
            decided = self.decided
            return "disputed" if decided is None else "selected" if decided else "irrelevant"
        if self.proposal:
            return "proposed"
        if self.alerts:
            return "alert"
        return "without_result" if self.scores is None else "unreviewed_irrelevant"


class ReviewStatuses:
    """Review statuses of the contents of a case."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def statuses(self, run: int | None, contents: Sequence[str]) -> Iterator[ReviewStatus]:
        """Yield the review statuses of contents (SHA-256) with the scores of a run, in order."""
        left = iter(contents)
        while chunk := list(islice(left, _CHUNK)):
            yield from map(_status, self._database.query(_QUERY, json.dumps(chunk), run))


_QUERY = (
    "SELECT c.value AS content, p.score_0, p.score_1, p.score_2, p.score_3, p.off_label,"
    " f.stage, f.error, f.message,"
    " (SELECT json_group_array(json_array(reviewer, verdict, at, action, sample, seen, blurred))"
    "  FROM"
    "  (SELECT d.* FROM verdicts v JOIN decisions d ON d.id = v.decision"
    "   WHERE v.content = c.value ORDER BY d.id)) AS verdicts,"
    " (SELECT json_group_array(list) FROM"
    "  (SELECT list FROM alerts WHERE content = c.value ORDER BY id)) AS lists,"
    # Not from the view: SQLite would gather all places of the case for each page.
    " (SELECT count(*) FROM items WHERE content = c.value)"
    " + (SELECT count(*) FROM revisions WHERE content = c.value) AS occurrences"
    " FROM json_each(?1) c"
    " LEFT JOIN predictions p ON p.run = ?2 AND p.content = c.value"
    " LEFT JOIN failures f ON f.run = ?2 AND f.content = c.value AND p.content IS NULL"
    " ORDER BY c.key"
)


def _status(row: Row) -> ReviewStatus:
    with checked(None, row["content"]):
        return ReviewStatus(
            sha256=row["content"],
            scores=None if row["score_0"] is None else scores(row),
            failure=None
            if row["error"] is None
            else Failure(row["content"], row["stage"], row["error"], row["message"]),
            verdicts=tuple(
                Decision(
                    sha256=row["content"],
                    verdict=verdict(label),
                    reviewer=reviewer,
                    at=moment(at),
                    action=action,
                    sample=sample,
                    seen=seen_of(seen, blurred),
                )
                for reviewer, label, at, action, sample, seen, blurred in parse_json(
                    row["verdicts"]
                )
            ),
            alerts=tuple(dict.fromkeys(texts(row["lists"]))),
            occurrences=row["occurrences"],
        )
