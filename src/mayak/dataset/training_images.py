"""The training record next to an adapter: the images that it was trained on and chosen by.

Images are compared by the SHA-256 of their bytes, under any name and in any folder. A re-encoded,
scaled or cropped copy has other bytes and is not found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from mayak.dataset.manifest import Manifest, originals
from mayak.errors import ManifestError, ModelError
from mayak.files import json_digest
from mayak.i18n import msg
from mayak.names import printable
from mayak.untrusted import DOCUMENT_BYTES, PARSE_ERRORS, RECORD_BYTES, read_json

TRAINING_IMAGES = "training_images.json"
FORMAT = 1
_SHOWN = 3
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """SHA-256 of the images that an adapter was trained and chosen with."""

    train: tuple[str, ...]
    """Training images, and the originals of augmented ones; sorted, each once."""
    validation: tuple[str, ...]
    """Images that the checkpoint was chosen by; sorted, each once."""

    @classmethod
    def of(cls, train: Manifest, validation: Manifest) -> Self:
        """Make the record of a training on these two splits."""
        used = {sample.sha256 for sample in train.samples} | originals(train)
        chosen_by = {sample.sha256 for sample in validation.samples} | originals(validation)
        return cls(tuple(sorted(used)), tuple(sorted(chosen_by)))

    @property
    def digest(self) -> str:
        """SHA-256 over both lists as canonical JSON."""
        lists = {"train": self.train, "validation": self.validation}
        return json_digest(lists, "ascii")

    def as_json(self) -> dict[str, Any]:
        """Return the contents of the file."""
        return {
            "format": FORMAT,
            "digest": self.digest,
            "train": list(self.train),
            "validation": list(self.validation),
        }

    @classmethod
    def read(cls, adapter: Path) -> Self | None:
        """Read the record in an adapter's folder; None for an adapter that never had one.

        Raises:
            ModelError: it is damaged, is not the one that ``run.json`` names, or is missing
                although ``run.json`` names one.
        """
        path = adapter / TRAINING_IMAGES
        named = _named(adapter / "run.json")
        try:
            values = read_json(path, DOCUMENT_BYTES)
            found = cls(tuple(values["train"]), tuple(values["validation"]))
            for digest in (*found.train, *found.validation):
                if not _DIGEST.fullmatch(digest):  # it would equal no image's, and hide leakage
                    raise ValueError(repr(digest))
            if found.digest != values["digest"] or named not in (None, found.digest):
                raise ValueError(msg("its digest is another"))
        except FileNotFoundError as error:
            if named is None:
                return None
            raise ModelError(
                msg("{path} is missing, which run.json names", path=path),
                remedy=_copy_again(),
            ) from error
        except (OSError, *PARSE_ERRORS) as error:
            raise ModelError(
                msg("{path} is damaged ({error})", path=path, error=error),
                remedy=_copy_again(),
            ) from error
        return found


@dataclass(frozen=True, slots=True)
class Leakage:
    """Result of comparing a set of images with an adapter's training record. A set that contains
    training images is refused, and has no result."""

    record: str | None
    """Digest of the training record; None if there is none, so that nothing could be compared."""
    validation_images: int = 0
    """Images that the adapter's checkpoint was chosen by."""
    compared: bool = True
    """Whether a comparison was made, if only to find that the adapter has no record."""

    NOT_COMPARED: ClassVar[Leakage]
    """For images that were not compared with any record."""

    @classmethod
    def of(
        cls, adapter: Path, manifest: Manifest, *, instead: str = "data/test_drug_data.json"
    ) -> Self:
        """Compare a manifest with an adapter's training record.

        Raises:
            ManifestError: the adapter was trained on some of the images; the remedy is to use
                ``instead``.
            ModelError: the record is damaged.
        """
        record = TrainingImages.read(adapter)
        if record is None:
            return cls(None)
        trained, chosen_by = set(record.train), set(record.validation)
        shared = [sample for sample in manifest.samples if sample.sha256 in trained]
        if shared:
            names = ", ".join(printable(sample.image_path) for sample in shared[:_SHOWN])
            names += ", …" if len(shared) > _SHOWN else ""
            raise ManifestError(
                msg(
                    "{path}: {n_shared} of {n_samples} images are training images of the adapter "
                    "{adapter} ({names}): results on them do not measure generalisation",
                    path=manifest.path,
                    n_shared=len(shared),
                    n_samples=len(manifest.samples),
                    adapter=adapter,
                    names=names,
                ),
                remedy=msg(
                    "use images that it was not trained on: {instead}, or a folder made with "
                    "`mayak prepare --test-only`",
                    instead=instead,
                ),
            )
        return cls(record.digest, sum(s.sha256 in chosen_by for s in manifest.samples))

    @property
    def note(self) -> str | None:
        """A caution for readers of the result; None if the images are new to the adapter."""
        if not self.compared:
            return msg(
                "these images were not compared with the adapter's training record: whether it "
                "was trained on them is unknown"
            )
        if self.record is None:
            return msg(
                "the adapter is without a training record: whether it was trained on these images "
                "cannot be checked"
            )
        if self.validation_images:
            return msg(
                "{validation_images} of these images chose the adapter's checkpoint during "
                "training: figures on them are too good",
                validation_images=self.validation_images,
            )
        return None


Leakage.NOT_COMPARED = Leakage(None, compared=False)


def _named(run: Path) -> str | None:
    """Return the digest of the training record that ``run.json`` names, or None."""
    try:
        return str(read_json(run, RECORD_BYTES)["training_images"])
    except (OSError, *PARSE_ERRORS):
        return None


def _copy_again() -> str:
    return msg("copy the adapter folder again")
