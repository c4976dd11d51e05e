"""Files are made on the spot with Pillow, or byte by byte where Pillow writes no such file."""

from __future__ import annotations

import contextlib
import importlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

from mayak.errors import DecodeError
from mayak.i18n import render
from mayak.imaging import decode, decode_file, formats, stated_size
from mayak.imaging.frames import other_frames
from mayak.types import Sides

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
    monkeypatch.setattr(module, "decoded_formats", lambda: ("JPEG", "PNG"))

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


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "CR3"),
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
        (b"IIU\0\x18\0\0\0", "RW2"),
        (b"IIRO\x08\0\0\0", "ORF"),
    ],
)
def test_an_image_of_a_format_that_nothing_here_decodes_is_named(start, name):
    data = start + bytes(500)
    assert formats.looks_like_image(data[:512], "x")
    with pytest.raises(DecodeError, match=f"is {name}, which is not decoded"):
        decode(data)


def test_the_stated_size_is_read_without_decoding(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    data = encoded(noise((640, 480)), "JPEG", exif=exif)
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2])
    assert stated_size(tmp_path / "a.jpg") == (640, 480)
    for name, content in (("b.jpg", b"no image"), ("c.png", bomb(20_000))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DecodeError):
            stated_size(tmp_path / name)
    with pytest.raises(OSError, match=r"d\.jpg"):
        stated_size(tmp_path / "d.jpg")


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
    with pytest.raises(DecodeError) as raised:
        decode(b"")
    assert "비어" in render(raised.value.message, "ko")


def test_a_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        decode_file(tmp_path / "없음.jpg")


def test_the_digest_is_of_the_files_bytes(tmp_path):
    path = tmp_path / "image.bmp"
    path.write_bytes(encoded(plain((1, 1)), "BMP"))

    assert decode_file(path) == decode(path.read_bytes())
    assert len(decode_file(path).sha256) == 64


def photograph(size=(1600, 1200), mode="RGB"):
    """Smooth, unlike noise, so that scales and codecs can be compared."""
    rough = np.random.default_rng(4).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC).convert(mode)


