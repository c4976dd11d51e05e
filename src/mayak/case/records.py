"""Records of a case: frozen values that are independent of SQL.

Times are aware datetimes (any zone when written, UTC when read); hashes are lower-case hex.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

from mayak.i18n import Message, msg, msg_in, plural
from mayak.names import storable
from mayak.types import NO_TIMES, EvidencePath, Failure, FileTimes, Scores

BEGINS = "begins with "
"""In the reason of a file of no known kind, before its first bytes in hex."""
_RECORDED_HASH = re.compile(r"\bSHA-256 ([0-9a-f]{64})$")
OutcomeName = Literal["content", "failure", "exclusion"]
SeenHow = Literal["opened", "grid", "copy", "bulk"]
Problem = Literal["changed", "deleted", "inserted", "chain", "invariant", "unreadable"]


@dataclass(frozen=True, slots=True)
class SourceHash:
    """Hashes of one reading of a whole source, and the hash that its container stores."""

    md5: str
    sha256: str
    size: int
    began: datetime
    ended: datetime
    stored_hash: str | None = None
    matches: bool | None = None
    """Whether the stored hash equals that of the reading; None if none is stored."""
    accepted_damaged: bool = False
    """The operator continued although it does not match."""


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A source of items; ``hashes`` oldest first, empty if it was not hashed as a whole."""

    id: int
    path: str
    """As given by the operator; where it is now, if it was relocated."""
    kind: str
    hashes: tuple[SourceHash, ...]
    former_paths: tuple[str, ...] = ()
    """Where it was before, oldest first."""
    identity: str | None = None
    """What identifies it besides its path (``mayak.evidence.Source.identity``); None if no run of a
    version that records this has read it."""
    root: EvidencePath | None = None
    """The first layer of the paths of its items: they keep the name that the source had when it was
    added. None if there are none yet and it was not relocated."""


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """Numbers of items of one source."""

    files: int
    hashed: int
    """Items with a recorded SHA-256 of their own (``StoredItem.sha256``)."""
    deleted: int
    inside: int
    """Pictures inside other files: pages, frames, in documents, under transparency."""
    gaps: int
    """Items that are not files but what a container lacks, next to the container itself."""
    has_disk_image: bool
    """Whether some items come from a disk image."""


@dataclass(frozen=True, slots=True)
class Content:
    """An image, identified by its bytes; one or more items hold it."""

    sha256: str
    md5: str
    sha1: str
    size: int
    """Bytes."""
    format: str
    width: int
    height: int
    pdq: bytes | None = None
    """32 bytes, most significant bit first."""
    pdq_quality: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Values that JSON can hold."""
    thumbnail: bytes | None = field(default=None, repr=False)
    """The bytes of a JPEG file."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A content that is already in the case, or earlier in the same batch."""

    sha256: str


@dataclass(frozen=True, slots=True)
class Exclusion:
    """The rule that excludes an item, and why it applies."""

    rule: str
    reason: str
    kind: str | None = None
    """Name of the file's kind in ``mayak.signatures``; None if it is not known, or was not
    recorded."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file found in a source, with its outcome."""

    display: str
    """Its path for people."""
    location: str
    """Its path as lossless JSON; identifies it within the source."""
    outcome: Content | Duplicate | Failure | Exclusion
    size: int | None = None
    times: FileTimes = NO_TIMES
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item of the case; one of the last three fields is its outcome."""

    id: int
    source: int
    display: str
    location: str
    size: int | None
    times: FileTimes
    deleted: bool
    outcome: OutcomeName
    content: str | None
    """SHA-256."""
    failure: Failure | None
    exclusion: Exclusion | None

    @property
    def sha256(self) -> str | None:
        """The hash of its bytes, if the case records it.

        It does for an image, and for a document or a file in a list of known files, whose hash is
        part of the reason of its exclusion. Other excluded files, and those that could not be read,
        are not hashed.
        """
        if self.content is not None or self.exclusion is None:
            return self.content
        found = _RECORDED_HASH.search(self.exclusion.reason)
        return None if found is None else found[1]

    @property
    def name(self) -> str:
        """The file's name as on the medium."""
        path = self._path
        name = self.display if path is None else path.name
        # As in ``display``: bytes that are not text are escaped.
        return storable(name.rpartition("/")[2])

    @property
    def entry(self) -> str | None:
        """What distinguishes it from others of the same path (``EvidencePath.entry_number``); None
        if there is nothing."""
        path = self._path
        return None if path is None else path.entry_number

    @property
    def described(self) -> str:
        """Its path for people, with the entry number if there is one."""
        return described(self.display, self.location)

    @property
    def _path(self) -> EvidencePath | None:
        return _path(self.location)


