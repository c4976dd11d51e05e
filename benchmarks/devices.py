"""``mayak train`` on one and on several GPUs: ``python benchmarks/devices.py [--out FILE]``.

LLaVA-1.6-Mistral-7B's exact configuration with random weights, on JPEGs as in ``engine.py``. Each
run is a process of its own, as the command is, over the same images in steps of 16, whatever the
number of devices. The base is made in the GPU's memory instead of loaded. For each run:

1. samples/s as ``run.json`` records it, and the loss of every step;
2. of each device: what its GPU did in a step (all passes but the last, the last with the exchange
   of gradients, the optimizer), its tokens, and how long it waited for the loader.

``--runs`` names them: precision, batch, number of devices, and ``dealt`` for a run that deals the
images of a step in turn, not by length. Losses of random weights say only whether the ways agree.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import torch

from checkpoints import processor_for, published_config, published_tokenizer
from engine import build, make_images
from mayak.config import load_train_config
from mayak.labels import QUESTION
from mayak.training import data as loading
from mayak.training import fit, forward, plan
from mayak.training.module import FineTuning

STEP = 16
RUNS = ("nf4,1,1", "nf4,1,2,dealt", "nf4,1,2", "bf16,2,1", "bf16,2,2")


class Clock:
    """What this process's GPU did, from events in its queue, which wait for nothing."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, int, Any]] = []
        self.waited = 0.0
        plain_step, plain_slice = FineTuning.training_step, loading.EpochSlice.__iter__
        clock = self

        def training_step(module: Any, batch: Any, batch_idx: int) -> torch.Tensor:  # noqa: ANN401
            clock.mark("pass", module.step + 1, int(batch.packed.bounds[-1]))
            loss: torch.Tensor = plain_step(module, batch, batch_idx)
            return loss

        def on_before_optimizer_step(module: Any, _: Any) -> None:  # noqa: ANN401
            clock.mark("exchanged", module.step + 1, 0)

        def on_train_batch_end(module: Any, *_: Any) -> None:  # noqa: ANN401
            clock.mark("end", module.step, 0)

        def batches(epoch: loading.EpochSlice) -> Iterator[Any]:
            stream = plain_slice(epoch)
            while True:
                before = time.perf_counter()
                batch = next(stream, None)
                clock.waited += time.perf_counter() - before
                if batch is None:
                    return
                yield batch

        FineTuning.training_step = training_step  # type: ignore[method-assign]
        FineTuning.on_before_optimizer_step = on_before_optimizer_step
        FineTuning.on_train_batch_end = on_train_batch_end
        loading.EpochSlice.__iter__ = batches  # type: ignore[method-assign]

    def mark(self, kind: str, step: int, tokens: int) -> None:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self.rows.append((kind, step, tokens, event))

    def steps(self) -> list[dict[str, float]]:
        """Of each step: seconds of the passes but the last, of the last with the exchange, and of
        the optimizer; and the tokens."""
        torch.cuda.synchronize()
        found = []
        for number in sorted({step for _, step, _, _ in self.rows if step}):
            passes = [row for row in self.rows if row[:2] == ("pass", number)]
            synced = next(row for row in self.rows if row[:2] == ("exchanged", number))
            after = next((r for r in self.rows if r[0] == "end" and r[1] == number), synced)
            last = passes[-1][3]
            found.append(
                {
                    "passes": round(passes[0][3].elapsed_time(last) / 1e3, 4),
                    "last_and_exchange": round(last.elapsed_time(synced[3]) / 1e3, 4),
                    "optimizer": round(synced[3].elapsed_time(after[3]) / 1e3, 4),
                    "tokens": sum(row[2] for row in passes),
                }
            )
        return found


