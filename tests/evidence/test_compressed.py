"""TARs, cpio archives and single files under every compression, whole and damaged."""

import bz2
import gzip
import io
import lzma
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from make_archives import CONTENT, CPIO_FORMS

from mayak.errors import EvidenceError
from mayak.evidence import Limits, open_source
from mayak.types import Failure

ARCHIVES = Path(__file__).parent / "archives"
IMAGES = Path(__file__).parent / "images"
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(200)) + b"\xff\xd9"


def zstd(data):
    try:
        from compression import zstd as module
    except ImportError:
        from backports import zstd as module

    return module.compress(data)


def lz4(data):
    import lz4.frame

    return lz4.frame.compress(data)


PACK = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd, "lz4": lz4}


def shown(path):
    """The path of an entry below its source, with the numbers of those of one name."""
    names = (f"{p.name}#{p.serial}" if p.serial else p.name for p in path.layers[1:])
    return "/".join(names)


def listed(path, limits=None):
    """({name: content}, [(reason, name, message)]) of a source."""
    found, told = {}, []
    with open_source(path, limits) as source:
        for entry in source.items():
            if isinstance(entry, Failure):
                name = str(entry.path).partition("/")[2]
                told.append((str(entry.error), name, entry.message))
            else:
                with entry.open() as stream:
                    found[shown(entry.path)] = stream.read()
    return found, told


def zipped():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.jpg", JPEG)
    return stream.getvalue()


def tar():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo("a.jpg")
        info.size = len(JPEG)
        archive.addfile(info, io.BytesIO(JPEG))
    return stream.getvalue()


