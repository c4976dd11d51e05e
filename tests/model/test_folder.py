"""Model and adapter folders of a stranger: nothing runs, hangs, allocates or asks a network."""

import ast
import builtins
import json
import os
import shutil
import socket
import threading
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from mayak.errors import ModelError
from mayak.model import AnswerGenerator, hub, load_model, prompt
from mayak.model.chat_template import render
from model_folder import decoded, save_adapter

ROOT = Path(__file__).parents[2]
DEEP = '{"a":' * 100_000


def load(folder, adapter=None):
    return load_model(str(folder), precision="fp32", device="cpu", adapter=adapter)


def refused(folder, *words, adapter=None):
    """The error: one line, with what to do, that names file and key."""
    with pytest.raises(ModelError) as caught:
        load(folder, adapter)
    message = caught.value.message
    assert caught.value.remedy
    assert "\n" not in message
    assert len(message) < 500
    assert [word for word in words if word not in message] == []
    return message


def edit(path, **values):
    """Set keys of a JSON file; "a__b" is key b of a."""
    content = json.loads(path.read_text(encoding="utf-8"))
    for key, value in values.items():
        *parents, last = key.split("__")
        at = content
        for name in parents:
            at = at[name]
        at[last] = value
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def folder(model_folder, tmp_path):
    """A copy of the tiny model to spoil."""
    return Path(shutil.copytree(model_folder, tmp_path / "strange"))


@pytest.fixture
def adapter(tmp_path):
    return save_adapter(tmp_path / "adapter")


@pytest.fixture
def network(monkeypatch):
    """A network that may be asked, and whom it was asked for; nobody answers."""
    asked = []

    def ask(host, *_, **__):
        asked.append(host)
        raise socket.gaierror("no network")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", ask)
    return asked


# --- code ---------------------------------------------------------------------------------------

_EVIL = """
import pathlib
pathlib.Path({marker!r}).write_text("ran")
from transformers import PretrainedConfig, PreTrainedTokenizerFast
class EvilConfig(PretrainedConfig):
    model_type = "evil"
class EvilTokenizer(PreTrainedTokenizerFast): pass
class EvilProcessor: pass
"""


@pytest.fixture
def evil(folder, tmp_path, monkeypatch):
    """Python in the folder that leaves a mark if it runs, and a user who agrees to everything."""
    marker = tmp_path / "ran"
    (folder / "evil.py").write_text(_EVIL.format(marker=str(marker)), encoding="utf-8")
    questions = []
    monkeypatch.setattr(builtins, "input", lambda text="": questions.append(text) or "y")
    yield folder
    assert not marker.exists()
    assert questions == []


def test_code_of_a_model_folder_is_refused_without_a_question(evil):
    auto = {"AutoConfig": "evil.EvilConfig", "AutoModel": "evil.EvilConfig"}
    edit(evil / "config.json", model_type="evil", auto_map=auto)
    refused(evil, "evil model, not LLaVA-NeXT", "auto_map")


def test_code_for_a_part_of_the_configuration_is_refused(evil):
    auto = {"AutoConfig": "evil.EvilConfig"}
    edit(evil / "config.json", text_config__model_type="evil", text_config__auto_map=auto)
    refused(evil, "config.json")


def test_code_beside_a_known_model_is_not_run(evil):
    edit(evil / "config.json", auto_map={"AutoConfig": "evil.EvilConfig"})
    auto = {"AutoTokenizer": ["evil.EvilTokenizer", "evil.EvilTokenizer"]}
    edit(evil / "tokenizer_config.json", auto_map=auto)
    edit(evil / "processor_config.json", auto_map={"AutoProcessor": "evil.EvilProcessor"})
    assert load(evil).engine.model.startswith("strange@")


