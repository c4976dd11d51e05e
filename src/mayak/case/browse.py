"""Which contents of a case a person wants to see, and in which order: filters, sorts, counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mayak.case.columns import UNKNOWN_TIME, Columns, Flags, Ints, Said, Small, folded
from mayak.case.positions import Box, bounds, clusters, unwrapped
from mayak.case.records import Run, latest
from mayak.case.store import CaseStore
from mayak.errors import CaseError
from mayak.i18n import msg

Sort = Literal["first", "score", "doubt", "off-label", "newest", "oldest", "found", "near"]
State = Literal["open", "decided", "differing"]
SORTS: tuple[Sort, ...] = get_args(Sort)
STATES: tuple[State, ...] = get_args(State)

_HASH = re.compile(r"[0-9a-f]{8,64}")
_SHOWN = 60
"""Values of a facet that are named with their counts, the most frequent ones."""
_BINS = 120
_ASKED = 900
"""Contents that one statement asks for."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What must hold of a content; each part that is not given holds of all."""

    labels: frozenset[int] = frozenset()
    """The run's; -1 is what the run says nothing of."""
    verdicts: frozenset[int] = frozenset()
    """The reviewer's own."""
    state: State | None = None
    """``open`` is what the reviewer has not decided, ``differing`` what reviewers disagree on."""
    score: tuple[float, float] | None = None
    """Of the best label."""
    margin: tuple[float, float] | None = None
    off_label: float | None = None
    """At least."""
    source: int | None = None
    folder: str | None = None
    """A place in it, or in a folder below."""
    camera: str | None = None
    """Maker and model; empty: none is stated."""
    since: int | None = None
    """Seconds of ``Columns.time``, like ``until``, which is not included."""
    until: int | None = None
    box: Box | None = None
    located: bool | None = None
    deleted: bool | None = None
    alert: bool | None = None
    failed: bool | None = None
    """The run could not classify it."""
    text: str = ""
    """Part of a path, or the beginning of a hash, of eight digits at least."""
    near: bytes | None = None
    """A PDQ hash (32 bytes)."""
    group: int | None = None
    """A stack: the same picture."""
    similar: int | None = None
    """A group of contents that are alike."""
    run: int | None = None
    """Whose labels and scores; the browser's own where none is named."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A result that does not change while the case grows, is decided and is grouped again."""

    order: Small
    """Positions of the contents, in order; with stacks the first of each."""
    members: Small
    """How many contents each cell has: the members of its stack that pass the filter."""
    held: Small
    """Positions of all contents: the members of the first cell, of the second, and so on."""
    filter: Filter
    sort: Sort
    stacked: bool
    facets: dict[str, Any] = field(repr=False)

    @property
    def total(self) -> int:
        """Contents, those inside stacks included."""
        return len(self.held)

    def bounds(self) -> Ints:
        """Where each cell's members begin in ``held``, and the end."""
        ends: Ints = np.concatenate([[0], np.cumsum(self.members, dtype=np.int64)])
        return ends


@dataclass(frozen=True, slots=True)
class Cell:
    """One content as a grid shows it."""

    position: int
    sha256: str
    thumbnail: str | None
    """SHA-256 of the thumbnail's file."""
    label: int
    score: float | None
    margin: float | None
    verdict: int
    """The reviewer's own of all its members; -1 if one is not decided, or decided otherwise."""
    differs: bool
    """Reviewers disagree on one of its members."""
    alert: bool
    """One of its members is in a list of known files."""
    deleted: bool
    failed: bool
    places: int
    members: int
    """Number of contents in its stack, which are the same picture."""
    decided: int
    """How many of them the reviewer has decided."""
    group: int
    """The stack's number for a filter, 0 for none."""
    similar: int
    """Contents of the whole case that are like it and not the same picture."""
    similar_group: int
    """Their number for a filter, 0 for none."""


