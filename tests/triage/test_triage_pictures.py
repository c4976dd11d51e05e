"""Pictures that a file hides or holds in great number, on their way into a case."""

import io
import unicodedata
from dataclasses import replace

import pytest
from PIL import Image, TiffImagePlugin
from test_triage_run import Grey, Tired, picture, run, told, zipped

from mayak.case import CaseStore
from mayak.triage import decoding, local, reading
from mayak.triage.decoding import DecodeRequest, DecodeResult, DecodeRules, MoreParts, decode_files
from mayak.types import EvidenceEntry, EvidencePath, Failure, Sides

APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(200)


def test_what_a_mac_keeps_beside_its_files_is_left_out_by_a_rule_of_its_own(tmp_path):
    nfd = unicodedata.normalize("NFD", "사진/거래.jpg")
    archive = zipped(
        tmp_path / "mac.zip",
        {nfd: picture(1), "__MACOSX/사진/._거래.jpg": APPLE_DOUBLE, "._b.tga": APPLE_DOUBLE},
    )
    folder = folder_with(tmp_path, a_jpg=b"")
    (folder / "._1.jpg").write_bytes(picture(2))  # a picture, whatever it is called
    (folder / "2.jpg").write_bytes(APPLE_DOUBLE)  # not called so

    summary = run(tmp_path / "case", archive, folder)

    assert summary.exclusions == {"apple-double": 2, "empty": 1}
    assert (summary.counts.contents, summary.counts.failures) == (2, 1)


def test_a_pattern_finds_a_picture_in_a_folder_of_a_zip_made_on_windows(tmp_path):
    archive = tmp_path / "windows.zip"
    archive.write_bytes(
        zipped(archive, {"DCIM/a.jpg": picture(1)})
        .read_bytes()
        .replace(b"DCIM/", b"DCIM\\")
        .replace(b"PK\1\2\x14\3", b"PK\1\2\x14\0")
    )

    summary = run(tmp_path / "case", archive, include=("*/DCIM/*",))

    assert summary.counts.contents == 1


def hiding(number, kind="PNG", pages=()):
    """Nothing to see, and a picture under it."""
    image = Image.open(io.BytesIO(picture(number))).convert("RGBA")
    image.putalpha(0)
    stream = io.BytesIO()
    more = {"save_all": True, "append_images": pages} if pages else {}
    image.save(stream, kind, **more)
    return stream.getvalue()


def folder_with(tmp_path, **files):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, data in files.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    return folder


def test_a_picture_under_transparency_is_examined_besides_what_is_seen(tmp_path):
    folder = folder_with(tmp_path, a_png=hiding(1), b_png=hiding(1), c_jpg=picture(2))
    grey = Grey()

    summary = run(tmp_path / "case", folder, classifier=grey)

    found = told(tmp_path / "case")
    assert set(found) == {f"photos/{name}" for name in ("a.png", "b.png", "c.jpg")} | {
        "photos/a.png/under the transparency"
    }
    assert found["photos/a.png"] == found["photos/b.png"]
    assert found["photos/a.png/under the transparency"] in grey.seen
    assert summary.counts.is_balanced and summary.counts.contents == 4
    with CaseStore.read(tmp_path / "case") as store:
        content = store.content(found["photos/a.png"])
        assert "another picture is hidden (under the transparency)" in content.warnings
        hidden = store.content(found["photos/a.png/under the transparency"])
        assert (hidden.width, hidden.height) == (96, 64)
    again = Grey()
    assert run(tmp_path / "case", folder, classifier=again) == summary
    assert again.seen == []


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_run_cut_off_between_a_picture_and_the_hidden_one_goes_on(tmp_path, after):
    page = Image.open(io.BytesIO(picture(3)))
    folder = folder_with(tmp_path, a_tif=hiding(1, "TIFF", [page]), b_png=hiding(2))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "case", folder, classifier=Tired(after))

    summary = run(tmp_path / "case", folder)

    assert (summary.counts.contents, summary.without_result) == (5, 0)
    assert set(told(tmp_path / "case")) == {
        "photos/a.tif",
        "photos/a.tif/under the transparency",
        "photos/a.tif/page 2",
        "photos/b.png",
        "photos/b.png/under the transparency",
    }


def scan(pages):
    images = [Image.new("L", (48, 48), number % 250) for number in range(pages)]
    stream = io.BytesIO()
    images[0].save(stream, "TIFF", save_all=True, append_images=images[1:])
    return stream.getvalue()


def examined(data):
    """All that is found in a file, without processes."""
    path = EvidencePath("folder", "f").child("file", "scan.tif")
    request = DecodeRequest(EvidenceEntry(path, len(data), io.BytesIO), data, "0" * 64)
    rules = DecodeRules(32, Sides(100, 100), with_pixels=False)
    found = []
    while request is not None:
        following = None
        for result in decode_files((rules, (request,))):
            if isinstance(result, MoreParts):
                following = replace(request, part=result.part, names=result.names)
            else:
                found.append(result)
        request = following
    return found


def test_the_pages_of_a_scan_are_not_gone_through_for_each_page_again(monkeypatch):
    loaded = 0
    load = TiffImagePlugin.ImageFileDirectory_v2.load

    def counted(self, *args):
        nonlocal loaded
        loaded += 1
        return load(self, *args)

    data = scan(160)
    monkeypatch.setattr(TiffImagePlugin.ImageFileDirectory_v2, "load", counted)

    found = examined(data)

    assert len(found) == 160
    assert all(isinstance(result, DecodeResult) for result in found)
    # Counted, listed and read, and its metadata looked at.
    assert loaded < 10 * 160


def test_of_a_file_with_very_many_pictures_the_rest_is_named_as_not_read(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PARTS", 32)

    found = examined(scan(50))

    failures = [one.outcome for one in found if isinstance(one.outcome, Failure)]
    assert len(found) == 1 + 32 + 1
    assert [failure.error for failure in failures] == ["LimitExceeded"]
    assert failures[0].path == "f/scan.tif/further pictures"
    assert failures[0].message == ("17 pictures after the first 32 in this file were not looked at")


def test_files_of_which_none_may_wait_for_another_are_all_read(tmp_path, monkeypatch):
    folder = folder_with(tmp_path, **{f"n{number}_jpg": picture(number) for number in range(40)})
    monkeypatch.setattr(local, "_MAX_WAITING", 1)
    monkeypatch.setattr(reading, "_CHUNK_FILES", 1)
    waiting, peaks = [0], [0]
    is_sorted, nbytes = local._Unfinished.sorted, local._nbytes

    def weighed(work):
        waiting[0] += 1
        peaks.append(waiting[0])
        return nbytes(work)

    def finished(self, *arguments):
        waiting[0] -= 2  # weighed when it was fetched, and when it was done
        return is_sorted(self, *arguments)

    monkeypatch.setattr(local, "_nbytes", weighed)
    monkeypatch.setattr(local._Unfinished, "sorted", finished)

    assert run(tmp_path / "case", folder).counts.contents == 40
    assert max(peaks) == 2  # one file, weighed twice; of four places three stay empty
