"""Training configuration from a YAML file; all faults are reported together."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mayak.errors import ConfigError
from mayak.i18n import message_of, msg, system_error
from mayak.untrusted import PARSE_ERRORS, RECORD_BYTES, read_file

Precision = Literal["auto", "nf4", "bf16", "fp32", "fp8"]
PRESETS = ("repo", "paper", "nano")
BASE_MODEL = "llava-hf/llava-v1.6-mistral-7b-hf"
OUTPUT = "outputs/llava_next_drug_classifier_epochs5"
FINAL = "final_model_checkpoint"
FP8_PROOF = "fp8_agreement.json"
"""Next to an adapter: proof that fp8 gave the same labels as bf16 on validation images."""

Positive = Annotated[int, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LoraOptions(_Strict):
    """Low-rank adapters (Hu et al. 2021) on the language model's projections."""

    r: Positive
    alpha: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]


class TrainConfig(_Strict):
    """Everything except the data that a training run depends on."""

    model: str
    revision: str | None = None
    precision: Literal["nf4", "bf16", "fp32"]
    lora: LoraOptions
    epochs: Positive
    learning_rate: Annotated[float, Field(gt=0)]
    batch_size: Positive
    accumulate: Positive
    """Batches whose gradients are accumulated before a step."""
    gradient_clip: Annotated[float, Field(gt=0)]
    gradient_checkpointing: bool | Literal["auto"]
    """``auto``: if the activations for the backward pass do not fit into memory."""
    validations_per_epoch: Positive
    keep_best: Positive
    checkpoint_every: Positive
    """Steps between two saves of the last checkpoint, in addition to those after a validation."""
    base_tile: bool = False
    """Whether each image is also trained as its base tile alone, for tier 1 of the cascade."""
    seed: Annotated[int, Field(ge=0, lt=2**32)]


def load_train_config(name: str, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """Load a preset (``repo``, ``paper``, ``nano``) or a YAML file, with single values replaced.

    ``overrides`` maps keys to values; None values are ignored.

    Raises:
        ConfigError: lists every fault with its key.
    """
    text, origin = _text(name)
    try:
        repeated = _repeated_keys(yaml.compose(text, Loader=yaml.SafeLoader))
        values = yaml.safe_load(text)
    except (yaml.YAMLError, *PARSE_ERRORS) as error:
        raise ConfigError(
            msg("{origin} is not valid YAML: {error}", origin=origin, error=error),
            remedy=msg("start from a copy of repo.yaml"),
        ) from error
    if not isinstance(values, dict):
        raise ConfigError(
            msg("{origin} has no keys", origin=origin),
            remedy=msg("start from a copy of repo.yaml"),
        )
    if repeated:
        raise ConfigError(
            msg("{origin} has keys twice (lines): {keys}", origin=origin, keys=", ".join(repeated)),
            remedy=msg("keep one line of each"),
        )
    values |= {key: value for key, value in (overrides or {}).items() if value is not None}
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise ConfigError(
            f"{origin}: {faults}",
            remedy=msg("compare with the commented repo.yaml"),
        ) from error


def _repeated_keys(root: yaml.Node | None) -> list[str]:
    """Return the keys that occur twice in one mapping, with the lines; YAML would keep the last."""
    found: list[str] = []
    nodes, known = [root] if root else [], set[int]()
    while nodes:
        node = nodes.pop()
        if id(node) in known or isinstance(node, yaml.ScalarNode):  # an alias leads back
            continue
        known.add(id(node))
        if not isinstance(node, yaml.MappingNode):
            nodes += node.value
            continue
        lines: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                found.append(f"{name} ({lines[name]}, {line})")
            lines.setdefault(name, line)
            nodes.append(value)
    return found


def _text(name: str) -> tuple[str, str]:
    if name in PRESETS:
        return (files("mayak.configs") / f"{name}.yaml").read_text(encoding="utf-8"), name
    path = Path(name)
    try:
        return read_file(path, RECORD_BYTES).decode("utf-8"), name
    except (OSError, ValueError) as error:
        reason = system_error(error) if isinstance(error, OSError) else message_of(error)
        raise ConfigError(
            msg("configuration {name} cannot be read ({reason})", name=name, reason=reason),
            remedy=msg("name a YAML file or one of {presets}", presets=", ".join(PRESETS)),
        ) from error
