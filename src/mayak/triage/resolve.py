"""Decides what becomes of each item: new, known, changed, a copy, left out, or to be decoded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mayak.case import Content, Duplicate, Exclusion, Item, StoredItem
from mayak.errors import IntegrityError
from mayak.evidence import EXCLUSIONS, Source
from mayak.hashlists import HashList
from mayak.i18n import msg
from mayak.imaging.formats import is_pdf
from mayak.triage.decoding import DecodeRequest, DecodeResult
from mayak.triage.hashing import HashedFile, listed
from mayak.triage.options import Options
from mayak.triage.outcome import ItemOutcome, Outcome, item_of, location_of
from mayak.triage.recorded import RecordedSource, gap_location, is_unchanged
from mayak.types import EvidenceEntry, Failure, OutcomeReason

_RECENT = 5_000
"""Files whose outcome is remembered: more than can be on the way from here to the disk."""
_MISSING = msg("is no longer there")
_UNREADABLE = msg("can no longer be read")
_CHANGED = msg("has changed since it was read")


@dataclass(frozen=True, slots=True)
class FileToRead:
    """A file whose bytes decide what becomes of it."""

    entry: EvidenceEntry
    before: StoredItem | None
    """What the case records at its path."""


@dataclass(frozen=True, slots=True)
class UnreadFile:
    """A file that was not read, or not to its end."""

    file: FileToRead
    reason: Exclusion | Failure


Known = EvidenceEntry | Failure | UnreadFile | HashedFile | DecodeResult
Step = ItemOutcome | FileToRead | DecodeRequest


class Resolver:
    """Decides what becomes of the items of a run's sources; knows what the run has decided so far.

    For one thread.
    """

    def __init__(
        self, options: Options, known_good: Sequence[HashList], known_bad: Sequence[HashList]
    ) -> None:
        self._options, self._known_good, self._known_bad = options, known_good, known_bad
        self._copies = _Copies()
        self._alert_lists: dict[str, str] = {}
        """Which list of files to be found contains a file, by SHA-256."""
        self._n_requests = 0
        self.n_unlisted = 0
        """Items that no listing of a source counts: those of changed and missing files, and of
        gaps that are closed."""
        self.n_settled = 0
        """Items that need nothing, because an earlier run has finished them."""
        self.accepted: list[tuple[str, str]] = []
        """Files that are damaged, changed or gone, which was accepted: each with how."""
        self.is_limited = False
        """Whether the options' limit is reached: nothing more is to be walked."""

    def resolve(self, recorded: RecordedSource, known: Known) -> Iterator[Step]:
        """Decide what an item becomes, from what is known of it, what the case records of it and
        the options. Yields nothing for an item that needs nothing, or that waits for its copy.

        ============================ ==================================================
        known of the item            becomes
        ============================ ==================================================
        the source cannot give it    excluded or failed
        its entry                    nothing if an earlier run finished it; excluded by an
                                     option; else to be read
        why it was not read          excluded or failed
        its SHA-256                  excluded by a hash list; a copy; else to be decoded
        its decoded picture          content, excluded or failed; and so its copies
        ============================ ==================================================

        What the case records as a content is kept in any case. If it cannot be read, decoded or
        found unchanged any more, and this run has not scored it, its result is that failure until
        a copy or a later attempt is scored; other bytes at its path become an item of their own.

        Raises:
            IntegrityError: a recorded file differs and that is not accepted.
            EvidenceError: the source itself is gone.
        """
        match known:
            case Failure():
                if (unavailable := self._unavailable(recorded, known)) is not None:
                    yield unavailable
            case EvidenceEntry():
                yield from self._listed(recorded, known)
            case UnreadFile():
                yield self._unread(recorded, known.file.entry, known.file.before, known.reason)
            case HashedFile():
                yield from self._hashed(recorded, known)
            case DecodeResult():
                yield from self._decoded(recorded, known)
                if (digest := known.request.sha256) is not None:
                    is_kept = isinstance(known.outcome, Content) or recorded.holds(digest)
                    outcome = Duplicate(digest) if is_kept else known.outcome
                    yield from self._copies.resolve_copies(digest, outcome)

    def missing(self, recorded: RecordedSource, source: Source) -> list[ItemOutcome]:
        """Return the outcomes of recorded images that a complete walk has not met.

        Raises:
            IntegrityError: damage is not accepted.
        """
        outcomes = []
        for item, content in recorded.missing_contents(source):
            self._require_accepted(item.described, _MISSING)
            gone = Item(item.display, item.location, Duplicate(content))
            outcomes.append(_changed_content(recorded, gone, _MISSING))
        self.n_unlisted += len(outcomes)
        return outcomes

    def closed_gaps(self, recorded: RecordedSource) -> list[ItemOutcome]:
        """Return the outcomes of recorded gaps that a complete walk has not met again."""
        outcomes = []
        for gap in recorded.closed_gaps():
            before = "no file is listed in it" if gap.failure is None else gap.failure.message
            reason = f"{before}; a later run did not find this gap"
            closed = Exclusion(OutcomeReason.GAP_CLOSED, reason)
            item = Item(gap.display, gap.location, closed)
            outcomes.append(ItemOutcome(recorded.number, item, True))
        self.n_unlisted += len(outcomes)
        return outcomes

    def _unavailable(self, recorded: RecordedSource, failure: Failure) -> ItemOutcome | None:
        """An item that the source lists and cannot give, or what is missing of a container; None
        for a file that an earlier run opened with a password, of which nothing is new."""
        path = failure.entry or failure.container
        numbered = failure.path if path is None else path.numbered
        if failure.entry is not None:
            location = location_of(failure.entry)
        else:  # it shares its path with the container
            location = gap_location(numbered, failure.error, failure.message)
        shown = failure.path if path is None else path.described
        if failure.error == OutcomeReason.HASH_MISMATCH:
            self._require_accepted(shown, msg("does not match its stored hash"))
        is_excluded = failure.error in EXCLUSIONS
        if not is_excluded:
            recorded.identity.require()
            recorded.unread.add(numbered)
        if failure.entry is None and failure.error == OutcomeReason.ENCRYPTED:
            recorded.locked.add(numbered)
        before = recorded.item(location)
        if before is not None and before.content is not None:
            if failure.error == OutcomeReason.ENCRYPTED:
                self.n_settled += 1
                return None
            self._require_accepted(shown, _UNREADABLE)
            item = Item(failure.path, location, Duplicate(before.content))
            return _changed_content(recorded, item, _UNREADABLE)
        outcome = (
            Exclusion(failure.error, failure.message, failure.kind) if is_excluded else failure
        )
        is_deleted = failure.error == OutcomeReason.DELETED_WITHOUT_CONTENT
        item = Item(failure.path, location, outcome, deleted=is_deleted)
        return ItemOutcome(recorded.number, item, before is not None)

    def _listed(self, recorded: RecordedSource, entry: EvidenceEntry) -> Iterator[Step]:
        before = recorded.item(location_of(entry.path))
        if before is not None and before.content is not None:
            # What an earlier run recorded is kept, even if this run's options exclude it.
            is_same = not recorded.is_unproven and is_unchanged(entry, before)
            if is_same and self._is_finished(recorded, entry, before.content):
                self.n_settled += 1
                return
        elif (unwanted := self._options.unwanted(entry)) is not None:
            yield ItemOutcome(recorded.number, item_of(entry, unwanted), before is not None)
            return
        yield FileToRead(entry, before)

    def _unread(
        self,
        recorded: RecordedSource,
        entry: EvidenceEntry,
        before: StoredItem | None,
        reason: Exclusion | Failure,
    ) -> ItemOutcome:
        if isinstance(reason, Failure):
            recorded.identity.require()
            recorded.unread.add(entry.path.numbered)
        if before is not None and before.content is not None:
            self._require_accepted(entry.path.described, _UNREADABLE)
            item = item_of(entry, Duplicate(before.content))
            return _changed_content(recorded, item, _UNREADABLE)
        if _document_digest(before) is not None:
            self._require_accepted(entry.path.described, _UNREADABLE)
        return ItemOutcome(recorded.number, item_of(entry, reason), before is not None)

    def _hashed(self, recorded: RecordedSource, hashed: HashedFile) -> Iterator[Step]:
        entry, before, digest = hashed.file.entry, hashed.file.before, hashed.sha256
        content, is_known = None if before is None else before.content, before is not None
        if _document_digest(before) not in (None, digest):
            self._require_accepted(entry.path.described, _CHANGED)
        if content is not None and digest != content:
            # The bytes that are there now are a file of their own.
            path, later = recorded.later_path(entry.path, digest)
            if later is None:
                self._require_accepted(entry.path.described, _CHANGED)
            self.n_unlisted += 1
            item = item_of(entry, Duplicate(content))
            yield _changed_content(recorded, item, _CHANGED)
            entry, content, is_known = replace(entry, path=path), later, later is not None
        hashes = hashed.hashes() if self._known_bad or self._known_good else ()
        sought = listed(self._known_bad, hashes)
        if content is None:
            left_out = None if sought else listed(self._known_good, hashes)
            outcomes = self._without_decoding(recorded, entry, hashed, left_out, is_known)
            if outcomes is not None:
                yield from outcomes
                return
        elif self._is_finished(recorded, entry, digest):
            self.n_settled += 1
            return
        if self._n_requests == self._options.limit:
            self.is_limited = True
            return
        self._n_requests += 1
        self._copies.expect(digest)
        if sought is not None:
            self._alert_lists[digest] = f"{sought}, a list of files that are looked for"
        yield DecodeRequest(entry, hashed.file.data, digest, is_sought=sought is not None)

    def _without_decoding(
        self,
        recorded: RecordedSource,
        entry: EvidenceEntry,
        hashed: HashedFile,
        left_out: str | None,
        is_known: bool,
    ) -> list[ItemOutcome] | None:
        """The outcomes of new bytes that are known from elsewhere; None if they must be decoded."""
        digest = hashed.sha256
        if left_out is not None:
            # A list can be wrong, and a file in a folder can change: the hash is recorded.
            known = Exclusion(OutcomeReason.KNOWN_GOOD, f"{left_out}; SHA-256 {digest}")
            return [ItemOutcome(recorded.number, item_of(entry, known), is_known)]
        if is_pdf(hashed.file.data):  # the pictures in a document are recorded for each copy of it
            return None
        if digest in self._copies:
            return self._copies.add(recorded.number, entry, digest, is_known)
        if recorded.holds(digest) and recorded.is_scored(digest):
            return [ItemOutcome(recorded.number, item_of(entry, Duplicate(digest)), is_known)]
        return None

    def _decoded(self, recorded: RecordedSource, result: DecodeResult) -> Iterator[ItemOutcome]:
        number, outcome, entry = recorded.number, result.outcome, result.request.entry
        sought = self._alert_lists.get(result.request.sha256 or "")
        if isinstance(outcome, Failure) and sought is not None:
            # No alert can be raised for a file that is not an image; this names the list.
            outcome = replace(outcome, message=f"{outcome.message}; {sought}")
        is_content = isinstance(outcome, Content)
        image = result.image if is_content else None
        scored = result.prediction if is_content else None
        item = item_of(entry, outcome)
        before = recorded.item(item.location)
        content = None if before is None else before.content
        if content is None and not is_content and recorded.holds(result.request.sha256):
            content = result.request.sha256  # a new copy
        if content and not isinstance(outcome, Content):
            # What an earlier run recorded is kept; only its result is missing, or made of a
            # picture that this run's options call too small.
            kept = replace(item, outcome=Duplicate(content))
            failure = outcome if isinstance(outcome, Failure) else None
            is_known = before is not None
            yield ItemOutcome(number, kept, is_known, result.image, failure, result.prediction)
        elif content and isinstance(outcome, Content) and outcome.sha256 != content:
            # In a document that changed and was accepted, or by another version of a decoder.
            self.n_unlisted += 1
            failure = Failure(item.display, "decode", OutcomeReason.CHANGED, "is not what it was")
            kept = replace(item, outcome=Duplicate(content))
            yield ItemOutcome(number, kept, True, failure=failure)
            path, later = recorded.later_path(entry.path, outcome.sha256)
            item = replace(item, display=str(path), location=location_of(path))
            yield ItemOutcome(number, item, later is not None, image, prediction=scored)
        else:
            yield ItemOutcome(number, item, before is not None, image, prediction=scored)

    def _is_finished(self, recorded: RecordedSource, entry: EvidenceEntry, content: str) -> bool:
        """Whether nothing is left to do for a recorded file."""
        is_scored = content in self._copies or recorded.is_scored(content)
        return is_scored and not recorded.lacks_inside(location_of(entry.path))

    def _require_accepted(self, path: str, text: str) -> None:
        """Refuse damage that is not accepted, remember damage that is.

        Raises:
            IntegrityError: damage is not accepted.
        """
        if not self._options.accept_damaged:
            raise IntegrityError(
                path + ": " + text,
                remedy=msg("give the source as it was, or continue with --accept-damaged"),
            )
        self.accepted.append((path, text))


