"""Training at the real model's size: ``python benchmarks/training.py [--out FILE]``.

LLaVA-1.6-Mistral-7B's exact configuration with random weights, on JPEGs as in ``engine.py``. In one
process, over the same 16 images:

1. mayak's step, from batches made before: packed, layers compiled, LoRA with dropout, AdamW every
   16 images; bf16 and nf4, with and without checkpointing, batches of 1, 2 and 4; what the
   automatic plan foresees of memory, and what it comes to;
2. learning the images by heart in bf16, without dropout: mayak's step and the stock model's, from
   the same adapter, one image a step in the same order: losses of all; and both ways' gradients
   against the stock model's in fp32;
3. the original's step: nf4, LoRA on all projections that bear the names, logits over the whole
   prompt, checkpointing, batch 1;
4. ``mayak train`` itself in nf4, from files, loader and Lightning and all; and with
   ``base_tile: true``.

``--parts`` leaves some out: bf16, heart, exact, nf4 (with the original's), train. Each figure is
written when it is there; what fails is noted and the rest continues; nothing new is begun when the
time is up. Losses of random weights say only whether the ways agree.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlavaNextProcessor

from checkpoints import processor_for, published_config, published_tokenizer
from engine import arithmetic, build, ceiling, free, make_images, timed, to_nf4
from mayak.config import load_train_config
from mayak.imaging import decode_file
from mayak.labels import QUESTION
from mayak.model import VisionLanguageModel
from mayak.model.packer import BatchPacker
from mayak.training import fit, forward
from mayak.training.data import Collate, Row, TrainingBatch
from mayak.training.memory import estimate_memory, largest_batch
from mayak.training.module import FineTuning, trained
from mayak.training.plan import Plan

STEP = 16
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PLAIN = {"lora": {"r": 16, "alpha": 32, "dropout": 0.0}}
PARTS = ("bf16", "heart", "exact", "nf4", "train")
Lesson = dict[str, torch.Tensor]


def collating(vlm: VisionLanguageModel) -> Collate:
    """How ``mayak train`` makes this model's batches."""
    return Collate(BatchPacker(vlm.processor, vlm.prompt, vlm.base.config))


def tuning(vlm: VisionLanguageModel, **changes: Any) -> FineTuning:  # noqa: ANN401
    """mayak's module with the default configuration; ``FineTuning.model.unload()`` undoes it."""
    return FineTuning(vlm, load_train_config("repo", changes), Plan(STEP, 1, 1, STEP, 1, 1, 0))


def stock_lesson(vlm: VisionLanguageModel, row: Row, *, whole: bool) -> Lesson:
    """An image with its answer as the stock model is taught it, on the GPU; the loss is the
    answer's, or that of the ``whole`` prompt, as in the published script."""
    image, label = row
    batch = vlm.processor(
        images=torch.from_numpy(image.pixels).permute(2, 0, 1),
        text=vlm.prompt.text,
        input_data_format="channels_first",
        return_tensors="pt",
    )
    answer = torch.tensor([vlm.prompt.answer_ids(label)])
    question = batch["input_ids"]
    batch["input_ids"] = torch.cat([question, answer], dim=1)
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    unasked = question if whole else torch.full_like(question, -100)
    batch["labels"] = torch.cat([unasked, answer], dim=1)
    return vlm.inputs(batch)


def speed(
    loss_of: Callable[[Any], torch.Tensor],
    weights: list[torch.nn.Parameter],
    parts: list[Any],
    batch: int,
) -> dict[str, float]:
    """Samples/s over all parts, after as many to warm up: each length has memory found for it."""
    optimizer = torch.optim.AdamW(weights, lr=1e-6)
    waiting = 0

    def go(some: list[Any]) -> None:
        nonlocal waiting
        for part in some:
            with torch.autocast("cuda", torch.bfloat16):
                loss = loss_of(part) * (batch / STEP)
            loss.backward()  # type: ignore[no-untyped-call]
            waiting += batch
            if waiting >= STEP:
                torch.nn.utils.clip_grad_norm_(weights, 1.0)
                optimizer.step()
                optimizer.zero_grad()
                waiting = 0

    torch.manual_seed(0)
    warm = timed(lambda: go(parts))
    torch.cuda.reset_peak_memory_stats()
    seconds = timed(lambda: go(parts))
    optimizer.zero_grad()
    return {
        "samples_s": round(batch * len(parts) / seconds, 2),
        "warm_up_s": round(warm, 1),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }


