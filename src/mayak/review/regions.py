"""Which Korean city, county or district a position lies in, without asking anybody."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

_NEAR = 0.0045
"""Degrees: simplifying takes the tips of capes away."""


@dataclass(frozen=True, slots=True)
class _Region:
    name: str
    rings: tuple[NDArray[np.float64], ...]
    """Each (N, 2): longitude and latitude of a closed line."""
    box: tuple[float, float, float, float]
    """West, south, east, north."""


def region(latitude: float, longitude: float) -> str | None:
    """Province and city, county or district (Korean), by boundaries of 2023 simplified to some
    200 m, or those of the nearest coast within 500 m; None outside South Korea and at sea."""
    around = [(0.0, 0.0), *((a * _NEAR, b * _NEAR) for a in (-1, 0, 1) for b in (-1, 0, 1))]
    for north, east in around:
        if (name := _at(latitude + north, longitude + east)) is not None:
            return name
    return None


def _at(latitude: float, longitude: float) -> str | None:
    for found in _regions():
        west, south, east, north = found.box
        if not (west <= longitude <= east and south <= latitude <= north):
            continue
        # In the land of an odd number of rings: the islands of a district and the holes in them.
        if sum(_inside(ring, longitude, latitude) for ring in found.rings) % 2:
            return found.name
    return None


def _inside(ring: NDArray[np.float64], x: float, y: float) -> bool:
    """Whether a line to the east crosses the ring an odd number of times."""
    x1, y1 = ring[:-1].T
    x2, y2 = ring[1:].T
    over = (y1 > y) != (y2 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = x < (x2 - x1) * (y - y1) / (y2 - y1) + x1
    return bool((over & crossing).sum() % 2)


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
