"""What a worker process makes of a file's bytes: hashes, picture, thumbnail, metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pickle import PickleBuffer
from time import monotonic

from mayak.case import Content, Exclusion, StoredItem
from mayak.errors import DecodeError
from mayak.imaging.decode import decode_picture
from mayak.imaging.formats import is_pdf, looks_like_image
from mayak.imaging.hashing import perceptual_hash, sha256
from mayak.imaging.inside import hidden_in, pictures_inside
from mayak.imaging.parts import Part
from mayak.imaging.thumbnails import overview, thumbnail
from mayak.types import DecodedImage, EvidencePath, Failure, FileTimes, Sides

PARTS = 16
"""Pictures inside one file that are looked at in one go, and more as long as that is quick and
little comes of it: a long document must neither fill the memory nor outlast the time, and to go on
with it, it has to be gone through up to there."""
_QUICK_SECONDS = 5.0
_LITTLE_BYTES = 16 << 20
MOST_PARTS = 10_000
"""Pictures inside one file that are looked at in all: a small file can name millions."""


@dataclass(frozen=True, slots=True)
class Job:
    """A file's bytes on their way to a worker."""

    path: EvidencePath
    data: bytes = field(repr=False)
    size: int | None
    times: FileTimes
    deleted: bool
    sha256: str | None = None
    """None for an image inside another file."""
    part: int = 0
    """Which of the pictures inside it comes first, from 1; 0 for the file itself."""
    alone: int = 0
    """Up to which of them each is looked at by itself: one of these took a process along."""
    lost: int = 0
    """How many of them took a process along."""
    names: tuple[str, ...] = field(default=(), repr=False)
    """Of all of them, as far as they were listed before."""
    sought: bool = False
    """Whether it stands in a list of files that are looked for: then no picture is too small."""

    def __getstate__(self) -> list[object]:
        # As a buffer, the bytes need not go through a pipe (``workers``).
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return list((values | {"data": PickleBuffer(self.data)}).values())

    @property
    def most(self) -> int:
        """How many of them in one go."""
        return 1 if self.part <= self.alone else PARTS


@dataclass(frozen=True, slots=True)
class Rules:
    """What workers need to know of the options."""

    smallest: int
    least: Sides
    """Passed to ``decode``."""
    pixels: bool
    """Whether a model waits for them; they are larger than all else that travels."""


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a file, or of an image in it."""

    job: Job
    """Without its bytes."""
    outcome: Content | Failure | Exclusion
    image: DecodedImage | None = None
    """What the model is to see of a content; None where there is no model."""
    unlisted: bool = False
    """Whether it is known of only now, and no list of a file's pictures names it."""


@dataclass(frozen=True, slots=True)
class More:
    """There are further pictures inside a file."""

    path: EvidencePath
    """The file's."""
    part: int
    """The first of them, from 1."""
    names: tuple[str, ...]
    """Of all in the file."""


def examine(work: tuple[Rules, tuple[Job, ...]]) -> list[Found | More]:
    """What became of some files.

    Of a file with pictures inside it is said that there are more; they are examined as jobs of
    their own.
    """
    rules, jobs = work
    return [found for job in jobs for found in (_parts if job.part else _whole)(rules, job)]


def lost(job: Job, why: str, text: str) -> Found:
    """The result for a file, or a picture inside it, whose worker died; ``text`` of the sandbox."""
    told = _within(job, job.names[job.part - 1]) if job.part else _bare(job)
    return Found(told, Failure(str(told.path), "decode", why, text))


def given_up(job: Job) -> Iterator[Found]:
    """What stands for the pictures inside a file that are not looked at after several were lost."""
    text = f"{job.lost} pictures before it could not be decoded without harm"
    for name in job.names[job.part - 1 :]:
        told = _within(job, name)
        yield Found(told, Failure(str(told.path), "decode", "GivenUp", text))


def document_digest(before: StoredItem) -> str | None:
    """The SHA-256 of a document that was taken in, where it is recorded; None for other items."""
    if before.exclusion is None or before.exclusion.rule != "document":
        return None
    return before.sha256


def is_candidate(head: bytes, name: str) -> bool:
    """Whether a file of these first bytes is an image, or may hold some."""
    return is_pdf(head) or looks_like_image(head, name)


