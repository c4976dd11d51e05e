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
from mayak.case.sampling import Samples
from mayak.case.values import checked
from mayak.errors import CaseError
from mayak.language import printable, tr

_CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the clock of another machine may be ahead of this one's."""
_MERGE = "merge decisions"
"""Name of a merge in the log."""
_FILLERS = "\u115f\u1160"
"""Hangul letters that are invisible."""


@dataclass(slots=True)
class TakenIn:
    """What a merge added for one reviewer."""

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
    ) -> dict[str, TakenIn]:
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
            protected = {_look(name) for name in self._deciding_here(batch)}
            latest = (datetime.now(UTC) + _CLOCK_TOLERANCE).isoformat()
            added: dict[str, TakenIn] = {}

            def require_credible(reviewer: str, at: str) -> None:
                is_protected = reviewer not in continued and _look(reviewer) in protected
                self._require_credible(reviewer, at, latest, is_protected=is_protected)

            for export in exports:
                self._require_same_case(export)
                for sample in export.samples:
                    if sample not in samples:
                        require_credible(sample.reviewer, sample.drawn)
                        samples[sample] = self._add_sample(batch, sample)
                        added.setdefault(sample.reviewer, TakenIn()).add_sample(sample)
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
                    added.setdefault(one.reviewer, TakenIn()).add(one, withdrawn)
            batch.detail["acts"] = {reviewer: taken.acts for reviewer, taken in added.items()}
            batch.detail["taken_in"] = {name: asdict(taken) for name, taken in added.items()}
            if confirmed := sorted(added.keys() & set(continued)):
                batch.detail["continued"] = confirmed
            return added

    def _deciding_here(self, batch: Batch) -> set[str]:
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
        with checked(self._folder, "decisions"):
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
                tr(
                    f"{self._folder} has no run of the model that a sample was drawn from "
                    f"({sample.run})",
                    f"{self._folder}에는 표본이 추출된 모델의 실행이 없습니다 ({sample.run})",
                ),
                remedy=tr(
                    "run `mayak triage` with that model first",
                    "먼저 해당 모델로 `mayak triage`를 실행하십시오",
                ),
            )
        (count,) = batch.connection.execute("SELECT count(*) FROM contents").fetchone()
        if sample.population > count:  # the estimate of what was missed is computed from it
            raise CaseError(
                tr(
                    f"a sample was drawn from {sample.population} images elsewhere; {self._folder} "
                    f"holds {count}",
                    f"다른 사본에서 이미지 {sample.population}장 중에서 표본을 추출했으나 "
                    f"{self._folder}에는 {count}장이 있습니다",
                ),
                remedy=tr(
                    "triage the same sources here first", "먼저 같은 원본을 이 사건에 처리하십시오"
                ),
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
                tr(
                    f"these decisions belong to another case ({export.case}) than {self._folder} "
                    f"({self._case})",
                    f"이 판정은 {self._folder} ({self._case})이(가) 아닌 다른 사건 "
                    f"({export.case})의 것입니다",
                ),
                remedy=tr(
                    "merge copies of the same case only", "같은 사건의 사본끼리만 병합하십시오"
                ),
            )

    def _require_credible(self, reviewer: str, at: str, latest: str, *, is_protected: bool) -> None:
        shown = printable(reviewer)
        if is_protected:
            raise CaseError(
                tr(
                    f"the file has further decisions in the name of {shown} ({at}), who works in "
                    f"{self._folder} itself",
                    f"{self._folder}에서 직접 판정하는 {shown}의 이름으로 된 판정이 파일에 더 "
                    f"있습니다 ({at})",
                ),
                remedy=tr(
                    f"merge it under another name: --rename '{shown}=NEW NAME'; only if you "
                    f"know that it is {shown}'s own work in another copy: "
                    f"--continue '{shown}'",
                    f"다른 이름으로 병합하십시오: --rename '{shown}=새 이름'. {shown} 본인이 "
                    f"다른 사본에서 이어서 판정한 것이 확실한 경우에만: --continue '{shown}'",
                ),
            )
        if at > latest:
            raise CaseError(
                tr(
                    f"the file has a decision of {shown} from the future ({at})",
                    f"파일에 {shown}의 미래 시각 판정이 있습니다 ({at})",
                ),
                remedy=tr(
                    "set this machine's clock if it is slow; otherwise find out who made the file "
                    "and on which machine",
                    "이 컴퓨터의 시계가 늦으면 맞추십시오. 아니면 파일을 누가 어느 컴퓨터에서 "
                    "만들었는지 확인하십시오",
                ),
            )

    def _require_content(self, batch: Batch, sha256: str) -> None:
        query = "SELECT 1 FROM contents WHERE sha256 = ?"
        if not batch.connection.execute(query, (sha256,)).fetchone():
            raise CaseError(
                tr(
                    f"{self._folder} does not hold {sha256}, which was decided elsewhere",
                    f"다른 사본에서 판정한 {sha256}이(가) {self._folder}에 없습니다",
                ),
                remedy=tr(
                    "triage the same sources here first", "먼저 같은 원본을 이 사건에 처리하십시오"
                ),
            )

    def _conflict(self, action: DecisionAction) -> CaseError:
        return CaseError(
            tr(
                f"{action.reviewer} decided in both copies: decision {action.number} there "
                f"({action.at}) conflicts with decision {action.number} in {self._folder}",
                f"{action.reviewer}이(가) 두 사본에서 따로 판정했습니다. 저쪽의 "
                f"{action.number}번째 판정({action.at})이 {self._folder}의 것과 다릅니다",
            ),
            remedy=tr(
                f"merge one of the two as another reviewer: --rename '{action.reviewer}=NEW NAME'",
                f"한쪽을 다른 검토자 이름으로 병합하십시오: --rename '{action.reviewer}=새 이름'",
            ),
        )


def _look(name: str) -> str:
    """Return a key that is equal for names that look the same.

    Composed (macOS decomposes Hangul), without invisible characters, and with single blanks.
    """
    drawn = [
        char
        for char in unicodedata.normalize("NFKC", name)
        if char.isspace()
        or (char.isprintable() and char not in _FILLERS and unicodedata.category(char) != "Mn")
    ]
    return " ".join("".join(drawn).split())
