"""What people decided in cases, as images to learn from; never what a model guessed.

The bytes come from the evidence again, opened for reading only, each image checked against the
SHA-256 under which the case holds it. Of a content that lies at several places the first is read.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from mayak.case import CaseStore, Decision
from mayak.case.values import checked
from mayak.dataset.collect import RawFile, Rejected, order
from mayak.errors import EvidenceError, IntegrityError, ManifestError
from mayak.evidence import located, open_source
from mayak.i18n import join, msg, msg_in, words
from mayak.imaging.formats import wrong_extension
from mayak.imaging.inside import read_inside
from mayak.imaging.sandbox import Sandbox
from mayak.labels import LABELS
from mayak.types import EvidenceEntry, EvidencePath, Progress, Task
from mayak.workers import Lost

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Said:
    """A reviewer's present verdict."""

    reviewer: str
    verdict: int
    at: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a content first lay in one case, and what was decided of it there."""

    case: str
    """The case's id."""
    case_name: str
    source: str
    """As the case has it."""
    path: str
    decisions: tuple[Said, ...]


@dataclass(slots=True)
class _Image:
    sha256: str
    format: str
    source: str
    location: str
    origins: list[Origin] = field(default_factory=list)

    @property
    def verdicts(self) -> set[int]:
        return {said.verdict for origin in self.origins for said in origin.decisions}

    @property
    def name(self) -> str:
        """What the file is called in the data set; its extension is that of its format."""
        name = f"{self.sha256}.{self.format.lower()}"
        return self.sha256 if wrong_extension(name, self.format) else name

    @property
    def raw_name(self) -> str:
        (verdict,) = self.verdicts
        return f"{LABELS[verdict].folder}/{self.name}"


class Decided:
    """The decided contents of some cases."""

    def __init__(self, images: Sequence[_Image], folders: Sequence[Path]) -> None:
        self._images = images
        self._by_sha256 = {image.sha256: image for image in images}
        self._folders = folders
        """The cases, and all their sources."""

    def refuse_inside(self, data: Path) -> None:
        """Raise ManifestError where the data folder lies in a case or a source, or they in it."""
        for folder in self._folders:
            other = folder.resolve()
            if data == other or data in other.parents or other in data.parents:
                raise ManifestError(
                    msg(
                        "the data folder {data} and {folder} lie one in the other",
                        data=data,
                        folder=folder,
                    ),
                    remedy=msg(
                        "name a data folder elsewhere with --data: nothing is written among "
                        "evidence"
                    ),
                )

    def extract(self, folder: Path, progress: Progress) -> tuple[list[RawFile], list[Rejected]]:
        """Copy the images on which all reviewers agree into class folders below ``folder``; the
        others are rejected. Both in the order of their names.

        Raises EvidenceError naming the sources that are missing, IntegrityError naming the images
        that are not what the case recorded.
        """
        agreed = [image for image in self._images if len(image.verdicts) == 1]
        rejected = [
            Rejected(image.name, "disagreement", _differing(image), image.sha256)
            for image in self._images
            if len(image.verdicts) > 1
        ]
        by_source: dict[str, list[_Image]] = defaultdict(list)
        for image in agreed:
            by_source[image.source].append(image)
        if missing := [source for source in sorted(by_source) if not located(source).exists()]:
            raise EvidenceError(
                msg("sources are missing: ") + ", ".join(missing),
                remedy=msg("connect them where they were when the case was made"),
            )
        faults: list[str] = []
        with progress.task(msg("copying"), len(agreed), msg_in("unit", "images")) as task:
            for source, images in sorted(by_source.items()):
                faults += _copy(located(source), images, folder, task)
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

    def placed(self, rejected: Sequence[Rejected]) -> list[Rejected]:
        """Files of ``extract`` that cannot be used, told with the place they came from."""
        return [
            replace(
                item, error=f"{self._by_sha256[_sha256(item.name)].origins[0].path}: " + item.error
            )
            for item in rejected
        ]

    def with_provenance(self, dataset: Mapping[str, Any]) -> dict[str, Any]:
        """The value of ``dataset.json``, with where each image and each rejected one came from."""

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
    """Of the content that ``extract`` calls so."""
    return PurePosixPath(path).stem


