"""Whether activations are kept: counted without keeping them, decided by what is free."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from mayak.config import load_train_config
from mayak.model import load_model
from mayak.model.packer import BatchPacker
from mayak.training import memory, train
from mayak.training.data import Collate
from mayak.training.forward import AnswerForward
from mayak.training.memory import MemoryEstimate, estimate_memory, kept_bytes, largest_batch
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


def tuned(vlm):
    config = load_train_config("nano", SETTINGS | {"model": "tiny"})
    return FineTuning(vlm, config, Plan(16, 1, 2, 2, 1, 1, 3))


def largest(vlm, size):
    return largest_batch(Collate(BatchPacker(vlm.processor, vlm.prompt, vlm.base.config)), size)


def kept_by_autograd(module, batch):
    """Bytes of the storages that a pass really keeps, all held until the end."""
    held = {}

    def keep(saved):
        storage = saved.untyped_storage()
        held[storage.data_ptr()] = storage
        return saved

    own = {part.untyped_storage().data_ptr() for part in module.parameters()}
    with saved_tensors_hooks(keep, lambda saved: saved):
        loss = module(batch)
    total = sum(storage.nbytes() for place, storage in held.items() if place not in own)
    del loss
    return total


def test_what_is_counted_is_what_autograd_keeps(vlm):
    module = tuned(vlm)
    batch = largest(vlm, 1)
    counted = kept_bytes(module, batch, mixed=False)
    assert counted == pytest.approx(kept_by_autograd(module, batch), rel=0.02)
    assert counted > 2**20


def test_two_images_keep_twice_as_much_and_checkpointing_a_fraction(vlm):
    module = tuned(vlm)
    one, two = (kept_bytes(module, largest(vlm, n), mixed=False) for n in (1, 2))
    assert two == pytest.approx(2 * one, rel=0.02)
    module.answers.checkpointed = True
    few = kept_bytes(module, largest(vlm, 1), mixed=False)
    assert few < one / 4


def test_no_image_takes_more_tokens_than_the_blank_one(vlm):
    length = largest(vlm, 1).packed.bounds[-1]
    images = [
        memory.DecodedImage("", torch.zeros(h, w, 3, dtype=torch.uint8).numpy(), (w, h), "")
        for h, w in [(50, 50), (60, 600), (600, 60), (300, 400), (224, 224), (37, 211)]
    ]
    packing = BatchPacker(vlm.processor, vlm.prompt, vlm.base.config)
    # The label's token is read too.
    assert max(len(packing.prepare(image).rows) for image in images) + 1 <= length


def test_it_needs_the_optimiser_too(vlm):
    module = tuned(vlm)
    batch = largest(vlm, 1)
    trained = 4 * (2 * 128 + 2 * 96 + 3 * 192) * 2  # as in test_run
    found = estimate_memory(module, batch, mixed=False)
    expected = 1.2 * (kept_bytes(module, batch, mixed=False) + 12 * trained)
    assert found.needed == pytest.approx(expected, rel=0.02)
    assert found.free > 2**20


@pytest.mark.parametrize(("free", "said"), [(2**40, "kept"), (2**20, "computed again")])
def test_auto_decides_by_what_is_free_and_says_so(model_folder, tmp_path, monkeypatch, free, said):
    monkeypatch.setattr(memory, "_usage", lambda _: (0, free))
    data = make_data(tmp_path)
    asked, notes = set(), []
    passed = AnswerForward.__call__

    def watched(self, *args):
        if torch.is_grad_enabled():
            asked.add(self.checkpointed)
        return passed(self, *args)

    monkeypatch.setattr(AnswerForward, "__call__", watched)
    config = load_train_config(
        "nano", SETTINGS | {"model": str(model_folder), "gradient_checkpointing": "auto"}
    )
    train(config, data=data, output=tmp_path / "out", device="cpu", note=notes.append)
    assert any(f"activations are {said}" in note for note in notes)
    # The pass in which it is counted keeps everything.
    assert asked == {False} | ({True} if said == "computed again" else set())


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
    assert "3.0 GiB at most, 4.0 free" in str(MemoryEstimate(3 * 2**30, 4 * 2**30))
    assert "up to 5.0 GiB, 4.0 are free" in str(MemoryEstimate(5 * 2**30, 4 * 2**30))
