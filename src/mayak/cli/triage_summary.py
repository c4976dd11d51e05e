"""What ``mayak triage`` shows at its end: on the terminal, or as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mayak.cli.console import Console
from mayak.i18n import join, msg, plural
from mayak.labels import LABELS, numbered_label
from mayak.names import printable
from mayak.types import Failure, OutcomeReason

if TYPE_CHECKING:
    from mayak.case import CaseStore, CensusRow
    from mayak.case.census import ReasonCount
    from mayak.model.risk_control import Drift
    from mayak.triage import Summary

_FIRST = 10
"""Results and failures that are shown."""
_FIRST_BYTES = 5
"""Most frequent first bytes of files of no known kind that are shown."""


def summary_values(
    case: CaseStore, summary: Summary, drift: Drift | None, seen: int | None
) -> dict[str, Any]:
    """Return the summary as JSON values; ``seen`` is the number of images that the model was
    trained on."""
    from mayak.report.left_out import left_out

    counts = summary.counts
    left = left_out(lambda: case.left_out(OutcomeReason.NOT_AN_IMAGE))
    return {
        "case": case.id,
        "run": summary.run,
        "items": counts.items,
        "contents": counts.contents,
        "failures": counts.failures,
        "exclusions": counts.exclusions,
        "balanced": counts.is_balanced,
        "distinct_contents": counts.distinct_contents,
        "excluded_by": summary.exclusions,
        "not_looked_into": {"kinds": dict(left.kinds), "backups": left.backups},
        "labels": {str(label): count for label, count in summary.labels.items()},
        "decided_by_tier": {str(tier): count for tier, count in summary.tiers.items()},
        "drift": None if drift is None else asdict(drift) | {"differs": drift.has_drifted},
        "seen_in_training": seen,
        "unread": summary.failures,
        "unread_by": case.failure_counts(),
        "census": [asdict(row) for row in case.census()],
        "not_looked_at_bytes": case.unexamined(),
        "unscored_by": Counter(failure.error for failure in _unscored(case, summary)),
        "alerts": summary.alerts,
        "near_duplicate_groups": summary.groups,
        "limited": summary.is_limited,
        "unclassified": summary.without_result,
        "damaged_sources": [printable(path) for path in summary.damaged],
        "empty_sources": [printable(path) for path in summary.empty],
        "log_head": case.head(),
    }


def show_summary(
    console: Console, case: CaseStore, summary: Summary, drift: Drift | None, seen: int | None
) -> None:
    """Show the results, the sums, and what the examiner must know of them."""
    counts = summary.counts
    console.table(
        msg("Images by label"),
        [msg("label"), msg("images")],
        [
            [f"{label.index} " + label.name, str(summary.labels.get(label.index, 0))]
            for label in LABELS
        ],
    )
    if summary.run is not None:
        show_results(console, case, summary.run)
    unscored = _unscored(case, summary)
    unread = case.first_failures(_FIRST)
    _show_failures(console, msg("Not read, the first {n_rows}", n_rows=_FIRST), unread)
    _show_failures(console, msg("Not scored, the first {n_rows}", n_rows=_FIRST), unscored[:_FIRST])
    console.result(counts.sum_text)
    different = plural("{n} different image", "{n} different images", counts.distinct_contents)
    groups = plural("{n} group of near-duplicates", "{n} groups of near-duplicates", summary.groups)
    console.result(different + ", " + groups)
    if summary.tiers.keys() - {2}:
        counted = [name + f" {summary.tiers.get(tier, 0)}" for tier, name in enumerate(_tiers())]
        console.result(msg("decided by: ") + join(", ", counted))
    if drift is not None:
        _show_drift(console, drift)
    if seen:
        console.result(
            plural(
                "{n:,} image is a training image of the model, or a near copy of one: its score "
                "does not show how the model does on new images",
                "{n:,} images are training images of the model, or near copies of some: their "
                "scores do not show how the model does on new images",
                seen,
            )
        )
    _show_reasons(console, case, unscored)
    _show_notes(console, summary)


def _unscored(case: CaseStore, summary: Summary) -> list[Failure]:
    return [] if summary.run is None else case.unscored(summary.run)


def _show_reasons(console: Console, case: CaseStore, unscored: Sequence[Failure]) -> None:
    """Count the files that were not read or left out, by reason and kind, and the images without
    scores."""
    from mayak.case.census import ReasonCount
    from mayak.case.reasons import reason
    from mayak.report.left_out import left_out, warning

    scores = Counter(failure.error for failure in unscored)
    not_scored = [ReasonCount(name, ((None, count),)) for name, count in sorted(scores.items())]
    for count in not_scored:
        _show_reason(console, msg("not scored: "), count)
    show_census(console, case.census(), case.unexamined())
    for begins, files in case.unknown_beginnings(_FIRST_BYTES):
        text = msg("{reason}, first bytes {begins}", reason=reason("unknown"), begins=begins)
        console.result(text + f": {files:,}")
    unexamined = warning(left_out(lambda: case.left_out(OutcomeReason.NOT_AN_IMAGE)))
    if unexamined is not None:
        console.result(unexamined)


def show_census(
    console: Console, rows: Sequence[CensusRow], unexamined: Mapping[int, Mapping[str, int]]
) -> None:
    """Count the files that were not read or left out, by reason and kind, and by source the space
    that belongs to no file and was not looked at."""
    from mayak.case.census import Census, space_text

    census = Census.of(rows)
    for what, counts in (
        (msg("not read: "), census.not_read),
        (msg("left out: "), census.left_out),
    ):
        for count in counts:
            _show_reason(console, what, count)
    for number, space in unexamined.items():
        text = msg(
            "not looked at in source {number}: {space}", number=number, space=space_text(space)
        )
        console.result(text)


def _show_reason(console: Console, what: str, count: ReasonCount) -> None:
    from mayak.case.reasons import reason

    text = what + reason(count.reason) + f" ({count.reason}) {count.files:,}"
    console.result(text + (": " + count.kinds_text if count.kinds_text else ""))
    for advice, kinds in count.remedies:
        remedy = msg("remedy: ") + advice
        console.result("  " + (remedy + " (" + kinds + ")" if kinds else remedy))


def _show_notes(console: Console, summary: Summary) -> None:
    if summary.alerts:
        console.result(
            plural(
                "ALERT: {n:,} image is in a list of known files",
                "ALERT: {n:,} images are in a list of known files",
                summary.alerts,
            )
        )
    if summary.is_limited:
        console.result(msg("stopped at --limit: the sources have more files"))
    if summary.without_result:
        console.result(
            plural(
                "{n:,} image of the case has no result of this model: run it over its source too",
                "{n:,} images of the case have no result of this model: run it over their sources "
                "too",
                summary.without_result,
            )
        )
    for source in summary.empty:
        console.result(msg("source without files: {source}", source=source))
    for source in summary.damaged[:_FIRST]:
        console.result(msg("DAMAGED OR CHANGED, accepted: {source}", source=source))
    if (n_more := len(summary.damaged) - _FIRST) > 0:
        console.result(
            msg("DAMAGED OR CHANGED, accepted: {n_more:,} more, listed in the log", n_more=n_more)
        )


def _show_failures(console: Console, title: str, failures: Sequence[Failure]) -> None:
    from mayak.case.reasons import reason

    rows = [
        [printable(failure.path), reason(failure.error), printable(failure.message)]
        for failure in failures
    ]
    if rows:
        console.table(
            title,
            [msg("path"), msg("reason"), msg("recorded")],
            rows,
            text_columns=3,
        )


def _tiers() -> tuple[str, str, str]:
    return (
        msg("vision tower"),
        msg("base tile"),
        msg("whole model"),
    )


def _show_drift(console: Console, drift: Drift) -> None:
    if drift.has_drifted:
        console.result(
            msg(
                "WARNING: the {found} relevant images differ from those of the "
                "calibration (distance {distance:.2f}): its risk bound may not hold "
                "here. Run triage with --exhaustive, or calibrate on images like these",
                found=drift.found,
                distance=drift.distance,
            )
        )
    elif drift.p is None:
        console.result(
            msg(
                "{found} relevant images: too few to decide whether they are like those"
                " of the calibration",
                found=drift.found,
            )
        )


def show_results(console: Console, case: CaseStore, run: int) -> None:
    """Show the results that an examiner should see first."""
    rows = []
    for result in case.results(run, limit=_FIRST):
        marks = [msg("deleted")] * result.deleted + list(result.alerts)
        rows.append(
            [
                str(result.rank),
                numbered_label(result.scores.label, is_tied=result.scores.is_tied),
                f"{result.scores.best:.3f}",
                printable(result.display),
                join(", ", marks),
            ]
        )
    if rows:
        console.table(
            msg("First to look at"),
            [
                msg("rank"),
                msg("label"),
                msg("score"),
                msg("path"),
                msg("note"),
            ],
            rows,
            text_columns=5,
        )
