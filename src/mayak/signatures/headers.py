"""Checks of whole headers, for file kinds whose first bytes alone are not a sure signature.

Each takes the first ``HEAD`` bytes of a file.
"""

from __future__ import annotations

import re
import struct
from functools import reduce
from itertools import islice
from operator import xor
from typing import Literal

HEAD = 512
# Any blank may end these headers, but programs write the end of a line, and texts go on.
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_NUMBER = rb"0*[1-9]\d{0,5}"
_BITMAP = re.compile(rb"P[14]" + (_GAP + rb"(" + _NUMBER + rb")") * 2 + rb"[\r\n]")
_TONES = re.compile(rb"P[2356]" + (_GAP + rb"(" + _NUMBER + rb")") * 3 + rb"[\r\n]")
_FLOATS = rb"\s" + (_NUMBER + rb"\s") * 2 + rb"-?\d+(?:\.\d+)?[\r\n]"
GREY_FLOATS, COLOUR_FLOATS = re.compile(b"Pf" + _FLOATS), re.compile(b"PF" + _FLOATS)
ARBITRARY = re.compile(rb"P7\n(?:#[^\n]*\n)*(?:WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE) ")
_SAMPLES = {
    b"P1": (re.compile(rb"[\s01]*"), re.compile(rb"[01]"), 1),
    b"P2": (re.compile(rb"[\s\d]*"), re.compile(rb"\d+"), 1),
    b"P3": (re.compile(rb"[\s\d]*"), re.compile(rb"\d+"), 3),
}
"""Of the kinds that are written in digits: what follows the header, one sample, how many of them a
pixel has."""
XBM = re.compile(
    rb"\s*(?:/\*.*?\*/\s*)?#define[ \t]+(\w*)width[ \t]+\d+\s+#define[ \t]+\1height[ \t]+\d+\s+"
    rb"(?:#define[ \t]+\1[xy]_hot[ \t]+-?\d+\s+)*"
    rb"(?:(?:static|const|unsigned)\s+)*char\s+\1bits\s*\[",
    re.DOTALL,
)
FITS = re.compile(
    rb"(?=SIMPLE  = +T[ /])[^\n]{80}(?=BITPIX  = +-?\d+[ /])[^\n]{80}NAXIS   = +[1-9]\d*[ /]"
)
_DEPTHS = {1, 4, 8, 16, 24, 32}
_DIB_HEADERS = {40, 52, 56, 64, 108, 124}
_SIDE = 0xFFFF
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
"""Lengths in bytes of the header after a BMP's first 14 bytes, in all its versions."""
_ICO_BITS = {0, 1, 4, 8, 16, 24, 32}
"""Of a pixel, as the first entry of an icon states them."""
_PDF = re.compile(rb"%PDF-\d\.\d\s*[\r\n]")
"""In texts and programs that speak of PDF, other characters follow it."""


def is_tar(head: bytes) -> bool:
    """Whether a file begins with a TAR header: "ustar", or in old TARs the right checksum."""
    if head[257:262] == b"ustar":
        return True
    field = head[148:156].strip(b" \0")
    if len(head) < HEAD or not head[0] or not field or field.strip(b"01234567"):
        return False
    return int(field, 8) == sum(head[:148]) + sum(head[156:]) + 8 * 32


_FILE_TYPES = {1, 2, 4, 6, 8, 10, 12}
"""Of POSIX, as the four bits above the permissions of a mode."""


def is_cpio(head: bytes) -> bool:
    """Whether a file begins with a cpio header, of any of the four forms.

    Of binary ones the mark has two bytes only: type and name count, too.
    """
    if head[:6] in (b"070701", b"070702"):
        return len(head) >= 110 and not head[6:110].strip(b"0123456789abcdefABCDEF")
    if head[:6] == b"070707":
        return len(head) >= 76 and not head[6:76].strip(b"01234567")
    order: Literal["little", "big"] = "little" if head[:2] == b"\xc7\x71" else "big"
    if len(head) < 27 or int.from_bytes(head[:2], order) != 0o070707:
        return False
    mode, length = (int.from_bytes(head[at : at + 2], order) for at in (6, 20))
    end = 26 + length
    return mode >> 12 in _FILE_TYPES and length > 1 and (len(head) < end or head[end - 1] == 0)


def has_partitions(head: bytes) -> bool:
    """Whether a boot sector holds a table of MBR partitions, none of them damaged."""
    entries = list(struct.iter_unpack("<B3xB3xII", head[446:510]))
    sound = all(status in (0, 0x80) for status, _, _, _ in entries)
    return sound and any(kind and start and size for _, kind, start, size in entries)


def is_late_pdf(head: bytes) -> bool:
    """Whether the header of a PDF follows other bytes, which readers of PDF ignore."""
    return _PDF.search(head) is not None


