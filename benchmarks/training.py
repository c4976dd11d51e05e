"""Training at the real model's size: ``python benchmarks/training.py [--out FILE]``.

LLaVA-1.6-Mistral-7B's exact configuration with random weights, on JPEGs as in ``engine.py``, from
batches prepared before: forward, backward and an AdamW step every 16 images. In one process, each
way over the same images:

1. mayak's: language-model LoRA, answer-only logits; nf4 and bf16 base, with and without gradient
   checkpointing, batches of 1, 2 and 4, in file order and sorted by length, layers compiled;
2. the original's: nf4, LoRA on all projections that bear the names, logits and loss over the whole
   prompt, checkpointing, batch 1;
3. what ``gradient_checkpointing: auto`` foresees of memory, and what it comes to.

Each figure is written when it is there; what fails is noted and the rest goes on. Losses of random
weights say only whether the ways agree.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlavaNextProcessor

from engine import arithmetic, build, ceiling, free, make_images, timed
from mayak.config import load_train_config
from mayak.imaging import decode_file
from mayak.model import VisionLanguageModel
from mayak.model.packed import PackedModel
from mayak.model.prompt import teach, token_counts
from mayak.model.shapes import processor_for, published_config, published_tokenizer
from mayak.training.data import Batch
from mayak.training.memory import foresee, largest_batch
from mayak.training.module import FineTuning
from mayak.training.plan import Plan
from mayak.types import DecodedImage

STEP = 16
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to train."""

    batch: int = 1
    checkpointing: bool = False
    by_length: bool = False
    compiled: bool = False

    def __str__(self) -> str:
        parts = [f"batch {self.batch}"]
        parts += ["checkpointing"] * self.checkpointing + ["by length"] * self.by_length
        return ", ".join(parts + ["compiled"] * self.compiled)


WAYS = (
    Way(checkpointing=True),
    Way(),
    Way(batch=2),
    Way(batch=2, by_length=True),
    Way(batch=4, checkpointing=True, by_length=True),
    Way(compiled=True),
    Way(batch=2, by_length=True, compiled=True),
)


def batches(vlm: VisionLanguageModel, images: list[DecodedImage], way: Way) -> list[Batch]:
    """As the loader makes them, on the GPU."""
    order = list(range(len(images)))
    if way.by_length:
        lengths = token_counts(vlm.processor, images)
        order.sort(key=lambda i: lengths[i])
    return [
        vlm.inputs(
            teach(
                vlm.processor,
                vlm.prompt,
                [images[i] for i in order[start : start + way.batch]],
                [i % 4 for i in order[start : start + way.batch]],
            )
        )
        for start in range(0, len(order), way.batch)
    ]


