"""Whether activations are kept: counted without keeping them, decided by what is free."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from mayak.config import load_train_config
from mayak.model import load_model
from mayak.model.prompt import token_counts
from mayak.training import memory, train
from mayak.training.memory import Fit, foresee, kept_bytes, largest_batch
from mayak.training.module import FineTuning
from mayak.training.plan import Plan
from model_folder import make_data

SETTINGS = {
    "precision": "fp32",
    "lora": {"r": 4, "alpha": 8, "dropout": 0.1},
    "epochs": 1,
    "learning_rate": 0.01,
    "batch_size": 2,
    "accumulate": 2,
    "validations_per_epoch": 1,
    "seed": 3,
}


@pytest.fixture
def vlm(model_folder):
    return load_model(str(model_folder), precision="fp32", device="cpu")


def tuned(vlm, *, checkpointing=False):
    config = load_train_config("nano", SETTINGS | {"model": "tiny"})
    module = FineTuning(vlm, config, Plan(16, 1, 2, 2, 1, 1, 3))
    if checkpointing:
        module.checkpoint_activations()
    return module


def kept_by_autograd(module, batch):
    """Bytes of the storages that a pass really keeps, all held until the end."""
    held = {}

    def keep(saved):
        storage = saved.untyped_storage()
        held[storage.data_ptr()] = storage
        return saved

    own = {part.untyped_storage().data_ptr() for part in [*module.parameters(), *batch.values()]}
    with saved_tensors_hooks(keep, lambda saved: saved):
        loss = module(batch)
    total = sum(storage.nbytes() for place, storage in held.items() if place not in own)
    del loss
    return total


def test_what_is_counted_is_what_autograd_keeps(vlm):
    module = tuned(vlm)
    batch = largest_batch(vlm.processor, vlm.prompt, 1)
    counted = kept_bytes(module, batch, mixed=False)
    assert counted == pytest.approx(kept_by_autograd(module, batch), rel=0.02)
    assert counted > 2**20


def test_two_images_keep_twice_as_much_and_checkpointing_a_fraction(vlm):
    module = tuned(vlm)
    one, two = (
        kept_bytes(module, largest_batch(vlm.processor, vlm.prompt, n), mixed=False) for n in (1, 2)
    )
    assert two == pytest.approx(2 * one, rel=0.02)
    module.checkpoint_activations()
    few = kept_bytes(module, largest_batch(vlm.processor, vlm.prompt, 1), mixed=False)
    assert few < one / 4


def test_no_image_takes_more_tokens_than_the_blank_one(vlm):
    batch = largest_batch(vlm.processor, vlm.prompt, 1)
    length = batch["input_ids"].shape[1]
    images = [
        memory.DecodedImage("", torch.zeros(h, w, 3, dtype=torch.uint8).numpy(), (w, h), "")
        for h, w in [(50, 50), (60, 600), (600, 60), (300, 400), (224, 224), (37, 211)]
    ]
    text = len(vlm.prompt.question_ids) - 1 + vlm.prompt.answer_length
    assert max(token_counts(vlm.processor, images)) + text <= length


def test_it_needs_the_optimiser_too(vlm):
    module = tuned(vlm)
    batch = largest_batch(vlm.processor, vlm.prompt, 1)
    trained = 4 * (2 * 128 + 2 * 96 + 3 * 192) * 2  # as in test_run
    found = foresee(module, batch, mixed=False)
    expected = 1.2 * (kept_bytes(module, batch, mixed=False) + 12 * trained)
    assert found.needed == pytest.approx(expected, rel=0.02)
    assert found.free > 2**20


@pytest.mark.parametrize(("free", "said"), [(2**40, "kept"), (2**20, "computed again")])
def test_auto_decides_by_what_is_free_and_says_so(model_folder, tmp_path, monkeypatch, free, said):
    monkeypatch.setattr(memory, "_state", lambda _: (0, free))
    data = make_data(tmp_path)
    asked = []
    monkeypatch.setattr(FineTuning, "checkpoint_activations", lambda _: asked.append(True))
    notes = []
    config = load_train_config(
        "nano", SETTINGS | {"model": str(model_folder), "gradient_checkpointing": "auto"}
    )
    train(config, data=data, output=tmp_path / "out", device="cpu", note=notes.append)
    assert any(f"activations are {said}" in note for note in notes)
    assert asked == [True] * (said == "computed again")


def test_it_changes_no_result(model_folder, tmp_path):
    data = make_data(tmp_path)
    losses = [
        train(
            load_train_config(
                "nano", SETTINGS | {"model": str(model_folder), "gradient_checkpointing": value}
            ),
            data=data,
            output=tmp_path / str(value),
            device="cpu",
        ).losses
        for value in (True, False, "auto")
    ]
    assert losses[0] == losses[1] == losses[2]


def test_the_sentence_has_both_figures():
    assert "3.0 GiB at most, 4.0 free" in str(Fit(3 * 2**30, 4 * 2**30))
    assert "up to 5.0 GiB, 4.0 are free" in str(Fit(5 * 2**30, 4 * 2**30))
