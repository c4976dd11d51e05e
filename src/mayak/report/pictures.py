"""The small pictures of a report."""

from __future__ import annotations

import io

from PIL import Image, ImageFilter

from mayak.case import CaseStore, StoredContent
from mayak.errors import CaseError

_SIDE = 128
_RADIUS = 7
"""Pixels: leaves colours and shapes, no face and no line of text."""


def picture(case: CaseStore, content: StoredContent, *, clear: bool) -> bytes | None:
    """A JPEG file of a content's thumbnail, blurred beyond recognition unless ``clear``.

    The blur is in the pixels, so that nothing of the page brings the image back. None where the
    thumbnail is absent, or is not the file that the case wrote.
    """
    try:
        data = case.thumbnail(content)
        if data is None:
            return None
        image = Image.open(io.BytesIO(data), formats=["JPEG"])
        image.load()
    except (CaseError, OSError, ValueError):  # verify names it
        return None
    if clear:
        return data
    image.thumbnail((_SIDE, _SIDE))
    stream = io.BytesIO()
    image.filter(ImageFilter.GaussianBlur(_RADIUS)).save(stream, "JPEG", quality=70)
    return stream.getvalue()