def passes(
    loss_of: Callable[[Batch], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    parts: list[Batch],
) -> dict[str, float]:
    """Samples/s over all batches after the first two, and the loss before the first step."""

    def go(some: list[Batch]) -> list[torch.Tensor]:
        losses, waiting = [], 0
        for part in some:
            with torch.autocast("cuda", torch.bfloat16):
                loss = loss_of(part)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
            waiting += len(part["labels"])
            if waiting >= STEP:
                optimizer.step()
                optimizer.zero_grad()
                waiting = 0
        return losses

    torch.manual_seed(0)
    torch.cuda.reset_peak_memory_stats()
    warm = timed(lambda: go(parts[:2]))
    seconds = timed(lambda: go(parts))
    samples = sum(len(part["labels"]) for part in parts)
    return {
        "samples_s": round(samples / seconds, 2),
        "warm_up_s": round(warm, 1),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def ours(vlm: VisionLanguageModel, images: list[DecodedImage], way: Way) -> dict[str, Any]:
    """mayak's own module, its adapter taken off again afterwards."""
    config = load_train_config("repo", {"batch_size": way.batch, "accumulate": STEP // way.batch})
    plan = Plan(len(images), 1, way.batch, STEP // way.batch, 1, 1, 0)
    module = FineTuning(vlm, config, plan)
    try:
        if way.checkpointing:
            module.checkpoint_activations()
        layers = vlm.model.model.language_model.layers
        if way.compiled:
            for layer in layers:
                layer.compile(dynamic=True)
        parts = batches(vlm, images, way)
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
            module.eval()
            loss = float(torch.stack([module(part) for part in parts]).mean())
            module.train()
        return passes(module, module.configure_optimizers(), parts) | {"loss": round(loss, 5)}
    finally:
        language = vlm.model.model.language_model
        for layer in language.layers:
            layer._compiled_call_impl = None
        disable = getattr(language, "activation_checkpointing_disable", None)
        (disable or language.gradient_checkpointing_disable)()
        module.model.unload()
        free()


def original(vlm: VisionLanguageModel, images: list[DecodedImage]) -> dict[str, Any]:
    """As the published train_script.py, but for what no longer runs (its upcasting of all 16-bit
    weights) and its cutting of image tokens."""
    vlm.model.requires_grad_(False)
    model = get_peft_model(
        vlm.model,
        LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules=PROJECTIONS),
    )
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in trained:
        weight.data = weight.data.float()
    base = model.get_base_model()
    base.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    parts = batches(vlm, images, Way())
    for part in parts:
        part["labels"] = part["input_ids"].clone()
    found = passes(
        lambda part: model(**part, use_cache=False).loss, torch.optim.AdamW(trained), parts
    )
    return found | {"trained": sum(weight.numel() for weight in trained)}


def foreseen(vlm: VisionLanguageModel, batch: int) -> dict[str, float]:
    """What the automatic choice sees."""
    config = load_train_config("repo", {"batch_size": batch})
    module = FineTuning(vlm, config, Plan(16, 1, batch, 16, 1, 1, 0))
    try:
        largest = vlm.inputs(largest_batch(vlm.processor, vlm.prompt, batch))
        seconds = timed(lambda: foresee(module, largest, mixed=True))
        found = foresee(module, largest, mixed=True)
        before = torch.cuda.memory_allocated()
        measured = passes(module, module.configure_optimizers(), [largest, largest])
        return {
            "seconds": round(seconds, 2),
            "needed_gib": round(found.needed / 2**30, 2),
            "free_gib": round(found.free / 2**30, 2),
            "came_to_gib": round(measured["peak_gib"] - before / 2**30, 2),
        }
    finally:
        module.model.unload()
        free()


def main() -> None:
    """Measure, print as it goes, and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("training.json"))
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--processor", type=Path, help="a saved processor (default: made here)")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("training.py needs a CUDA GPU: it measures 7 G parameters")
    found: dict[str, Any] = {}

    def note(name: str, value: Any) -> None:  # noqa: ANN401 - whatever was measured
        found[name] = value
        print(name, json.dumps(value), flush=True)
        asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    def attempt(name: str, work: Callable[[], Any]) -> None:
        try:
            note(name, work())
        except Exception as error:  # noqa: BLE001 - the other figures are wanted all the same
            note(name, f"{type(error).__name__}: {str(error)[:300]}")
        free()

    note(
        "machine",
        {
            "device": torch.cuda.get_device_name(0),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "peft", "bitsandbytes")},
        },
    )
    processor = (
        LlavaNextProcessor.from_pretrained(asked.processor)
        if asked.processor
        else processor_for(published_config(), published_tokenizer())
    )
    with tempfile.TemporaryDirectory() as folder:
        images = [decode_file(path) for path in make_images(Path(folder) / "images", asked.images)]
    for precision in ("bf16", "nf4"):
        vlm = build(processor, precision)
        if precision == "bf16":
            attempt("floor", lambda vlm=vlm: floor(vlm, images))
        for way in WAYS:
            attempt(f"{precision}, {way}", lambda vlm=vlm, way=way: ours(vlm, images, way))
        attempt(f"{precision}, foreseen at batch 1", lambda vlm=vlm: foreseen(vlm, 1))
        if precision == "nf4":
            attempt("original", lambda vlm=vlm: original(vlm, images))
        del vlm
        free()


def floor(vlm: VisionLanguageModel, images: list[DecodedImage]) -> dict[str, float]:
    """Twice the forward pass's arithmetic, at the ceiling: no gradients of frozen weights."""
    engine = PackedModel(vlm)
    pieces = [engine.prepare(image) for image in images]
    work = arithmetic([len(p.rows) for p in pieces], [len(p.tiles) for p in pieces])
    rate = ceiling()
    return {
        "images": len(images),
        "mean_tokens": round(sum(len(p.rows) for p in pieces) / len(pieces), 1),
        "ceiling_tflop_s": round(rate, 1),
        "samples_s": round(rate / work / 2, 2),
    }


if __name__ == "__main__":
    main()
