"""What all readers of containers share: the interface, limits, failures, names and times."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from mayak.errors import EvidenceError
from mayak.evidence.streams import Bytes, translated
from mayak.i18n import msg
from mayak.signatures import ContainerLayer, FileKind
from mayak.types import EvidenceEntry, EvidencePath, Failure, OutcomeReason, Space

EXCLUSIONS = frozenset(
    {
        OutcomeReason.SYMBOLIC_LINK,
        OutcomeReason.SPECIAL_FILE,
        OutcomeReason.DELETED_WITHOUT_CONTENT,
        OutcomeReason.NO_ENTRIES,
    }
)
"""Values of ``Failure.error`` that state why there is nothing to read, rather than a fault."""

RATIO_FLOOR = 64 << 20
PASSWORD_WANTED = "give the password with --password-file"  # noqa: S105
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of nesting, number and size of a container's entries; beyond them a container
    has a Failure ``LimitExceeded``."""

    depth: int = 3
    """Archives and disk images inside one another, below the source itself."""
    members: int = 5_000_000
    """Entries of one archive."""
    unpacked: int = 64 << 30
    """Bytes that one compressed container, or one nested archive in all, may unpack to."""
    ratio: int = 200
    """Unpacked over packed bytes, applied from 64 MiB unpacked on: small files of one
    repeated byte compress further without being a bomb. Not applied to a compressed disk image."""
    seconds: float = 60
    """For which a reader may work without any progress: another entry, another password, a block
    that was unpacked, or bytes of its container that it has not read since the last entry."""
    memory: int = 4 << 30
    """Bytes of address space for the process that reads the containers of a source."""

    def too_much(self, unpacked: int, packed: int) -> str | None:
        """Return why this many bytes are refused, None if they are not."""
        if unpacked > self.unpacked:
            return msg("unpacks to more than {limit} bytes", limit=self.unpacked)
        if unpacked > RATIO_FLOOR and unpacked > self.ratio * max(packed, 1):
            return msg(
                "unpacks to more than {ratio} times its size: taken for a bomb", ratio=self.ratio
            )
        return None


@dataclass(frozen=True, slots=True)
class Choices:
    """What the examiner lets the readers do."""

    passwords: tuple[str, ...] = field(default=(), repr=False)
    """Passwords and recovery keys, each tried on every container that asks for one."""
    untested_readers: bool = False
    """Whether containers are opened whose reader was never compared with another program, because
    none here can make such a container."""
    shadow_copies: bool = False
    """Whether the volume shadow copies of NTFS are listed, too."""

    @classmethod
    def again(cls, told: Iterable[Mapping[str, Any]], passwords: tuple[str, ...]) -> Choices:
        """Return the choices for opening the sources of a case again: those of its triage runs, by
        the options that their log entries record, with passwords, which nothing records."""
        told = list(told)
        return cls(
            passwords,
            untested_readers=any(options.get("untested_readers") for options in told),
            shadow_copies=any(options.get("shadow_copies") for options in told),
        )


class Medium(Bytes, Protocol):
    """Bytes that are hashed as a source, with the acquisition hashes that are stored for them."""

    @property
    def stored(self) -> dict[str, str]:
        """Hex digests by ``md5`` or ``sha1``."""
        ...


class Container(ABC):
    """An open container. A reader implements ``entries``; the rest is optional."""

    medium: Medium | None = None
    """What is hashed as the source, if it is not the file itself: the disk inside an E01, all files
    of a disk that has several."""
    random_access = True
    """Whether its files can be read from any position, not only from their start on."""
    finds_quickly = False
    """Whether ``find`` needs no list of its entries."""
    opened_with_password = False
    """Whether one of ``Choices.passwords`` opened it."""
    n_entries: int | None = None
    """Number of its entries, if the reader knows it without listing them."""
    manifest: str | None = None
    """For a folder that was listed to its end: the SHA-256 of the paths and sizes of its files, in
    the order of its names. Times are not part of it: those of FAT change with the time zone of the
    machine that mounts it."""
    locked: frozenset[str] = frozenset()
    """Displayed paths of what ``find`` met in it that is encrypted and could not be opened."""
    _listing: tuple[Iterator[EvidenceEntry | Failure], dict[EvidencePath, EvidenceEntry]] | None = (
        None
    )

    @abstractmethod
    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        """Yield its entries, without those of the containers inside it."""

    def find(self, path: EvidencePath) -> EvidenceEntry | None:
        """Return the file at a path that ``entries`` gave, None if it is not there any more.

        What was listed on the way is kept for the next call.
        """
        if self._listing is None:
            self._listing = self.entries(), {}
        left, seen = self._listing
        if path in seen:
            return seen[path]
        with translated():
            for entry in left:
                if isinstance(entry, Failure):
                    if is_locked(entry):
                        self.locked |= {entry.path}
                else:
                    seen[entry.path] = entry
                    if entry.path == path:
                        return entry
        return None

    def covers(self, path: EvidencePath) -> bool:  # noqa: ARG002
        """Whether a file that is listed beside the container belongs to it: a piece of it, or, if
        its reader ``lists_its_files``, a file that ``entries`` yields under a name of its own."""
        return False

    def unexamined(self) -> Mapping[Space, int]:
        """Return the bytes that belong to no file and were not looked at, after ``entries`` has
        yielded its last; a reader that knows them overrides it."""
        return {}

    def close(self) -> None:
        """Release what the reader itself has opened."""
        return


