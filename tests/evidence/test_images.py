"""Disk images made by make_fixtures.py: each live and each recoverable deleted file is found."""

import gc
import hashlib
import importlib.util
import lzma
import shutil
import struct
import sys
import tarfile
import unicodedata
import zipfile
from concurrent.futures import CancelledError
from pathlib import Path
from threading import Event

import pytest

from mayak.errors import EvidenceError
from mayak.evidence import Limits, open_source
from mayak.evidence.containers.volumes import DiskContainer
from mayak.evidence.streams import FileBytes
from mayak.types import EvidenceEntry, EvidencePath, Failure

IMAGES = Path(__file__).parent / "images"
_spec = importlib.util.spec_from_file_location("make_fixtures", IMAGES.parent / "make_fixtures.py")
make_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_fixtures)
CONTENT = make_fixtures.CONTENT
# In ntfs.dd: where record 0 lies, the records of 100.jpg, gone.jpg, the folder new and lost.jpg.
MFT, HAS_STREAM, GONE, NEW, LOST = 16384, 66, 67, 69, 70


@pytest.fixture
def unpack(tmp_path):
    def unpacked(name):
        path = tmp_path / name
        if (IMAGES / name).exists():
            shutil.copy(IMAGES / name, path)
        else:
            path.write_bytes(lzma.decompress((IMAGES / f"{name}.xz").read_bytes()))
        return path

    return unpacked


def found(path):
    """({path below the source: (content, deleted)}, [failures]); file system's own left out."""
    items, failures = {}, []
    with open_source(path) as source:
        for entry in source.items():
            if isinstance(entry, Failure):
                failures.append(entry)
                continue
            assert EvidencePath.from_json(entry.path.to_json()) == entry.path
            content = entry.open().read()
            assert len(content) == entry.size
            name = str(entry.path).removeprefix(f"{path.name}/")
            if not name.startswith("$") or "OrphanFiles" in name:
                name = unicodedata.normalize("NFC", name)  # HFS+ keeps them decomposed
                items[name] = (content, entry.is_deleted)
    return items, failures


@pytest.mark.parametrize(
    ("name", "prefix", "gone"),
    [
        ("fat.dd", "", "_one.jpg"),  # FAT overwrites the first letter
        ("exfat.dd", "", "gone.jpg"),
        ("ext4.dd", "", "gone.jpg"),
        ("ntfs.dd", "", "gone.jpg"),
        ("mbr.dd", "partition 1/", "_one.jpg"),
        ("gpt.dd", "partition 1/", "gone.jpg"),
        ("phone.E01", "partition 1/", "_one.jpg"),
        ("hfsplus.dd", "", None),
        ("disc.iso", "", None),
    ],
)
def test_every_live_and_deleted_file_is_found(unpack, name, prefix, gone):
    path = unpack(name)
    before = hashlib.sha256(path.read_bytes()).digest()
    items, failures = found(path)
    expected = {
        f"{prefix}DCIM/사진.jpg": (CONTENT["사진.jpg"], False),
        f"{prefix}DCIM/100.jpg": (CONTENT["100.jpg"], False),
        f"{prefix}archive.zip": (CONTENT["archive.zip"], False),
        f"{prefix}archive.zip/inner.jpg": (CONTENT["inner.jpg"], False),
    }
    if gone:
        expected[f"{prefix}DCIM/{gone}"] = (CONTENT["gone.jpg"], True)
    if name == "ntfs.dd":
        expected["DCIM/100.jpg:hidden.jpg"] = (CONTENT["inner.jpg"], False)
        # Its folder is gone and the folder's record reused.
        expected["$OrphanFiles/lost.jpg"] = (CONTENT["gone.jpg"], True)
    assert items == expected
    assert not failures
    assert hashlib.sha256(path.read_bytes()).digest() == before


def locations(path):
    """All locations that a source gives, none of them twice, by what lies there."""
    places = {}
    with open_source(path) as source:
        for entry in source.items():
            where = entry.entry if isinstance(entry, Failure) else entry.path
            assert where not in places
            places[where] = entry if isinstance(entry, Failure) else entry.open().read()
    return {
        "" if where is None else where.numbered.partition("/")[2]: content
        for where, content in places.items()
    }


def found_by_location(path):
    """What is found again, by the location under which it was listed."""
    with open_source(path) as source:
        listed = [entry.path for entry in source.items() if isinstance(entry, EvidenceEntry)]
    with open_source(path) as source:
        return {at.numbered.partition("/")[2]: source.find(at).open().read() for at in listed}


def test_two_live_files_of_one_name_are_two(unpack):
    path = unpack("fat.dd")
    data = path.read_bytes()
    entry = data.index(b"100     JPG")
    other = data.index(b"\xe5ONE    JPG")
    # The third entry of the folder gets the name of the second and the clusters of the first.
    first = data[entry - 32 + 26 : entry - 32 + 28]
    twin = data[entry : entry + 26] + first + data[entry + 28 : entry + 32]
    path.write_bytes(data[:other] + twin + data[other + 32 :])
    whole = locations(path)
    assert whole["DCIM/100.jpg"] == CONTENT["100.jpg"]
    (again,) = (name for name in whole if name.startswith("DCIM/100.jpg#"))
    assert whole[again] == CONTENT["사진.jpg"]
    assert found_by_location(path) == whole


