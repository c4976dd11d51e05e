"""Whole runs of the tiny model on a CPU."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoProcessor, LlavaNextForConditionalGeneration

from mayak.config import load_train_config
from mayak.dataset.manifest import read_manifest
from mayak.dataset.training_images import TrainingImages
from mayak.errors import ConfigError, ManifestError, ModelError
from mayak.imaging import decode_file
from mayak.model import LabelScorer, load_model
from mayak.model.cascade import CascadeTiers
from mayak.training import callback, train
from mayak.training.forward import AnswerForward
from model_folder import make_data

SETTINGS = {
    "precision": "fp32",
    "lora": {"r": 4, "alpha": 8, "dropout": 0.1},
    "epochs": 2,
    "learning_rate": 0.01,
    "batch_size": 2,
    "accumulate": 3,
    "validations_per_epoch": 2,
    "checkpoint_every": 1,
    "gradient_checkpointing": True,
    "seed": 3,
}
# 16 images: 8 batches an epoch, steps of 6, 6 and 4 images, validated after 2 and 3.


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("root"))


def configured(model, **changes):
    return load_train_config("nano", SETTINGS | {"model": str(model)} | changes)


def run(model, data, output, **options):
    changes = options.pop("changes", {})
    return train(configured(model, **changes), data=data, output=output, device="cpu", **options)


@pytest.fixture(scope="module")
def whole(model_folder, data, tmp_path_factory):
    """An uninterrupted run, and its folder."""
    output = tmp_path_factory.mktemp("whole") / "out"
    return run(model_folder, data, output), output


def events(output, *kinds):
    lines = (output / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if not kinds or row["event"] in kinds]


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def same_run(left, right):
    """Same losses, scores and weights, to the bit."""
    (one, one_folder), (two, two_folder) = left, right
    assert one.losses == two.losses
    assert one.validations == two.validations
    assert (one.best_step, one.best_accuracy) == (two.best_step, two.best_accuracy)
    first, second = weights(one_folder / FINAL), weights(two_folder / FINAL)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


FINAL = "final_model_checkpoint"


def test_it_learns(whole):
    result, _ = whole
    assert result.steps == 6
    assert [v.step for v in result.validations] == [2, 3, 5, 6]
    assert result.losses[-1] < result.losses[0]
    assert result.validations[-1].loss < result.validations[0].loss
    # r 4 × (q, o: 64 + 64; k, v: 64 + 32; gate, up, down: 64 + 128) × 2 layers
    assert result.trained_parameters == 4 * (2 * 128 + 2 * 96 + 3 * 192) * 2


def test_the_best_is_the_most_accurate_and_of_equals_the_lowest_loss(whole):
    result, _ = whole
    best = min(result.validations, key=lambda v: (-v.accuracy, v.loss))
    assert (result.best_step, result.best_accuracy, result.best_loss) == (
        best.step,
        best.accuracy,
        best.loss,
    )


def test_the_log_has_every_step_once_with_its_figures(whole):
    _, output = whole
    steps = events(output, "step")
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    assert [row["samples"] for row in steps] == [6, 6, 4, 6, 6, 4]
    assert steps[2]["epoch"] == 1.0
    assert all(row["seconds"] > 0 for row in steps)
    assert [row["event"] for row in events(output)][:5] == [
        "start", "step", "step", "validation", "step"
    ]  # fmt: skip


def test_tensorboard_has_the_same_curve(whole):
    result, output = whole
    board = EventAccumulator(str(output / "tensorboard")).Reload()
    curve = [(event.step, event.value) for event in board.Scalars("train/loss")]
    assert [step for step, _ in curve] == [1, 2, 3, 4, 5, 6]
    assert [value for _, value in curve] == pytest.approx(result.losses, abs=1e-6)
    assert [event.step for event in board.Scalars("val/accuracy")] == [2, 3, 5, 6]


def test_only_what_is_said_is_left_behind(whole):
    _, output = whole
    assert sorted(path.name for path in output.iterdir()) == [
        "checkpoints", FINAL, "identity.json", "log.jsonl", "tensorboard"
    ]  # fmt: skip
    assert sorted(path.name for path in (output / FINAL).iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "processor_config.json",
        "run.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "training_images.json",
    ]
    assert not Path("lightning_logs").exists()


def test_checkpoints_hold_adapter_and_optimiser_and_no_base(whole, model_folder):
    result, output = whole
    files = sorted((output / "checkpoints").iterdir())
    assert [file.name.split("-")[0] for file in files] == ["best", "best", "last.ckpt"]
    content = torch.load(output / "checkpoints" / "last.ckpt", weights_only=True)
    assert sum(weight.numel() for weight in content["adapter"].values()) == (
        result.trained_parameters
    )
    # weights and AdamW's two moments, 4 bytes each, and names
    base = sum(file.stat().st_size for file in model_folder.glob("*.safetensors"))
    for file in files:
        assert 12 * result.trained_parameters < file.stat().st_size < 0.02 * base


# PEFT reads a property that transformers has since renamed.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_the_final_folder_loads_with_plain_peft_and_scores_as_ours(whole, model_folder, data):
    result, output = whole
    base = LlavaNextForConditionalGeneration.from_pretrained(model_folder)
    plain = PeftModel.from_pretrained(base, output / FINAL).eval()
    processor = AutoProcessor.from_pretrained(output / FINAL)
    manifest = read_manifest(data / "val_drug_data.json")
    images = [decode_file(manifest.locate(sample)) for sample in manifest.samples]
    vlm = load_model(str(model_folder), precision="fp32", device="cpu", adapter=output / FINAL)
    predictions = list(LabelScorer(vlm).classify(images))
    hits = sum(
        p.scores.label == s.label for p, s in zip(predictions, manifest.samples, strict=True)
    )
    assert hits / len(images) == result.best_accuracy

    prompt = json.loads((output / FINAL / "run.json").read_text(encoding="utf-8"))["prompt"]
    batch = processor(
        images=images[0].pixels,
        text=prompt["text"],
        input_data_format="channels_last",
        return_tensors="pt",
    )
    batch["input_ids"] = torch.cat([batch["input_ids"], torch.tensor([[28705]])], dim=1)
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    with torch.no_grad():
        logits = plain(**batch).logits[0, -1].double()
    expected = logits[[28734, 28740, 28750, 28770]].softmax(0).tolist()
    assert predictions[0].scores.values == pytest.approx(expected, abs=1e-5)


def test_run_json_says_what_made_the_adapter(whole, model_folder, data):
    result, output = whole
    record = json.loads((output / FINAL / "run.json").read_text(encoding="utf-8"))
    assert record["config"] == configured(model_folder).model_dump(mode="json")
    assert record["dataset"]["train"] == {
        "digest": read_manifest(data / "train_drug_data.json").digest,
        "images": 16,
    }
    assert record["base_model"]["identity"].startswith("tiny@sha256:")
    assert record["prompt"]["text"].startswith("[INST] <image>\n이 이미지는")
    assert len(record["prompt"]["ids_digest"]) == 64
    assert (record["seed"], record["devices"], record["effective_batch"]) == (3, ["cpu"], 6)
    assert record["curve"]["train_loss"] == list(result.losses)
    assert record["best"]["step"] == result.best_step
    assert {"python", "mayak", "torch", "transformers", "peft", "lightning"} <= set(
        record["versions"]
    )


def test_the_final_folder_records_the_images_that_made_the_adapter(whole, data):
    _, output = whole
    record = TrainingImages.read(output / FINAL)
    splits = [read_manifest(data / f"{split}_drug_data.json") for split in ("train", "val")]
    assert (record.train, record.validation) == tuple(
        tuple(sorted(sample.sha256 for sample in split.samples)) for split in splits
    )
    tokenizer = (output / FINAL / "tokenizer_config.json").read_text(encoding="utf-8")
    assert "local_files_only" not in tokenizer
    run = json.loads((output / FINAL / "run.json").read_text(encoding="utf-8"))
    assert run["training_images"] == record.digest
    assert record.digest in (output / FINAL / "README.md").read_text(encoding="utf-8")


def test_validation_images_that_are_training_images_too_are_counted(tmp_path):
    data = make_data(tmp_path, train=1, val=1)
    shutil.copy(tmp_path / "raw/train/0_000.png", tmp_path / "raw/val/0_000.png")
    (data / "dataset.json").unlink()
    notes = []
    with pytest.raises(ModelError, match="does not exist"):
        run("no model", data, tmp_path / "out", note=notes.append)
    assert [note for note in notes if note.startswith("1 validation image(s) are training images")]


def test_the_same_run_twice_is_the_same_to_the_bit(whole, model_folder, data, tmp_path):
    again = run(model_folder, data, tmp_path)
    same_run(whole, (again, tmp_path))


def killed(monkeypatch, step):
    """Make the process 'die' right after a step was logged, before anything is saved."""
    advance = callback.RunLog.append

    def append(self, event, **values):
        advance(self, event, **values)
        if event == "step" and values["step"] == step:
            raise RuntimeError("killed")

    monkeypatch.setattr(callback.RunLog, "append", append)


@pytest.mark.parametrize(("step", "every"), [(1, 1), (2, 1), (3, 100), (4, 100), (6, 1)])
def test_resumed_after_any_step_it_ends_the_same(
    whole, model_folder, data, tmp_path, monkeypatch, step, every
):
    changes = {"checkpoint_every": every}
    with monkeypatch.context() as patch:
        killed(patch, step)
        with pytest.raises(RuntimeError, match="killed"):
            run(model_folder, data, tmp_path, changes=changes)
    notes = []
    result = run(model_folder, data, tmp_path, changes=changes, resume=True, note=notes.append)
    same_run(whole, (result, tmp_path))
    assert [row["step"] for row in events(tmp_path, "step")] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in events(tmp_path, "validation")] == [2, 3, 5, 6]
    saved = {1: 0, 2: 1, 3: 2, 4: 3, 6: 5}[step]  # the last checkpoint before the kill
    told = f"resuming after step {saved} of 6" if saved else "no checkpoint"
    assert any(told in note for note in notes)


BOTH = {"base_tile": True}


@pytest.fixture(scope="module")
def both(model_folder, data, tmp_path_factory):
    """A run that teaches base tiles too, its folder, and what it told."""
    output, notes = tmp_path_factory.mktemp("both") / "out", []
    return run(model_folder, data, output, changes=BOTH, note=notes.append), output, notes


def test_base_tiles_are_taught_in_the_same_steps_over_the_same_images(whole, both):
    (plain, plain_output), (result, output, notes) = whole, both
    assert result.steps == plain.steps
    steps = [[row["samples"] for row in events(at, "step")] for at in (plain_output, output)]
    assert steps[0] == steps[1]
    assert result.losses[-1] < result.losses[0]
    assert result.losses != plain.losses
    assert any("base tile alone" in note for note in notes)


def test_the_base_tiles_accuracy_stands_beside_the_whole_images(whole, both, model_folder, data):
    result, output, _ = both
    assert result.best_step == min(result.validations, key=lambda v: v.rank).step
    manifest = read_manifest(data / "val_drug_data.json")
    images = [decode_file(manifest.locate(sample)) for sample in manifest.samples]
    vlm = load_model(str(model_folder), precision="fp32", device="cpu", adapter=output / FINAL)
    readings = CascadeTiers(vlm)
    for tier, told in ((1, result.best_base_tile_accuracy), (2, result.best_accuracy)):
        with torch.no_grad():
            read = readings.label_logits([readings.prepare(tier, image) for image in images])
        said = read[:, :-1].argmax(dim=1).tolist()
        hits = sum(label == s.label for label, s in zip(said, manifest.samples, strict=True))
        assert hits / len(images) == told

    record = json.loads((output / FINAL / "run.json").read_text(encoding="utf-8"))
    assert record["config"]["base_tile"] is True
    assert record["best"]["base_tile_accuracy"] == result.best_base_tile_accuracy
    curve = [v.base_tile_accuracy for v in result.validations]
    assert [row["base_tile_accuracy"] for row in events(output, "validation")] == curve
    board = EventAccumulator(str(output / "tensorboard")).Reload()
    shown = [event.value for event in board.Scalars("val/base_tile_accuracy")]
    assert shown == pytest.approx(curve)

    plain, plain_output = whole
    assert plain.best_base_tile_accuracy is None
    assert not any("base_tile_accuracy" in row for row in events(plain_output, "validation"))


def test_resumed_with_base_tiles_it_ends_the_same(both, model_folder, data, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        killed(patch, 4)
        with pytest.raises(RuntimeError, match="killed"):
            run(model_folder, data, tmp_path, changes=BOTH)
    with pytest.raises(ConfigError, match=r"config\.base_tile: True → False"):
        run(model_folder, data, tmp_path, resume=True)
    result = run(model_folder, data, tmp_path, changes=BOTH, resume=True)
    same_run(both[:2], (result, tmp_path))


SIGNALLED = """
import os, signal, sys
from mayak.cli.app import main
from mayak.training.record import RunLog
# A test run in the background of a shell inherits that Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
append = RunLog.append
def signalled(log, event, **values):
    append(log, event, **values)
    if event == "step" and values["step"] == {step}:
        os.kill(os.getpid(), signal.{name})
