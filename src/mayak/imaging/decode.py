"""Bytes → upright sRGB pixels, by content and never by extension."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, ImageFilter, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from mayak.errors import DecodeError
from mayak.i18n import msg
from mayak.imaging import formats
from mayak.imaging.behind import behind, jpeg_scan
from mayak.imaging.exif import Metadata, metadata
from mayak.imaging.parts import Part
from mayak.imaging.png import is_cgbi, without_large_texts
from mayak.types import DecodedImage, Sides
from mayak.untrusted import open_regular

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))

_FRAMES = 3
"""Of an animation, besides the first: each costs as much as a picture of its own."""
_PAGED = {"DCX", "HEIF", "TIFF"}
_FIRST_ONLY = {"MPO", "PSD"}

_MOST_PIXELS = 225_000_000
"""Pixels that are decoded at most. A worker's 4 GiB have room for them with each decoder (WebP's
takes most, 16 bytes a pixel); phones with 200 megapixels make fewer."""
_LARGEST = 178_956_970
"""Pixels that are handed on at most; larger pictures are reduced."""
Image.MAX_IMAGE_PIXELS = _MOST_PIXELS // 2  # Pillow refuses what has more than twice as many

_JPEG_NOISE = 32 * 32
"""Pixels at most that Pillow makes of a JPEG cut off before its samples: it feeds the end mark to
the decoder, which takes it for the first block and smooths it into the next ones."""

UNDER = "under the transparency"
"""Name of the picture that transparency hides."""
_HIDING = 32
"""Alpha below which a picture is hidden: an eighth of its contrast is left at most."""
_MARGIN = 8
"""Pixels around what is visible that are not looked at for a hidden picture: anti-aliasing mixes
its colours into them, and so does WebP, in blocks of 8 pixels."""
_SHOWING = 32 * 32
"""Pixels of which a hidden picture has at least as many: fewer show nothing."""
_VARIED = 4.0
"""Standard deviation of a hidden picture's samples, at least. Without a picture they are constant,
with an error of 0.2 in lossy WebP; a picture has tens."""
_PLAIN = 16
"""Colours, of 16 levels a channel, that a hidden area may have and still be no picture: a constant
colour between two levels has 8, and programs leave one or two of them."""
_STEP = 32
_CHANGES, _BUSY = 6, 8
"""A text or drawing of few colours has at least 8 rows and columns with 6 or more changes by more
than 32 levels: as many as three letters make."""
_BLANK = 16
"""Levels between the darkest and the brightest sample of what nobody can see anything in."""

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
    covered: Image.Image | None = None
    """What transparency hides of it, if that is a picture: RGBA, sRGB and upright."""

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

    def uncovered(self) -> bytes | None:
        """Return the picture under its transparency as PPM; None if there is not one."""
        return None if self.covered is None else _ppm(self.covered.convert("RGB"))


def decode_file(path: Path) -> DecodedImage:
    """Decode a file; it is opened read-only. Raises OSError when it cannot be read, DecodeError
    when its bytes are no complete image."""
    with open_regular(path, follow=True) as file:
        return decode(file.read())


def decode(data: bytes, *, least: Sides | None = None, partial: bool = False) -> DecodedImage:
    """Decode an image file's bytes into pixels.

    Turned upright by EXIF; an embedded ICC profile is converted to sRGB; 16-bit and float samples
    are scaled to 8 bits, alpha is laid over white (over black if nothing could be seen on white),
    and of an animation the first frame is taken. What was adapted on the way stands in
    ``warnings``. Raises DecodeError for anything that is not a complete, readable image, and for
    what would be decoded to more than 225 million pixels; the error of the decoder is its
    ``__cause__``. A JPEG that states more is decoded at a smaller scale, and other pictures of more
    than 179 million pixels are reduced. ``least`` and ``partial`` are those of ``decode_picture``.
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


def other_frames(data: bytes, names: Sequence[str] = ()) -> list[Part]:
    """The further pictures of an image file after the one that ``decode`` takes; those of these
    ``names`` without counting them again.

    Of an animation three, evenly spaced, the last one included; of a file of pages (TIFF, HEIF) all
    of them; none of files whose others are previews or layers of the first (MPO, PSD). Each comes
    as PPM, which holds its pixels as ``decode`` gives them and nothing else, so that its digest can
    be had with other software too; as PNG if its transparency hides a picture. Raises DecodeError
    where the file cannot be opened.
    """
    frames = _Frames(data)
    if names:
        return [Part(name, partial(frames.read, int(name.split()[1]) - 1)) for name in names]
    try:
        with warnings.catch_warnings(), _opened(without_large_texts(data)[0]) as image:
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
    return [Part(f"{name} {number + 1}", partial(frames.read, number)) for number in numbers]


