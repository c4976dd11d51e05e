"""Folders, archives and single files: what is listed, what is refused, and with which words."""

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import os
import random
import struct
import sys
import tarfile
import zipfile
from datetime import UTC, datetime

import pytest

from mayak.errors import EvidenceError
from mayak.evidence import Limits, open_source
from mayak.types import EvidenceEntry, EvidencePath, Failure

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(200)) + b"\xff\xd9"
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs links, pipes and raw names")


def content(item):
    with item.open() as stream:
        return stream.read()


def listed(path, limits=None):
    """({path with entry numbers: content}, {display path: reason}) of a source."""
    with open_source(path, limits) as source:
        entries = list(source.items())
        items = {e.path.numbered: content(e) for e in entries if isinstance(e, EvidenceEntry)}
        failures = {e.path: e.error for e in entries if isinstance(e, Failure)}
    assert len(items) + len(failures) == len(entries)
    return items, failures


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def zip_with_raw_name(name, content, flags=0):
    """A stored ZIP member whose name is these bytes, as old Korean tools write it."""
    crc = __import__("zlib").crc32(content)
    common = struct.pack(
        "<HHHHHIIIHH", 20, flags, 0, 0, 0x5A21, crc, *[len(content)] * 2, len(name), 0
    )
    local = b"PK\x03\x04" + common + name + content
    central = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0)
    central += name
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def test_a_folder_lists_every_file_below_it(tmp_path):
    (tmp_path / "폰" / "DCIM").mkdir(parents=True)
    (tmp_path / "폰" / "DCIM" / "사진.jpg").write_bytes(JPEG)
    (tmp_path / "폰" / "empty.txt").touch()
    items, failures = listed(tmp_path / "폰")
    assert items == {"폰/DCIM/사진.jpg": JPEG, "폰/empty.txt": b""}
    assert not failures


@posix
def test_links_and_pipes_are_told_and_never_followed(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"outside")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    (folder / "a").write_bytes(b"x")
    os.link(folder / "a", folder / "b")
    items, failures = listed(folder)
    assert items == {"f/a": b"x", "f/b": b"x"}
    assert failures == {
        "f/out": "SymbolicLink",
        "f/loop": "SymbolicLink",
        "f/pipe": "SpecialFile",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that takes any bytes")
def test_a_name_in_no_encoding_is_listed_with_its_bytes(tmp_path):
    name = b"\xff\xfe\x80.jpg"
    (tmp_path / os.fsdecode(name)).write_bytes(JPEG)
    with open_source(tmp_path) as source:
        (item,) = source.items()
        assert item.path.raw == name
        assert str(item.path).encode("utf-8")
        assert item.open().read() == JPEG
        assert EvidencePath.from_json(item.path.to_json()) == item.path


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_is_a_failure(tmp_path):
    (tmp_path / "locked").mkdir(mode=0)
    _, failures = listed(tmp_path)
    (tmp_path / "locked").chmod(0o700)
    assert failures == {f"{tmp_path.name}/locked": "Unreadable"}


@pytest.mark.parametrize(
    ("raw", "flags", "shown", "kept"),
    [
        ("사진.jpg".encode("cp949"), 0, "사진.jpg", True),
        ("사진.jpg".encode(), 0, "사진.jpg", False),
        ("사진.jpg".encode(), 0x800, "사진.jpg", False),
        (b"\x80\xff.jpg", 0, "\u00c7\u00a0.jpg", True),
    ],
)
def test_zip_names_are_read_as_utf8_then_cp949_then_cp437(tmp_path, raw, flags, shown, kept):
    path = tmp_path / "phone.zip"
    path.write_bytes(zip_with_raw_name(raw, JPEG, flags))
    with open_source(path) as source:
        (item,) = source.items()
        assert item.path.name == shown
        assert item.path.raw == (raw if kept else None)
        assert item.open().read() == JPEG
        assert item.times.modified == datetime(2025, 1, 1, tzinfo=UTC)
        assert not item.times.zone_known


def test_archives_inside_archives_are_entered_to_the_stated_depth(tmp_path):
    data = zipped({"deep.jpg": JPEG})
    for level in (3, 2, 1):
        data = zipped({f"{level}.zip": data, f"{level}.jpg": JPEG})
    path = tmp_path / "0.ufdr"
    path.write_bytes(data)
    items, failures = listed(path)
    assert items["0.ufdr/1.zip/2.zip/3.zip/deep.jpg"] == JPEG
    assert not failures
    items, failures = listed(path, Limits(depth=2))
    assert "0.ufdr/1.zip/2.zip/3.jpg" in items
    assert "0.ufdr/1.zip/2.zip/3.zip" in items
    assert failures == {"0.ufdr/1.zip/2.zip/3.zip": "LimitExceeded"}


def test_an_item_can_be_opened_after_others_were_listed(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"b.zip": zipped({"c.jpg": JPEG}), "d": b"later"}))
    with open_source(tmp_path / "a.zip") as source:
        entries = {str(entry.path): entry for entry in source.items()}
        with entries["a.zip/b.zip/c.jpg"].open() as stream:
            assert stream.seek(-2, io.SEEK_END) == len(JPEG) - 2
            assert stream.read() == JPEG[-2:]
            stream.seek(0)
            assert stream.read(3) == JPEG[:3]