def read_decided(folders: Sequence[Path]) -> Decided:
    """The contents of cases on which somebody's verdict stands.

    Raises CaseError for what is no case, ManifestError for two copies of one case and where
    nothing has been decided.
    """
    cases: dict[str, Path] = {}
    places = list(folders)
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
            places += [located(source.path) for source in store.sources()]
            with checked(folder, msg("a decided image")):
                for origin, image in _of_case(store):
                    found[image.sha256].append((origin, image))
    if not found:
        raise ManifestError(
            msg("nobody has decided anything in ") + ", ".join(map(str, folders)),
            remedy=msg("decide images first: what the model guessed is no training set"),
        )
    images = []
    for sha256 in sorted(found):
        # In the order of the cases' ids, whatever order they were named in.
        its = sorted(found[sha256], key=lambda pair: pair[0].case)
        image = its[0][1]
        image.origins = [origin for origin, _ in its]
        images.append(image)
    return Decided(images, places)


def _of_case(store: CaseStore) -> Iterator[tuple[Origin, _Image]]:
    sources = {source.id: source.path for source in store.sources()}
    for sha256 in store.decided():
        content = store.content(sha256)
        places = store.occurrences(sha256)
        # Where a change was accepted, other bytes lie by now.
        place = next((place for place in places if place.content == sha256), places[0])
        source = sources[place.source]
        said = tuple(_said(decision) for decision in store.verdicts(sha256).values())
        yield (
            Origin(store.id, store.name, source, place.display, said),
            _Image(sha256, content.format if content else "", source, place.location),
        )


def _said(decision: Decision) -> Said:
    if decision.verdict is None:
        raise ValueError(decision)
    return Said(decision.reviewer, decision.verdict, decision.at.isoformat())


def _differing(image: _Image) -> str:
    said = ", ".join(
        f"{one.reviewer}: {one.verdict}" for origin in image.origins for one in origin.decisions
    )
    return f"{image.origins[0].path}: reviewers differ ({said})"


def _copy(path: Path, images: list[_Image], folder: Path, task: Task) -> list[str]:
    """Copy images out of one source; what is wrong with those that could not be."""
    files: dict[str, _Image] = {}
    documents: dict[str, dict[str, _Image]] = defaultdict(dict)
    for image in images:
        place = EvidencePath.from_json(image.location)
        if place.kind == "embedded" and place.parent is not None:
            documents[place.parent.to_json()][place.name] = image
        else:
            files[image.location] = image
    faults: list[str] = []
    with open_source(path) as source:
        for entry in source.items():
            if not (files or documents):
                break
            if not isinstance(entry, EvidenceEntry):
                continue
            location = entry.path.to_json()
            pieces: list[tuple[_Image, bytes | None]] = []
            wanted, inside = files.pop(location, None), documents.pop(location, {})
            if wanted is None and not inside:
                continue
            try:
                with entry.open() as stream:
                    data = stream.read()
            except (EvidenceError, OSError) as error:
                faults += [
                    f"{image.origins[0].path}: " + words(error)
                    for image in (*([wanted] if wanted else ()), *inside.values())
                ]
                continue
            if wanted is not None:
                pieces.append((wanted, data))
            if inside:
                found = _inside(data, frozenset(inside))
                pieces += [(image, found.get(name)) for name, image in inside.items()]
            for image, piece in pieces:
                task.advance()
                if piece is None or hashlib.sha256(piece).hexdigest() != image.sha256:
                    faults.append(f"{image.origins[0].path}: " + msg("its bytes have changed"))
                else:
                    target = folder / image.raw_name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(piece)
    left = [*files.values(), *(image for its in documents.values() for image in its.values())]
    gone = msg("is no longer there")
    return faults + [f"{image.origins[0].path}: " + gone for image in left]


def _inside(holder: bytes, names: frozenset[str]) -> dict[str, bytes]:
    """The pictures with these names inside a file, as far as they can be had."""
    with Sandbox[tuple[bytes, frozenset[str]], dict[str, bytes]](read_parts) as sandbox:
        found = sandbox((holder, names))
    return {} if isinstance(found, Lost) else found


def read_parts(work: tuple[bytes, frozenset[str]]) -> dict[str, bytes]:
    """Runs in a process of its own: the named pictures inside a PDF or an animation."""
    return read_inside(*work)
