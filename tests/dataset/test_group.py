from __future__ import annotations

import numpy as np

from mayak.dataset.group import group_ids, linked
from mayak.imaging.hashing import PerceptualHash


def bits(*ones):
    """A hash whose bits at these positions are set."""
    values = np.zeros(256, dtype=np.uint8)
    values[list(ones)] = 1
    return np.packbits(values).tobytes()


def test_31_bits_match_and_32_do_not():
    assert linked([bits(), bits(*range(31))]) == [0, 0]
    assert linked([bits(), bits(*range(32))]) == [0, 1]


def test_matches_chain():
    # 0–1 and 1–2 differ by 30 bits each, 0–2 by 60; 3 is far from all.
    chain = [bits(), bits(*range(30)), bits(*range(60)), bits(*range(100, 256))]

    assert linked(chain) == [0, 0, 0, 3]
    assert linked([chain[0], chain[2], chain[3], chain[1]]) == [0, 0, 2, 0]


def test_no_hashes():
    assert linked([]) == []


def test_the_same_as_a_plain_search_across_blocks():
    random = np.random.default_rng(5)
    centres = random.integers(0, 2, (150, 256), dtype=np.uint8)
    rows = centres[random.integers(0, 150, 700)]
    flips = random.random(rows.shape) < 0.05
    packed = [np.packbits(row).tobytes() for row in rows ^ flips]

    expected = list(range(700))
    unpacked = (rows ^ flips).astype(int)
    near = (unpacked @ (1 - unpacked.T) + (1 - unpacked) @ unpacked.T) <= 31
    for _ in range(20):  # spread the smallest index along the matches until nothing changes
        expected = [min(expected[j] for j in np.flatnonzero(near[i])) for i in range(700)]

    assert linked(packed) == expected
    assert 1 < len(set(expected)) < 700


def test_groups_are_named_after_their_smallest_digest_in_any_order():
    digests = ["c" * 64, "a" * 64, "b" * 64, "c" * 64]
    hashes = [
        PerceptualHash(bits(), 90),
        PerceptualHash(bits(1), 90),
        PerceptualHash(bits(*range(200)), 90),
        PerceptualHash(bits(), 90),
    ]
    expected = ["g" + "a" * 16, "g" + "a" * 16, "g" + "b" * 16, "g" + "a" * 16]

    assert group_ids(digests, hashes) == expected
    assert group_ids(digests[::-1], hashes[::-1]) == expected[::-1]


def test_flat_pictures_are_grouped_by_their_bytes_alone():
    digests = ["a" * 64, "b" * 64, "a" * 64]
    hashes = [PerceptualHash(bits(), 49), PerceptualHash(bits(), 49), PerceptualHash(bits(), 49)]

    first, second, third = group_ids(digests, hashes)

    assert first == third != second
