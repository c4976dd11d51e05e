"""Decode JPEGs again at a larger scale that were first decoded at a reduced one."""

from __future__ import annotations

from dataclasses import replace
from pickle import PickleBuffer
from typing import Self

from mayak.errors import DecodeError
from mayak.imaging.decode import decode, scale_for
from mayak.imaging.sandbox import Sandbox
from mayak.types import DecodedImage, Sides
from mayak.workers import Lost

_ATTEMPTS = 2
"""The system may have killed the first decoder, for want of memory."""

Work = tuple[PickleBuffer, Sides]


class Redecoder:
    """Decodes images again with sides of at least ``min_sides``, in ``count`` worker processes.

    A context manager, for callers of any thread. A process starts when it is first needed.
    """

    def __init__(self, min_sides: Sides, count: int, lost: list[str] | None = None) -> None:
        """``lost`` is extended by the SHA-256 of each image that keeps the reduced scale because
        no decoder survived it."""
        self._min_sides = min_sides
        self._sandbox = Sandbox(_decoded, count)
        self._lost = [] if lost is None else lost

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.close()

    def __call__(self, image: DecodedImage) -> DecodedImage:
        """Return the image with sides of ``min_sides`` or more, as far as its file has them.

        Returns the same image if it is already that large, or if its file can only be decoded at
        the reduced scale. If a decoder dies over it, another one tries once more.
        """
        if image.data is None or scale_for(image.size, self._min_sides) == image.scale:
            return image
        for _ in range(_ATTEMPTS):
            larger = self._sandbox((PickleBuffer(image.data), self._min_sides))
            if not isinstance(larger, Lost):
                return larger or image
        self._lost.append(image.sha256)
        return image


def _decoded(work: Work) -> DecodedImage | None:
    data, min_sides = bytes(work[0]), work[1]
    try:
        return replace(decode(data, min_sides=min_sides, partial=True), data=None)
    except DecodeError:
        return None
