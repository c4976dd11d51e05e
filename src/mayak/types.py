"""Values and protocols shared by the packages: frozen, comparable, independent of storage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple, Protocol, get_args

from mayak.files import canonical_json, json_digest
from mayak.i18n import msg
from mayak.names import storable
from mayak.untrusted import PARSE_ERRORS, parse_json

if TYPE_CHECKING:  # every command imports this module; numpy would be a third of its start
    import numpy as np
    from numpy.typing import NDArray

SplitName = Literal["train", "val", "test"]
Stage = Literal["read", "decode", "classify"]
Space = Literal["free", "unpartitioned", "slack", "uncounted"]
"""Parts of a medium that belong to no file, in bytes: free clusters, space outside of partitions,
the rest of files' last clusters; and the size of volumes of which none of these is known."""
Tier = Literal[0, 1, 2]
LayerKind = Literal["folder", "file", "zip", "tar", "archive", "image", "volume", "embedded"]

_LAYERS = 500
"""Maximum number of layers of a stored path: comparing and hashing it takes a call for each."""


@dataclass(frozen=True, slots=True)
class EvidencePath:
    """The path of a piece of evidence: a chain of layers, from the source down to the entry.

    Each layer is a container or, at the end, an entry; its name is its path inside the layer above,
    with ``/`` between folders. ``str()`` joins the names as they are on the medium, for people:
    several entries may have one. ``to_json`` is the lossless form.
    """

    kind: LayerKind
    name: str
    parent: EvidencePath | None = None
    raw: bytes | None = None
    """The name's bytes as stored, if they differ from ``name`` in UTF-8."""
    serial: int = 0
    """Distinguishes entries of the same name in the same layer: the file system's record number of
    a deleted or repeated entry, the position of a repeated archive member, a count of the files
    that were found at one path after changes; otherwise 0."""

    def child(
        self, kind: LayerKind, name: str, raw: bytes | None = None, serial: int = 0
    ) -> EvidencePath:
        """Return the path of an entry inside this layer."""
        return EvidencePath(kind, name, self, raw, serial)

    @property
    def layers(self) -> tuple[EvidencePath, ...]:
        """This path and its parents, the source first."""
        chain: list[EvidencePath] = []
        path: EvidencePath | None = self
        while path is not None:
            chain.append(path)
            path = path.parent
        return tuple(reversed(chain))

    def __str__(self) -> str:
        return storable("/".join(layer.name for layer in self.layers))

    @property
    def entry_number(self) -> str | None:
        """The serials of its layers, the outermost first: they tell entries of one name apart.

        None if it needs none.
        """
        return " / ".join(str(layer.serial) for layer in self.layers if layer.serial) or None

    @property
    def described(self) -> str:
        """The path for people, with the entry number if there is one."""
        if (number := self.entry_number) is None:
            return str(self)
        return msg("{path} (entry number {number})", path=str(self), number=number)

    @property
    def numbered(self) -> str:
        """The names with ``#`` and the serial, a key within the source.

        Earlier versions displayed paths so, and cases identify the gaps of a container by it.
        """
        names = (f"{p.name}#{p.serial}" if p.serial else p.name for p in self.layers)
        return storable("/".join(names))

    def to_json(self) -> str:
        """Return one line of ASCII JSON: a list of layers, the same for equal paths."""
        rows: list[dict[str, str | int]] = []
        for layer in self.layers:
            row: dict[str, str | int] = {"kind": layer.kind, "name": layer.name}
            if layer.raw is not None:
                row["raw"] = layer.raw.hex()
            if layer.serial:
                row["serial"] = layer.serial
            rows.append(row)
        return canonical_json(rows)

    @staticmethod
    def from_json(text: str) -> EvidencePath:
        """Parse a path that ``to_json`` wrote.

        Raises:
            ValueError: it is something else.
        """
        path: EvidencePath | None = None
        try:
            rows = parse_json(text)
            if len(rows) > _LAYERS:
                raise ValueError(len(rows))
            for row in rows:
                if row["kind"] not in get_args(LayerKind) or not isinstance(row["name"], str):
                    raise ValueError(row["kind"])
                raw = bytes.fromhex(row["raw"]) if "raw" in row else None
                serial = int(row.get("serial", 0))
                path = EvidencePath(row["kind"], row["name"], path, raw, serial)
        except PARSE_ERRORS as exc:
            raise ValueError(msg("not an evidence path: {text!r:.200}", text=text)) from exc
        if path is None:
            raise ValueError(msg("not an evidence path: {text!r:.200}", text=text))
        return path


