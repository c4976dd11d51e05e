"""E01 and split E01 (Expert Witness Format), read by libewf; alone imports pyewf."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, product
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from typing import BinaryIO

import pyewf

from mayak.errors import EvidenceError
from mayak.evidence.base import Container, ContainerFile, ContainerFormat, Limits
from mayak.evidence.containers.segments import missing_piece
from mayak.evidence.containers.volumes import DiskContainer
from mayak.evidence.streams import HandleBytes, stream_of, translated
from mayak.i18n import msg
from mayak.signatures import E01
from mayak.types import EvidencePath

_FIRST_SEGMENT = b"\1\0"


def ewf_segments(path: Path) -> list[Path]:
    """Return an E01 and the segments next to it: E02, E03 …

    Raises:
        EvidenceError: one before the last is missing. Whether there should be more after the last,
            only reading shows.
    """
    try:
        segments = [Path(segment) for segment in pyewf.glob(str(path))]
    # libewf finds segments by their extension only, and by the first one; this file has another, or
    # the first is missing.
    except (OSError, MemoryError):
        return [path]
    numbers = [
        int(other.suffix[2:])
        for other in path.parent.iterdir()
        if other.stem == path.stem and re.fullmatch(r"\.[Ee][0-9]{2}", other.suffix)
    ]
    if max(numbers, default=0) > len(segments):
        raise missing_piece(path, f"{path.stem}{path.suffix[:2]}{len(segments) + 1:02}")
    return segments


class EwfBytes(HandleBytes):
    """The disk inside an E01.

    A damaged chunk reads as zeros without an error; only the ``stored`` hashes reveal it.
    """

    def __init__(self, path: Path, contents: Sequence[BinaryIO] = ()) -> None:
        """``contents`` are the segments of an E01 in another container, which is not at ``path``.

        Raises:
            EvidenceError: a segment is missing, or the image is damaged.
        """
        with translated(path):
            handle = pyewf.handle()
            if contents:
                handle.open_file_objects(list(contents))
            else:
                handle.open([str(segment) for segment in ewf_segments(path)])
            super().__init__(handle, handle.get_media_size())
            self.sector_size = int(handle.get_bytes_per_sector())
            self.stored: dict[str, str] = {
                name.lower(): value.lower()
                for name, value in handle.get_hash_values().items()
                if name in ("MD5", "SHA1")
            }


def _is_later_segment(head: bytes) -> bool:
    return head[9:11] != _FIRST_SEGMENT


def _open(file: ContainerFile, path: EvidencePath, _: Limits) -> Container:
    if _is_later_segment(file.head):
        raise EvidenceError(
            msg("{path} is not the first segment", path=file.on_disk or path.name),
            remedy=msg("name the file that ends in 01"),
        )
    if file.on_disk is not None:
        medium = EwfBytes(file.on_disk)
    else:
        segments = [file, *_later_segments(file)]
        streams = [stream_of(data.read_at, data.size) for data in (s.data() for s in segments)]
        medium = EwfBytes(Path(path.name), streams)
    disk = DiskContainer(medium, path, file.choices, medium.sector_size)
    disk.medium = medium
    return disk


def _later_segments(file: ContainerFile) -> Iterator[ContainerFile]:
    """Yield the segments after the first that are next to it, in a container: E02 … E99, EAA …"""
    name = file.path.name.rpartition("/")[2]
    if not re.search(r"\.[EeSs]01$", name):
        return
    first = ascii_uppercase if name[-3].isupper() else ascii_lowercase
    letters = first[first.index(name[-3]) :]
    ends = chain(
        (f"{name[-3]}{number:02}" for number in range(2, 100)),
        map("".join, product(letters, first, first)),
    )
    for end in ends:
        segment = file.beside(name[:-3] + end)
        if segment is None:
            return
        yield segment


def _follows_a_first(file: ContainerFile) -> bool:
    """Whether the first segment is next to a later one."""
    stem, _, _ = file.path.name.rpartition("/")[2].rpartition(".")
    names = (f"{stem}.{end}" for end in ("E01", "e01", "S01", "s01"))
    return _is_later_segment(file.head) and any(file.beside(name) for name in names)


FORMAT = ContainerFormat((E01,), _open, ewf_segments, _follows_a_first)
