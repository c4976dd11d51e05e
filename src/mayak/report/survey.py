"""What a report has to say of a case, gathered in one pass over it."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Literal

from mayak.case import (
    CaseStore,
    Counts,
    Fault,
    LogEntry,
    Run,
    Sample,
    Source,
    Standing,
    StoredContent,
    latest,
)
from mayak.case.listing import State
from mayak.errors import CaseError
from mayak.language import tr

PROPOSALS = 100
"""Of the proposals that nobody has reviewed, so many are shown, the likeliest first."""
_CHUNK = 500

Kind = State | Literal["failure", "exclusion"]
OPEN: tuple[State, ...] = ("disputed", "proposed", "alert", "unclassified")
"""Contents of which a person has yet to say what is to become."""


@dataclass(slots=True)
class Reviewer:
    """How much of what stands one person has decided."""

    images: int
    first: datetime
    last: datetime


@dataclass(slots=True)
class Survey:
    """A case in figures; contents by SHA-256, in the order in which the case found them."""

    case: str
    name: str
    created: datetime
    head: str
    entries: int
    """Of the log."""
    as_of: datetime
    """The log's last entry."""
    counts: Counts
    exclusions: dict[str, int]
    sources: list[Source]
    runs: list[Run]
    tiers: dict[int, dict[int, int]]
    """By run: images by the reading that decided (``Prediction.tier``)."""
    run: Run | None
    """Whose scores the report shows."""
    samples: list[Sample]
    faults: list[Fault]
    notable: list[LogEntry]
    """Of the log: triage, what its cascade promised, refused sources and verifications."""
    withdrawn: int
    """Decisions that were taken back."""
    images: Counter[State] = field(default_factory=Counter)
    files: Counter[State] = field(default_factory=Counter)
    selected: dict[int, list[str]] = field(default_factory=dict)
    """By the label that was decided."""
    selected_files: Counter[int] = field(default_factory=Counter)
    agreed: Counter[int] = field(default_factory=Counter)
    """Of the selected, those that the model had called the same."""
    disputed: list[str] = field(default_factory=list)
    proposed: list[str] = field(default_factory=list)
    """What the model or a list of known files names and nobody decided: the first ``PROPOSALS``, in
    the order in which an examiner should see them."""
    proposals: Counter[int] = field(default_factory=Counter)
    reviewers: dict[str, Reviewer] = field(default_factory=dict)

    @property
    def awaiting(self) -> int:
        """Images of which ``proposed`` holds the first."""
        return self.images["proposed"] + self.images["alert"]

    @property
    def last_check(self) -> LogEntry | None:
        """The last verification that is on record."""
        return next((e for e in reversed(self.notable) if e.action == "verify"), None)

    @property
    def damaged(self) -> list[Source]:
        """Sources that are not what their hash says, or not what they were, and were accepted."""
        return [s for s in self.sources if any(h.accepted_damaged for h in s.hashes)]

    @property
    def sound(self) -> bool:
        """No failure of integrity is open."""
        check = self.last_check
        return not (self.faults or self.damaged or (check and check.detail.get("faults")))

    @property
    def listed(self) -> tuple[int, int, int]:
        """Files in the lists of the selected, of what is open, and of what was not selected."""
        open_files = sum(self.files[state] for state in OPEN)
        rest = self.files["irrelevant"] + self.files["unseen"]
        return (
            self.files["selected"],
            open_files,
            rest + self.counts.failures + self.counts.exclusions,
        )


def survey(case: CaseStore, faults: list[Fault], run: int | None = None) -> Survey:
    """Gather it, with the scores of a run (None: the last that is finished, or else the last).

    Memory grows with what was selected alone. Raises CaseError for a run that the case lacks.
    """
    entries = None
    notable = []
    for entry in case.log():
        entries = entry
        if entry.action in ("triage", "cascade", "refuse source", "verify"):
            notable.append(entry)
    runs = case.runs()
    chosen = [one for one in runs if one.id == run] if run is not None else [latest(runs)]
    if not chosen:
        known = ", ".join(str(one.id) for one in runs) or "–"
        raise CaseError(
            tr(
                f"case {case.folder} has no run {run}",
                f"사건 {case.folder}에 실행 {run}이(가) 없습니다",
            ),
            remedy=tr(f"name one of these: {known}", f"다음 중 하나를 지정하십시오: {known}"),
        )
    found = Survey(
        case=case.id,
        name=case.name,
        created=case.created,
        head=case.head(),
        entries=entries.sequence if entries else 0,
        as_of=datetime.fromisoformat(entries.at) if entries else case.created,
        counts=case.counts(),
        exclusions=case.exclusion_counts(),
        sources=case.sources(),
        runs=runs,
        tiers={one.id: case.tier_counts(one.id) for one in runs},
        run=chosen[0],
        samples=case.samples(),
        faults=faults,
        notable=notable,
        withdrawn=sum(1 for decision in case.decisions() if decision.undoes is not None),
    )
    first: list[tuple[tuple[bool, float, float, str], str]] = []
    for _, standing in standings(case, found.run):
        _count(found, standing)
        if standing.state in ("proposed", "alert"):
            first.append((_urgency(standing), standing.sha256))
            if len(first) > 8 * PROPOSALS:
                first = heapq.nsmallest(PROPOSALS, first)
    found.proposed = [sha256 for _, sha256 in heapq.nsmallest(PROPOSALS, first)]
    return found


def standings(case: CaseStore, run: Run | None) -> Iterator[tuple[StoredContent, Standing]]:
    """Every content of a case and how it stands, in the order in which it was found."""
    contents = case.contents()
    while chunk := list(islice(contents, _CHUNK)):
        known = case.standings(run.id if run else None, [content.sha256 for content in chunk])
        yield from zip(chunk, known, strict=True)


def _count(found: Survey, standing: Standing) -> None:
    found.images[standing.state] += 1
    found.files[standing.state] += standing.places
    if (label := standing.decided) is not None and standing.state == "selected":
        found.selected.setdefault(label, []).append(standing.sha256)
        found.selected_files[label] += standing.places
        found.agreed[label] += standing.proposal == label
    elif standing.state == "disputed":
        found.disputed.append(standing.sha256)
    elif standing.state == "proposed" and standing.proposal is not None:
        found.proposals[standing.proposal] += 1
    for decision in standing.verdicts:
        who = found.reviewers.setdefault(decision.reviewer, Reviewer(0, decision.at, decision.at))
        who.images += 1
        who.first, who.last = min(who.first, decision.at), max(who.last, decision.at)


def _urgency(standing: Standing) -> tuple[bool, float, float, str]:
    """The order of ``CaseStore.results``."""
    scores = standing.scores or (1.0, 0.0, 0.0, 0.0)
    return not standing.alerts, scores[0], max(scores), standing.sha256
