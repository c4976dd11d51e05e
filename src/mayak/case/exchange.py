"""Decisions that were made in another copy of the case come in; none is overwritten."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from mayak.case.database import Batch
from mayak.case.decisions import next_action, seen_columns
from mayak.case.history import Act, Draw, History
from mayak.case.sampling import Samples
from mayak.case.values import checked
from mayak.errors import CaseError
from mayak.i18n import msg
from mayak.names import is_visible, printable

_CLOCK_TOLERANCE = timedelta(minutes=5)
"""By which the clock of another machine may be ahead of this one's."""
_MERGE = "merge decisions"
"""What the log calls it."""


@dataclass(slots=True)
class TakenIn:
    """What a merge added in the name of one reviewer."""

    acts: int = 0
    samples: int = 0
    """That were drawn."""
    verdicts: dict[int, int] = field(default_factory=dict)
    """By label, how many images were given it."""
    withdrawn: int = 0
    """Verdicts that were withdrawn."""
    first: str = ""
    """Time of the first act or sample, like ``last`` UTC, ISO 8601."""
    last: str = ""

    def add(self, act: Act, withdrawn: int) -> None:
        """Count an act, which withdraws as many verdicts."""
        self.acts += 1
        for verdict in sorted(act.verdicts.values()):
            self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1
        self.withdrawn += withdrawn
        self._at(act.at)

    def add_sample(self, draw: Draw) -> None:
        """Count a sample."""
        self.samples += 1
        self._at(draw.drawn)

    def _at(self, at: str) -> None:
        self.first = min(self.first or at, at)
        self.last = max(self.last, at)


