"""Encrypted Office documents, which cannot be opened here."""

from __future__ import annotations

import struct
from typing import BinaryIO

from mayak.signatures import OFFICE_DOCUMENT

_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_SECTORS = 64
"""Sectors of a directory that are read, at most; that of an encrypted document has three."""
_SECTOR_SIZES = {9, 12}
"""Exponents of two."""


def needs_password(stream: BinaryIO, head: bytes) -> bool:
    """Return whether a file with these first 512 bytes is an encrypted Office document.

    Such a Word, Excel or PowerPoint document (2007 and later) is a compound file with a stream
    ``EncryptedPackage`` ([MS-OFFCRYPTO] 2.3.4.4, [MS-CFB] 2).

    The position of the stream afterwards is undefined. Raises what reading raises.
    """
    if not OFFICE_DOCUMENT.matches(head) or len(head) < 512:
        return False
    power, sector = struct.unpack_from("<H", head, 30)[0], struct.unpack_from("<L", head, 48)[0]
    if power not in _SECTOR_SIZES:
        return False
    size = 1 << power
    tables = struct.unpack_from("<109L", head, 76)
    for _ in range(_SECTORS):
        entries = _sector(stream, sector, size)
        if any(entries[at : at + 64].startswith(_ENCRYPTED) for at in range(0, len(entries), 128)):
            return True
        # The table of sectors states the next sector of the directory.
        table, index = divmod(sector, size // 4)
        if table >= len(tables):
            return False
        following = _sector(stream, tables[table], size)[4 * index : 4 * index + 4]
        sector = int.from_bytes(following, "little")
        if len(following) < 4:
            return False
    return False


def _sector(stream: BinaryIO, number: int, size: int) -> bytes:
    stream.seek((number + 1) * size)
    return stream.read(size)
