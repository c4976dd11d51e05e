"""Devices of a run: one, or several with one process each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch.strategies import DDPStrategy

from mayak.errors import ConfigError
from mayak.i18n import msg


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices of one run, and the one of this process."""

    gpus: tuple[int, ...]
    """Indices of the GPUs; empty on a CPU."""
    processes: int
    process: int
    """This process's rank. Lightning starts the others itself, with this command line and
    ``LOCAL_RANK`` set."""

    @classmethod
    def of(cls, device: str, count: int | None) -> Devices:
        """Choose devices. ``auto`` and ``cuda`` mean all GPUs (``auto`` the CPU if there is none),
        ``cuda:1`` that one; ``count`` is the number of GPUs, or of processes on a CPU.

        Raises:
            ConfigError: the machine does not have these devices.
        """
        if count is not None and count < 1:
            raise ConfigError(
                msg("--devices {count} is not a number of devices", count=count),
                remedy=msg("1 or more"),
            )
        rank = int(os.environ.get("LOCAL_RANK", "0"))
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if device == "cpu" or (device == "auto" and not there):
            processes = count or 1
            return cls((), processes, rank if processes > 1 else 0)
        kind, _, index = device.partition(":")
        if device not in ("auto", "cuda") and not (kind == "cuda" and index.isdecimal()):
            raise ConfigError(
                msg("unknown device {device!r}", device=device),
                remedy="auto, cpu, cuda, cuda:0 …",
            )
        gpus = tuple(range(there)) if not index else (int(index),)
        if index and count not in (None, 1):
            raise ConfigError(
                msg(
                    "--device {device} names one device, --devices asks for {count}",
                    device=device,
                    count=count,
                ),
                remedy=msg("leave one of them out"),
            )
        if not gpus or max(gpus) >= there or (count or 1) > there:
            raise ConfigError(
                msg(
                    "{device} was asked for ({count}), but this machine has {there} usable GPU(s)",
                    device=device,
                    count=count or len(gpus) or 1,
                    there=there,
                ),
                remedy=msg("see `mayak doctor`, or use --device cpu"),
            )
        gpus = gpus[: count or len(gpus)]
        return cls(gpus, len(gpus), rank if len(gpus) > 1 else 0)

    @property
    def is_leader(self) -> bool:
        """Whether this process writes files and messages."""
        return self.process == 0

    @property
    def own(self) -> str:
        """This process's device, in the form that ``load_model`` takes."""
        return f"cuda:{self.gpus[self.process]}" if self.gpus else "cpu"

    @property
    def names(self) -> list[str]:
        """Names of the devices, for the record."""
        if not self.gpus:
            return ["cpu"] * self.processes
        return [torch.cuda.get_device_name(index) for index in self.gpus]

    def mixed(self, precision: str) -> bool:
        """Return whether training uses bf16 autocast over float32 adapters."""
        return bool(self.gpus) and precision != "fp32"

    def trainer_options(self, precision: str) -> dict[str, Any]:
        """Return Lightning's accelerator, devices, strategy and precision."""
        return {
            "accelerator": "gpu" if self.gpus else "cpu",
            "devices": list(self.gpus) or self.processes,
            # FSDP2 silently corrupts training over 4-bit weights; DDP does not. Buffers are
            # constants here, and broadcasting them would need as many batches in each process.
            "strategy": DDPStrategy(broadcast_buffers=False) if self.processes > 1 else "auto",
            "precision": "bf16-mixed" if self.mixed(precision) else "32-true",
        }

    def peak_gib(self) -> float | None:
        """Return the peak GPU memory of this process's tensors in GiB; None on a CPU."""
        if not self.gpus:
            return None
        return float(torch.cuda.max_memory_allocated(self.gpus[self.process])) / 2**30
