"""Read what earlier runs recorded of a source, to compare it with the source as it is now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from mayak.case import CaseStore, StoredItem
from mayak.errors import EvidenceError
from mayak.evidence import LockedError, Source
from mayak.i18n import msg
from mayak.triage.outcome import location_of
from mayak.types import EvidenceEntry, EvidencePath, OutcomeReason
from mayak.untrusted import PARSE_ERRORS, parse_json


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """The path of a source and its identity on the file system.

    If a stick is pulled, an empty folder of the same name remains where it was mounted: the
    identity tells them apart.
    """

    path: Path
    identity: tuple[int, int] | None
    """Device and inode; None if nothing is there."""

    @classmethod
    def of(cls, path: Path) -> SourceIdentity:
        return cls(path, _identity(path))

    def require(self) -> None:
        """Check that the source itself is there: if not, its files are not at fault.

        Raises:
            EvidenceError: another source is there, or none.
        """
        if (found := _identity(self.path)) is None or found != self.identity:
            raise EvidenceError(
                msg("{path} is gone", path=self.path),
                remedy=msg(
                    "connect it again and run the same command: it continues where it stopped"
                ),
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class RecordedSource:
    """One source as the case records it when a run begins.

    Remembers which of the recorded items the walk has met, so that the missing ones can be named.
    """

    def __init__(
        self,
        case: CaseStore,
        number: int,
        identity: SourceIdentity,
        run: int | None,
        *,
        is_unproven: bool,
    ) -> None:
        """``is_unproven``: whether its files have to be compared with their hashes one by one."""
        self.number, self.identity, self.is_unproven = number, identity, is_unproven
        self._case, self._run = case, run
        self._last = case.last_item()
        self._met = bytearray(self._last + 1)
        """By the items' numbers: there may be millions."""
        self._holder = ("", False)
        """The last file that pictures inside it were looked up for, and whether it was met."""
        self._is_new = next(case.known_items(number), None) is None
        self.unread: set[str] = set()
        """Paths (``EvidencePath.numbered``) of the files and containers that the walk met and could
        not read."""
        self.locked: set[str] = set()
        """Paths, likewise, of the containers among them that are encrypted."""

    def item(self, location: str) -> StoredItem | None:
        """Return the item at a location, as earlier runs and this one recorded it."""
        # A query costs as much as hashing a small file.
        item = None if self._is_new else self._case.outcome(self.number, location)
        if item is not None and item.id <= self._last:
            self._met[item.id] = 1
        return item

    def holds(self, sha256: str | None) -> bool:
        """Whether the case has a content with this hash, of any source."""
        return sha256 is not None and self._case.content(sha256) is not None

    def is_scored(self, sha256: str) -> bool:
        """Whether a content needs no scoring: this run has scored it, or nothing is scored."""
        return self._run is None or self._case.has_prediction(self._run, sha256)

    def lacks_inside(self, location: str) -> bool:
        """Whether pictures inside a file are still to be scored in this run, or to be read."""
        return self._run is not None and self._case.lacks_inside(self._run, self.number, location)

    def later_path(self, path: EvidencePath, sha256: str) -> tuple[EvidencePath, str | None]:
        """Return the path for bytes that replaced those recorded at ``path``, and their SHA-256 if
        an earlier run recorded them there (None if not)."""
        for serial in count(2):
            later = replace(path, serial=serial)
            before = self.item(location_of(later))
            if before is None or before.content == sha256:
                break
        return later, None if before is None else sha256

    def missing_contents(self, source: Source) -> Iterator[tuple[StoredItem, str]]:
        """Yield the recorded images that a complete walk of the source has not met, each with the
        SHA-256 of its content. Those in a container that only another password opens may be
        there."""
        if self._is_new:
            return
        for item in self._case.known_items(self.number):
            if item.content is None or self._is_met(item, source):
                continue
            if not _is_elsewhere(source, EvidencePath.from_json(item.location)):
                yield item, item.content

    def closed_gaps(self) -> Iterator[StoredItem]:
        """Yield the recorded gaps that a complete walk has not met, although it has read the
        container again."""
        gaps = [gap for gap in self._case.open_gaps(self.number) if not self._was_met(gap.id)]
        if not gaps:
            return
        around = {gap.id: _outwards(_container_of(gap)) for gap in gaps}
        files = self._case.at_paths(
            self.number, {path for some in around.values() for path in some}
        )
        for gap in gaps:
            paths = around[gap.id]
            # The file that has the gap, or that has the volume with the gap in it; if the case has
            # none, the source itself.
            at = next((at for at, path in enumerate(paths) if path in files), None)
            is_met = at is None or self._was_met(files[paths[at]])
            inside = paths if at is None else paths[: at + 1]
            is_read = self.unread.isdisjoint(inside)
            # Another password, or none, gives another reason why a container is locked.
            is_relocked = _container_of(gap) in self.locked and _is_encrypted(gap)
            if is_met and (is_read or is_relocked):
                yield gap

    def _is_met(self, item: StoredItem, source: Source) -> bool:
        """Whether the walk met an item; for a picture inside a file, whether it met that file."""
        path = EvidencePath.from_json(item.location)
        if path.kind != "embedded" or path.parent is None:
            return self._was_met(item.id)
        location = location_of(path.parent)
        if location != self._holder[0]:
            holder = self._case.outcome(self.number, location)
            # A run that is cut off inside a file has recorded pictures of it, but not the file.
            is_met = source.find(path.parent) if holder is None else self._was_met(holder.id)
            self._holder = location, bool(is_met)
        return self._holder[1]

    def _was_met(self, number: int) -> bool:
        return number > self._last or bool(self._met[number])


def gap_location(container: str, error: str, message: str) -> str:
    """Return what identifies a gap within its source: the path of the container that has it
    (``EvidencePath.numbered``), and what is missing."""
    gap = {"path": container, "error": error, "message": message}
    return json.dumps(gap, separators=(",", ":"))


def _container_of(gap: StoredItem) -> str:
    try:
        return str(parse_json(gap.location)["path"])
    except PARSE_ERRORS:
        return gap.display


def _is_elsewhere(source: Source, path: EvidencePath) -> bool:
    """Whether a file that the walk did not list is there: it may be listed under another name now,
    or be in a container that is locked now."""
    while path.kind == "embedded" and path.parent is not None:
        path = path.parent
    try:
        return source.find(path) is not None
    except LockedError:
        return True
    except EvidenceError:
        return False


def _outwards(path: str) -> list[str]:
    """Return a path and those of everything around it, the path first."""
    names = path.split("/")
    return ["/".join(names[:count]) for count in range(len(names), 0, -1)]


def _is_encrypted(gap: StoredItem) -> bool:
    return gap.failure is not None and gap.failure.error == OutcomeReason.ENCRYPTED


def is_unchanged(entry: EvidenceEntry, before: StoredItem) -> bool:
    """Whether a file has the size and the time of change that the case records."""
    return (entry.size, entry.times.modified) == (before.size, before.times.modified)
