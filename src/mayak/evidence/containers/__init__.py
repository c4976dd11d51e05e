"""The readers of containers: one module each, registered here.

To add one, write a module with a ``Container`` and a ``FORMAT`` for its kinds, name it in
``READERS``, and give its row in ``mayak.signatures`` the use ``ENTERED`` and a ``layer``, for
example ``archive``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import cast

from mayak.evidence.base import ContainerFile, ContainerFormat
from mayak.signatures import KINDS, FileKind, Use

READERS = (
    "zip",
    "tar",
    "compressed",
    "cpio",
    "sevenzip",
    "rar",
    "ewf",
    "virtual",
    "volumes",
    "ios_backup",
    "android_backup",
)
"""Modules of this package."""

_FORMATS = tuple(
    cast(ContainerFormat, import_module(f"{__name__}.{name}").FORMAT) for name in READERS
)


_OF_SEVERAL = tuple(reader for reader in _FORMATS if reader.first_file is not None)


def reader_of(kind: FileKind, file: ContainerFile) -> ContainerFormat | None:
    """Return the reader that opens a file of this kind, None if it is not a container."""
    for reader in _readers(kind):
        if reader.holds_files is None or reader.holds_files(kind, file):
            return reader
    return None


def first_files(name: str) -> list[tuple[ContainerFormat, str]]:
    """Return the readers of containers of several files that a file of this name may belong to,
    each with the name of the container's first file."""
    found = ((reader, reader.first_file(name)) for reader in _OF_SEVERAL if reader.first_file)
    return [(reader, first) for reader, first in found if first is not None]


def entered_kinds() -> list[str]:
    """Return the names of the kinds that a reader opens, in the order of the table."""
    return list(dict.fromkeys(kind.name for kind in KINDS if _is_entered(kind)))


def _is_entered(kind: FileKind) -> bool:
    return kind.use is Use.ENTERED and any(_readers(kind))


def require_readers(kinds: Iterable[FileKind]) -> None:
    """Check that each kind with a layer has a reader: without one, the files in it would be missing
    without a word.

    Raises:
        ValueError: a kind has none.
    """
    for kind in kinds:
        if kind.layer is not None and not any(_readers(kind)):
            raise ValueError(f"{kind.name}: none of the READERS opens this kind")


def _readers(kind: FileKind) -> Iterator[ContainerFormat]:
    return (reader for reader in _FORMATS if kind in reader.kinds)


require_readers(KINDS)
