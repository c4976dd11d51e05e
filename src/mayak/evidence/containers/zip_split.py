"""ZIPs that were split into ``.z01``, ``.z02`` … and, last, ``.zip`` (APPNOTE 6.3, chapter 8)."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

from mayak.evidence.base import ContainerFile
from mayak.evidence.containers.segments import missing_piece
from mayak.evidence.containers.zip_records import number_of_disks
from mayak.evidence.streams import Bytes, JoinedBytes

_PIECE = re.compile(r"(.*\.[zZ])(\d{2,})", re.DOTALL)


class SplitZip(JoinedBytes):
    """The pieces of a split ZIP as one. Offsets in it count from the start of a piece."""

    def __init__(self, pieces: list[ContainerFile]) -> None:
        super().__init__([piece.data() for piece in pieces])
        self.paths = frozenset(piece.path for piece in pieces)
        self.disks = tuple(self._starts[:-1])
        self.stored: dict[str, str] = {}


def last_piece(name: str) -> str | None:
    """Return the name of the piece that has the directory, for that of an earlier piece."""
    match = _PIECE.fullmatch(name)
    if match is None:
        return None
    return match[1] + ("ip" if match[1].endswith("z") else "IP")


def joined(file: ContainerFile, data: Bytes) -> SplitZip | None:
    """Return all pieces of the split ZIP that a file is the last, or for want of that the first,
    piece of; None if it is not one.

    Raises:
        EvidenceError: a piece before the last one is missing.
    """
    name = file.path.name.rpartition("/")[2]
    if (first := _PIECE.fullmatch(name)) is not None and int(first[2]) == 1:
        later = (file.beside(f"{first[1]}{number:0{len(first[2])}}") for number in count(2))
        return SplitZip([file, *iter(lambda: next(later), None)])
    earlier = number_of_disks(data) - 1
    if earlier < 1 or not name.lower().endswith(".zip"):
        return None
    pieces: list[ContainerFile] = []
    for piece in (f"{name[:-2]}{number:02}" for number in range(1, earlier + 1)):
        found = file.beside(piece)
        if found is None:
            raise missing_piece(file.on_disk or Path(file.path.name), piece)
        pieces.append(found)
    return SplitZip([*pieces, file])