def gone_in_use(data):
    """Marks gone.jpg's inode in ext4.dd as in use; its deleted name, where its bytes lie."""
    name = data.index(b"gone.jpg")
    number = struct.unpack_from("<I", data, name - 8)[0] - 1
    (bitmap,) = struct.unpack_from("<I", data, 2048 + 4)  # of the first group, in blocks of 1 KiB
    data[bitmap * 1024 + number // 8] |= 1 << number % 8
    return name


def test_a_file_that_ext_kept_when_its_name_was_deleted_is_found(unpack):
    path = unpack("ext4.dd")
    data = bytearray(path.read_bytes())
    name = gone_in_use(data)
    path.write_bytes(data)
    items, failures = found(path)
    assert items["DCIM/gone.jpg"] == (CONTENT["gone.jpg"], True)
    assert not failures
    assert locations(path) == found_by_location(path)
    # The same with no name left of it.
    data[name - 8 : name + 8] = bytes(16)
    path.write_bytes(data)
    items, failures = found(path)
    (orphan,) = (name for name in items if name.startswith("$OrphanFiles/"))
    assert items[orphan] == (CONTENT["gone.jpg"], True)
    assert not failures
    assert locations(path) == found_by_location(path)


def test_a_deleted_name_whose_inode_another_file_has_gets_no_content(unpack):
    path = unpack("ext4.dd")
    data = bytearray(path.read_bytes())
    gone, other = data.index(b"gone.jpg"), data.index(b"100.jpg")
    data[gone - 8 : gone - 4] = data[other - 8 : other - 4]
    path.write_bytes(data)
    items, (failure,) = found(path)
    assert items["DCIM/100.jpg"] == (CONTENT["100.jpg"], False)
    assert not any("gone.jpg" in name for name in items)
    assert failure.path == "ext4.dd/DCIM/gone.jpg" and failure.entry.entry_number
    assert (failure.error, failure.message) == (
        "DeletedWithoutContent",
        "was deleted; its record serves another file now",
    )


def test_a_folder_of_ext_that_no_folder_names_is_gone_through(unpack):
    path = unpack("ext4.dd")
    data = bytearray(path.read_bytes())
    # The entry's inode is 0, which stands for none.
    name = data.index(b"DCIM")
    data[name - 8 : name - 4] = bytes(4)
    path.write_bytes(data)
    items, _ = found(path)
    contents = {name.rpartition("/")[2]: content for name, (content, _) in items.items()}
    assert contents.items() >= CONTENT.items()
    assert locations(path).items() >= found_by_location(path).items()


@pytest.mark.parametrize("scattered", [False, True])
def test_files_that_ext_encrypts_are_told(unpack, scattered):
    path = unpack("ext4.dd")
    whole, _ = found(path)
    data = bytearray(path.read_bytes())
    data[1024 + 0x62] |= 1  # some files are encrypted
    data[1024 + 0x60] |= 0x10 if scattered else 0  # descriptors do not lie in one place
    name = data.index(b"100.jpg")
    number = struct.unpack_from("<I", data, name - 8)[0] - 1
    (table,) = struct.unpack_from("<I", data, 2048 + 8)
    (size,) = struct.unpack_from("<H", data, 1024 + 0x58)
    data[table * 1024 + number * size + 33] |= 8
    path.write_bytes(data)
    items, (failure,) = found(path)
    assert failure.error == "Encrypted"
    if scattered:
        assert (failure.path, items) == ("ext4.dd", whole)
    else:
        assert failure.path == "ext4.dd/DCIM/100.jpg"
        del whole["DCIM/100.jpg"]
        assert items == whole


def with_stream(data, record, donor):
    """An NTFS record given the named stream of another, in place of its content if it has one."""
    at, other = record * 1024 + MFT, donor * 1024 + MFT
    (offset,) = struct.unpack_from("<H", data, other + 20)
    while struct.unpack_from("<I", data, other + offset)[0] != 0x80 or not data[other + offset + 9]:
        offset += struct.unpack_from("<I", data, other + offset + 4)[0]
    length = struct.unpack_from("<I", data, other + offset + 4)[0]
    stream = bytes(data[other + offset : other + offset + length])
    (end,) = struct.unpack_from("<H", data, at + 20)
    while struct.unpack_from("<I", data, at + end)[0] not in (0x80, 0xFFFFFFFF):
        end += struct.unpack_from("<I", data, at + end + 4)[0]
    new = stream + b"\xff\xff\xff\xff"
    # No attribute may lie over the bytes that each sector ends with, which are kept elsewhere.
    assert end + len(new) <= 510
    data[at + end : at + end + len(new)] = new
    struct.pack_into("<I", data, at + 24, end + len(new) + 4)


@pytest.mark.parametrize(
    ("record", "flags", "name"),
    [
        (NEW, 3, "new:hidden.jpg"),  # in use
        (NEW, 2, "new:hidden.jpg"),
        (GONE, 2, "DCIM/gone.jpg:hidden.jpg"),
        (LOST, 2, "$OrphanFiles/lost.jpg:hidden.jpg"),
    ],
)
def test_streams_of_folders_are_found(unpack, record, flags, name):
    path = unpack("ntfs.dd")
    data = bytearray(path.read_bytes())
    with_stream(data, record, HAS_STREAM)
    data[MFT + record * 1024 + 22] = flags
    path.write_bytes(data)
    assert found(path)[0][name] == (CONTENT["inner.jpg"], flags == 2)
    assert CONTENT["inner.jpg"] in found_by_location(path).values()
    assert locations(path)


def test_a_file_of_ntfs_that_no_folder_names_is_found(unpack):
    path = unpack("ntfs.dd")
    data = bytearray(path.read_bytes())
    data[MFT + LOST * 1024 + 22] = 1  # in use
    path.write_bytes(data)
    items, failures = found(path)
    assert items["$OrphanFiles/lost.jpg"] == (CONTENT["gone.jpg"], False)
    assert not failures
    assert locations(path) == found_by_location(path)
    # The record of a file that has many attributes goes on in others, which are no files.
    struct.pack_into("<Q", data, MFT + LOST * 1024 + 32, 1 << 48 | HAS_STREAM)
    path.write_bytes(data)
    assert "$OrphanFiles/lost.jpg" not in found(path)[0]


@pytest.mark.parametrize("name", [b"100     JPG", b"ARCHIVE ZIP"])
def test_a_file_with_the_attribute_of_a_volume_label_is_found(unpack, name):
    path = unpack("fat.dd")
    data = bytearray(path.read_bytes())
    data[data.index(name) + 11] = 0x08
    path.write_bytes(data)
    whole = locations(path)
    contents = [
        CONTENT["100.jpg"],
        CONTENT["사진.jpg"],
        CONTENT["archive.zip"],
        CONTENT["gone.jpg"],
    ]
    assert sorted(
        content for content in whole.values() if content != CONTENT["inner.jpg"]
    ) == sorted(contents)


def renamed(data, name, new, at=0):
    """An NTFS file's name where it first stands from ``at`` on, made another, not longer one."""
    start = data.index(name.encode("utf-16-le"), at)
    data[start - 2] = len(new)
    data[start : start + 2 * len(new)] = new.encode("utf-16-le")


def test_a_file_named_as_a_stream_is_another_location(unpack):
    path = unpack("ntfs.dd")
    data = bytearray(path.read_bytes())
    # In the index of DCIM: 100.jpg, which has the stream, and its neighbour.
    renamed(data, "100.jpg", "a")
    renamed(data, "사진.jpg", "a:s")
    stream = data.index("hidden.jpg".encode("utf-16-le"))
    data[stream - 64 + 9] = 1
    data[stream : stream + 2] = "s".encode("utf-16-le")
    path.write_bytes(data)
    whole = locations(path)
    assert whole["DCIM/a"] == CONTENT["100.jpg"]
    assert whole["DCIM/a:s"] == CONTENT["inner.jpg"]
    (again,) = (name for name in whole if name.startswith("DCIM/a:s#"))
    assert whole[again] == CONTENT["사진.jpg"]
    assert found_by_location(path) == whole


def test_the_image_is_known_by_content_whatever_its_name(unpack):
    path = unpack("fat.dd")
    assert found(path.rename(path.with_suffix(".jpg")))[0]


def test_a_split_image_is_read_as_one(unpack, tmp_path):
    data = unpack("mbr.dd").read_bytes()
    third = len(data) // 3 + 1
    for number in range(3):
        piece = data[number * third : (number + 1) * third]
        (tmp_path / f"disk.{number + 1:03}").write_bytes(piece)
    with open_source(tmp_path / "disk.001") as source:
        assert source.acquire().sha256 == hashlib.sha256(data).hexdigest()
        assert sum(isinstance(entry, EvidenceEntry) for entry in source.items()) == 5
    (tmp_path / "disk.002").unlink()
    with pytest.raises(EvidenceError, match=r"'disk\.002' is missing"):
        open_source(tmp_path / "disk.001")


INSIDE = {
    "partition 1/DCIM/사진.jpg": (CONTENT["사진.jpg"], False),
    "partition 1/DCIM/100.jpg": (CONTENT["100.jpg"], False),
    "partition 1/DCIM/_one.jpg": (CONTENT["gone.jpg"], True),
    "partition 1/archive.zip": (CONTENT["archive.zip"], False),
    "partition 1/archive.zip/inner.jpg": (CONTENT["inner.jpg"], False),
}


def below(path):
    """What ``found`` gives for the images of INSIDE at this path."""
    return {f"{path}/{name}": content for name, content in INSIDE.items()}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "폰"
    (folder / "backup").mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", ["mbr.dd", "phone.E01"])
@pytest.mark.parametrize("container", ["folder", "zip", "tar", "tar.gz"])
def test_a_disk_image_inside_another_container_is_entered(
    unpack, tmp_path, folder, name, container
):
    image = unpack(name)
    data = image.read_bytes()
    image.rename(folder / "backup" / name)
    source = folder
    if container == "zip":
        source = tmp_path / "a.zip"
        with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(folder / "backup" / name, f"backup/{name}")
    elif container != "folder":
        source = tmp_path / "a.tar"
        with tarfile.open(source, "w:gz" if container == "tar.gz" else "w") as archive:
            archive.add(folder / "backup" / name, f"backup/{name}")
    items, failures = found(source)
    assert items == {f"backup/{name}": (data, False)} | below(f"backup/{name}")
    assert not failures


def test_a_volume_of_a_mac_inside_a_folder_is_entered(unpack, folder):
    unpack("hfsplus.dd").rename(folder / "backup" / "mac.dmg")
    items, _ = found(folder)
    assert items["backup/mac.dmg/DCIM/사진.jpg"] == (CONTENT["사진.jpg"], False)


def test_items_of_a_nested_image_are_read_after_the_listing(unpack, folder):
    unpack("gpt.dd").rename(folder / "dump")
    with open_source(folder) as source:
        (photo,) = (entry for entry in source.items() if entry.path.name.endswith("사진.jpg"))
        gc.collect()
        assert [layer.kind for layer in photo.path.layers] == ["folder", "image", "volume", "file"]
        assert photo.open().read() == CONTENT["사진.jpg"]


def test_pieces_in_a_folder_are_items_and_read_as_one(unpack, folder):
    data = unpack("mbr.dd").read_bytes()
    # The second piece begins with the partition, which is no disk of its own.
    pieces = {"disk.001": data[: 1 << 16], "disk.002": data[1 << 16 :]}
    for name, piece in pieces.items():
        (folder / name).write_bytes(piece)
    items, failures = found(folder)
    assert items == {name: (piece, False) for name, piece in pieces.items()} | below("disk.001")
    assert not failures
    (folder / "disk.002").rename(folder / "disk.003")
    items, (failure,) = found(folder)
    assert sorted(items) == ["disk.001", "disk.003"]
    assert (failure.path, failure.error) == ("폰/disk.001", "Damaged")
    assert "piece 'disk.002' is missing" in failure.message


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_piece_that_is_a_link_is_not_followed(unpack, folder, tmp_path):
    data = unpack("mbr.dd").read_bytes()
    (folder / "disk.001").write_bytes(data[: 1 << 16])
    (tmp_path / "outside").write_bytes(data[1 << 16 :])
    (folder / "disk.002").symlink_to(tmp_path / "outside")
    items, failures = found(folder)
    assert list(items) == ["disk.001"]
    assert {failure.path: failure.error for failure in failures} == {
        "폰/disk.001": "Unsupported",
        "폰/disk.002": "SymbolicLink",
    }


def test_images_are_entered_to_the_stated_depth(unpack, folder):
    unpack("mbr.dd").rename(folder / "dump.dd")
    with open_source(folder, Limits(depth=1)) as source:
        failures = {e.path: e.error for e in source.items() if isinstance(e, Failure)}
    assert failures == {"폰/dump.dd/partition 1/archive.zip": "LimitExceeded"}


def test_what_only_begins_like_a_disk_is_a_file(unpack, folder):
    ntfs, mbr = unpack("ntfs.dd").read_bytes(), unpack("mbr.dd").read_bytes()
    ewf = bytearray((IMAGES / "phone.E01").read_bytes())
    ewf[9] = 2
    contents = {
        "$Boot": ntfs[:8192],
        "lone.E02": bytes(ewf),
        "photo.jpg": CONTENT["100.jpg"][:510] + b"\x55\xaa" + CONTENT["100.jpg"][512:],
        "table.bin": mbr[:512] + bytes(1 << 20),
    }
    for name, content in contents.items():
        (folder / "backup" / name).write_bytes(content)
    with open_source(folder / "backup") as source:
        items = list(source.items())
        files = [item for item in items if isinstance(item, EvidenceEntry)]
        assert {item.path.name: item.open().read() for item in files} == contents
        (lone,) = (item for item in items if isinstance(item, Failure))
    assert "lone.E02 is not the first segment" in lone.message
    assert {item.path.kind for item in files if item.path.name != "lone.E02"} == {"file"}


def test_a_nested_image_that_cannot_be_read_is_told(folder):
    (folder / "a.E01").write_bytes((IMAGES / "phone.E01").read_bytes()[:100])
    items, failures = found(folder)
    assert sorted(items) == ["a.E01"]
    assert {failure.path: failure.error for failure in failures} == {
        "폰/a.E01": "Damaged",
    }


def test_a_piece_that_is_missing_of_an_e01_is_named(unpack, folder):
    first = folder / "backup" / "phone.E01"
    unpack("phone.E01").rename(first)
    data = bytearray(first.read_bytes())
    data[9] = 3  # the piece's number
    (folder / "backup" / "phone.E03").write_bytes(data)
    with pytest.raises(EvidenceError, match=r"piece 'phone\.E02' is missing"):
        open_source(first)
    items, (failure,) = found(folder)
    assert items.keys() == {"backup/phone.E01", "backup/phone.E03"}
    assert "phone.E02' is missing" in failure.message


def test_the_hash_stored_in_an_e01_is_compared(unpack):
    raw = unpack("mbr.dd").read_bytes()
    with open_source(unpack("phone.E01")) as source:
        whole = source.acquire()
    assert whole.matches is True
    assert whole.bytes == len(raw)
    assert dict(whole.stored)["md5"] == whole.md5 == hashlib.md5(raw).hexdigest()  # noqa: S324
    with open_source(unpack("damaged.E01")) as source:
        damaged = source.acquire()
    assert damaged.matches is False
    assert dict(damaged.stored)["md5"] != damaged.md5


@pytest.mark.parametrize("container", ["folder", "zip"])
def test_an_e01_inside_is_compared_with_the_hash_that_it_stores(
    unpack, folder, tmp_path, container
):
    source = folder
    for name in ("phone.E01", "worn.E01"):
        unpack(name).rename(folder / "backup" / name)
    if container == "zip":
        source = tmp_path / "a.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for name in ("phone.E01", "worn.E01"):
                archive.write(folder / "backup" / name, f"backup/{name}")
    with open_source(folder / "backup" / "worn.E01") as whole:
        acquisition = whole.acquire()
    with open_source(source) as opened:
        opened.count()
        entries = list(opened.items())
        found = [entry for entry in entries if isinstance(entry, Failure)]
        assert [failure.error for failure in found] == ["HashMismatch"]
        assert found[0].path == f"{source.name}/backup/worn.E01"
        assert found[0].entry is None
        assert found[0].message == (
            "is not what its stored hash says: "
            f"MD5 {dict(acquisition.stored)['md5']} is stored, {acquisition.md5} was read"
        )
        # Told before what lies in it, of which nothing is left out.
        at = entries.index(found[0])
        assert entries[at - 1].path.name == "backup/worn.E01"
        assert entries[at + 1].path.name == "archive.zip"
        names = {str(entry.path) for entry in entries[at + 1 :]}
        assert f"{found[0].path}/partition 1/DCIM/사진.jpg" in names
        assert opened.find(entries[-1].path) is not None
        stop = Event()
        stop.set()
        with pytest.raises(CancelledError):
            list(opened.items(stop))


def test_what_lies_beside_a_damaged_chunk_of_an_e01_is_read(unpack):
    path = unpack("worn.E01")
    with open_source(path) as source:
        assert source.acquire().matches is False
    items, failures = found(path)
    assert not failures
    for name in ("사진.jpg", "archive.zip"):
        content, _ = items.pop(next(path for path in items if path.endswith(name)))
        assert content == CONTENT[name]
    # The chunk's 8 KiB hold all of 100.jpg.
    assert items["partition 1/DCIM/100.jpg"][0] == bytes(len(CONTENT["100.jpg"]))


def test_a_file_beyond_the_end_of_a_cut_image_fails_and_its_neighbours_do_not(unpack):
    path = unpack("mbr.dd")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(CONTENT["100.jpg"]) + 1024])
    with open_source(path) as source:
        items = {
            entry.path.name: entry for entry in source.items() if isinstance(entry, EvidenceEntry)
        }
        assert items["DCIM/사진.jpg"].open().read() == CONTENT["사진.jpg"]
        with pytest.raises(EvidenceError, match="cannot be read: "):
            items["DCIM/100.jpg"].open().read()


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("where", ["folder", "file"])
@pytest.mark.parametrize("name", ["mbr.dd", "gpt.dd", "ntfs.dd"])
def test_what_a_bad_sector_hides_is_told_and_the_rest_is_read(
    unpack, folder, monkeypatch, name, where
):
    data = unpack(name).read_bytes()
    (folder / "a.dd").write_bytes(data)
    # In the second cluster or block of the file.
    bad = data.index(CONTENT["사진.jpg"]) + 2500
    whole = FileBytes.read_at

    def read_at(self, offset, size):
        if offset <= bad < offset + size:
            raise OSError(5, "Input/output error")
        return whole(self, offset, size)

    monkeypatch.setattr(FileBytes, "read_at", read_at)
    contents = {}
    with open_source(folder / "a.dd" if where == "file" else folder) as source:
        for entry in source.items():
            if isinstance(entry, Failure):
                # FAT is gone through for folders that were deleted.
                assert entry.path.endswith("$OrphanFiles")
                assert "Input/output error" in entry.message
                continue
            try:
                contents[entry.path.name] = entry.open().read()
            except EvidenceError as exc:
                assert "Input/output error" in str(exc)
                contents[entry.path.name] = None
    assert contents["DCIM/사진.jpg"] is None
    assert contents["DCIM/100.jpg"] == CONTENT["100.jpg"]
    assert contents["archive.zip"] == CONTENT["archive.zip"]
    assert contents["inner.jpg"] == CONTENT["inner.jpg"]
    assert CONTENT["gone.jpg"] in contents.values()


