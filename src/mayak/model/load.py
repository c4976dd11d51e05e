"""A base model and perhaps an adapter, loaded in one of four precisions, with its identity."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit
from peft import LoraConfig, PeftModel, get_peft_model_state_dict
from transformers import (
    BitsAndBytesConfig,
    GenerationConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
)

from mayak.config import FP8_PROOF, Precision
from mayak.errors import MayakError, ModelError
from mayak.files import file_sha256, json_digest
from mayak.i18n import msg
from mayak.model.folder import (
    ADAPTER_WEIGHTS,
    adapter_config,
    check_processor,
    file_shapes,
    model_config,
)
from mayak.model.fp8 import to_fp8
from mayak.model.hub import hub_answers, hub_folder
from mayak.model.prompt import Prompt
from mayak.types import Engine, Sides
from mayak.untrusted import PARSE_ERRORS, RECORD_BYTES, read_json

NANO = "nano"
_AS_IT_IS: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""No network and no code of the folder; left out, transformers would ask the user about the code
and run it on "y"."""
_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16"}
_SOFTWARE = ("mayak", "torch", "transformers", "peft", "bitsandbytes", "torchvision")
# Everything but the language model's blocks stays in 16 bits. A list of one's own replaces the
# default exemption of lm_head, so lm_head is named too; transformers matches from the start of the
# full name, so the bare names of the tower and the projector would exempt nothing.
_KEPT_WIDE = ["lm_head", "model.vision_tower", "model.multi_modal_projector"]


@dataclass(frozen=True)
class VisionLanguageModel:
    """A loaded LLaVA-NeXT with processor, prompt and identity."""

    model: Any
    """``LlavaNextForConditionalGeneration``, or a ``PeftModel`` around it, in eval mode."""
    processor: LlavaNextProcessor
    prompt: Prompt
    engine: Engine

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        device: torch.device = self.model.device
        return device

    @property
    def base(self) -> Any:  # noqa: ANN401 - a transformers model
        """The ``LlavaNextForConditionalGeneration`` itself; an adapter's layers lie inside it."""
        return self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model

    @property
    def least(self) -> Sides:
        """Twice what the model sees of an image: above it, a JPEG at a reduced scale makes tiles
        that differ from the whole one's by about a level in 256.

        An image is fitted into a square of tiles (only one much longer than wide into a longer
        row), and pressed into the base tile, whatever its shape.
        """
        images = self.processor.image_processor
        grids: list[list[int]] = images.image_grid_pinpoints
        return Sides(2 * max(map(min, grids)), 2 * images.crop_size.height)

    @property
    def least_for_base(self) -> Sides:
        """The same for the base tile alone."""
        return Sides(self.least.shorter, self.least.shorter)

    def inputs(self, batch: Any) -> dict[str, Any]:  # noqa: ANN401 - transformers' BatchFeature
        """The batch on the model's device, pixels in the model's width.

        ``image_sizes`` stays on the CPU: the model turns it into Python numbers, and each would
        wait for the GPU.
        """
        moved = {
            name: value if name == "image_sizes" else value.to(self.device, non_blocking=True)
            for name, value in batch.items()
        }
        moved["pixel_values"] = moved["pixel_values"].to(self.model.dtype)
        return moved


