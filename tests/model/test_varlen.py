"""Each part of the packed pass against the stock model's, one image at a time."""

import json
import shutil
import warnings
from itertools import pairwise

import pytest
import torch
from peft import PeftModel
from transformers import AutoProcessor, LlavaNextForConditionalGeneration

from mayak.config import FP8_PROOF
from mayak.errors import ModelError
from mayak.model import AnswerGenerator, LabelScorer, load_model
from mayak.model.fp8 import RowwiseLinear
from mayak.model.varlen import VarlenModel, attend
from model_folder import decoded, save_adapter

SIZES = [(90, 90), (300, 100), (60, 220), (1, 900), (700, 3), (224, 224), (2000, 1500)]


@pytest.fixture(scope="module", params=["tiny", "nano"])
def name(request, model_folder):
    return str(model_folder) if request.param == "tiny" else "nano"


@pytest.fixture(scope="module")
def vlm(name):
    return load_model(name, precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def images():
    return [decoded(*size, seed=number) for number, size in enumerate(SIZES)]


def stock_batch(vlm, image):
    """Stock processor's inputs for one image, the scored position's lead appended."""
    batch = vlm.processor(
        images=image.pixels,
        text=vlm.prompt.text,
        input_data_format="channels_last",
        return_tensors="pt",
    )
    lead = torch.tensor([vlm.prompt.lead_ids], dtype=torch.long)
    batch["input_ids"] = torch.cat([batch["input_ids"], lead], dim=1)
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    return batch


def test_tiles_are_the_stock_processors(vlm, images):
    engine = VarlenModel(vlm)
    normalise = vlm.processor.image_processor
    for image in images:
        tiles = engine.packer.prepare(image).tiles
        assert tiles.dtype == torch.uint8
        mine = normalise.rescale_and_normalize(
            tiles, True, 1 / 255, True, tuple(normalise.image_mean), tuple(normalise.image_std)
        )
        assert torch.equal(mine, stock_batch(vlm, image)["pixel_values"][0])


def test_a_packed_batch_gives_the_logits_that_the_stock_model_gives_singly(vlm, images):
    engine = VarlenModel(vlm)
    with torch.inference_mode():
        ours = engine.logits(engine.pack([engine.packer.prepare(image) for image in images]))
        for image, logits in zip(images, ours, strict=True):
            stock = vlm.model(**stock_batch(vlm, image)).logits[0, -1]
            assert torch.allclose(logits, stock, rtol=0, atol=1e-4)


@pytest.fixture
def coarse(model_folder):
    """The tiny model in bf16 with label logits between 16 and 32, where bf16 has steps of 1/8."""
    vlm = load_model(str(model_folder), precision="bf16", device="cpu")
    labels = list(vlm.prompt.label_ids)
    norm, head = vlm.model.model.language_model.norm, vlm.model.lm_head
    with torch.no_grad():
        norm.weight.fill_(1.0)
        rows = 0.5 + 0.01 * torch.randn(4, head.in_features, generator=torch.manual_seed(0))
        # Images give hidden states whose numbers differ little: all labels come out near 24.
        head.weight[labels] = rows.bfloat16()
        norm.register_forward_hook(lambda *given: given[-1] * 0.05 + 0.7)
    return vlm


def test_logits_of_a_16_bit_model_are_computed_in_float32(coarse, images):
    engine = VarlenModel(coarse)
    seen = []
    coarse.model.lm_head.weight.requires_grad_(False)
    hook = coarse.model.model.language_model.norm.register_forward_hook(
        lambda *given: seen.append(given[-1])
    )
    with torch.inference_mode():
        logits = engine.logits(engine.pack([engine.packer.prepare(image) for image in images]))
    hook.remove()
    labels = logits[:, list(coarse.prompt.label_ids)]
    assert labels.min() > 16
    assert labels.max() < 32
    exact = seen[0].double() @ coarse.model.lm_head.weight.double().T
    assert torch.allclose(logits.double(), exact, rtol=0, atol=1e-4)
    # In bf16 they would be multiples of 1/8: images with two equal labels, labels in few places.
    assert len(labels.unique()) == labels.numel()
    assert len((labels * 8).round().unique()) < labels.numel()


def test_labels_of_a_16_bit_model_are_scored_without_steps(coarse, images):
    predictions = list(LabelScorer(coarse, compiled=False).classify(images))
    assert not any(prediction.scores.is_tied for prediction in predictions)
    assert len({prediction.scores.values for prediction in predictions}) == len(images)


def test_a_free_answer_of_a_16_bit_model_is_decided_in_float32(coarse, images):
    head, labels = coarse.model.lm_head, list(coarse.prompt.label_ids)
    with torch.no_grad():
        head.weight[labels] = 0.4
        head.weight[[labels[0], labels[3]]] = 0.5
        head.weight[labels[3], 0] += 1 / 256  # less than a step of bf16 in the logit
    answers = list(AnswerGenerator(coarse, batch_size=3, max_new_tokens=2).answer(images))
    assert {answer[:1] for answer in answers} == {"3"}
    assert head(torch.zeros(1, 64).bfloat16()).dtype == torch.bfloat16


def test_an_image_does_not_see_its_neighbours(vlm, images):
    engine = VarlenModel(vlm)
    pieces = [engine.packer.prepare(image) for image in images]
    with torch.inference_mode():
        together = engine.logits(engine.pack(pieces))
        other_way = engine.logits(engine.pack(pieces[::-1])).flip(0)
        alone = torch.cat([engine.logits(engine.pack([piece])) for piece in pieces])
    assert torch.allclose(together, other_way, rtol=0, atol=1e-5)
    assert torch.allclose(together, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "lengths", [[1, 16, 13], [3] * 8, [5, *[3] * 8, 6], [2] * 17, [4, *[2] * 7, 4]]
)
def test_attention_by_hand(lengths):
    generator = torch.Generator().manual_seed(0)
    ends = torch.tensor([0, *lengths]).cumsum(0)
    size = int(ends[-1]) + 10
    query = torch.randn(size, 4, 8, generator=generator)
    key, value = (torch.randn(size, 2, 8, generator=generator) for _ in range(2))
    found = attend(query, key, value, ends)
    for start, end in pairwise(ends.tolist()):
        for row in range(start, end):
            for head in range(4):
                scores = key[start : row + 1, head // 2] @ query[row, head] / 8**0.5
                expected = scores.softmax(0) @ value[start : row + 1, head // 2]
                assert torch.allclose(found[row, head], expected, atol=1e-5)
    assert not found[size - 10 :].any()


@pytest.mark.parametrize("change", ["sliding_window", "vision_feature_layer", "crop_size"])
def test_parts_that_are_not_known_are_refused(model_folder, tmp_path, change):
    folder = shutil.copytree(model_folder, tmp_path / "other")
    path = folder / ("processor_config.json" if change == "crop_size" else "config.json")
    config = json.loads(path.read_text(encoding="utf-8"))
    if change == "crop_size":
        config["image_processor"]["crop_size"] = {"height": 56, "width": 56}
    elif change == "sliding_window":
        config["text_config"]["sliding_window"] = 100
    else:
        config["vision_feature_layer"] = [-2, -1]
    path.write_text(json.dumps(config), encoding="utf-8")
    vlm = load_model(str(model_folder), precision="fp32", device="cpu")
    processor = AutoProcessor.from_pretrained(folder)
    model = LlavaNextForConditionalGeneration(type(vlm.model.config).from_pretrained(folder))
    other = type(vlm)(model, processor, vlm.prompt, vlm.engine)
    with pytest.raises(ModelError, match=change):
        VarlenModel(other)


class TestFp8:
    def test_a_layer_is_near_the_one_it_replaces(self):
        torch.manual_seed(0)
        linear = torch.nn.Linear(256, 128, dtype=torch.bfloat16)
        hidden = torch.randn(3, 5, 256, dtype=torch.bfloat16)
        hidden[1, 2] = 0
        with torch.no_grad():
            exact, found = linear(hidden).float(), RowwiseLinear(linear)(hidden).float()
        # e4m3 has three bits of mantissa: rounding errors of up to 1/16, of both factors
        assert (found - exact).norm() / exact.norm() < 0.05
        assert torch.equal(found[1, 2], exact[1, 2])

    def test_unproven_it_is_refused(self, model_folder, adapter):
        with pytest.raises(ModelError, match="fp8 has not been shown") as caught:
            load_model(str(model_folder), precision="fp8", device="cpu", adapter=adapter)
        assert "mayak evaluate --precision fp8" in caught.value.remedy
        with pytest.raises(ModelError, match="fp8 has not been shown"):
            load_model(str(model_folder), precision="fp8", device="cpu")

    def test_proven_it_scores_and_for_that_engine_alone(self, model_folder, adapter):
        vlm = load_model(
            str(model_folder), precision="fp8", device="cpu", adapter=adapter, unproven=True
        )
        assert vlm.engine.precision == "fp8, adapter merged"
        proof = adapter / FP8_PROOF
        proof.write_text(json.dumps({"engine": vlm.engine.fingerprint}), encoding="utf-8")
        again = load_model(str(model_folder), precision="fp8", device="cpu", adapter=adapter)
        (prediction,) = LabelScorer(again).classify([decoded(90, 90)])
        assert sum(prediction.scores.values) == pytest.approx(1.0, abs=1e-12)
        proof.write_text(json.dumps({"engine": "of other weights"}), encoding="utf-8")
        with pytest.raises(ModelError, match="fp8 has not been shown"):
            load_model(str(model_folder), precision="fp8", device="cpu", adapter=adapter)


@pytest.fixture
def adapter(tmp_path):
    """Trained on the tiny model, as far as its shape and effect go."""
    return save_adapter(tmp_path / "adapter")


def test_a_merged_adapter_scores_as_one_beside(model_folder, adapter, images):
    merged = load_model(str(model_folder), precision="fp32", device="cpu", adapter=adapter)
    assert merged.engine.precision == "fp32, adapter merged"
    with warnings.catch_warnings():
        # PEFT reads a property that transformers has since renamed.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
        base = LlavaNextForConditionalGeneration.from_pretrained(model_folder)
        stock = PeftModel.from_pretrained(base, str(adapter)).eval()
    predictions = LabelScorer(merged).classify(images)
    for image, prediction in zip(images, predictions, strict=True):
        with torch.inference_mode():
            logits = stock(**stock_batch(merged, image)).logits[0, -1]
        four = logits[list(merged.prompt.label_ids)].softmax(0).tolist()
        assert prediction.scores.values == pytest.approx(four, abs=1e-4)


def test_an_adapter_beside_four_bit_weights_takes_part(model_folder, adapter, images):
    plain, adapted = (
        load_model(str(model_folder), precision="nf4", device="cpu", adapter=chosen)
        for chosen in (None, adapter)
    )
    for image in images[:2]:
        with torch.inference_mode():
            logits = adapted.model(**stock_batch(adapted, image)).logits[0, -1]
        four = logits[list(adapted.prompt.label_ids)].softmax(0).tolist()
        (prediction,) = LabelScorer(adapted).classify([image])
        assert prediction.scores.values == pytest.approx(four, abs=1e-4)
        (other,) = LabelScorer(plain).classify([image])
        assert prediction.scores.values != pytest.approx(other.scores.values, abs=1e-4)
