"""Groups of images that stay in one split: by origin, equal bytes and likeness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mayak.i18n import msg, msg_in
from mayak.imaging.clusters import single_linkage
from mayak.imaging.hashing import PerceptualHash
from mayak.imaging.scenes import SceneFeatures, linked_scenes
from mayak.types import Progress, SilentProgress

Link = tuple[int, int]
"""Two images, by their positions, that are to be in one group."""


def group_ids(
    digests: Sequence[str],
    hashes: Sequence[PerceptualHash] = (),
    *,
    scenes: Sequence[SceneFeatures] = (),
    links: Iterable[Link] = (),
    progress: Progress | None = None,
) -> list[str]:
    """Return the name of each image's group: the connected components of all links.

    Linked are images of equal SHA-256, of similar PDQ hashes and of one scene, as far as these are
    given, and what ``links`` names. Images with hashes of low quality do not match by PDQ.

    A group is named after its smallest SHA-256, so that the name depends neither on the order nor
    on images outside the group.
    """
    named = [*_of_equal(enumerate(digests)), *_of_hashes(hashes), *links]
    if scenes:
        groups = _components(named, len(digests))
        title = msg("comparing scenes")
        with (progress or SilentProgress()).task(title, None, msg_in("unit", "pairs")) as task:
            named += linked_scenes(scenes, groups, task.advance)
    groups = _components(named, len(digests))
    first: dict[int, str] = {}
    for digest, group in zip(digests, groups, strict=True):
        first[group] = min(first.get(group, digest), digest)
    return [f"g{first[group][:16]}" for group in groups]


def join_origins(groups: Sequence[str], origins: Sequence[Sequence[str]]) -> list[str]:
    """Return the name of each image's group after images of one origin are joined; ``origins`` has
    the names of each image's phones or sources.

    A group with an origin is named after the first of its origins.
    """
    named = _of_equal(enumerate(groups))
    named += _of_equal((at, name) for at, names in enumerate(origins) for name in names)
    joined = _components(named, len(groups))
    names: dict[int, tuple[int, str]] = {}
    for at, group in enumerate(joined):
        # Any origin comes before any SHA-256.
        best = min([(0, name) for name in origins[at]] or [(1, groups[at])])
        names[group] = min(names.get(group, best), best)
    return [names[group][1] for group in joined]


def _of_equal(named: Iterable[tuple[int, str]]) -> list[Link]:
    """Return links between the images (position, name) that have a name in common."""
    first: dict[str, int] = {}
    return [(first.setdefault(name, at), at) for at, name in named]


def _of_hashes(hashes: Sequence[PerceptualHash]) -> list[Link]:
    comparable = [at for at, one in enumerate(hashes) if one.usable]
    roots = single_linkage(b"".join(hashes[at].bits for at in comparable)).tolist()
    return [(comparable[root], at) for root, at in zip(roots, comparable, strict=True)]


def _components(links: Sequence[Link], count: int) -> list[int]:
    """Return the number of each image's component."""
    # Here, so that worker processes that decode start without it.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left, right = np.array(links, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(count, count))
    found: list[int] = connected_components(graph, directed=False)[1].tolist()
    return found
