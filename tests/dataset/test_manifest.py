from __future__ import annotations

import hashlib
import json
import os

import pytest

from mayak.dataset import read_manifest
from mayak.errors import ManifestError
from mayak.labels import QUESTION


def record(**changes):
    return {
        "id": "a",
        "image_path": "raw_data/0_irrelevant/a.jpg",
        "question": QUESTION,
        "answer": "0",
    } | changes


@pytest.fixture
def written(tmp_path):
    def write(*records, dataset=None):
        data = tmp_path / "data"
        data.mkdir(exist_ok=True)
        path = data / "val_drug_data.json"
        path.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
        if dataset is not None:
            (data / "dataset.json").write_text(json.dumps(dataset), encoding="utf-8")
        return path

    return write


def test_a_manifest_of_the_originals_scripts_is_hashed_here(written, tmp_path):
    image = tmp_path / "raw_data" / "0_irrelevant" / "a.jpg"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"bytes")

    manifest = read_manifest(written(record(), record(id="b", image_path="gone.jpg", answer="3")))

    first, second = manifest.samples
    assert (first.split, first.label, first.sha256) == (
        "val",
        0,
        hashlib.sha256(b"bytes").hexdigest(),
    )
    assert manifest.locate(first) == image
    assert (second.label, second.sha256) == (3, "missing")


def test_hashes_and_groups_come_from_the_dataset_file(written):
    row = {"image_path": record()["image_path"], "sha256": "f" * 64, "group": "g1"}

    (sample,) = read_manifest(written(record(), dataset={"images": [row]})).samples

    assert (sample.sha256, sample.group) == ("f" * 64, "g1")


def test_the_digest_depends_on_images_and_labels_and_not_on_order_or_place(written):
    one, two = record(), record(id="b", image_path="x/b.jpg", answer="1")
    digest = read_manifest(written(one, two)).digest

    assert read_manifest(written(two, one)).digest == digest
    assert read_manifest(written(one, two | {"image_path": "y/b.jpg"})).digest == digest
    assert read_manifest(written(one, two | {"answer": "2"})).digest != digest


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ((), "has no list"),
        ((record(answer="4"),), "has the answer '4'"),
        ((record(question="What is it?"),), "asks another question"),
        (({"id": "a"},), "lacks image_path, question, answer"),
        ((record(), record()), "occurs twice"),
    ],
)
def test_a_wrong_manifest_is_named_with_the_record(written, records, message):
    path = written(*records)

    with pytest.raises(ManifestError, match=message) as raised:
        read_manifest(path)

    assert str(path) in raised.value.message
    assert raised.value.remedy


def test_a_missing_and_a_broken_file(tmp_path):
    with pytest.raises(ManifestError, match="does not exist"):
        read_manifest(tmp_path / "test_drug_data.json")
    (tmp_path / "test_drug_data.json").write_text("[{", encoding="utf-8")
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path / "test_drug_data.json")


def test_a_pipe_or_a_device_in_place_of_an_image_is_not_read(written, tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    paths = ("pipe.jpg", "/dev/zero")
    rows = [record(id=path, image_path=path) for path in paths]
    assert {sample.sha256 for sample in read_manifest(written(*rows)).samples} == {"missing"}


@pytest.mark.parametrize("key", ["id", "augmented_from"])
def test_a_dataset_file_with_a_list_for_a_name_is_damaged(written, key):
    row = {"image_path": "a.jpg", "sha256": "f" * 64, "group": "g1", key: ["x"]}
    with pytest.raises(ManifestError, match=r"dataset\.json is damaged"):
        read_manifest(written(record(), dataset={"images": [row]}))
