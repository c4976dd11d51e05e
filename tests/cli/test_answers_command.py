"""``mayak answers`` at the command line."""

import json

import pytest

from evaluation_fakes import FakeAnswerer, FakeClassifier, make_data
from mayak.cli.app import main
from mayak.dataset.manifest import read_manifest
from mayak.evaluation import run


@pytest.fixture
def mayak(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main(["--lang", "en", "answers", *map(str, arguments)])
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    return call


def measured(root, model):
    run.zeroshot(read_manifest(make_data(root)), model, root / "a")
    return root / "a"


def test_the_list_has_each_answer_with_its_label(tmp_path, mayak):
    folder = measured(tmp_path, FakeAnswerer({3: "a\x1b[31m\nb"}))
    code, out, _ = mayak(folder, "--list")
    assert code == 0
    lines = [line for line in out.splitlines() if "→ not labelled" in line]
    names = [line.split(": ")[0] for line in lines]
    assert names == [f"{number}. 사진 {number - 1}.png" for number in range(1, 6)]
    assert "3_drug_raw" not in out, "the class folder is the true label"
    assert "\x1b" not in out
    assert "5 unread answers, 0 of them labelled by a person" in out
    assert "if counted as wrong: accuracy 75.00% (20 images)" in out
    assert "if left out: accuracy 100.00% (15 images)" in out


def test_the_page_ends_with_the_bounds_in_terminal_metrics_and_report(tmp_path, mayak, monkeypatch):
    folder = measured(tmp_path, FakeAnswerer({3: "?"}))

    def person(unread, *, opened, **_):
        opened("http://127.0.0.1:1/?token=x")
        for position, label in enumerate((3, 3, -1, 0)):
            unread.decide(position, label)

    monkeypatch.setattr("mayak.review.serve_answers", person)
    code, out, err = mayak(folder, "--reviewer", "kim")
    assert code == 0
    assert out.startswith("http://127.0.0.1:1/?token=x\n")
    assert "Ctrl-C ends the page" in err
    assert "5 unread answers, 4 of them labelled by a person" in out
    assert "if as a person labelled them: accuracy 85.00% (20 images)" in out
    parser = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["parser"]
    assert parser["bounds"]["labelled"]["accuracy"] == 0.85


def test_a_run_without_unread_answers_needs_no_page(tmp_path, mayak):
    code, out, _ = mayak(measured(tmp_path, FakeAnswerer()))
    assert code == 0
    assert "0 unread answers" in out


def test_a_run_by_scores_is_refused(tmp_path, mayak):
    code, _, err = mayak(measured(tmp_path, FakeClassifier()))
    assert code == 2
    assert "has no answers" in err
    assert "--by generate" in err
