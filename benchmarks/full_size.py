"""The real model's shape on a GPU: ``python benchmarks/full_size.py [--work DIR] [--out FILE]``.

Builds a folder with LLaVA-1.6-Mistral-7B's exact configuration, the real Mistral tokenizer and
processor, and random weights; makes phone photos and screenshots; then runs mayak's own training,
evaluation and zero-shot on them and measures, in one process on the same images:

1. parameters that train, and where they are;
2. peak memory and samples/s of QLoRA training at batch 1 and 4;
3. label scores of mixed batches against the stock model, one image at a time;
4. images/s of label scoring against the original's way (nf4, batch 4, generate 8 tokens), both from
   decoded pixels, preprocessing included.

Speed and memory do not depend on the weights' values; accuracy does, so none is reported.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import torch
from PIL import Image
from transformers import LlavaNextForConditionalGeneration

from checkpoints import (
    processor_for,
    published_config,
    published_tokenizer,
    random_checkpoint,
)
from mayak.config import load_train_config
from mayak.dataset.manifest import FILES, read_manifest
from mayak.dataset.training_images import Leakage
from mayak.evaluation.run import evaluate, zeroshot
from mayak.imaging import decode_file
from mayak.labels import LABELS, QUESTION
from mayak.model import AnswerGenerator, LabelScorer, VisionLanguageModel, load_model
from mayak.model.prompt import ask, token_counts
from mayak.training import train
from mayak.types import DecodedImage, SilentProgress

SEED = 7
# (width, height, share): 12-megapixel photos both ways, screenshots, pictures from the web.
KINDS = [
    (4000, 3000, 0.4),
    (3000, 4000, 0.25),
    (1080, 2400, 0.25),
    (800, 800, 0.1),
]


def make_data(folder: Path, counts: dict[str, int]) -> None:
    """Manifests and JPEGs of seeded smooth noise, labels in turn."""
    rng = np.random.default_rng(SEED)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    for split, count in counts.items():
        records = []
        for i in range(count):
            kind = rng.choice(len(KINDS), p=[share for *_, share in KINDS])
            width, height, _ = KINDS[kind]
            coarse = rng.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
            path = folder / "images" / f"{split}_{i:04}.jpg"
            image.save(path, quality=88)
            records.append(
                {
                    "id": f"{split}_{i:04}",
                    "image_path": path.relative_to(folder).as_posix(),
                    "question": QUESTION,
                    "answer": LABELS[i % len(LABELS)].answer,
                }
            )
        text = json.dumps(records, ensure_ascii=False, indent=1)
        (folder / "data" / FILES[split]).write_text(text, encoding="utf-8")


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What ``work`` gives, and the seconds it took, GPU included."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    result = work()
    torch.cuda.synchronize()
    return result, time.perf_counter() - started


def original_way(vlm: VisionLanguageModel, images: list[DecodedImage], batch_size: int = 4) -> None:
    """As the published eval.py: batches in file order, processor then ``generate``, in turn.

    (Its fault of padding on the right is left out: it changes answers, not speed.)
    """
    for start in range(0, len(images), batch_size):
        batch = ask(vlm.processor, vlm.prompt, images[start : start + batch_size], ())
        with torch.inference_mode():
            # random weights seldom end an answer: eight tokens each, as measured for facts
            vlm.model.generate(
                **vlm.inputs(batch),
                max_new_tokens=8,
                min_new_tokens=8,
                do_sample=False,
                pad_token_id=vlm.processor.tokenizer.pad_token_id,
            )


def stock_scores(
    folder: Path, vlm: VisionLanguageModel, images: list[DecodedImage], dtype: torch.dtype
) -> np.ndarray:
    """Scores (N, 4) of the stock model, one image at a time, no padding."""
    model = LlavaNextForConditionalGeneration.from_pretrained(
        folder,
        local_files_only=True,
        trust_remote_code=False,
        dtype=dtype,
        device_map={"": 0},
    ).eval()
    rows = []
    for image in images:
        batch = ask(vlm.processor, vlm.prompt, [image], vlm.prompt.lead_ids)
        inputs = vlm.inputs(batch) | {"pixel_values": batch["pixel_values"].to("cuda", dtype)}
        with torch.inference_mode():
            logits = model(**inputs, use_cache=False).logits[0, -1].float()
        rows.append(logits[list(vlm.prompt.label_ids)].softmax(0).tolist())
    return np.array(rows)


def free() -> None:
    """Give the GPU's memory back between measurements."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def measure_training(folder: Path, data: Path, work: Path, batch: int) -> dict[str, Any]:
    """One epoch of the default preset at this batch size, 16 images a step."""
    free()
    config = load_train_config(
        "repo",
        {
            "model": str(folder),
            "epochs": 1,
            "batch_size": batch,
            "accumulate": 16 // batch,
            "validations_per_epoch": 1,
        },
    )
    result = train(
        config,
        data=data,
        output=work / f"train_b{batch}",
        resume=False,
        progress=SilentProgress(),
        device="cuda",
    )
    run = json.loads((result.final / "run.json").read_text(encoding="utf-8"))
    kept = ("trained_parameters", "samples_per_second", "peak_gpu_gib", "steps")
    return {key: run[key] for key in kept}


