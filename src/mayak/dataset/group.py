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
    origins: Sequence[Sequence[str]] = (),
    links: Iterable[Link] = (),
    progress: Progress | None = None,
) -> list[str]:
    """Return the name of each image's group: the connected components of all links.

    Linked are images of one origin (``origins`` has the names of each image's phones or sources),
    of equal SHA-256, of similar PDQ hashes and of one scene, as far as these are given, and what
    ``links`` names. Images with hashes of low quality do not match by PDQ.

    A group is named after the first of its origins, or after its smallest SHA-256, so that the name
    depends neither on the order nor on images outside the group.
    """
    named = [*_of_equal(enumerate(digests)), *_of_origins(origins), *_of_hashes(hashes), *links]
    if scenes:
        groups = _components(named, len(digests))
        title = msg("comparing scenes")
        with (progress or SilentProgress()).task(title, None, msg_in("unit", "pairs")) as task:
            named += linked_scenes(scenes, groups, task.advance)
    groups = _components(named, len(digests))
    names: dict[int, tuple[int, str]] = {}
    for at, group in enumerate(groups):
        # Any origin comes before any SHA-256.
        own = [(0, name) for name in origins[at]] if origins else []
        best = min(own or [(1, f"g{digests[at][:16]}")])
        names[group] = min(names.get(group, best), best)
    return [names[group][1] for group in groups]


def _of_equal(named: Iterable[tuple[int, str]]) -> list[Link]:
    """Return links between the images (position, name) that have a name in common."""
    first: dict[str, int] = {}
    return [(first.setdefault(name, at), at) for at, name in named]


def _of_origins(origins: Sequence[Sequence[str]]) -> list[Link]:
    return _of_equal((at, name) for at, names in enumerate(origins) for name in names)


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
