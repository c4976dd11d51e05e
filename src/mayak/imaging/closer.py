"""A second, closer look at images that were decoded small."""

from __future__ import annotations

from dataclasses import replace
from pickle import PickleBuffer
from typing import Self

from mayak.errors import DecodeError
from mayak.imaging.decode import decode, scale_for
from mayak.imaging.sandbox import Sandbox
from mayak.types import DecodedImage, Sides
from mayak.workers import Lost

Work = tuple[PickleBuffer, Sides]


class Closer:
    """Decodes images again, larger, each in one of ``count`` processes that stay; a context.

    For callers of any thread. The processes start when they are first needed.
    """

    def __init__(self, least: Sides, count: int) -> None:
        self._least = least
        self._sandbox = Sandbox(_decoded, count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.close()

    def __call__(self, image: DecodedImage) -> DecodedImage:
        """The image with sides of ``least`` or more, if its file has them.

        The image itself where it is that large already, and where a file that could be decoded
        small cannot be decoded larger.
        """
        if image.data is None or scale_for(image.size, self._least) == image.scale:
            return image
        larger = self._sandbox((PickleBuffer(image.data), self._least))
        return image if larger is None or isinstance(larger, Lost) else larger


def _decoded(work: Work) -> DecodedImage | None:
    data, least = bytes(work[0]), work[1]
    try:
        return replace(decode(data, least=least, partial=True), data=None)
    except DecodeError:
        return None
