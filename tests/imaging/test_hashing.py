from __future__ import annotations

import io

import numpy as np
from PIL import Image

from mayak.imaging.hashing import PDQ_MATCH_DISTANCE, perceptual_hash, sha256


def scene(seed):
    rough = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((800, 600), Image.Resampling.BICUBIC)


def distance(one, other):
    pair = (np.frombuffer(hashed.bits, dtype=np.uint8) for hashed in (one, other))
    return int(np.bitwise_count(np.bitwise_xor(*pair)).sum())


def hashed(image):
    return perceptual_hash(np.asarray(image))


def test_sha256_of_nothing():
    # The published value for the empty input (FIPS 180-4 examples).
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_recompression_and_halving_keep_the_hash_within_the_threshold():
    original = scene(1)
    stream = io.BytesIO()
    original.resize((400, 300)).save(stream, "JPEG", quality=40)

    assert distance(hashed(original), hashed(Image.open(stream))) <= PDQ_MATCH_DISTANCE


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
