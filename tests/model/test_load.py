import json
import shutil

import bitsandbytes
import pytest
import torch
from safetensors.torch import load_file, save_file

from mayak.errors import ModelError
from mayak.model import LabelScorer, load_model
from mayak.model.load import out_of_memory
from model_folder import decoded, save_adapter


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
    assert vlm.engine.precision == "nf4, fp32"
    assert sum(scores(vlm).scores.values) == pytest.approx(1.0, abs=1e-12)


def test_nf4_on_a_cpu_keeps_its_gradients_after_a_look_without(model_folder):
    vlm = load_model(str(model_folder), precision="nf4", device="cpu")
    layer = next(m for m in vlm.model.modules() if isinstance(m, bitsandbytes.nn.Linear4bit))
    with torch.no_grad():
        before = layer(torch.ones(3, layer.in_features))
    ones = torch.ones(3, layer.in_features, requires_grad=True)
    after = layer(ones)
    assert torch.equal(before, after)
    after.sum().backward()
    assert ones.grad.abs().sum() > 0


def test_auto_is_nf4(model_folder):
    assert load_model(str(model_folder), device="cpu").engine.precision == "nf4, fp32"


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
    assert adapted.scores.values != pytest.approx(plain.scores.values, abs=1e-6)


def refused(model_folder, adapter, match):
    with pytest.raises(ModelError, match=match) as caught:
        load_model(str(model_folder), precision="fp32", device="cpu", adapter=adapter)
    assert caught.value.remedy


def test_an_adapter_that_is_none(model_folder, tmp_path):
    refused(model_folder, tmp_path, "has no adapter")


def test_an_adapter_of_another_size(model_folder, tmp_path):
    refused(model_folder, save_adapter(tmp_path, hidden=32), "does not fit")


def test_an_untrained_adapter(model_folder, tmp_path):
    refused(model_folder, save_adapter(tmp_path, trained=False), "changes only 0 of the 2 modules")


@pytest.mark.parametrize(("layer", "lacking"), [("layers.1", 2), ("layers", 4)])
def test_an_adapter_whose_names_do_not_match(model_folder, tmp_path, layer, lacking):
    path = save_adapter(tmp_path) / "adapter_model.safetensors"
    renamed = {name.replace(layer, "blocks"): value for name, value in load_file(path).items()}
    save_file(renamed, path)
    refused(model_folder, tmp_path, f"lacks {lacking} of its weights")


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
    with pytest.raises(ModelError, match="has no complete model") as caught:
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


def without(folder, target, *parts):
    """A copy of a folder whose safetensors lack what is named so."""
    shutil.copytree(folder, target)
    for path in target.glob("*.safetensors"):
        kept = {n: w for n, w in load_file(path).items() if not any(p in n for p in parts)}
        save_file(kept, path, metadata={"format": "pt"})
    return target


@pytest.mark.parametrize("precision", ["fp32", "nf4"])
@pytest.mark.parametrize("part", ["multi_modal_projector", "language_model"])
def test_weights_that_lack_a_part_are_refused(model_folder, tmp_path, part, precision):
    folder = without(model_folder, tmp_path / "holed", part)
    with pytest.raises(ModelError):
        load_model(str(folder), precision=precision, device="cpu")


def test_an_adapter_without_its_a_matrices_is_refused(model_folder, tmp_path):
    adapter = save_adapter(tmp_path / "adapter")
    path = adapter / "adapter_model.safetensors"
    save_file({n: w for n, w in load_file(path).items() if "lora_A" not in n}, path)
    with pytest.raises(ModelError, match="lacks 2 of its weights"):
        load_model(str(model_folder), precision="fp32", device="cpu", adapter=adapter)


def test_an_adapter_that_is_not_a_number_scores_nothing(model_folder, tmp_path):
    adapter = save_adapter(tmp_path / "adapter")
    path = adapter / "adapter_model.safetensors"
    save_file({n: w * float("nan") for n, w in load_file(path).items()}, path)
    vlm = load_model(str(model_folder), precision="fp32", device="cpu", adapter=adapter)
    with pytest.raises(ModelError, match="not a number"):
        scores(vlm)


def test_an_adapter_of_ours_knows_its_base(model_folder, tmp_path):
    adapter = save_adapter(tmp_path / "adapter")

    def load(identity):
        record = {"base_model": {"identity": identity}}
        (adapter / "run.json").write_text(json.dumps(record), encoding="utf-8")
        return load_model(str(model_folder), precision="fp32", device="cpu", adapter=adapter)

    own = load_model(str(model_folder), precision="fp32", device="cpu").engine.model
    assert load(own).engine.model == own
    assert load("owner/name@0123")  # a hub's revision and a folder's digest cannot be compared
    with pytest.raises(ModelError, match="was trained on tiny@sha256:0, not on"):
        load("tiny@sha256:0")


def test_the_engine_knows_the_configuration(model_folder, tmp_path):
    other = shutil.copytree(model_folder, tmp_path / "tiny")
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    config["text_config"]["rms_norm_eps"] = 1e-2
    (other / "config.json").write_text(json.dumps(config), encoding="utf-8")
    one, two = (load_model(str(f), precision="fp32", device="cpu") for f in (model_folder, other))
    assert one.engine.fingerprint != two.engine.fingerprint


def test_pickled_weights_are_not_opened(model_folder, tmp_path):
    folder = shutil.copytree(model_folder, tmp_path / "pickled")
    for path in folder.glob("*.safetensors"):
        torch.save(load_file(path), folder / "pytorch_model.bin")
        path.unlink()
    with pytest.raises(ModelError):
        load_model(str(folder), precision="fp32", device="cpu")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "[]"),
        ("tokenizer_config.json", "{}"),
        ("tokenizer_config.json", "[]"),
        ("processor_config.json", "[]"),
        ("chat_template.jinja", "{% if %}"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_damaged_parts_of_a_model_are_an_error_with_a_remedy(model_folder, tmp_path, name, content):
    folder = shutil.copytree(model_folder, tmp_path / "damaged")
    (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        load_model(str(folder), precision="fp32", device="cpu")
    assert caught.value.remedy
