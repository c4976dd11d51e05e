"""Cluster pictures by their PDQ hashes: single linkage, the connected components of all matches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mayak.imaging.hashing import PDQ_MATCH_DISTANCE

_ROWS, _COLUMNS = 128, 1024
"""Pairs compared at once; their words and distances, 1.3 MB, fit into a processor's cache."""

_PENDING = 2**17
"""Matches collected before they are joined, 16 bytes each; pairs of one cluster are not compared
further."""


def single_linkage(hashes: bytes | bytearray) -> NDArray[np.int64]:
    """Return for each of N PDQ hashes (32 bytes each, concatenated) the smallest index in its
    cluster, shape (N,); pictures are linked up to the PDQ match distance.

    Exact: all pairs are compared, O(N²) on one core. Memory is O(N), however many match.
    """
    words = np.frombuffer(hashes, dtype=np.uint64).reshape(-1, 4)
    columns = np.ascontiguousarray(words.T)
    roots = np.arange(len(words))
    pending: list[NDArray[np.int64]] = []
    count = 0
    for start in range(0, len(words), _ROWS):
        for at in range(start, len(words), _COLUMNS):
            matches = _matches(columns, roots, start, at)
            if matches.size:
                pending.append(matches)
                count += matches.shape[1]
            if count >= _PENDING:
                roots = _joined(roots, pending)
                pending, count = [], 0
    return _joined(roots, pending)


def has_match(hashes: bytes, others: bytes) -> NDArray[np.bool_]:
    """Return for each of N PDQ hashes (concatenated) whether one of the M others is within the
    match distance, shape (N,); O(N · M), on one core."""
    words = np.frombuffer(hashes, dtype=np.uint64).reshape(-1, 4)
    columns = np.ascontiguousarray(np.frombuffer(others, dtype=np.uint64).reshape(-1, 4).T)
    found = np.zeros(len(words), dtype=bool)
    for start in range(0, len(words), _ROWS):
        rows = words[start : start + _ROWS].T
        for at in range(0, columns.shape[1], _COLUMNS):
            part = columns[:, at : at + _COLUMNS]
            # Half of the bits reject nearly all pairs.
            half = np.bitwise_count(rows[0, :, None] ^ part[0])
            half += np.bitwise_count(rows[1, :, None] ^ part[1])
            left, right = np.nonzero(half <= PDQ_MATCH_DISTANCE)
            distance = np.bitwise_count(rows[:, left] ^ part[:, right]).sum(axis=0, dtype=np.uint16)
            found[start + left[distance <= PDQ_MATCH_DISTANCE]] = True
    return found


def _matches(
    columns: NDArray[np.uint64], roots: NDArray[np.int64], start: int, at: int
) -> NDArray[np.int64]:
    """Return (2, N) roots of the pairs of one block that match and are not in one cluster yet."""
    rows = slice(start, start + _ROWS)
    others = slice(at, at + _COLUMNS)
    # Half of the bits reject nearly all pairs; the other half is read only for the rest.
    half = np.bitwise_count(columns[0, rows, None] ^ columns[0, None, others])
    half += np.bitwise_count(columns[1, rows, None] ^ columns[1, None, others])
    left, right = np.nonzero(half <= PDQ_MATCH_DISTANCE)
    left += start
    right += at
    apart = roots[left] != roots[right]
    left, right = left[apart], right[apart]
    distance = np.bitwise_count(columns[:, left] ^ columns[:, right]).sum(axis=0, dtype=np.uint16)
    near = distance <= PDQ_MATCH_DISTANCE
    matches: NDArray[np.int64] = roots[np.stack([left[near], right[near]])]
    return matches


def _joined(roots: NDArray[np.int64], pending: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the roots after the matching clusters are merged, each named by its smallest index."""
    if not pending:
        return roots
    # Here, so that worker processes that decode start without it.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left, right = np.concatenate(pending, axis=1)
    size = len(roots)
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    # A root has the label of its cluster, and the first index of a label is the smallest.
    _, first = np.unique(labels, return_index=True)
    joined: NDArray[np.int64] = first[labels[roots]]
    return joined
