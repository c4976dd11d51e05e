"""The packed pass of the training against the stock model's padded one: losses and gradients."""

from dataclasses import replace

import pytest
import torch
from transformers.models.llava_next import modeling_llava_next

from mayak.config import load_train_config
from mayak.errors import ModelError
from mayak.i18n import render
from mayak.model import load_model
from mayak.model.packer import BatchPacker
from mayak.training import forward
from mayak.training.data import Collate
from mayak.training.forward import AnswerForward, compiling
from mayak.training.module import FineTuning, trained
from mayak.training.plan import Plan
from model_folder import decoded, stock_base_lesson, stock_lesson

SIZES = [(90, 90), (300, 100), (60, 220), (224, 224), (1, 900)]
LABELS = [0, 3, 1, 2, 2]


@pytest.fixture(scope="module")
def rows():
    return [
        (decoded(*size, seed=number), label)
        for number, (size, label) in enumerate(zip(SIZES, LABELS, strict=True))
    ]


def tuned(name, precision="fp32", dropout=0.0):
    """A module to train whose adapters do something, and how its batches are made."""
    vlm = load_model(name, precision=precision, device="cpu")
    lora = {"r": 4, "alpha": 8, "dropout": dropout}
    config = load_train_config("nano", {"model": name, "precision": precision, "lora": lora})
    module = FineTuning(vlm, config, Plan(16, 1, 2, 2, 1, 1, 3))
    generator = torch.Generator().manual_seed(1)
    for key, weight in trained(module.model).items():
        if "lora_B" in key:
            weight.data = 0.05 * torch.randn(weight.shape, generator=generator)
    return vlm, module, Collate(BatchPacker(vlm.processor, vlm.prompt, vlm.base.config))


@pytest.fixture(scope="module", params=["tiny", "nano"])
def name(request, model_folder):
    return str(model_folder) if request.param == "tiny" else "nano"


def gradients(module, loss):
    module.zero_grad()
    loss.backward()
    return {key: weight.grad.clone() for key, weight in trained(module.model).items()}


@pytest.mark.parametrize("precision", ["fp32", "nf4"])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_loss_and_gradients_are_the_stock_models(name, rows, checkpointed, precision):
    vlm, module, collate = tuned(name, precision)
    stock = module.model(**stock_lesson(vlm, rows), use_cache=False).loss
    expected = gradients(module, stock)
    module.answers.checkpointed = checkpointed
    loss = module(collate(rows))
    assert loss.item() == pytest.approx(stock.item(), rel=1e-5)
    found = gradients(module, loss)
    assert found.keys() == expected.keys()
    for key, gradient in found.items():
        assert gradient.norm() > 0, key
        difference = (gradient - expected[key]).norm() / expected[key].norm()
        assert difference < 1e-4, key


def test_a_validation_of_a_16_bit_model_computes_its_logits_in_float32(rows):
    _, module, collate = tuned("nano", "bf16")
    batch = collate(rows[:2])
    with torch.no_grad():
        logits = module.answers(batch.packed, batch.answers.shape[1])
    assert logits.dtype == torch.float32
    assert (logits.bfloat16().float() != logits).float().mean() > 0.9


@pytest.mark.parametrize("checkpointed", [False, True])
def test_base_tiles_beside_whole_images_are_the_stock_models(name, rows, checkpointed, monkeypatch):
    vlm, module, collate = tuned(name)
    whole = module.model(**stock_lesson(vlm, rows), use_cache=False).loss
    monkeypatch.setattr(modeling_llava_next, "image_size_to_num_patches", lambda **_: 1)
    alone = module.model(**stock_base_lesson(vlm, rows), use_cache=False).loss
    assert abs(alone - whole) > 1e-4  # or it would not tell them apart
    stock = (whole + alone) / 2
    expected = gradients(module, stock)
    module.answers.checkpointed = checkpointed
    loss = module(replace(collate, base_tiles=True)(rows))
    assert loss.item() == pytest.approx(stock.item(), rel=1e-5)
    for key, gradient in gradients(module, loss).items():
        difference = (gradient - expected[key]).norm() / expected[key].norm()
        assert difference < 1e-4, key


def test_a_batch_weighs_its_images_alike(name, rows):
    _, module, collate = tuned(name)
    whole = module(collate(rows)).item()
    alone = [module(collate([row])).item() for row in rows]
    assert whole == pytest.approx(sum(alone) / len(alone), rel=1e-5)


def test_checkpointing_draws_the_same_dropout_again(name, rows):
    _, module, collate = tuned(name, dropout=0.3)
    batch, found = collate(rows[:2]), []
    for checkpointed in (False, True):
        module.answers.checkpointed = checkpointed
        torch.manual_seed(5)
        loss = module(batch)
        found.append((loss.item(), gradients(module, loss)))
    (one, first), (two, second) = found
    assert one == two
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_base_gets_no_gradient(name, rows):
    _, module, collate = tuned(name)
    gradients(module, module(collate(rows[:2])))
    ours = trained(module.model)
    moved = {key for key, weight in module.model.named_parameters() if weight.grad is not None}
    assert moved == set(ours)


def test_layers_are_traced_once_for_all_lengths_and_numbers_of_images(name, rows, monkeypatch):
    # The attention that goes image by image is not made for the compiler, and the other needs a
    # GPU, as the compiler's back end does: something that it can trace stands in for both.
    monkeypatch.setattr(
        forward,
        "_attend_one_by_one",
        lambda query, key, value, *_: query * (key.mean() + value.mean()),
    )
    _, module, collate = tuned(name)
    batches = [collate(rows[:1]), collate(rows[1:3]), collate(rows)]
    expected = [gradients(module, module(batch)) for batch in batches]
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    compile_ = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda work, dynamic: compile_(work, dynamic=dynamic, backend=backend)
    )
    module.answers.compile()
    for checkpointed in (False, True):
        module.answers.checkpointed = checkpointed
        for batch, wanted in zip(batches, expected, strict=True):
            found = gradients(module, module(batch))
            assert all(torch.allclose(found[key], wanted[key], atol=1e-6) for key in wanted)
    assert len(graphs) == 1
    with torch.no_grad():
        for batch in batches:
            module(batch)
    assert len(graphs) == 2


def test_a_model_that_is_not_known_is_refused(model_folder):
    vlm = load_model(str(model_folder), precision="fp32", device="cpu")
    vlm.base.config.text_config.attention_dropout = 0.1
    with pytest.raises(ModelError, match="attention_dropout"):
        AnswerForward(vlm)


@pytest.mark.parametrize(
    ("mixed", "images", "works", "chosen", "said"),
    [
        (False, 10**6, True, False, "for bf16 on a GPU"),
        (True, 999, True, False, "under 1,000 images"),
        (True, 1000, False, False, "does not work here"),
        (True, 1000, True, True, "layers are compiled"),
    ],
)
def test_layers_are_compiled_where_it_pays(monkeypatch, mixed, images, works, chosen, said):
    monkeypatch.setattr(forward, "compiles", lambda _: works)
    found, why = compiling(torch.device("cpu"), mixed=mixed, images=images)
    assert found == chosen
    assert said in why
    assert "패딩 없이" in render(why, "ko")
