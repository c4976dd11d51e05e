"""Groups near-duplicates, and stacks copies of the same picture within each group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import overload

import numpy as np
from numpy.typing import NDArray

from mayak.case import CaseStore
from mayak.errors import MayakError
from mayak.imaging.clusters import single_linkage
from mayak.imaging.hashing import PDQ_MATCH_DISTANCE, PDQ_MIN_QUALITY, PDQ_SAME_DISTANCE
from mayak.imaging.same import ComparisonThumbnail, same_picture

_MAX_STACK = 64
"""Pictures in a stack."""
_MAX_COMPARISONS = 64
"""Comparisons of one picture with others; after that it starts a stack of its own. Bounds the time
for thousands of pictures of a camera that did not move."""
_MAX_LOOKS = 128
"""Thumbnails kept in memory for comparison, 1.6 MB each."""


def group(case: CaseStore) -> int:
    """Group the pictures that are alike, stack the same ones within each group, and return how many
    groups there are.

    The result does not depend on the order in which the pictures were added.
    """
    digests, hashes = bytearray(), bytearray()
    for sha256, pdq in case.perceptual_hashes(PDQ_MIN_QUALITY):
        digests += bytes.fromhex(sha256)
        hashes += pdq
    groups = Groups(digests, single_linkage(hashes))
    words = np.frombuffer(hashes, dtype=np.uint64).reshape(-1, 4)
    is_same = _comparison(case)
    stacks: list[list[str]] = []
    for number, members in enumerate(groups):
        found = stacked(words[groups.rows(number)], members, is_same)
        stacks.extend(sorted(found, key=lambda stack: stack[0]))
    case.set_groups(
        groups,
        distance=PDQ_MATCH_DISTANCE,
        stacks=stacks,
        stack_distance=PDQ_SAME_DISTANCE,
    )
    return len(groups)


def stacked(
    hashes: NDArray[np.uint64], names: Sequence[str], is_same: Callable[[str, str], bool]
) -> list[list[str]]:
    """Return the stacks of two pictures or more; ``hashes``: PDQ, shape (N, 4).

    Complete linkage: any two pictures of a stack differ by ten bits at most, and ``is_same`` is
    true for them. Greedy: each picture goes into the nearest stack that it fits into. Pictures with
    the most others within ten bits go first, so that they decide what fits, not a distant copy.
    """
    around = np.array([(_bits(hashes ^ pdq) <= PDQ_SAME_DISTANCE).sum() for pdq in hashes])
    stacks: list[list[int]] = []
    firsts = np.empty_like(hashes)
    for row in np.argsort(-around, kind="stable")[: (around > 1).sum()].tolist():
        pdq = hashes[row]
        away = _bits(firsts[: len(stacks)] ^ pdq)
        near = np.flatnonzero(away <= PDQ_SAME_DISTANCE)
        left = _MAX_COMPARISONS
        for number in near[np.argsort(away[near], kind="stable")].tolist():
            stack = stacks[number]
            if len(stack) > min(left, _MAX_STACK - 1):
                continue
            if _bits(hashes[stack] ^ pdq).max() > PDQ_SAME_DISTANCE:
                continue
            differing = next(
                (n for n, other in enumerate(stack, 1) if not is_same(names[other], names[row])),
                None,
            )
            if differing is None:
                stack.append(row)
                break
            left -= differing
        else:
            firsts[len(stacks)] = pdq
            stacks.append([row])
    return [[names[row] for row in sorted(stack)] for stack in stacks if len(stack) > 1]


def _bits(differing: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count the bits that are set in each row."""
    counts: NDArray[np.int64] = np.bitwise_count(differing).sum(axis=1, dtype=np.int64)
    return counts


def _comparison(case: CaseStore) -> Callable[[str, str], bool]:
    """Return a function that compares two contents of a case by their thumbnails."""

    @lru_cache(_MAX_LOOKS)
    def look(sha256: str) -> ComparisonThumbnail | None:
        content = case.content(sha256)
        if content is None:
            return None
        try:
            thumbnail = case.thumbnail(content)
        except MayakError:  # also if the file is not the one that was written
            return None
        if thumbnail is None:
            return None
        try:
            return ComparisonThumbnail.of(thumbnail, max(content.width, content.height))
        except Exception:  # noqa: BLE001 - a thumbnail that cannot be decoded proves nothing
            return None

    def is_same(one: str, other: str) -> bool:
        first, second = look(one), look(other)
        return first is not None and second is not None and same_picture(first, second)

    return is_same


class Groups(Sequence[list[str]]):
    """SHA-256 by group, sorted; the groups sorted by their first. A group is built when it is
    accessed; until then it takes 40 bytes a picture."""

    def __init__(self, digests: bytes | bytearray, roots: NDArray[np.int64]) -> None:
        """``digests``: concatenated, 32 bytes each. ``roots``, shape (N,): pictures with the same
        root form a group, if there are two or more."""
        words = np.frombuffer(digests, dtype=">u8").reshape(-1, 4)
        sorting = np.lexsort(words.T[::-1])
        _, first, group, sizes = np.unique(
            roots[sorting], return_index=True, return_inverse=True, return_counts=True
        )
        together = np.argsort(first[group], kind="stable")
        together = together[sizes[group[together]] > 1]
        self._digests = digests
        self._order = sorting[together]
        changes = np.flatnonzero(np.diff(first[group[together]])) + 1
        edges = [0, *changes.tolist(), len(together)] if len(together) else [0]
        self._edges = np.array(edges, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._edges) - 1

    def rows(self, number: int) -> NDArray[np.int64]:
        """Return the indices of a group's members among all pictures, in the group's order."""
        rows: NDArray[np.int64] = self._order[self._edges[number] : self._edges[number + 1]]
        return rows

    @overload
    def __getitem__(self, index: int) -> list[str]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[str]]: ...
    def __getitem__(self, index: int | slice) -> list[str] | list[list[str]]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        members = self.rows(range(len(self))[index]).tolist()
        return [self._digests[32 * at : 32 * at + 32].hex() for at in members]