def _whole(rules: Rules, job: Job) -> Iterator[Found | More]:
    if is_pdf(job.data):
        inside = _inside(job)
        if isinstance(inside, Failure):
            yield Found(_bare(job), inside)
            return
        text = f"a PDF with {len(inside)} images, SHA-256 {job.sha256}"
        yield Found(_bare(job), Exclusion("document", text))
    else:
        found, frames = _image(rules, job)
        yield from found
        if frames == 1:
            return
        # A scan can begin with a page too small to show anything, or with one that is damaged.
        inside = _inside(job)
        if isinstance(inside, Failure):
            if not isinstance(found[-1].outcome, Failure):
                yield replace(_unopened(job, inside), unlisted=True)
            return
    if (beyond := len(inside) - MOST_PARTS) > 0:
        text = f"{beyond} pictures after the first {MOST_PARTS} in this file were not looked at"
        yield replace(_unopened(job, Failure("", "decode", "LimitExceeded", text)), unlisted=True)
    if inside:
        yield More(job.path, 1, _names(inside)[:MOST_PARTS])


def _parts(rules: Rules, job: Job) -> Iterator[Found | More]:
    inside = _inside(job)
    if isinstance(inside, Failure):
        yield _unopened(job, inside)
        return
    began, size = monotonic(), 0
    for position, part in enumerate(inside[job.part - 1 : len(job.names)], job.part):
        heavy = size > _LITTLE_BYTES or monotonic() - began > _QUICK_SECONDS
        if position >= job.part + job.most and (job.most == 1 or heavy):
            yield More(job.path, position, job.names)
            return
        inner = _within(job, part.name)
        try:
            data = part.read()
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - see _image
            yield Found(inner, _failure(inner, error))
            continue
        for found in _image(rules, replace(inner, data=data, size=len(data)))[0]:
            size += found.image.nbytes if found.image else 0
            yield found


def _names(inside: list[Part]) -> tuple[str, ...]:
    return tuple(part.name for part in inside)


def _unopened(job: Job, failure: Failure) -> Found:
    inner = _within(job, "further pictures")
    return Found(inner, replace(failure, path=str(inner.path)))


def _within(job: Job, name: str) -> Job:
    """A picture inside a file."""
    path = job.path.child("embedded", name)
    return Job(path, b"", None, _without_access(job.times), job.deleted)


def _inside(job: Job) -> list[Part] | Failure:
    try:
        return pictures_inside(job.data, job.names)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - see _image
        return _failure(job, error)


def _image(rules: Rules, job: Job) -> tuple[list[Found], int | None]:
    """What became of one picture, after what became of the one that its transparency hides; and
    how many pictures its file holds, None if that is not known.

    The hidden one comes first: a file that is recorded is not gone through again.
    """
    try:
        found, frames, hidden = _decoded(rules, job)
        if hidden is None or not isinstance(found.outcome, Content):
            return [found], frames
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a file does to a decoder costs that file
        return [Found(_bare(job), _failure(job, error))], None
    inner = _hidden(job)
    try:
        covered = _decoded(rules, replace(inner, data=hidden, size=len(hidden)))[0]
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        covered = Found(inner, _failure(inner, error))
    return [replace(covered, unlisted=True), found], frames


def _hidden(job: Job) -> Job:
    """What the transparency of a picture hides."""
    path = job.path
    if path.kind == "embedded" and path.parent is not None:
        path = path.parent.child("embedded", hidden_in(path.name))
    else:
        path = path.child("embedded", hidden_in())
    times = _without_access(job.times)
    return replace(_bare(job), path=path, sha256=None, size=None, times=times, sought=False)


def _without_access(times: FileTimes) -> FileTimes:
    """The times of a picture inside a file: nobody accessed it by itself."""
    return replace(times, accessed=None)


def _failure(job: Job, error: Exception) -> Failure:
    message = error.message if isinstance(error, DecodeError) else str(error)
    return Failure(str(job.path), "decode", type(error).__name__, message)


def _decoded(rules: Rules, job: Job) -> tuple[Found, int | None, bytes | None]:
    data, bare = job.data, _bare(job)
    picture = decode_picture(data, least=rules.least, partial=True)
    digest = job.sha256 or sha256(data)
    # The bytes of a file need not travel back; those of a picture inside it are nowhere else.
    kept = None if job.sha256 else data
    shown = picture.decoded(digest, kept) if rules.pixels else None
    width, height = picture.size
    if max(picture.size) < rules.smallest and not job.sought:
        left_out = Exclusion("too-small", f"{width} × {height} pixels")
        return Found(bare, left_out, shown), picture.frames, None
    small = overview(picture.image)
    hashed = perceptual_hash(small)
    content = Content(
        sha256=digest,
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        sha1=hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        size=len(data),
        format=picture.format,
        width=width,
        height=height,
        pdq=hashed.bits,
        pdq_quality=hashed.quality,
        metadata={n: value for n, value in asdict(picture.metadata).items() if value is not None},
        thumbnail=thumbnail(picture.image),
        warnings=picture.warnings,
    )
    return Found(bare, content, shown), picture.frames, picture.uncovered()


def _bare(job: Job) -> Job:
    """A job for the way back."""
    return replace(job, data=b"")
