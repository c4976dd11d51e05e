"""Decode a file in a worker process: hashes, pixels, thumbnail and metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pickle import PickleBuffer
from time import monotonic
from typing import BinaryIO

from mayak.case import Content, Exclusion
from mayak.errors import DecodeError
from mayak.imaging.decode import decode_picture
from mayak.imaging.embedded import EmbeddedImage
from mayak.imaging.formats import is_pdf
from mayak.imaging.hashing import perceptual_hash, sha256
from mayak.imaging.inside import hidden_in, pictures_inside
from mayak.imaging.thumbnails import overview, thumbnail
from mayak.types import (
    DecodedImage,
    EvidenceEntry,
    EvidencePath,
    Failure,
    OutcomeReason,
    Prediction,
    Sides,
)

PARTS = 16
"""Pictures inside one file that are decoded in one call, and more while that is quick and their
pixels are few: a long document must neither fill the memory nor exceed the time, and continuing
with it means going through it again up to that picture."""
_QUICK_SECONDS = 5.0
_FEW_BYTES = 16 << 20
MAX_PARTS = 10_000
"""Pictures inside one file that are decoded in all: a small file can name millions."""


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """A file, or some of the pictures inside it, to be decoded."""

    entry: EvidenceEntry
    """Its path is the address at which a stage that can open the same source finds the file."""
    data: bytes = field(repr=False)
    sha256: str | None = None
    """None for a picture inside another file."""
    is_sought: bool = False
    """Whether a list of files to be found contains it: then no picture is too small."""
    part: int = 0
    """The first of the pictures inside it, from 1; 0 for the file itself."""
    single_until: int = 0
    """Pictures up to this one are decoded one by one: a decoder crashed on one of them."""
    n_lost: int = 0
    """How many of them a decoder crashed on."""
    names: tuple[str, ...] = field(default=(), repr=False)
    """Of all pictures inside, as an earlier call listed them."""

    def __reduce__(self) -> tuple[object, ...]:
        # As a buffer, the bytes need not go through a pipe (see ``workers``). Not __getstate__:
        # Python 3.11.2 replaces that of a frozen dataclass with slots by its own.
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        entry = replace(self.entry, open=_not_open)
        state = values | {"data": PickleBuffer(self.data), "entry": entry}
        return (DecodeRequest, tuple(state.values()))

    @property
    def path(self) -> EvidencePath:
        return self.entry.path

    @property
    def n_parts(self) -> int:
        """How many of the pictures inside are decoded in one call."""
        return 1 if self.part <= self.single_until else PARTS

    def without_data(self) -> DecodeRequest:
        """The request for the way back."""
        return replace(self, data=b"")


def _not_open() -> BinaryIO:
    """Stand-in for an opener, which cannot leave its process."""
    raise ValueError("the source is open in another process")


@dataclass(frozen=True, slots=True)
class DecodeRules:
    """What decoders need to know of the run's options."""

    min_pixels: int
    """Of the longer side; smaller pictures are left out."""
    min_sides: Sides
    """Passed to ``decode``."""
    with_pixels: bool
    """Whether pictures are scored; pixels are larger than everything else that is returned."""


@dataclass(frozen=True, slots=True)
class DecodeResult:
    """What became of a file, or of a picture inside it."""

    request: DecodeRequest
    """Without its bytes."""
    outcome: Content | Failure | Exclusion
    image: DecodedImage | None = None
    """The picture to be scored; None if nothing is scored, or if ``prediction`` is there."""
    prediction: Prediction | None = None
    is_unlisted: bool = False
    """Whether no list of the pictures inside a file contains it: it was found by decoding."""


@dataclass(frozen=True, slots=True)
class MoreParts:
    """A file has more embedded pictures to decode."""

    path: EvidencePath
    """The file's."""
    part: int
    """The first of them, from 1."""
    names: tuple[str, ...]
    """Of all pictures in the file."""


@dataclass(frozen=True, slots=True)
class DecodeBatch:
    """Results of decoding."""

    results: list[DecodeResult]
    """The result of a file comes after those of all pictures inside it, so that a run that is cut
    off between them decodes the file again."""
    n_found: int
    """Pictures that were found inside files; their results are in this batch or follow."""


DecodeWork = tuple[DecodeRules, tuple[DecodeRequest, ...]]


def decode_files(work: DecodeWork) -> list[DecodeResult | MoreParts]:
    """Decode some files; runs in a decoder process.

    For a file with pictures inside, ``MoreParts`` asks for a request of their own for them.
    """
    rules, requests = work
    return [found for each in requests for found in (_parts if each.part else _file)(rules, each)]


def lost(request: DecodeRequest, why: str, text: str) -> DecodeResult:
    """Return the result for a file, or a picture inside it, that a decoder crashed on; ``text`` is
    the sandbox's."""
    is_part = request.part > 0
    about = _inner(request, request.names[request.part - 1]) if is_part else request.without_data()
    return DecodeResult(about, Failure(str(about.path), "decode", OutcomeReason(why), text))


def given_up(request: DecodeRequest) -> Iterator[DecodeResult]:
    """Yield the results for the pictures inside a file that are not tried after several losses."""
    text = f"{request.n_lost} pictures before it could not be decoded without harm"
    for name in request.names[request.part - 1 :]:
        inner = _inner(request, name)
        yield DecodeResult(inner, Failure(str(inner.path), "decode", OutcomeReason.GIVEN_UP, text))