@dataclass(frozen=True, slots=True)
class FileTimes:
    """Time stamps of a file, as its source stores them: aware datetimes, None if not stored."""

    modified: datetime | None = None
    created: datetime | None = None
    accessed: datetime | None = None
    changed: datetime | None = None
    """Last change of the file's record (NTFS, ext4), not of its content."""
    zone_known: bool | None = True
    """True: the times are UTC. False: the source stores wall-clock times without a zone (FAT, many
    ZIP files), kept here as if they were UTC. None: a case of an older version, which did not
    record this."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no time stamp."""
        return not any((self.modified, self.created, self.accessed, self.changed))


NO_TIMES = FileTimes()


@dataclass(frozen=True, slots=True)
class EvidenceEntry:
    """One file found in a source; readable while the source is open."""

    path: EvidencePath
    size: int
    """Bytes, as the source states."""
    open: Callable[[], BinaryIO] = field(repr=False, compare=False)
    """Opens a new read-only, seekable stream of the content. Raises EvidenceError, at once or when
    the stream is read."""
    times: FileTimes = NO_TIMES
    is_deleted: bool = False
    kind: str | None = field(default=None, compare=False)
    """Name of its kind in ``mayak.signatures`` by its bytes; empty if they are of no known kind,
    None if they were not compared."""
    is_piece: bool = field(default=False, compare=False)
    """Whether it is read through the first piece of a split container."""


class Sides(NamedTuple):
    """Minimum sides, in pixels, of a JPEG that is decoded at a reduced scale."""

    longer: int
    shorter: int


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Pixels of one image file.

    ``pixels`` is uint8 sRGB of shape (H, W, 3), rotated upright by EXIF. ``size`` is the
    (width, height) in pixels in the file's header, before rotation and at full scale.
    """

    sha256: str
    """SHA-256 of the file's bytes, lower-case hex."""
    pixels: NDArray[np.uint8] = field(repr=False, compare=False)
    size: tuple[int, int]
    format: str
    """Pillow's name of the format, detected by content (``JPEG``, ``PNG``, ``HEIF`` …)."""
    warnings: tuple[str, ...] = ()
    scale: int = 1
    """Denominator of the scale at which a JPEG was decoded: 1, 2, 4 or 8."""
    data: bytes | None = field(default=None, repr=False, compare=False)
    """The file's bytes, to decode again at full scale, if the scale was reduced."""

    @property
    def nbytes(self) -> int:
        """Memory of the pixels, and of the file's bytes if they are kept."""
        return self.pixels.nbytes + len(self.data or b"")


@dataclass(frozen=True, slots=True)
class Sample:
    """A row of a manifest."""

    id: str
    image_path: str
    """As written in the manifest: POSIX, relative to the folder that holds the data folder."""
    label: int
    sha256: str
    group: str
    """Near- and exact duplicates share a group; a group is never divided between splits."""
    split: SplitName
    pdq: str | None = None
    """PDQ hash in hex, empty if the picture has too little texture for it; None if not known."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Probabilities of the four labels; defines label and margin.

    ``mayak.case.scores`` has the same definitions in SQL and for NumPy arrays.
    """

    values: tuple[float, float, float, float]
    """Softmax over the four label tokens; sums to 1."""
    off_label: float
    """Probability, over the whole vocabulary, of all tokens that are not label tokens."""

    @property
    def label(self) -> int:
        """The label with the highest score. Of equals the lowest relevant one: an image is called
        irrelevant only if that is more likely than any other label."""
        relevant = self.values[1:]
        return 0 if self.values[0] > max(relevant) else 1 + relevant.index(max(relevant))

    @property
    def is_tied(self) -> bool:
        """Whether the highest score belongs to several labels: the model has decided nothing."""
        return self.margin == 0

    @property
    def best(self) -> float:
        """The highest score."""
        return max(self.values)

    @property
    def margin(self) -> float:
        """The highest score minus the second highest: small if the model is in doubt."""
        second, best = sorted(self.values)[-2:]
        return best - second


@dataclass(frozen=True, slots=True)
class Prediction:
    """The scores of one image content, and the engine that computed them."""

    sha256: str
    scores: Scores
    is_calibrated: bool
    engine: str
    """Fingerprint of the engine that scored it (``Engine.fingerprint``)."""
    tier: Tier = 2
    """Tier of the cascade that decided: 0 the head on the vision tower, 1 the language model on the
    base tile, 2 the language model on the whole image."""