@pytest.mark.parametrize(
    ("min_sides", "scale", "shape"),
    [
        ((200, 150), 8, (150, 200)),
        ((201, 10), 4, (300, 400)),
        ((200, 151), 4, (300, 400)),
        ((400, 300), 4, (300, 400)),
        ((401, 300), 2, (600, 800)),
        ((400, 301), 2, (600, 800)),
        ((801, 10), 1, (1200, 1600)),
        ((5000, 10), 1, (1200, 1600)),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_is_decoded_no_smaller_than_asked(mode, min_sides, scale, shape):
    data = encoded(photograph(mode=mode), "JPEG", quality=95)

    image = decode(data, min_sides=Sides(*min_sides))
    whole = decode(data)

    assert (image.scale, image.pixels.shape) == (scale, (*shape, 3))
    assert image.data == (None if scale == 1 else data)
    assert (image.size, image.warnings) == (whole.size, whole.warnings)
    shrunk = Image.fromarray(whole.pixels).resize(shape[::-1], Image.Resampling.BOX)
    assert np.abs(np.asarray(shrunk).astype(int) - image.pixels).mean() < 2
    assert whole.scale == 1


def test_sides_count_however_the_picture_lies_and_odd_ones_round_up():
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = decode(encoded(photograph((1603, 901)), "JPEG", exif=exif), min_sides=Sides(400, 225))
    thin = decode(encoded(photograph((1600, 3)), "JPEG"), min_sides=Sides(100, 0))

    assert (lying.scale, lying.pixels.shape, lying.size) == (4, (401, 226, 3), (1603, 901))
    assert max(thin.pixels.shape) >= 100


@pytest.mark.parametrize("name", ["PNG", "TIFF", "WEBP"])
def test_other_formats_have_no_smaller_scale(name):
    data = encoded(photograph(), name)

    assert decode(data, min_sides=Sides(100, 50)) == decode(data)
    assert decode(data, min_sides=Sides(100, 50)).pixels.shape == (1200, 1600, 3)


@pytest.mark.parametrize("name", ["BMP", "GIF", "JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("kept", [0.3, 0.7])
def test_the_beginning_of_a_truncated_file_is_kept_where_that_is_asked(name, kept):
    # BMP is written from below, so that what is there is the lower part.
    data = encoded(photograph((320, 240)), name)
    whole = decode(data).pixels

    image = decode(data[: int(len(data) * kept)], partial=True)

    same = (image.pixels == whole).all(axis=(1, 2))
    assert image.pixels.shape == whole.shape
    assert 0.1 < same.mean() < 0.9
    assert same[-1 if name == "BMP" else 0]
    assert not same[0 if name == "BMP" else -1]
    assert image.warnings[-1].startswith("incomplete: decoded as far as it goes (OSError: ")


def test_a_damaged_stretch_costs_what_comes_after_it_alone():
    data = bytearray(encoded(photograph((320, 240)), "PNG"))
    data[len(data) // 2] ^= 0xFF

    with pytest.raises(DecodeError):
        decode(bytes(data))
    image = decode(bytes(data), partial=True)

    assert image.pixels[:20].any()
    assert "incomplete" in image.warnings[-1]


def test_a_whole_image_is_the_same_with_and_without_leniency():
    data = encoded(photograph((320, 240)), "JPEG")

    assert decode(data, partial=True) == decode(data)
    assert (decode(data, partial=True).pixels == decode(data).pixels).all()


def test_leniency_and_a_smaller_scale_go_together():
    data = encoded(photograph(), "JPEG")

    image = decode(data[: len(data) // 2], min_sides=Sides(400, 300), partial=True)

    assert (image.scale, image.pixels.shape) == (4, (300, 400, 3))
    assert "incomplete" in image.warnings[-1]


@pytest.mark.parametrize("name", ["AVIF", "BMP", "GIF", "JPEG2000", "PNG", "TIFF", "WEBP"])
def test_a_header_without_a_picture_stays_an_error(name):
    data = encoded(photograph((320, 240)), name)
    header = {"BMP": 54, "GIF": 800, "PNG": 41, "TIFF": 8}.get(name, 60)

    with pytest.raises(DecodeError):
        decode(data[:header], partial=True)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_cut_off_before_its_samples_stays_an_error(mode, progressive):
    data = encoded(photograph((320, 240), mode), "JPEG", progressive=progressive)
    scan = data.index(b"\xff\xda") + 2
    scan += int.from_bytes(data[scan : scan + 2], "big")

    with pytest.raises(DecodeError):
        decode(data[:scan], partial=True)
    assert decode(data[: scan + len(data) // 4], partial=True).warnings


def test_leniency_refuses_bombs_programs_and_noise_without_a_signature():
    for data in (bomb(20_000), b"%!PS-Adobe-3.0 EPSF-3.0\n", encoded(noise(), "TGA")[:3000]):
        with pytest.raises(DecodeError):
            decode(data, partial=True)


def test_leniency_ends_with_the_call():
    data = encoded(photograph((320, 240)), "JPEG")

    for cut in (len(data) // 2, 30):
        with contextlib.suppress(DecodeError):
            decode(data[:cut], partial=True)
        assert not ImageFile.LOAD_TRUNCATED_IMAGES
        with pytest.raises(DecodeError):
            decode(data[:cut])


def film(name, frames, **options):
    """Pictures of one grey each: 10, 20, 30 …"""
    greys = [plain((32, 24), (10 * n, 10 * n, 10 * n)) for n in range(1, frames + 1)]
    return encoded(greys[0], name, save_all=True, append_images=greys[1:], **options)


FILMS = [("GIF", {}), ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})]


def greys(parts):
    return [int(decode(part.read()).pixels[0, 0, 0]) for part in parts]


@pytest.mark.parametrize(("name", "options"), [kind for kind in FILMS if kind[0] != "TIFF"])
def test_three_further_frames_of_an_animation_are_evenly_spaced(name, options):
    frames = other_frames(film(name, 20, **options))

    assert [frame.name for frame in frames] == ["frame 7", "frame 13", "frame 20"]
    assert greys(frames) == [70, 130, 200]


@pytest.mark.parametrize(("name", "options"), FILMS)
def test_a_short_film_gives_all_its_other_frames(name, options):
    assert greys(other_frames(film(name, 3, **options))) == [20, 30]


def test_every_page_of_a_scan_is_given_in_its_own_size():
    pages = [plain((20, 10)), *(plain((30, 40), (n, n, n)) for n in range(9))]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])

    parts = other_frames(data)

    assert [part.name for part in parts] == [f"page {n}" for n in range(2, 11)]
    page = decode(parts[3].read())
    assert (page.size, page.pixels.shape) == ((30, 40), (40, 30, 3))
    assert (page.pixels == 3).all()


def test_the_previews_in_a_camera_file_are_no_pictures_of_their_own():
    data = encoded(plain(), "MPO", save_all=True, append_images=[plain((8, 8))])

    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert other_frames(data) == []


def test_a_page_that_cannot_be_reached_costs_itself():
    data = film("TIFF", 3)

    image = decode(data[: len(data) // 2])

    assert (image.pixels == 10).all()
    assert "the others cannot be counted" in image.warnings[0]


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP", "WEBP"])
def test_a_single_picture_has_no_other_frames(name):
    assert other_frames(encoded(plain(), name)) == []


def test_frames_before_a_damaged_one_are_given_and_the_damaged_one_is_named():
    pictures = [noise((32, 24)) for _ in range(3)]
    pictures[1] = Image.eval(pictures[1], lambda value: 255 - value)
    data = encoded(pictures[0], "PNG", save_all=True, append_images=pictures[1:])
    second, third = other_frames(data[: int(len(data) * 0.9)])

    assert (decode(second.read()).pixels == np.asarray(pictures[1])).all()
    with pytest.raises(DecodeError, match="cannot be decoded"):
        third.read()


def test_what_is_no_image_has_no_frames_either():
    with pytest.raises(DecodeError, match="not an image"):
        other_frames(b"Dear diary")
