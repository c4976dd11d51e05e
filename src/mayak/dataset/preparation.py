"""Preparation of a data set: ``raw_data/`` → ``data/``, with a reason for each file left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mayak.dataset.collect import Rejected, order
from mayak.dataset.copies import AugmentedCopy, augmented_copies
from mayak.dataset.description import description, paper_record
from mayak.dataset.examine import Examined, examine
from mayak.dataset.group import Link, group_ids, join_origins
from mayak.dataset.input_files import InputFiles, input_digest, refuse_gaps, refuse_two_labels
from mayak.dataset.manifest import DATASET_FILE, FILES, Manifest
from mayak.dataset.mixed_split import mixed_fold, mixed_split
from mayak.dataset.options import PrepareOptions, PrepareResult
from mayak.dataset.origins import origins_of
from mayak.dataset.split import SPLITS, deviations, fold_split, grouped_split, plain_split
from mayak.dataset.store import AUGMENTED_FOLDER, IMAGES_FOLDER, DataFolder
from mayak.files import json_digest
from mayak.types import Progress, Sample, SilentProgress, SplitName

LinksOf = Callable[[Sequence[Path]], Iterable[Link]]
"""Returns the pairs of images (positions among the paths) that belong into one group."""


def prepare(
    options: PrepareOptions,
    progress: Progress | None = None,
    *,
    links: LinksOf | None = None,
) -> PrepareResult:
    """Make manifests, augmented images and ``dataset.json`` from a raw folder, or from the decided
    images of cases, which are copied into the data folder.

    The same files and parameters give the same bytes, with any number of workers and wherever the
    folders are. Raw folder, cases and evidence are opened for reading only.

    ``links`` returns further pairs of images (positions among the paths that it is given) that are
    to be in one group, for example those that a vision tower finds alike.

    Raises:
        ConfigError: an option is out of range, or does not fit the input.
        ManifestError: the input is unfit (one content under two labels, too few images …), or the
            data folder was made from something else.
        EvidenceError: a case's source is missing.
        IntegrityError: a case's source has changed.
    """
    return _prepare([options], progress or SilentProgress(), links)[0]


def prepare_folds(
    options: PrepareOptions,
    folds: int,
    progress: Progress | None = None,
    *,
    links: LinksOf | None = None,
) -> list[PrepareResult]:
    """Make one data folder for each fold of a cross-validation (``PrepareOptions.folds``), with the
    files read once. Decided images are copied into the first of the folders only, and all folds use
    them there. Errors are those of ``prepare``; after one, no folder is changed."""
    return _prepare(options.folds(folds), progress or SilentProgress(), links)


def _prepare(
    each: Sequence[PrepareOptions], progress: Progress, links: LinksOf | None
) -> list[PrepareResult]:
    """Make data folders that differ in the split only, from the same input."""
    options = each[0]
    # 1. Check options and folders, before thousands of images are read.
    options.check()
    source = InputFiles.of(each)
    folders = [DataFolder(its.data.resolve()) for its in each]
    if not options.overwrite:
        for its, folder in zip(each, folders, strict=True):
            folder.refuse_other(its.parameters)
    with ExitStack() as stack:
        stagings = [stack.enter_context(folder.staging()) for folder in folders]
        # 2. List the files, or copy the decided images.
        files, left_out = source.files(stagings[0], progress)
        origins = origins_of(options.provenance, files, source.decided)
        # 3. Decode and hash every file.
        images, unreadable = examine(
            files, options.workers, progress, has_scene=options.group == "scene"
        )
        left_out = [*left_out, *source.located(unreadable)]
        rejected = sorted(left_out, key=lambda its: order(its.name))
        # 4. Refuse input that makes no data set, or another one than the folder contains.
        refuse_gaps(images, rejected, all_classes=not options.test_only)
        refuse_two_labels(images)
        digest = input_digest(images, rejected)
        if not options.overwrite:
            for its, folder in zip(each, folders, strict=True):
                folder.refuse_other(its.parameters, digest)
        # 5. Group near-duplicates and scenes, then images of one origin.
        known = [origins[image.file.name] for image in images] if origins else []
        alike = _alike(images, links, options, progress)
        groups = join_origins(alike or _ids(images), known) if known else alike
        with_origin = sum(map(bool, known)) if options.provenance else None
        found = _Input(source, images, alike, groups, with_origin, rejected, digest)
        # 6. Split and augment for all folders, before the files of any are replaced.
        made = _made(each, folders, stagings, found, progress)
        # 7. Describe each data set, and replace its folder's files.
        return [_write(its, found) for its in made]


@dataclass(frozen=True, slots=True)
class _Input:
    """What was found in the input."""

    source: InputFiles
    images: Sequence[Examined]
    alike: Sequence[str] | None
    """The name of the group of each image and of those that are like it; None if not looked for."""
    groups: Sequence[str] | None
    """The same with images of one origin joined; None for the paper's split, which has no groups.
    """
    with_origin: int | None
    rejected: list[Rejected]
    digest: str


@dataclass(frozen=True, slots=True)
class _MadeSet:
    """A data set that is complete but for its description."""

    options: PrepareOptions
    folder: DataFolder
    staging: Path
    """Temporary folder with its new images."""
    samples: list[Sample]
    """In the order of the images."""
    copies: list[AugmentedCopy]


def _made(
    each: Sequence[PrepareOptions],
    folders: Sequence[DataFolder],
    stagings: Sequence[Path],
    found: _Input,
    progress: Progress,
) -> list[_MadeSet]:
    """Split the images for each folder, and write its augmented images into its temporary folder.

    All splits come first: augmentation takes long, and a split can be impossible.
    """
    images = found.images
    splits = [_samples(found, folder.data, its) for its, folder in zip(each, folders, strict=True)]
    return [
        _MadeSet(
            its, folder, staging, samples, augmented_copies(images, samples, staging, its, progress)
        )
        for its, folder, staging, samples in zip(each, folders, stagings, splits, strict=True)
    ]


def _write(made: _MadeSet, found: _Input) -> PrepareResult:
    """Describe a data set, and replace its folder's files."""
    data, source = made.folder.data, found.source
    result = _result(made, found)
    described = description(result, made.options, found.images, made.copies, source.prefix(data))
    written: dict[str, object] = {
        FILES[split]: [paper_record(s) for s in result.samples if s.split == split]
        for split in result.digests
    }
    new_images = [f"{AUGMENTED_FOLDER}/{copy.job.target.name}" for copy in made.copies]
    if source.are_copied_into(data):
        new_images += [f"{IMAGES_FOLDER}/{image.file.name}" for image in found.images]
    made.folder.publish(
        made.staging, new_images, written | {DATASET_FILE: source.described(described)}
    )
    return result


