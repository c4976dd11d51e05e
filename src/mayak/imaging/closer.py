"""A second, closer look at images that were decoded small."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pickle import PickleBuffer
from queue import SimpleQueue
from typing import Self

from mayak.errors import DecodeError
from mayak.imaging.decode import decode, scale_for
from mayak.isolation import Helper, Lost
from mayak.types import DecodedImage, Sides

_SECONDS = 120.0
_MEMORY = 4 * 2**30
"""As triage's first look."""

Work = tuple[PickleBuffer, Sides]


class Closer:
    """Decodes images again, larger, each in one of ``count`` processes that stay; a context.

    For callers of any thread. The processes start when they are first needed.
    """

    def __init__(self, least: Sides, count: int) -> None:
        self._least = least
        self._stack = ExitStack()
        self._free: SimpleQueue[Helper[Work, DecodedImage | None]] = SimpleQueue()
        for _ in range(count):
            helper = Helper(_decoded, seconds=_SECONDS, memory=_MEMORY)
            self._stack.callback(helper.close)
            self._free.put(helper)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, image: DecodedImage) -> DecodedImage:
        """The image with sides of ``least`` or more, if its file has them.

        The image itself where it is that large already, and where a file that could be decoded
        small cannot be decoded larger.
        """
        if image.data is None or scale_for(image.size, self._least) == image.scale:
            return image
        helper = self._free.get()
        try:
            larger = helper((PickleBuffer(image.data), self._least))
        finally:
            self._free.put(helper)
        return image if larger is None or isinstance(larger, Lost) else larger


def _decoded(work: Work) -> DecodedImage | None:
    data, least = bytes(work[0]), work[1]
    try:
        return replace(decode(data, least=least, partial=True), data=None)
    except DecodeError:
        return None
