"""Sentences about integrity faults and clocks for people who do not know the tables of a case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from mayak.case.records import TABLES, IntegrityFault, LogEntry
from mayak.i18n import Message, join, msg, plural

_KEYS = 3
"""Technical keys that follow a sentence; the list of all faults has the others."""
_CLOCK = timedelta(seconds=1)
"""Corrections of clocks over a network are smaller than this."""

_OTHERS = {
    "case.json": msg("the file with the case's id and name"),
    "database": msg("the case's database"),
    "sqlite_sequence": msg("the counter of the log"),
    "thumbnails": msg("a thumbnail"),
}
_LOCKS = re.compile(r"_(keeps|holds)$")
"""Names of triggers that refuse to change or delete rows."""


def alarms(faults: Sequence[IntegrityFault]) -> list[str]:
    """Return a sentence for each kind of fault, with its number and the first technical keys."""
    groups: dict[tuple[str, str], list[IntegrityFault]] = {}
    for fault in faults:
        kind = "locks" if fault.table == "schema" and _LOCKS.search(fault.key) else fault.table
        groups.setdefault((kind, fault.problem), []).append(fault)
    return [
        _sentence(kind, problem, group) + " (" + _keys(group) + ")"
        for (kind, problem), group in groups.items()
    ]


def _sentence(kind: str, problem: str, faults: Sequence[IntegrityFault]) -> str:
    count = sum(map(_rows, faults))
    if kind == "locks":
        if problem == "deleted":
            return plural(
                "{n:,} of the triggers that protect records was removed",
                "{n:,} of the triggers that protect records were removed",
                count,
            )
        return plural(
            "{n:,} of the triggers that protect records was changed",
            "{n:,} of the triggers that protect records were changed",
            count,
        )
    if kind == "schema":
        if problem == "inserted":
            return plural(
                "{n:,} part was added to the database that mayak does not make",
                "{n:,} parts were added to the database that mayak does not make",
                count,
            )
        if problem == "deleted":
            return plural(
                "{n:,} part of the database's structure was removed",
                "{n:,} parts of the database's structure were removed",
                count,
            )
        return plural(
            "{n:,} part of the database's structure was changed",
            "{n:,} parts of the database's structure were changed",
            count,
        )
    records = _records(kind, count)
    if records is None or problem == "unreadable":
        about = _OTHERS[kind] + ": " if kind in _OTHERS else ""
        more = msg(", and {count:,} more", count=count - 1) if count > 1 else ""
        return about + faults[0].message + more
    return _change_sentence(problem, records, count)


def _records(kind: str, n: int) -> Message | None:
    """Name ``n`` rows of a table; None for a table without records of the case."""
    return {
        "sources": plural("{n:,} record of a source", "{n:,} records of sources", n),
        "source_hashes": plural("{n:,} hash of a source", "{n:,} hashes of sources", n),
        "contents": plural("{n:,} record of an image", "{n:,} records of images", n),
        "items": plural("{n:,} record of a file", "{n:,} records of files", n),
        "exclusions": plural(
            "{n:,} record of a left-out file", "{n:,} records of left-out files", n
        ),
        "failures": plural("{n:,} record of a failure", "{n:,} records of failures", n),
        "revisions": plural("{n:,} later outcome of a file", "{n:,} later outcomes of files", n),
        "runs": plural("{n:,} record of a model run", "{n:,} records of model runs", n),
        "finishes": plural("{n:,} end of a model run", "{n:,} ends of model runs", n),
        "predictions": plural("{n:,} score of the model", "{n:,} scores of the model", n),
        "groupings": plural(
            "{n:,} grouping of similar images", "{n:,} groupings of similar images", n
        ),
        "group_members": plural(
            "{n:,} similar image on record", "{n:,} similar images on record", n
        ),
        "alerts": plural("{n:,} match with a hash list", "{n:,} matches with hash lists", n),
        "decisions": plural("{n:,} decision of a reviewer", "{n:,} decisions of reviewers", n),
        "samples": plural("{n:,} blind sample", "{n:,} blind samples", n),
        "sample_items": plural("{n:,} image of a blind sample", "{n:,} images of blind samples", n),
        "log": plural("{n:,} entry of the log", "{n:,} entries of the log", n),
        "thumbnails": plural("{n:,} thumbnail", "{n:,} thumbnails", n),
    }.get(kind)


def _change_sentence(problem: str, what: Message, n: int) -> Message:
    """State what happened to ``n`` rows."""
    if problem == "changed":
        return plural("{what} is not as recorded", "{what} are not as recorded", n, what=what)
    if problem == "deleted":
        return plural("{what} was removed", "{what} were removed", n, what=what)
    if problem == "inserted":
        return plural(
            "{what} was added without the log", "{what} were added without the log", n, what=what
        )
    if problem == "chain":
        return plural(
            "{what} does not follow from the one before: the log was rewritten",
            "{what} do not follow from the one before: the log was rewritten",
            n,
            what=what,
        )
    return plural(
        "{what} does not agree with other records",
        "{what} do not agree with other records",
        n,
        what=what,
    )


def _rows(fault: IntegrityFault) -> int:
    """Number of rows of a fault: all of a gap, at least one of a changed batch."""
    span = re.search(r" (\d+)–(\d+)$", fault.key)
    if fault.problem != "deleted" or span is None:
        return 1
    return int(span[2]) - int(span[1]) + 1


def _keys(faults: Sequence[IntegrityFault]) -> str:
    table = TABLES.get(faults[0].table, faults[0].table)
    keys = join(", ", [fault.key for fault in faults[:_KEYS] if fault.key])
    more = ", …" if len(faults) > _KEYS else ""
    return table + " " + keys + more if keys else table + more


def set_back(log: Iterable[LogEntry]) -> Iterator[tuple[LogEntry, LogEntry]]:
    """Yield pairs of consecutive log entries of which the second has the earlier time.

    Entries get their time within their transaction, one after the other. So only a clock that was
    set back, or a rewritten log, dates an entry before its predecessor.
    """
    previous: tuple[LogEntry, datetime] | None = None
    for entry in log:
        try:
            at = datetime.fromisoformat(entry.at)
            if previous is not None and previous[1] - at > _CLOCK:
                yield previous[0], entry
        except (ValueError, TypeError):  # not a time, or without a zone: the audit reports it
            continue
        previous = entry, at


def clock_note(before: LogEntry, after: LogEntry) -> str:
    """Return a sentence about a pair of ``set_back``."""
    return msg(
        "the log's times run backwards: entry {sequence} ({at}) follows entry {before_sequence} "
        "({before_at}). The computer's clock was set back, or the log was rewritten",
        sequence=after.sequence,
        at=after.time,
        before_sequence=before.sequence,
        before_at=before.time,
    )
