"""The values that travel: frozen, comparable, and ignorant of where they are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple, Protocol, get_args

from mayak.files import canonical_json, json_digest
from mayak.names import storable
from mayak.untrusted import PARSE_ERRORS, parse_json

if TYPE_CHECKING:  # every command imports this module; numpy would be a third of its start
    import numpy as np
    from numpy.typing import NDArray

SplitName = Literal["train", "val", "test"]
Stage = Literal["read", "decode", "classify"]
Tier = Literal[0, 1, 2]
LayerKind = Literal["folder", "file", "zip", "tar", "image", "volume", "embedded"]

_LAYERS = 500
"""Layers of a stored path at most: comparing and hashing paths takes a call for each layer."""


@dataclass(frozen=True, slots=True)
class EvidencePath:
    """Where a piece of evidence lies: a chain of layers, from the source down to the item.

    Each layer is one container or, at the end, one entry; a layer's name is the entry's path
    inside the layer above, with ``/`` between folders. ``str()`` joins the names for people;
    ``to_json`` is the lossless form.
    """

    kind: LayerKind
    name: str
    parent: EvidencePath | None = None
    raw: bytes | None = None
    """The name's bytes as stored, where ``name`` in UTF-8 is not the same."""
    serial: int = 0
    """Tells apart entries of the same name in the same layer: the file system's record number
    of a deleted or repeated entry, the position of a repeated archive member, a count of what lay
    at one place after changes; otherwise 0."""

    def child(
        self, kind: LayerKind, name: str, raw: bytes | None = None, serial: int = 0
    ) -> EvidencePath:
        """The path of an entry inside this layer."""
        return EvidencePath(kind, name, self, raw, serial)

    @property
    def layers(self) -> tuple[EvidencePath, ...]:
        """This path and those above it, the source first."""
        chain: list[EvidencePath] = []
        path: EvidencePath | None = self
        while path is not None:
            chain.append(path)
            path = path.parent
        return tuple(reversed(chain))

    def __str__(self) -> str:
        names = (f"{p.name}#{p.serial}" if p.serial else p.name for p in self.layers)
        return storable("/".join(names))

    def to_json(self) -> str:
        """One line of ASCII JSON: a list of layers, the same for equal paths."""
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
        """The path that ``to_json`` wrote. Raises ValueError for anything else."""
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
            raise ValueError(f"not an evidence path: {text[:200]!r}") from exc
        if path is None:
            raise ValueError(f"not an evidence path: {text[:200]!r}")
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
    """True: the times are UTC. False: the source stores wall-clock times without a zone (FAT, most
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
    opener: Callable[[], BinaryIO] = field(repr=False, compare=False)
    times: FileTimes = NO_TIMES
    deleted: bool = False

    def open(self) -> BinaryIO:
        """Open a new read-only, seekable stream of the content.

        Raises:
            EvidenceError: at once, or when the stream is read.
        """
        return self.opener()


class Sides(NamedTuple):
    """Pixels that a picture's sides have at least when a JPEG is decoded at a reduced scale."""

    longer: int
    shorter: int


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Pixels of one image file.

    ``pixels`` is uint8 sRGB of shape (H, W, 3), turned upright by EXIF. ``size`` is the
    (width, height) in pixels that the file states, before turning and at full scale.
    """

    sha256: str
    """SHA-256 of the file's bytes, lower-case hex."""
    pixels: NDArray[np.uint8] = field(repr=False, compare=False)
    size: tuple[int, int]
    format: str
    """Pillow's name of the format, found by content (``JPEG``, ``PNG``, ``HEIF`` …)."""
    warnings: tuple[str, ...] = ()
    scale: int = 1
    """Denominator of the scale at which a JPEG was decoded: 1, 2, 4 or 8."""
    data: bytes | None = field(default=None, repr=False, compare=False)
    """The file's bytes, for a closer look, where the scale was reduced."""

    @property
    def nbytes(self) -> int:
        """Memory that it takes: its pixels, and its file where that comes along."""
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
    """Near- and exact duplicates share a group; a group never straddles splits."""
    split: SplitName