def measure_ways(
    vlm: VisionLanguageModel,
    rows: list[Row],
    ways: list[tuple[int, bool]],
    attempt: Callable[..., None],
    name: str,
) -> None:
    """mayak's step in each of the ways (batch, checkpointed), compiled once for all."""
    module, collate = tuning(vlm), collating(vlm)
    weights = list(trained(module.model).values())
    for batch in (1, 2):
        attempt(f"{name}, foreseen at batch {batch}", lambda b=batch: foreseen(module, collate, b))

    def loss_of(part: TrainingBatch) -> torch.Tensor:
        loss: torch.Tensor = module(part.on(module.model.device))
        return loss

    def measure(batch: int, *, checkpointed: bool) -> dict[str, float]:
        module.answers.checkpointed = checkpointed
        cut = range(0, len(rows), batch)
        parts = [collate(rows[start : start + batch]).pin_memory() for start in cut]
        return speed(loss_of, weights, parts, batch)

    attempt(f"{name}, batch 1, checkpointing, not compiled", lambda: measure(1, checkpointed=True))
    module.answers.compile()
    for batch, checkpointed in ways:
        title = f"{name}, batch {batch}" + ", checkpointing" * checkpointed
        attempt(title, lambda b=batch, c=checkpointed: measure(b, checkpointed=c), keep_graphs=True)
    module.model.unload()


def foreseen(module: FineTuning, collate: Collate, batch: int) -> dict[str, float]:
    """What the automatic choice sees, and how long it looks."""
    largest = largest_batch(collate, batch).on(module.model.device)
    estimate_memory(module, largest, mixed=True)
    before = time.perf_counter()
    found = estimate_memory(module, largest, mixed=True)
    return {
        "seconds": round(time.perf_counter() - before, 2),
        "tokens": int(largest.packed.bounds[-1]),
        "needed_gib": round(found.needed / 2**30, 2),
        "free_gib": round(found.free / 2**30, 2),
    }


def product(
    vlm: VisionLanguageModel, paths: list[Path], root: Path, *, base_tile: bool
) -> dict[str, Any]:
    """``mayak train`` over image files, but for the loading of the base, which is here already."""
    output = root / ("both" if base_tile else "whole")
    (root / "data").mkdir(exist_ok=True)
    for split, some in (("train", paths[8:]), ("val", paths[:8])):
        records = [
            {
                "id": path.stem,
                "image_path": path.relative_to(root).as_posix(),
                "question": QUESTION,
                "answer": str(number % 4),
            }
            for number, path in enumerate(some)
        ]
        manifest = root / "data" / f"{split}_drug_data.json"
        manifest.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    config = load_train_config(
        "repo",
        {
            "batch_size": 2,
            "accumulate": 8,
            "epochs": 1,
            "validations_per_epoch": 1,
            "base_tile": base_tile,
        },
    )
    # Workers start as those of the command do: without this file, which would bring them more.
    vars(sys.modules["__main__"]).pop("__file__", None)
    fit.load_model = lambda *_, **__: vlm  # type: ignore[attr-defined,assignment]
    forward.MIN_IMAGES_TO_COMPILE = 0
    notes: list[str] = []
    layers = vlm.base.model.language_model.layers
    plain = [
        (block, dict(block.named_children()))
        for layer in layers
        for block in (layer.self_attn, layer.mlp)
    ]
    result = fit.train(
        config, data=root / "data", output=output, device="cuda:0", note=notes.append
    )
    for block, children in plain:  # without the adapters again
        for name, child in children.items():
            setattr(block, name, child)
    vlm.model.to("cuda")  # Lightning takes it off when it is through
    lines = (output / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return {
        "notes": notes,
        "samples_s": round(result.samples_per_second, 2),
        "peak_gib": round(result.peak_gpu_gib or 0, 2),
        "seconds": [row["seconds"] for row in map(json.loads, lines) if "seconds" in row],
        "losses": [round(loss, 4) for loss in result.losses],
    }


def original(vlm: VisionLanguageModel, rows: list[Row]) -> dict[str, Any]:
    """As the published train_script.py, but for what no longer runs (its upcasting of all 16-bit
    weights) and its cutting of image tokens."""
    vlm.model.requires_grad_(False)
    model = get_peft_model(
        vlm.model,
        LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules=PROJECTIONS),
    )
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in weights:
        weight.data = weight.data.float()
    model.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    parts = [stock_lesson(vlm, row, whole=True) for row in rows]
    found = speed(lambda part: model(**part, use_cache=False).loss, weights, parts, 1)
    model.unload().gradient_checkpointing_disable()
    return found | {"trained": sum(weight.numel() for weight in weights)}


