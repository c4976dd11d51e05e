"""ZIPs that are encrypted, split, packed by rarer methods, or that lost their end."""

import hashlib
import io
import lzma
import struct
import sys
import zipfile
from pathlib import Path

import pytest
from make_archives import CONTENT, PASSWORD, SPLIT, ZIP_CIPHERS, ZIP_METHODS

from mayak.errors import EvidenceError
from mayak.evidence import Choices, Limits, open_source
from mayak.types import EvidenceEntry, Failure
from mayak_synthetic.exfat import volume

ARCHIVES = Path(__file__).parent / "archives"
PICTURE = CONTENT["DCIM/사진.jpg"]
FILES = {"a.jpg": b"\xff\xd8\xff" + bytes(range(256)) * 40, "사진/b.png": b"\x89PNG" + b"x" * 9000}


def shown(path):
    """The path of an entry below its source, with the numbers of those of one name."""
    names = (f"{p.name}#{p.serial}" if p.serial else p.name for p in path.layers[1:])
    return "/".join(names)


def listed(path, *passwords, limits=None):
    """({name: content}, [(reason, name, message)]) of a source."""
    found, told = {}, []
    with open_source(path, limits, Choices(passwords=passwords)) as source:
        for entry in source.items():
            if isinstance(entry, Failure):
                told.append((entry.error, entry.path, entry.message))
            else:
                with entry.open() as stream:
                    content = stream.read()
                    stream.seek(0)  # as after a look at its first bytes
                    assert stream.read() == content
                    found[shown(entry.path)] = content
    return found, told


def zipped(files=FILES, *, streamed=False):
    stream = io.BytesIO()
    with zipfile.ZipFile(Unseekable(stream) if streamed else stream, "w", 8) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


class Unseekable(io.RawIOBase):
    """Sizes and checksums come after the content of what is written here."""

    def __init__(self, stream):
        self.stream = stream

    def writable(self):
        return True

    def write(self, data):
        return self.stream.write(data)


def without_module(monkeypatch, *names):
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("name", ["aes.zip", "zipcrypto.zip"])
def test_every_method_under_every_cipher_is_read_with_the_password(name):
    found, told = listed(ARCHIVES / name, "another", PASSWORD)
    ciphers = [cipher for cipher in ZIP_CIPHERS if cipher.lower().startswith(name[:3])]
    names = [f"{cipher} {method}.jpg" for cipher in ciphers for method in ZIP_METHODS]
    assert found == dict.fromkeys(names, PICTURE)
    assert told == []


@pytest.mark.parametrize(("passwords", "said"), [((), "is an encrypted"), (("no",), "none of the")])
def test_without_the_password_each_member_is_named_as_encrypted(passwords, said):
    found, told = listed(ARCHIVES / "aes.zip", *passwords)
    assert (found, len(told)) == ({}, 15)
    assert {reason for reason, *_ in told} == {"Encrypted"}
    assert all(said in message for *_, message in told)
    assert not any("no" in message.split() for *_, message in told)


def test_a_wrong_password_that_the_old_cipher_lets_pass_does_not_hide_the_right_one():
    """It compares one byte: of 600 passwords some fit."""
    wrong = [f"wrong {n}" for n in range(600)]
    found, told = listed(ARCHIVES / "zipcrypto.zip", *wrong, PASSWORD)
    assert set(found.values()) == {PICTURE}
    assert (len(found), told) == (5, [])


def test_a_member_that_a_wrong_password_seems_to_fit_is_not_called_damaged():
    wrong = tuple(f"wrong {n}" for n in range(600))
    with open_source(ARCHIVES / "zipcrypto.zip", None, Choices(passwords=wrong)) as source:
        entry = next(entry for entry in source.items() if isinstance(entry, EvidenceEntry))
        with pytest.raises(EvidenceError, match="or the password is a wrong one"):
            entry.open().read()


