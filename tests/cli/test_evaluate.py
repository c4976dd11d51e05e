"""The commands ``evaluate``, ``zeroshot``, ``compare`` and ``classify`` as a user meets them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mayak.cli.app import main
from mayak.cli.options import base_of
from mayak.dataset.manifest import read_manifest
from mayak.dataset.training_images import TRAINING_IMAGES, TrainingImages
from mayak.errors import ConfigError, ModelError
from mayak.labels import LABELS, QUESTION


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A project folder with a test set of four images, one a class, as working folder."""
    rows = []
    for label in LABELS:
        path = tmp_path / "raw_data" / label.folder / "사진.png"
        path.parent.mkdir(parents=True)
        pixels = np.full((60, 90, 3), 60 * label.index, dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        relative = path.relative_to(tmp_path).as_posix()
        rows.append(
            {
                "id": label.folder,
                "image_path": relative,
                "question": QUESTION,
                "answer": label.answer,
            }
        )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test_drug_data.json").write_text(
        json.dumps(rows, ensure_ascii=False), encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mayak(capsys):
    """Runs one command; gives its exit code, stdout and stderr."""

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main(["--lang", "en", *map(str, arguments)])
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    return call


@pytest.fixture(scope="module")
def adapter(model_folder, tmp_path_factory):
    """A LoRA adapter over the tiny model that changes it, with the ``run.json`` beside it."""
    import warnings

    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlavaNextForConditionalGeneration

    folder = tmp_path_factory.mktemp("adapter")
    model = LlavaNextForConditionalGeneration.from_pretrained(model_folder)
    targets = r".*language_model\.layers\.\d+\.self_attn\.q_proj"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
        adapted = get_peft_model(model, LoraConfig(r=2, target_modules=targets))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.5)
    adapted.save_pretrained(folder)
    (folder / "run.json").write_text(
        json.dumps({"base_model": {"name": str(model_folder), "revision": None}}),
        encoding="utf-8",
    )
    return folder


def test_zeroshot_evaluate_compare(home, mayak, model_folder, adapter):
    code, out, _ = mayak("zeroshot", "--model", model_folder, "--precision", "fp32")
    assert code == 0
    assert "accuracy" in out
    assert "answers that name no label" in out
    assert "too few groups (fewer than 20 duplicate groups): accuracy, recall of 0" in out
    assert (home / "evaluation_results_zeroshot" / "report.html").is_file()

    code, out, _ = mayak("evaluate", "--adapter", adapter, "--precision", "fp32", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["kind"], found["n"]) == ("finetuned-score", 4)
    assert found["engine_details"]["adapter"] is not None
    assert found == json.loads(
        (home / "evaluation_results_epochs5" / "metrics.json").read_text(encoding="utf-8")
    )

    code, out, _ = mayak("compare", "--json")
    assert code == 0
    assert json.loads(out) == json.loads(
        (home / "comparison" / "comparison.json").read_text(encoding="utf-8")
    )
    code, out, _ = mayak("compare")
    assert code == 0
    assert "McNemar p =" in out
    assert out.startswith("note: Unequal ways")
    assert "`mayak evaluate --by generate`" in out