@posix
def test_a_long_list_holds_no_files_open(tmp_path):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in range(300):
        (tmp_path / f"{number}.jpg").write_bytes(JPEG)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, limits[1]))
    try:
        items, failures = listed(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert (len(items), failures) == (300, {})
    assert set(items.values()) == {JPEG}


def test_an_encrypted_member_is_named_as_such(tmp_path):
    data = bytearray(zip_with_raw_name(b"locked.jpg", JPEG, 1))
    (tmp_path / "a.zip").write_bytes(data)
    assert listed(tmp_path / "a.zip") == ({}, {"a.zip/locked.jpg": "Encrypted"})


def test_a_member_with_a_wrong_checksum_fails_when_read(tmp_path):
    data = zip_with_raw_name(b"a.jpg", JPEG).replace(JPEG, JPEG[:-1] + b"\0")
    (tmp_path / "a.zip").write_bytes(data)
    with open_source(tmp_path / "a.zip") as source:
        (item,) = source.items()
        with pytest.raises(EvidenceError, match=r"CRC.*a\.jpg"):
            item.open().read()


def test_members_of_one_name_have_paths_of_their_own(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w") as archive,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        archive.writestr("x", b"1")
        archive.writestr("x", b"2")
    assert listed(tmp_path / "a.zip")[0] == {"a.zip/x": b"1", "a.zip/x#2": b"2"}


def test_a_bomb_is_refused_and_its_neighbours_read(tmp_path):
    bomb = zipped({"zeros": bytes(100 << 20), "b.jpg": JPEG})
    (tmp_path / "bomb.zip").write_bytes(bomb)
    (tmp_path / "a.jpg").write_bytes(JPEG)
    name = tmp_path.name
    items, failures = listed(tmp_path)
    inside = f"{name}/bomb.zip/b.jpg"
    assert items == {f"{name}/a.jpg": JPEG, f"{name}/bomb.zip": bomb, inside: JPEG}
    assert failures == {f"{name}/bomb.zip/zeros": "LimitExceeded"}


def test_a_compressed_tar_that_is_a_bomb_is_refused(tmp_path):
    info = tarfile.TarInfo("zeros")
    info.size = 100 << 20
    with tarfile.open(tmp_path / "bomb.tgz", "w:gz") as archive:
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    assert listed(tmp_path)[1] == {f"{tmp_path.name}/bomb.tgz": "LimitExceeded"}
    with pytest.raises(EvidenceError, match="bomb"):
        open_source(tmp_path / "bomb.tgz")


def test_reasons_are_recorded_in_english_whatever_the_user_reads(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"a.jpg": JPEG})[:-30])
    with open_source(tmp_path) as source:
        (failure,) = (entry for entry in source.items() if isinstance(entry, Failure))
    assert failure.message.isascii()


@pytest.mark.parametrize("container", ["folder", "tar"])
def test_a_large_archive_is_read_in_place_whatever_an_unpacked_one_may_take(tmp_path, container):
    members = {f"{n}.jpg": JPEG + bytes([n]) * (1 << 20) for n in range(9)}
    with zipfile.ZipFile(tmp_path / "phone.zip", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    source = tmp_path
    if container == "tar":
        source = tmp_path / "a.tar"
        with tarfile.open(source, "w") as outer:
            outer.add(tmp_path / "phone.zip", "phone.zip")
    items, failures = listed(source, Limits(unpacked=8 << 20))
    inside = {name: items[f"{source.name}/phone.zip/{name}"] for name in members}
    assert inside == members
    assert not failures


def test_a_damaged_zip_is_refused_by_its_name(tmp_path):
    (tmp_path / "phone.zip").write_bytes(zipped({"a.jpg": JPEG})[:20])
    with pytest.raises(EvidenceError, match=r"phone\.zip: cannot be read"):
        open_source(tmp_path / "phone.zip")


@posix
def test_a_zip_in_numbered_pieces_is_entered_alone_and_in_a_folder(tmp_path):
    data = zipped({"a.jpg": JPEG})
    pieces = {"phone.001": data[:100], "phone.002": data[100:]}
    folder = tmp_path / "f"
    folder.mkdir()
    for name, piece in pieces.items():
        (folder / name).write_bytes(piece)
    assert listed(folder / "phone.001") == ({"phone.001/a.jpg": JPEG}, {})
    files = {f"f/{name}": piece for name, piece in pieces.items()}
    assert listed(folder) == (files | {"f/phone.001/a.jpg": JPEG}, {})

    (folder / "phone.002").rename(tmp_path / "elsewhere")
    (folder / "phone.002").symlink_to(tmp_path / "elsewhere")
    failures = {"f/phone.001": "Unsupported", "f/phone.002": "SymbolicLink"}
    assert listed(folder) == ({"f/phone.001": data[:100]}, failures)


def test_too_many_members_are_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({str(n): b"" for n in range(5)}))
    assert listed(tmp_path / "a.zip", Limits(members=4)) == ({}, {"a.zip": "LimitExceeded"})


