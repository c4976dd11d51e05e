"""Single files are decoded as a triage run decodes them."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from mayak.triage.decoding import DecodeRequest, DecodeRules
from mayak.triage.local import LocalStage
from mayak.triage.outside_case import FileDecoder
from mayak.types import EvidenceEntry, EvidencePath, Failure, Sides

SIDES = Sides(300, 200)


@pytest.fixture(scope="module")
def decoder():
    with FileDecoder(1) as decoder:
        yield decoder


def photo(width=1600, height=1200, kind="JPEG"):
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def in_a_run(data):
    """The picture as the stage of a run makes it."""
    entry = EvidenceEntry(EvidencePath("file", "a.jpg"), len(data), lambda: io.BytesIO(data))
    request = DecodeRequest(entry, data, hashlib.sha256(data).hexdigest())
    rules = DecodeRules(32, SIDES, with_pixels=True)
    (batch,) = LocalStage(None, 1).decode(iter([(request,)]), rules)
    return batch.results[-1].image


def test_a_photo_is_decoded_at_the_scale_of_a_run(decoder):
    data = photo()
    found, there = decoder(data, "a.jpg", SIDES), in_a_run(data)
    assert found.scale == there.scale == 4
    assert found == there
    assert (found.pixels == there.pixels).all()
    assert found.data == there.data == data  # to be decoded again for the whole model


def test_a_photo_that_ends_early_is_decoded_as_far_as_it_goes(decoder):
    data = photo()[:200_000]
    found = decoder(data, "a.jpg", SIDES)
    assert any("incomplete" in warning for warning in found.warnings)
    assert (found.pixels == in_a_run(data).pixels).all()


def test_the_first_picture_of_a_film_is_measured(decoder):
    frames = [Image.new("RGB", (64, 48), (0, 60 * n, 0)) for n in range(4)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    assert decoder(stream.getvalue(), "a.gif", SIDES).pixels.max() == 0


@pytest.mark.parametrize(
    ("data", "name", "error", "text"),
    [
        (photo(20, 10, "PNG"), "a.png", "too-small", "leaves it out: smaller than the limit"),
        (b"", "a.png", "empty", "leaves it out: empty file"),
        (b"words", "a.txt", "no-pictures", "leaves it out: a kind without pictures"),
        (b"words", "raw/a.jpg", "Damaged", "does not begin like any known image"),
        (photo(64, 64, "PNG")[:60], "a.png", "DecodeError", ""),
    ],
)
def test_what_a_run_would_not_score_is_a_failure_with_its_reason(decoder, data, name, error, text):
    found = decoder(data, name, SIDES)
    assert isinstance(found, Failure)
    assert (found.path, found.error) == (name, error)
    assert text in found.message
