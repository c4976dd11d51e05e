"""The figures of a finished triage run, for the command line."""

from __future__ import annotations

from dataclasses import dataclass

from mayak.case import CaseStore, Counts


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of a finished run."""

    run: int | None
    counts: Counts
    """Of the whole case."""
    exclusions: dict[str, int]
    """Items by the rule that left them out."""
    failures: int
    """Items that were not read, and contents without a result."""
    labels: dict[int, int]
    """Contents by label."""
    tiers: dict[int, int]
    """Contents by the tier that decided (``Prediction.tier``)."""
    alerts: int
    groups: int
    """Of near-duplicates."""
    is_limited: bool
    """Whether the run ended at its limit: the sources hold more."""
    without_result: int
    """Contents of the case without a result in this run: their source was not among its sources, or
    the run ended before them."""
    damaged: list[str]
    """Sources that differ from their hash, and files in them that are damaged, changed or gone,
    which was accepted."""
    empty: list[str]
    """Sources without a file: a folder where nothing is mounted, for example."""
    locked: list[str]
    """Containers that a password would open."""

    @classmethod
    def of(
        cls,
        case: CaseStore,
        run: int | None,
        *,
        groups: int,
        is_limited: bool,
        without_result: int,
        damaged: list[str],
        empty: list[str],
        locked: list[str],
    ) -> Summary:
        """Count what the case records of a run."""
        counts = case.counts()
        recorded = next((r for r in case.runs() if r.id == run), None)
        return cls(
            run=run,
            counts=counts,
            exclusions=case.exclusion_counts(),
            failures=counts.failures + (recorded.failures if recorded else 0),
            labels={} if run is None else case.label_counts(run),
            tiers={} if run is None else case.tier_counts(run),
            alerts=sum(1 for _ in case.alerts()),
            groups=groups,
            is_limited=is_limited,
            without_result=without_result,
            damaged=damaged,
            empty=empty,
            locked=locked,
        )
