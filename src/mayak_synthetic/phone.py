"""An E01 of a synthetic phone's memory card."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

from mayak_synthetic.ewf import write_e01
from mayak_synthetic.exfat import MODIFIED, SECTOR, volume

_PARTITION_SECTOR = 2048
"""1 MiB, the usual start of a partition on flash memory."""
_EXFAT_TYPE = 0x07
_BEYOND_CHS = b"\xfe\xff\xff"
"""Cylinder, head and sector of an address beyond their range: the sector number counts."""
_DISK_SIGNATURE = 0x20260301


def write_phone(path: Path, files: Mapping[str, bytes], deleted: Collection[str]) -> None:
    """Write an E01 of a card with ``files``, by POSIX path, in one exFAT partition.

    Those in ``deleted`` are deleted, but their content is still there. The same files give the same
    medium, and with the same version of zlib the same E01. All is held in memory, several times
    over.

    Raises:
        ValueError: as ``exfat.volume`` and ``ewf.write_e01`` do.
    """
    partition = volume(files, deleted)
    start = _partition_table(len(partition) // SECTOR).ljust(_PARTITION_SECTOR * SECTOR, b"\0")
    write_e01(path, start + partition)


def as_on_a_phone(images: Mapping[str, bytes]) -> tuple[dict[str, bytes], set[str]]:
    """Place images, by file name, in a phone's folders; return the files and the deleted ones.

    Every fourth is deleted, every fifth is in a backup's ZIP, and every seventh of the others is
    in both places. Some files are not images.
    """
    files: dict[str, bytes] = {"Android/data/settings.xml": b"<settings/>"}
    backup: dict[str, bytes] = {}
    deleted: set[str] = set()
    for number, (name, data) in enumerate(sorted(images.items()), 1):
        folder = next((place for start, place in _PLACES if name.startswith(start)), "DCIM/Camera")
        if number % 5 == 0:
            backup[f"{folder}/{name}"] = data
            continue
        files[f"{folder}/{name}"] = data
        if number % 4 == 0:
            deleted.add(f"{folder}/{name}")
        if number % 7 == 0:
            backup[f"{folder}/{name}"] = data
    files["Download/백업.zip"] = _zipped(backup)
    return files, deleted


_PLACES = (("Screenshot", "DCIM/Screenshots"), ("카카오톡", "Pictures/KakaoTalk"))
"""Folders by the start of a file's name."""


def _zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            # A fixed time: the current time would make another archive of the same files.
            archive.writestr(zipfile.ZipInfo(name, MODIFIED.timetuple()[:6]), data)
    return buffer.getvalue()


def _partition_table(sectors: int) -> bytes:
    """A master boot record without code: one partition, not active."""
    entry = struct.pack(
        "<B3sB3sII", 0, _BEYOND_CHS, _EXFAT_TYPE, _BEYOND_CHS, _PARTITION_SECTOR, sectors
    )
    return struct.pack("<440xI2x16s48xH", _DISK_SIGNATURE, entry, 0xAA55)