def test_both_commands_ask_in_both_ways(home, mayak, model_folder, adapter):
    untouched, tuned = ("--model", model_folder), ("--adapter", adapter)
    kinds = {
        "evaluation_results_zeroshot": ("zeroshot", "zeroshot-generate", untouched),
        "evaluation_results_zeroshot_score": ("zeroshot", "zeroshot-score", untouched),
        "evaluation_results_epochs5_generate": ("evaluate", "finetuned-generate", tuned),
        "evaluation_results_epochs5": ("evaluate", "finetuned-score", tuned),
    }
    for folder, (command, kind, options) in kinds.items():
        by = kind.partition("-")[2]
        code, _, _ = mayak(command, "--by", by, "--precision", "fp32", *options)
        assert code == 0
        found = json.loads((home / folder / "metrics.json").read_text(encoding="utf-8"))
        assert found["kind"] == kind
    unfinished = home / "evaluation_results_epochs5_generate" / "metrics.json"
    whole = unfinished.read_bytes()
    unfinished.unlink()
    code, out, _ = mayak("compare")
    assert code == 0
    assert "not measured" in out
    unfinished.write_bytes(whole)
    code, out, err = mayak("compare")
    assert code == 0, err
    assert "Two by two" in out
    assert "not measured" not in out.casefold()
    found = json.loads((home / "comparison" / "comparison.json").read_text(encoding="utf-8"))
    assert [cell["folder"] for cell in found["two_by_two"]["cells"]] == [
        "evaluation_results_zeroshot",
        "evaluation_results_epochs5",
        "evaluation_results_zeroshot_score",
        "evaluation_results_epochs5_generate",
    ]


def recorded(adapter, folder, train, validation):
    """A copy of the adapter with the record of a training on these images of the test set."""
    adapter = shutil.copytree(adapter, folder)
    digests = [sample.sha256 for sample in read_manifest(Path("data/test_drug_data.json")).samples]
    record = TrainingImages(*(tuple(sorted(digests[part])) for part in (train, validation)))
    (adapter / TRAINING_IMAGES).write_text(json.dumps(record.as_json()), encoding="utf-8")
    return adapter, record


def test_training_images_alone_are_not_evaluated(home, mayak, adapter, tmp_path):
    adapter, _ = recorded(adapter, tmp_path / "a", slice(4), slice(0))
    code, _, err = mayak("evaluate", "--adapter", adapter, "--precision", "fp32")
    assert code == 2
    assert "4 of 4 images are training images of the adapter" in err
    assert "사진.png" in err
    assert not (home / "evaluation_results_epochs5").exists()


