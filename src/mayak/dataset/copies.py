"""The augmented images of a training set, with their originals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mayak.dataset.examine import Examined
from mayak.dataset.options import PrepareOptions
from mayak.dataset.store import AUGMENTED_FOLDER
from mayak.errors import ManifestError
from mayak.i18n import msg, msg_in
from mayak.types import Progress, Sample
from mayak.workers import Lost, WorkerPool

if TYPE_CHECKING:
    from mayak.dataset.augment import AugmentedImage, AugmentJob

AUGMENTED_LABEL = 2
"""The paper augments only the transaction places, its rarest class."""


@dataclass(frozen=True, slots=True)
class AugmentedCopy:
    """An augmented image with its original."""

    original: Sample
    job: AugmentJob
    image: AugmentedImage

    def sample(self, data: Path) -> Sample:
        """Return its row in the training manifest."""
        return replace(
            self.original,
            id=f"{self.original.id}_aug{self.job.copy}",
            image_path=f"{data.name}/{AUGMENTED_FOLDER}/{self.job.target.name}",
            sha256=self.image.sha256,
            pdq="",  # its original's is known
        )


def augmented_copies(
    images: Sequence[Examined],
    samples: Sequence[Sample],
    staging: Path,
    options: PrepareOptions,
    progress: Progress,
) -> list[AugmentedCopy]:
    """Write the copies of the training images of class 2, once per content, into ``staging``."""
    originals: dict[str, tuple[Sample, Examined]] = {}
    for sample, image in zip(samples, images, strict=True):
        if sample.label == AUGMENTED_LABEL and sample.split == "train":
            originals.setdefault(sample.sha256, (sample, image))
    if not originals or not options.augment:
        return []
    # Imported here because it needs torch, and half of all calls do not.
    from mayak.dataset.augment import AugmentedImage, AugmentJob, augment

    folder = staging / AUGMENTED_FOLDER
    folder.mkdir()
    jobs = {
        AugmentJob(
            source=image.file.path,
            sha256=image.sha256,
            copy=copy,
            seed=options.seed,
            target=folder / f"{sample.id}_aug{copy}.jpg",
            at_model_scale=options.augment_scale == "model",
        ): sample
        for sample, image in originals.values()
        for copy in range(1, options.augment + 1)
    }
    made: dict[AugmentJob, AugmentedImage] = {}
    pool = WorkerPool[AugmentJob, AugmentedImage | None](augment, min(options.workers, len(jobs)))
    with progress.task(msg("augmenting"), len(jobs), msg_in("unit", "images")) as task:
        for job, result in pool.run(jobs):
            if result is None or isinstance(result, Lost):
                raise _augment_error(job, changed=result is None)
            made[job] = result
            task.advance()
    return [AugmentedCopy(sample, job, made[job]) for job, sample in jobs.items()]


def _augment_error(job: AugmentJob, *, changed: bool) -> ManifestError:
    if changed:
        return ManifestError(
            msg("{source} changed while it was being prepared", source=job.source),
            remedy=msg("run it again when nobody writes to the raw folder"),
        )
    return ManifestError(
        msg("the process that augmented {source} died", source=job.source),
        remedy=msg("most often memory has run out: use fewer --workers"),
    )
