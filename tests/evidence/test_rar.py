"""RAR 4 and 5, in pieces, solid, encrypted, damaged and hostile."""

import importlib
import lzma
import random
import shutil
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from mayak.errors import EvidenceError
from mayak.evidence import Limits, open_source
from mayak.evidence.containers.rar_headers import MARK_5
from mayak.types import EvidenceEntry, Failure

RAR = Path(__file__).parent / "rar"
LINES = b"".join(b"%03d\n" % n for n in range(512))
PIECES = {
    "vols/bigfile.txt": b"".join(b"%40d\n" % n for n in range(1, 5001)),
    "vols/smallfile.txt": b"".join(b"%40d\n" % n for n in range(1, 51)),
}
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(200)) + b"\xff\xd9"
TREE = {
    "sub/dir1/file1.txt": b"file1\n",
    "sub/dir2/file2.txt": b"file2\n",
    "sub/with space/long fn.txt": b"long fn\n",
    "sub/üȵĩöḋè/file.txt": b"file\n",
}
READ = {
    "seektest.rar": {"stest1.txt": LINES, "stest2.txt": LINES},
    "rar3-subdirs.rar": TREE,
    "unicode2.rar": {"уииоотивл.txt": b"1\n", "𝐀𝐁𝐁𝐂.txt": b"1\n"},
    "rar5-crc.rar": {"stest1.txt": LINES, "stest2.txt": LINES},
    "rar5-blake.rar": {"stest1.txt": LINES, "stest2.txt": LINES},
    "rar5-dups.rar": {f"stest{n}.txt": LINES for n in range(1, 10)},
    "rar5-hlink.rar": {f"stest{n}.txt": LINES for n in range(1, 4)},
    "rar5-solid.rar": {"stest1.txt": LINES, "stest2.txt": LINES},
    "rar5-solid-qo.rar": {
        f"{folder}stest{n}.txt": LINES for n in (1, 2) for folder in ("", "somedir/")
    },
    "rar5-subdirs.rar": TREE,
}


def has_libarchive():
    try:
        importlib.import_module("libarchive")
    except (ImportError, OSError, TypeError, AttributeError):
        return False
    return True


pytestmark = pytest.mark.skipif(not has_libarchive(), reason="needs the system's libarchive")


def shown(path):
    """The path of an entry below its source, with the numbers of those of one name."""
    names = (f"{p.name}#{p.serial}" if p.serial else p.name for p in path.layers[1:])
    return "/".join(names)


def listed(path, limits=None):
    """({name: content}, [(reason, name, message)]); what cannot be opened: Unreadable."""
    found, told = {}, []
    with open_source(path, limits) as source:
        for entry in source.items():
            if isinstance(entry, Failure):
                name = str(entry.path).partition("/")[2]
                told.append((str(entry.error), name, entry.message))
                continue
            try:
                with entry.open() as stream:
                    found[shown(entry.path)] = stream.read()
            except EvidenceError as error:
                told.append(("Unreadable", shown(entry.path), str(error)))
    return found, told


@pytest.mark.parametrize("name", READ)
def test_archives_of_both_versions_are_read(name):
    assert listed(RAR / name) == (READ[name], [])


def pieces(folder, start):
    folder.mkdir()
    for packed in RAR.glob(f"{start}*.xz"):
        (folder / packed.stem).write_bytes(lzma.decompress(packed.read_bytes()))
    return folder


NAMES = ["rar3-vols.part1.rar", "rar3-vols.part3.rar", "rar3-old.rar", "rar3-old.r01"]


@pytest.mark.parametrize("given", [*NAMES, "rar5-vols.part1.rar", "rar5-vols.part2.rar"])
def test_pieces_are_one_archive_whichever_is_given(tmp_path, given):
    folder = pieces(tmp_path / "folder", given[:8])
    assert listed(folder / given) == (PIECES, [])


@pytest.mark.parametrize("start", ["rar3-vols", "rar3-old", "rar5-vols"])
@pytest.mark.parametrize("zipped", [False, True])
def test_pieces_are_one_archive_in_a_folder_and_in_a_zip(tmp_path, start, zipped):
    source = folder = pieces(tmp_path / "folder", start)
    if zipped:
        source = tmp_path / "a.zip"
        with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
            for piece in folder.iterdir():
                archive.write(piece, piece.name)
    found, told = listed(source)
    assert told == []
    assert {name.partition("/")[2] for name in found} == {"", *PIECES}
    # Each piece is a file of the source, too.
    assert {name for name in found if "/" not in name} == {piece.name for piece in folder.iterdir()}
    with open_source(source) as opened:
        later = sum(entry.is_piece for entry in opened.items() if not isinstance(entry, Failure))
    assert later == len(list(folder.iterdir())) - 1


