"""The scoring engine at the real model's size: ``python benchmarks/engine.py [--out FILE]``.

Builds LLaVA-1.6-Mistral-7B's exact configuration with random weights in the GPU's memory, makes
JPEGs (12-megapixel photos, screenshots, small pictures from the web) and measures, in one process
on the same images:

1. the floor: a large bf16 matrix product, and what the images' arithmetic takes at that rate;
2. model only, from prepared batches in pinned memory: precisions, compiled or not, adapter merged
   or apart;
3. end to end, from JPEG files to predictions, as ``mayak evaluate`` and ``mayak triage`` go;
4. the original's way (nf4, batches of 4 in file order, 8 generated tokens), end to end and from
   prepared batches;
5. scores against the stock model's, one image at a time, in bf16 and fp32; and compiled layers
   and CUDA graphs against the long way, in each precision.

Speed does not depend on the weights' values; accuracy does, so none is reported.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import bitsandbytes

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from transformers import LlavaNextForConditionalGeneration, LlavaNextProcessor

from checkpoints import processor_for, published_config, published_tokenizer
from mayak.evaluation.run import read_ahead
from mayak.imaging import decode_file
from mayak.labels import LABELS
from mayak.model import LabelScorer, Prompt, VisionLanguageModel
from mayak.model.accelerate import CheckedCudaGraph
from mayak.model.fp8 import to_fp8
from mayak.model.packer import PackedBatch
from mayak.model.prompt import ask, token_counts
from mayak.model.varlen import VarlenModel, decoder_layer
from mayak.types import Classifier, DecodedImage, Engine, Sample, SilentProgress

SEED = 7
# (width, height, share)
KINDS = [
    (4000, 3000, 0.4),
    (3000, 4000, 0.2),
    (1080, 2400, 0.25),
    (640, 480, 0.1),
    (320, 320, 0.05),
]
BATCH = 8
MODULES = r".*language_model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"


# --- what is measured on -------------------------------------------------------------------------


def draw(work: tuple[Path, int, int, int]) -> None:
    """A JPEG of seeded smooth noise with a sensor's grain over it."""
    path, seed, width, height = work
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    grain = rng.normal(0, 5, (height, width, 1)).astype(np.float32)
    pixels = (smooth + grain).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=88)


def make_images(folder: Path, count: int) -> list[Path]:
    """``count`` JPEGs in the shares of ``KINDS``, shuffled."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    sizes = [(w, h) for w, h, share in KINDS for _ in range(round(share * count))]
    rng.shuffle(sizes)
    jobs = [(folder / f"{i:04}.jpg", i, int(w), int(h)) for i, (w, h) in enumerate(sizes)]
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        list(pool.map(draw, jobs))
    return [path for path, *_ in jobs]


def build(processor: LlavaNextProcessor, precision: str) -> VisionLanguageModel:
    """The published shape with seeded random bf16 weights, made in the GPU's memory."""
    torch.manual_seed(SEED)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            model: Any = LlavaNextForConditionalGeneration(published_config())
    finally:
        torch.set_default_dtype(torch.float32)
    model.requires_grad_(False)
    if precision == "nf4":
        to_nf4(model.model.language_model)
    if precision == "fp8":
        to_fp8(model.model.language_model, model.device)
    told = "nf4, bf16" if precision == "nf4" else precision  # as loading a model says it
    engine = Engine(f"random 7B {precision}", None, told, "", "", ())
    return VisionLanguageModel(model.eval(), processor, Prompt.of(processor), engine)


def to_nf4(language: torch.nn.Module) -> None:
    """As transformers quantises at loading: double quantisation, computing in bf16."""
    for layer in language.layers:
        for block in (layer.self_attn, layer.mlp):
            for name, linear in list(block.named_children()):
                if isinstance(linear, torch.nn.Linear):
                    small = bitsandbytes.nn.Linear4bit(
                        linear.in_features,
                        linear.out_features,
                        bias=False,
                        compute_dtype=torch.bfloat16,
                        quant_type="nf4",
                        device="meta",  # or random weights would be drawn, on the CPU
                    )
                    small.weight = bitsandbytes.nn.Params4bit(
                        linear.weight.data, requires_grad=False, quant_type="nf4"
                    )
                    setattr(block, name, small.to(linear.weight.device))


def adapted(vlm: VisionLanguageModel) -> VisionLanguageModel:
    """With a LoRA adapter of rank 16 over the language model, as ``mayak train`` makes."""
    model = get_peft_model(vlm.model, LoraConfig(r=16, lora_alpha=32, target_modules=MODULES))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=1e-3)
    model.requires_grad_(False)
    return replace(vlm, model=model.eval())


