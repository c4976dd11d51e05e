"""A backup of iTunes or Finder is listed by app and path, byte for byte, encrypted or not."""

import builtins
import io
import os
import plistlib
import sqlite3
import sys
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from make_fixtures import BACKED_UP

from mayak.evidence import Choices, open_source
from mayak.evidence.containers.ios_keybag import class_keys
from mayak.evidence.containers.zip import ZipContainer
from mayak.types import EvidenceEntry, EvidencePath, Failure
from mayak_synthetic.exfat import volume
from phone_backups import (
    PASSWORD,
    SCHEMA,
    IosFile,
    Keybag,
    cbc,
    database,
    file_id,
    fixed,
    ios_backup,
    mb_file,
    write,
)

FILES = (
    IosFile("CameraRollDomain", "Media/DCIM/100APPLE/IMG_0001.JPG", fixed("one", 40_000)),
    IosFile("CameraRollDomain", "Media/DCIM/100APPLE/IMG_0002.JPG", fixed("two", 32_000)),
    IosFile("AppDomain-com.kakao.talk", "Documents/사진.jpg", fixed("three", 70_001), protection=1),
    IosFile("AppDomainGroup-group.x", "empty", b"", protection=4),
    IosFile("HomeDomain", "Library/short", b"x", protection=11),
)
UDID = "00008030-000A"
GIVEN = Choices(passwords=("first", PASSWORD))


def contents(item):
    with item.open() as stream:
        return stream.read()


def listed(path, choices=None):
    """{displayed path: content, or the failure's reason and text}"""
    found = {}
    with open_source(path, choices=choices) as source:
        for item in source.items():
            if isinstance(item, Failure):
                key, value = item.path, (str(item.error), item.message)
            else:
                key, value = item.path.numbered, contents(item)
                assert item.size == len(value)
            if key in found and isinstance(found[key], bytes):
                key = f"{key} failure"
            assert key not in found
            found[key] = value
    return found


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def below(files, folder=UDID):
    return {f"{folder}/{name}": data for name, data in files.items()}


def as_folder(path, files):
    return write(path / "evidence", files)


def in_sub_folder(path, files):
    return write(path / "evidence", below(files, f"phone/{UDID}"))


def in_zip(path, files):
    (path / "evidence.zip").write_bytes(zipped(below(files)))
    return path / "evidence.zip"


def in_zip_in_folder(path, files):
    return write(path / "evidence", {"a.zip": zipped(below(files)), "b.txt": b"text"})


def in_disk_image(path, files):
    (path / "evidence.dd").write_bytes(volume(below(files), set()))
    return path / "evidence.dd"


PLACES = {
    as_folder: "evidence/Manifest.plist",
    in_sub_folder: f"evidence/phone/{UDID}/Manifest.plist",
    in_zip: f"evidence.zip/{UDID}/Manifest.plist",
    in_zip_in_folder: f"evidence/a.zip/{UDID}/Manifest.plist",
    in_disk_image: f"evidence.dd/{UDID}/Manifest.plist",
}
KINDS = {
    "plain": lambda: ios_backup(FILES),
    "flat": lambda: ios_backup(FILES, is_flat=True),
    "encrypted": lambda: ios_backup(FILES, Keybag()),
    "encrypted before iOS 10.2": lambda: ios_backup(
        FILES, Keybag(is_old=True), is_flat=True, is_list_plain=True
    ),
}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_each_file_is_listed_by_domain_and_path_wherever_the_backup_is(tmp_path, kind, place):
    files = KINDS[kind]()
    found = listed(place(tmp_path, files), GIVEN)
    at = PLACES[place]
    prefix = f"{at}/"
    inside = {name.removeprefix(prefix): d for name, d in found.items() if name.startswith(prefix)}
    assert inside == {file.name: file.data for file in FILES}
    # What the list does not name is listed as it is; the files that it names are listed once.
    folder = at.removesuffix("Manifest.plist")
    others = {name for name in found if name.startswith(folder)} - {prefix + i for i in inside}
    assert others == {folder + n for n in files if "." in n}


