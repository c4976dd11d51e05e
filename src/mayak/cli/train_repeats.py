"""``mayak train --repeat``: the same training with several seeds, each in a process of its own."""

from __future__ import annotations

import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mayak.cli.console import Console
from mayak.config import FINAL, TrainConfig
from mayak.dataset.manifest import FILES, read_manifest
from mayak.errors import ConfigError
from mayak.i18n import msg
from mayak.untrusted import PARSE_ERRORS, RECORD_BYTES, read_json


@dataclass(frozen=True, slots=True)
class SeededRun:
    """One of the runs."""

    config: TrainConfig
    output: Path

    @property
    def final(self) -> Path:
        """Folder of its adapter."""
        return self.output / FINAL

    def record(self) -> dict[str, Any] | None:
        """Return its ``run.json``; None if it is not finished."""
        try:
            return dict(read_json(self.final / "run.json", RECORD_BYTES))
        except (OSError, *PARSE_ERRORS):
            return None

    def is_finished(self, digests: Mapping[str, str]) -> bool:
        """Return whether a run of this configuration on this data is complete."""
        found = self.record() or {}
        try:
            trained_on = {split: found["dataset"][split]["digest"] for split in digests}
            return trained_on == digests and found["config"] == self.config.model_dump(mode="json")
        except (KeyError, TypeError):  # not a record of mayak
            return False


def seeded_runs(config: TrainConfig, output: Path, number: int) -> list[SeededRun]:
    """Return the runs with ``number`` seeds from the configuration's on, in folders next to
    ``output``: ``<output>_seed42`` …"""
    return [
        SeededRun(
            config.model_copy(update={"seed": seed}), output.with_name(f"{output.name}_seed{seed}")
        )
        for seed in range(config.seed, config.seed + number)
    ]


def train_repeats(
    runs: Sequence[SeededRun],
    given: Mapping[str, Any],
    *,
    data: Path,
    resume: bool,
    overwrite: bool,
    console: Console,
) -> int:
    """Train each run with the given options of ``mayak train`` (None: not given), all but the seed;
    return the first exit code that is not 0.

    A process of its own gives all memory back, on any number of devices. ``resume`` skips finished
    runs and continues the interrupted one.

    Raises:
        ConfigError: a folder holds a run already, and neither ``resume`` nor ``overwrite`` is set.
    """
    held = [str(run.output) for run in runs if run.output.exists()]
    if held and not resume and not overwrite:
        raise ConfigError(
            msg("{output} already holds a training run", output=", ".join(held)),
            remedy=msg(
                "continue with --resume, choose another --output, or discard it with --overwrite"
            ),
        )
    digests = {split: read_manifest(data / FILES[split]).digest for split in ("train", "val")}
    options = ["--lang", console.language, "train"]
    for name, value in given.items():
        if value is not None and name != "seed":
            options += [f"--{name.replace('_', '-')}", str(value)]
    options += [*(["--resume"] if resume else []), *(["--overwrite"] if overwrite else [])]
    started, trained = time.monotonic(), 0
    for position, run in enumerate(runs):
        title = msg(
            "run {number} of {runs}, seed {seed}",
            number=position + 1,
            runs=len(runs),
            seed=run.config.seed,
        )
        if resume and run.is_finished(digests):
            console.note(title + msg(": finished before"))
            continue
        if trained:
            hours = (time.monotonic() - started) / trained * (len(runs) - position) / 3600
            title += msg(" · about {hours:.1f} hours left", hours=hours)
        console.note(title)
        its = ["--seed", str(run.config.seed), "--output", str(run.output)]
        if code := _trained([sys.executable, "-m", "mayak", *options, *its]):
            return code
        trained += 1
    return 0


def _trained(command: list[str]) -> int:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - ourselves
        try:
            return process.wait()
        except KeyboardInterrupt:  # the process has it too, and ends after its message
            return process.wait()


def summary(runs: Sequence[SeededRun]) -> dict[str, Any]:
    """Return the figures of finished runs, with mean and sample standard deviation (n − 1)."""
    records = [run.record() or {} for run in runs]
    return {
        "runs": [
            {"seed": run.config.seed, "final": str(run.final), "best": record["best"]}
            for run, record in zip(runs, records, strict=True)
        ],
        **{
            f"best_{name}": {
                "mean": statistics.mean(values),
                "sd": statistics.stdev(values),
                "min": min(values),
                "max": max(values),
            }
            for name in ("accuracy", "loss")
            for values in [[record["best"][name] for record in records]]
        },
    }


def show(console: Console, found: Mapping[str, Any], data: Path) -> None:
    """Print the runs, their mean and spread, and how to measure them."""
    rows = [
        [
            str(run["seed"]),
            f"{run['best']['accuracy']:.4f}",
            f"{run['best']['loss']:.4f}",
            str(run["best"]["step"]),
        ]
        for run in found["runs"]
    ]
    for name, key in ((msg("mean"), "mean"), (msg("standard deviation"), "sd")):
        accuracy, loss = found["best_accuracy"][key], found["best_loss"][key]
        rows.append([name, f"{accuracy:.4f}", f"{loss:.4f}", ""])
    columns = [
        msg("seed"),
        msg("validation accuracy"),
        msg("validation loss"),
        msg("best step"),
    ]
    console.table(msg("Training with {runs} seeds", runs=len(found["runs"])), columns, rows)
    console.result(msg("measure each on the test set, and then all together:"))
    outs = [f"evaluation_seed{run['seed']}" for run in found["runs"]]
    manifest = shlex.quote(str(data / FILES["test"]))
    for run, out in zip(found["runs"], outs, strict=True):
        adapter = shlex.quote(run["final"])
        console.result(f"  mayak evaluate --manifest {manifest} --adapter {adapter} --out {out}")
    console.result(f"  mayak summary {' '.join(outs)}")
