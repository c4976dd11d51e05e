"""What is not an image: counted by outcome and kind, the same wherever it is."""

import gzip
import io
import plistlib
import random
import sqlite3
import struct
import zipfile
from collections import Counter

import pytest
from test_triage_run import picture, run, told

from mayak.case import CaseStore, Exclusion
from mayak.case.reasons import remedy
from mayak.errors import ConfigError
from mayak.evidence import open_source
from mayak.evidence.entropy import RANDOM, SAMPLE, entropy, looks_random
from mayak.triage.outcome import item_of
from mayak.types import EvidenceEntry, Failure

MIB = 1 << 20
NOISE = random.Random(19).randbytes(16 * MIB)


def at(offset, mark, size=4096):
    return bytes(offset) + mark + bytes(max(0, size - offset - len(mark)))


def database():
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE message (text TEXT, photo BLOB)")
        connection.execute("INSERT INTO message VALUES ('hello', ?)", (picture(1),))
        return connection.serialize()


def table_of_partitions(kind, first, sectors):
    """An MBR with one partition, which follows it."""
    entry = struct.pack("<8B2L", 0x80, 0, 0, 0, kind, 0, 0, 0, first, sectors)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa" + bytes((first - 1) * 512)


EACH = {
    # A kind that holds no pictures.
    "notes.txt": (b"A list of things to buy\n", "no-pictures", "text"),
    "메모.txt": ("살 것\n".encode("cp949"), "no-pictures", "text"),
    "utf16.txt": ("살 것\n".encode("utf-16"), "no-pictures", "text"),
    "libfoo.so": (b"\x7fELF" + bytes(60), "no-pictures", "ELF"),
    "setup.exe": (b"MZ\x90\0" + bytes(60), "no-pictures", "Windows program"),
    "song.mp3": (b"\xff\xfb\x90\x44" + bytes(400), "no-pictures", "MP3"),
    "memo.m4a": (b"\0\0\0\x1cftypM4A " + bytes(40), "no-pictures", "M4A"),
    "font.ttf": (b"\0\1\0\0\0\x0a\0\x80\0\3\0\x20" + bytes(60), "no-pictures", "TrueType"),
    "classes.dex": (b"dex\n035\0" + bytes(60), "no-pictures", "DEX"),
    "prefs.plist": (
        plistlib.dumps({"a": 1}, fmt=plistlib.FMT_BINARY),
        "no-pictures",
        "binary property list",
    ),
    "page.html": (b"<!doctype html><p>words", "no-pictures", "HTML"),
    "logo.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "no-pictures", "SVG"),
    # A kind that can hold pictures and is not opened.
    "chat": (database(), "NotOpened", "SQLite"),
    "chat-wal": (b"\x37\x7f\x06\x82" + bytes(28), "NotOpened", "SQLite write-ahead log"),
    "EnMicroMsg.db": (NOISE[:4096], "NotOpened", "SQLite"),
    "old.hwp": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504),
        "NotOpened",
        "Office document or other compound file",
    ),
    "clip": (b"\0\0\0\x18ftypmp42" + bytes(40), "NotOpened", "MP4 or QuickTime"),
    "clip.webm": (b"\x1a\x45\xdf\xa3" + bytes(40), "NotOpened", "Matroska or WebM"),
    "mail.eml": (b"From: a@b\r\nSubject: photos\r\n\r\n", "NotOpened", "mail or contacts"),
    "someone.vcf": (b"BEGIN:VCARD\r\nPHOTO:", "NotOpened", "mail or contacts"),
    "snapshot@3x.ktx": (b"AAPL\r\n\x1a\n" + bytes(60), "NotOpened", "KTX"),
    "3334.ithmb": (NOISE[:5000], "NotOpened", "iOS thumbnails (ithmb)"),
    ".thumbdata3--1967290299": (NOISE[:5000], "NotOpened", "Android thumbnails"),
    "archived.plist": (
        plistlib.dumps({"photo": picture(2)}, fmt=plistlib.FMT_BINARY),
        "NotOpened",
        "binary property list",
    ),
    "message.json": (
        b'{"text": "' + b"-" * 70_000 + b'", "photo": "data:image/png;base64,"}',
        "NotOpened",
        "JSON",
    ),
    "blob": (b"\1\2\3\4" + picture(3), "NotOpened", None),
    # A container or file system that is not read.
    "phone.ad1": (b"ADSEGMENTEDFILE\0" + bytes(500), "Unsupported", "AD1"),
    "files.Lx01": (b"LEF2\x0d\x0a\x81\x00" + bytes(500), "Unsupported", "Lx01"),
    "disk.Ex01": (b"EVF2\x0d\x0a\x81\x00" + bytes(500), "Unsupported", "Ex01"),
    "mail.egg": (b"EGGA" + bytes(500), "Unsupported", "EGG"),
    "log.gz": (gzip.compress(b"words" * 99), "no-pictures", "gzip"),
    "image.mdf": (NOISE[:9000], "Unsupported", "other disk image"),
    "userdata": (at(1024, b"\x10\x20\xf5\xf2"), "Unsupported", "F2FS"),
    "system": (at(1024, b"\xe2\xe1\xf5\xe0"), "Unsupported", "EROFS"),
    "root": (at(0x10040, b"_BHRfS_M", 2 * MIB), "Unsupported", "Btrfs"),
    "snap": (at(0, b"hsqs"), "Unsupported", "SquashFS"),
    # Encrypted, or of high entropy.
    "stick": (at(3, b"-FVE-FS-"), "Encrypted", "BitLocker"),
    "msgstore.db.crypt14": (NOISE[:9000], "Encrypted", "encrypted backup of WhatsApp"),
    "backup.enc": (b"Salted__" + NOISE[:900], "Encrypted", "encrypted with OpenSSL"),
    "container": (NOISE, "HighEntropy", None),
    "phone.dd": (table_of_partitions(0x83, 2048, 8192) + NOISE[: 4 * MIB], "Encrypted", None),
    # Damaged.
    "last-volume.zip": (NOISE[:9000], "Damaged", "ZIP"),
    "overwritten.jpg": (NOISE[:2000], "Damaged", None),
    "wiped": (at(3, b"NTFS    ", 510) + b"\x55\xaa" + bytes(2 * MIB), "Damaged", "NTFS"),
    # Unknown.
    "state.pb": (b"\x0a\x0c\x08\x96", "unknown", None),
}


