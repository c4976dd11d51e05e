from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from chat_samples import chat
from mayak.imaging.thumbnails import thumbnail


def small(pixels):
    return thumbnail(Image.fromarray(pixels))


def opened(pixels):
    return Image.open(io.BytesIO(small(pixels)))


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((600, 800), (320, 240)),
        ((800, 600), (240, 320)),
        ((100, 60), (60, 100)),
        ((1, 5000), (320, 1)),
        ((667, 1000), (320, 213)),
        ((1, 1), (1, 1)),
    ],
)
def test_the_longer_side_is_320_pixels_at_most_and_small_ones_stay(shape, size):
    found = opened(np.zeros((*shape, 3), dtype=np.uint8))

    assert (found.format, found.mode, found.size) == ("JPEG", "RGB", size)


def test_the_picture_stays_what_it_was():
    pixels = np.zeros((600, 800, 3), dtype=np.uint8)
    pixels[:, :400] = (200, 60, 30)

    found = np.asarray(opened(pixels)).astype(int)

    assert np.abs(found[:, 20] - (200, 60, 30)).max() <= 8
    assert found[:, -20].max() <= 8


def test_copies_of_other_sizes_give_nearly_the_same_thumbnail():
    original = chat(["오늘 저녁에 시간 돼?", "응 몇 시에?", "7시 어때"]).resize((1080, 2340))
    whole = np.asarray(Image.open(io.BytesIO(thumbnail(original)))).astype(int)

    for size in ((1079, 2338), (810, 1755), (720, 1560), (540, 1170)):
        copy = original.resize(size, Image.Resampling.LANCZOS)
        found = np.asarray(Image.open(io.BytesIO(thumbnail(copy)))).astype(int)

        assert found.shape == whole.shape
        assert np.abs(found - whole).max() <= 40


def test_the_same_pixels_give_the_same_bytes_and_no_metadata():
    pixels = np.random.default_rng(2).integers(0, 256, (300, 400, 3), dtype=np.uint8)

    assert small(pixels) == small(pixels.copy())
    assert set(opened(pixels).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert not opened(pixels).getexif()
