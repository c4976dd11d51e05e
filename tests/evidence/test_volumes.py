"""Volumes that the Sleuth Kit does not read: XFS, APFS, and encrypted ones."""

import hashlib
import importlib.util
import json
import struct
import sys
import tarfile
import unicodedata
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mayak.errors import EvidenceError
from mayak.evidence import open_source
from mayak.evidence.base import Choices
from mayak.types import EvidenceEntry, Failure

IMAGES = Path(__file__).parent / "images"
_spec = importlib.util.spec_from_file_location("make_fixtures", IMAGES.parent / "make_fixtures.py")
make_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_fixtures)
CONTENT = make_fixtures.CONTENT
_spec = importlib.util.spec_from_file_location("apfs", IMAGES.parent / "apfs.py")
apfs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(apfs)
with tarfile.open(IMAGES / "volumes.tar.xz") as _archive:
    EXPECTED = json.load(_archive.extractfile(_archive.next()))
XFS = [name for name in EXPECTED if name.endswith(".xfs")]
PASSWORD = "secret passphrase"  # noqa: S105
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    with tarfile.open(IMAGES / "volumes.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def read(source, **choices):
    """({path below the source: (bytes, SHA-256)}, {path of a failure: (error, message)})."""
    items, failures = {}, {}
    with open_source(source, choices=Choices(**choices)) as opened:
        for entry in opened.items():
            if isinstance(entry, Failure):
                failures[entry.path.partition("/")[2]] = (entry.error, entry.message)
                continue
            with entry.open() as stream:
                data = stream.read()
            assert len(data) == entry.size
            name = str(entry.path).partition("/")[2]
            items[name] = (len(data), hashlib.sha256(data).hexdigest())
    return items, failures


def digest(data):
    return len(data), hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", XFS)
def test_xfs_reads_as_the_kernel_reads_it(volumes, name):
    items, failures = read(volumes / name)
    assert items.pop("archive.zip/inner.jpg", digest(CONTENT["inner.jpg"])) == digest(
        CONTENT["inner.jpg"]
    )
    expected = {at: tuple(row[:2]) for at, row in EXPECTED[name].items()}
    if name == "v5-1k.xfs":
        # The trees of their extents have more than two levels, which the library does not read.
        error, message = failures.pop("")
        assert error == "Unreadable"
        assert message.startswith("3 entries of it cannot be read: ")
        for at in ("scattered", "other", "clone"):
            del expected[at]
    assert items == expected
    kinds = {error for error, _ in failures.values()}
    assert kinds == ({"SymbolicLink", "SpecialFile"} if name.startswith("v5") else set())


@pytest.mark.parametrize("name", [name for name in XFS if name.startswith("v5")])
def test_times_of_xfs_are_those_of_the_kernel(volumes, name):
    with open_source(volumes / name) as source:
        times = {
            str(entry.path).partition("/")[2]: entry.times
            for entry in source.items()
            if isinstance(entry, EvidenceEntry)
        }
    for at, (_, _, nanoseconds) in EXPECTED[name].items():
        if at not in times and name == "v5-1k.xfs":
            continue
        expected = EPOCH + timedelta(microseconds=nanoseconds // 1000)
        assert times[at].modified == expected, at
        assert times[at].zone_known


def test_the_space_of_xfs_is_stated_as_not_counted(volumes):
    with open_source(volumes / "v5.xfs") as source:
        list(source.items())
        assert source.unexamined == {"uncounted": (volumes / "v5.xfs").stat().st_size}


def test_changes_that_only_the_log_of_xfs_has_are_stated(volumes):
    """The volume itself does not show the file before it is unmounted."""
    items, failures = read(volumes / "in-use.xfs")
    assert not items
    error, message = failures[""]
    assert error == "Unsupported"
    assert message.startswith("was not unmounted: ")
    assert "mount a copy" in message
    items, failures = read(volumes / "unmounted.xfs")
    assert items.keys() == {"new.jpg"}
    assert not failures


def test_every_file_of_xfs_is_found_again(volumes):
    with open_source(volumes / "v5.xfs") as source:
        paths = [item.path for item in source.items() if isinstance(item, EvidenceEntry)]
    assert len(set(paths)) == len(paths)
    with open_source(volumes / "v5.xfs") as source:
        assert all(source.find(path) is not None for path in reversed(paths))


@pytest.mark.parametrize("container", ["folder", "zip", "partition"])
def test_xfs_is_entered_wherever_it_is(volumes, tmp_path, container):
    data = (volumes / "v4.xfs").read_bytes()
    source, below = tmp_path / "source", "phone.img/"
    if container == "partition":
        table = bytearray(512)
        struct.pack_into("<B3xB3xII", table, 446, 0, 0x83, 2048, len(data) // 512)
        table[510:] = b"\x55\xaa"
        source.write_bytes(bytes(table) + bytes((1 << 20) - 512) + data)
        below = "partition 1/"
    elif container == "zip":
        with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("phone.img", data)
    else:
        source.mkdir()
        (source / "phone.img").write_bytes(data)
    items, failures = read(source)
    assert not failures
    assert items[f"{below}DCIM/사진.jpg"] == digest(CONTENT["사진.jpg"])


def test_a_cut_xfs_loses_files_by_name(volumes, tmp_path):
    data = (volumes / "v5.xfs").read_bytes()
    whole, _ = read(volumes / "v5.xfs")
    (tmp_path / "cut.xfs").write_bytes(data[: len(data) // 3])
    told, seen = False, 0
    with open_source(tmp_path / "cut.xfs") as source:
        for entry in source.items():
            if isinstance(entry, Failure):
                told |= entry.error not in ("SymbolicLink", "SpecialFile")
                continue
            try:
                content = entry.open().read()
            except OSError:
                told = True
                continue
            seen += 1
            assert digest(content) == whole[str(entry.path).partition("/")[2]]
    assert told
    assert seen


def test_a_damaged_xfs_is_named_with_a_remedy(tmp_path):
    (tmp_path / "a.xfs").write_bytes(b"XFSB" + bytes(1 << 20))
    (tmp_path / "b.jpg").write_bytes(CONTENT["100.jpg"])
    items, failures = read(tmp_path)
    assert items.keys() == {"a.xfs", "b.jpg"}
    ((path, (error, message)),) = failures.items()
    assert (path, error) == ("a.xfs", "Unreadable")
    assert "XFS" in message
    assert message.endswith("mount it read-only and give that folder")


@pytest.mark.usefixtures("in_process")
def test_a_luks_volume_is_read_with_its_password(volumes):
    path = volumes / "kept.luks"
    with open_source(path, choices=Choices(passwords=("wrong", PASSWORD))) as source:
        (item, label) = [entry for entry in source.items() if "$" not in str(entry.path)] + [None]
        assert label is None
        assert source.opened_with_password
        assert item.path.name == "사진.jpg"
        assert item.open().read() == CONTENT["사진.jpg"]
        (inside,) = source._container._opened[0]
        disk = inside._data.read_at(0, inside._data.size)
        # The files of the volume are hashed, not what is in it.
        assert source.acquire().sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    size, expected = EXPECTED["kept.luks"]
    assert (len(disk), hashlib.sha256(disk).hexdigest()) == (size, expected)


@pytest.mark.parametrize(
    ("passwords", "words", "remedy"),
    [
        ((), "is an encrypted volume (LUKS): ", "--password-file"),
        (("wrong", "Secret passphrase"), "with another password", "--password-file"),
        (("비밀",), "only passwords in ASCII can be tried", "decrypt a copy"),
    ],
)
def test_without_its_password_a_luks_volume_is_encrypted(
    volumes, tmp_path, passwords, words, remedy
):
    (tmp_path / "a.luks").write_bytes((volumes / "kept.luks").read_bytes())
    (tmp_path / "b.jpg").write_bytes(CONTENT["100.jpg"])
    items, failures = read(tmp_path, passwords=passwords)
    assert items.keys() == {"a.luks", "b.jpg"}
    ((path, (error, message)),) = failures.items()
    assert (path, error) == ("a.luks", "Encrypted")
    assert words in message
    with open_source(tmp_path / "a.luks", choices=Choices(passwords=passwords)) as source:
        assert not source.opened_with_password
    assert remedy in message
    assert not any(password in message for password in passwords)


def luks(data, at, field):
    return data[:at] + field + data[at + len(field) :]


@pytest.mark.parametrize(
    ("at", "field", "words"),
    [
        (
            8,
            b"serpent\0",
            "LUKS, serpent cbc-plain64 sha256, 128 bits, which is read by an untested",
        ),
        (72, b"ripemd160\0", "untested reader only"),
        (40, b"cbc-essiv:sha256\0", "untested reader only"),
        (208 + 4, b"\x7f\xff\xff\xff", "takes too long to check"),
        (164, b"\x7f\xff\xff\xff", "takes too long to check"),
    ],
)
def test_luks_that_was_not_compared_is_not_read(volumes, tmp_path, at, field, words):
    data = (volumes / "kept.luks").read_bytes()
    (tmp_path / "a.luks").write_bytes(luks(data, at, field))
    _, failures = read(tmp_path / "a.luks", passwords=(PASSWORD,))
    (error, message) = failures[""]
    assert error == "Encrypted"
    assert words in message


def test_luks_2_is_named(volumes):
    _, failures = read(volumes / "two.luks", passwords=(PASSWORD,))
    error, message = failures[""]
    assert error == "Encrypted"
    assert message.startswith("is an encrypted volume (LUKS 2), which is not read: decrypt a copy")


def test_a_cut_luks_volume_does_not_read_as_zeros(volumes, tmp_path):
    data = (volumes / "kept.luks").read_bytes()
    payload = struct.unpack_from(">I", data, 104)[0] * 512
    (tmp_path / "a.luks").write_bytes(data[: payload + 4096])
    with pytest.raises(EvidenceError, match="cannot be read"):
        read(tmp_path / "a.luks", passwords=(PASSWORD,))


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("offset", "mark", "name", "module"),
    [
        (32, b"NXSB", "APFS", "pyfsapfs"),
        (3, b"-FVE-FS-", "BitLocker", "pybde"),
        (88, b"CS", "Core Storage", "pyfvde"),
    ],
)
def test_what_was_never_compared_is_read_only_if_that_is_allowed(
    tmp_path, monkeypatch, offset, mark, name, module
):
    data = bytearray(1 << 20)
    data[offset : offset + len(mark)] = mark
    if name == "Core Storage":
        data[8] = 1
    path = tmp_path / "a.dd"
    path.write_bytes(data)
    _, failures = read(path, passwords=(PASSWORD,))
    (error, message) = failures[""]
    # Nothing shows that an APFS volume or Core Storage is encrypted.
    assert error == ("Encrypted" if name == "BitLocker" else "Unsupported")
    assert name in message
    assert "--untested-readers" in message
    _, failures = read(path, passwords=(PASSWORD,), untested_readers=True)
    assert failures[""][0] == "Unreadable"
    assert name in failures[""][1]
    monkeypatch.setitem(sys.modules, module, None)
    _, failures = read(path, passwords=(PASSWORD,), untested_readers=True)
    assert failures[""][1].endswith("pip install 'mayak[containers]'")


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(("name", "module"), [("v4.xfs", "pyfsxfs"), ("kept.luks", "pyluksde")])
def test_a_missing_library_is_named(volumes, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    items, failures = read(volumes / name, passwords=(PASSWORD,))
    assert not items
    assert module in failures[""][1]
    assert failures[""][1].endswith("pip install 'mayak[containers]'")


def test_apfs_is_read_if_that_is_allowed(volumes, tmp_path):
    path = tmp_path / "mac.dd"
    apfs.unpack((volumes / "apfs.blocks").read_bytes(), path)
    items, failures = read(path, untested_readers=True)
    volume = "volume 1 (Macintosh HD)"
    # The names are decomposed on the medium.
    items = {unicodedata.normalize("NFC", at): item for at, item in items.items()}
    sparse = b"start" * 1600 + bytes(4 * 4096) + b"end"
    assert items == {
        f"{volume}/DCIM/사진.jpg": digest(CONTENT["사진.jpg"]),
        f"{volume}/100.jpg": digest(CONTENT["100.jpg"] * 10),
        # Not with the container's first block in the hole, as the library reads it.
        f"{volume}/sparse": digest(sparse),
        f"{volume}/packed": digest(CONTENT["gone.jpg"][:99] * 10),
        f"{volume}/empty": digest(b""),
    }
    assert {at: error for at, (error, _) in failures.items()} == {f"{volume}/link": "SymbolicLink"}
    with open_source(path, choices=Choices(untested_readers=True)) as source:
        (item,) = (
            item for item in source.items() if str(getattr(item, "path", "")).endswith("100.jpg")
        )
        assert item.times.modified == EPOCH + timedelta(microseconds=1_700_000_000_123_456)
        assert source.find(item.path) is not None
    _, failures = read(path)
    assert failures[""][0] == "Unsupported"
    assert "encrypted" not in failures[""][1]


BLOCK = 0x4000
MARK = bytes.fromhex("6b87083876c1484eb7ae04046e6cc752")


def with_shadow_copies(data):
    """An NTFS volume with two shadow copies: the first has an earlier block, the second is equal.

    Made by hand: Windows alone makes them.
    """
    data = bytearray(data)
    starts = range(BLOCK, len(data) - BLOCK, BLOCK)
    free = [at for at in starts if not any(data[at : at + BLOCK])]
    catalog, store, changes, none, ranges, old = free[-7:-1]

    def header(kind, at=0):
        return MARK + struct.pack("<IIQQQ", 1, kind, at, at, 0)

    data[0x1E00 : 0x1E00 + 64] = MARK + struct.pack("<IIQQQQQ", 1, 1, 0x1E00, 0, 0, catalog, 0)
    entries = [header(2).ljust(128, b"\0")]
    for number, changed in ((1, changes), (2, none)):
        identifier = bytes([number]) * 16
        time = 133_000_000_000_000_000 + number * 10**12
        entries.append(
            struct.pack("<QQ16sQQQ", 2, len(data), identifier, number, 0x40, time).ljust(128, b"\0")
        )
        places = struct.pack("<QQ16sQQQ", 3, changed, identifier, store, ranges, 0)
        entries.append(places.ljust(128, b"\0"))
    picture = data.index(CONTENT["100.jpg"])
    first = picture // BLOCK * BLOCK
    row = struct.pack("<QQQII", first, 0, old, 0, 0)
    blocks = {
        catalog: b"".join(entries),
        store: header(4),
        changes: header(3).ljust(128, b"\0") + row,
        none: header(3),
        ranges: header(5),
        old: bytes(data[first : first + BLOCK]).replace(CONTENT["100.jpg"][:9], b"EARLIER!!"),
    }
    for at, content in blocks.items():
        data[at : at + len(content)] = content
    return bytes(data)


@pytest.fixture
def copies(tmp_path):
    path = tmp_path / "ntfs.dd"
    data = make_fixtures.lzma.decompress((IMAGES / "ntfs.dd.xz").read_bytes())
    path.write_bytes(with_shadow_copies(data))
    return path


def test_shadow_copies_that_are_not_read_are_counted(copies):
    items, failures = read(copies)
    assert items["DCIM/100.jpg"] == digest(CONTENT["100.jpg"])
    error, message = failures[""]
    assert error == "Unsupported"
    assert message.startswith("has 2 volume shadow copies (earlier states), which are not read: ")
    assert "--shadow-copies" in message


def test_shadow_copies_are_listed_if_that_is_allowed(copies):
    items, failures = read(copies, shadow_copies=True, untested_readers=True)
    assert not failures
    names = ("shadow copy 1 (2022-06-19 08:13:20)", "shadow copy 2 (2022-06-20 12:00:00)")
    assert items["DCIM/100.jpg"] == digest(CONTENT["100.jpg"])
    earlier = b"EARLIER!!" + CONTENT["100.jpg"][9:]
    assert items[f"{names[0]}/DCIM/100.jpg"] == digest(earlier)
    assert items[f"{names[1]}/DCIM/100.jpg"] == digest(CONTENT["100.jpg"])
    assert items[f"{names[0]}/DCIM/사진.jpg"] == digest(CONTENT["사진.jpg"])


def test_a_catalog_of_shadow_copies_that_loops_ends(copies):
    data = bytearray(copies.read_bytes())
    (catalog,) = struct.unpack_from("<Q", data, 0x1E00 + 48)
    struct.pack_into("<Q", data, catalog + 40, catalog)
    copies.write_bytes(data)
    for choices in ({}, {"shadow_copies": True, "untested_readers": True}):
        items, failures = read(copies, **choices)
        assert items["DCIM/100.jpg"] == digest(CONTENT["100.jpg"])
        assert failures[""]


@pytest.mark.usefixtures("in_process")
def test_no_library_for_shadow_copies_is_named(copies, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvshadow", None)
    items, failures = read(copies, shadow_copies=True, untested_readers=True)
    assert items["DCIM/100.jpg"] == digest(CONTENT["100.jpg"])
    assert failures[""][1].endswith("pip install 'mayak[containers]'")