def run(name: str, root: Path, options: dict[str, Any]) -> None:
    """Train in this process; Lightning starts this script again for the other devices."""
    precision, batch, devices, *rest = name.split(",")
    per_pass, count = int(batch), int(devices)
    if "dealt" in rest:
        plan.deal = (
            lambda samples, processes, _=(): [  # type: ignore[assignment]
                samples[process::processes] for process in range(processes)
            ]
        )
    config = load_train_config(
        "repo",
        {
            "batch_size": per_pass,
            "accumulate": STEP // per_pass // count,
            "epochs": options["epochs"],
            "precision": precision,
            "validations_per_epoch": 1,
            "learning_rate": options["learning_rate"],
            "lora": {"r": 16, "alpha": 32, "dropout": options["dropout"]},
        },
    )

    def made(_: str, *, device: str, **__: object) -> Any:  # noqa: ANN401
        torch.cuda.set_device(device)
        return build(processor_for(published_config(), published_tokenizer()), precision)

    # Workers start as those of the command do: without this file, which would bring them more.
    vars(sys.modules["__main__"]).pop("__file__", None)
    fit.load_model = made  # type: ignore[attr-defined,assignment]
    forward.MIN_IMAGES_TO_COMPILE = 10**9 if "eager" in rest else 0
    clock, started = Clock(), time.perf_counter()
    output = root / name.replace(",", "-")
    result = fit.train(
        config,
        data=root / "data",
        output=output,
        overwrite=True,
        device="cuda",
        devices=count,
        note=print,
    )
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    steps = clock.steps()
    later = steps[1:]
    found: dict[str, Any] = {
        "run": name,
        "device": rank,
        "waited_for_loader_s": round(clock.waited, 2),
        "mean": {key: round(fmean(row[key] for row in later), 4) for key in later[0]},
        "steps": steps,
    }
    if result.is_leader:
        lines = (output / "log.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [row for row in map(json.loads, lines) if row["event"] == "step"]
        found |= {
            "samples_s": round(result.samples_per_second, 3),
            "peak_gib": result.peak_gpu_gib,
            "whole_s": round(time.perf_counter() - started, 1),
            "seconds": [row["seconds"] for row in rows],
            "losses": [round(loss, 5) for loss in result.losses],
        }
    (root / f"{name}-{rank}.json").write_text(json.dumps(found), encoding="utf-8")


def make_data(root: Path, images: int) -> None:
    """Manifests over JPEGs, of which 16 are for validation."""
    paths = make_images(root / "images", images + STEP)
    (root / "data").mkdir()
    for split, some in (("train", paths[STEP:]), ("val", paths[:STEP])):
        records = [
            {
                "id": path.stem,
                "image_path": path.relative_to(root).as_posix(),
                "question": QUESTION,
                "answer": str(number % 4),
            }
            for number, path in enumerate(some)
        ]
        manifest = root / "data" / f"{split}_drug_data.json"
        manifest.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")


def main() -> None:
    """Make the images, start the runs one after the other, and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("devices.json"))
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--dropout", type=float, default=0.05)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--runs", nargs="+", default=RUNS)
    parser.add_argument("--seconds", type=float, default=520, help="after which nothing is begun")
    parser.add_argument("--one", help="for the script itself: train this run here")
    parser.add_argument("--root", type=Path, help="where the images are, or are made and kept")
    asked = parser.parse_args()
    if asked.one:
        run(asked.one, asked.root, vars(asked))
        return
    end = time.perf_counter() + asked.seconds
    names = ("torch", "transformers", "peft", "bitsandbytes", "lightning", "pillow")
    found: dict[str, Any] = {
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }
    print(json.dumps(found), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        root = asked.root or Path(folder)
        if not (root / "data").exists():
            make_data(root, asked.images)
        given = [
            f"--{name}={getattr(asked, name.replace('-', '_'))}"
            for name in ("images", "epochs", "dropout", "learning-rate")
        ]
        for name in asked.runs:
            left = end - time.perf_counter()
            if left < 30:
                print(name, "left out: the time is up", flush=True)
                continue
            command = [sys.executable, __file__, "--one", name, "--root", str(root), *given]
            try:
                subprocess.run(command, check=True, timeout=left)
            except subprocess.SubprocessError as error:
                print(name, str(error)[:200], flush=True)
            for path in sorted(root.glob(f"{name}-*.json")):
                part = json.loads(path.read_text(encoding="utf-8"))
                found[path.stem] = part
                print(
                    f"{asked.seconds - end + time.perf_counter():.0f} s",
                    json.dumps(part),
                    flush=True,
                )
            asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
