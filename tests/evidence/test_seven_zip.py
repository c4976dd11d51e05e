"""7z: every method and filter, encrypted, in pieces, damaged and hostile."""

import io
import lzma
import random
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from make_archives import (
    CONTENT,
    KOREAN_PASSWORD,
    SEVEN_ZIP_FILTERS,
    SEVEN_ZIP_METHODS,
    SEVEN_ZIP_UNREAD,
    machine_code,
)

from mayak.errors import EvidenceError
from mayak.evidence import Choices, Limits, open_source
from mayak.evidence.containers import sevenzip
from mayak.types import EvidenceEntry, Failure
from mayak_synthetic.exfat import volume

ARCHIVES = Path(__file__).parent / "archives"
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(200)) + b"\xff\xd9"


def shown(path):
    """The path of an entry below its source, with the numbers of those of one name."""
    names = (f"{p.name}#{p.serial}" if p.serial else p.name for p in path.layers[1:])
    return "/".join(names)


def listed(path, *passwords, limits=None):
    """({name: content}, [(reason, name, message)]); what cannot be opened: Unreadable."""
    found, told = {}, []
    with open_source(path, limits, Choices(passwords=passwords)) as source:
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


def number(value):
    """7z's form of a number of any size."""
    return bytes([value]) if value < 0x80 else b"\xff" + struct.pack("<Q", value)


def coder(method, properties=b""):
    return (
        bytes([len(method) | (0x20 if properties else 0)])
        + method
        + (number(len(properties)) + properties if properties else b"")
    )


COPY = coder(b"\0")


def archive(files, packed=None, coders=(COPY,), sizes=None, bonds=b"", copies=1):
    """A 7z archive of blocks that each hold these (name, content); the header is not packed."""
    content = b"".join(data for _, data in files)
    packed = content if packed is None else packed
    sizes = [len(content)] * len(coders) if sizes is None else sizes
    header = b"\x01\x04\x06" + number(0) + number(copies) + b"\x09" + number(len(packed)) * copies
    header += b"\0\x07\x0b" + number(copies) + b"\0"
    header += (number(len(coders)) + b"".join(coders) + bonds) * copies
    header += b"\x0c" + b"".join(map(number, sizes)) * copies + b"\0"
    header += b"\x08\x0d" + number(len(files)) * copies + b"\x09"
    header += b"".join(number(len(data)) for _, data in files[:-1]) * copies
    header += b"\x0a\x01" + b"".join(struct.pack("<L", zlib.crc32(d)) for _, d in files) * copies
    names = b"\0" + b"".join(name.encode("utf-16-le") + b"\0\0" for name, _ in files) * copies
    header += b"\0\0\x05" + number(len(files) * copies)
    header += b"\x11" + number(len(names)) + names + b"\0\0"
    body = packed * copies
    start = struct.pack("<QQL", len(body), len(header), zlib.crc32(header))
    mark = b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<L", zlib.crc32(start))
    return mark + start + body + header


LZMA2 = coder(b"\x21", b"\x18")


def lzma2(data):
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 24}]
    return lzma.compress(data, lzma.FORMAT_RAW, filters=filters)


FILTERS = ("", *SEVEN_ZIP_FILTERS)
READ = [f"{f or 'plain'} {m}.bin" for f in FILTERS for m in SEVEN_ZIP_METHODS if m != "PPMd"]
UNREAD = [
    *(f"{f or 'plain'} PPMd.bin" for f in FILTERS),
    *(f"{f} LZMA2.bin" for f in SEVEN_ZIP_UNREAD),
]


def test_every_method_after_every_filter_is_read_or_named():
    found, told = listed(ARCHIVES / "methods.7z")
    assert found == dict.fromkeys(READ, machine_code())
    assert {(reason, name) for reason, name, _ in told} == {("Unsupported", n) for n in UNREAD}
    messages = {message for *_, message in told}
    assert messages >= {f"is packed with {m}, which is not read" for m in ("BCJ2", "PPMd")}


@pytest.mark.parametrize("name", ["phone.7z", "hidden.7z", "blocks.7z", "stored.7z"])
def test_a_phone_is_read_with_names_times_and_links(name):
    with open_source(
        ARCHIVES / name, None, Choices(passwords=("another", KOREAN_PASSWORD))
    ) as source:
        entries = list(source.items())
        files = {e.path.name: e.open().read() for e in entries if isinstance(e, EvidenceEntry)}
    assert files == CONTENT
    items = [entry for entry in entries if isinstance(entry, EvidenceEntry)]
    (entry,) = (item for item in items if item.path.name == "DCIM/사진.jpg")
    assert entry.times.modified.isoformat() == "2025-03-02T01:02:03+00:00"
    assert entry.times.zone_known
    (failure,) = (e for e in entries if isinstance(e, Failure))
    assert (failure.error, Path(failure.path).name) == ("SymbolicLink", "link.jpg")


