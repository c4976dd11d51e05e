"""Clusters of positions on a map, for the part of it that is in sight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""South, west, north, east in degrees, all included; west is greater than east across 180°."""
Degrees = NDArray[np.float64]
Numbers = NDArray[np.int64]

_FINE = 16
"""Bins by which a cluster's reach is divided: positions in one bin are never separated."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Images whose positions are near each other. No image of another cluster is in its box."""

    at: tuple[float, float]
    """Latitude and longitude of the image nearest to the middle. Not the middle itself: that may be
    a place where no image was taken."""
    count: int
    labels: tuple[int, ...]
    """Images by label, from -1 to 3."""
    positions: int
    """Different ones."""
    box: Box
    """Of the positions themselves."""


def clusters(
    places: NDArray[np.float32],
    labels: NDArray[np.int8],
    *,
    west: float,
    middle: float,
    reach: float,
) -> list[Cluster]:
    """Cluster N images by their positions (N, 2: latitude and longitude); the largest first.

    A cluster spans ``reach`` degrees of latitude at most, and as far from west to east. The map
    begins at the longitude ``west``; ``middle`` is the latitude by which it is narrowed.

    Positions are cut apart at the widest gap near the middle of their longer side, until all parts
    are small enough. So no boundary of a grid separates neighbours, and boxes never overlap.
    """
    if not len(places):
        return []
    pairs = np.ascontiguousarray(places).view(np.uint64)[:, 0]
    _, first, which, times = np.unique(
        pairs, return_index=True, return_inverse=True, return_counts=True
    )
    spots = places[first]
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


def flattened(places: NDArray[np.float32], *, west: float, middle: float) -> Degrees:
    """Positions on the map (N, 2): to the north and to the east, in degrees of latitude."""
    flat = unwrapped(places, west)
    flat[:, 1] *= np.cos(np.radians(middle))
    return flat


def unwrapped(places: NDArray[np.float32], west: float) -> Degrees:
    """Latitudes and longitudes of which none is west of ``west``: those go on beyond 180°."""
    found = places.astype(np.float64)
    found[found[:, 1] < west, 1] += 360
    return found


def bounds(place: NDArray[np.float32], there: Degrees) -> Box | None:
    """The box of positions, given them as they are and ``unwrapped``; None if there are none."""
    if not len(place):
        return None
    low, high = there.argmin(axis=0), there.argmax(axis=0)
    # The positions' own longitudes: those that go on beyond 180° have lost their last digits.
    return (
        float(place[low[0], 0]),
        float(place[low[1], 1]),
        float(place[high[0], 0]),
        float(place[high[1], 1]),
    )


def _grouped(bins: Numbers) -> Numbers:
    """The number of the group of each bin (N, 2), from 0."""
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
        # A gap counts the more, the farther it is from both ends: else each cut of a crowd, in
        # which all gaps are alike, would take a sliver off its edge.
        inside = np.minimum(middles - along[0], along[-1] - middles)
        cut = int((gaps * inside).argmax()) + 1
        waiting += [order[:cut], order[cut:]]
    return group


def _first_of(group: Numbers, order: Numbers) -> Numbers:
    """The first of each group in an order."""
    first = np.zeros(int(group.max()) + 1, np.int64)
    # Of several writes the last one counts: backwards, the first of the order.
    first[group[order[::-1]]] = order[::-1]
    return first