def test_changed_encrypted_content_is_an_error_of_that_member(tmp_path):
    data = bytearray((ARCHIVES / "aes.zip").read_bytes())
    at = data.index(b"AES256 Copy.jpg") + 600
    data[at] ^= 1
    (tmp_path / "a.zip").write_bytes(data)
    with open_source(tmp_path / "a.zip", None, Choices(passwords=(PASSWORD,))) as source:
        entries = {entry.path.name: entry for entry in source.items()}
        with (
            pytest.raises(EvidenceError, match="authentication code"),
            entries["AES256 Copy.jpg"].open() as stream,
        ):
            stream.read()
        with entries["AES256 LZMA.jpg"].open() as stream:
            assert stream.read() == PICTURE


def test_rarer_methods_are_read():
    found, told = listed(ARCHIVES / "methods.zip")
    names = [f"plain {method}.jpg" for method in ZIP_METHODS]
    assert found == dict.fromkeys(names, PICTURE)
    assert [(reason, "method 98" in text) for reason, _, text in told] == [("Unsupported", True)]


def test_a_method_that_is_not_read_is_named(tmp_path):
    data = zipped().replace(b"\x08\0", b"\x5d\0")  # 93, Zstandard
    (tmp_path / "a.zip").write_bytes(data)
    found, told = listed(tmp_path / "a.zip")
    assert found == {}
    assert {(reason, "method 93" in text) for reason, _, text in told} == {("Unsupported", True)}


@pytest.mark.usefixtures("in_process")
def test_a_missing_library_is_named_with_the_package(monkeypatch):
    without_module(monkeypatch, "inflate64", "Cryptodome.Cipher", "Cryptodome.Util")
    found, told = listed(ARCHIVES / "methods.zip")
    assert "plain Deflate.jpg" in found
    assert "can only be read with inflate64: pip install" in told[0][2]

    found, told = listed(ARCHIVES / "zipcrypto.zip", PASSWORD)
    assert {*found} == {f"ZipCrypto {m}.jpg" for m in ZIP_METHODS if m != "Deflate64"}
    found, told = listed(ARCHIVES / "aes.zip", PASSWORD)
    assert found == {}
    assert sum("read with Cryptodome: pip install 'mayak[" in text for *_, text in told) == 15
    assert {reason for reason, *_ in told} == {"Unsupported"}


@pytest.fixture
def pieces(tmp_path):
    folder = tmp_path / "split"
    folder.mkdir()
    for packed in ARCHIVES.glob("split.z*.xz"):
        (folder / packed.stem).write_bytes(lzma.decompress(packed.read_bytes()))
    return folder


@pytest.mark.parametrize("piece", ["split.zip", "split.z01", "split.z02"])
def test_a_split_zip_is_read_whichever_piece_is_given(pieces, piece):
    assert listed(pieces / piece) == (SPLIT, [])


def test_the_hash_of_a_split_zip_is_that_of_all_pieces(pieces):
    whole = b"".join((pieces / f"split.z{end}").read_bytes() for end in ("01", "02", "ip"))
    with open_source(pieces / "split.zip") as source:
        assert source.acquire().sha256 == hashlib.sha256(whole).hexdigest()


@pytest.mark.parametrize("where", ["folder", "zip", "disk image"])
def test_the_pieces_of_a_split_zip_are_one_archive_wherever_they_are(pieces, tmp_path, where):
    files = {piece.name: piece.read_bytes() for piece in pieces.iterdir()}
    source = tmp_path / "split"
    if where == "zip":
        source = tmp_path / "a.zip"
        source.write_bytes(zipped({f"DCIM/{name}": data for name, data in files.items()}))
    elif where == "disk image":
        source = tmp_path / "a.dd"
        source.write_bytes(volume(files, set()))
    found, told = listed(source)
    assert told == []
    pictures = {name.rpartition("/")[2]: data for name, data in found.items() if ".jpg" in name}
    assert pictures == SPLIT
    # Each piece is a file of the source, too.
    archives = [name for name in found if ".jpg" not in name and "split" in name]
    assert sorted(name.rpartition("/")[2] for name in archives) == sorted(files)
    with open_source(source) as opened:
        later = {entry.path.name.rpartition("/")[2] for entry in opened.items() if entry.is_piece}
    assert later == {"split.z01", "split.z02"}


