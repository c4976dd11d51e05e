"""The readers of containers: one module each, registered here.

To add one, write a module with a ``Container`` and its ``FORMAT``, name it in ``READERS``, and give
its row in ``mayak.signatures`` the use ``ENTERED`` and a ``layer``, for example ``archive``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import cast

from mayak.evidence.base import ContainerFile, ContainerFormat
from mayak.signatures import FileKind

READERS = (
    "zip",
    "tar",
    "ewf",
    "volumes",
)
"""Modules of this package. They are asked in this order."""


def reader_of(kind: FileKind, file: ContainerFile) -> ContainerFormat | None:
    """Return the reader that opens a file of this kind, None if there is none."""
    return next((reader for reader in _formats() if reader.recognises(kind, file)), None)


@cache
def _formats() -> tuple[ContainerFormat, ...]:
    modules = (import_module(f"{__name__}.{name}") for name in READERS)
    return tuple(cast(ContainerFormat, module.FORMAT) for module in modules)
