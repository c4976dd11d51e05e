from __future__ import annotations

import os
import sys

import pytest

from mayak.dataset.collect import collect
from mayak.errors import ManifestError
from mayak.labels import LABELS
from mayak.names import storable

posix = pytest.mark.skipif(sys.platform == "win32", reason="names and links of POSIX")


@pytest.fixture
def raw(tmp_path):
    for label in LABELS:
        (tmp_path / "raw" / label.folder).mkdir(parents=True)
    return tmp_path / "raw"


def reasons(rejected):
    return {item.name: item.reason for item in rejected}


def test_files_of_all_depths_in_an_order_that_no_locale_changes(raw):
    deep = raw / "1_chat_history" / "방" / "하나"
    deep.mkdir(parents=True)
    for path in (deep / "a.png", deep.parent / "Z.png", deep.parent / "b.png"):
        path.touch()
    (raw / "0_irrelevant" / "ㄱ").touch()

    files, rejected = collect(raw, all_classes=True)

    assert [(file.name, file.label) for file in files] == [
        ("0_irrelevant/ㄱ", 0),
        ("1_chat_history/방/Z.png", 1),
        ("1_chat_history/방/b.png", 1),
        ("1_chat_history/방/하나/a.png", 1),
    ]
    assert rejected == []
    assert all(file.path.exists() for file in files)


def test_files_outside_the_four_folders_are_listed(raw):
    (raw / "loose.jpg").touch()
    (raw / "Thumbs.db").touch()
    (raw / "5_unknown" / "sub").mkdir(parents=True)
    (raw / "5_unknown" / "sub" / "x.jpg").touch()

    files, rejected = collect(raw, all_classes=True)

    assert files == []
    assert reasons(rejected) == {
        "loose.jpg": "outside",
        "Thumbs.db": "system-file",
        "5_unknown/sub/x.jpg": "outside",
    }


@posix
def test_links_pipes_and_names_that_are_no_text_are_listed_and_not_opened(raw, tmp_path):
    folder = raw / "2_transaction_place"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.jpg").touch()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "loop").symlink_to(raw)
    (folder / "broken.jpg").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.jpg")
    with open(os.fsencode(folder) + b"/\xc7\xd1.jpg", "wb"):  # noqa: PTH123 - bytes; CP949 한
        pass

    files, rejected = collect(raw, all_classes=True)

    assert files == []
    assert {storable(name): reason for name, reason in reasons(rejected).items()} == {
        "2_transaction_place/linked": "link",
        "2_transaction_place/loop": "link",
        "2_transaction_place/broken.jpg": "link",
        "2_transaction_place/pipe.jpg": "special",
        "2_transaction_place/\\udcc7\\udcd1.jpg": "name",
    }


@posix
def test_a_class_folder_may_be_a_link(raw, tmp_path):
    (tmp_path / "big disk").mkdir()
    (tmp_path / "big disk" / "x.jpg").touch()
    (raw / "3_drug_raw").rmdir()
    (raw / "3_drug_raw").symlink_to(tmp_path / "big disk")

    files, _ = collect(raw, all_classes=True)

    assert [file.name for file in files] == ["3_drug_raw/x.jpg"]


def test_a_folder_that_cannot_be_listed_is_named(raw, monkeypatch):
    (raw / "0_irrelevant" / "locked").mkdir()
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)

    _, rejected = collect(raw, all_classes=True)

    assert reasons(rejected) == {"0_irrelevant/locked/": "unreadable"}
    assert "Permission denied" in rejected[0].error


def test_a_missing_raw_folder_says_what_is_wanted(tmp_path):
    with pytest.raises(ManifestError, match="nowhere") as raised:
        collect(tmp_path / "nowhere", all_classes=True)

    assert "2_transaction_place" in raised.value.remedy


def test_a_missing_class_is_named_beside_what_is_there(raw):
    (raw / "2_transaction_place").rename(raw / "2_transaction_places")

    with pytest.raises(ManifestError, match=r"lacks 2_transaction_place .*2_transaction_places"):
        collect(raw, all_classes=True)
    assert collect(raw, all_classes=False) == ([], [])


def test_a_folder_without_any_class_is_an_error_for_a_test_set_too(tmp_path):
    with pytest.raises(ManifestError, match="lacks"):
        collect(tmp_path, all_classes=False)


def test_augmented_copies_are_left_out_each_with_its_reason(raw):
    folder = raw / "2_transaction_place"
    (folder / "deep").mkdir()
    names = ["x.png", "x_aug_1.png", "x_aug_2.jpg", "x_aug1.jpg", "x_aug_1_aug_2.png"]
    names += ["y_aug_3.png", "deep/x_aug_1.png", "z_aug.png", "aug_1.png", "_aug_9.png"]
    names += ["._y_aug_3.png", "x_AUG_3.PNG", "x_aug_1 (1).png", "x_aug_1 - 복사본.png"]
    for name in names:
        (folder / name).touch()

    files, rejected = collect(raw, all_classes=True)

    below = [file.name.partition("/")[2] for file in files]
    assert below == ["._y_aug_3.png", "_aug_9.png", "aug_1.png", "x.png", "z_aug.png"]
    assert {name.partition("/")[2]: why for name, why in reasons(rejected).items()} == {
        "x_aug_1.png": "augmented",
        "x_aug_2.jpg": "augmented",
        "x_aug1.jpg": "augmented",
        "x_aug_1_aug_2.png": "augmented",
        "y_aug_3.png": "augmented-orphan",
        "deep/x_aug_1.png": "augmented-orphan",
        "x_AUG_3.PNG": "augmented",
        "x_aug_1 (1).png": "augmented",
        "x_aug_1 - 복사본.png": "augmented",
    }
    errors = {item.name: item.error for item in rejected}
    assert "2_transaction_place/x.png" in errors["2_transaction_place/x_aug_1.png"]
    assert "no y is next to it" in errors["2_transaction_place/y_aug_3.png"]
    assert len(files) + len(rejected) == len(names)


def test_copies_in_another_class_than_their_original_are_no_copies_of_it(raw):
    (raw / "2_transaction_place" / "x.png").touch()
    (raw / "3_drug_raw" / "x_aug_1.png").touch()
    _, rejected = collect(raw, all_classes=True)
    assert reasons(rejected) == {"3_drug_raw/x_aug_1.png": "augmented-orphan"}
