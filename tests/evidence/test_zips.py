"""ZIPs as other programs write them, and damaged ones; their directory is read by mayak itself."""

from __future__ import annotations

import io
import random
import stat
import struct
import zipfile

import pytest

from mayak.errors import EvidenceError
from mayak.evidence import Limits, open_source
from mayak.types import EvidenceEntry, EvidencePath, Failure

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
            assert isinstance(entry, EvidenceEntry), entry
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

    with open_source(tmp_path / "a.zip") as source:
        item, *told = source.items()
        assert item.open().read() == content
    beside = f"{len(in_front)} bytes that no entry of the directory names"
    assert [(entry.error, entry.message) for entry in told] == [("Damaged", beside)] * bool(
        in_front
    )


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda data: data[:-30], "no directory"),
        (lambda data: data.replace(b"PK\1\2", b"PK\0\0"), "directory is damaged"),
        (lambda data: data[: data.index(b"PK\1\2")] + data[-22:], "directory is damaged"),
    ],
)
def test_a_damaged_directory_is_a_stated_gap_and_costs_no_member(tmp_path, spoil, told):
    (tmp_path / "a.zip").write_bytes(spoil(zipped()))
    found, (gap, *_) = entries(tmp_path / "a.zip")
    assert found == FILES
    assert gap[0] == "Damaged"
    assert told in gap[1]


def test_an_end_record_without_a_zip_is_a_stated_fault(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped()[-22:])
    with pytest.raises(EvidenceError, match="is outside"):
        read(tmp_path / "a.zip")

    # Inside another source it costs what is in it, and no more.
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.zip").rename(tmp_path / "folder" / "a.zip")
    (tmp_path / "folder" / "good.zip").write_bytes(zipped())
    with open_source(tmp_path / "folder") as source:
        items = list(source.items())
    assert [entry.error for entry in items if isinstance(entry, Failure)] == ["Damaged"]
    assert sum(isinstance(entry, EvidenceEntry) for entry in items) == 4


def test_a_directory_that_is_shorter_than_it_says_is_a_gap(tmp_path):
    """As it is when the end record was overwritten: nothing may pass for an empty ZIP."""
    emptied = bytearray(zipped())
    emptied[-10:-2] = bytes(8)  # the directory's length and place
    more = bytearray(zipped())
    more[-14:-10] = struct.pack("<2H", 9, 9)
    beside = [f"[unlisted]/{name}" for name in FILES]
    for data, listed, others, stated in ((emptied, [], beside, 2), (more, [*FILES], [], 9)):
        (tmp_path / "a.zip").write_bytes(data)
        with open_source(tmp_path / "a.zip") as source:
            entries = list(source.items())

        count = len(listed)
        told = entries.pop(count)
        assert isinstance(told, Failure)
        assert told.error == "Damaged"
        assert [entry.path.name for entry in entries] == listed + others
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

    found, ((reason, message), *_) = entries(tmp_path / "a.zip")
    assert (found, reason) == (FILES, "Damaged")
    assert "directory is damaged" in message


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


def entries(path):
    """({name: content}, [what else is told]) of a ZIP."""
    found, told = {}, []
    with open_source(path) as source:
        for entry in source.items():
            if isinstance(entry, Failure):
                told.append((entry.error, entry.message))
                continue
            # As it is found again later, by its place alone.
            again = source.find(EvidencePath.from_json(entry.path.to_json()))
            with entry.open() as stream, again.open() as other:
                found[entry.path.numbered.partition("/")[2]] = stream.read()
                assert other.read() == found[entry.path.numbered.partition("/")[2]]
    return found, told


def unlisted(count, *files):
    """What the files are called that a directory of so many members does not name."""
    names = enumerate((name for members in files for name in members), count + 1)
    contents = (content for members in files for content in members.values())
    return {f"[unlisted]/{name}#{n}": c for (n, name), c in zip(names, contents, strict=True)}


class Streamed(io.RawIOBase):
    """Of what is written here nothing can be changed later: sizes come behind the content."""

    def __init__(self):
        self.data = b""

    def writable(self):
        return True

    def write(self, data):
        self.data += data
        return len(data)