@pytest.mark.parametrize("kind", KINDS)
def test_times_are_those_on_the_phone_in_utc(tmp_path, kind):
    with open_source(as_folder(tmp_path, KINDS[kind]()), choices=GIVEN) as source:
        times = [i.times for i in source.items() if i.path.name.endswith("IMG_0001.JPG")]
    (found,) = times
    assert found.modified == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert found.changed == datetime(2023, 11, 14, 22, 13, 21, tzinfo=UTC)
    assert found.created == datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)
    assert found.accessed is None
    assert found.zone_known


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [as_folder, in_zip_in_folder, in_disk_image])
def test_a_file_is_found_again_by_its_path(tmp_path, kind, place):
    path = place(tmp_path, KINDS[kind]())
    with open_source(path, choices=GIVEN) as source:
        expected = [(item.path, contents(item)) for item in source.items()]
    with open_source(path, choices=GIVEN) as source:
        for at, data in reversed(expected):
            item = source.find(EvidencePath.from_json(at.to_json()))
            assert item is not None, at
            assert (item.path, contents(item)) == (at, data)
        gone = next(at for at, _ in expected if at.name.endswith(".JPG"))
        assert source.find(gone.parent.child("file", "CameraRollDomain/no.jpg")) is None


def test_an_encrypted_backup_in_an_e01(tmp_path):
    image = Path(__file__).parent / "images" / "backup.E01"
    found = listed(write(tmp_path / "evidence", {"backup.E01": image.read_bytes()}), GIVEN)
    for file in BACKED_UP:
        assert found[f"evidence/backup.E01/phone/Manifest.plist/{file.name}"] == file.data
    assert not [name for name in found if file_id(file.domain, file.path) in name]
    locked = listed(image)["backup.E01/phone/Manifest.plist failure"]
    assert locked[0] == "Encrypted"


def test_the_bytes_are_those_of_another_program(tmp_path):
    other = pytest.importorskip("iphone_backup_decrypt")
    files = (
        *FILES[:3],
        IosFile("HomeDomain", "whole blocks", fixed("whole", 4096)),
        IosFile("HomeDomain", "stated too small", fixed("small", 5000), stated=4000),
        IosFile("HomeDomain", "stated too large", fixed("large", 5001), stated=50_000),
    )
    folder = as_folder(tmp_path, ios_backup(files, Keybag()))
    found = listed(folder, GIVEN)
    backup = other.EncryptedBackup(backup_directory=str(folder), passphrase=PASSWORD)
    for file in files:
        theirs = backup.extract_file_as_bytes(file.path, domain_like=file.domain)
        assert found[f"evidence/Manifest.plist/{file.name}"] == theirs == file.data


def test_a_part_of_an_encrypted_file_is_read_from_any_position(tmp_path):
    folder = as_folder(tmp_path, ios_backup(FILES, Keybag()))
    data = FILES[2].data
    with open_source(folder, choices=GIVEN) as source:
        (item,) = (i for i in source.items() if i.path.name.endswith("사진.jpg"))
        with item.open() as stream:
            for start, size in ((69_990, 50), (1, 1), (65_530, 20), (16, 16), (0, 70_001)):
                stream.seek(start)
                assert stream.read(size) == data[start : start + size]


def test_only_the_examiners_passwords_are_tried_and_kept_nowhere(tmp_path):
    folder = as_folder(tmp_path, ios_backup(FILES, Keybag()))
    with open_source(folder, choices=GIVEN) as source:
        said = "".join(str(item) for item in source.items())
        assert [str(path) for path in source.opened_with_password] == ["evidence/Manifest.plist"]
    assert PASSWORD not in said
    with open_source(as_folder(tmp_path / "plain", ios_backup(FILES)), choices=GIVEN) as source:
        list(source.items())
        assert source.opened_with_password == []


def without(name):
    def changed(files):
        properties = plistlib.loads(files["Manifest.plist"])
        del properties[name]
        return files | {"Manifest.plist": plistlib.dumps(properties)}

    return changed


def with_keybag(keybag):
    def changed(files):
        properties = plistlib.loads(files["Manifest.plist"])
        return files | {"Manifest.plist": plistlib.dumps(properties | {"BackupKeyBag": keybag})}

    return changed


