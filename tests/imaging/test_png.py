"""PNG with more text than Pillow takes, and Apple's variant."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from mayak.dataset.collect import RawFile
from mayak.dataset.examine import Examined, examine_file
from mayak.errors import DecodeError
from mayak.imaging import decode
from mayak.imaging.decode import decode_picture
from mayak.imaging.png import without_large_texts

MIB = 1 << 20


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def picture():
    pixels = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue(), pixels


def with_chunks(*chunks, after=False):
    data, _ = picture()
    at = len(data) - 12 if after else 33
    return data[:at] + b"".join(chunks) + data[at:]


def text(size):
    return chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(size)))


ODD = {
    "zTXt": (with_chunks(text(2 * MIB)), "1 text chunks left unread: too large"),
    "behind the pixels": (
        with_chunks(text(2 * MIB), after=True),
        "1 text chunks left unread: too large",
    ),
    "iTXt": (
        with_chunks(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2 * MIB)))),
        "1 text chunks left unread: too large",
    ),
    "iCCP": (
        with_chunks(chunk(b"iCCP", b"big\0\0" + zlib.compress(bytes(2 * MIB)))),
        "colour profile ignored: larger than 1 MiB",
    ),
    "66 MiB in all": (with_chunks(*[text(MIB - 1)] * 66), "1 text chunks left unread: too large"),
}


@pytest.mark.parametrize("case", ODD)
def test_large_texts_and_profiles_cost_no_pixel(case, tmp_path):
    data, warning = ODD[case]
    _, pixels = picture()

    image = decode(data)

    assert np.array_equal(image.pixels, pixels)
    assert [w for w in image.warnings if "left unread" in w or "ignored" in w]
    assert not any("incomplete" in w for w in image.warnings)
    assert decode_picture(data, partial=True).warnings == image.warnings
    if case != "66 MiB in all":
        assert image.warnings == (warning,)
    (tmp_path / "a.png").write_bytes(data)
    assert isinstance(examine_file(RawFile("0/a.png", tmp_path / "a.png", 0)), Examined)


def test_small_texts_stay():
    data = with_chunks(text(1000), chunk(b"tEXt", b"Comment\0hello"))

    assert without_large_texts(data) == (data, [])
    assert decode(data).warnings == ()


def test_a_text_that_is_left_out_is_not_unpacked():
    bomb = with_chunks(text(200 * MIB))

    tracemalloc.start()
    lean, _ = without_large_texts(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert lean == picture()[0]
    assert peak < 8 * MIB


def test_a_png_for_ios_is_named_as_that():
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"CgBI", bytes(4)) + with_chunks()[8:]
    raw = zlib.compressobj(wbits=-15)
    packed = raw.compress(bytes(30 * 121)) + raw.flush()
    ihdr = data[24 : 24 + 25]
    data = data[:24] + ihdr + chunk(b"IDAT", packed) + chunk(b"IEND", b"")

    with pytest.raises(DecodeError, match="iOS-optimised PNG"):
        decode(data)
    with pytest.raises(DecodeError, match="iOS-optimised PNG"):
        decode(data, partial=True)
