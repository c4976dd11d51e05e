"""One reviewer's open session on a case: the results that are shown, and the decisions.

SQLite connections belong to one thread each, so one thread reads and one writes, each with its own
store. Every request of the page runs on one of the two, one after the other.
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

from mayak.case import CaseStore, Cell, Filter, Selection, Sort
from mayak.case.decisions import PageState
from mayak.case.folder import read_thumbnail
from mayak.case.records import Seen
from mayak.case.values import checked
from mayak.errors import CaseError
from mayak.evidence import Choices
from mayak.i18n import msg
from mayak.imaging.hashing import PDQ_MATCH_DISTANCE
from mayak.review.guard import RefusalLog
from mayak.review.originals import OriginalError, OriginalRequest, Originals

Result = TypeVar("Result")

_SELECTIONS = 12
"""Results that are kept. The page asks again for one that was dropped."""

log = logging.getLogger("mayak.review")


class CountError(CaseError):
    """A decision is for a number of images that the reviewer has not confirmed."""

    def __init__(self, count: int) -> None:
        super().__init__(
            msg("this decision is for {count} images", count=count),
            remedy=msg("confirm that number"),
        )
        self.count = count


@dataclass(frozen=True, slots=True)
class ShownImages:
    """The images that were on the screen when a decision was made on a page."""

    how: Literal["opened", "grid"]
    blurred: bool
    positions: Mapping[str, int | None] = field(default_factory=dict)
    """Drawn images by SHA-256, each with its position in the result (None: not in it)."""


class ReviewSession:
    """A case opened by one reviewer. Use as a context manager.

    Methods that need the reading thread are called through ``read``.
    """

    def __init__(self, folder: Path, reviewer: str) -> None:
        """Open the case and start to read it.

        Raises:
            CaseError: the folder is not a case, or cannot be opened.
        """
        self.folder = folder
        self.reviewer = reviewer
        self.originals = Originals()
        self._reading = ThreadPoolExecutor(1, "mayak-read")
        self._writing = ThreadPoolExecutor(1, "mayak-write")
        self._selections: OrderedDict[str, Selection] = OrderedDict()
        self._refusals = RefusalLog()
        self._pages: dict[int, str] = {}
        """By action: the page that made it, since the start of the session."""
        self._read, self._rows = 0, 0
        self._closing = False
        try:
            # The writer first: it updates a case of an older version.
            self._writer = self._writing.submit(
                CaseStore.review, folder, operator=reviewer
            ).result()
            self._reading.submit(self._open).result()
        except BaseException:
            self._reading.shutdown()
            self._writing.shutdown()
            raise
        # A million images take a while. Requests made meanwhile wait for the reading thread.
        self._first = self._reading.submit(self.browser.refresh, self._advance)

    def open_sources_with(self, choices: Choices) -> None:
        """Open the sources with these choices; before the first original is read."""
        self.originals = Originals(choices)

    def _open(self) -> None:
        self.store = CaseStore.read(self.folder)
        self.lacks_stacks = self.store.lacks_stacks()
        self.browser = self.store.browse(self.reviewer, distance=PDQ_MATCH_DISTANCE)
        self._rows = self.browser.ahead()

    def _advance(self, rows: int) -> None:
        if self._closing:
            raise CancelledError
        self._read += rows

    def reading(self) -> tuple[int, int] | None:
        """Return how many rows of the case were read, and of how many; None when all were.

        Raises:
            CaseError: reading failed.
        """
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
        """Stop the threads and the process that reads originals."""
        self._closing = True
        if more := self._refusals.n_unlogged:
            self._writing.submit(self._writer.record, "refuse more requests", requests=more)
        self.store.interrupt()  # reading a damaged case may take long
        self._reading.submit(self.store.close).result()
        self._writing.submit(self._writer.close).result()
        self._reading.shutdown()
        self._writing.shutdown()
        self.originals.close()

    async def read(self, work: Callable[[], Result]) -> Result:
        """Run ``work`` on the reading thread, in the caller's language.

        Raises:
            CaseError: also if ``work`` fails on values of a damaged case.
        """
        return await _on(self._reading, lambda: self._checked(work))

    async def write(self, work: Callable[[CaseStore], Result]) -> Result:
        """Run ``work`` with the writing store. On return it is on disk and in the columns."""
        result = await _on(self._writing, lambda: self._checked(lambda: work(self._writer)))
        await self.read(self.browser.refresh)
        return result

    def _checked(self, work: Callable[[], Result]) -> Result:
        with checked(self.folder, msg("what the page asked for")):
            return work()

    def log_refusal(self, what: str) -> None:
        """Log a refused request in the terminal and in the case, or only count it."""
        if self._refusals.add(what):
            self._writing.submit(self._writer.record, "refuse request", request=what)

    # ------------------------------------------------------------------ on the reading thread

    def select(self, wanted: Filter, sort: Sort, *, stacked: bool) -> tuple[str, Selection]:
        """Filter and sort the images; return the result and the token under which it is kept."""
        self.browser.refresh()
        token = secrets.token_urlsafe(9)
        self._selections[token] = self.browser.select(wanted, sort, stacked=stacked)
        while len(self._selections) > _SELECTIONS:
            self._selections.popitem(last=False)
        return token, self._selections[token]

    def selection(self, token: str) -> Selection | None:
        """Return the result with this token; None if it is not kept any more."""
        found = self._selections.get(token)
        if found is not None:
            self._selections.move_to_end(token)
        return found

    def near(self, sha256: str, max_count: int, run: int | None) -> list[Cell]:
        """Return at max_count ``max_count`` near-duplicates of an image, the nearest first."""
        content = self.store.content(sha256)
        if content is None or content.pdq is None:
            return []
        selection = self.browser.select(Filter(near=content.pdq, run=run), "near")
        cells = self.browser.cells(selection, 0, max_count + 1)
        return [cell for cell in cells if cell.sha256 != sha256][:max_count]

    def original_request(self, sha256: str) -> OriginalRequest:
        """Return what the process for originals needs to read an image: its occurrences.

        Raises:
            CaseError: the image is not in the case.
        """
        sources = {source.id: source.path for source in self.store.sources()}
        occurrences = self.store.occurrences(sha256)
        if not occurrences:
            raise unknown_image(sha256)
        return OriginalRequest(sha256, tuple((sources[o.source], o.location) for o in occurrences))

    # ------------------------------------------------------------------ anywhere

    def thumbnail(self, digest: str) -> bytes | None:
        """Return the thumbnail with this SHA-256; None if it is missing or was changed."""
        try:
            return read_thumbnail(self.folder, digest)
        except (OSError, ValueError):
            return None

    async def original(self, wanted: OriginalRequest) -> bytes | OriginalError:
        """Return an image read from its source, as a JPEG, or the reason why not."""
        return await asyncio.to_thread(self.originals.picture, wanted)

    async def hash(self, data: bytes) -> bytes | OriginalError:
        """Return the PDQ hash of an image file, or the reason why not."""
        return await asyncio.to_thread(self.originals.hash, data)

    def draw(self, store: CaseStore, size: int, run: int | None) -> int:
        """Draw a blind sample of the images that a run calls irrelevant; return its number.

        Raises:
            CaseError: nothing was classified, or there are not enough images.
        """
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
        shown: ShownImages | None = None,
        mark: int | None = None,
        page: str = "",
    ) -> tuple[int, list[str]]:
        """Decide images and ranges of a result; return the action's number and the images.

        ``shown`` has the images on the screen, ``mark`` the last decision that the page had read.

        Raises:
            CaseError: an unknown image or verdict, a result that was dropped, nothing to decide.
            CountError: ``count`` is not the number of images; or it is None and the decision, made
                on a page, is for more images than were drawn.
            SupersededError: the reviewer has decided otherwise meanwhile, on another page.
        """
        chosen = dict.fromkeys(images)
        copies: set[str] = set()
        if ranges:
            positions = {} if shown is None else shown.positions
            drawn = [(at, at + 1) for at in positions.values() if at is not None]

            def expand() -> tuple[list[str], list[str]] | None:
                selection = self.selection(token)
                if selection is None:
                    return None
                browser = self.browser
                return browser.expand(selection, ranges), browser.expand(selection, drawn)

            found = await self.read(expand)
            if found is None:
                raise result_expired()
            chosen |= dict.fromkeys(found[0])
            copies = set(found[1])
        if shown is not None and (unknown := shown.positions.keys() - chosen.keys()):
            raise unknown_image(min(unknown))
        whole = shown is None or chosen.keys() <= shown.positions.keys() | copies
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
        shown: ShownImages | None = None,
        mark: int | None = None,
        page: str = "",
    ) -> int:
        """Decide an image of a blind sample; return the action's number.

        Raises:
            CaseError: the image is not in this reviewer's sample.
            SupersededError: as for ``decide``.
        """
        seen = {} if shown is None else {image: _seen(image, shown, set())}

        def work(store: CaseStore) -> int:
            known = self._known(mark, page)
            action = store.judge(self.reviewer, sample, {image: verdict}, seen=seen, known=known)
            return self._made(page, action)

        return await self.write(work)

    # ------------------------------------------------------------------ on the writing thread

    def _known(self, mark: int | None, page: str) -> PageState | None:
        if mark is None:
            return None
        return PageState(mark, lambda action: self._pages.get(action) == page)

    def _made(self, page: str, action: int) -> int:
        if page:
            self._pages[action] = page
        return action


def _seen(image: str, shown: ShownImages, copies: set[str]) -> Seen:
    if image in shown.positions:
        return Seen(shown.how, shown.blurred)
    return Seen("copy", shown.blurred) if image in copies else Seen("bulk", None)


def result_expired() -> CaseError:
    """Return the error for a result that is not kept any more."""
    return CaseError(
        msg("this result is not kept any more"),
        remedy=msg("reload the page"),
    )


def unknown_image(sha256: str) -> CaseError:
    """Return the error for an image that is not in the case."""
    return CaseError(
        msg("{sha256} is not an image of this case", sha256=sha256[:64]),
        remedy=msg("reload the page"),
    )


async def _on(pool: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    return await asyncio.wrap_future(pool.submit(work))
