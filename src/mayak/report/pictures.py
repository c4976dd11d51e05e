"""Thumbnails of a report, blurred by default."""

from __future__ import annotations

import io

from PIL import Image, ImageFilter

from mayak.case import CaseStore, StoredContent
from mayak.errors import CaseError

_SIDE = 128
_RADIUS = 7
"""Pixels; colours and shapes remain, faces and text do not."""


def picture(case: CaseStore, content: StoredContent, *, clear: bool) -> bytes | None:
    """Return an image's thumbnail as a JPEG file, blurred beyond recognition unless ``clear``.

    The pixels themselves are blurred, so that the image cannot be restored from the report. None if
    the thumbnail is missing or is not the file that the case recorded.
    """
    try:
        data = case.thumbnail(content)
        if data is None:
            return None
        image = Image.open(io.BytesIO(data), formats=["JPEG"])
        image.load()
    except (CaseError, OSError, ValueError):  # `mayak verify` reports it
        return None
    if clear:
        return data
    image.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    image.filter(ImageFilter.GaussianBlur(_RADIUS)).save(stream, "JPEG", quality=70)
    return stream.getvalue()