def _result(made: _MadeSet, found: _Input) -> PrepareResult:
    options, data, samples = made.options, made.folder.data, made.samples
    extra = [copy.sample(data) for copy in made.copies]
    everything = (*samples, *extra)
    digests = {
        split: Manifest(data / FILES[split], part).digest
        for split in SPLITS
        if (part := tuple(s for s in everything if s.split == split))
    }
    return PrepareResult(
        data=options.data,
        fold=options.fold,
        samples=everything,
        augmented=frozenset(sample.id for sample in extra),
        with_origin=found.with_origin,
        rejected=tuple(found.rejected),
        noted={
            sample.image_path: image.warnings
            for sample, image in zip(samples, found.images, strict=True)
            if image.warnings
        },
        cross_label=_cross_label(samples, found.alike),
        deviations=()
        if options.test_only
        else deviations(
            [sample.label for sample in samples],
            [sample.split for sample in samples],
            **options.fractions,
        ),
        digests=digests,
        digest=_digest(digests),
        input_digest=found.digest,
    )


def _alike(
    images: Sequence[Examined],
    links: LinksOf | None,
    options: PrepareOptions,
    progress: Progress,
) -> list[str] | None:
    """Return the name of the group of each image and of those that are like it; None if likeness
    does not count."""
    if options.group == "none" and links is None:
        return None
    return group_ids(
        [image.sha256 for image in images],
        [image.hash for image in images] if options.group != "none" else (),
        scenes=[image.scene for image in images if image.scene is not None],
        links=[] if links is None else links([image.file.path for image in images]),
        progress=progress,
    )


def _samples(found: _Input, data: Path, options: PrepareOptions) -> list[Sample]:
    """Return one sample per image, in the order of the images."""
    images, groups, prefix = found.images, found.groups, found.source.prefix(data)
    labels = [image.file.label for image in images]
    ids = _ids(images)
    splits: list[SplitName] = ["test"] * len(images)
    fractions = options.fractions
    if options.fold:
        fold, folds = options.fold
        divide = fold_split if options.provenance is None else mixed_fold
        splits = divide(
            labels,
            ids if groups is None else groups,
            fold=fold,
            folds=folds,
            val_fraction=options.val_fraction,
            seed=options.seed,
        )
    elif not options.test_only:
        if groups is None:
            splits = plain_split(labels, seed=options.seed, **fractions)
        elif options.provenance is not None:
            splits = mixed_split(labels, groups, seed=options.seed, **fractions)
        else:
            splits = grouped_split(labels, groups, seed=options.seed, **fractions)
    return [
        Sample(
            id=name,
            image_path=f"{prefix}/{image.file.name}",
            label=image.file.label,
            sha256=image.sha256,
            group=group,
            split=split,
            pdq=image.hash.comparable_hex,
        )
        for image, name, group, split in zip(images, ids, groups or ids, splits, strict=True)
    ]


def _ids(images: Sequence[Examined]) -> list[str]:
    """Return ``<label>_<12 hex digits of SHA-256>``, with ``_2``, ``_3`` … for further copies."""
    seen: Counter[str] = Counter()
    ids = []
    for image in images:
        name = f"{image.file.label}_{image.sha256[:12]}"
        seen[name] += 1
        ids.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return ids


def _cross_label(
    samples: Sequence[Sample], alike: Sequence[str] | None
) -> tuple[tuple[Sample, ...], ...]:
    """Return the images that are like each other and have several labels; images of one origin
    may have."""
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample, group in zip(samples, alike or [s.id for s in samples], strict=True):
        groups[group].append(sample)
    return tuple(tuple(its) for its in groups.values() if len({s.label for s in its}) > 1)


def _digest(digests: Mapping[SplitName, str]) -> str:
    return json_digest(digests, "ascii")
