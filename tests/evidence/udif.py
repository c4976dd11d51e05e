"""A DMG (UDIF) for tests: no tool of Debian's makes one. 7-Zip and QEMU read what this writes."""

from __future__ import annotations

import bz2
import lzma
import plistlib
import struct
import zlib


def adc(data: bytes) -> bytes:
    """Pack runs of one byte as copies of both lengths, everything else as literal bytes."""
    out = bytearray()
    at = 0
    while at < len(data):
        length = 0
        while at and length < 67 and data[at + length : at + length + 1] == data[at - 1 : at]:
            length += 1
        if length >= 4:
            short = length <= 18 and at % 2
            out += bytes([length - 3 << 2, 0] if short else [0x40 | length - 4, 0, 0])
            at += length
            continue
        end = at + 1
        while end < len(data) and end - at < 128 and data[end : end + 4] != 4 * data[end - 1 : end]:
            end += 1
        out += bytes([0x80 | end - at - 1]) + data[at:end]
        at = end
    return bytes(out)


def lzfse(data: bytes) -> bytes:
    import liblzfse  # pip install pyliblzfse

    return liblzfse.compress(data)


PACKERS = {
    "zlib": (0x80000005, zlib.compress),
    "bzip2": (0x80000006, bz2.compress),
    "adc": (0x80000004, adc),
    "lzfse": (0x80000007, lzfse),
    "lzma": (0x80000008, lambda data: lzma.compress(data, check=lzma.CHECK_CRC32)),
}


def udif(disk: bytes, packer: str, *, chunk: int = 1 << 18, tables: int = 2) -> bytes:
    """Return a DMG of ``disk``; chunks that do not shrink are stored, those of zeros left out."""
    code, pack = PACKERS[packer]
    body = bytearray()
    lists = []
    sectors = len(disk) // 512
    each = -(-sectors // tables)
    for first in range(0, sectors, each):
        part = disk[512 * first : 512 * (first + each)]
        rows = []
        for at in range(0, len(part), chunk):
            content = part[at : at + chunk]
            packed, kind = pack(content), code
            if not any(content):
                packed, kind = b"", (0, 2)[at // chunk % 2]
            elif len(packed) >= len(content):
                packed, kind = content, 1
            rows.append((kind, at // 512, len(content) // 512, len(body), len(packed)))
            body += packed
        rows.append((0xFFFFFFFF, len(part) // 512, 0, len(body), 0))
        head = struct.pack(">4sIQQQII", b"mish", 1, first, len(part) // 512, 0, 0, len(lists))
        head += bytes(24 + 136) + struct.pack(">I", len(rows))
        lists.append(head + b"".join(struct.pack(">I4xQQQQ", *row) for row in rows))
    tree = {"resource-fork": {"blkx": [{"Name": f"{i}", "Data": t} for i, t in enumerate(lists)]}}
    text = plistlib.dumps(tree)
    trailer = struct.pack(">4sIII8xQQ16xII", b"koly", 4, 512, 1, 0, len(body), 1, 1)
    trailer = trailer.ljust(216, b"\0") + struct.pack(">QQ", len(body), len(text))
    trailer = trailer.ljust(488, b"\0") + struct.pack(">IQ", 1, sectors)
    return bytes(body) + text + trailer.ljust(512, b"\0")
