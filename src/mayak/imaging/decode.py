"""Bytes → upright sRGB pixels, by content and never by extension."""

from __future__ import annotations

import hashlib
import io
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from mayak.errors import DecodeError
from mayak.language import tr
from mayak.types import DecodedImage

with suppress(ImportError):  # the optional extra ``heic``
    import pillow_heif

    pillow_heif.register_heif_opener()

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def decode_file(path: Path) -> DecodedImage:
    """Decode a file; it is opened read-only. Raises OSError when it cannot be read, DecodeError
    when its bytes are no complete image."""
    return decode(path.read_bytes())


def decode(data: bytes) -> DecodedImage:
    """Decode an image file's bytes into pixels.

    Turned upright by EXIF; an embedded ICC profile is converted to sRGB; 16-bit samples are scaled
    to 8, alpha is laid over white, and of an animation the first frame is taken. What was adapted
    on the way stands in ``warnings``. Raises DecodeError for anything that is not a complete,
    readable image, Pillow's decompression-bomb limit included.
    """
    if not data:
        raise DecodeError(
            tr("the file is empty", "파일이 비어 있습니다"),
            remedy=tr("copy it again from its source", "원본에서 다시 복사하십시오"),
        )
    noted: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with Image.open(io.BytesIO(data)) as image:
                size = image.size
                kind = image.format or "unknown"
                if (frames := getattr(image, "n_frames", 1)) > 1:
                    noted.append(f"first of {frames} frames")
                image.load()
                pixels = _to_srgb(image, noted)
        noted += dict.fromkeys(str(w.message) for w in caught)
    except Exception as error:
        raise DecodeError(
            _reason(error),
            remedy=tr(
                "open it in an image viewer; if it is an image, it is damaged",
                "이미지 뷰어로 열어 보십시오. 이미지라면 손상된 파일입니다",
            ),
        ) from error
    return DecodedImage(
        sha256=hashlib.sha256(data).hexdigest(),
        pixels=pixels,
        size=size,
        format=kind,
        warnings=tuple(noted),
    )


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return tr(
            f"refused as a decompression bomb ({error})",
            f"압축 폭탄으로 의심되어 거부했습니다 ({error})",
        )
    if isinstance(error, UnidentifiedImageError):
        return tr("not an image in any known format", "알려진 형식의 이미지가 아닙니다")
    return tr(
        f"cannot be decoded ({type(error).__name__}: {error})",
        f"디코딩할 수 없습니다 ({type(error).__name__}: {error})",
    )


def _to_srgb(image: Image.Image, noted: list[str]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3), upright, sRGB."""
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = _eight_bit(image, noted)
    if profile and image.mode in ("RGB", "RGBA", "RGBX", "CMYK", "L", "LAB"):
        image = _managed(image, profile, noted)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.new("RGB", rgba.size, "white")
        image.paste(rgba, mask=rgba.getchannel("A"))
        noted.append("transparency laid over white")
    # A copy: Pillow's buffer is read-only and bound to the image.
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _eight_bit(image: Image.Image, noted: list[str]) -> Image.Image:
    """One channel of 16- or 32-bit samples scaled to 8 bits (Pillow would clip them at 255)."""
    samples = np.asarray(image).astype(np.float64)
    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    else:  # modes I and F state no range: stretch what is there
        low, high = float(samples.min()), float(samples.max())
        if low >= 0 and high <= 65535 and image.mode == "I":
            low, high = 0.0, 65535.0 if high > 255 else 255.0
    noted.append(f"{image.mode} samples scaled to 8 bits")
    scaled = (samples - low) * (255.0 / (high - low)) if high > low else np.zeros_like(samples)
    return Image.fromarray(np.rint(scaled).clip(0, 255).astype(np.uint8))


def _managed(image: Image.Image, profile: bytes, noted: list[str]) -> Image.Image:
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        base = image.convert("RGB") if image.mode in ("RGBA", "RGBX") else image
        managed = ImageCms.profileToProfile(base, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        # A profile that does not fit its image is common in the wild; the pixels are still good.
        noted.append(f"colour profile ignored ({error})")
        return image
    if managed is None:
        return image
    if alpha is not None:
        managed.putalpha(alpha)
    return managed
