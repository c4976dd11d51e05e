"""How fast evidence is taken in: ``python benchmarks/triage.py [--small N] [--large N]``.

Makes a ZIP of small photographs and one of 12-megapixel ones, all different, and takes each into a
case without a model. The floor is what nobody can leave out: the same cores read the same members,
hash them (MD5, SHA-1, SHA-256) and decode them (Pillow's ``draft``, to the same scale), and keep
nothing. Prints files
a second of both, their ratio, and the largest memory of the main process, for a tenth of the small
ones too: it must not grow with the number of files.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mayak.imaging.decode import scale_for
from mayak.imaging.thumbnails import OVERVIEW

KINDS = {"small": (640, 480, 80), "large": (4000, 3000, 90)}
"""Width, height, JPEG quality."""
DRAWN = {"small": 2_000, "large": 40}
"""Different pictures; each file is one of them with a number of its own in a comment."""


def picture(kind: str, number: int) -> bytes:
    """A JPEG of smooth noise with some grain: it packs about as photographs do."""
    width, height, quality = KINDS[kind]
    draw = np.random.default_rng(number)
    rough = draw.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
    smooth = Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)
    grain = draw.integers(-6, 7, (height, width, 1), dtype=np.int16)
    stream = io.BytesIO()
    Image.fromarray((np.asarray(smooth) + grain).clip(0, 255).astype(np.uint8)).save(
        stream, "JPEG", quality=quality
    )
    return stream.getvalue()


def files(kind: str, count: int) -> Iterator[tuple[str, bytes]]:
    """Names and JPEGs, no two with the same bytes."""
    drawn = [picture(kind, number) for number in range(min(count, DRAWN[kind]))]
    for number in range(count):
        data = drawn[number % len(drawn)]
        comment = b"%012d" % number
        # A comment segment right after the start mark: other bytes, the same pixels.
        yield (
            f"DCIM/{number // 1000:03}/IMG_{number:06}.jpg",
            (data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]),
        )


def make(path: Path, kind: str, count: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files(kind, count):
            archive.writestr(name, data)


def _floor(work: tuple[str, int, int]) -> int:
    path, part, parts = work
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()[part::parts]
        for name in names:
            data = archive.read(name)
            for kind in ("md5", "sha1", "sha256"):
                hashlib.new(kind, data, usedforsecurity=False).hexdigest()
            with Image.open(io.BytesIO(data)) as image:
                denominator = scale_for(image.size, OVERVIEW)
                image.draft(None, (image.width // denominator, image.height // denominator))
                image.load()
    return len(names)


def floor(path: Path, cores: int) -> float:
    """Files a second."""
    began = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        done = sum(pool.map(_floor, [(str(path), part, cores) for part in range(cores)]))
    return done / (time.perf_counter() - began)


_RUN = """
import json, sys, time
from pathlib import Path
from mayak.triage import Options, triage
from mayak.types import SilentProgress
began = time.perf_counter()
options = Options((Path(sys.argv[1]),), Path(sys.argv[2]), "benchmark", workers=int(sys.argv[3]))
summary = triage(options, None, SilentProgress())
print(json.dumps({
    "seconds": time.perf_counter() - began,
    "images": summary.counts.contents,
    # Not getrusage's, which counts what the process was forked from.
    "peak_mib": int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024,
}))
"""


def taken_in(path: Path, case: Path, cores: int) -> dict[str, float]:
    """Seconds, images and the main process's peak memory of a whole run in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(path), str(case), str(cores)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, help="where the ZIPs and cases are made")
    told = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(dir=told.folder) as folder:
        for kind, count in (
            ("small", told.small // 10),
            ("small", told.small),
            ("large", told.large),
        ):
            if not count:
                continue
            path = Path(folder) / f"{kind}-{count}.zip"
            make(path, kind, count)
            least = floor(path, cores)
            ours = taken_in(path, Path(folder) / f"case-{kind}-{count}", cores)
            rate = ours["images"] / ours["seconds"]
            print(
                f"{kind}, {count} files, {path.stat().st_size / 2**20:.0f} MiB: "
                f"{rate:.1f} files/s, floor {least:.1f} files/s, {rate / least:.0%}; "
                f"peak of the main process {ours['peak_mib']:.0f} MiB",
                flush=True,
            )
            path.unlink()


if __name__ == "__main__":
    main()
