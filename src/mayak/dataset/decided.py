"""Training images from the decisions of people in cases, never from a model's predictions.

The bytes are read again from the evidence, opened for reading only, and each image is compared with
the SHA-256 in the case. A content with several occurrences is read from the first.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from mayak.case import CaseStore, Decision
from mayak.case.values import checked
from mayak.dataset.collect import RawFile, Rejected, order
from mayak.errors import EvidenceError, IntegrityError, ManifestError
from mayak.evidence import Choices, Source, located, open_source
from mayak.i18n import join, message_of, msg, msg_in
from mayak.imaging.formats import wrong_extension
from mayak.imaging.inside import read_inside
from mayak.imaging.sandbox import Sandbox
from mayak.labels import LABELS
from mayak.types import EvidenceEntry, EvidencePath, Progress, Task
from mayak.workers import Lost

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """A reviewer's current verdict."""

    reviewer: str
    verdict: int
    at: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The first occurrence of a content in one case, and the decisions on it there."""

    case: str
    """The case's id."""
    case_name: str
    source: str
    """As recorded in the case."""
    path: str
    decisions: tuple[VerdictRecord, ...]


@dataclass(slots=True)
class _Image:
    sha256: str
    format: str
    source: str
    location: str
    origins: list[Origin] = field(default_factory=list)

    @property
    def verdicts(self) -> set[int]:
        return {one.verdict for origin in self.origins for one in origin.decisions}

    @property
    def name(self) -> str:
        """Name of the file in the data set, with the extension of its format."""
        name = f"{self.sha256}.{self.format.lower()}"
        return self.sha256 if wrong_extension(name, self.format) else name

    @property
    def raw_name(self) -> str:
        (verdict,) = self.verdicts
        return f"{LABELS[verdict].folder}/{self.name}"


