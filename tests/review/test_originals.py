"""Pictures read again from their source."""

import hashlib
import io
import os
import sys
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image
from review_samples import picture

from mayak.imaging.frames import other_frames
from mayak.review.originals import OriginalRequest, Originals
from mayak.types import EvidencePath


@pytest.fixture(scope="module")
def originals():
    with closing(Originals()) as opened:
        yield opened


def wanted(folder, data, *names):
    root = EvidencePath("folder", folder.name)
    occurrences = tuple((str(folder), root.child("file", name).to_json()) for name in names)
    return OriginalRequest(hashlib.sha256(data).hexdigest(), occurrences)


def test_a_picture_is_made_anew_without_what_else_its_file_holds(originals, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "SecretMaker"
    stream = io.BytesIO()
    Image.open(io.BytesIO(picture(1, side=100))).save(stream, "JPEG", exif=exif)
    (tmp_path / "a.jpg").write_bytes(stream.getvalue())
    found = originals.picture(wanted(tmp_path, stream.getvalue(), "a.jpg"))
    assert Image.open(io.BytesIO(found)).size == (100, 100)
    assert b"SecretMaker" not in found


def test_a_copy_stands_for_one_that_was_changed(originals, tmp_path):
    data = picture(2)
    (tmp_path / "changed.jpg").write_bytes(b"other")
    (tmp_path / "copy.jpg").write_bytes(data)
    assert isinstance(
        originals.picture(wanted(tmp_path, data, "gone.jpg", "changed.jpg", "copy.jpg")), bytes
    )
    assert originals.picture(wanted(tmp_path, data, "gone.jpg", "changed.jpg")) == "changed"
    assert originals.picture(wanted(tmp_path, data, "gone.jpg")) == "missing"
    assert originals.picture(wanted(tmp_path / "nowhere", data, "copy.jpg")) == "missing"


def test_what_cannot_be_decoded_is_said(originals, tmp_path):
    (tmp_path / "no.jpg").write_bytes(b"no picture")
    assert originals.picture(wanted(tmp_path, b"no picture", "no.jpg")) == "undecodable"


@pytest.mark.skipif(sys.platform != "linux", reason="needs raw names")
def test_a_source_whose_name_is_no_utf8_is_found(originals, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xc1\xf5"))
    folder.mkdir()
    (folder / "a.jpg").write_bytes(picture(3))
    place = EvidencePath("folder", "x").child("file", "a.jpg").to_json()
    recorded = str(tmp_path / "\\udcc1\\udcf5")  # as the case holds it
    digest = hashlib.sha256(picture(3)).hexdigest()
    assert isinstance(originals.picture(OriginalRequest(digest, ((recorded, place),))), bytes)


def test_a_later_frame_is_found_in_its_file(originals, tmp_path):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    last = other_frames((tmp_path / "moving.gif").read_bytes())[-1]
    path = EvidencePath("folder", tmp_path.name).child("file", "moving.gif")
    location = path.child("embedded", last.name).to_json()
    digest = hashlib.sha256(last.read()).hexdigest()
    found = originals.picture(OriginalRequest(digest, ((str(tmp_path), location),)))
    red, _, blue = Image.open(io.BytesIO(found)).convert("RGB").getpixel((20, 15))
    assert blue > 200 > red