def load_model(
    name: str,
    *,
    precision: Precision = "auto",
    adapter: Path | None = None,
    device: str = "auto",
    revision: str | None = None,
    unproven: bool = False,
) -> VisionLanguageModel:
    """Load a base model, and an adapter over it.

    ``name`` is ``nano`` (the embedded model), a local folder or a hub id. ``precision`` is the
    base's: ``nf4`` (4-bit, double quantisation, computing in bf16 on a GPU and fp32 on a CPU),
    ``bf16``, ``fp32`` or ``fp8`` (``mayak.model.fp8``); ``auto`` is ``nf4``, as in the paper.
    Beside 4-bit weights the adapter stays an adapter; it is added into all others, where it costs
    nothing more. ``device`` is ``cuda``, ``cuda:1``, ``cpu`` …; ``auto`` takes the first GPU if
    there is one. Raises ModelError for a folder that holds no LLaVA-NeXT, a model that is not here,
    a device that cannot do it, an adapter that does not fit or changes nothing, or, unless
    ``unproven`` is wanted, fp8 that has not been shown to agree with bf16 for this adapter.
    """
    target = _device(device)
    width = _width(precision, target)
    folder = Path(str(files("mayak.model") / "nano" if name == NANO else name))
    local = folder.is_dir()
    if not local and ("\\" in name or name.count("/") != 1):
        raise ModelError(
            msg("model folder {name} does not exist", name=name),
            remedy=msg("name a folder, a hub id (owner/name) or `nano`"),
        )
    asked = local or hub_answers()
    try:
        if not local:
            folder = hub_folder(name, "config.json", revision=revision, cached=not asked)
            model_config(folder, name, weights=False)  # before 15 GB of another kind come down
            folder = hub_folder(name, revision=revision, cached=not asked)
        config = model_config(folder, name)
    except FileNotFoundError as error:
        raise _incomplete(name, asked=asked) from error
    # Before minutes go into the base model.
    lora = None if adapter is None else adapter_config(adapter)
    quantised = precision in ("auto", "nf4")
    try:
        processor = LlavaNextProcessor.from_pretrained(folder, **_AS_IT_IS)
        for key in _AS_IT_IS:  # they would be saved with an adapter
            processor.tokenizer.init_kwargs.pop(key, None)
        check_processor(folder, processor, config)
        prompt = Prompt.of(processor)
        model, found = LlavaNextForConditionalGeneration.from_pretrained(
            folder,
            config=config,
            **_AS_IT_IS,
            # Never a pickle; and the identity below is that of these files.
            use_safetensors=True,
            # The usual one. What a configuration names may be native code on a hub.
            attn_implementation="sdpa",
            output_loading_info=True,
            dtype=width,
            device_map={"": target},
            quantization_config=_nf4(width) if quantised else None,
        )
        _check_whole(name, found["missing_keys"])
        # Answers are greedy; a folder's own settings could ask for a million beams.
        model.generation_config = GenerationConfig(eos_token_id=prompt.end_id)
    except torch.OutOfMemoryError as error:
        raise out_of_memory(error) from error
    except MayakError:
        raise
    except Exception as error:  # a damaged folder fails in many ways
        raise ModelError(
            msg("{name} cannot be loaded: {error}", name=name, error=error),
            remedy=msg("run `mayak doctor`"),
        ) from error
    if quantised:
        _check_quantised(model)
        _keep_layout(model)
    identity = _identity(name, folder) if local else f"{name}@{folder.name}"
    if adapter is not None and lora is not None:
        _check_base(adapter, identity)
        model = _with_adapter(model, adapter, lora)
        if not quantised:
            model = model.merge_and_unload()
    if precision == "fp8":
        to_fp8(model.model.language_model, target)
    model.eval()
    engine = Engine(
        model=identity,
        adapter=None if adapter is None else _digest(sorted(adapter.glob("adapter_*"))),
        precision=_precision(precision, width, adapted=adapter is not None),
        prompt=prompt.digest,
        preprocessing=_preprocessing(processor),
        software=tuple((package, version(package)) for package in _SOFTWARE),
    )
    if precision == "fp8" and not unproven:
        _check_proof(adapter, engine)
    return VisionLanguageModel(model, processor, prompt, engine)


def _precision(precision: Precision, width: torch.dtype, *, adapted: bool) -> str:
    """How the engine names it."""
    if precision in ("auto", "nf4"):
        return f"nf4, {_NAMES[width]}"
    return f"{precision}, adapter merged" if adapted else precision


def out_of_memory(error: Exception) -> ModelError:
    """CUDA's out-of-memory as an error that says what to do."""
    return ModelError(
        msg("the GPU's memory is full ({reason})", reason=str(error).splitlines()[0]),
        remedy=msg("use --batch-size 1 and --precision nf4, or end other programs on the GPU"),
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            msg("the device {name!r} cannot be used", name=name)
            + f" ({str(error).splitlines()[0]})",
            remedy=msg("use `cpu` or see `mayak doctor`"),
        ) from error
    if device.type == "cuda":
        # Events, and streams that are being recorded, belong to the current device.
        torch.cuda.set_device(device.index or 0)
    return device


def _width(precision: Precision, device: torch.device) -> torch.dtype:
    """Number format of what is not quantised."""
    if precision == "fp32" or (device.type == "cpu" and precision not in ("bf16", "fp8")):
        return torch.float32
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ModelError(
            msg(
                "{device} has no bfloat16",
                device=torch.cuda.get_device_name(device),
            ),
            remedy=msg("use a GPU of compute capability 8.0 or later, or --device cpu"),
        )
    return torch.bfloat16


def _nf4(width: torch.dtype) -> BitsAndBytesConfig:
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=width,
        llm_int8_skip_modules=_KEPT_WIDE,
    )


def _check_whole(name: str, missing: Collection[str]) -> None:
    """transformers fills weights that a file lacks with chance, and only logs it."""
    if missing:
        raise ModelError(
            msg(
                "{name} lacks {n_missing} of its weights ({missing} …)",
                name=name,
                n_missing=len(missing),
                missing=min(missing),
            ),
            remedy=msg("copy the model folder again"),
        )


def _keep_layout(model: torch.nn.Module) -> None:
    """Forbid bitsandbytes to repack the weights at the first look without gradients.

    On processors with AVX512-BF16 it does, for a kernel that computes in bf16 whatever the stated
    width and has no gradient: scores would depend on the processor, and training that goes on after
    a validation would lose gradients with no more than a warning.
    """
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _check_quantised(model: Any) -> None:  # noqa: ANN401 - a transformers model
    """The language model's projections and nothing else are 4-bit; names that match nothing, or
    too much, would go unnoticed otherwise."""
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            expected = ".language_model." in name
            if isinstance(module, Linear4bit) != expected:
                raise ModelError(
                    msg("{name} is not quantised to 4 bits", name=name)
                    if expected
                    else msg("{name} is quantised to 4 bits", name=name),
                    remedy=msg("install the versions in constraints.txt"),
                )