@pytest.mark.parametrize(("passwords", "said"), [((), "encrypted block"), (("no",), "none of the")])
@pytest.mark.parametrize("name", ["blocks.7z", "stored.7z"])
def test_without_the_password_each_file_is_named_as_encrypted(name, passwords, said):
    found, told = listed(ARCHIVES / name, *passwords)
    assert found == {"empty.txt": b""}
    others = {n for n in CONTENT if n != "empty.txt"}
    assert {n for reason, n, text in told if reason == "Encrypted" and said in text} == others


@pytest.mark.parametrize(("passwords", "said"), [((), "is encrypted"), (("no",), "none of the")])
def test_an_encrypted_list_of_files_is_named_and_the_rest_goes_on(tmp_path, passwords, said):
    (tmp_path / "a.7z").write_bytes((ARCHIVES / "hidden.7z").read_bytes())
    (tmp_path / "good.jpg").write_bytes(JPEG)
    found, ((reason, name, message),) = listed(tmp_path, *passwords)
    assert (reason, name) == ("Encrypted", "a.7z")
    assert said in message
    assert found["good.jpg"] == JPEG
    with pytest.raises(EvidenceError, match=said) as error:
        listed(tmp_path / "a.7z", *passwords)
    assert "password" in error.value.remedy
    assert "no" not in error.value.message.split()


def with_packed_header(data, method=COPY, packed=None):
    """The same archive, its header packed by a coder."""
    length = struct.unpack_from("<Q", data, 12)[0]
    body, header = data[32 : 32 + length], data[32 + length :]
    packed = header if packed is None else packed
    outer = b"\x17\x06" + number(len(body)) + number(1) + b"\x09" + number(len(packed)) + b"\0"
    outer += b"\x07\x0b\x01\0" + number(1) + method + b"\x0c" + number(len(header)) + b"\0\0"
    start = struct.pack("<QQL", len(body) + len(packed), len(outer), zlib.crc32(outer))
    return data[:8] + struct.pack("<L", zlib.crc32(start)) + start + body + packed + outer


def test_a_header_is_unpacked_by_the_same_methods_as_files(tmp_path):
    data = archive([("a.jpg", JPEG)])
    (tmp_path / "a.7z").write_bytes(with_packed_header(data))
    assert listed(tmp_path / "a.7z") == ({"a.jpg": JPEG}, [])

    ppmd = coder(b"\3\4\1", b"\6\0\0\0\1")
    (tmp_path / "a.7z").write_bytes(with_packed_header(data, ppmd, b"\x77" * 90))
    _, ((reason, _, message),) = listed(tmp_path)
    assert reason == "Unsupported"
    assert "packed by a method that is not read" in message


@pytest.mark.usefixtures("in_process")
def test_a_solid_block_is_unpacked_once_however_many_files_it_has(tmp_path, monkeypatch):
    files = [(f"{n}.jpg", JPEG + bytes([n])) for n in range(60)]
    packed = lzma2(b"".join(data for _, data in files))
    (tmp_path / "a.7z").write_bytes(archive(files, packed, [LZMA2]))
    unpacked, times = sevenzip.unpacked, []
    monkeypatch.setattr(sevenzip, "unpacked", lambda *args: times.append(1) or unpacked(*args))
    found, told = listed(tmp_path / "a.7z")
    assert (found, told) == (dict(files), [])
    assert len(times) == 1


@pytest.mark.parametrize("nested", [False, True])
def test_an_archive_in_pieces_is_read_through_the_first(tmp_path, nested):
    data = archive([("a.jpg", JPEG)])
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.7z.001").write_bytes(data[:100])
    (folder / "a.7z.002").write_bytes(data[100:])
    found, told = listed(folder if nested else folder / "a.7z.001")
    assert (found["a.7z.001/a.jpg" if nested else "a.jpg"], told) == (JPEG, [])
    (folder / "a.7z.003").write_bytes(b"")
    (folder / "a.7z.002").unlink()
    with pytest.raises(EvidenceError, match=r"a\.7z\.002' is missing"):
        listed(folder / "a.7z.001")


def in_zip(folder, pieces):
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in pieces.items():
            archive.writestr(f"DCIM/{name}", data)
    return folder / "a.zip"