LOCKED = {
    "no password": (Choices(), lambda files: files, "give the password with --password-file"),
    "wrong password": (
        Choices(passwords=("a", "b")),
        lambda files: files,
        "which no password of the --password-file opens",
    ),
    "no keybag": (GIVEN, without("BackupKeyBag"), "has no keybag in Manifest.plist"),
    "damaged keybag": (GIVEN, with_keybag(b"UUID" * 20), "damaged keybag: its record 1 is cut off"),
    "empty keybag": (GIVEN, with_keybag(b""), "damaged keybag: it has no key that a password"),
    "keybag without salt": (
        GIVEN,
        with_keybag(Keybag().bytes().replace(b"SALT", b"SALE")),
        "damaged keybag: it has no b'SALT'",
    ),
    "keybag that would take hours": (
        GIVEN,
        with_keybag(Keybag(rounds=4_000_000_000).bytes()),
        "it asks for 4000000000 rounds of PBKDF2",
    ),
    "no key of the list": (GIVEN, without("ManifestKey"), "has no ManifestKey"),
    "key of another list": (
        GIVEN,
        with_keybag(Keybag(classes=(1, 3)).bytes()),
        "a ManifestKey that does not fit its keybag",
    ),
}


@pytest.mark.parametrize("name", LOCKED)
@pytest.mark.parametrize("place", [as_folder, in_zip_in_folder])
def test_an_encrypted_backup_that_cannot_be_opened_is_named_with_the_reason(tmp_path, name, place):
    choices, change, text = LOCKED[name]
    found = listed(place(tmp_path, change(ios_backup(FILES, Keybag()))), choices)
    error, message = found[f"{PLACES[place]} failure"]
    assert error == "Encrypted"
    assert message.startswith("is an encrypted iTunes or Finder backup")
    assert text in message
    assert PASSWORD not in message
    # Its files are still accounted for, as what they are.
    folder = PLACES[place].removesuffix("Manifest.plist")
    assert all(f"{folder}{f.file_id[:2]}/{f.file_id}" in found for f in FILES)


