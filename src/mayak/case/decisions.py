"""``Decisions``: the verdicts of reviewers; undoing one adds a row too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from sqlite3 import Row

from mayak.case.database import Batch, Database
from mayak.case.records import Decision, Seen, SeenHow
from mayak.case.values import VERDICTS, moment, row_of, verdict
from mayak.errors import CaseError
from mayak.i18n import msg
from mayak.names import storable


class SupersededError(CaseError):
    """The reviewer has decided some of the images differently in another window."""

    def __init__(self, verdicts: Mapping[str, int]) -> None:
        super().__init__(
            msg(
                "{n_verdicts} of these images were decided otherwise meanwhile, by you",
                n_verdicts=len(verdicts),
            ),
            remedy=msg("look at them again"),
        )
        self.verdicts = dict(verdicts)
        """The present verdicts, by SHA-256."""


@dataclass(frozen=True, slots=True)
class PageState:
    """The decisions of the reviewer that a page had read before an action there."""

    mark: int
    """Id of the last row of ``decisions`` that it had read."""
    is_own: Callable[[int], bool] = lambda _: False
    """Whether a later action was made on that page itself."""


class Decisions:
    """Decisions of a case: no reviewer's decision changes another's, and no row is removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def decide(
        self,
        reviewer: str,
        verdicts: Mapping[str, int],
        *,
        seen: Mapping[str, Seen] | None = None,
        known: PageState | None = None,
    ) -> int:
        """Record verdicts (0–3) on contents (SHA-256) as one action; return its number.

        ``seen`` is how each content was shown. The rows are on disk on return.

        Raises:
            CaseError: a content is not in the case, or a verdict is not a label.
            SupersededError: the reviewer has given other verdicts since ``known``.
        """
        return self.add_action(reviewer, verdicts, None, seen or {}, known)

    def undo(
        self, reviewer: str, *, action: int | None = None, sample: int | None = None
    ) -> list[str]:
        """Withdraw the reviewer's last action, a given one, or the last one in a blind sample.

        Its contents have the verdict again that this reviewer gave them before, or none. Returns
        these contents; empty if there is nothing to withdraw.
        """
        reviewer = reviewer_name(reviewer)
        with self._database.batch("undo", reviewer=reviewer) as batch:
            rows = batch.connection.execute(
                "SELECT action, content, sample FROM decisions WHERE action ="
                " (SELECT max(action) FROM decisions d WHERE reviewer = ?1 AND verdict IS NOT NULL"
                "  AND (?2 IS NULL OR action = ?2) AND (?3 IS NULL OR sample = ?3)"
                "  AND NOT EXISTS"
                "   (SELECT 1 FROM decisions WHERE undoes = d.action AND content = d.content))"
                " ORDER BY id",
                (reviewer, action, sample),
            ).fetchall()
            action, at = next_action(batch), datetime.now(UTC).isoformat()
            for row in rows:
                batch.add(
                    "decisions",
                    action=action,
                    reviewer=reviewer,
                    at=at,
                    content=row["content"],
                    verdict=None,
                    undoes=row["action"],
                    sample=row["sample"],
                )
        return [row["content"] for row in rows]

    def decisions(self, reviewer: str | None = None) -> Iterator[Decision]:
        """Yield all decisions, with withdrawn ones, of one reviewer or of all, in order."""
        if reviewer is None:
            rows = self._database.pages("SELECT * FROM decisions WHERE id > ? ORDER BY id LIMIT ?")
        else:
            # The plus keeps SQLite from sorting all of the reviewer's again for each page.
            rows = self._database.pages(
                "SELECT * FROM decisions WHERE +reviewer = ? AND id > ? ORDER BY id LIMIT ?",
                storable(reviewer),
            )
        return map(_decision, rows)

    def verdicts(self, sha256: str) -> dict[str, Decision]:
        """Return the present verdict of each reviewer on a content."""
        rows = self._database.query(
            "SELECT d.* FROM verdicts v JOIN decisions d ON d.id = v.decision"
            " WHERE v.content = ? ORDER BY d.id",
            sha256,
        )
        return {row["reviewer"]: _decision(row) for row in rows}

    def decided(self) -> Iterator[str]:
        """Yield the contents (SHA-256) with a present verdict, in the order they were added."""
        rows = self._database.pages(
            "SELECT id, sha256 FROM contents c"
            " WHERE EXISTS (SELECT 1 FROM verdicts WHERE content = c.sha256)"
            " AND id > ? ORDER BY id LIMIT ?"
        )
        return (row["sha256"] for row in rows)

    def disagreements(self) -> list[str]:
        """Return the contents (SHA-256) on which reviewers disagree."""
        rows = self._database.query(
            "SELECT content FROM verdicts GROUP BY content HAVING min(verdict) != max(verdict)"
            " ORDER BY content"
        )
        return [row["content"] for row in rows]

    def reviewers(self) -> list[str]:
        """Return all reviewers, in the order of their first action."""
        rows = self._database.query(
            "SELECT reviewer FROM decisions GROUP BY reviewer ORDER BY min(action)"
        )
        return [row["reviewer"] for row in rows]

    def add_action(
        self,
        reviewer: str,
        verdicts: Mapping[str, int],
        sample: int | None,
        seen: Mapping[str, Seen],
        known: PageState | None,
    ) -> int:
        """Record verdicts as one action, in a blind sample if one is given; see ``decide``."""
        reviewer = reviewer_name(reviewer)
        if not verdicts:
            raise CaseError(msg("no image is given to decide"), remedy=msg("give at least one"))
        with self._database.batch("decide", reviewer=reviewer) as batch:
            if known is not None:
                _require_unchanged(batch, reviewer, verdicts, sample, known)
            action, at = next_action(batch), datetime.now(UTC).isoformat()
            for sha256, verdict in verdicts.items():
                if verdict not in VERDICTS:
                    raise CaseError(
                        msg("{verdict!r} is not a verdict", verdict=verdict),
                        remedy=msg("give 0, 1, 2 or 3"),
                    )
                query = "SELECT 1 FROM contents WHERE sha256 = ?"
                if not batch.connection.execute(query, (sha256,)).fetchone():
                    raise CaseError(
                        msg("{sha256} is not an image of this case", sha256=sha256),
                        remedy=msg("name an image by the SHA-256 under which the case holds it"),
                    )
                batch.add(
                    "decisions",
                    action=action,
                    reviewer=reviewer,
                    at=at,
                    content=sha256,
                    verdict=verdict,
                    undoes=None,
                    sample=sample,
                    **seen_columns(seen.get(sha256)),
                )
        return action


