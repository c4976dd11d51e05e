"""A file is found again by the path under which it was listed."""

import io
import lzma
import zipfile
from pathlib import Path

import pytest

from mayak.evidence import open_source
from mayak.types import EvidenceEntry, EvidencePath

IMAGES = Path(__file__).parent / "images"


def contents(item):
    with item.open() as stream:
        return stream.read()


def found_again(path):
    """Bytes as listed and as found, of every file of a source, the last first."""
    with open_source(path) as source:
        listed = [item for item in source.items() if isinstance(item, EvidenceEntry)]
        expected = [(item.path, item.size, contents(item)) for item in listed]
    with open_source(path) as source:
        for at, size, data in reversed(expected):
            item = source.find(EvidencePath.from_json(at.to_json()))
            assert item is not None, at
            assert (item.path, item.size, contents(item)) == (at, size, data)
    return expected


@pytest.mark.parametrize(
    "name", ["fat.dd", "ext4.dd", "ntfs.dd", "gpt.dd", "disc.iso", "phone.E01"]
)
def test_every_file_of_an_image_deleted_ones_too(tmp_path, name):
    path = tmp_path / name
    packed = IMAGES / f"{name}.xz"
    path.write_bytes(
        lzma.decompress(packed.read_bytes()) if packed.exists() else (IMAGES / name).read_bytes()
    )
    assert len(found_again(path)) > 3


def test_files_in_containers_in_a_folder(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("deep/a.jpg", b"deep")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("deep/a.jpg", b"again")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
        archive.writestr("b.jpg", b"beside")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "한글 #1.jpg").write_bytes(b"plain")
    (tmp_path / "disk.dd").write_bytes(lzma.decompress((IMAGES / "fat.dd.xz").read_bytes()))
    found = found_again(tmp_path)
    assert {b"deep", b"again", b"beside", b"plain"} <= {data for _, _, data in found}


def test_a_source_that_is_one_file(tmp_path):
    path = tmp_path / "one.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    assert len(found_again(path)) == 1


def test_what_is_gone_or_leads_elsewhere_is_not_found(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "there.jpg").write_bytes(b"x")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link").symlink_to(tmp_path)
    with open_source(folder) as source:
        root = source.path
        for name in (
            "gone.jpg",
            "../secret",
            "link/secret",
            "there.jpg/x",
            str(tmp_path / "secret"),
        ):
            assert source.find(root.child("file", name)) is None
        assert source.find(root.child("zip", "there.jpg").child("file", "x")) is None
        assert source.find(root.child("file", "there.jpg")) is not None