class Browser:
    """Filters, sorts and counts the contents of a case for one reviewer, as one run sees them.

    Belongs to the thread of its store, like the store. Methods may raise CaseError.
    """

    def __init__(self, store: CaseStore, reviewer: str, *, distance: int) -> None:
        """``distance``: bits by which PDQ hashes of near-duplicates differ at most."""
        self._store = store
        self._database = store._database
        self.reviewer = reviewer
        self._distance = distance
        self.columns = Columns(self._database)
        self.runs: list[Run] = []
        self._runs_state: tuple[int | None, ...] = ()
        self.run: int | None = None
        """The run that is shown where a filter names none."""
        self._orders: dict[tuple[Sort, int | None], Small] = {}
        self._orders_of = -1

    def ahead(self) -> int:
        """How many rows of the case ``refresh`` will read at most."""
        return self.columns.ahead()

    def refresh(self, advance: Callable[[int], None] = lambda _: None) -> bool:
        """Take in what was added to the case; whether anything was."""
        changed = self.columns.refresh(advance)
        # Counting what each run has said takes longer than a decision may.
        (state,) = self._database.query(
            "SELECT (SELECT max(id) FROM runs), (SELECT max(id) FROM finishes),"
            " (SELECT max(id) FROM contents)"
        )
        if tuple(state) != self._runs_state:
            self._runs_state = tuple(state)
            self.runs = self._store.runs()
        if self.run is None:
            self.run = _first_shown(self.runs)
        self.columns.said(self.run, advance)
        return changed

    # ------------------------------------------------------------------ selecting

    def select(self, wanted: Filter, sort: Sort, *, stacked: bool = False) -> Selection:
        """The contents that fit, in order, with counts of what else could be asked for."""
        parts = self._parts(wanted)
        every = self._all_of(parts)
        order = self._ordered(every, wanted, sort)
        shown, members, held = order, np.ones(len(order), np.int32), order
        if stacked:
            shown, members, held = self._stacks(order)
        return Selection(
            order=shown,
            members=members,
            held=held,
            filter=wanted,
            sort=sort,
            stacked=stacked,
            facets=self._facets(parts, every, self._said(wanted)),
        )

    def cells(self, selection: Selection, start: int, count: int) -> list[Cell]:
        """The cells ``start`` to ``start + count`` of a selection, as they are now."""
        columns, said = self.columns, self._said(selection.filter)
        order = selection.order[start : start + count]
        numbers = [int(n) for n in columns.ids[order]]
        names = self._names(numbers)
        own = self._own()
        differing = self._differing()
        bounds = selection.bounds()[start : start + count + 1]
        sizes = [np.bincount(column) for column in (columns.stack, columns.group)]
        cells = []
        for offset, at in enumerate(order):
            sha256, thumbnail = names[numbers[offset]]
            label = int(said.label[at])
            members = selection.held[bounds[offset] : bounds[offset + 1]]
            verdicts = own[members]
            stack, group = int(columns.stack[at]), int(columns.group[at])
            same = int(sizes[0][stack]) if stack else 1
            cells.append(
                Cell(
                    position=start + offset,
                    sha256=sha256,
                    thumbnail=thumbnail,
                    label=label,
                    score=None if label < 0 else float(said.scores[at, label]),
                    margin=None if label < 0 else float(said.margin[at]),
                    verdict=int(verdicts[0]) if (verdicts == verdicts[0]).all() else -1,
                    differs=bool(differing[members].any()),
                    alert=bool(columns.alert[members].any()),
                    deleted=bool(columns.deleted[at]),
                    failed=bool(said.failed[at]),
                    places=int(columns.places[at]),
                    members=len(members),
                    decided=int((verdicts >= 0).sum()),
                    group=stack,
                    similar=int(sizes[1][group]) - same if group else 0,
                    similar_group=group,
                )
            )
        return cells

    def expand(self, selection: Selection, ranges: Sequence[tuple[int, int]]) -> list[str]:
        """SHA-256 of all contents in ranges of a selection (ends not included), stacks whole, as
        they were when it was made."""
        chosen = np.zeros(len(selection.order), np.bool_)
        for start, end in ranges:
            chosen[max(start, 0) : max(end, 0)] = True
        wanted = selection.held[np.repeat(chosen, selection.members)]
        numbers = [int(n) for n in self.columns.ids[wanted]]
        names = self._names(numbers)
        return [names[number][0] for number in numbers]

    def position(self, selection: Selection, sha256: str) -> int | None:
        """Where a content stands in a selection, or the stack that holds it."""
        at = self._at(sha256)
        if at is None:
            return None
        found = np.flatnonzero(selection.held == at)
        if not found.size:
            return None
        return int(np.searchsorted(selection.bounds(), found[0], side="right")) - 1

    def open_after(self, selection: Selection, start: int) -> int | None:
        """The next place in a selection, at ``start`` or after, of which the reviewer has not
        decided every member; from the top if there is none."""
        undecided = np.flatnonzero(self._own()[selection.held] < 0)
        if not undecided.size:
            return None
        places = np.searchsorted(selection.bounds(), undecided, side="right") - 1
        later = places[places >= start]
        return int(later[0] if later.size else places[0])

    def _parts(self, wanted: Filter) -> dict[str, Flags]:
        """By name of the filter's part, whether it holds of each content."""
        columns, said = self.columns, self._said(wanted)
        parts: dict[str, Flags] = {}
        if wanted.labels:
            parts["label"] = np.isin(said.label, list(wanted.labels))
        if wanted.verdicts:
            parts["verdict"] = np.isin(self._own(), list(wanted.verdicts))
        if wanted.state is not None:
            decided = self._own() >= 0
            parts["state"] = {
                "open": lambda: ~decided,
                "decided": lambda: decided,
                "differing": self._differing,
            }[wanted.state]()
        if wanted.score is not None:
            best = said.scores.max(axis=1, initial=-1.0)
            parts["score"] = _between(best, wanted.score)
        if wanted.margin is not None:
            parts["margin"] = _between(said.margin, wanted.margin)
        if wanted.off_label is not None:
            parts["off_label"] = said.off_label >= wanted.off_label
        if wanted.source is not None:
            parts["source"] = self._lying(columns.item_source == wanted.source)
        if wanted.folder is not None:
            below = wanted.folder + "/"
            fits = [t == wanted.folder or t.startswith(below) for t in columns.folders.texts]
            parts["folder"] = self._lying(np.array(fits, np.bool_)[columns.item_folder])
        if wanted.camera is not None:
            number = columns.cameras.known(wanted.camera) if wanted.camera else -1
            unknown = number < 0 and bool(wanted.camera)
            parts["camera"] = (columns.camera == number) & (not unknown)
        if wanted.since is not None or wanted.until is not None:
            parts["time"] = self._within(wanted.since, wanted.until)
        if wanted.box is not None:
            south, west, north, east = wanted.box
            latitude, longitude = columns.place[:, 0], columns.place[:, 1]
            across = west > east
            eastward, westward = longitude >= west, longitude <= east
            inside = eastward | westward if across else eastward & westward
            parts["box"] = inside & (latitude >= south) & (latitude <= north)
        if wanted.located is not None:
            parts["located"] = np.isfinite(columns.place[:, 0]) == wanted.located
        for name, column in (
            ("deleted", columns.deleted),
            ("alert", columns.alert),
            ("failed", said.failed),
        ):
            if (value := getattr(wanted, name)) is not None:
                parts[name] = column == value
        if wanted.text:
            parts["text"] = self._naming(wanted.text)
        if wanted.near is not None:
            parts["near"] = self._distances(wanted.near) <= self._distance
        if wanted.group is not None:
            parts["group"] = (columns.stack == wanted.group) & (columns.stack > 0)
        if wanted.similar is not None:
            parts["similar"] = (columns.group == wanted.similar) & (columns.group > 0)
        return parts

    def _within(self, since: int | None, until: int | None) -> Flags:
        time = self.columns.time
        inside: Flags = time != UNKNOWN_TIME
        if since is not None:
            inside &= time >= since
        if until is not None:
            inside &= time < until
        return inside

    def _lying(self, items: Flags) -> Flags:
        """Contents of which one of these items at least holds a copy."""
        found = np.zeros(len(self.columns.ids), np.bool_)
        content = self.columns.item_content[items]
        found[content[content >= 0]] = True
        return found

    def _naming(self, text: str) -> Flags:
        """Contents of which a path holds the text, or whose hash begins with it."""
        found = self._lying(self._named(folded(text)))
        prefix = text.strip().lower()
        if _HASH.fullmatch(prefix):
            last = prefix[:-1] + chr(ord(prefix[-1]) + 1)
            for kind in ("sha256", "md5", "sha1"):
                query = f"SELECT id FROM contents WHERE {kind} >= ? AND {kind} < ? LIMIT 1000"  # noqa: S608
                rows = self._database.query(query, prefix, last)
                found[self.columns.at([row["id"] for row in rows])] = True
        return found

    def _named(self, text: str) -> Flags:
        """Items whose path holds a folded text."""
        columns = self.columns
        folders = [folded(folder) for folder in columns.folders.texts]
        inside = np.array([text in folder for folder in folders], np.bool_)
        found = inside[columns.item_folder] if folders else np.zeros(0, np.bool_)
        end, slash, start = text.rpartition("/")
        if slash:  # the end of a folder and the beginning of a name
            ending = np.array([f.endswith(end) for f in folders], np.bool_)[columns.item_folder]
            hits = self._hits(b"\n" + start.encode("utf-8", "surrogatepass"))
            found[hits] |= ending[hits]
        else:
            found[self._hits(text.encode("utf-8", "surrogatepass"))] = True
        return found

    def _hits(self, needle: bytes) -> Ints:
        """Items whose name, after a line feed, holds some bytes."""
        # Byte by byte over all names at once: a word that every name holds costs no more than one
        # that is rare.
        names = np.frombuffer(self.columns.names, np.uint8)
        last = len(names) - len(needle) + 1
        hits = np.flatnonzero(names[: max(last, 0)] == needle[0])
        for offset in range(1, len(needle)):
            hits = hits[names[hits + offset] == needle[offset]]
        found: Ints = np.searchsorted(self.columns.name_at, hits, side="right") - 1
        return found

    def _distances(self, pdq: bytes) -> Ints:
        """Bits in which each content's PDQ hash differs; 257 where there is none to compare."""
        mine = np.frombuffer(pdq, np.uint64)
        apart = np.bitwise_count(self.columns.pdq ^ mine).sum(axis=1, dtype=np.int64)
        apart[self.columns.quality < 0] = 257
        found: Ints = apart
        return found

    # ------------------------------------------------------------------ ordering

    def _ordered(self, chosen: Flags, wanted: Filter, sort: Sort) -> Small:
        if sort == "near" and wanted.near is not None:
            at = np.flatnonzero(chosen).astype(np.int32)
            distance = self._distances(wanted.near)[at]
            return at[np.argsort(distance, kind="stable")]
        if sort == "score" and len(wanted.labels) == 1 and (label := min(wanted.labels)) >= 0:
            at = np.flatnonzero(chosen).astype(np.int32)
            return at[np.argsort(-self._said(wanted).scores[at, label], kind="stable")]
        order = self._order("first" if sort == "near" else sort, self._said(wanted))
        return order[chosen[order]]

    def _order(self, sort: Sort, said: Said) -> Small:
        """All contents in an order; kept until the case changes."""
        if self._orders_of != self.columns.version:
            self._orders.clear()
            self._orders_of = self.columns.version
        if (sort, said.run) not in self._orders:
            self._orders[sort, said.run] = self._sorted(sort, said).astype(np.int32)
        return self._orders[sort, said.run]

    def _sorted(self, sort: Sort, said: Said) -> Ints:
        columns = self.columns
        scores = said.scores
        if sort == "first":
            # As in CaseStore.results: alerts, then the least irrelevant, of equals the doubtful.
            best = scores.max(axis=1, initial=-1.0)
            first: Ints = np.lexsort((best, scores[:, 0], ~columns.alert))
            return first
        if sort == "score":
            return np.argsort(-scores[:, 1:].max(axis=1, initial=-1.0), kind="stable")
        if sort == "doubt":
            return np.argsort(said.margin, kind="stable")
        if sort == "off-label":
            return np.argsort(-said.off_label, kind="stable")
        if sort == "found":
            return np.argsort(columns.first_item, kind="stable")
        never = np.iinfo(np.int64).max
        unknown = columns.time == UNKNOWN_TIME
        key = columns.time if sort == "oldest" else -columns.time
        timed: Ints = np.argsort(np.where(unknown, never, key), kind="stable")
        return timed

    def _stacks(self, order: Small) -> tuple[Small, Small, Small]:
        """The first of each stack in an order, how many members it has there, and all of these.

        What is alike comes together, at the place of the first of its group.
        """
        similar = _first_of(self.columns.group[order])
        order = order[np.argsort(similar, kind="stable")]
        same = _first_of(self.columns.stack[order])
        cells, members = np.unique(same, return_counts=True)
        held = order[np.argsort(same, kind="stable")]
        return order[cells], members.astype(np.int32), held

    # ------------------------------------------------------------------ counting

    def facets(self, wanted: Filter) -> dict[str, Any]:
        """How many contents there would be with another value of one part of the filter."""
        parts = self._parts(wanted)
        return self._facets(parts, self._all_of(parts), self._said(wanted))

    def _all_of(self, parts: Mapping[str, Flags]) -> Flags:
        every = np.ones(len(self.columns.ids), np.bool_)
        for part in parts.values():
            every &= part
        return every

    def _facets(self, parts: Mapping[str, Flags], every: Flags, said: Said) -> dict[str, Any]:
        columns = self.columns

        def others(*names: str) -> Flags:
            if not any(name in parts for name in names):
                return every
            chosen = np.ones(len(every), np.bool_)
            for name, part in parts.items():
                if name not in names:
                    chosen &= part
            return chosen

        labels = np.bincount(said.label[others("label")] + 1, minlength=5)
        by_verdict = others("verdict", "state")
        verdicts = np.bincount(self._own()[by_verdict] + 1, minlength=5)
        return {
            "label": {str(n - 1): int(count) for n, count in enumerate(labels)},
            "verdict": {str(n - 1): int(count) for n, count in enumerate(verdicts)},
            "state": {
                "open": int(verdicts[0]),
                "decided": int(verdicts[1:].sum()),
                "differing": int((self._differing() & by_verdict).sum()),
            },
            "flags": {
                name: int((column & others(name)).sum())
                for name, column in (
                    ("deleted", columns.deleted),
                    ("alert", columns.alert),
                    ("failed", said.failed),
                    ("located", np.isfinite(columns.place[:, 0])),
                )
            },
            "camera": _counted(columns.camera[others("camera")], columns.cameras.texts),
            "source": self._counted_items(others("source"), columns.item_source),
            "folder": [
                [columns.folders.texts[number], count]
                for number, count in self._counted_items(others("folder"), columns.item_folder)
            ],
        }

    def _counted_items(
        self, chosen: Flags, column: NDArray[np.int16] | Small
    ) -> list[tuple[int, int]]:
        columns = self.columns
        held = columns.item_content >= 0
        held[held] = chosen[columns.item_content[held]]
        counts = np.bincount(column[held])
        top = np.argsort(-counts, kind="stable")[:_SHOWN]
        return [(int(n), int(counts[n])) for n in top if counts[n]]

    def timeline(self, wanted: Filter) -> dict[str, Any]:
        """Contents by time, in bins of whole days or multiples of hours; the filter's own times
        included in the range, not in the choice."""
        chosen = self._chosen(replace(wanted, since=None, until=None))
        time = self.columns.time[chosen]
        label = self._said(wanted).label[chosen]
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

    def map(
        self, wanted: Filter, sight: Box | None = None, reach: float | None = None
    ) -> dict[str, Any]:
        """Contents by position: clusters of those in sight (all for None), how many these are and
        their box, the box of all, and how many contents state no position.

        ``reach``: degrees of latitude that a cluster spans at most. Longitudes of ``sight`` and of
        the box of all go on beyond 180° if the filter's box does.
        """
        chosen = self._chosen(wanted)
        known = np.isfinite(self.columns.place[:, 0])
        unknown = int((chosen & ~known).sum())
        place = self.columns.place[chosen & known]
        label = self._said(wanted).label[chosen & known]
        if not len(place):
            return {"clusters": [], "count": 0, "box": None, "all": None, "unknown": unknown}
        west = -180.0
        if wanted.box is not None and wanted.box[1] > wanted.box[3]:
            west = wanted.box[1]
        there = unwrapped(place, west)
        every = (*there.min(axis=0).tolist(), *there.max(axis=0).tolist())
        shown = every if sight is None else sight
        inside = ((there >= shown[:2]) & (there <= shown[2:])).all(axis=1)
        side = max(shown[2] - shown[0], shown[3] - shown[1])
        found = clusters(
            place[inside],
            label[inside],
            west=west,
            middle=(shown[0] + shown[2]) / 2,
            # However near it is asked for, an answer has a bounded number of clusters.
            reach=max(side / 20 if reach is None else reach, side / 200, 1e-5),
        )
        return {
            "clusters": [asdict(cluster) for cluster in found],
            "count": int(inside.sum()),
            "box": bounds(place[inside], there[inside]),
            "all": every,
            "unknown": unknown,
        }

    def positions(self, wanted: Filter) -> tuple[NDArray[np.float32], Ints]:
        """The different positions (N, 2: latitude and longitude) of contents, and how many contents
        have each."""
        place = self.columns.place[self._chosen(wanted)]
        return np.unique(place[np.isfinite(place[:, 0])], axis=0, return_counts=True)

    def progress(self, run: int | None = None) -> dict[str, int]:
        """How far the case and the reviewer are, and a run (the browser's own for None)."""
        columns, said = self.columns, self._said(Filter(run=run))
        return {
            "version": columns.version,
            "contents": len(columns.ids),
            "scored": int((said.label >= 0).sum()),
            "items": len(columns.items),
            "failures": self._rejected("failure"),
            "exclusions": self._rejected("exclusion"),
            "decided": int((self._own() >= 0).sum()),
        }

    def _rejected(self, kind: str) -> int:
        numbers = [n for n, t in enumerate(self.columns.reasons.texts) if t.startswith(kind)]
        return int(np.isin(self.columns.item_reason, numbers).sum())

    def rejected(
        self, kind: str | None, reason: str | None, text: str, start: int, count: int
    ) -> dict[str, Any]:
        """Items that gave no content: how many by reason, and some of them with all that is known.

        ``kind`` is ``failure`` or ``exclusion``.
        """
        columns = self.columns
        chosen = columns.item_reason >= 0
        if text:
            chosen &= self._named(folded(text))
        numbers = Counter(columns.item_reason[chosen].tolist())
        reasons = [
            (*columns.reasons.texts[number].split(" ", 1), found)
            for number, found in numbers.most_common()
        ]
        if kind is not None or reason is not None:
            fitting = [
                number
                for number, name in enumerate(columns.reasons.texts)
                if (kind is None or name.split(" ", 1)[0] == kind)
                and (reason is None or name.split(" ", 1)[1] == reason)
            ]
            chosen &= np.isin(columns.item_reason, fitting)
        found = columns.items[chosen]
        some = [int(n) for n in found[start : start + count]]
        return {
            "reasons": reasons,
            "total": len(found),
            "items": [self._store.item(number) for number in some],
        }

    def _said(self, wanted: Filter) -> Said:
        run = self.run if wanted.run is None else wanted.run
        if run is not None and all(run != known.id for known in self.runs):
            raise CaseError(
                msg("there is no run {run} in this case", run=run),
                remedy=msg("choose another run"),
            )
        return self.columns.said(run)

    def _chosen(self, wanted: Filter) -> Flags:
        return self._all_of(self._parts(wanted))

    # ------------------------------------------------------------------ lookups

    def verdict(self, sha256: str) -> int:
        """The reviewer's own verdict of a content, or -1."""
        at = self._at(sha256)
        return -1 if at is None else int(self._own()[at])

    def group(self, sha256: str) -> tuple[int, int]:
        """A content's stack and how many contents of the case it has; zeros for none."""
        return self._counted_group(self.columns.stack, sha256)

    def similar(self, sha256: str) -> tuple[int, int]:
        """A content's group and how many contents of the case are like it and not the same picture;
        zeros for none."""
        number, count = self._counted_group(self.columns.group, sha256)
        return number, count - max(self.group(sha256)[1], 1) if number else 0

    def _counted_group(self, column: Small, sha256: str) -> tuple[int, int]:
        at = self._at(sha256)
        number = 0 if at is None else int(column[at])
        return (number, int((column == number).sum())) if number else (0, 0)

    def thumbnails(self, contents: Sequence[str]) -> dict[str, str | None]:
        """SHA-256 of the thumbnails of contents, by theirs."""
        found: dict[str, str | None] = {}
        for start in range(0, len(contents), _ASKED):
            some = contents[start : start + _ASKED]
            marks = ", ".join("?" * len(some))
            query = f"SELECT sha256, thumbnail FROM contents WHERE sha256 IN ({marks})"  # noqa: S608
            rows = self._database.query(query, *some)
            found.update((row["sha256"], row["thumbnail"]) for row in rows)
        return found

    def _own(self) -> NDArray[np.int8]:
        none = self.columns.verdicts.get(self.reviewer)
        return np.full(len(self.columns.ids), -1, np.int8) if none is None else none

    def _differing(self) -> Flags:
        """Contents of which two reviewers have decided different things."""
        count = len(self.columns.ids)
        low, high = np.full(count, 99, np.int8), np.full(count, -1, np.int8)
        for column in self.columns.verdicts.values():
            decided = column >= 0
            low[decided] = np.minimum(low, column)[decided]
            high = np.maximum(high, column)
        differing: Flags = (high >= 0) & (low != high)
        return differing

    def _at(self, sha256: str) -> int | None:
        rows = self._database.query("SELECT id FROM contents WHERE sha256 = ?", sha256)
        at = int(self.columns.at([rows[0]["id"]])[0]) if rows else len(self.columns.ids)
        return at if at < len(self.columns.ids) else None

    def _names(self, numbers: Sequence[int]) -> dict[int, tuple[str, str | None]]:
        """SHA-256 and thumbnail of contents, by row id."""
        found: dict[int, tuple[str, str | None]] = {}
        for start in range(0, len(numbers), _ASKED):
            some = numbers[start : start + _ASKED]
            marks = ", ".join("?" * len(some))
            query = f"SELECT id, sha256, thumbnail FROM contents WHERE id IN ({marks})"  # noqa: S608
            for row in self._database.query(query, *some):
                found[row["id"]] = (row["sha256"], row["thumbnail"])
        return found


def _first_shown(runs: Sequence[Run]) -> int | None:
    found = latest(runs)
    return found.id if found else None


def _first_of(numbers: Small) -> Ints:
    """For each place in a row of groups' numbers, the first place with the same number; its own for
    0, which is no group."""
    places = np.arange(len(numbers))
    first = np.zeros(int(numbers.max(initial=0)) + 1, np.int64)
    # Of several writes the last one counts: backwards, the first of the row.
    first[numbers[::-1]] = places[::-1]
    return np.where(numbers == 0, places, first[numbers])


def _between(values: NDArray[np.float32], bounds: tuple[float, float]) -> Flags:
    inside: Flags = (values >= np.float32(bounds[0])) & (values <= np.float32(bounds[1]))
    return inside


def _counted(numbers: Small, texts: Sequence[str]) -> list[tuple[str, int]]:
    """The most frequent texts; the empty one stands for none."""
    counts = np.bincount(numbers + 1, minlength=len(texts) + 1)
    top = np.argsort(-counts, kind="stable")[:_SHOWN]
    return [("" if n == 0 else texts[n - 1], int(counts[n])) for n in top if counts[n]]
