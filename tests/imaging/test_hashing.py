from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mayak.imaging.hashing import PDQ_MATCH_DISTANCE, perceptual_hash, sha256
from mayak.imaging.thumbnails import overview


def scene(seed):
    rough = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((800, 600), Image.Resampling.BICUBIC)


def distance(one, other):
    pair = (np.frombuffer(hashed.bits, dtype=np.uint8) for hashed in (one, other))
    return int(np.bitwise_count(np.bitwise_xor(*pair)).sum())


def hashed(image):
    return perceptual_hash(overview(image))


def test_sha256_of_nothing():
    # The published value for the empty input (FIPS 180-4 examples).
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def waves(width, height, seed):
    """Seeded smooth colours, the same on every machine."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(width, height)
    turns = draw.integers(1, 12, (3, 6, 2))
    phases = draw.random((3, 6)) * 7
    sums = [
        sum(np.sin(6 * (a * x + b * y) + p) for (a, b), p in zip(*channel, strict=True))
        for channel in zip(turns, phases, strict=True)
    ]
    return np.stack([np.rint((total + 6) * 255 / 12) for total in sums], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("width", "height", "seed", "bits", "quality"),
    [
        (512, 384, 1, "552a407faadfdf955240d59182c02fbffd42399f0a7439c30a1c3981aa3b3bd6", 100),
        (384, 512, 2, "5a90c685181f8ab51fea8ab51eaa73f3d6267ca5c12880c53b8f953a3d7d683a", 100),
        (301, 200, 3, "c42469f0dc6665d0d44580852e2a60ef4eaabdffa39dbf2523bc9f60214bba1b", 100),
        (130, 512, 4, "11145ff07fb4aab8aaa1aaabaaa3444f551e8a8f151eaa8dfff85542001ebab3", 100),
        (64, 48, 5, "c507baadd55880212d4b181f2d37b815e0234a7f1afba01dfafb64519ae3e2ae", 100),
        (37, 90, 6, "47122037f56e5dfc7f610185af1db27fffd0aea4156c6e300027828dc51eaa35", 100),
        (7, 6, 7, "64cb692d6ad53fc064cb618d952a96729b34c07fd56a3f8064cb692d6ad51e70", 90),
        (4, 400, 8, "0000000000000000000000000000000000000000000000000000000000000000", 0),
    ],
)
def test_the_bits_are_those_of_the_reference(width, height, seed, bits, quality):
    # Recorded from pdqhash 0.2.8, which wraps the C++ of PDQ's authors:
    # np.packbits(pdqhash.compute(pixels)[0].astype("uint8")).tobytes().hex()
    found = perceptual_hash(Image.fromarray(waves(width, height, seed)))

    assert found.quality == quality
    # Where two frequencies weigh the same, rounding decides which is above the median.
    recorded = np.frombuffer(bytes.fromhex(bits), dtype=np.uint8)
    assert np.bitwise_count(np.frombuffer(found.bits, dtype=np.uint8) ^ recorded).sum() <= 2


def test_recompression_and_halving_keep_the_hash_within_the_threshold():
    original = scene(1)
    stream = io.BytesIO()
    original.resize((400, 300)).save(stream, "JPEG", quality=40)

    assert distance(hashed(original), hashed(Image.open(stream))) <= PDQ_MATCH_DISTANCE


@pytest.mark.parametrize("width", [4000, 2000, 1023, 640, 300])
def test_the_same_picture_at_another_size_has_nearly_the_same_hash(width):
    rough = np.random.default_rng(3).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    large = Image.fromarray(rough).resize((4032, 3024), Image.Resampling.BICUBIC)
    small = large.resize((width, width * 3 // 4), Image.Resampling.LANCZOS)

    assert distance(hashed(large), hashed(small)) <= PDQ_MATCH_DISTANCE


def test_another_picture_is_far_off():
    assert distance(hashed(scene(1)), hashed(scene(2))) > 60


def test_a_hash_is_256_bits_and_a_flat_picture_is_not_compared():
    flat = hashed(Image.new("RGB", (300, 200), "grey"))

    assert len(flat.bits) == 32
    assert not flat.usable
    assert hashed(scene(1)).usable


def test_the_smallest_and_the_thinnest_image_have_a_hash():
    assert not hashed(Image.new("RGB", (1, 1))).usable
    assert not hashed(Image.new("RGB", (5000, 1))).usable
