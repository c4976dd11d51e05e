"""``mayak verify``: compares a case and its sources with what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import (
    CaseOption,
    JsonOption,
    OperatorOption,
    PasswordFileOption,
    read_passwords,
    user,
)
from mayak.cli.triage_summary import show_census
from mayak.errors import CaseError, IntegrityError
from mayak.i18n import join, msg, plural

if TYPE_CHECKING:
    from mayak.case import CaseStore, CensusRow, IntegrityFault, VerificationScope
    from mayak.triage.verify import SourceComparison


HeadOption = Annotated[
    str | None,
    Parameter(help=msg("Log head that was noted earlier, to check that it is still in the log.")),
]


def verify(
    case: CaseOption,
    *,
    operator: OperatorOption = None,
    head: HeadOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check a case and its sources against what was recorded, and list what was not checked.

    Exit code 3 if anything differs, otherwise 1 if a source could not be compared.
    """
    from mayak.case import CaseStore

    console = Console()
    passwords = read_passwords(password_file)
    with CaseStore.read(case, tampered=True) as store:
        found = _compare(console, store, head, passwords)
    try:
        # Without the writer's lock, because triage may be running.
        with CaseStore.review(case, operator=operator or user(), action="open") as store:
            store.record(
                "verify",
                faults=len(found.faults),
                absent=found.absent,
                head=found.last_head,
                sources=None
                if found.compared is None
                else [_recorded(source) for source in found.compared],
            )
    except CaseError as error:
        console.note(msg("not recorded in the case: ") + error.message)
    if as_json:
        console.json(_values(found))
    else:
        _show(console, found, head)
    if found.faults:
        return IntegrityError.exit_code
    return int(found.compared is None or any(_is_open(source) for source in found.compared))


@dataclass(frozen=True, slots=True)
class _Verification:
    """What was compared, and what differs."""

    faults: list[IntegrityFault]
    notes: list[str]
    extent: VerificationScope | None
    """Of the case; None if it could not be read in full."""
    compared: list[SourceComparison] | None
    """Of the sources; None if none could be compared."""
    noted_entry: int | None
    """The log entry of the noted head, if there is one."""
    last_head: str | None
    census: list[CensusRow]
    """What gave no image; empty if the case could not be read in full."""
    unexamined: dict[int, dict[str, int]]
    """By source: bytes that belong to no file and were not looked at."""

    @property
    def absent(self) -> list[str]:
        return [source.path for source in self.compared or () if source.absent]


def _compare(
    console: Console, store: CaseStore, head: str | None, passwords: tuple[str, ...]
) -> _Verification:
    """Compare the case, its sources and a noted log head with what was recorded."""
    from mayak.case import IntegrityFault

    faults = store.verify()
    whole = store.is_readable and not any(fault.problem == "unreadable" for fault in faults)
    extent = store.extent() if whole else None
    found, compared = _sources(console, store, faults, passwords)
    faults += found
    notes = _clock_notes(console, store, faults)
    noted = store.entry_of(head) if head is not None and store.is_readable else None
    if head is not None and store.is_readable and noted is None:
        text = msg("the noted head is not in the log")
        faults.append(IntegrityFault("deleted", "log head", head, text))
    last = store.head() if store.is_readable else None
    census, unexamined = _census(console, store, faults) if whole else ([], {})
    return _Verification(faults, notes, extent, compared, noted, last, census, unexamined)


def _census(
    console: Console, store: CaseStore, faults: list[IntegrityFault]
) -> tuple[list[CensusRow], dict[int, dict[str, int]]]:
    """Return what gave no image, and the space that was not looked at."""
    try:
        return store.census(), store.unexamined()
    except CaseError as error:  # a changed row may be unreadable
        if not faults:
            raise
        console.note(msg("not counted by kind: ") + error.message)
        return [], {}


def _values(found: _Verification) -> dict[str, object]:
    """Return the result as JSON values."""
    return {
        "faults": [
            {"problem": f.problem, "table": f.table, "key": f.key, "message": f.message}
            for f in found.faults
        ],
        "notes": found.notes,
        "checked": None if found.extent is None else asdict(found.extent),
        "sources": None
        if found.compared is None
        else [asdict(one) | {"uncompared": one.uncompared} for one in found.compared],
        "absent": found.absent,
        "noted_head_is_entry": found.noted_entry,
        "log_head": found.last_head,
        "census": [asdict(row) for row in found.census],
        "not_looked_at_bytes": found.unexamined,
    }


