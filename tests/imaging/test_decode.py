"""Files are made on the spot with Pillow, or byte by byte where Pillow writes no such file."""

from __future__ import annotations

import importlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from mayak.errors import DecodeError
from mayak.imaging import decode, decode_file
from mayak.language import set_language

RUST = (200, 60, 30)


def encoded(image, name, **options):
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def plain(size=(64, 48), colour=RUST):
    return Image.new("RGB", size, colour)


def noise(size=(64, 48)):
    pixels = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def chunk(kind, body):
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


def bomb(side):
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(width, bits, photometric, strip):
    """One row of one channel, little-endian, uncompressed; all fields as LONG."""
    fields = {256: width, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1, 278: 1}
    fields[279] = len(strip)
    fields[273] = 8 + 2 + 12 * len(fields) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, fields[tag]) for tag in sorted(fields))
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4) + strip


COMMON = ["AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "TIFF", "WEBP"]
RARE = ["DDS", "ICO", "PCX", "PPM", "QOI", "SGI", "TGA"]


@pytest.mark.parametrize("name", [*COMMON, *RARE])
def test_every_format_gives_its_pixels_and_its_name(name):
    image = decode(encoded(plain(), name))

    assert image.format in {name, "JPEG" if name == "MPO" else name}
    assert image.pixels.dtype == np.uint8
    assert image.pixels.shape[2] == 3
    assert np.abs(image.pixels.astype(int) - RUST).max() <= 8


def test_heic_is_read_where_the_extra_is_installed():
    pytest.importorskip("pillow_heif")

    image = decode(encoded(plain(), "HEIF"))

    assert image.format == "HEIF"
    assert np.abs(image.pixels.astype(int) - RUST).max() <= 8


def test_heic_without_the_extra_names_the_extra(monkeypatch):
    pytest.importorskip("pillow_heif")
    data = encoded(plain(), "HEIF")
    module = importlib.import_module("mayak.imaging.formats")
    monkeypatch.setattr(module, "tried", lambda: ("JPEG", "PNG"))

    with pytest.raises(DecodeError) as raised:
        decode(data)

    assert "HEIC" in raised.value.message
    assert "mayak[heic]" in raised.value.remedy


@pytest.mark.parametrize("name", ["JPEG", "TIFF"])
def test_cmyk_is_not_inverted(name):
    image = decode(encoded(plain().convert("CMYK"), name))

    assert np.abs(image.pixels.astype(int) - RUST).max() <= 8


def test_16_bit_grey_is_scaled_not_clipped():
    samples = np.array([[0, 32768, 65535]], dtype=np.uint16)

    image = decode(encoded(Image.fromarray(samples), "PNG"))

    assert image.pixels[0, :, 0].tolist() == [0, 128, 255]
    assert image.warnings == ("I;16 samples scaled to 8 bits",)


def test_a_dark_16_bit_portable_greymap_stays_dark():
    image = decode(b"P5 2 1 65535\n" + struct.pack(">HH", 0, 200))

    assert image.pixels[0, :, 0].tolist() == [0, 1]


def test_12_bit_white_is_white():
    image = decode(tiff(2, 12, 1, bytes([0x00, 0x0F, 0xFF])))

    assert image.pixels[0, :, 0].tolist() == [0, 255]


def test_16_bit_with_white_at_zero_is_turned_round():
    image = decode(tiff(2, 16, 0, struct.pack("<HH", 0, 65535)))

    assert image.pixels[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.25, 0.25, 0.25], [64, 64, 64]),  # a range of 0–1 is not stretched
        ([-2.0, 0.0, 2.0], [0, 128, 255]),
        ([0.0, float("nan"), float("inf")], [0, 0, 255]),
        ([float("nan")] * 3, [0, 0, 0]),
    ],
)
def test_float_samples(samples, expected):
    row = Image.fromarray(np.array([samples], dtype=np.float32))

    assert decode(encoded(row, "TIFF")).pixels[0, :, 0].tolist() == expected


def test_palette_colours_and_transparency():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 60, 30])
    image.putdata([0, 1])

    assert decode(encoded(image, "PNG")).pixels[0].tolist() == [[10, 20, 30], [200, 60, 30]]
    clear = decode(encoded(image, "PNG", transparency=0))
    assert clear.pixels[0].tolist() == [[255, 255, 255], [200, 60, 30]]
    assert clear.warnings == ("transparency laid over white",)


