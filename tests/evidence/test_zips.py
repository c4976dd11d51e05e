"""ZIPs as other programs write them, and damaged ones; their directory is read by mayak itself."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from mayak.errors import EvidenceError
from mayak.evidence import open_source
from mayak.types import EvidenceItem, Failure

FILES = {"a.jpg": b"\xff\xd8\xff" + bytes(range(256)) * 40, "사진/b.png": b"\x89PNG" + b"x" * 9000}


def zipped(method=zipfile.ZIP_DEFLATED, comment=b""):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
        archive.comment = comment
    return stream.getvalue()


def read(path):
    with open_source(path) as source:
        found = {}
        for entry in source.items():
            assert isinstance(entry, EvidenceItem), entry
            with entry.open() as stream:
                found[entry.path.name] = stream.read()
        return found


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_every_method_that_is_read(tmp_path, method):
    (tmp_path / "a.zip").write_bytes(zipped(method))

    assert read(tmp_path / "a.zip") == FILES


@pytest.mark.parametrize("comment", [b"from a phone", b"x" * 0xFFFF])
def test_a_comment_behind_the_directory(tmp_path, comment):
    (tmp_path / "a.zip").write_bytes(zipped(comment=comment))

    assert read(tmp_path / "a.zip") == FILES


def test_more_members_than_the_old_directory_can_count(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(0x10001):
            archive.writestr(zipfile.ZipInfo(f"{number}"), b"")

    with open_source(tmp_path / "a.zip") as source:
        names = [entry.path.name for entry in source.items()]

    assert names == [str(number) for number in range(0x10001)]


@pytest.mark.parametrize("in_front", [b"", b"PK\3\4 and what was put in front of it" * 9])
def test_sizes_and_places_beyond_four_gigabytes_are_read_from_the_extra_field(tmp_path, in_front):
    """As an archive of more than 4 GiB has them, here with small numbers."""
    content = FILES["a.jpg"]
    crc = zipfile.crc32(content)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 33, crc, *[2**32 - 1] * 2, 5, 20)
    data = local + b"a.jpg" + struct.pack("<2H2Q", 1, 16, len(content), len(content)) + content
    extra = struct.pack("<2H3Q", 1, 24, len(content), len(content), 0)
    entry = struct.pack(
        "<4s4B4H3L5H2L",
        *(b"PK\1\2", 45, 0, 45, 0, 0, 0, 0, 33, crc, *[2**32 - 1] * 2, 5),
        *(len(extra), 0, 0, 0, 0, 2**32 - 1),
    )
    directory = entry + b"a.jpg" + extra
    at = len(data)
    end_at = at + len(directory)
    data += directory
    data += struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(directory), at)
    data += struct.pack("<4sLQL", b"PK\6\7", 0, end_at, 1)
    data += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[2**32 - 1] * 2, 0)
    (tmp_path / "a.zip").write_bytes(in_front + data)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.read("a.jpg") == content  # what is made here is a ZIP to others too

    assert read(tmp_path / "a.zip") == {"a.jpg": content}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda data: data[:-30], "no directory"),
        (lambda data: data.replace(b"PK\1\2", b"PK\0\0"), "directory is damaged"),
        (lambda data: data[: data.index(b"PK\1\2")] + data[-22:], "directory is damaged"),
        (lambda data: data[-22:], "lies outside"),
    ],
)
def test_a_damaged_directory_is_a_stated_fault(tmp_path, spoil, told):
    (tmp_path / "a.zip").write_bytes(spoil(zipped()))
    with pytest.raises(EvidenceError, match=told):
        read(tmp_path / "a.zip")

    # Inside another source it costs what lies in it, and no more.
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.zip").rename(tmp_path / "folder" / "a.zip")
    (tmp_path / "folder" / "good.zip").write_bytes(zipped())
    with open_source(tmp_path / "folder") as source:
        entries = list(source.items())
    assert [entry.error for entry in entries if isinstance(entry, Failure)] == ["Damaged"]
    assert sum(isinstance(entry, EvidenceItem) for entry in entries) == 4


def test_a_directory_that_is_shorter_than_it_says_is_a_gap(tmp_path):
    """As it is when the end record was overwritten: nothing may pass for an empty ZIP."""
    emptied = bytearray(zipped())
    emptied[-10:-2] = bytes(8)  # the directory's length and place
    more = bytearray(zipped())
    more[-14:-10] = struct.pack("<2H", 9, 9)
    for data, count, stated in ((emptied, 0, 2), (more, 2, 9)):
        (tmp_path / "a.zip").write_bytes(data)
        with open_source(tmp_path / "a.zip") as source:
            *members, told = source.items()

        assert isinstance(told, Failure)
        assert (told.error, len(members)) == ("Damaged", count)
        assert f"lists {count} members, of {stated} by its end record" in told.message


def test_of_a_zip_whose_first_bytes_are_missing_the_rest_is_read(tmp_path):
    junk = b"PK\3\4" + bytes(400)
    stream = io.BytesIO(junk)
    with zipfile.ZipFile(stream, "a") as archive:  # offsets that count what lies in front
        for name, content in FILES.items():
            archive.writestr(name, content)
    (tmp_path / "a.zip").write_bytes(stream.getvalue()[len(junk) :])
    assert read(tmp_path / "a.zip") == FILES

    # A member that begins in what is missing is lost, and no other.
    (tmp_path / "a.zip").write_bytes(b"PK\3\4" + stream.getvalue()[len(junk) + 30 :])
    with open_source(tmp_path / "a.zip") as source:
        first, second = source.items()
        with pytest.raises(EvidenceError, match="header is damaged"):
            first.open()
        with second.open() as opened:
            assert opened.read() == FILES["사진/b.png"]


@pytest.mark.parametrize("place", [2**63, 2**64 - 1])
def test_a_place_that_no_file_has_is_ignored(tmp_path, place):
    data = zipped()
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, place, 1)
    (tmp_path / "a.zip").write_bytes(data[:-22] + locator + data[-22:])

    with pytest.raises(EvidenceError, match="directory is damaged"):
        read(tmp_path / "a.zip")


def test_a_header_that_contradicts_the_directory_is_a_fault_of_that_member(tmp_path):
    data = zipped(zipfile.ZIP_STORED).replace(b"a.jpg", b"b.jpg", 1)
    (tmp_path / "a.zip").write_bytes(data)
    with open_source(tmp_path / "a.zip") as source:
        first, second = source.items()
        with pytest.raises(EvidenceError, match="name it differently"):
            first.open()
        with second.open() as stream:
            assert stream.read() == FILES["사진/b.png"]


def test_names_that_are_not_the_utf8_they_claim_to_be_cost_nothing_else(tmp_path):
    data = zipped(zipfile.ZIP_STORED)
    flagged = data.replace("사진".encode(), b"\xbb\xe7\xc1\xf8xx")  # CP949, marked as UTF-8
    (tmp_path / "a.zip").write_bytes(flagged)

    assert list(read(tmp_path / "a.zip").values()) == list(FILES.values())
    assert "사진xx/b.png" in read(tmp_path / "a.zip")
