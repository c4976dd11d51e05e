"""Measures how many images per second each stage of triage processes on this machine.

The images are drawn: 12-megapixel photos with noise, screenshots, small pictures from the web. Each
stage is measured alone with the threads or processes that triage gives it. Worker processes import
this module, so torch is imported inside functions only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from mayak.case.reasons import reason
from mayak.errors import MayakError
from mayak.i18n import msg
from mayak.imaging.decode import decode, decode_picture
from mayak.imaging.hashing import perceptual_hash, sha256
from mayak.imaging.thumbnails import overview, thumbnail
from mayak.types import DecodedImage, Progress, Sides
from mayak.workers import Lost, WorkerPool, cores

if TYPE_CHECKING:
    import torch

    from mayak.model.cascade import CascadeTiers
    from mayak.model.packer import PreparedImage

StageName = Literal[
    "read", "decode base", "decode", "tiles base", "tiles all", "tower", "base tile", "full"
]
Shares = tuple[float, float, float]
"""Shares of images decided by tier 0 (vision tower), tier 1 (base tile) and the full model."""

# width, height, number of images
KINDS = ((4000, 3000, 8), (3000, 4000, 4), (1080, 2400, 5), (640, 480, 2), (320, 320, 1))
FULL_MODEL: Shares = (0.0, 0.0, 1.0)
MIXES: tuple[Shares, ...] = (FULL_MODEL, (0.80, 0.12, 0.08), (0.90, 0.07, 0.03))
_THREADS = 4
"""Threads that make tiles, as in the scorers."""
_WARM_UP = 2
"""Batches before measuring: the first compiles, the second may compile for another size."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage, measured alone."""

    name: StageName
    images_s: float
    on: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """Images per second of all stages together: computed, not measured."""

    mix: Shares
    images_s: float
    model_time: Shares
    """Share of each tier in the model's time."""
    bound: StageName | None
    """The slowest stage, if stages run in parallel; None if they share the processor."""


def make_images(folder: Path) -> list[Path]:
    """Draw twenty seeded JPEGs of ``KINDS``, in mixed order, on all cores."""
    sizes = [(width, height) for width, height, count in KINDS for _ in range(count)]
    order = np.random.default_rng(0).permutation(len(sizes))
    jobs = [(folder / f"{i:02}.jpg", i, *sizes[at]) for i, at in enumerate(order)]
    for _, result in WorkerPool[tuple[Path, int, int, int], None](_draw, cores()).run(jobs):
        _require(result)
    return [path for path, *_ in jobs]


def measure(
    tiers: CascadeTiers,
    paths: Sequence[Path],
    *,
    device: str,
    min_sides: Sides,
    min_base_sides: Sides,
    batch_size: int,
    seconds: float,
    progress: Progress,
) -> list[Stage]:
    """Measure every stage for about ``seconds``, and at least one batch, after a warm-up.

    ``min_sides`` and ``min_base_sides`` are the model's smallest useful sides.

    Raises:
        ModelError: the model cannot run here.
    """
    one = msg("one thread")
    some = msg("{threads} threads", threads=_THREADS)
    all_ = msg("{cores} processes", cores=cores())
    small = [decode(path.read_bytes(), min_sides=min_base_sides) for path in paths]
    images = [decode(path.read_bytes(), min_sides=min_sides) for path in paths]
    base = [tiers.prepare(1, image) for image in small]
    whole = [tiers.prepare(2, image) for image in images]
    stages: list[tuple[StageName, str, Callable[[], float]]] = [
        ("read", one, lambda: _reading(paths, seconds)),
        ("decode base", all_, lambda: _decoding(paths, min_base_sides, seconds)),
        ("decode", all_, lambda: _decoding(paths, min_sides, seconds)),
        ("tiles base", some, lambda: _preparing(partial(tiers.prepare, 1), small, seconds)),
        ("tiles all", some, lambda: _preparing(partial(tiers.prepare, 2), images, seconds)),
        # Smaller inputs make larger batches, as in the cascade.
        (
            "tower",
            device,
            lambda: _answering(tiers.pooled_features, base, 8 * batch_size, seconds),
        ),
        (
            "base tile",
            device,
            lambda: _answering(tiers.label_logits, base, 4 * batch_size, seconds),
        ),
        ("full", device, lambda: _answering(tiers.label_logits, whole, batch_size, seconds)),
    ]
    found: list[Stage] = []
    with progress.task(msg("measuring"), len(stages), msg("stages")) as task:
        for name, on, work in stages:
            found.append(Stage(name, work(), on))
            task.advance()
    return found


