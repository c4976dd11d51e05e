"""This machine with the embedded model: ``python benchmarks/nano.py [--per-class N] [--json]``.

Draws images as the demo does and measures, each the median of three runs on the same images:

1. ``prepare`` from file to manifest: hashing, decoding, duplicate groups (images/s);
2. label scoring, nf4 and fp32, from decoded pixels, preprocessing included (images/s);
3. free answers of at most 50 tokens, nf4 (images/s);
4. QLoRA training, one epoch of the ``nano`` preset (images/s), once.

Nothing is asserted: figures of a small model on a CPU compare a machine with itself.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mayak.config import load_train_config
from mayak.dataset import PrepareOptions, prepare
from mayak.dataset.manifest import FILES, read_manifest
from mayak.imaging import decode_file
from mayak.labels import LABELS
from mayak.types import DecodedImage, SilentProgress
from mayak_synthetic.raw_folder import generate

RUNS = 3
SEED = 7


def rate(images: int, work: Callable[[], Any]) -> float:
    """Images a second: the median of ``RUNS`` runs."""
    taken = []
    for _ in range(RUNS):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return images / statistics.median(taken)


def measure_prepare(folder: Path, workers: int) -> float:
    """All of ``prepare`` but the augmentation."""
    options = PrepareOptions(
        raw=folder / "raw_data",
        data=folder / "all",
        workers=workers,
        overwrite=True,
        test_only=True,
    )
    found = prepare(options).used
    return rate(found, lambda: prepare(options))


def measure_model(images: list[DecodedImage]) -> dict[str, float]:
    """Label scoring in two precisions, and free answers."""
    # Worker processes import this file again: torch stays out of its top.
    from mayak.model import AnswerGenerator, LabelScorer, load_model

    figures = {}
    for precision in ("nf4", "fp32"):
        vlm = load_model("nano", precision=precision, device="cpu")
        scorer = LabelScorer(vlm)
        list(scorer.classify(images[:8]))
        figures[f"scoring_{precision}_images_s"] = rate(
            len(images), lambda scorer=scorer: list(scorer.classify(images))
        )
    few = images[:: max(len(images) // 32, 1)]
    answerer = AnswerGenerator(load_model("nano", precision="nf4", device="cpu"))
    figures["answers_nf4_images_s"] = rate(len(few), lambda: list(answerer.answer(few)))
    return figures


def measure_training(folder: Path) -> float:
    """One epoch, validations and checkpoints left out of the time."""
    from mayak.training import train

    prepare(PrepareOptions(raw=folder / "raw_data", data=folder / "data", augment=0))
    config = load_train_config("nano", {"epochs": 1, "validations_per_epoch": 1})
    result = train(config, data=folder / "data", output=folder / "outputs", device="cpu")
    return result.samples_per_second


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-class", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    # As the mayak command sets them.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    cores = os.cpu_count() or 1
    found: dict[str, Any] = {
        "machine": f"{platform.system()} {platform.machine()}, {cores} cores",
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "bitsandbytes")},
        "images": 4 * asked.per_class,
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        counts = {label.index: asked.per_class for label in LABELS}
        generate(
            folder / "raw_data",
            counts,
            seed=SEED,
            style="base",
            workers=cores,
            progress=SilentProgress(),
        )
        for workers in dict.fromkeys((1, cores)):
            found[f"prepare_{workers}_workers_images_s"] = measure_prepare(folder, workers)
        manifest = read_manifest(folder / "all" / FILES["test"])
        images = [decode_file(manifest.locate(sample)) for sample in manifest.samples]
        found |= measure_model(images)
        found["training_nf4_images_s"] = measure_training(folder)
    if asked.json:
        print(json.dumps(found, indent=1))
        return
    for name, value in found.items():
        print(f"{name:32} {value:.2f}" if isinstance(value, float) else f"{name:32} {value}")


if __name__ == "__main__":
    main()
