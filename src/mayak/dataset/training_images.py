"""The training record next to an adapter: the images that it was trained on and chosen by.

Images are compared by the SHA-256 of their bytes and by PDQ, under any name and in any folder: also
re-encoded and scaled copies are found. Pictures with too little texture for PDQ are compared by
their bytes only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from mayak.dataset.manifest import Manifest, groups_with, originals
from mayak.errors import DecodeError, ManifestError, ModelError
from mayak.files import json_digest
from mayak.i18n import join, msg
from mayak.imaging.clusters import has_match
from mayak.imaging.decode import decode_picture
from mayak.imaging.hashing import perceptual_hash
from mayak.imaging.thumbnails import overview
from mayak.names import printable
from mayak.types import Sample
from mayak.untrusted import DOCUMENT_BYTES, PARSE_ERRORS, RECORD_BYTES, open_regular, read_json

TRAINING_IMAGES = "training_images.json"
FORMAT = 3
"""Version 1 had no PDQ hashes, version 2 no groups; both are still read."""
WITHOUT_PDQ = msg(
    "the adapter's training record has no PDQ hashes, as those of an earlier version: images were "
    "compared by their bytes, and near copies of training images were not looked for"
)
_SHOWN = 3
_READERS = 4
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """The images that an adapter was trained and chosen with."""

    train: tuple[str, ...]
    """SHA-256 of the training images, and of the originals of augmented ones; sorted, each once."""
    validation: tuple[str, ...]
    """SHA-256 of the images that the checkpoint was chosen by; sorted, each once."""
    pdq: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 → PDQ in hex, of the images of both lists that have enough texture for it."""
    groups: tuple[str, ...] = ()
    """SHA-256 of the names of the groups (a phone, a scene) that were trained on; sorted, each
    once. Not the names: they may be those of people, and adapters are handed on."""

    @classmethod
    def of(cls, train: Manifest, validation: Manifest) -> Self:
        """Make the record of a training on these two splits.

        Images whose PDQ no ``dataset.json`` states are decoded.
        """
        samples = {s.sha256: s for s in (*originals(train), *train.samples)}
        chosen_by = {s.sha256: s for s in (*originals(validation), *validation.samples)}
        hashes = _hashes(train, samples.values()) | _hashes(validation, chosen_by.values())
        return cls(
            tuple(sorted(samples)),
            tuple(sorted(chosen_by)),
            {digest: hashes[digest] for digest in sorted(hashes)},
            tuple(sorted({_digest(sample.group) for sample in samples.values()})),
        )

    @property
    def digest(self) -> str:
        """SHA-256 over the lists as canonical JSON, without what earlier versions lacked if it is
        empty: so that their records keep their digest."""
        return json_digest(self._lists, "ascii")

    @property
    def _lists(self) -> dict[str, Any]:
        lists: dict[str, Any] = {"train": list(self.train), "validation": list(self.validation)}
        if self.pdq:
            lists["pdq"] = dict(self.pdq)
        if self.groups:
            lists["groups"] = list(self.groups)
        return lists

    def as_json(self) -> dict[str, Any]:
        """Return the contents of the file."""
        return {"format": FORMAT, "digest": self.digest, **self._lists}

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
            found = cls._of_json(read_json(path, DOCUMENT_BYTES), named)
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

    @classmethod
    def _of_json(cls, values: Any, named: str | None) -> Self:  # noqa: ANN401 - checked here
        found = cls(
            tuple(values["train"]),
            tuple(values["validation"]),
            dict(values.get("pdq", {})),
            tuple(values.get("groups", ())),
        )
        hashes = (*found.train, *found.validation, *found.pdq, *found.pdq.values())
        for digest in (*hashes, *found.groups):
            if not _DIGEST.fullmatch(digest):  # it would equal no image's, and hide leakage
                raise ValueError(repr(digest))
        if found.digest != values["digest"] or named not in (None, found.digest):
            raise ValueError(msg("its digest is another"))
        return found

    def seen(self, hashes: Mapping[str, bytes | None]) -> set[str]:
        """Return which images (SHA-256 → PDQ, None without enough texture) are training images or
        near copies of them."""
        return _equal_or_near(hashes, self.train, self.pdq)

    def seen_of(self, manifest: Manifest) -> set[str]:
        """Return which of a manifest's images (SHA-256) are training images or near copies."""
        return self.seen(_bytes(manifest, self))

    def chosen_by(self, hashes: Mapping[str, bytes | None]) -> set[str]:
        """Return which images, likewise, chose the checkpoint."""
        return _equal_or_near(hashes, self.validation, self.pdq)


