"""Labels of unread answers: kept with the run, never with another, and shown as a bound."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys

import pytest

from evaluation_fakes import FakeAnswerer, FakeClassifier
from mayak.dataset.training_images import Leakage
from mayak.errors import ConfigError
from mayak.evaluation import answer_labels, run
from mayak.evaluation.compare import compare
from mayak.evaluation.unread import UnreadAnswers

SAID = {0: "풍경입니다.", 1: "2번", 3: "?"}
"""Classes 0 and 3 unread, class 1 wrong, class 2 right: 5 of 20, or 5 of 10 that are read."""


@pytest.fixture
def folder(manifest, tmp_path):
    run.zeroshot(manifest, FakeAnswerer(SAID), tmp_path / "a")
    return tmp_path / "a"


def label_all(folder, labels):
    """Label the ten unread answers, of class 0 first."""
    unread = UnreadAnswers(folder, "kim")
    with unread.session():
        for position, label in enumerate(labels):
            unread.decide(position, label)


def parser(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["parser"]


def labels_file(folder):
    (found,) = folder.glob("answer_labels_*.jsonl")
    return found


def test_what_is_shown_is_the_unread_answers_and_not_the_truth(folder):
    unread = UnreadAnswers(folder, "kim")
    assert unread.answers == ["풍경입니다."] * 5 + ["?"] * 5
    assert unread.labels == [None] * 10
    assert unread.picture(0).startswith(b"\xff\xd8")


def test_labels_are_a_fourth_bound_in_metrics_report_and_comparison(folder, manifest, tmp_path):
    # Class 0: four say 0, one says 3. Class 3: one says 3, one names nothing, three are left.
    label_all(folder, [0, 0, 0, 0, 3, 3, -1])
    found = parser(folder)
    assert (found["unclassifiable"], found["labelled"]) == (10, 7)
    shares = {name: (b["n"], b["accuracy"]) for name, b in found["bounds"].items()}
    assert shares == {
        "wrong": (20, 0.25),
        "left_out": (10, 0.5),
        "as_0": (20, 0.5),
        "labelled": (20, 0.5),
    }
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "7 of 10 were labelled" in report
    assert report.count("Unread answers (10)") == 1
    assert report.rstrip().endswith("</html>")

    run.evaluate(manifest, FakeClassifier(adapter="x"), tmp_path / "b")
    compare(folder, tmp_path / "b", tmp_path / "c")
    compared = json.loads((tmp_path / "c" / "comparison.json").read_text(encoding="utf-8"))
    (cell,) = [one for one in compared["two_by_two"]["cells"] if one["folder"] == "a"]
    assert (cell["n_labelled"], cell["unread"]["labelled"]["accuracy"]) == (7, 0.5)
    page = (tmp_path / "c" / "comparison.html").read_text(encoding="utf-8")
    assert "10 unread answers, 7 of them labelled by a person" in page


def test_the_report_stays_in_its_language_when_answers_are_labelled(manifest, tmp_path):
    run.zeroshot(manifest, FakeAnswerer(SAID), tmp_path / "a", language="ko")
    before = (tmp_path / "a" / "report.html").read_text(encoding="utf-8")
    label_all(tmp_path / "a", [0])
    after = (tmp_path / "a" / "report.html").read_text(encoding="utf-8")
    assert "10개 가운데 1개를 지정했습니다" in after
    # The page has only the glyphs of its own letters.
    assert set(after) <= set(before)


def test_the_last_decision_counts_and_every_one_is_kept(folder):
    label_all(folder, [3])
    label_all(folder, [0])
    lines = [json.loads(line) for line in labels_file(folder).read_text("utf-8").splitlines()]
    assert [line.get("label") for line in lines] == [None, 3, 0]
    assert [line.get("person") for line in lines] == [None, "kim", "kim"]
    assert UnreadAnswers(folder, "lee").labels[0] == 0


def test_labels_outlive_a_repetition_of_the_run_and_another_reading_of_its_answers(
    folder, manifest, monkeypatch
):
    label_all(folder, [0, 0])
    before = parser(folder)
    run.zeroshot(manifest, FakeAnswerer(SAID), folder)
    assert parser(folder) == before
    # A later parser reads the answers of class 0: their labels are no longer needed.
    monkeypatch.setattr(
        run, "parse_answer", lambda text: {"풍경입니다.": 0, "2번": 2}.get(text, -1)
    )
    run.zeroshot(manifest, FakeAnswerer(SAID), folder)
    assert (parser(folder)["unclassifiable"], parser(folder)["labelled"]) == (10, 0)


def test_labels_are_found_again_whatever_characters_an_answer_has(manifest, tmp_path):
    said = FakeAnswerer({3: 'a\r\nb "c", \rd\u2028=1+1\n'})
    run.zeroshot(manifest, said, tmp_path / "a")
    label_all(tmp_path / "a", [3])
    run.zeroshot(manifest, said, tmp_path / "a")
    assert parser(tmp_path / "a")["labelled"] == 1


def test_images_seen_in_training_are_not_shown_and_labels_are_found_again(manifest, tmp_path):
    """Class 0: five unread answers, of which two are to training images."""
    samples = [sample for sample in manifest.samples if sample.label == 0][:2]
    leakage = Leakage("record", seen=frozenset(sample.sha256 for sample in samples))

    def measure():
        model = FakeAnswerer({0: "?"}, adapter="x")
        run.evaluate(manifest, model, tmp_path / "a", leakage=leakage)

    measure()
    assert len(UnreadAnswers(tmp_path / "a", "kim").answers) == 3
    label_all(tmp_path / "a", [0, 0, 0])
    before = parser(tmp_path / "a")
    assert (before["unclassifiable"], before["labelled"]) == (3, 3)
    assert (before["bounds"]["labelled"]["n"], before["bounds"]["labelled"]["accuracy"]) == (18, 1)
    measure()
    assert parser(tmp_path / "a") == before


def test_another_run_in_the_folder_has_none_of_the_labels_and_leaves_them(folder, manifest):
    label_all(folder, [0, 0])
    path = labels_file(folder)
    before = path.read_bytes()
    run.zeroshot(manifest, FakeAnswerer(SAID | {3: "!"}), folder)
    assert parser(folder)["labelled"] == 0
    assert UnreadAnswers(folder, "kim").labels == [None] * 10
    assert path.read_bytes() == before


def test_labels_of_another_run_under_this_ones_name_are_refused(folder, manifest, tmp_path):
    label_all(folder, [0])
    path = labels_file(folder)
    run.zeroshot(manifest, FakeAnswerer(SAID | {3: "!"}), tmp_path / "other")
    label_all(tmp_path / "other", [0])
    shutil.copy(labels_file(tmp_path / "other"), path)
    with pytest.raises(ConfigError, match="it belongs to another run"):
        UnreadAnswers(folder, "kim")


def test_a_torn_line_is_no_label_and_is_cut_off(folder):
    label_all(folder, [0, 0])
    path = labels_file(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert UnreadAnswers(folder, "kim").labels[:2] == [0, None]
    UnreadAnswers(folder, "kim").decide(1, 0)
    assert [
        line["label"] for line in map(json.loads, path.read_text("utf-8").splitlines()[1:])
    ] == [
        0,
        0,
    ]


@pytest.mark.parametrize("left", [0, 9])
def test_a_torn_first_line_is_no_other_run(folder, left):
    """A power cut before the first line was complete: no label is in the file."""
    label_all(folder, [0])
    path = labels_file(folder)
    path.write_bytes(path.read_bytes()[:left])
    assert UnreadAnswers(folder, "kim").labels == [None] * 10
    label_all(folder, [3])
    assert UnreadAnswers(folder, "kim").labels[0] == 3


def test_a_label_can_be_withdrawn(folder):
    before = parser(folder)
    label_all(folder, [0, 0])
    label_all(folder, [None, None])
    assert UnreadAnswers(folder, "kim").labels == [None] * 10
    assert parser(folder) == before
    assert len(labels_file(folder).read_text("utf-8").splitlines()) == 5


def test_two_sessions_of_one_run_are_refused(folder):
    """The second would end with labels that the first does not know, or the other way round."""
    first, second = UnreadAnswers(folder, "kim"), UnreadAnswers(folder, "lee")
    with first.session():
        first.decide(0, 3)
        with (
            pytest.raises(ConfigError, match=rf"process {os.getpid()}\b") as error,
            second.session(),
        ):
            pass
        assert error.value.remedy
    # What the first one stored is known to the second, though it was opened before.
    with second.session():
        assert second.labels[0] == 3
        second.decide(1, 0)
    assert parser(folder)["labelled"] == 2


def test_a_run_that_was_replaced_during_the_session_keeps_its_own_figures(folder, manifest):
    unread = UnreadAnswers(folder, "kim")
    with pytest.raises(ConfigError, match="was replaced") as error, unread.session():
        unread.decide(0, 0)
        run.zeroshot(manifest, FakeAnswerer({3: "?"}), folder)
        files = {name: (folder / name).read_bytes() for name in ("metrics.json", "report.html")}
    assert "mayak answers" in error.value.remedy
    for name, data in files.items():
        assert (folder / name).read_bytes() == data
    assert parser(folder)["unclassifiable"] == 5


def test_a_run_that_was_repeated_during_the_session_keeps_its_engine(folder, manifest):
    """The same answers from another engine: the labels are of both, the figures are not."""
    unread = UnreadAnswers(folder, "kim")
    with unread.session():
        unread.decide(0, 0)
        run.zeroshot(manifest, FakeAnswerer(SAID, precision="bf16"), folder)
    found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert found["engine_details"]["precision"] == "bf16"
    assert found["parser"]["labelled"] == 1


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "UNREAD", "label": 7}',
        '{"id": "UNREAD", "label": 0.0}',
        '{"id": "UNREAD", "label": true}',
        '{"id": "x", "label": 1}',
        "[]",
    ],
)
def test_a_damaged_line_is_named(folder, line):
    label_all(folder, [0])
    path = labels_file(folder)
    unread = json.loads(path.read_text("utf-8").splitlines()[1])["id"]
    with path.open("a", encoding="utf-8") as file:
        file.write(line.replace("UNREAD", unread) + "\n")
    for use in (
        lambda: UnreadAnswers(folder, "kim"),
        lambda: compare(folder, folder, folder / "c"),
    ):
        with pytest.raises(ConfigError, match=labels_file(folder).name):
            use()


@pytest.mark.skipif(sys.platform == "win32", reason="other rights there")
def test_the_file_is_its_owners_alone_and_never_a_link(folder, tmp_path):
    before = os.umask(0)
    try:
        label_all(folder, [0])
    finally:
        os.umask(before)
    path = labels_file(folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    elsewhere = tmp_path / "elsewhere.jsonl"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(ConfigError):
        UnreadAnswers(folder, "kim")


def test_a_label_that_cannot_be_stored_is_an_error_and_does_not_count(folder, monkeypatch):
    unread = UnreadAnswers(folder, "kim")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(answer_labels.os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        unread.decide(0, 1)
    assert unread.labels[0] is None


def test_a_run_by_scores_has_no_answers(manifest, tmp_path):
    run.zeroshot(manifest, FakeClassifier(), tmp_path / "a")
    with pytest.raises(ConfigError, match="has no answers") as error:
        UnreadAnswers(tmp_path / "a", "kim")
    assert "--by generate" in error.value.remedy


def test_an_image_that_has_changed_is_not_shown(folder, tmp_path):
    (tmp_path / "raw_data" / "0_irrelevant" / "사진 0.png").write_bytes(b"changed")
    assert UnreadAnswers(folder, "kim").picture(0) is None
