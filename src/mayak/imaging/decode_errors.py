"""Translate exceptions of decoders into DecodeError, with a reason and a remedy."""

from __future__ import annotations

import io
import re

from PIL import Image, UnidentifiedImageError

from mayak.errors import DecodeError
from mayak.imaging import formats
from mayak.imaging.png import is_cgbi
from mayak.imaging.sandbox import MAX_PIXELS
from mayak.language import tr


def decode_error(error: Exception, data: bytes) -> DecodeError:
    """Return the error for bytes over which a decoder raised ``error``."""
    promised = formats.signature(data)
    if unsupported := _unsupported(promised, data):
        return unsupported
    if isinstance(error, Image.DecompressionBombError):
        return DecodeError(
            tr(
                f"refused as a decompression bomb: more than {MAX_PIXELS // 10**6} million "
                f"pixels ({error})",
                f"압축 폭탄으로 의심되어 거부했습니다. 픽셀이 {MAX_PIXELS // 10**4:,}만 개를 "
                f"넘습니다 ({error})",
            ),
            remedy=_look(),
        )
    if isinstance(error, UnidentifiedImageError):
        return _unidentified(promised, data)
    cause = detail(error)
    return DecodeError(
        tr(f"cannot be decoded ({cause})", f"디코딩할 수 없습니다 ({cause})"), remedy=_check()
    )


def _unsupported(promised: str | None, data: bytes) -> DecodeError | None:
    """Return the error for a format that this installation does not decode."""
    if promised == "HEIF" and not formats.is_decoded("HEIF"):
        return DecodeError(
            tr("HEIC needs a codec that is not installed", "HEIC 코덱이 설치되어 있지 않습니다"),
            remedy="pip install 'mayak[heic]'",
        )
    if promised and not formats.is_decoded(promised):
        return DecodeError(
            tr(f"is {promised}, which is not decoded", f"{promised} 형식은 디코딩하지 않습니다"),
            remedy=_look(),
        )
    if is_cgbi(data):
        return DecodeError(
            tr(
                "is an iOS-optimised PNG (CgBI), which is not decoded",
                "iOS용으로 변형된 PNG(CgBI)이며 디코딩하지 않습니다",
            ),
            remedy=_look(),
        )
    return None


def _unidentified(promised: str | None, data: bytes) -> DecodeError:
    """Return the error for bytes that no decoder accepted."""
    if promised == "HEIF" and (limit := _heif_limit(data)):
        return DecodeError(
            tr(f"libheif refuses it ({limit})", f"libheif가 거부했습니다 ({limit})"), remedy=_look()
        )
    if promised:
        return DecodeError(
            tr(
                f"starts as {promised} but its header is damaged or of an unknown variant",
                f"{promised}로 시작하지만 헤더가 손상되었거나 알 수 없는 변형입니다",
            ),
            remedy=_check(),
        )
    if formats.is_program(data):
        return DecodeError(
            tr(
                "PostScript and Windows metafiles are programs and are not run",
                "포스트스크립트와 윈도 메타파일은 프로그램이므로 실행하지 않습니다",
            ),
            remedy=_look(),
        )
    return DecodeError(
        tr("not an image in any known format", "알려진 형식의 이미지가 아닙니다"),
        remedy=_check(),
    )


def _check() -> str:
    return tr(
        "open it in an image viewer; if it is an image, it is damaged",
        "이미지 뷰어로 열어 보십시오. 이미지라면 손상된 파일입니다",
    )


def _look() -> str:
    return tr(
        "look at it with another program and record by hand what it shows",
        "다른 프로그램으로 열어 보고 내용을 직접 기록하십시오",
    )


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