# --- how ----------------------------------------------------------------------------------------


def timed(work: Callable[[], Any]) -> float:
    """Seconds, the GPU's work included."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def free() -> None:
    """Give the GPU's memory back between models."""
    torch._dynamo.reset()
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def ceiling() -> float:
    """TFLOP/s of an 8192³ bf16 matrix product on random data."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(5):
        a @ b
    return 2 * 8192**3 * 30 / timed(lambda: [a @ b for _ in range(30)]) / 1e12


def arithmetic(tokens: list[int], tiles: list[int]) -> float:
    """TFLOP a image on average: all layers at all positions, causal attention, the whole tower."""
    text, vision = published_config().text_config, published_config().vision_config
    wide, inner = text.hidden_size, text.intermediate_size
    heads = text.num_key_value_heads * (wide // text.num_attention_heads)
    linear = text.num_hidden_layers * (2 * wide * wide + 2 * wide * heads + 3 * wide * inner)
    language = [2 * linear * t + 2 * text.num_hidden_layers * wide * t * t for t in tokens]
    d, side = vision.hidden_size, (vision.image_size // vision.patch_size) ** 2 + 1
    tile = vision.num_hidden_layers * (
        2 * side * (4 * d * d + 2 * d * vision.intermediate_size) + 4 * side * side * d
    )
    return (sum(language) + tile * sum(tiles)) / len(tokens) / 1e12


def prepared(engine: VarlenModel, images: list[DecodedImage], batch: int) -> list[PackedBatch]:
    """Whole batches, pinned, as the scorer makes them."""
    pieces = [engine.packer.prepare(image) for image in images]
    return [engine.pack(pieces[i : i + batch]) for i in range(0, len(pieces), batch)]


def model_only(
    vlm: VisionLanguageModel, images: list[DecodedImage], *, compiled: bool, batch: int = BATCH
) -> dict[str, Any]:
    """Images/s from prepared batches, the median of three passes, and what warming up took."""
    engine = VarlenModel(vlm, compiled=compiled)
    batches = prepared(engine, images, batch)
    with torch.inference_mode():
        warm = timed(lambda: [engine.logits(part) for part in batches[:2]])
        rates = [
            len(images) / timed(lambda: [engine.logits(part) for part in batches]) for _ in range(3)
        ]
    return {
        "images_s": round(median(rates), 2),
        "spread": round(max(rates) - min(rates), 2),
        "warm_up_s": round(warm, 1),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 1),
    }


def original_batches(vlm: VisionLanguageModel, paths: list[Path]) -> Iterator[Any]:
    """As the published eval.py reads: four at a time in file order, decoded, then processed."""
    for start in range(0, len(paths), 4):
        images = [decode_file(path) for path in paths[start : start + 4]]
        yield ask(vlm.processor, vlm.prompt, images, ())


def generate(vlm: VisionLanguageModel, batch: Any, tokens: int = 8) -> None:  # noqa: ANN401
    """Eight tokens each: random weights seldom end an answer."""
    with torch.inference_mode():
        vlm.model.generate(
            **vlm.inputs(batch),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            pad_token_id=vlm.processor.tokenizer.pad_token_id,
        )


def measure_original(vlm: VisionLanguageModel, paths: list[Path]) -> dict[str, float]:
    """Images/s of the original's way: with and without reading the images, and of a first token."""
    batches = list(original_batches(vlm, paths))
    generate(vlm, batches[0])
    model = timed(lambda: [generate(vlm, batch) for batch in batches])
    first = timed(lambda: [generate(vlm, batch, tokens=1) for batch in batches])
    whole = timed(lambda: [generate(vlm, batch) for batch in original_batches(vlm, paths)])
    return {
        "images": len(paths),
        "one_token_images_s": round(len(paths) / first, 2),
        "model_only_images_s": round(len(paths) / model, 2),
        "end_to_end_images_s": round(len(paths) / whole, 2),
    }


class Files:
    """As much of a manifest as reading ahead asks of one."""

    def __init__(self, paths: list[Path]) -> None:
        self.samples = [
            Sample(str(i), path.name, 0, sha256(path.read_bytes()).hexdigest(), "", "test")
            for i, path in enumerate(paths)
        ]
        self._folder = paths[0].parent

    def locate(self, sample: Sample) -> Path:
        return self._folder / sample.image_path


def measure_evaluation(scorer: LabelScorer, paths: list[Path], times: int) -> float:
    """Images/s from files to predictions as ``mayak evaluate`` reads and scores."""
    files = Files(paths)
    images = (image for _, image in read_ahead(files, files.samples * times))  # type: ignore[arg-type]
    count = len(paths) * times
    return round(count / timed(lambda: [None for _ in scorer.classify(images)]), 2)  # type: ignore[arg-type]


