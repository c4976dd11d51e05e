"""Each format of virtual disks reads as another program reads it, as a source and inside others."""

import hashlib
import importlib.util
import io
import json
import lzma
import shutil
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from mayak.errors import EvidenceError
from mayak.evidence import open_source
from mayak.types import EvidenceEntry, Failure

IMAGES = Path(__file__).parent / "images"
_spec = importlib.util.spec_from_file_location("make_fixtures", IMAGES.parent / "make_fixtures.py")
make_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_fixtures)
CONTENT = make_fixtures.CONTENT
with tarfile.open(IMAGES / "virtual.tar.xz") as _archive:
    EXPECTED = json.load(_archive.extractfile(_archive.next()))
EXTENTS = {
    "monolithicFlat.vmdk": ["monolithicFlat-flat.vmdk"],
    "twoGbMaxExtentFlat.vmdk": ["twoGbMaxExtentFlat-f001.vmdk"],
    "twoGbMaxExtentSparse.vmdk": ["twoGbMaxExtentSparse-s001.vmdk"],
    "sparse.vmdk": [f"sparse-s00{number}.vmdk" for number in (1, 2, 3)],
    "flat.vmdk": ["flat-f001.vmdk"],
    "vmfs.vmdk": ["flat-f001.vmdk"],
}


@pytest.fixture(scope="module")
def disks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disks")
    with tarfile.open(IMAGES / "virtual.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def copied(disks, tmp_path):
    def copy(*names):
        for name in names:
            shutil.copyfile(disks / name, tmp_path / name)
        return tmp_path / names[0]

    return copy


def disk_of(path):
    """The bytes inside a disk image, read whole and in pieces of many sizes."""
    with open_source(path) as source:
        disk = source._container._data
        whole = disk.read_at(0, disk.size)
        assert len(whole) == disk.size
        at = 0
        for step in range(200):
            size = (1, 511, 4096, 70_001)[step % 4]
            assert disk.read_at(at, size) == whole[at : at + size]
            at = (at + disk.size // 199 + step) % disk.size
        assert disk.read_at(disk.size - 3, 10) == whole[-3:]
        assert disk.read_at(disk.size, 10) == b""
    return whole


def listed(source):
    """({path below the source: content}, {path of a failure: (error, message)})."""
    items, failures = {}, {}
    with open_source(source) as opened:
        for entry in opened.items():
            if isinstance(entry, Failure):
                failures[entry.path.partition("/")[2]] = (entry.error, entry.message)
            else:
                with entry.open() as stream:
                    items[str(entry.path).partition("/")[2]] = stream.read()
                assert opened.find(entry.path) is not None
    return items, failures


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "fixed.vhd"])
def test_a_virtual_disk_reads_as_another_program_reads_it(disks, name):
    disk = disk_of(disks / name)
    assert [len(disk), hashlib.sha256(disk).hexdigest()] == EXPECTED[name]


def test_a_fixed_vhd_is_the_disk_and_a_footer(disks):
    data = (disks / "fixed.vhd").read_bytes()
    size, digest = EXPECTED["fixed.vhd"]
    assert hashlib.sha256(data[:size]).hexdigest() == digest
    items, failures = listed(disks / "fixed.vhd")
    assert items["partition 1/DCIM/100.jpg"] == CONTENT["100.jpg"]
    assert not failures


NESTED = [
    "v3-65536-compressed.qcow2",
    "monolithicSparse.vmdk",
    "streamOptimized.vmdk",
    "dynamic.vhd",
    "dynamic-1.vhdx",
    "dynamic.vdi",
    "android.simg",
    "zlib.dmg",
]


@pytest.mark.parametrize("name", NESTED)
def test_its_files_are_listed_as_a_source_in_a_folder_and_in_a_zip(disks, tmp_path, name):
    def has_files(items, below):
        if name.endswith(".dmg"):
            assert items[f"{below}사진.jpg"] == CONTENT["사진.jpg"]
            return
        # The large disk has a second partition, of ext4.
        assert items[f"{below}partition 1/DCIM/사진.jpg"] == CONTENT["사진.jpg"]
        assert items[f"{below}partition 1/archive.zip/inner.jpg"] == CONTENT["inner.jpg"]
        if EXPECTED[name][0] > 2 << 20:
            assert items[f"{below}partition 2/DCIM/사진.jpg"] == CONTENT["사진.jpg"]

    items, failures = listed(disks / name)
    assert not failures
    has_files(items, "")
    folder = tmp_path / "folder"
    (folder / "backup").mkdir(parents=True)
    shutil.copyfile(disks / name, folder / "backup" / name)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"backup/{name}", (disks / name).read_bytes())
    for source in (folder, tmp_path / "a.zip"):
        items, failures = listed(source)
        assert not failures
        assert items[f"backup/{name}"] == (disks / name).read_bytes()
        has_files(items, f"backup/{name}/")


