from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from mayak.imaging import decode
from mayak.imaging.trailing_data import trailing_data


def saved(kind, seed=1, **options):
    noise = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, kind, **options)
    return stream.getvalue()


def archive():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("a.jpg", saved("JPEG"))
    return stream.getvalue()


IMAGES = {
    "JPEG": ("JPEG", saved("JPEG")),
    "JPEG in several scans": ("JPEG", saved("JPEG", progressive=True)),
    "JPEG with restarts": ("JPEG", saved("JPEG", restart_marker_rows=1)),
    "JPEG in a JPEG": ("JPEG", saved("JPEG", exif=b"Exif\0\0" + saved("JPEG", quality=20))),
    "PNG": ("PNG", saved("PNG")),
}
OTHERS = {
    "ZIP": archive(),
    "PNG": saved("PNG", 2),
    "JPEG": saved("JPEG", 2),
    "PDF": b"%PDF-1.4\n" + bytes(99),
    "RAR": b"Rar!\x1a\x07\1\0" + bytes(99),
    "BMP": saved("BMP"),
}


@pytest.mark.parametrize(("kind", "data"), IMAGES.values(), ids=IMAGES)
def test_what_begins_behind_an_image_is_named(kind, data):
    for name, other in OTHERS.items():
        for between in (b"", bytes(100)):
            told = f"{len(between + other)} bytes after the image's end, which begin as {name}"
            assert trailing_data(data + between + other, kind) == (told,)


@pytest.mark.parametrize(("kind", "data"), IMAGES.values(), ids=IMAGES)
def test_nothing_is_told_of_an_image_alone_or_of_what_nobody_knows(kind, data):
    for more in (b"", bytes(9999), b"SEFT" + bytes(99), b"BMW 320d\n"):
        assert trailing_data(data + more, kind) == ()


@pytest.mark.parametrize(("kind", "data"), IMAGES.values(), ids=IMAGES)
def test_the_video_of_a_motion_photo_is_named(kind, data):
    video = b"\0\0\0\x18ftypmp42" + bytes(99)
    for mark in (b"", b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data"):
        (told,) = trailing_data(data + mark + video, kind)
        assert told.endswith("after the image's end, which begin as MP4 or QuickTime")


@pytest.mark.parametrize(("kind", "data"), IMAGES.values(), ids=IMAGES)
def test_an_image_that_breaks_off_has_no_end(kind, data):
    for length in range(0, len(data) - 1, 97):
        assert trailing_data(data[:length], kind) == ()


def test_further_images_of_a_camera_file_are_its_own():
    pages = [Image.open(io.BytesIO(saved("JPEG", seed))) for seed in (1, 2)]
    stream = io.BytesIO()
    pages[0].save(stream, "MPO", save_all=True, append_images=pages[1:])

    assert trailing_data(stream.getvalue(), "MPO") == ()
    assert trailing_data(saved("GIF") + archive(), "GIF") == ()


def test_it_stands_among_the_warnings_of_an_image():
    (warning,) = decode(saved("JPEG") + archive()).warnings
    assert warning.endswith("bytes after the image's end, which begin as ZIP")