def by_heart(
    module: FineTuning,
    loss_of: Callable[[Any], torch.Tensor],
    parts: list[Any],
    steps: int,
    seconds: float,
) -> list[float]:
    """The losses of as many steps as fit into the time; each step takes one image."""
    weights = trained(module.model)
    optimizer = torch.optim.AdamW(list(weights.values()), lr=1e-4)
    losses: list[float] = []
    end = time.perf_counter() + seconds
    for step in range(steps):
        with torch.autocast("cuda", torch.bfloat16):
            loss = loss_of(parts[step % len(parts)])
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if time.perf_counter() > end:
            break
    return losses


def learning(vlm: VisionLanguageModel, rows: list[Row], steps: int) -> dict[str, Any]:
    """mayak's compiled step and the stock model's: losses side by side."""
    module, collate = tuning(vlm, **PLAIN), collating(vlm)
    module.answers.compile()
    packed = [collate([row]).on(module.model.device) for row in rows]
    # Compiling takes most of its time.
    ours = by_heart(module, module, packed, steps, 110)
    module.model.unload()
    module = tuning(vlm, **PLAIN)
    model = module.model
    lessons = [stock_lesson(vlm, row, whole=False) for row in rows]
    stock = by_heart(
        module, lambda part: model(**part, use_cache=False).loss, lessons, len(ours), 70
    )
    model.unload()
    both = min(len(ours), len(stock)) // len(rows) * len(rows)
    epochs = [
        (fmean(ours[start : start + len(rows)]), fmean(stock[start : start + len(rows)]))
        for start in range(0, both, len(rows))
    ]
    return {
        "steps": both,
        "largest_difference_of_an_epoch": max(abs(a - b) for a, b in epochs),
        "epochs": [[round(a, 4), round(b, 4)] for a, b in epochs],
        "losses": [[round(a, 4), round(b, 4)] for a, b in zip(ours, stock, strict=False)],
    }


def exact(vlm: VisionLanguageModel, rows: list[Row]) -> dict[str, Any]:
    """Gradients of an adapter that does something: of mayak's step and the stock model's, both in
    bf16, against the stock model's in fp32, relative to its norm; losses of the three."""
    module, collate = tuning(vlm, **PLAIN), collating(vlm)
    generator = torch.Generator(vlm.device).manual_seed(0)
    weights = trained(module.model)
    for name, weight in weights.items():
        if "lora_B" in name:
            weight.data.normal_(std=1e-3, generator=generator)
    frozen = [part for part in module.model.parameters() if not part.requires_grad]

    def stock(row: Row) -> torch.Tensor:
        lesson = stock_lesson(vlm, row, whole=False)
        loss: torch.Tensor = module.model(**lesson, use_cache=False).loss
        return loss

    def found(
        loss_of: Callable[[Row], torch.Tensor], *, mixed: bool
    ) -> tuple[float, dict[str, torch.Tensor]]:
        module.zero_grad()
        losses = []
        for row in rows:
            with torch.autocast("cuda", torch.bfloat16, enabled=mixed):
                loss = loss_of(row) / len(rows)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.item())
        return sum(losses), {
            name: weight.grad.clone()  # type: ignore[union-attr]
            for name, weight in weights.items()
        }

    ours = found(lambda row: module(collate([row]).on(module.model.device)), mixed=True)
    theirs = found(stock, mixed=True)
    base = module.model.get_base_model()
    base.gradient_checkpointing_enable({"use_reentrant": False})
    for part in frozen:
        part.data = part.data.float()
    wanted = found(stock, mixed=False)
    for part in frozen:
        part.data = part.data.bfloat16()
    base.gradient_checkpointing_disable()
    module.model.unload()
    apart = {}
    for way, (_, gradients) in (("ours", ours), ("stock", theirs)):
        each = [
            float((gradients[name] - right).norm() / right.norm())
            for name, right in wanted[1].items()
        ]
        apart[f"{way}_to_fp32"] = {"mean": round(fmean(each), 4), "most": round(max(each), 4)}
    return {"images": len(rows), "losses": [ours[0], theirs[0], wanted[0]], **apart}


