"""Duplicate groups: connected components of equal bytes and of similar PDQ hashes."""

from __future__ import annotations

from collections.abc import Sequence

from mayak.imaging.clusters import single_linkage
from mayak.imaging.hashing import PerceptualHash


def group_ids(digests: Sequence[str], hashes: Sequence[PerceptualHash]) -> list[str]:
    """Return the name of each image's group, from its SHA-256 and its PDQ hash.

    A group is named after its smallest SHA-256, so that the name depends neither on the order nor
    on images outside the group. Images with hashes of low quality match by SHA-256 only.
    """
    content = dict(zip(digests, hashes, strict=True))
    unique = sorted(content)
    comparable = [digest for digest in unique if content[digest].usable]
    leaders = dict(zip(unique, unique, strict=True))
    roots = single_linkage(b"".join(content[digest].bits for digest in comparable)).tolist()
    # ``comparable`` is sorted, so that the smallest index is the smallest digest.
    leaders.update(
        (digest, comparable[root]) for digest, root in zip(comparable, roots, strict=True)
    )
    return [f"g{leaders[digest][:16]}" for digest in digests]
