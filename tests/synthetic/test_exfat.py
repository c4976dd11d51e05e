"""A new exFAT volume: its fields by Microsoft's specification, and what it refuses."""

import struct

import pytest

from mayak_synthetic.exfat import CLUSTER, SECTOR, volume

FILES = {"DCIM/a": b"live" * 2000, "DCIM/b": b"gone" * 2000, "c": b"root"}


def boot(data):
    heap, clusters, root = struct.unpack_from("<III", data, 88)
    return heap * SECTOR, clusters, root


def in_use(data, content):
    """The bitmap's bits of the clusters that hold ``content``."""
    heap, _, root = boot(data)
    # The root lists the label first, then the bitmap.
    entry = heap + (root - 2) * CLUSTER + 32
    assert data[entry] == 0x81
    bitmap = heap + (struct.unpack_from("<I", data, entry + 20)[0] - 2) * CLUSTER
    start, rest = divmod(data.index(content) - heap, CLUSTER)
    assert rest == 0
    return [
        data[bitmap + number // 8] >> number % 8 & 1
        for number in range(start, start - -len(content) // CLUSTER)
    ]


def test_the_boot_sector_tells_the_size_and_is_there_twice():
    data = volume(FILES, ())
    heap, clusters, _ = boot(data)
    assert data[3:11] == b"EXFAT   "
    assert data[510:512] == b"\x55\xaa"
    assert struct.unpack_from("<Q", data, 72)[0] * SECTOR == len(data)
    assert heap + clusters * CLUSTER == len(data) > 1 << 20
    assert data[: 12 * SECTOR] == data[12 * SECTOR : 24 * SECTOR]


def test_checksum_and_times_are_as_computed_by_hand():
    data = volume({"a": b"x"}, ())
    # "A" is 41 00 in UTF-16: 0x41, rotated right 0x8020, plus 0.
    stream = data.index(b"\xc0\x03\x00\x01" + struct.pack("<H", 0x8020))
    # 2026-03-01 09:00, and 36 quarters of an hour before UTC.
    stamp = struct.pack("<I", 46 << 25 | 3 << 21 | 1 << 16 | 9 << 11)
    assert data[stream - 32 + 8 : stream] == stamp * 3 + b"\0\0" + b"\xa4" * 3 + bytes(7)


def test_deleting_changes_the_entries_marks_and_the_bitmap_only():
    before, after = volume(FILES, ()), volume(FILES, {"DCIM/b"})
    heap, _, _ = boot(before)
    changed = [at for at in range(heap, len(before)) if before[at] != after[at]]
    assert [(before[at], after[at]) for at in changed[:3]] == [
        (0x85, 0x05),
        (0xC0, 0x40),
        (0xC1, 0x41),
    ]
    # Clusters 4 and 5 are the third and fourth of the heap.
    assert [(before[at] ^ after[at]) for at in changed[3:]] == [0b1100]
    assert in_use(before, FILES["DCIM/b"]) == [1, 1]
    assert in_use(after, FILES["DCIM/b"]) == [0, 0]
    assert in_use(after, FILES["DCIM/a"]) == [1, 1]


@pytest.mark.parametrize(
    "name",
    ["", ".", "a/../b", "/a", "a:b", "what?", "line\n", 'a"', "a\\b", "가" * 256, "😀" * 128],
)
def test_a_name_that_exfat_cannot_store_is_refused(name):
    with pytest.raises(ValueError, match="cannot store the name"):
        volume({name: b"x"}, ())


@pytest.mark.parametrize("name", ["가" * 255, "😀" * 127 + "x", "a.b c"])
def test_the_longest_names_are_stored(name):
    assert name.encode("utf-16-le")[:30] in volume({name: b"x"}, ())


@pytest.mark.parametrize("names", [("A.jpg", "a.jpg"), ("a", "a/b"), ("DCIM/a", "dcim/b")])
def test_names_that_exfat_takes_for_the_same_are_refused(names):
    with pytest.raises(ValueError, match="another file of that name"):
        volume(dict.fromkeys(names, b"x"), ())


def test_a_deleted_file_must_be_given():
    with pytest.raises(ValueError, match=r"not among the files: gone\.jpg"):
        volume({"a": b"x"}, {"gone.jpg"})
