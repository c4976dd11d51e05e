"""The options of a triage run: sources, filters and hash lists."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import translate
from functools import cached_property
from pathlib import Path
from typing import Any

from mayak.case import Exclusion
from mayak.errors import ConfigError
from mayak.evidence import Choices
from mayak.i18n import msg
from mayak.signatures import KINDS, Use
from mayak.types import EvidenceEntry, Failure, OutcomeReason

MIN_PIXELS = 32
"""Pixels of the longer side: icons and spacers have fewer, pictures that show anything more."""


@dataclass(frozen=True)
class Options:
    """Options of one run. Files that they leave out are recorded with the rule, and a later run
    with other options takes them in."""

    sources: tuple[Path, ...]
    case: Path
    operator: str
    """Who runs it, for the case's log."""
    include: tuple[str, ...] = ()
    """Glob patterns over the path as displayed; empty: everything."""
    exclude: tuple[str, ...] = ()
    since: datetime | None = None
    """Aware. Files that were neither modified nor created since are left out; files without a time
    are not."""
    min_pixels: int = MIN_PIXELS
    """Pixels of the longer side; smaller images are left out."""
    limit: int | None = None
    """Maximum number of files to decode; the walk ends there."""
    known_good: tuple[Path, ...] = ()
    """Hash lists of files to leave out."""
    known_bad: tuple[Path, ...] = ()
    """Hash lists of files to be found, which raise an alert."""
    known_safe: tuple[str, ...] = ()
    """Names of kinds or of families of them (``safe_kinds``) that can hold pictures, are not opened
    and are left out instead of counting as not read."""
    accept_damaged: bool = False
    """Continue with a source that differs from its hash."""
    choices: Choices = field(default_factory=Choices)
    """What the readers of containers may do."""
    workers: int = 1
    """Decoder processes."""

    def record(self) -> dict[str, Any]:
        """Return what the case's log records of the options."""
        return {
            "include": list(self.include),
            "exclude": list(self.exclude),
            "since": None if self.since is None else self.since.isoformat(),
            "smallest": self.min_pixels,
            "limit": self.limit,
            "known_safe": list(self.known_safe),
            "accept_damaged": self.accept_damaged,
            "passwords": bool(self.choices.passwords),
            "untested_readers": self.choices.untested_readers,
            "shadow_copies": self.choices.shadow_copies,
        }

    def unwanted(self, item: EvidenceEntry) -> Exclusion | None:
        """Return why the options leave an item out before it is read; None if they do not."""
        path = _composed(str(item.path))
        if self.include and not any(matches(path) for matches in self._included):
            return Exclusion(OutcomeReason.INCLUDE, "its path matches no pattern to include")
        for pattern, matches in zip(self.exclude, self._excluded, strict=True):
            if matches(path):
                return Exclusion(OutcomeReason.EXCLUDE, f"its path matches {pattern}")
        times = [time for time in (item.times.modified, item.times.created) if time is not None]
        # A clock of unknown zone may be as far off as zones go.
        margin = timedelta(0) if item.times.zone_known else timedelta(hours=14)
        if self.since is not None and times and max(times) < self.since - margin:
            return Exclusion(OutcomeReason.SINCE, f"last changed {max(times).isoformat()}")
        return None

    def quieted(self, outcome: bytes | Exclusion | Failure) -> bytes | Exclusion | Failure:
        """Return the outcome of a file, left out instead of not read if its kind is quieted."""
        if (
            not isinstance(outcome, Failure)
            or outcome.error != OutcomeReason.NOT_OPENED
            or outcome.kind not in self._safe_kinds
        ):
            return outcome
        text = f"{outcome.kind} was not opened, because it was named as safe"
        return Exclusion(OutcomeReason.KNOWN_SAFE, text, outcome.kind)

    @cached_property
    def _safe_kinds(self) -> frozenset[str]:
        return safe_kinds(self.known_safe)

    @cached_property
    def _included(self) -> list[Callable[[str], object]]:
        return [_matcher(pattern) for pattern in self.include]

    @cached_property
    def _excluded(self) -> list[Callable[[str], object]]:
        return [_matcher(pattern) for pattern in self.exclude]


def safe_kinds(names: Iterable[str]) -> frozenset[str]:
    """Return the kinds that these names of kinds or families choose, in upper or lower case.

    Raises:
        ConfigError: a name chooses none. Containers and encrypted files cannot be chosen.
    """
    offered = {
        kind.name: kind.family for kind in KINDS if kind.use in (Use.UNEXAMINED, Use.SEARCHED)
    }
    chosen: set[str] = set()
    for name in names:
        found = {kind for kind, family in offered.items() if name.lower() in (kind.lower(), family)}
        if not found:
            known = ", ".join(sorted({*offered.values()}) + sorted(offered))
            raise ConfigError(
                msg("--known-safe {name}: no kind of files has this name", name=name),
                remedy=msg("name one of these: {known}", known=known),
            )
        chosen |= found
    return frozenset(chosen)


def _matcher(pattern: str) -> Callable[[str], object]:
    return re.compile(translate(_composed(pattern))).match


def _composed(text: str) -> str:
    """Return text in NFC, as Korean is typed: a Mac stores file names in NFD, each letter of a
    syllable apart."""
    return unicodedata.normalize("NFC", text)