def described(display: str, location: str) -> str:
    """Return the displayed path of an item, with the entry number if there is one.

    Earlier versions recorded the number as a part of the displayed path.
    """
    path = _path(location)
    number = None if path is None else path.entry_number
    if path is None or number is None or display == path.numbered:
        return display
    return msg("{path} (entry number {number})", path=display, number=number)


def _path(location: str) -> EvidencePath | None:
    """Return the path of a file; None for a gap of a container, which is not a file."""
    try:
        return EvidencePath.from_json(location)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class StoredContent:
    """A content of the case; ``thumbnail`` is the SHA-256 of the thumbnail's file."""

    id: int
    sha256: str
    md5: str
    sha1: str
    size: int
    format: str
    width: int
    height: int
    pdq: bytes | None
    pdq_quality: int | None
    metadata: Mapping[str, Any]
    thumbnail: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """A content that is in a list of known files."""

    sha256: str
    list: str
    """The list's name."""
    list_digest: str
    """SHA-256 of the list's file."""
    kind: Literal["md5", "sha1", "sha256"]
    """The hash by which it was found."""


@dataclass(frozen=True, slots=True)
class RankedResult:
    """The prediction of a run for one content, and the content's first occurrence."""

    rank: int
    """1 is the first to examine."""
    sha256: str
    scores: Scores
    alerts: tuple[str, ...]
    """Names of the lists of known files that contain it."""
    display: str
    """Path of the first occurrence, with its entry number if it has one."""
    occurrences: int
    deleted: bool
    """Whether all occurrences are deleted."""


@dataclass(frozen=True, slots=True)
class ContentWithoutResult:
    """A content without a result in a run, and the first item that holds it."""

    sha256: str
    source: int
    location: str
    display: str


@dataclass(frozen=True, slots=True)
class Run:
    """All results of one engine."""

    id: int
    fingerprint: str
    engine: Mapping[str, Any]
    started: datetime
    finished: datetime | None
    """None also if contents were added since."""
    predictions: int
    failures: int


def latest(runs: Sequence[Run]) -> Run | None:
    """Return the run to show by default: the last finished one, or else the last."""
    return next((run for run in reversed(runs) if run.finished), runs[-1] if runs else None)


class Seen(NamedTuple):
    """How an image was shown to the reviewer who decided it."""

    how: SeenHow
    """``opened``: in the viewer or a blind sample; ``grid``: as a thumbnail among others; ``copy``:
    represented by another copy of the same picture; ``bulk``: it was not drawn on the screen."""
    blurred: bool | None
    """Whether the drawn image was blurred; None for ``bulk``."""

    @property
    def is_valid(self) -> bool:
        """Whether mayak writes such values: ``blurred`` is known if the image was drawn."""
        if self.how not in get_args(SeenHow):
            return False
        return self.blurred is None if self.how == "bulk" else isinstance(self.blurred, bool)


@dataclass(frozen=True, slots=True)
class Decision:
    """A reviewer's verdict on one content."""

    sha256: str
    verdict: int | None
    """A label, 0–3; None if ``undoes`` withdraws one."""
    reviewer: str
    at: datetime
    action: int
    """Number of the action, which may decide several contents."""
    undoes: int | None = None
    """The action that is withdrawn."""
    sample: int | None = None
    """The blind sample in which it was made."""
    seen: Seen | None = None
    """None if it was not made on the page, or before this was recorded."""


@dataclass(frozen=True, slots=True)
class MissRateEstimate:
    """An estimate from a blind sample: how many relevant images the run missed (elusion test).

    The population is every image that the run labelled irrelevant and nobody had decided.
    """

    relevant: int
    """Relevant images in the sample."""
    size: int
    """Size of the sample."""
    population: int
    low: int
    """Images of the population, lower end of the 95 % interval."""
    high: int
    """Its upper end."""

    @property
    def fraction(self) -> float:
        return self.relevant / self.size

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the fraction."""
        return self.low / self.population, self.high / self.population

    @property
    def images(self) -> int:
        """Relevant images of the population at the sample's rate, rounded."""
        return round(self.relevant * self.population / self.size)