def _show(console: Console, found: _Verification, head: str | None) -> None:
    from mayak.case import alarms

    for fault in found.faults:
        console.result(str(fault), one_line=True)  # names of files may contain line breaks
    for note in found.notes:
        console.result(msg("note: ") + note)
    for source in found.compared or ():
        console.result(_comparison(source), one_line=True)
    show_census(console, found.census, found.unexamined)
    of_case = [fault for fault in found.faults if fault.table not in ("evidence", "log head")]
    _conclude(console, found.faults, alarms(of_case), found.extent, found.compared)
    _show_noted_head(console, head, found.noted_entry)
    if found.last_head is not None:
        console.result(msg("log head: ") + found.last_head)


def _sources(
    console: Console, store: CaseStore, faults: list[IntegrityFault], passwords: tuple[str, ...]
) -> tuple[list[IntegrityFault], list[SourceComparison] | None]:
    """Return what differs in the sources, and how each was compared (None: no source could be)."""
    from mayak.evidence import Choices
    from mayak.triage.verify import check_sources

    if any(fault.problem == "unreadable" for fault in faults):
        return [], None
    try:
        choices = Choices.again(store.triage_options(), passwords)
        return check_sources(store, console, choices)
    except CaseError as error:  # a changed row may be unreadable
        if not faults:
            raise
        console.note(msg("sources not compared: ") + error.message)
        return [], None


def _clock_notes(console: Console, store: CaseStore, faults: list[IntegrityFault]) -> list[str]:
    """Return notes on log entries whose times run backwards."""
    from mayak.case import clock_note, set_back

    try:
        return [clock_note(*pair) for pair in set_back(store.log())]
    except CaseError as error:  # a changed entry may be unreadable
        if not faults:
            raise
        console.note(msg("times not compared: ") + error.message)
        return []


def _is_open(source: SourceComparison) -> bool:
    """Whether a source has files and none of them was compared, or some need a password."""
    is_uncompared = source.files > 0 and source.uncompared == source.files
    return source.absent or is_uncompared or source.locked > 0


def _recorded(source: SourceComparison) -> dict[str, object]:
    """Return what the case's log records of a comparison."""
    values = asdict(source) | {"uncompared": source.uncompared}
    return {name: value for name, value in values.items() if name != "path"}


def _comparison(source: SourceComparison) -> str:
    title = msg("source {source}, {path}: ", source=source.source, path=source.path)
    if source.absent:
        return title + msg(
            "NOT COMPARED, it is not there (files in the case: {files:,}); if it is somewhere else "
            "now, `mayak case relocate` states where",
            files=source.files,
        )
    if source.whole:
        return title + msg(
            "compared as a whole by SHA-256, with all {files:,} files in it", files=source.files
        )
    parts = [
        msg(
            "{hashed:,} of {files:,} files compared by SHA-256",
            hashed=source.hashed,
            files=source.files,
        )
    ]
    if source.sized:
        parts.append(
            msg(
                "{sized:,} without a recorded hash (left out or not read) by presence and size "
                "alone",
                sized=source.sized,
            )
        )
    if source.locked:
        parts.append(
            msg(
                "{locked:,} NOT COMPARED, in a container that needs a password: give it with "
                "--password-file",
                locked=source.locked,
            )
        )
    if source.uncompared:
        parts.append(msg("{uncompared:,} not compared", uncompared=source.uncompared))
    if source.added:
        parts.append(msg("{added:,} files that are not in the case", added=source.added))
    return title + join("; ", parts)


def _conclude(
    console: Console,
    faults: Sequence[IntegrityFault],
    sentences: Sequence[str],
    extent: VerificationScope | None,
    compared: Sequence[SourceComparison] | None,
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
        plural("{n:,} fault", "{n:,} faults", len(faults))
        if faults
        else msg("no fault found in what was compared")
    )
    console.result(result + " (" + what + ")")


def _show_noted_head(console: Console, head: str | None, noted: int | None) -> None:
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
                "the noted log head is entry {noted} of the log; later entries are not "
                "checked by it",
                noted=noted,
            )
        )
