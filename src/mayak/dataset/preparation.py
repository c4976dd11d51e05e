"""``raw_data/`` → ``data/``: the whole of the paper's first step, with every file accounted for."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mayak.dataset.collect import Rejected, collect, order
from mayak.dataset.decided import read_decided
from mayak.dataset.examine import Examined, examine
from mayak.dataset.group import group_ids
from mayak.dataset.manifest import DATASET_FILE, FILES, Manifest
from mayak.dataset.options import PrepareOptions, PrepareResult
from mayak.dataset.split import SPLITS, grouped_split, plain_split
from mayak.dataset.store import AUGMENTED_FOLDER, IMAGES_FOLDER, Store
from mayak.errors import ManifestError
from mayak.files import json_digest
from mayak.i18n import join, msg, msg_in
from mayak.imaging.hashing import PDQ_MATCH_DISTANCE, PDQ_MIN_QUALITY
from mayak.labels import LABELS, QUESTION
from mayak.names import storable
from mayak.types import Progress, Sample, SilentProgress, SplitName
from mayak.workers import Lost, WorkerPool

if TYPE_CHECKING:
    from mayak.dataset.augment import Job, Made

FORMAT = 1
"""Version of ``dataset.json``'s layout."""

AUGMENTED_LABEL = 2
"""The paper augments the places of transaction alone: its rarest class."""

_SHOWN = 10


def prepare(options: PrepareOptions, progress: Progress | None = None) -> PrepareResult:
    """Make manifests, augmented images and ``dataset.json`` out of a raw folder, or out of what
    people decided in cases; these images are copied into the data folder.

    The same files and parameters give the same bytes, on any number of workers and wherever the
    folders lie. Raw folder, cases and evidence are only ever read. Raises ConfigError for bad
    options; ManifestError when the input is unfit (one content under two labels, too few images …)
    or the data folder was made from something else; EvidenceError and IntegrityError for a case's
    source that is missing or has changed.
    """
    options.check()
    progress = progress or SilentProgress()
    decided = read_decided(options.cases) if options.cases else None
    if decided is None:
        raw, data = _apart(options.raw, options.data)
        prefix = _relative(raw, data.parent)
    else:
        data = options.data.resolve()
        decided.refuse_inside(data)
        prefix = f"{data.name}/{IMAGES_FOLDER}"
    _refuse_file(data)
    store = Store(data)
    if not options.overwrite:
        store.refuse_other(options.parameters)
    with store.staging() as staging:
        if decided is None:
            files, rejected = collect(raw, all_classes=not options.test_only)
        else:
            files, rejected = decided.extract(staging / IMAGES_FOLDER, progress)
        images, unreadable = examine(files, options.workers, progress)
        if decided is not None:
            unreadable = decided.placed(unreadable)
        rejected = sorted([*rejected, *unreadable], key=lambda item: order(item.name))
        _refuse_gaps(images, rejected, all_classes=not options.test_only)
        _refuse_two_labels(images)
        input_digest = _input_digest(images, rejected)
        if not options.overwrite:
            store.refuse_other(options.parameters, input_digest)
        samples = _samples(images, prefix, options)
        made = _augment(images, samples, staging, options, progress)
        extra = [
            Sample(
                id=f"{sample.id}_aug{job.copy}",
                image_path=f"{data.name}/{AUGMENTED_FOLDER}/{job.target.name}",
                label=sample.label,
                sha256=result.sha256,
                group=sample.group,
                split="train",
            )
            for sample, job, result in made
        ]
        everything = (*samples, *extra)
        digests = {
            split: Manifest(data / FILES[split], part).digest
            for split in SPLITS
            if (part := tuple(s for s in everything if s.split == split))
        }
        noted = {
            sample.image_path: image.warnings
            for sample, image in zip(samples, images, strict=True)
            if image.warnings
        }
        result = PrepareResult(
            data=options.data,
            samples=everything,
            augmented=frozenset(sample.id for sample in extra),
            rejected=tuple(rejected),
            noted=noted,
            cross_label=_cross_label(samples),
            digests=digests,
            digest=_digest(digests),
            input_digest=input_digest,
        )
        rows = [
            _row(sample, image.format, image.size, warnings=image.warnings)
            for sample, image in zip(samples, images, strict=True)
        ]
        rows += [
            _row(new, "JPEG", image.size, augmented_from=sample.id)
            for new, (sample, _, image) in zip(extra, made, strict=True)
        ]
        description = _dataset(options, result, rows, prefix)
        if decided is not None:
            description = decided.with_provenance(description)
        files_to_write: dict[str, object] = {
            FILES[split]: [_record(s) for s in everything if s.split == split] for split in digests
        }
        files_to_write[DATASET_FILE] = description
        new_files = [f"{AUGMENTED_FOLDER}/{job.target.name}" for _, job, _ in made]
        if decided is not None:
            new_files += [f"{IMAGES_FOLDER}/{image.file.name}" for image in images]
        store.publish(staging, new_files, files_to_write)
    return result


