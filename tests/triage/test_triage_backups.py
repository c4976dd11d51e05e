"""Phone backups in a case: sought by path, opened with passwords that nothing keeps, compared."""

import hashlib
import hmac
import io
import sqlite3
import struct
from functools import partial

import numpy as np
import py7zr
import pytest
from Cryptodome.Cipher import AES
from Cryptodome.Util import Counter
from PIL import Image

from mayak.case import CaseStore
from mayak.case.census import Census
from mayak.dataset.decided import read_decided
from mayak.errors import ConfigError, EvidenceError, IntegrityError
from mayak.evidence import Choices
from mayak.review.originals import OriginalRequest, Originals
from mayak.triage import Options, relocate, triage
from mayak.triage.verify import check_sources
from mayak.types import Engine, Prediction, Scores, Sides, SilentProgress
from phone_backups import PASSWORD, IosFile, Keybag, ios_backup, write


class Grey:
    """A classifier for which every picture is the same."""

    min_sides = Sides(10_000, 10_000)
    engine = Engine("grey", None, "fp32", "0" * 64, "1" * 64, ())

    def classify(self, images):
        for image in images:
            scores = Scores((0.1, 0.7, 0.1, 0.1), 0.01)
            yield Prediction(image.sha256, scores, False, self.engine.fingerprint)


def picture(number):
    values = np.random.default_rng(number).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).resize((96, 64), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


FILES = (
    IosFile("CameraRollDomain", "Media/DCIM/100APPLE/IMG_0001.JPG", picture(1)),
    IosFile("AppDomain-com.kakao.talk", "Library/Caches/2", picture(2)),
    IosFile("HomeDomain", "Library/notes.txt", b"a text"),
)
AT = "phone/Manifest.plist"


def run(case, source, *passwords, **options):
    settings = Options(
        sources=(source,), case=case, operator="kim", choices=Choices(passwords), **options
    )
    return triage(settings, Grey(), SilentProgress())


def told(case):
    with CaseStore.read(case) as store:
        return {
            item.display: item.content or (item.failure or item.exclusion)
            for item in store.known_items(1)
        }


def verified(case, *passwords):
    with CaseStore.read(case) as store:
        faults, (compared,) = check_sources(store, SilentProgress(), Choices(passwords))
    return [str(fault) for fault in faults], compared


@pytest.fixture
def phone(tmp_path):
    return write(tmp_path / "phone", ios_backup(FILES, Keybag()))


def test_pictures_are_found_by_their_path_on_the_phone(tmp_path):
    source = write(tmp_path / "phone", ios_backup(FILES))
    summary = run(tmp_path / "case", source, include=("*/DCIM/*",))
    assert summary.counts.contents == 1
    assert summary.failures == 0
    found = told(tmp_path / "case")
    assert isinstance(found[f"{AT}/{FILES[0].name}"], str)
    assert found[f"{AT}/{FILES[1].name}"].rule == "include"


def test_an_encrypted_backup_counts_as_not_read_and_says_what_it_needs(tmp_path, phone):
    summary = run(tmp_path / "case", phone)
    assert (summary.failures, summary.locked) == (2, [AT])
    with CaseStore.read(tmp_path / "case") as store:
        failure, manifest = store.first_failures(5)
    assert (manifest.path, manifest.error) == ("phone/Manifest.db", "NotOpened")
    assert failure.error == "Encrypted"
    assert failure.message.endswith("give the password with --password-file")
    assert verified(tmp_path / "case")[0] == []


def test_a_password_opens_it_in_a_later_run_and_the_gap_is_closed(tmp_path, phone):
    case = tmp_path / "case"
    run(case, phone)
    summary = run(case, phone, "wrong")
    # One reason, the latest; and the list itself, a database.
    assert (summary.failures, summary.counts.contents) == (2, 0)
    summary = run(case, phone, "wrong", PASSWORD)
    assert (summary.failures, summary.counts.contents, summary.locked) == (1, 2, [])
    assert summary.counts.is_balanced
    found = told(case)
    assert all(isinstance(found[f"{AT}/{file.name}"], str) for file in FILES[:2])
    faults, compared = verified(case, PASSWORD)
    assert faults == []
    assert compared.locked == 0
    assert compared.hashed == 2
    with CaseStore.read(case) as store:
        assert store.verify() == []


def test_without_the_password_nothing_is_said_to_be_gone(tmp_path, phone):
    case = tmp_path / "case"
    run(case, phone, PASSWORD)
    faults, compared = verified(case)
    assert faults == []
    assert (compared.locked, compared.hashed) == (3, 0)
    summary = run(case, phone)  # would end with exit code 3 if the pictures counted as gone
    assert summary.damaged == []
    assert summary.counts.contents == 2
    # What is really gone is found, with the password.
    blob = phone / FILES[0].file_id[:2] / FILES[0].file_id
    blob.unlink()
    faults, _ = verified(case, PASSWORD)
    assert any(FILES[0].name in fault for fault in faults)
    assert not [f for f in faults if FILES[0].name not in f and FILES[0].file_id not in f]


def seven_zip(*, hides_names):
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w", password=PASSWORD, header_encryption=hides_names) as file:
        file.writestr(picture(1), "a.jpg")
    return buffer.getvalue()


def aes_zip():
    """A ZIP with one member in WinZip's AE-2, of 256 bits."""
    data, salt = picture(1), bytes(range(16))
    key = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), salt, 1000, 66)
    counter = Counter.new(128, initial_value=1, little_endian=True)
    body = AES.new(key[:32], AES.MODE_CTR, counter=counter).encrypt(data)
    packed = salt + key[64:] + body + hmac.digest(key[32:64], body, "sha1")[:10]
    extra = struct.pack("<HHH2sBH", 0x9901, 7, 2, b"AE", 3, 0)
    fields = struct.pack(
        "<HHHHHLLLHH", 51, 1, 99, 0, 0x21, 0, len(packed), len(data), 5, len(extra)
    )
    local = b"PK\3\4" + fields + b"a.jpg" + extra + packed
    entry = b"PK\1\2" + struct.pack("<H", 51) + fields + bytes(14) + b"a.jpg" + extra
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entry), len(local), 0)
    return local + entry + end


