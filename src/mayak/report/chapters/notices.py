"""The notices on the first page: integrity faults, missing files, images without a result."""

from __future__ import annotations

from mayak.case import alarms
from mayak.case.reasons import reason
from mayak.i18n import msg, plural
from mayak.report.document import Prose
from mayak.report.left_out import warning
from mayak.report.report_data import ReportData
from mayak.report.text import files as files_text
from mayak.report.text import images, shortened
from mayak.report.words import numbers
from mayak.types import OutcomeReason

_UNOPENED = (
    OutcomeReason.NOT_OPENED,
    OutcomeReason.UNSUPPORTED,
    OutcomeReason.ENCRYPTED,
    OutcomeReason.HIGH_ENTROPY,
    OutcomeReason.DAMAGED,
    OutcomeReason.UNREADABLE,
    OutcomeReason.LIMIT_EXCEEDED,
)
_NOTED = 6
"""Kinds of faults on the first page."""


def notices(found: ReportData) -> tuple[Prose, ...]:
    """Return the notices of the first page, alarms first."""
    every = (
        _faulty(found),
        _unbalanced_counts(found),
        _faulty_before(found),
        _damaged(found),
        _accepting(found),
        _unhashed(found),
        _sound(found),
        _unlike_their_hash(found),
        _incomplete(found),
        _without_result(found),
        _unopened_kinds(found),
    )
    return tuple(filter(None, every))


def _faulty(found: ReportData) -> Prose | None:
    if not found.faults:
        return None
    count = len(found.faults)
    points = alarms(found.faults)
    if (more := len(points) - _NOTED) > 0:
        points[_NOTED:] = [msg("and {more:,} more kinds, see Integrity", more=more)]
    return Prose(
        plural(
            "INTEGRITY FAILURE. The case is not as it was written: {n:,} fault. Do not rely on "
            "this report until they are explained.",
            "INTEGRITY FAILURE. The case is not as it was written: {n:,} faults. Do not rely on "
            "this report until they are explained.",
            count,
        ),
        "alarm",
        tuple(shortened(point, 300) for point in points),
    )


def _unbalanced_counts(found: ReportData) -> Prose | None:
    if found.is_balanced:
        return None
    return Prose(
        msg(
            "THE SUMS DO NOT HOLD: the lists do not account for all files of the case, see "
            "Integrity."
        ),
        "alarm",
    )


def _faulty_before(found: ReportData) -> Prose | None:
    check = found.history.last_check
    if check is None or not (faults := check.detail.get("faults")):
        return None
    return Prose(
        msg(
            "INTEGRITY FAILURE ON RECORD. The last verification ({moment_of}, {operator}) found "
            "{faults}. Run mayak verify again.",
            moment_of=check.time,
            operator=check.operator,
            faults=plural("{n:,} fault", "{n:,} faults", faults),
        ),
        "alarm",
    )


def _damaged(found: ReportData) -> Prose | None:
    if not found.damaged:
        return None
    return Prose(
        msg("DAMAGED OR CHANGED SOURCES were accepted by the operator:"),
        "alarm",
        tuple(shortened(source.path, 300) for source in found.damaged),
    )


def _accepting(found: ReportData) -> Prose | None:
    """Return a notice of --accept-damaged; a folder has no hash that would record it."""
    entries = found.history.accepting
    if not entries:
        return None
    which = numbers([entry.sequence for entry in entries])
    return Prose(
        msg(
            "Triage was set to go on even if sources or files were damaged or changed "
            "(--accept-damaged, log entry {which}). If an image file of a folder had changed "
            "since it was read, it is listed with its earlier and its later bytes; one that was "
            "gone is listed all the same.",
            which=which,
        ),
        "warning",
    )


def _unhashed(found: ReportData) -> Prose | None:
    reasons = found.history.unreadable
    if not reasons:
        return None
    return Prose(
        msg("SOURCES THAT COULD NOT BE READ TO THEIR END, so that there is no hash of the whole:"),
        "alarm",
        tuple(
            shortened(f"{source.path}: {reasons[source.id]}", 300)
            for source in found.sources
            if source.id in reasons
        ),
    )


