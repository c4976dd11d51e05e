"""The input of ``prepare``: a raw folder, or the decided images of cases."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mayak.dataset.collect import REASONS, RawFile, Rejected, collect, order
from mayak.dataset.decided import DecidedImages, read_decided
from mayak.dataset.examine import Examined
from mayak.dataset.options import PrepareOptions
from mayak.dataset.store import IMAGES_FOLDER
from mayak.errors import ManifestError
from mayak.files import json_digest
from mayak.i18n import join, msg
from mayak.labels import LABELS
from mayak.names import storable
from mayak.types import Progress

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class InputFiles:
    """The files that one or more data folders are made from."""

    images: Path
    """Folder of the class folders: the raw folder, or the place in the (first) data folder that
    the decided images are copied to."""
    decided: DecidedImages | None
    all_classes: bool

    @classmethod
    def of(cls, each: Sequence[PrepareOptions]) -> InputFiles:
        """Return the input of data folders that differ in the split only.

        Raises:
            ManifestError: a data folder is a file, or is not apart from the input.
        """
        options, folders = each[0], [its.data.resolve() for its in each]
        decided = read_decided(options.cases, options.passwords) if options.cases else None
        if decided is None:
            images = _absolute(options.raw)
            for data in folders:
                _refuse_nested(images, data)
        else:
            images = folders[0] / IMAGES_FOLDER
            for data in folders:
                decided.refuse_inside(data)
        for data in folders:
            _refuse_file(data)
        return cls(images, decided, not options.test_only)

    def prefix(self, data: Path) -> str:
        """Return the path of the images in a data folder's manifests."""
        try:
            return Path(os.path.relpath(self.images, data.parent)).as_posix()
        except ValueError:  # another drive of Windows
            return self.images.as_posix()

    def are_copied_into(self, data: Path) -> bool:
        """Return whether the images are copied into this data folder."""
        return self.decided is not None and self.images.parent == data

    def files(self, staging: Path, progress: Progress) -> tuple[list[RawFile], list[Rejected]]:
        """Return the files to examine, and those left out by rule. Decided images are copied into
        ``staging``."""
        if self.decided is None:
            return collect(self.images, all_classes=self.all_classes)
        return self.decided.extract(staging / IMAGES_FOLDER, progress)

    def located(self, unreadable: list[Rejected]) -> list[Rejected]:
        """Return files that cannot be read, with their place in the evidence if they have one."""
        return unreadable if self.decided is None else self.decided.located(unreadable)

    def described(self, description: dict[str, Any]) -> dict[str, Any]:
        """Return ``dataset.json``, with each image's origin if it comes from a case."""
        return description if self.decided is None else self.decided.with_provenance(description)


def _absolute(raw: Path) -> Path:
    """Return the raw folder as an absolute path. A link keeps its own name, which the manifests
    contain."""
    if raw.name in ("", ".."):
        return raw.resolve()
    return raw.absolute().parent.resolve() / raw.name


def _refuse_nested(named: Path, data: Path) -> None:
    """Raise ManifestError if one of raw folder and data folder is inside the other."""
    inside = {named.resolve(), *((named / label.folder).resolve() for label in LABELS)}
    if data.is_relative_to(named) or any(
        data.is_relative_to(folder) or folder.is_relative_to(data) for folder in inside
    ):
        raise ManifestError(
            msg(
                "one of the raw folder {raw} and the data folder {data} is inside the other",
                raw=named,
                data=data,
            ),
            remedy=msg(
                "name a data folder outside with --data: nothing is written among the originals"
            ),
        )


def _refuse_file(data: Path) -> None:
    if data.exists() and not data.is_dir():
        raise ManifestError(
            msg("{data} is a file, not a folder", data=data),
            remedy=msg("name a folder with --data"),
        )


def refuse_gaps(
    images: Sequence[Examined], rejected: Sequence[Rejected], *, all_classes: bool
) -> None:
    """Raise ManifestError for classes without a readable image, with what was found instead."""
    held = {image.file.label for image in images}
    empty = [label for label in LABELS if label.index not in held]
    if not images or (empty and all_classes):
        described: list[str] = []
        for label in empty:
            its = Counter(r.reason for r in rejected if r.name.startswith(f"{label.folder}/"))
            found = join(", ", [REASONS[reason] + f" {count}" for reason, count in its.items()])
            described.append(f"{label.folder} (" + (found or msg("empty")) + ")")
        raise ManifestError(
            msg("no readable image in {told}", told=join(", ", described)),
            remedy=msg("put images of that class there, or decide some if they come from a case"),
        )


def refuse_two_labels(images: Sequence[Examined]) -> None:
    """Raise ManifestError naming both paths if one content has two labels."""
    first: dict[str, Examined] = {}
    pairs = []
    for image in images:
        other = first.setdefault(image.sha256, image)
        if other.file.label != image.file.label:
            pairs.append(f"{other.file.name} = {image.file.name}")
    if pairs:
        more = len(pairs) - _SHOWN
        listed = "; ".join(pairs[:_SHOWN]) + (
            msg("; and {more} more", more=more) if more > 0 else ""
        )
        raise ManifestError(
            msg(
                "the same image is under two labels ({n_pairs} in all): {listed}",
                n_pairs=len(pairs),
                listed=listed,
            ),
            remedy=msg("decide which label is right and remove the other copy"),
        )


def input_digest(images: Sequence[Examined], rejected: Sequence[Rejected]) -> str:
    """Return the SHA-256 over (path, SHA-256) of all files. Files that operating systems create are
    excluded: opening the folder in a file manager must not make it another data set."""
    rows = [(image.file.name, image.sha256) for image in images]
    rows += [(storable(r.name), r.sha256 or "") for r in rejected if r.reason != "system-file"]
    rows.sort(key=lambda row: order(row[0]))
    return json_digest(rows, "utf-8")
