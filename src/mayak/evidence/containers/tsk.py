"""The Sleuth Kit; alone imports pytsk3."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytsk3

from mayak.evidence.streams import Bytes

Tsk = Any
"""An object of pytsk3, which states no types."""

FAULTS = (OSError, RuntimeError)
"""What TSK raises for damaged data, and what becomes of an exception in ``TskImage.read``.
Returning nothing there would be worse: TSK reads zeros in its place."""

FAT_TYPES = (
    pytsk3.TSK_FS_TYPE_FAT12,
    pytsk3.TSK_FS_TYPE_FAT16,
    pytsk3.TSK_FS_TYPE_FAT32,
    pytsk3.TSK_FS_TYPE_EXFAT,
)
EXT_TYPES = (pytsk3.TSK_FS_TYPE_EXT2, pytsk3.TSK_FS_TYPE_EXT3, pytsk3.TSK_FS_TYPE_EXT4)
NTFS = pytsk3.TSK_FS_TYPE_NTFS
EXFAT = pytsk3.TSK_FS_TYPE_EXFAT
ISO9660 = pytsk3.TSK_FS_TYPE_ISO9660
HFS = pytsk3.TSK_FS_TYPE_HFS

REGULAR = pytsk3.TSK_FS_META_TYPE_REG
FOLDER = pytsk3.TSK_FS_META_TYPE_DIR
VIRTUAL_FOLDER = pytsk3.TSK_FS_META_TYPE_VIRT_DIR
VIRTUAL_FILE = pytsk3.TSK_FS_META_TYPE_VIRT
FOLDERS = (FOLDER, VIRTUAL_FOLDER)
SYMBOLIC_LINK = pytsk3.TSK_FS_META_TYPE_LNK
SPECIAL = (
    pytsk3.TSK_FS_META_TYPE_BLK,
    pytsk3.TSK_FS_META_TYPE_CHR,
    pytsk3.TSK_FS_META_TYPE_FIFO,
    pytsk3.TSK_FS_META_TYPE_SOCK,
)
NTFS_DATA = pytsk3.TSK_FS_ATTR_TYPE_NTFS_DATA

SECTOR = 512
"""Bytes of the sectors that TSK counts in."""
_TABLES = (pytsk3.TSK_VS_TYPE_DETECT, pytsk3.TSK_VS_TYPE_GPT, pytsk3.TSK_VS_TYPE_DOS)


class TskImage(pytsk3.Img_Info):  # type: ignore[misc]
    """An image whose bytes TSK reads through ``Bytes``."""

    def __init__(
        self, data: Bytes, shown: Callable[[int, bytes], bytes] = lambda _, read: read
    ) -> None:
        """``shown`` maps an offset and the bytes there to those that TSK gets."""
        self._data = data
        self._shown = shown
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def read(self, offset: int, size: int) -> bytes:
        return self._shown(offset, self._read(offset, size))

    def _read(self, offset: int, size: int) -> bytes:
        try:
            return self._data.read_at(offset, size)
        except FAULTS:
            # TSK asks for 64 KiB and keeps them, though it needs less. The bytes before the fault
            # serve as well: if it needs those after it, it asks again from there on.
            if good := self._before_fault(offset, size):
                return good
            raise

    def _before_fault(self, offset: int, size: int) -> bytes:
        good = b""
        with suppress(*FAULTS):
            while part := self._data.read_at(offset + len(good), min(SECTOR, size - len(good))):
                good += part
        return good

    def get_size(self) -> int:
        return self._data.size

    def close(self) -> None:
        # The source owns the bytes.
        return None


@dataclass(frozen=True, slots=True)
class PartitionTable:
    """Where a disk's partitions and the space between them are: offsets and lengths in bytes."""

    partitions: list[tuple[int, int]]
    free: list[tuple[int, int]]


class _FirstOfEach:
    """A disk of larger sectors as one of ``SECTOR``: of each the first bytes, in which the fields
    of a partition table are."""

    def __init__(self, data: Bytes, sector: int) -> None:
        self._data, self._sector = data, sector
        self.size = data.size // sector * SECTOR

    def read_at(self, offset: int, size: int) -> bytes:
        numbers = range(offset // SECTOR, -(-min(offset + size, self.size) // SECTOR))
        found = b"".join(self._data.read_at(n * self._sector, SECTOR) for n in numbers)
        return found[offset % SECTOR :][:size]

    def close(self) -> None:
        self._data.close()


def partition_table(data: Bytes, sector: int) -> PartitionTable | None:
    """Return the first partition table that has partitions, None if there is none.

    ``sector``: bytes of a sector, which an MBR does not state. TSK takes 512, and more if a GPT is
    there.
    """
    image = TskImage(data if sector == SECTOR else _FirstOfEach(data, sector))
    for kind in _TABLES:
        with suppress(*FAULTS):
            table = pytsk3.Volume_Info(image, kind)
            used = [p for p in table if int(p.flags) == int(pytsk3.TSK_VS_PART_FLAG_ALLOC)]
            if kind == pytsk3.TSK_VS_TYPE_DETECT and _protects_gpt(used):
                continue  # its first GPT is damaged: TSK finds the second if asked for it
            if used:
                block = int(table.info.block_size) * sector // SECTOR
                free = [p for p in table if int(p.flags) == int(pytsk3.TSK_VS_PART_FLAG_UNALLOC)]
                return PartitionTable(_extents(used, block), _extents(free, block))
    return None


def _extents(parts: list[Tsk], block: int) -> list[tuple[int, int]]:
    return [(int(part.start) * block, int(part.len) * block) for part in parts]


def _protects_gpt(parts: list[Tsk]) -> bool:
    """Whether these partitions of an MBR only keep older programs off a GPT disk."""
    return bool(parts) and all(bytes(part.desc).startswith(b"GPT Safety") for part in parts)


def mount(image: TskImage, offset: int) -> Tsk | None:
    """Open the file system at an offset; None if there is none that TSK knows.

    Raises:
        RuntimeError: there is one that cannot be read.
    """
    with suppress(OSError):
        return open_file_system(image, offset)
    return None


def open_file_system(image: TskImage, offset: int) -> Tsk:
    """Open the file system at an offset. Raises OSError or RuntimeError."""
    return pytsk3.FS_Info(image, offset=offset)


def is_in_use(meta: Tsk) -> bool:
    """Whether a record is allocated."""
    return bool(int(meta.flags) & int(pytsk3.TSK_FS_META_FLAG_ALLOC))


def is_free(meta: Tsk) -> bool:
    """Whether a record is marked as unallocated."""
    return bool(int(meta.flags) & int(pytsk3.TSK_FS_META_FLAG_UNALLOC))


def is_deleted_name(name: Tsk) -> bool:
    """Whether a folder's entry is marked as deleted."""
    return bool(int(name.flags) & int(pytsk3.TSK_FS_NAME_FLAG_UNALLOC))
