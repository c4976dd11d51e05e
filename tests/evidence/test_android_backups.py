"""An Android backup is listed byte for byte, compressed, encrypted or neither."""

import io
import shutil
import subprocess
import tarfile
import zipfile
import zlib

import pytest

from mayak.errors import EvidenceError
from mayak.evidence import Choices, Limits, open_source
from mayak.types import EvidencePath, Failure
from phone_backups import PASSWORD, android_backup, fixed

FILES = {
    "apps/com.kakao.talk/_manifest": b"1\ncom.kakao.talk\n",
    "apps/com.kakao.talk/f/사진.jpg": fixed("one", 70_000),
    "shared/0/DCIM/Camera/20260101_120000.jpg": fixed("two", 31_999),
    "shared/0/empty.jpg": b"",
}
GIVEN = Choices(passwords=("first", PASSWORD))


def tar():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_700_000_000
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


TAR = tar()
KINDS = {
    f"version {version}, {'compressed' if packed else 'plain'}, {state}": android_backup(
        TAR,
        version=version,
        is_compressed=packed,
        # Version 1 took the low 8 bits of each character.
        password=None if state == "open" else "Café" if version == 1 else PASSWORD,
    )
    for version in range(1, 6)
    for packed in (True, False)
    for state in ("open", "encrypted")
}


def listed(path, choices=None, limits=None):
    """{path in the backup: content}, and the failures"""
    found, failures = {}, []
    with open_source(path, limits, choices) as source:
        for item in source.items():
            if isinstance(item, Failure):
                failures.append((item.path, str(item.error), item.message))
            elif item.path.parent is not None and item.path.parent.kind == "archive":
                with item.open() as stream:
                    found[item.path.name] = stream.read()
                assert item.size == len(found[item.path.name])
                assert item.times.modified.timestamp() == 1_700_000_000
    return found, failures


