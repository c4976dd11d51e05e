from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mayak.case import CaseStore, Content, Item
from mayak.cli.app import main
from mayak.evidence import open_source
from mayak.labels import LABELS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for label in LABELS:
        place = tmp_path / "raw_data" / label.folder
        place.mkdir(parents=True)
        for number in range(3):
            seed = 10 * label.index + number
            rough = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
            picture = Image.fromarray(rough).resize((120, 90), Image.Resampling.BICUBIC)
            picture.save(place / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments, augment=0):
    given = ["--augment", str(augment), "--workers", "1", *arguments]
    with pytest.raises(SystemExit) as ended:
        main(["prepare", "--lang", "en", *given])
    return ended.value.code


def test_the_defaults_are_raw_data_and_data(folder, capsys):
    assert run() == 0

    shown = capsys.readouterr()
    assert "files found 12 = used 12 + rejected 0" in shown.out
    row = next(line for line in shown.out.splitlines() if "2 transaction place" in line)
    assert [cell.strip() for cell in row.split("│")[1:]] == ["1", "0", "1", "1"]
    assert "12/12" in shown.err
    assert (folder / "data" / "dataset.json").is_file()


def test_the_scale_of_augmentation_is_a_parameter_of_the_data_if_it_is_chosen(folder, capsys):
    def parameters():
        return json.loads((folder / "data" / "dataset.json").read_text("utf-8"))["parameters"]

    assert run() == 0
    assert "augment_scale" not in parameters()  # as in data folders of earlier versions

    assert run("--augment-scale", "model") == 2
    assert "augment_scale: None → model" in capsys.readouterr().err

    assert run("--augment-scale", "model", "--overwrite") == 0
    assert parameters()["augment_scale"] == "model"


def test_a_split_that_bursts_push_off_its_fraction_is_stated(folder, capsys):
    place = folder / "raw_data" / "3_drug_raw"
    for number in range(3):
        for copy in range(4):
            shutil.copy(place / f"{number}.png", place / f"{number}_{copy}.png")

    assert run() == 0

    stated = capsys.readouterr().out
    assert "test has 33.3% of label 3 drug itself instead of 15.0%" in stated
    assert "validation has 33.3% of label 3 drug itself instead of 12.8%" in stated
    found = json.loads((folder / "data" / "dataset.json").read_text(encoding="utf-8"))
    assert {"label": 3, "split": "test", "share": 1 / 3, "target": 0.15} in found["deviations"]


def test_folds_make_data_folders_that_test_each_image_once(folder, capsys):
    assert run("--folds", "3") == 0

    shown = capsys.readouterr().out
    assert "Images per class and split, fold 3 of 3" in shown
    assert shown.count("files found 12 = used 12 + rejected 0") == 1
    tested = []
    for fold in (1, 2, 3):
        data = folder / f"data_fold{fold}"
        assert f"written to {data.name}" in shown
        described = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
        assert described["parameters"]["fold"] == [fold, 3]
        rows = json.loads((data / "test_drug_data.json").read_text(encoding="utf-8"))
        assert [row["answer"] for row in rows] == ["0", "1", "2", "3"]
        assert all((folder / row["image_path"]).is_file() for row in rows)
        tested += [row["id"] for row in rows]
    assert len(set(tested)) == 12
    assert not (folder / "data").exists()


def test_folds_that_cannot_be_made_are_refused(folder, capsys):
    assert run("--folds", "1") == 2
    assert run("--folds", "3", "--test-only") == 2
    assert "--folds needs 2 or more" in capsys.readouterr().err
    assert run("--folds", "4") == 2
    assert "has 3, needs 4" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["raw_data"]


def test_clutter_is_shown_and_no_failure(folder, capsys):
    (folder / "raw_data" / "Thumbs.db").touch()
    (folder / "raw_data" / "0_irrelevant" / "notes.txt").write_text("x")

    assert run() == 0

    assert "files found 14 = used 12 + rejected 2" in capsys.readouterr().out