def newc(*members, end=True):
    """A cpio archive of (name, content, mode, links, inode)."""
    out = b""
    for name, content, mode, links, inode in (*members, ("TRAILER!!!", b"", 0, 1, 0)):
        if name == "TRAILER!!!" and not end:
            continue
        raw = name.encode() + b"\0"
        fields = (inode, mode, 0, 0, links, 1, len(content), 0, 0, 0, 0, len(raw), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + raw
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return out


FILE = 0o100644


@pytest.mark.parametrize("name", ["phone.tar.zst", "phone.tar.lz4", "legacy.tar.lz4"])
def test_a_tar_in_zstandard_or_lz4_is_one_archive(name):
    assert listed(ARCHIVES / name) == (CONTENT, [])


@pytest.mark.parametrize("form", CPIO_FORMS)
def test_every_form_of_cpio_is_read(tmp_path, form):
    data = lzma.decompress((ARCHIVES / f"{form}.cpio.xz").read_bytes())
    (tmp_path / "a").write_bytes(data)
    found, told = listed(tmp_path / "a")
    assert found == CONTENT | {"hard.jpg": CONTENT["DCIM/100.jpg"]}
    link = "is a symbolic link to 'DCIM/100.jpg', which is not followed"
    assert told == [("SymbolicLink", "link.jpg", link)]


@pytest.mark.parametrize("extension", PACK)
@pytest.mark.parametrize(
    ("name", "data", "inside"),
    [
        ("disk.dd", lzma.decompress((IMAGES / "fat.dd.xz").read_bytes()), "DCIM/100.jpg"),
        ("a.zip", zipped(), "a.jpg"),
        ("a.cpio", newc(("a.jpg", JPEG, FILE, 1, 1)), "a.jpg"),
        ("photo.jpg", JPEG, ""),
    ],
    ids=["disk", "zip", "cpio", "picture"],
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_compressed_file_that_may_hold_pictures_is_entered(
    tmp_path, extension, name, data, inside, nested
):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / f"{name}.{extension}").write_bytes(PACK[extension](data))
    found, told = listed(folder if nested else folder / f"{name}.{extension}")
    assert [reason for reason, *_ in told if reason != "DeletedWithoutContent"] == []
    at = f"{name}.{extension}/{name}" if nested else name
    assert found[at] == data
    if inside:
        assert found[f"{at}/{inside}"].startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize("extension", PACK)
def test_a_compressed_text_is_an_ordinary_file(tmp_path, extension):
    packed = PACK[extension](b"A list of things to buy.\n" * 50)
    (tmp_path / f"a.txt.{extension}").write_bytes(packed)
    assert listed(tmp_path) == ({f"a.txt.{extension}": packed}, [])


def test_a_compressed_image_without_a_signature_is_entered_by_its_name(tmp_path):
    (tmp_path / "a.tga.gz").write_bytes(gzip.compress(b"pixels" * 50))
    assert listed(tmp_path / "a.tga.gz") == ({"a.tga": b"pixels" * 50}, [])


def test_a_file_system_that_is_not_read_is_named_inside_a_compressed_file(tmp_path):
    """As of a phone's F2FS, most of it free space that packs to a thousandth."""
    disk = bytearray(80 << 20)
    disk[1024:1028] = b"\x10\x20\xf5\xf2"
    (tmp_path / "f2fs.dd.gz").write_bytes(gzip.compress(disk))
    _, ((reason, name, message),) = listed(tmp_path)
    assert (reason, name) == ("Unsupported", "f2fs.dd.gz/f2fs.dd")
    assert "F2FS" in message


def test_the_time_in_a_gzip_is_that_of_its_file(tmp_path):
    (tmp_path / "a.jpg.gz").write_bytes(gzip.compress(JPEG, mtime=1_700_000_000))
    with open_source(tmp_path / "a.jpg.gz") as source:
        (entry,) = source.items()
    assert entry.times.modified.isoformat() == "2023-11-14T22:13:20+00:00"
    assert entry.times.zone_known


@pytest.mark.parametrize("extension", PACK)
def test_several_streams_are_one_file(tmp_path, extension):
    pack = PACK[extension]
    (tmp_path / f"a.jpg.{extension}").write_bytes(pack(JPEG[:90]) + pack(JPEG[90:]))
    assert listed(tmp_path / f"a.jpg.{extension}") == ({"a.jpg": JPEG}, [])


@pytest.mark.parametrize("extension", PACK)
@pytest.mark.parametrize("data", [JPEG, tar()], ids=["picture", "tar"])
def test_bytes_after_the_compressed_ones_are_told(tmp_path, extension, data):
    (tmp_path / f"a.jpg.{extension}").write_bytes(PACK[extension](data) + b"and a text" * 9)
    found, ((reason, name, message),) = listed(tmp_path / f"a.jpg.{extension}")
    assert found == {"a.jpg": JPEG}
    assert (reason, name) == ("Damaged", "")
    assert f"cannot be unpacked beyond {len(data)} bytes" in message


@pytest.mark.parametrize("extension", PACK)
def test_of_a_cut_file_what_is_there_is_given_and_the_rest_is_told(tmp_path, extension):
    import random

    data = b"\xff\xd8\xff\xe0" + random.Random(3).randbytes(3_000_000)
    (tmp_path / f"a.jpg.{extension}").write_bytes(PACK[extension](data)[:-1_000_000])
    found, ((reason, _, message),) = listed(tmp_path / f"a.jpg.{extension}")
    (part,) = found.values()
    assert 0 < len(part) < len(data)
    assert data.startswith(part)
    assert reason == "Damaged"
    assert f"beyond {len(part)} bytes" in message


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("extension", "module", "package"), [("zst", "backports.zstd", "zstd"), ("lz4", "lz4", "lz4")]
)
def test_a_missing_library_is_named_with_the_package(
    tmp_path, monkeypatch, extension, module, package
):
    (tmp_path / f"a.tar.{extension}").write_bytes(PACK[extension](tar()))
    for name in [name for name in sys.modules if name.startswith(module)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    _, ((reason, name, message),) = listed(tmp_path)
    assert (reason, name) == ("Unsupported", f"a.tar.{extension}")
    assert package in message
    assert "pip install 'mayak[containers]'" in message
    with pytest.raises(EvidenceError, match="not installed"):
        listed(tmp_path / f"a.tar.{extension}")


@pytest.mark.parametrize("extension", PACK)
def test_a_bomb_is_refused_and_the_rest_goes_on(tmp_path, extension):
    (tmp_path / f"a.bmp.{extension}").write_bytes(PACK[extension](JPEG + bytes(70 << 20)))
    (tmp_path / "good.jpg").write_bytes(JPEG)
    found, ((reason, name, _),) = listed(tmp_path, Limits(ratio=50))
    assert (reason, name) == ("LimitExceeded", f"a.bmp.{extension}")
    assert found["good.jpg"] == JPEG


def test_a_disk_image_may_not_unpack_to_more_than_the_limit(tmp_path):
    disk = lzma.decompress((IMAGES / "fat.dd.xz").read_bytes())
    (tmp_path / "a.dd.gz").write_bytes(gzip.compress(disk))
    with pytest.raises(EvidenceError, match="unpacks to more than"):
        listed(tmp_path / "a.dd.gz", Limits(unpacked=len(disk) - 1))


def test_what_unpacks_to_itself_again_and_again_ends(tmp_path):
    data = JPEG
    for _ in range(6):
        data = gzip.compress(data)
    (tmp_path / "a.gz").write_bytes(data)
    _, told = listed(tmp_path)
    assert [reason for reason, *_ in told] in ([], ["LimitExceeded"])


def test_an_initial_ram_disk_is_read_to_its_end(tmp_path):
    """One archive after the other, the last one compressed, zeros between them."""
    first = newc(("early/a.jpg", JPEG, FILE, 1, 1)) + bytes(500)
    second = newc(("b.jpg", JPEG, FILE, 1, 1)) + bytes(100)
    last = gzip.compress(newc(("c.jpg", JPEG, FILE, 1, 1)))
    (tmp_path / "initrd").write_bytes(first + second + last)
    found, told = listed(tmp_path / "initrd")
    assert [name.rpartition("/")[2] for name in found if name.endswith(".jpg")] == [
        "a.jpg",
        "b.jpg",
        "c.jpg",
    ]
    assert told == []


def test_hard_links_have_the_content_of_the_last_one(tmp_path):
    data = newc(
        ("a.jpg", b"", FILE, 2, 7),
        ("empty", b"", FILE, 2, 8),
        ("b.jpg", JPEG, FILE, 2, 7),
    )
    (tmp_path / "a.cpio").write_bytes(data)
    assert listed(tmp_path / "a.cpio") == ({"b.jpg": JPEG, "a.jpg": JPEG, "empty": b""}, [])


def test_names_of_a_cpio_are_only_names_and_repeated_ones_are_told_apart(tmp_path):
    names = ["../../etc/a.jpg", "/b.jpg", "c.jpg", "c.jpg", "사진.jpg"]
    data = newc(*((name, JPEG, FILE, 1, n) for n, name in enumerate(names)))
    (tmp_path / "a.cpio").write_bytes(data)
    found, told = listed(tmp_path / "a.cpio")
    assert {*found} == {"../../etc/a.jpg", "/b.jpg", "c.jpg", "c.jpg#4", "사진.jpg"}
    assert told == []
    assert not (tmp_path.parent / "etc").exists()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda data: data[:-300], "cut off"),
        (lambda data: data[: data.index(b"TRAILER") - 120], "ends without its last record"),
        (lambda data: data.replace(b"070701", b"0707x1").replace(b"0707x1", b"070701", 1), "past"),
    ],
)
def test_a_damaged_cpio_is_a_stated_fault(tmp_path, spoil, told):
    data = newc(("a.jpg", JPEG, FILE, 1, 1), ("b.jpg", JPEG, FILE, 1, 2))
    (tmp_path / "a.cpio").write_bytes(spoil(data))
    found, said = listed(tmp_path / "a.cpio")
    assert found["a.jpg"] == JPEG
    assert any(told in message for *_, message in said)
    assert {reason for reason, *_ in said} == {"Damaged"}


def test_sizes_that_no_archive_has_are_refused(tmp_path):
    data = newc(("a.jpg", JPEG, FILE, 1, 1)).replace(b"%08X" % len(JPEG), b"FFFFFFFF", 1)
    (tmp_path / "a.cpio").write_bytes(data)
    found, told = listed(tmp_path / "a.cpio")
    assert found == {}
    assert ("Damaged", "a.jpg") in [(reason, name) for reason, name, _ in told]

    huge = struct.pack("<13H", 0o070707, 0, 1, FILE, 0, 0, 1, 0, 0, 0, 6, 0x7FFF, 0xFFFF)
    (tmp_path / "b.cpio").write_bytes(huge + b"a.jpg\0" + JPEG)
    found, told = listed(tmp_path / "b.cpio")
    assert (found, {reason for reason, *_ in told}) == ({}, {"Damaged"})


def test_too_many_members_of_a_cpio_are_refused(tmp_path):
    data = newc(*((f"{n}.jpg", JPEG, FILE, 1, n) for n in range(5)))
    (tmp_path / "a.cpio").write_bytes(data)
    found, told = listed(tmp_path / "a.cpio", Limits(members=4))
    assert (len(found), [reason for reason, *_ in told]) == (4, ["LimitExceeded"])
