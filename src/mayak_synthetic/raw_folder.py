"""Raw folders of synthetic images, byte-identical for the same arguments."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from PIL import ImageEnhance

from mayak.labels import LABELS
from mayak.types import Progress
from mayak_synthetic.camera import moved
from mayak_synthetic.canvas import SeededRandom, Style
from mayak_synthetic.scenes import SUBJECTS, Scene, encode, render

BURSTS = 0.04
"""Share of files that repeat a scene of the same folder: photos by a hand that moved, chats that
were scrolled, others re-encoded."""

_WEIGHTS = {"ordinary_chat": 4, "app_screenshot": 2, "flour": 2, "blister_pack": 2, "sweets": 2}
"""Weight of a subject among those of its label; 1 if not named."""


@dataclass(frozen=True, slots=True)
class _Job:
    path: Path
    """Without the suffix, which depends on the scene."""
    subject: str
    seed: int
    style: Style
    repeat: int
    """0 for the first picture of a scene, 1 and up for its near-duplicates."""


def generate(
    folder: Path,
    counts: Mapping[int, int],
    *,
    seed: int,
    style: Style,
    workers: int,
    progress: Progress,
) -> None:
    """Write ``counts[label]`` images into ``folder/<the label's folder>/``.

    The bytes depend on ``counts``, ``seed`` and ``style`` only. ``workers`` processes draw; 1 draws
    in this one. Existing files of the same names are overwritten.
    """
    jobs = [
        job for label in sorted(counts) for job in _plan(folder, label, counts[label], seed, style)
    ]
    for label in counts:
        (folder / LABELS[label].folder).mkdir(parents=True, exist_ok=True)
    with progress.task("images", len(jobs), "img") as task:
        for _ in _done(jobs, workers):
            task.advance()


def _done(jobs: list[_Job], workers: int) -> Iterator[None]:
    if workers <= 1:
        yield from map(_write, jobs)
        return
    # Spawned, as on Windows, so that every platform runs the same way.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(_write, jobs, chunksize=8)


def _plan(folder: Path, label: int, count: int, seed: int, style: Style) -> list[_Job]:
    """Return what to draw for one label. Order and names do not depend on the subject."""
    rng = SeededRandom("plan", label, count, seed, style)
    again = round(count * BURSTS)
    subjects = [
        name for name, own in SUBJECTS.items() if own == label for _ in range(_WEIGHTS.get(name, 1))
    ]
    drawn: list[tuple[str, int, int]] = []
    while len(drawn) < count - again:
        drawn += [(name, rng.integer(0, 2**40), 0) for name in rng.sample(subjects, len(subjects))]
    drawn = drawn[: count - again]
    for number in range(again):
        # Neighbours in the list share a scene, so that some bursts have three pictures.
        subject, own, _ = drawn[(number // 2) * 7 % (count - again)]
        drawn.append((subject, own, number % 2 + 1))
    names = _names(SeededRandom("names", label, count, seed, style), count)
    place = partial(_job, folder / LABELS[label].folder, style)
    return [place(name, *what) for name, what in zip(names, rng.sample(drawn, count), strict=True)]


def _job(folder: Path, style: Style, name: str, subject: str, seed: int, repeat: int) -> _Job:
    return _Job(folder / name, subject, seed, style, repeat)


def _names(rng: SeededRandom, count: int) -> list[str]:
    """Return unique names as phones and messengers give them, independent of the content."""
    number = rng.integer(1, 900)
    day = rng.integer(0, 200)
    minute = 0
    names: list[str] = []
    for _ in range(count):
        number += rng.integer(1, 4)
        minute += rng.integer(1, 90)
        date, clock = _moment(day, minute, rng.integer(0, 59))
        names.append(
            rng.choice(
                (
                    f"IMG_{number:04d}",
                    f"{date}_{clock}",
                    f"{date}_{clock}",
                    f"Screenshot_{date}_{clock}",
                    f"카카오톡_{date}_{clock}",
                    f"사진 {number:04d}",
                )
            )
        )
    return names


def _moment(day: int, minute: int, second: int) -> tuple[str, str]:
    """Return a date and a clock time in 2026, counted from its first day; months of 28 days."""
    day += minute // 1440
    date = f"2026{day // 28 % 12 + 1:02d}{day % 28 + 1:02d}"
    return date, f"{minute // 60 % 24:02d}{minute % 60:02d}{second:02d}"


def _write(job: _Job) -> None:
    scene = render(job.subject, job.seed, job.style)
    if job.repeat:
        scene = again(scene, job.seed, job.style, job.repeat)
    data = encode(scene, job.seed + job.repeat)
    job.path.with_name(f"{job.path.name}.{scene.suffix}").write_bytes(data)


def again(scene: Scene, seed: int, style: Style, repeat: int) -> Scene:
    """Return the same scene a moment later, saved as JPEG; ``seed`` and ``style`` are the scene's.

    A photo has moved by 1 to 4 % of its sides, turned by up to 2° and zoomed by up to 4 %; a chat
    was scrolled by up to half a page. Either may be a little brighter or darker.
    """
    rng = SeededRandom("again", seed, repeat)
    level = rng.choice((1.0, 0.94, 1.06))
    image = scene.image
    if scene.facts["medium"] in ("photo", "screen_photo"):
        way, far = rng.uniform(0, 2 * math.pi), rng.uniform(0.01, 0.04)
        image = moved(
            image,
            shift=(far * math.cos(way), far * math.sin(way)),
            degrees=rng.uniform(-2, 2),
            zoom=rng.uniform(0.96, 1.04),
        )
    elif "messages" in scene.facts:
        image = render(scene.subject, seed, style, rng.uniform(0.05, 0.5)).image
    return replace(scene, image=ImageEnhance.Brightness(image).enhance(level), suffix="jpg")
