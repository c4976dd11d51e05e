"""Which pictures of a case are nearly the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from mayak.case import CaseStore
from mayak.imaging.hashing import PDQ_MATCH_DISTANCE, PDQ_MIN_QUALITY
from mayak.imaging.near import linked


def group(case: CaseStore) -> int:
    """Group near-duplicates anew; how many groups there are."""
    digests, hashes = bytearray(), bytearray()
    for sha256, pdq in case.perceptual_hashes(PDQ_MIN_QUALITY):
        digests += bytes.fromhex(sha256)
        hashes += pdq
    groups = Groups(digests, linked(hashes))
    case.set_groups(groups, distance=PDQ_MATCH_DISTANCE)
    return len(groups)


class Groups(Sequence[list[str]]):
    """SHA-256 by group: sorted, and the groups by their first. Made when asked for, 40 bytes a
    picture until then."""

    def __init__(self, digests: bytes | bytearray, roots: NDArray[np.int64]) -> None:
        """``digests``, 32 bytes each in a row; ``roots``, of shape (N,): pictures with the same one
        are of one group, and a group has two or more."""
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

    @overload
    def __getitem__(self, index: int) -> list[str]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[str]]: ...
    def __getitem__(self, index: int | slice) -> list[str] | list[list[str]]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        begin, end = self._edges[number], self._edges[number + 1]
        members = self._order[begin:end].tolist()
        return [self._digests[32 * at : 32 * at + 32].hex() for at in members]
