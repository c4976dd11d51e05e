"""A picture embedded in a file: in a document, or after the first of an animation or a scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """A picture embedded in a file; it is not decoded before it is read."""

    name: str
    """Its place in the file; the same each time that the file is opened."""
    read: Callable[[], bytes]
    """Returns the bytes of an image file of its own. Raises DecodeError."""
