import pytest
import torch
from transformers import LlavaNextConfig, LlavaNextForConditionalGeneration, OPTConfig

from checkpoints import published_config
from mayak.config import LoraOptions
from mayak.errors import ModelError
from mayak.training.module import attach_lora, expected_parameters, load_adapter, trained
from model_folder import tiny_config


def attach(model, r=16, seed=1):
    options = LoraOptions(r=r, alpha=2 * r, dropout=0.05)
    return attach_lora(model, options, name="base", revision=None, seed=seed)


@pytest.mark.parametrize(("rank", "count"), [(16, 41_943_040), (8, 20_971_520)])
def test_the_7b_model_trains_its_language_model_alone(rank, count):
    config = published_config()
    assert expected_parameters(config.text_config, rank) == count
    with torch.device("meta"):
        model = LlavaNextForConditionalGeneration(config)
        weights = trained(attach(model, rank))
    assert sum(weight.numel() for weight in weights.values()) == count
    # 32 layers × 7 projections × A and B
    assert len(weights) == 448
    assert not [name for name in weights if "vision" in name or "projector" in name]


def test_adapters_are_float32_over_a_16_bit_base_and_follow_the_seed():
    def made(seed):
        torch.manual_seed(0)
        return trained(attach(LlavaNextForConditionalGeneration(tiny_config()).bfloat16(), 4, seed))

    first, again, other = made(1), made(1), made(2)
    assert {weight.dtype for weight in first.values()} == {torch.float32}
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_another_family_of_language_models_is_refused():
    vision = tiny_config().vision_config
    text = OPTConfig(
        vocab_size=64, hidden_size=32, ffn_dim=32, num_hidden_layers=1, num_attention_heads=2
    )
    model = LlavaNextForConditionalGeneration(
        LlavaNextConfig(text_config=text, vision_config=vision, image_token_index=60)
    )
    with pytest.raises(ModelError, match="cannot be fine-tuned") as caught:
        attach(model)
    assert "Mistral" in caught.value.remedy


def test_weights_of_another_model_are_refused():
    model = attach(LlavaNextForConditionalGeneration(tiny_config()), 4)
    good = {name: weight.detach() + 1 for name, weight in trained(model).items()}
    load_adapter(model, good)
    assert all(torch.equal(trained(model)[name], good[name]) for name in good)
    first = next(iter(good))
    for bad in (
        {first: good[first]},
        good | {"more": good[first]},
        good | {first: good[first][:1]},
    ):
        with pytest.raises(ModelError, match="does not fit"):
            load_adapter(model, bad)
