from __future__ import annotations

import importlib
import io
import struct

import pytest
from PIL import Image

from mayak.imaging.formats import looks_like_image, signature


def head(name, **options):
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(stream, name, **options)
    return stream.getvalue()[:512]


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
    monkeypatch.setattr(module, "tried", lambda: ("JPEG", "PNG"))
    assert looks_like_image(start, "IMG_0001")


def test_a_damaged_image_still_counts():
    assert looks_like_image(b"\xff\xd8\xff" + bytes(509), "DCIM/1.jpg")
    assert looks_like_image(b"II*\0", "scan")


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"P6\n64 48\n255\n", "picture.ppm"),
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
