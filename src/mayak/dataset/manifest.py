"""Manifest files: the samples of each split, and their digest.

``data/{train,val,test}_drug_data.json`` contain the paper's records (``id``, ``image_path``,
``question``, ``answer``); ``data/dataset.json`` contains what the paper's format lacks (SHA-256,
PDQ and duplicate group of every image, seed, counts, rejected files).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mayak.errors import ManifestError
from mayak.files import file_sha256, json_digest
from mayak.i18n import msg
from mayak.labels import LABELS, QUESTION
from mayak.types import Sample, SplitName
from mayak.untrusted import DOCUMENT_BYTES, open_regular, parse_json, read_file

FILES: dict[SplitName, str] = {
    "train": "train_drug_data.json",
    "val": "val_drug_data.json",
    "test": "test_drug_data.json",
}
DATASET_FILE = "dataset.json"
MISSING = "missing"
"""Placeholder for the SHA-256 of an image that could not be read."""
_PDQ = re.compile("(?:[0-9a-f]{64})?")


@dataclass(frozen=True, slots=True)
class Fold:
    """A fold of a cross-validation."""

    number: int
    """From 1."""
    folds: int
    input: str
    """Digest of the files that all folds are made from."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The samples of one split."""

    path: Path
    samples: tuple[Sample, ...]
    fold: Fold | None = None
    """Of the test set of a cross-validation's fold."""

    def locate(self, sample: Sample) -> Path:
        """Return the path of a sample's image; paths are relative to the data folder's parent."""
        return self.path.resolve().parent.parent / sample.image_path

    @property
    def digest(self) -> str:
        """SHA-256 over (id, sha256, label) of all samples, in order of id: the same images with
        the same labels have the same digest under any paths."""
        rows = sorted((s.id, s.sha256, s.label) for s in self.samples)
        return json_digest(rows, "utf-8")


def read_manifest(path: Path) -> Manifest:
    """Read one manifest and, from ``dataset.json`` in its folder, hashes and groups.

    The images of a manifest without ``dataset.json`` (from the original's scripts) are hashed here,
    and its groups are exact duplicates.

    Raises:
        ManifestError: names the file and the record that is wrong.
    """
    records = _read_json(path, "[]")
    if not isinstance(records, list) or not records:
        raise ManifestError(
            msg("{path} has no list of records", path=path),
            remedy=_prepare_again(),
        )
    split: SplitName = next((name for name, file in FILES.items() if file == path.name), "test")
    known = _images(path.parent / DATASET_FILE)
    samples = tuple(_sample(path, row, split, known) for row in records)
    ids = [sample.id for sample in samples]
    if len(set(ids)) != len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise ManifestError(
            msg("{path}: the id {twice!r} occurs twice", path=path, twice=twice),
            remedy=_prepare_again(),
        )
    is_test = path.name == FILES["test"]
    return Manifest(path, samples, _fold(path.parent / DATASET_FILE) if is_test else None)


def originals(manifest: Manifest) -> list[Sample]:
    """Return the originals of a manifest's augmented images, as far as a ``dataset.json`` in its
    folder names them."""
    rows = _images(manifest.path.parent / DATASET_FILE)
    by_id = {row["id"]: row for row in rows.values() if row.get("id") is not None}
    augmented = {source: s for s in manifest.samples if (source := _original(rows, s)) in by_id}
    return [
        replace(
            sample,
            id=str(source),
            image_path=by_id[source]["image_path"],
            sha256=by_id[source]["sha256"],
            pdq=by_id[source].get("pdq"),
        )
        for source, sample in augmented.items()
    ]


def groups_with(manifest: Manifest, digests: Iterable[str]) -> set[str]:
    """Return the groups that have one of these images (SHA-256) in any split of the data folder, as
    its ``dataset.json`` states."""
    those = set(digests)
    rows = _images(manifest.path.parent / DATASET_FILE).values()
    return {row["group"] for row in rows if row["sha256"] in those}