RunLog.append = signalled
main(sys.argv[1:])
"""


def signalled(name, step, model_folder, data, output, config):
    """``mayak train`` in a process that signals itself once it has logged a step, so that the
    signal comes at that step however fast the machine is."""
    given = ["--config", config, "--data", data, "--output", output, "--device", "cpu"]
    return subprocess.run(
        [sys.executable, "-c", SIGNALLED.format(name=name, step=step), "train", *map(str, given)],
        env=os.environ | {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


@pytest.fixture
def config_file(model_folder, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        json.dumps(configured(model_folder, epochs=8).model_dump(mode="json")), encoding="utf-8"
    )
    return path


def test_kill_9_then_resume_ends_as_if_nothing_had_been(model_folder, data, tmp_path, config_file):
    output = tmp_path / "out"
    ended = signalled("SIGKILL", 5, model_folder, data, output, config_file)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    changes = {"epochs": 8}
    with pytest.raises(ConfigError, match="already holds a training run") as caught:
        run(model_folder, data, output, changes=changes)
    assert "--resume" in caught.value.remedy
    result = run(model_folder, data, output, changes=changes, resume=True)
    uninterrupted = run(model_folder, data, tmp_path / "other", changes=changes)
    same_run((result, output), (uninterrupted, tmp_path / "other"))
    assert [row["step"] for row in events(output, "step")] == list(range(1, 25))


def test_ctrl_c_exits_130_and_says_how_to_go_on(model_folder, data, tmp_path, config_file):
    output = tmp_path / "out"
    ended = signalled("SIGINT", 2, model_folder, data, output, config_file)
    assert ended.returncode == 130, ended.stderr
    assert "--resume" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (output / FINAL).exists()


def test_nothing_is_left_to_resume(whole, model_folder, data, tmp_path):
    result, output = whole
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "log.jsonl").read_bytes()
    notes = []
    again = run(model_folder, data, tmp_path, resume=True, note=notes.append)
    assert any("is finished" in note for note in notes)
    assert (tmp_path / "log.jsonl").read_bytes() == before
    assert again.losses == result.losses


def test_a_run_killed_while_finishing_makes_its_final_folder(whole, model_folder, data, tmp_path):
    result, output = whole
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / FINAL)
    killed = tmp_path / f".{FINAL}.{'0' * 32}"
    killed.mkdir()
    again = run(model_folder, data, tmp_path, resume=True)
    same_run((result, output), (again, tmp_path))
    assert not killed.exists()


def test_resuming_an_empty_folder_begins_with_a_note(model_folder, data, tmp_path):
    notes = []
    run(model_folder, data, tmp_path, changes={"epochs": 1}, resume=True, note=notes.append)
    assert "no checkpoint" in notes[0]
    assert any("6 images (2 × 3 accumulated × 1 device(s))" in note for note in notes)


def test_overwrite_begins_anew(whole, model_folder, data, tmp_path):
    _, output = whole
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    result = run(model_folder, data, tmp_path, changes={"epochs": 1}, overwrite=True)
    assert result.steps == 3
    assert [row["step"] for row in events(tmp_path, "step")] == [1, 2, 3]


def test_overwrite_that_cannot_begin_loses_nothing(whole, data, tmp_path):
    _, output = whole
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(ModelError):
        run(tmp_path / "no-model", data, tmp_path, overwrite=True)
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_resume_and_overwrite_exclude_each_other(model_folder, data, tmp_path):
    with pytest.raises(ConfigError, match="exclude"):
        run(model_folder, data, tmp_path, resume=True, overwrite=True)


def test_a_run_without_its_identity_is_not_resumed(whole, model_folder, data, tmp_path):
    _, output = whole
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    (tmp_path / "identity.json").unlink()
    with pytest.raises(ConfigError, match="identity"):
        run(model_folder, data, tmp_path, resume=True)


def test_a_run_that_diverges_stops_and_leaves_no_adapter(model_folder, data, tmp_path):
    with pytest.raises(ModelError, match=r"diverged|not a number"):
        run(model_folder, data, tmp_path, changes={"learning_rate": 1e30})
    assert not (tmp_path / FINAL).exists()


@pytest.mark.parametrize("count", [0, -1])
def test_a_number_of_devices_that_is_none(model_folder, data, tmp_path, count):
    with pytest.raises(ConfigError, match="--devices"):
        run(model_folder, data, tmp_path, devices=count)


def test_resuming_otherwise_names_what_changed(whole, model_folder, data, tmp_path):
    _, output = whole
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    changes = {"learning_rate": 0.5, "lora": {"r": 8, "alpha": 8, "dropout": 0.1}}
    with pytest.raises(ConfigError) as caught:
        run(model_folder, data, tmp_path, changes=changes, resume=True)
    assert "config.learning_rate: 0.01 → 0.5" in caught.value.message
    assert "config.lora.r: 4 → 8" in caught.value.message
    assert "--overwrite" in caught.value.remedy
    # This one decides no result.
    run(model_folder, data, tmp_path, changes={"checkpoint_every": 7}, resume=True)


def test_resuming_on_other_data_names_the_split(whole, model_folder, tmp_path):
    _, output = whole
    shutil.copytree(output, tmp_path / "out")
    other = make_data(tmp_path / "root", train=3)
    with pytest.raises(ConfigError, match=r"dataset\.train: ") as caught:
        run(model_folder, other, tmp_path / "out", resume=True)
    assert "dataset.val" not in caught.value.message


def test_resuming_over_other_weights_is_refused(whole, model_folder, data, tmp_path):
    _, output = whole
    shutil.copytree(output, tmp_path / "out")
    other = tmp_path / "tiny"
    shutil.copytree(model_folder, other)
    file = next(other.glob("*.safetensors"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    identity = tmp_path / "out" / "identity.json"
    # The same name, so that only the weights differ.
    identity.write_text(
        identity.read_text(encoding="utf-8").replace(str(model_folder), str(other)),
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=r"engine\.model: tiny@sha256:"):
        run(other, data, tmp_path / "out", resume=True)


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_empty_or_missing_split_is_named(model_folder, data, tmp_path, split):
    shutil.copytree(data.parent, tmp_path / "root")
    own = tmp_path / "root" / "data"
    file = own / f"{split}_drug_data.json"
    for spoil in (lambda: file.write_text("[]", encoding="utf-8"), file.unlink):
        spoil()
        with pytest.raises(ManifestError, match=file.name):
            run(model_folder, own, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bad_image_stops_the_run_before_it_begins(model_folder, data, tmp_path):
    shutil.copytree(data.parent, tmp_path / "root")
    (tmp_path / "root" / "raw" / "val" / "2_001.png").write_bytes(b"no longer an image")
    with pytest.raises(ManifestError, match=r"2_001\.png"):
        run(model_folder, tmp_path / "root" / "data", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def bad_image(data, tmp_path):
    """A data folder with an image that cannot be decoded, which stops what comes after."""
    shutil.copytree(data.parent, tmp_path / "root")
    (tmp_path / "root" / "raw" / "train" / "0_000.png").write_bytes(b"no image")
    return tmp_path / "root" / "data"


def test_a_wrong_model_is_refused_before_an_image_is_decoded(bad_image, tmp_path):
    with pytest.raises(ModelError):
        run(tmp_path / "nowhere", bad_image, tmp_path / "out")


def test_an_output_that_cannot_be_written_is_refused_before_an_image_is_decoded(
    model_folder, bad_image, tmp_path
):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be written"):
        run(model_folder, bad_image, tmp_path / "file" / "out")


def test_a_disk_without_room_is_refused_before_an_image_is_decoded(
    model_folder, bad_image, tmp_path
):
    with pytest.raises(ConfigError, match=r"need \d+\.\d GiB") as refused:
        run(model_folder, bad_image, tmp_path / "out", changes={"keep_best": 10**9})
    assert "another --output" in refused.value.remedy
    assert not (tmp_path / "out").exists()


def test_a_wrong_model_folder_leaves_nothing_behind(data, tmp_path):
    with pytest.raises(ModelError):
        run(tmp_path / "nowhere", data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_devices_that_are_not_there(model_folder, data, tmp_path):
    config = configured(model_folder)
    for device, count, match in (
        ("sofa", None, "unknown device"),
        ("cuda:99", None, "usable GPU"),
        ("cuda:0", 2, "asks for 2"),
    ):
        with pytest.raises(ConfigError, match=match):
            train(config, data=data, output=tmp_path / "out", device=device, devices=count)


@pytest.mark.parametrize("checkpointing", [True, "auto"])
def test_a_full_gpu_is_a_clear_error(model_folder, data, tmp_path, monkeypatch, checkpointing):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(AnswerForward, "__call__", full)
    changes = {"gradient_checkpointing": checkpointing}
    with pytest.raises(ModelError, match="memory is full") as caught:
        run(model_folder, data, tmp_path / "out", changes=changes)
    assert "--batch-size 1" in caught.value.remedy


def test_a_full_disk_is_a_clear_error_and_resumable(
    whole, model_folder, data, tmp_path, monkeypatch
):
    save = torch.save

    def full(content, file, *_, **__):
        if content["step"] >= 4:
            raise OSError(28, "No space left on device")
        save(content, file)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(ConfigError, match="No space left on device"):
            run(model_folder, data, tmp_path)
    same_run(whole, (run(model_folder, data, tmp_path, resume=True), tmp_path))


def test_qlora_trains_over_a_4_bit_base(model_folder, data, tmp_path):
    changes = {"precision": "nf4", "epochs": 1}
    result = run(model_folder, data, tmp_path, changes=changes)
    assert result.losses[-1] < result.losses[0]
    adapter = tmp_path / FINAL
    vlm = load_model(str(model_folder), precision="nf4", device="cpu", adapter=adapter)
    assert vlm.engine.adapter


def test_an_embedded_models_adapter_names_no_path(model_folder, data, tmp_path, monkeypatch):
    # `nano` stands for a folder of the installed package, which differs between machines.
    monkeypatch.setattr("mayak.model.load.files", lambda _: model_folder.parent)
    (model_folder.parent / "nano").symlink_to(model_folder, target_is_directory=True)
    run("nano", data, tmp_path, changes={"epochs": 1})
    for file in (tmp_path / FINAL).iterdir():
        if file.suffix in (".json", ".md", ".jinja"):
            text = file.read_text(encoding="utf-8")
            assert str(model_folder.parent) not in text, file
    settings = json.loads((tmp_path / FINAL / "adapter_config.json").read_text(encoding="utf-8"))
    assert settings["base_model_name_or_path"] == "nano"
