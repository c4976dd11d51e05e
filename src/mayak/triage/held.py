"""What the case holds of a source already: it stays, and must not have changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from mayak.case import CaseStore, Duplicate, Exclusion, Item, StoredContent, StoredItem
from mayak.errors import EvidenceError, IntegrityError
from mayak.evidence import EXCLUSIONS, Source
from mayak.i18n import msg
from mayak.triage.arrival import Arrival, item_of, location_of
from mayak.triage.options import Options
from mayak.types import EvidenceEntry, EvidencePath, Failure


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source lies, and what tells it from what is found under its name later."""

    path: Path
    identity: tuple[int, int] | None

    @classmethod
    def of(cls, path: Path) -> Place:
        return cls(path, _identity(path))

    def require(self) -> None:
        """Raises EvidenceError if the source itself has gone: no fault of its files then."""
        if (found := _identity(self.path)) is None or found != self.identity:
            raise EvidenceError(
                msg("{path} is gone", path=self.path),
                remedy=msg(
                    "connect it again and run the same command: it goes on where it stopped"
                ),
            )


class Held:
    """One source in the case, as a run finds it.

    ``unproven``: whether what was taken in of it has still to be compared, file by file.
    """

    def __init__(
        self,
        case: CaseStore,
        number: int,
        place: Place,
        options: Options,
        run: int | None,
        *,
        unproven: bool,
    ) -> None:
        self.number, self.place, self.unproven = number, place, unproven
        self._case, self._options, self._run = case, options, run
        self.damaged: list[str] = []
        """Disk images inside that are not what their stored hash says, and were accepted so."""
        self._last = case.last_item()
        self._met = bytearray(self._last + 1)
        """Items that the walk came upon, by their numbers: there may be millions."""
        self._holder = ("", False)
        """The last file of which was asked whether it was met, and the answer."""
        self._nothing = next(case.known_items(number), None) is None

    def before(self, location: str) -> StoredItem | None:
        """What became of an item in earlier runs."""
        # A query costs as much as hashing a small file.
        before = None if self._nothing else self._case.outcome(self.number, location)
        if before is not None and before.id <= self._last:
            self._met[before.id] = 1
        return before

    def content(self, sha256: str) -> StoredContent | None:
        """What the case knows of some bytes, of whichever source."""
        return self._case.content(sha256)

    def has_result(self, sha256: str) -> bool:
        """Whether the run has nothing more to say of some bytes."""
        return self._run is None or self._case.has_result(self._run, sha256)

    def lacks_inside(self, location: str) -> bool:
        """Whether the run has something more to say of pictures inside a file."""
        return self._run is not None and self._case.lacks_inside(self._run, self.number, location)

    def unreadable(self, entry: Failure) -> Arrival:
        """What becomes of an item that the source names and cannot give. Raises EvidenceError
        where the source is gone, IntegrityError where it could be read before."""
        if entry.place is not None:
            location = location_of(entry.place)
        else:  # it shares its path with the item of which it tells
            location = json.dumps(
                {"path": entry.path, "error": entry.error, "message": entry.message},
                separators=(",", ":"),
            )
        if entry.error == "HashMismatch":
            self.require_accepted(entry, msg("is not what its stored hash says"))
            self.damaged.append(entry.path)
        excluded = entry.error in EXCLUSIONS
        if not excluded:
            self.place.require()
        before = self.before(location)
        if before is not None and before.content is not None:
            return self.unread(entry, before.content)
        outcome = Exclusion(entry.error, entry.message) if excluded else entry
        deleted = entry.error == "DeletedWithoutContent"
        item = Item(entry.path, location, outcome, deleted=deleted)
        return Arrival(self.number, item, known=before is not None)

    def vanished(self, source: Source) -> Iterator[Arrival]:
        """The images that an earlier run took in and that a whole walk did not come upon."""
        if self._nothing:
            return
        for item in self._case.known_items(self.number):
            if item.content is None or self._is_met(item, source):
                continue
            path = EvidencePath.from_json(item.location)
            text = msg("is no longer there")
            gone = Failure(item.display, "read", "Changed", text, path)
            self.require_accepted(gone, text)
            yield self._instead(gone, item.content, text)

    def _is_met(self, item: StoredItem, source: Source) -> bool:
        """Of a picture inside a file, whether the walk came upon that file."""
        path = EvidencePath.from_json(item.location)
        if path.kind != "embedded" or path.parent is None:
            return self._was_met(item.id)
        location = location_of(path.parent)
        if location != self._holder[0]:
            holder = self._case.outcome(self.number, location)
            # A run that is cut off inside a file has pictures of it and not the file.
            met = source.find(path.parent) if holder is None else self._was_met(holder.id)
            self._holder = location, bool(met)
        return self._holder[1]

    def _was_met(self, number: int) -> bool:
        return number > self._last or bool(self._met[number])

    def unread(self, entry: EvidenceEntry | Failure, held: str) -> Arrival:
        """An item whose bytes, of SHA-256 ``held``, cannot be read any more: that ends the run, or
        where damage is accepted costs that content its result. Raises IntegrityError."""
        text = msg("can no longer be read")
        self.require_accepted(entry, text)
        return self._instead(entry, held, text)

    def changed(self, entry: EvidenceEntry, held: str, *, accepted: bool) -> Arrival:
        """The same for an item whose bytes are others, unless that was ``accepted`` before."""
        text = msg("has changed since it was read")
        if not accepted:
            self.require_accepted(entry, text)
        return self._instead(entry, held, text)

    def another(self, path: EvidencePath, sha256: str) -> tuple[EvidencePath, str | None]:
        """The path of other bytes at an item's place, as an item of their own, and their SHA-256 if
        they were taken in as such before."""
        for serial in count(2):
            other = replace(path, serial=serial)
            before = self.before(location_of(other))
            if before is None or before.content == sha256:
                break
        return other, None if before is None else sha256

    def _instead(self, entry: EvidenceEntry | Failure, held: str, reason: str) -> Arrival:
        """What stands for a result of the content that an item was."""
        if isinstance(entry, Failure):
            path = str(entry.path)
            item = Item(path, location_of(entry.place) if entry.place else "", Duplicate(held))
        else:
            path, item = str(entry.path), item_of(entry, Duplicate(held))
        failure = Failure(path, "read", "Changed", reason)
        return Arrival(self.number, item, known=True, failure=failure)

    def require_accepted(self, entry: EvidenceEntry | Failure, text: str) -> None:
        """Raises IntegrityError unless damage is accepted."""
        if not self._options.accept_damaged:
            raise IntegrityError(
                f"{entry.path}: " + text,
                remedy=msg("give the source as it was, or go on with --accept-damaged"),
            )


def is_alike(entry: EvidenceEntry, before: StoredItem | None) -> bool:
    """Whether a file has the size and the time of change that it had."""
    return before is None or (entry.size, entry.times.modified) == (
        before.size,
        before.times.modified,
    )


def _identity(path: Path) -> tuple[int, int] | None:
    """Where a stick was mounted, a folder of the same name remains when it is pulled; None where
    nothing is."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
