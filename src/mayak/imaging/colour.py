"""Convert decoded pictures of any mode to upright RGB, in sRGB, with 8 bits a channel."""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from mayak.imaging.decode_errors import one_line
from mayak.imaging.transparency import UNDER, composited, hides_picture

MAX_OUTPUT_PIXELS = 178_956_970
"""Pixels of a decoded picture, at most; larger ones are reduced."""

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def to_srgb(
    image: Image.Image, kind: str, noted: list[str], *, in_place: bool
) -> tuple[Image.Image, Image.Image | None]:
    """Return the picture upright, in RGB and sRGB; and, as RGBA, the picture that its transparency
    hides, if there is one. ``noted`` is extended by what was adapted.

    1. Rotate as EXIF states.
    2. Reduce what has too many pixels; scale samples to 8 bits; apply palettes.
    3. Convert from the embedded colour profile.
    4. Composite over a visible ground.
    """
    profile = image.info.get("icc_profile")
    original = image
    try:
        if in_place:
            ImageOps.exif_transpose(image, in_place=True)
        else:
            image = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error) as error:
        # The pixels can be good although the metadata are damaged.
        noted.append(f"EXIF ignored ({one_line(str(error))})")
        image = original if in_place else original.copy()
    if image.mode in ("RGB", "L", "CMYK"):
        image = _reduced(image, noted)
    if image.mode.startswith(("I", "F")):
        image = _eight_bit(image, kind, noted)
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if profile and image.mode in ("RGB", "RGBA", "RGBX", "CMYK", "L", "LAB"):
        image = _managed(image, profile, noted)
    hidden = None
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = composited(rgba, noted)
        if hides_picture(rgba):
            hidden = rgba
            noted.append(f"another picture is hidden ({UNDER})")
    image = image if image.mode == "RGB" else image.convert("RGB")
    return _reduced(image, noted), hidden


def _reduced(image: Image.Image, noted: list[str]) -> Image.Image:
    """Halve both sides of a picture of more than ``MAX_OUTPUT_PIXELS``."""
    if image.width * image.height <= MAX_OUTPUT_PIXELS:
        return image
    image = image.reduce(2)
    noted.append(reduced_text(image.size))
    return image


def reduced_text(size: tuple[int, int]) -> str:
    """Return the warning that a picture was reduced to (width, height)."""
    return f"reduced to {size[0]} × {size[1]} pixels"


def _eight_bit(image: Image.Image, kind: str, noted: list[str]) -> Image.Image:
    """Scale one channel of 16-bit, 32-bit or float samples to 8 bits (Pillow would clip at 255)."""
    samples = np.asarray(image).astype(np.float64)
    finite = np.isfinite(samples)
    black, white = _range(image, kind, samples[finite])
    samples = np.nan_to_num(samples, nan=black, posinf=white, neginf=black)
    noted.append(f"{image.mode} samples scaled to 8 bits")
    scaled = (samples - black) * (255.0 / (white - black))
    return Image.fromarray(np.rint(scaled).clip(0, 255).astype(np.uint8))


def _range(image: Image.Image, kind: str, samples: NDArray[np.float64]) -> tuple[float, float]:
    """Return the sample values of black and white; they are never equal."""
    tags = getattr(image, "tag_v2", {}) if kind == "TIFF" else {}
    low, high = (float(samples.min()), float(samples.max())) if samples.size else (0.0, 0.0)
    if image.mode.startswith("I;16"):
        bits = tags.get(258, (16,))[0]  # BitsPerSample: 12 is common
        top = float(2**bits - 1) if 8 < bits < 16 else 65535.0
        # PhotometricInterpretation 0: white is zero; Pillow does not invert 16-bit samples.
        return (top, 0.0) if tags.get(262) == 0 else (0.0, top)
    if kind == "PPM" and image.mode == "I":  # Pillow has scaled it to 16 bits
        return 0.0, 65535.0
    # Modes I and F state no range: use the narrowest common one that contains all samples, or
    # else that of the samples.
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
        # Profiles that do not fit their image are common; the pixels are still good.
        noted.append(f"colour profile ignored ({one_line(str(error))})")
        return image
    if managed is None:
        return image
    if alpha is not None:
        managed.putalpha(alpha)
    return managed
