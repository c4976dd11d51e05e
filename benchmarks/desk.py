"""Measures the examiner's desk on a case of a million synthetic rows.

    python benchmarks/desk.py CASE [--rows 1000000] [--filters 400]

CASE is made if it is not there (some minutes and 2 GB): every row is what triage writes, but for
the digests, so that `mayak verify` would refuse it. Prints how long the server takes to begin, the
time of filters over HTTP, its memory, and, where Chromium and playwright are there, what a person
meets: the first paint, the way to the last row, cells in the page while it scrolls.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np
import psutil
from PIL import Image

from mayak.case import CaseStore
from mayak.case.database import Database
from mayak.types import Engine

COMMAND = [sys.executable, "-c", "from mayak.cli.app import main; main()", "review"]
THUMBNAILS = 500
CAMERAS = [("SAMSUNG", f"SM-S{n}") for n in range(901, 931)] + [("Apple", "iPhone 15")]
FOLDERS = [f"phone.E01/partition 1/DCIM/{n:03}ANDRO" for n in range(400)] + [
    f"phone.E01/partition 1/Pictures/KakaoTalk/{n}" for n in range(1600)
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--filters", type=int, default=400)
    options = parser.parse_args()
    if not options.case.exists():
        began = time.monotonic()
        make(options.case, options.rows)
        print(f"made in {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    command = [*COMMAND, str(options.case), "--reviewer", "bench"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = next(iter(process.stdout or ())).strip()
        print(f"address after {time.monotonic() - began:.1f} s")
        measure_opening(url, began)
        print(f"all read after {time.monotonic() - began:.1f} s, {memory(process.pid)}")
        measure_filters(url, options.filters)
        print(f"after the filters {memory(process.pid)}")
        measure_decisions(url)
        measure_browser(url)
        print(f"at the end {memory(process.pid)}")
        process.terminate()


def make(folder: Path, count: int) -> None:
    thumbnails = []
    with CaseStore.create(folder, operator="bench") as store:
        for number in range(THUMBNAILS):
            data = thumbnail(number)
            name = hashlib.sha256(data).hexdigest()
            path = folder / "thumbnails" / name[:2] / f"{name}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            thumbnails.append(name)
        store.add_source("/evidence/phone.E01", "image")
        engine = Engine("nano", None, "fp32", "0" * 64, "1" * 64, (("torch", "2"),))
        run = store.start_run(engine)
    with closing(Database(folder, operator="bench")) as database:
        execute = database.connection
        execute.execute("PRAGMA synchronous = OFF")
        execute.execute("BEGIN")
        execute.execute("PRAGMA defer_foreign_keys = ON")
        execute.executemany(
            "INSERT INTO contents VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,1,'')",
            contents(count, thumbnails),
        )
        execute.executemany(
            "INSERT INTO items VALUES (?,1,?,?,?,?,?,?,NULL,?,'content',?,1,'',1)", items(count)
        )
        execute.executemany(
            "INSERT INTO predictions VALUES (?,?,?,?,?,?,?,?,0,1,'',NULL)", predictions(count, run)
        )
        execute.execute("INSERT INTO groupings VALUES (1, 31, 1, '', 10)")
        execute.executemany(
            "INSERT INTO group_members VALUES (?,1,?,?,1,'',?)",
            ((n, n // 8 + 1, digest(n), n // 4 + 1) for n in range(1, count // 5)),
        )
        execute.executemany(
            "INSERT INTO alerts VALUES (?,?,'known.txt','',  'md5',1,'')",
            ((n, digest(n * 1000)) for n in range(1, count // 1000)),
        )
        execute.executemany(
            "INSERT INTO decisions"
            " VALUES (?,?,'bench','2026-11-23T00:00:00+00:00',?,?,NULL,NULL,1,'',NULL,NULL)",
            ((n, n, digest(n), n % 4) for n in range(1, count // 20)),
        )
        execute.execute("COMMIT")


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def contents(count: int, thumbnails: list[str]) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(1)
    for n in range(1, count + 1):
        sha = digest(n)
        metadata: dict[str, Any] = {}
        if n % 5 < 2:
            make, model = CAMERAS[n % len(CAMERAS)]
            metadata = {
                "taken": f"202{n % 6}-{1 + n % 12:02}-{1 + n % 28:02} {n % 24:02}:{n % 60:02}:00",
                "make": make,
                "model": model,
            }
            if n % 5 == 0:
                lat, lon = 33 + chance.random() * 5, 126 + chance.random() * 3
                metadata["location"] = {"latitude": lat, "longitude": lon, "altitude": None}
        text = json.dumps(metadata, sort_keys=True, separators=(",", ":"))
        pdq = chance.randbytes(32)
        yield (
            n, sha, sha[:32], sha[:40], 10**6 + n, "JPEG", 4000, 3000, pdq, 100, text,
            thumbnails[n % len(thumbnails)], "[]",
        )  # fmt: skip


def items(count: int) -> Iterator[tuple[Any, ...]]:
    number = 0
    for n in range(1, count + 1):
        for copy in range(1 + (n % 20 == 0)):
            number += 1
            folder = FOLDERS[(n * 7 + copy) % len(FOLDERS)]
            display = f"{folder}/IMG_{n:08}.jpg"
            location = json.dumps([{"kind": "file", "name": display}])
            time = f"202{n % 6}-{1 + n % 12:02}-{1 + n % 28:02}T{n % 24:02}:00:00+00:00"
            yield (
                number, display, location, 10**6 + n, time, time, time, int(n % 13 == 0), digest(n),
            )  # fmt: skip


def predictions(count: int, run: int) -> Iterator[tuple[Any, ...]]:
    for start in range(0, count, 100_000):
        some = min(100_000, count - start)
        scores = np.random.default_rng(start).dirichlet((1.6, 0.3, 0.2, 0.2), some).tolist()
        for offset, four in enumerate(scores):
            n = start + offset + 1
            yield (n, run, digest(n), *four, 0.01)


def thumbnail(number: int) -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).resize((256, 192), Image.Resampling.BICUBIC).save(stream, "JPEG")
    return stream.getvalue()


def memory(pid: int) -> str:
    server = psutil.Process(pid)
    helpers = sum(child.memory_info().rss for child in server.children(recursive=True))
    return f"{server.memory_info().rss / 1e6:.0f} MB resident, helpers {helpers / 1e6:.0f} MB"


def ask(
    url: str, path: str, query: dict[str, str] | None = None, body: object = None
) -> dict[str, Any]:
    base, _, token = url.partition("/?token=")
    port = base.rpartition(":")[2]
    headers = {
        "Cookie": f"mayak-{port}={token}",
        "Origin": base,
        "Content-Type": "application/json",
    }
    data = None if body is None else json.dumps(body).encode()
    address = f"{base}{path}?{urlencode(query or {})}"
    with urlopen(Request(address, data, headers), timeout=60) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
        return found


def queries(count: int) -> Iterator[dict[str, str]]:
    """What examiners ask for, one part or some at once."""
    chance = random.Random(7)
    parts: list[Any] = [
        lambda: ("label", str(chance.randrange(4))),
        lambda: ("label", "2,3"),
        lambda: ("state", chance.choice(["open", "decided"])),
        lambda: ("score", f"{chance.random() * 0.6:.2f},1"),
        lambda: ("margin", f"0,{chance.random() * 0.3:.2f}"),
        lambda: ("folder", chance.choice(FOLDERS)),
        lambda: ("folder", "phone.E01/partition 1/DCIM"),
        lambda: ("camera", "Apple iPhone 15"),
        lambda: ("from", f"202{chance.randrange(6)}-03-01"),
        lambda: ("box", "37,126,38,128"),
        lambda: ("deleted", "1"),
        lambda: ("alert", "1"),
        lambda: ("q", f"{chance.randrange(10**4):04}"),
        lambda: ("q", "kakaotalk"),
        lambda: ("q", "img_"),
        lambda: ("q", digest(chance.randrange(1, 1000))),
        lambda: ("near", chance.randbytes(32).hex()),
    ]
    sorts = ["first", "score", "doubt", "newest", "oldest", "found"]
    for _ in range(count):
        chosen = dict(part() for part in chance.sample(parts, chance.choice((1, 1, 2, 3))))
        yield {**chosen, "sort": chance.choice(sorts), "stack": chance.choice("01")}


def measure_opening(url: str, began: float) -> None:
    """What a person meets who opens the page at once."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        while ask(url, "/api/reading")["reading"]:
            time.sleep(0.1)
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.locator(".reading").wait_for()
        print(f"page says how far it is {time.monotonic() - began:.1f} s after the command")
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        print(f"first contentful paint {paint:.0f} ms")
        page.locator(".cell img").first.wait_for(timeout=300_000)
        print(f"first pictures {time.monotonic() - began:.1f} s after the command")
        browser.close()


