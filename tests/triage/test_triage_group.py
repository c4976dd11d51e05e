from __future__ import annotations

import numpy as np
import pytest

from mayak.triage.group import Groups


def digest(number):
    return f"{number:064x}"


def groups(roots, numbers):
    packed = b"".join(bytes.fromhex(digest(number)) for number in numbers)
    return Groups(packed, np.array(roots, dtype=np.int64))


def test_groups_are_sorted_and_pictures_without_another_are_in_none():
    found = groups([0, 1, 2, 1, 0, 5, 1], [9, 2**200, 1, 7, 3, 0, 8])

    assert list(found) == [[digest(3), digest(9)], [digest(7), digest(8), digest(2**200)]]
    assert (len(found), found[-1], found[:1]) == (2, found[1], [found[0]])
    with pytest.raises(IndexError):
        found[2]


@pytest.mark.parametrize("roots", [[], [0], [0, 1, 2]])
def test_there_may_be_none(roots):
    assert list(groups(roots, range(len(roots)))) == []
