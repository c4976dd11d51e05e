from __future__ import annotations

import importlib
import io

import pytest
from PIL import Image

from mayak.dataset.collect import RawFile, Rejected
from mayak.dataset.examine import Examined, examine, examine_file
from mayak.imaging.hashing import sha256
from mayak.types import SilentProgress


@pytest.fixture
def file(tmp_path):
    def make(name, data):
        (tmp_path / name).write_bytes(data)
        return RawFile(f"2_transaction_place/{name}", tmp_path / name, 2)

    return make


def image_bytes(name="PNG"):
    stream = io.BytesIO()
    Image.new("RGB", (30, 20), "navy").save(stream, name)
    return stream.getvalue()


def test_a_readable_image(file):
    data = image_bytes()

    found = examine_file(file("파랑.PNG", data))

    assert isinstance(found, Examined)
    assert (found.sha256, found.format, found.size) == (sha256(data), "PNG", (30, 20))
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("a.jpg", "PNG", ("extension .jpg but content PNG",)),
        ("a.dat", "PNG", ("extension .dat but content PNG",)),
        ("a.jpeg", "MPO", ()),
        ("a.jfif", "JPEG", ()),
        ("a", "JPEG", ()),
        (".jpg", "PNG", ()),
    ],
)
def test_a_wrong_extension_is_noted(file, name, content, note):
    assert examine_file(file(name, image_bytes(content))).warnings == note


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.png", b"", "empty"),
        (".nomedia", b"", "system-file"),
        ("._photo.jpg", b"\0\x05\x16\x07", "system-file"),
        ("._photo.jpg", image_bytes()[:20], "damaged"),
        ("a.png", b"text", "damaged"),
        ("a.heic", b"text", "damaged"),
        ("a.bin", image_bytes()[:20], "damaged"),
        ("a.mp4", b"\0\0\0\x18ftypmp42", "not-an-image"),
        ("a", b"text", "not-an-image"),
    ],
)
def test_reasons(file, name, data, reason):
    found = examine_file(file(name, data))

    assert isinstance(found, Rejected)
    assert (found.reason, found.sha256) == (reason, sha256(data))


def test_an_image_under_a_system_files_name_is_an_image(file):
    assert isinstance(examine_file(file("Thumbs.db", image_bytes())), Examined)


def test_a_file_that_cannot_be_opened(tmp_path):
    found = examine_file(RawFile("0_irrelevant/gone.jpg", tmp_path / "gone.jpg", 0))

    assert (found.reason, found.sha256) == ("unreadable", None)
    assert found.error == "FileNotFoundError: No such file or directory"


def test_a_film_is_hashed_but_not_read_into_memory(file, monkeypatch):
    module = importlib.import_module("mayak.dataset.examine")
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 100)

    found = examine_file(file("film.avi", bytes(101)))

    assert (found.reason, found.sha256) == ("too-large", sha256(bytes(101)))


def test_heic_without_its_codec(file, monkeypatch):
    module = importlib.import_module("mayak.imaging.formats")
    monkeypatch.setattr(module, "decoded_formats", lambda: ("JPEG", "PNG"))

    found = examine_file(file("a.heic", b"\0\0\0\x18ftypheic" + bytes(40)))

    assert found.reason == "codec-missing"


def test_all_files_come_back_in_the_order_of_their_names(file):
    files = [file(f"{number:02}.png", image_bytes()) for number in range(12)]
    files += [file("x.txt", b"x"), file("y.txt", b"y")]

    images, rejected = examine(files[::-1], 2, SilentProgress())

    assert [image.file for image in images] == files[:12]
    assert [item.name for item in rejected] == [file.name for file in files[12:]]


def test_no_files():
    assert examine([], 4, SilentProgress()) == ([], [])
