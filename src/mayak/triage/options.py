"""What a triage run is told: which sources, which files of them, and by which lists."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import translate
from functools import cached_property
from pathlib import Path
from typing import Any

from mayak.case import Exclusion
from mayak.types import EvidenceEntry

SMALLEST = 32
"""Pixels: icons and spacers are smaller on their longer side, pictures that show anything are
not."""


@dataclass(frozen=True)
class Options:
    """One run of triage. Whatever is left out by it is recorded with the rule that did so, and a
    later run with other options takes it in again."""

    sources: tuple[Path, ...]
    case: Path
    operator: str
    """Who runs it; stands in the case's log."""
    include: tuple[str, ...] = ()
    """Glob patterns over the path as displayed; empty: everything."""
    exclude: tuple[str, ...] = ()
    since: datetime | None = None
    """Aware. Files that were neither modified nor created since are left out; files of unknown time
    are not."""
    smallest: int = SMALLEST
    """Pixels of the longer side; smaller images are left out."""
    limit: int | None = None
    """Images to examine at most; the walk ends there."""
    known_good: tuple[Path, ...] = ()
    """Hash lists of files to leave out."""
    known_bad: tuple[Path, ...] = ()
    """Hash lists of files that raise an alert."""
    accept_damaged: bool = False
    """Go on with a source that is not what its hash says."""
    workers: int = 1
    """Processes that decode."""

    def record(self) -> dict[str, Any]:
        """What the case's log keeps of it."""
        return {
            "include": list(self.include),
            "exclude": list(self.exclude),
            "since": None if self.since is None else self.since.isoformat(),
            "smallest": self.smallest,
            "limit": self.limit,
            "accept_damaged": self.accept_damaged,
        }

    def unwanted(self, item: EvidenceEntry) -> Exclusion | None:
        """Why the options leave an item out, before a byte of it is read."""
        path = _composed(str(item.path))
        if self.include and not any(matches(path) for matches in self._included):
            return Exclusion("include", "its path matches no pattern to include")
        for pattern, matches in zip(self.exclude, self._excluded, strict=True):
            if matches(path):
                return Exclusion("exclude", f"its path matches {pattern}")
        times = [time for time in (item.times.modified, item.times.created) if time is not None]
        # A clock whose zone is not known may be as far off as zones go.
        margin = timedelta(0) if item.times.zone_known else timedelta(hours=14)
        if self.since is not None and times and max(times) < self.since - margin:
            return Exclusion("since", f"last changed {max(times).isoformat()}")
        return None

    @cached_property
    def _included(self) -> list[Callable[[str], object]]:
        return [_matcher(pattern) for pattern in self.include]

    @cached_property
    def _excluded(self) -> list[Callable[[str], object]]:
        return [_matcher(pattern) for pattern in self.exclude]


def _matcher(pattern: str) -> Callable[[str], object]:
    return re.compile(translate(_composed(pattern))).match


def _composed(text: str) -> str:
    """Korean as it is typed: a Mac keeps the letters of each syllable apart in its file names."""
    return unicodedata.normalize("NFC", text)