def joined(files, method=zipfile.ZIP_DEFLATED, to=None, force=False):
    """A ZIP of these files."""
    stream = io.BytesIO() if to is None else to
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            with archive.open(info, "w", force_zip64=force) as member:
                member.write(content)
    return stream.getvalue() if to is None else to.data


def without_directory(data):
    return data[: int.from_bytes(data[-6:-2], "little")]


OTHERS = {"c.jpg": b"\xff\xd8\xff" + b"c" * 999, "d": b"d" * 500}
MORE = {"e.png": b"\x89PNG" + random.Random(5).randbytes(700)}
EMPTY = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)


def test_of_joined_zips_the_members_of_all_are_listed(tmp_path):
    first = zipped(comment=b"from a phone")
    (tmp_path / "a.zip").write_bytes(first + joined(MORE) + joined(OTHERS))

    assert entries(tmp_path / "a.zip") == (OTHERS | unlisted(2, MORE, FILES), [])


@pytest.mark.parametrize("end", [EMPTY, EMPTY * 30, b"PK\5\6" + EMPTY[4:-2] + b"\x10\0" + EMPTY])
def test_an_end_behind_the_end_hides_nothing(tmp_path, end):
    (tmp_path / "a.zip").write_bytes(zipped() + end)

    assert entries(tmp_path / "a.zip") == (unlisted(0, FILES), [])