def written(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", KINDS)
def test_each_member_is_read_as_a_source_and_in_a_zip_in_a_folder(tmp_path, name):
    choices = Choices(passwords=("first", PASSWORD, "Café"))
    path = written(tmp_path / "a.ab", KINDS[name])
    assert listed(path, choices) == (FILES, [])
    with open_source(path, choices=choices) as source:
        assert bool(source.opened_with_password) == name.endswith("encrypted")
    folder = tmp_path / "folder"
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(path, "phone/backup.ab")
    assert listed(folder, choices) == (FILES, [])
    with open_source(folder, choices=choices) as source:
        paths = [item.path for item in source.items()]
        for at in paths:
            assert source.find(EvidencePath.from_json(at.to_json())).path == at


@pytest.mark.skipif(shutil.which("bsdtar") is None, reason="needs libarchive's bsdtar")
def test_the_members_are_those_of_another_program(tmp_path):
    """By the recipe that is known everywhere: skip 24 bytes, unpack with zlib, then TAR."""
    data = KINDS["version 5, compressed, open"]
    (tmp_path / "a.tar").write_bytes(zlib.decompress(data[24:]))
    (tmp_path / "out").mkdir()
    run = ["bsdtar", "-xf", str(tmp_path / "a.tar"), "-C", str(tmp_path / "out")]
    subprocess.run(run, check=True, env={"LC_ALL": "C.UTF-8"})
    theirs = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    ours, _ = listed(written(tmp_path / "a.ab", data))
    assert ours == theirs == FILES


ENCRYPTED = KINDS["version 5, compressed, encrypted"]
LOCKED = {
    "no password": (Choices(), ENCRYPTED, "give the password with --password-file"),
    "wrong password": (
        Choices(passwords=("a", "b")),
        ENCRYPTED,
        "which no password of the --password-file opens",
    ),
    "too many rounds": (
        GIVEN,
        android_backup(TAR, password=PASSWORD, rounds=4_000_000_000),
        "damaged header: it asks for 4000000000 rounds of PBKDF2",
    ),
    "no rounds": (GIVEN, ENCRYPTED.replace(b"\n1000\n", b"\nmany\n"), "damaged header"),
    "salt that is none": (GIVEN, ENCRYPTED.replace(b"AES-256\n", b"AES-256\nx"), "damaged header"),
    "unknown cipher": (GIVEN, ENCRYPTED.replace(b"AES-256", b"ROT-13"), "encrypted with 'ROT-13'"),
}


@pytest.mark.parametrize("name", LOCKED)
def test_an_encrypted_backup_that_cannot_be_opened_is_named_with_the_reason(tmp_path, name):
    choices, data, text = LOCKED[name]
    found, failures = listed(written(tmp_path / "a.ab", data), choices)
    assert found == {}
    ((path, error, message),) = failures
    assert (path, error) == ("a.ab", "Encrypted")
    assert text in message
    assert PASSWORD not in message


@pytest.mark.usefixtures("in_process")
def test_without_the_package_an_encrypted_backup_is_named_with_what_to_install(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("mayak.evidence.containers.ciphers.find_spec", lambda name: None)
    _, ((_, error, message),) = listed(written(tmp_path / "a.ab", ENCRYPTED), GIVEN)
    assert error == "Encrypted"
    assert "needs a package that is not installed: pycryptodomex" in message
    # Others are read without it.
    assert listed(written(tmp_path / "b.ab", KINDS["version 5, compressed, open"])) == (FILES, [])


@pytest.mark.parametrize("name", ["compressed, open", "compressed, encrypted", "plain, open"])
def test_a_backup_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path, name):
    data = KINDS[f"version 5, {name}"]
    found, failures = listed(written(tmp_path / "a.ab", data[: len(data) * 3 // 4]), GIVEN)
    assert found["apps/com.kakao.talk/f/사진.jpg"] == FILES["apps/com.kakao.talk/f/사진.jpg"]
    assert failures
    assert all(error == "Damaged" for _, error, _ in failures)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data: data[:60_000] + bytes(20) + data[60_020:], "cannot be unpacked beyond"),
        (lambda data: data + b"more", "other bytes follow its compressed data"),
    ],
)
def test_damage_is_named(tmp_path, change, text):
    data = change(KINDS["version 5, compressed, open"])
    _, failures = listed(written(tmp_path / "a.ab", data))
    assert any(text in message for *_, message in failures)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"ANDROID BACKUP\n6\n1\nnone\nabc", "its version is not known: 6"),
        (b"ANDROID BACKUP\n5\nyes\nnone\nabc", "its version is not known: 5"),
        (b"ANDROID BACKUP\n5\n1\n", "its header is cut off"),
        (b"ANDROID BACKUP\n5\n1\nAES-256\n" + b"A" * 20_000, "its header is cut off"),
    ],
)
def test_a_header_that_is_none_is_refused_with_the_reason(tmp_path, data, text):
    path = written(tmp_path / "a.ab", data)
    with pytest.raises(EvidenceError, match=text) as error:
        open_source(path)
    assert error.value.remedy
    (tmp_path / "folder").mkdir()
    path.rename(tmp_path / "folder" / "a.ab")
    _, ((_, reason, message),) = listed(tmp_path / "folder")
    assert reason == "Damaged"
    assert text in message


def test_a_bomb_is_refused(tmp_path):
    bomb = android_backup(bytes(200 << 20))
    (tmp_path / "folder").mkdir()
    written(tmp_path / "folder" / "a.ab", bomb)
    _, ((_, reason, message),) = listed(tmp_path / "folder")
    assert reason == "LimitExceeded"
    assert "taken for a bomb" in message
    _, ((_, reason, _),) = listed(
        written(tmp_path / "folder" / "a.ab", KINDS["version 5, plain, encrypted"]).parent,
        GIVEN,
        Limits(unpacked=1000),
    )
    assert reason == "LimitExceeded"


@pytest.mark.usefixtures("in_process")
def test_random_changes_cost_no_more_than_the_backup(tmp_path):
    for kind in ("compressed, open", "plain, encrypted"):
        data = KINDS[f"version 5, {kind}"]
        for number in range(40):
            changed = bytearray(data)
            for at in fixed(f"{kind}{number}", 8):
                changed[(at * 7919 + number * 131) % min(len(data), 1500)] ^= 1 + at % 255
            path = written(tmp_path / "a.ab", bytes(changed))
            try:
                listed(path, GIVEN)
            except EvidenceError as error:
                assert error.remedy
            except AttributeError:
                pass  # a member without a time