def measure_triage(scorer: Classifier | None, folder: Path) -> float:
    """Images/s of ``mayak triage`` over a folder, its start, case and report's figures and all."""
    from mayak.triage import Options
    from mayak.triage import triage as run

    # Workers start as those of the command do: without this file, which would bring them torch.
    vars(sys.modules["__main__"]).pop("__file__", None)
    with tempfile.TemporaryDirectory() as case:
        options = Options(
            sources=(folder,),
            case=Path(case) / "case",
            operator="benchmark",
            workers=os.cpu_count() or 1,
        )
        seconds = timed(lambda: run(options, scorer, SilentProgress()))
    return round(sum(1 for _ in folder.iterdir()) / seconds, 2)


def copies(paths: list[Path], folder: Path, times: int) -> Path:
    """A folder of files that differ in a byte after the image, so that none is a duplicate; in the
    order of their names come all images, then all again."""
    folder.mkdir()
    for path in paths:
        for number in range(times):
            copy = folder / f"{number:02}_{path.stem}.jpg"
            copy.write_bytes(path.read_bytes() + bytes([number]))
    return folder


def later_tiers(vlm: VisionLanguageModel, images: list[DecodedImage]) -> dict[str, float]:
    """Images/s, model only: the language model over the base tile, and the vision tower alone."""
    engine = VarlenModel(vlm, compiled=True)
    pieces = [engine.packer.prepare_base(image) for image in images]
    batches = [engine.pack(pieces[i : i + 32]) for i in range(0, len(pieces), 32)]
    tiles = torch.cat([piece.tiles for piece in pieces]).pin_memory()

    def see() -> None:
        engine._features(tiles.to("cuda", non_blocking=True))

    with torch.inference_mode():
        for _ in range(2):  # the first compiles
            base = timed(lambda: [engine.logits(batch) for batch in batches for _ in range(3)])
            seen = timed(lambda: [see() for _ in range(10)])
    return {
        "base_tile_images_s": round(3 * len(pieces) / base, 1),
        "tower_images_s": round(10 * len(tiles) / seen, 1),
    }


def measure_equality(vlm: VisionLanguageModel, images: list[DecodedImage]) -> dict[str, float]:
    """Largest differences of scores: ours and stock bf16, each against the stock model in fp32."""
    scorer = LabelScorer(vlm, BATCH, compiled=True)
    ours = np.array([p.scores.values for p in scorer.classify(images)])
    model = vlm.model
    rows = {}
    for name in ("stock", "exact"):
        if name == "exact":
            model.float()
        found = []
        for image in images:
            batch = ask(vlm.processor, vlm.prompt, [image], vlm.prompt.lead_ids)
            with torch.inference_mode():
                logits = model(**vlm.inputs(batch), use_cache=False).logits[0, -1].float()
            found.append(logits[list(vlm.prompt.label_ids)].softmax(0).tolist())
        rows[name] = np.array(found)
    return {
        "ours_to_stock": float(np.abs(ours - rows["stock"]).max()),
        "ours_to_fp32": float(np.abs(ours - rows["exact"]).max()),
        "stock_to_fp32": float(np.abs(rows["stock"] - rows["exact"]).max()),
        "spread_of_scores": float(rows["exact"].std(axis=0).mean()),
        "labels": len(LABELS),
    }


def measure_shortcuts(vlm: VisionLanguageModel, images: list[DecodedImage]) -> dict[str, Any]:
    """Over base tiles: the labels' logits' largest differences between compiled and uncompiled
    layers, twice (the second time nothing is new), and whether a CUDA graph of each gives the same.
    """
    plain, short = VarlenModel(vlm), VarlenModel(vlm)
    short._decoder_layer = torch.compile(decoder_layer, dynamic=True)
    tiles = torch.cat([plain.packer.prepare_base(image).tiles for image in images]).pin_memory()
    tokens = list(vlm.prompt.label_ids)

    def logits(engine: VarlenModel) -> torch.Tensor:
        return engine.logits_of_base(tiles.to("cuda"))[:, tokens].float()

    def recordable(engine: VarlenModel) -> bool:
        recorded = CheckedCudaGraph(engine.logits_of_base, len(tiles), vlm.device)
        recorded(tiles)
        return recorded._input is not None

    with torch.inference_mode():
        right = logits(plain)
        apart = [float((logits(short) - right).abs().max()) for _ in range(2)]
        return {
            "compiled": apart,
            "largest_logit": float(right.abs().max()),
            "recordable": recordable(plain),
            "recordable_compiled": recordable(short),
        }


