"""Puts files into an empty APFS container as mkapfs makes it: no tool of Debian's does.

Records as in Apple's "Apple File System Reference" (2020-06-22), all in one leaf of the volume's
tree. 7-Zip reads what this writes, except holes and compressed files.
"""

from __future__ import annotations

import struct
import unicodedata
import zlib
from pathlib import Path
from typing import NamedTuple

BLOCK = 4096
_TREE = 0xE
_FREE = 24_000
"""The first block for content; mkapfs uses those before it."""
_TIME = 1_700_000_000_123_456_789


class File(NamedTuple):
    """A file; its content is stored from the given block of it on, in pieces of these blocks."""

    path: str
    content: bytes
    pieces: tuple[int, ...] = ()
    """Blocks of each extent; a negative number is a hole. Without them one extent."""
    is_packed: bool = False
    """Compressed with zlib into an attribute (decmpfs)."""


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc


def _checksum(block: bytearray) -> bytes:
    """Fletcher's checksum of 64 bits over a block without its first 8 bytes."""
    low = high = 0
    for (word,) in struct.iter_unpack("<I", block[8:]):
        low = (low + word) % 0xFFFFFFFF
        high = (high + low) % 0xFFFFFFFF
    first = 0xFFFFFFFF - (low + high) % 0xFFFFFFFF
    second = 0xFFFFFFFF - (low + first) % 0xFFFFFFFF
    return struct.pack("<II", first, second)


def _key(number: int, kind: int, rest: bytes = b"") -> bytes:
    return struct.pack("<Q", kind << 60 | number) + rest


def _entry(parent: int, name: str, number: int, mode: int) -> tuple[bytes, bytes]:
    text = unicodedata.normalize("NFD", name)
    hashed = _crc32c(text.casefold().encode("utf-32-le")) & 0x3FFFFF
    raw = text.encode() + b"\0"
    key = _key(parent, 9, struct.pack("<I", hashed << 10 | len(raw)) + raw)
    return key, struct.pack("<QQH", number, _TIME, mode >> 12)


