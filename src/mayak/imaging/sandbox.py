"""Worker processes for decoders, with limits of time, memory and file size."""

from __future__ import annotations

from collections.abc import Callable

from mayak.i18n import msg
from mayak.workers import Item, Lost, Result, WorkerPool, divide_memory

MAX_FILE_BYTES = 2**30
"""Size of a file that is decoded. Files are decoded in memory, which a film or a disk image would
fill."""
MAX_PIXELS = 225_000_000
"""Pixels that are decoded, at most. A worker's 4 GiB have room for them with each decoder (WebP's
takes most, 16 bytes a pixel); phones with 200 megapixels make fewer."""

_SECONDS = 120.0
_MEMORY = 4 * 2**30
"""Bytes for one file: enough for the largest picture that is not refused."""
_MIN_MEMORY = 2 * 2**30
"""Bytes for one file if the machine has too little for each process: a HEIC of 200 megapixels takes
1.5 GB."""


class Sandbox(WorkerPool[Item, Result]):
    """Worker processes for a function that decodes files, with the same limits for every caller.

    What one file may do to its decoder costs that file: it crashes, hangs or takes all memory in a
    process of its own, and the result is ``Lost``.
    """

    def __init__(self, function: Callable[[Item], Result], count: int = 1) -> None:
        """Prepare ``count`` processes, or as many as the free memory has room for."""
        count, self._memory = divide_memory(max(1, count), _MEMORY, _MIN_MEMORY)
        super().__init__(function, count, seconds=_SECONDS, memory=self._memory)

    def failure_text(self, lost: Lost) -> str:
        """Return what happened to a file, as cases and data sets record it."""
        match lost.why:
            case "crashed":
                return msg("the decoder crashed on this file")
            case "too-slow":
                return msg(
                    "the decoder took longer than {seconds:.0f} s on this file", seconds=_SECONDS
                )
            case "out-of-memory":
                return msg(
                    "the decoder needed more than {limit:.1f} GiB on this file",
                    limit=self._memory / 2**30,
                )