def reviewer_name(reviewer: str) -> str:
    """Return a reviewer's name as it is stored.

    Raises:
        CaseError: the name is empty.
    """
    if not reviewer.strip():
        raise CaseError(msg("no reviewer is named"), remedy=msg("name who decides"))
    return storable(reviewer)


def seen_columns(seen: Seen | None) -> dict[str, str | bool | None]:
    """Return the columns of ``decisions`` for how an image was shown."""
    how, blurred = seen or (None, None)
    return {"seen": how, "blurred": blurred}


def _require_unchanged(
    batch: Batch, reviewer: str, verdicts: Mapping[str, int], sample: int | None, known: PageState
) -> None:
    """Require that no content has a newer, other verdict of this reviewer than what is known.

    In a blind sample only the verdicts of that sample count.

    Raises:
        SupersededError: one has.
    """
    present = batch.connection.execute(
        "SELECT content, verdict, action FROM decisions d WHERE id > ?1 AND reviewer = ?2"
        " AND verdict IS NOT NULL AND (?3 IS NULL OR sample = ?3)"
        " AND NOT EXISTS (SELECT 1 FROM decisions WHERE undoes = d.action AND content = d.content)"
        " ORDER BY id",
        (known.mark, reviewer, sample),
    )
    # The last of several counts.
    latest = {content: (verdict, action) for content, verdict, action in present}
    changed = {
        content: latest[content][0]
        for content, verdict in verdicts.items()
        if content in latest
        and not known.is_own(latest[content][1])
        and latest[content][0] != verdict
    }
    if changed:
        raise SupersededError(changed)


def next_action(batch: Batch) -> int:
    """Return the number of the next action."""
    query = "SELECT coalesce(max(action), 0) + 1 FROM decisions"
    number: int = batch.connection.execute(query).fetchone()[0]
    return number


@row_of("decisions")
def _decision(row: Row) -> Decision:
    return Decision(
        sha256=row["content"],
        verdict=verdict(row["verdict"]),
        reviewer=row["reviewer"],
        at=moment(row["at"]),
        action=row["action"],
        undoes=row["undoes"],
        sample=row["sample"],
        seen=seen_of(row["seen"], row["blurred"]),
    )


def seen_of(how: SeenHow | None, blurred: int | None) -> Seen | None:
    """Return how an image was shown, from the two columns.

    Raises:
        ValueError: mayak does not write such values.
    """
    seen = None if how is None else Seen(how, None if blurred is None else bool(blurred))
    is_valid = blurred is None if seen is None else seen.is_valid
    if not is_valid or blurred not in (None, 0, 1):
        raise ValueError(f"seen {how!r}, blurred {blurred!r}")
    return seen
