"""Bytes → upright sRGB pixels, by content and never by extension."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from mayak.errors import DecodeError
from mayak.imaging import formats
from mayak.imaging.behind import behind
from mayak.imaging.exif import Metadata, metadata
from mayak.imaging.parts import Part
from mayak.language import tr
from mayak.types import DecodedImage, Sides

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))

_FRAMES = 3
"""Of an animation, besides the first: each costs as much as a picture of its own."""
_PAGED = {"DCX", "HEIF", "TIFF"}
_FIRST_ONLY = {"MPO", "PSD"}

_JPEG_NOISE = 32 * 32
"""Pixels at most that Pillow makes of a JPEG cut off before its samples: it feeds the end mark to
the decoder, which takes it for the first block and smooths it into the next ones."""

_STRIP = 64
"""Rows: a strip of a photo lies in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of an image file, decoded; ``image`` is RGB, sRGB and upright."""

    image: Image.Image
    size: tuple[int, int]
    """(width, height) in pixels that the file states, before turning and at full scale."""
    format: str
    frames: int | None
    """Pictures in the file; None where they cannot be counted."""
    metadata: Metadata
    warnings: tuple[str, ...]
    scale: int
    """Denominator of the scale at which a JPEG was decoded."""

    def decoded(self, sha256: str, data: bytes | None = None) -> DecodedImage:
        """Its pixels, for a model; ``sha256`` of the file's bytes, and they themselves if a closer
        look may be wanted."""
        return DecodedImage(
            sha256=sha256,
            pixels=_pixels(self.image),
            size=self.size,
            format=self.format,
            warnings=self.warnings,
            scale=self.scale,
            data=data if self.scale > 1 else None,
        )


def decode_file(path: Path) -> DecodedImage:
    """Decode a file; it is opened read-only. Raises OSError when it cannot be read, DecodeError
    when its bytes are no complete image."""
    return decode(path.read_bytes())


def decode(data: bytes, *, least: Sides | None = None, partial: bool = False) -> DecodedImage:
    """Decode an image file's bytes into pixels.

    Turned upright by EXIF; an embedded ICC profile is converted to sRGB; 16-bit and float samples
    are scaled to 8 bits, alpha is laid over white, and of an animation the first frame is taken.
    What was adapted on the way stands in ``warnings``. Raises DecodeError for anything that is not
    a complete, readable image, Pillow's decompression-bomb limit included; the error of the
    decoder is its ``__cause__``. ``least`` and ``partial`` are those of ``decode_picture``.
    """
    picture = decode_picture(data, least=least, partial=partial)
    return picture.decoded(hashlib.sha256(data).hexdigest(), data)


def decode_picture(data: bytes, *, least: Sides | None = None, partial: bool = False) -> Picture:
    """As ``decode``, with all that one look at the file tells, and no copy of the pixels.

    With ``least``, a JPEG is decoded at the smallest of the scales 1/2, 1/4 and 1/8 that leaves its
    sides at these or more (``scale_for``): faster where it will be shrunk anyway. With
    ``partial``, an image that ends early or is damaged inside is decoded as far as it goes, with a
    warning; what was not reached is black or grey, and where nothing was it stays an error.
    """
    _refuse_empty(data)
    try:
        return _decoded(data, least=least)
    except Exception as error:
        if partial and (some := _salvaged(data, least, error)):
            return some
        raise _translated(error, data) from error


def other_frames(data: bytes) -> list[Part]:
    """The further pictures of an image file after the one that ``decode`` takes.

    Of an animation three, evenly spaced, the last one included; of a file of pages (TIFF, HEIF) all
    of them; none of files whose others are previews or layers of the first (MPO, PSD). Each comes
    as PPM, which holds its pixels as ``decode`` gives them and nothing else, so that its digest can
    be had with other software too. Raises DecodeError where the file cannot be opened.
    """
    try:
        with warnings.catch_warnings(), _opened(data) as image:
            warnings.simplefilter("ignore")  # ``decode`` has told of them
            kind = image.format
            last = getattr(image, "n_frames", 1) - 1
    except Exception as error:
        raise _translated(error, data) from error
    if kind in _FIRST_ONLY:
        return []
    chosen = last if kind in _PAGED else min(_FRAMES, last)
    numbers = [number * last // chosen for number in range(1, chosen + 1)]
    name = "page" if kind in _PAGED else "frame"
    return [Part(f"{name} {number + 1}", partial(_frame, data, number)) for number in numbers]


def _frame(data: bytes, number: int) -> bytes:
    try:
        # Opened anew each time: turning a frame upright changes the image that is open.
        image = _decoded(data, frame=number).image
    except Exception as error:
        raise _translated(error, data) from error
    return b"P6\n%d %d\n255\n" % image.size + image.tobytes()


def _refuse_empty(data: bytes) -> None:
    if not data:
        raise DecodeError(
            tr("the file is empty", "파일이 비어 있습니다"),
            remedy=tr("copy it again from its source", "원본에서 다시 복사하십시오"),
        )


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=formats.tried())


def _decoded(data: bytes, *, frame: int = 0, least: Sides | None = None) -> Picture:
    """One frame, whole. Raises whatever the decoder raises."""
    noted: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with _opened(data) as image:
            kind = image.format or "unknown"
            if frame:
                image.seek(frame)
            size = image.size
            # A PNG may state it behind its pixels, a TIFF can be asked only before it is read.
            stated = None if kind == "PNG" else metadata(image)
            scale = 1 if least is None else _reduced(image, least)
            image.load()
            stated = stated or metadata(image)
            upright = _to_srgb(image, kind, noted)
            if upright is image and kind != "JPEG":
                upright = image.copy()  # counting its frames goes to another one
            frames, told = _counted(image, frame)
    noted = told + noted
    if not frame:
        noted += behind(data, kind)
    noted += dict.fromkeys(_one_line(str(w.message)) for w in caught)
    return Picture(upright, size, kind, frames, stated, tuple(noted), scale)


def _counted(image: Image.Image, frame: int) -> tuple[int | None, list[str]]:
    """How many frames there are, and which was taken if there are several.

    Asked when the pixels are there: counting walks to the last frame, and damage there must not
    cost the first.
    """
    try:
        frames = getattr(image, "n_frames", 1)
    except Exception as error:  # noqa: BLE001 - whatever a decoder raises over the other frames
        return None, [f"frame {frame + 1}, the others cannot be counted ({_detail(error)})"]
    if frames == 1:
        return 1, []
    return frames, [f"frame {frame + 1} of {frames}" if frame else f"first of {frames} frames"]


def scale_for(size: tuple[int, int], least: Sides) -> int:
    """Denominator of the smallest scale that leaves a JPEG of (width, height) ``least``."""
    longer, shorter = max(size), min(size)
    return next(
        (d for d in (8, 4, 2) if longer >= d * least.longer and shorter >= d * least.shorter), 1
    )


def _reduced(image: Image.Image, least: Sides) -> int:
    """Tell a JPEG's decoder to decode at a smaller scale; its denominator."""
    width, height = image.size
    denominator = scale_for(image.size, least)
    # Pillow picks the scale that leaves each side at the size asked for, or more.
    asked = (max(width // denominator, 1), max(height // denominator, 1))
    # Without a mode the colours stay as they are, CMYK too; other formats answer None.
    drafted = image.draft(None, asked) if denominator > 1 else None
    return round(width / drafted[1][2]) if drafted else 1


def _salvaged(data: bytes, least: Sides | None, error: Exception) -> Picture | None:
    """What can be had of a damaged image; None where that is nothing."""
    # Without a signature to promise an image, any noise can pass for one that was cut off.
    if isinstance(error, Image.DecompressionBombError) or formats.signature(data) is None:
        return None
    with suppress(Exception), _lenient():  # the first error says more than a second
        picture = _decoded(data, least=least)
        if _has_content(picture):
            warning = f"incomplete: decoded as far as it goes ({_detail(error)})"
            return replace(picture, warnings=(*picture.warnings, warning))
    return None


def _has_content(picture: Picture) -> bool:
    """Whether anything differs from the one colour that decoders start with."""
    pixels = np.asarray(picture.image)
    height, width = pixels.shape[:2]
    differing = (pixels != pixels[height // 2, width // 2]).any(axis=2).sum()
    return bool(differing > (_JPEG_NOISE if picture.format in ("JPEG", "MPO") else 0))


@contextmanager
def _lenient() -> Iterator[None]:
    """Pillow keeps what it has of an image that ends early or breaks off."""
    # A global of Pillow's module, and so of all threads: only what stands inside may decode.
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _translated(error: Exception, data: bytes) -> DecodeError:
    promised = formats.signature(data)
    if promised == "HEIF" and not formats.reads("HEIF"):
        return DecodeError(
            tr("HEIC needs a codec that is not installed", "HEIC 코덱이 설치되어 있지 않습니다"),
            remedy="pip install 'mayak[heic]'",
        )
    if promised and not formats.reads(promised):
        return DecodeError(
            tr(f"is {promised}, which is not decoded", f"{promised} 형식은 디코딩하지 않습니다"),
            remedy=tr("export it as PNG elsewhere", "다른 곳에서 PNG로 변환하십시오"),
        )
    remedy = tr(
        "open it in an image viewer; if it is an image, it is damaged",
        "이미지 뷰어로 열어 보십시오. 이미지라면 손상된 파일입니다",
    )
    if isinstance(error, Image.DecompressionBombError):
        return DecodeError(
            tr(
                f"refused as a decompression bomb ({error})",
                f"압축 폭탄으로 의심되어 거부했습니다 ({error})",
            ),
            remedy=tr(
                "if the image is genuine, use a smaller copy of it",
                "실제 이미지라면 크기를 줄인 사본을 쓰십시오",
            ),
        )
    if not isinstance(error, UnidentifiedImageError):
        detail = _detail(error)
        return DecodeError(
            tr(f"cannot be decoded ({detail})", f"디코딩할 수 없습니다 ({detail})"), remedy=remedy
        )
    if promised:
        return DecodeError(
            tr(
                f"starts as {promised} but its header is damaged or of an unknown variant",
                f"{promised}로 시작하지만 헤더가 손상되었거나 알 수 없는 변형입니다",
            ),
            remedy=remedy,
        )
    if formats.is_program(data):
        return DecodeError(
            tr(
                "PostScript and Windows metafiles are programs and are not run",
                "포스트스크립트와 윈도 메타파일은 프로그램이므로 실행하지 않습니다",
            ),
            remedy=tr("export it as PNG elsewhere", "다른 곳에서 PNG로 변환하십시오"),
        )
    return DecodeError(
        tr("not an image in any known format", "알려진 형식의 이미지가 아닙니다"), remedy=remedy
    )


def _detail(error: Exception) -> str:
    return f"{type(error).__name__}: {_one_line(str(error))}"


def _one_line(text: str) -> str:
    """Decoders' messages without line breaks, and without the memory addresses of objects, which
    differ from run to run."""
    return " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", text).split())


def _to_srgb(image: Image.Image, kind: str, noted: list[str]) -> Image.Image:
    """RGB, upright, sRGB."""
    profile = image.info.get("icc_profile")
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error) as error:
        # Broken metadata says nothing of the pixels.
        noted.append(f"EXIF ignored ({_one_line(str(error))})")
    if image.mode.startswith(("I", "F")):
        image = _eight_bit(image, kind, noted)
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if profile and image.mode in ("RGB", "RGBA", "RGBX", "CMYK", "L", "LAB"):
        image = _managed(image, profile, noted)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        if rgba.getchannel("A").getextrema() != (255, 255):
            noted.append("transparency laid over white")
        image = Image.new("RGB", rgba.size, "white")
        image.paste(rgba, mask=rgba.getchannel("A"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """A copy of an RGB image's pixels (H, W, 3), taken strip by strip: whole, Pillow puts a photo
    together from thousands of pieces, four times as slowly, and no other thread runs meanwhile."""
    width, height = image.size
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels


def _eight_bit(image: Image.Image, kind: str, noted: list[str]) -> Image.Image:
    """One channel of 16-bit, 32-bit or float samples scaled to 8 (Pillow would clip at 255)."""
    samples = np.asarray(image).astype(np.float64)
    finite = np.isfinite(samples)
    black, white = _range(image, kind, samples[finite])
    samples = np.nan_to_num(samples, nan=black, posinf=white, neginf=black)
    noted.append(f"{image.mode} samples scaled to 8 bits")
    scaled = (samples - black) * (255.0 / (white - black))
    return Image.fromarray(np.rint(scaled).clip(0, 255).astype(np.uint8))


def _range(image: Image.Image, kind: str, samples: NDArray[np.float64]) -> tuple[float, float]:
    """The sample values of black and white, which differ."""
    tags = getattr(image, "tag_v2", {}) if kind == "TIFF" else {}
    low, high = (float(samples.min()), float(samples.max())) if samples.size else (0.0, 0.0)
    if image.mode.startswith("I;16"):
        bits = tags.get(258, (16,))[0]  # BitsPerSample: 12 is common
        top = float(2**bits - 1) if 8 < bits < 16 else 65535.0
        # PhotometricInterpretation 0: white is zero, which Pillow leaves as it is at 16 bits.
        return (top, 0.0) if tags.get(262) == 0 else (0.0, top)
    if kind == "PPM" and image.mode == "I":  # Pillow has scaled it to 16 bits
        return 0.0, 65535.0
    # Modes I and F state no range: the narrowest usual one that holds what is there, or its own.
    for top in (255.0, 65535.0) if image.mode == "I" else (1.0,):
        if low >= 0 and high <= top:
            return 0.0, top
    return (low, high) if high > low else (low, low + 1.0)


def _managed(image: Image.Image, profile: bytes, noted: list[str]) -> Image.Image:
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        base = image.convert("RGB") if image.mode in ("RGBA", "RGBX") else image
        managed = ImageCms.profileToProfile(base, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        # A profile that does not fit its image is common in the wild; the pixels are still good.
        noted.append(f"colour profile ignored ({_one_line(str(error))})")
        return image
    if managed is None:
        return image
    if alpha is not None:
        managed.putalpha(alpha)
    return managed
