"""A JPEG that was decoded at a reduced scale is decoded again at a larger one."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mayak.imaging import decode
from mayak.imaging.redecode import Redecoder
from mayak.types import Sides
from mayak.workers import Lost

SMALL, LARGE = Sides(100, 100), Sides(400, 300)


@pytest.fixture(scope="module")
def photo():
    values = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(values).resize((1600, 1200), Image.Resampling.BICUBIC).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def redecoder():
    with Redecoder(LARGE, 1) as redecoder:
        yield redecoder


def test_it_is_the_image_as_if_decoded_larger_at_once(redecoder, photo):
    first = decode(photo, min_sides=SMALL)
    assert first.scale == 8

    larger = redecoder(first)

    at_once = decode(photo, min_sides=LARGE)
    assert (larger.scale, larger.sha256) == (4, first.sha256)
    assert np.array_equal(larger.pixels, at_once.pixels)


def test_what_is_as_large_already_is_not_decoded_again(redecoder, photo):
    for image in (decode(photo), decode(photo, min_sides=LARGE)):
        assert redecoder(image) is image


def test_what_cannot_be_decoded_larger_stays_as_it_is(redecoder, photo):
    broken = replace(decode(photo, min_sides=SMALL), data=b"no image any more")
    assert redecoder(broken) is broken


class Dying:
    """Stands for workers: the first ``n`` calls lose their process."""

    def __init__(self, n, sandbox):
        self.n, self.sandbox = n, sandbox

    def __call__(self, work):
        self.n -= 1
        return Lost("crashed") if self.n >= 0 else self.sandbox(work)


@pytest.mark.parametrize(("n", "scale"), [(1, 4), (2, 8)])
def test_a_decoder_that_dies_is_tried_once_more_and_then_named(redecoder, photo, n, scale):
    first = decode(photo, min_sides=SMALL)
    lost = []
    dying = Redecoder(LARGE, 1, lost)
    dying._sandbox = Dying(n, redecoder._sandbox)
    assert dying(first).scale == scale
    assert lost == ([first.sha256] if scale == 8 else [])
