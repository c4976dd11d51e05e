"""Loading of a base model, with or without an adapter, in one of four precisions."""

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
    LlavaNextConfig,
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
_FOLDER_ONLY: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""No network and no code from the folder. Without the second, transformers would ask the user about
the code, and run it on "y"."""
_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16"}
_SOFTWARE = ("mayak", "torch", "transformers", "peft", "bitsandbytes", "torchvision")
# Everything except the language model's blocks stays in 16 bits. This list replaces the default
# exemption of lm_head, so it must name lm_head too. transformers matches from the start of the full
# name, so the bare names of the tower and the projector would exempt nothing.
_KEPT_WIDE = ["lm_head", "model.vision_tower", "model.multi_modal_projector"]


@dataclass(frozen=True)
class VisionLanguageModel:
    """A loaded LLaVA-NeXT with its processor, prompt and engine."""

    model: Any
    """``LlavaNextForConditionalGeneration``, or a ``PeftModel`` around it, in eval mode."""
    processor: LlavaNextProcessor
    prompt: Prompt
    engine: Engine

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        device: torch.device = self.model.device
        return device

    @property
    def base(self) -> Any:  # noqa: ANN401 - a transformers model
        """The ``LlavaNextForConditionalGeneration`` itself, with an adapter's layers inside it."""
        return self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model

    @property
    def min_sides(self) -> Sides:
        """Twice the resolution that the model sees. A JPEG with larger sides may be decoded at a
        reduced scale: its tiles then differ by about one level in 256.

        An image is fitted into a square of tiles (one much longer than wide into a row of tiles),
        and squeezed into the base tile, with any aspect ratio.
        """
        images = self.processor.image_processor
        grids: list[list[int]] = images.image_grid_pinpoints
        return Sides(2 * max(map(min, grids)), 2 * images.crop_size.height)

    @property
    def min_base_sides(self) -> Sides:
        """Twice the resolution of the base tile, as ``min_sides`` is for all tiles."""
        return Sides(self.min_sides.shorter, self.min_sides.shorter)

    def inputs(self, batch: Any) -> dict[str, Any]:  # noqa: ANN401 - transformers' BatchFeature
        """Return a batch on the model's device, with pixels in the model's dtype.

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
    """Load a base model, and optionally an adapter for it.

    ``name`` is ``nano`` (the embedded model), a local folder or a hub id. ``precision`` is the
    base's: ``nf4`` (4-bit, double quantisation, computing in bf16 on a GPU and fp32 on a CPU),
    ``bf16``, ``fp32`` or ``fp8`` (``mayak.model.fp8``); ``auto`` is ``nf4``, as in the paper. With
    4-bit weights the adapter stays separate; otherwise it is merged into the weights, which costs
    no time later. ``device`` is ``cuda``, ``cuda:1``, ``cpu`` …; ``auto`` is the first GPU if there
    is one. ``unproven`` allows fp8 before its agreement with bf16 has been shown.

    Raises:
        ModelError: the folder has no LLaVA-NeXT, the model is not available, the device cannot
            run it, the adapter does not fit or changes nothing, or fp8 has not been shown to agree
            with bf16 for this adapter.
    """
    target = _device(device)
    width = _width(precision, target)
    quantised = precision in ("auto", "nf4")
    # 1. Find and check the folders, before minutes are spent on loading.
    folder, config = _model_folder(name, revision)
    lora = None if adapter is None else adapter_config(adapter)
    # 2. Load processor, prompt and base model.
    processor, prompt, model = _load_base(
        name, folder, config, width=width, target=target, quantised=quantised
    )
    # 3. Attach the adapter, and merge it unless the weights are quantised.
    identity = _identity(name, folder) if _is_local(name) else f"{name}@{folder.name}"
    if adapter is not None and lora is not None:
        _check_base(adapter, identity)
        model = _with_adapter(model, adapter, lora)
        if not quantised:
            model = model.merge_and_unload()
    # 4. Convert to fp8.
    if precision == "fp8":
        to_fp8(model.model.language_model, target)
    model.eval()
    # 5. Record what the scores depend on.
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


def _local_folder(name: str) -> Path:
    return Path(str(files("mayak.model") / "nano" if name == NANO else name))


def _is_local(name: str) -> bool:
    return _local_folder(name).is_dir()


def _model_folder(name: str, revision: str | None) -> tuple[Path, LlavaNextConfig]:
    """Return a model's folder, downloaded if necessary, and its checked configuration."""
    local = _is_local(name)
    if not local and ("\\" in name or name.count("/") != 1):
        raise ModelError(
            msg("model folder {name} does not exist", name=name),
            remedy=msg("name a folder, a hub id (owner/name) or `nano`"),
        )
    folder = _local_folder(name)
    reachable = local or hub_answers()
    try:
        if not local:
            folder = hub_folder(name, "config.json", revision=revision, cached=not reachable)
            # Before 15 GB of another kind of model are downloaded.
            model_config(folder, name, weights=False)
            folder = hub_folder(name, revision=revision, cached=not reachable)
        return folder, model_config(folder, name)
    except FileNotFoundError as error:
        raise _incomplete(name, hub_reachable=reachable) from error


