"""The cascade at the real model's size: ``python benchmarks/cascade.py [--out FILE]``.

LLaVA-1.6-Mistral-7B's exact configuration with random weights, on JPEGs as in ``engine.py``. In one
process on the same images:

1. each tier, model only, from prepared batches;
2. what the processor's cores do: decoding, and making tiles;
3. from JPEG files to predictions, with thresholds set so that tiers 0, 1 and 2 decide 90, 7 and 3
   per cent of the images, and 80, 12 and 8, and what the main thread waits for meanwhile;
4. the same over ten times as many images, and what memory that takes;
5. ``mayak triage`` with the cascade, and the original's way.

Random weights say nothing of accuracy: here thresholds are quantiles that give the mix.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlavaNextProcessor

from engine import build, copies, free, make_images, measure_original, measure_triage, timed
from mayak.imaging import decode
from mayak.model import Calibration, CascadeScorer, VisionLanguageModel
from mayak.model.calibration import Head, Promise
from mayak.model.cascade import TIERS, HeadOnDevice, Readings, log_odds
from mayak.model.packed import Piece
from mayak.model.scoring import THREADS
from mayak.model.shapes import processor_for, published_config, published_tokenizer
from mayak.types import DecodedImage

MIXES = ((0.90, 0.07, 0.03), (0.80, 0.12, 0.08))
BATCHES = (64, 32, 8)
SEED = 7


def random_head(width: int) -> Head:
    """Four labels' weights over ``width`` numbers that are taken as they are."""
    weights = np.random.default_rng(SEED).normal(0, 1 / width, (4, width))
    return Head((0.0,) * width, (1.0,) * width, tuple(map(tuple, weights.tolist())), (0.0,) * 4)


class Waits:
    """Seconds that the main thread spends in what is wrapped, by name."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def timing(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed_work(*arguments: Any) -> Any:  # noqa: ANN401 - whatever the work takes and gives
            started = time.perf_counter()
            try:
                return work(*arguments)
            finally:
                self.seconds[name] += time.perf_counter() - started

        return timed_work

    def iterating(self, name: str, stream: Iterator[DecodedImage]) -> Iterator[DecodedImage]:
        take = self.timing(name, lambda: next(stream, None))
        while (image := take()) is not None:
            yield image


def read_ahead(paths: list[Path], count: int, least: int) -> Iterator[DecodedImage]:
    """``count`` images of the files in turn, decoded as triage does, by as many threads as there
    are cores, a few ahead; each with a hash of its own."""
    threads = os.cpu_count() or 1

    def read(path: Path, number: int) -> DecodedImage:
        image = decode(path.read_bytes(), least=least)
        digest = hashlib.sha256(f"{number} {image.sha256}".encode()).hexdigest()
        return DecodedImage(digest, image.pixels, image.size, image.format, scale=image.scale)

    waiting: deque[Future[DecodedImage]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for number, path in enumerate(islice(cycle(paths), count)):
            waiting.append(pool.submit(read, path, number))
            if len(waiting) >= 4 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def in_batches(pieces: list[Piece], size: int) -> list[list[Piece]]:
    return [pieces[start : start + size] for start in range(0, len(pieces), size)]


def tier_rates(
    readings: Readings, head: HeadOnDevice, pieces: dict[int, list[Piece]]
) -> dict[str, float]:
    """Images/s of each tier from prepared pieces, the third pass; the first two compile."""
    found = {}
    for tier in TIERS:
        parts = in_batches(pieces[tier], BATCHES[tier])

        def work(tier: int = tier, parts: list[list[Piece]] = parts) -> None:
            for part in parts:
                head(readings.glance(part)) if tier == 0 else readings.read(part)

        with torch.inference_mode():
            seconds = [timed(work) for _ in range(3)][-1]
        found[f"tier {tier}"] = round(len(pieces[tier]) / seconds, 1)
    return found


def odds_of(
    readings: Readings, head: HeadOnDevice, pieces: list[Piece], labels: tuple[int, ...]
) -> np.ndarray:
    """Log-odds (N, 2) of tiers 0 and 1."""
    rows = []
    with torch.inference_mode():
        for part in in_batches(pieces, BATCHES[1]):
            first = log_odds(head(readings.glance(part)).double())
            second = log_odds(readings.read(part)[:, list(labels)].double())
            rows.append(torch.stack([first, second], dim=1).cpu().numpy())
    return np.concatenate(rows)


def thresholds_for(mix: tuple[float, float, float], odds: np.ndarray) -> tuple[float, float]:
    """Thresholds at which tiers 0 and 1 decide their shares of these very images."""
    first = float(np.quantile(odds[:, 0], 1 - mix[0]))
    left = odds[odds[:, 0] <= first, 1]
    return first, float(np.quantile(left, mix[2] / (mix[1] + mix[2])))


def scorer_with(
    vlm: VisionLanguageModel, head: Head, thresholds: tuple[float, float]
) -> CascadeScorer:
    promise = Promise(0.01, 0.95, 0, 0, thresholds, (0.0, 0.0, 0.0), ())
    calibration = Calibration(vlm.engine.fingerprint, head, (1.0, 1.0, 1.0), promise, {})
    return CascadeScorer(vlm, calibration, BATCHES[2], compiled=True)


def end_to_end(
    vlm: VisionLanguageModel,
    head: Head,
    thresholds: tuple[float, float],
    paths: list[Path],
    count: int,
    rates: dict[str, float],
) -> dict[str, Any]:
    """Images/s from files to predictions, who decided, and what was waited for."""
    scorer = scorer_with(vlm, head, thresholds)
    waits = Waits()
    scorer._ask = waits.timing("tiles, and queueing", scorer._ask)  # type: ignore[method-assign]
    settle = scorer._settle
    scorer._settle = waits.timing(  # type: ignore[method-assign]
        "the GPU", lambda *arguments: list(settle(*arguments))
    )
    images = waits.iterating("decoding", read_ahead(paths, count, 2 * vlm.square_side))
    decided: Counter[int] = Counter()
    started = time.perf_counter()
    for prediction in scorer.classify(images):
        decided[prediction.tier] += 1
    seconds = time.perf_counter() - started
    busy = {tier: decided[tier] / rates[f"tier {tier}"] for tier in TIERS}
    # A tier sees all that those before it pass on.
    busy[1] += decided[2] / rates["tier 1"]
    busy[0] = count / rates["tier 0"]
    return {
        "images": count,
        "images_s": round(count / seconds, 1),
        "decided": {str(tier): decided[tier] for tier in TIERS},
        "gpu_share_by_tier": {str(tier): round(busy[tier] / seconds, 3) for tier in TIERS},
        "main_thread_share": {
            name: round(spent / seconds, 3) for name, spent in waits.seconds.items()
        },
        "peak_gpu_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        "peak_host_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def cores(
    readings: Readings, images: list[DecodedImage], paths: list[Path], least: int
) -> dict[str, Any]:
    """Images/s of decoding with all cores and of making tiles with the scorer's threads."""
    decoding = timed(lambda: sum(1 for _ in read_ahead(paths, 2 * len(paths), least)))
    found: dict[str, Any] = {"cores": os.cpu_count(), "decoding": 2 * len(paths) / decoding}
    with ThreadPoolExecutor(THREADS, "tiles", torch.set_num_threads, (1,)) as pool:
        for tier, name in ((0, "base tile"), (2, "all tiles")):

            def tiles(tier: int = tier) -> None:
                list(pool.map(lambda image: readings.prepare(tier, image), images))  # type: ignore[arg-type]

            tiles()
            found[name] = len(images) / timed(tiles)
    return {name: round(value, 1) for name, value in found.items()}