def uncovered(data: bytes) -> bytes:
    """The picture that the transparency of an image file hides, as PPM. Raises DecodeError if there
    is none."""
    hidden = decode_picture(data, partial=True).uncovered()
    if hidden is None:
        raise DecodeError(msg("its transparency hides no picture"))
    return hidden


class _Frames:
    """The pictures of one file, by their numbers."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._open: Image.Image | None = None

    def read(self, number: int) -> bytes:
        """An image file of one picture. Raises DecodeError."""
        # A page of a TIFF is reached from the one before: if the file was opened again for each,
        # the time would grow with the square of their number. Other formats keep in memory what
        # they have decoded, and an animation has few frames that are read.
        image, self._open = self._open, None
        try:
            image = image or _opened(without_large_texts(self._data)[0])
            picture = _decoded(self._data, frame=number, image=image)
        except Exception as error:
            raise _translated(error, self._data) from error
        if image.format == "TIFF":
            self._open = image
        if picture.covered is None:
            return _ppm(picture.image)
        stream = io.BytesIO()
        picture.covered.save(stream, "PNG")
        return stream.getvalue()


def _ppm(image: Image.Image) -> bytes:
    return b"P6\n%d %d\n255\n" % image.size + image.tobytes()


def _refuse_empty(data: bytes) -> None:
    if not data:
        raise DecodeError(
            msg("the file is empty"),
            remedy=msg("copy it again from its source"),
        )


def _opened(data: bytes) -> Image.Image:
    if data.startswith(b"\xff\xd8\xff"):
        # By its own class, and not by Pillow's guard: the number of pixels that are made of a JPEG
        # is chosen later (``_bounded``).
        with suppress(SyntaxError, IndexError, TypeError, struct.error):
            return Image.OPEN["JPEG"][0](io.BytesIO(data), "")
    return Image.open(io.BytesIO(data), formats=formats.tried())


def _decoded(
    data: bytes,
    *,
    frame: int = 0,
    least: Sides | None = None,
    image: Image.Image | None = None,
) -> Picture:
    """One picture, whole; ``image`` is the file if it is open. Raises whatever the decoder
    raises."""
    noted: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # of what is not refused
        # Of a TIFF that stays open, nothing may change.
        in_place = image is None
        lean, left_out = without_large_texts(data)
        image = image or _opened(lean)
        kind = image.format or "unknown"
        if frame:
            image.seek(frame)
        size = image.size
        # A PNG may state it behind its pixels, a TIFF can be asked only before it is read.
        stated = None if kind == "PNG" else metadata(image)
        scale = _drafted(image, least, noted)
        _bounded(image, data, size)
        multiplied = _kept_under_alpha(image)
        image.load()
        if multiplied:
            image.im = _divided(image).im
        stated = stated or metadata(image)
        upright, covered = _to_srgb(image, kind, noted, in_place=in_place)
        if upright is image and kind != "JPEG":
            upright = image.copy()  # counting its frames goes to another one
        frames, told = (None, []) if frame else _counted(image)
    noted = told + noted
    if not frame:
        noted += behind(data, kind)
    noted += dict.fromkeys(_one_line(str(w.message)) for w in caught)
    noted += left_out
    return Picture(upright, size, kind, frames, stated, tuple(noted), scale, covered)


def _kept_under_alpha(image: Image.Image) -> bool:
    """Make the decoder of a TIFF return the samples as they are if they are stated to be multiplied
    with alpha; whether they are.

    Pillow divides them as it reads, and clears what is under an alpha of 0.
    """
    tiles = image.tile if isinstance(image, TiffImageFile) else []
    multiplied = False
    for number, tile in enumerate(tiles):
        mode, *rest = tile.args if isinstance(tile.args, tuple) else (None,)
        if isinstance(mode, str) and mode.startswith("RGBa"):
            tiles[number] = tile._replace(args=(mode.replace("RGBa", "RGBA", 1), *rest))
            multiplied = True
    return multiplied


def _divided(image: Image.Image) -> Image.Image:
    """RGBA whose colours are multiplied with alpha, as RGBA whose are not; what is under an alpha
    of 0 stays."""
    return Image.frombytes("RGBa", image.size, image.tobytes()).convert("RGBA")


def _counted(image: Image.Image) -> tuple[int | None, list[str]]:
    """How many frames there are, and that the first was taken if there are several.

    Asked when the pixels are there: counting walks to the last frame, and damage there must not
    cost the first.
    """
    try:
        frames = getattr(image, "n_frames", 1)
    except Exception as error:  # noqa: BLE001 - whatever a decoder raises over the other frames
        return None, [f"frame 1, the others cannot be counted ({_detail(error)})"]
    return frames, [] if frames == 1 else [f"first of {frames} frames"]


def scale_for(size: tuple[int, int], least: Sides) -> int:
    """Denominator of the smallest scale that leaves a JPEG of (width, height) ``least``."""
    longer, shorter = max(size), min(size)
    return next(
        (d for d in (8, 4, 2) if longer >= d * least.longer and shorter >= d * least.shorter), 1
    )


def _drafted(image: Image.Image, least: Sides | None, noted: list[str]) -> int:
    """Make a JPEG's decoder decode at a smaller scale; its denominator."""
    if not isinstance(image, JpegImageFile):
        return 1  # of HEIF, Pillow's draft would be a thumbnail, which may show anything
    width, height = image.size
    wanted = denominator = 1 if least is None else scale_for(image.size, least)
    while denominator < 8 and width * height > _LARGEST * denominator**2:
        denominator *= 2
    # Pillow picks the scale that leaves each side at the size asked for, or more.
    asked = (max(width // denominator, 1), max(height // denominator, 1))
    # Without a mode the colours stay as they are, CMYK too.
    drafted = image.draft(None, asked) if denominator > 1 else None
    if denominator > wanted:
        noted.append(_resized(image.size))
    return round(width / drafted[1][2]) if drafted else 1


def _resized(size: tuple[int, int]) -> str:
    return f"reduced to {size[0]} × {size[1]} pixels"


def _bounded(image: Image.Image, data: bytes, stated: tuple[int, int]) -> None:
    """Raise DecompressionBombError for what takes more memory to decode than there is."""
    width, height = image.size
    if isinstance(image, JpegImageFile):
        scan = jpeg_scan(data)
        # Whatever the scale, all of it is in memory if it comes in several scans.
        if "progressive" in image.info or (
            scan and data[scan + 4 : scan + 5] != bytes([image.layers])
        ):
            width, height = stated
    if width * height > _MOST_PIXELS:
        raise Image.DecompressionBombError(f"{width} × {height} pixels")


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
            msg("HEIC needs a codec that is not installed"),
            remedy="pip install 'mayak[heic]'",
        )
    if promised and not formats.reads(promised):
        return DecodeError(
            msg("is {promised}, which is not decoded", promised=promised),
            remedy=_look(),
        )
    if is_cgbi(data):
        return DecodeError(
            msg("is an iOS-optimised PNG (CgBI), which is not decoded"),
            remedy=_look(),
        )
    remedy = msg("open it in an image viewer; if it is an image, it is damaged")
    if isinstance(error, Image.DecompressionBombError):
        return DecodeError(
            msg(
                "refused as a decompression bomb: more than {most:,} pixels ({error})",
                most=_MOST_PIXELS,
                error=error,
            ),
            remedy=_look(),
        )
    if not isinstance(error, UnidentifiedImageError):
        detail = _detail(error)
        return DecodeError(msg("cannot be decoded ({detail})", detail=detail), remedy=remedy)
    if promised == "HEIF" and (limit := _heif_limit(data)):
        return DecodeError(msg("libheif refuses it ({limit})", limit=limit), remedy=_look())
    if promised:
        return DecodeError(
            msg(
                "starts as {promised} but its header is damaged or of an unknown variant",
                promised=promised,
            ),
            remedy=remedy,
        )
    if formats.is_program(data):
        return DecodeError(
            msg("PostScript and Windows metafiles are programs and are not run"),
            remedy=_look(),
        )
    return DecodeError(msg("not an image in any known format"), remedy=remedy)


def _look() -> str:
    return msg("look at it with another program and record by hand what it shows")


def _heif_limit(data: bytes) -> str | None:
    """Which of its limits libheif says that a file is beyond; Pillow does not pass it on."""
    try:
        Image.OPEN["HEIF"][0](io.BytesIO(data), "")
    except Exception as error:  # noqa: BLE001 - the same that opening it has raised
        text = _one_line(str(error))
        return text if "limit" in text.lower() else None
    return None


def _detail(error: Exception) -> str:
    return f"{type(error).__name__}: {_one_line(str(error))}"


def _one_line(text: str) -> str:
    """Decoders' messages without line breaks, and without the memory addresses of objects, which
    differ from run to run."""
    return " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", text).split())