def in_disk(folder, pieces):
    (folder / "a.dd").write_bytes(volume(pieces, set()))
    return folder / "a.dd"


@pytest.mark.parametrize("put", [in_zip, in_disk])
@pytest.mark.parametrize("kind", ["7z", "zip", "dd"])
def test_numbered_pieces_are_joined_inside_another_container(tmp_path, put, kind):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive_:
        archive_.writestr("a.jpg", JPEG)
    whole = {
        "7z": archive([("a.jpg", JPEG)]),
        "zip": stream.getvalue(),
        "dd": volume({"a.jpg": JPEG}, set()),
    }[kind]
    third = len(whole) // 3
    pieces = {f"x.{kind}.{n + 1:03}": whole[n * third :][:third] for n in range(3)}
    pieces[f"x.{kind}.003"] += whole[3 * third :]
    found, told = listed(put(tmp_path, pieces))
    (name,) = (name for name in found if name.endswith("a.jpg"))
    assert found[name] == JPEG
    assert f"x.{kind}.001/" in name
    assert told == []

    pieces.pop(f"x.{kind}.002")
    found, told = listed(put(tmp_path, pieces))
    assert not any(name.endswith("a.jpg") for name in found)
    assert any(f"x.{kind}.002' is missing" in message for *_, message in told)


