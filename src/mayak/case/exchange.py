"""``Exchange``: decisions to and from other copies of the case; none is overwritten."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from mayak.case.database import Batch, Database
from mayak.case.decision_export import DecisionAction, DecisionExport, SampleRecord
from mayak.case.decisions import Decisions, next_action, seen_columns
from mayak.case.records import TABLES
from mayak.case.sampling import Samples
from mayak.case.values import checked
from mayak.errors import CaseError
from mayak.i18n import msg
from mayak.names import is_visible, printable

_CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the clock of another machine may be ahead of this one's."""
_MERGE = "merge decisions"
"""Name of a merge in the log."""


@dataclass(slots=True)
class MergeSummary:
    """Numbers of what a merge added for one reviewer."""

    acts: int = 0
    samples: int = 0
    verdicts: dict[int, int] = field(default_factory=dict)
    """Number of verdicts by label."""
    withdrawn: int = 0
    """Number of withdrawn verdicts."""
    first: str = ""
    """Time of the first action or sample; like ``last`` UTC, ISO 8601."""
    last: str = ""

    def add(self, action: DecisionAction, withdrawn: int) -> None:
        """Count an action and the number of verdicts that it withdraws."""
        self.acts += 1
        for verdict in sorted(action.verdicts.values()):
            self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1
        self.withdrawn += withdrawn
        self._at(action.at)

    def add_sample(self, sample: SampleRecord) -> None:
        """Count a sample."""
        self.samples += 1
        self._at(sample.drawn)

    def _at(self, at: str) -> None:
        self.first = min(self.first or at, at)
        self.last = max(self.last, at)