def _load_base(
    name: str,
    folder: Path,
    config: LlavaNextConfig,
    *,
    width: torch.dtype,
    target: torch.device,
    quantised: bool,
) -> tuple[LlavaNextProcessor, Prompt, Any]:
    """Load the processor, the prompt and the base model of a checked folder."""
    try:
        processor = LlavaNextProcessor.from_pretrained(folder, **_FOLDER_ONLY)
        for key in _FOLDER_ONLY:  # they would be saved with an adapter
            processor.tokenizer.init_kwargs.pop(key, None)
        check_processor(folder, processor, config)
        prompt = Prompt.of(processor)
        model, found = LlavaNextForConditionalGeneration.from_pretrained(
            folder,
            config=config,
            **_FOLDER_ONLY,
            # Never a pickle; and the model's identity is the digest of these files.
            use_safetensors=True,
            # The usual one. A configuration may name native code on a hub instead.
            attn_implementation="sdpa",
            output_loading_info=True,
            dtype=width,
            device_map={"": target},
            quantization_config=_nf4(width) if quantised else None,
        )
        _check_whole(name, found["missing_keys"])
        # Answers are greedy; a folder's own settings could request a million beams.
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
    return processor, prompt, model


def _precision(precision: Precision, width: torch.dtype, *, adapted: bool) -> str:
    """Return the precision as the engine names it."""
    if precision in ("auto", "nf4"):
        return f"nf4, {_NAMES[width]}"
    return f"{precision}, adapter merged" if adapted else precision


def out_of_memory(error: Exception) -> ModelError:
    """Return CUDA's out-of-memory error as one with a remedy."""
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
        # Events and recorded streams belong to the current device.
        torch.cuda.set_device(device.index or 0)
    return device


def _width(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the dtype of the weights that are not quantised."""
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
    """Refuse missing weights: transformers fills them with random numbers, and only logs it."""
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
    """Forbid bitsandbytes to repack the weights at the first forward pass without gradients.

    On processors with AVX512-BF16 it repacks them for a kernel that computes in bf16 for any
    requested dtype, and that has no gradient: scores would depend on the processor, and training
    after a validation would lose gradients with only a warning.
    """
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _check_quantised(model: Any) -> None:  # noqa: ANN401 - a transformers model
    """Check that exactly the language model's projections are 4-bit. Without this, exempted names
    that match nothing, or too much, would go unnoticed."""
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


def _incomplete(name: str, *, hub_reachable: bool) -> ModelError:
    return ModelError(
        msg("{name} has no complete model, here or in this machine's model cache", name=name)
        + ("" if hub_reachable else msg("; no hub answers")),
        remedy=msg(
            "download it once where there is a network (`hf download "
            "llava-hf/llava-v1.6-mistral-7b-hf --local-dir DIR`), copy DIR here and give --model "
            "DIR; `--model nano` needs no download"
        ),
    )


def _with_adapter(model: Any, adapter: Path, settings: LoraConfig) -> PeftModel:  # noqa: ANN401
    try:
        with warnings.catch_warnings():
            # PEFT only warns about missing keys; _check_complete refuses them.
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
    """Compare the base model with the one that the adapter records. If both are digests of weights,
    or both revisions of one hub model, they must be equal."""
    try:
        recorded = read_json(adapter / "run.json", RECORD_BYTES)
        trained_on = str(recorded["base_model"]["identity"])
    except (OSError, *PARSE_ERRORS):
        return  # an adapter that mayak did not train has no record
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
    """Check that fp8 was compared with bf16 for exactly this engine (``evaluation.agreement``)."""
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
    """Refuse an adapter with B matrices of zeros: names that match nothing are ignored silently and
    leave them so, and a training step never does."""
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
    """Return ``name@sha256:…`` over a folder's weights and configuration."""
    shown = name if name == NANO else folder.resolve().name
    parts = [*folder.glob("*.safetensors"), *folder.glob("*config.json")]
    return f"{shown}@sha256:{_digest(sorted(parts))}"


def _digest(paths: list[Path]) -> str:
    """Return the SHA-256 over the SHA-256 of each file, in order of name, hashed in parallel."""
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(_file_digest, paths))
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    return f"{path.name} {file_sha256(path)}"


def _preprocessing(processor: LlavaNextProcessor) -> str:
    return json_digest(processor.image_processor.to_dict(), "ascii")