@pytest.fixture
def first_sector_is_bad(monkeypatch, in_process):
    whole = FileBytes.read_at

    def read_at(self, offset, size):
        if offset < 512 and self.size >= 1 << 20:  # of the image, not of an archive in it
            raise OSError(5, "Input/output error")
        return whole(self, offset, size)

    monkeypatch.setattr(FileBytes, "read_at", read_at)


def test_an_image_that_cannot_be_read_costs_itself_alone(unpack, folder, first_sector_is_bad):
    unpack("fat.dd").rename(folder / "a.dd")
    (folder / "b.jpg").write_bytes(CONTENT["100.jpg"])
    items, (failure,) = found(folder)
    assert sorted(items) == ["a.dd", "b.jpg"]
    assert failure.error == "Damaged"
    assert "Input/output error" in failure.message


def test_volumes_of_a_disk_whose_first_sector_is_bad_are_found(unpack, folder, first_sector_is_bad):
    disk = unpack("mbr.dd").read_bytes().ljust(2 << 20, b"\0") + unpack("fat.dd").read_bytes()
    (folder / "a.dd").write_bytes(disk)
    items, (failure,) = found(folder)
    place = f"a.dd/unpartitioned at {2 << 20}"
    assert items[f"{place}/DCIM/100.jpg"] == (CONTENT["100.jpg"], False)
    assert (failure.path, failure.error) == ("폰/a.dd", "Unreadable")


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("bad", [1000, 40_000])
def test_a_bad_sector_after_the_first_does_not_keep_a_source_from_being_opened(
    unpack, monkeypatch, bad
):
    path = unpack("mbr.dd")
    whole = FileBytes.read_at

    def read_at(self, offset, size):
        if offset <= bad < offset + size:
            raise OSError(5, "Input/output error")
        return whole(self, offset, size)

    monkeypatch.setattr(FileBytes, "read_at", read_at)
    with open_source(path) as source:
        assert source.path.kind == "image"


