"""The synthetic phone: what was put in is found, live and deleted, in the image as evidence."""

import pytest

from mayak.evidence import open_source
from mayak.types import EvidenceEntry
from mayak_synthetic.exfat import MODIFIED
from mayak_synthetic.phone import write_phone

CAMERA = {f"DCIM/Camera/사진 {i:03}.jpg": b"\xff\xd8\xff%03d" % i * (i * 7) for i in range(120)}
FILES = CAMERA | {
    "노트.txt": "압수물".encode(),
    "빈 파일.txt": b"",
    "Pictures/KakaoTalk/받은 사진/2026년/3월/IMG_0001.jpg": b"\xff\xd8\xff" + b"nested" * 1000,
    "Download/" + "긴 이름 " * 50 + ".png": b"\x89PNG\r\n\x1a\n" + b"long" * 2000,
    "Download/video.mp4": b"\0\0\0\x18ftypmp42" + b"frame" * 200_000,
}
DELETED = {name for name in CAMERA if name.endswith(("3.jpg", "7.jpg"))} | {
    "Pictures/KakaoTalk/받은 사진/2026년/3월/IMG_0001.jpg",
    "Download/video.mp4",
}


@pytest.fixture(scope="module")
def phone(tmp_path_factory):
    path = tmp_path_factory.mktemp("phone") / "phone.E01"
    write_phone(path, FILES, DELETED)
    return path


def test_every_file_is_found_as_it_was_put_in(phone):
    found, times = {}, set()
    with open_source(phone) as source:
        for entry in source.items():
            assert isinstance(entry, EvidenceEntry), entry
            name = str(entry.path).removeprefix("phone.E01/partition 1/")
            # The file system's own tables are listed too.
            if name not in ("$ALLOC_BITMAP", "$UPCASE_TABLE"):
                found[name.split("#")[0]] = (entry.open().read(), entry.is_deleted)
                times |= {entry.times.modified, entry.times.created, entry.times.accessed}
    assert found == {name: (content, name in DELETED) for name, content in FILES.items()}
    assert times == {MODIFIED}


def test_the_stored_hashes_are_those_of_the_medium(phone):
    with open_source(phone) as source:
        whole = source.acquire()
    assert whole.matches is True
    assert dict(whole.stored)["md5"] == whole.md5
    assert whole.bytes > sum(map(len, FILES.values()))


def test_the_same_files_in_any_order_make_the_same_bytes(phone, tmp_path):
    write_phone(tmp_path / "again.E01", dict(reversed(FILES.items())), sorted(DELETED))
    assert (tmp_path / "again.E01").read_bytes() == phone.read_bytes()
    write_phone(tmp_path / "other.E01", FILES, ())
    assert (tmp_path / "other.E01").read_bytes() != phone.read_bytes()