def write(folder):
    folder.mkdir()
    for name, (data, *_) in EACH.items():
        (folder / name).write_bytes(data)
    return folder


def census(case):
    with CaseStore.read(case) as store:
        rows = {(row.reason, row.kind): row.files for row in store.census()}
        assert store.counts().is_balanced
        assert store.verify() == []
    return rows


def test_one_of_each_is_named_in_a_folder_and_in_a_zip(tmp_path):
    folder = write(tmp_path / "phone")
    with zipfile.ZipFile(tmp_path / "phone.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (data, *_) in EACH.items():
            archive.writestr(name, data)

    summary = run(tmp_path / "case", folder)

    expected = Counter((reason, kind) for _, reason, kind in EACH.values())
    found = census(tmp_path / "case")
    # A disk image whose volume is not read is listed itself, too.
    entered = {key: found.pop(key) for key in list(found) if key[0] == "container"}
    assert found == expected
    assert sum(entered.values()) == 6
    lost = {name for name, (_, reason, _) in EACH.items() if reason[0].isupper()}
    assert summary.failures == len(lost)
    outcomes = told(tmp_path / "case")
    for name in lost - {"phone.dd"}:
        assert f"phone/{name}" in outcomes
    run(tmp_path / "zipped", tmp_path / "phone.zip")
    assert census(tmp_path / "zipped") == found | entered


@pytest.mark.parametrize("name", EACH)
def test_a_file_has_the_same_outcome_as_a_source_of_its_own(tmp_path, name):
    data, reason, kind = EACH[name]
    (tmp_path / name).write_bytes(data)
    if reason in ("no-pictures", "unknown"):
        return  # there is nothing in it that could be looked for: refused as a source
    summary = run(tmp_path / "case", tmp_path / name)
    assert summary.failures == 1
    assert census(tmp_path / "case") == {(reason, kind): 1}


def test_each_failure_carries_its_remedy(tmp_path):
    run(tmp_path / "case", write(tmp_path / "phone"))
    outcomes = told(tmp_path / "case")
    assert "mount it read-only and give that folder" in outcomes["phone/userdata"].message
    assert "convert a copy to E01 or raw" in outcomes["phone/phone.ad1"].message
    assert "export the pictures from a copy" in outcomes["phone/chat"].message
    for name, outcome in outcomes.items():
        if isinstance(outcome, Failure) and name != "phone/stick":  # of a volume: by its kind
            text = outcome.message
            assert remedy(outcome.error, outcome.kind)
            assert outcome.kind is None or ": " in text or "picture begins" in text, text


def test_kinds_that_are_named_as_safe_are_left_out_and_recorded(tmp_path):
    folder = write(tmp_path / "phone")
    summary = run(tmp_path / "case", folder, known_safe=("sqlite", "video"))
    found = census(tmp_path / "case")
    assert found["known-safe", "SQLite"] == 2 and ("NotOpened", "SQLite") not in found
    assert found["known-safe", "MP4 or QuickTime"] == 1
    assert found["NotOpened", "KTX"] == 1
    with CaseStore.read(tmp_path / "case") as store:
        (entry,) = (entry for entry in store.log() if entry.action == "triage")
    assert entry.detail["options"]["known_safe"] == ["sqlite", "video"]
    # Without the option they count as not read again.
    again = run(tmp_path / "case", folder)
    assert again.failures == summary.failures + 4
    assert census(tmp_path / "case")["NotOpened", "SQLite"] == 2
    for name in ("BitLocker", "E01", "program", "disk image", "archive", "no such kind"):
        with pytest.raises(ConfigError, match="no kind of files has this name") as raised:
            run(tmp_path / "other", folder, known_safe=(name,))
        assert "SQLite" in raised.value.remedy


def test_a_later_piece_of_a_split_image_is_not_random_data(tmp_path):
    folder = tmp_path / "split"
    folder.mkdir()
    disk = table_of_partitions(0x83, 2048, 34 * 2048) + NOISE + NOISE + bytes(2 * MIB)
    (folder / "disk.001").write_bytes(disk[: 2 * MIB])
    (folder / "disk.002").write_bytes(disk[2 * MIB :])
    run(tmp_path / "case", folder)
    found = told(tmp_path / "case")
    assert found["split/disk.002"].rule == "container"
    assert found["split/disk.001/partition 1"].error == "Encrypted"


# ---------------------------------------------------------------------- high entropy


def reader(data):
    return lambda offset, size: data[offset : offset + size]


def test_random_bytes_look_random_and_others_do_not():
    assert looks_random(reader(NOISE), len(NOISE))
    half = bytes(8 * MIB) + NOISE[: 8 * MIB]  # blocks that were never written to
    assert looks_random(reader(half), len(half))
    assert not looks_random(reader(bytes(16 * MIB)), 16 * MIB)
    headed = b"a header of words " * 4000 + NOISE
    assert not looks_random(reader(headed), len(headed))
    seven_bits = bytes(byte & 0x7F for byte in NOISE[:MIB]) * 16
    assert not looks_random(reader(seven_bits), len(seven_bits))


def test_the_limit_is_far_below_what_random_samples_have():
    found = [
        entropy(Counter(NOISE[start : start + SAMPLE]), SAMPLE)
        for start in range(0, 64 * SAMPLE, SAMPLE)
    ]
    assert min(found) > RANDOM + 0.005
    assert abs(sum(found) / len(found) - 7.9972) < 0.0003


@pytest.mark.parametrize("size", [16 * MIB - 1, 16 * MIB])
def test_small_files_of_random_bytes_are_unknown(tmp_path, size):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "keys").write_bytes(NOISE[:size])
    run(tmp_path / "case", tmp_path / "x")
    assert census(tmp_path / "case") == {
        ("HighEntropy" if size == 16 * MIB else "unknown", None): 1
    }