class Exchange(Samples):
    """The part of a ``CaseStore`` that hands decisions over to other copies of the case.

    A reviewer's acts are one sequence. Copies agree as long as, of each reviewer, the acts in one
    are the beginning of those in the other; merging appends what is missing.
    """

    folder: Path
    id: str

    def history(self) -> History:
        """All samples and acts."""
        draws = self._draws()
        acts = tuple(act for _, act in self._acts(draws))
        return History(self.id, tuple(draws.values()), acts)

    def merge(
        self, histories: Sequence[History], *, continued: Collection[str] = ()
    ) -> dict[str, TakenIn]:
        """Take in what other copies of the case hold and this one does not; returns what was added,
        by reviewer. All or nothing; the same again does nothing.

        A file of decisions does not show who wrote it. So nothing is added in the name of someone
        who decides in this copy (who made a decision, a sample or the merge here), nor in a name
        that looks like theirs. ``continued`` names those of them who went on in another copy and
        whose acts there are theirs.

        Raises CaseError for a history of another case, for contents or runs that this copy lacks,
        for acts in a name that is not in ``continued`` or from the future, and for a reviewer whose
        acts here and there went apart.
        """
        with self._database.batch(_MERGE, histories=len(histories)) as batch:
            draws = {draw: number for number, draw in self._draws().items()}
            mine: dict[str, list[tuple[int, Act]]] = {}
            for action, act in self._acts({number: draw for draw, number in draws.items()}):
                mine.setdefault(act.reviewer, []).append((action, act))
            action = next_action(batch)
            protected = {_look(name) for name in self._deciding_here(batch)}
            latest = (datetime.now(UTC) + _CLOCK_TOLERANCE).isoformat()
            added: dict[str, TakenIn] = {}

            def require_credible(reviewer: str, at: str) -> None:
                is_protected = reviewer not in continued and _look(reviewer) in protected
                self._require_credible(reviewer, at, latest, is_protected=is_protected)

            for history in histories:
                self._require_same(history)
                for draw in history.samples:
                    if draw not in draws:
                        require_credible(draw.reviewer, draw.drawn)
                        draws[draw] = self._add_draw(batch, draw)
                        added.setdefault(draw.reviewer, TakenIn()).add_sample(draw)
                for act in history.acts:
                    held = mine.setdefault(act.reviewer, [])
                    if act.number <= len(held):
                        if held[act.number - 1][1] != act:
                            raise self._apart(act)
                        continue
                    require_credible(act.reviewer, act.at)
                    sample = None if act.sample is None else draws[act.sample]
                    decided = self._add_act(batch, action, act, held, sample)
                    held.append((action, act))
                    action += 1
                    withdrawn = 0 if act.undoes is None else decided
                    added.setdefault(act.reviewer, TakenIn()).add(act, withdrawn)
            batch.detail["acts"] = {reviewer: taken.acts for reviewer, taken in added.items()}
            batch.detail["taken_in"] = {name: asdict(taken) for name, taken in added.items()}
            if confirmed := sorted(added.keys() & set(continued)):
                batch.detail["continued"] = confirmed
            return added

    def _deciding_here(self, batch: Batch) -> set[str]:
        """Who decided or drew a sample in this copy, and who is at work now."""
        rows = batch.connection.execute(
            "SELECT reviewer FROM decisions d JOIN log l ON l.sequence = d.log WHERE l.action != ?"
            " UNION"
            " SELECT reviewer FROM samples s JOIN log l ON l.sequence = s.log WHERE l.action != ?",
            (_MERGE, _MERGE),
        )
        return {row["reviewer"] for row in rows} | {self._database._operator or ""}

    def _draws(self) -> dict[int, Draw]:
        rows = self._database.query(
            "SELECT s.*, r.fingerprint FROM samples s JOIN runs r ON r.id = s.run ORDER BY s.id"
        )
        return {
            row["id"]: Draw(
                run=row["fingerprint"],
                seed=row["seed"],
                population=row["population"],
                reviewer=row["reviewer"],
                drawn=row["drawn"],
                items=tuple(self.sample_items(row["id"])),
            )
            for row in rows
        }

    def _acts(self, draws: dict[int, Draw]) -> list[tuple[int, Act]]:
        """Every act with its number in this copy."""
        with checked(self.folder, "decisions"):
            return list(self._numbered(draws))

    def _numbered(self, draws: dict[int, Draw]) -> Iterator[tuple[int, Act]]:
        numbers: dict[int, int] = {}
        counts: Counter[str] = Counter()
        for action, rows in groupby(self.decisions(), key=lambda decision: decision.action):
            decisions = list(rows)
            first = decisions[0]
            counts[first.reviewer] += 1
            numbers[action] = counts[first.reviewer]
            yield (
                action,
                Act(
                    reviewer=first.reviewer,
                    number=numbers[action],
                    at=first.at.isoformat(),
                    verdicts={d.sha256: d.verdict for d in decisions if d.verdict is not None},
                    undoes=None if first.undoes is None else numbers[first.undoes],
                    sample=None if first.sample is None else draws[first.sample],
                    seen={d.sha256: d.seen for d in decisions if d.seen is not None},
                ),
            )

    def _add_draw(self, batch: Batch, draw: Draw) -> int:
        query = "SELECT id FROM runs WHERE fingerprint = ?"
        run = batch.connection.execute(query, (draw.run,)).fetchone()
        if run is None:
            raise CaseError(
                msg(
                    "{folder} has no run of the model that a sample was drawn from ({run})",
                    folder=self.folder,
                    run=draw.run,
                ),
                remedy=msg("run `mayak triage` with that model first"),
            )
        (held,) = batch.connection.execute("SELECT count(*) FROM contents").fetchone()
        if draw.population > held:  # the estimate of what was missed is computed from it
            raise CaseError(
                msg(
                    "a sample was drawn from {population} images elsewhere; {folder} holds {held}",
                    population=draw.population,
                    folder=self.folder,
                    held=held,
                ),
                remedy=msg("triage the same sources here first"),
            )
        sample = batch.add(
            "samples",
            run=run["id"],
            size=len(draw.items),
            seed=draw.seed,
            population=draw.population,
            reviewer=draw.reviewer,
            drawn=draw.drawn,
        )
        for content in draw.items:
            self._require_content(batch, content)
            batch.add("sample_items", sample=sample, content=content)
        return sample

    def _add_act(
        self, batch: Batch, action: int, act: Act, held: list[tuple[int, Act]], sample: int | None
    ) -> int:
        """Add an act; returns of how many contents."""
        undone = None if act.undoes is None else held[act.undoes - 1]
        contents = act.verdicts if undone is None else undone[1].verdicts
        for content in contents:
            self._require_content(batch, content)
            batch.add(
                "decisions",
                action=action,
                reviewer=act.reviewer,
                at=act.at,
                content=content,
                verdict=act.verdicts.get(content),
                undoes=None if undone is None else undone[0],
                sample=sample,
                **seen_columns(act.seen.get(content)),
            )
        return len(contents)

    def _require_same(self, history: History) -> None:
        if history.case != self.id:
            raise CaseError(
                msg(
                    "these decisions belong to another case ({case}) than {folder} ({id})",
                    case=history.case,
                    folder=self.folder,
                    id=self.id,
                ),
                remedy=msg("merge copies of the same case only"),
            )

    def _require_credible(self, reviewer: str, at: str, latest: str, *, is_protected: bool) -> None:
        shown = printable(reviewer)
        if is_protected:
            raise CaseError(
                msg(
                    "the file goes on in the name of {shown} ({at}), who decides in {folder} "
                    "itself",
                    shown=shown,
                    at=at,
                    folder=self.folder,
                ),
                remedy=msg(
                    "take it in under another name: --rename '{shown}=NEW NAME'; only if you know "
                    "that it is {shown}'s own work in another copy: --continue '{shown}'",
                    shown=shown,
                ),
            )
        if at > latest:
            raise CaseError(
                msg("the file holds an act of {shown} from the future ({at})", shown=shown, at=at),
                remedy=msg(
                    "set this machine's clock if it is slow; otherwise find out who made the file "
                    "and on which machine"
                ),
            )

    def _require_content(self, batch: Batch, sha256: str) -> None:
        query = "SELECT 1 FROM contents WHERE sha256 = ?"
        if not batch.connection.execute(query, (sha256,)).fetchone():
            raise CaseError(
                msg(
                    "{folder} does not hold {sha256}, which was decided elsewhere",
                    folder=self.folder,
                    sha256=sha256,
                ),
                remedy=msg("triage the same sources here first"),
            )

    def _apart(self, act: Act) -> CaseError:
        return CaseError(
            msg(
                "{reviewer} went on in both copies: the {number}. act there ({at}) is not that in "
                "{folder}",
                reviewer=act.reviewer,
                number=act.number,
                at=act.at,
                folder=self.folder,
            ),
            remedy=msg(
                "take one of the two in as another reviewer: --rename '{reviewer}=NEW NAME'",
                reviewer=act.reviewer,
            ),
        )


def _look(name: str) -> str:
    """What two names have in common that look the same: composed (macOS parts Hangul), without
    what is not drawn, blanks at the ends and further ones between words."""
    drawn = [
        char
        for char in unicodedata.normalize("NFKC", name)
        if char.isspace() or (is_visible(char) and unicodedata.category(char) != "Mn")
    ]
    return " ".join("".join(drawn).split())
