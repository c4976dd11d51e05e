"""Preparation of a data set: ``raw_data/`` → ``data/``, with a reason for each file left out."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mayak.dataset.collect import REASONS, RawFile, Rejected, collect, order
from mayak.dataset.decided import DecidedImages, read_decided
from mayak.dataset.examine import Examined, examine
from mayak.dataset.group import Link, group_ids, join_origins
from mayak.dataset.manifest import DATASET_FILE, FILES, Manifest
from mayak.dataset.mixed_split import mixed_fold, mixed_split
from mayak.dataset.options import PrepareOptions, PrepareResult
from mayak.dataset.origins import origins_of
from mayak.dataset.split import SPLITS, deviations, fold_split, grouped_split, plain_split
from mayak.dataset.store import AUGMENTED_FOLDER, IMAGES_FOLDER, DataFolder
from mayak.errors import ManifestError
from mayak.files import json_digest
from mayak.i18n import join, msg, msg_in
from mayak.imaging.hashing import PDQ_MATCH_DISTANCE, PDQ_MIN_QUALITY
from mayak.labels import LABELS, QUESTION
from mayak.names import storable
from mayak.types import Progress, Sample, SilentProgress, SplitName
from mayak.workers import Lost, WorkerPool

if TYPE_CHECKING:
    from mayak.dataset.augment import AugmentedImage, AugmentJob

FORMAT = 1
"""Version of ``dataset.json``'s layout."""

AUGMENTED_LABEL = 2
"""The paper augments only the transaction places, its rarest class."""

LinksOf = Callable[[Sequence[Path]], Iterable[Link]]
"""Returns the pairs of images (positions among the paths) that belong into one group."""

_SHOWN = 10


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
    files read once. Errors are those of ``prepare``."""
    return _prepare(options.folds(folds), progress or SilentProgress(), links)


def _prepare(
    each: Sequence[PrepareOptions], progress: Progress, links: LinksOf | None
) -> list[PrepareResult]:
    """Make data folders that differ in the split only, from the same input."""
    options = each[0]
    # 1. Check options and folders, before thousands of images are read.
    options.check()
    sources = [_source(its) for its in each]
    folders = [DataFolder(source.data) for source in sources]
    if not options.overwrite:
        for its, folder in zip(each, folders, strict=True):
            folder.refuse_other(its.parameters)
    with ExitStack() as stack:
        stagings = [stack.enter_context(folder.staging()) for folder in folders]
        # 2. List the files, or copy the decided images.
        files, left_out = sources[0].files(stagings[0], progress)
        origins = origins_of(options.provenance, files, sources[0].decided)
        # 3. Decode and hash every file.
        images, unreadable = examine(
            files, options.workers, progress, has_scene=options.group == "scene"
        )
        left_out = [*left_out, *sources[0].located(unreadable)]
        rejected = sorted(left_out, key=lambda its: order(its.name))
        # 4. Refuse input that makes no data set, or another one than the folder contains.
        _refuse_gaps(images, rejected, all_classes=not options.test_only)
        _refuse_two_labels(images)
        input_digest = _input_digest(images, rejected)
        if not options.overwrite:
            for its, folder in zip(each, folders, strict=True):
                folder.refuse_other(its.parameters, input_digest)
        # 5. Group near-duplicates and scenes, then images of one origin.
        known = [origins[image.file.name] for image in images] if origins else []
        alike = _alike(images, links, options, progress)
        groups = join_origins(alike or _ids(images), known) if known else alike
        with_origin = sum(map(bool, known)) if options.provenance else None
        examined = _Input(images, alike, groups, with_origin, rejected, input_digest)
        # 6. Split, augment and write each data folder.
        return [
            _write(its, examined, source, folder, staging, progress)
            for its, source, folder, staging in zip(each, sources, folders, stagings, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Input:
    """What was found in the input."""

    images: Sequence[Examined]
    alike: Sequence[str] | None
    """The name of the group of each image and of those that are like it; None if not looked for."""
    groups: Sequence[str] | None
    """The same with images of one origin joined; None for the paper's split, which has no groups.
    """
    with_origin: int | None
    rejected: list[Rejected]
    digest: str


def _write(
    options: PrepareOptions,
    found: _Input,
    source: _Source,
    folder: DataFolder,
    staging: Path,
    progress: Progress,
) -> PrepareResult:
    """Split and augment, describe the data set, and replace the folder's files."""
    images = found.images
    samples = _samples(images, found.groups, source.prefix, options)
    copies = _augment(images, samples, staging, options, progress)
    result = _result(options, source.data, samples, found, copies)
    description = source.described(_dataset(result, options, images, copies, source.prefix))
    written: dict[str, object] = {
        FILES[split]: [_record(s) for s in result.samples if s.split == split]
        for split in result.digests
    }
    new_images = [f"{AUGMENTED_FOLDER}/{copy.job.target.name}" for copy in copies]
    if source.decided is not None:
        new_images += [f"{IMAGES_FOLDER}/{image.file.name}" for image in images]
    folder.publish(staging, new_images, written | {DATASET_FILE: description})
    return result


