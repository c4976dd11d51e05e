"""Collects the data of a report in one pass over the case."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from mayak.case import (
    BlindSample,
    CaseStore,
    Counts,
    IntegrityFault,
    LogEntry,
    ReviewStatus,
    Run,
    SourceCounts,
    StoredContent,
    StoredSource,
    VerificationScope,
    latest,
    set_back,
)
from mayak.case.census import Census
from mayak.case.records import Seen
from mayak.case.scores import review_key
from mayak.case.statuses import State
from mayak.errors import CaseError
from mayak.i18n import Message, msg
from mayak.report.left_out import LeftOut, left_out
from mayak.report.text import files as files_text
from mayak.types import OutcomeReason

PROPOSALS = 100
"""Proposals that a report shows; the most likely ones first."""
_CHUNK = 500
_BEGINNINGS = 10
"""First bytes of files of no known kind that a report lists."""
_NOTABLE = frozenset(
    (
        "triage",
        "triage finished",
        "cascade",
        "accept damage",
        "training images",
        "reduced scale",
        "opened with a password",
        "refuse source",
        "relocate source",
        "refuse relocation",
        "source cannot be hashed",
        "verify",
    )
)
"""Actions of the log that a report lists."""

Kind = State | Literal["failure", "exclusion"]
OPEN: tuple[State, ...] = ("disputed", "proposed", "alert", "without_result")
"""States of images that still need a person's decision."""


@dataclass(slots=True)
class ReviewerSummary:
    """The valid decisions of one reviewer."""

    images: int
    first: datetime
    last: datetime


@dataclass(slots=True)
class LogSummary:
    """What the case's log records about its sources, besides their hashes."""

    notable: list[LogEntry] = field(default_factory=list)
    """Triage, its end and its risk bound; damage that was accepted; images that were read at a
    reduced scale; sources that were refused, could not be hashed or are at another path now;
    verifications."""
    complete: set[int] = field(default_factory=set)
    """Sources that triage has read to their end, in their present state."""
    unreadable: dict[int, str] = field(default_factory=dict)
    """Reason why a source could not be hashed as a whole."""
    compared: dict[int, tuple[LogEntry, Mapping[str, Any]]] = field(default_factory=dict)
    """By source: the last verification that compared it, and how (``SourceComparison``)."""
    accepting: list[LogEntry] = field(default_factory=list)
    """Runs of triage with ``--accept-damaged``."""
    set_back: list[tuple[LogEntry, LogEntry]] = field(default_factory=list)
    """Pairs of consecutive entries whose times run backwards."""
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
            # The source has changed and was accepted: its files must be listed again.
            self.complete.discard(detail.get("source", 0))
            self.unreadable.pop(detail.get("source", 0), None)
        elif entry.action == "source cannot be hashed":
            self.unreadable[detail.get("source", 0)] = str(detail.get("reason"))
        elif entry.action == "verify":
            for source in detail.get("sources") or ():
                if source.get("whole") or source.get("hashed") or source.get("sized"):
                    self.compared[source.get("source", 0)] = entry, source
        return entry

    @property
    def last_check(self) -> LogEntry | None:
        """The last recorded verification."""
        return next((e for e in reversed(self.notable) if e.action == "verify"), None)


