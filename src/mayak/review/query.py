"""Parses the query string of an address: filter, sort and part of the map."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from mayak.case import SORTS, STATES, Box, Filter, Sort
from mayak.errors import ConfigError
from mayak.i18n import msg
from mayak.labels import LABELS

Value = TypeVar("Value")

_LONGEST = 4096
_LARGEST = 1e9
"""Limit of decimal numbers: above any score or degree; the columns have 32 bits."""


def parse_filter(query: Mapping[str, str]) -> Filter:
    """Return the filter of an address. Other keys are ignored.

    Raises:
        ConfigError: a value is wrong; the message names its key.
    """
    values = {
        field: _read(key, query[key], parse)
        for key, (field, parse) in _KEYS.items()
        if query.get(key)
    }
    return Filter(**values)


def parse_sort(query: Mapping[str, str]) -> Sort:
    """Return the sort of an address, ``first`` by default.

    Raises:
        ConfigError: there is no such sort.
    """
    return _read("sort", query.get("sort") or "first", _one_of(SORTS))


def parse_sight(query: Mapping[str, str]) -> tuple[Box, float] | None:
    """Return the visible part of the map and the largest extent of a cluster, in degrees.

    Raises:
        ConfigError: the value is wrong.
    """
    if "sight" not in query:
        return None
    *box, reach = _read("sight", query["sight"], _floats(5))
    return cast("Box", tuple(box)), reach


def _read(key: str, text: str, parse: Callable[[str], Value]) -> Value:
    try:
        if len(text) > _LONGEST:
            raise ValueError(text)
        return parse(text)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            msg("{key}={text} is not valid", key=key, text=text[:80]),
            remedy=msg("clear the filters"),
        ) from error


def _one_of(values: tuple[Value, ...]) -> Callable[[str], Value]:
    def parse(text: str) -> Value:
        for value in values:
            if value == text:
                return value
        raise ValueError(text)

    return parse


def _number(text: str) -> int:
    """Parse a whole number that fits NumPy's int64."""
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError(text)
    return number


def _numbers(low: int, high: int) -> Callable[[str], frozenset[int]]:
    def parse(text: str) -> frozenset[int]:
        found = frozenset(int(part) for part in text.split(","))
        if not all(low <= number <= high for number in found):
            raise ValueError(text)
        return found

    return parse


def _floats(count: int) -> Callable[[str], tuple[float, ...]]:
    def parse(text: str) -> tuple[float, ...]:
        found = tuple(float(part) for part in text.split(","))
        if len(found) != count or not all(abs(number) <= _LARGEST for number in found):
            raise ValueError(text)
        return found

    return parse


def _float(text: str) -> float:
    return _floats(1)(text)[0]


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(text)
    return text == "1"


def _camera(text: str) -> str:
    """``-`` selects images that state no camera."""
    return "" if text == "-" else text


def _moment(text: str) -> int:
    """Parse a day or a time. Times of a case are compared without their zone."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _pdq(text: str) -> bytes:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError(text)
    return bytes.fromhex(text)


_KEYS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "label": ("labels", _numbers(-1, LABELS[-1].index)),
    "verdict": ("verdicts", _numbers(0, LABELS[-1].index)),
    "state": ("state", _one_of(STATES)),
    "score": ("score", _floats(2)),
    "margin": ("margin", _floats(2)),
    "off": ("off_label", _float),
    "source": ("source", _number),
    "folder": ("folder", str),
    "camera": ("camera", _camera),
    "from": ("since", _moment),
    "to": ("until", _moment),
    "box": ("box", _floats(4)),
    "located": ("located", _flag),
    "deleted": ("deleted", _flag),
    "alert": ("alert", _flag),
    "failed": ("failed", _flag),
    "q": ("text", str),
    "near": ("near", _pdq),
    "group": ("group", _number),
    "similar": ("similar", _number),
    "run": ("run", _number),
}
"""Key in the address: field of the filter, and the parser of its text."""
