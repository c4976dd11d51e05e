"""The result of a run: its figures, and ``run.json``, the record next to the adapter."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mayak.config import TrainConfig
from mayak.dataset.manifest import Manifest
from mayak.dataset.training_images import TrainingImages
from mayak.model import VisionLanguageModel
from mayak.training.checkpoint import Checkpoint, Validation
from mayak.training.devices import Devices
from mayak.training.plan import Plan

Events = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The figures of a finished run."""

    final: Path
    """Folder of the adapter and processor of the best validation."""
    best_step: int
    best_accuracy: float
    best_loss: float
    best_base_tile_accuracy: float | None
    """Of the same checkpoint on base tiles alone; None if these were not trained."""
    validations: tuple[Validation, ...]
    losses: tuple[float, ...]
    """Training loss of every step."""
    steps: int
    trained_parameters: int
    seconds: float
    """Time spent in this and, if the run was resumed, in earlier parts of it."""
    samples_per_second: float
    """Training alone: without validations, checkpoints, and the first step, which waits for the
    loader's processes and for kernels to be chosen."""
    peak_gpu_gib: float | None
    is_leader: bool = True
    """False in the helper processes of a run on several devices."""

    @classmethod
    def of(
        cls, final: Path, state: Checkpoint, events: Events, *, trained: int, is_leader: bool
    ) -> TrainResult:
        """Collect the figures from the last checkpoint and the run's log."""
        steps = [row for row in events if row["event"] == "step"]
        seconds = sum(row["seconds"] for row in events if "seconds" in row)
        peaks = [row["peak_gpu_gib"] for row in steps if row["peak_gpu_gib"] is not None]
        best = state.best[0]
        return cls(
            final=final,
            best_step=best.step,
            best_accuracy=best.accuracy,
            best_loss=best.loss,
            best_base_tile_accuracy=best.base_tile_accuracy,
            validations=tuple(
                Validation(row["step"], row["loss"], row["accuracy"], row.get("base_tile_accuracy"))
                for row in events
                if row["event"] == "validation"
            ),
            losses=tuple(row["loss"] for row in steps),
            steps=state.step,
            trained_parameters=trained,
            seconds=round(seconds, 3),
            samples_per_second=_rate(steps[1:] or steps),
            peak_gpu_gib=max(peaks, default=None),
            is_leader=is_leader,
        )

    def summary(self) -> dict[str, Any]:
        """Return the figures as JSON values, with the keys of ``run.json`` for the same values."""
        values = asdict(self)
        del values["is_leader"]
        return values | {"final": str(self.final)}


def _rate(steps: Events) -> float:
    seconds = sum(row["seconds"] for row in steps)
    return float(sum(row["samples"] for row in steps) / seconds) if seconds else 0.0


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What a run is made from, besides the model."""

    config: TrainConfig
    train: Manifest
    val: Manifest
    devices: Devices
    plan: Plan

    @property
    def identity(self) -> dict[str, Any]:
        """The values that must stay the same for a run to be resumed."""
        return {
            "config": self.config.model_dump(mode="json"),
            "dataset": {"train": self.train.digest, "val": self.val.digest},
            "processes": self.devices.processes,
        }

    def record(
        self,
        vlm: VisionLanguageModel,
        result: TrainResult,
        events: Events,
        images: TrainingImages,
    ) -> dict[str, Any]:
        """Return the contents of ``run.json``: everything that the adapter next to it depends on,
        and how its training went."""
        return {
            "config": self.config.model_dump(mode="json"),
            "dataset": {
                split: {"digest": manifest.digest, "images": len(manifest.samples)}
                for split, manifest in (("train", self.train), ("val", self.val))
            },
            "training_images": images.digest,
            "base_model": {
                "name": self.config.model,
                "revision": self.config.revision,
                "identity": vlm.engine.model,
                "preprocessing": vlm.engine.preprocessing,
            },
            "prompt": {"text": vlm.prompt.text, "ids_digest": vlm.prompt.digest},
            "seed": self.config.seed,
            "devices": self.devices.names,
            "effective_batch": self.plan.effective_batch,
            "trained_parameters": result.trained_parameters,
            "best": {
                "step": result.best_step,
                "accuracy": result.best_accuracy,
                "loss": result.best_loss,
                "base_tile_accuracy": result.best_base_tile_accuracy,
            },
            "curve": {
                "train_loss": list(result.losses),
                "validation": [asdict(validation) for validation in result.validations],
            },
            "steps": result.steps,
            "steps_per_epoch": self.plan.steps_per_epoch,
            "began": events[0]["time"],
            "ended": events[-1]["time"],
            "parts": sum(row["event"] in ("start", "resume") for row in events),
            "seconds": result.seconds,
            "samples_per_second": result.samples_per_second,
            "peak_gpu_gib": result.peak_gpu_gib,
            "versions": {
                "python": platform.python_version(),
                "lightning": version("lightning"),
                **dict(vlm.engine.software),
            },
        }
