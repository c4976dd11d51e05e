"""The cascade at the real model's size: ``python benchmarks/cascade.py [--folder PLACE]``.

LLaVA-1.6-Mistral-7B's exact configuration with random weights, on JPEGs as in ``engine.py``. In one
process on the same images:

1. each stage alone, as ``mayak bench`` measures it: reading, decoding, tiles, each tier's model;
2. ``mayak triage`` from a folder of JPEGs to a case, with thresholds set so that tiers 0, 1 and 2
   decide 90, 7 and 3 per cent of the images; where its threads are, and how busy the cores;
3. the same over ten times as many images, and what memory that takes; at 80, 12 and 8 per cent; and
   with the copies of each image one after the other, so that the dear ones come forty in a row;
4. the same without a model, and the original's way.

The images take 20 GB (``--images 240``). On a slow disk it is the disk that is measured: ``--folder
/dev/shm`` keeps them in memory.

Random weights say nothing of accuracy: here thresholds are quantiles that give the mix.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from threading import Event, Thread, get_ident
from threading import enumerate as enumerate_threads
from types import FrameType
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import psutil
import torch
from transformers import LlavaNextProcessor

from checkpoints import processor_for, published_config, published_tokenizer
from engine import build, copies, free, make_images, measure_original, measure_triage, timed
from mayak import bench
from mayak.imaging import decode
from mayak.model import Calibration, CascadeScorer, VisionLanguageModel
from mayak.model.calibration import Head
from mayak.model.cascade import TIERS, CascadeTiers, HeadOnDevice, log_odds
from mayak.model.packer import PreparedImage
from mayak.model.risk_control import RiskBound
from mayak.types import DecodedImage, Engine, Prediction, Sides, SilentProgress

MIXES = ((0.90, 0.07, 0.03), (0.80, 0.12, 0.08))
BATCHES = (64, 32, 8)
SEED = 7


def random_head(width: int) -> Head:
    """Four labels' weights over ``width`` numbers that are taken as they are."""
    weights = np.random.default_rng(SEED).normal(0, 1 / width, (4, width))
    return Head((0.0,) * width, (1.0,) * width, tuple(map(tuple, weights.tolist())), (0.0,) * 4)


class Watched:
    """A cascade that notes who decided, and when the first and the last answer came."""

    def __init__(self, scorer: CascadeScorer) -> None:
        self._scorer = scorer
        self.tiers: Counter[int] = Counter()
        self.first = self.last = 0.0

    @property
    def engine(self) -> Engine:
        return self._scorer.engine

    @property
    def min_sides(self) -> Sides:
        return self._scorer.min_sides

    def classify(self, images: Iterable[DecodedImage]) -> Iterator[Prediction]:
        for prediction in self._scorer.classify(images):
            self.last = time.perf_counter()
            self.first = self.first or self.last
            self.tiers[prediction.tier] += 1
            yield prediction


class Sampler:
    """Where this process's threads are, looked at fifty times a second, and how busy the machine's
    cores are; a context."""

    def __enter__(self) -> Self:
        self._places: dict[str, Counter[str]] = {}
        self._looks: Counter[str] = Counter()
        self._over = Event()
        self._before, self._began = psutil.cpu_times(), time.perf_counter()
        self._own = psutil.Process().cpu_times()
        self._thread = Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        seconds = time.perf_counter() - self._began
        after, own = psutil.cpu_times(), psutil.Process().cpu_times()
        idle = after.idle + after.iowait - self._before.idle - self._before.iowait
        self.cores_busy = (os.cpu_count() or 1) - idle / seconds
        self.cores_of_this_process = (
            own.user + own.system - self._own.user - self._own.system
        ) / seconds

    def _look(self) -> None:
        while not self._over.wait(0.02):
            names = {thread.ident: thread.name for thread in enumerate_threads()}
            for thread, frame in sys._current_frames().items():
                name = names.get(thread, "").rstrip("_0123456789")
                if thread != get_ident() and name:
                    self._looks[name] += 1
                    self._places.setdefault(name, Counter())[_place(frame)] += 1

    def places(self) -> dict[str, dict[str, float]]:
        """Shares of the time of the threads of each name."""
        return {
            name: {place: round(n / self._looks[name], 2) for place, n in places.most_common(7)}
            for name, places in self._places.items()
        }


def _place(frame: FrameType) -> str:
    """Where mayak is, and what it has called."""
    called, at = frame.f_code.co_name, frame
    while not at.f_globals.get("__name__", "").startswith("mayak.") and at.f_back is not None:
        at = at.f_back
    where = f"{Path(at.f_code.co_filename).stem}:{at.f_lineno} {at.f_code.co_name}"
    return where if at is frame else f"{where} > {called}"


def decoded(paths: list[Path], min_sides: Sides) -> list[DecodedImage]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda path: decode(path.read_bytes(), min_sides=min_sides), paths))


def odds_of(readings: CascadeTiers, head: HeadOnDevice, pieces: list[PreparedImage]) -> np.ndarray:
    """Log-odds (N, 2) of tiers 0 and 1."""
    rows = []
    with torch.inference_mode():
        for start in range(0, len(pieces), BATCHES[1]):
            part = pieces[start : start + BATCHES[1]]
            first = log_odds(head(readings.pooled_features(part)).double())
            second = log_odds(readings.label_logits(part)[:, :-1])
            rows.append(torch.stack([first, second], dim=1).cpu().numpy())
    return np.concatenate(rows)


def in_runs(folder: Path, other: Path) -> Path:
    """The files of ``copies`` under names that put those of one image in a row."""
    other.mkdir()
    for path in folder.iterdir():
        number, image = path.stem.split("_", 1)
        (other / f"{image}_{number}.jpg").hardlink_to(path)
    return other