@pytest.mark.parametrize("place", ["before", "between", "behind"])
@pytest.mark.parametrize("streamed", [None, "sizes behind", "sizes of 8 bytes behind"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_that_the_directory_does_not_name_are_listed(tmp_path, place, streamed, method):
    to = Streamed() if streamed else None
    hidden = without_directory(joined(MORE, method, to, streamed == "sizes of 8 bytes behind"))
    data = zipped()
    if place == "behind":  # and no directory behind it
        data += hidden
    elif place == "before":
        data = hidden + data
    else:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, content in FILES.items():
                archive.writestr(name, content)
                stream.write(hidden)
                archive.start_dir = stream.tell()
        data = stream.getvalue()
    (tmp_path / "a.zip").write_bytes(data)

    times = 2 if place == "between" else 1
    assert entries(tmp_path / "a.zip") == (FILES | unlisted(2, *[MORE] * times), [])


def test_a_hidden_zip_is_one_file_and_its_members_lie_in_it(tmp_path):
    inner = joined(OTHERS)
    hidden = without_directory(joined({"x.zip": inner}, zipfile.ZIP_STORED))
    (tmp_path / "a.zip").write_bytes(hidden + zipped())

    with open_source(tmp_path / "a.zip") as source:
        names = [entry.path.numbered for entry in source.items()]
    beside = "a.zip/[unlisted]/x.zip#3"
    listed = [f"a.zip/{name}" for name in FILES]
    assert names == [*listed, beside, *(f"{beside}/{name}" for name in OTHERS)]


@pytest.mark.parametrize("length", [100, (1 << 20) + 7])
def test_bytes_that_are_no_member_are_counted(tmp_path, length):
    hidden = without_directory(joined(MORE))
    (tmp_path / "a.zip").write_bytes(hidden + b"?" * length + zipped() + b"!" * 100)

    found, told = entries(tmp_path / "a.zip")

    assert found == FILES | unlisted(2, MORE)
    assert told == [("Damaged", f"{length + 100} bytes that no entry of the directory names")]


def test_a_member_that_breaks_off_is_counted_as_bytes(tmp_path):
    hidden = without_directory(joined(OTHERS, zipfile.ZIP_STORED))
    cut = hidden[:400]
    (tmp_path / "a.zip").write_bytes(cut + zipped())

    told = [("Damaged", "400 bytes that no entry of the directory names")]
    assert entries(tmp_path / "a.zip") == (FILES, told)


def test_an_older_directory_is_nothing_new(tmp_path):
    """As tools leave it that append members and write the directory anew."""
    stream = io.BytesIO(zipped())
    with zipfile.ZipFile(stream, "a") as archive:
        archive.start_dir = len(stream.getvalue())
        for name, content in OTHERS.items():
            archive.writestr(name, content)
    (tmp_path / "a.zip").write_bytes(stream.getvalue())

    assert entries(tmp_path / "a.zip") == (FILES | OTHERS, [])


def hole(size):
    """A member without name and content, as Android's tools fill holes."""
    return struct.pack("<4s5H3L2H", b"PK\3\4", 0, 0, 0, 0, 33, 0, 0, 0, 0, size) + bytes(size)


def signing_block():
    size = struct.pack("<Q", 4000 + 24)
    return size + b"s" * 4000 + size + b"APK Sig Block 42"


@pytest.mark.parametrize("comment", [b"", b"channel " * 50])
def test_what_ordinary_zips_hold_beside_their_members_is_explained(tmp_path, comment):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in FILES.items():
            info = zipfile.ZipInfo(name)
            info.extra = struct.pack("<2H", 0xD935, 300) + bytes(300)  # aligned by an extra field
            archive.writestr(info, content)
            info.extra = b""
            stream.write(hole(200) + bytes(4000))
            archive.start_dir = stream.tell()
        archive.writestr("folder/", b"")
        stream.seek(archive.start_dir)
        stream.write(without_directory(joined({"gone/": b""})) * 3 + signing_block())
        archive.start_dir = stream.tell()
        archive.comment = comment
    (tmp_path / "a.zip").write_bytes(stream.getvalue() + bytes(1000))

    assert entries(tmp_path / "a.zip") == (FILES, [])


def test_extra_fields_and_sizes_behind_the_content_are_explained(tmp_path):
    stream = Streamed()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in FILES.items():
            info = zipfile.ZipInfo(name)
            info.extra = struct.pack("<2H", 0x5855, 60) + bytes(60)
            with archive.open(info, "w", force_zip64=True) as member:
                member.write(content)
    (tmp_path / "a.zip").write_bytes(stream.data)

    assert entries(tmp_path / "a.zip") == (FILES, [])


def test_unlisted_members_that_unpack_to_too_much_are_refused(tmp_path):
    zeros = {"zeros": bytes(80 << 20)}
    streamed = without_directory(joined(zeros, to=Streamed()))
    for bomb in (joined(zeros), without_directory(joined(zeros)), streamed):
        (tmp_path / "a.zip").write_bytes(bomb + zipped())
        found, told = entries(tmp_path / "a.zip")
        assert (found, [error for error, _ in told]) == (FILES, ["LimitExceeded"])


def test_unlisted_members_count_towards_the_limit(tmp_path):
    (tmp_path / "a.zip").write_bytes(joined(OTHERS) + zipped())
    with open_source(tmp_path / "a.zip", Limits(members=3)) as source:
        *items, told = source.items()
    assert (len(items), told.error) == (3, "LimitExceeded")


def directory_entry(data, at, value):
    """The ZIP with other bytes at a place in its first entry of the directory."""
    start = data.index(b"PK\1\2") + at
    return data[:start] + value + data[start + len(value) :]


def test_a_folder_with_content_is_a_file(tmp_path):
    data = joined({"pic.jp/": FILES["a.jpg"]}, zipfile.ZIP_STORED)
    (tmp_path / "a.zip").write_bytes(data)
    assert entries(tmp_path / "a.zip") == ({"pic.jp/": FILES["a.jpg"]}, [])

    (tmp_path / "a.zip").write_bytes(directory_entry(data, 24, bytes(4)))  # its size
    assert entries(tmp_path / "a.zip") == ({"pic.jp/": FILES["a.jpg"]}, [])


def test_packed_content_of_a_file_that_says_to_be_empty_is_told(tmp_path):
    packed = directory_entry(zipped(), 24, bytes(4))
    (tmp_path / "a.zip").write_bytes(packed)
    with open_source(tmp_path / "a.zip") as source:
        told, _ = source.items()
    assert (str(told.path), told.error) == ("a.zip/a.jpg", "Damaged")
    assert "says that it is empty" in told.message

    # Nothing, deflated, takes two bytes.
    (tmp_path / "b.zip").write_bytes(joined({"empty": b"", "folder/": b""}))
    assert entries(tmp_path / "b.zip") == ({"empty": b""}, [])


def test_a_link_that_has_more_content_than_it_says_is_no_link(tmp_path):
    info = zipfile.ZipInfo("link.jpg")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, random.Random(1).randbytes(9000))
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(directory_entry(data, 24, struct.pack("<L", 9)))

    with open_source(tmp_path / "a.zip") as source:
        (item,) = source.items()
        with pytest.raises(EvidenceError, match="CRC"):
            item.open().read()


@pytest.mark.parametrize(
    ("mode", "size", "error"),
    [
        (stat.S_IFIFO, 11, None),
        (stat.S_IFIFO, 0, "SpecialFile"),
        (stat.S_IFCHR, 11, None),
        (stat.S_IFLNK, 11, "SymbolicLink"),
        (stat.S_IFLNK, 4096, "SymbolicLink"),
        (stat.S_IFLNK, 4097, None),
    ],
)
def test_content_makes_a_file_of_what_has_the_mode_of_a_pipe_or_link(tmp_path, mode, size, error):
    """``zip - -`` gives what it reads the mode of the pipe; no link leads to a name of 4 KiB."""
    info = zipfile.ZipInfo("-")
    info.create_system, info.external_attr = 3, (mode | 0o600) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, b"x" * size)

    found, told = entries(tmp_path / "a.zip")

    assert found == ({} if error else {"-": b"x" * size})
    assert [kind for kind, _ in told] == ([error] if error else [])


