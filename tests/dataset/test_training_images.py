"""The training record, and what it refuses, whatever folder or name the images have."""

import hashlib
import json
import shutil

import pytest

from mayak.dataset.manifest import read_manifest
from mayak.dataset.training_images import TRAINING_IMAGES, Leakage, TrainingImages
from mayak.errors import ManifestError, ModelError
from mayak_synthetic.scenes import render
from model_folder import make_data


@pytest.fixture
def data(tmp_path):
    return make_data(tmp_path, train=2, val=1, test=1)


@pytest.fixture
def record(data):
    return TrainingImages.of(
        read_manifest(data / "train_drug_data.json"), read_manifest(data / "val_drug_data.json")
    )


@pytest.fixture
def adapter(record, tmp_path):
    """A folder with the record, and with the ``run.json`` that names it."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    write(folder, record.as_json())
    run = json.dumps({"training_images": record.digest})
    (folder / "run.json").write_text(run, encoding="utf-8")
    return folder


def write(adapter, values):
    (adapter / TRAINING_IMAGES).write_text(json.dumps(values), encoding="utf-8")


def digests(folder):
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir())


def test_the_record_names_every_training_and_validation_image(record, tmp_path):
    assert list(record.train) == digests(tmp_path / "raw" / "train")
    assert list(record.validation) == digests(tmp_path / "raw" / "val")


def test_the_original_of_an_augmented_image_is_a_training_image(data):
    described = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
    first, second = described["images"][:2]
    first["id"] = "2_original"
    second["augmented_from"] = "2_original"
    (data / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    manifest = data / "train_drug_data.json"
    rows = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(rows[1:2]), encoding="utf-8")  # the augmented one alone
    record = TrainingImages.of(read_manifest(manifest), read_manifest(data / "val_drug_data.json"))
    assert set(record.train) == {first["sha256"], second["sha256"]}


@pytest.mark.parametrize("described", [True, False])
def test_training_images_are_refused_under_another_folder_and_name(
    data, adapter, tmp_path, described
):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(data, elsewhere / "data2")
    (elsewhere / "pictures").mkdir()
    rows = json.loads((data / "test_drug_data.json").read_text(encoding="utf-8"))
    for number, name in enumerate(("0_000", "1_001")):
        source = tmp_path / "raw" / "train" / f"{name}.png"
        shutil.copy(source, elsewhere / "pictures" / f"IMG_{number}.png")
        rows[number] |= {"image_path": f"pictures/IMG_{number}.png", "answer": name[0]}
    shutil.copytree(tmp_path / "raw", elsewhere / "raw")
    manifest = elsewhere / "data2" / "val_drug_data.json"
    manifest.write_text(json.dumps(rows), encoding="utf-8")
    if not described:
        (elsewhere / "data2" / "dataset.json").unlink()
    samples = read_manifest(manifest)
    with pytest.raises(ManifestError, match="2 of 4 images are training images") as caught:
        Leakage.of(adapter, samples).refuse_seen(samples, instead="others")
    assert "pictures/IMG_0.png, pictures/IMG_1.png" in caught.value.message
    assert "--test-only" in caught.value.remedy


def test_images_that_chose_the_checkpoint_are_counted_and_said(data, adapter, record):
    found = Leakage.of(adapter, read_manifest(data / "val_drug_data.json"))
    assert (found.validation_images, found.seen) == (4, frozenset())
    assert found.note.startswith("4 of these images chose the adapter's checkpoint")
    new = Leakage.of(adapter, read_manifest(data / "test_drug_data.json"))
    assert (new, new.note) == (Leakage(record.digest), None)


def test_without_hashes_it_is_said_that_near_copies_were_not_looked_for(scene, tmp_path):
    """A record of the first version has no hashes, and none can be computed from its digests."""
    train = read_manifest(scene / "train_drug_data.json")
    test = read_manifest(scene / "test_drug_data.json")
    lists = {"train": sorted(sample.sha256 for sample in train.samples), "validation": []}
    digest = hashlib.sha256(json.dumps(lists, sort_keys=True).encode()).hexdigest()
    write(tmp_path, {"format": 1, "digest": digest, **lists})
    found = Leakage.of(tmp_path, test)
    assert found.seen == frozenset()
    assert "near copies of training images were not looked for" in found.note
    record = TrainingImages.of(train, read_manifest(scene / "val_drug_data.json"))
    write(tmp_path, record.as_json())
    assert Leakage.of(tmp_path, test).note is None


@pytest.fixture
def scene(tmp_path):
    """A data folder whose training split has a drawn photo, and a copy of the photo in another."""
    data = make_data(tmp_path, train=1, val=1, test=1)
    drawn = render("street", 5, "base").image
    drawn.save(tmp_path / "raw" / "train" / "0_000.png")
    (data / "dataset.json").unlink()
    smaller = drawn.resize((drawn.width * 2 // 3, drawn.height * 2 // 3))
    smaller.save(tmp_path / "raw" / "test" / "0_000.png", "JPEG", quality=70)
    return data


def test_a_copy_that_was_saved_again_is_seen_in_training(scene, tmp_path):
    record = TrainingImages.of(
        read_manifest(scene / "train_drug_data.json"), read_manifest(scene / "val_drug_data.json")
    )
    write(tmp_path, record.as_json())
    test = read_manifest(scene / "test_drug_data.json")
    found = Leakage.of(tmp_path, test)
    assert found.seen == {test.samples[0].sha256}
    with pytest.raises(ManifestError, match="1 of 4 images are training images"):
        found.refuse_seen(test, instead="others")
    found.refuse_all_seen(test)


def test_a_record_of_the_first_version_is_compared_by_bytes(data, tmp_path):
    train = read_manifest(data / "train_drug_data.json")
    lists = {"train": sorted(sample.sha256 for sample in train.samples), "validation": []}
    digest = hashlib.sha256(json.dumps(lists, sort_keys=True).encode()).hexdigest()
    write(tmp_path, {"format": 1, "digest": digest, **lists})
    found = Leakage.of(tmp_path, train)
    assert found.record == digest
    assert found.seen == set(lists["train"])
    with pytest.raises(ManifestError):
        found.refuse_all_seen(train)


def test_images_of_a_group_that_was_trained_on_are_counted_and_said(data, tmp_path):
    described = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
    for row in described["images"]:
        row["group"] = "phone-03" if "/0_000" in row["image_path"] else row["sha256"]
    (data / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    record = TrainingImages.of(
        read_manifest(data / "train_drug_data.json"), read_manifest(data / "val_drug_data.json")
    )
    assert "phone-03" not in json.dumps(record.as_json())
    write(tmp_path, record.as_json())
    found = Leakage.of(tmp_path, read_manifest(data / "test_drug_data.json"))
    assert (found.related_images, found.seen) == (1, frozenset())
    assert found.note.startswith("1 of these images belong to groups")


def test_a_group_of_another_folder_with_the_name_of_a_trained_one_is_a_caution(data, tmp_path):
    """It may be the same phone, or that of another laboratory: a name cannot tell."""
    theirs = make_data(tmp_path / "theirs", train=1, val=1, test=1, seed=7)
    for folder in (data, theirs):
        described = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        for row in described["images"]:
            row["group"] = "phone-01"
        (folder / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    record = TrainingImages.of(
        read_manifest(data / "train_drug_data.json"), read_manifest(data / "val_drug_data.json")
    )
    write(tmp_path, record.as_json())
    assert Leakage.of(tmp_path, read_manifest(data / "test_drug_data.json")).related_images == 4
    found = Leakage.of(tmp_path, read_manifest(theirs / "test_drug_data.json"))
    assert (found.related_images, found.namesake_images, found.seen) == (0, 4, frozenset())
    assert found.note.startswith("4 of these images belong to groups with the name of a group")


def test_an_adapter_that_never_had_a_record_is_said_to_have_none(data, tmp_path):
    found = Leakage.of(tmp_path, read_manifest(data / "train_drug_data.json"))
    assert found.record is None
    assert "without a training record" in found.note


def test_a_record_that_was_taken_away_is_an_error(data, adapter):
    (adapter / TRAINING_IMAGES).unlink()
    with pytest.raises(ModelError, match=f"{TRAINING_IMAGES} is missing, which run.json names"):
        TrainingImages.read(adapter)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values["train"].pop(),
        lambda values: values.update(train=[]),
        lambda values: values.pop("validation"),
        lambda values: values.update(train=7),
        lambda values: values.update(train=[[1]]),
        lambda values: values.update(digest="0"),
        lambda values: values.update(pdq={"a": "b"}),
        lambda values: values.update(pdq=[]),
        lambda values: values.update(groups=["phone-01"]),
        lambda values: values["groups"].pop(),
    ],
)
def test_a_record_that_was_changed_is_an_error(adapter, record, change):
    values = record.as_json()
    change(values)
    write(adapter, values)
    with pytest.raises(ModelError, match=f"{TRAINING_IMAGES} is damaged") as caught:
        TrainingImages.read(adapter)
    assert caught.value.remedy


def test_a_record_of_another_run_is_an_error(adapter, record):
    other = TrainingImages(record.train[:1], record.validation)
    write(adapter, other.as_json())
    with pytest.raises(ModelError, match="is damaged"):
        TrainingImages.read(adapter)


@pytest.mark.parametrize("content", ["[1]", "{", '{"a":' * 100_000])
def test_a_record_that_is_no_json_object_is_an_error(adapter, content):
    (adapter / TRAINING_IMAGES).write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match="is damaged"):
        TrainingImages.read(adapter)


@pytest.mark.parametrize("digests", [[["a"]], [{}], [1], ["A" * 64], ["a"]])
def test_a_record_that_can_be_compared_with_nothing_is_damaged(data, adapter, digests):
    lists = {"train": digests, "validation": []}
    digest = hashlib.sha256(json.dumps(lists, sort_keys=True).encode()).hexdigest()
    write(adapter, {"format": 1, "digest": digest, **lists})
    (adapter / "run.json").unlink()
    with pytest.raises(ModelError, match=r"training_images\.json is damaged"):
        Leakage.of(adapter, read_manifest(data / "test_drug_data.json"))