@dataclass(frozen=True, slots=True)
class _Source:
    """The input of ``prepare``: a raw folder, or the decided images of cases."""

    data: Path
    """The data folder, resolved."""
    prefix: str
    """Path of the images in manifests, relative to the data folder's parent."""
    raw: Path
    all_classes: bool
    decided: DecidedImages | None

    def files(self, staging: Path, progress: Progress) -> tuple[list[RawFile], list[Rejected]]:
        """Return the files to examine, and those left out by rule."""
        if self.decided is None:
            return collect(self.raw, all_classes=self.all_classes)
        return self.decided.extract(staging / IMAGES_FOLDER, progress)

    def located(self, unreadable: list[Rejected]) -> list[Rejected]:
        """Return files that cannot be read, with their place in the evidence if they have one."""
        return unreadable if self.decided is None else self.decided.located(unreadable)

    def described(self, description: dict[str, Any]) -> dict[str, Any]:
        """Return ``dataset.json``, with each image's origin if it comes from a case."""
        return description if self.decided is None else self.decided.with_provenance(description)


def _source(options: PrepareOptions) -> _Source:
    """Check that the input and the data folder are apart from each other."""
    decided = read_decided(options.cases) if options.cases else None
    if decided is None:
        raw, data = _apart(options.raw, options.data)
        prefix = _relative(raw, data.parent)
    else:
        raw, data = options.raw, options.data.resolve()
        decided.refuse_inside(data)
        prefix = f"{data.name}/{IMAGES_FOLDER}"
    _refuse_file(data)
    return _Source(data, prefix, raw, not options.test_only, decided)


@dataclass(frozen=True, slots=True)
class _Copy:
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


def _result(
    options: PrepareOptions,
    data: Path,
    samples: list[Sample],
    found: _Input,
    copies: Sequence[_Copy],
) -> PrepareResult:
    extra = [copy.sample(data) for copy in copies]
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


def _apart(raw: Path, data: Path) -> tuple[Path, Path]:
    """Return both folders as absolute paths. If ``raw`` is a link it keeps its own name, which the
    manifests contain; ``data`` is resolved, as readers of the manifests resolve it."""
    named = raw.resolve()
    if raw.name not in ("", ".."):
        named = raw.absolute().parent.resolve() / raw.name
    data = data.resolve()
    inside = {named.resolve(), *((named / label.folder).resolve() for label in LABELS)}
    if data.is_relative_to(named) or any(
        data.is_relative_to(folder) or folder.is_relative_to(data) for folder in inside
    ):
        raise ManifestError(
            msg(
                "one of the raw folder {raw} and the data folder {data} is inside the other",
                raw=raw,
                data=data,
            ),
            remedy=msg(
                "name a data folder outside with --data: nothing is written among the originals"
            ),
        )
    return named, data


def _refuse_file(data: Path) -> None:
    if data.exists() and not data.is_dir():
        raise ManifestError(
            msg("{data} is a file, not a folder", data=data),
            remedy=msg("name a folder with --data"),
        )


def _relative(raw: Path, base: Path) -> str:
    try:
        return Path(os.path.relpath(raw, base)).as_posix()
    except ValueError:  # another drive of Windows
        return raw.as_posix()