def _to_srgb(
    image: Image.Image, kind: str, noted: list[str], *, in_place: bool
) -> tuple[Image.Image, Image.Image | None]:
    """RGB, upright, sRGB; and, as RGBA, what its transparency hides if that is a picture."""
    profile = image.info.get("icc_profile")
    original = image
    try:
        if in_place:
            ImageOps.exif_transpose(image, in_place=True)
        else:
            image = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error) as error:
        # Broken metadata says nothing of the pixels.
        noted.append(f"EXIF ignored ({_one_line(str(error))})")
        image = original if in_place else original.copy()
    if image.mode in ("RGB", "L", "CMYK"):
        image = _bearable(image, noted)
    if image.mode.startswith(("I", "F")):
        image = _eight_bit(image, kind, noted)
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if profile and image.mode in ("RGB", "RGBA", "RGBX", "CMYK", "L", "LAB"):
        image = _managed(image, profile, noted)
    covered = None
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = _on_ground(rgba, noted)
        if _hides_picture(rgba):
            covered = rgba
            noted.append(f"another picture is hidden ({UNDER})")
    image = image if image.mode == "RGB" else image.convert("RGB")
    return _bearable(image, noted), covered


def _bearable(image: Image.Image, noted: list[str]) -> Image.Image:
    """The picture, reduced if it has more pixels than are handed on."""
    if image.width * image.height <= _LARGEST:
        return image
    image = image.reduce(2)
    noted.append(_resized(image.size))
    return image