class OutcomeReason(StrEnum):
    """Why a file is left out or has failed, by the name that a case records.

    ``mayak.case.reasons`` has the text and the remedy of each. A failure may also be recorded with
    the class name of an error that is not listed here.
    """

    # A rule leaves the file out.
    NOT_AN_IMAGE = "not-an-image"
    """Of cases of earlier versions: text, databases and whole disk images alike."""
    NO_PICTURES = "no-pictures"
    UNKNOWN = "unknown"
    KNOWN_SAFE = "known-safe"
    EMPTY = "empty"
    APPLE_DOUBLE = "apple-double"
    PROGRAM = "program"
    CONTAINER = "container"
    DOCUMENT = "document"
    TOO_SMALL = "too-small"
    INCLUDE = "include"
    EXCLUDE = "exclude"
    SINCE = "since"
    KNOWN_GOOD = "known-good"
    GAP_CLOSED = "gap-closed"
    # The source has nothing to read there.
    SYMBOLIC_LINK = "SymbolicLink"
    SPECIAL_FILE = "SpecialFile"
    DELETED_WITHOUT_CONTENT = "DeletedWithoutContent"
    NO_ENTRIES = "NoEntries"
    # The file could not be read.
    ENCRYPTED = "Encrypted"
    UNSUPPORTED = "Unsupported"
    NOT_OPENED = "NotOpened"
    HIGH_ENTROPY = "HighEntropy"
    DAMAGED = "Damaged"
    UNREADABLE = "Unreadable"
    LIMIT_EXCEEDED = "LimitExceeded"
    TOO_LARGE = "TooLarge"
    HASH_MISMATCH = "HashMismatch"
    CHANGED = "Changed"
    # The file could not be decoded.
    DECODE_ERROR = "DecodeError"
    GIVEN_UP = "GivenUp"
    CRASHED = "crashed"
    TOO_SLOW = "too-slow"
    OUT_OF_MEMORY = "out-of-memory"
    # The picture could not be classified.
    MODEL_ERROR = "ModelError"
    OS_ERROR = "OSError"


@dataclass(frozen=True, slots=True)
class Failure:
    """The result for a file without a prediction; a file is never skipped."""

    path: str
    stage: Stage
    error: str
    """An ``OutcomeReason``, or the class name of another error."""
    message: str
    entry: EvidencePath | None = field(default=None, compare=False)
    """Path of an entry that cannot be read; None for a gap in a container that is itself an
    item."""
    container: EvidencePath | None = field(default=None, compare=False)
    """Path of the container, or of the volume in it, that has a gap."""
    kind: str | None = None
    """Name of the file's kind in ``mayak.signatures``, if it is known."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything that determines a score besides the pixels, as digests and versions."""

    model: str
    """Name or folder of the base model, with its revision or the digest of its weights."""
    adapter: str | None
    """SHA-256 of the adapter's weights and config; None for the base model."""
    precision: str
    prompt: str
    """SHA-256 of the rendered prompt's token ids."""
    preprocessing: str
    """SHA-256 of the processor's configuration."""
    software: tuple[tuple[str, str], ...]
    """(package, version) pairs on which the scores depend."""
    calibration: str | None = None
    """SHA-256 of the calibration (thresholds of the tiers, temperatures); None if the
    whole model scores every image without calibration."""

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of all fields as canonical JSON.

        Without a calibration that field is omitted, so that fingerprints from before calibrations
        existed stay valid.
        """
        return _fingerprint(self)


@lru_cache(16)
def _fingerprint(engine: Engine) -> str:
    # Called for each prediction, in the thread for which the GPU waits.
    fields = asdict(engine)
    if engine.calibration is None:
        del fields["calibration"]
    return json_digest(fields, "utf-8")[:16]


class Classifier(Protocol):
    """Scores images. ``mayak.model`` implements it; its users do not need torch."""

    @property
    def engine(self) -> Engine: ...

    @property
    def min_sides(self) -> Sides:
        """A JPEG with larger sides may be passed to ``classify`` at a reduced scale."""
        ...

    def classify(self, images: Iterable[DecodedImage]) -> Iterator[Prediction]:
        """Yield one prediction per image, in the order of ``images``; read some images ahead."""
        ...


class Answerer(Protocol):
    """Answers the paper's question in free text, for its zero-shot measurement."""

    @property
    def engine(self) -> Engine: ...

    def answer(self, images: Iterable[DecodedImage]) -> Iterator[str]:
        """Yield one answer per image, in the order of ``images``."""
        ...


class Task(Protocol):
    """A running task with progress."""

    def advance(self, steps: int = 1, **figures: float | str) -> None:
        """Report completed steps; ``figures`` (loss, GiB …) are shown next to rate and ETA."""
        ...

    def expect(self, total: int) -> None:
        """Set the total number of steps when it becomes known."""
        ...


class Progress(Protocol):
    """Receives the progress of long tasks; the command line draws it."""

    def task(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Task]: ...


class _SilentTask:
    def advance(self, steps: int = 1, **figures: float | str) -> None:  # noqa: ARG002
        return None

    def expect(self, total: int) -> None:  # noqa: ARG002
        return None


class SilentProgress:
    """Ignores all progress."""

    def task(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Task]:  # noqa: ARG002
        return nullcontext(_SilentTask())
