"""``mayak verify``: compares a case and its sources with what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import CaseOption, JsonOption, OperatorOption, user
from mayak.errors import CaseError, IntegrityError
from mayak.i18n import join, msg

if TYPE_CHECKING:
    from mayak.case import CaseStore, Extent, Fault
    from mayak.triage.verify import Compared


def verify(
    case: CaseOption,
    *,
    operator: OperatorOption = None,
    head: Annotated[
        str | None,
        Parameter(help=msg("Log head that was noted earlier: whether the log still holds it.")),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Check a case and its sources against what was recorded, and say what was not checked.

    Exit code 3 if anything differs, otherwise 1 if a source could not be compared.
    """
    from mayak.case import CaseStore, Fault, alarms

    console = Console()
    with CaseStore.read(case, tampered=True) as store:
        faults = store.verify()
        whole = store.readable and not any(fault.problem == "unreadable" for fault in faults)
        extent = store.extent() if whole else None
        found, compared = _sources(console, store, faults)
        faults += found
        notes = _clock_notes(console, store, faults)
        noted = store.entry_of(head) if head is not None and store.readable else None
        if head is not None and store.readable and noted is None:
            text = msg("the noted head is not in the log")
            faults.append(Fault("deleted", "log head", head, text))
        last = store.head() if store.readable else None
    absent = [source.path for source in compared or () if source.absent]
    try:
        # Without the writer's lock: triage may be at work.
        with CaseStore.review(case, operator=operator or user(), action="open") as store:
            sources = None if compared is None else [_recorded(source) for source in compared]
            store.record("verify", faults=len(faults), absent=absent, head=last, sources=sources)
    except CaseError as error:
        console.note(msg("not recorded in the case: ") + error.message)
    if as_json:
        console.json(
            {
                "faults": [
                    {"problem": f.problem, "table": f.table, "key": f.key, "message": f.message}
                    for f in faults
                ],
                "notes": notes,
                "checked": None if extent is None else asdict(extent),
                "sources": None
                if compared is None
                else [asdict(one) | {"uncompared": one.uncompared} for one in compared],
                "absent": absent,
                "noted_head_is_entry": noted,
                "log_head": last,
            }
        )
    else:
        for fault in faults:
            console.result(str(fault), one_line=True)
        for note in notes:
            console.result(msg("note: ") + note)
        for source in compared or ():
            console.result(_told(source), one_line=True)
        of_case = [fault for fault in faults if fault.table not in ("evidence", "log head")]
        _conclude(console, faults, alarms(of_case), extent, compared)
        _tell_of_head(console, head, noted)
        if last is not None:
            console.result(msg("log head: ") + last)
    if faults:
        return IntegrityError.exit_code
    return int(compared is None or any(_is_open(source) for source in compared))


def _sources(
    console: Console, store: CaseStore, faults: list[Fault]
) -> tuple[list[Fault], list[Compared] | None]:
    """What differs in the sources, and how each was compared; None if none could be."""
    from mayak.triage.verify import check_sources

    if any(fault.problem == "unreadable" for fault in faults):
        return [], None
    try:
        return check_sources(store, console)
    except CaseError as error:  # of rows that were changed, some cannot be read as such
        if not faults:
            raise
        console.note(msg("sources not compared: ") + error.message)
        return [], None


def _clock_notes(console: Console, store: CaseStore, faults: list[Fault]) -> list[str]:
    """Notes on times of the log that run backwards."""
    from mayak.case import clock_note, set_back

    try:
        return [clock_note(*pair) for pair in set_back(store.log())]
    except CaseError as error:  # an entry that was changed cannot be read as such
        if not faults:
            raise
        console.note(msg("times not compared: ") + error.message)
        return []


def _is_open(source: Compared) -> bool:
    """Whether a source holds files and none of them was compared."""
    return source.absent or (source.files > 0 and source.uncompared == source.files)


def _recorded(source: Compared) -> dict[str, object]:
    """What the case's log keeps of a comparison."""
    values = asdict(source) | {"uncompared": source.uncompared}
    return {name: value for name, value in values.items() if name != "path"}


def _told(source: Compared) -> str:
    title = msg("source {source}, {path}: ", source=source.source, path=source.path)
    if source.absent:
        return title + msg(
            "NOT COMPARED, it is not there (files in the case: {files:,})", files=source.files
        )
    if source.whole:
        return title + msg(
            "compared as a whole by SHA-256, with all {files:,} files in it", files=source.files
        )
    said = [
        msg(
            "{hashed:,} of {files:,} files compared by SHA-256",
            hashed=source.hashed,
            files=source.files,
        )
    ]
    if source.sized:
        said.append(
            msg(
                "{sized:,} without a recorded hash (left out or not read) by presence and size "
                "alone",
                sized=source.sized,
            )
        )
    if source.uncompared:
        said.append(msg("{uncompared:,} not compared", uncompared=source.uncompared))
    if source.added:
        said.append(
            msg("{added:,} files are there that the case does not hold", added=source.added)
        )
    return title + join("; ", said)


def _conclude(
    console: Console,
    faults: Sequence[Fault],
    sentences: Sequence[str],
    extent: Extent | None,
    compared: Sequence[Compared] | None,
) -> None:
    for sentence in sentences:
        console.result(sentence, one_line=True)
    what = (
        msg("the case could not be read in full")
        if extent is None
        else msg(
            "compared with their hashes: {entries:,} log entries, {records:,} records, "
            "{thumbnails:,} thumbnails",
            entries=extent.entries,
            records=extent.records,
            thumbnails=extent.thumbnails,
        )
    )
    if compared is None:
        what += msg("; no source was compared")
    elif left := sum(map(_is_open, compared)):
        what += msg(
            "; {left} of {n_compared} sources NOT compared", left=left, n_compared=len(compared)
        )
    result = (
        msg("{n_faults} faults", n_faults=len(faults))
        if faults
        else msg("no fault found in what was compared")
    )
    console.result(result + " (" + what + ")")


def _tell_of_head(console: Console, head: str | None, noted: int | None) -> None:
    if head is None:
        console.result(
            msg(
                "not compared with a noted log head: a case whose hashes were all computed again, "
                "or that was set back to an earlier state, shows no fault. Note the log head "
                "outside of this machine, and give it with --head"
            )
        )
    elif noted is not None:
        console.result(
            msg(
                "the noted log head is entry {noted} of the log; of later entries it says nothing",
                noted=noted,
            )
        )
