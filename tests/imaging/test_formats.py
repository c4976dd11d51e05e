from __future__ import annotations

import importlib
import io
import random
import struct

import pytest
from PIL import Image

from mayak.errors import DecodeError
from mayak.imaging import decode
from mayak.imaging.formats import (
    decoded_formats,
    is_pdf,
    looks_like_image,
    named_as_image,
    signature,
    wrong_extension,
)


def saved(name, mode="RGB", **options):
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").convert(mode).save(stream, name, **options)
    return stream.getvalue()


def head(name, **options):
    return saved(name, **options)[:512]


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "WEBP"),
        (b"\0\0\0\x18ftypheic", "HEIF"),
        (b"\0\0\0\x18ftypavif", "AVIF"),
        (b"\0\0\0\x18ftypmp42", None),
        (b"%PDF-1.7", None),
    ],
)
def test_signatures(start, name):
    assert signature(start) == name


SURE = ["AVIF", "BMP", "DDS", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "QOI", "TIFF", "WEBP"]


@pytest.mark.parametrize("name", SURE)
def test_an_image_is_known_by_its_bytes_under_any_name(name):
    assert looks_like_image(head(name), "f_00001a")
    assert looks_like_image(head(name), "invoice.txt")


def test_heic_counts_with_and_without_its_codec(monkeypatch):
    module = importlib.import_module("mayak.imaging.formats")
    start = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"

    assert looks_like_image(start, "IMG_0001")
    monkeypatch.setattr(module, "decoded_formats", lambda: ("JPEG", "PNG"))
    assert looks_like_image(start, "IMG_0001")


def test_each_picture_format_of_pillow_is_in_the_table():
    Image.init()
    others = {"BUFR", "GRIB", "HDF5", "MPEG"} | {"EPS", "WMF", "PDF"}  # data, video, programs
    unmarked = {"IMT", "SPIDER"}  # neither a signature nor an extension of their own
    assert set(Image.ID) - others - unmarked <= set(decoded_formats())
    for extension, name in Image.registered_extensions().items():
        assert named_as_image(f"x{extension}") == (name not in others), extension


def test_a_damaged_image_still_counts():
    assert looks_like_image(b"\xff\xd8\xff" + bytes(509), "DCIM/1.jpg")
    assert looks_like_image(b"II*\0", "scan")


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"P6\n64 48\n", "picture.ppm"),
        (b"#define x_width 16\n#define x_height 16\n", "icon.XBM"),
        (b"\x0a\x05\x01\x08", "paint.pcx"),
        (b"\0\0\2\0\1\0 \0", "wait.cur"),
        (bytes(2) + b"\x02" + bytes(13), "texture.TGA"),  # TGA has no signature at all
    ],
)
def test_a_weak_signature_counts_under_the_formats_own_name_alone(start, name):
    assert looks_like_image(start, name)
    assert not looks_like_image(start, "notes.h")
    assert not looks_like_image(start, "tga")


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"B",
        b"BMW 320d, 2009\n",
        b"SIMPLE instructions",
        b"P3 is the third parameter\n",
        b"/* Copyright */\n",
        b"#define PI 3.14\n",
        b"\x7fELF\x02\x01\x01" + bytes(9),
        b"\x1f\x8b\x08",
        b"%PDF-1.7\n",
        b"PK\3\4",
        b"MZ\x90\0",
        b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1",  # a key store, which Pillow takes for a brush
        struct.pack("<I", 40) + bytes(12),
        b"\0\0\0\x18ftypisom\0\0\2\0isomiso2",
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        b"\0\0\0\x14ftypqt  ",
        struct.pack("<24H", *range(24)),  # exFAT's table of capitals, which starts as an icon does
        b"\0\0\1\xb3\x14\0\xf0\x14",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\xd7\xcd\xc6\x9a\0\0",
    ],
)
def test_other_files_are_no_images(start):
    for name in ("file", "file.txt", "file.jpg", "file.mp4", "file.eps"):
        assert not looks_like_image(start, name)


def fits():
    cards = (
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =        2",
    )
    sizes = ("NAXIS1  =                   64", "NAXIS2  =                   48", "END")
    header = "".join(card.ljust(80) for card in cards + sizes).encode()
    return header.ljust(2880) + bytes(2880 * 2)


def brush():
    return struct.pack(">5L4sL", 32, 2, 64, 48, 1, b"GIMP", 10) + b"pen\0" + bytes(64 * 48)


def cursor():
    # The bitmap of a cursor is twice as high: its mask stands below it.
    bitmap = struct.pack("<L2l2H6L", 40, 64, 96, 1, 24, *[0] * 6) + bytes(64 * 96 * 3)
    return struct.pack("<3H4B2H2L", 0, 2, 1, 64, 48, 0, 0, 5, 5, len(bitmap), 22) + bitmap