def _apart(raw: Path, data: Path) -> tuple[Path, Path]:
    """Both folders as absolute paths. ``raw`` keeps its own name where it is a link, for the
    manifests' sake; ``data`` is resolved, as readers of the manifests resolve it."""
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
                "the raw folder {raw} and the data folder {data} lie one in the other",
                raw=raw,
                data=data,
            ),
            remedy=msg(
                "name a data folder beside it with --data: nothing is written among the originals"
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
    """Raise ManifestError for classes without a readable image, saying what was there instead."""
    held = {image.file.label for image in images}
    empty = [label for label in LABELS if label.index not in held]
    if not images or (empty and all_classes):
        told: list[str] = []
        for label in empty:
            its = Counter(r.reason for r in rejected if r.name.startswith(f"{label.folder}/"))
            found = ", ".join(f"{reason} {count}" for reason, count in its.items())
            told.append(f"{label.folder} (" + (found or msg("empty")) + ")")
        raise ManifestError(
            msg("no readable image in {told}", told=join(", ", told)),
            remedy=msg("put images of that class there, or decide some if they come from a case"),
        )


def _refuse_two_labels(images: Sequence[Examined]) -> None:
    """Raise ManifestError naming both paths where one content lies under two labels."""
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
                "the same image lies under two labels ({n_pairs} in all): {listed}",
                n_pairs=len(pairs),
                listed=listed,
            ),
            remedy=msg("decide which label is right and remove the other copy"),
        )


def _input_digest(images: Sequence[Examined], rejected: Sequence[Rejected]) -> str:
    """SHA-256 over (path, SHA-256) of all files found. Files that operating systems leave behind
    are left out: opening the folder in a file manager makes no other data set of it."""
    rows = [(image.file.name, image.sha256) for image in images]
    rows += [(storable(r.name), r.sha256 or "") for r in rejected if r.reason != "system-file"]
    rows.sort(key=lambda row: order(row[0]))
    return json_digest(rows, "utf-8")


def _samples(images: Sequence[Examined], prefix: str, options: PrepareOptions) -> list[Sample]:
    """One sample an image, in the order of ``images``."""
    labels = [image.file.label for image in images]
    ids = _ids(images)
    groups = ids
    if options.group == "pdq":
        groups = group_ids([image.sha256 for image in images], [image.hash for image in images])
    splits: list[SplitName] = ["test"] * len(images)
    if not options.test_only:
        fractions = {
            "test_fraction": options.test_fraction,
            "val_fraction": options.val_fraction,
        }
        if options.group == "pdq":
            splits = grouped_split(labels, groups, seed=options.seed, **fractions)
        else:
            splits = plain_split(labels, seed=options.seed, **fractions)
    return [
        Sample(
            id=name,
            image_path=f"{prefix}/{image.file.name}",
            label=image.file.label,
            sha256=image.sha256,
            group=group,
            split=split,
        )
        for image, name, group, split in zip(images, ids, groups, splits, strict=True)
    ]


def _ids(images: Sequence[Examined]) -> list[str]:
    """``<label>_<12 hex digits of SHA-256>``, and ``_2``, ``_3`` … for further copies."""
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
) -> list[tuple[Sample, Job, Made]]:
    """Make the copies of the training images of class 2, each content's once, into ``staging``."""
    originals: dict[str, tuple[Sample, Examined]] = {}
    for sample, image in zip(samples, images, strict=True):
        if sample.label == AUGMENTED_LABEL and sample.split == "train":
            originals.setdefault(sample.sha256, (sample, image))
    if not originals or not options.augment:
        return []
    # Here and not above: it needs torch, and half of all calls do not.
    from mayak.dataset.augment import Job, Made, make

    folder = staging / AUGMENTED_FOLDER
    folder.mkdir()
    sources = {sample.id: sample for sample, _ in originals.values()}
    jobs = {
        Job(
            source=image.file.path,
            sha256=image.sha256,
            copy=copy,
            seed=options.seed,
            target=folder / f"{sample.id}_aug{copy}.jpg",
        ): sample.id
        for sample, image in originals.values()
        for copy in range(1, options.augment + 1)
    }
    made: dict[Job, Made] = {}
    pool = WorkerPool[Job, Made | None](make, min(options.workers, len(jobs)))
    with progress.task(msg("augmenting"), len(jobs), msg_in("unit", "images")) as task:
        for job, result in pool.run(jobs):
            if result is None:
                raise ManifestError(
                    msg("{source} changed while it was being prepared", source=job.source),
                    remedy=msg("run it again when nobody writes to the raw folder"),
                )
            if isinstance(result, Lost):
                raise ManifestError(
                    msg("the process that augmented {source} died", source=job.source),
                    remedy=msg("most often memory has run out: use fewer --workers"),
                )
            made[job] = result
            task.advance()
    return [(sources[name], job, made[job]) for job, name in jobs.items()]


def _cross_label(samples: Sequence[Sample]) -> tuple[tuple[Sample, ...], ...]:
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.group].append(sample)
    return tuple(tuple(its) for its in groups.values() if len({s.label for s in its}) > 1)


def _digest(digests: Mapping[SplitName, str]) -> str:
    return json_digest(digests, "ascii")


def _record(sample: Sample) -> dict[str, str]:
    """The paper's record."""
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
        "group": sample.group,
        "split": sample.split,
        "label": sample.label,
        "format": format_name,
        "size": list(size),
        "warnings": list(warnings),
    }
    return row if augmented_from is None else row | {"augmented_from": augmented_from}


def _dataset(
    options: PrepareOptions, result: PrepareResult, rows: list[dict[str, Any]], prefix: str
) -> dict[str, Any]:
    sizes = result.group_sizes
    return {
        "format": FORMAT,
        "software": _software(),
        "parameters": options.parameters,
        "grouping": {"pdq_distance": PDQ_MATCH_DISTANCE, "pdq_min_quality": PDQ_MIN_QUALITY}
        if options.group == "pdq"
        else {},
        "input": {
            "found": result.found,
            "used": result.used,
            "rejected": result.reasons,
            "digest": result.input_digest,
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
    """Versions of what the bytes of the result depend on."""
    found = {}
    for name in ("mayak", "numpy", "pillow", "pillow-heif", "scikit-learn", "torchvision"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # the optional one
            continue
    return found