@pytest.mark.parametrize("name", ["sparse.vmdk", "monolithicFlat.vmdk", "twoGbMaxExtentFlat.vmdk"])
@pytest.mark.parametrize("container", ["folder", "zip"])
def test_the_extents_of_a_vmdk_are_files_and_its_disk_is_listed_once(
    copied, tmp_path, name, container
):
    source = copied(name, *EXTENTS[name]).parent
    names = sorted(path.name for path in source.iterdir())
    if container == "zip":
        source = tmp_path / "a.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for each in names:
                archive.write(tmp_path / each, f"vm/{each}")
    items, failures = listed(source)
    assert not failures
    prefix = "vm/" if container == "zip" else ""
    assert {f"{prefix}{each}" for each in names} < items.keys()
    below = {
        at.removeprefix(f"{prefix}{name}/") for at in items if at.count("/") > len(prefix) // 3
    }
    assert "partition 1/DCIM/사진.jpg" in below
    assert not any(at.startswith(f"{prefix}{each}/") for at in items for each in EXTENTS[name])


def test_the_hash_of_a_virtual_disk_is_that_of_its_files(copied):
    """So that sha256sum gives it, too; of an E01 it is that of the disk inside."""
    alone = copied("dynamic.vdi")
    several = copied("sparse.vmdk", *EXTENTS["sparse.vmdk"])
    files = [several.with_name(name) for name in ("sparse.vmdk", *EXTENTS["sparse.vmdk"])]
    for path, parts in ((alone, [alone]), (several, files)):
        with open_source(path) as source:
            found = source.acquire()
        joined = b"".join(part.read_bytes() for part in parts)
        assert found.sha256 == hashlib.sha256(joined).hexdigest()
        assert found.bytes == len(joined)
        assert found.matches is None


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("backing.qcow2", "Unsupported", "a backing file"),
        ("external.qcow2", "Unsupported", "an external data file"),
        ("zstd.qcow2", "Unsupported", "Zstandard compression"),
        ("extended.qcow2", "Unsupported", "extended level 2 tables"),
        ("aes.qcow2", "Encrypted", "encryption"),
        ("delta.vmdk", "Unsupported", "only changes to another"),
    ],
)
def test_what_is_not_read_is_named_with_a_remedy(copied, name, error, words):
    path = copied(name)
    with pytest.raises(EvidenceError, match=words) as raised:
        open_source(path)
    assert raised.value.remedy
    items, failures = listed(path.parent)
    assert items.keys() == {name}
    assert failures[name][0] == error
    assert words in failures[name][1]
    assert failures[name][1].endswith(str(raised.value.remedy))


def test_earlier_states_in_a_qcow2_are_counted(copied):
    _, failures = listed(copied("v3-changed.qcow2"))
    ((path, (error, message)),) = failures.items()
    assert (path, error) == ("", "Unsupported")
    assert message.startswith("holds 1 earlier states (snapshots), which are not read")


def vhdx_with_log(data):
    """A VHDX whose current header names a log, as after a crash of its program."""
    data = bytearray(data)
    for at in (64 << 10, 128 << 10):
        data[at + 48 : at + 64] = bytes(range(1, 17))
    return bytes(data)


def vhd_of_changes(data):
    """A dynamic VHD whose two footers and header make it a differencing one."""
    data = bytearray(data)
    for at in (0, len(data) - 512):
        struct.pack_into(">I", data, at + 60, 4)
        struct.pack_into(">I", data, at + 64, 0)
        struct.pack_into(">I", data, at + 64, ~sum(data[at : at + 512]) & 0xFFFFFFFF)
    # The parent's identifier and name.
    data[512 + 40 : 512 + 56] = bytes(range(1, 17))
    name = "base.vhd".encode("utf-16-be")
    data[512 + 64 : 512 + 64 + len(name)] = name
    data[512 + 36 : 512 + 40] = bytes(4)
    struct.pack_into(">I", data, 512 + 36, ~sum(data[512:1536]) & 0xFFFFFFFF)
    return bytes(data)