class DecidedImages:
    """The contents that people decided on in some cases."""

    def __init__(self, images: Sequence[_Image], folders: Sequence[Path], choices: Choices) -> None:
        self._images = images
        self._by_sha256 = {image.sha256: image for image in images}
        self._choices = choices
        self._folders = folders
        """The cases, and all their sources."""

    def refuse_inside(self, data: Path) -> None:
        """Raise ManifestError if the data folder is inside a case or a source, or contains one."""
        for folder in self._folders:
            other = folder.resolve()
            if data == other or data in other.parents or other in data.parents:
                raise ManifestError(
                    msg(
                        "one of the data folder {data} and {folder} is inside the other",
                        data=data,
                        folder=folder,
                    ),
                    remedy=msg(
                        "name a data folder elsewhere with --data: nothing is written among "
                        "evidence"
                    ),
                )

    def extract(self, folder: Path, progress: Progress) -> tuple[list[RawFile], list[Rejected]]:
        """Copy the images on which all reviewers agree into class folders below ``folder``, and
        reject the others. Both lists are in order of name.

        Raises:
            EvidenceError: sources are missing; names them.
            IntegrityError: images are not as the case recorded them; names them.
        """
        agreed = [image for image in self._images if len(image.verdicts) == 1]
        rejected = [
            Rejected(image.name, "disagreement", _differing(image), image.sha256)
            for image in self._images
            if len(image.verdicts) > 1
        ]
        # A source that was relocated lists its files under another name than its own.
        by_source: dict[tuple[str, str], list[_Image]] = defaultdict(list)
        for image in agreed:
            root = EvidencePath.from_json(image.location).layers[0]
            by_source[image.source, root.to_json()].append(image)
        sources = sorted({source for source, _ in by_source})
        if missing := [source for source in sources if not located(source).exists()]:
            raise EvidenceError(
                msg("sources are missing: ") + ", ".join(missing),
                remedy=msg(
                    "connect them where they were, or run `mayak case relocate` if they are "
                    "somewhere else now"
                ),
            )
        faults: list[str] = []
        with progress.task(msg("copying"), len(agreed), msg_in("unit", "images")) as task:
            for (source, name), images in sorted(by_source.items(), key=lambda each: each[0]):
                root = EvidencePath.from_json(name)
                with open_source(located(source), choices=self._choices, root=root) as opened:
                    faults += _copy(opened, images, folder, task)
        if faults:
            more = len(faults) - _SHOWN
            raise IntegrityError(
                msg(
                    "{n_faults} decided images are not what the case recorded: ",
                    n_faults=len(faults),
                )
                + join("; ", faults[:_SHOWN])
                + (msg("; and {more} more", more=more) if more > 0 else ""),
                remedy=msg("give the sources as they were; `mayak verify` checks the case"),
            )
        files = [
            RawFile(image.raw_name, folder / image.raw_name, *image.verdicts) for image in agreed
        ]
        files.sort(key=lambda file: order(file.name))
        return files, rejected

    def located(self, rejected: Sequence[Rejected]) -> list[Rejected]:
        """Return unusable files of ``extract``, with their place in the evidence added."""
        return [
            replace(
                item, error=f"{self._by_sha256[_sha256(item.name)].origins[0].path}: " + item.error
            )
            for item in rejected
        ]

    def sources_of(self, name: str) -> tuple[str, ...]:
        """Return the cases and sources of a file of ``extract``, one name each."""
        origins = self._by_sha256[_sha256(name)].origins
        return tuple(f"{one.case_name} ({one.case[:8]}): {one.source}" for one in origins)

    def with_provenance(self, dataset: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``dataset.json`` with the origin of each image and each rejected one."""

        def known(path: str) -> dict[str, Any]:
            origins = self._by_sha256[_sha256(path)].origins
            return {"provenance": [asdict(origin) for origin in origins]}

        images = [
            row if "augmented_from" in row else row | known(row["image_path"])
            for row in dataset["images"]
        ]
        rejected = [row | known(row["path"]) for row in dataset["rejected"]]
        return {**dataset, "images": images, "rejected": rejected}


def _sha256(path: str) -> str:
    """Return the SHA-256 in a file name that ``extract`` made."""
    return PurePosixPath(path).stem


def read_decided(folders: Sequence[Path], passwords: tuple[str, ...] = ()) -> DecidedImages:
    """Return the contents of cases that have a current verdict; ``passwords`` open their sources.

    Raises:
        CaseError: a folder is not a case.
        ManifestError: two folders are copies of one case, or nothing has been decided.
    """
    cases: dict[str, Path] = {}
    locations = list(folders)
    told: list[dict[str, Any]] = []
    found: dict[str, list[tuple[Origin, _Image]]] = defaultdict(list)
    for folder in folders:
        with CaseStore.read(folder) as store:
            other = cases.setdefault(store.id, folder)
            if other is not folder:
                raise ManifestError(
                    msg("{other} and {folder} are copies of one case", other=other, folder=folder),
                    remedy=msg(
                        "merge their decisions (`mayak decisions merge`) and name one of them"
                    ),
                )
            told += store.triage_options()
            locations += [located(source.path) for source in store.sources()]
            with checked(folder, msg("a decided image")):
                for origin, image in _of_case(store):
                    found[image.sha256].append((origin, image))
    if not found:
        raise ManifestError(
            msg("nobody has decided anything in ") + ", ".join(map(str, folders)),
            remedy=msg("decide images first: a model's predictions are not a training set"),
        )
    images = []
    for sha256 in sorted(found):
        # In the order of the cases' ids, not of the command line.
        its = sorted(found[sha256], key=lambda pair: pair[0].case)
        image = its[0][1]
        image.origins = [origin for origin, _ in its]
        images.append(image)
    return DecidedImages(images, locations, Choices.again(told, passwords))


def _of_case(store: CaseStore) -> Iterator[tuple[Origin, _Image]]:
    sources = {source.id: source.path for source in store.sources()}
    for sha256 in store.decided():
        content = store.content(sha256)
        occurrences = store.occurrences(sha256)
        # If a change was accepted, other occurrences may have other bytes by now.
        unchanged = (item for item in occurrences if item.content == sha256)
        item = next(unchanged, occurrences[0])
        source = sources[item.source]
        verdicts = tuple(_verdict(decision) for decision in store.verdicts(sha256).values())
        yield (
            Origin(store.id, store.name, source, item.described, verdicts),
            _Image(sha256, content.format if content else "", source, item.location),
        )


def _verdict(decision: Decision) -> VerdictRecord:
    if decision.verdict is None:
        raise ValueError(decision)
    return VerdictRecord(decision.reviewer, decision.verdict, decision.at.isoformat())


def _differing(image: _Image) -> str:
    verdicts = ", ".join(
        f"{one.reviewer}: {one.verdict}" for origin in image.origins for one in origin.decisions
    )
    return f"{image.origins[0].path}: " + msg("reviewers differ") + f" ({verdicts})"


@dataclass(slots=True)
class _Wanted:
    """The images of one source that are still to be copied."""

    files: dict[str, _Image]
    """Location → image, for images that are files."""
    embedded: dict[str, dict[str, _Image]]
    """Location of the file → name in it → image, for embedded images."""

    @classmethod
    def of(cls, images: list[_Image]) -> _Wanted:
        """Sort images by how they are read."""
        wanted = cls({}, defaultdict(dict))
        for image in images:
            path = EvidencePath.from_json(image.location)
            if path.kind == "embedded" and path.parent is not None:
                wanted.embedded[path.parent.to_json()][path.name] = image
            else:
                wanted.files[image.location] = image
        return wanted

    def take(self, location: str) -> tuple[list[_Image], dict[str, _Image]]:
        """Remove and return the images at a location: the file itself, and those embedded in it."""
        file = self.files.pop(location, None)
        return [] if file is None else [file], self.embedded.pop(location, {})

    def locations(self) -> list[str]:
        """Return the locations of the files that are left."""
        return [*self.files, *self.embedded]

    def __bool__(self) -> bool:
        return bool(self.files or self.embedded)

    def __iter__(self) -> Iterator[_Image]:
        yield from self.files.values()
        for images in self.embedded.values():
            yield from images.values()


def _copy(source: Source, images: list[_Image], folder: Path, task: Task) -> list[str]:
    """Copy images out of one source; return the faults of those that cannot be copied."""
    wanted = _Wanted.of(images)
    faults: list[str] = []
    for entry in source.items():
        if not wanted:
            break
        if isinstance(entry, EvidenceEntry):
            faults += _copy_file(entry, wanted, folder, task)
    # Earlier runs listed the files of a backup that they did not open under other names.
    for location in wanted.locations():
        with suppress(EvidenceError):
            if (found := source.find(EvidencePath.from_json(location))) is not None:
                faults += _copy_file(found, wanted, folder, task)
    gone = msg("is no longer there")
    locked = msg("is in a container that needs a password: give it with --password-file")
    return faults + [
        _fault(image, locked if source.is_locked(image.origins[0].path) else gone)
        for image in wanted
    ]


def _copy_file(entry: EvidenceEntry, wanted: _Wanted, folder: Path, task: Task) -> list[str]:
    """Copy the wanted images in one file; return the faults of those that cannot be copied."""
    itself, inside = wanted.take(entry.path.to_json())
    if not itself and not inside:
        return []
    try:
        with entry.open() as stream:
            data = stream.read()
    except (EvidenceError, OSError) as error:
        return [_fault(image, message_of(error)) for image in (*itself, *inside.values())]
    faults: list[str] = []
    found = _inside(data, frozenset(inside)) if inside else {}
    contents = [(image, data) for image in itself]
    contents += [(image, found.get(name, b"")) for name, image in inside.items()]
    for image, content in contents:
        task.advance()
        if hashlib.sha256(content).hexdigest() == image.sha256:
            target = folder / image.raw_name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        else:
            faults.append(_fault(image, msg("its bytes have changed")))
    return faults


def _fault(image: _Image, why: str) -> str:
    return f"{image.origins[0].path}: " + why


def _inside(holder: bytes, names: frozenset[str]) -> dict[str, bytes]:
    """Return the pictures with these names that are embedded in a file, as far as readable."""
    with Sandbox[tuple[bytes, frozenset[str]], dict[str, bytes]](read_parts) as sandbox:
        found = sandbox((holder, names))
    return {} if isinstance(found, Lost) else found


def read_parts(work: tuple[bytes, frozenset[str]]) -> dict[str, bytes]:
    """Extract the named pictures of a PDF or an animation; runs in a worker process."""
    return read_inside(*work)