@dataclass(frozen=True, slots=True)
class LostStep:
    """A step of a walk that is not taken again: the reader's process was lost in it."""

    reason: OutcomeReason
    """``CRASHED``, ``TOO_SLOW`` or ``OUT_OF_MEMORY``."""
    leaves: bool = False
    """Whether the container is not read any further, because too many of its steps were lost."""


class Watch:
    """Is told of every step that reads a container, before it is taken; this one does nothing.

    The steps of two walks through the same bytes are the same, in the same order.
    """

    def enter(self) -> int:
        """Return a number for the next container whose entries are listed."""
        return 0

    def step(self, container: int) -> LostStep | None:  # noqa: ARG002
        """Begin a step in a container; if one is returned, the step must be left out."""
        return None

    def leaves(self, container: int) -> LostStep | None:  # noqa: ARG002
        """Return the lost step after which a container is not read any further, if any."""
        return None

    def progress(self) -> None:
        """Note that a step that may take long is not hanging."""
        return

    def reads(self, data: Bytes, block: int) -> None:  # noqa: ARG002
        """Note that a reader reads some bytes of a file, which is progress unless the same step has
        read them before."""
        return


class ContainerFile(Protocol):
    """A file that may be a container: the source itself, or an entry of another container."""

    @property
    def path(self) -> EvidencePath: ...

    @property
    def head(self) -> bytes:
        """Its first bytes, as many as ``signatures`` compares."""
        ...

    @property
    def on_disk(self) -> Path | None:
        """Its path on this machine, if it is not inside another container."""
        ...

    @property
    def choices(self) -> Choices: ...

    def beside(self, name: str) -> ContainerFile | None:
        """Return the file of this name in the same folder (``name`` may hold ``/``), None if there
        is none. Raises EvidenceError."""
        ...

    def entry_beside(self, name: str) -> EvidenceEntry | None:
        """Return what ``beside`` does as an entry, without reading the file."""
        ...

    def stream(self) -> BinaryIO:
        """Open it for reading from its start."""
        ...

    def data(self) -> Bytes:
        """Open it for random access, with the pieces of a split file joined."""
        ...


@dataclass(frozen=True, slots=True)
class ContainerFormat:
    """How one reader recognises and opens its containers."""

    kinds: tuple[FileKind, ...]
    """The kinds of file that this reader opens."""
    open: Callable[[ContainerFile, EvidencePath, Limits], Container | None]
    """Open it under a path; None if it only looked like a container. Raises EvidenceError."""
    segments: Callable[[Path], list[Path]] | None = None
    """All files of a container that was split in a way of its own; without it, they are those
    numbered ``.001``, ``.002`` …  Raises EvidenceError if one is missing."""
    is_later_segment: Callable[[ContainerFile], bool] | None = None
    """Whether such a file is read through the first one."""
    holds_files: Callable[[FileKind, ContainerFile], bool] | None = None
    """For kinds that may contain anything: whether this file is a container."""
    layer: ContainerLayer | None = None
    """The kind of layer that its containers are, if it is not that of the kind of file."""
    first_file: Callable[[str], str | None] | None = None
    """For a container of several files: by the name of any file its first file's name if this one
    may belong to such a container. It does if the container, once open, ``covers`` it."""
    lists_its_files: bool = False
    """For a container of several files: whether its entries are these files, under names of their
    own. Otherwise they are pieces of it."""


class LimitExceededError(EvidenceError):
    """A container that unpacks to more than is allowed: its path and ``reason``."""

    def __init__(self, path: EvidencePath, reason: str) -> None:
        super().__init__(
            msg("{path} {reason}", path=path, reason=reason),
            remedy=msg("unpack a copy into a folder"),
        )
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return (EvidenceError, (str(self),))


class NotReadError(EvidenceError):
    """A container that no reader opens, by its ``reason``: a feature, a password, a library."""

    def __init__(
        self,
        path: EvidencePath,
        reason: str,
        remedy: str,
        outcome: OutcomeReason = OutcomeReason.UNSUPPORTED,
    ) -> None:
        super().__init__(msg("{path} {reason}", path=path, reason=reason), remedy=remedy)
        self.reason, self.outcome = reason, outcome

    def __reduce__(self) -> tuple[object, ...]:
        return (EvidenceError, (str(self),))