def measure_filters(url: str, count: int) -> None:
    taken = []
    for query in queries(count):
        began = time.monotonic()
        found = ask(url, "/api/select", query)
        ask(url, "/api/cells", {"token": found["token"], "start": "0", "count": "120"})
        taken.append(((time.monotonic() - began) * 1000, query))
    times = sorted(t for t, _ in taken)
    print(
        f"{count} filters with their first 120 cells: median {statistics.median(times):.0f} ms, "
        f"95th percentile {times[int(0.95 * count)]:.0f} ms, slowest {times[-1]:.0f} ms"
    )
    for milliseconds, query in sorted(taken, key=lambda one: -one[0])[:5]:
        print(f"  {milliseconds:.0f} ms {query}")


def measure_decisions(url: str) -> None:
    times = []
    for n in range(200):
        began = time.monotonic()
        ask(url, "/api/decide", body={"verdict": n % 4, "images": [digest(500_000 + n)]})
        times.append((time.monotonic() - began) * 1000)
    times.sort()
    print(f"a decision: median {statistics.median(times):.0f} ms, 95th {times[190]:.0f} ms")
    began = time.monotonic()
    found = ask(url, "/api/select", {"label": "3"})
    body = {"verdict": 3, "token": found["token"], "ranges": [[0, 1000]]}
    count = len(ask(url, "/api/decide", body=body)["images"])
    print(f"{count} at once: {time.monotonic() - began:.1f} s")


