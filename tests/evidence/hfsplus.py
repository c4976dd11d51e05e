"""A new HFS+ volume that holds given files; Debian has no tool that makes one.

Written from Apple's Technical Note TN1150, "HFS Plus Volume Format", whose names of structures
stand in the comments:
https://developer.apple.com/library/archive/technotes/tn/tn1150.html
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath

BLOCK = 4096
"""Bytes; also of a B-tree's node, which may not be smaller for the catalog."""
BLOCKS = 256
NAME = "PHONE"
MODIFIED = datetime(2026, 3, 1, tzinfo=UTC)
"""When everything was made, changed and last read."""

_STAMP = int((MODIFIED - datetime(1904, 1, 1, tzinfo=UTC)).total_seconds())
_ABOVE_ROOT, _ROOT, _FIRST_ID = 1, 2, 16
_FOLDER, _FILE, _FOLDER_THREAD, _FILE_THREAD = 1, 2, 3, 4
_HAS_THREAD = 2
_LEAF, _HEADER = -1, 1
_BIG_KEYS, _VARIABLE_INDEX_KEYS = 2, 4
_UNMOUNTED = 1 << 8
_NODE_HEAD = 14
_TOP = PurePosixPath()


def volume(files: Mapping[str, bytes]) -> bytes:
    """The bytes of a volume with these files; the folders in their paths are made."""
    image = bytearray(BLOCK * BLOCKS)
    # Block 0 holds the volume header, the last one its copy.
    allocation, extents = _fork(1, 1, BLOCK), _fork(2, 1, BLOCK)
    catalog = _fork(3, 2, 2 * BLOCK)
    used = 5
    forks = {}
    for path, data in files.items():
        count = -(-len(data) // BLOCK)
        image[used * BLOCK : used * BLOCK + len(data)] = data
        forks[PurePosixPath(path)] = _fork(used, count, len(data))
        used += count
    folders = {_TOP, *(above for path in forks for above in path.parents)}
    image[2 * BLOCK : 3 * BLOCK] = _tree([], max_key=10, attributes=_BIG_KEYS)
    image[3 * BLOCK : 5 * BLOCK] = _tree(
        _catalog(forks, folders), max_key=516, attributes=_BIG_KEYS | _VARIABLE_INDEX_KEYS
    )
    taken = "1" * used + "0" * (BLOCKS - used - 1) + "1"
    image[BLOCK : BLOCK + BLOCKS // 8] = int(taken, 2).to_bytes(BLOCKS // 8, "big")
    header = struct.pack(  # HFSPlusVolumeHeader
        ">2sHI4sI4I2I3I2I3IQ32s",
        *(b"H+", 4, _UNMOUNTED, b"10.0", 0),
        *(_STAMP, _STAMP, 0, _STAMP),
        *(len(forks), len(folders) - 1),
        *(BLOCK, BLOCKS, BLOCKS - used - 1),
        *(used, BLOCK),
        *(BLOCK, _FIRST_ID + len(forks) + len(folders), 1, 1),
        bytes(32),
    )
    header += allocation + extents + catalog + _fork(0, 0, 0) * 2
    image[1024 : 1024 + len(header)] = header
    image[-1024 : len(header) - 1024] = header
    return bytes(image)


def _fork(start: int, count: int, size: int) -> bytes:
    """HFSPlusForkData of one extent."""
    return struct.pack(">QII2I56x", size, BLOCK, count, start, count)


def _catalog(forks: Mapping[PurePosixPath, bytes], folders: set[PurePosixPath]) -> list[bytes]:
    """The catalog's leaf records, in the order of their keys."""
    below = sorted((folders - {_TOP}) | forks.keys())
    ids = {_TOP: _ROOT} | {path: number for number, path in enumerate(below, _FIRST_ID)}
    records = {}
    for path, number in ids.items():
        parent = _ABOVE_ROOT if path == _TOP else ids[path.parent]
        name = NAME if path == _TOP else path.name
        file = path in forks
        thread = struct.pack(">HHI", _FILE_THREAD if file else _FOLDER_THREAD, 0, parent)
        records[number, ""] = thread + _name(name)  # HFSPlusCatalogThread
        inside = sum(other != _TOP and other.parent == path for other in ids)
        body = struct.pack(  # HFSPlusCatalogFile, HFSPlusCatalogFolder
            ">HHII4I4x8xHH4x32x8x",
            *(_FILE if file else _FOLDER, _HAS_THREAD if file else 0, 0 if file else inside),
            *(number, _STAMP, _STAMP, _STAMP, _STAMP),
            *(0, 0o100644 if file else 0o40755),
        )
        records[parent, name] = body + (forks[path] + _fork(0, 0, 0) if file else b"")
    # Within a folder without regard to case; the names here need no more of TN1150's table.
    order = sorted(records, key=lambda key: (key[0], _decomposed(key[1]).lower()))
    return [_key(*key) + records[key] for key in order]


def _key(parent: int, name: str) -> bytes:
    """HFSPlusCatalogKey."""
    text = _name(name)
    return struct.pack(">HI", 4 + len(text), parent) + text


def _name(name: str) -> bytes:
    """HFSUniStr255: decomposed, as TN1150 asks for; the separator of paths cannot occur."""
    text = _decomposed(name).encode("utf-16-be")
    return struct.pack(">H", len(text) // 2) + text


def _decomposed(name: str) -> str:
    return unicodedata.normalize("NFD", name)


def _tree(records: list[bytes], *, max_key: int, attributes: int) -> bytes:
    """A B-tree of a header node and, for records, one leaf."""
    leaf = int(bool(records))
    header = struct.pack(  # BTHeaderRec
        ">HIIIIHHIIHIBBI64x",
        *(leaf, leaf, len(records), leaf, leaf),
        *(BLOCK, max_key, 1 + leaf, 0, 0, BLOCK, 0, 0, attributes),
    )
    room = BLOCK - _NODE_HEAD - len(header) - 128 - 2 * 4
    taken = bytes([0xC0 if leaf else 0x80]).ljust(room, b"\0")
    tree = _node(_HEADER, 0, [header, bytes(128), taken])
    return tree + _node(_LEAF, 1, records) if leaf else tree


def _node(kind: int, height: int, records: list[bytes]) -> bytes:
    """BTNodeDescriptor, records, and behind them from the end on where each begins."""
    head = struct.pack(">IIbBHH", 0, 0, kind, height, len(records), 0)
    starts = [_NODE_HEAD]
    for record in records:
        starts.append(starts[-1] + len(record))
    offsets = struct.pack(f">{len(starts)}H", *reversed(starts))
    if starts[-1] + len(offsets) > BLOCK:
        raise ValueError("more files than fit into one node")
    return (head + b"".join(records)).ljust(BLOCK - len(offsets), b"\0") + offsets
