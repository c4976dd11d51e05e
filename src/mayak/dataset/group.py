"""Duplicate groups: the same bytes, or the same picture by PDQ, and whatever these chain to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mayak.imaging.hashing import PDQ_MATCH_DISTANCE, PerceptualHash

_BLOCK = 256
"""Rows compared at once: with 20,000 hashes a block takes about 45 MB."""


def group_ids(digests: Sequence[str], hashes: Sequence[PerceptualHash]) -> list[str]:
    """The group's name of each image, given its SHA-256 and its PDQ hash.

    A group is named after the smallest SHA-256 in it, so that the name depends neither on the
    order nor on images outside the group. Hashes of low quality match by SHA-256 alone.
    """
    content = dict(zip(digests, hashes, strict=True))
    unique = sorted(content)
    comparable = [digest for digest in unique if content[digest].usable]
    leaders = dict(zip(unique, unique, strict=True))
    roots = linked([content[digest].bits for digest in comparable])
    # ``comparable`` is sorted, so that the smallest index is the smallest digest.
    leaders.update(
        (digest, comparable[root]) for digest, root in zip(comparable, roots, strict=True)
    )
    return [f"g{leaders[digest][:16]}" for digest in digests]


def linked(hashes: Sequence[bytes]) -> list[int]:
    """For each hash the smallest index of its group: single linkage at the PDQ distance."""
    words: NDArray[np.uint64] = np.frombuffer(b"".join(hashes), dtype=np.uint64).reshape(-1, 4)
    roots = np.arange(len(words))
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK]
        distance = np.zeros((len(block), len(words) - start), dtype=np.uint16)
        for word in range(4):
            distance += np.bitwise_count(block[:, None, word] ^ words[None, start:, word])
        near = distance <= PDQ_MATCH_DISTANCE
        for row in np.flatnonzero(near.sum(axis=1) > 1):
            joined = np.unique(roots[start + np.flatnonzero(near[row])])
            if len(joined) > 1:
                roots[np.isin(roots, joined)] = joined[0]
    return [int(root) for root in roots]