def test_every_loading_call_forbids_code_and_network():
    wanted = {"trust_remote_code": False, "local_files_only": True}
    lax = []
    for path in (
        p for part in ("src", "benchmarks", "scripts") for p in (ROOT / part).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr != "from_pretrained":
                continue
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            peft = ast.unparse(node.func.value) == "PeftModel"
            keys = ["local_files_only"] if peft else list(wanted)
            if given.get(None) != "_FOLDER_ONLY" and any(
                given.get(key) != str(wanted[key]) for key in keys
            ):
                lax.append(f"{path.name}:{node.lineno}")
    assert lax == []


def test_an_adapter_in_a_models_folder_is_refused(folder, adapter):
    """transformers would load it without the checks of an adapter, which may import modules."""
    (folder / "adapter_config.json").write_bytes((adapter / "adapter_config.json").read_bytes())
    refused(folder, "adapter_config.json")


@pytest.mark.parametrize("elsewhere", ["../strange.safetensors", "sub/a.safetensors", "/dev/zero"])
def test_weights_in_another_folder_are_refused_by_name(folder, elsewhere):
    index = folder / "model.safetensors.index.json"
    (folder / "sub").mkdir()
    index.write_text(json.dumps({"weight_map": {"lm_head.weight": elsewhere}}), encoding="utf-8")
    refused(folder, index.name, elsewhere)
    index.unlink()
    edit(folder / "config.json", transformers_weights=elsewhere)
    refused(folder, "transformers_weights", elsewhere)


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("text_config__hidden_size", 2**20),
        ("text_config__hidden_size", 10**12),
        ("text_config__num_hidden_layers", 10**6),
        ("text_config__num_hidden_layers", 3),
        ("text_config__intermediate_size", 2**20),
        ("text_config__vocab_size", 2**24),
        ("text_config__num_attention_heads", 4096),
        ("text_config__num_key_value_heads", 4096),
        ("vision_config__hidden_size", 2**20),
        ("vision_config__num_hidden_layers", 900),
        ("vision_config__intermediate_size", 2**20),
        ("vision_config__image_size", 2**20),
        ("vision_config__patch_size", 7),
        ("text_config__model_type", "mixtral"),
        ("text_config__model_type", "qwen3_moe"),
        ("vision_config__model_type", "siglip_vision_model"),
        ("vision_feature_layer", [-2] * 20),
        ("num_labels", 10**9),
    ],
)
def test_a_size_that_the_weights_do_not_have_is_refused_by_name(folder, key, value):
    edit(folder / "config.json", **{key: value})
    refused(folder, "config.json", key.replace("__", "."), str(value)[:60])


@pytest.mark.parametrize("key", ["size", "crop_size"])
def test_a_tile_of_another_size_is_refused_by_name(folder, key):
    size = {"height": 10**6, "width": 10**6}
    edit(folder / "processor_config.json", **{f"image_processor__{key}": size})
    refused(folder, f"image_processor.{key}", "1000000")


@pytest.mark.parametrize(
    ("key", "value"),
    [("patch_size", 1), ("num_additional_image_tokens", 2**24), ("image_token", "<unk>")],
)
def test_a_count_of_tokens_that_the_image_does_not_have_is_refused_by_name(folder, key, value):
    edit(folder / "processor_config.json", **{key: value})
    refused(folder, f"processor.{key}", str(value))


def test_an_image_of_too_many_tiles_is_refused_by_name(folder):
    grids = [[112, 224], [10**7, 10**7]]
    edit(folder / "processor_config.json", image_processor__image_grid_pinpoints=grids)
    refused(folder, "image_processor.image_grid_pinpoints", "10000000")


@pytest.mark.parametrize("grids", [[], [[1, 1]], [[112, 224]] * 100])
def test_odd_grids_of_tiles_are_refused_by_name(folder, grids):
    edit(folder / "config.json", image_grid_pinpoints=grids)
    edit(folder / "processor_config.json", image_processor__image_grid_pinpoints=grids)
    refused(folder, "image_processor.image_grid_pinpoints")


def test_means_of_other_channels_are_refused_by_name(folder):
    edit(folder / "processor_config.json", image_processor__image_mean=[0.5] * 4)
    refused(folder, "image_processor.image_mean")


def test_weights_that_are_quantised_already_are_refused_by_name(folder):
    edit(folder / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})
    refused(folder, "config.json", "quantization_config")


@pytest.mark.parametrize("content", [DEEP, "[1]", "{", "\0", '{"model_type": "llava_next"'])
def test_a_configuration_that_is_no_json_is_one_line(folder, content):
    (folder / "config.json").write_text(content, encoding="utf-8")
    refused(folder, "config.json")


def test_settings_of_generation_in_a_folder_change_nothing(folder, model_folder):
    edit(folder / "generation_config.json", num_beams=10**6, min_new_tokens=10**6, do_sample=True)
    answers = [
        list(AnswerGenerator(load(place), max_new_tokens=3).answer([decoded(30, 30)]))
        for place in (folder, model_folder)
    ]
    assert answers[0] == answers[1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_pipe_in_the_place_of_a_file_is_one_line(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(folder, name)


# --- the chat template --------------------------------------------------------------------------


def test_a_chat_template_without_end_is_given_up(folder, monkeypatch):
    monkeypatch.setattr(prompt, "render", partial(render, seconds=3))
    endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    (folder / "chat_template.jinja").write_text(endless, encoding="utf-8")
    refused(folder, "chat template", "takes longer than 3 s")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ 'a' * 5000000000 }}", "MemoryError"),
        ("{{ 'a' * 50000 }}", "50000 characters"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError"),
        ("{% if %}", "TemplateSyntaxError"),
        ("{{ messages[0].content[1].text }}", "0 × <image>"),
        ("<image><image>", "2 × <image>"),
    ],
)
def test_a_chat_template_that_cannot_be_rendered_is_one_line(folder, template, why):
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    refused(folder, "chat template", why)


