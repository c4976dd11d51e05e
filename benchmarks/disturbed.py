"""Random kills, delays and faults: ``python benchmarks/disturbed.py [--runs N] [--seconds S]``.

Takes a small mixed source into a case again and again, disturbed at random and resumed, and
compares each case with the undisturbed one (``tests/triage/disturbances.py`` states how). Prints
the seed and a line for each run. With ``--record`` the result is kept in a JSON file after each
run, and the next call with the same seed continues there. ``--model nano`` classifies with the
embedded model. Exits with 1 if a case differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "triage"))

from disturbances import disturbed_run, make_material, undisturbed

SHOWN = 5
"""Differences of a run that are printed and recorded; the first ones show the cause."""


def main() -> None:
    """Make runs until their number or the time is reached."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--runs", type=int, default=200, help="in all, with those of the record")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no run later")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--model", choices=("stub", "nano"), default="stub")
    parser.add_argument("--record", type=Path, help="JSON file of the last result")
    parser.add_argument("--folder", type=Path, help="where the source and the cases are made")
    asked = parser.parse_args()
    began = time.monotonic()
    record = _record(asked)
    earlier = record["seconds"]
    print(f"seed {asked.seed}, {asked.model}, from run {record['runs'] + 1}", flush=True)
    if asked.model == "nano":
        import mayak.model  # noqa: F401 - once, instead of in each attempt
    with tempfile.TemporaryDirectory(prefix="mayak-disturbed-", dir=asked.folder) as temporary:
        material = make_material(Path(temporary))
        expected, usual = undisturbed(material, Path(temporary), asked.model)
        while record["runs"] < asked.runs and time.monotonic() - began < asked.seconds:
            number = record["runs"] + 1
            dice = random.Random(f"{asked.seed}/{number}")
            work = Path(tempfile.mkdtemp(dir=temporary))
            outcome = disturbed_run(dice, material, work, expected, usual, asked.model)
            shutil.rmtree(work)
            record["runs"] = number
            record["seconds"] = round(earlier + time.monotonic() - began, 1)
            record["ended"] = datetime.now(UTC).isoformat(timespec="seconds")
            record["disturbances"] = dict(Counter(record["disturbances"]) + outcome.disturbances)
            record["faults"] += [f"run {number}: {fault}" for fault in outcome.faults[:SHOWN]]
            if asked.record is not None:
                text = json.dumps(record, indent=1, ensure_ascii=False)
                asked.record.write_text(text + "\n", encoding="utf-8")
            came = ", ".join(f"{kind} × {n}" for kind, n in sorted(outcome.disturbances.items()))
            print(f"run {number}: {came}; {'DIFFERS' if outcome.faults else 'equal'}", flush=True)
            for fault in outcome.faults[:SHOWN]:
                print(f"  {fault}", flush=True)
    print(json.dumps(record, indent=1, ensure_ascii=False))
    raise SystemExit(bool(record["faults"]))


def _record(asked: argparse.Namespace) -> dict[str, Any]:
    """The result so far: that of the file if it is of the same seed and model."""
    if asked.record is not None and asked.record.exists():
        before: dict[str, Any] = json.loads(asked.record.read_text(encoding="utf-8"))
        if (before["seed"], before["model"]) == (asked.seed, asked.model):
            return before
    return {
        "seed": asked.seed,
        "model": asked.model,
        "cores": len(os.sched_getaffinity(0)),
        "runs": 0,
        "seconds": 0.0,
        "disturbances": {},
        "faults": [],
    }


if __name__ == "__main__":
    main()
