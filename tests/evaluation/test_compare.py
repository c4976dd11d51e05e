"""Two runs on the same images, paired."""

from __future__ import annotations

import json
import re

import pytest
from evaluation_fakes import FakeAnswerer, FakeClassifier, make_data

from mayak.dataset.manifest import read_manifest
from mayak.errors import ConfigError, ManifestError
from mayak.evaluation import run
from mayak.evaluation.compare import compare


@pytest.fixture
def runs(manifest, tmp_path):
    answers = FakeAnswerer({2: "잘 모르겠습니다.", 3: "0번"})
    run.zeroshot(manifest, answers, tmp_path / "a")
    run.evaluate(manifest, FakeClassifier({1: 0, 3: 1}, adapter="x"), tmp_path / "b")
    return tmp_path / "a", tmp_path / "b"


def test_pairs_and_counts_by_hand(runs, tmp_path):
    compare(*runs, tmp_path / "c")
    found = json.loads((tmp_path / "c" / "comparison.json").read_text(encoding="utf-8"))
    # First: classes 0 and 1 right. Second: 0 and 2 right. Class 3 wrong otherwise.
    assert (found["first"]["accuracy"], found["second"]["accuracy"]) == (0.5, 0.5)
    assert found["accuracy_difference"] == 0.0
    assert found["mcnemar"] == {
        "first_only_right": 5,
        "second_only_right": 5,
        "groups_first_better": 4,
        "groups_second_better": 4,
        "p": 1.0,
    }
    low, high = found["accuracy_difference_ci95"]
    assert low < 0 < high
    changed = found["changed"]
    assert [row["id"] for row in changed["fixed"]] == [f"2-{i}" for i in range(5)]
    assert [row["id"] for row in changed["broken"]] == [f"1-{i}" for i in range(5)]
    assert [row["id"] for row in changed["moved"]] == [f"3-{i}" for i in range(5)]
    assert changed["fixed"][0]["predicted"] == [-1, 2]
    assert found["per_class"]["2"]["recall"] == [0.0, 1.0]


def test_page_shows_what_changed_and_asks_for_nothing(runs, tmp_path):
    compare(*runs, tmp_path / "c")
    page = (tmp_path / "c" / "comparison.html").read_text(encoding="utf-8")
    assert page.count("<figure>") == 15
    assert page.count('src="data:image/jpeg;base64,') == 15
    assert "잘 모르겠습니다." in page
    assert re.findall(r"https?://|<script|url\((?!data:)", page) == []
    assert (tmp_path / "c" / "comparison.png").stat().st_size > 10_000


def test_same_runs_give_the_same_bytes(runs, tmp_path):
    for name in ("c", "d"):
        compare(*runs, tmp_path / name)
    for path in (tmp_path / "c").iterdir():
        assert path.read_bytes() == (tmp_path / "d" / path.name).read_bytes()


def test_missing_images_are_said_and_not_fatal(runs, tmp_path):
    (tmp_path / "raw_data").rename(tmp_path / "elsewhere")
    compare(*runs, tmp_path / "c")
    page = (tmp_path / "c" / "comparison.html").read_text(encoding="utf-8")
    assert "no longer where they were evaluated" in page
    assert "<img" not in page


def test_moved_results_find_their_images(runs, tmp_path):
    """Paths are relative: the whole project folder can move."""
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("raw_data", "data", "a", "b"):
        (tmp_path / name).rename(moved / name)
    compare(moved / "a", moved / "b", moved / "c")
    assert "<img" in (moved / "c" / "comparison.html").read_text(encoding="utf-8")


def test_different_data_is_refused_with_both_digests(runs, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    manifest = read_manifest(make_data(other, per_class=3))
    run.evaluate(manifest, FakeClassifier(), other / "b")
    with pytest.raises(ManifestError) as error:
        compare(runs[0], other / "b", tmp_path / "c")
    first = json.loads((runs[0] / "metrics.json").read_text(encoding="utf-8"))["dataset"]
    assert first in error.value.message
    assert manifest.digest in error.value.message
    assert not (tmp_path / "c").exists()


def test_image_that_one_run_could_not_read_is_left_out_and_said(manifest, tmp_path):
    run.zeroshot(manifest, FakeAnswerer(), tmp_path / "a")
    (tmp_path / "raw_data" / "0_irrelevant" / "사진 0.png").unlink()
    run.evaluate(manifest, FakeClassifier(), tmp_path / "b")
    result = compare(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert (len(result.pairs), result.unpaired) == (19, 1)
    assert "left out" in (tmp_path / "c" / "comparison.html").read_text(encoding="utf-8")


def test_unfinished_run_is_named(runs, tmp_path):
    (runs[1] / "metrics.json").unlink()
    with pytest.raises(ConfigError, match="no finished run"):
        compare(*runs, tmp_path / "c")


def test_broken_run_is_named(runs, tmp_path):
    (runs[1] / "metrics.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be read"):
        compare(*runs, tmp_path / "c")


def test_output_is_never_one_of_the_runs(runs):
    with pytest.raises(ConfigError, match="one of the runs"):
        compare(*runs, runs[0])