def _incomplete(name: str, *, asked: bool) -> ModelError:
    """``asked``: whether a hub could be asked for it."""
    return ModelError(
        msg("{name} holds no complete model, here or in this machine's model cache", name=name)
        + ("" if asked else msg("; no hub answers")),
        remedy=msg(
            "download it once where there is a network (`hf download "
            "llava-hf/llava-v1.6-mistral-7b-hf --local-dir DIR`), copy DIR here and give --model "
            "DIR; `--model nano` needs no download"
        ),
    )


def _with_adapter(model: Any, adapter: Path, settings: LoraConfig) -> PeftModel:  # noqa: ANN401
    try:
        with warnings.catch_warnings():
            # PEFT only warns about missing keys; _check_complete makes that an error.
            warnings.simplefilter("ignore")
            adapted = PeftModel.from_pretrained(
                model, str(adapter), config=settings, local_files_only=True
            )
    except Exception as error:  # a damaged folder fails in many ways
        raise ModelError(
            msg(
                "the adapter {adapter} does not fit this base model: {error}",
                adapter=adapter,
                error=error,
            ),
            remedy=msg("use the base model named in its run.json"),
        ) from error
    _check_complete(adapted, adapter, set(file_shapes(adapter / ADAPTER_WEIGHTS)))
    _check_effect(adapted, adapter)
    return adapted


def _check_base(adapter: Path, identity: str) -> None:
    """Our adapters record the base that they were trained on; where both are digests of weights,
    or both revisions of one hub model, they must be the same."""
    try:
        recorded = read_json(adapter / "run.json", RECORD_BYTES)
        trained_on = str(recorded["base_model"]["identity"])
    except (OSError, *PARSE_ERRORS):
        return  # somebody else's adapter, which says nothing of it
    theirs, ours = trained_on.rpartition("@"), identity.rpartition("@")
    digests = theirs[2].startswith("sha256:") and ours[2].startswith("sha256:")
    if theirs[2] != ours[2] and (digests or theirs[0] == ours[0]):
        raise ModelError(
            msg(
                "the adapter {adapter} was trained on {trained_on}, not on {identity}",
                adapter=adapter,
                trained_on=trained_on,
                identity=identity,
            ),
            remedy=msg("use that base model, or train again on this one"),
        )


def _check_proof(adapter: Path | None, engine: Engine) -> None:
    """What fp8 changes has been measured for exactly this engine (``evaluation.agreement``)."""
    try:
        path = (adapter or Path()) / FP8_PROOF
        proven = read_json(path, RECORD_BYTES)["engine"] == engine.fingerprint
    except (OSError, *PARSE_ERRORS):
        proven = False
    if adapter is None or not proven:
        raise ModelError(
            msg("fp8 has not been shown to agree with bf16 for this model and adapter"),
            remedy=msg(
                "run `mayak evaluate --precision fp8 --manifest data/val_drug_data.json` with "
                "this adapter, which compares them, or use --precision bf16"
            ),
        )


def _check_complete(model: PeftModel, adapter: Path, stored: set[str]) -> None:
    lacking = set(get_peft_model_state_dict(model, save_embedding_layers=False)) - stored
    if lacking:
        raise ModelError(
            msg(
                "the adapter {adapter} lacks {n_lacking} of its weights ({lacking} …)",
                adapter=adapter,
                n_lacking=len(lacking),
                lacking=min(lacking),
            ),
            remedy=msg("copy the adapter folder again"),
        )


def _check_effect(model: PeftModel, adapter: Path) -> None:
    """An adapter whose names match nothing loads without a word and leaves the B matrices at zero;
    no training step leaves one there."""
    moved = [
        bool(weight.detach().any()) for name, weight in model.named_parameters() if "lora_B" in name
    ]
    if not all(moved) or not moved:
        raise ModelError(
            msg(
                "the adapter {adapter} changes only {moved} of the {n_moved} modules that it is "
                "for",
                adapter=adapter,
                moved=sum(moved),
                n_moved=len(moved),
            ),
            remedy=msg("it is untrained, damaged, or was made for another base model"),
        )


def _identity(name: str, folder: Path) -> str:
    """``name@sha256:…`` of a folder's weights and configuration."""
    shown = name if name == NANO else folder.resolve().name
    parts = [*folder.glob("*.safetensors"), *folder.glob("*config.json")]
    return f"{shown}@sha256:{_digest(sorted(parts))}"


def _digest(paths: list[Path]) -> str:
    """SHA-256 over the SHA-256s of files, in order of name; shards are hashed side by side."""
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(_file_digest, paths))
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    return f"{path.name} {file_sha256(path)}"


def _preprocessing(processor: LlavaNextProcessor) -> str:
    return json_digest(processor.image_processor.to_dict(), "ascii")
