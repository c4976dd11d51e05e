"""Running a model over a manifest: every image accounted for, nothing mixed, nothing lost."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from evaluation_fakes import FakeAnswerer, FakeClassifier, make_data
from mayak.dataset.manifest import read_manifest
from mayak.dataset.training_images import Leakage
from mayak.errors import ConfigError, ManifestError
from mayak.evaluation import run
from mayak.evaluation.compare import compare
from mayak.evaluation.record import read_run
from mayak.types import Scores

NAMES = {
    "metrics.json",
    "predictions.csv",
    "failures.csv",
    "confusion_matrix.png",
    "confusion_matrix.svg",
    "per_class_recall.png",
    "per_class_recall.svg",
    "misclassified.jpg",
    "report.html",
}


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def figures(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


class Undecided(FakeClassifier):
    """Gives the irrelevant images two equal scores."""

    def classify(self, images):
        for prediction in super().classify(images):
            tied = Scores((0.4, 0.1, 0.1, 0.4), 0.01)
            yield replace(prediction, scores=tied) if prediction.scores.label == 0 else prediction


def test_two_equal_scores_are_not_classifiable_and_never_right(manifest, tmp_path):
    result = run.evaluate(manifest, Undecided(), tmp_path)
    assert [row["predicted"] for row in table(tmp_path / "predictions.csv")[:5]] == ["-1"] * 5
    found = figures(tmp_path)
    assert found["accuracy"] == 0.75
    assert found["confusion_matrix"][0] == [0, 0, 0, 0, 5]
    assert found["confusion_columns"] == [0, 1, 2, 3, -1]
    assert result.calibration.bins[5][0] == 5  # confidence .4
    assert result.calibration.bins[5][2] == 0.0


def test_writes_everything_that_is_promised(manifest, tmp_path):
    out = tmp_path / "out"
    result = run.evaluate(manifest, FakeClassifier({2: 1}), out)
    assert {path.name for path in out.iterdir()} == NAMES
    found = figures(out)
    # 20 images, the 5 of class 2 wrong; of each class 2 images share a group
    assert found["accuracy"] == result.metrics.accuracy == 0.75
    assert (found["n"], found["n_groups"], found["n_failed"]) == (20, 16, 0)
    assert found["confusion_matrix"][2] == [0, 5, 0, 0]
    assert found["per_class"]["1"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "support": 5,
        # Fewer than 20 groups, all alike: they count as so many images.
        "recall_ci95": [pytest.approx(0.025 ** (1 / 4)), 1.0],
        "recall_ci95_method": "clopper-pearson",
        "recall_ci95_groups": 4,
        "recall_ci95_effective_n": pytest.approx(4),
        "recall_ci95_too_few_groups": True,
    }
    assert found["kind"] == "finetuned-score"
    assert found["engine"] == result.engine.fingerprint
    assert found["dataset"] == manifest.digest
    assert (out / found["manifest"]).resolve() == manifest.path.resolve()
    assert found["off_label"]["median"] == pytest.approx(0.01)
    assert found["calibration"]["ece"] == pytest.approx(0.91 - 0.75)
    rows = table(out / "predictions.csv")
    assert [row["id"] for row in rows] == [sample.id for sample in manifest.samples]
    assert rows[10] == {
        "id": "2-0",
        "image_path": "raw_data/2_transaction_place/사진 0.png",
        "sha256": manifest.samples[10].sha256,
        "label": "2",
        "predicted": "1",
        "score_0": "0.03000000",
        "score_1": "0.91000000",
        "score_2": "0.03000000",
        "score_3": "0.03000000",
        "off_label": "0.01000000",
        "group": "2-1",
    }


def test_pictures_open_and_have_their_size(manifest, tmp_path):
    run.evaluate(manifest, FakeClassifier({2: 1}), tmp_path / "out")
    for name in NAMES:
        if name.endswith((".png", ".jpg")):
            with Image.open(tmp_path / "out" / name) as picture:
                picture.load()
                assert min(picture.size) > 300


def test_same_predictions_give_the_same_bytes(manifest, tmp_path):
    for name in ("a", "b"):
        run.evaluate(manifest, FakeClassifier({2: 1}), tmp_path / name)
        run.zeroshot(manifest, FakeAnswerer({2: "?"}), tmp_path / f"z{name}")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "za") == digests(tmp_path / "zb")


def test_failures_are_listed_and_never_scored(manifest, tmp_path):
    root = tmp_path / "raw_data" / "1_chat_history"
    (root / "사진 0.png").unlink()
    (root / "사진 1.png").write_bytes(b"changed")
    out = tmp_path / "out"
    result = run.evaluate(manifest, FakeClassifier(), out, language="ko")
    assert [(Path(f.path).name, f.stage, f.error) for f in result.failures] == [
        ("사진 0.png", "read", "FileNotFoundError"),
        ("사진 1.png", "read", "ManifestError"),
    ]
    assert len(result.rows) + len(result.failures) == len(manifest.samples)
    assert result.metrics.per_class[1].support == 3
    found = figures(out)
    assert found["n_failed"] == 2
    assert [row["image_path"] for row in table(out / "failures.csv")] == [
        f["path"] for f in found["failures"]
    ]
    # in the reader's language, although a reading thread found it
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "이후 변경된 파일" in report
    assert "사진 1.png" in report


def test_a_file_that_never_was_an_image_is_a_decode_failure(tmp_path):
    path = make_data(tmp_path)
    broken = tmp_path / "raw_data" / "0_irrelevant" / "사진 3.png"
    broken.write_bytes(broken.read_bytes()[:60])
    (tmp_path / "data" / "dataset.json").unlink()  # the manifest then hashes what lies there
    result = run.evaluate(read_manifest(path), FakeClassifier(), tmp_path / "out")
    assert [(f.stage, f.error) for f in result.failures] == [("decode", "DecodeError")]


def test_no_readable_image_is_an_error(manifest, tmp_path):
    for path in (tmp_path / "raw_data").rglob("*.png"):
        path.unlink()
    with pytest.raises(ManifestError, match="none of the 20 images"):
        run.evaluate(manifest, FakeClassifier(), tmp_path / "out")


def test_free_answers_are_parsed_and_kept(manifest, tmp_path):
    said = {2: "잘 모르겠습니다.", 3: "흰 가루 사진입니다.\n=마약으로 보입니다."}
    out = tmp_path / "out"
    run.zeroshot(manifest, FakeAnswerer(said), out)
    found = figures(out)
    assert found["kind"] == "zeroshot-generate"
    assert found["confusion_columns"] == [0, 1, 2, 3, -1]
    assert found["confusion_matrix"][2] == [0, 0, 0, 0, 5]
    parser = found["parser"]
    assert (parser["answered"], parser["unclassifiable"], parser["labelled"]) == (15, 5, 0)
    assert found["off_label"] is None
    rows = table(out / "predictions.csv")
    assert rows[-1]["answer"] == said[3]
    assert (rows[-1]["predicted"], rows[-1]["score_3"]) == ("3", "")


def test_zero_shot_by_scores(manifest, tmp_path):
    run.zeroshot(manifest, FakeClassifier(), tmp_path / "out")
    found = figures(tmp_path / "out")
    assert (found["kind"], found["parser"]) == ("zeroshot-score", None)


def test_a_fine_tuned_model_can_be_measured_by_its_answers(manifest, tmp_path):
    out = tmp_path / "out"
    result = run.evaluate(manifest, FakeAnswerer({3: "?"}, adapter="x"), out)
    found = figures(out)
    assert found["kind"] == "finetuned-generate"
    assert found["confusion_columns"] == [0, 1, 2, 3, -1]
    assert found["parser"]["unclassifiable"] == result.unclassifiable == 5
    assert table(out / "predictions.csv")[0]["answer"] == "0번입니다."
    assert found["training_record"]["note"].startswith("not compared")


def test_unread_answers_have_bounds(manifest, tmp_path):
    """Of 20 images the 5 of class 0 and the 5 of class 3 are unread, the 5 of class 2 wrong."""
    out = tmp_path / "out"
    run.zeroshot(manifest, FakeAnswerer({0: "풍경입니다.", 2: "1번", 3: "?"}), out)
    found = figures(out)
    shares = {name: (b["n"], b["accuracy"]) for name, b in found["parser"]["bounds"].items()}
    assert shares == {"wrong": (20, 0.25), "left_out": (10, 0.5), "as_0": (20, 0.5)}
    for bound in found["parser"]["bounds"].values():
        low, high = bound["accuracy_ci95"]
        assert low < bound["accuracy"] < high
    assert found["accuracy"] == 0.25
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "Unread answers (10)" in report
    assert "0 of 10 were labelled" in report


def test_a_run_without_any_read_answer_has_no_share_of_them(manifest, tmp_path):
    run.zeroshot(manifest, FakeAnswerer(dict.fromkeys(range(4), "?")), tmp_path / "out")
    bound = figures(tmp_path / "out")["parser"]["bounds"]["left_out"]
    assert bound == {"n": 0, "accuracy": None, "accuracy_ci95": None}


class TestInterrupted:
    def interrupt(self, manifest, out, **changes):
        with pytest.raises(KeyboardInterrupt):
            run.evaluate(manifest, FakeClassifier({2: 1}, stop_after=8, **changes), out)

    def test_is_taken_up_where_it_stopped(self, manifest, tmp_path):
        self.interrupt(manifest, tmp_path / "out")
        assert not (tmp_path / "out" / "metrics.json").exists()
        again = FakeClassifier({2: 1})
        run.evaluate(manifest, again, tmp_path / "out")
        assert again.seen == 12
        run.evaluate(manifest, FakeClassifier({2: 1}), tmp_path / "whole")
        assert digests(tmp_path / "out") == digests(tmp_path / "whole")

    def test_torn_last_line_is_done_again(self, manifest, tmp_path):
        self.interrupt(manifest, tmp_path / "out")
        partial = tmp_path / "out" / run.PARTIAL
        partial.write_bytes(partial.read_bytes()[:-20])
        again = FakeClassifier({2: 1})
        run.evaluate(manifest, again, tmp_path / "out")
        assert again.seen == 13
        assert figures(tmp_path / "out")["n"] == 20

    def test_answers_outlast_a_full_disk(self, manifest, tmp_path, monkeypatch):
        self.interrupt(manifest, tmp_path / "out")
        before = (tmp_path / "out" / run.PARTIAL).read_bytes()

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("mayak.files.os.fsync", full)
        with pytest.raises(ConfigError, match="cannot be written"):
            run.evaluate(manifest, FakeClassifier({2: 1}), tmp_path / "out")
        assert (tmp_path / "out" / run.PARTIAL).read_bytes() == before

    def test_another_engine_begins_anew(self, manifest, tmp_path):
        self.interrupt(manifest, tmp_path / "out")
        other = FakeClassifier(adapter="other")
        run.evaluate(manifest, other, tmp_path / "out")
        assert other.seen == 20
        assert figures(tmp_path / "out")["accuracy"] == 1.0


def test_results_of_another_run_are_replaced_whole(manifest, tmp_path):
    out = tmp_path / "out"
    run.evaluate(manifest, FakeClassifier({2: 1}), out)
    (out / "notes.txt").write_text("the user's", encoding="utf-8")
    run.evaluate(manifest, FakeClassifier(adapter="better"), out)
    assert figures(out)["accuracy"] == 1.0
    assert not (out / "misclassified.jpg").exists()
    assert (out / "notes.txt").exists()


def test_out_that_is_a_file_is_an_error(manifest, tmp_path):
    (tmp_path / "out").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be made"):
        run.evaluate(manifest, FakeClassifier(), tmp_path / "out")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_report_asks_for_nothing_and_escapes_everything(manifest, tmp_path, language):
    answers = FakeAnswerer({3: "<script>alert(1)</script> & 마약"})
    run.zeroshot(manifest, answers, tmp_path / "out", language=language)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f'<html lang="{language}">' in page
    assert "<script" not in page
    assert re.findall(r"https?://|url\((?!data:)|@import", page) == []
    assert all(
        src.startswith("data:image/jpeg;base64,") for src in re.findall(r'src="([^"]+)', page)
    )


def test_report_tells_its_engine_data_and_limits(manifest, tmp_path):
    nano = FakeClassifier({2: 1}, model="nano@sha256:77")
    result = run.evaluate(manifest, nano, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert result.engine.fingerprint in page
    assert manifest.digest in page
    assert "They do not measure accuracy on real cases" in page
    assert "75.00%" in page
    assert page.count("<figure>") == 5


def test_report_marks_figures_of_too_few_groups(manifest, tmp_path):
    result = run.evaluate(manifest, FakeClassifier({2: 1}), tmp_path / "en")
    assert result.metrics.n_groups < 20
    page = (tmp_path / "en" / "report.html").read_text(encoding="utf-8")
    # The accuracy and the recall of four labels.
    assert page.count("% · too few groups") == 5
    run.evaluate(manifest, FakeClassifier({2: 1}), tmp_path / "ko", language="ko")
    page = (tmp_path / "ko" / "report.html").read_text(encoding="utf-8")
    assert page.count("% · 묶음 수 부족") == 5


def test_a_korean_report_names_its_metrics(manifest, tmp_path):
    run.evaluate(manifest, FakeClassifier(), tmp_path / "a", language="ko")
    run.zeroshot(manifest, FakeClassifier({2: 1}), tmp_path / "b", language="ko")
    compare(tmp_path / "a", tmp_path / "b", tmp_path / "c", language="ko")
    for page, wanted in (
        ("a/report.html", ["라벨", "", "재현율, 95% 신뢰구간", "정밀도", "F1", "이미지"]),
        ("c/comparison.html", ["라벨", "재현율, 95% 신뢰구간", "재현율", "정밀도", "F1", "이미지"]),
    ):
        text = (tmp_path / page).read_text(encoding="utf-8")
        assert "<h2>라벨별</h2>" in text
        head = text.partition("<h2>라벨별</h2>")[2].partition("</thead>")[0]
        assert re.findall("<th[^>]*>([^<]*)</th>", head) == wanted
    text = (tmp_path / "a" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"<dt>수치 형식\(양자화\)</dt><dd>\w+</dd>", text)


def test_progress_counts_every_image(manifest, tmp_path):
    class Counter:
        total = steps = 0

        def task(self, name, total, unit):
            self.total = total
            return self

        def __enter__(self):
            return self

        def __exit__(self, *exc):
            return None

        def advance(self, steps=1, **figures):
            self.steps += steps

    (tmp_path / "raw_data" / "0_irrelevant" / "사진 0.png").unlink()
    counter = Counter()
    run.evaluate(manifest, FakeClassifier(), tmp_path / "out", counter)
    assert counter.steps == counter.total == 20


@pytest.mark.parametrize("name", ["a\nb.png", "a\rb.png", "\x1b[31mred.png"])
@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_any_file_name_can_be_reported(tmp_path, name):
    path = make_data(tmp_path)
    rows = json.loads(path.read_text(encoding="utf-8"))
    old = tmp_path / rows[0]["image_path"]
    old.rename(old.with_name(name))
    rows[0]["image_path"] = old.with_name(name).relative_to(tmp_path).as_posix()
    path.write_text(json.dumps(rows), encoding="utf-8")
    (path.parent / "dataset.json").unlink(missing_ok=True)
    result = run.evaluate(read_manifest(path), FakeClassifier(wrong={0: 3}), tmp_path / "out")
    assert len(result.rows) == len(rows)
    assert read_run(tmp_path / "out").rows[0].image_path == rows[0]["image_path"]


def test_an_output_that_cannot_be_written_is_an_error(manifest, tmp_path):
    out = tmp_path / "out"
    (out / "metrics.json").mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be written"):
        run.evaluate(manifest, FakeClassifier(), out)


CHANGES = {
    "all right": lambda rows: [row | {"predicted": row["label"]} for row in rows],
    "five deleted": lambda rows: rows[5:],
    "one twice": lambda rows: rows + rows[:1],
    "header only": lambda rows: [],
}


def changed(folder, change, *, is_older):
    """Change a run's table; an older run has no digest of it."""
    path = folder / "predictions.csv"
    rows = table(path)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(change(rows))
    if is_older:
        found = figures(folder)
        del found["predictions_sha256"]
        (folder / "metrics.json").write_text(json.dumps(found), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "is_older"),
    [(name, False) for name in CHANGES] + [(name, True) for name in list(CHANGES)[1:]],
)
def test_a_table_that_was_changed_after_the_run_is_refused(manifest, tmp_path, change, is_older):
    run.zeroshot(manifest, FakeAnswerer({2: "?"}), tmp_path / "out")
    changed(tmp_path / "out", CHANGES[change], is_older=is_older)
    with pytest.raises(ConfigError, match=r"predictions\.csv is not the one that") as error:
        read_run(tmp_path / "out")
    assert str(tmp_path / "out") in error.value.message