@pytest.mark.usefixtures("in_process")
def test_a_fault_that_nobody_foresaw_costs_its_container_alone(unpack, folder, monkeypatch):
    unpack("mbr.dd").rename(folder / "a.dd")
    (folder / "b.jpg").write_bytes(CONTENT["100.jpg"])
    whole = DiskContainer.entries

    def items(self):
        yield next(whole(self))
        raise OverflowError("Python int too large to convert to C long")

    monkeypatch.setattr(DiskContainer, "entries", items)
    for source, place in ((folder, "폰/a.dd"), (folder / "a.dd", "a.dd")):
        names, (failure,) = found(source)
        assert len(names) == (4 if source == folder else 2)
        assert (failure.path, failure.error) == (place, "Damaged")
        assert failure.message == (
            "cannot be read any further: OverflowError: Python int too large to convert to C long"
        )
        with open_source(source) as opened:
            opened.count()
            assert list(opened.items())
            disk = (
                opened.path if opened.path.kind == "image" else opened.path.child("image", "a.dd")
            )
            with pytest.raises(EvidenceError, match="too large"):
                opened.find(disk.child("volume", "partition 1").child("file", "DCIM/100.jpg"))


def test_a_phone_report_is_read_by_the_paths_on_the_phone(unpack):
    items, failures = found(unpack("phone.ufdr"))
    report, _ = items.pop("report.xml")
    assert 'path="/media/0/DCIM/사진.jpg"' in report.decode()
    assert items == {
        "Userdata/media/0/DCIM/사진.jpg": (CONTENT["사진.jpg"], False),
        "Userdata/media/0/DCIM/100.jpg": (CONTENT["100.jpg"], False),
        "Userdata/media/0/DCIM/archive.zip": (CONTENT["archive.zip"], False),
        "Userdata/media/0/DCIM/archive.zip/inner.jpg": (CONTENT["inner.jpg"], False),
    }
    assert not failures


