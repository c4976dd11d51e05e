"""Filter and sort the contents of a case with NumPy masks and orders.

To add a criterion, add a field to ``Filter`` and a row to ``_CRITERIA``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mayak.case.index import (
    UNKNOWN_TIME,
    ContentIndex,
    Flags,
    Floats,
    Ints,
    RunColumns,
    Small,
    folded,
)
from mayak.case.positions import Box
from mayak.case.scores import review_order

Sort = Literal["first", "score", "doubt", "off-label", "newest", "oldest", "found", "near"]
State = Literal["open", "decided", "differing"]
SORTS: tuple[Sort, ...] = get_args(Sort)
STATES: tuple[State, ...] = get_args(State)

_HASH = re.compile(r"[0-9a-f]{8,64}")
_NO_HASH = 257
"""Distance to a content without a PDQ hash: more than the 256 bits of a hash."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that a content must meet; a field with its default value sets none."""

    labels: frozenset[int] = frozenset()
    """Labels of the run; -1 is a content without a prediction."""
    verdicts: frozenset[int] = frozenset()
    """Verdicts of the reviewer."""
    state: State | None = None
    """``open``: the reviewer has not decided it; ``differing``: reviewers disagree."""
    score: tuple[float, float] | None = None
    """Range of the highest score."""
    margin: tuple[float, float] | None = None
    off_label: float | None = None
    """Minimum."""
    source: int | None = None
    folder: str | None = None
    """It occurs in this folder or in one below it."""
    camera: str | None = None
    """Maker and model; empty: the file names none."""
    since: int | None = None
    """In the seconds of ``ContentIndex.time``, included."""
    until: int | None = None
    """Not included."""
    box: Box | None = None
    located: bool | None = None
    deleted: bool | None = None
    alert: bool | None = None
    failed: bool | None = None
    """The run could not classify it."""
    text: str = ""
    """Part of a path, or the first eight or more digits of a hash."""
    near: bytes | None = None
    """A PDQ hash (32 bytes)."""
    group: int | None = None
    """A stack: copies of one picture."""
    similar: int | None = None
    """A group of near-duplicates."""
    run: int | None = None
    """The run of the labels and scores; by default the browser's."""


@dataclass(frozen=True)
class View:
    """The index for one reviewer and one run, as it is now."""

    index: ContentIndex
    run: RunColumns
    reviewer: str
    distance: int
    """Maximum number of differing bits of the PDQ hashes of near-duplicates."""
    ids_by_hash: Callable[[str], list[int]]
    """Looks up the ids of contents by the first digits of a hash."""

    @cached_property
    def verdicts(self) -> NDArray[np.int8]:
        """The reviewer's verdict of each content; -1 for none."""
        own = self.index.verdicts.get(self.reviewer)
        return np.full(len(self.index.ids), -1, np.int8) if own is None else own

    @cached_property
    def differing(self) -> Flags:
        """Contents on which two reviewers disagree."""
        count = len(self.index.ids)
        low, high = np.full(count, 99, np.int8), np.full(count, -1, np.int8)
        for column in self.index.verdicts.values():
            decided = column >= 0
            low[decided] = np.minimum(low, column)[decided]
            high = np.maximum(high, column)
        differing: Flags = (high >= 0) & (low != high)
        return differing

    @property
    def located(self) -> Flags:
        """Contents with a GPS position."""
        found: Flags = np.isfinite(self.index.position[:, 0])
        return found

    @property
    def timed(self) -> Flags:
        """Contents with a known time."""
        found: Flags = self.index.time != UNKNOWN_TIME
        return found

    def masks(self, wanted: Filter) -> dict[str, Flags]:
        """Return for each condition that a filter sets, by its field, which contents meet it."""
        return {
            name: mask(self, value)
            for name, mask in _CRITERIA.items()
            if (value := getattr(wanted, name)) != getattr(_ALL, name)
        }

    def all_of(self, masks: Mapping[str, Flags]) -> Flags:
        """Return the contents that meet all conditions."""
        every = np.ones(len(self.index.ids), np.bool_)
        for mask in masks.values():
            every &= mask
        return every

    def chosen(self, wanted: Filter) -> Flags:
        """Return the contents that meet a filter."""
        return self.all_of(self.masks(wanted))

    def distances(self, pdq: bytes) -> Ints:
        """Return the number of bits in which each content's PDQ hash differs from one."""
        mine = np.frombuffer(pdq, np.uint64)
        apart = np.bitwise_count(self.index.pdq ^ mine).sum(axis=1, dtype=np.int64)
        apart[self.index.quality < 0] = _NO_HASH
        found: Ints = apart
        return found