def test_a_broken_archive_inside_a_folder_is_told(tmp_path):
    start = zipped({"a.jpg": JPEG})[:20]
    (tmp_path / "a.zip").write_bytes(start)
    items, failures = listed(tmp_path)
    assert items == {f"{tmp_path.name}/a.zip": start}
    assert failures == {f"{tmp_path.name}/a.zip": "Damaged"}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_lists_files_and_tells_of_the_rest(tmp_path, mode):
    path = tmp_path / "dump"
    with tarfile.open(path, mode, format=tarfile.GNU_FORMAT, encoding="cp949") as archive:
        for name in ("사진.jpg", "b.jpg"):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(JPEG), 1_700_000_000
            archive.addfile(info, io.BytesIO(JPEG))
        for name, kind, target in (
            ("hard", tarfile.LNKTYPE, "b.jpg"),
            ("self", tarfile.LNKTYPE, "self"),
            ("soft", tarfile.SYMTYPE, "/etc/passwd"),
            ("null", tarfile.CHRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    items, failures = listed(path)
    assert items == {"dump/사진.jpg": JPEG, "dump/b.jpg": JPEG, "dump/hard": JPEG}
    assert failures == {
        "dump/self": "Damaged",
        "dump/soft": "SymbolicLink",
        "dump/null": "SpecialFile",
    }
    with open_source(path) as source:
        first = next(source.items())
        assert first.times.modified == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
        assert first.times.zone_known


def test_a_cut_tar_lists_what_is_whole(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("a", "b"):
            info = tarfile.TarInfo(name)
            info.size = 3000
            archive.addfile(info, io.BytesIO(bytes(3000)))
    (tmp_path / "cut.tar").write_bytes(buffer.getvalue()[:5000])
    items, failures = listed(tmp_path / "cut.tar")
    assert list(items) == ["cut.tar/a"]
    assert failures["cut.tar/b"] == "Damaged"


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_of_a_compressed_tar_that_breaks_off_what_came_before_is_read(tmp_path, packing):
    members = {f"{n}.jpg": random.Random(n).randbytes(1 << 20) for n in range(3)}
    with tarfile.open(tmp_path / "whole", f"w:{packing}") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    data = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut.tar").write_bytes(data[: len(data) * 9 // 10])
    items, failures = listed(tmp_path / "cut.tar")
    assert items == {f"cut.tar/{name}": members[name] for name in ("0.jpg", "1.jpg")}
    assert failures == {"cut.tar": "Damaged", "cut.tar/2.jpg": "Damaged"}


def test_a_compressed_tar_with_a_wrong_checksum_is_read_and_told(tmp_path):
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        info = tarfile.TarInfo("a.jpg")
        info.size = len(JPEG)
        archive.addfile(info, io.BytesIO(JPEG))
    data = bytearray((tmp_path / "a.tgz").read_bytes())
    data[-8] ^= 1
    (tmp_path / "a.tgz").write_bytes(data)
    assert listed(tmp_path / "a.tgz") == ({"a.tgz/a.jpg": JPEG}, {"a.tgz": "Damaged"})


def test_what_follows_the_end_of_a_tar_is_told(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
        archive.addfile(tarfile.TarInfo("b"))
    whole = buffer.getvalue()
    (tmp_path / "two.tar").write_bytes(whole * 2)
    assert listed(tmp_path / "two.tar")[1] == {"two.tar": "Damaged"}
    (tmp_path / "hole.tar").write_bytes(whole[:512] + b"?" * 512 + whole[1024:])
    items, failures = listed(tmp_path / "hole.tar")
    assert list(items) == ["hole.tar/a"]
    assert failures == {"hole.tar": "Damaged"}


def tar_of(path, *members, mode="w"):
    """A TAR of (name, content, type, link) each, the last two where they are needed."""
    with tarfile.open(path, mode) as archive:
        for name, content, *rest in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if rest:
                info.type, info.linkname = rest
            archive.addfile(info, io.BytesIO(content))
    return path


def test_a_tar_member_of_a_type_that_nobody_knows_is_a_file(tmp_path):
    """So POSIX has it; what follows it is not lost either."""
    tar_of(tmp_path / "a.tar", ("a.jpg", JPEG, b"Z", ""), ("b", b"later"), ("D", b"x", b"D", ""))

    assert listed(tmp_path / "a.tar") == (
        {"a.tar/a.jpg": JPEG, "a.tar/b": b"later", "a.tar/D": b"x"},
        {},
    )


def test_hard_links_lead_to_members_before_and_behind_them(tmp_path):
    link = tarfile.LNKTYPE
    members = (
        ("to a link", b"", link, "ahead"),
        ("ahead", b"", link, "a.jpg"),
        ("nowhere", b"", link, "gone"),
        ("a.jpg", JPEG),
        ("back", b"", link, "a.jpg"),
        ("back again", b"", link, "back"),
    )
    tar_of(tmp_path / "a.tar", *members)

    items, failures = listed(tmp_path / "a.tar")

    names = ("a.jpg", "back", "back again", "to a link", "ahead")
    assert items == {f"a.tar/{name}": JPEG for name in names}
    assert failures == {"a.tar/nowhere": "Damaged"}

    # Those that wait are told of where the archive breaks off, too.
    data = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(data[:1536] + b"?" * 512)
    failures = listed(tmp_path / "a.tar")[1]
    assert set(failures) == {"a.tar", *(f"a.tar/{name}" for name, *_ in members[:3])}


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_what_follows_a_compressed_tar_is_told_but_for_zeros(tmp_path, packing):
    data = tar_of(tmp_path / "a", ("a.jpg", JPEG), mode=f"w:{packing}").read_bytes()
    (tmp_path / "a").write_bytes(data + bytes(512))
    assert listed(tmp_path / "a") == ({"a/a.jpg": JPEG}, {})

    (tmp_path / "a").write_bytes(data + bytes(512) + JPEG)
    assert listed(tmp_path / "a") == ({"a/a.jpg": JPEG}, {"a": "Damaged"})


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_a_tar_in_several_compressed_streams_is_one(tmp_path, packing):
    """As ``pbzip2`` and ``cat`` write them."""
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[packing]
    noise = random.Random(1).randbytes(2 << 20)
    data = tar_of(tmp_path / "a", ("a", noise)).read_bytes()
    (tmp_path / "a").write_bytes(pack(data[:99_999]) + pack(b"") + pack(data[99_999:]))

    assert listed(tmp_path / "a") == ({"a/a": noise}, {})


def test_more_sources_than_may_be_open_are_better_named_by_their_folder(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(JPEG)

    def refuse(path):
        raise OSError(errno.EMFILE, "Too many open files", str(path))

    monkeypatch.setattr("mayak.evidence.containers.segments.open_quietly", refuse)
    with pytest.raises(EvidenceError, match="Too many open files") as raised:
        open_source(tmp_path / "a.jpg")
    assert "folder" in raised.value.remedy


def test_a_single_image_is_a_source(tmp_path):
    (tmp_path / "misnamed.txt").write_bytes(JPEG)
    assert listed(tmp_path / "misnamed.txt") == ({"misnamed.txt": JPEG}, {})


def test_what_is_unknown_or_missing_is_refused_with_a_remedy(tmp_path):
    (tmp_path / "notes.txt").write_bytes(b"hello")
    with pytest.raises(EvidenceError, match=r"without pictures \(text\).*ZIP.*E01.*NTFS"):
        open_source(tmp_path / "notes.txt")
    with pytest.raises(EvidenceError, match="No such file"):
        open_source(tmp_path / "gone.zip")


def test_acquiring_hashes_the_file_and_leaves_a_folder_alone(tmp_path):
    (tmp_path / "a.jpg").write_bytes(JPEG)
    with open_source(tmp_path / "a.jpg") as source:
        acquired = source.acquire()
    assert acquired.md5 == hashlib.md5(JPEG, usedforsecurity=False).hexdigest()
    assert acquired.sha256 == hashlib.sha256(JPEG).hexdigest()
    assert acquired.bytes == len(JPEG)
    assert acquired.matches is None
    assert acquired.started <= acquired.ended
    assert acquired.started.tzinfo is UTC
    with open_source(tmp_path) as source:
        assert source.acquire() is None


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '[{"kind":"disk","name":"a"}]', '[{"kind":"zip"}]']
)
def test_what_is_no_path_is_refused(text):
    with pytest.raises(ValueError, match="not an evidence path"):
        EvidencePath.from_json(text)
