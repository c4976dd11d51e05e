"""Space of media that belongs to no file is counted, by the file systems' own records."""

import lzma
import struct
from pathlib import Path

import pytest

from mayak.evidence import open_source
from mayak.evidence.containers import space
from mayak.types import EvidenceEntry

IMAGES = Path(__file__).parent / "images"


@pytest.fixture
def unpacked(tmp_path):
    def unpack(name, folder=tmp_path):
        whole = IMAGES / name
        data = (
            whole.read_bytes()
            if whole.exists()
            else lzma.decompress(Path(f"{whole}.xz").read_bytes())
        )
        (folder / name).write_bytes(data)
        return folder / name

    return unpack


@pytest.mark.parametrize(
    ("name", "free"),
    [
        # As ``blkls IMAGE | wc -c`` of the Sleuth Kit counts it; of the FAT12 volume, that counts
        # three sectors after its last cluster, too.
        ("ntfs.dd", 1302528),
        ("exfat.dd", 1052672),
        ("fat.dd", 1015296 - 3 * 512),
        ("ext4.dd", 977920),
        ("hfsplus.dd", 1011712),
        ("disc.iso", 0),
    ],
)
def test_free_space_and_slack_are_stated_in_bytes(unpacked, name, free):
    with open_source(unpacked(name)) as source:
        files = [item for item in source.items() if isinstance(item, EvidenceEntry)]
        found = dict(source.unexamined)
        assert found["free"] == free
        assert 0 < found["slack"] <= len(files) * 4096
        assert "uncounted" not in found
        list(source.items())  # again: it is not added up
        assert dict(source.unexamined) == found


def test_space_outside_of_partitions_and_that_of_nested_images_is_stated(unpacked, tmp_path):
    folder = tmp_path / "phone"
    folder.mkdir()
    for name in ("gpt.dd", "mbr.dd"):
        unpacked(name, folder)
    with open_source(folder) as source:
        list(source.items())
        assert source.unexamined["unpartitioned"] == 2 * 2 * 128 * 512
        assert source.unexamined["free"] == 977920 + 1013760
    with open_source(unpacked("phone.E01")) as source:
        list(source.items())
        assert source.unexamined["unpartitioned"] == 2 * 128 * 512


@pytest.mark.parametrize(
    ("bits", "clusters", "per_cluster"), [(12, 1000, 2), (16, 9000, 4), (32, 66000, 1)]
)
def test_free_clusters_of_each_fat_are_counted(bits, clusters, per_cluster):
    """In a table made here: the first cluster and every third one after it are in use."""
    reserved, entries = 32, 0 if bits == 32 else 512
    table = -(-(clusters + 2) * bits // 8 // 512) + 1
    total = reserved + 2 * table + entries * 32 // 512 + clusters * per_cluster
    boot = bytearray(512)
    in_16_bits = 0 if bits == 32 else table
    struct.pack_into(
        "<HBHBHHBH", boot, 11, 512, per_cluster, reserved, 2, entries, 0, 0xF8, in_16_bits
    )
    struct.pack_into("<2L", boot, 32, total, table)
    used = [1, 1, *(number % 3 == 0 for number in range(clusters))]
    packed = sum(int(one) << (at * bits) for at, one in enumerate(used))
    disk = bytes(reserved * 512) + packed.to_bytes(table * 512, "little")
    free = space._fat(bytes(boot), lambda offset, length: disk[offset : offset + length])
    assert free == (clusters - -(-clusters // 3)) * per_cluster * 512


@pytest.mark.usefixtures("in_process")
def test_a_table_that_states_nonsense_gives_no_number_and_no_crash(unpacked):
    """Each field of a boot sector in turn: a count may be wrong then, and nothing else."""
    for name in ("fat.dd", "exfat.dd", "ext4.dd"):
        path = unpacked(name)
        whole = path.read_bytes()
        start = 1024 if name == "ext4.dd" else 0
        for at in range(start + 11, start + 115, 3):
            path.write_bytes(whole[:at] + b"\xff\xff\xff" + whole[at + 3 :])
            try:
                with open_source(path) as source:
                    list(source.items())
                    assert all(size >= 0 for size in source.unexamined.values())
            except OSError:
                continue  # it is not a volume any more