def test_a_missing_piece_is_named_and_what_is_whole_is_read(tmp_path):
    folder = pieces(tmp_path / "folder", "rar5-vols")
    (folder / "rar5-vols.part3.rar").unlink()
    found, told = listed(folder / "rar5-vols.part1.rar")
    assert found == {}
    assert {(reason, name) for reason, name, _ in told} == {
        ("Damaged", "vols/bigfile.txt"),
        ("Damaged", ""),
    }
    assert "piece 'rar5-vols.part3.rar' is missing" in [message for *_, message in told]

    (folder / "rar5-vols.part1.rar").unlink()
    with pytest.raises(EvidenceError, match=r"'rar5-vols\.part1\.rar' is missing"):
        listed(folder / "rar5-vols.part2.rar")


@pytest.mark.parametrize("name", ["rar3-comment-psw.rar", "rar5-psw.rar"])
def test_encrypted_files_are_named_and_never_given_as_they_are_stored(name):
    found, told = listed(RAR / name)
    assert found == {}
    assert {reason for reason, *_ in told} == {"Encrypted"}
    assert len(told) == 2


@pytest.mark.parametrize("name", ["rar3-comment-hpsw.rar", "rar5-hpsw.rar"])
def test_an_encrypted_list_of_files_is_named(tmp_path, name):
    shutil.copy(RAR / name, tmp_path / "a.rar")
    _, ((reason, path, message),) = listed(tmp_path)
    assert (reason, path) == ("Encrypted", "a.rar")
    assert "list of files is encrypted" in message


def test_what_is_not_read_is_named():
    found, told = listed(RAR / "rar3-solid.rar")
    assert found == {"stest1.txt": LINES}
    assert [(reason, name) for reason, name, _ in told] == [("Unsupported", "stest2.txt")]
    found, told = listed(RAR / "rar2-unix-owner.rar")
    assert (found, [message for *_, message in told]) == (
        {},
        ["was packed by RAR 2, which is not read"],
    )


@pytest.mark.parametrize("name", ["rar3-symlink-unix.rar", "rar5-symlink-unix.rar"])
def test_links_are_not_followed(name):
    found, told = listed(RAR / name)
    assert found == {"data.txt": b"data\n"}
    assert [(reason, link) for reason, link, _ in told] == [
        ("SymbolicLink", "data_link"),
        ("SymbolicLink", "random_link"),
    ]


def test_a_name_that_leads_through_a_link_is_only_a_name(tmp_path):
    found, told = listed(RAR / "rar5-evil-symlink-traversal.rar")
    assert [*found] == ["up/pwned.txt"]
    assert [(reason, name) for reason, name, _ in told] == [("SymbolicLink", "up")]


@pytest.mark.parametrize(
    ("name", "time", "is_known"),
    [
        ("ctime3.rar", "2011-05-10T21:28:47.899345+00:00", False),
        ("rar5-times2.rar", "2011-05-10T18:28:47.899345+00:00", True),
    ],
)
def test_times_are_as_exact_as_they_are_stored(name, time, is_known):
    with open_source(RAR / name) as source:
        (entry,) = source.items()
    assert isinstance(entry, EvidenceEntry)
    assert (entry.times.modified.isoformat(), entry.times.zone_known) == (time, is_known)


def vint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def block(kind, body, data=b"", flags=0, extra=b""):
    flags |= (1 if extra else 0) | (2 if data else 0)
    head = vint(kind) + vint(flags) + (vint(len(extra)) if extra else b"")
    head += (vint(len(data)) if data else b"") + body + extra
    sized = vint(len(head)) + head
    return struct.pack("<L", zlib.crc32(sized)) + sized + data


def stored(name, content, size=None, extra=b"", checksum=None):
    raw = name.encode()
    size = len(content) if size is None else size
    checksum = zlib.crc32(content) if checksum is None else checksum
    body = vint(4) + vint(size) + vint(0o100644) + struct.pack("<L", checksum)
    return block(2, body + vint(0) + vint(1) + vint(len(raw)) + raw, content, extra=extra)