class Exchange:
    """Export and merge of the decisions of a case.

    The actions of a reviewer are one sequence. Two copies of a case agree if, for each reviewer,
    the actions in one are the beginning of those in the other; merging appends what is missing.
    """

    def __init__(
        self, folder: Path, case: str, database: Database, decisions: Decisions, samples: Samples
    ) -> None:
        self._folder = folder
        self._case = case
        self._database = database
        self._decisions = decisions
        self._samples = samples

    def export_decisions(self) -> DecisionExport:
        """Return all samples and actions of the case."""
        samples = self._sample_records()
        actions = tuple(action for _, action in self._actions(samples))
        return DecisionExport(self._case, tuple(samples.values()), actions)

    def merge(
        self, exports: Sequence[DecisionExport], *, continued: Collection[str] = ()
    ) -> dict[str, MergeSummary]:
        """Add the samples and actions of other copies of the case that this one lacks.

        Adds all or nothing; merging the same again does nothing. Returns what was added, by
        reviewer.

        A file of decisions does not prove who wrote it. So nothing is added in the name of someone
        who works in this copy (who made a decision, a sample or the merge here), nor in a name that
        looks like theirs. ``continued`` names those of them who continued in another copy and whose
        actions there are their own.

        Raises:
            CaseError: an export is of another case, this copy lacks contents or runs, an action is
                in a protected name or from the future, or a reviewer has different actions here
                and there.
        """
        with self._database.batch(_MERGE, histories=len(exports)) as batch:
            samples = {sample: number for number, sample in self._sample_records().items()}
            mine: dict[str, list[tuple[int, DecisionAction]]] = {}
            for number, one in self._actions({n: sample for sample, n in samples.items()}):
                mine.setdefault(one.reviewer, []).append((number, one))
            following = next_action(batch)
            protected = {_confusable_key(name) for name in self._local_reviewers(batch)}
            latest = (datetime.now(UTC) + _CLOCK_TOLERANCE).isoformat()
            added: dict[str, MergeSummary] = {}

            def require_credible(reviewer: str, at: str) -> None:
                is_protected = reviewer not in continued and _confusable_key(reviewer) in protected
                self._require_credible(reviewer, at, latest, is_protected=is_protected)

            for export in exports:
                self._require_same_case(export)
                for sample in export.samples:
                    if sample not in samples:
                        require_credible(sample.reviewer, sample.drawn)
                        samples[sample] = self._add_sample(batch, sample)
                        added.setdefault(sample.reviewer, MergeSummary()).add_sample(sample)
                for one in export.actions:
                    known = mine.setdefault(one.reviewer, [])
                    if one.number <= len(known):
                        if known[one.number - 1][1] != one:
                            raise self._conflict(one)
                        continue
                    require_credible(one.reviewer, one.at)
                    drawn = None if one.sample is None else samples[one.sample]
                    decided = self._add_action(batch, following, one, known, drawn)
                    known.append((following, one))
                    following += 1
                    withdrawn = 0 if one.undoes is None else decided
                    added.setdefault(one.reviewer, MergeSummary()).add(one, withdrawn)
            batch.detail["acts"] = {reviewer: taken.acts for reviewer, taken in added.items()}
            batch.detail["taken_in"] = {name: asdict(taken) for name, taken in added.items()}
            if confirmed := sorted(added.keys() & set(continued)):
                batch.detail["continued"] = confirmed
            return added

    def _local_reviewers(self, batch: Batch) -> set[str]:
        """Who decided or drew a sample in this copy, and the present operator."""
        rows = batch.connection.execute(
            "SELECT reviewer FROM decisions d JOIN log l ON l.sequence = d.log WHERE l.action != ?"
            " UNION"
            " SELECT reviewer FROM samples s JOIN log l ON l.sequence = s.log WHERE l.action != ?",
            (_MERGE, _MERGE),
        )
        return {row["reviewer"] for row in rows} | {self._database.operator or ""}

    def _sample_records(self) -> dict[int, SampleRecord]:
        rows = self._database.query(
            "SELECT s.*, r.fingerprint FROM samples s JOIN runs r ON r.id = s.run ORDER BY s.id"
        )
        return {
            row["id"]: SampleRecord(
                run=row["fingerprint"],
                seed=row["seed"],
                population=row["population"],
                reviewer=row["reviewer"],
                drawn=row["drawn"],
                items=tuple(self._samples.sample_items(row["id"])),
            )
            for row in rows
        }

    def _actions(self, samples: dict[int, SampleRecord]) -> list[tuple[int, DecisionAction]]:
        """Every action with its number in this copy."""
        with checked(self._folder, TABLES["decisions"]):
            return list(self._numbered(samples))

    def _numbered(self, samples: dict[int, SampleRecord]) -> Iterator[tuple[int, DecisionAction]]:
        numbers: dict[int, int] = {}
        counts: Counter[str] = Counter()
        for action, rows in groupby(
            self._decisions.decisions(), key=lambda decision: decision.action
        ):
            decisions = list(rows)
            first = decisions[0]
            counts[first.reviewer] += 1
            numbers[action] = counts[first.reviewer]
            yield (
                action,
                DecisionAction(
                    reviewer=first.reviewer,
                    number=numbers[action],
                    at=first.at.isoformat(),
                    verdicts={d.sha256: d.verdict for d in decisions if d.verdict is not None},
                    undoes=None if first.undoes is None else numbers[first.undoes],
                    sample=None if first.sample is None else samples[first.sample],
                    seen={d.sha256: d.seen for d in decisions if d.seen is not None},
                ),
            )

    def _add_sample(self, batch: Batch, sample: SampleRecord) -> int:
        query = "SELECT id FROM runs WHERE fingerprint = ?"
        run = batch.connection.execute(query, (sample.run,)).fetchone()
        if run is None:
            raise CaseError(
                msg(
                    "{folder} has no run of the model that a sample was drawn from ({run})",
                    folder=self._folder,
                    run=sample.run,
                ),
                remedy=msg("run `mayak triage` with that model first"),
            )
        (count,) = batch.connection.execute("SELECT count(*) FROM contents").fetchone()
        if sample.population > count:  # the estimate of what was missed is computed from it
            raise CaseError(
                msg(
                    "a sample was drawn from {population} images elsewhere; {folder} holds {count}",
                    population=sample.population,
                    folder=self._folder,
                    count=count,
                ),
                remedy=msg("triage the same sources here first"),
            )
        number = batch.add(
            "samples",
            run=run["id"],
            size=len(sample.items),
            seed=sample.seed,
            population=sample.population,
            reviewer=sample.reviewer,
            drawn=sample.drawn,
        )
        for content in sample.items:
            self._require_content(batch, content)
            batch.add("sample_items", sample=number, content=content)
        return number

    def _add_action(
        self,
        batch: Batch,
        number: int,
        action: DecisionAction,
        before: list[tuple[int, DecisionAction]],
        sample: int | None,
    ) -> int:
        """Add an action after those ``before``; return its number of contents."""
        undone = None if action.undoes is None else before[action.undoes - 1]
        contents = action.verdicts if undone is None else undone[1].verdicts
        for content in contents:
            self._require_content(batch, content)
            batch.add(
                "decisions",
                action=number,
                reviewer=action.reviewer,
                at=action.at,
                content=content,
                verdict=action.verdicts.get(content),
                undoes=None if undone is None else undone[0],
                sample=sample,
                **seen_columns(action.seen.get(content)),
            )
        return len(contents)

    def _require_same_case(self, export: DecisionExport) -> None:
        if export.case != self._case:
            raise CaseError(
                msg(
                    "these decisions belong to another case ({case}) than {folder} ({self_case})",
                    case=export.case,
                    folder=self._folder,
                    self_case=self._case,
                ),
                remedy=msg("merge copies of the same case only"),
            )

    def _require_credible(self, reviewer: str, at: str, latest: str, *, is_protected: bool) -> None:
        shown = printable(reviewer)
        if is_protected:
            raise CaseError(
                msg(
                    "the file has further decisions in the name of {shown} ({at}), who works in "
                    "{folder} itself",
                    shown=shown,
                    at=at,
                    folder=self._folder,
                ),
                remedy=msg(
                    "merge it under another name: --rename '{shown}=NEW NAME'; only if you know "
                    "that it is {shown}'s own work in another copy: --continue '{shown}'",
                    shown=shown,
                ),
            )
        if at > latest:
            raise CaseError(
                msg(
                    "the file has a decision of {shown} from the future ({at})", shown=shown, at=at
                ),
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
                    folder=self._folder,
                    sha256=sha256,
                ),
                remedy=msg("triage the same sources here first"),
            )

    def _conflict(self, action: DecisionAction) -> CaseError:
        return CaseError(
            msg(
                "{reviewer} decided in both copies: decision {number} there ({at}) conflicts with "
                "decision {number} in {folder}",
                reviewer=action.reviewer,
                number=action.number,
                at=action.at,
                folder=self._folder,
            ),
            remedy=msg(
                "merge one of the two as another reviewer: --rename '{reviewer}=NEW NAME'",
                reviewer=action.reviewer,
            ),
        )


def _confusable_key(name: str) -> str:
    """Return a key that is equal for names that look the same.

    Composed (macOS decomposes Hangul), without invisible characters, and with single blanks.
    """
    drawn = [
        char
        for char in unicodedata.normalize("NFKC", name)
        if char.isspace() or (is_visible(char) and unicodedata.category(char) != "Mn")
    ]
    return " ".join("".join(drawn).split())
