"""kill -9 at ten random moments: ``python benchmarks/interrupted.py [--files N] [--seed N]``.

Draws a few thousand small files from a seed: images of several formats, copies of them, images
almost like others, cut and overwritten ones, texts, a PDF, Korean names, a part of them in a ZIP.
``mayak triage`` with the embedded model takes them into one case undisturbed, and into a second one
while its whole process group is killed with SIGKILL at ten random moments and the same command is
run again. Then the two cases must say the same:

- the same items with the same outcomes and reasons, the same contents (hashes, sizes, metadata,
  warnings, thumbnails), groups of near-duplicates and alerts, the same counts at the end;
- the same scores but for rounding: an image that was scored in another batch is padded otherwise
  (the limit is ``comparing.SAME_SCORE``).

Not compared, since they cannot be the same: ids and order of arrival, the log's entries and times.
The log's chain is checked by ``mayak verify`` instead, in both cases at the end and in the second
one after each kill. The sources are hashed before and after. Exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from comparing import SAME_SCORE, differences, digests, furthest, told
from mayak.case import CaseStore

KILLS = 10
FORMATS = (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("BMP", "bmp"), ("GIF", "gif"))
FOLDERS = ("DCIM/카메라", "DCIM/스크린샷", "카카오톡 받은 파일", "Download", "사진/2026년 3월")
SHARES = {"copy": 0.12, "similar": 0.1, "cut": 0.05, "overwritten": 0.03, "text": 0.08}
"""Of all files; the rest are images like no other."""
IN_ZIP = 0.15


def main() -> None:
    """Draw, run twice, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mayak-interrupted-") as temporary:
        work = Path(temporary)
        sources, listed = draw(work / "phone", asked.files, asked.seed)
        raise SystemExit(bool(compared(work, sources, listed, random.Random(asked.seed))))