class _Copies:
    """Which bytes were sent to be decoded, what became of them, and which copies wait for that."""

    def __init__(self) -> None:
        self._outcomes: OrderedDict[str, Outcome | None] = OrderedDict()
        """By SHA-256; None until it is known."""
        self._waiting: dict[str, list[tuple[int, EvidenceEntry, bool]]] = {}

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._outcomes

    def expect(self, sha256: str) -> None:
        self._outcomes[sha256] = None

    def add(
        self, source: int, entry: EvidenceEntry, sha256: str, is_known: bool
    ) -> list[ItemOutcome]:
        """Return the outcome of a copy, if it is known; else ``resolve_copies`` yields it later."""
        outcome = self._outcomes[sha256]
        if outcome is not None:
            return [ItemOutcome(source, item_of(entry, outcome), is_known)]
        self._waiting.setdefault(sha256, []).append((source, entry, is_known))
        return []

    def resolve_copies(self, sha256: str, outcome: Outcome) -> Iterator[ItemOutcome]:
        """Remember what becomes of copies of some bytes; yields the outcomes of those that
        waited."""
        self._outcomes[sha256] = outcome
        self._outcomes.move_to_end(sha256)
        while len(self._outcomes) > _RECENT and self._outcomes[next(iter(self._outcomes))]:
            self._outcomes.popitem(last=False)
        for source, entry, is_known in self._waiting.pop(sha256, []):
            yield ItemOutcome(source, item_of(entry, outcome), is_known)


def _changed_content(recorded: RecordedSource, item: Item, reason: str) -> ItemOutcome:
    """A content that the case records and that is not there as it was: it is kept, and has that
    failure as its result unless this run has scored it."""
    failure = Failure(item.display, "read", OutcomeReason.CHANGED, reason)
    return ItemOutcome(recorded.number, item, True, failure=failure)


def _document_digest(before: StoredItem | None) -> str | None:
    """The recorded SHA-256 of a document; None for other items."""
    if (
        before is None
        or before.exclusion is None
        or before.exclusion.rule != OutcomeReason.DOCUMENT
    ):
        return None
    return before.sha256
