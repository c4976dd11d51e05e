"""What a data folder contains: the records of its manifests, and ``dataset.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mayak.dataset.copies import AugmentedCopy
from mayak.dataset.examine import Examined
from mayak.dataset.options import PrepareOptions, PrepareResult
from mayak.imaging.hashing import PDQ_MATCH_DISTANCE, PDQ_MIN_QUALITY
from mayak.labels import LABELS, QUESTION
from mayak.names import storable
from mayak.types import Sample

FORMAT = 1
"""Version of ``dataset.json``'s layout."""


def paper_record(sample: Sample) -> dict[str, str]:
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


def description(
    result: PrepareResult,
    options: PrepareOptions,
    images: Sequence[Examined],
    copies: Sequence[AugmentedCopy],
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