def draw(folder: Path, count: int, seed: int) -> tuple[list[Path], Path]:
    """Files in a folder and a ZIP next to it, and a list of five of them to raise alerts."""
    rng = np.random.default_rng(seed)
    kinds = [*SHARES, "image"]
    chances = [*SHARES.values(), 1 - sum(SHARES.values())]
    made: list[tuple[Image.Image, bytes]] = []
    files: dict[str, bytes] = {}
    for number in range(count):
        kind = rng.choice(kinds, p=chances) if len(made) > 10 else "image"
        extension = "jpg"
        if kind == "image":
            picture = scene(rng)
            name, extension = FORMATS[rng.choice(len(FORMATS), p=[0.6, 0.2, 0.1, 0.05, 0.05])]
            data = encoded(picture, name, 90)
            made.append((picture, data))
        else:
            picture, data = made[rng.integers(len(made))]
        if kind == "similar":
            data = encoded(picture.resize((picture.width // 2, picture.height // 2)), "JPEG", 70)
        elif kind == "cut":
            data = data[: int(len(data) * rng.uniform(0.02, 0.9))]
        elif kind == "overwritten":
            data = rng.bytes(len(data))
        elif kind == "text":
            data, extension = f"메모 {number}".encode() * int(rng.integers(0, 40)), "txt"
        place = FOLDERS[rng.integers(len(FOLDERS))]
        files[f"{place}/{kind}_{number:05}.{extension}"] = data
    document = io.BytesIO()
    pages = [made[0][0], made[1][0]]
    pages[0].save(document, "PDF", save_all=True, append_images=pages[1:])
    files["Download/안내문.pdf"] = document.getvalue()
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for path, data in files.items():
            if rng.random() < IN_ZIP:
                archive.writestr(zipfile.ZipInfo(path), data)
                continue
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
    listed = folder.with_name("listed.txt")
    hashes = [hashlib.sha256(data).hexdigest() for _, data in made[:5]]
    listed.write_text("\n".join(hashes) + "\n", encoding="ascii")
    return [folder, folder.with_suffix(".zip")], listed


def scene(rng: np.random.Generator) -> Image.Image:
    """Soft patches with hard edges in front: enough for a perceptual hash to hold on to."""
    width, height = (int(side) for side in rng.integers(64, 200, 2))
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    for _ in range(6):
        corner, size = rng.integers(0, picture.size), rng.integers(8, 60, 2)
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        picture.paste(colour, tuple(int(at) for at in (*corner, *(corner + size))))
    return picture


def encoded(picture: Image.Image, name: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, name, **({"quality": quality} if name in ("JPEG", "WEBP") else {}))
    return buffer.getvalue()


def compared(work: Path, sources: list[Path], listed: Path, rng: random.Random) -> list[str]:
    """Run both, print what came of it; what is wrong."""
    before = digests(*sources)
    whole, killed = work / "whole", work / "killed"
    started = time.perf_counter()
    process = begin(whole, sources, listed)
    until_at_work(process, whole)
    loading = time.perf_counter() - started
    expected, faults = ended(process)
    seconds = time.perf_counter() - started
    print(f"{len(before)} files; undisturbed: {seconds:.0f} s, {loading:.0f} s of them to begin")
    print(json.dumps({k: v for k, v in expected.items() if k not in ("case", "log_head")}))
    kills = 0
    while kills < KILLS:
        # The mean is an even share of the work, and some of it is lost with each kill, so that it
        # lasts for all of them.
        delay = rng.uniform(0, 2 * (seconds - loading) / KILLS)
        process = begin(killed, sources, listed)
        until_at_work(process, killed)
        time.sleep(delay)
        if process.poll() is not None:
            faults.append(f"ended by itself after {kills} kills: take more --files")
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
        print(f"kill {kills} after {delay:.1f} s of work: {state(killed, faults)}", flush=True)
    started = time.perf_counter()
    found, errors = ended(begin(killed, sources, listed))
    print(f"the rest undisturbed: {time.perf_counter() - started:.0f} s")
    faults += errors
    for case in (whole, killed):
        faults += verified(case)
    one, other = told(whole), told(killed)
    faults += differences(one, other)
    faults += [
        f"{key}: {expected[key]} and {found.get(key)}"
        for key in expected
        if key not in ("case", "log_head") and expected[key] != found.get(key)
    ]
    if digests(*sources) != before:
        faults.append("the sources have changed")
    print(
        f"{sum(one.items.values())} items, {len(one.contents)} contents, {len(one.scores)} scores "
        f"at most {furthest(one, other):.1e} apart (limit {SAME_SCORE:.0e}), "
        f"{len(one.groups)} groups, {len(one.alerts)} alerts"
    )
    for fault in faults:
        print(f"WRONG  {fault}")
    print("the two cases say the same" if not faults else f"{len(faults)} faults")
    return faults


def begin(case: Path, sources: list[Path], listed: Path) -> subprocess.Popen[str]:
    """``mayak triage`` as the head of a process group of its own."""
    return subprocess.Popen(
        [
            *mayak("triage", *sources, "--case", case, "--known-bad", listed),
            *("--model", "nano", "--precision", "fp32", "--device", "cpu", "--json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def until_at_work(process: subprocess.Popen[str], case: Path) -> None:
    """Wait until a run has loaded its model and opened the case, whose lock then names it."""
    lock = case / "case.lock"
    while process.poll() is None:
        if lock.exists() and lock.read_text(encoding="ascii").strip() == str(process.pid):
            return
        time.sleep(0.02)


def mayak(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", "from mayak.cli.app import main; main()", *map(str, arguments)]


def ended(process: subprocess.Popen[str]) -> tuple[dict[str, object], list[str]]:
    """What a run that is left in peace says; it ends with 1, since some files cannot be read."""
    out, err = process.communicate()
    if process.returncode != 1:
        return {}, [f"triage ended with {process.returncode}: {err[-2000:]}"]
    summary: dict[str, object] = json.loads(out)
    return summary, [] if summary["balanced"] else ["items are not images + failures + exclusions"]


def state(case: Path, faults: list[str]) -> str:
    """What a killed run has left."""
    if not case.exists():
        return "no case yet"
    with CaseStore.read(case) as store:
        faults += [f"after a kill: {fault}" for fault in store.verify()]
        results = sum(run.predictions for run in store.runs())
        return f"{store.counts().items} items, {results} results"


def verified(case: Path) -> list[str]:
    """What ``mayak verify`` says against a case."""
    done = subprocess.run(mayak("verify", case), capture_output=True, encoding="utf-8")
    return [] if done.returncode == 0 else [f"verify {case.name}: {done.stdout}{done.stderr}"]


if __name__ == "__main__":
    main()
