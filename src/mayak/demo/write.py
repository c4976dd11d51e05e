"""Folders of synthetic images, laid out as ``raw_data/`` is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from PIL import ImageEnhance

from mayak.demo.canvas import Dice, Style
from mayak.demo.scenes import SUBJECTS, WEIGHTS, encode, render
from mayak.labels import LABELS
from mayak.language import tr
from mayak.types import Progress, SilentProgress

BURST_SHARE = 0.04
"""Share of files that are a near-duplicate of the file before them, as phones take bursts."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    subject: str
    seed: int
    style: Style
    burst: bool


def generate(
    folder: Path,
    counts: Mapping[int, int],
    *,
    seed: int,
    style: Style,
    workers: int = 1,
    progress: Progress | None = None,
) -> None:
    """Write ``counts[label]`` images of each label into ``folder/<label folder>/``.

    The same arguments give the same bytes on any number of workers. File names are a camera's or a
    messenger's and tell nothing of the content.
    """
    files = list(_plan(folder, counts, seed, style))
    for label in counts:
        (folder / LABELS[label].folder).mkdir(parents=True, exist_ok=True)
    name, unit = tr("drawing", "이미지 생성"), tr("images", "장")
    with (progress or SilentProgress()).task(name, len(files), unit) as task:
        if workers == 1:
            for file in files:
                _write(file)
                task.advance()
            return
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for _ in pool.map(_write, files, chunksize=8):
                task.advance()


def _plan(folder: Path, counts: Mapping[int, int], seed: int, style: Style) -> Iterator[_File]:
    for label, count in counts.items():
        subjects = [name for name, of in SUBJECTS.items() if of == label]
        dice = Dice("plan", seed, style, label)
        before: _File | None = None
        for number in range(count):
            burst = before is not None and not before.burst and dice.chance(BURST_SHARE)
            if burst and before is not None:
                subject, drawn = before.subject, before.seed
            else:
                # Each subject in turn, so that a small set has all of them.
                subject = _turn(subjects, number)
                drawn = seed * 1_000_000 + label * 100_000 + number
            name = _name(dice, number, "chat" in subject or "app" in subject)
            before = _File(folder / LABELS[label].folder / name, subject, drawn, style, burst)
            yield before


def _turn(subjects: list[str], number: int) -> str:
    cycle = [name for name in subjects for _ in range(round(WEIGHTS.get(name, 1.0)))]
    # A stride coprime to the length visits all of them, like ones far apart.
    stride = next(k for k in (7, 5, 3, 1) if k == 1 or len(cycle) % k)
    return cycle[number * stride % len(cycle)]


def _name(dice: Dice, number: int, screen: bool) -> str:
    month, day = dice.whole(1, 12), dice.whole(1, 28)
    stamp = f"2026{month:02}{day:02}_{dice.whole(0, 23):02}{dice.whole(0, 59):02}{number % 60:02}"
    if screen:
        return dice.pick((f"Screenshot_{stamp}_{number:04}", f"스크린샷_{stamp}_{number:04}"))
    return dice.pick((f"IMG_{number:04}", f"{stamp}_{number:04}", f"카카오톡_사진_{number:04}"))


def _write(file: _File) -> None:
    scene = render(file.subject, file.seed, file.style)
    if file.burst:
        image = ImageEnhance.Brightness(scene.image).enhance(1.06)
        scene = replace(scene, image=image, suffix="jpg")
    data = encode(scene, file.seed + file.burst)
    path = file.path.with_name(f"{file.path.name}.{scene.suffix}")
    path.write_bytes(data)