LOCKED = {
    "aes256.zip": aes_zip,
    "blocks.7z": partial(seven_zip, hides_names=False),
    "hidden.7z": partial(seven_zip, hides_names=True),
}


@pytest.mark.parametrize("name", LOCKED)
def test_pictures_of_a_locked_archive_are_neither_gone_nor_changed(tmp_path, name):
    """What an earlier run read with the password is kept; without it nothing can be compared."""
    source = tmp_path / "phone"
    source.mkdir()
    (source / name).write_bytes(LOCKED[name]())
    case = tmp_path / "case"
    summary = run(case, source, PASSWORD)
    assert (summary.counts.contents, summary.failures, summary.locked) == (1, 0, [])
    with CaseStore.read(case) as store:
        opened = [e.detail for e in store.log() if e.action == "opened with a password"]
    assert [each["containers"] for each in opened] == [[f"phone/{name}"]]
    faults, compared = verified(case)
    assert (faults, compared.locked) == ([], 1)
    summary = run(case, source)
    assert (summary.damaged, summary.counts.contents) == ([], 1)
    assert summary.locked == [f"phone/{name}"]
    assert verified(case, PASSWORD)[0] == []


def test_a_locked_source_is_compared_with_those_of_its_case_by_its_password(tmp_path):
    """An archive that hides its names cannot be opened without."""
    case, folder = tmp_path / "case", tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(picture(3))
    run(case, folder)
    old, new = tmp_path / "hidden.7z", tmp_path / "moved.7z"
    old.write_bytes(seven_zip(hides_names=True))
    assert run(case, old, PASSWORD).counts.contents == 2
    with CaseStore.read(case) as store:
        faults, (_, compared) = check_sources(store, SilentProgress())
        assert (faults, compared.locked, compared.files) == ([], 1, 1)
        faults, (_, compared) = check_sources(store, SilentProgress(), Choices((PASSWORD,)))
        assert (faults, compared.whole) == ([], True)
        item = next(store.known_items(2))
    originals = Originals()
    found = originals.picture(OriginalRequest(item.content, ((str(old), item.location),)))
    originals.close()
    assert found == "locked"
    # A copy of a source that is still there is a source of its own.
    new.write_bytes(old.read_bytes())
    run(case, new, PASSWORD)
    with CaseStore.read(case) as store:
        assert len(store.sources()) == 3
    new.unlink()
    moved = old.rename(tmp_path / "again.7z")
    with pytest.raises(ConfigError, match="is source 2 of the case"):
        run(case, moved, PASSWORD)
    with pytest.raises(EvidenceError) as refused:
        relocate(case, str(old), moved, "kim", SilentProgress())
    assert "--password-file" in refused.value.remedy
    found = relocate(case, str(old), moved, "kim", SilentProgress(), (PASSWORD,))
    assert found.source.id == 2


