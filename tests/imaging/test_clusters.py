from __future__ import annotations

import numpy as np
import pytest

from mayak.imaging import clusters
from mayak.imaging.clusters import single_linkage


def bits(*ones):
    """A hash whose bits at these positions are set."""
    values = np.zeros(256, dtype=np.uint8)
    values[list(ones)] = 1
    return np.packbits(values).tobytes()


def by_hand(rows):
    """The smallest index of each row's group, by a walk over a full matrix of distances."""
    rows = rows.astype(np.float32)  # exact, and multiplied fast
    matches = (rows @ (1 - rows.T) + (1 - rows) @ rows.T) <= 31
    roots = [-1] * len(rows)
    for index in range(len(rows)):
        queue = [index] if roots[index] < 0 else []
        while queue:
            found = queue.pop()
            if roots[found] < 0:
                roots[found] = index
                queue.extend(np.flatnonzero(matches[found]).tolist())
    return roots


def planted(size, centres, flipped, seed=5):
    """(size, 256) bits: copies of a few patterns, each bit turned with this probability."""
    random = np.random.default_rng(seed)
    patterns = random.integers(0, 2, (centres, 256), dtype=np.uint8)
    rows = patterns[random.integers(0, centres, size)]
    return rows ^ (random.random(rows.shape) < flipped).astype(np.uint8)


def hashes(rows):
    return [np.packbits(row).tobytes() for row in rows]


def roots(hashes):
    return single_linkage(b"".join(hashes)).tolist()


def test_31_bits_match_and_32_do_not_wherever_they_lie():
    for first in (0, 100, 225):
        assert roots([bits(), bits(*range(first, first + 31))]) == [0, 0]
    for first in (0, 100, 224):
        assert roots([bits(), bits(*range(first, first + 32))]) == [0, 1]


@pytest.mark.parametrize(("centres", "flipped"), [(900, 0.05), (1500, 0.01), (40, 0.06), (3, 0.08)])
def test_the_groups_are_those_of_a_full_comparison(centres, flipped):
    rows = planted(2600, centres, flipped)

    expected = by_hand(rows)

    assert roots(hashes(rows)) == expected
    assert 1 < len(set(expected)) < 2600


def test_joining_early_changes_nothing(monkeypatch):
    rows = planted(2600, 900, 0.05)
    monkeypatch.setattr(clusters, "_PENDING", 7)

    assert roots(hashes(rows)) == by_hand(rows)


def test_a_chain_through_all_the_blocks_is_one_group():
    # A Gray code, each bit twenty times: neighbours differ by 20 bits, others by more than 31.
    codes = np.zeros((3000, 256), dtype=np.uint8)
    for index in range(3000):
        gray = index ^ (index >> 1)
        for bit in range(12):
            codes[index, bit * 20 : bit * 20 + 20] = gray >> bit & 1
    order = np.random.default_rng(1).permutation(3000)

    assert (codes[0] != codes[2000]).sum() > 31
    assert roots(hashes(codes[order])) == [0] * 3000


def test_none_and_one():
    assert roots([]) == []
    assert roots([bits(3)]) == [0]