STATED = {
    "bitmap": (b"P4 # drawn\n64 48\n" + bytes(8 * 48), "PPM"),
    "grey": (saved("PPM", "L"), "PPM"),
    "colour": (saved("PPM"), "PPM"),
    "deep": (b"P5\n# a scan\n# of 2009\n64\t48\r\n65535\n" + bytes(64 * 48 * 2), "PPM"),
    "floats": (saved("PPM", "F"), "PPM"),
    "digits of a bitmap": (b"P1\n64 48\n" + b"10" * (32 * 48), "PPM"),
    "digits of grey": (b"P2 64 48 9\r\n" + b"1 2\n" * (32 * 48), "PPM"),
    "digits of colour": (b"P3\n4 3\n255\n" + b"1 20 255 " * 12, "PPM"),
    "SGI": (saved("SGI"), "SGI"),
    "PCX": (saved("PCX"), "PCX"),
    "PCX with a palette": (saved("PCX", "P"), "PCX"),
    "PCX, black and white": (saved("PCX", "1"), "PCX"),
    "DIB": (saved("DIB"), "DIB"),
    "CUR": (cursor(), "CUR"),
    "MSP": (saved("MSP", "1"), "MSP"),
    "GBR": (brush(), "GBR"),
    "FITS": (fits(), "FITS"),
    "XBM": (saved("XBM", "1"), "XBM"),
    "XBM of a GIMP": (
        b"/* Created with GIMP */\n#define pen_width 8\n#define pen_height 2\n"
        b"static unsigned char pen_bits[] = {\n   0x3c, 0x42 };\n",
        "XBM",
    ),
}


@pytest.mark.parametrize(("data", "name"), STATED.values(), ids=STATED)
def test_an_image_is_known_by_a_header_that_states_enough(data, name):
    assert looks_like_image(data[:512], "f_00001a")
    assert decode(data).format == name


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"P7\nWIDTH 64\nHEIGHT 48\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n", "PAM"),
        (b"PF\n64 48\n-1.0\n", "PFM"),
    ],
)
def test_an_image_that_is_not_decoded_is_named(start, name):
    assert looks_like_image(start, "f_00001a")
    with pytest.raises(DecodeError, match=f"is {name}, which is not decoded"):
        decode(start + bytes(64 * 48 * 12))


@pytest.mark.parametrize(
    "text",
    [
        b"P1 to P6 are the priorities\n",
        b"P1 12 14 stock at hand\n",
        b"P2 64 48 255 boxes of screws, 12 of them blue\n",
        b"P3\n10 10\n255\n1 2 3\n",  # far too short
        b"P5 12 14 255 screws, and 12 blue ones\n",
        b"P6 2021 2022 999999 \n",
        b"P6 0 48 255\n",
        b"P7\nWIDER THAN P6\n",
        b"PF 12 by 14 1.0\n",
        b"#define SCREEN_width 320\n#define SCREEN_height 200\n\nint main(void) {\n",
        b"#define a_width 8\n#define b_height 2\nstatic char a_bits[] = {0};\n",
        b"SIMPLE  =                    T / but nothing else stands here\n",
        "SIMPLE  =                    T".ljust(80).encode() * 3,
        b"DanMark, LinSpace\n" * 9,
        b"\n\5\1\10 and no more of a picture" + bytes(200),
        b"\1\xda and no more of a picture" + bytes(200),
        b"\0\0\2\0\1\0" + bytes(200),
        struct.pack("<L", 40) + bytes(200),
        struct.pack(">2L", 32, 2) + bytes(200),
    ],
)
def test_a_header_that_states_too_little_makes_no_image(text):
    for more in (b"", b"and so it goes on, line by line\n" * 20):
        assert not looks_like_image(text + more, "file")


MARKS = (
    *(b"P%d" % number + blank for number in range(1, 7) for blank in (b"\n", b" ")),
    *(b"\1\xda", b"\n\5\1\10", b"SIMPLE", b"DanM", b"LinS", b"\0\0\2\0\1\0", b"\x28\0\0\0"),
)


@pytest.mark.parametrize("mark", MARKS)
def test_noise_behind_a_mark_is_no_image(mark):
    for seed in range(300):
        noise = random.Random(seed).randbytes(512 - len(mark))
        assert not looks_like_image(mark + noise, "file")
        digits = bytes(b"0123456789 abc"[value % 14] for value in noise[:40])
        assert not looks_like_image(mark + digits + b"!" + noise[41:], "file")


@pytest.mark.parametrize(
    "start",
    [
        b"%PDF-1.7\n",
        b"%PDF-",
        b"\xef\xbb\xbf\n%PDF-1.4\r",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n%PDF-1.4\n",
        bytes(480) + b"%PDF-2.0 \n",
    ],
)
def test_a_pdf_may_have_something_before_its_header(start):
    assert is_pdf(start)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"data.startswith(b'%PDF-1.4\\n')\n",
        b"A file begins with %PDF-1.7, then come objects.\n",
        b'#define MAGIC "%PDF-"\n',
        head("JPEG")[:20] + b"%PDF-1.4\n",
    ],
)
def test_what_speaks_of_pdf_is_none(start):
    assert not is_pdf(start)


def test_a_number_behind_an_extension_is_none():
    assert wrong_extension("attachment x.jpg (2)", "JPEG") == ()
    assert wrong_extension("attachment x.jpg", "PNG") == ("extension .jpg but content PNG",)