@dataclass(frozen=True, slots=True)
class BlindSample:
    """A blind sample of the images that a run labelled irrelevant and nobody had decided."""

    id: int
    run: int
    size: int
    seed: int
    population: int
    """Number of distinct contents from which it was drawn."""
    reviewer: str
    drawn: datetime
    judged: int
    relevant: int
    """Relevant ones of the judged images."""
    missed: MissRateEstimate | None
    """None until the whole sample is judged."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of the log; ``hash`` covers its other fields and, by ``previous``, all before it."""

    sequence: int
    at: str
    operator: str
    action: str
    detail: Mapping[str, Any]
    previous: str
    hash: str

    @property
    def time(self) -> str:
        """``at`` for people: in UTC, to the second."""
        return f"{self.at[:19].replace('T', ' ')} UTC"


@dataclass(frozen=True, slots=True)
class CensusRow:
    """How many files without an image have one outcome and kind."""

    outcome: Literal["failure", "exclusion"]
    reason: str
    """An ``OutcomeReason``, or the class name of another error."""
    kind: str | None
    """Name of the kind in ``mayak.signatures``; None if it is not known, or was not recorded."""
    files: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of items by outcome; ``contents`` counts the items that hold a content."""

    items: int
    contents: int
    failures: int
    exclusions: int
    distinct_contents: int

    @property
    def is_balanced(self) -> bool:
        return self.items == self.contents + self.failures + self.exclusions

    @property
    def sum_text(self) -> Message:
        """The sum of items by outcome, for people."""
        return msg(
            "{items} {sign} {images} + {failures:,} not read + {exclusions:,} left out",
            items=plural("{n:,} file", "{n:,} files", self.items),
            sign="=" if self.is_balanced else "≠",
            images=plural("{n:,} image", "{n:,} images", self.contents),
            failures=self.failures,
            exclusions=self.exclusions,
        )


@dataclass(frozen=True, slots=True)
class VerificationScope:
    """How much ``CaseStore.verify`` compares with recorded hashes."""

    entries: int
    """Entries of the log."""
    records: int
    """Rows of all tables but the log."""
    thumbnails: int


TABLES: Mapping[str, Message] = {
    "sources": msg_in("table", "sources"),
    "source_hashes": msg_in("table", "source_hashes"),
    "source_identities": msg_in("table", "source_identities"),
    "relocations": msg_in("table", "relocations"),
    "contents": msg_in("table", "contents"),
    "items": msg_in("table", "items"),
    "exclusions": msg_in("table", "exclusions"),
    "failures": msg_in("table", "failures"),
    "revisions": msg_in("table", "revisions"),
    "runs": msg_in("table", "runs"),
    "finishes": msg_in("table", "finishes"),
    "predictions": msg_in("table", "predictions"),
    "groupings": msg_in("table", "groupings"),
    "group_members": msg_in("table", "group_members"),
    "alerts": msg_in("table", "alerts"),
    "decisions": msg_in("table", "decisions"),
    "samples": msg_in("table", "samples"),
    "sample_items": msg_in("table", "sample_items"),
    "log": msg_in("table", "log"),
    "thumbnails": msg_in("table", "thumbnails"),
    "schema": msg_in("table", "schema"),
    "database": msg_in("table", "database"),
    "sqlite_sequence": msg_in("table", "sqlite_sequence"),
    "evidence": msg_in("table", "evidence"),
    "log head": msg_in("table", "log head"),
}
"""What the parts of a case are called that an ``IntegrityFault`` names."""


@dataclass(frozen=True, slots=True)
class IntegrityFault:
    """A part of a case, or a source, that is not as it was recorded."""

    problem: Problem
    table: str
    """A table, ``thumbnails``, ``case.json``, ``schema`` or ``database``; ``evidence`` for a source
    that changed."""
    key: str
    """Which row (``id 17``), log entry, file or name."""
    message: str
    """For people."""

    def __str__(self) -> str:
        table = TABLES.get(self.table, self.table)
        return (table + " " + self.key if self.key else table) + ": " + self.message
