"""What goes into a case and comes out of it: frozen values that know no SQL.

Times are aware datetimes (any zone going in, UTC coming out); hashes are lower-case hex.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from mayak.names import storable
from mayak.types import NO_TIMES, EvidencePath, Failure, FileTimes, Scores

_RECORDED_HASH = re.compile(r"\bSHA-256 ([0-9a-f]{64})$")
OutcomeName = Literal["content", "failure", "exclusion"]
SeenHow = Literal["opened", "grid", "copy", "bulk"]
Problem = Literal["changed", "deleted", "inserted", "chain", "invariant", "unreadable"]


@dataclass(frozen=True, slots=True)
class SourceHash:
    """One reading of a whole source, with the hash that the container stores of itself."""

    md5: str
    sha256: str
    size: int
    began: datetime
    ended: datetime
    stored_hash: str | None = None
    matches: bool | None = None
    """Whether the stored hash is the one that was read; None where none is stored."""
    accepted_damaged: bool = False
    """The operator went on although it does not match."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where items came from; ``hashes`` oldest first, empty where nothing was hashed as a whole."""

    id: int
    path: str
    """As the operator gave it."""
    kind: str
    hashes: tuple[SourceHash, ...]


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """The items of one source."""

    files: int
    hashed: int
    """Those with a recorded SHA-256 of their own (``StoredItem.sha256``)."""
    deleted: int
    inside: int
    """Pictures inside other files: pages, frames, those of documents and under transparency."""
    gaps: int
    """Those that are no file: what a container lacks, next to the container itself."""
    has_disk_image: bool
    """Whether some of them come from a disk image."""


@dataclass(frozen=True, slots=True)
class Content:
    """The image that one or more items hold, by its bytes."""

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
    """What JSON can hold."""
    thumbnail: bytes | None = field(default=None, repr=False)
    """The bytes of a JPEG file."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A content that the case holds already, or that stands earlier in the same batch."""

    sha256: str


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Left out by a stated rule."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Item:
    """One file found in a source and what became of it."""

    display: str
    """Its path, to be read by people."""
    location: str
    """Its path, losslessly, as JSON; identifies it within the source."""
    outcome: Content | Duplicate | Failure | Exclusion
    size: int | None = None
    times: FileTimes = NO_TIMES
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item of the case; what stands for its outcome is one of the last three."""

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
        """The hash of its bytes, if the case records it: of an image, and of a document or a file
        of a list, whose hash is part of the reason for which it is left out. Other files that are
        left out, and those that could not be read, are not hashed."""
        if self.content is not None or self.exclusion is None:
            return self.content
        found = _RECORDED_HASH.search(self.exclusion.reason)
        return None if found is None else found[1]

    @property
    def name(self) -> str:
        """The file's own name as on the medium, without the number that ``display`` may add."""
        path = self._path
        name = self.display if path is None else path.name
        # As in ``display``: what no text can hold is spelt out.
        return storable(name.rpartition("/")[2])

    @property
    def entry(self) -> int | None:
        """The number that tells it from others of its name (``EvidencePath.serial``); None if there
        is none."""
        path = self._path
        return None if path is None else path.serial or None

    @property
    def _path(self) -> EvidencePath | None:
        try:
            return EvidencePath.from_json(self.location)
        except ValueError:  # told of a container, and no file
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
    """A content that stands in a list of known files."""

    sha256: str
    list: str
    """The list's name."""
    list_digest: str
    """SHA-256 of the list's file."""
    kind: Literal["md5", "sha1", "sha256"]
    """The hash by which it was found."""


@dataclass(frozen=True, slots=True)
class Result:
    """The prediction of a run for one content, and the content's first occurrence."""

    rank: int
    """1 is what an examiner should see first."""
    sha256: str
    scores: Scores
    alerts: tuple[str, ...]
    """Names of the lists in which it stands."""
    display: str
    """The first place."""
    places: int
    deleted: bool
    """At every place."""


@dataclass(frozen=True, slots=True)
class Unclassified:
    """A content without a result in a run, and the first item that holds it."""

    sha256: str
    source: int
    location: str
    display: str


@dataclass(frozen=True, slots=True)
class Run:
    """All that one engine said of the case."""

    id: int
    fingerprint: str
    engine: Mapping[str, Any]
    started: datetime
    finished: datetime | None
    """None too when contents were added since."""
    predictions: int
    failures: int


def latest(runs: Sequence[Run]) -> Run | None:
    """The run to be shown where none is named: the last that is finished, or else the last."""
    return next((run for run in reversed(runs) if run.finished), runs[-1] if runs else None)


class Seen(NamedTuple):
    """How an image was shown to the person who decided it."""

    how: SeenHow
    """``opened``: in the viewer or a blind sample; ``grid``: as a thumbnail among others; ``copy``:
    behind another image of the same picture; ``bulk``: it was not drawn on the screen."""
    blurred: bool | None
    """Of what was drawn; None for ``bulk``."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person said of one content."""

    sha256: str
    verdict: int | None
    """A label, 0–3; None where ``undoes`` withdraws one."""
    reviewer: str
    at: datetime
    action: int
    """Number of the act: several contents may be decided at once."""
    undoes: int | None = None
    """The act that is withdrawn."""
    sample: int | None = None
    """The blind sample that it was made in."""
    seen: Seen | None = None
    """None if it was not made on the page, or before this was recorded."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What a sample tells: how many images of the population are relevant, of all those that a run
    called irrelevant and nobody had decided."""

    relevant: int
    """In the sample."""
    size: int
    """Of the sample."""
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
        """Of the population, as the sample has it; the nearest whole number."""
        return round(self.relevant * self.population / self.size)


@dataclass(frozen=True, slots=True)
class Sample:
    """A blind sample of what a run called irrelevant and nobody had decided when it was drawn."""

    id: int
    run: int
    size: int
    seed: int
    population: int
    """Distinct contents it was drawn from."""
    reviewer: str
    drawn: datetime
    judged: int
    relevant: int
    """Of those that are judged."""
    missed: Missed | None
    """None until the whole sample is judged."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One action; ``hash`` covers all other fields, and through ``previous`` all entries before."""

    sequence: int
    at: str
    operator: str
    action: str
    detail: Mapping[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of "nothing vanishes"; ``contents`` counts the items that gave a content."""

    items: int
    contents: int
    failures: int
    exclusions: int
    distinct_contents: int

    @property
    def balanced(self) -> bool:
        return self.items == self.contents + self.failures + self.exclusions


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a case there is for ``CaseStore.verify`` to compare with recorded hashes."""

    entries: int
    """Of the log."""
    records: int
    """Rows of all tables but the log."""
    thumbnails: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a case that is not as it was written, or that cannot be."""

    problem: Problem
    table: str
    """A table, ``thumbnails``, ``case.json``, ``schema`` or ``database``; ``evidence`` if a source
    is not what it was."""
    key: str
    """Which row (``id 17``), log entry, file or name."""
    message: str
    """For people."""

    def __str__(self) -> str:
        where = f"{self.table} {self.key}" if self.key else self.table
        return where + ": " + self.message