def test_a_lost_image_is_exit_code_1_and_named_with_its_reason(folder, capsys):
    (folder / "raw_data" / "0_irrelevant" / "[bold]깨진\n사진.jpg").write_bytes(b"\xff\xd8\xff\xe0")

    assert run() == 1

    out = capsys.readouterr().out
    assert "damaged images: 1" in out
    assert "0_irrelevant/[bold]깨진\\u000a사진.jpg — " in out


def test_long_lists_are_cut_and_say_where_the_rest_is(folder, capsys):
    for number in range(8):
        (folder / "raw_data" / "0_irrelevant" / f"empty{number}.jpg").touch()

    run()

    out = capsys.readouterr().out
    assert "empty files: 8" in out
    assert "empty4.jpg" in out
    assert "empty5.jpg" not in out
    assert "and 3 more: `rejected` in dataset.json" in out


def test_json(folder, capsys):
    (folder / "raw_data" / "0_irrelevant" / "empty.jpg").touch()

    assert run("--json") == 1

    told = json.loads(capsys.readouterr().out)
    assert (told["found"], told["used"]) == (13, 12)
    assert told["counts"]["3_drug_raw"] == {"train": 1, "val": 1, "test": 1, "augmented": 0}
    assert told["rejected"] == [
        {"path": "0_irrelevant/empty.jpg", "reason": "empty", "error": "the file is empty"}
    ]
    recorded = json.loads((folder / "data" / "dataset.json").read_text(encoding="utf-8"))
    assert told["digest"] == recorded["digest"]


def test_korean_shows_the_same_and_writes_the_same(folder, capsys):
    (folder / "raw_data" / "0_irrelevant" / "빈.jpg").touch()
    run()
    first = (folder / "data" / "dataset.json").read_bytes()
    capsys.readouterr()

    with pytest.raises(SystemExit):
        main(["prepare", "--lang", "ko", "--augment", "0", "--workers", "1"])

    out = capsys.readouterr().out
    assert "발견한 파일 13 = 사용 12 + 제외 1" in out
    assert "빈 파일: 1" in out
    assert (folder / "data" / "dataset.json").read_bytes() == first


def test_near_duplicates_under_two_labels_are_a_warning(folder, capsys):
    with Image.open(folder / "raw_data" / "0_irrelevant" / "0.png") as picture:
        picture.save(folder / "raw_data" / "3_drug_raw" / "copy.jpg", quality=70)

    assert run() == 0

    out = capsys.readouterr().out
    assert "groups of near-duplicates under two labels: 1" in out
    assert "raw_data/0_irrelevant/0.png ~ raw_data/3_drug_raw/copy.jpg" in out


def test_a_test_set_without_a_class_says_so(folder, capsys):
    for path in (folder / "raw_data" / "1_chat_history").iterdir():
        path.unlink()

    assert run("--test-only") == 0

    assert "no images of 1_chat_history" in capsys.readouterr().out


def test_faults_are_exit_code_2_with_a_remedy(folder, capsys):
    assert run("nowhere") == 2
    shown = capsys.readouterr().err
    assert "nowhere does not exist" in shown
    assert "remedy: " in shown

    assert run("--test-fraction", "2") == 2
    assert "--test-fraction is 2" in capsys.readouterr().err


def decided(case, evidence):
    """A case of one folder, all of its images decided as their class folders say; returns the last
    image's SHA-256."""
    with CaseStore.create(case, operator="김수사") as store, open_source(evidence) as source:
        number = store.add_source(str(evidence), "folder")
        for entry in source.items():
            data = entry.open().read()
            digest = hashlib.sha256(data).hexdigest()
            image = Content(digest, digest[:32], digest[:40], len(data), "PNG", 120, 90)
            place = entry.path.to_json()
            store.add_items(number, [Item(str(entry.path), place, image)])
            label = int(entry.path.name[0])
            store.decide("김수사", {digest: label})
    return digest


@pytest.fixture
def case(folder):
    """The raw folder as evidence in a case; two reviewers differ on one image."""
    digest = decided(folder / "case", folder / "raw_data")
    with CaseStore.open(folder / "case", operator="김수사") as store:
        store.decide("이검토", {digest: 0})
    return folder / "case"


