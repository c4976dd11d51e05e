from __future__ import annotations

import numpy as np

from mayak.dataset.group import group_ids
from mayak.imaging.hashing import PerceptualHash


def bits(*ones):
    """A hash whose bits at these positions are set."""
    values = np.zeros(256, dtype=np.uint8)
    values[list(ones)] = 1
    return np.packbits(values).tobytes()


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


def test_images_of_one_origin_are_one_group_and_likeness_joins_on_top():
    digests = [letter * 64 for letter in "abcde"]
    far = [PerceptualHash(bits(*range(60 * n, 60 * n + 50)), 90) for n in range(4)]
    origins = [("phone-03",), ("phone-07",), ("phone-03",), (), ()]

    names = group_ids(digests, [*far, PerceptualHash(bits(*range(60, 109)), 90)], origins=origins)

    assert names == ["phone-03", "phone-07", "phone-03", "g" + "d" * 16, "phone-07"]


def test_a_copy_on_two_phones_makes_them_one_group():
    digests = ["a" * 64, "b" * 64, "b" * 64]

    names = group_ids(digests, origins=[("x",), ("x",), ("k",)])

    assert names == ["k", "k", "k"]


def test_what_the_caller_links_is_one_group():
    digests = [letter * 64 for letter in "abc"]

    assert group_ids(digests, links=[(2, 1)]) == ["g" + "a" * 16, "g" + "b" * 16, "g" + "b" * 16]