# --- adapters -----------------------------------------------------------------------------------


def test_an_adapter_without_its_weights_names_the_file_and_asks_nobody(
    model_folder, adapter, network
):
    (adapter / "adapter_model.safetensors").unlink()
    refused(model_folder, str(adapter), "adapter_model.safetensors", adapter=adapter)
    assert network == []


@pytest.mark.parametrize(
    "targets",
    [
        "(((.*)*)*)*x",
        "(a|aa)+x",
        ".*.*.*.*x",
        ["q_proj", "(.*)*x"],
        [],
        ["q"] * 1001,
        {"q_proj": 1},
        None,
    ],
)
def test_an_expression_without_bounds_is_refused(model_folder, adapter, targets):
    edit(adapter / "adapter_config.json", target_modules=targets)
    refused(model_folder, "adapter_config.json", "target_modules", adapter=adapter)


def test_names_of_modules_are_taken_as_they_are(model_folder, adapter):
    names = [f"language_model.layers.{layer}.self_attn.q_proj" for layer in (0, 1)]
    by_expression = load(model_folder, adapter).model.state_dict()
    edit(adapter / "adapter_config.json", target_modules=names)
    by_name = load(model_folder, adapter).model.state_dict()
    assert by_name.keys() == by_expression.keys()
    assert all(by_name[name].equal(value) for name, value in by_expression.items())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("r", 2**40),
        ("r", "4"),
        ("peft_type", "PROMPT_TUNING"),
        ("modules_to_save", ["lm_head"]),
        ("megatron_config", {"a": 1}),
        ("rank_pattern", {"(.*)*x": 4}),
        ("exclude_modules", "(.*)*x"),
        ("trainable_token_indices", [1]),
        ("what_nobody_knows", "x"),
    ],
)
def test_a_key_that_does_more_than_lora_is_refused_by_name(model_folder, adapter, key, value):
    edit(adapter / "adapter_config.json", **{key: value})
    refused(model_folder, "adapter_config.json", key, adapter=adapter)


def test_an_adapter_of_another_rank_is_one_line(model_folder, adapter):
    edit(adapter / "adapter_config.json", r=8)
    with pytest.raises(ModelError, match="does not fit"):
        load(model_folder, adapter)


@pytest.mark.parametrize("name", ["adapter_config.json", "run.json"])
def test_deep_json_beside_an_adapter_is_no_fault_of_mayak(model_folder, adapter, name):
    (adapter / name).write_text(DEEP, encoding="utf-8")
    try:
        load(model_folder, adapter)
    except ModelError as error:
        assert name in error.message


# --- the hub ------------------------------------------------------------------------------------


def test_a_folder_asks_no_network(model_folder, adapter, network):
    load(model_folder, adapter)
    assert network == []


def test_a_hub_name_without_a_network_asks_once(network):
    with pytest.raises(
        ModelError, match=r"here or in this machine's model cache; no hub"
    ) as caught:
        load("owner/name")
    assert "--model nano" in caught.value.remedy
    assert len(network) == 1


def test_a_network_that_never_answers_is_given_up(monkeypatch):
    never = threading.Event()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: never.wait())
    monkeypatch.setattr(hub, "_SECONDS", 0.2)
    try:
        with pytest.raises(ModelError, match="no hub answers"):
            load("owner/name")
    finally:
        never.set()


@pytest.fixture
def cached(model_folder, tmp_path, monkeypatch):
    """The tiny model in the hub's cache."""
    home = tmp_path / "hub" / "models--owner--name"
    shutil.copytree(model_folder, home / "snapshots" / ("0123456789" * 4))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("0123456789" * 4, encoding="utf-8")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return home


def test_a_cached_hub_model_is_loaded_without_a_network(cached, network):
    vlm = load("owner/name")
    assert vlm.engine.model == "owner/name@" + "0123456789" * 4
    assert len(network) == 1


def test_a_cached_hub_model_is_checked_like_a_folder(cached, network):
    edit(next(cached.rglob("config.json")), text_config__hidden_size=2**20)
    refused("owner/name", "config.json", "text_config.hidden_size")


def test_a_hostile_shape_under_another_name_is_refused(folder):
    for path in folder.glob("*.safetensors"):
        renamed = {name.replace("layers", "blocks"): w for name, w in load_file(path).items()}
        save_file(renamed, path, metadata={"format": "pt"})
    edit(folder / "config.json", text_config__intermediate_size=2**24)
    refused(folder, "cannot be loaded", "layers.0.mlp.gate_proj.weight")
