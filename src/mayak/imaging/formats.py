"""Image formats: identified by content, and which of them this installation decodes."""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import cache

from PIL import Image

from mayak import signatures
from mayak.signatures.census import suffix_of

with suppress(ImportError):  # the optional extra ``heic``
    import pillow_heif

    pillow_heif.register_heif_opener()

_NAMES = {kind.name for kind in signatures.PICTURES.rows}
"""Formats that are decoded if Pillow can. Others that it knows are data sets, videos, programs that
Ghostscript or Windows would run, or have neither a signature nor an extension."""

_STATED = {
    extension: kind.name for kind in signatures.PICTURES.rows for extension in kind.extensions
}
"""Format by extension."""

_EAGER = {kind.name for kind in signatures.PICTURES.rows if kind.check is not None}
"""Formats that Pillow accepts by a few bytes, small numbers or words, and so C sources, lists and
key stores too. Without their extension a whole header is required (``signatures.headers``)."""

_ALIKE = ({"JPEG", "MPO"}, {"HEIF", "AVIF"})
"""Formats that share their extensions in practice: an MPO is a JPEG followed by a second one."""

_PREFIX = 16
"""Bytes that Pillow passes to a plugin to ask whether it accepts a file."""


def signature(data: bytes) -> str | None:
    """Return the image format by the first bytes, even if the rest is damaged; None if unknown."""
    kind = signatures.PICTURES.identify(data)
    return None if kind is None else kind.name


def looks_like_image(head: bytes, name: str) -> bool:
    """Return whether a file with these first bytes (512 are enough) and this name is an image.

    By content; the name is used only for formats without a sure signature or a header that states
    enough. True for formats that cannot be decoded here (HEIC without its codec), so that they
    become a failure with a reason; False for video, data sets and programs.
    """
    if signature(head) is not None:
        return True
    stated = _STATED.get(suffix_of(name))
    return any(
        _accepts(format_name, head[:_PREFIX])
        for format_name in decoded_formats()
        if format_name == stated
        or not (format_name in _EAGER or Image.OPEN[format_name][1] is None)
    )


def is_apple_double(head: bytes, name: str) -> bool:
    """Return whether a file is an AppleDouble (RFC 1740).

    That is the metadata that macOS writes next to a file, under the same name after ``._``, on
    foreign disks and in archives. A picture that has such a name is not an AppleDouble.
    """
    base = name.rpartition("/")[2]
    return base.startswith("._") and signatures.APPLE_DOUBLE.matches(head)


def is_program(head: bytes) -> bool:
    """Return whether a file of these first bytes is a program that draws a picture."""
    return signatures.DRAWINGS.identify(head) is not None


def is_pdf(data: bytes) -> bool:
    """Return whether a file of these first bytes (512 are enough) is a PDF.

    Bytes before the header are ignored, as PDF readers do, unless they begin an image.
    """
    if data.startswith(b"%PDF-"):
        return True
    return signatures.LATE_PDF.matches(data) and signature(data) is None


def named_as_image(name: str) -> bool:
    """Return whether a file's extension is that of an image format."""
    return suffix_of(name) in _STATED


def wrong_extension(name: str, found: str) -> tuple[str, ...]:
    """Return a warning if a file's extension states another format than the one found."""
    extension = suffix_of(name)
    stated = _STATED.get(extension)
    if (
        not extension
        or " " in extension
        or stated == found
        or any({stated, found} <= alike for alike in _ALIKE)
    ):
        return ()
    return (f"extension {extension} but content {found}",)


def is_decoded(format_name: str) -> bool:
    """Return whether this installation decodes a format (Pillow's name of it)."""
    return format_name in decoded_formats()


@cache
def decoded_formats() -> tuple[str, ...]:
    """Return Pillow's names of the formats to try, the common ones first: they have the surest
    signatures."""
    Image.preinit()
    Image.init()
    return tuple(name for name in Image.ID if name in _NAMES)


def _accepts(format_name: str, prefix: bytes) -> bool:
    accept = Image.OPEN[format_name][1]
    if accept is None:
        return True
    try:
        # A text instead of True is the reason why an accepted file cannot be decoded here.
        return bool(accept(prefix))
    except (IndexError, struct.error):  # fewer bytes than the format looks at
        return False