def _sound(found: ReportData) -> Prose | None:
    if not found.has_no_fault:
        return None
    extent = found.extent
    return Prose(
        msg(
            "Integrity: {entries:,} log entries, {records:,} records and {thumbnails:,} "
            "thumbnails of the case were compared with their recorded hashes for this report; no "
            "fault was found. This does not show a case whose hashes were all computed again or "
            "that was set back to an earlier state: for that, compare the log head with one that "
            "was noted elsewhere. ",
            entries=extent.entries,
            records=extent.records,
            thumbnails=extent.thumbnails,
        )
        + _compared_again(found),
        "good",
    )


def _compared_again(found: ReportData) -> str:
    """Return which sources were compared again after triage, and how."""
    history, count = found.history, len(found.sources)
    done = [source for source in found.sources if source.id in history.compared]
    if not done:
        check = history.last_check
        if check is None or "sources" in check.detail:
            return msg("No source has been compared again since triage read it.")
        return msg(
            "The verification of {moment_of} does not record which sources it compared.",
            moment_of=check.time,
        )
    latest = max((history.compared[s.id][0] for s in done), key=lambda e: e.sequence).time
    text = msg(
        "{n_done:,} of {count:,} sources were compared again, last at {latest}",
        n_done=len(done),
        count=count,
        latest=latest,
    )
    by_size = without = 0
    for source in done:
        how = history.compared[source.id][1]
        files = found.source_counts[source.id].files if source.id in found.source_counts else 0
        by_size += how.get("sized", 0)
        without += how.get("uncompared", 0) + max(0, files - how.get("files", 0))
    if by_size:
        text += msg(
            "; {files_text} without a recorded hash by presence and size alone",
            files_text=files_text(by_size),
        )
    if without:
        text += msg("; {files_text} not at all", files_text=files_text(without))
    left = [n for n, s in enumerate(found.sources, 1) if s.id not in history.compared]
    if left:
        text += msg("; not compared: source {numbers}", numbers=numbers(left))
    check = history.last_check
    seen = {} if check is None else {s.get("source"): s for s in check.detail.get("sources") or ()}
    absent = [
        n
        for n, source in enumerate(found.sources, 1)
        if source.id in history.compared and seen.get(source.id, {}).get("absent")
    ]
    if check is not None and absent:
        text += msg(
            "; absent at the last verification ({moment_of}): source {numbers}",
            moment_of=check.time,
            numbers=numbers(absent),
        )
    return text + "."


def _unlike_their_hash(found: ReportData) -> Prose | None:
    if not (count := found.failures.get(OutcomeReason.HASH_MISMATCH, 0)):
        return None
    return Prose(
        msg(
            "Disk images inside the sources that do not match their stored hash: {count:,}, "
            "listed among the files that could not be read.",
            count=count,
        ),
        "warning",
    )


def _incomplete(found: ReportData) -> Prose | None:
    if not found.incomplete:
        return None
    which = numbers(found.incomplete)
    return Prose(
        msg(
            "FILES MAY BE MISSING. There is no record that triage reached the end of source "
            "{which}: it was stopped, ended at its limit, or was done by an earlier version of "
            "mayak. Files that it did not reach are in no list and no number of this report.",
            which=which,
        ),
        "warning",
    )


def _without_result(found: ReportData) -> Prose | None:
    if not (missing := found.images["without_result"]):
        return None
    return Prose(
        msg("Neither a model result nor a decision: {images}.", images=images(missing)), "warning"
    )


def _unopened_kinds(found: ReportData) -> Prose | None:
    """Return a notice of what can hold pictures and was not examined, by kind."""
    old = warning(found.left_out)
    points = [
        reason(count.reason)
        + f" {count.files:,}"
        + (": " + count.kinds_text if count.kinds_text else "")
        for count in found.census.not_read
        if count.reason in _UNOPENED
    ]
    points = [shortened(point, 300) for point in points]
    if old is None and not points:
        return None
    text = msg(
        "NOT EXAMINED: files that can hold pictures and were not opened, containers that were not "
        "read, damaged and encrypted data. Pictures in them are in no list and no number of this "
        "report. See Limits."
    )
    if not points:
        return Prose((old or "") + " " + msg("See Limits."), "warning")
    return Prose(text, "warning", (*points, *([old] if old else [])))