def main() -> None:
    """Measure, print as it goes, and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("cascade.json"))
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--processor", type=Path, help="a saved processor (default: made here)")
    parser.add_argument("--seconds", type=float, default=500, help="begin nothing long after them")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("cascade.py needs a CUDA GPU: it measures 7 G parameters")
    began = time.monotonic()
    found: dict[str, Any] = {}

    def note(name: str, value: Any) -> None:  # noqa: ANN401 - whatever was measured
        found[name] = value
        print(f"{time.monotonic() - began:.0f} s", name, json.dumps(value), flush=True)
        asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    def left() -> float:
        return asked.seconds - (time.monotonic() - began)

    note(
        "machine",
        {
            "device": torch.cuda.get_device_name(0),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "pillow")},
        },
    )
    processor = (
        LlavaNextProcessor.from_pretrained(asked.processor)
        if asked.processor
        else processor_for(published_config(), published_tokenizer())
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = make_images(Path(folder) / "images", asked.images)
        note("images", {"files": len(paths), "bytes": sum(path.stat().st_size for path in paths)})
        measure(processor, paths, note, left)


def measure(
    processor: LlavaNextProcessor,
    paths: list[Path],
    note: Callable[[str, Any], None],
    left: Callable[[], float],
) -> None:
    """Everything, what matters most first."""
    vlm = build(processor, "bf16")
    least = 2 * vlm.square_side
    images = list(read_ahead(paths, len(paths), least))
    readings = Readings(vlm, compiled=True)
    width = 2 * vlm.base.config.vision_config.hidden_size
    plain = random_head(width)
    head = HeadOnDevice(plain, vlm.device)
    note("processor, images/s", cores(readings, images, paths, least))
    pieces = {tier: [readings.prepare(tier, image) for image in images] for tier in TIERS}
    rates = tier_rates(readings, head, {**pieces, 2: pieces[2][:96]})
    note("model only, images/s", rates)
    odds = odds_of(readings, head, pieces[0], vlm.prompt.label_ids)
    del pieces, images, readings
    for mix in MIXES:
        thresholds = thresholds_for(mix, odds)
        end_to_end(vlm, plain, thresholds, paths, 128, rates)
        torch.cuda.reset_peak_memory_stats()
        few = end_to_end(vlm, plain, thresholds, paths, 1000, rates)
        note(f"from files, {mix}", few)
        if mix == MIXES[0]:
            many = int(min(10_000, few["images_s"] * min(left() - 200, 150)))
            note(f"from files, {mix}, more", end_to_end(vlm, plain, thresholds, paths, many, rates))
    thresholds = thresholds_for(MIXES[0], odds)
    scorer = scorer_with(vlm, plain, thresholds)
    many_files = copies(paths, paths[0].parent / "many", 4)
    if left() > 60:
        note("triage without a model", measure_triage(None, many_files, vlm.square_side))
        note("triage, cascade", measure_triage(scorer, many_files, vlm.square_side))
    del vlm, head, scorer
    free()
    if left() > 60:
        note("original", measure_original(build(processor, "nf4"), paths[:32]))


if __name__ == "__main__":
    main()