def rar5(*blocks, end=True):
    return MARK_5 + block(1, vint(0)) + b"".join(blocks) + (block(5, vint(0)) if end else b"")


def test_names_are_only_names_and_repeated_ones_are_told_apart(tmp_path):
    names = ["../../etc/a.jpg", "/b.jpg", "c.jpg", "c.jpg", "사진.jpg"]
    (tmp_path / "a.rar").write_bytes(rar5(*(stored(name, JPEG) for name in names)))
    found, told = listed(tmp_path / "a.rar")
    assert {*found} == {"../../etc/a.jpg", "/b.jpg", "c.jpg", "c.jpg#4", "사진.jpg"}
    assert {*found.values()} == {JPEG}
    assert told == []


def test_content_that_differs_from_its_checksum_is_not_given(tmp_path):
    wrong = stored("a.jpg", JPEG, checksum=1)
    (tmp_path / "a.rar").write_bytes(rar5(wrong, stored("b.jpg", JPEG)))
    found, ((reason, name, _),) = listed(tmp_path / "a.rar")
    assert found == {"b.jpg": JPEG}
    assert (reason, name) == ("Unreadable", "a.jpg")


@pytest.mark.parametrize("kept", [-5, -40, -300])
def test_a_truncated_archive_gives_what_is_whole_and_says_so(tmp_path, kept):
    data = rar5(stored("a.jpg", JPEG), stored("b.jpg", JPEG))
    (tmp_path / "a.rar").write_bytes(data[:kept])
    found, told = listed(tmp_path / "a.rar")
    assert found.get("a.jpg") == (JPEG if kept > -300 else None)
    assert ("Damaged", "") in [(reason, name) for reason, name, _ in told]


def test_limits_hold(tmp_path):
    (tmp_path / "a.rar").write_bytes(rar5(*(stored(f"{n}.jpg", JPEG) for n in range(5))))
    (tmp_path / "b.rar").write_bytes(rar5(stored("a.jpg", JPEG, size=1 << 40)))
    _, told = listed(tmp_path, Limits(members=4))
    assert [(reason, name) for reason, name, _ in told] == [
        ("LimitExceeded", "a.rar"),
        ("LimitExceeded", "b.rar"),
    ]


@pytest.mark.parametrize("target", ["a.jpg", "nothing.jpg", "b.jpg"])
def test_a_copy_of_itself_or_of_nothing_is_a_fault(tmp_path, target):
    raw = target.encode()
    record = vint(5) + vint(5) + vint(0) + vint(len(raw)) + raw
    copy = stored("a.jpg", b"", size=len(JPEG), extra=vint(len(record)) + record)
    other = vint(5) + vint(5) + vint(0) + vint(5) + b"a.jpg"
    back = stored("b.jpg", b"", size=len(JPEG), extra=vint(len(other)) + other)
    (tmp_path / "a.rar").write_bytes(rar5(copy, back))
    found, told = listed(tmp_path / "a.rar")
    assert found == {}
    assert {reason for reason, *_ in told} == {"Damaged"}


@pytest.mark.usefixtures("in_process")
def test_changed_bytes_anywhere_are_an_outcome_and_never_a_crash(tmp_path):
    rng = random.Random(6)
    for name in ("rar5-crc.rar", "seektest.rar", "rar5-hlink.rar", "rar5-blake.rar"):
        whole = (RAR / name).read_bytes()
        for _ in range(60):
            data = bytearray(whole)
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(8, len(data))] = rng.randrange(256)
            (tmp_path / "a.rar").write_bytes(data)
            try:
                found, told = listed(tmp_path / "a.rar")
            except EvidenceError:
                continue
            assert set(found.values()) <= {LINES, b""}
            assert len(found) + len(told) > 0


@pytest.mark.usefixtures("in_process")
def test_a_missing_library_is_named(tmp_path, monkeypatch):
    shutil.copy(RAR / "rar5-crc.rar", tmp_path / "a.rar")
    monkeypatch.setitem(sys.modules, "libarchive", None)
    _, ((reason, name, message),) = listed(tmp_path)
    assert (reason, name) == ("Unsupported", "a.rar")
    assert "libarchive, which reads it, is not installed" in message