def floor(vlm: VisionLanguageModel, rows: list[Row]) -> dict[str, float]:
    """Twice the forward pass's arithmetic, at the ceiling: no gradients of frozen weights."""
    packing = collating(vlm).packer
    pieces = [packing.prepare(image) for image, _ in rows]
    work = arithmetic([len(p.rows) for p in pieces], [len(p.tiles) for p in pieces])
    rate = ceiling()
    return {
        "images": len(rows),
        "mean_tokens": round(fmean(len(p.rows) for p in pieces), 1),
        "ceiling_tflop_s": round(rate, 1),
        "samples_s": round(rate / work / 2, 2),
    }


def main() -> None:
    """Measure, print as it goes, and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("training.json"))
    parser.add_argument("--processor", type=Path, help="a saved processor (default: made here)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--steps", type=int, default=208, help="of learning by heart")
    parser.add_argument("--seconds", type=float, default=520, help="after which nothing is begun")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("training.py needs a CUDA GPU: it measures 7 G parameters")
    found: dict[str, Any] = {}
    end = time.perf_counter() + asked.seconds

    def left() -> float:
        return max(0.0, end - time.perf_counter())

    def note(name: str, value: Any) -> None:  # noqa: ANN401 - whatever was measured
        found[name] = value
        print(f"{asked.seconds - left():.0f} s", name, json.dumps(value), flush=True)
        asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    def attempt(name: str, work: Callable[[], Any], *, keep_graphs: bool = False) -> None:
        if left() < 20:
            note(name, "left out: the time is up")
            return
        try:
            note(name, work())
        except Exception as error:  # noqa: BLE001 - the other figures are wanted all the same
            note(name, f"{type(error).__name__}: {str(error)[:300]}")
        if keep_graphs:
            torch.cuda.empty_cache()
        else:
            free()

    names = ("torch", "transformers", "peft", "bitsandbytes", "lightning")
    note(
        "machine",
        {
            "device": torch.cuda.get_device_name(0),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{name: version(name) for name in names},
        },
    )
    processor = (
        LlavaNextProcessor.from_pretrained(
            asked.processor, local_files_only=True, trust_remote_code=False
        )
        if asked.processor
        else processor_for(published_config(), published_tokenizer())
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = make_images(Path(folder) / "images", 72)
        rows = [(decode_file(path), number % 4) for number, path in enumerate(paths[:STEP])]
        vlm = build(processor, "bf16")
        note("floor", floor(vlm, rows))
        if "bf16" in asked.parts:
            measure_ways(vlm, rows, [(2, False), (1, False), (4, True)], attempt, "bf16")
        if "heart" in asked.parts:
            attempt("by heart, mayak's and stock", lambda: learning(vlm, rows, asked.steps))
        if "exact" in asked.parts:
            attempt("exact", lambda: exact(vlm, rows[:4]))
        to_nf4(vlm.model.model.language_model)
        free()
        note("built", "nf4")
        if "nf4" in asked.parts:
            attempt("original", lambda: original(vlm, rows))
            ways = [(2, False), (1, True), (1, False), (4, True)]
            measure_ways(vlm, rows, ways, attempt, "nf4")
        for both in (False, True) if "train" in asked.parts else ():
            attempt(
                "mayak train, nf4, batch 2" + ", base tiles too" * both,
                lambda both=both: product(vlm, paths, Path(folder), base_tile=both),
            )


if __name__ == "__main__":
    main()