def _in_state(view: View, state: State) -> Flags:
    if state == "differing":
        return view.differing
    decided = view.verdicts >= 0
    return decided if state == "decided" else ~decided


def _in_folder(view: View, folder: str) -> Flags:
    below = folder + "/"
    fits = [text == folder or text.startswith(below) for text in view.index.folders.texts]
    return _holding(view.index, np.array(fits, np.bool_)[view.index.item_folder])


def _by_camera(view: View, camera: str) -> Flags:
    if camera and view.index.cameras.known(camera) < 0:
        return np.zeros(len(view.index.ids), np.bool_)
    number = view.index.cameras.known(camera) if camera else -1
    found: Flags = view.index.camera == number
    return found


def _in_box(view: View, box: Box) -> Flags:
    south, west, north, east = box
    latitude, longitude = view.index.position[:, 0], view.index.position[:, 1]
    eastward, westward = longitude >= west, longitude <= east
    inside = eastward | westward if west > east else eastward & westward
    return inside & (latitude >= south) & (latitude <= north)


def _with_text(view: View, text: str) -> Flags:
    """Contents with the text in a path, or whose hash begins with it."""
    found = _holding(view.index, named(view.index, folded(text)))
    prefix = text.strip().lower()
    if _HASH.fullmatch(prefix):
        at = view.index.at(view.ids_by_hash(prefix))
        found[at[at < len(found)]] = True  # others were added since the index was read
    return found


def _between(values: Floats, bounds: tuple[float, float]) -> Flags:
    inside: Flags = (values >= np.float32(bounds[0])) & (values <= np.float32(bounds[1]))
    return inside


def _same_number(column: Small, number: int) -> Flags:
    """Contents in the group with this number; 0 is not a group."""
    found: Flags = (column == number) & (column > 0)
    return found


_ALL = Filter()
_CRITERIA: Mapping[str, Callable[[View, Any], Flags]] = {
    "labels": lambda view, labels: np.isin(view.run.label, list(labels)),
    "verdicts": lambda view, verdicts: np.isin(view.verdicts, list(verdicts)),
    "state": _in_state,
    "score": lambda view, bounds: _between(view.run.scores.max(axis=1, initial=-1.0), bounds),
    "margin": lambda view, bounds: _between(view.run.margin, bounds),
    "off_label": lambda view, minimum: view.run.off_label >= minimum,
    "source": lambda view, source: _holding(view.index, view.index.item_source == source),
    "folder": _in_folder,
    "camera": _by_camera,
    "since": lambda view, since: view.timed & (view.index.time >= since),
    "until": lambda view, until: view.timed & (view.index.time < until),
    "box": _in_box,
    "located": lambda view, value: view.located == value,
    "deleted": lambda view, value: view.index.deleted == value,
    "alert": lambda view, value: view.index.alert == value,
    "failed": lambda view, value: view.run.failed == value,
    "text": _with_text,
    "near": lambda view, pdq: view.distances(pdq) <= view.distance,
    "group": lambda view, number: _same_number(view.index.stack, number),
    "similar": lambda view, number: _same_number(view.index.group, number),
}
"""By field of ``Filter``: which contents meet the condition with the field's value."""


def _holding(index: ContentIndex, items: Flags) -> Flags:
    """Contents that one of these items holds."""
    found = np.zeros(len(index.ids), np.bool_)
    content = index.item_content[items]
    found[content[content >= 0]] = True
    return found