def test_what_a_password_would_open_is_counted_with_its_kind_and_that_remedy(tmp_path, phone):
    run(tmp_path / "case", phone)
    with CaseStore.read(tmp_path / "case") as store:
        (found,) = (row for row in store.census() if row.reason == "Encrypted")
        (shown,) = (count for count in Census.of([found]).not_read)
    assert found.kind == "iTunes or Finder backup"
    ((advice, _),) = shown.remedies
    assert "--password-file" in advice


def test_a_case_of_files_without_names_goes_on_when_they_have_names(tmp_path):
    """As cases of versions that did not know backups do."""
    source = write(tmp_path / "phone", ios_backup(FILES))
    plist = (source / "Manifest.plist").read_bytes()
    (source / "Manifest.plist").write_bytes(b"not yet")
    case = tmp_path / "case"
    run(case, source)
    (source / "Manifest.plist").write_bytes(plist)
    summary = run(case, source)
    assert summary.damaged == []
    assert summary.counts.is_balanced
    found = told(case)
    first = FILES[0]
    assert found[f"phone/{first.file_id[:2]}/{first.file_id}"] == found[f"{AT}/{first.name}"]
    assert not [fault for fault in verified(case)[0] if "Manifest.plist" not in fault]
    with CaseStore.review(case, operator="kim") as store:
        contents = dict.fromkeys(item.content for item in store.known_items(1) if item.content)
        store.decide("kim", {content: label for label, content in enumerate(contents)})
    files, _ = read_decided([case]).extract(tmp_path / "out", SilentProgress())
    assert sorted(file.path.read_bytes() for file in files) == sorted(f.data for f in FILES[:2])


def test_the_case_records_that_passwords_were_given_and_what_they_opened(tmp_path, phone):
    case = tmp_path / "case"
    run(case, phone, "wrong", PASSWORD)
    with CaseStore.read(case) as store:
        entries = {entry.action: entry.detail for entry in store.log()}
    assert entries["triage"]["options"]["passwords"] is True
    assert entries["opened with a password"] == {"containers": [AT]}
    # The password is nowhere in the case.
    for path in case.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert PASSWORD.encode() not in data
            assert PASSWORD.encode("unicode-escape") not in data
            assert b"wrong" not in data
    rows = "".join(map(str, sqlite3.connect(case / "case.db").iterdump()))
    assert PASSWORD not in rows
    assert PASSWORD not in str(Options((phone,), case, "kim", choices=Choices((PASSWORD,))))


def test_the_original_is_shown_with_the_password_and_said_to_be_locked_without(tmp_path, phone):
    case = tmp_path / "case"
    run(case, phone, PASSWORD)
    with CaseStore.read(case) as store:
        item = next(i for i in store.known_items(1) if i.display.endswith("IMG_0001.JPG"))
    wanted = OriginalRequest(item.content, ((str(phone), item.location),))
    for choices, expected in (
        (Choices((PASSWORD,)), bytes),
        (Choices(("wrong",)), "locked"),
        (None, "locked"),
    ):
        originals = Originals(choices)
        found = originals.picture(wanted)
        originals.close()
        if expected is bytes:
            assert Image.open(io.BytesIO(found)).size == (96, 64)
        else:
            assert found == expected


def test_decided_pictures_are_copied_out_with_the_password(tmp_path, phone):
    case = tmp_path / "case"
    run(case, phone, PASSWORD)
    with CaseStore.review(case, operator="kim") as store:
        items = [item.content for item in store.known_items(1) if item.content]
        store.decide("kim", {content: label for label, content in enumerate(items)})
    for passwords, text in (((), "needs a password"), (("wrong",), "needs a password")):
        with pytest.raises(IntegrityError, match=text):
            read_decided([case], passwords).extract(tmp_path / "out", SilentProgress())
    files, _ = read_decided([case], (PASSWORD,)).extract(tmp_path / "out", SilentProgress())
    assert sorted(file.path.read_bytes() for file in files) == sorted(f.data for f in FILES[:2])
