"""Whole preparations of folders made on the spot; worker processes are real."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mayak.dataset import PrepareOptions, prepare, read_manifest
from mayak.errors import ConfigError, ManifestError
from mayak.imaging.hashing import sha256
from mayak.labels import LABELS, QUESTION

FOLDERS = [label.folder for label in LABELS]
MANIFESTS = ("train_drug_data.json", "val_drug_data.json", "test_drug_data.json")


def picture(seed, size=(160, 120)):
    """A picture unlike that of any other seed."""
    rough = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC)


def fill(raw, each=6):
    for label, folder in enumerate(FOLDERS):
        (raw / folder).mkdir(parents=True)
        for number in range(each):
            picture(100 * label + number).save(raw / folder / f"{number:02}.png")
    return raw


def contents(folder):
    """Path below the folder → bytes, of every file."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def options(base, **changes):
    return PrepareOptions(
        **({"raw": base / "raw_data", "data": base / "data", "augment": 0} | changes)
    )


def dataset(base):
    return json.loads((base / "data" / "dataset.json").read_text(encoding="utf-8"))


def png_bomb():
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    """A raw folder as it comes from a seized phone, prepared; (its parent, result, before)."""
    base = tmp_path_factory.mktemp("압수물")
    raw = fill(base / "raw_data")
    places = raw / "2_transaction_place"
    for quality in (60, 70, 80, 90):  # a burst, or one photo forwarded four times
        picture(500).save(places / f"burst_{quality}.jpg", quality=quality)
    shutil.copy(places / "00.png", places / "복사본.png")
    picture(510).save(places / unicodedata.normalize("NFD", "던지기 장소.png"))
    picture(511).save(places / unicodedata.normalize("NFC", "던지기 장소.png"))
    picture(512).save(places / "really a png.jpg", "PNG")
    picture(513).save(places / "no extension", "JPEG")
    picture(514).convert("CMYK").save(places / "cmyk.jpg")
    deep = (np.asarray(picture(515).convert("L")).astype(np.uint16) * 257).astype(np.uint16)
    Image.fromarray(deep).save(places / "sixteen.png")
    picture(516).save(places / "moving.gif", save_all=True, append_images=[picture(517)])
    picture(3).save(raw / "3_drug_raw" / "looks like 0_irrelevant.jpg", quality=70)
    whole = (places / "burst_90.jpg").read_bytes()
    (places / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (places / "empty.jpg").touch()
    (places / "bomb.png").write_bytes(png_bomb())
    (places / "text.jpg").write_text("not a picture")
    (places / "notes.txt").write_text("메모", encoding="utf-8")
    (places / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (places / ".DS_Store").write_bytes(b"\0\0\0\x01Bud1")
    (raw / "loose.png").write_bytes(whole)
    (raw / "앨범").mkdir()
    (raw / "앨범" / "x.jpg").write_bytes(whole)
    if heic_installed():
        picture(518).save(places / "IMG_0001.HEIC", "HEIF")
    before = state(raw)
    modes = make_read_only(raw)
    try:
        result = prepare(options(base, augment=2, workers=2))
    finally:
        restore(modes)
    return base, result, before


def heic_installed():
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def state(raw):
    return {
        path.relative_to(raw).as_posix(): (path.stat().st_mtime_ns, sha256(path.read_bytes()))
        for path in raw.rglob("*")
        if path.is_file()
    } | {f"{path.relative_to(raw)}/": path.stat().st_mtime_ns for path in raw.rglob("*/")}


def make_read_only(raw):
    modes = {path: path.stat().st_mode for path in (raw, *raw.rglob("*"))}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    return modes


def restore(modes):
    for path, mode in modes.items():
        path.chmod(mode)


def test_every_file_is_accounted_for(messy):
    base, result, before = messy
    found = {name for name in before if not name.endswith("/")}

    used = {s.image_path.removeprefix("raw_data/") for s in result.samples} - {
        s.image_path.removeprefix("raw_data/") for s in result.samples if s.id in result.augmented
    }

    assert used | {item.name for item in result.rejected} == found
    assert result.found == result.used + len(result.rejected) == len(found)
    assert {item.name.rpartition("/")[2]: item.reason for item in result.rejected} == {
        "truncated.jpg": "damaged",
        "text.jpg": "damaged",
        "empty.jpg": "empty",
        "bomb.png": "bomb",
        "notes.txt": "not-an-image",
        "Thumbs.db": "system-file",
        ".DS_Store": "system-file",
        "loose.png": "outside",
        "x.jpg": "outside",
    }
    recorded = dataset(base)
    assert {row["path"]: row["reason"] for row in recorded["rejected"]} == {
        f"raw_data/{item.name}": item.reason for item in result.rejected
    }
    assert all(row["error"] for row in recorded["rejected"])
    assert recorded["input"]["found"] == len(found)


def test_the_raw_folder_is_as_it_was(messy):
    base, _, before = messy

    assert state(base / "raw_data") == before


def test_names_are_recorded_as_they_are_on_the_disk(messy):
    base, _, _ = messy
    names = [
        Path(row["image_path"]).name
        for row in dataset(base)["images"]
        if "던지기" in unicodedata.normalize("NFC", row["image_path"])
    ]

    assert sorted(names) == sorted(
        unicodedata.normalize(f, "던지기 장소.png") for f in ("NFD", "NFC")
    )


def test_every_sample_can_be_found_and_is_what_its_row_says(messy):
    base, result, _ = messy
    rows = {row["image_path"]: row for row in dataset(base)["images"]}
    seen = 0
    for name in MANIFESTS:
        manifest = read_manifest(base / "data" / name)
        assert result.digests[manifest.samples[0].split] == manifest.digest
        for sample in manifest.samples:
            assert sha256(manifest.locate(sample).read_bytes()) == sample.sha256
            assert rows[sample.image_path]["id"] == sample.id
            seen += 1
    assert seen == len(rows) == len(result.samples)
    assert len({sample.id for sample in result.samples}) == seen


def test_records_are_the_papers(messy):
    base, _, _ = messy
    text = (base / "data" / "test_drug_data.json").read_text(encoding="utf-8")

    for record in json.loads(text):
        assert list(record) == ["id", "image_path", "question", "answer"]
        assert record["question"] == QUESTION
        assert record["answer"] == record["id"][0]
    assert "이 이미지는 다음 중" in text


def test_oddities_are_noted(messy):
    base, _, _ = messy
    notes = {Path(row["image_path"]).name: row["warnings"] for row in dataset(base)["images"]}

    assert notes["really a png.jpg"] == ["extension .jpg but content PNG"]
    assert notes["moving.gif"] == ["first of 2 frames"]
    assert notes["sixteen.png"] == ["I;16 samples scaled to 8 bits"]
    assert notes["no extension"] == []
    assert notes["00.png"] == []


@pytest.mark.skipif(not heic_installed(), reason="needs the extra heic")
def test_heic_is_used(messy):
    base, _, _ = messy

    (row,) = [row for row in dataset(base)["images"] if row["image_path"].endswith(".HEIC")]

    assert (row["format"], row["size"]) == ("HEIF", [160, 120])


def test_bursts_and_copies_share_a_group_and_no_group_straddles_splits(messy):
    _, result, _ = messy
    by_name = {Path(s.image_path).name: s for s in result.samples if s.label == 2}
    splits = {}
    for sample in result.samples:
        splits.setdefault(sample.group, set()).add(sample.split)

    assert len({by_name[f"burst_{q}.jpg"].group for q in (60, 70, 80, 90)}) == 1
    assert by_name["00.png"].group == by_name["복사본.png"].group
    assert by_name["복사본.png"].id == by_name["00.png"].id + "_2"
    assert all(len(its) == 1 for its in splits.values())


def test_near_duplicates_under_two_labels_are_reported_and_kept_together(messy):
    base, result, _ = messy

    ((one, other),) = result.cross_label

    assert (one.image_path, other.image_path) == (
        "raw_data/0_irrelevant/03.png",
        "raw_data/3_drug_raw/looks like 0_irrelevant.jpg",
    )
    assert one.split == other.split
    (noted,) = dataset(base)["cross_label_near_duplicates"]
    assert [image["label"] for image in noted["images"]] == [0, 3]


def test_only_training_images_of_class_2_are_augmented(messy):
    base, result, _ = messy
    originals = {s.id: s for s in result.samples if s.id not in result.augmented}
    rows = {row["id"]: row for row in dataset(base)["images"]}
    sources = [rows[name]["augmented_from"] for name in result.augmented]

    contents_in_train = {s.sha256 for s in originals.values() if (s.label, s.split) == (2, "train")}
    assert {originals[name].sha256 for name in sources} == contents_in_train
    assert len(sources) == 2 * len(contents_in_train)
    for name in result.augmented:
        row, source = rows[name], originals[rows[name]["augmented_from"]]
        assert (row["split"], row["label"], row["group"]) == ("train", 2, source.group)
        assert row["image_path"].startswith("data/augmented/")
    files = {path.name for path in (base / "data" / "augmented").iterdir()}
    assert files == {Path(rows[name]["image_path"]).name for name in result.augmented}


def test_the_same_bytes_elsewhere_with_other_workers(messy, tmp_path):
    base, result, _ = messy
    shutil.copytree(base / "raw_data", tmp_path / "raw_data")

    again = prepare(options(tmp_path, augment=2, workers=1))

    assert contents(tmp_path / "data") == contents(base / "data")
    assert again.digest == result.digest


@pytest.fixture
def small(tmp_path):
    fill(tmp_path / "raw_data", each=4)
    return tmp_path


def test_one_content_under_two_labels_names_both(small):
    raw = small / "raw_data"
    shutil.copy(raw / FOLDERS[0] / "01.png", raw / FOLDERS[3] / "wrong.png")

    with pytest.raises(ManifestError, match=r"0_irrelevant/01\.png = 3_drug_raw/wrong\.png"):
        prepare(options(small))

    assert not (small / "data").exists()


def test_many_contents_under_two_labels_are_counted(small):
    raw = small / "raw_data"
    for number in range(13):
        picture(700 + number).save(raw / FOLDERS[1] / f"x{number}.png")
        picture(700 + number).save(raw / FOLDERS[2] / f"y{number}.png")

    with pytest.raises(ManifestError, match=r"13 in all.*and 3 more"):
        prepare(options(small))


def test_a_second_run_is_the_same_and_foreign_files_stay(small):
    prepare(options(small, augment=1))
    first = contents(small / "data")
    (small / "data" / "augmented" / "mine.jpg").write_bytes(b"mine")
    (small / "data" / "notes.txt").write_bytes(b"mine")

    prepare(options(small, augment=1))
    second = contents(small / "data")
    prepare(options(small, test_only=True, overwrite=True))

    assert {name: second[name] for name in first} == first
    assert set(contents(small / "data")) == {
        "augmented/mine.jpg",
        "notes.txt",
        "dataset.json",
        "test_drug_data.json",
    }


def test_another_input_or_other_parameters_are_refused_until_told(small):
    prepare(options(small))
    before = contents(small / "data")

    with pytest.raises(ManifestError, match="seed: 42 → 7") as raised:
        prepare(options(small, seed=7))
    assert "--overwrite" in raised.value.remedy
    (small / "raw_data" / FOLDERS[0] / "Thumbs.db").write_bytes(b"opened in Explorer")
    prepare(options(small))
    picture(900).save(small / "raw_data" / FOLDERS[0] / "new.png")
    with pytest.raises(ManifestError, match="other files than there are now"):
        prepare(options(small))
    assert {name: contents(small / "data")[name] for name in MANIFESTS} == {
        name: before[name] for name in MANIFESTS
    }

    prepare(options(small, overwrite=True))
    assert dataset(small)["input"]["used"] == 17


def test_manifests_of_unknown_making_are_not_replaced(small):
    (small / "data").mkdir()
    (small / "data" / "train_drug_data.json").write_text("[]")

    with pytest.raises(ManifestError, match="no record of how it was made"):
        prepare(options(small))

    assert (small / "data" / "train_drug_data.json").read_text() == "[]"


def test_a_run_that_fails_leaves_the_data_folder_as_it_was(small):
    prepare(options(small))
    before = contents(small / "data")
    shutil.rmtree(small / "raw_data" / FOLDERS[3])

    with pytest.raises(ManifestError, match="lacks 3_drug_raw"):
        prepare(options(small, overwrite=True))

    assert contents(small / "data") == before


def test_killed_while_publishing_the_folder_does_not_pass_for_whole(small, monkeypatch):
    prepare(options(small))
    picture(900).save(small / "raw_data" / FOLDERS[0] / "new.png")
    replace = Path.replace

    def dying(self, target):
        if target.name == "val_drug_data.json":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        prepare(options(small, overwrite=True))
    monkeypatch.undo()

    assert not (small / "data" / "dataset.json").exists()
    assert sorted(path.name for path in (small / "data").iterdir()) == sorted(MANIFESTS)
    with pytest.raises(ManifestError, match="no record"):
        prepare(options(small))


def test_everything_into_the_test_set(small):
    shutil.rmtree(small / "raw_data" / FOLDERS[2])

    result = prepare(options(small, test_only=True, augment=4))

    assert {s.split for s in result.samples} == {"test"}
    assert result.used == 12
    assert not result.augmented
    assert sorted(contents(small / "data")) == ["dataset.json", "test_drug_data.json"]


def test_the_papers_plain_split(tmp_path):
    fill(tmp_path / "raw_data", each=20)

    result = prepare(options(tmp_path, group="none"))

    counts = {label: (c["train"], c["val"], c["test"]) for label, c in result.counts.items()}
    # scikit-learn rounds up: 12 of 80 for the test set, 11 of the other 68.
    assert sum(c[2] for c in counts.values()) == 12
    assert sum(c[1] for c in counts.values()) == 11
    assert {c[2] for c in counts.values()} == {3}
    assert len(result.group_sizes) == 80


def test_a_class_without_a_readable_image_says_what_was_there(small):
    for path in (small / "raw_data" / FOLDERS[1]).iterdir():
        path.write_bytes(b"")

    with pytest.raises(ManifestError, match=r"1_chat_history \(empty files 4\)"):
        prepare(options(small))


def test_two_images_of_a_class_are_too_few(small):
    for name in ("02.png", "03.png"):
        (small / "raw_data" / FOLDERS[2] / name).unlink()

    with pytest.raises(ManifestError, match="2_transaction_place: has 2, needs 3"):
        prepare(options(small))


@pytest.mark.parametrize(
    ("raw", "data"), [("raw_data", "raw_data/data"), ("data/raw_data", "data"), ("x", "x")]
)
def test_the_folders_must_lie_apart(tmp_path, raw, data):
    fill(tmp_path / raw, each=1)

    with pytest.raises(ManifestError, match="is inside the other"):
        prepare(PrepareOptions(raw=tmp_path / raw, data=tmp_path / data))


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_linked_raw_folder_keeps_its_name_and_still_may_not_hold_the_data(small):
    (small / "raw_data").rename(small / "disk")
    (small / "raw_data").symlink_to(small / "disk")

    result = prepare(options(small))

    assert result.samples[0].image_path == "raw_data/0_irrelevant/00.png"
    with pytest.raises(ManifestError, match="is inside the other"):
        prepare(options(small, data=small / "disk" / "data"))


def test_raw_folder_elsewhere_and_named_relatively(small, monkeypatch):
    (small / "work").mkdir()
    monkeypatch.chdir(small / "work")

    result = prepare(PrepareOptions(raw=Path("../raw_data"), data=Path("data"), augment=0))

    assert result.samples[0].image_path == "../raw_data/0_irrelevant/00.png"
    manifest = read_manifest(Path("data/train_drug_data.json"))
    assert all(manifest.locate(sample).is_file() for sample in manifest.samples)


def test_a_file_without_the_right_to_read_it(small):
    locked = small / "raw_data" / FOLDERS[0] / "00.png"
    locked.chmod(0)
    if os.access(locked, os.R_OK):
        pytest.skip("this user reads everything, as root and Windows do")

    result = prepare(options(small))

    assert [(item.name, item.reason) for item in result.rejected] == [
        (f"{FOLDERS[0]}/00.png", "unreadable")
    ]


def test_wrong_options_are_all_named():
    with pytest.raises(ConfigError) as raised:
        prepare(PrepareOptions(seed=-1, test_fraction=1.0, val_fraction=0, augment=-1, workers=0))

    for name in ("--seed", "--test-fraction", "--val-fraction", "--augment", "--workers"):
        assert name in raised.value.message


def test_a_data_folder_that_is_a_file(small):
    (small / "data").write_text("")

    with pytest.raises(ManifestError, match="is a file"):
        prepare(options(small))


def test_copies_that_another_program_augmented_are_in_no_split(tmp_path):
    """As the original's preprocess.py leaves them: next to their originals, turned and cropped."""
    places = fill(tmp_path / "raw_data") / "2_transaction_place"
    for number in range(6):
        original = Image.open(places / f"{number:02}.png")
        for copy in range(1, 5):
            turned = original.rotate(5 * copy).crop((10, 5, 150, 115))
            turned.save(places / f"{number:02}_aug_{copy}.png")
    shutil.copy(places / "00_aug_1.png", places / "gone_aug_1.png")

    result = prepare(options(tmp_path))

    assert result.reasons == {"augmented": 24, "augmented-orphan": 1}
    assert (result.found, result.used) == (49, 24)
    written = dataset(tmp_path)
    assert not [row for row in written["images"] if "_aug_" in row["image_path"]]
    assert len(written["rejected"]) == 25
    assert written["input"]["rejected"] == {"augmented": 24, "augmented-orphan": 1}
