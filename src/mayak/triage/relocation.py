"""Recognises a source of a case that is at another path now, and records where it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mayak.case import CaseStore, StoredSource
from mayak.errors import ConfigError, IntegrityError
from mayak.evidence import Choices, located, open_source
from mayak.i18n import join, msg
from mayak.names import storable
from mayak.triage.options import Options
from mayak.triage.verify import SourceComparison, compare_source
from mayak.types import EvidencePath, Progress

_NAMED, _LOGGED = 3, 20
"""Differences that a message names, and those that the log names."""


@dataclass(frozen=True, slots=True)
class Relocation:
    """A source of a case that was found at another path, and how it was compared."""

    source: StoredSource
    path: Path
    comparison: SourceComparison

    def record(self, case: Path, operator: str) -> None:
        """Record that the source is there now. Raises CaseError."""
        with CaseStore.open(case, operator=operator) as store:
            self.record_in(store)

    def record_in(self, store: CaseStore) -> None:
        """Record it in an open case. Raises CaseError."""
        how = asdict(self.comparison)
        del how["source"], how["path"], how["absent"]
        store.relocate(self.source.id, _absolute(self.path), how)

    def refusal(self, case: Path) -> ConfigError:
        """Return the error for a run that would add the source to its case a second time."""
        return ConfigError(
            msg(
                "{path} is source {number} of the case, which was at {old}",
                path=self.path,
                number=self.source.id,
                old=self.source.path,
            ),
            remedy=f'mayak case relocate "{case}" "{self.source.path}" "{self.path}"',
        )


def recorded_sources(case: Path) -> list[StoredSource]:
    """Return the sources of a case; empty if there is no case yet. Raises CaseError."""
    if not case.is_dir() or not any(case.iterdir()):
        return []
    with CaseStore.read(case) as store:
        return store.sources()


def root_at(sources: list[StoredSource], path: Path) -> EvidencePath | None:
    """Return the name under which a case lists the files of the source at a path, None if the case
    has no source there."""
    here = storable(_absolute(path))
    return next((source.root for source in sources if source.path == here), None)


def moved_sources(options: Options, progress: Progress) -> Iterator[Relocation]:
    """Yield the sources of a run that the case has at another path, where they are no longer.

    A source that is still there, too, is not one of them: a copy is a source of its own.

    Raises:
        EvidenceError: a source cannot be read.
        CaseError: the case cannot be read.
    """
    recorded = recorded_sources(options.case)
    taken = {source.path for source in recorded}
    for path in options.sources:
        if recorded and storable(_absolute(path)) not in taken:
            with CaseStore.read(options.case) as case:
                found = _found_elsewhere(case, recorded, path, options.choices, progress)
            if found is not None:
                yield found


def _found_elsewhere(
    case: CaseStore,
    recorded: list[StoredSource],
    path: Path,
    choices: Choices,
    progress: Progress,
) -> Relocation | None:
    with open_source(path, choices=choices) as source:
        kind, identity = source.path.kind, source.identity()
    # What earlier runs listed with their options must be listed again.
    choices = Choices.again(case.triage_options(), choices.passwords)
    for before in recorded:
        if before.identity != identity or (before.kind == "folder") != (kind == "folder"):
            continue
        if not _is_still_there(before, path, choices):
            with open_source(path, choices=choices, root=before.root) as source:
                faults, comparison = compare_source(case, before, source, progress)
            if not faults and _has_compared(comparison):
                return Relocation(before, path, comparison)
    return None


def _has_compared(comparison: SourceComparison) -> bool:
    return bool(comparison.whole or comparison.hashed or comparison.sized)


def _is_still_there(recorded: StoredSource, path: Path, choices: Choices) -> bool:
    """Whether a source is at its recorded path, and that is not another name of ``path``."""
    before = located(recorded.path)
    with suppress(OSError):  # an EvidenceError, too
        if not before.samefile(path):
            with open_source(before, choices=choices, root=recorded.root) as source:
                return source.identity() == recorded.identity
    return False


def relocate(
    case: Path,
    old: str,
    new: Path,
    operator: str,
    progress: Progress,
    passwords: tuple[str, ...] = (),
) -> Relocation:
    """Record that the source at ``old``, as the case has it, is at ``new`` now, if it is the same.

    It is opened with ``passwords`` and the other choices of the case's triage runs.

    Raises:
        ConfigError: the case has no source at ``old``.
        IntegrityError: at ``new`` is something else; the log names it.
        EvidenceError: it cannot be read.
        CaseError: the case cannot be written, or has another source there.
    """
    with CaseStore.open(case, operator=operator) as store:
        recorded = _recorded_at(store.sources(), old)
        choices = Choices.again(store.triage_options(), passwords)
        with open_source(new, choices=choices, root=recorded.root) as source:
            is_same = source.identity() == recorded.identity
            faults, comparison = compare_source(store, recorded, source, progress)
        messages = [fault.message for fault in faults]
        if not is_same and not messages and not _has_compared(comparison):
            messages = [msg("the case has nothing of it that could be compared")]
        if messages:
            store.record(
                "refuse relocation",
                source=recorded.id,
                new=_absolute(new),
                faults=messages[:_LOGGED],
                n_faults=len(messages),
            )
            more = len(messages) - _NAMED
            raise IntegrityError(
                msg("{new} is not what was at {old}: ", new=new, old=recorded.path)
                + join("; ", messages[:_NAMED])
                + (msg("; and {more} more", more=more) if more > 0 else ""),
                remedy=msg("name the source as it was, or take this one in with `mayak triage`"),
            )
        found = Relocation(recorded, new, comparison)
        found.record_in(store)
    return found


def _recorded_at(sources: list[StoredSource], old: str) -> StoredSource:
    for path in (old, _absolute(Path(old))):
        for source in sources:
            if source.path == storable(path):
                return source
    raise ConfigError(
        msg("the case has no source at {old}", old=old),
        remedy=msg("name one of: ") + join("; ", [source.path for source in sources]),
    )


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - links are kept as they were named