def _on_ground(rgba: Image.Image, noted: list[str]) -> Image.Image:
    """A picture laid over white, or over black if on white nothing of it could be seen."""
    alpha = rgba.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return rgba.convert("RGB")
    for ground in ("white", "black"):
        image = Image.new("RGB", rgba.size, ground)
        image.paste(rgba, mask=alpha)
        if ground == "white":
            on_white = image
            if not _is_blank(image):
                break
        elif not _is_blank(image):
            noted.append("transparency laid over black: on white nothing would be seen")
            return image
    noted.append("transparency laid over white")
    return on_white


def _is_blank(image: Image.Image) -> bool:
    extrema = cast("tuple[tuple[int, int], ...]", image.getextrema())  # of three channels
    return all(high - low <= _BLANK for low, high in extrema)


def _hides_picture(rgba: Image.Image) -> bool:
    """Whether there is a picture where hardly anything is visible.

    What has no alpha at all is looked at apart from what has little: a glow is of one colour, and
    what surrounds it may be of another.
    """
    alpha = np.asarray(rgba.getchannel("A"))
    if alpha.min() >= _HIDING:
        return False
    visible = Image.fromarray((alpha >= _HIDING).view(np.uint8))
    hidden = np.asarray(visible.filter(ImageFilter.MaxFilter(2 * _MARGIN + 1))) == 0
    pixels = np.asarray(rgba)[:, :, :3]
    return any(_is_picture(pixels, hidden & part) for part in (alpha == 0, alpha > 0))


def _is_picture(pixels: NDArray[np.uint8], where: NDArray[np.bool_]) -> bool:
    """Whether some of the pixels (H, W, 3) vary as those of a picture do."""
    samples = pixels[where]
    if len(samples) < _SHOWING or samples.var(axis=0).max() < _VARIED**2:
        return False
    red, green, blue = (samples >> 4).astype(np.uint16).T
    if np.count_nonzero(np.bincount(red << 8 | green << 4 | blue)) > _PLAIN:
        return True
    # Of a few colours: a text or a drawing, or else areas of one colour that programs leave, WebP's
    # lossless encoder in tiles. Only the former change often along a line.
    busy = 0
    for lines, at in ((pixels, where), (pixels.swapaxes(0, 1), where.swapaxes(0, 1))):
        steps = np.abs(np.diff(lines.astype(np.int16), axis=1)).max(axis=2) > _STEP
        busy += int(np.count_nonzero((steps & at[:, 1:] & at[:, :-1]).sum(axis=1) >= _CHANGES))
    return busy >= _BUSY


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