def vdi_of_changes(data):
    return data[:76] + b"\4\0\0\0" + data[80:]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("dynamic-1.vhdx", vhdx_with_log, "its log holds changes"),
        ("dynamic.vhd", vhd_of_changes, "only the changes to another disk"),
        ("dynamic.vdi", vdi_of_changes, "of another type"),
        ("base.qcow2", lambda data: data[:4] + b"\0\0\0\1" + data[8:], "version 1"),
        ("base.qcow2", lambda data: data[:79] + b"\2" + data[80:], "an image marked as corrupt"),
        ("base.qcow2", lambda data: data[:72] + b"\1" + data[73:], "an unknown feature"),
    ],
)
def test_so_is_what_no_tool_here_makes(copied, name, change, words):
    path = copied(name)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(EvidenceError, match=words) as raised:
        open_source(path)
    assert raised.value.remedy
    _, failures = listed(path.parent)
    assert failures[name][0] == "Unsupported"


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("name", "module"),
    [("dynamic.vhd", "pyvhdi"), ("dynamic-1.vhdx", "pyvhdi"), ("lzfse.dmg", "pymodi")],
)
def test_a_missing_library_is_named_and_the_rest_is_read(copied, monkeypatch, name, module):
    path = copied(name)
    path.with_name("b.jpg").write_bytes(CONTENT["100.jpg"])
    monkeypatch.setitem(sys.modules, module, None)
    items, failures = listed(path.parent)
    assert items.keys() == {name, "b.jpg"}
    ((at, (error, message)),) = failures.items()
    assert (at, error) == (name, "Unsupported")
    assert module in message
    assert message.endswith("pip install 'mayak[containers]'")


CUT = [name for name in EXPECTED if name not in ("fixed.vhd", *EXTENTS) and "full" not in name]


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("part", [0.001, 0.3, 0.7])
def test_of_a_cut_image_nothing_is_read_wrongly_and_the_gap_is_told(copied, disks, name, part):
    """What is after the cut must not read as zeros: a picture there would be another one."""
    path = copied(name)
    data = path.read_bytes()
    whole, _ = listed(disks / name)
    path.write_bytes(data[: int(len(data) * part)])
    try:
        source = open_source(path)
    except EvidenceError:
        _, failures = listed(path.parent)
        assert failures.keys() == {name} or "dmg" in name
        return
    with source:
        told, seen = False, {}
        for entry in source.items():
            if isinstance(entry, Failure):
                told = True
                continue
            try:
                content = entry.open().read()
            except EvidenceError:
                told = True
                continue
            at = str(entry.path).partition("/")[2]
            if not at:  # the file itself, which counts as not read
                told = True
                continue
            assert content == whole.get(at), at
            seen[at] = content
    # The end of a file may hold nothing that is in use.
    assert told or seen == whole


def test_an_extent_that_is_missing_or_cut_off_is_named(copied):
    path = copied("sparse.vmdk", *EXTENTS["sparse.vmdk"])
    (path.parent / "sparse-s002.vmdk").unlink()
    with pytest.raises(EvidenceError, match=r"piece 'sparse-s002\.vmdk' is missing"):
        open_source(path)
    _, failures = listed(path.parent)
    assert "sparse-s002.vmdk' is missing" in failures["sparse.vmdk"][1]
    flat = copied("flat.vmdk", *EXTENTS["flat.vmdk"])
    extent = flat.with_name("flat-f001.vmdk")
    extent.write_bytes(extent.read_bytes()[: 1 << 20])
    items, failures = listed(flat)
    assert failures or not items


def test_an_extent_without_the_file_that_names_it_is_told(copied):
    path = copied("sparse-s001.vmdk")
    with pytest.raises(EvidenceError, match="of several files, of which this is one") as raised:
        open_source(path)
    assert "the text file that names them" in raised.value.remedy
    _, failures = listed(path.parent)
    assert failures["sparse-s001.vmdk"][0] == "Unsupported"


@pytest.mark.parametrize("name", ["loop.vmdk", "../outside.raw", "/etc/passwd", "..", "a\\b.raw"])
def test_a_vmdk_gets_no_bytes_from_itself_or_outside_of_its_folder(tmp_path, name):
    (tmp_path / "vm").mkdir()
    (tmp_path / "outside.raw").write_bytes(bytes(1 << 20))
    path = tmp_path / "vm" / "loop.vmdk"
    path.write_text(f'# Disk DescriptorFile\nparentCID=ffffffff\nRW 100 FLAT "{name}" 0\n')
    with pytest.raises(EvidenceError, match="not a file next to it"):
        open_source(path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_an_extent_that_is_a_link_is_not_followed(copied, tmp_path):
    path = copied("monolithicFlat.vmdk", "monolithicFlat-flat.vmdk")
    extent = path.with_name("monolithicFlat-flat.vmdk")
    (tmp_path / "elsewhere").mkdir()
    extent.rename(tmp_path / "elsewhere" / extent.name)
    extent.symlink_to(tmp_path / "elsewhere" / extent.name)
    with pytest.raises(EvidenceError, match="is missing"):
        open_source(path)


def test_a_dmg_without_its_end_is_damaged(copied):
    """Only its end shows what it is: by its start it may be a compressed file."""
    path = copied("bzip2.dmg")
    items, failures = listed(path.parent)
    assert items["bzip2.dmg/사진.jpg"] == CONTENT["사진.jpg"]
    assert not failures
    path.write_bytes(path.read_bytes()[:-512])
    items, failures = listed(path.parent)
    ((at, (error, message)),) = failures.items()
    assert (at, error) == ("bzip2.dmg", "Damaged")
    assert "has lost its end" in message


def test_a_damaged_table_of_a_dmg_is_named(copied):
    path = copied("zlib.dmg")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"<plist", b"<!DOCTYPE p [<!ENTITY a 'b'>]><plist", 1))
    _, failures = listed(path.parent)
    assert failures["zlib.dmg"][0] == "Damaged"