def _inode(
    parent: int,
    number: int,
    name: str,
    mode: int,
    size: int | None = None,
    flags: int = 0,
) -> tuple[bytes, bytes]:
    raw = name.encode() + b"\0"
    fields = [(4, 2, raw)]
    if size is not None:
        room = -(-size // BLOCK) * BLOCK
        fields.append((8, 0x20, struct.pack("<5Q", size, room, 0, size, 0)))
    heads = b"".join(struct.pack("<BBH", kind, flag, len(body)) for kind, flag, body in fields)
    bodies = b"".join(body.ljust(-(-len(body) // 8) * 8, b"\0") for _, _, body in fields)
    value = struct.pack("<6Q", parent, number, _TIME, _TIME, _TIME, _TIME)
    value += struct.pack("<QiIIIIIHHQ", 0, 1, 0, 0, flags, 501, 20, mode, 0, 0)
    value += struct.pack("<HH", len(fields), len(bodies)) + heads + bodies
    return _key(number, 3), value


def _attribute(number: int, name: str, value: bytes) -> tuple[bytes, bytes]:
    raw = name.encode() + b"\0"
    return _key(number, 4, struct.pack("<H", len(raw)) + raw), value


def _records(path: bytearray, block: int) -> list[tuple[bytes, bytes]]:
    node = path[block * BLOCK : (block + 1) * BLOCK]
    (count,) = struct.unpack_from("<I", node, 36)
    offset, length = struct.unpack_from("<HH", node, 40)
    keys, values = 56 + offset + length, BLOCK - 40
    found = []
    for index in range(count):
        key, n_key, value, n_value = struct.unpack_from("<4H", node, 56 + offset + 8 * index)
        found.append(
            (
                bytes(node[keys + key : keys + key + n_key]),
                bytes(node[values - value : values - value + n_value]),
            )
        )
    return found


def _order(record: tuple[bytes, bytes]) -> tuple[int, int, int, bytes]:
    (head,) = struct.unpack_from("<Q", record[0])
    number, kind, rest = head & (1 << 60) - 1, head >> 60, record[0][8:]
    if kind == 4:  # the name, without its length
        return number, kind, 0, rest[2:]
    n_first = {8: 8, 9: 4}.get(kind, 0)
    return number, kind, int.from_bytes(rest[:n_first], "little"), rest[n_first:]


def fill(container: bytes, files: list[File]) -> bytes:
    """Return the container with these files, and a symbolic link to the first."""
    data = bytearray(container)
    (tree,) = (
        at
        for at in range(len(data) // BLOCK)
        if struct.unpack_from("<II", data, at * BLOCK + 24) == (2, _TREE)
    )
    records = _records(data, tree)
    place, number = _FREE, 16
    folders = {"": 2}
    for file in files:
        folder, _, name = file.path.rpartition("/")
        if folder not in folders:
            folders[folder] = number
            records += [_entry(2, folder, number, 0o40755), _inode(2, number, folder, 0o40755)]
            number += 1
        parent = folders[folder]
        records.append(_entry(parent, name, number, 0o100644))
        stored = file.content
        if file.is_packed:
            value = struct.pack("<4sIQ", b"fpmc", 3, len(stored)) + zlib.compress(stored)
            value = struct.pack("<HH", 2, len(value)) + value
            records.append(_attribute(number, "com.apple.decmpfs", value))
            records.append(_inode(parent, number, name, 0o100644, flags=0x20))
            number += 1
            continue
        records.append(_inode(parent, number, name, 0o100644, len(stored)))
        records.append((_key(number, 6), struct.pack("<I", 1)))
        at = 0
        for blocks in file.pieces or (-(-len(stored) // BLOCK),):
            if not blocks:
                continue
            size = abs(blocks) * BLOCK
            if blocks > 0:
                data[place * BLOCK : place * BLOCK + size] = stored[at : at + size].ljust(
                    size, b"\0"
                )
            extent = struct.pack("<QQQ", size, place if blocks > 0 else 0, 0)
            records.append((_key(number, 8, struct.pack("<Q", at)), extent))
            place += 2 * abs(blocks)  # so that no extent follows another
            at += size
        number += 1
    records += [_entry(2, "link", number, 0o120755), _inode(2, number, "link", 0o120755)]
    target = files[0].path.encode() + b"\0"
    records.append(
        _attribute(number, "com.apple.fs.symlink", struct.pack("<HH", 6, len(target)) + target)
    )
    _write(data, tree, sorted(records, key=_order))
    _count(data, number + 1, len(files), len(folders) - 1)
    return bytes(data)


def _count(data: bytearray, following: int, files: int, folders: int) -> None:
    """Set the next free number and the numbers of files, folders and links of the volume."""
    for at in range(0, len(data), BLOCK):
        if data[at + 32 : at + 36] == b"APSB":
            struct.pack_into("<4Q", data, at + 176, following, files, folders, 1)
            data[at : at + 8] = _checksum(data[at : at + BLOCK])


def _write(data: bytearray, tree: int, records: list[tuple[bytes, bytes]]) -> None:
    node = bytearray(data[tree * BLOCK : (tree + 1) * BLOCK])
    keys = b"".join(key for key, _ in records)
    table, at_key, at_value, values = b"", 0, 0, b""
    for key, value in records:
        at_value += len(value)
        table += struct.pack("<4H", at_key, len(key), at_value, len(value))
        values = value + values
        at_key += len(key)
    body = table + keys
    free = BLOCK - 40 - 56 - len(body) - len(values)
    if free < 0:
        raise ValueError(f"{-free} bytes too many for one leaf")
    struct.pack_into("<I", node, 36, len(records))
    struct.pack_into("<HHHHHHHH", node, 40, 0, len(table), len(keys), free, 0xFFFF, 0, 0xFFFF, 0)
    node[56 : BLOCK - 40] = body + bytes(free) + values
    longest = max(len(key) for key, _ in records), max(len(value) for _, value in records)
    struct.pack_into("<IIQ", node, BLOCK - 24, *longest, len(records))
    node[:8] = _checksum(node)
    data[tree * BLOCK : (tree + 1) * BLOCK] = node


def packed(container: bytes) -> bytes:
    """Return the blocks that are not zeros, each with its number, and the number of all."""
    blocks = [struct.pack("<I", len(container) // BLOCK)]
    for number in range(len(container) // BLOCK):
        block = container[number * BLOCK : (number + 1) * BLOCK]
        if any(block):
            blocks.append(struct.pack("<I", number) + block)
    return b"".join(blocks)


def unpack(blocks: bytes, path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(struct.unpack_from("<I", blocks)[0] * BLOCK)
        for at in range(4, len(blocks), 4 + BLOCK):
            file.seek(struct.unpack_from("<I", blocks, at)[0] * BLOCK)
            file.write(blocks[at + 4 : at + 4 + BLOCK])