def test_half_transparency_is_mixed_with_white_and_an_opaque_channel_is_no_note():
    half = decode(encoded(Image.new("RGBA", (1, 1), (0, 0, 0, 51)), "PNG"))
    opaque = decode(encoded(Image.new("LA", (1, 1), (9, 255)), "PNG"))

    assert half.pixels[0, 0].tolist() == [204, 204, 204]
    assert opaque.pixels[0, 0].tolist() == [9, 9, 9]
    assert opaque.warnings == ()


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_the_first_of_several_frames_is_taken(name):
    options = {"lossless": True} if name == "WEBP" else {}
    second = plain(colour=(0, 255, 0))

    image = decode(encoded(plain(), name, save_all=True, append_images=[second], **options))

    assert np.abs(image.pixels.astype(int) - RUST).max() <= 4
    assert "first of 2 frames" in image.warnings


def test_exif_turns_upright_and_the_stated_size_is_kept():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held turned by 90°
    wide = plain((64, 32), (0, 0, 0))
    wide.paste((255, 255, 255), (0, 0, 64, 16))  # its upper half is the right half upright

    image = decode(encoded(wide, "JPEG", exif=exif))

    assert image.size == (64, 32)
    assert image.pixels.shape == (64, 32, 3)
    assert image.pixels[:, 24:].min() > 200
    assert image.pixels[:, :8].max() < 50


def test_broken_metadata_costs_no_image():
    data = encoded(plain(), "JPEG")
    junk = b"Exif\0\0MM\0*\xff\xff\xff\xffrubbish"
    segment = b"\xff\xe1" + struct.pack(">H", len(junk) + 2) + junk

    image = decode(data[:2] + segment + data[2:])

    assert image.pixels.shape == (48, 64, 3)


def test_an_srgb_profile_changes_nothing_and_a_broken_one_is_noted():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    good = decode(encoded(plain(), "PNG", icc_profile=profile))
    bad = decode(encoded(plain(), "PNG", icc_profile=b"no profile at all"))

    assert good.pixels[0, 0].tolist() == list(RUST)
    assert good.warnings == ()
    assert bad.pixels[0, 0].tolist() == list(RUST)
    assert bad.warnings[0].startswith("colour profile ignored")


def test_a_profile_of_other_primaries_is_converted():
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {
        profile[at : at + 4].decode(): struct.unpack(">I", profile[at + 4 : at + 8])[0]
        for at in range(132, 132 + 12 * struct.unpack(">I", profile[128:132])[0], 12)
    }
    red, blue = tags["rXYZ"], tags["bXYZ"]
    profile[red : red + 20], profile[blue : blue + 20] = (
        profile[blue : blue + 20],
        profile[red : red + 20],
    )

    image = decode(encoded(plain(), "PNG", icc_profile=bytes(profile)))

    assert np.abs(image.pixels[0, 0].astype(int) - RUST[::-1]).max() <= 2


def test_an_empty_file():
    with pytest.raises(DecodeError, match="empty"):
        decode(b"")


@pytest.mark.parametrize("name", ["AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_never_half_an_image(name, kept):
    data = encoded(noise(), name)

    with pytest.raises(DecodeError):
        decode(data[: int(len(data) * kept)])


def test_a_damaged_header_is_told_from_no_image():
    with pytest.raises(DecodeError, match="starts as TIFF"):
        decode(encoded(plain(), "TIFF")[:20])
    with pytest.raises(DecodeError, match="not an image"):
        decode(b"Dear diary, today I met nobody.")


def test_a_decompression_bomb_is_refused():
    with pytest.raises(DecodeError, match="decompression bomb") as raised:
        decode(bomb(20_000))

    assert isinstance(raised.value.__cause__, Image.DecompressionBombError)


@pytest.mark.parametrize(
    "data",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        b"\xd7\xcd\xc6\x9a" + bytes(40),
    ],
)
def test_programs_are_not_run(data):
    with pytest.raises(DecodeError, match="programs and are not run"):
        decode(data)


def test_messages_are_the_same_in_every_run():
    with pytest.raises(DecodeError) as raised:
        decode(b"\0\0\0\x18ftypavif" + bytes(50))

    assert "0x" not in raised.value.message
    assert "\n" not in raised.value.message


def test_messages_in_korean():
    set_language("ko")
    try:
        with pytest.raises(DecodeError, match="비어"):
            decode(b"")
    finally:
        set_language("en")


def test_a_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        decode_file(tmp_path / "없음.jpg")


def test_the_digest_is_of_the_files_bytes(tmp_path):
    path = tmp_path / "image.bmp"
    path.write_bytes(encoded(plain((1, 1)), "BMP"))

    assert decode_file(path) == decode(path.read_bytes())
    assert len(decode_file(path).sha256) == 64