@dataclass(slots=True)
class ReportData:
    """The data of a report. Images are listed by SHA-256, in the order in which they were found."""

    case: str
    name: str
    created: datetime
    head: str
    entries: int
    """Number of log entries."""
    as_of: datetime
    """Time of the last log entry."""
    counts: Counts
    exclusions: dict[str, int]
    failures: dict[str, int]
    """Files that could not be read, by recorded reason."""
    census: Census
    left_out: LeftOut
    """Files left out by the rule ``not-an-image``, which earlier versions had."""
    unknown: LeftOut
    """Files of no known kind."""
    beginnings: list[tuple[str, int]]
    """The most frequent first bytes of files of no known kind, in hex, with the numbers of
    files."""
    unexamined: dict[int, dict[str, int]]
    """By source: bytes that belong to no file and were not looked at (``Space``)."""
    sources: list[StoredSource]
    source_counts: dict[int, SourceCounts]
    """By source; only sources with files."""
    history: LogSummary
    runs: list[Run]
    tiers: dict[int, dict[int, int]]
    """By run: number of images by deciding tier (``Prediction.tier``)."""
    run: Run | None
    """The model run whose scores the report shows."""
    samples: list[BlindSample]
    faults: list[IntegrityFault]
    extent: VerificationScope
    """How much was compared with recorded hashes to find the faults."""
    withdrawn: int
    """Number of withdrawn decisions."""
    images: Counter[State] = field(default_factory=Counter)
    files: Counter[State] = field(default_factory=Counter)
    selected: dict[int, list[str]] = field(default_factory=dict)
    """By class: SHA-256 of the images."""
    selected_files: Counter[int] = field(default_factory=Counter)
    agreed: Counter[int] = field(default_factory=Counter)
    """By class: selected images with the same predicted class."""
    disputed: list[str] = field(default_factory=list)
    proposed: list[str] = field(default_factory=list)
    """Unreviewed proposals and alerts: the first ``PROPOSALS``, in the order of review."""
    proposals: Counter[int] = field(default_factory=Counter)
    reviewers: dict[str, ReviewerSummary] = field(default_factory=dict)
    seen: Counter[Seen | None] = field(default_factory=Counter)
    """Valid decisions by how the image was shown."""

    @property
    def awaiting(self) -> int:
        """Number of unreviewed proposals and alerts; ``proposed`` has the first of them."""
        return self.images["proposed"] + self.images["alert"]

    @property
    def is_balanced(self) -> bool:
        """Whether both the outcomes and the lists add up to all files."""
        return self.counts.is_balanced and sum(self.listed) == self.counts.items

    @property
    def hashed(self) -> int:
        """Number of rows in the lists that have a SHA-256."""
        return sum(counts.hashed for counts in self.source_counts.values())

    @property
    def incomplete(self) -> list[int]:
        """Numbers, from 1, of sources whose files may be missing from the lists."""
        done = self.history.complete
        return [n for n, source in enumerate(self.sources, 1) if source.id not in done]

    @property
    def damaged(self) -> list[StoredSource]:
        """Sources whose hash did not match, or that had changed, and that were accepted."""
        return [s for s in self.sources if any(h.accepted_damaged for h in s.hashes)]

    @property
    def has_no_fault(self) -> bool:
        """Whether there is no integrity failure."""
        return not (self.faults or self.damaged or self.history.unreadable or self.failed_before)

    @property
    def failed_before(self) -> bool:
        """Whether the last verification on record found a fault."""
        check = self.history.last_check
        return check is not None and bool(check.detail.get("faults"))

    @property
    def listed(self) -> tuple[int, int, int]:
        """Number of files that are selected, not settled, and not selected."""
        open_files = sum(self.files[state] for state in OPEN)
        rest = self.files["irrelevant"] + self.files["unreviewed_irrelevant"]
        return (
            self.files["selected"],
            open_files,
            rest + self.counts.failures + self.counts.exclusions,
        )

    @property
    def listed_text(self) -> Message:
        """The sum of ``listed``, for people."""
        selected, unsettled, rest = self.listed
        items = self.counts.items
        return msg(
            "{items} {sign} {selected:,} selected + {unsettled:,} not settled + {rest:,} not "
            "selected",
            items=files_text(items),
            sign="=" if selected + unsettled + rest == items else "≠",
            selected=selected,
            unsettled=unsettled,
            rest=rest,
        )


def collect(case: CaseStore, faults: list[IntegrityFault], run: int | None = None) -> ReportData:
    """Collect the data of a case's report, with the scores of one run.

    ``run`` None takes the last finished run, or else the last. Memory grows only with the number of
    selected and disputed images.

    Raises:
        CaseError: the case has no such run.
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
    found = ReportData(
        case=case.id,
        name=case.name,
        created=case.created,
        head=case.head(),
        entries=history.entries,
        as_of=datetime.fromisoformat(history.last.at) if history.last else case.created,
        counts=case.counts(),
        exclusions=case.exclusion_counts(),
        failures=case.failure_counts(),
        census=Census.of(case.census()),
        left_out=left_out(lambda: case.left_out(OutcomeReason.NOT_AN_IMAGE)),
        unknown=left_out(lambda: case.left_out(OutcomeReason.UNKNOWN)),
        beginnings=case.unknown_beginnings(_BEGINNINGS),
        unexamined=case.unexamined(),
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
    for _, status in statuses(case, found.run):
        _count(found, status)
        if status.state in ("proposed", "alert"):
            key = review_key(status.sha256, status.scores, has_alert=bool(status.alerts))
            first.append((key, status.sha256))
            if len(first) > 8 * PROPOSALS:
                first = heapq.nsmallest(PROPOSALS, first)
    found.proposed = [sha256 for _, sha256 in heapq.nsmallest(PROPOSALS, first)]
    return found


def statuses(case: CaseStore, run: Run | None) -> Iterator[tuple[StoredContent, ReviewStatus]]:
    """Yield every image of a case with its review status, in the order in which it was found."""
    contents = case.contents()
    while chunk := list(islice(contents, _CHUNK)):
        known = case.statuses(run.id if run else None, [content.sha256 for content in chunk])
        yield from zip(chunk, known, strict=True)


def _count(found: ReportData, status: ReviewStatus) -> None:
    found.images[status.state] += 1
    found.files[status.state] += status.occurrences
    if (label := status.decided) is not None and status.state == "selected":
        found.selected.setdefault(label, []).append(status.sha256)
        found.selected_files[label] += status.occurrences
        found.agreed[label] += status.proposal == label
    elif status.state == "disputed":
        found.disputed.append(status.sha256)
    elif status.state == "proposed" and status.proposal is not None:
        found.proposals[status.proposal] += 1
    for decision in status.verdicts:
        who = found.reviewers.setdefault(
            decision.reviewer, ReviewerSummary(0, decision.at, decision.at)
        )
        who.images += 1
        found.seen[decision.seen] += 1
        who.first, who.last = min(who.first, decision.at), max(who.last, decision.at)