class LockedError(EvidenceError):
    """A container that is encrypted and could not be opened: its path."""

    def __init__(self, path: object) -> None:
        super().__init__(
            msg("{path} is encrypted", path=path),
            remedy=msg("give the password with --password-file"),
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (EvidenceError, (str(self),))


class ReaderLostError(EvidenceError):
    """A file whose reader crashed, made no progress or took too much memory: ``outcome``."""

    def __init__(self, path: object, outcome: OutcomeReason, limits: Limits) -> None:
        self.outcome = outcome
        self.reason = loss_text(outcome, limits)
        super().__init__(
            msg("{path}: {reason}", path=path, reason=self.reason),
            remedy=msg(
                "run the same command again; if it happens again, unpack or convert a copy with "
                "another program and give that"
            ),
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (EvidenceError, (str(self),))


@contextmanager
def library_for(path: EvidencePath, kind: str) -> Iterator[None]:
    """Import the library that reads ``kind``. Raises NotReadError if it is not installed."""
    try:
        yield
    except ImportError as exc:
        reason = msg(
            "is {kind}; {name}, which reads it, is not installed", kind=kind, name=exc.name
        )
        raise NotReadError(path, reason, msg("pip install 'mayak[containers]'")) from exc


def locked(path: EvidencePath, what: str, choices: Choices) -> Failure:
    """Return the failure of an encrypted container that none of the examiner's passwords opens;
    ``what`` names its kind with an article."""
    reason = (
        f"is {what}, which no password of the --password-file opens"
        if choices.passwords
        else f"is {what}: {PASSWORD_WANTED}"
    )
    return container_gap(path, OutcomeReason.ENCRYPTED, reason)


def is_locked(failure: Failure) -> bool:
    """Whether a failure states that a container is encrypted and could not be opened."""
    return failure.entry is None and failure.error == OutcomeReason.ENCRYPTED


def asks_for_password(failure: Failure) -> bool:
    """Whether a failure states that a container, or a file in it, could be opened with a
    password."""
    is_encrypted = failure.error == OutcomeReason.ENCRYPTED
    return is_encrypted and failure.message.endswith("with --password-file")


def note_locked(failure: Failure, locked: list[Failure]) -> None:
    """Add what a failure says of a locked container to a list of such, each container once."""
    if failure.entry is not None and failure.entry.parent is not None:
        if not asks_for_password(failure):
            return
        failure = container_gap(failure.entry.parent, OutcomeReason.ENCRYPTED, failure.message)
    if is_locked(failure) and all(failure.path != known.path for known in locked):
        locked.append(failure)


def loss_text(outcome: OutcomeReason, limits: Limits) -> str:
    """Return what happened to the process that reads containers, as cases record it."""
    match outcome:
        case OutcomeReason.TOO_SLOW:
            return msg("the reader made no progress for {n:g} s", n=limits.seconds)
        case OutcomeReason.OUT_OF_MEMORY:
            return msg("the reader needed more than {n:.1f} GiB", n=limits.memory / 2**30)
        case _:
            return msg("the reader crashed")


def entry_failure(path: EvidencePath, reason: OutcomeReason, message: str) -> Failure:
    """Return the failure of a file entry; ``message`` is recorded, so it is English."""
    return Failure(str(path), "read", reason, message, path)


def container_gap(
    path: EvidencePath, reason: OutcomeReason, message: str, kind: FileKind | None = None
) -> Failure:
    """Return the failure for a part of a container that is missing; the container itself is an
    item of its own."""
    name = None if kind is None else kind.name
    return Failure(str(path), "read", reason, message, container=path, kind=name)


def decode_name(raw: bytes, fallback: str = "cp437") -> tuple[str, bytes | None]:
    """Return a name's text (UTF-8, else CP949, else ``fallback``), and its bytes unless UTF-8."""
    for encoding in ("utf-8", "cp949"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding), None if encoding == "utf-8" else raw
    return raw.decode(fallback, "backslashreplace"), raw


def from_unix_time(seconds: float, nanoseconds: int = 0) -> datetime | None:
    """Return the UTC of a Unix time; None for 0, which file systems write for unknown."""
    if not seconds and not nanoseconds:
        return None
    with suppress(OverflowError, ValueError):
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    return None


def wall_clock(date: int, time: int, hundredths: int = 0) -> datetime | None:
    """Return a time of MS-DOS, by a clock of an unknown zone, as if it were UTC; None for no time.

    ``time`` counts steps of 2 s; ``hundredths`` of a second, up to 199, are added.
    """
    with suppress(ValueError):
        return datetime(
            (date >> 9) + 1980,
            date >> 5 & 0xF,
            date & 0x1F,
            time >> 11,
            time >> 5 & 0x3F,
            (time & 0x1F) * 2,
            tzinfo=UTC,
        ) + timedelta(milliseconds=10 * min(hundredths, 199))
    return None
