"""What takes too long for a test: ``python benchmarks/soak.py [--seconds S] [--seed N]``.

1. ``disturbed.py``: triage under random kills, delays and faults, then resumed.
2. ``hostile.py``: damaged and planted case folders through verify, report and review.
3. ``flipped.py``: evidence with flipped bytes.

Each gets a third of the time. Their last results are in ``benchmarks/soak/``; the next call with
the same seed continues there, and another seed starts a new record. Exits with 1 if one of them
found a fault.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = ("disturbed", "hostile", "flipped")


def main() -> int:
    """Run the programs one after the other; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "--seconds", type=float, default=1800, help="for all of them (default 1800)"
    )
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    records = HERE / "soak"
    records.mkdir(exist_ok=True)
    failed = []
    for name in PROGRAMS:
        print(f"== {name}", flush=True)
        options = {
            "--runs": 1_000_000,
            "--seconds": asked.seconds / len(PROGRAMS),
            "--seed": asked.seed,
            "--record": records / f"{name}.json",
        }
        arguments = [str(part) for option in options.items() for part in option]
        done = subprocess.run([sys.executable, HERE / f"{name}.py", *arguments], check=False)
        if done.returncode:
            failed.append(name)
    print(f"== failed: {', '.join(failed)}" if failed else "== no faults", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