def test_training_images_are_measured_apart(home, mayak, adapter, model_folder, tmp_path):
    adapter, record = recorded(adapter, tmp_path / "a", slice(1), slice(0))
    code, out, _ = mayak("evaluate", "--adapter", adapter, "--precision", "fp32")
    assert code == 0
    assert "3 images" in out
    assert "1 image is a training image of the adapter or a near copy of one" in out
    results = home / "evaluation_results_epochs5"
    assert "1 image is a training image" in (results / "report.html").read_text(encoding="utf-8")
    found = json.loads((results / "metrics.json").read_text(encoding="utf-8"))
    rows = {row["image_path"]: row for row in csv_rows(results / "predictions.csv")}
    (seen,) = [row for row in rows.values() if row["seen_in_training"]]
    assert seen["sha256"] == record.train[0]
    others = [row for row in rows.values() if row is not seen]
    assert found["n"] == len(others) == 3
    right = sum(row["label"] == row["predicted"] for row in others)
    assert found["accuracy"] == pytest.approx(right / 3)
    assert found["training_record"]["seen"] == 1
    assert found["training_record"]["seen_accuracy"] == (seen["label"] == seen["predicted"])

    mayak("zeroshot", "--by", "score", "--model", model_folder, "--precision", "fp32")
    compared = ("evaluation_results_zeroshot_score", "evaluation_results_epochs5")
    code, out, _ = mayak("compare", *compared, "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["n"], found["n_seen_in_training"], found["n_unpaired"]) == (3, 1, 0)
    _, out, _ = mayak("compare", *compared)
    assert "because one of the models was trained on them: 1\n" in out
    page = (home / "comparison" / "comparison.html").read_text(encoding="utf-8")
    assert "1 images are training images of one of the models" in page


def csv_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_result_says_that_images_chose_the_checkpoint(home, mayak, adapter, tmp_path):
    adapter, record = recorded(adapter, tmp_path / "a", slice(0), slice(3))
    code, out, _ = mayak("evaluate", "--adapter", adapter, "--precision", "fp32")
    assert code == 0
    results = home / "evaluation_results_epochs5"
    assert "3 of these images chose the adapter's checkpoint" in out
    assert "3 of these images chose" in (results / "report.html").read_text(encoding="utf-8")
    found = json.loads((results / "metrics.json").read_text(encoding="utf-8"))["training_record"]
    assert (found["digest"], found["validation_images"]) == (record.digest, 3)


def test_the_result_says_that_leakage_could_not_be_checked(home, mayak, model_folder, adapter):
    code, out, _ = mayak("evaluate", "--adapter", adapter, "--precision", "fp32")
    assert code == 0
    results = home / "evaluation_results_epochs5"
    assert "the adapter is without a training record" in out
    assert "is without a training record" in (results / "report.html").read_text(encoding="utf-8")
    found = json.loads((results / "metrics.json").read_text(encoding="utf-8"))["training_record"]
    assert found["digest"] is None
    assert "leakage cannot be checked" in found["note"]

    mayak("zeroshot", "--by", "score", "--model", model_folder, "--precision", "fp32")
    results = home / "evaluation_results_zeroshot_score"
    untouched = json.loads((results / "metrics.json").read_text(encoding="utf-8"))
    assert untouched["training_record"] is None


def test_fp8_is_refused_until_evaluate_has_compared_it_with_bf16(
    home, mayak, model_folder, adapter, monkeypatch
):
    image = home / "raw_data" / "0_irrelevant" / "사진.png"
    asked = ("--adapter", adapter, "--precision", "fp8", "--device", "cpu")
    code, _, err = mayak("classify", image, *asked)
    assert code == 2
    assert "fp8 has not been shown to agree with bf16" in err

    code, _, err = mayak("evaluate", *asked)
    assert code == 2
    assert "at least 100 are needed" in err

    monkeypatch.setattr("mayak.evaluation.agreement.MIN_IMAGES", 4)
    monkeypatch.setattr("mayak.evaluation.agreement.MIN_SHARE", 0.0)
    code, out, err = mayak("evaluate", *asked)
    assert code == 0
    assert "accuracy" in out
    assert "other commands may use it" in err
    assert (home / "evaluation_results_epochs5" / "bf16" / "metrics.json").is_file()
    code, _, _ = mayak("classify", image, *asked)
    assert code == 0


def test_fp8_must_be_proven_by_scores_before_it_answers(home, mayak, adapter):
    asked = ("--adapter", adapter, "--precision", "fp8", "--device", "cpu")
    (adapter / "fp8_agreement.json").unlink(missing_ok=True)
    code, _, err = mayak("evaluate", "--by", "generate", *asked)
    assert code == 2
    assert "fp8 has not been shown to agree with bf16" in err


def test_zeroshot_by_score_ends_with_1_when_an_image_is_gone(home, mayak, model_folder):
    (home / "raw_data" / "0_irrelevant" / "사진.png").unlink()
    code, out, err = mayak(
        "zeroshot", "--by", "score", "--model", model_folder, "--precision", "fp32"
    )
    assert code == 1
    assert "3 images" in out
    assert "not scored: raw_data/0_irrelevant/사진.png" in err


def test_missing_adapter_names_train(home, mayak):
    code, _, err = mayak("evaluate")
    assert code == 2
    assert "there is no adapter in outputs" in err
    assert "mayak train" in err


def test_zeroshot_takes_the_revision_of_a_hub_model(home, mayak, monkeypatch):
    asked = {}

    def load(name, **options):
        asked.update(options, name=name)
        raise ModelError("stop")

    monkeypatch.setattr("mayak.model.load_model", load)
    mayak("zeroshot", "--model", "owner/name", "--revision", "abc")
    assert (asked["name"], asked["revision"]) == ("owner/name", "abc")


def test_missing_manifest_names_prepare(home, mayak, model_folder):
    shutil.rmtree(home / "data")
    code, _, err = mayak("zeroshot", "--model", model_folder)
    assert code == 2
    assert "mayak prepare" in err


def test_batch_size_of_nothing_is_refused(home, mayak):
    code, _, err = mayak("zeroshot", "--batch-size", "0")
    assert code == 2
    assert "--batch-size is 0" in err


def test_compare_without_runs_names_the_commands(home, mayak):
    code, _, err = mayak("compare")
    assert code == 2
    assert "mayak zeroshot" in err


def test_one_folder_is_not_compared_with_a_default_one(home, mayak):
    code, _, err = mayak("compare", "evaluation_results_zeroshot")
    assert code == 2
    assert "name two to four" in err
    assert not (home / "comparison").exists()


class TestBaseOf:
    def write(self, folder, name, value):
        (folder / name).write_text(json.dumps(value), encoding="utf-8")

    def test_prefers_our_record(self, tmp_path):
        self.write(tmp_path, "adapter_config.json", {"base_model_name_or_path": "peft/name"})
        self.write(tmp_path, "run.json", {"base_model": {"name": "nano", "revision": "abc"}})
        assert base_of(tmp_path, None) == ("nano", "abc")

    def test_reads_an_adapter_made_elsewhere(self, tmp_path):
        self.write(tmp_path, "adapter_config.json", {"base_model_name_or_path": "peft/name"})
        assert base_of(tmp_path, None) == ("peft/name", None)

    def test_the_user_decides(self, tmp_path):
        self.write(tmp_path, "adapter_config.json", {"base_model_name_or_path": "peft/name"})
        assert base_of(tmp_path, "mine") == ("mine", None)

    def test_an_adapter_that_names_none(self, tmp_path):
        self.write(tmp_path, "adapter_config.json", {})
        with pytest.raises(ConfigError, match="does not name its base model"):
            base_of(tmp_path, None)

    def test_a_broken_record_is_named(self, tmp_path):
        (tmp_path / "adapter_config.json").write_text("{", encoding="utf-8")
        with pytest.raises(ConfigError, match=r"adapter_config\.json cannot be read"):
            base_of(tmp_path, None)


class TestClassify:
    def images(self, home):
        return sorted((home / "raw_data").rglob("*.png"))

    def test_table_and_failures(self, home, mayak, model_folder):
        odd = home / "[red]이름[b].png"
        shutil.copy(self.images(home)[0], odd)
        bad = home / "bad.jpg"
        bad.write_bytes(b"no image")
        options = ("--model", model_folder, "--precision", "fp32")
        code, out, err = mayak("classify", odd.name, bad.name, "gone.png", *options)
        assert code == 1
        assert "[red]이름[b].png" in out
        assert "off-label" in out
        assert "bad.jpg (not an image in any known format)" in err
        assert "gone.png" in err

    def test_json_holds_scores_that_sum_to_one(self, home, mayak, model_folder, adapter):
        files = self.images(home)
        options = ("--adapter", adapter, "--precision", "fp32", "--json")
        code, out, _ = mayak("classify", *files, *options)
        assert code == 0
        found = json.loads(out)
        assert [row["path"] for row in found["predictions"]] == [str(path) for path in files]
        for row in found["predictions"]:
            assert sum(row["scores"]) == pytest.approx(1)
            assert row["label"] == int(np.argmax(row["scores"]))

    def test_folders_are_refused(self, home, mayak):
        code, _, err = mayak("classify", home / "raw_data")
        assert code == 2
        assert "a folder" in err
        assert "*.jpg" in err

    def test_nothing_named(self, home, mayak):
        code, _, err = mayak("classify")
        assert code == 2
        assert "no files" in err


def test_a_name_in_an_error_cannot_steer_the_terminal(mayak):
    code, _, err = mayak("classify", "\x1b[31mred\udcbb.jpg", "--model", "nano")
    assert code in (1, 2)
    assert "\x1b" not in err
    assert "red\\udcbb.jpg" in err