def as_windows_writes(names, system=0):
    """Names as they are given, and the system that the entries were made on."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, name in enumerate(names):
            info = zipfile.ZipInfo(name)
            info.create_system = system
            archive.writestr(info, b"" if name.endswith("\\") else bytes([number]) * 9)
    return stream.getvalue()


def test_the_backslashes_of_a_zip_made_on_windows_part_folders(tmp_path):
    names = ("DCIM\\", "DCIM\\Camera\\a.jpg", "DCIM\\Camera\\bc.jpg")
    (tmp_path / "a.zip").write_bytes(as_windows_writes(names))

    with open_source(tmp_path / "a.zip") as source:
        entries = list(source.items())
        assert [entry.path.name for entry in entries] == ["DCIM/Camera/a.jpg", "DCIM/Camera/bc.jpg"]
        assert entries[0].path.raw == b"DCIM\\Camera\\a.jpg"
        with source.find(entries[1].path).open() as stream:
            assert stream.read() == b"\2" * 9


@pytest.mark.parametrize(
    ("names", "system"),
    [
        (("a\\b.jpg", "ccc.jpg"), 3),  # made on Unix
        (("DCIM/a\\b.jpg", "c.jpg"), 0),  # has its own folders
    ],
)
def test_a_backslash_in_a_name_stays_if_it_may_be_one(tmp_path, names, system):
    (tmp_path / "a.zip").write_bytes(as_windows_writes(names, system))

    with open_source(tmp_path / "a.zip") as source:
        assert [entry.path.name for entry in source.items()] == list(names)


def test_of_an_aff4_image_it_is_stated_that_its_disk_is_not_read(tmp_path):
    """An AFF4 is a ZIP, whose members are parts of a disk."""
    with zipfile.ZipFile(tmp_path / "disk.aff4", "w") as archive:
        archive.writestr("container.description", "aff4://e3b0c442")
        archive.writestr("information.turtle", "@prefix aff4: <http://aff4.org/Schema#> .")
        archive.writestr("data/00000000", bytes(range(256)) * 9)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b").write_bytes((tmp_path / "disk.aff4").read_bytes())
    for path in (tmp_path / "disk.aff4", tmp_path / "folder"):
        with open_source(path) as source:
            gaps = [item for item in source.items() if isinstance(item, Failure)]
        ((reason, kind, text),) = ((gap.error, gap.kind, gap.message) for gap in gaps)
        assert (reason, kind) == ("Unsupported", "AFF4")
        assert "convert a copy to E01 or raw" in text
