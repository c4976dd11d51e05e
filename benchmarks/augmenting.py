"""Augmentation of 12-megapixel photos: ``python benchmarks/augmenting.py [--images N]``.

Draws JPEGs of 4000 × 3000 and 3000 × 4000 pixels, and makes two new images of each as ``mayak
prepare --augment-scale full`` and ``model`` do, in as many processes as are given: images/s, of all
processes and of one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from mayak.dataset.augment import AugmentJob, augment
from mayak.workers import WorkerPool, cores

COPIES = 2


def draw(work: tuple[Path, int]) -> Path:
    """A JPEG of seeded smooth noise with a sensor's grain over it."""
    path, seed = work
    rng = np.random.default_rng(seed)
    width, height = ((4000, 3000), (3000, 4000))[seed % 2]
    coarse = rng.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    grain = rng.normal(0, 5, (height, width, 1)).astype(np.float32)
    Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(path, quality=88)
    return path


def rate(paths: list[Path], folder: Path, workers: int, *, at_model_scale: bool) -> float:
    """Images/s, without the start of the processes."""
    jobs = [
        AugmentJob(path, sha256(path.read_bytes()).hexdigest(), copy, 42, target, at_model_scale)
        for path in paths
        for copy in range(1, COPIES + 1)
        if (target := folder / f"{path.stem}_{copy}.jpg")
    ]
    pool = WorkerPool(augment, workers)
    results = pool.run(jobs)
    # The first results come after torch's import in each process.
    for _ in range(workers):
        next(results)
    began = time.perf_counter()
    done = sum(1 for _ in results)
    return done / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--full-images", type=int, help="of these at full scale (default: all)")
    parser.add_argument("--workers", type=int, default=cores())
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        work = [(folder / f"{number:03}.jpg", number) for number in range(asked.images)]
        with ProcessPoolExecutor(asked.workers, get_context("spawn")) as pool:
            paths = list(pool.map(draw, work))
        model = rate(paths, folder, asked.workers, at_model_scale=True)
        full = rate(paths[: asked.full_images], folder, asked.workers, at_model_scale=False)
        print(f"model {model:.2f}/s, {model / asked.workers:.3f} a process")
        print(f"full {full:.2f}/s, {full / asked.workers:.3f} a process; ratio {model / full:.1f}")


if __name__ == "__main__":
    main()