def profile(vlm: VisionLanguageModel, images: list[DecodedImage], path: Path) -> None:
    """The kernels of two compiled batches, by time, into a file."""
    engine = VarlenModel(vlm, compiled=True)
    batches = prepared(engine, images[: 2 * BATCH], BATCH)
    with torch.inference_mode():
        for part in batches:
            engine.logits(part)
        torch.cuda.synchronize()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as found:
            for part in batches:
                engine.logits(part)
            torch.cuda.synchronize()
    table = found.key_averages().table(sort_by="self_cuda_time_total", row_limit=40)
    path.write_text(table, encoding="utf-8")


def main() -> None:
    """Measure, print as it goes, and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("engine.json"))
    parser.add_argument("--images", type=int, default=80)
    parser.add_argument("--processor", type=Path, help="a saved processor (default: made here)")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("engine.py needs a CUDA GPU: it measures 7 G parameters")
    found: dict[str, Any] = {}

    def note(name: str, value: Any) -> None:  # noqa: ANN401 - whatever was measured
        found[name] = value
        print(name, json.dumps(value), flush=True)
        asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

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
        LlavaNextProcessor.from_pretrained(
            asked.processor, local_files_only=True, trust_remote_code=False
        )
        if asked.processor
        else processor_for(published_config(), published_tokenizer())
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = make_images(Path(folder) / "images", asked.images)
        images = [decode_file(path) for path in paths]
        measure(processor, paths, images, asked.out.parent, note)


def measure(
    processor: LlavaNextProcessor,
    paths: list[Path],
    images: list[DecodedImage],
    out: Path,
    note: Callable[[str, Any], None],
) -> None:
    """Everything, one model after the other."""
    vlm = build(processor, "bf16")
    engine = VarlenModel(vlm)
    pieces = [engine.packer.prepare(image) for image in images]
    tokens = [len(piece.rows) for piece in pieces]
    tiles = [len(piece.tiles) for piece in pieces]
    work, rate = arithmetic(tokens, tiles), ceiling()
    note(
        "floor",
        {
            "images": len(images),
            "mean_image_tokens": round(float(np.mean(token_counts(processor, images))), 1),
            "mean_tiles": round(float(np.mean(tiles)), 2),
            "tflop_an_image": round(work, 2),
            "ceiling_tflop_s": round(rate, 1),
            "images_s": round(rate / work, 2),
        },
    )
    note("bf16 eager", model_only(vlm, images, compiled=False))
    note("bf16 compiled", model_only(vlm, images, compiled=True))
    scorer = LabelScorer(vlm, BATCH, compiled=True)
    measure_evaluation(scorer, paths[: 2 * BATCH], 1)
    note("bf16 end to end, evaluate", measure_evaluation(scorer, paths, 4))
    many = copies(paths, paths[0].parent / "many", 4)
    note("triage without a model", measure_triage(None, many))
    note("bf16 end to end, triage", measure_triage(scorer, many))
    note("bf16 model only, later tiers", later_tiers(vlm, images))
    profile(vlm, images, out / "profile_bf16.txt")
    note("bf16 shortcuts", measure_shortcuts(vlm, images[:16]))
    note("bf16 equality", measure_equality(vlm, images[:12]))
    del vlm, engine, scorer
    free()
    vlm = build(processor, "nf4")
    note("original", measure_original(vlm, paths[:32]))
    note("nf4 shortcuts", measure_shortcuts(vlm, images[:16]))
    note("nf4 compiled", model_only(vlm, images, compiled=True))
    del vlm
    free()
    vlm = build(processor, "fp8")
    note("fp8 shortcuts", measure_shortcuts(vlm, images[:16]))
    note("fp8 compiled", model_only(vlm, images, compiled=True))
    scorer = LabelScorer(vlm, BATCH, compiled=True)
    measure_evaluation(scorer, paths[: 2 * BATCH], 1)
    note("fp8 end to end, evaluate", measure_evaluation(scorer, paths, 6))
    note("fp8 end to end, triage", measure_triage(scorer, many))
    note("fp8 model only, later tiers", later_tiers(vlm, images))
    profile(vlm, images, out / "profile_fp8.txt")
    del vlm, scorer
    free()
    vlm = adapted(build(processor, "bf16"))
    note("bf16 compiled, adapter apart", model_only(vlm, images, compiled=True))
    del vlm
    free()
    vlm = build(processor, "nf4")
    note("nf4 eager", model_only(vlm, images, compiled=False))
    note("nf4 compiled, adapter apart", model_only(adapted(vlm), images, compiled=True))


if __name__ == "__main__":
    main()