@dataclass(frozen=True, slots=True)
class Leakage:
    """Result of comparing a set of images with an adapter's training record."""

    record: str | None
    """Digest of the training record; None if there is none, so that nothing could be compared."""
    validation_images: int = 0
    """Images that the adapter's checkpoint was chosen by, and that are not in ``seen``."""
    compared: bool = True
    """Whether a comparison was made, if only to find that the adapter has no record."""
    seen: frozenset[str] = frozenset()
    """SHA-256 of the images that are training images, or near copies of them."""
    related_images: int = 0
    """Other images whose group (a phone, a scene) in their data folder has training images."""
    namesake_images: int = 0
    """Further images whose group has the name of one that was trained on. It may be another phone:
    two laboratories may both have a ``phone-01``."""
    is_by_pdq: bool = True
    """Whether near copies were looked for too: not with a record that has no PDQ hashes, as those
    of version 1."""

    NOT_COMPARED: ClassVar[Leakage]
    """For images that were not compared with any record."""

    @classmethod
    def of(cls, adapter: Path, manifest: Manifest) -> Self:
        """Compare a manifest with an adapter's training record.

        Raises:
            ModelError: the record is damaged.
        """
        record = TrainingImages.read(adapter)
        if record is None:
            return cls(None)
        hashes = _bytes(manifest, record)
        seen = record.seen(hashes)
        others = [sample for sample in manifest.samples if sample.sha256 not in seen]
        chosen_by, groups = record.chosen_by(hashes), groups_with(manifest, record.train)
        namesakes = set(record.groups)
        return cls(
            record.digest,
            validation_images=sum(sample.sha256 in chosen_by for sample in others),
            seen=frozenset(seen),
            related_images=sum(sample.group in groups for sample in others),
            namesake_images=sum(
                sample.group not in groups and _digest(sample.group) in namesakes
                for sample in others
            ),
            is_by_pdq=bool(record.pdq),
        )

    def refuse_seen(self, manifest: Manifest, *, instead: str) -> None:
        """Refuse images that the adapter was trained on; the remedy is to use ``instead``.

        Raises:
            ManifestError: there are some.
        """
        shared = [sample for sample in manifest.samples if sample.sha256 in self.seen]
        if not shared:
            return
        names = ", ".join(printable(sample.image_path) for sample in shared[:_SHOWN])
        names += ", …" if len(shared) > _SHOWN else ""
        raise ManifestError(
            msg(
                "{path}: {n_shared} of {n_samples} images are training images of the adapter or "
                "near copies of them ({names}): results on them do not measure generalisation",
                path=manifest.path,
                n_shared=len(shared),
                n_samples=len(manifest.samples),
                names=names,
            ),
            remedy=msg(
                "use images that it was not trained on: {instead}, or a folder made with "
                "`mayak prepare --test-only`",
                instead=instead,
            ),
        )

    def refuse_all_seen(self, manifest: Manifest) -> None:
        """Refuse images that the adapter was trained on if there are no others.

        Raises:
            ManifestError: there are none.
        """
        if self.seen.issuperset(sample.sha256 for sample in manifest.samples):
            self.refuse_seen(manifest, instead="data/test_drug_data.json")

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
        cautions = []
        if not self.is_by_pdq:
            cautions.append(WITHOUT_PDQ)
        if self.validation_images:
            cautions.append(
                msg(
                    "{validation_images} of these images chose the adapter's checkpoint during "
                    "training: figures on them are too good",
                    validation_images=self.validation_images,
                )
            )
        if self.related_images:
            cautions.append(
                msg(
                    "{related_images} of these images belong to groups (a phone, a scene) that the "
                    "adapter was trained on: figures on them may be too good",
                    related_images=self.related_images,
                )
            )
        if self.namesake_images:
            cautions.append(
                msg(
                    "{namesake_images} of these images belong to groups with the name of a group "
                    "that the adapter was trained on: if it is the same phone or scene, figures on "
                    "them may be too good",
                    namesake_images=self.namesake_images,
                )
            )
        return join("; ", cautions) if cautions else None


Leakage.NOT_COMPARED = Leakage(None, compared=False)


def _equal_or_near(
    hashes: Mapping[str, bytes | None], digests: Iterable[str], known: Mapping[str, str]
) -> set[str]:
    those = set(digests)
    found = {digest for digest in hashes if digest in those}
    rest = [(d, pdq) for d, pdq in hashes.items() if pdq is not None and d not in found]
    their = b"".join(bytes.fromhex(known[digest]) for digest in sorted(those & known.keys()))
    near = has_match(b"".join(pdq for _, pdq in rest), their)
    return found | {rest[row][0] for row in np.flatnonzero(near)}


def _bytes(manifest: Manifest, record: TrainingImages) -> dict[str, bytes | None]:
    """Return SHA-256 → PDQ of a manifest's images, as far as the record has something to compare
    it with."""
    known = _hashes(manifest, manifest.samples) if record.pdq else {}
    return {
        sample.sha256: bytes.fromhex(known[sample.sha256]) if sample.sha256 in known else None
        for sample in manifest.samples
    }


def _hashes(manifest: Manifest, samples: Iterable[Sample]) -> dict[str, str]:
    """Return SHA-256 → PDQ of the images that have one; those of unknown PDQ are decoded."""
    samples = list(samples)
    found = {sample.sha256: sample.pdq for sample in samples if sample.pdq is not None}
    unknown = [sample for sample in samples if sample.pdq is None]
    with ThreadPoolExecutor(_READERS) as pool:
        read = pool.map(partial(_read_hash, manifest), unknown)
        found |= {sample.sha256: pdq for sample, pdq in zip(unknown, read, strict=True)}
    return {digest: pdq for digest, pdq in found.items() if pdq}


def _read_hash(manifest: Manifest, sample: Sample) -> str:
    """Return an image's PDQ; empty without enough texture, or if it cannot be read, which is
    reported by the code that uses the image."""
    try:
        with open_regular(manifest.locate(sample), follow=True) as file:
            picture = decode_picture(file.read())
    except (OSError, DecodeError):
        return ""
    return perceptual_hash(overview(picture.image)).comparable_hex


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _named(run: Path) -> str | None:
    """Return the digest of the training record that ``run.json`` names, or None."""
    try:
        return str(read_json(run, RECORD_BYTES)["training_images"])
    except (OSError, *PARSE_ERRORS):
        return None


def _copy_again() -> str:
    return msg("copy the adapter folder again")