def case_of(folder, number):
    """A case of one phone, which has an image of each class."""
    for label in LABELS:
        place = folder / f"phone-{number}" / label.folder
        place.mkdir(parents=True)
        shutil.copy(folder / "raw_data" / label.folder / f"{number}.png", place)
    decided(folder / f"case-{number}", folder / f"phone-{number}")
    return folder / f"case-{number}"


def test_from_a_case(case, capsys):
    assert run("--from-case", str(case), "--test-only") == 0
    shown = capsys.readouterr().out
    assert "files found 12 = used 11 + rejected 1" in shown
    assert "reviewers differ: 1" in shown
    assert "(김수사: 3, 이검토: 0)" in shown
    with pytest.raises(SystemExit):
        options = ["--test-only", "--augment", "0", "--workers", "1"]
        main(["prepare", "--lang", "ko", "--from-case", str(case), *options])
    assert "판정 불일치: 1" in capsys.readouterr().out


def test_the_decided_images_of_one_source_are_one_group(case, capsys):
    assert run("--from-case", str(case), "--provenance", "source", "--test-only") == 0
    (group,) = {row["group"] for row in rows(case.parent)}
    assert group.startswith("case (")
    assert group.endswith(f"): {case.parent / 'raw_data'}")
    assert "groups: 1 for 11 images" in capsys.readouterr().out
    assert run("--from-case", str(case), "--provenance", "folder", "--overwrite") == 2
    assert "--provenance folder does not fit the input" in capsys.readouterr().err


def test_folds_of_decided_images_keep_their_sources_whole(folder, capsys):
    cases = [case_of(folder, number) for number in range(3)]
    given = [argument for case in cases for argument in ("--from-case", str(case))]
    assert run(*given, "--provenance", "source", "--folds", "3", augment=1) == 0
    tested = []
    for fold in (1, 2, 3):
        data = folder / f"data_fold{fold}"
        images = json.loads((data / "dataset.json").read_text(encoding="utf-8"))["images"]
        assert all((folder / row["image_path"]).is_file() for row in images)
        assert all(row["provenance"] for row in images if "augmented_from" not in row)
        splits = {(row["group"], row["split"]) for row in images}
        assert len(splits) == 3
        tested += [group for group, split in splits if split == "test"]
    assert len(set(tested)) == 3
    # The evidence is copied once.
    assert (folder / "data_fold1" / "images").is_dir()
    assert not (folder / "data_fold2" / "images").exists()

    before = sorted(folder.glob("data_fold*/**/*"))
    assert run(*given, "--provenance", "source", "--folds", "3", augment=1) == 0
    assert sorted(folder.glob("data_fold*/**/*")) == before


def test_a_fold_that_cannot_be_split_leaves_all_folders_as_they_were(phones, capsys):
    assert run("--provenance", "folder", "--folds", "3") == 0
    before = {path: path.read_bytes() for path in phones.glob("data_fold*/*.json")}
    # Class 3 is on two phones only: some fold lacks it in a split.
    (phones / "raw_data" / "3_drug_raw" / "phone-2" / "DCIM" / "a.png").unlink()
    assert run("--provenance", "folder", "--folds", "3", "--overwrite") == 2
    assert "fold" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in phones.glob("data_fold*/*.json")} == before


def test_from_a_case_is_instead_of_a_raw_folder(case, capsys):
    assert run("raw_data", "--from-case", str(case)) == 2
    assert "both RAW and --from-case" in capsys.readouterr().err


def test_a_source_that_has_changed_is_exit_code_3(case, capsys):
    (case.parent / "raw_data" / "0_irrelevant" / "0.png").write_bytes(b"other")
    assert run("--from-case", str(case)) == 3
    assert "raw_data/0_irrelevant/0.png: its bytes have changed" in capsys.readouterr().err


@pytest.fixture
def phones(folder):
    """Three phones whose images of all classes are in folders of their name."""
    for label in LABELS:
        place = folder / "raw_data" / label.folder
        for number in range(3):
            (place / f"phone-{number}" / "DCIM").mkdir(parents=True)
            (place / f"{number}.png").rename(place / f"phone-{number}" / "DCIM" / "a.png")
    return folder


