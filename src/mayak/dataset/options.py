"""Options and result of ``prepare``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mayak.dataset.collect import REASONS, Reason, Rejected
from mayak.dataset.split import SPLITS, SplitDeviation
from mayak.errors import ConfigError, ManifestError
from mayak.files import file_sha256
from mayak.i18n import join, msg
from mayak.labels import LABELS
from mayak.types import Sample, SplitName

Grouping = Literal["scene", "pdq", "none"]
AugmentScale = Literal["full", "model"]
FOLDER, SOURCE = "folder", "source"
PROVENANCES = (FOLDER, SOURCE)
"""Where origins are taken from, if not from a table."""


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """Options of ``prepare``; the defaults are the paper's."""

    raw: Path = Path("raw_data")
    cases: tuple[Path, ...] = ()
    """Cases whose decided images are used instead of ``raw``."""
    passwords: tuple[str, ...] = field(default=(), repr=False)
    """For encrypted containers in the sources of the cases."""
    data: Path = Path("data")
    seed: int = 42
    test_fraction: float = 0.15
    """Of all images."""
    val_fraction: float = 0.15
    """Of the images that are not in the test set."""
    group: Grouping = "scene"
    provenance: str | None = None
    """What the origins of the images are taken from: ``folder``, ``source``, or a table's path."""
    augment: int = 4
    """Number of new images per original of class 2 in the training set."""
    augment_scale: AugmentScale = "full"
    """``full``: new images are as large as their originals. ``model``: they have twice the
    resolution that the model sees, and are made several times as fast."""
    workers: int = 1
    overwrite: bool = False
    test_only: bool = False
    """Put all images into the test set, to measure on images from elsewhere."""
    fold: tuple[int, int] | None = None
    """Number of the fold, from 1, and of all; its images are the test set."""

    def check(self) -> None:
        """Raise ConfigError naming every option that is out of its range."""
        faults = [
            msg("{name} is {value}, not {wanted}", name=name, value=value, wanted=wanted)
            for name, value, good, wanted in (
                ("--seed", self.seed, 0 <= self.seed < 2**32, "0–4294967295"),
                ("--test-fraction", self.test_fraction, 0 < self.test_fraction < 1, "0 < x < 1"),
                ("--val-fraction", self.val_fraction, 0 < self.val_fraction < 1, "0 < x < 1"),
                ("--augment", self.augment, self.augment >= 0, "≥ 0"),
                ("--workers", self.workers, self.workers >= 1, "≥ 1"),
            )
            if not good
        ]
        if faults:
            raise ConfigError(
                join("; ", faults),
                remedy=msg("see mayak prepare --help"),
            )

    @property
    def fractions(self) -> dict[str, float]:
        """The shares of test and validation set."""
        return {"test_fraction": self.test_fraction, "val_fraction": self.val_fraction}

    @property
    def parameters(self) -> dict[str, Any]:
        """The options that the result depends on."""
        found: dict[str, Any] = {
            "seed": self.seed,
            **self.fractions,
            "group": self.group,
            "augment": self.augment,
            "test_only": self.test_only,
            **({"provenance": self._provenance_digest} if self.provenance else {}),
        }
        # A data folder of a version without these options is still one of the same parameters.
        if self.augment_scale != "full":
            found |= {"augment_scale": self.augment_scale}
        return found | ({"fold": list(self.fold)} if self.fold else {})

    def folds(self, number: int) -> list[PrepareOptions]:
        """Return the options of each fold of a cross-validation; their data folders are next to
        this one: ``data_fold1`` …

        Raises:
            ConfigError: there are fewer than two folds, or other options exclude them.
        """
        if number < 2 or self.test_only:
            raise ConfigError(
                msg("--folds needs 2 or more, and cannot go with --test-only"),
                remedy=msg("see mayak prepare --help"),
            )
        return [
            replace(
                self,
                data=self.data.with_name(f"{self.data.name}_fold{fold}"),
                test_fraction=1 / number,
                fold=(fold, number),
            )
            for fold in range(1, number + 1)
        ]

    @property
    def _provenance_digest(self) -> str:
        """What the origins are taken from, a table by its SHA-256."""
        if self.provenance is None or self.provenance in PROVENANCES:
            return str(self.provenance)
        try:
            return file_sha256(Path(self.provenance))
        except OSError as error:
            raise ManifestError(
                msg("{path} cannot be read: {error}", path=self.provenance, error=error),
                remedy=msg("name `folder`, `source` or a CSV table with --provenance"),
            ) from error


@dataclass(frozen=True, slots=True)
class PrepareResult:
    """The data set, and the outcome of every file."""

    data: Path
    fold: tuple[int, int] | None
    """As in the options."""
    samples: tuple[Sample, ...]
    """Samples of all splits; augmented ones last."""
    augmented: frozenset[str]
    """Ids of the augmented samples."""
    with_origin: int | None
    """Number of images whose origin is known; None if origins do not count."""
    rejected: tuple[Rejected, ...]
    noted: Mapping[str, tuple[str, ...]]
    """image_path → warnings, for images that have any."""
    cross_label: tuple[tuple[Sample, ...], ...]
    """Groups of near-duplicates with more than one label."""
    deviations: tuple[SplitDeviation, ...]
    """Splits that are off their fraction because groups stay whole."""
    digests: Mapping[SplitName, str]
    digest: str
    """SHA-256 over the digests of the splits."""
    input_digest: str

    @property
    def used(self) -> int:
        """Files of the raw folder that are in a split."""
        return len(self.samples) - len(self.augmented)

    @property
    def found(self) -> int:
        """Files of the raw folder: those used and those rejected."""
        return self.used + len(self.rejected)

    @property
    def counts(self) -> dict[int, dict[str, int]]:
        """label → {train, val, test, augmented}; ``train`` is without the augmented."""
        counter: Counter[tuple[int, str]] = Counter(
            (s.label, "augmented" if s.id in self.augmented else s.split) for s in self.samples
        )
        return {
            label.index: {part: counter[label.index, part] for part in (*SPLITS, "augmented")}
            for label in LABELS
        }

    @property
    def group_sizes(self) -> Counter[str]:
        """group → number of files of the raw folder."""
        return Counter(s.group for s in self.samples if s.id not in self.augmented)

    @property
    def reasons(self) -> dict[Reason, int]:
        """reason → number of rejected files, in the order of ``REASONS``."""
        counter = Counter(item.reason for item in self.rejected)
        return {reason: counter[reason] for reason in REASONS if counter[reason]}
