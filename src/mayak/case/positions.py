"""Clusters positions for the visible part of a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""South, west, north, east in degrees, all included; west is greater than east across 180°."""
Degrees = NDArray[np.float64]
Numbers = NDArray[np.int64]

_FINE = 16
"""Number of bins in the reach of a cluster: positions in one bin are never separated."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Images with positions near each other. No image of another cluster is in its box."""

    at: tuple[float, float]
    """Latitude and longitude of the image nearest to the middle. Not the middle itself: possibly no
    image was taken there."""
    count: int
    labels: tuple[int, ...]
    """Number of images by label, from -1 to 3."""
    positions: int
    """Number of distinct positions."""
    box: Box
    """Bounds of the positions."""


def clusters(
    positions: NDArray[np.float32],
    labels: NDArray[np.int8],
    *,
    west: float,
    middle: float,
    reach: float,
) -> list[Cluster]:
    """Cluster N images by their positions (N, 2: latitude and longitude); the largest first.

    A cluster spans ``reach`` degrees of latitude at most, and as far from west to east. The map
    begins at the longitude ``west``; ``middle`` is the latitude by which it is narrowed.

    Positions are split at the widest gap near the middle of their longer side, until all parts are
    small enough. So no boundary of a grid separates neighbours, and boxes never overlap.
    """
    if not len(positions):
        return []
    pairs = np.ascontiguousarray(positions).view(np.uint64)[:, 0]
    _, first, which, times = np.unique(
        pairs, return_index=True, return_inverse=True, return_counts=True
    )
    spots = positions[first]
    flat = flattened(spots, west=west, middle=middle)
    bins = np.floor(flat / (reach / _FINE)).astype(np.int64)
    bins -= bins.min(axis=0)
    wide = int(bins[:, 1].max()) + 1
    filled, of_bin = np.unique(bins[:, 0] * wide + bins[:, 1], return_inverse=True)
    group = _grouped(np.stack(np.divmod(filled, wide), axis=1))[of_bin]
    count = int(group.max()) + 1
    by_label = np.bincount(group[which] * 5 + labels + 1, minlength=5 * count).reshape(count, 5)
    images = np.bincount(group, times)
    centre = [np.bincount(group, flat[:, axis] * times) / images for axis in (0, 1)]
    away = (flat[:, 0] - centre[0][group]) ** 2 + (flat[:, 1] - centre[1][group]) ** 2
    central = _first_of(group, np.argsort(away, kind="stable"))
    northward, eastward = np.argsort(flat, axis=0, kind="stable").T
    south, north = _first_of(group, northward), _first_of(group, northward[::-1])
    left, right = _first_of(group, eastward), _first_of(group, eastward[::-1])
    different = np.bincount(group)
    found = [
        Cluster(
            at=(float(spots[central[n], 0]), float(spots[central[n], 1])),
            count=int(by_label[n].sum()),
            labels=tuple(map(int, by_label[n])),
            positions=int(different[n]),
            box=(
                float(spots[south[n], 0]),
                float(spots[left[n], 1]),
                float(spots[north[n], 0]),
                float(spots[right[n], 1]),
            ),
        )
        for n in range(count)
    ]
    return sorted(found, key=lambda cluster: (-cluster.count, cluster.at))


def flattened(positions: NDArray[np.float32], *, west: float, middle: float) -> Degrees:
    """Return positions on the map (N, 2): northward and eastward, in degrees of latitude."""
    flat = unwrapped(positions, west)
    flat[:, 1] *= np.cos(np.radians(middle))
    return flat


def unwrapped(positions: NDArray[np.float32], west: float) -> Degrees:
    """Return latitudes and longitudes with those west of ``west`` continued beyond 180°."""
    found = positions.astype(np.float64)
    found[found[:, 1] < west, 1] += 360
    return found


def bounds(positions: NDArray[np.float32], there: Degrees) -> Box | None:
    """Return the box of positions, given also ``unwrapped``; None if there are none."""
    if not len(positions):
        return None
    low, high = there.argmin(axis=0), there.argmax(axis=0)
    # The original longitudes: those continued beyond 180° have lost their last digits.
    return (
        float(positions[low[0], 0]),
        float(positions[low[1], 1]),
        float(positions[high[0], 0]),
        float(positions[high[1], 1]),
    )


def _grouped(bins: Numbers) -> Numbers:
    """Return the number of the group of each bin (N, 2), from 0."""
    group = np.zeros(len(bins), np.int64)
    count = 0
    waiting = [np.arange(len(bins))]
    while waiting:
        some = waiting.pop()
        spans = np.ptp(bins[some], axis=0)
        axis = int(spans.argmax())
        if spans[axis] < _FINE:
            group[some] = count
            count += 1
            continue
        order = some[np.argsort(bins[some, axis], kind="stable")]
        along = bins[order, axis]
        gaps = np.diff(along)
        middles = along[:-1] + gaps / 2
        # Gaps are weighted by their distance to both ends: otherwise each cut of a dense cluster,
        # in which all gaps are alike, would take a sliver off its edge.
        inside = np.minimum(middles - along[0], along[-1] - middles)
        cut = int((gaps * inside).argmax()) + 1
        waiting += [order[:cut], order[cut:]]
    return group


def _first_of(group: Numbers, order: Numbers) -> Numbers:
    """Return the first of each group in an order."""
    first = np.zeros(int(group.max()) + 1, np.int64)
    # The last of several writes counts: backwards, the first of the order.
    first[group[order[::-1]]] = order[::-1]
    return first
