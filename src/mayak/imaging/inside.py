"""List and read the pictures embedded in a file: of a PDF, pages, frames, and hidden pictures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

from mayak.errors import DecodeError
from mayak.i18n import msg
from mayak.imaging.decode import decode_picture
from mayak.imaging.embedded import EmbeddedImage
from mayak.imaging.formats import is_pdf
from mayak.imaging.frames import other_frames
from mayak.imaging.pdf import embedded_images
from mayak.imaging.transparency import UNDER


def pictures_inside(data: bytes, names: Sequence[str] = ()) -> list[EmbeddedImage]:
    """Return the pictures of a PDF, or those of an image file after the first.

    With the ``names`` of an earlier call, frames are not counted again. Pictures hidden by
    transparency are not included, because only decoding finds them.

    Raises:
        DecodeError: the file cannot be opened.
    """
    return embedded_images(data) if is_pdf(data) else other_frames(data, names)


def hidden_in(name: str = "") -> str:
    """Return the name of the picture hidden by the transparency of a file, or of the picture
    ``name`` inside the file."""
    return f"{name}, {UNDER}" if name else UNDER


def picture_inside(data: bytes, name: str) -> bytes | None:
    """Return one picture inside a file as an image file; None if there is none of this name.

    Raises DecodeError.
    """
    if name == hidden_in():
        return uncovered(data)
    if name.endswith(f", {UNDER}"):
        inside = picture_inside(data, name.removesuffix(f", {UNDER}"))
        return None if inside is None else uncovered(inside)
    return next((part.read() for part in pictures_inside(data) if part.name == name), None)


def read_inside(data: bytes, names: Collection[str]) -> dict[str, bytes]:
    """Return the pictures of these names inside a file, by name, as far as they can be read."""
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


def uncovered(data: bytes) -> bytes:
    """Return the picture that the transparency of an image file hides, as PPM. Raises DecodeError
    if there is none."""
    hidden = decode_picture(data, partial=True).hidden_ppm()
    if hidden is None:
        raise DecodeError(msg("its transparency hides no picture"))
    return hidden
