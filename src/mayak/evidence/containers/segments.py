"""Files that were split into numbered pieces: ``.001``, ``.002`` …"""

from __future__ import annotations

import re
from pathlib import Path

from mayak.errors import EvidenceError
from mayak.evidence.base import ContainerFile, ContainerFormat
from mayak.evidence.streams import Bytes, FileBytes, JoinedBytes, open_quietly
from mayak.i18n import msg


def numbered_pieces(path: Path) -> list[Path]:
    """Return the file and, if it is the first piece (``.001`` or ``.000``), those after it.

    Raises:
        EvidenceError: one between the first and the last is missing.
    """
    match = re.fullmatch(r"\.(0*[01])", path.suffix)
    if match is None or len(match[1]) < 2:
        return [path]
    first, width = int(match[1]), len(match[1])
    numbers = sorted(
        int(other.suffix[1:])
        for other in path.parent.iterdir()
        if other.stem == path.stem and re.fullmatch(rf"\.\d{{{width}}}", other.suffix)
    )
    numbers = [number for number in numbers if number >= first]
    for number in range(first, numbers[-1]):
        if number not in numbers:
            raise missing_piece(path, f"{path.stem}.{number:0{width}}")
    return [path.with_suffix(f".{number:0{width}}") for number in numbers]


def missing_piece(path: Path, name: str) -> EvidenceError:
    """Return the error for a split file of which one piece is missing."""
    return EvidenceError(
        msg("{path}: piece {missing!r} is missing", path=path, missing=name),
        remedy=msg("put all pieces into one folder"),
    )


def open_pieces(path: Path) -> Bytes:
    """Open a file with its pieces as one. Raises OSError, and EvidenceError for a missing one."""
    paths = numbered_pieces(path)
    if len(paths) == 1:
        return FileBytes(open_quietly(path))
    pieces: list[Bytes] = []
    try:
        pieces.extend(FileBytes(open_quietly(piece)) for piece in paths)
    except OSError:
        JoinedBytes(pieces).close()
        raise
    return JoinedBytes(pieces)


def is_later_piece(reader: ContainerFormat, file: ContainerFile) -> bool:
    """Whether a file is read through the first piece of a split container."""
    if reader.is_later_segment is not None:
        return reader.is_later_segment(file)
    return file.on_disk is not None and follows_a_first(file.on_disk)


def follows_a_first(file: Path) -> bool:
    """Whether the first piece of the split file that this one's name belongs to is next to it."""
    if not re.fullmatch(r"\.[0-9]{2,}", file.suffix):
        return False
    first = range(min(int(file.suffix[1:]), 2))
    return any(file.with_suffix(f".{n:0{len(file.suffix) - 1}}").exists() for n in first)