def _refuse_gaps(
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


def _refuse_two_labels(images: Sequence[Examined]) -> None:
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


def _input_digest(images: Sequence[Examined], rejected: Sequence[Rejected]) -> str:
    """Return the SHA-256 over (path, SHA-256) of all files. Files that operating systems create are
    excluded: opening the folder in a file manager must not make it another data set."""
    rows = [(image.file.name, image.sha256) for image in images]
    rows += [(storable(r.name), r.sha256 or "") for r in rejected if r.reason != "system-file"]
    rows.sort(key=lambda row: order(row[0]))
    return json_digest(rows, "utf-8")


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


def _samples(
    images: Sequence[Examined], groups: Sequence[str] | None, prefix: str, options: PrepareOptions
) -> list[Sample]:
    """Return one sample per image, in the order of ``images``."""
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


def _augment(
    images: Sequence[Examined],
    samples: Sequence[Sample],
    staging: Path,
    options: PrepareOptions,
    progress: Progress,
) -> list[_Copy]:
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
    return [_Copy(sample, job, made[job]) for job, sample in jobs.items()]


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


def _record(sample: Sample) -> dict[str, str]:
    """Return the paper's record of a sample."""
    return {
        "id": sample.id,
        "image_path": sample.image_path,
        "question": QUESTION,
        "answer": LABELS[sample.label].answer,
    }


def _row(
    sample: Sample,
    format_name: str,
    size: tuple[int, int],
    *,
    warnings: Sequence[str] = (),
    augmented_from: str | None = None,
) -> dict[str, Any]:
    row = {
        "id": sample.id,
        "image_path": sample.image_path,
        "sha256": sample.sha256,
        "pdq": sample.pdq,
        "group": sample.group,
        "split": sample.split,
        "label": sample.label,
        "format": format_name,
        "size": list(size),
        "warnings": list(warnings),
    }
    return row if augmented_from is None else row | {"augmented_from": augmented_from}


def _dataset(
    result: PrepareResult,
    options: PrepareOptions,
    images: Sequence[Examined],
    copies: Sequence[_Copy],
    prefix: str,
) -> dict[str, Any]:
    """Return the contents of ``dataset.json``."""
    originals, extra = result.samples[: len(images)], result.samples[len(images) :]
    rows = [
        _row(sample, image.format, image.size, warnings=image.warnings)
        for sample, image in zip(originals, images, strict=True)
    ]
    rows += [
        _row(sample, "JPEG", copy.image.size, augmented_from=copy.original.id)
        for sample, copy in zip(extra, copies, strict=True)
    ]
    sizes = result.group_sizes
    return {
        "format": FORMAT,
        "software": _software(),
        "parameters": options.parameters,
        "grouping": {"pdq_distance": PDQ_MATCH_DISTANCE, "pdq_min_quality": PDQ_MIN_QUALITY}
        if options.group != "none"
        else {},
        "input": {
            "found": result.found,
            "used": result.used,
            "rejected": result.reasons,
            "digest": result.input_digest,
            **({} if result.with_origin is None else {"with_origin": result.with_origin}),
        },
        "counts": {LABELS[label].folder: parts for label, parts in result.counts.items()},
        "groups": {"number": len(sizes), "largest": max(sizes.values())},
        "splits": {
            split: {
                "records": sum(s.split == split for s in result.samples),
                "digest": digest,
            }
            for split, digest in result.digests.items()
        },
        "digest": result.digest,
        "deviations": [asdict(deviation) for deviation in result.deviations],
        "cross_label_near_duplicates": [
            {
                "group": group[0].group,
                "images": [{"image_path": s.image_path, "label": s.label} for s in group],
            }
            for group in result.cross_label
        ],
        "images": rows,
        "rejected": [
            {
                "path": f"{prefix}/{storable(item.name)}",
                "reason": item.reason,
                "error": item.error,
                "sha256": item.sha256,
            }
            for item in result.rejected
        ],
    }


def _software() -> dict[str, str]:
    """Return the versions of the packages that the bytes of the result depend on."""
    found = {}
    for name in ("mayak", "numpy", "pillow", "pillow-heif", "scikit-learn", "torchvision"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # the optional one
            continue
    return found
