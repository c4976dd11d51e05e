"""Mean and spread over runs of one kind."""

from __future__ import annotations

import json
import re

import pytest

from evaluation_fakes import FakeAnswerer, FakeClassifier
from mayak.dataset.manifest import read_manifest
from mayak.dataset.training_images import Leakage
from mayak.errors import ConfigError
from mayak.evaluation import run
from mayak.evaluation.over_runs import summarise


@pytest.fixture
def seeds(manifest, tmp_path):
    """Three adapters on one test set of 20 images: 20, 15 and 10 of them right."""
    folders = []
    for seed, wrong in enumerate(({}, {1: 0}, {1: 0, 2: 3})):
        folders.append(tmp_path / f"seed{seed}")
        run.evaluate(manifest, FakeClassifier(wrong, adapter=str(seed)), folders[-1])
    return folders


def part(manifest, name, keep):
    """A manifest of some of the images, as a fold has it."""
    rows = json.loads(manifest.path.read_text(encoding="utf-8"))
    path = manifest.path.parent / name
    path.write_text(json.dumps([row for at, row in enumerate(rows) if keep(at)]), encoding="utf-8")
    return read_manifest(path)


def fold(manifest, number, keep, folds=2):
    """The test set of a fold in a data folder of its own, as ``mayak prepare --folds`` makes it."""
    data = manifest.path.parent.with_name(f"data_fold{number}")
    data.mkdir()
    test = part(manifest, f"../{data.name}/test_drug_data.json", keep)
    described = json.loads((manifest.path.parent / "dataset.json").read_text(encoding="utf-8"))
    described |= {"parameters": {"fold": [number, folds]}, "input": {"digest": "0" * 64}}
    (data / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    return read_manifest(data / test.path.name)


@pytest.fixture
def folds(manifest, tmp_path):
    """Two folds: every third image and the others; in the second, class 3 is taken for 0."""
    folders = [tmp_path / "fold1", tmp_path / "fold2"]
    first = fold(manifest, 1, lambda at: at % 3 == 0)
    second = fold(manifest, 2, lambda at: at % 3 != 0)
    run.evaluate(first, FakeClassifier(adapter="1"), folders[0])
    run.evaluate(second, FakeClassifier({3: 0}, adapter="2"), folders[1])
    return folders


def summary(out):
    return json.loads((out / "summary.json").read_text(encoding="utf-8"))


def test_seeds_have_mean_and_standard_deviation(seeds, tmp_path):
    summarise(seeds, tmp_path / "out")
    found = summary(tmp_path / "out")
    # 1, 0.75 and 0.5: mean 0.75, standard deviation √((0.25² + 0.25²) / 2) = 0.25
    assert found["design"] == "seeds"
    assert found["accuracy"] == pytest.approx({"mean": 0.75, "sd": 0.25, "min": 0.5, "max": 1.0})
    recall = found["per_class"]["1"]["recall"]
    assert recall == pytest.approx({"mean": 1 / 3, "sd": 3**-0.5, "min": 0, "max": 1})
    assert [its["accuracy"] for its in found["runs"]] == [1.0, 0.75, 0.5]
    assert found["pooled"] is None


def test_folds_are_pooled_too(folds, tmp_path):
    summarise(folds, tmp_path / "out")
    found = summary(tmp_path / "out")
    assert found["design"] == "folds"
    wrong = 5 - sum(at % 3 == 0 for at in range(15, 20))
    assert found["pooled"]["n"] == 20
    assert found["pooled"]["accuracy"] == pytest.approx(1 - wrong / 20)
    assert found["pooled"]["accuracy_ci95_groups"] == 16


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_page_loads_nothing_and_states_what_the_spread_is(folds, seeds, tmp_path, language):
    for folders, stated in (
        (seeds, {"en": "It does not cover the choice of the images", "ko": "시드"}),
        (folds, {"en": "the folds share training images", "ko": "폴드"}),
    ):
        summarise(folders, tmp_path / "out", language=language)
        page = (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")
        assert f'<html lang="{language}">' in page
        assert stated[language] in page
        assert re.findall(r"https?://|url\((?!data:)|@import|<script", page) == []
        assert all(folder.name in page for folder in folders)


def test_unread_answers_count_as_wrong_and_are_counted(manifest, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for number, folder in enumerate(folders):
        its = fold(manifest, number + 1, lambda at, number=number: at % 2 == number)
        run.evaluate(its, FakeAnswerer({2: "?"}, adapter=str(number)), folder)
    summarise(folders, tmp_path / "out")
    found = summary(tmp_path / "out")
    assert found["pooled"]["accuracy"] == 0.75
    assert sum(its["n_unclassifiable"] for its in found["runs"]) == 5
    page = (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")
    assert "without a clear label count as wrong: 5 in all runs" in page


def test_images_that_one_model_was_trained_on_are_left_out_of_all(manifest, seeds, tmp_path):
    seen = frozenset({manifest.samples[0].sha256})
    model = FakeClassifier(adapter="0")
    run.evaluate(manifest, model, seeds[0], leakage=Leakage("record", seen=seen))
    summarise(seeds, tmp_path / "out")
    found = summary(tmp_path / "out")
    assert found["n_seen_in_training"] == 1
    # The image of class 0, which all have right, is left out.
    assert [its["n"] for its in found["runs"]] == [19, 19, 19]
    assert [its["accuracy"] for its in found["runs"]] == pytest.approx([1, 14 / 19, 9 / 19])
    assert "1 images are training images" in (tmp_path / "out" / "summary.html").read_text("utf-8")


def test_one_run_has_no_spread(seeds, tmp_path):
    with pytest.raises(ConfigError, match="two runs or more"):
        summarise(seeds[:1], tmp_path / "out")


def test_the_same_run_twice_is_refused(seeds, tmp_path):
    with pytest.raises(ConfigError, match="the same model on the same images"):
        summarise([seeds[0], seeds[1], seeds[0]], tmp_path / "out")


@pytest.mark.parametrize("other", [{"model": "other@1"}, {"precision": "bf16"}])
def test_other_models_are_refused(manifest, seeds, tmp_path, other):
    run.evaluate(manifest, FakeClassifier(**other, adapter="9"), tmp_path / "other")
    with pytest.raises(ConfigError, match="not of one kind"):
        summarise([*seeds, tmp_path / "other"], tmp_path / "out")


def test_test_sets_that_overlap_in_part_are_refused(seeds, folds, tmp_path):
    with pytest.raises(ConfigError, match="overlap in part"):
        summarise([seeds[0], folds[1]], tmp_path / "out")


def test_a_validation_set_is_not_a_fold(manifest, folds, tmp_path):
    """Its images chose the checkpoint, although no other run has them."""
    its = part(manifest, "val_drug_data.json", lambda at: at % 3 != 0)
    run.evaluate(its, FakeClassifier(adapter="2"), tmp_path / "validation")
    with pytest.raises(ConfigError, match=r"those of .*validation are not the test set of a fold"):
        summarise([folds[0], tmp_path / "validation"], tmp_path / "out")


def test_folds_are_given_all_and_of_one_cross_validation(manifest, folds, tmp_path):
    other = fold(manifest, 3, lambda at: at % 3 != 0, folds=3)
    run.evaluate(other, FakeClassifier(adapter="3"), tmp_path / "fold3")
    with pytest.raises(ConfigError, match=r"not all folds of one .*: fold 1 of 2, fold 3 of 3"):
        summarise([folds[0], tmp_path / "fold3"], tmp_path / "out")


def test_folds_of_one_model_are_no_cross_validation(manifest, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for number, folder in enumerate(folders):
        its = fold(manifest, number + 1, lambda at, number=number: at % 2 == number)
        run.zeroshot(its, FakeClassifier(), folder)
    with pytest.raises(ConfigError, match="not tested with a model each"):
        summarise(folders, tmp_path / "out")


def test_images_that_chose_the_checkpoint_are_stated(seeds, tmp_path):
    path = seeds[0] / "metrics.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["training_record"] = {"validation_images": 3}
    path.write_text(json.dumps(values), encoding="utf-8")
    summarise(seeds, tmp_path / "out")
    assert "3 images chose the checkpoint" in (tmp_path / "out" / "summary.html").read_text("utf-8")


def test_the_results_do_not_replace_a_run(seeds, tmp_path):
    with pytest.raises(ConfigError, match="--out"):
        summarise(seeds, seeds[0])
    assert (seeds[0] / "metrics.json").exists()
