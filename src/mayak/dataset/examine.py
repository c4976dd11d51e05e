"""Examination of raw files: SHA-256, complete decoding and perceptual hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from PIL import Image, UnidentifiedImageError

from mayak.dataset.collect import RawFile, Reason, Rejected, is_system_file, order
from mayak.errors import DecodeError
from mayak.files import file_sha256
from mayak.i18n import msg, system_error
from mayak.imaging.decode import decode_picture
from mayak.imaging.formats import is_decoded, named_as_image, signature, wrong_extension
from mayak.imaging.hashing import PerceptualHash, perceptual_hash, sha256
from mayak.imaging.sandbox import MAX_FILE_BYTES, Sandbox
from mayak.imaging.scenes import SceneFeatures, scene_features
from mayak.imaging.thumbnails import overview
from mayak.types import Progress
from mayak.workers import Lost


@dataclass(frozen=True, slots=True)
class Examined:
    """A readable image of the raw folder."""

    file: RawFile
    sha256: str
    format: str
    size: tuple[int, int]
    """(width, height) in pixels as the file states them."""
    warnings: tuple[str, ...]
    hash: PerceptualHash
    scene: SceneFeatures | None
    """None unless asked for."""


def examine(
    files: Sequence[RawFile], workers: int, progress: Progress, *, has_scene: bool = False
) -> tuple[list[Examined], list[Rejected]]:
    """Read every file in ``workers`` processes; both lists in the order of the files' names."""
    images: list[Examined] = []
    rejected: list[Rejected] = []
    work = partial(examine_file, has_scene=has_scene)
    sandbox = Sandbox[RawFile, Examined | Rejected](work, min(workers, len(files)))
    with progress.task(msg("reading"), len(files), msg("files")) as task:
        for file, result in sandbox.run(files):
            if isinstance(result, Lost):
                result = Rejected(file.name, "crashed", sandbox.failure_text(result))
            if isinstance(result, Examined):
                images.append(result)
            else:
                rejected.append(result)
            task.advance()
    images.sort(key=lambda image: order(image.file.name))
    rejected.sort(key=lambda item: order(item.name))
    return images, rejected


def examine_file(file: RawFile, *, has_scene: bool = False) -> Examined | Rejected:
    """Examine one file, which is opened for reading only; ``has_scene`` asks for the features of
    its scene."""
    try:
        if file.path.stat().st_size > MAX_FILE_BYTES:
            digest = file_sha256(file.path)
            text = msg("larger than {limit} MiB", limit=MAX_FILE_BYTES // 2**20)
            return Rejected(file.name, "too-large", text, digest)
        data = file.path.read_bytes()
    except OSError as error:
        return Rejected(file.name, "unreadable", f"{type(error).__name__}: " + system_error(error))
    try:
        picture = decode_picture(data)
    except DecodeError as error:
        return Rejected(file.name, _reason(error, file, data), error.message, sha256(data))
    small = overview(picture.image)
    return Examined(
        file=file,
        sha256=sha256(data),
        format=picture.format,
        size=picture.size,
        warnings=picture.warnings + wrong_extension(file.name, picture.format),
        hash=perceptual_hash(small),
        scene=scene_features(small) if has_scene else None,
    )


def _reason(error: DecodeError, file: RawFile, data: bytes) -> Reason:
    signature_format = signature(data)
    if is_system_file(file.name) and signature_format is None:
        return "system-file"
    if not data:
        return "empty"
    if isinstance(error.__cause__, Image.DecompressionBombError):
        return "bomb"
    if signature_format is not None and not is_decoded(signature_format):
        return "codec-missing"
    # Unknown bytes in a file named as an image are a lost image; otherwise not an image.
    if isinstance(error.__cause__, UnidentifiedImageError) and signature_format is None:
        return "damaged" if named_as_image(file.name) else "not-an-image"
    return "damaged"
