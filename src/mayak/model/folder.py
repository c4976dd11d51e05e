"""Checks of a model's or an adapter's folder before anything in it is loaded or allocated.

Both may come from an untrusted source. The configuration must agree with the shapes of the weights
in the headers of the safetensors files, and no key may request code, a download or an unbounded
regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peft import LoraConfig
from safetensors import SafetensorError, safe_open
from transformers import LlavaNextConfig, LlavaNextProcessor

from mayak.errors import ModelError
from mayak.i18n import Message, message_of, msg
from mayak.untrusted import RECORD_BYTES, read_json

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_INDEX = "model.safetensors.index.json"

LANGUAGE_MODELS = ("llama", "mistral", "qwen2")
"""Language models of LLaVA-NeXT; their decoder layers have the same structure."""
VISION_MODELS = ("clip_vision_model",)

Shapes = dict[str, tuple[int, ...]]

_MAX_INTEGER = 1 << 24
_MAX_BY_KEY = {"num_hidden_layers": 1000, "num_labels": 1000}
"""Keys for which transformers allocates a list or a table when it reads the configuration."""
_MAX_TILES = 8
"""Along one side of an image; LLaVA-NeXT has at most 4."""
_MAX_GRIDS = _MAX_TILES**2
_STATED = (
    ("text_config.vocab_size", "embed_tokens.weight", 0),
    ("text_config.hidden_size", "embed_tokens.weight", 1),
    ("text_config.intermediate_size", "language_model*.layers.0.mlp.gate_proj.weight", 0),
    ("vision_config.hidden_size", ".embeddings.patch_embedding.weight", 0),
    ("vision_config.num_channels", ".embeddings.patch_embedding.weight", 1),
    ("vision_config.patch_size", ".embeddings.patch_embedding.weight", 2),
    ("vision_config.intermediate_size", "vision_tower*.layers.0.mlp.fc1.weight", 0),
)
"""Key of ``config.json``, weight ("*": anything between) and axis that must agree."""

_MAX_RANK = 1024
_MAX_NAMES = 1000
_MAX_NAME = 200
_NAME = re.compile(rf"[\w.]{{1,{_MAX_NAME}}}")
_EXPRESSION = re.compile(r"(?:\.\*|\\d\+|\\\.|[\w.]|\([\w|]+\)){1,500}")
"""Names, ``.*``, ``\\d+`` and groups of alternatives: no repetition contains another."""
_MAX_REPEATS = 2
_ADAPTER_KEYS = {
    # checked and used
    *("peft_type", "r", "lora_alpha", "lora_dropout", "target_modules", "use_rslora", "use_dora"),
    # no effect on a loaded adapter
    *("task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
    *("inference_mode", "init_lora_weights"),
}


def _object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ModelError: the file is something else.
        FileNotFoundError: there is no file.
    """
    try:
        value = read_json(path, RECORD_BYTES)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise _damaged(path, message_of(error)) from error
    if not isinstance(value, dict):
        raise _damaged(path, msg("not a JSON object"))
    return value


def model_config(folder: Path, name: str, *, weights: bool = True) -> LlavaNextConfig:
    """Return the configuration of a LLaVA-NeXT folder; with ``weights``, compare it with them.

    Raises:
        ModelError: names the file and the key that is wrong.
        FileNotFoundError: there is no ``config.json``.
    """
    path = folder / CONFIG
    _check_files(folder)
    if (folder / ADAPTER_CONFIG).exists():  # transformers would load it, and the base that it names
        raise _damaged(folder / ADAPTER_CONFIG, msg("an adapter in a model"))
    raw = _object(path)
    kind = raw.get("model_type")
    if kind != "llava_next":
        raise ModelError(
            msg("{name} holds a {kind!s:.50} model, not LLaVA-NeXT", name=name, kind=kind)
            + (msg("; code that it brings (auto_map) is never run") if "auto_map" in raw else ""),
            remedy="--model llava-hf/llava-v1.6-mistral-7b-hf",
        )
    if weights_file := raw.get("transformers_weights"):
        raise _wrong(path, "transformers_weights", weights_file, "null")
    if raw.get("quantization_config"):
        raise ModelError(
            msg("{path}: quantization_config: the weights are quantised already", path=path),
            remedy=msg("use the original weights; --precision nf4 quantises them"),
        )
    for key, value in _integers(raw):
        most = _MAX_BY_KEY.get(key.rpartition(".")[2], _MAX_INTEGER)
        if abs(value) > most:
            raise _wrong(path, key, value, f"≤ {most}")
    try:
        config = LlavaNextConfig.from_dict(raw)
    except Exception as error:  # transformers' checks raise exceptions of many types
        raise _damaged(path, str(error)) from error
    # Other kinds have sizes that are not compared below, for instance a million experts.
    for part, known in (("text_config", LANGUAGE_MODELS), ("vision_config", VISION_MODELS)):
        kind = getattr(config, part).model_type
        if kind not in known:
            raise _wrong(path, f"{part}.model_type", kind, " | ".join(known))
    if not isinstance(config.vision_feature_layer, int):
        raise _wrong(path, "vision_feature_layer", config.vision_feature_layer, "-2")
    if weights:
        _compare(path, config, stored_shapes(folder))
    return config


