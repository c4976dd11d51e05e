"""What a report has to say of a case, gathered in one pass over it."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from mayak.case import (
    CaseStore,
    Counts,
    Extent,
    Fault,
    LogEntry,
    Run,
    Sample,
    Source,
    SourceCounts,
    Standing,
    StoredContent,
    latest,
    set_back,
)
from mayak.case.listing import State
from mayak.case.records import Seen
from mayak.errors import CaseError
from mayak.i18n import msg
from mayak.report.left_out import LeftOut, left_out

PROPOSALS = 100
"""Of the proposals that nobody has reviewed, so many are shown, the likeliest first."""
_CHUNK = 500
_NOTABLE = frozenset(
    (
        "triage",
        "triage finished",
        "cascade",
        "refuse source",
        "source cannot be hashed",
        "verify",
    )
)
"""Actions of the log that a report names."""

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
class LogSummary:
    """What the case's log records of its sources, besides their hashes."""

    notable: list[LogEntry] = field(default_factory=list)
    """Triage and its end, what its cascade promised, sources that were refused or could not be
    hashed, and verifications."""
    complete: set[int] = field(default_factory=set)
    """Sources that triage has gone through to their end, as they are now."""
    unreadable: dict[int, str] = field(default_factory=dict)
    """Why a source could not be hashed as a whole."""
    compared: dict[int, tuple[LogEntry, Mapping[str, Any]]] = field(default_factory=dict)
    """The last verification that compared a source, and how (``triage.verify.Compared``)."""
    accepting: list[LogEntry] = field(default_factory=list)
    """Triage that was told to go on with damaged or changed sources and files."""
    set_back: list[tuple[LogEntry, LogEntry]] = field(default_factory=list)
    """Entries that follow each other and whose times run backwards."""
    entries: int = 0
    last: LogEntry | None = None

    @classmethod
    def of(cls, log: Iterable[LogEntry]) -> LogSummary:
        found = cls()
        found.set_back = list(set_back(map(found._add, log)))
        return found

    def _add(self, entry: LogEntry) -> LogEntry:
        self.entries, self.last = entry.sequence, entry
        detail = entry.detail
        if entry.action in _NOTABLE:
            self.notable.append(entry)
        if entry.action == "triage" and (detail.get("options") or {}).get("accept_damaged"):
            self.accepting.append(entry)
        if entry.action == "triage finished" and not detail.get("limited"):
            self.complete.update(detail.get("sources", ()))
        elif entry.action == "hash source":
            # Of a changed source that was accepted: what is in it now has still to be listed.
            self.complete.discard(detail.get("source", 0))
            self.unreadable.pop(detail.get("source", 0), None)
        elif entry.action == "source cannot be hashed":
            self.unreadable[detail.get("source", 0)] = str(detail.get("reason"))
        elif entry.action == "verify":
            for told in detail.get("sources") or ():
                if told.get("whole") or told.get("hashed") or told.get("sized"):
                    self.compared[told.get("source", 0)] = entry, told
        return entry

    @property
    def last_check(self) -> LogEntry | None:
        """The last verification that is on record."""
        return next((e for e in reversed(self.notable) if e.action == "verify"), None)


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
    failures: dict[str, int]
    """Items that could not be read, by the recorded reason."""
    left_out: LeftOut
    """What was left out as no image."""
    sources: list[Source]
    source_counts: dict[int, SourceCounts]
    """Of those with files."""
    history: LogSummary
    runs: list[Run]
    tiers: dict[int, dict[int, int]]
    """By run: images by the reading that decided (``Prediction.tier``)."""
    run: Run | None
    """Whose scores the report shows."""
    samples: list[Sample]
    faults: list[Fault]
    extent: Extent
    """What was compared with recorded hashes to find them."""
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
    seen: Counter[Seen | None] = field(default_factory=Counter)
    """How the images were shown when they were decided, for each decision that holds."""

    @property
    def awaiting(self) -> int:
        """Images of which ``proposed`` holds the first."""
        return self.images["proposed"] + self.images["alert"]

    @property
    def balanced(self) -> bool:
        """Whether outcomes and lists both add up to all files."""
        return self.counts.balanced and sum(self.listed) == self.counts.items

    @property
    def hashed(self) -> int:
        """Rows of the lists that carry a SHA-256."""
        return sum(counts.hashed for counts in self.source_counts.values())

    @property
    def incomplete(self) -> list[int]:
        """Positions, from 1, of the sources of which files may be missing from the lists."""
        done = self.history.complete
        return [n for n, source in enumerate(self.sources, 1) if source.id not in done]

    @property
    def damaged(self) -> list[Source]:
        """Sources that are not what their hash says, or not what they were, and were accepted."""
        return [s for s in self.sources if any(h.accepted_damaged for h in s.hashes)]

    @property
    def sound(self) -> bool:
        """No failure of integrity is open."""
        return not (self.faults or self.damaged or self.history.unreadable or self.failed_before)

    @property
    def failed_before(self) -> bool:
        """Whether the last verification on record found a fault."""
        check = self.history.last_check
        return check is not None and bool(check.detail.get("faults"))

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
    history = LogSummary.of(case.log())
    runs = case.runs()
    chosen = [one for one in runs if one.id == run] if run is not None else [latest(runs)]
    if not chosen:
        known = ", ".join(str(one.id) for one in runs) or "–"
        raise CaseError(
            msg("case {folder} has no run {run}", folder=case.folder, run=run),
            remedy=msg("name one of these: {known}", known=known),
        )
    found = Survey(
        case=case.id,
        name=case.name,
        created=case.created,
        head=case.head(),
        entries=history.entries,
        as_of=datetime.fromisoformat(history.last.at) if history.last else case.created,
        counts=case.counts(),
        exclusions=case.exclusion_counts(),
        failures=case.failure_counts(),
        left_out=left_out(lambda: case.left_out("not-an-image")),
        sources=case.sources(),
        source_counts=case.source_counts(),
        history=history,
        runs=runs,
        tiers={one.id: case.tier_counts(one.id) for one in runs},
        run=chosen[0],
        samples=case.samples(),
        faults=faults,
        extent=case.extent(),
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
        found.seen[decision.seen] += 1
        who.first, who.last = min(who.first, decision.at), max(who.last, decision.at)


def _urgency(standing: Standing) -> tuple[bool, float, float, str]:
    """The order of ``CaseStore.results``."""
    scores = standing.scores.values if standing.scores else (1.0, 0.0, 0.0, 0.0)
    return not standing.alerts, scores[0], max(scores), standing.sha256
