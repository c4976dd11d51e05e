"""Image formats by content: what the first bytes promise, and what this installation decodes."""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from functools import cache
from pathlib import PurePosixPath

from PIL import Image

from mayak.imaging.headers import stated_format

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

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\0\0\0\x0cjP  ", "JPEG2000"),
    (b"8BPS", "PSD"),
    # Nothing here decodes what follows: a failure with that reason, and not "no image".
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"FUJIFILMCCD-RAW", "RAF"),
    (b"IIU\0", "RW2"),
    (b"IIRO", "ORF"),
    (b"IIRS", "ORF"),
)

_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
"""Lengths in bytes of the header behind a BMP's first 14 bytes, in all its versions."""

_ALIKE = ({"JPEG", "MPO"}, {"HEIF", "AVIF"})
"""Formats that share their extensions in practice: an MPO is a JPEG with a second one behind."""

_ICO = b"\0\0\1\0"
_ICO_BITS = {0, 1, 4, 8, 16, 24, 32}
"""Of a pixel, as the first entry of an icon states them."""

_PDF = re.compile(rb"%PDF-\d\.\d\s*[\r\n]")
"""Texts and programs that speak of PDF have other characters behind it."""

_HEAD = 512
_PREFIX = 16
"""Bytes that Pillow shows to a format when it asks whether a file is its own."""


def signature(data: bytes) -> str | None:
    """The image format that the first bytes promise, or None; a damaged file keeps its promise."""
    for start, name in _SIGNATURES:
        if data.startswith(start):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        if brand == b"crx ":
            return "CR3"
        return "AVIF" if brand in (b"avif", b"avis") else "HEIF" if brand in _HEIC_BRANDS else None
    return stated_format(data)


def looks_like_image(head: bytes, name: str) -> bool:
    """Whether a file with these first bytes (512 are enough) and this name is worth decoding.

    By content; the name counts only for formats that have neither a sure signature nor a header
    that states enough. True of what is recognised and cannot be decoded here (HEIC without its
    codec), so that it becomes a failure with a reason; False of video, data sets and programs.
    """
    promised = signature(head)
    if promised == "BMP":  # two letters that any text can start with
        return int.from_bytes(head[14:18], "little") in _BMP_HEADERS
    if promised is not None:
        return True
    if head.startswith(_ICO):  # four bytes that exFAT's table of capitals starts with
        reserved, planes, bits = struct.unpack_from("<xBHH", head.ljust(_PREFIX, b"\0"), 8)
        return not reserved and planes <= 1 and bits in _ICO_BITS
    stated = _extensions().get(_extension(name))
    return any(
        _accepts(format_name, head[:_PREFIX])
        for format_name in tried()
        if format_name == stated
        or not (format_name in _EAGER or Image.OPEN[format_name][1] is None)
    )


def is_apple_double(head: bytes, name: str) -> bool:
    """Whether a file is an AppleDouble (RFC 1740): what a Mac knows of a file, written next to it,
    under the same name after ``._``, on disks and in archives of others. A picture of such a name
    is none."""
    base = name.rpartition("/")[2]
    return base.startswith("._") and head.startswith(b"\0\5\x16\7")


def is_program(head: bytes) -> bool:
    """Whether a file of these first bytes is one of ``_PROGRAMS``, whatever pictures it draws."""
    return head.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6", b"\xd7\xcd\xc6\x9a"))


def is_pdf(data: bytes) -> bool:
    """Whether a file of these first bytes (512 are enough) is a PDF.

    As readers of PDF do, it takes what stands before the header for rubbish, if that is no image.
    """
    if data.startswith(b"%PDF-"):
        return True
    return _PDF.search(data, 0, _HEAD) is not None and signature(data) is None


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