def rows(folder):
    described = json.loads((folder / "data" / "dataset.json").read_text(encoding="utf-8"))
    return described["images"]


def test_the_images_of_one_phone_stay_in_one_split(phones, capsys):
    assert run("--provenance", "folder") == 0
    splits = {}
    for row in rows(phones):
        assert row["group"] == row["image_path"].split("/")[2]
        splits.setdefault(row["group"], set()).add(row["split"])
    assert sorted(map(len, splits.values())) == [1, 1, 1]
    out = capsys.readouterr().out
    assert "groups: 3 for 12 images, the largest of 4 (phone-0)" in out
    assert "under two labels" not in out
    assert run("--provenance", "folder") == 0
    assert run() == 2
    assert "provenance: folder → None" in capsys.readouterr().err


def test_each_phone_is_tested_in_one_fold(phones):
    assert run("--provenance", "folder", "--folds", "3") == 0
    tested = []
    for described in sorted(phones.glob("data*/dataset.json")):
        images = json.loads(described.read_text(encoding="utf-8"))["images"]
        (phone,) = {row["group"] for row in images if row["split"] == "test"}
        tested.append(phone)
    assert sorted(tested) == ["phone-0", "phone-1", "phone-2"]


def test_a_table_names_the_origins(folder, capsys):
    table = folder / "groups.csv"
    lines = [f"{label.folder}/{n}.png,휴대전화 {n}" for label in LABELS for n in range(3)]
    table.write_text("path,group\n" + "\n".join(lines), encoding="utf-8")
    assert run("--provenance", "groups.csv", "--group", "none") == 0
    assert {row["group"] for row in rows(folder)} == {f"휴대전화 {n}" for n in range(3)}

    assert "12 of 12 images have a known origin" in capsys.readouterr().out

    table.write_text("path,group\n0_irrelevant/9.png,a\n", encoding="utf-8")
    assert run("--provenance", "groups.csv", "--overwrite") == 2
    err = capsys.readouterr().err
    assert "names 1 files that are not images of the raw folder: 0_irrelevant/9.png" in err
    assert "12/12" not in err, "the images were read before the table"


def test_how_many_images_have_an_origin_is_said(folder, capsys):
    def stated():
        return json.loads((folder / "data" / "dataset.json").read_text("utf-8"))["input"]

    (folder / "groups.csv").write_text("path,group\n0_irrelevant/0.png,a\n", encoding="utf-8")
    assert run("--provenance", "groups.csv") == 0
    assert "1 of 12 images have a known origin" in capsys.readouterr().out
    assert stated()["with_origin"] == 1
    assert run("--overwrite") == 0
    assert "origin" not in capsys.readouterr().out
    assert "with_origin" not in stated()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"path,group\n", "it names no image"),
        (b"file,group\na,b\n", "no column path; its first line is “file,group”"),
        (b"path;group\na;b\n", "no column path, group; its first line is “path;group”"),
        ("path,group\na,휴대전화\n".encode("cp949"), "not UTF-8"),
        (b"path,group\na\n", "a row without a path or group"),
        (b"group,path\na\n", "a row without a path or group"),
        (b"path,group\na,b\na,c\n", "a path that occurs twice"),
    ],
)
def test_a_table_that_is_none_is_refused(folder, capsys, data, reason):
    (folder / "groups.csv").write_bytes(data)
    assert run("--provenance", "groups.csv") == 2
    err = " ".join(capsys.readouterr().err.split())
    assert f"groups.csv cannot be read as a table of groups ({reason})" in err
    assert "CSV UTF-8" in err
    assert "12/12" not in err, "the images were read before the table"
    assert not (folder / "data").exists()


def test_an_origin_that_does_not_fit_the_input_is_refused(folder, capsys):
    assert run("--provenance", "source") == 2
    assert "--provenance source does not fit the input" in capsys.readouterr().err
    assert run("--provenance", "no-such.csv") == 2
    assert "no-such.csv cannot be read" in capsys.readouterr().err
