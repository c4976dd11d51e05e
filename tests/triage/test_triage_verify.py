"""What of the sources is compared with the case, and how it is told what is not."""

import hashlib
import io

import pytest
from PIL import Image

from mayak.case import CaseStore
from mayak.evidence.containers.folder import FileOnDisk
from mayak.i18n import render
from mayak.triage import Options, triage
from mayak.triage.verify import check_sources
from mayak.types import SilentProgress


def picture(shade, kind="JPEG"):
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((96, 64)).point(lambda v: v * shade // 9).save(stream, kind)
    return stream.getvalue()


def document(*shades):
    pages = [Image.open(io.BytesIO(picture(shade))) for shade in shades]
    stream = io.BytesIO()
    pages[0].save(stream, "PDF", save_all=True, append_images=pages[1:])
    return stream.getvalue()


def run_triage(case, *sources, **options):
    triage(
        Options(sources=sources, case=case, operator="김수사", workers=1, **options),
        None,
        SilentProgress(),
    )


def compare(case):
    with CaseStore.read(case) as store:
        return check_sources(store, SilentProgress())


@pytest.fixture
def photos(tmp_path):
    """A folder with two images, a document of two pages, and files that are not hashed."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(picture(3))
    (folder / "2.png").write_bytes(picture(5, "PNG"))
    (folder / "scan.pdf").write_bytes(document(4, 6))
    (folder / "chat.db").write_bytes(b"SQLite format 3\0 and more")
    (folder / "broken.jpg").write_bytes(picture(7)[:60])
    (folder / "empty").touch()
    return folder


def test_files_without_a_hash_are_compared_by_presence_and_size(tmp_path, photos):
    case = tmp_path / "case"
    run_triage(case, photos)
    faults, (told,) = compare(case)
    assert faults == []
    assert (told.files, told.hashed, told.sized, told.uncompared) == (8, 5, 3, 0)

    (photos / "chat.db").write_bytes(b"SQLite format 3\0 and more, and more")
    (photos / "broken.jpg").unlink()
    (photos / "new.txt").write_bytes(b"x")
    faults, (told,) = compare(case)
    assert [(fault.table, fault.problem) for fault in faults] == [
        ("evidence", "changed"),
        ("evidence", "deleted"),
    ]
    assert "chat.db" in faults[0].message and "broken.jpg" in faults[1].message
    assert told.added == 1


def test_a_change_that_keeps_the_size_of_a_file_without_a_hash_is_not_claimed_to_be_seen(
    tmp_path, photos
):
    run_triage(tmp_path / "case", photos)
    (photos / "chat.db").write_bytes(b"SQLite format 3\0 and less")
    faults, (told,) = compare(tmp_path / "case")
    assert (faults, told.sized) == ([], 3)


def test_files_of_a_list_of_known_files_are_compared_by_their_hash(tmp_path, photos):
    known = tmp_path / "known.txt"
    known.write_text(hashlib.sha256(picture(3)).hexdigest(), encoding="utf-8")
    run_triage(tmp_path / "case", photos, known_good=(known,))
    faults, (told,) = compare(tmp_path / "case")
    assert (faults, told.hashed, told.sized) == ([], 5, 3)
    (photos / "1.jpg").write_bytes(picture(3)[:-1] + b"?")
    ((fault,), _) = compare(tmp_path / "case")
    assert (fault.problem, "1.jpg" in fault.message) == ("changed", True)


def test_files_that_are_gone_or_cannot_be_read_are_not_said_to_be_compared_by_hash(
    tmp_path, photos, monkeypatch
):
    run_triage(tmp_path / "case", photos)
    (photos / "1.jpg").unlink()
    (photos / "scan.pdf").unlink()  # with two pictures in it
    faults, (told,) = compare(tmp_path / "case")
    assert [fault.problem for fault in faults] == ["deleted", "deleted"]
    assert (told.hashed, told.sized, told.uncompared) == (1, 3, 4)

    def refuse(opener):
        raise OSError("input/output error")

    monkeypatch.setattr("mayak.evidence.containers.folder.FileOnDisk.__call__", refuse)
    faults, (told,) = compare(tmp_path / "case")
    assert [fault.problem for fault in faults] == ["unreadable", "deleted", "deleted"]
    assert (told.hashed, told.uncompared) == (0, 5)


def test_why_a_file_cannot_be_read_is_told_with_its_reason_before_what_is_recorded(
    tmp_path, photos
):
    run_triage(tmp_path / "case", photos)
    (photos / "1.jpg").rename(tmp_path / "1.jpg")
    (photos / "1.jpg").symlink_to(tmp_path / "1.jpg")
    ((fault,), _) = compare(tmp_path / "case")
    assert fault.problem == "unreadable"
    assert "1.jpg: link (SymbolicLink): " in fault.message
    assert "1.jpg: 링크(기록 원문 SymbolicLink: " in render(fault.message, "ko")


def test_what_an_archive_in_a_folder_could_not_give_is_counted_as_not_compared(tmp_path, photos):
    (photos / "phone.dd").write_bytes(bytes(1024) + b"\x10\x20\xf5\xf2" + bytes(4096))  # F2FS
    run_triage(tmp_path / "case", photos)
    faults, (told,) = compare(tmp_path / "case")
    assert (faults, told.files, told.uncompared) == ([], 10, 1)


def test_a_source_that_is_not_there_is_named_and_nothing_of_it_is_compared(tmp_path, photos):
    run_triage(tmp_path / "case", photos)
    photos.rename(tmp_path / "elsewhere")
    faults, (told,) = compare(tmp_path / "case")
    assert (faults, told.absent, told.path) == ([], True, str(photos))
    assert told.uncompared == told.files == 8


def test_a_file_is_compared_without_taking_it_into_memory(tmp_path, monkeypatch):
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(picture(3))
    run_triage(tmp_path / "case", folder)

    class Stream(io.BytesIO):
        def read(self, size=-1):
            assert size >= 0, "the file may be as large as a disk"
            return super().read(size)

    monkeypatch.setattr(FileOnDisk, "__call__", lambda self: Stream(self.file.read_bytes()))
    assert compare(tmp_path / "case")[0] == []