@pytest.mark.usefixtures("in_process")
def test_without_the_package_an_encrypted_backup_is_named_with_what_to_install(
    tmp_path, monkeypatch
):
    folder = as_folder(tmp_path, ios_backup(FILES, Keybag()))
    for name in [name for name in sys.modules if name.split(".")[0] == "Cryptodome"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("mayak.evidence.containers.ciphers.find_spec", lambda name: None)
    imported = builtins.__import__

    def hidden(name, *rest, **more):
        if name.split(".")[0] == "Cryptodome":
            raise ImportError(name)
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", hidden)
    found = listed(folder, GIVEN)
    error, message = found["evidence/Manifest.plist failure"]
    assert error == "Encrypted"
    assert "needs a package that is not installed: pycryptodomex" in message


def test_a_list_that_cannot_be_decrypted_or_read_is_named(tmp_path):
    files = ios_backup(FILES, Keybag())
    for name, data in (
        ("noise", fixed("noise", 40_960)),
        ("cut", files["Manifest.db"][:8192]),
        ("other key", cbc(fixed("other", 32), database([]))),
    ):
        found = listed(as_folder(tmp_path / name, files | {"Manifest.db": data}), GIVEN)
        error, message = found["evidence/Manifest.plist failure"]
        assert error == "Damaged"
        assert "container cannot be entered" in message
        assert f"evidence/{FILES[0].file_id[:2]}/{FILES[0].file_id}" in found


def test_a_file_whose_key_is_missing_or_damaged_is_named_and_the_others_are_read(tmp_path):
    def row(path, number, key):
        file = IosFile("HomeDomain", path, b"12345")
        record = mb_file(file, number.to_bytes(4, "little") + key)
        return file, (file.file_id, file.domain, file.path, 1, record)

    alien, alien_row = row("alien.jpg", 9, bytes(40))
    broken, broken_row = row("broken.jpg", 3, bytes(40))
    files = ios_backup(FILES, Keybag(), extra_rows=[alien_row, broken_row])
    for file in (alien, broken):
        files[f"{file.file_id[:2]}/{file.file_id}"] = bytes(16)
    cut = FILES[0].file_id
    files[f"{cut[:2]}/{cut}"] = files[f"{cut[:2]}/{cut}"][:-5]
    found = listed(as_folder(tmp_path, files), GIVEN)
    prefix = "evidence/Manifest.plist/"
    assert found[prefix + alien.name] == (
        "Encrypted",
        "is encrypted for protection class 9, of which there is no key",
    )
    assert found[prefix + broken.name] == ("Encrypted", "is encrypted with a key that is damaged")
    assert found[prefix + FILES[0].name][0] == "Damaged"
    assert all(found[prefix + file.name] == file.data for file in FILES[1:])


def test_what_the_list_states_and_the_folder_lacks_is_named(tmp_path):
    files = ios_backup(FILES)
    gone = f"{FILES[0].file_id[:2]}/{FILES[0].file_id}"
    del files[gone]
    del files[f"{FILES[3].file_id[:2]}/{FILES[3].file_id}"]  # empty files need none
    unnamed = f"ab/ab{'0' * 38}"
    found = listed(as_folder(tmp_path, files | {unnamed: b"nobody names it"}))
    prefix = "evidence/Manifest.plist/"
    assert found[prefix + FILES[0].name] == (
        "Damaged",
        f"is listed, but its file {gone} is missing or unreadable",
    )
    assert found[prefix + FILES[3].name] == b""
    assert found[f"evidence/{unnamed}"] == b"nobody names it"


def test_links_folders_and_repeated_names(tmp_path):
    uid = plistlib.UID
    link = {
        "$top": {"root": uid(1)},
        "$objects": ["$null", {"Target": uid(2)}, "/private/var/elsewhere"],
    }
    link_row = (
        file_id("HomeDomain", "link"), "HomeDomain", "link", 4,
        plistlib.dumps(link, fmt=plistlib.FMT_BINARY),
    )  # fmt: skip
    again = "ef" + "1" * 38
    rows = [link_row, (again, FILES[0].domain, FILES[0].path, 1, b"")]
    folder = IosFile("CameraRollDomain", "Media/DCIM", b"")
    files = ios_backup(FILES, extra_rows=rows) | {
        f"ef/{again}": b"the other",
        f"{folder.file_id[:2]}/{folder.file_id}": b"a folder has no content",
    }
    path = as_folder(tmp_path, files)
    found = listed(path)
    prefix = "evidence/Manifest.plist/"
    assert found[f"{prefix}HomeDomain/link"] == (
        "SymbolicLink",
        "is a symbolic link to '/private/var/elsewhere', which is not followed",
    )
    assert found[prefix + FILES[0].name] == FILES[0].data
    repeated = [name for name in found if name.startswith(f"{prefix}{FILES[0].name}#")]
    assert [found[name] for name in repeated] == [b"the other"]
    # Bytes that the list does not call a file are not lost.
    assert found[f"evidence/{folder.file_id[:2]}/{folder.file_id}"] == b"a folder has no content"
    with open_source(path) as source:
        paths = [i.path for i in source.items() if isinstance(i, EvidenceEntry)]
        for at in paths:
            assert source.find(at).path == at


def test_rows_of_the_wrong_types_and_hostile_names_do_no_harm(tmp_path):
    stored = "aa" + "2" * 38
    rows = [
        (None, "HomeDomain", "null", 1, None),
        (7, "HomeDomain", "number", 1, None),
        ("../../etc/passwd", "HomeDomain", "outside", 1, None),
        ("AB" + "0" * 38, "HomeDomain", "capitals", 1, None),
        ("cc" + "0" * 38, None, None, 1, None),
        ("dd" + "0" * 38, "HomeDomain", b"\0bytes", 1, None),
        (stored, "..", "../../../tmp/\0evil\n.jpg", "one", b"not a property list"),
        ("bb" + "2" * 38, "HomeDomain", b"\xff\xfe".decode("latin-1"), 1, bytes(2 << 20)),
    ]
    files = ios_backup(FILES, extra_rows=rows)
    files |= {f"aa/{stored}": b"evil", f"bb/bb{'2' * 38}": b"large"}
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    found = listed(as_folder(tmp_path, files))
    prefix = "evidence/Manifest.plist"
    assert found[f"{prefix} failure"] == (
        "Damaged",
        "has 5 rows in its list that name no file",
    )
    assert b"evil" in found.values()
    assert found[f"{prefix}/HomeDomain/\xff\xfe"] == b"large"
    assert b"secret" not in found.values()


def hostile(script):
    connection = sqlite3.connect(":memory:")
    connection.executescript(script)
    data = connection.serialize()
    connection.close()
    return data


HOSTILE = {
    "endless view": hostile(
        "CREATE VIEW Files AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
        "SELECT x fileID, x domain, x relativePath, 1 flags, NULL file FROM c"
    ),
    "view of another table": hostile(
        "CREATE TABLE t (fileID, domain, relativePath, flags, file); CREATE VIEW Files AS SELECT * "
        "FROM t"
    ),
    "column that is computed": hostile(
        "CREATE TABLE Files (fileID TEXT, domain, relativePath, flags, "
        "file AS (zeroblob(1000000000)))"
    ),
    "no table": hostile("CREATE TABLE Others (a)"),
    "no column": hostile("CREATE TABLE Files (fileID TEXT, domain)"),
    "text": b"not a database" * 999,
    "empty": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_list_that_is_none_loses_nothing_else(tmp_path, name):
    files = ios_backup(FILES) | {"Manifest.db": HOSTILE[name]}
    found = listed(as_folder(tmp_path, files))
    error, _ = found["evidence/Manifest.plist failure"]
    assert error in ("Damaged", "NoEntries")
    for file in FILES:
        assert found[f"evidence/{file.file_id[:2]}/{file.file_id}"] == file.data


def test_a_damaged_list_costs_only_the_rows_after_the_damage(tmp_path):
    many = [IosFile("HomeDomain", f"Library/{n}.bin", fixed(str(n), 99)) for n in range(600)]
    files = ios_backup(many)
    damaged = bytearray(files["Manifest.db"])
    middle = len(damaged) // 4096 // 2 * 4096
    damaged[middle : middle + 8 * 4096] = fixed("damage", 8 * 4096)
    found = listed(as_folder(tmp_path, files | {"Manifest.db": bytes(damaged)}))
    prefix = "evidence/Manifest.plist"
    error, message = found[f"{prefix} failure"]
    assert error == "Damaged"
    assert message.startswith("cannot list files after row ")
    named = sum(name.startswith(f"{prefix}/") for name in found)
    stored = sum(f"evidence/{file.file_id[:2]}/{file.file_id}" in found for file in many)
    # Each file is listed once, by its name on the phone or in the backup.
    assert named + stored == len(many)
    assert named
    assert stored
    assert {file.data for file in many} <= {d for d in found.values() if isinstance(d, bytes)}


def test_rows_in_the_lists_own_log_count(tmp_path):
    file = IosFile("HomeDomain", "late.jpg", b"late")
    work = tmp_path / "work.db"
    connection = sqlite3.connect(work, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.executescript(SCHEMA)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    row = (file.file_id, file.domain, file.path, 1, mb_file(file))
    connection.execute("INSERT INTO Files VALUES (?, ?, ?, ?, ?)", row)
    log = Path(f"{work}-wal").read_bytes()
    files = ios_backup([]) | {
        "Manifest.db": work.read_bytes(),
        "Manifest.db-wal": log,
        f"{file.file_id[:2]}/{file.file_id}": b"late",
    }
    connection.close()
    folder = as_folder(tmp_path, files)
    assert listed(folder)[f"evidence/Manifest.plist/{file.name}"] == b"late"
    assert (folder / "Manifest.db-wal").read_bytes() == log


def test_nothing_is_written_next_to_the_evidence_or_left_in_the_temporary_folder(
    tmp_path, monkeypatch
):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    folder = as_folder(tmp_path, ios_backup(FILES, Keybag()))
    before = sorted(folder.rglob("*"))
    with open_source(folder, choices=GIVEN) as source:
        for item in source.items():
            contents(item)
            if sys.platform != "win32":  # the decrypted list has no name while it is used
                assert not list(temporary.iterdir())
        assert sorted(folder.rglob("*")) == before


def test_an_old_backup_is_named_and_its_files_are_listed_as_they_are(tmp_path):
    files = ios_backup(FILES, is_flat=True)
    del files["Manifest.db"]
    found = listed(as_folder(tmp_path, files | {"Manifest.mbdb": b"mbdb\5\0"}))
    error, message = found["evidence/Manifest.plist failure"]
    assert error == "Unsupported"
    assert "Manifest.mbdb" in message
    assert found[f"evidence/{FILES[0].file_id}"] == FILES[0].data


def test_a_backup_without_its_list_is_named(tmp_path):
    files = ios_backup(FILES)
    del files["Manifest.db"]
    found = listed(as_folder(tmp_path, files))
    error, message = found["evidence/Manifest.plist failure"]
    assert error == "Damaged"
    assert "without Manifest.db" in message


@pytest.mark.parametrize(
    "content",
    [
        b"bplist00 but damaged",
        b"<plist><dict>",
        plistlib.dumps({"CFBundleName": "an app's own"}),
        plistlib.dumps(["IsEncrypted"]),
        b"",
    ],
)
def test_another_file_of_this_name_is_no_backup(tmp_path, content):
    found = listed(write(tmp_path / "evidence", {"Manifest.plist": content, "a.txt": b"a"}))
    assert found == {"evidence/Manifest.plist": content, "evidence/a.txt": b"a"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_a_backup_in_a_folder_whose_name_is_not_utf8(tmp_path):
    root = tmp_path / "evidence"
    root.mkdir()
    write(root / os.fsdecode("백업".encode("cp949")), ios_backup(FILES))
    found = listed(root)
    assert found[f"evidence/백업/Manifest.plist/{FILES[0].name}"] == FILES[0].data
    assert f"evidence/백업/{FILES[0].file_id[:2]}/{FILES[0].file_id}" not in found


def test_a_name_like_a_backups_costs_no_list_of_a_large_archive(tmp_path, monkeypatch):
    """``find`` of an archive keeps all that it lists: hundreds of thousands of files."""
    files = {f"cache/{n}/{fixed(str(n), 20).hex()}": b"a" for n in range(20)}
    (tmp_path / "a.zip").write_bytes(zipped(files))
    monkeypatch.setattr(ZipContainer, "find", lambda *_: pytest.fail("the list is kept"))
    assert len(listed(tmp_path / "a.zip")) == 20


def test_two_backups_in_one_folder_are_kept_apart(tmp_path):
    other = IosFile(FILES[0].domain, FILES[0].path, b"another phone's")
    root = write(tmp_path / "evidence", below(ios_backup(FILES), "a"))
    found = listed(write(root, below(ios_backup([other], Keybag()), "b")), GIVEN)
    assert found[f"evidence/a/Manifest.plist/{other.name}"] == FILES[0].data
    assert found[f"evidence/b/Manifest.plist/{other.name}"] == b"another phone's"


@pytest.mark.usefixtures("in_process")
def test_a_password_is_tried_once_for_a_backup(tmp_path, monkeypatch):
    class_keys.cache_clear()
    tried = []
    derive = "mayak.evidence.containers.ios_keybag.pbkdf2"
    real = __import__("mayak.evidence.containers.decryption", fromlist=["pbkdf2"]).pbkdf2
    monkeypatch.setattr(derive, lambda *args: tried.append(args[0]) or real(*args))
    folder = as_folder(tmp_path, ios_backup(FILES, Keybag()))
    for _ in range(2):
        with open_source(folder, choices=Choices(passwords=(PASSWORD,))) as source:
            assert len(list(source.items())) == 9
    assert tried == ["sha256", "sha1"]


@pytest.mark.parametrize("kind", ["plain", "encrypted"])
@pytest.mark.parametrize("name", ["Manifest.plist", "Manifest.db"])
def test_random_changes_lose_no_file_and_end_nothing(tmp_path, kind, name):
    files = KINDS[kind]()
    stored = {f"{file.file_id[:2]}/{file.file_id}" for file in FILES}
    folder = as_folder(tmp_path, files)
    for number in range(40):
        changed = bytearray(files[name])
        for at in range(0, 40, 4):
            place = int.from_bytes(fixed(f"{kind}{name}{number}", 40)[at : at + 3])
            changed[place % len(changed)] ^= 1 + number
        (folder / name).write_bytes(changed)
        found = listed(folder, GIVEN)
        # Each file of the backup is there under one of its names, or is a failure.
        at = [path.removeprefix("evidence/") for path in found]
        assert sum(path in stored for path in at) + sum("plist/" in path for path in at) >= 5
        assert f"evidence/{name}" in found