@dataclass(frozen=True, slots=True)
class Scores:
    """Probabilities of the four labels; the only definition of label and margin."""

    values: tuple[float, float, float, float]
    """Softmax over the four label tokens; sums to 1."""
    off_label: float
    """Probability, over the whole vocabulary, of all tokens that are not label tokens."""

    @property
    def label(self) -> int:
        """The label with the highest score; the lowest of equals."""
        return self.values.index(self.best)

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
    calibrated: bool
    engine: str
    """Fingerprint of the engine that scored it (``Engine.fingerprint``)."""
    tier: Tier = 2
    """Which reading decided: 0 the vision tower's, 1 the language model's of the base tile, 2 that
    of the whole image."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that gave no prediction: a result, never a skip."""

    path: str
    stage: Stage
    error: str
    """Class name of the error, or the word by which ``mayak.evidence`` names the reason."""
    message: str
    place: EvidencePath | None = field(default=None, compare=False)
    """Of an entry of a source that cannot be had; None where something is missing of a container
    that is an item itself."""


@dataclass(frozen=True, slots=True)
class Engine:
    """All that decides a score besides the pixels; each field a digest or a version."""

    model: str
    """Name or folder name of the base model, with its revision or weights digest."""
    adapter: str | None
    """SHA-256 of the adapter's weights and config; None for the untouched model."""
    precision: str
    prompt: str
    """SHA-256 of the rendered prompt's token ids."""
    preprocessing: str
    """SHA-256 of the processor's configuration."""
    software: tuple[tuple[str, str], ...]
    """(package, version) pairs that the scores depend on."""
    calibration: str | None = None
    """SHA-256 of the calibration by which earlier tiers dismiss images and scores are tempered;
    None where the whole model scores every image as it is."""

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of all fields as canonical JSON; without a calibration
        that field is left out, and engines are named as before there were any."""
        return _fingerprint(self)


@lru_cache(16)
def _fingerprint(engine: Engine) -> str:
    # Asked for with each prediction, from the thread that the GPU waits for.
    fields = asdict(engine)
    if engine.calibration is None:
        del fields["calibration"]
    return json_digest(fields, "utf-8")[:16]


class Classifier(Protocol):
    """Scores images. Implemented by ``mayak.model``; nothing above it needs torch."""

    @property
    def engine(self) -> Engine: ...

    @property
    def least(self) -> Sides:
        """Above these sides a JPEG may come to ``classify`` at a reduced scale."""
        ...

    def classify(self, images: Iterable[DecodedImage]) -> Iterator[Prediction]:
        """One prediction an image, in the order of ``images``; reads ahead by a bounded window."""
        ...


class Answerer(Protocol):
    """Answers the paper's question in free text (zero-shot, the paper's way)."""

    @property
    def engine(self) -> Engine: ...

    def answer(self, images: Iterable[DecodedImage]) -> Iterator[str]:
        """One answer an image, in the order of ``images``."""
        ...


class Task(Protocol):
    """One long piece of work under way."""

    def advance(self, steps: int = 1, **figures: float | str) -> None:
        """``steps`` more are done; ``figures`` (loss, GiB …) are shown beside rate and ETA."""
        ...

    def expect(self, total: int) -> None:
        """There are so many in all, as is known now."""
        ...


class Progress(Protocol):
    """Where long work reports to; the command line draws it, libraries only call it."""

    def task(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Task]: ...


class _SilentTask:
    def advance(self, steps: int = 1, **figures: float | str) -> None:  # noqa: ARG002
        return None

    def expect(self, total: int) -> None:  # noqa: ARG002
        return None


class SilentProgress:
    """Reports nothing."""

    def task(self, name: str, total: int | None, unit: str) -> AbstractContextManager[Task]:  # noqa: ARG002
        return nullcontext(_SilentTask())
