from __future__ import annotations

import io
import struct

import pytest

from mayak.imaging.office import needs_password

FREE, END = 0xFFFFFFFF, 0xFFFFFFFE


def compound(*names, size=512, apart=1):
    """A compound file of a directory with these names, its sectors apart from one another."""
    entries = b"".join(
        name.encode("utf-16-le").ljust(64, b"\0") + struct.pack("<H", 2 * len(name) + 2) + bytes(62)
        for name in ("Root Entry", *names)
    )
    parts = [entries[at : at + size].ljust(size, b"\0") for at in range(0, len(entries), size)]
    numbers = [1 + apart * index for index in range(len(parts))]  # sector 0 is their table
    table = [FREE] * (size // 4)
    for number, following in zip(numbers, [*numbers[1:], END], strict=True):
        table[number] = following
    head = bytearray(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(76, b"\0"))
    struct.pack_into("<3H", head, 26, 3, 0xFFFE, size.bit_length() - 1)
    struct.pack_into("<L", head, 48, numbers[0])
    head += struct.pack("<109L", 0, *[FREE] * 108)
    file = bytearray(head.ljust(size, b"\0") + bytes(size * (numbers[-1] + 1)))
    file[size : 2 * size] = struct.pack(f"<{len(table)}L", *table)
    for number, part in zip(numbers, parts, strict=True):
        file[(number + 1) * size : (number + 2) * size] = part
    return bytes(file)


OFFICE = ("\6DataSpaces", "Version", "DataSpaceMap", "DataSpaceInfo", "StrongEncryptionDataSpace")


@pytest.mark.parametrize("size", [512, 4096])
@pytest.mark.parametrize("apart", [1, 3])
@pytest.mark.parametrize("names", [(), OFFICE, OFFICE * 7])
def test_an_encrypted_document_is_told_from_an_old_one(size, apart, names):
    for more, expected in (
        (("EncryptionInfo", "EncryptedPackage"), True),
        (("WordDocument",), False),
    ):
        data = compound(*names, *more, size=size, apart=apart)
        assert needs_password(io.BytesIO(data), data[:512]) is expected


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"EncryptedPackage".ljust(512),
        compound("EncryptedPackage")[:300],
        compound("EncryptedPackage")[:600],
        compound("WordDocument")[:1024],
        compound("EncryptedPackage")[:30] + b"\x40" + compound("EncryptedPackage")[31:],
        compound(*OFFICE, "x").replace(struct.pack("<L", 2), struct.pack("<L", 1)),  # a circle
    ],
)
def test_what_is_damaged_or_something_else_is_not(data):
    assert not needs_password(io.BytesIO(data), data[:512])
