"""Counts of the contents that a filter chooses: by value, over time, and on the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mayak.case.index import UNKNOWN_TIME, Flags, Ints, Small
from mayak.case.positions import Box, bounds, clusters, unwrapped
from mayak.case.query import Filter, View

_SHOWN = 60
"""Number of values of a facet that are returned, the most frequent ones."""
_BINS = 120


def facets(view: View, masks: Mapping[str, Flags], every: Flags) -> dict[str, Any]:
    """Count the contents that another value of one condition would choose.

    ``masks`` are those of the filter, and ``every`` is all of them together.
    """
    index, run = view.index, view.run

    def others(*names: str) -> Flags:
        if not any(name in masks for name in names):
            return every
        return view.all_of({name: mask for name, mask in masks.items() if name not in names})

    labels = np.bincount(run.label[others("labels")] + 1, minlength=5)
    by_verdict = others("verdicts", "state")
    verdicts = np.bincount(view.verdicts[by_verdict] + 1, minlength=5)
    return {
        "label": {str(n - 1): int(count) for n, count in enumerate(labels)},
        "verdict": {str(n - 1): int(count) for n, count in enumerate(verdicts)},
        "state": {
            "open": int(verdicts[0]),
            "decided": int(verdicts[1:].sum()),
            "differing": int((view.differing & by_verdict).sum()),
        },
        "flags": {
            name: int((column & others(name)).sum())
            for name, column in (
                ("deleted", index.deleted),
                ("alert", index.alert),
                ("failed", run.failed),
                ("located", view.located),
            )
        },
        "camera": _counted(index.camera[others("camera")], index.cameras.texts),
        "source": _counted_items(view, others("source"), index.item_source),
        "folder": [
            [index.folders.texts[number], count]
            for number, count in _counted_items(view, others("folder"), index.item_folder)
        ],
    }


def _counted(numbers: Small, texts: Sequence[str]) -> list[tuple[str, int]]:
    """The most frequent texts; an empty text is for contents without one."""
    counts = np.bincount(numbers + 1, minlength=len(texts) + 1)
    top = np.argsort(-counts, kind="stable")[:_SHOWN]
    return [("" if n == 0 else texts[n - 1], int(counts[n])) for n in top if counts[n]]


def _counted_items(
    view: View, chosen: Flags, column: NDArray[np.int16] | Small
) -> list[tuple[int, int]]:
    """The most frequent numbers in a column of the items that hold the chosen contents."""
    held = view.index.item_content >= 0
    held[held] = chosen[view.index.item_content[held]]
    counts = np.bincount(column[held])
    top = np.argsort(-counts, kind="stable")[:_SHOWN]
    return [(int(n), int(counts[n])) for n in top if counts[n]]


def timeline(view: View, wanted: Filter) -> dict[str, Any]:
    """Count contents over time, in bins of hours, days or multiples of them.

    The times in the filter do not restrict the choice.
    """
    chosen = view.chosen(replace(wanted, since=None, until=None))
    time, label = view.index.time[chosen], view.run.label[chosen]
    known = time != UNKNOWN_TIME
    unknown = int((~known).sum())
    time, label = time[known], label[known]
    if not time.size:
        return {"step": 86400, "bins": [], "unknown": unknown}
    # A few clocks that were never set must not squeeze the rest into one bin.
    low, high = (int(t) for t in np.percentile(time, (0.5, 99.5), method="nearest"))
    steps = (3600, 21600, 86400, 604800, 2592000, 31536000)
    step = next((s for s in steps if (high - low) // s < _BINS), steps[-1])
    numbers, counts = np.unique((time // step) * 5 + (label + 1), return_counts=True)
    bins: dict[int, list[int]] = {}
    for number, count in zip(numbers, counts, strict=True):
        bins.setdefault(int(number) // 5, [0] * 5)[int(number) % 5] = int(count)
    return {
        "step": step,
        "bins": [[number * step, *counted] for number, counted in sorted(bins.items())],
        "unknown": unknown,
    }


def position_map(
    view: View, wanted: Filter, sight: Box | None = None, reach: float | None = None
) -> dict[str, Any]:
    """Cluster contents by position for a map.

    Returns the clusters in ``sight`` (None: all), the number of their contents and their box, the
    box of all contents, and the number of contents without a position. ``reach`` is the maximum
    extent of a cluster in degrees of latitude. Longitudes of ``sight`` and of the box of all
    contents continue beyond 180° if those of the filter's box do.
    """
    chosen, located = view.chosen(wanted), view.located
    unknown = int((chosen & ~located).sum())
    position = view.index.position[chosen & located]
    label = view.run.label[chosen & located]
    if not len(position):
        return {"clusters": [], "count": 0, "box": None, "all": None, "unknown": unknown}
    west = -180.0
    if wanted.box is not None and wanted.box[1] > wanted.box[3]:
        west = wanted.box[1]
    there = unwrapped(position, west)
    every = (*there.min(axis=0).tolist(), *there.max(axis=0).tolist())
    shown = every if sight is None else sight
    inside = ((there >= shown[:2]) & (there <= shown[2:])).all(axis=1)
    side = max(shown[2] - shown[0], shown[3] - shown[1])
    found = clusters(
        position[inside],
        label[inside],
        west=west,
        middle=(shown[0] + shown[2]) / 2,
        # A minimum, so that the number of clusters in an answer is bounded.
        reach=max(side / 20 if reach is None else reach, side / 200, 1e-5),
    )
    return {
        "clusters": [asdict(cluster) for cluster in found],
        "count": int(inside.sum()),
        "box": bounds(position[inside], there[inside]),
        "all": every,
        "unknown": unknown,
    }


def distinct_positions(view: View, wanted: Filter) -> tuple[NDArray[np.float32], Ints]:
    """Return the distinct positions (N, 2: latitude, longitude) of contents, and how many contents
    have each."""
    position = view.index.position[view.chosen(wanted)]
    return np.unique(position[np.isfinite(position[:, 0])], axis=0, return_counts=True)
