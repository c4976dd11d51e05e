"""Measures `mayak report` on a case of many synthetic images.

    python benchmarks/report.py CASE [--images 100000] [--decided 10000]

CASE is made if it is not there, through the case's own methods, so that the verification that a
report begins with finds nothing. The decided ones are a quarter each of the four labels. Prints the
time, the memory of the process at its largest and what was written.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from mayak.case import CaseStore, Content, Item
from mayak.types import Engine, EvidencePath, FileTimes, Prediction, Scores

COMMAND = [sys.executable, "-c", "from mayak.cli.app import main; main()", "--lang", "ko"]
THUMBNAILS = 200
ENGINE = Engine("nano", None, "fp32", "0" * 64, "1" * 64, (("torch", "2"),))
TIME = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", type=Path)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--decided", type=int, default=10_000)
    options = parser.parse_args()
    if not options.case.exists():
        began = time.monotonic()
        make(options.case, options.images, options.decided)
        print(f"made in {time.monotonic() - began:.0f} s")
    folder = options.case.with_name(f"{options.case.name}-report")
    command = [*COMMAND, "report", str(options.case), "--to", str(folder), "--overwrite"]
    began = time.monotonic()
    most = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, memory(process.pid))
            time.sleep(0.1)
    print(f"report in {time.monotonic() - began:.0f} s, {most / 1e6:.0f} MB at most")
    if process.returncode:
        sys.exit(process.returncode)
    for kind in ("html", "pdf", "xlsx", "csv", "jsonld"):
        files = list(folder.glob(f"*.{kind}"))
        size = sum(file.stat().st_size for file in files)
        print(f"{kind}: {len(files)} files, {size / 1e6:.1f} MB")
    shutil.rmtree(folder)


def memory(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def make(folder: Path, count: int, decided: int) -> None:
    pictures = [picture(number) for number in range(THUMBNAILS)]
    with CaseStore.create(folder, operator="bench") as store:
        source = store.add_source("/evidence/phone.E01", "image")
        run = store.start_run(ENGINE)
        for start in range(0, count, 1000):
            numbers = range(start, min(start + 1000, count))
            store.add_items(source, [item(n, pictures[n % THUMBNAILS]) for n in numbers])
            store.add_results(run, predictions(numbers))
        store.finish_run(run)
        for start in range(0, decided, 100):
            numbers = range(start, min(start + 100, decided))
            store.decide("bench", {digest(n): n % 4 for n in numbers})


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def item(number: int, picture: bytes) -> Item:
    sha256 = digest(number)
    content = Content(
        sha256,
        sha256[:32],
        sha256[:40],
        10**6 + number,
        "JPEG",
        4000,
        3000,
        metadata={"taken": "2026-02-03T04:05:06", "make": "Apple", "model": "iPhone 15"},
        thumbnail=picture,
    )
    path = EvidencePath("image", "phone.E01").child("file", f"DCIM/IMG_{number:08}.jpg")
    return Item(str(path), path.to_json(), content, content.size, FileTimes(TIME, TIME, TIME))


def predictions(numbers: range) -> Iterator[Prediction]:
    four = np.random.default_rng(numbers.start).dirichlet((1.6, 0.3, 0.2, 0.2), len(numbers))
    for number, scores in zip(numbers, four.tolist(), strict=True):
        yield Prediction(digest(number), Scores(tuple(scores), 0.01), False, ENGINE.fingerprint)


def picture(number: int) -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return stream.getvalue()


if __name__ == "__main__":
    main()