@pytest.mark.usefixtures("in_process")
def test_a_compressed_cluster_that_is_damaged_fails_and_its_neighbours_do_not(copied):
    path = copied("v3-4096-compressed.qcow2")
    data = path.read_bytes()
    size = 1 << 12
    directory = struct.unpack_from(">Q", data, 40)[0]
    table = struct.unpack_from(">Q", data, directory)[0] & 0x00FFFFFFFFFFFE00
    entries = struct.unpack_from(f">{size // 8}Q", data, table)
    (packed,) = [e for e in entries if e >> 62 & 1][-1:]
    at = packed & ((1 << 58) - 1)
    assert zlib.decompressobj(-15).decompress(data[at : at + size])
    path.write_bytes(data[:at] + b"\xff" * 8 + data[at + 8 :])
    with open_source(path) as source:
        disk = source._container._data
        bad = list(entries).index(packed)
        with pytest.raises(EvidenceError, match="damaged compressed cluster"):
            disk.read_at(bad * size, 10)
        assert len(disk.read_at((bad + 1) * size, size)) == size


def test_a_header_that_states_too_much_is_refused_before_memory_is_taken(copied):
    """Numbers in a header must not decide how much is read."""
    for name, at, form in (
        ("base.qcow2", 24, ">Q"),
        ("dynamic.vdi", 384, "<I"),
        ("monolithicSparse.vmdk", 12, "<Q"),
        ("android.simg", 20, "<I"),
    ):
        path = copied(name)
        data = bytearray(path.read_bytes())
        struct.pack_into(form, data, at, (1 << 8 * struct.calcsize(form)) - 1 >> 1)
        path.write_bytes(data)
        with pytest.raises(EvidenceError, match=r"more than fits|more than fit|states") as raised:
            open_source(path)
        assert raised.value.remedy


def test_every_file_of_a_nested_disk_is_found_again(copied, tmp_path):
    path = copied("dynamic.vdi")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "vm/phone.vdi")
    (tmp_path / "a.zip").write_bytes(stream.getvalue())
    path.unlink()
    with open_source(tmp_path) as source:
        paths = [item.path for item in source.items() if isinstance(item, EvidenceEntry)]
    with open_source(tmp_path) as source:
        for at in reversed(paths):
            assert source.find(at) is not None


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("table", ["dos", "gpt", "backup of gpt"])
def test_partitions_are_found_whatever_the_size_of_a_sector(disks, tmp_path, table, sector):
    data = bytearray((disks / f"{table[-3:].strip()}-{sector}.disk").read_bytes())
    if table.startswith("backup"):
        data[sector : 1 << 20] = bytes((1 << 20) - sector)
    volumes = {1: "fat.dd", 3: "exfat.dd", 6: "ext4.dd"}
    for at, name in volumes.items():
        volume = lzma.decompress((IMAGES / f"{name}.xz").read_bytes())
        assert len(volume) <= 2 << 20
        data[at << 20 : (at << 20) + len(volume)] = volume
    (tmp_path / "disk.dd").write_bytes(data)
    items, failures = listed(tmp_path / "disk.dd")
    assert not failures
    assert {name.partition("/")[0] for name in items} == {f"partition {n}" for n in (1, 2, 3)}
    for number in (1, 2, 3):
        assert items[f"partition {number}/DCIM/사진.jpg"] == CONTENT["사진.jpg"]


def test_the_sector_size_that_an_e01_states_counts_if_nothing_else_shows_it(disks, tmp_path):
    """Its volumes are of no known kind; their sizes are in the message."""
    _, failures = listed(disks / "dos-4096.E01")
    assert [failures[f"partition {number}"][1] for number in (1, 2, 3)] == [
        f"holds no known file system ({size << 20} bytes)" for size in (1, 2, 1)
    ]
    _, failures = listed(disks / "dos-512.disk")
    assert [failures[f"partition {number}"][1] for number in (1, 2, 3)] == [
        f"holds no known file system ({size << 20} bytes)" for size in (1, 2, 1)
    ]