def stored_shapes(folder: Path) -> Shapes:
    """Return the shape of each weight in a folder's safetensors files.

    Raises:
        ModelError: a file is damaged, or the index names files elsewhere.
    """
    index = folder / _INDEX
    if index.exists():
        named = _object(index).get("weight_map")
        # Files of another folder would be loaded unchecked, and not be part of the identity.
        for file in named.values() if isinstance(named, dict) else [named]:
            if not isinstance(file, str) or Path(file).name != file:
                raise _wrong(index, "weight_map", file, "*.safetensors")
    shapes: Shapes = {}
    for path in sorted(folder.glob("*.safetensors")):
        shapes |= file_shapes(path)
    return shapes


def file_shapes(path: Path) -> Shapes:
    """Return the shape of each weight in one file; only its header is read."""
    try:
        with safe_open(path, "pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _damaged(path, str(error)) from error


def check_processor(folder: Path, processor: LlavaNextProcessor, config: LlavaNextConfig) -> None:
    """Check the sizes of tiles, and the values that the number of tokens is computed from.

    Raises:
        ModelError: a value does not agree with the configuration.
    """
    images, side = processor.image_processor, config.vision_config.image_size
    patch, further = processor.patch_size, processor.num_additional_image_tokens
    if patch != config.vision_config.patch_size:
        raise _wrong(folder, "processor.patch_size", patch, str(config.vision_config.patch_size))
    if processor.image_token_id != config.image_token_id:
        raise _wrong(folder, "processor.image_token", processor.image_token, "<image>")
    if further not in (0, 1):  # the tower's class token
        raise _wrong(folder, "processor.num_additional_image_tokens", further, "0–1")
    for key in ("size", "crop_size"):
        sizes = dict(getattr(images, key))
        if {*sizes.values()} != {side}:
            raise _wrong(folder, f"image_processor.{key}", sizes, str(side))
    for key in ("image_mean", "image_std"):
        if len(getattr(images, key)) != config.vision_config.num_channels:
            raise _wrong(folder, f"image_processor.{key}", getattr(images, key), "3 numbers")
    grids = [list(grid) for grid in images.image_grid_pinpoints]
    if not 0 < len(grids) <= _MAX_GRIDS or grids != [list(g) for g in config.image_grid_pinpoints]:
        raise _wrong(folder, "image_processor.image_grid_pinpoints", grids, CONFIG)
    most = _MAX_TILES * side
    for grid in grids:
        if not all(0 < length <= most and length % side == 0 for length in grid):
            raise _wrong(folder, "image_processor.image_grid_pinpoints", grid, f"1–{most}")


def adapter_config(folder: Path) -> LoraConfig:
    """Return the LoRA settings of an adapter's folder.

    Only keys that are known to be safe are used: others import modules, ask the hub, or change
    weights outside the adapter.

    Raises:
        ModelError: names the file or the key.
    """
    path, weights = folder / ADAPTER_CONFIG, folder / ADAPTER_WEIGHTS
    _check_files(folder)
    if not path.is_file():
        raise ModelError(
            msg("{folder} has no adapter", folder=folder),
            remedy=msg("run `mayak train`, or name its final_model_checkpoint folder"),
        )
    if not weights.is_file():
        raise ModelError(
            msg(
                "the adapter {folder} lacks its weights ({file})",
                folder=folder,
                file=ADAPTER_WEIGHTS,
            ),
            remedy=msg("copy the adapter folder again"),
        )
    raw = _object(path)
    if raw.get("peft_type") != "LORA":
        raise _wrong(path, "peft_type", raw.get("peft_type"), "LORA")
    usual = LoraConfig().to_dict()
    for key, value in raw.items():
        if key not in _ADAPTER_KEYS and value and value != usual.get(key):
            raise _wrong(path, key, value, str(usual.get(key)))
    rank, targets = raw.get("r"), raw.get("target_modules")
    if not isinstance(rank, int) or not 0 < rank <= _MAX_RANK:
        raise _wrong(path, "r", rank, f"1–{_MAX_RANK}")
    if not _is_bounded(targets):
        raise _wrong(
            path,
            "target_modules",
            targets,
            msg("a list of modules' names"),
        )
    try:
        return LoraConfig(
            r=rank,
            lora_alpha=float(raw["lora_alpha"]),
            lora_dropout=float(raw.get("lora_dropout", 0)),
            use_rslora=bool(raw.get("use_rslora", False)),
            use_dora=bool(raw.get("use_dora", False)),
            target_modules=targets,
            inference_mode=True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _check_files(folder: Path) -> None:
    """Refuse pipes and devices, which would be read without end.

    Raises:
        ModelError: names the entry.
    """
    for entry in folder.glob("*"):
        if entry.exists() and not entry.is_file() and not entry.is_dir():
            raise _damaged(entry, msg("it is not a file"))


def _is_bounded(targets: object) -> bool:
    """Return whether ``target_modules`` can be matched in bounded time."""
    if isinstance(targets, str):
        repeats = targets.count(".*") + targets.count(r"\d+")
        return _EXPRESSION.fullmatch(targets) is not None and repeats <= _MAX_REPEATS
    return (
        isinstance(targets, list)
        and 0 < len(targets) <= _MAX_NAMES
        and all(isinstance(name, str) and _NAME.fullmatch(name) for name in targets)
    )


def _integers(value: object, key: str = "") -> Iterator[tuple[str, int]]:
    """Yield (dotted key, value) of every integer in a JSON value."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _integers(part, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for part in value:
            yield from _integers(part, key)
    elif isinstance(value, int):
        yield key, value


def _compare(path: Path, config: LlavaNextConfig, shapes: Shapes) -> None:
    """Compare the stated sizes with the weights.

    Raises:
        ModelError: for the first size that differs.
    """
    expected = {key: _length(path, shapes, weight, axis) for key, weight, axis in _STATED}
    text, vision = config.text_config, config.vision_config
    heads = max(1, getattr(text, "num_attention_heads", 1))
    width = getattr(text, "head_dim", None) or expected["text_config.hidden_size"] // heads
    for key, weight in (("num_attention_heads", "q_proj"), ("num_key_value_heads", "k_proj")):
        rows = _length(path, shapes, f"language_model*.layers.0.self_attn.{weight}.weight", 0)
        expected[f"text_config.{key}"] = rows // max(1, width)
    for part, prefix in (("text_config", "language_model"), ("vision_config", "vision_tower")):
        layer = re.compile(rf"{prefix}\.(?:.*\.)?layers\.(\d+)\.")
        found = [int(hit[1]) for name in shapes if (hit := layer.search(name[:_MAX_NAME]))]
        expected[f"{part}.num_hidden_layers"] = max(found, default=-1) + 1
    for key, stored in expected.items():
        part, _, name = key.partition(".")
        stated = getattr(getattr(config, part), name, None)
        if stated != stored:
            raise _wrong(path, key, stated, msg("{stored}, as the weights", stored=stored))
    places = _length(path, shapes, ".embeddings.position_embedding.weight", 0)
    if (vision.image_size // max(1, vision.patch_size)) ** 2 + 1 != places:
        wanted = msg("one for {places} patches", places=places - 1)
        raise _wrong(path, "vision_config.image_size", vision.image_size, wanted)


def _length(path: Path, shapes: Shapes, weight: str, axis: int) -> int:
    """Return the length of a stored weight along an axis.

    Raises:
        ModelError: there is no such weight.
    """
    start, _, end = weight.rpartition("*")
    for name, shape in shapes.items():
        if name.endswith(end) and start in name and len(shape) > axis:
            return shape[axis]
    raise ModelError(
        msg(
            "{parent} cannot be loaded: its *.safetensors hold no {weight}",
            parent=path.parent,
            weight=weight,
        ),
        remedy=msg("copy the model folder again"),
    )


def _wrong(path: Path, key: str, value: object, wanted: str) -> ModelError:
    shown = f"{value!r:.80}"
    return ModelError(
        msg(
            "{path}: {key} is {shown}, not {wanted}", path=path, key=key, shown=shown, wanted=wanted
        ),
        remedy=msg("copy the folder again from its source"),
    )


def _damaged(path: Path, why: str) -> ModelError:
    if not isinstance(why, Message):
        why = why.strip().partition("\n")[0][:200]
    return ModelError(
        msg("{path} cannot be loaded ({why})", path=path, why=why),
        remedy=msg("copy the folder again from its source"),
    )
