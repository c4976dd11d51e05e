"""The census of a case: what gave no image, by outcome, reason and kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mayak.case.reasons import kind_name, remedy
from mayak.case.records import CensusRow
from mayak.i18n import join, msg


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """The files with one reason, by kind, the most frequent first."""

    reason: str
    """An ``OutcomeReason``, or the class name of another error."""
    kinds: tuple[tuple[str | None, int], ...]
    """Names of kinds in ``mayak.signatures`` with their numbers; None for files whose kind is not
    known or was not recorded."""

    @property
    def files(self) -> int:
        return sum(count for _, count in self.kinds)

    @property
    def kinds_text(self) -> str:
        """The kinds with their numbers, for people; empty if none is known."""
        if all(kind is None for kind, _ in self.kinds):
            return ""
        named = [
            (msg("kind not known") if kind is None else kind_name(kind)) + f" {count:,}"
            for kind, count in self.kinds
        ]
        return join("; ", named)

    @property
    def remedies(self) -> tuple[tuple[str, str], ...]:
        """What to do about failures, each text with the kinds that it is for; if it is for all of
        them, with an empty text."""
        by_text: dict[str, list[str]] = {}
        for kind, _ in self.kinds:
            if (text := remedy(self.reason, kind)) is not None:
                named = msg("kind not known") if kind is None else kind_name(kind)
                by_text.setdefault(text, []).append(named)
        if len(by_text) == 1:
            return ((next(iter(by_text)), ""),)
        return tuple((text, join(", ", kinds)) for text, kinds in by_text.items())


@dataclass(frozen=True, slots=True)
class Census:
    """The files without an image, by reason, the most frequent first."""

    not_read: tuple[ReasonCount, ...]
    left_out: tuple[ReasonCount, ...]

    @classmethod
    def of(cls, rows: Iterable[CensusRow]) -> Census:
        """Arrange the rows of ``CaseStore.census``."""
        counted: dict[tuple[str, str], list[tuple[str | None, int]]] = {}
        for row in rows:
            counted.setdefault((row.outcome, row.reason), []).append((row.kind, row.files))
        found = [
            (outcome, ReasonCount(reason, tuple(kinds)))
            for (outcome, reason), kinds in counted.items()
        ]
        found.sort(key=lambda pair: (-pair[1].files, pair[1].reason))
        return cls(
            tuple(count for outcome, count in found if outcome == "failure"),
            tuple(count for outcome, count in found if outcome == "exclusion"),
        )

    def files(self, reason: str) -> int:
        """Return the number of files with a reason."""
        counts = (*self.not_read, *self.left_out)
        return sum(count.files for count in counts if count.reason == reason)


_SPACE = {
    "free": msg("free clusters"),
    "unpartitioned": msg("unpartitioned space"),
    "slack": msg("slack"),
    "uncounted": msg("volumes whose free space is not known"),
}


def space_text(space: Mapping[str, int]) -> str:
    """Return how many bytes belong to no file and were not looked at (``Space``), for people."""
    known = {name: size for name, size in space.items() if name != "uncounted"}
    parts = [_SPACE.get(name, name) + f" {size:,}" for name, size in known.items()]
    text: str = msg(
        "{total:,} bytes of free space ({parts})",
        total=sum(known.values()),
        parts=join("; ", parts),
    )
    if uncounted := space.get("uncounted"):
        text += "; " + _SPACE["uncounted"] + f" {uncounted:,}"
    return text