def measure_nf4(folder: Path, images: list[DecodedImage]) -> dict[str, Any]:
    """Label scoring against the original's way, on one nf4 model."""
    free()
    vlm = load_model(str(folder), precision="nf4", device="cuda")
    scorer = LabelScorer(vlm, batch_size=8)
    original_way(vlm, images[:8])
    list(scorer.classify(images[:16]))
    ours, theirs = [], []
    for _ in range(2):  # in turn, so that a drifting clock strikes both
        theirs.append(len(images) / timed(lambda: original_way(vlm, images))[1])
        ours.append(len(images) / timed(lambda: list(scorer.classify(images)))[1])
    return {
        "mean_image_tokens": float(np.mean(token_counts(vlm.processor, images))),
        "nf4_original_images_s": theirs,
        "nf4_scoring_images_s": ours,
        "ratio": float(np.median(ours) / np.median(theirs)),
        "nf4_peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }


def measure_bf16(folder: Path, images: list[DecodedImage]) -> dict[str, Any]:
    """Label scoring in bf16: its speed, and its scores against the stock model's.

    Both are held against the stock model in fp32: ours may be no farther from it than stock bf16.
    """
    free()
    vlm = load_model(str(folder), precision="bf16", device="cuda")
    scorer = LabelScorer(vlm, batch_size=8)
    some = images[:16]
    scores = np.array([prediction.scores.values for prediction in scorer.classify(some)])
    _, seconds = timed(lambda: list(scorer.classify(images)))
    stock = stock_scores(folder, vlm, some, torch.bfloat16)
    free()
    exact = stock_scores(folder, vlm, some, torch.float32)
    return {
        "bf16_scoring_images_s": len(images) / seconds,
        "bf16_ours_to_stock": float(np.abs(scores - stock).max()),
        "bf16_ours_to_fp32": float(np.abs(scores - exact).max()),
        "bf16_stock_to_fp32": float(np.abs(stock - exact).max()),
        "spread_of_scores": float(exact.std(axis=0).mean()),
    }


def run_commands(folder: Path, data: Path, work: Path, adapter: Path) -> dict[str, Any]:
    """Zero-shot and evaluation as the commands do them, to see that they run at full size."""
    manifest = read_manifest(data / FILES["test"])
    free()
    zeroshot(
        manifest,
        AnswerGenerator(load_model(str(folder), precision="nf4", device="cuda")),
        work / "zeroshot",
        SilentProgress(),
    )
    free()
    evaluate(
        manifest,
        LabelScorer(load_model(str(folder), precision="nf4", adapter=adapter, device="cuda")),
        work / "evaluation",
        SilentProgress(),
        leakage=Leakage.of(adapter, manifest),
    )
    rows = {
        name: json.loads((work / name / "metrics.json").read_text(encoding="utf-8"))
        for name in ("zeroshot", "evaluation")
    }
    return {f"{name}_images": row["n"] for name, row in rows.items()}


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("full_size"))
    parser.add_argument("--out", type=Path, default=Path("full_size.json"))
    parser.add_argument("--train-images", type=int, default=64)
    parser.add_argument("--test-images", type=int, default=64)
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("full_size.py needs a CUDA GPU: it measures 7 G parameters")
    folder = asked.work / "llava-v1.6-mistral-7b-shape"
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name(0),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "peft", "bitsandbytes")},
    }
    config = published_config()
    if not (folder / "config.json").is_file():
        processor = processor_for(config, published_tokenizer())
        _, seconds = timed(
            lambda: random_checkpoint(
                folder, config, processor, dtype=torch.bfloat16, device="cuda", seed=SEED
            )
        )
        print(f"built the checkpoint in {seconds:.0f} s", flush=True)
    make_data(asked.work, {"train": asked.train_images, "val": 8, "test": asked.test_images})
    data = asked.work / "data"
    for batch in (1, 4):
        found[f"training_batch_{batch}"] = measure_training(folder, data, asked.work, batch)
        print(batch, json.dumps(found[f"training_batch_{batch}"]), flush=True)
    adapter = asked.work / "train_b1" / "final_model_checkpoint"
    manifest = read_manifest(data / FILES["test"])
    images = [decode_file(manifest.locate(sample)) for sample in manifest.samples]
    found["images"] = len(images)
    for part in (
        measure_nf4(folder, images),
        measure_bf16(folder, images),
        run_commands(folder, data, asked.work, adapter),
    ):
        found |= part
        print(json.dumps(part), flush=True)
    text = json.dumps(found, indent=1)
    asked.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