def is_bmp(head: bytes) -> bool:
    """Whether "BM" is followed by a header: any text can begin with two letters."""
    return int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def is_ico(head: bytes) -> bool:
    """Whether the first entry of an icon is possible: exFAT's table of capitals begins alike."""
    reserved, planes, bits = struct.unpack_from("<xBHH", head.ljust(16, b"\0"), 8)
    return not reserved and planes <= 1 and bits in _ICO_BITS


def is_portable(head: bytes) -> bool:
    """PBM, PGM and PPM; those in digits must go on in digits, to the end of a short file."""
    match = (_BITMAP if head[1:2] in b"14" else _TONES).match(head)
    if match is None:
        return False
    width, height, *most = map(int, match.groups())
    if most and most[0] > 0xFFFF:
        return False
    if head[:2] not in _SAMPLES:
        return True
    allowed, sample, each = _SAMPLES[head[:2]]
    rest = head[match.end() :]
    if not allowed.fullmatch(rest):
        return False
    needed = width * height * each
    return len(head) == HEAD or len(list(islice(sample.finditer(rest), needed))) == needed


def is_sgi(head: bytes) -> bool:
    if len(head) < 108 or not head.startswith(b"\x01\xda"):
        return False
    packed, deep, sides, width, height, channels, least, most = struct.unpack_from(
        ">2B4H2L", head, 2
    )
    return (
        packed <= 1
        and deep in (1, 2)
        and 1 <= sides <= 3
        and min(width, height) > 0
        and 1 <= channels <= 4
        and least <= most <= 0xFFFF
        and int.from_bytes(head[104:108]) <= 3
    )


def is_pcx(head: bytes) -> bool:
    if len(head) < 128 or head[0] != 10:
        return False
    version, packed, bits, left, top, right, bottom = struct.unpack_from("<3B4H", head, 1)
    reserved, planes, line, palette = struct.unpack_from("<2B2H", head, 64)
    needed = (right - left + 8) * bits // 8
    return (
        version in (0, 2, 3, 4, 5)
        and packed <= 1
        and bits in (1, 2, 4, 8)
        and right >= left
        and bottom >= top
        and not reserved
        and 1 <= planes <= 4
        and needed - bits <= line <= needed + 8
        and palette <= 2
    )


def is_dib(head: bytes) -> bool:
    """A BMP without the 14 bytes before it."""
    if len(head) < 40:
        return False
    length, width, height, planes, bits, packed = struct.unpack_from("<L2l2HL", head)
    return (
        length in _DIB_HEADERS
        and 0 < width <= _SIDE
        and 0 < abs(height) <= _SIDE
        and planes == 1
        and bits in _DEPTHS
        and packed <= 6
    )


def is_cursor(head: bytes) -> bool:
    if len(head) < 22 or not head.startswith(b"\0\0\2\0"):
        return False
    count, reserved, x, y, size, offset = struct.unpack_from("<H3xB2H2L", head, 4)
    return (
        0 < count <= 256
        and not reserved
        and max(x, y) <= 256
        and size >= 40
        and offset >= 6 + 16 * count
    )


def is_msp(head: bytes) -> bool:
    if len(head) < 32 or not head.startswith((b"DanM", b"LinS")):
        return False
    words = struct.unpack_from("<16H", head)
    return not reduce(xor, words) and words[2] > 0 < words[3]


def is_brush(head: bytes) -> bool:
    """GIMP's, of the version that has a mark."""
    if len(head) < 28 or head[20:24] != b"GIMP":
        return False
    length, version, width, height, channels = struct.unpack_from(">5L", head)
    return (
        28 <= length <= 4096
        and version == 2
        and min(width, height) > 0
        and max(width, height) <= _SIDE
        and channels in (1, 4)
    )


def is_mpeg_audio(head: bytes) -> bool:
    """Whether a frame of MPEG audio, layer II or III, begins (ISO/IEC 11172-3, 2.4.1.3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bit_rate, sample_rate, emphasis = head[2] >> 4, head[2] >> 2 & 3, head[3] & 3
    return (
        version != 1
        and layer in (1, 2)
        and bit_rate not in (0, 15)
        and sample_rate != 3
        and emphasis != 2
    )


def is_truetype(head: bytes) -> bool:
    """Whether the table directory of a TrueType font, or of a collection, follows its version."""
    if head.startswith(b"ttcf"):
        return head[4:8] in (b"\0\1\0\0", b"\0\2\0\0")
    count, searched = struct.unpack_from(">2H", head.ljust(8, b"\0"), 4)
    # 16 times the largest power of two that is not more than the number of tables.
    return bool(count) and searched == 16 << (count.bit_length() - 1)