def test_an_older_run_without_a_digest_of_its_table_is_read(manifest, tmp_path):
    seen = frozenset({manifest.samples[0].sha256})
    run.evaluate(manifest, FakeClassifier(), tmp_path, leakage=Leakage("r", seen=seen))
    changed(tmp_path, lambda rows: rows, is_older=True)
    assert len(read_run(tmp_path).rows) == 20


@pytest.mark.parametrize("by_pdq", [True, False])
def test_the_figures_state_how_images_were_compared(manifest, tmp_path, by_pdq):
    leakage = Leakage("record", is_by_pdq=by_pdq)
    run.evaluate(manifest, FakeClassifier(), tmp_path, leakage=leakage)
    note = figures(tmp_path)["training_record"]["note"]
    assert ("by SHA-256 or PDQ" in note) == by_pdq
    assert ("near copies were not looked for" in note) != by_pdq
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ("were not looked for" in page) != by_pdq


def test_a_table_that_breaks_off_is_named_with_the_row(manifest, tmp_path):
    run.evaluate(manifest, FakeClassifier(), tmp_path)
    changed(tmp_path, lambda rows: rows, is_older=True)
    path = tmp_path / "predictions.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])  # in the last cell, which is shorter then
    with pytest.raises(ConfigError, match=r"predictions\.csv is not the one that"):
        read_run(tmp_path)
    path.write_bytes(whole[:-80])
    with pytest.raises(ConfigError, match=r"predictions\.csv, row 20: incomplete or damaged"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("content", "named"), [("[]", "no JSON object"), ("{}", "without kind, dataset, engine")]
)
def test_figures_of_another_form_are_named_in_words(manifest, tmp_path, content, named):
    run.evaluate(manifest, FakeClassifier(), tmp_path)
    (tmp_path / "metrics.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"metrics\.json: {named}"):
        read_run(tmp_path)


@pytest.mark.parametrize("key", ["training_record", "fold"])
def test_an_object_of_the_figures_that_is_none_is_named(manifest, tmp_path, key):
    run.zeroshot(manifest, FakeClassifier(), tmp_path)
    path = tmp_path / "metrics.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(found | {key: ["x"]}), encoding="utf-8")
    with pytest.raises(ConfigError, match=f"without {key}"):
        read_run(tmp_path)
