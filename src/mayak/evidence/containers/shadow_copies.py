"""Volume shadow copies of NTFS, with libvshadow; alone imports pyvshadow.

Structures as in libvshadow's "Volume Shadow Snapshot (VSS) format".
"""

from __future__ import annotations

import struct

from mayak.evidence.base import library_for
from mayak.evidence.streams import Bytes, HandleBytes, stream_of
from mayak.types import EvidencePath

_MARK = bytes.fromhex("6b87083876c1484eb7ae04046e6cc752")
_HEADER = 0x1E00
_CATALOG = 48
"""In the header, the offset of the catalog's first block."""
_BLOCK = 0x4000
_NEXT = 40
"""In a block, the offset of the next one."""
_ENTRY = 128
"""Bytes of a block's header and of each entry."""
_STORE = 2
"""The type of the entry that states a shadow copy's time."""
_MAX_BLOCKS = 1024
"""Windows makes 512 shadow copies at most: some blocks."""


def count_shadow_copies(data: Bytes) -> int:
    """Return the number of shadow copies that an NTFS volume lists. Raises OSError."""
    header = data.read_at(_HEADER, _CATALOG + 8)
    if not header.startswith(_MARK) or len(header) < _CATALOG + 8:
        return 0
    count = 0
    (place,) = struct.unpack_from("<Q", header, _CATALOG)
    seen: set[int] = set()
    while place and place not in seen and len(seen) < _MAX_BLOCKS:
        seen.add(place)
        block = data.read_at(place, _BLOCK)
        if not block.startswith(_MARK) or len(block) < _BLOCK:
            break
        kinds = (struct.unpack_from("<Q", block, at)[0] for at in range(_ENTRY, _BLOCK, _ENTRY))
        count += sum(kind == _STORE for kind in kinds)
        (place,) = struct.unpack_from("<Q", block, _NEXT)
    return count


def shadow_copies(data: Bytes, path: EvidencePath) -> list[tuple[str, Bytes]]:
    """Return the shadow copies of an NTFS volume, each with a name: its number and UTC.

    Raises:
        NotReadError: the library is missing.
        OSError: they are damaged.
    """
    with library_for(path, "volume shadow copies"):
        import pyvshadow
    volume = pyvshadow.volume()
    volume.open_file_object(stream_of(data.read_at, data.size))
    copies: list[tuple[str, Bytes]] = []
    for index in range(int(volume.number_of_stores)):
        store = volume.get_store(index)
        name = f"shadow copy {index + 1} ({store.get_creation_time():%Y-%m-%d %H:%M:%S})"
        copies.append((name, HandleBytes(store, store.volume_size)))
    return copies
