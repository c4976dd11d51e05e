"""The pictures inside a file, whatever its format: pages, frames, embedded and hidden pictures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

from mayak.errors import DecodeError
from mayak.imaging.decode import UNDER, other_frames, uncovered
from mayak.imaging.formats import is_pdf
from mayak.imaging.parts import Part
from mayak.imaging.pdf import embedded_images


def pictures_inside(data: bytes, names: Sequence[str] = ()) -> list[Part]:
    """The pictures of a PDF, or those of an image file after the first; ``names`` of all of them
    from an earlier call, so that frames need not be counted again.

    A picture that is hidden by transparency is none of them: only decoding finds it. Raises
    DecodeError if the file cannot be opened.
    """
    return embedded_images(data) if is_pdf(data) else other_frames(data, names)


def hidden_in(name: str = "") -> str:
    """Name of what the transparency of a file hides, or of that of a picture inside the file."""
    return f"{name}, {UNDER}" if name else UNDER


def picture_inside(data: bytes, name: str) -> bytes | None:
    """The bytes of one picture inside a file; None if there is none of this name. Raises
    DecodeError."""
    if name == hidden_in():
        return uncovered(data)
    if name.endswith(f", {UNDER}"):
        inside = picture_inside(data, name.removesuffix(f", {UNDER}"))
        return None if inside is None else uncovered(inside)
    return next((part.read() for part in pictures_inside(data) if part.name == name), None)


def read_inside(data: bytes, names: Collection[str]) -> dict[str, bytes]:
    """The pictures of these names inside a file, by their names, as far as they can be had."""
    found: dict[str, bytes] = {}
    with suppress(DecodeError):
        if hidden_in() in names:
            found[hidden_in()] = uncovered(data)
    with suppress(DecodeError):
        for part in pictures_inside(data):
            hidden = hidden_in(part.name)
            if part.name in names or hidden in names:
                with suppress(DecodeError):
                    picture = part.read()
                    if part.name in names:
                        found[part.name] = picture
                    if hidden in names:
                        found[hidden] = uncovered(picture)
    return found
