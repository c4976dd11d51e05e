"""Finds the Korean city, county or district of a position, offline."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

_NEAR = 0.0045
"""Degrees; simplified boundaries lose the tips of capes, so nearby positions count as inside."""

_PIECE = 2000
"""Positions looked up at once; each is compared with all edges of the districts near it."""


@dataclass(frozen=True, slots=True)
class _Region:
    name: str
    rings: tuple[NDArray[np.float64], ...]
    """Each (N, 2): longitude and latitude of a closed line."""
    box: tuple[float, float, float, float]
    """West, south, east, north."""


def region(latitude: float, longitude: float) -> str | None:
    """Return province and district (Korean) of one position, as ``regions`` does."""
    return regions(np.array([[latitude, longitude]]))[0]


def regions(positions: NDArray[np.floating]) -> list[str | None]:
    """Return province and city, county or district (Korean) of each position.

    ``positions`` has the shape (N, 2): latitude and longitude. Boundaries are those of 2023,
    simplified to about 200 m. A position at sea gets the district of the nearest coast within
    500 m, or None; so does one outside South Korea.
    """
    names: list[str | None] = []
    for start in range(0, len(positions), _PIECE):
        names += _named(positions[start : start + _PIECE].astype(np.float64))
    return names


def _named(positions: NDArray[np.float64]) -> list[str | None]:
    found = np.full(len(positions), -1)
    around = [(0.0, 0.0), *((a * _NEAR, b * _NEAR) for a in (-1, 0, 1) for b in (-1, 0, 1))]
    for offset in around:
        left = np.flatnonzero(found < 0)
        found[left] = _numbers(positions[left] + offset)
    return [None if number < 0 else _regions()[number].name for number in found]


def _numbers(positions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the index of each position's region, or -1."""
    latitude, longitude = positions.T
    found = np.full(len(positions), -1)
    for number, one in enumerate(_regions()):
        west, south, east, north = one.box
        near = (west <= longitude) & (longitude <= east) & (south <= latitude) & (latitude <= north)
        at = np.flatnonzero(near & (found < 0))
        if at.size:
            # Inside an odd number of rings: rings are islands of a district, or holes in them.
            crossed = [_inside(ring, longitude[at], latitude[at]) for ring in one.rings]
            found[at[np.logical_xor.reduce(crossed)]] = number
    return found


def _inside(
    ring: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether a line from each point to the east crosses the ring an odd number of times."""
    above = ring[:, 1] > y[:, None]
    point, edge = np.nonzero(above[:, 1:] != above[:, :-1])
    (x1, y1), (x2, y2) = ring[edge].T, ring[edge + 1].T
    crossed = point[x[point] < (x2 - x1) * (y[point] - y1) / (y2 - y1) + x1]
    odd: NDArray[np.bool_] = np.bincount(crossed, minlength=len(x)) % 2 == 1
    return odd


@cache
def _regions() -> tuple[_Region, ...]:
    text = (files("mayak.review") / "static" / "korea.json").read_text(encoding="utf-8")
    values = json.loads(text)
    found = []
    for one in values["regions"]:
        rings = tuple(
            np.cumsum(np.array(ring, np.float64).reshape(-1, 2), axis=0) / values["unit"]
            for ring in one["rings"]
        )
        every = np.concatenate(rings)
        box = (*every.min(axis=0).tolist(), *every.max(axis=0).tolist())
        found.append(_Region(one["name"], rings, box))
    return tuple(found)
