"""Decode an image file: bytes → upright sRGB pixels, by content and never by extension.

1. Open: find the format by content; leave out texts that Pillow would refuse.
2. Reduce: let a JPEG's decoder work at a smaller scale if little is needed; refuse what would not
   fit into memory.
3. Decode, rotate, convert to sRGB, composite over a ground (``colour``).
4. Note what was adapted, how many frames there are, and what follows the image in the file.
5. If that failed and a part is enough: decode again as far as it goes.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from mayak.errors import DecodeError
from mayak.i18n import msg
from mayak.imaging import formats
from mayak.imaging.colour import MAX_OUTPUT_PIXELS, reduced_text, to_srgb
from mayak.imaging.decode_errors import decode_error, detail, one_line
from mayak.imaging.exif import Metadata, metadata
from mayak.imaging.png import without_large_texts
from mayak.imaging.sandbox import MAX_PIXELS
from mayak.imaging.trailing_data import jpeg_scan, trailing_data
from mayak.imaging.transparency import keep_under_alpha, undo_multiplication
from mayak.types import DecodedImage, Sides
from mayak.untrusted import open_regular

Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses what has more than twice as many

_JPEG_NOISE = 32 * 32
"""Pixels, at most, that Pillow returns for a JPEG that ends before its samples: it passes the end
marker to the decoder, which decodes it as the first block and smooths it into the next ones."""

_STRIP = 64
"""Rows of a strip; a strip of a photo fits into the processor's cache."""


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """A picture of an image file with what the file states; ``image`` is RGB, sRGB and upright."""

    image: Image.Image
    size: tuple[int, int]
    """(width, height) in pixels as the file states them: before rotation, at full scale."""
    format: str
    frames: int | None
    """Number of pictures in the file; None if they cannot be counted."""
    metadata: Metadata
    warnings: tuple[str, ...]
    scale: int
    """Denominator of the scale at which a JPEG was decoded."""
    hidden: Image.Image | None = None
    """The picture that transparency hides, if there is one: RGBA, sRGB and upright."""

    def decoded(self, sha256: str, data: bytes | None = None) -> DecodedImage:
        """Return the pixels for a model.

        ``sha256`` is that of the file's bytes; with the bytes themselves, ``data``, the picture can
        be decoded again at a larger scale.
        """
        return DecodedImage(
            sha256=sha256,
            pixels=_pixels(self.image),
            size=self.size,
            format=self.format,
            warnings=self.warnings,
            scale=self.scale,
            data=data if self.scale > 1 else None,
        )

    def hidden_ppm(self) -> bytes | None:
        """Return the picture that transparency hides as PPM; None if there is none."""
        return None if self.hidden is None else ppm(self.hidden.convert("RGB"))


def decode_file(path: Path) -> DecodedImage:
    """Decode a file; it is opened read-only.

    Raises:
        OSError: it cannot be read.
        DecodeError: its bytes are not a complete image.
    """
    with open_regular(path, follow=True) as file:
        return decode(file.read())


def stated_size(path: Path) -> tuple[int, int]:
    """Return (width, height) in pixels as an image file's header states them, before rotation.

    Raises:
        OSError: it cannot be read.
        DecodeError: its bytes do not begin like an image, or it has too many pixels.
    """
    with warnings.catch_warnings(), open_regular(path, follow=True) as file:
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=formats.decoded_formats()) as image:
                return image.size
        except Exception as error:
            file.seek(0)
            raise decode_error(error, file.read()) from error


def decode(data: bytes, *, min_sides: Sides | None = None, partial: bool = False) -> DecodedImage:
    """Decode an image file's bytes into pixels.

    The picture is rotated as EXIF states and converted from its ICC profile to sRGB. Samples of 16
    bits and floats are scaled to 8 bits; alpha is composited over white, or over black if nothing
    could be seen on white; of an animation the first frame is decoded. ``warnings`` lists what was
    adapted. A JPEG of more than 179 million pixels is decoded at a smaller scale, other pictures of
    that size are reduced. ``min_sides`` and ``partial`` are those of ``decode_picture``.

    Raises:
        DecodeError: the bytes are not a complete, readable image, or have more than 225 million
            pixels to decode; its ``__cause__`` is the error of the decoder.
    """
    picture = decode_picture(data, min_sides=min_sides, partial=partial)
    return picture.decoded(hashlib.sha256(data).hexdigest(), data)


def decode_picture(
    data: bytes, *, min_sides: Sides | None = None, partial: bool = False
) -> DecodedPicture:
    """Decode like ``decode``, but return metadata as well, and the picture without copying it.

    With ``min_sides``, a JPEG is decoded at the smallest of the scales 1/2, 1/4 and 1/8 at which
    its sides are not smaller (``scale_for``): faster if it will be shrunk anyway. With ``partial``,
    an image that ends early or is damaged is decoded as far as it goes, with a warning; the rest is
    black or grey. If nothing can be decoded, that is an error all the same.
    """
    if not data:
        raise DecodeError(msg("the file is empty"), remedy=msg("copy it again from its source"))
    try:
        return decode_frame(data, min_sides=min_sides)
    except Exception as error:
        if partial and (some := _decode_partly(data, min_sides, error)):
            return some
        raise decode_error(error, data) from error


def ppm(image: Image.Image) -> bytes:
    """Return an RGB picture as a PPM file: its pixels and nothing else."""
    return b"P6\n%d %d\n255\n" % image.size + image.tobytes()