def test_archives_inside_one_another_are_read(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as inner:
        inner.writestr("a.jpg", JPEG)
    (tmp_path / "a.7z").write_bytes(archive([("b.zip", stream.getvalue())]))
    found, told = listed(tmp_path / "a.7z")
    assert (found["b.zip/a.jpg"], told) == (JPEG, [])


def test_names_are_only_names_and_repeated_ones_are_told_apart(tmp_path):
    names = ["../../etc/a.jpg", "/b.jpg", "c.jpg", "c.jpg", "사진.jpg"]
    (tmp_path / "a.7z").write_bytes(archive([(name, JPEG) for name in names]))
    found, told = listed(tmp_path / "a.7z")
    assert {*found} == {"../../etc/a.jpg", "/b.jpg", "c.jpg", "c.jpg#4", "사진.jpg"}
    assert told == []


def test_a_changed_byte_costs_its_file_and_no_other(tmp_path):
    data = bytearray(archive([("a.jpg", JPEG), ("b.jpg", JPEG[:90])]))
    data[50] ^= 1
    (tmp_path / "a.7z").write_bytes(data)
    found, ((reason, name, message),) = listed(tmp_path / "a.7z")
    assert found == {"b.jpg": JPEG[:90]}
    assert (reason, name) == ("Unreadable", "a.jpg")
    assert "does not match its checksum" in message


def test_files_before_the_damage_of_a_block_are_read(tmp_path):
    noise = random.Random(1).randbytes(300_000)
    files = [("a.jpg", noise[:100_000]), ("b.jpg", noise[100_000:])]
    packed = bytearray(lzma2(noise))
    packed[-90_000:] = b"\x77" * 90_000
    (tmp_path / "a.7z").write_bytes(archive(files, bytes(packed), [LZMA2]))
    found, told = listed(tmp_path / "a.7z")
    assert found == {"a.jpg": noise[:100_000]}
    assert [(reason, name) for reason, name, _ in told] == [("Unreadable", "b.jpg")]


@pytest.mark.parametrize("kept", [20, 200, -1])
def test_a_truncated_archive_is_refused_by_its_name(tmp_path, kept):
    (tmp_path / "a.7z").write_bytes(archive([("a.jpg", JPEG)])[:kept])
    with pytest.raises(EvidenceError, match=r"a\.7z: cannot be read"):
        listed(tmp_path / "a.7z")


def test_bombs_are_refused(tmp_path):
    zeros = bytes(70 << 20)
    (tmp_path / "one.7z").write_bytes(archive([("a.bmp", zeros)], lzma2(zeros), [LZMA2]))
    (tmp_path / "many.7z").write_bytes(
        archive([("a.bmp", zeros[: 8 << 20])], lzma2(zeros[: 8 << 20]), [LZMA2], copies=20)
    )
    _, told = listed(tmp_path)
    assert {(reason, name) for reason, name, _ in told} == {
        ("LimitExceeded", "one.7z/a.bmp"),
        ("LimitExceeded", "many.7z"),
    }


def test_a_block_gives_no_more_than_it_states(tmp_path):
    zeros = bytes(70 << 20)
    data = archive([("a.jpg", zeros[:100])], lzma2(zeros), [LZMA2], sizes=[100])
    (tmp_path / "a.7z").write_bytes(data)
    assert listed(tmp_path / "a.7z") == ({"a.jpg": zeros[:100]}, [])


@pytest.mark.parametrize(
    ("coders", "bonds"),
    [
        ((coder(b"\0"), coder(b"\0")), b"\0\0"),  # feeds itself
        ((coder(b"\0"), coder(b"\0"), coder(b"\0")), b"\1\2\2\1"),  # feed one another
        ((coder(b"\x21", b"\xff"),), b""),
        ((coder(b"\3\1\1", b"\xff\xff\xff\xff\xff"),), b""),
        ((coder(b"\3\1\1", b"\xff"),), b""),
        ((coder(b"\3"),), b""),
    ],
    ids=["self", "circle", "lzma2", "lzma", "short", "delta"],
)
def test_impossible_coders_are_a_stated_fault(tmp_path, coders, bonds):
    (tmp_path / "a.7z").write_bytes(archive([("a.jpg", JPEG)], coders=coders, bonds=bonds))
    (tmp_path / "good.jpg").write_bytes(JPEG)
    found, told = listed(tmp_path)
    assert found["good.jpg"] == JPEG
    assert "a.7z/a.jpg" not in found
    assert len(told) == 1


def test_a_password_that_would_be_hashed_for_hours_is_refused(tmp_path):
    aes = coder(bytes.fromhex("06f10701"), b"\x3e\0")
    (tmp_path / "a.7z").write_bytes(archive([("a.jpg", JPEG)], coders=[aes]))
    _, ((reason, name, _),) = listed(tmp_path / "a.7z", "password")
    assert (reason, name) == ("Encrypted", "a.jpg")


def test_too_many_files_are_refused(tmp_path):
    (tmp_path / "a.7z").write_bytes(archive([(f"{n}.jpg", JPEG) for n in range(5)]))
    _, ((reason, name, _),) = listed(tmp_path / "a.7z", limits=Limits(members=4))
    assert (reason, name) == ("LimitExceeded", "")


def test_a_number_of_files_that_the_header_cannot_hold_is_refused(tmp_path):
    data = archive([("a.jpg", JPEG)])
    changed = data.replace(b"\x05\x01\x11", b"\x05\x7f\x11")
    start = bytearray(changed)
    body = changed[32 + struct.unpack_from("<Q", data, 12)[0] :]
    struct.pack_into("<L", start, 28, zlib.crc32(body))
    struct.pack_into("<L", start, 8, zlib.crc32(bytes(start[12:32])))
    (tmp_path / "a.7z").write_bytes(start)
    with pytest.raises(EvidenceError, match="cannot be read"):
        listed(tmp_path / "a.7z")


@pytest.mark.usefixtures("in_process")
def test_changed_bytes_anywhere_are_an_outcome_and_never_a_crash(tmp_path):
    rng = random.Random(4)
    whole = archive([("a.jpg", JPEG), ("b.jpg", JPEG)], lzma2(JPEG * 2), [LZMA2])
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(32, len(data))] = rng.randrange(256)
        length = struct.unpack_from("<Q", data, 12)[0]
        # With the right checksums, as a person who means harm would write them.
        struct.pack_into("<L", data, 28, zlib.crc32(bytes(data[32 + length :])))
        struct.pack_into("<L", data, 8, zlib.crc32(bytes(data[12:32])))
        (tmp_path / "a.7z").write_bytes(data)
        try:
            found, told = listed(tmp_path / "a.7z")
        except EvidenceError:
            continue
        reasons = {"Damaged", "Unreadable", "Unsupported", "LimitExceeded", "SpecialFile"}
        assert {reason for reason, *_ in told} <= reasons | {"SymbolicLink", "NoEntries"}
        assert len(found) + len(told) > 0


@pytest.mark.usefixtures("in_process")
def test_missing_libraries_are_named(tmp_path, monkeypatch):
    for name in ("inflate64", "Cryptodome.Cipher"):
        monkeypatch.setitem(sys.modules, name, None)
    found, told = listed(ARCHIVES / "methods.7z")
    assert {*found} == {name for name in READ if "Deflate64" not in name}
    assert {reason for reason, *_ in told} == {"Unsupported"}
    _, told = listed(ARCHIVES / "blocks.7z", KOREAN_PASSWORD)
    assert "read with Cryptodome" in told[0][2]

    monkeypatch.setitem(sys.modules, "py7zr", None)
    with pytest.raises(EvidenceError, match="py7zr, which reads it, is not installed") as error:
        listed(ARCHIVES / "phone.7z")
    assert "mayak[containers]" in error.value.remedy