def named(index: ContentIndex, text: str) -> Flags:
    """Return the items whose path contains a text, normalised by ``folded``."""
    folders = [folded(folder) for folder in index.folders.texts]
    inside = np.array([text in folder for folder in folders], np.bool_)
    found = inside[index.item_folder] if folders else np.zeros(0, np.bool_)
    end, slash, start = text.rpartition("/")
    if slash:  # the end of a folder and the beginning of a name
        ending = np.array([f.endswith(end) for f in folders], np.bool_)[index.item_folder]
        hits = _hits(index, b"\n" + start.encode("utf-8", "surrogatepass"))
        found[hits] |= ending[hits]
    else:
        found[_hits(index, text.encode("utf-8", "surrogatepass"))] = True
    return found


def _hits(index: ContentIndex, needle: bytes) -> Ints:
    """Items whose name, after a line feed, contains some bytes."""
    # Byte by byte over all names at once: a text that every name contains costs no more than a
    # rare one.
    names = np.frombuffer(index.names, np.uint8)
    last = len(names) - len(needle) + 1
    hits = np.flatnonzero(names[: max(last, 0)] == needle[0])
    for offset in range(1, len(needle)):
        hits = hits[names[hits + offset] == needle[offset]]
    found: Ints = np.searchsorted(index.name_at, hits, side="right") - 1
    return found


# ------------------------------------------------------------------ orders


def _ascending(key: NDArray[Any]) -> Ints:
    return np.argsort(key, kind="stable")


def _by_time(view: View, sign: int) -> Ints:
    time = view.index.time
    never = np.iinfo(np.int64).max
    return _ascending(np.where(time == UNKNOWN_TIME, never, time * sign))


_ORDERS: Mapping[Sort, Callable[[View], Ints]] = {
    "first": lambda view: review_order(view.run.scores, view.index.alert),
    "score": lambda view: _ascending(-view.run.scores[:, 1:].max(axis=1, initial=-1.0)),
    "doubt": lambda view: _ascending(view.run.margin),
    "off-label": lambda view: _ascending(-view.run.off_label),
    "found": lambda view: _ascending(view.index.first_item),
    "oldest": lambda view: _by_time(view, 1),
    "newest": lambda view: _by_time(view, -1),
}
"""Orders that do not depend on the filter; ``near`` without a hash is ``first``."""


class Orders:
    """Sorts contents; orders of all contents are kept until the index changes."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Sort, int | None], Small] = {}
        self._version = -1

    def ordered(self, view: View, chosen: Flags, wanted: Filter, sort: Sort) -> Small:
        """Return the rows of the chosen contents, in order."""
        if sort == "near" and wanted.near is not None:
            at = np.flatnonzero(chosen).astype(np.int32)
            return at[_ascending(view.distances(wanted.near)[at])]
        if sort == "score" and len(wanted.labels) == 1 and (label := min(wanted.labels)) >= 0:
            at = np.flatnonzero(chosen).astype(np.int32)
            return at[_ascending(-view.run.scores[at, label])]
        order = self._order(view, "first" if sort == "near" else sort)
        return order[chosen[order]]

    def _order(self, view: View, sort: Sort) -> Small:
        if self._version != view.index.version:
            self._kept.clear()
            self._version = view.index.version
        key = sort, view.run.run
        if key not in self._kept:
            self._kept[key] = _ORDERS[sort](view).astype(np.int32)
        return self._kept[key]


def fold_stacks(index: ContentIndex, order: Small) -> tuple[Small, Small, Small]:
    """Return the first of each stack in an order, its number of members there, and all members.

    Near-duplicates come together, at the place of the first of their group.
    """
    similar = _first_of(index.group[order])
    order = order[_ascending(similar)]
    same = _first_of(index.stack[order])
    cells, members = np.unique(same, return_counts=True)
    held = order[_ascending(same)]
    return order[cells], members.astype(np.int32), held


def _first_of(numbers: Small) -> Ints:
    """Return for each element of a row of group numbers the first place with the same number; its
    own place for 0, which is not a group."""
    positions = np.arange(len(numbers))
    first = np.zeros(int(numbers.max(initial=0)) + 1, np.int64)
    # The last of several writes to one element counts: backwards, the first of the row.
    first[numbers[::-1]] = positions[::-1]
    return np.where(numbers == 0, positions, first[numbers])
