"""The outcome of one item of a source: an image, a failure, an exclusion or a copy."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mayak.case import Content, Duplicate, Exclusion, Item
from mayak.signatures import CONTAINER_LAYERS
from mayak.types import DecodedImage, EvidenceEntry, EvidencePath, Failure, Prediction

_EACH = 1 << 20
"""Bytes counted for each outcome besides its pixels, so that not too many without pixels wait."""

Outcome = Content | Duplicate | Failure | Exclusion


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """An item and its outcome, for the writer; with ``image`` if the picture has to be scored."""

    source: int
    """Number of the source in the case."""
    item: Item
    is_known: bool
    """Whether the case has an item at this location."""
    image: DecodedImage | None = None
    failure: Failure | None = None
    """Why a content that the case records cannot be scored in this run."""
    prediction: Prediction | None = None
    """If the stage that decoded the picture has scored it as well."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory, roughly."""
        return _EACH + (0 if self.image is None else self.image.nbytes)


def location_of(path: EvidencePath) -> str:
    """Return what identifies an item within its source.

    A container has the location of a file, because it is one to a version that cannot enter it.
    """
    is_container = path.parent is not None and path.kind in CONTAINER_LAYERS
    return (replace(path, kind="file") if is_container else path).to_json()


def item_of(entry: EvidenceEntry, result: Outcome) -> Item:
    """Return the case's item for an entry of a source, or for a picture inside one."""
    if isinstance(result, Failure):  # of the first of several copies: the path is that one's
        result = replace(result, path=str(entry.path))
    return Item(
        display=str(entry.path),
        location=location_of(entry.path),
        outcome=result,
        # A picture inside a file has no size if its bytes could not be read.
        size=(entry.size or None) if entry.path.kind == "embedded" else entry.size,
        times=entry.times,
        deleted=entry.is_deleted,
    )