@pytest.mark.parametrize(
    ("offset", "magic", "word"),
    [
        (3, b"-FVE-FS-", "BitLocker"),
        (0, b"LUKS\xba\xbe", "LUKS"),
        (32, b"NXSB", "APFS"),
        (1024, b"\x10\x20\xf5\xf2", "F2FS"),
    ],
)
@pytest.mark.parametrize("start", [0, 1 << 16])
def test_volumes_that_cannot_be_read_are_named(unpack, tmp_path, offset, magic, word, start):
    disk = bytearray(unpack("mbr.dd").read_bytes() if start else bytes(1 << 20))
    disk[start : start + 4096] = bytes(4096)
    disk[start + offset : start + offset + len(magic)] = magic
    (tmp_path / "locked.dd").write_bytes(disk)
    with open_source(tmp_path / "locked.dd") as source:
        (failure,) = source.items()
    assert word in failure.message
    unread = word in ("F2FS", "APFS")  # nothing there says that it is encrypted
    assert failure.error == ("Unsupported" if unread else "Encrypted")
    assert ("mount it read-only" in failure.message) == unread
    assert failure.path == ("locked.dd/partition 1" if start else "locked.dd")


@pytest.mark.parametrize(
    ("offset", "magic", "word"), [(3, b"-FVE-FS-", "BitLocker"), (0, b"LUKS\xba\xbe", "LUKS")]
)
def test_an_encrypted_volume_inside_a_folder_is_named(folder, offset, magic, word):
    (folder / "backup" / "locked.dd").write_bytes(bytes(offset) + magic + bytes(1 << 20))
    items, (failure,) = found(folder)
    assert items.keys() == {"backup/locked.dd"}
    assert failure.error == "Encrypted"
    assert word in failure.message


