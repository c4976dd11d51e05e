"""Image formats by content: what the first bytes promise, and what this installation decodes."""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import cache
from pathlib import PurePosixPath

from PIL import Image

from mayak import signatures

with suppress(ImportError):  # the optional extra ``heic``
    import pillow_heif

    pillow_heif.register_heif_opener()

_NOT_PICTURES = {"BUFR", "GRIB", "HDF5", "MPEG"}
"""Pillow recognises these and cannot decode them: data sets and video."""

_PROGRAMS = {"EPS", "WMF"}
"""Decoding these runs what they hold, through Ghostscript or Windows: never with evidence."""

_EAGER = {"CUR", "DIB", "FITS", "GBR", "MSP", "PCX", "PPM", "SGI", "XBM"}
"""Pillow takes these by two bytes, small numbers or words: C sources, lists and key stores too.
Under another name than their own it takes a whole header (``headers``)."""

_BY_HEADER = {"BMP", "ICO"}
"""Pillow takes these by two or four bytes; their rows in ``signatures`` check the header."""

_ALIKE = ({"JPEG", "MPO"}, {"HEIF", "AVIF"})
"""Formats that share their extensions in practice: an MPO is a JPEG with a second one behind."""

_HEAD = 512
_PREFIX = 16
"""Bytes that Pillow shows to a format when it asks whether a file is its own."""


def signature(data: bytes) -> str | None:
    """The image format that the first bytes promise, or None; a damaged file keeps its promise."""
    kind = signatures.PICTURES.identify(data)
    return None if kind is None else kind.name


def looks_like_image(head: bytes, name: str) -> bool:
    """Whether a file with these first bytes (512 are enough) and this name is worth decoding.

    By content; the name counts only for formats that have neither a sure signature nor a header
    that states enough. True of what is recognised and cannot be decoded here (HEIC without its
    codec), so that it becomes a failure with a reason; False of video, data sets and programs.
    """
    if signature(head) is not None:
        return True
    stated = _extensions().get(_extension(name))
    return any(
        _accepts(format_name, head[:_PREFIX])
        for format_name in tried()
        if format_name not in _BY_HEADER
        and (
            format_name == stated
            or not (format_name in _EAGER or Image.OPEN[format_name][1] is None)
        )
    )


def is_apple_double(head: bytes, name: str) -> bool:
    """Whether a file is an AppleDouble (RFC 1740): what a Mac knows of a file, written next to it,
    under the same name after ``._``, on disks and in archives of others. A picture of such a name
    is none."""
    base = name.rpartition("/")[2]
    return base.startswith("._") and signatures.APPLE_DOUBLE.matches(head)


def is_program(head: bytes) -> bool:
    """Whether a file of these first bytes is one of ``_PROGRAMS``, whatever pictures it draws."""
    return signatures.PROGRAMS.identify(head) is not None


def is_pdf(data: bytes) -> bool:
    """Whether a file of these first bytes (512 are enough) is a PDF.

    As readers of PDF do, it takes what stands before the header for rubbish, if that is no image.
    """
    if data.startswith(b"%PDF-"):
        return True
    return signatures.LATE_PDF.matches(data) and signature(data) is None


def named_as_image(name: str) -> bool:
    """Whether a file's extension is that of an image format."""
    stated = _extensions().get(_extension(name))
    return stated is not None and stated not in _NOT_PICTURES | _PROGRAMS | {"PDF"}


def wrong_extension(name: str, found: str) -> tuple[str, ...]:
    """A warning if a file's extension states another format than the one found."""
    extension = _extension(name)
    stated = _extensions().get(extension)
    if (
        not extension
        or " " in extension
        or stated == found
        or any({stated, found} <= alike for alike in _ALIKE)
    ):
        return ()
    return (f"extension {extension} but content {found}",)


def reads(format_name: str) -> bool:
    """Whether this installation decodes a format (Pillow's name of it)."""
    return format_name in tried()


@cache
def tried() -> tuple[str, ...]:
    """Pillow's names of what is tried, the common ones first: they have the surest signatures."""
    Image.preinit()
    Image.init()
    return tuple(name for name in Image.ID if name not in _NOT_PICTURES | _PROGRAMS)


def _extension(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


@cache
def _extensions() -> dict[str, str]:
    """Extension → Pillow's name of the format, whether or not its codec is installed."""
    heif = dict.fromkeys((".heic", ".heif", ".hif"), "HEIF")
    return heif | {".avif": "AVIF"} | Image.registered_extensions()


def _accepts(format_name: str, prefix: bytes) -> bool:
    accept = Image.OPEN[format_name][1]
    if accept is None:
        return True
    try:
        # A text instead of True says why the file, though recognised, cannot be decoded here.
        return bool(accept(prefix))
    except (IndexError, struct.error):  # fewer bytes than the format looks at
        return False
