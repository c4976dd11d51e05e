"""Translate exceptions of decoders into DecodeError, with a reason and a remedy."""

from __future__ import annotations

import io
import re

from PIL import Image, UnidentifiedImageError

from mayak.errors import DecodeError
from mayak.i18n import msg
from mayak.imaging import formats
from mayak.imaging.png import is_cgbi
from mayak.imaging.sandbox import MAX_PIXELS

_CHECK = msg("open it in an image viewer; if it is an image, it is damaged")
_LOOK = msg("look at it with another program and record by hand what it shows")


def decode_error(error: Exception, data: bytes) -> DecodeError:
    """Return the error for bytes over which a decoder raised ``error``."""
    signature_format = formats.signature(data)
    if unsupported := _unsupported(signature_format, data):
        return unsupported
    if isinstance(error, Image.DecompressionBombError):
        return DecodeError(
            msg(
                "refused as a decompression bomb: more than {most:,} pixels ({error})",
                most=MAX_PIXELS,
                error=error,
            ),
            remedy=_LOOK,
        )
    if isinstance(error, UnidentifiedImageError):
        return _unidentified(signature_format, data)
    return DecodeError(msg("cannot be decoded ({detail})", detail=detail(error)), remedy=_CHECK)


def _unsupported(signature_format: str | None, data: bytes) -> DecodeError | None:
    """Return the error for a format that this installation does not decode."""
    if signature_format == "HEIF" and not formats.is_decoded("HEIF"):
        return DecodeError(
            msg("HEIC needs a codec that is not installed"), remedy="pip install 'mayak[heic]'"
        )
    if signature_format and not formats.is_decoded(signature_format):
        return DecodeError(
            msg("is {promised}, which is not decoded", promised=signature_format), remedy=_LOOK
        )
    if is_cgbi(data):
        return DecodeError(
            msg("is an iOS-optimised PNG (CgBI), which is not decoded"), remedy=_LOOK
        )
    return None


def _unidentified(signature_format: str | None, data: bytes) -> DecodeError:
    """Return the error for bytes that no decoder accepted."""
    if signature_format == "HEIF" and (limit := _heif_limit(data)):
        return DecodeError(msg("libheif refuses it ({limit})", limit=limit), remedy=_LOOK)
    if signature_format:
        return DecodeError(
            msg(
                "starts as {promised} but its header is damaged or of an unknown variant",
                promised=signature_format,
            ),
            remedy=_CHECK,
        )
    if formats.is_program(data):
        return DecodeError(
            msg("PostScript and Windows metafiles are programs and are not run"), remedy=_LOOK
        )
    return DecodeError(msg("not an image in any known format"), remedy=_CHECK)


def _heif_limit(data: bytes) -> str | None:
    """Return the limit of libheif that a file exceeds, if that is the reason; Pillow hides it."""
    try:
        Image.OPEN["HEIF"][0](io.BytesIO(data), "")
    except Exception as error:  # noqa: BLE001 - the one that opening it raised before
        text = one_line(str(error))
        return text if "limit" in text.lower() else None
    return None


def detail(error: Exception) -> str:
    """Return the class and the message of an exception, in one line."""
    return f"{type(error).__name__}: {one_line(str(error))}"


def one_line(text: str) -> str:
    """Return a decoder's message without line breaks, and without memory addresses, which differ
    from run to run."""
    return " ".join(re.sub(r" at 0x[0-9a-fA-F]+", "", text).split())