@pytest.mark.parametrize(
    ("offset", "magic", "word"),
    [(1024, b"\x10\x20\xf5\xf2", "F2FS"), (1024, b"\xe2\xe1\xf5\xe0", "EROFS")],
)
def test_so_is_a_volume_inside_a_folder_that_cannot_be_read(folder, offset, magic, word):
    (folder / "backup" / "mac.dmg").write_bytes(bytes(offset) + magic + bytes(1 << 20))
    _, (failure,) = found(folder)
    assert failure.error == "Unsupported"
    assert failure.message == (
        f"is {word}, which is not read: mount it read-only and give that folder"
    )


def test_core_storage_alone_is_not_called_encrypted(tmp_path):
    disk = bytearray(1 << 20)
    disk[8:10], disk[88:90] = b"\1\0", b"CS"
    (tmp_path / "mac.dd").write_bytes(disk)
    with open_source(tmp_path / "mac.dd") as source:
        (failure,) = source.items()
    assert (failure.error, "Core Storage" in failure.message) == ("Unsupported", True)


def test_where_the_first_gpt_is_gone_the_second_is_read(unpack):
    path = unpack("gpt.dd")
    whole = found(path)
    data = bytearray(path.read_bytes())
    data[512 : 34 * 512] = bytes(33 * 512)
    path.write_bytes(data)
    assert found(path) == whole


