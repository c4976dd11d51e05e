"""Damaged and planted case folders through ``mayak verify``, ``report`` and ``review``.

Each command runs in a forked process of its own, with its whole command line. It must end within
the time limit in a result or in one line of error, and leave all outside the case as it was.
``python benchmarks/hostile.py [--runs N] [--seconds S]`` takes the kinds of damage in turn and
prints how often each outcome occurred. ``--seed N`` makes other runs; ``--record FILE`` keeps the
result, and the next call continues there. The exit code is 1 if an outcome is wrong. POSIX only.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import select
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

# All that the commands import, once.
import mayak.report
import mayak.review
import mayak.triage.verify  # noqa: F401
from hostile_cases import PLANTS, build, state
from mayak.cli.app import main
from soaking import Run, soak

SECONDS = 300.0  # generous: the machine may be shared
ADDRESS = re.compile(rb"http://127\.0\.0\.1:(\d+)/\?token=(\S+)\n")


def outcome(arguments: list[str], output: Path) -> str:
    """Run a command in a child; what became of it."""
    with output.open("wb") as file:
        child = os.fork()
        if child == 0:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            try:
                main(arguments)
            except SystemExit:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(0)
    until = time.monotonic() + SECONDS
    asked = ""
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        found = ADDRESS.search(output.read_bytes()) if arguments[2] == "review" else None
        if found and not asked:
            asked = look(int(found[1]), found[2].decode())
            os.kill(child, signal.SIGINT)
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "WRONG: hang"
        select.select([], [], [], 0.02)
    if os.WIFSIGNALED(ended[1]):
        return f"WRONG: {signal.Signals(os.WTERMSIG(ended[1])).name}"
    return judged(output.read_text("utf-8", "replace"), asked)


def judged(text: str, asked: str) -> str:
    if "Traceback" in text or "unexpected" in text:
        return "WRONG: " + text.strip().splitlines()[-1][:120]
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    if len(errors) > 1:
        return "WRONG: several errors"
    if errors:
        return "refused in one line"
    if re.search(r"^\d+ faults \(", text, re.M):
        return "faults named"
    if "INTEGRITY FAILURE" in text:
        return "done, with the failure on the first page"
    return asked or "done"


def look(port: int, token: str) -> str:
    """Ask the review for what its page shows first."""
    refused = False
    for path in ("status", "select", "timeline", "map", "rejected", "samples"):
        status, body = get(port, token, f"/api/{path}")
        if status not in (200, 400):
            return f"WRONG: {path} {status}"
        refused |= status == 400
        if path == "select" and status == 200:
            cells = f"/api/cells?token={json.loads(body)['token']}&start=0&count=99"
            for cell in json.loads(get(port, token, cells)[1]).get("cells", ()):
                shown, _ = get(port, token, f"/thumb/{cell['thumbnail']}")
                if shown not in (200, 404, 422):
                    return f"WRONG: thumbnail {shown}"
    return "refused on the page" if refused else "done"


def get(port: int, token: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    connection.request("GET", path, headers={"Cookie": f"mayak-{port}={token}"})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def prepare(place: Path) -> Run:
    """Make the case and return the function that damages a copy of it for each command."""
    original, canary = build(place)
    before = state(canary)
    folder = place / "work" / "case"
    folder.parent.mkdir()

    def run(number: int, seed: str) -> Counter[str]:
        nonlocal before
        name = list(PLANTS)[(number - 1) % len(PLANTS)]
        outcomes: Counter[str] = Counter()
        for command, *options in (["verify"], ["report", "--overwrite"], ["review"]):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(original, folder)
            PLANTS[name](folder, canary, random.Random(seed))
            arguments = ["--lang", "en", command, str(folder), *options]
            ended = outcome(arguments, place / "output")
            if state(canary) != before:
                ended, before = "WRONG: touched the canary", state(canary)
            wrong = ended.startswith("WRONG")
            outcomes[f"{ended} ({name}, {command})" if wrong else f"{command}: {ended}"] += 1
        return outcomes

    return run


if __name__ == "__main__":
    sys.exit(soak("Damaged case folders through verify, report and review.", prepare))