def thresholds_for(mix: tuple[float, float, float], odds: np.ndarray) -> tuple[float, float]:
    """Thresholds at which tiers 0 and 1 decide their shares of these very images."""
    first = float(np.quantile(odds[:, 0], 1 - mix[0]))
    left = odds[odds[:, 0] <= first, 1]
    return first, float(np.quantile(left, mix[2] / (mix[1] + mix[2])))


def scorer_with(
    vlm: VisionLanguageModel, head: Head, thresholds: tuple[float, float]
) -> CascadeScorer:
    bound = RiskBound(0.01, 0.95, 0, 0, thresholds, (0.0, 0.0, 0.0), ())
    calibration = Calibration(vlm.engine.fingerprint, head, (1.0, 1.0, 1.0), bound, {})
    return CascadeScorer(vlm, calibration, BATCHES[2], compiled=True)


def end_to_end(scorer: CascadeScorer, folder: Path, rates: dict[str, float]) -> dict[str, Any]:
    """Images/s of ``mayak triage``, start, case and grouping included, and without its start; who
    decided; where the threads were, how busy the cores; and which share of the time the GPU's work
    takes by what each tier takes alone."""
    watched = Watched(scorer)
    torch.cuda.reset_peak_memory_stats()
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    began = time.perf_counter()
    with Sampler() as sampler:
        images_s = measure_triage(watched, folder)
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    count = sum(watched.tiers.values())
    seconds = count / images_s
    # A tier sees all that those before it pass on.
    seen = {tier: sum(watched.tiers[t] for t in TIERS if t >= tier) for tier in TIERS}
    names = {0: "tower", 1: "base tile", 2: "full"}
    return {
        "images": count,
        "images_s": images_s,
        "seconds": round(seconds, 1),
        "seconds_to_the_first_answer": round(watched.first - began, 2),
        "images_s_from_the_first_answer_to_the_last": round(
            count / (watched.last - watched.first), 2
        ),
        "decided": {str(tier): watched.tiers[tier] for tier in TIERS},
        "gpu_share_by_tier": {
            str(tier): round(seen[tier] / rates[names[tier]] / seconds, 3) for tier in TIERS
        },
        "cores_busy": round(sampler.cores_busy, 1),
        "cores_of_this_process": round(sampler.cores_of_this_process, 1),
        "threads": sampler.places(),
        "workers_ms_an_image": round(1e3 * workers / count, 1),
        "peak_gpu_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        "reserved_gpu_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2),
        "peak_host_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def main() -> None:
    """Measure, print as it goes, and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("cascade.json"))
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--processor", type=Path, help="a saved processor (default: made here)")
    parser.add_argument(
        "--folder", type=Path, help="where the images are made (default: temporary)"
    )
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

    def attempt(name: str, work: Callable[[], Any]) -> None:
        left = asked.seconds - (time.monotonic() - began)
        note(name, work() if left > 60 else "left out: the time is up")

    note(
        "machine",
        {
            "device": torch.cuda.get_device_name(0),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "pillow")},
        },
    )
    # Workers start as those of the command do: without this file, which would bring them torch.
    vars(sys.modules["__main__"]).pop("__file__", None)
    processor = (
        LlavaNextProcessor.from_pretrained(
            asked.processor, local_files_only=True, trust_remote_code=False
        )
        if asked.processor
        else processor_for(published_config(), published_tokenizer())
    )
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        paths = make_images(Path(folder) / "images", asked.images)
        note("images", {"files": len(paths), "bytes": sum(path.stat().st_size for path in paths)})
        measure(processor, paths, note, attempt)


def measure(
    processor: LlavaNextProcessor,
    paths: list[Path],
    note: Callable[[str, Any], None],
    attempt: Callable[[str, Callable[[], Any]], None],
) -> None:
    """Everything, what matters most first."""
    vlm = build(processor, "bf16")
    readings = CascadeTiers(vlm, compiled=True)
    stages = bench.measure(
        readings,
        paths[:40],
        device="GPU",
        min_sides=vlm.min_sides,
        min_base_sides=vlm.min_base_sides,
        batch_size=BATCHES[2],
        seconds=2.0,
        progress=SilentProgress(),
    )
    rates = {stage.name: round(stage.images_s, 1) for stage in stages}
    note("each stage alone, images/s", rates)
    width = 2 * vlm.base.config.vision_config.hidden_size
    plain = random_head(width)
    head = HeadOnDevice(plain, vlm.device)
    images = decoded(paths, vlm.min_base_sides)
    odds = odds_of(readings, head, [readings.prepare(0, image) for image in images])
    del readings
    folder = paths[0].parent
    few, many = (copies(paths, folder / f"{times} times", times) for times in (4, 40))
    runs = in_runs(many, folder / "40 times, in runs")
    for mix, where in ((MIXES[0], few), (MIXES[0], many), (MIXES[1], many), (MIXES[0], runs)):
        scorer = scorer_with(vlm, plain, thresholds_for(mix, odds))
        # A full batch of tier 1 is among them; the first compiles, each records.
        warm = timed(lambda s=scorer, i=images: list(s.classify(i * 2)))
        note(f"seconds to warm up, {mix}, {where.name}", round(warm, 1))
        attempt(f"triage, {mix}, {where.name}", lambda s=scorer, w=where: end_to_end(s, w, rates))
    attempt("triage without a model, 40 times", lambda: measure_triage(None, many))
    del images
    del vlm, head, scorer
    free()
    attempt("original", lambda: measure_original(build(processor, "nf4"), paths[:32]))


if __name__ == "__main__":
    main()