def _file(rules: DecodeRules, request: DecodeRequest) -> Iterator[DecodeResult | MoreParts]:
    if is_pdf(request.data):
        inside = _inside(request)
        if isinstance(inside, Failure):
            yield DecodeResult(request.without_data(), inside)
            return
        text = f"a PDF with {len(inside)} images, SHA-256 {request.sha256}"
        yield DecodeResult(request.without_data(), Exclusion(OutcomeReason.DOCUMENT, text))
    else:
        found, frames = _image(rules, request)
        yield from found
        if frames == 1:
            return
        # A scan can begin with a page too small to show anything, or with one that is damaged.
        inside = _inside(request)
        if isinstance(inside, Failure):
            if not isinstance(found[-1].outcome, Failure):
                yield replace(_unopened(request, inside), is_unlisted=True)
            return
    if (beyond := len(inside) - MAX_PARTS) > 0:
        text = f"{beyond} pictures after the first {MAX_PARTS} in this file were not looked at"
        failure = Failure("", "decode", OutcomeReason.LIMIT_EXCEEDED, text)
        yield replace(_unopened(request, failure), is_unlisted=True)
    if inside:
        yield MoreParts(request.path, 1, _names(inside)[:MAX_PARTS])


def _parts(rules: DecodeRules, request: DecodeRequest) -> Iterator[DecodeResult | MoreParts]:
    inside = _inside(request)
    if isinstance(inside, Failure):
        yield _unopened(request, inside)
        return
    began, size = monotonic(), 0
    last = request.part + request.n_parts
    for position, part in enumerate(inside[request.part - 1 : len(request.names)], request.part):
        is_much = size > _FEW_BYTES or monotonic() - began > _QUICK_SECONDS
        if position >= last and (request.n_parts == 1 or is_much):
            yield MoreParts(request.path, position, request.names)
            return
        inner = _inner(request, part.name)
        try:
            data = part.read()
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - see _image
            yield DecodeResult(inner, _failure(inner, error))
            continue
        for found in _image(rules, _of_bytes(inner, data))[0]:
            size += found.image.nbytes if found.image else 0
            yield found


def _names(inside: list[EmbeddedImage]) -> tuple[str, ...]:
    return tuple(part.name for part in inside)


def _unopened(request: DecodeRequest, failure: Failure) -> DecodeResult:
    inner = _inner(request, "further pictures")
    return DecodeResult(inner, replace(failure, path=str(inner.path)))


def _inner(request: DecodeRequest, name: str) -> DecodeRequest:
    """The request for a picture inside a file."""
    return _embedded(request, request.path.child("embedded", name))


def _embedded(request: DecodeRequest, path: EvidencePath) -> DecodeRequest:
    """The request for a picture at a path inside a file; its bytes and their number follow."""
    times = replace(request.entry.times, accessed=None)  # nobody accessed it by itself
    return DecodeRequest(replace(request.entry, path=path, size=0, times=times), b"")


def _of_bytes(inner: DecodeRequest, data: bytes) -> DecodeRequest:
    return replace(inner, entry=replace(inner.entry, size=len(data)), data=data)


def _inside(request: DecodeRequest) -> list[EmbeddedImage] | Failure:
    try:
        return pictures_inside(request.data, request.names)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - see _image
        return _failure(request, error)


def _image(rules: DecodeRules, request: DecodeRequest) -> tuple[list[DecodeResult], int | None]:
    """Decode one picture; returns its result after that of the picture that its transparency
    hides, and how many pictures its file contains (None: not known).

    The hidden one comes first: once a file is recorded, it is not decoded again.
    """
    try:
        found, frames, hidden = _decoded(rules, request)
        if hidden is None or not isinstance(found.outcome, Content):
            return [found], frames
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - any error of a decoder loses this file only
        return [DecodeResult(request.without_data(), _failure(request, error))], None
    inner = _hidden(request)
    try:
        covered = _decoded(rules, _of_bytes(inner, hidden))[0]
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        covered = DecodeResult(inner, _failure(inner, error))
    return [replace(covered, is_unlisted=True), found], frames


def _hidden(request: DecodeRequest) -> DecodeRequest:
    """The request for what the transparency of a picture hides."""
    path = request.path
    if path.kind == "embedded" and path.parent is not None:
        path = path.parent.child("embedded", hidden_in(path.name))
    else:
        path = path.child("embedded", hidden_in())
    return _embedded(request, path)


def _failure(request: DecodeRequest, error: Exception) -> Failure:
    message = error.message if isinstance(error, DecodeError) else str(error)
    return Failure(str(request.path), "decode", type(error).__name__, message)


def _decoded(
    rules: DecodeRules, request: DecodeRequest
) -> tuple[DecodeResult, int | None, bytes | None]:
    """Decode one picture; returns its result, how many pictures its file contains, and the bytes
    of the one that its transparency hides."""
    data, about = request.data, request.without_data()
    picture = decode_picture(data, min_sides=rules.min_sides, partial=True)
    digest = request.sha256 or sha256(data)
    # The bytes of a file need not travel back; those of a picture inside it are nowhere else.
    kept = None if request.sha256 else data
    shown = picture.decoded(digest, kept) if rules.with_pixels else None
    width, height = picture.size
    if max(picture.size) < rules.min_pixels and not request.is_sought:
        left_out = Exclusion(OutcomeReason.TOO_SMALL, f"{width} × {height} pixels")
        return DecodeResult(about, left_out, shown), picture.frames, None
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
    return DecodeResult(about, content, shown), picture.frames, picture.hidden_ppm()
