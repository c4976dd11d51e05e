"""What comes of the items of a source, on its way to the case."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mayak.case import Duplicate, Exclusion, Item
from mayak.types import DecodedImage, EvidenceEntry, EvidencePath, Failure

_EACH = 1 << 20
"""Bytes that each arrival counts for besides its pixels, so that not too many wait that have
none."""

Outcome = Duplicate | Failure | Exclusion


@dataclass(frozen=True, slots=True)
class Arrival:
    """One item that has been dealt with; ``image`` if the model has to see it."""

    source: int
    item: Item
    known: bool
    """It is in the case already."""
    image: DecodedImage | None = None
    failure: Failure | None = None
    """Of a content that the case holds and that could not be decoded this time."""


def weight(arrival: Arrival) -> int:
    """Bytes, roughly."""
    return _EACH + (0 if arrival.image is None else arrival.image.nbytes)


def location_of(path: EvidencePath) -> str:
    """What identifies an item within its source; a container's is that of a file, which it is to
    those who cannot enter it."""
    inside = path.parent is not None and path.kind in ("zip", "tar", "image")
    return (replace(path, kind="file") if inside else path).to_json()


def item_of(entry: EvidenceEntry, outcome: Outcome) -> Item:
    if isinstance(outcome, Failure):  # of a duplicate: the path is the first one's
        outcome = replace(outcome, path=str(entry.path))
    return Item(
        display=str(entry.path),
        location=location_of(entry.path),
        outcome=outcome,
        size=entry.size,
        times=entry.times,
        deleted=entry.deleted,
    )
