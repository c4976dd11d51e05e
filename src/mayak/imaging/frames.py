"""Frames of an animation and pages of a scan: the pictures of an image file after the first."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from functools import partial

from PIL import Image

from mayak.imaging.decode import decode_frame, open_image, ppm
from mayak.imaging.decode_errors import decode_error
from mayak.imaging.embedded import EmbeddedImage
from mayak.imaging.png import without_large_texts

_MAX_FRAMES = 3
"""Frames of an animation that are examined after the first: each costs as much as a picture."""
_PAGED = {"DCX", "HEIF", "TIFF"}
_FIRST_ONLY = {"MPO", "PSD"}


def other_frames(data: bytes, names: Sequence[str] = ()) -> list[EmbeddedImage]:
    """Return the pictures of an image file after the one that ``decode`` returns.

    Of an animation, three evenly spaced frames with the last one; of a file of pages (TIFF, HEIF),
    all pages; nothing of files whose further pictures are previews or layers of the first (MPO,
    PSD). Each picture is read as PPM, which contains the pixels as ``decode`` returns them and
    nothing else, so that other software can compute its digest too; as PNG if its transparency
    hides a picture. With the ``names`` of an earlier call, the frames are not counted again.

    Raises:
        DecodeError: the file cannot be opened.
    """
    frames = _Frames(data)
    if names:
        return [
            EmbeddedImage(name, partial(frames.read, int(name.split()[1]) - 1)) for name in names
        ]
    try:
        with warnings.catch_warnings(), open_image(without_large_texts(data)[0]) as image:
            warnings.simplefilter("ignore")  # they are among those of ``decode``
            kind = image.format
            last = getattr(image, "n_frames", 1) - 1
    except Exception as error:
        raise decode_error(error, data) from error
    if kind in _FIRST_ONLY:
        return []
    chosen = last if kind in _PAGED else min(_MAX_FRAMES, last)
    numbers = [number * last // chosen for number in range(1, chosen + 1)]
    name = "page" if kind in _PAGED else "frame"
    return [
        EmbeddedImage(f"{name} {number + 1}", partial(frames.read, number)) for number in numbers
    ]


class _Frames:
    """Reads the pictures of one file by their numbers."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._open: Image.Image | None = None

    def read(self, number: int) -> bytes:
        """Return one picture as an image file. Raises DecodeError."""
        # A TIFF stays open, because a page is reached from the one before: opened again for each
        # page, the time would grow with the square of their number. Other formats would keep all
        # decoded frames in memory.
        image, self._open = self._open, None
        try:
            image = image or open_image(without_large_texts(self._data)[0])
            picture = decode_frame(self._data, frame=number, image=image)
        except Exception as error:
            raise decode_error(error, self._data) from error
        if image.format == "TIFF":
            self._open = image
        if picture.hidden is None:
            return ppm(picture.image)
        stream = io.BytesIO()
        picture.hidden.save(stream, "PNG")
        return stream.getvalue()
