"""A report on two phones that nobody opened says so, and nothing that is not true of them."""

import json
import plistlib
import random
import re
import struct

import pytest
from test_statements import add, item, said

from mayak.case import CaseStore, Exclusion
from mayak.triage import Options, triage
from mayak.types import Failure, SilentProgress

MIB = 1 << 20
NOISE = random.Random(19).randbytes(4 * MIB)


def table(first, sectors):
    """An MBR with one partition of Linux."""
    entry = struct.pack("<8B2L", 0, 0, 0, 0, 0x83, 0, 0, 0, first, sectors)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def phones(root):
    """Disk images and phones as labs meet them, none of which can be read, and an encrypted backup
    of an iPhone."""
    silent = root / "silent"
    silent.mkdir(parents=True)
    userdata = table(2048, 8192).ljust(2048 * 512, b"\0") + NOISE
    for name, data in {
        "f2fs.dd": bytes(1024) + b"\x10\x20\xf5\xf2" + bytes(4096),
        "erofs.img": bytes(1024) + b"\xe2\xe1\xf5\xe0" + bytes(4096),
        "phone_full.dd": userdata,
        "logical.ad1": b"ADSEGMENTEDFILE\0" + bytes(500),
        "files.L01": b"LVF\x09\x0d\x0a\xff\x00" + bytes(500),
        "disc.mdf": NOISE[:9000],
        "chat.db": b"SQLite format 3\0" + bytes(4080),
        "notes.txt": b"words",
    }.items():
        (silent / name).write_bytes(data)
    backup = root / "itunes_enc" / "00008030-000B"
    for number in range(12):
        file = backup / f"{number:02x}" / f"{number:02x}{number:038x}"
        file.parent.mkdir(parents=True)
        file.write_bytes(NOISE[number * 9000 : number * 9000 + 8000])
    (backup / "Manifest.db").write_bytes(NOISE[: 40 << 10])
    (backup / "Manifest.plist").write_bytes(plistlib.dumps({"IsEncrypted": True}))
    return silent, backup.parent


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    root = tmp_path_factory.mktemp("court")
    options = Options(sources=phones(root / "evidence"), case=root / "case", operator="kim")
    triage(options, None, SilentProgress())
    return root / "case"


def prose(text):
    """The words of a report, without its punctuation of JSON."""
    return re.sub(r"\s+", " ", " ".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)))


UNTRUE = {
    "en": [
        r"all files (?:in|of) the sources? (?:are|were) listed",
        r"no file (?:is|was) (?:dropped|left out) without",
        r"\b0 (?:files )?not read",
        r"nothing (?:is |was )?wrong",
        r"each file's hash|hash of each file",
        r"No listed file counts as not read",
        r"every file was (?:read|examined|opened)",
        r"all files were (?:read|examined|opened)",
    ],
    "ko": [
        r"모든 파일을 (?:나열|분석|열)",
        r"사유 없이 빠지는 파일은 없",
        r"읽지 못한 파일이 0개",
        r"읽지 못함 0\b",
        r"이상이 없습니다",
        r"파일마다 해시값을 목록에",
        r"읽지 못한 (?:것으로 집계된 )?파일은 없습니다",
    ],
}


@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_sentence_is_untrue_of_phones_that_nobody_opened(case, language):
    text = prose(said(case, language))
    for pattern in UNTRUE[language]:
        assert not re.search(pattern, text, re.IGNORECASE), pattern
    with CaseStore.read(case) as store:
        counts = store.counts()
        failures = counts.failures
    assert counts.is_balanced and failures >= 8 and counts.contents == 0
    notice = {
        "en": "NOT EXAMINED: files that can hold",
        "ko": "분석하지 않음: 이미지가 들어 있을 수",
    }
    assert notice[language] in text[: text.index({"en": "Summary", "ko": "요약"}[language])]
    sums = {"en": f"{failures} not read", "ko": f"읽지 못함 {failures}"}
    assert sums[language] in text
    for kind in ("F2FS", "EROFS", "AD1", "L01", "SQLite"):
        assert kind in text


def test_the_census_stands_under_limits_with_numbers_of_the_case(case):
    text = said(case)
    assert '["format not supported", "F2FS", "1"]' in text
    assert '["can hold pictures, was not opened", "SQLite", "1"]' in text.replace('"2"', '"1"')
    assert '["a kind without pictures", "text", "1"]' in text
    assert "Left out because their first bytes are of no kind that mayak knows" in text
    assert "mount it read-only and give that folder" in text
    assert "Not looked at in source 1: " in text and "unpartitioned space " in text


def test_files_of_a_kind_that_is_not_opened_do_not_hide_others_in_the_list(tmp_path):
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        source = store.add_source("/evidence/phone", "folder")
        rows = [
            item(f"{n}.db", Failure(f"{n}.db", "read", "NotOpened", "is SQLite", kind="SQLite"))
            for n in range(300)
        ]
        lost = Failure("lost.jpg", "read", "Damaged", "cut off")
        store.add_items(source, [*rows, item("lost.jpg", lost)])
        store.record("triage finished", sources=[source], limited=False)
    text = said(tmp_path / "case")
    assert text.index("damaged (Damaged): cut off") < text.index("(NotOpened): is SQLite")
    assert "Files that were not read, 200 of 301, those of a kind that is not opened last" in text


def test_what_an_earlier_version_left_out_as_no_image_is_shown_as_it_was(tmp_path):
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        source = store.add_source("/evidence/photos", "folder")
        store.record("triage finished", sources=[source], limited=False)
    add(
        tmp_path / "case",
        item("chat.db", Exclusion("not-an-image", "does not begin like any known image format")),
    )
    text = said(tmp_path / "case")
    assert "Left out because they do not begin as an image does: 1 file." in text
    assert "By their names, among them are kinds that can hold pictures: databases 1." in text
    assert "NOT EXAMINED" not in text and "NOT OPENED: files whose names suggest" in text


def test_kinds_that_were_named_as_safe_are_stated(tmp_path):
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone" / "chat.db").write_bytes(b"SQLite format 3\0" + bytes(4080))
    options = Options(
        sources=(tmp_path / "phone",),
        case=tmp_path / "case",
        operator="kim",
        known_safe=("database",),
    )
    triage(options, None, SilentProgress())
    text = said(tmp_path / "case")
    assert "left out unopened, as safe: database" in text
    assert "Left out by the settings of triage: 1 file (a kind named in --known-safe 1)" in text
    assert '["a kind named in --known-safe", "SQLite", "1"]' in text
    assert "NOT EXAMINED" not in text
    assert json.loads(text)["title"]