def test_a_partition_that_goes_on_behind_the_end_is_told(unpack):
    path = unpack("mbr.dd")
    data = path.read_bytes()
    start, sectors = struct.unpack_from("<II", data, 446 + 8)
    path.write_bytes(data[: (start + sectors) * 512 - 4096])
    items, (failure,) = found(path)
    assert items
    assert (failure.path, failure.error) == ("mbr.dd/partition 1", "Damaged")
    assert "its last 4096 bytes are beyond" in failure.message


@pytest.mark.parametrize("first", [1 << 16, 1 << 50, (1 << 64) - 100])
def test_partitions_that_lie_behind_the_end_are_told(unpack, first):
    path = unpack("gpt.dd")
    whole, _ = found(path)
    data = bytearray(path.read_bytes())
    # Further entries of the first table: of the second TSK is suspicious itself.
    entry = data[1024 : 1024 + 128]
    for number in (2, 3):
        struct.pack_into("<QQ", entry, 32, first + 20 * number, first + 20 * number + 9)
        data[1024 + 128 * number : 1024 + 128 * (number + 1)] = entry
    path.write_bytes(data)
    items, (failure,) = found(path)
    assert items == whole
    assert (failure.path, failure.error) == ("gpt.dd", "Damaged")
    assert "ends before partition 2 and 1 more" in failure.message


@pytest.mark.parametrize("table", ["mbr.dd", "gpt.dd", "wiped"])
def test_file_systems_of_deleted_partitions_are_entered(unpack, tmp_path, table):
    mib = 1 << 20
    disk = bytearray(16 * mib)
    if table != "wiped":
        data = unpack(table).read_bytes()
        disk[: len(data)] = data
    # At a whole MiB of the free space; and right behind it, where no whole MiB is.
    fat, ext = bytearray(unpack("fat.dd").read_bytes()), unpack("ext4.dd").read_bytes()
    struct.pack_into("<H", fat, 19, 2040)  # its sectors, some less
    disk[2 * mib : 3 * mib] = fat
    behind = 2 * mib + 2040 * 512
    disk[behind : behind + mib] = ext
    (tmp_path / "disk.dd").write_bytes(disk)
    items, failures = found(tmp_path / "disk.dd")
    places = {name.partition("/")[0] for name in items}
    assert places - {"partition 1"} == {
        f"unpartitioned at {2 * mib}",
        f"unpartitioned at {behind}",
    }
    assert ("partition 1" in places) == (table != "wiped")
    for start in (2 * mib, behind):
        assert items[f"unpartitioned at {start}/DCIM/100.jpg"] == (CONTENT["100.jpg"], False)
    assert [failure.message for failure in failures] == (
        [f"holds no known file system ({16 * mib} bytes)"] if table == "wiped" else []
    )
    assert (
        locations(tmp_path / "disk.dd").items() >= found_by_location(tmp_path / "disk.dd").items()
    )


def test_a_disk_of_zeros_is_of_no_known_kind(tmp_path):
    (tmp_path / "zeros").write_bytes(bytes(1 << 20))
    with pytest.raises(EvidenceError, match="no known kind"):
        open_source(tmp_path / "zeros")


def test_a_broken_e01_is_refused(tmp_path):
    (tmp_path / "a.E01").write_bytes((IMAGES / "phone.E01").read_bytes()[:100])
    with pytest.raises(EvidenceError, match="cannot be read"):
        open_source(tmp_path / "a.E01")


def test_a_damaged_count_of_records_does_not_hold_up_the_run(unpack):
    path = unpack("ext4.dd")
    whole = found(path)
    data = bytearray(path.read_bytes())
    data[1024 + 3] = 0x10  # of the inodes, of which there were 128
    path.write_bytes(data)
    items, _ = found(path)
    assert items == whole[0]


def inode_in(data, number):
    """Where an inode of ext4.dd is; its first table of inodes is the only one."""
    table = struct.unpack_from("<I", data, 2048 + 8)[0] * 1024
    return table + (number - 1) * struct.unpack_from("<H", data, 1024 + 88)[0]