def _original(rows: dict[str, dict[str, str]], sample: Sample) -> str | None:
    """Return the id of an augmented image's original."""
    return rows.get(sample.image_path, {}).get("augmented_from")


def _prepare_again() -> str:
    return msg("make it again with `mayak prepare`")


def _read_json(path: Path, empty: str) -> Any:  # noqa: ANN401 - checked by the callers
    try:
        return parse_json(read_file(path, DOCUMENT_BYTES) or empty)
    except FileNotFoundError as error:
        raise ManifestError(
            msg("{path} does not exist", path=path), remedy=_prepare_again()
        ) from error
    except (OSError, ValueError) as error:
        raise ManifestError(
            msg("{path} cannot be read: {error}", path=path, error=error),
            remedy=_prepare_again(),
        ) from error


def _images(path: Path) -> dict[str, dict[str, str]]:
    """Return image_path → row of ``dataset.json``; empty without such a file."""
    if not path.exists():
        return {}
    found = _read_json(path, "{}")
    images = found.get("images", []) if isinstance(found, dict) else None
    if not isinstance(images, list) or not all(
        isinstance(row, dict)
        and all(isinstance(row.get(key), str) for key in ("image_path", "sha256", "group"))
        and all(isinstance(row.get(key), str | None) for key in ("id", "augmented_from", "pdq"))
        and _PDQ.fullmatch(row.get("pdq") or "")
        for row in images
    ):
        raise ManifestError(
            msg("{path} is damaged: `images`", path=path),
            remedy=_prepare_again(),
        )
    return {row["image_path"]: row for row in images}


def _fold(path: Path) -> Fold | None:
    """Return the fold that a ``dataset.json`` states; None if it is of no cross-validation."""
    found = _read_json(path, "{}") if path.exists() else {}
    try:
        number, folds = found["parameters"]["fold"]
        return Fold(int(number), int(folds), str(found["input"]["digest"]))
    except (KeyError, TypeError, ValueError):
        return None


def _sample(
    path: Path, record: dict[str, str], split: SplitName, known: dict[str, dict[str, str]]
) -> Sample:
    if not isinstance(record, dict):
        raise ManifestError(
            msg("{path}: {record!r} is not a record", path=path, record=record),
            remedy=_prepare_again(),
        )
    needed = ("id", "image_path", "question", "answer")
    missing = [key for key in needed if not isinstance(record.get(key), str)]
    missing += ["image_path"] if "\0" in str(record.get("image_path")) else []
    if missing:
        raise ManifestError(
            msg(
                "{path}: {record!r} lacks {missing}",
                path=path,
                record=record,
                missing=", ".join(missing),
            ),
            remedy=_prepare_again(),
        )
    if record["answer"] not in {label.answer for label in LABELS}:
        raise ManifestError(
            msg(
                "{path}: record {id!r} has the answer {answer!r}",
                path=path,
                id=record["id"],
                answer=record["answer"],
            ),
            remedy=msg("answers are 0, 1, 2 or 3"),
        )
    if record["question"] != QUESTION:
        raise ManifestError(
            msg("{path}: record {id!r} asks another question", path=path, id=record["id"]),
            remedy=_prepare_again(),
        )
    image_path = record["image_path"]
    row = known.get(image_path)
    if row is None:
        file = path.resolve().parent.parent / image_path
        # An unreadable image stays a sample: the code that decodes it reports the failure.
        try:
            with open_regular(file, follow=True) as stream:
                sha256 = file_sha256(stream)
        except OSError:
            sha256 = MISSING
        row = {"sha256": sha256, "group": sha256}
    return Sample(
        id=str(record["id"]),
        image_path=image_path,
        label=int(record["answer"]),
        sha256=row["sha256"],
        group=row["group"],
        split=split,
        pdq=row.get("pdq"),
    )