def outlook(stages: Sequence[Stage], mix: Shares, *, apart: bool) -> Outlook:
    """Compute the images per second of all stages together, for a mix of images.

    This is an upper bound. With ``apart`` the model has its own device: the stages run in parallel
    and the slowest one decides. Otherwise they share the processor and their times add up.
    """
    cost = {stage.name: 1 / stage.images_s for stage in stages}
    early = float(mix != FULL_MODEL)
    tiers = (early * cost["tower"], early * (1 - mix[0]) * cost["base tile"], mix[2] * cost["full"])
    costs: dict[StageName, float] = {
        "read": cost["read"],
        "decode": early * cost["decode base"] + mix[2] * cost["decode"],
        "tiles all": early * cost["tiles base"] + mix[2] * cost["tiles all"],
        "full": sum(tiers),
    }
    slowest = max(costs, key=lambda name: costs[name])
    first, second, third = (tier / sum(tiers) for tier in tiers)
    return Outlook(
        mix=mix,
        images_s=1 / (costs[slowest] if apart else sum(costs.values())),
        model_time=(first, second, third),
        bound=slowest if apart else None,
    )


# --- in worker processes --------------------------------------------------------------------------


def _draw(work: tuple[Path, int, int, int]) -> None:
    path, seed, width, height = work
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    grain = rng.normal(0, 5, (height, width, 1)).astype(np.float32)
    pixels = (smooth + grain).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=88)


def _process(work: tuple[Path, Sides]) -> None:
    """Decode, hash and make the thumbnail of a file, as triage does before scoring."""
    path, min_sides = work
    picture = decode_picture(path.read_bytes(), min_sides=min_sides)
    picture.decoded("")
    small = overview(picture.image)
    perceptual_hash(small)
    thumbnail(picture.image)


def _require(result: object) -> None:
    if isinstance(result, Lost):
        raise MayakError(
            msg("a process of the measurement was lost ({why})", why=reason(result.why)),
            remedy=msg("end other programs and try again"),
        )


# --- images a second ------------------------------------------------------------------------------


def _reading(paths: Sequence[Path], seconds: float) -> float:
    for path in paths:  # fill the disk's cache, because disks differ more than machines
        path.read_bytes()
    started = time.perf_counter()
    for done, path in enumerate(cycle(paths), 1):
        sha256(path.read_bytes())
        if (taken := time.perf_counter() - started) >= seconds and done >= len(paths):
            return done / taken
    raise AssertionError("no images")


def _decoding(paths: Sequence[Path], min_sides: Sides, seconds: float) -> float:
    """Decode on all cores; starting the processes is not counted."""
    workers, began = cores(), float("inf")

    def work() -> Iterator[tuple[Path, Sides]]:
        for path in cycle(paths):
            if time.perf_counter() - began >= seconds:
                return
            yield path, min_sides

    done, last = 0, 0.0
    for count, (_, result) in enumerate(
        WorkerPool[tuple[Path, Sides], None](_process, workers).run(work())
    ):
        _require(result)
        last = time.perf_counter()
        if count + 1 == workers:
            began = last
        done += count >= workers
    return done / (last - began)


def _preparing(
    prepare: Callable[[DecodedImage], PreparedImage], images: Sequence[DecodedImage], seconds: float
) -> float:
    import torch

    done = 0
    with ThreadPoolExecutor(_THREADS, "preprocess", torch.set_num_threads, (1,)) as pool:
        list(pool.map(prepare, images[:_THREADS]))
        started = time.perf_counter()
        while not done or time.perf_counter() - started < seconds:
            done += sum(1 for _ in pool.map(prepare, images))
        return done / (time.perf_counter() - started)


def _answering(
    ask: Callable[[list[PreparedImage]], torch.Tensor],
    pieces: list[PreparedImage],
    size: int,
    seconds: float,
) -> float:
    """Score batches; the next one is queued before waiting for the answer of the last."""
    from mayak.model.scoring import queued

    turn = cycle(pieces)

    def following() -> Callable[[], torch.Tensor]:
        batch = list(islice(turn, size))
        return queued(lambda: ask(batch))

    for _ in range(_WARM_UP):
        following()()
    done, started = 0, time.perf_counter()
    waiting = following()
    while time.perf_counter() - started < seconds:
        after = following()
        waiting()
        waiting, done = after, done + size
    waiting()
    return (done + size) / (time.perf_counter() - started)
