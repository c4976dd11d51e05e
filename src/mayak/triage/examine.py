"""What a worker process makes of a file's bytes: hashes, picture, thumbnail, metadata."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from PIL import Image

from mayak.case import Content, Exclusion
from mayak.errors import DecodeError
from mayak.imaging import decode
from mayak.imaging.exif import metadata
from mayak.imaging.formats import looks_like_image, wrong_extension
from mayak.imaging.hashing import perceptual_hash
from mayak.imaging.pdf import embedded_images
from mayak.imaging.thumbnails import thumbnail
from mayak.language import set_language
from mayak.types import DecodedImage, EvidencePath, Failure

LARGEST_FILE = 2**30
"""Bytes. Files are decoded in memory; a film or a disk image must not fill it."""
SECONDS = 120.0
MEMORY = 4 * 2**30
"""What a decoder may spend on one file: far more than the largest picture that is not refused."""
PDF = b"%PDF-"


@dataclass(frozen=True, slots=True)
class Job:
    """A file's bytes on their way to a worker."""

    path: EvidencePath
    data: bytes = field(repr=False)
    size: int | None
    modified: datetime | None
    created: datetime | None
    accessed: datetime | None
    deleted: bool
    sha256: str | None = None
    """None for an image inside another file."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What workers need to know of the options."""

    smallest: int
    least: int | None
    """Passed to ``decode``."""


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a file, or of an image in it."""

    job: Job
    """Without its bytes."""
    outcome: Content | Failure | Exclusion
    image: DecodedImage | None = None
    """What the model is to see of a content."""


def examine(work: tuple[Rules, tuple[Job, ...]]) -> list[Found]:
    """What became of some files. What is recorded is English, whatever the user reads."""
    set_language("en")
    rules, jobs = work
    return [found for job in jobs for found in _examined(rules, job)]


def lost(job: Job, why: str) -> Found:
    """What stands for a file whose decoding took its process along."""
    messages = {
        "crashed": "the decoder crashed over this file",
        "too-slow": f"the decoder took longer than {SECONDS:.0f} s over this file",
        "out-of-memory": f"the decoder asked for more than {MEMORY // 2**30} GiB over this file",
    }
    return Found(_bare(job), Failure(str(job.path), "decode", why, messages[why]))


def is_candidate(head: bytes, name: str) -> bool:
    """Whether a file of these first bytes is an image, or may hold some."""
    return head.startswith(PDF) or looks_like_image(head, name)


def _examined(rules: Rules, job: Job) -> Iterator[Found]:
    if not job.data.startswith(PDF):
        yield _image(rules, job)
        return
    # One after the other, so that the images of a long document are never all in memory.
    count = 0
    bare = _bare(job)
    try:
        for name, data in embedded_images(job.data):
            count += 1
            path = job.path.child("embedded", name)
            inner = Job(path, data, len(data), job.modified, job.created, None, job.deleted)
            yield _image(rules, inner)
    except DecodeError as error:
        yield Found(bare, Failure(str(job.path), "decode", "DecodeError", error.message))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a file does to a parser costs that file
        yield Found(bare, _failure(job, error))
    else:
        yield Found(bare, Exclusion("document", f"a PDF with {count} images"))


def _image(rules: Rules, job: Job) -> Found:
    try:
        return _decoded(rules, job)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a file does to a decoder costs that file
        return Found(_bare(job), _failure(job, error))


def _failure(job: Job, error: Exception) -> Failure:
    message = error.message if isinstance(error, DecodeError) else str(error)
    return Failure(str(job.path), "decode", type(error).__name__, message)


def _decoded(rules: Rules, job: Job) -> Found:
    data, bare = job.data, _bare(job)
    image = decode(data, least=rules.least, partial=True)
    if max(image.size) < rules.smallest:
        width, height = image.size
        return Found(bare, Exclusion("too-small", f"{width} × {height} pixels"), image)
    picture = perceptual_hash(image.pixels)
    try:
        with Image.open(io.BytesIO(data)) as opened:
            stated = asdict(metadata(opened))
    except (OSError, SyntaxError, ValueError):  # salvaged: strictly it does not open
        stated = {}
    content = Content(
        sha256=image.sha256,
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        sha1=hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        size=len(data),
        format=image.format,
        width=image.size[0],
        height=image.size[1],
        pdq=picture.bits,
        pdq_quality=picture.quality,
        metadata={name: value for name, value in stated.items() if value is not None},
        thumbnail=thumbnail(image.pixels),
        warnings=image.warnings + wrong_extension(job.path.name, image.format),
    )
    return Found(bare, content, image)


def _bare(job: Job) -> Job:
    return replace(job, data=b"")