def test_a_missing_piece_is_named(pieces):
    (pieces / "split.z02").unlink()
    with pytest.raises(EvidenceError, match=r"split\.z02' is missing"):
        listed(pieces / "split.zip")
    found, told = listed(pieces)
    assert any("split.z02' is missing" in message for *_, message in told)

    (pieces / "split.zip").unlink()
    found, told = listed(pieces)
    assert found["split.z01/0.jpg"] == SPLIT["0.jpg"]
    assert {reason for reason, *_ in told} == {"Damaged"}
    assert any("no directory" in message for *_, message in told)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_a_zip_that_lost_its_end_gives_its_members_and_says_so(tmp_path, streamed, nested):
    data = zipped(streamed=streamed)
    folder = tmp_path / "folder"
    folder.mkdir()
    source = folder / "a.zip"
    source.write_bytes(data[: data.index(b"PK\1\2") + 9])
    found, told = listed(folder if nested else source)
    members = {name.removeprefix("a.zip/"): data for name, data in found.items()}
    members.pop("a.zip", None)
    assert members == FILES
    ((reason, path, message),) = told
    assert (reason, Path(path).name) == ("Damaged", "a.zip")
    assert "no directory" in message


@pytest.mark.parametrize("streamed", [False, True])
def test_the_member_in_which_a_zip_ends_is_named(tmp_path, streamed):
    data = zipped({"first.jpg": FILES["a.jpg"], "last.jpg": random_bytes()}, streamed=streamed)
    (tmp_path / "a.zip").write_bytes(data[: data.index(b"PK\1\2") - 500])
    found, told = listed(tmp_path / "a.zip")
    assert found == {"first.jpg": FILES["a.jpg"]}
    assert [(reason, path.partition("/")[2]) for reason, path, _ in told[1:]] == [
        ("Damaged", "last.jpg")
    ]
    assert "cut off" in told[1][2]


def random_bytes():
    return __import__("random").Random(7).randbytes(4000)


def test_members_of_one_name_in_a_zip_without_an_end_are_told_apart(tmp_path):
    data = zipped()
    body = data[: data.index(b"PK\1\2")]
    (tmp_path / "a.zip").write_bytes(body * 2)
    found, _ = listed(tmp_path / "a.zip")
    assert len(found) == 4
    assert sorted(found.values()) == sorted([*FILES.values()] * 2)


@pytest.mark.parametrize(
    "limits", [Limits(members=1), Limits(unpacked=100)], ids=["members", "bytes"]
)
def test_limits_hold_without_an_end_too(tmp_path, limits):
    data = zipped()
    (tmp_path / "a.zip").write_bytes(data[: data.index(b"PK\1\2")])
    _, told = listed(tmp_path / "a.zip", limits=limits)
    assert "LimitExceeded" in {reason for reason, *_ in told}


def test_a_file_that_only_begins_like_a_zip_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 and a text after it" * 9)
    with pytest.raises(EvidenceError, match=r"a\.zip: cannot be read: it has no directory"):
        listed(tmp_path / "a.zip")


def test_a_zip_with_other_bytes_before_it_is_found_by_its_name(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"#!/bin/sh\nexec unzip $0\n" + zipped())
    assert listed(tmp_path / "a.zip") == (FILES, [])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "text.zip").write_bytes(b"a text with the name of a ZIP\n" * 9)
    found, told = listed(tmp_path / "folder")
    assert ([*found], told) == (["text.zip"], [])


def test_a_pattern_in_one_form_of_unicode_fits_a_name_in_the_other(tmp_path):
    import unicodedata

    from mayak.triage.options import Options

    name = unicodedata.normalize("NFD", "사진/거래.jpg")
    (tmp_path / "a.zip").write_bytes(zipped({name: FILES["a.jpg"]}))
    options = Options((), tmp_path, "kim", include=("*사진*",))
    with open_source(tmp_path / "a.zip") as source:
        (entry,) = source.items()
    assert isinstance(entry, EvidenceEntry)
    assert entry.path.name == name
    assert options.unwanted(entry) is None


def test_a_split_zip_of_more_pieces_than_there_are_is_refused_at_once(tmp_path):
    data = bytearray(zipped())
    struct.pack_into("<2H", data, len(data) - 18, 0xFFFE, 0xFFFE)
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(EvidenceError, match=r"a\.z01' is missing"):
        listed(tmp_path / "a.zip")
