"""A case on the desk of one reviewer: what is looked at, and what is decided.

SQLite's connections belong to threads, so one thread reads and one writes, each with its own store;
everything the page asks for is done on one of them, in turn.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

from mayak.case import Browser, CaseStore, Cell, Filter, Selection, Sort
from mayak.case.decisions import Known
from mayak.case.folder import read_thumbnail
from mayak.case.records import Seen
from mayak.case.values import checked
from mayak.errors import CaseError
from mayak.i18n import msg
from mayak.imaging.hashing import PDQ_MATCH_DISTANCE
from mayak.review.originals import Originals, Wanted, Why

Result = TypeVar("Result")

_SELECTIONS = 12
"""Results that are kept; the page asks anew for one that is gone."""
_REFUSALS = 50
"""Refused requests of one start that are named in the terminal and in the case's log: nobody fills
these from outside."""

log = logging.getLogger("mayak.review")


class CountError(CaseError):
    """A decision is for another number of images than the reviewer was told."""

    def __init__(self, count: int) -> None:
        super().__init__(
            msg("this decision is for {count} images", count=count),
            remedy=msg("confirm that number"),
        )
        self.count = count


@dataclass(frozen=True, slots=True)
class Shown:
    """What was on the screen when an act was made on a page."""

    how: Literal["opened", "grid"]
    blurred: bool
    places: Mapping[str, int | None] = field(default_factory=dict)
    """The images that were drawn, by SHA-256, each with its place in the result."""


class Desk:
    """A case open for one reviewer. Use as a context manager.

    The methods below ``read`` run on the reading thread, ``await``-ed through it.
    """

    def __init__(self, folder: Path, reviewer: str) -> None:
        """Open the case and begin to read it. Raises CaseError."""
        self.folder = folder
        self.reviewer = reviewer
        self.originals = Originals()
        self._reading = ThreadPoolExecutor(1, "mayak-read")
        self._writing = ThreadPoolExecutor(1, "mayak-write")
        self._selections: OrderedDict[str, Selection] = OrderedDict()
        self._refusals = 0
        self._pages: dict[int, str] = {}
        """The page on which each act was made, since the start."""
        self._read, self._rows = 0, 0
        self._closing = False
        try:
            # The writer first: it brings a case of an older version up to date.
            self._writer = self._writing.submit(
                CaseStore.review, folder, operator=reviewer
            ).result()
            self._reading.submit(self._open).result()
        except BaseException:
            self._reading.shutdown()
            self._writing.shutdown()
            raise
        # A million images take a while. What is asked meanwhile waits for the thread that reads.
        self._first = self._reading.submit(self.browser.refresh, self._advance)

    def _open(self) -> None:
        self.store = CaseStore.read(self.folder)
        self.lacks_stacks = self.store.lacks_stacks()
        self.browser = Browser(self.store, self.reviewer, distance=PDQ_MATCH_DISTANCE)
        self._rows = self.browser.ahead()

    def _advance(self, rows: int) -> None:
        if self._closing:
            raise CancelledError
        self._read += rows

    def reading(self) -> tuple[int, int] | None:
        """Rows of the case that have been read since the start, and how many there are; None once
        all are. Raises CaseError where reading failed."""
        if self._first.done():
            self._first.result()
            return None
        return self._read, self._rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads and the process that reads originals."""
        self._closing = True
        if (more := self._refusals - _REFUSALS) > 0:
            self._writing.submit(self._writer.record, "refuse more requests", requests=more)
        self.store.interrupt()  # who waits for a damaged case need not wait for its end
        self._reading.submit(self.store.close).result()
        self._writing.submit(self._writer.close).result()
        self._reading.shutdown()
        self._writing.shutdown()
        self.originals.close()

    async def read(self, work: Callable[[], Result]) -> Result:
        """Do ``work`` on the reading thread, in the caller's language. Raises CaseError also for
        values of a damaged case that only ``work`` stumbles over."""
        return await _on(self._reading, lambda: self._checked(work))

    async def write(self, work: Callable[[CaseStore], Result]) -> Result:
        """Do ``work`` with the writing store; it is on disk and in the columns on return."""
        result = await _on(self._writing, lambda: self._checked(lambda: work(self._writer)))
        await self.read(self.browser.refresh)
        return result

    def _checked(self, work: Callable[[], Result]) -> Result:
        with checked(self.folder, msg("what the page asked for")):
            return work()

    def refused(self, what: str) -> None:
        """Name a refused request in the terminal and in the case's log, or only count it."""
        self._refusals += 1
        if self._refusals <= _REFUSALS:
            log.warning("refused %s", what)
            self._writing.submit(self._writer.record, "refuse request", request=what)
        if self._refusals == _REFUSALS:
            log.warning("further refused requests are only counted")

    # ------------------------------------------------------------------ on the reading thread

    def select(self, wanted: Filter, sort: Sort, *, stacked: bool) -> tuple[str, Selection]:
        """A new result and the token under which it is kept."""
        self.browser.refresh()
        token = secrets.token_urlsafe(9)
        self._selections[token] = self.browser.select(wanted, sort, stacked=stacked)
        while len(self._selections) > _SELECTIONS:
            self._selections.popitem(last=False)
        return token, self._selections[token]

    def selection(self, token: str) -> Selection | None:
        """The result under a token; None if it is not kept any more."""
        found = self._selections.get(token)
        if found is not None:
            self._selections.move_to_end(token)
        return found

    def near(self, sha256: str, most: int, run: int | None) -> list[Cell]:
        """The nearest of a content's near-duplicates, itself not among them, as a run sees them."""
        content = self.store.content(sha256)
        if content is None or content.pdq is None:
            return []
        selection = self.browser.select(Filter(near=content.pdq, run=run), "near")
        cells = self.browser.cells(selection, 0, most + 1)
        return [cell for cell in cells if cell.sha256 != sha256][:most]

    def wanted(self, sha256: str) -> Wanted:
        """Where copies of a content lie. Raises CaseError for an unknown one."""
        sources = {source.id: source.path for source in self.store.sources()}
        places = self.store.places(sha256)
        if not places:
            raise unknown_image(sha256)
        return Wanted(sha256, tuple((sources[p.source], p.location) for p in places))

    # ------------------------------------------------------------------ anywhere

    def thumbnail(self, digest: str) -> bytes | None:
        """The thumbnail with this SHA-256; None for one that is missing or not what was written."""
        try:
            return read_thumbnail(self.folder, digest)
        except (OSError, ValueError):
            return None

    async def original(self, wanted: Wanted) -> bytes | Why:
        """A picture from its source as a JPEG, or why there is none."""
        return await asyncio.to_thread(self.originals.picture, wanted)

    async def hash(self, data: bytes) -> bytes | Why:
        """The PDQ hash of an image file's bytes, or why there is none."""
        return await asyncio.to_thread(self.originals.hash, data)

    def draw(self, store: CaseStore, size: int, run: int | None) -> int:
        """A blind sample of what a run calls irrelevant. Raises CaseError."""
        run = self.browser.run if run is None else run
        if run is None:
            raise CaseError(
                msg("nothing has been classified yet"),
                remedy="mayak triage",
            )
        return store.draw_sample(run, size, secrets.randbits(32), self.reviewer)

    async def decide(
        self,
        verdict: int,
        images: Sequence[str],
        token: str,
        ranges: Sequence[tuple[int, int]],
        *,
        count: int | None = None,
        shown: Shown | None = None,
        mark: int | None = None,
        page: str = "",
    ) -> tuple[int, list[str]]:
        """Decide images, and what stands in ranges of a result; the act's number and the images.

        ``shown`` is what was drawn on the screen, ``mark`` what the page knew of the decisions.
        Raises CaseError: an unknown image or verdict, a result that is gone, nothing to decide;
        CountError if the ranges hold another number of images than ``count``, or if an act on a
        page names none and holds more than was drawn; SupersededError if the reviewer has decided
        otherwise meanwhile, on another page.
        """
        chosen = dict.fromkeys(images)
        copies: set[str] = set()
        if ranges:
            places = [] if shown is None else [p for p in shown.places.values() if p is not None]
            drawn = [(place, place + 1) for place in places]

            def expand() -> tuple[list[str], list[str]] | None:
                selection = self.selection(token)
                if selection is None:
                    return None
                browser = self.browser
                return browser.expand(selection, ranges), browser.expand(selection, drawn)

            found = await self.read(expand)
            if found is None:
                raise gone()
            chosen |= dict.fromkeys(found[0])
            copies = set(found[1])
        if shown is not None and (unknown := shown.places.keys() - chosen.keys()):
            raise unknown_image(min(unknown))
        whole = shown is None or chosen.keys() <= shown.places.keys() | copies
        if count != len(chosen) if count is not None else not whole:
            raise CountError(len(chosen))
        verdicts = dict.fromkeys(chosen, verdict)
        seen = {} if shown is None else {image: _seen(image, shown, copies) for image in chosen}

        def work(store: CaseStore) -> int:
            known = self._known(mark, page)
            return self._made(page, store.decide(self.reviewer, verdicts, seen=seen, known=known))

        return await self.write(work), list(chosen)

    async def judge(
        self,
        sample: int,
        image: str,
        verdict: int,
        *,
        shown: Shown | None = None,
        mark: int | None = None,
        page: str = "",
    ) -> int:
        """Judge an image of a blind sample; the act's number. Raises CaseError, and as ``decide``
        SupersededError."""
        seen = {} if shown is None else {image: _seen(image, shown, set())}

        def work(store: CaseStore) -> int:
            known = self._known(mark, page)
            action = store.judge(self.reviewer, sample, {image: verdict}, seen=seen, known=known)
            return self._made(page, action)

        return await self.write(work)

    # ------------------------------------------------------------------ on the writing thread

    def _known(self, mark: int | None, page: str) -> Known | None:
        if mark is None:
            return None
        return Known(mark, lambda action: self._pages.get(action) == page)

    def _made(self, page: str, action: int) -> int:
        if page:
            self._pages[action] = page
        return action


def _seen(image: str, shown: Shown, copies: set[str]) -> Seen:
    if image in shown.places:
        return Seen(shown.how, shown.blurred)
    return Seen("copy", shown.blurred) if image in copies else Seen("bulk", None)


def gone() -> CaseError:
    """A result that the desk does not keep any more."""
    return CaseError(
        msg("this result is not kept any more"),
        remedy=msg("reload the page"),
    )


def unknown_image(sha256: str) -> CaseError:
    """A content that the case does not hold."""
    return CaseError(
        msg("{sha256} is no image of this case", sha256=sha256[:64]),
        remedy=msg("reload the page"),
    )


async def _on(pool: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    return await asyncio.wrap_future(pool.submit(work))
