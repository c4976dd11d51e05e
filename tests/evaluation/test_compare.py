"""Two runs on the same images, paired."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from evaluation_fakes import FakeAnswerer, FakeClassifier, make_data
from mayak.dataset.manifest import read_manifest
from mayak.errors import ConfigError, ManifestError
from mayak.evaluation import run
from mayak.evaluation.compare import compare
from mayak.evaluation.unread import UnreadAnswers


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
    assert found["n_fixed_unread"] == 5
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


def edited(folder, copy, **engine):
    """A copy of a run whose engine is another one."""
    shutil.copytree(folder, copy)
    figures = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    figures["engine_details"] |= engine
    (copy / "metrics.json").write_text(json.dumps(figures), encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    "other",
    [
        {"model": "other-7b@sha256:1"},
        {"model": "fake@sha256:1"},
        {"precision": "nf4, bfloat16"},
        {"prompt": "other"},
    ],
)
def test_untouched_and_fine_tuned_models_of_different_bases_are_refused(runs, tmp_path, other):
    changed = edited(runs[0], tmp_path / "other", **other)
    with pytest.raises(ManifestError) as error:
        compare(changed, runs[1], tmp_path / "c")
    for text in (str(changed), str(runs[1]), *other.values()):
        assert text in error.value.message
    assert "--model" in error.value.remedy
    assert not (tmp_path / "c").exists()


def test_a_merged_adapter_is_no_other_precision(manifest, tmp_path):
    run.zeroshot(manifest, FakeClassifier(precision="bf16"), tmp_path / "a")
    merged = FakeClassifier(precision="bf16, adapter merged", adapter="x")
    run.evaluate(manifest, merged, tmp_path / "b")
    assert compare(tmp_path / "a", tmp_path / "b", tmp_path / "c").cautions == []


def test_two_untouched_models_of_different_bases_are_compared_and_said(runs, tmp_path):
    changed = edited(runs[0], tmp_path / "other", model="other-7b@sha256:1")
    compare(runs[0], changed, tmp_path / "c")
    found = json.loads((tmp_path / "c" / "comparison.json").read_text(encoding="utf-8"))
    assert found["differs"] == ["base"]
    page = (tmp_path / "c" / "comparison.html").read_text(encoding="utf-8")
    for text in (found["cautions"][0], page):
        assert "Different base models: fake@sha256:0 (fp32) and other-7b@sha256:1 (fp32)" in text


def test_a_run_as_triage_is_named(runs, tmp_path):
    """Its decoding is another, which is not another base model."""
    changed = edited(runs[1], tmp_path / "triage", preprocessing="reduced")
    figures = json.loads((changed / "metrics.json").read_text(encoding="utf-8"))
    figures["as_triage"] = {"relevant": 15}
    (changed / "metrics.json").write_text(json.dumps(figures), encoding="utf-8")
    found = compare(runs[1], changed, tmp_path / "c")
    (caution,) = found.cautions
    assert caution.startswith(f"Only {changed} measured what triage runs")


def test_a_run_as_triage_in_a_table_is_named_as_the_cause(four, tmp_path):
    changed = edited(four[1], tmp_path / "triage", preprocessing="reduced")
    figures = json.loads((changed / "metrics.json").read_text(encoding="utf-8"))
    figures["as_triage"] = {"relevant": 15}
    (changed / "metrics.json").write_text(json.dumps(figures), encoding="utf-8")
    for runs in ((*four, changed), (four[2], changed)):
        with pytest.raises(ManifestError, match="--as-triage") as error:
            compare(*runs[:2], tmp_path / "c", others=runs[2:])
        assert str(changed) in error.value.message
        assert "--model" not in error.value.remedy


def test_a_run_is_not_compared_with_itself_or_a_copy(runs, tmp_path):
    copy = shutil.copytree(runs[1], tmp_path / "copy")
    for other in (runs[1], copy):
        with pytest.raises(ManifestError, match="the same model on the same images"):
            compare(runs[1], other, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_unequal_ways_are_named_before_the_difference(runs, tmp_path):
    compare(*runs, tmp_path / "c")
    found = json.loads((tmp_path / "c" / "comparison.json").read_text(encoding="utf-8"))
    assert found["differs"] == ["training", "way"]
    assert "not the effect of training" in found["cautions"][0]
    assert "`mayak evaluate --by generate`" in found["cautions"][0]
    assert "`mayak zeroshot --by score`" in found["cautions"][0]
    # 5 images were put right, all of them answers that could not be read.
    assert "Of 5 images put right, 5 had an answer" in found["cautions"][1]
    page = (tmp_path / "c" / "comparison.html").read_text(encoding="utf-8")
    assert page.index("not the effect of training") < page.index("difference of accuracy")


def test_equal_ways_need_no_caution(manifest, tmp_path):
    run.zeroshot(manifest, FakeClassifier({1: 0}), tmp_path / "a")
    run.evaluate(manifest, FakeClassifier(adapter="x"), tmp_path / "b")
    result = compare(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert result.cautions == []
    found = json.loads((tmp_path / "c" / "comparison.json").read_text(encoding="utf-8"))
    assert (found["differs"], found["cautions"]) == (["training"], [])


@pytest.fixture
def four(runs, manifest, tmp_path):
    """All cells: besides ``runs``, the untouched model by scores and the fine-tuned by answers."""
    run.zeroshot(manifest, FakeClassifier({1: 0, 2: 0, 3: 0}), tmp_path / "as")
    run.evaluate(manifest, FakeAnswerer({3: "?"}, adapter="x"), tmp_path / "bg")
    return *runs, tmp_path / "as", tmp_path / "bg"


def test_two_by_two_by_hand(four, tmp_path):
    first, second, *others = four
    compare(first, second, tmp_path / "c", others=others)
    found = json.loads((tmp_path / "c" / "comparison.json").read_text(encoding="utf-8"))
    cells = {cell["kind"]: cell for cell in found["two_by_two"]["cells"]}
    assert {kind: (cell["n"], cell["accuracy"]) for kind, cell in cells.items()} == {
        "zeroshot-generate": (20, 0.5),
        "finetuned-score": (20, 0.5),
        "zeroshot-score": (20, 0.25),
        "finetuned-generate": (20, 0.75),
    }
    untouched = cells["zeroshot-generate"]
    assert (untouched["n_unread"], untouched["n_labelled"]) == (5, 0)
    shares = {name: (b["n"], b["accuracy"]) for name, b in untouched["unread"].items()}
    assert shares == {"wrong": (20, 0.5), "left_out": (15, pytest.approx(2 / 3)), "as_0": (20, 0.5)}
    generated, scored = found["two_by_two"]["like_with_like"]
    assert (generated["by"], scored["by"]) == ("generate", "score")
    # Both models' unread answers are left out: 2 is unread before, 3 after, 10 images remain.
    assert {n: (c["n"], c["accuracy_difference"]) for n, c in generated["unread"].items()} == {
        "wrong": (20, 0.25),
        "left_out": (10, 0.0),
        "as_0": (20, 0.25),
    }
    assert scored["unread"]["wrong"]["accuracy_difference"] == 0.25
    assert (
        "Like with like: free answers +25.00 points, label scores +25.00 points."
        in (found["cautions"][0])
    )
    page = (tmp_path / "c" / "comparison.html").read_text(encoding="utf-8")
    for text in ("Two by two", "66.67%", "difference, like with like", "+25.00 points"):
        assert text in page


def label(folder, n):
    unread = UnreadAnswers(folder, "kim")
    with unread.session():
        for position in range(n):
            unread.decide(position, 2)


def test_labels_of_a_person_give_a_difference_only_if_no_answer_is_without_one(four, tmp_path):
    """Five unread answers to images of label 2 before, five to images of label 3 after."""
    first, second, scored, generated = four

    def labelled():
        compare(first, second, tmp_path / "c", others=(scored, generated))
        found = json.loads((tmp_path / "c" / "comparison.json").read_text(encoding="utf-8"))
        page = (tmp_path / "c" / "comparison.html").read_text(encoding="utf-8")
        change = found["two_by_two"]["like_with_like"][0]["unread"].get("labelled")
        return change and change["accuracy_difference"], page

    label(first, 5)
    change, page = labelled()
    assert change is None
    assert "unread answers as a person labelled them" in page
    assert "5 of 10 unread answers not labelled" in page
    label(generated, 4)
    change, page = labelled()
    assert change is None
    assert "1 of 10 unread answers not labelled" in page
    assert "5 unread answers, 4 of them labelled by a person, the others counted as wrong" in page
    label(generated, 5)
    change, page = labelled()
    assert change == 0
    assert "not labelled" not in page


def test_labels_of_one_run_are_enough_if_the_other_has_no_unread_answer(manifest, tmp_path):
    run.zeroshot(manifest, FakeAnswerer({2: "?"}), tmp_path / "a")
    run.evaluate(manifest, FakeAnswerer(adapter="x"), tmp_path / "b")
    label(tmp_path / "a", 5)
    found = compare(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    (pair,) = found.table.like_with_like
    assert pair.changes["labelled"].difference == 0


def test_the_table_counts_the_images_that_all_runs_could_read(four, manifest, tmp_path):
    (tmp_path / "raw_data" / "0_irrelevant" / "사진 0.png").unlink()
    run.zeroshot(manifest, FakeClassifier(), tmp_path / "as")
    first, second, *others = four
    result = compare(first, second, tmp_path / "c", others=others)
    assert (len(result.pairs), result.unpaired) == (19, 1)
    assert {len(cell.rows) for cell in result.table.cells} == {19}


def test_a_cell_of_another_adapter_is_refused(four, tmp_path):
    other = edited(four[3], tmp_path / "other", adapter="y")
    with pytest.raises(ManifestError, match="different adapters"):
        compare(*four[:2], tmp_path / "c", others=[four[2], other])


def test_two_runs_of_one_cell_are_refused_in_a_table(four, tmp_path):
    twice = edited(four[1], tmp_path / "twice")
    with pytest.raises(ManifestError, match="both of one kind"):
        compare(*four[:2], tmp_path / "c", others=[twice])


def test_a_run_of_an_earlier_version_is_understood(runs, tmp_path):
    path = runs[1] / "metrics.json"
    figures = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(figures | {"kind": "evaluate"}), encoding="utf-8")
    assert compare(*runs, tmp_path / "c").second.kind == "finetuned-score"


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
