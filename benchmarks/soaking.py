"""Shared parts of the soak programs: arguments, and a record that the next call continues.

A run is a pure function of seed and number, so a call that continues a record makes the runs that
an undisturbed call would have made.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Run = Callable[[int, str], Counter[str]]
"""Makes the run of a number, with a text that seeds its random choices, and returns its outcomes.
Those that start with WRONG are faults."""


def soak(description: str, prepare: Callable[[Path], Run]) -> int:
    """Parse the arguments, make the runs that are left in a temporary folder, return the exit code.

    ``prepare`` makes in that folder what all runs need.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=int, default=100, help="in all, with those of the record")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no run later")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--record", type=Path, help="JSON file of the last result")
    asked = parser.parse_args()
    record = _record(asked.record, asked.seed)
    print(f"seed {asked.seed}, from run {record['runs'] + 1}", flush=True)
    began, earlier = time.monotonic(), record["seconds"]
    with tempfile.TemporaryDirectory(prefix="mayak-soak-") as folder:
        run = prepare(Path(folder))
        while record["runs"] < asked.runs and time.monotonic() - began < asked.seconds:
            number = record["runs"] + 1
            outcomes = run(number, f"{asked.seed}/{number}")
            faults = [f"run {number}: {text}" for text in outcomes if text.startswith("WRONG")]
            record["runs"] = number
            record["seconds"] = round(earlier + time.monotonic() - began, 1)
            record["ended"] = datetime.now(UTC).isoformat(timespec="seconds")
            record["outcomes"] = dict(sorted((Counter(record["outcomes"]) + outcomes).items()))
            record["faults"] += faults
            for fault in faults:
                print(fault, flush=True)
            if asked.record is not None:
                write(asked.record, record)
    print(json.dumps(record, indent=1, ensure_ascii=False))
    return 1 if record["faults"] else 0


def write(path: Path, record: dict[str, Any]) -> None:
    """Write a record so that a kill leaves the one before it."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def _record(path: Path | None, seed: int) -> dict[str, Any]:
    """Return the result so far: that of the file if it is of the same seed."""
    if path is not None and path.exists():
        before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if before["seed"] == seed:
            return before
    return {"seed": seed, "runs": 0, "seconds": 0.0, "outcomes": {}, "faults": []}
