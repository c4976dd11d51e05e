"""The pictures inside one file: of a document, and the further ones of an animation or a scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One picture inside a file."""

    name: str
    """Where in the file, told in the same words each time."""
    read: Callable[[], bytes]
    """The bytes of an image file of its own. Raises DecodeError."""
