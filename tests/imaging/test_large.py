"""Pictures of 200 megapixels, which some phones take, and what is refused as too large."""

import importlib
import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageDraw

from heic_grid import heic_grid
from mayak.dataset.collect import RawFile
from mayak.dataset.examine import Examined, examine_file
from mayak.errors import DecodeError
from mayak.imaging import colour, decode
from mayak.imaging.decode import decode_picture
from mayak.types import Sides

decoding = importlib.import_module("mayak.imaging.decode")

GALAXY = (16320, 12240)


@pytest.fixture(scope="module")
def photo():
    """A JPEG whose left half is dark and whose right half is light."""
    stream = io.BytesIO()
    image = Image.new("L", GALAXY, 40)
    image.paste(200, (GALAXY[0] // 2, 0, *GALAXY))
    image.save(stream, "JPEG", quality=60)
    return stream.getvalue()


def halves(pixels):
    width = pixels.shape[1]
    return pixels[::100, : width // 2 - 8].mean(), pixels[::100, width // 2 + 8 :].mean()


def test_a_jpeg_of_200_megapixels_is_decoded_smaller(photo):
    image = decode(photo)

    assert image.size == GALAXY
    assert image.pixels.shape == (GALAXY[1] // 2, GALAXY[0] // 2, 3)
    assert image.scale == 2
    assert halves(image.pixels) == pytest.approx((40, 200), abs=2)
    assert image.warnings == ("reduced to 8160 × 6120 pixels",)


def test_a_jpeg_of_200_megapixels_is_decoded_as_small_as_is_asked_for(photo):
    picture = decode_picture(photo, min_sides=Sides(640, 64))

    assert picture.image.size == (GALAXY[0] // 8, GALAXY[1] // 8)
    assert picture.warnings == ()


def test_prepare_takes_a_jpeg_of_200_megapixels(photo, tmp_path):
    (tmp_path / "a.jpg").write_bytes(photo)

    examined = examine_file(RawFile("0/a.jpg", tmp_path / "a.jpg", 0))

    assert isinstance(examined, Examined)
    assert examined.size == GALAXY


def test_a_heic_of_200_megapixels_is_decoded_and_reduced():
    pytest.importorskip("pillow_heif")
    tile = Image.new("RGB", (680, 680), (40, 40, 40))
    ImageDraw.Draw(tile).rectangle((340, 0, 679, 679), fill=(200, 200, 200))

    image = decode(heic_grid(tile, 24, 18))

    assert image.size == GALAXY
    assert image.pixels.shape == (GALAXY[1] // 2, GALAXY[0] // 2, 3)
    assert image.warnings == ("reduced to 8160 × 6120 pixels",)
    first_tile = image.pixels[:340, :340]
    assert halves(first_tile) == pytest.approx((40, 200), abs=4)


def test_a_heic_of_more_tiles_than_libheif_reads_is_not_called_damaged():
    pytest.importorskip("pillow_heif")

    with pytest.raises(DecodeError, match="limit of 1000 items") as raised:
        decode(heic_grid(Image.new("RGB", (64, 64)), 40, 30))

    assert "damaged" not in raised.value.message
    assert "hand" in raised.value.remedy


def test_the_thumbnail_in_a_heic_never_stands_for_its_picture():
    pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((2000, 1500))
    picture.save(stream, "HEIF", thumbnails=[512])

    found = decode_picture(stream.getvalue(), min_sides=Sides(240, 64))

    assert found.image.size == (2000, 1500)


def test_a_progressive_jpeg_is_bounded_by_what_its_decoder_holds(photo):
    """All coefficients of such a file are in memory, at whatever scale it is decoded."""
    stream = io.BytesIO()
    Image.new("L", (64, 64)).save(stream, "JPEG", progressive=True)
    data = bytearray(stream.getvalue())
    at = data.index(b"\xff\xc2") + 5
    data[at : at + 4] = struct.pack(">HH", 16320, 16320)

    with pytest.raises(DecodeError, match="decompression bomb"):
        decode(bytes(data))


def test_so_is_a_jpeg_that_comes_in_several_scans():
    stream = io.BytesIO()
    Image.new("RGB", (64, 64)).save(stream, "JPEG", subsampling=0)
    data = bytearray(stream.getvalue())
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 4] = struct.pack(">HH", 16320, 16320)
    scan = data.index(b"\xff\xda")
    data[scan : scan + 14] = b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\x01\x00\x00\x3f\x00"

    with pytest.raises(DecodeError, match="decompression bomb"):
        decode(bytes(data))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG2000", "TIFF"])
def test_what_would_fill_the_memory_is_refused_by_its_number_of_pixels(kind, monkeypatch):
    stream = io.BytesIO()
    Image.new("RGB", (400, 300)).save(stream, kind)
    monkeypatch.setattr(decoding, "MAX_PIXELS", 400 * 300 - 1)

    with pytest.raises(DecodeError, match="decompression bomb") as raised:
        decode(stream.getvalue())

    assert "copy" not in raised.value.remedy
    monkeypatch.setattr(decoding, "MAX_PIXELS", 400 * 300)
    assert decode(stream.getvalue()).pixels.shape == (300, 400, 3)


def test_pillows_own_guard_stays_on_for_what_lies_inside_a_file():
    """Of an animation whose frame is larger than the picture, or a tile."""
    assert Image.MAX_IMAGE_PIXELS == 225_000_000 // 2


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "CMYK", "LA"])
def test_a_larger_picture_is_handed_on_at_half_its_size(mode, monkeypatch):
    for module in (decoding, colour):
        monkeypatch.setattr(module, "MAX_OUTPUT_PIXELS", 399 * 300)
    stream = io.BytesIO()
    Image.new("RGB", (400, 300), (200, 60, 30)).convert(mode).save(stream, "TIFF")

    image = decode(stream.getvalue())

    assert image.pixels.shape == (150, 200, 3)
    assert image.size == (400, 300)
    assert "reduced to 200 × 150 pixels" in image.warnings