def open_image(data: bytes) -> Image.Image:
    """Open an image file with Pillow, without decoding it. Raises what Pillow raises."""
    if data.startswith(b"\xff\xd8\xff"):
        # Without Pillow's guard against bombs: how many pixels of a JPEG are decoded is known only
        # when its scale is chosen (``_refuse_bomb``).
        with suppress(SyntaxError, IndexError, TypeError, struct.error):
            return Image.OPEN["JPEG"][0](io.BytesIO(data), "")
    return Image.open(io.BytesIO(data), formats=formats.decoded_formats())


def decode_frame(
    data: bytes, *, frame: int = 0, min_sides: Sides | None = None, image: Image.Image | None = None
) -> DecodedPicture:
    """Decode one picture of a file completely; ``image`` is the file if it is already open.

    Raises what the decoder raises.
    """
    noted: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter(
            "ignore", Image.DecompressionBombWarning
        )  # raised for less than is refused
        # A TIFF that stays open must not be changed.
        in_place = image is None
        lean, left_out = without_large_texts(data)
        image = image or open_image(lean)
        kind = image.format or "unknown"
        if frame:
            image.seek(frame)
        size = image.size
        # A PNG may have EXIF after its pixels; a TIFF loses it when it is decoded.
        stated = None if kind == "PNG" else metadata(image)
        scale = _reduce_scale(image, min_sides, noted)
        _refuse_bomb(image, data, size)
        multiplied = keep_under_alpha(image)
        image.load()
        if multiplied:
            image.im = undo_multiplication(image).im
        stated = stated or metadata(image)
        upright, hidden = to_srgb(image, kind, noted, in_place=in_place)
        if upright is image and kind != "JPEG":
            upright = image.copy()  # counting frames seeks to another one
        frames, counted = (None, []) if frame else _count_frames(image)
    noted = counted + noted
    if not frame:
        noted += trailing_data(data, kind)
    noted += dict.fromkeys(one_line(str(w.message)) for w in caught)
    noted += left_out
    return DecodedPicture(upright, size, kind, frames, stated, tuple(noted), scale, hidden)


def _count_frames(image: Image.Image) -> tuple[int | None, list[str]]:
    """Return the number of frames, and a warning if there are several.

    Called after the first was decoded: counting goes to the last frame, and damage there must not
    cost the first.
    """
    try:
        frames = getattr(image, "n_frames", 1)
    except Exception as error:  # noqa: BLE001 - decoders raise anything over damaged frames
        return None, [f"frame 1, the others cannot be counted ({detail(error)})"]
    return frames, [] if frames == 1 else [f"first of {frames} frames"]


def scale_for(size: tuple[int, int], min_sides: Sides) -> int:
    """Return the denominator of the smallest scale at which a JPEG of (width, height) has sides of
    at least ``min_sides``."""
    longer, shorter = max(size), min(size)
    for denominator in (8, 4, 2):
        if longer >= denominator * min_sides.longer and shorter >= denominator * min_sides.shorter:
            return denominator
    return 1


def _reduce_scale(image: Image.Image, min_sides: Sides | None, noted: list[str]) -> int:
    """Set the scale at which a JPEG will be decoded; return its denominator."""
    if not isinstance(image, JpegImageFile):
        return 1  # a HEIF's draft would be its thumbnail, which may show anything
    width, height = image.size
    wanted = denominator = 1 if min_sides is None else scale_for(image.size, min_sides)
    while denominator < 8 and width * height > MAX_OUTPUT_PIXELS * denominator**2:
        denominator *= 2
    # Pillow chooses the scale at which each side has the requested size or more.
    asked = (max(width // denominator, 1), max(height // denominator, 1))
    # No mode: the colours stay as they are, also CMYK.
    drafted = image.draft(None, asked) if denominator > 1 else None
    if denominator > wanted:
        noted.append(reduced_text(image.size))
    return round(width / drafted[1][2]) if drafted else 1


def _refuse_bomb(image: Image.Image, data: bytes, stated: tuple[int, int]) -> None:
    """Raise DecompressionBombError if decoding would need more memory than a worker has."""
    width, height = image.size
    if isinstance(image, JpegImageFile):
        scan = jpeg_scan(data)
        # A JPEG of several scans is in memory at full scale while it is decoded.
        if "progressive" in image.info or (
            scan and data[scan + 4 : scan + 5] != bytes([image.layers])
        ):
            width, height = stated
    if width * height > MAX_PIXELS:
        raise Image.DecompressionBombError(f"{width} × {height} pixels")


def _decode_partly(data: bytes, min_sides: Sides | None, error: Exception) -> DecodedPicture | None:
    """Return what can be decoded of a damaged image; None if that is nothing."""
    # Without the signature of an image, any noise could pass for one that was cut off.
    if isinstance(error, Image.DecompressionBombError) or formats.signature(data) is None:
        return None
    with (
        suppress(Exception),
        _truncated_images_allowed(),
    ):  # the first error is the more informative
        picture = decode_frame(data, min_sides=min_sides)
        if _has_content(picture):
            warning = f"incomplete: decoded as far as it goes ({detail(error)})"
            return replace(picture, warnings=(*picture.warnings, warning))
    return None


def _has_content(picture: DecodedPicture) -> bool:
    """Return whether anything differs from the one colour that decoders start with."""
    pixels = np.asarray(picture.image)
    height, width = pixels.shape[:2]
    differing = (pixels != pixels[height // 2, width // 2]).any(axis=2).sum()
    return bool(differing > (_JPEG_NOISE if picture.format in ("JPEG", "MPO") else 0))


@contextmanager
def _truncated_images_allowed() -> Iterator[None]:
    """Let Pillow return what it has of an image that ends early."""
    # A global of Pillow's module: other threads must not decode meanwhile.
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Return a copy of an RGB image's pixels (H, W, 3), copied strip by strip.

    In one call, Pillow joins thousands of pieces, which takes four times as long and blocks all
    other threads.
    """
    width, height = image.size
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels
