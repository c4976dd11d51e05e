"""``Browser``: the contents of a case as a reviewer pages through them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from sqlite3 import Row
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mayak.case import facets
from mayak.case.database import Database
from mayak.case.index import ContentIndex, Ints, Small, folded
from mayak.case.items import Items
from mayak.case.positions import Box
from mayak.case.query import Filter, Orders, Sort, View, fold_stacks, named
from mayak.case.records import Run, latest
from mayak.case.runs import Runs
from mayak.errors import CaseError
from mayak.i18n import msg

_CONTENTS_PER_QUERY = 900


@dataclass(frozen=True, slots=True)
class Selection:
    """The contents that a filter chose, in order.

    It does not change when the case grows, is decided or is grouped again.
    """

    order: Small
    """Rows of the contents in the index, in order; with stacks the first of each."""
    members: Small
    """Number of contents in each cell: the members of its stack that pass the filter."""
    contents: Small
    """Rows of all contents: the members of the first cell, of the second, and so on."""
    filter: Filter
    sort: Sort
    facets: dict[str, Any] = field(repr=False)

    @property
    def total(self) -> int:
        """Number of contents, with those inside stacks."""
        return len(self.contents)

    def bounds(self) -> Ints:
        """Return where the members of each cell begin in ``contents``, and the end of the last."""
        ends: Ints = np.concatenate([[0], np.cumsum(self.members, dtype=np.int64)])
        return ends


@dataclass(frozen=True, slots=True)
class Cell:
    """One content, or one stack of copies of a picture, as a grid shows it."""

    position: int
    """Number in the selection, from 0."""
    sha256: str
    thumbnail: str | None
    """SHA-256 of the thumbnail's file."""
    label: int
    score: float | None
    margin: float | None
    verdict: int
    """The reviewer's verdict of all members; -1 if one is not decided, or decided otherwise."""
    differs: bool
    """Reviewers disagree on one of the members."""
    alert: bool
    """One of the members is in a list of known files."""
    deleted: bool
    failed: bool
    occurrences: int
    members: int
    """Number of contents in the stack."""
    decided: int
    """Number of members that the reviewer has decided."""
    group: int
    """The stack's number for a filter; 0 for none."""
    similar: int
    """Number of near-duplicates in the whole case that are not copies of the same picture."""
    similar_group: int
    """The number of their group for a filter; 0 for none."""


class Browser:
    """Filters, sorts and counts the contents of a case for one reviewer and one run.

    Made by ``CaseStore.browse``. Use it in the thread of its store only. Every method may raise
    CaseError.
    """

    def __init__(
        self, database: Database, items: Items, runs: Runs, reviewer: str, *, distance: int
    ) -> None:
        """``distance``: maximum number of differing bits of PDQ hashes of near-duplicates."""
        self._database = database
        self._items = items
        self._runs = runs
        self.reviewer = reviewer
        self._distance = distance
        self.index = ContentIndex(database)
        self.runs: list[Run] = []
        self._runs_state: tuple[int | None, ...] = ()
        self.run: int | None = None
        """The run that is shown if a filter names none."""
        self._orders = Orders()

    def ahead(self) -> int:
        """Return an upper bound of the rows that ``refresh`` reads."""
        return self.index.ahead()

    def refresh(self, advance: Callable[[int], None] = lambda _: None) -> bool:
        """Read what was added to the case; return whether there was anything."""
        changed = self.index.refresh(advance)
        # Counting the predictions of each run takes longer than a decision may.
        (state,) = self._database.query(
            "SELECT (SELECT max(id) FROM runs), (SELECT max(id) FROM finishes),"
            " (SELECT max(id) FROM contents)"
        )
        if tuple(state) != self._runs_state:
            self._runs_state = tuple(state)
            self.runs = self._runs.runs()
        if self.run is None and (shown := latest(self.runs)) is not None:
            self.run = shown.id
        self.index.run_columns(self.run, advance)
        return changed

    # ------------------------------------------------------------------ selecting

    def select(self, wanted: Filter, sort: Sort, *, stacked: bool = False) -> Selection:
        """Return the contents that pass a filter, in order, with facets."""
        view = self._view(wanted)
        masks = view.masks(wanted)
        every = view.all_of(masks)
        order = self._orders.ordered(view, every, wanted, sort)
        shown, members, contents = order, np.ones(len(order), np.int32), order
        if stacked:
            shown, members, contents = fold_stacks(self.index, order)
        return Selection(
            order=shown,
            members=members,
            contents=contents,
            filter=wanted,
            sort=sort,
            facets=facets.facets(view, masks, every),
        )

    def cells(self, selection: Selection, start: int, count: int) -> list[Cell]:
        """Return the cells ``start`` to ``start + count`` of a selection, as they are now."""
        index, view = self.index, self._view(selection.filter)
        run = view.run
        order = selection.order[start : start + count]
        numbers = [int(n) for n in index.ids[order]]
        names = self._names(numbers)
        bounds = selection.bounds()[start : start + count + 1]
        sizes = [np.bincount(column) for column in (index.stack, index.group)]
        cells = []
        for offset, at in enumerate(order):
            sha256, thumbnail = names[numbers[offset]]
            label = int(run.label[at])
            members = selection.contents[bounds[offset] : bounds[offset + 1]]
            verdicts = view.verdicts[members]
            stack, group = int(index.stack[at]), int(index.group[at])
            copies = int(sizes[0][stack]) if stack else 1
            cells.append(
                Cell(
                    position=start + offset,
                    sha256=sha256,
                    thumbnail=thumbnail,
                    label=label,
                    score=None if label < 0 else float(run.scores[at, label]),
                    margin=None if label < 0 else float(run.margin[at]),
                    verdict=int(verdicts[0]) if (verdicts == verdicts[0]).all() else -1,
                    differs=bool(view.differing[members].any()),
                    alert=bool(index.alert[members].any()),
                    deleted=bool(index.deleted[at]),
                    failed=bool(run.failed[at]),
                    occurrences=int(index.occurrences[at]),
                    members=len(members),
                    decided=int((verdicts >= 0).sum()),
                    group=stack,
                    similar=int(sizes[1][group]) - copies if group else 0,
                    similar_group=group,
                )
            )
        return cells

    def expand(self, selection: Selection, ranges: Sequence[tuple[int, int]]) -> list[str]:
        """Return the SHA-256 of all contents in ranges of a selection (ends not included), with all
        members of stacks, as they were when the selection was made."""
        chosen = np.zeros(len(selection.order), np.bool_)
        for start, end in ranges:
            chosen[max(start, 0) : max(end, 0)] = True
        wanted = selection.contents[np.repeat(chosen, selection.members)]
        numbers = [int(n) for n in self.index.ids[wanted]]
        names = self._names(numbers)
        return [names[number][0] for number in numbers]

    def position(self, selection: Selection, sha256: str) -> int | None:
        """Return the number of the cell that holds a content; None if the selection lacks it."""
        at = self._at(sha256)
        if at is None:
            return None
        found = np.flatnonzero(selection.contents == at)
        if not found.size:
            return None
        return int(np.searchsorted(selection.bounds(), found[0], side="right")) - 1

    def open_after(self, selection: Selection, start: int) -> int | None:
        """Return the next cell from ``start`` on with a member that the reviewer has not decided;
        continue at the first cell if there is none."""
        undecided = np.flatnonzero(self._view(Filter()).verdicts[selection.contents] < 0)
        if not undecided.size:
            return None
        cells = np.searchsorted(selection.bounds(), undecided, side="right") - 1
        later = cells[cells >= start]
        return int(later[0] if later.size else cells[0])

    # ------------------------------------------------------------------ counting

    def facets(self, wanted: Filter) -> dict[str, Any]:
        """Count the contents that another value of one condition of a filter would choose."""
        view = self._view(wanted)
        masks = view.masks(wanted)
        return facets.facets(view, masks, view.all_of(masks))

    def timeline(self, wanted: Filter) -> dict[str, Any]:
        """Count contents over time: see ``facets.timeline``."""
        return facets.timeline(self._view(wanted), wanted)

    def map(
        self, wanted: Filter, sight: Box | None = None, reach: float | None = None
    ) -> dict[str, Any]:
        """Cluster contents by position: see ``facets.position_map``."""
        return facets.position_map(self._view(wanted), wanted, sight, reach)

    def positions(self, wanted: Filter) -> tuple[NDArray[np.float32], Ints]:
        """Return the distinct positions of contents: see ``facets.distinct_positions``."""
        return facets.distinct_positions(self._view(wanted), wanted)

    def progress(self, run: int | None = None) -> dict[str, int]:
        """Return how far the case, the reviewer and a run (None: the browser's) are."""
        index, view = self.index, self._view(Filter(run=run))
        return {
            "version": index.version,
            "contents": len(index.ids),
            "scored": int((view.run.label >= 0).sum()),
            "items": len(index.items),
            "failures": self._rejected("failure"),
            "exclusions": self._rejected("exclusion"),
            "decided": int((view.verdicts >= 0).sum()),
        }

    def _rejected(self, kind: str) -> int:
        numbers = [n for n, t in enumerate(self.index.reasons.texts) if t.startswith(kind)]
        return int(np.isin(self.index.item_reason, numbers).sum())

    def rejected(
        self,
        outcome: str | None,
        reason: str | None,
        kind: str | None,
        text: str,
        start: int,
        count: int,
    ) -> dict[str, Any]:
        """Return the items without a content: their number by reason and kind of file, and one page
        of them.

        ``outcome`` is ``failure`` or ``exclusion``; an empty ``kind`` is for items without one.
        """
        index = self.index
        chosen = index.item_reason >= 0
        if text:
            chosen &= named(index, folded(text))
        named_by = [tuple(name.split(" ", 2)) for name in index.reasons.texts]
        numbers = Counter(index.item_reason[chosen].tolist())
        kinds = [(*named_by[number], n_items) for number, n_items in numbers.most_common()]
        reasons: Counter[tuple[str, ...]] = Counter()
        for number, n_items in numbers.items():
            reasons[named_by[number][:2]] += n_items
        wanted = (outcome, reason, kind)
        if any(part is not None for part in wanted):
            fitting = [
                number
                for number, name in enumerate(named_by)
                if all(part in (None, own) for part, own in zip(wanted, name, strict=True))
            ]
            chosen &= np.isin(index.item_reason, fitting)
        found = index.items[chosen]
        some = [int(n) for n in found[start : start + count]]
        return {
            "reasons": [(*name, n_items) for name, n_items in reasons.most_common()],
            "kinds": kinds,
            "total": len(found),
            "items": [self._items.item(number) for number in some],
        }

    def _view(self, wanted: Filter) -> View:
        run = self.run if wanted.run is None else wanted.run
        if run is not None and all(run != known.id for known in self.runs):
            raise CaseError(
                msg("there is no run {run} in this case", run=run), remedy=msg("choose another run")
            )
        columns = self.index.run_columns(run)
        return View(self.index, columns, self.reviewer, self._distance, self._ids_by_hash)

    # ------------------------------------------------------------------ lookups

    def verdict(self, sha256: str) -> int:
        """Return the reviewer's verdict of a content, or -1."""
        at = self._at(sha256)
        return -1 if at is None else int(self._view(Filter()).verdicts[at])

    def group(self, sha256: str) -> tuple[int, int]:
        """Return a content's stack and the number of contents in it; zeros for none."""
        return self._counted_group(self.index.stack, sha256)

    def similar(self, sha256: str) -> tuple[int, int]:
        """Return a content's group of near-duplicates and the number of contents in it that are not
        copies of the same picture; zeros for none."""
        number, count = self._counted_group(self.index.group, sha256)
        return number, count - max(self.group(sha256)[1], 1) if number else 0

    def _counted_group(self, column: Small, sha256: str) -> tuple[int, int]:
        at = self._at(sha256)
        number = 0 if at is None else int(column[at])
        return (number, int((column == number).sum())) if number else (0, 0)

    def thumbnails(self, contents: Sequence[str]) -> dict[str, str | None]:
        """Return the SHA-256 of the thumbnails of contents, by the SHA-256 of the contents."""
        return {row["sha256"]: row["thumbnail"] for row in self._rows("sha256", contents)}

    def _ids_by_hash(self, prefix: str) -> list[int]:
        """Ids of contents of which a hash begins with some digits."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        found: list[int] = []
        for kind in ("sha256", "md5", "sha1"):
            query = f"SELECT id FROM contents WHERE {kind} >= ? AND {kind} < ? LIMIT 1000"  # noqa: S608
            found += (row["id"] for row in self._database.query(query, prefix, end))
        return found

    def _at(self, sha256: str) -> int | None:
        rows = self._database.query("SELECT id FROM contents WHERE sha256 = ?", sha256)
        at = int(self.index.at([rows[0]["id"]])[0]) if rows else len(self.index.ids)
        return at if at < len(self.index.ids) else None

    def _names(self, numbers: Sequence[int]) -> dict[int, tuple[str, str | None]]:
        """SHA-256 and thumbnail of contents, by id."""
        return {row["id"]: (row["sha256"], row["thumbnail"]) for row in self._rows("id", numbers)}

    def _rows(self, column: str, values: Sequence[int] | Sequence[str]) -> Iterator[Row]:
        """Yield the contents with these values in a column, in short statements."""
        for start in range(0, len(values), _CONTENTS_PER_QUERY):
            some = values[start : start + _CONTENTS_PER_QUERY]
            marks = ", ".join("?" * len(some))
            query = f"SELECT id, sha256, thumbnail FROM contents WHERE {column} IN ({marks})"  # noqa: S608
            yield from self._database.query(query, *some)