def spread(data, number, size, *pointers):
    """Make an inode one whose blocks are listed by pointers."""
    at = inode_in(data, number)
    struct.pack_into("<H", data, at, 0o100644)
    struct.pack_into("<I", data, at + 4, size & 0xFFFFFFFF)
    struct.pack_into("<I", data, at + 32, 0)
    struct.pack_into("<15I", data, at + 40, *pointers)
    struct.pack_into("<I", data, at + 108, size >> 32)


DCIM, ARCHIVE = 12, 16
"""Their inodes in ext4.dd."""
TWO_LEVELS = (12 + 256 + 256**2) * 1024
"""Bytes that a file of ext4.dd has at most without the third level of pointers."""


def test_inodes_that_the_sleuth_kit_hangs_over_hold_nothing_up(unpack):
    """Each took it a minute, in C, and was asked for twice (the test would never end)."""
    path = unpack("ext4.dd")
    whole, _ = found(path)
    data = bytearray(path.read_bytes())
    empty = [n for n in range(30, 128) if not any(data[inode_in(data, n) :][:128])]
    assert len(empty) > 50
    bitmap = struct.unpack_from("<I", data, 2048 + 4)[0] * 1024
    for number in empty:
        spread(data, number, 0xFFFFFFFF, *[0] * 15)
        data[bitmap + (number - 1) // 8] |= 1 << (number - 1) % 8
    path.write_bytes(data)

    with open_source(path) as source:
        source.count()
        items = [entry for entry in source.items() if isinstance(entry, EvidenceEntry)]
        named = {entry.path.name for entry in items}
        assert {name for name in whole if "Orphan" not in name and "/" not in name} <= named
        large = [entry for entry in items if entry.size == 0xFFFFFFFF]
        assert len(large) == len(empty)
        with large[0].open() as stream:
            assert stream.read(4096) == bytes(4096)


def test_a_file_by_three_levels_of_pointers_is_read_whole(unpack):
    path = unpack("ext4.dd")
    data = bytearray(path.read_bytes())
    first, third, second, single, last = range(1019, 1024)  # the last blocks, which nothing uses
    assert not any(data[first * 1024 :])
    data[first * 1024 : third * 1024] = b"a" * 1024
    data[last * 1024 :] = b"z" * 1024
    struct.pack_into("<I", data, third * 1024, second)
    struct.pack_into("<I", data, second * 1024, single)
    struct.pack_into("<I", data, single * 1024 + 4, last)
    spread(data, ARCHIVE, TWO_LEVELS + 1024 + 100, first, *[0] * 13, third)
    path.write_bytes(data)

    with open_source(path) as source:
        (item,) = (entry for entry in source.items() if entry.path.name == "archive.zip")
        assert item.size == TWO_LEVELS + 1124
        with source.find(item.path).open() as stream:
            content = stream.read()

    assert content == b"a" * 1024 + bytes(TWO_LEVELS) + b"z" * 100


def test_a_block_that_is_not_there_is_a_fault_of_its_file(unpack):
    path = unpack("ext4.dd")
    data = bytearray(path.read_bytes())
    spread(data, ARCHIVE, TWO_LEVELS + 1, 5000, *[0] * 14)
    path.write_bytes(data)

    with open_source(path) as source:
        (item,) = (entry for entry in source.items() if entry.path.name == "archive.zip")
        with item.open() as stream, pytest.raises(EvidenceError, match="beyond the end"):
            stream.read(10)


def test_a_folder_of_such_a_size_is_named_as_not_read(unpack):
    path = unpack("ext4.dd")
    data = bytearray(path.read_bytes())
    spread(data, DCIM, TWO_LEVELS + 1, *[0] * 15)
    struct.pack_into("<H", data, inode_in(data, DCIM), 0o40755)
    path.write_bytes(data)

    with open_source(path) as source:
        failures = [entry for entry in source.items() if isinstance(entry, Failure)]

    (failure,) = (failure for failure in failures if failure.path == "ext4.dd/DCIM")
    assert (failure.error, "states a size" in failure.message) == ("Unreadable", True)


def test_an_e01_in_pieces_is_read_whole_inside_another_container(tmp_path):
    (tmp_path / "phone").mkdir()
    shutil.copy(IMAGES / "split_e01.zip", tmp_path / "phone")
    with open_source(tmp_path / "phone") as source:
        items = {str(item.path): item for item in source.items()}
        (photo,) = (item for path, item in items.items() if path.endswith("/100.jpg"))
        assert photo.open().read() == CONTENT["100.jpg"]
    assert not any(isinstance(item, Failure) for item in items.values())
    at = "phone/split_e01.zip/phone.E0"
    assert [items[f"{at}{n}"].is_piece for n in (1, 2, 3)] == [False, True, True]


def test_an_e01_inside_another_container_that_lacks_a_piece_is_not_read_as_whole(tmp_path):
    whole = zipfile.ZipFile(IMAGES / "split_e01.zip")
    with whole, zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("phone.E01", "phone.E03"):
            archive.writestr(name, whole.read(name))
    with open_source(tmp_path / "a.zip") as source:
        failures = [item for item in source.items() if isinstance(item, Failure)]
    assert [failure.path for failure in failures] == ["a.zip/phone.E01"]
