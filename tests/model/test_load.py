import json
import shutil
import warnings

import bitsandbytes
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlavaNextForConditionalGeneration

from mayak.errors import ModelError
from mayak.model import LabelScorer, load_model
from mayak.model.load import out_of_memory
from model_folder import decoded, tiny_config


def save_adapter(folder, *, r=4, trained=True, hidden=64):
    """An adapter over the language model, with B filled as training would."""
    config = tiny_config()
    if hidden != 64:
        config.text_config.hidden_size = hidden
    settings = LoraConfig(r=r, target_modules=r".*language_model\..*\.q_proj")
    with warnings.catch_warnings():
        # PEFT reads a property that transformers has since renamed.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
        model = get_peft_model(LlavaNextForConditionalGeneration(config), settings)
    if trained:
        generator = torch.Generator().manual_seed(1)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.data = torch.randn(weight.shape, generator=generator)
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


def scores(vlm):
    (prediction,) = LabelScorer(vlm).classify([decoded(90, 90)])
    return prediction


def test_nf4_on_a_cpu_quantises_the_language_model_alone(model_folder):
    vlm = load_model(str(model_folder), precision="nf4", device="cpu")
    four_bit = {
        name
        for name, module in vlm.model.named_modules()
        if isinstance(module, bitsandbytes.nn.Linear4bit)
    }
    assert len(four_bit) == 2 * 7  # layers × projections
    assert all("language_model.layers" in name for name in four_bit)
    assert vlm.engine.precision == "nf4"
    assert sum(scores(vlm).scores) == pytest.approx(1.0, abs=1e-12)


def test_auto_is_nf4(model_folder):
    assert load_model(str(model_folder), device="cpu").engine.precision == "nf4"


def test_precisions_are_what_they_say(model_folder):
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        vlm = load_model(str(model_folder), precision=precision, device="cpu")
        assert {weight.dtype for weight in vlm.model.parameters()} == {dtype}


def test_the_engine_knows_weights_adapter_and_precision(model_folder, tmp_path):
    other = tmp_path / "tiny"
    shutil.copytree(model_folder, other)
    weights = next(other.glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    adapter = save_adapter(tmp_path / "adapter")
    engines = [
        load_model(str(folder), precision=precision, device="cpu", adapter=chosen).engine
        for folder, precision, chosen in (
            (model_folder, "fp32", None),
            (other, "fp32", None),
            (model_folder, "bf16", None),
            (model_folder, "fp32", adapter),
        )
    ]
    assert len({engine.fingerprint for engine in engines}) == 4
    again = load_model(str(model_folder), precision="fp32", device="cpu").engine
    assert again.fingerprint == engines[0].fingerprint
    assert again.model.startswith("tiny@sha256:")


def test_an_adapter_changes_the_scores(model_folder, tmp_path):
    adapter = save_adapter(tmp_path / "adapter")
    plain = scores(load_model(str(model_folder), precision="fp32", device="cpu"))
    adapted = scores(load_model(str(model_folder), precision="fp32", device="cpu", adapter=adapter))
    assert adapted.scores != pytest.approx(plain.scores, abs=1e-6)


def refused(model_folder, adapter, match):
    with pytest.raises(ModelError, match=match) as caught:
        load_model(str(model_folder), precision="fp32", device="cpu", adapter=adapter)
    assert caught.value.remedy


def test_an_adapter_that_is_none(model_folder, tmp_path):
    refused(model_folder, tmp_path, "holds no adapter")


def test_an_adapter_of_another_size(model_folder, tmp_path):
    refused(model_folder, save_adapter(tmp_path, hidden=32), "does not fit")


def test_an_untrained_adapter(model_folder, tmp_path):
    refused(model_folder, save_adapter(tmp_path, trained=False), "changes only 0 of the 2 modules")


@pytest.mark.parametrize(("layer", "changed"), [("layers.1", 1), ("layers", 0)])
def test_an_adapter_whose_names_do_not_match(model_folder, tmp_path, layer, changed):
    path = save_adapter(tmp_path) / "adapter_model.safetensors"
    renamed = {name.replace(layer, "blocks"): value for name, value in load_file(path).items()}
    save_file(renamed, path)
    refused(model_folder, tmp_path, f"changes only {changed} of the 2 modules")


def test_a_truncated_adapter(model_folder, tmp_path):
    path = save_adapter(tmp_path) / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    refused(model_folder, tmp_path, "does not fit")


def test_an_adapter_for_modules_that_are_not_there(model_folder, tmp_path):
    save_adapter(tmp_path)
    path = tmp_path / "adapter_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) | {"target_modules": ["c_attn"]}
    path.write_text(json.dumps(settings), encoding="utf-8")
    refused(model_folder, tmp_path, "does not fit")


def test_folders_that_are_no_model(model_folder, tmp_path):
    missing = str(tmp_path / "none")
    with pytest.raises(ModelError, match="does not exist"):
        load_model(missing, device="cpu")
    with pytest.raises(ModelError, match="holds no complete model") as caught:
        load_model(str(tmp_path), device="cpu")
    assert "--model nano" in caught.value.remedy
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mistral"}), encoding="utf-8")
    with pytest.raises(ModelError, match="mistral model, not LLaVA-NeXT"):
        load_model(str(tmp_path), device="cpu")


def test_a_folder_without_weights(model_folder, tmp_path):
    for path in model_folder.iterdir():
        if path.suffix != ".safetensors":
            shutil.copy(path, tmp_path)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(str(tmp_path), precision="fp32", device="cpu")


def test_truncated_weights(model_folder, tmp_path):
    shutil.copytree(model_folder, tmp_path, dirs_exist_ok=True)
    weights = next(tmp_path.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(str(tmp_path), precision="fp32", device="cpu")


def test_devices_that_are_not_there(model_folder):
    for device in ("cuda:99", "sofa"):
        with pytest.raises(ModelError, match="cannot be used"):
            load_model(str(model_folder), device=device)


def test_out_of_memory_says_what_to_do():
    error = out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried 20 GiB.\nmore"))
    assert error.message == "the GPU's memory is full (CUDA out of memory. Tried 20 GiB.)"
    assert "--batch-size 1" in error.remedy