def measure_browser(url: str) -> None:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("no playwright: nothing measured in a browser")
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.locator(".cell img").first.wait_for()
        began = time.monotonic()
        page.reload(wait_until="commit")
        page.locator(".cell img").first.wait_for()
        print(f"first pictures {time.monotonic() - began:.2f} s after a reload")
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        print(f"first contentful paint {paint:.0f} ms")
        page.keyboard.press("End")
        last = "(e => e?.ariaPosInSet === e?.ariaSetSize && !!e?.dataset.sha256)"
        while not page.evaluate(f"{last}(document.querySelector('.cell.current'))"):
            time.sleep(0.02)
        print("last row reached:", page.evaluate("document.querySelector('.current').ariaPosInSet"))
        page.keyboard.press("Home")
        page.evaluate(
            """() => { window.seen = {cells: 0, frames: [], last: performance.now()};
              const look = (now) => {
                seen.cells = Math.max(seen.cells, document.querySelectorAll('.cell').length);
                seen.frames.push(now - seen.last); seen.last = now; requestAnimationFrame(look); };
              requestAnimationFrame(look); }"""
        )
        page.mouse.move(700, 400)
        for _ in range(150):
            page.mouse.wheel(0, 400)
        box = page.locator(".grid")
        for part in (0.1, 0.5, 0.9, 0.3, 1.0):
            box.evaluate("(b, p) => { b.scrollTop = b.scrollHeight * p }", part)
            time.sleep(0.3)
        seen = page.evaluate("seen")
        frames = sorted(seen["frames"])
        print(
            f"while scrolling {seen['cells']} cells at most; {len(frames)} frames, median "
            f"{statistics.median(frames):.0f} ms, 95th {frames[int(0.95 * len(frames))]:.0f} ms"
        )
        browser.close()


if __name__ == "__main__":
    main()