def test_unknown_files_state_their_first_bytes(tmp_path):
    (tmp_path / "x").mkdir()
    for number in range(3):
        (tmp_path / "x" / f"{number}.pb").write_bytes(b"\x0a\x0c\x08\x96")
    run(tmp_path / "case", tmp_path / "x")
    with CaseStore.read(tmp_path / "case") as store:
        assert store.unknown_beginnings(5) == [("0a 0c 08 96", 3)]


def test_what_an_earlier_version_left_out_as_no_image_is_looked_at_again(tmp_path):
    folder = write(tmp_path / "phone")
    before = Exclusion("not-an-image", "does not begin like any known image format")
    with open_source(folder) as source, CaseStore.create(tmp_path / "case", operator="a") as case:
        number = case.add_source(str(folder), "folder")
        entries = [entry for entry in source.items() if isinstance(entry, EvidenceEntry)]
        case.add_items(number, [item_of(entry, before) for entry in entries])
    assert set(told(tmp_path / "case").values()) == {before}
    run(tmp_path / "case", folder)
    run(tmp_path / "fresh", folder)
    assert told(tmp_path / "case") == told(tmp_path / "fresh")
    assert census(tmp_path / "case") == census(tmp_path / "fresh")


def test_a_bare_jpeg_xl_is_an_image_that_cannot_be_decoded(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "sample").write_bytes(b"\xff\x0a\xfa\x1f\x01" + bytes(200))
    run(tmp_path / "case", tmp_path / "x")
    assert told(tmp_path / "case")["x/sample"].stage == "decode"


def test_a_zip_with_an_image_is_no_loss(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", picture(1))
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.docx").write_bytes(buffer.getvalue())
    assert run(tmp_path / "case", tmp_path / "x").failures == 0


def test_a_large_random_file_that_is_called_a_disk_image_is_not_called_one(tmp_path):
    """Its name must not hide what its bytes look like; one that means encryption counts."""
    (tmp_path / "phone").mkdir()
    data = random.Random(1).randbytes(17 * MIB)
    for name in ("userdata.img", "msgstore.db.crypt14"):
        (tmp_path / "phone" / name).write_bytes(data)
    run(tmp_path / "case", tmp_path / "phone")
    found = {("HighEntropy", None): 1, ("Encrypted", "encrypted backup of WhatsApp"): 1}
    assert census(tmp_path / "case") == found
