"""What people decide about the contents of a case: verdicts, undone and never forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from sqlite3 import Row
from typing import get_args

from mayak.case.database import Batch, Database
from mayak.case.records import Decision, Seen, SeenHow
from mayak.case.values import moment, row_of, verdict
from mayak.errors import CaseError
from mayak.i18n import msg
from mayak.labels import LABELS
from mayak.names import storable

_LABELS = frozenset(label.index for label in LABELS)


class SupersededError(CaseError):
    """The reviewer has meanwhile decided some of the images otherwise, elsewhere."""

    def __init__(self, verdicts: Mapping[str, int]) -> None:
        super().__init__(
            msg(
                "{n_verdicts} of these images were decided otherwise meanwhile, by you",
                n_verdicts=len(verdicts),
            ),
            remedy=msg("look at them again"),
        )
        self.verdicts = dict(verdicts)
        """The verdicts that hold now, by SHA-256."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a page knew of the reviewer's decisions when an act was made there."""

    mark: int
    """The last row of the decisions that it had read."""
    is_own: Callable[[int], bool] = lambda _: False
    """Whether a later act was made on that page itself."""


class Decisions:
    """The part of a ``CaseStore`` that holds decisions.

    A reviewer's verdicts are theirs alone: nobody's decision touches another's. Undoing adds a row
    as well; nothing is taken away.
    """

    _database: Database

    def decide(
        self,
        reviewer: str,
        verdicts: Mapping[str, int],
        *,
        seen: Mapping[str, Seen] | None = None,
        known: Known | None = None,
    ) -> int:
        """Give contents (SHA-256) their verdicts (0–3) in one act; returns its number.

        ``seen`` states how contents were shown. On disk on return. Raises CaseError, and records
        nothing, for a content that is not in the case and a verdict that is no label, and
        SupersededError if the reviewer has given other verdicts since what is ``known``.
        """
        return self._act(reviewer, verdicts, None, seen or {}, known)

    def undo(
        self, reviewer: str, *, action: int | None = None, sample: int | None = None
    ) -> list[str]:
        """Withdraw the reviewer's last act that stands, or the one that is named, or the last in a
        blind sample; the contents it had decided have the verdict that this reviewer gave them
        before, or none. Empty when nothing stands."""
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
        """All that was ever decided and withdrawn, by one reviewer or everyone, in order."""
        if reviewer is None:
            rows = self._database.pages("SELECT * FROM decisions WHERE id > ? ORDER BY id LIMIT ?")
        else:
            # The plus keeps SQLite from sorting all of the reviewer's anew for each page.
            rows = self._database.pages(
                "SELECT * FROM decisions WHERE +reviewer = ? AND id > ? ORDER BY id LIMIT ?",
                storable(reviewer),
            )
        return map(_decision, rows)

    def verdicts(self, sha256: str) -> dict[str, Decision]:
        """The present verdict of each reviewer who has given a content one."""
        rows = self._database.query(
            "SELECT d.* FROM verdicts v JOIN decisions d ON d.id = v.decision"
            " WHERE v.content = ? ORDER BY d.id",
            sha256,
        )
        return {row["reviewer"]: _decision(row) for row in rows}

    def decided(self) -> Iterator[str]:
        """The contents on which somebody's verdict stands, by SHA-256, in the order they were
        added."""
        rows = self._database.pages(
            "SELECT id, sha256 FROM contents c"
            " WHERE EXISTS (SELECT 1 FROM verdicts WHERE content = c.sha256)"
            " AND id > ? ORDER BY id LIMIT ?"
        )
        return (row["sha256"] for row in rows)

    def disagreements(self) -> list[str]:
        """The contents whose reviewers have given them different verdicts, by SHA-256."""
        rows = self._database.query(
            "SELECT content FROM verdicts GROUP BY content HAVING min(verdict) != max(verdict)"
            " ORDER BY content"
        )
        return [row["content"] for row in rows]

    def reviewers(self) -> list[str]:
        """Everyone who has ever decided something, in the order of their first act."""
        rows = self._database.query(
            "SELECT reviewer FROM decisions GROUP BY reviewer ORDER BY min(action)"
        )
        return [row["reviewer"] for row in rows]

    def _act(
        self,
        reviewer: str,
        verdicts: Mapping[str, int],
        sample: int | None,
        seen: Mapping[str, Seen],
        known: Known | None,
    ) -> int:
        reviewer = reviewer_name(reviewer)
        if not verdicts:
            raise CaseError(
                msg("no image is named to be decided"),
                remedy=msg("name one at least"),
            )
        with self._database.batch("decide", reviewer=reviewer) as batch:
            if known is not None:
                _require_unchanged(batch, reviewer, verdicts, sample, known)
            action, at = next_action(batch), datetime.now(UTC).isoformat()
            for sha256, verdict in verdicts.items():
                if verdict not in _LABELS:
                    raise CaseError(
                        msg("{verdict!r} is no verdict", verdict=verdict),
                        remedy=msg("give 0, 1, 2 or 3"),
                    )
                query = "SELECT 1 FROM contents WHERE sha256 = ?"
                if not batch.connection.execute(query, (sha256,)).fetchone():
                    raise CaseError(
                        msg("{sha256} is no image of this case", sha256=sha256),
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
    """The name as it is stored. Raises CaseError for none."""
    if not reviewer.strip():
        raise CaseError(
            msg("no reviewer is named"),
            remedy=msg("name who decides"),
        )
    return storable(reviewer)


def seen_columns(seen: Seen | None) -> dict[str, str | bool | None]:
    """The columns that hold how an image was shown."""
    how, blurred = seen or (None, None)
    return {"seen": how, "blurred": blurred}


def _require_unchanged(
    batch: Batch,
    reviewer: str,
    verdicts: Mapping[str, int],
    sample: int | None,
    known: Known,
) -> None:
    """Raises SupersededError if one of the contents has another verdict of this reviewer (in a
    blind sample: of that sample) which is newer than what is known."""
    standing = batch.connection.execute(
        "SELECT content, verdict, action FROM decisions d WHERE id > ?1 AND reviewer = ?2"
        " AND verdict IS NOT NULL AND (?3 IS NULL OR sample = ?3)"
        " AND NOT EXISTS (SELECT 1 FROM decisions WHERE undoes = d.action AND content = d.content)"
        " ORDER BY id",
        (known.mark, reviewer, sample),
    )
    # Of several the last holds.
    latest = {content: (verdict, action) for content, verdict, action in standing}
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
    """The number of the act that comes next."""
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
    """How an image was shown, from the two columns. Raises ValueError."""
    drawn = how is not None and how != "bulk"
    if how not in (None, *get_args(SeenHow)) or blurred not in ((0, 1) if drawn else (None,)):
        raise ValueError(f"seen {how!r}, blurred {blurred!r}")
    if how is None:
        return None
    return Seen(how, None if blurred is None else bool(blurred))
