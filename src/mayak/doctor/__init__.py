"""Checks what this machine has and lacks for mayak; uses no network.

A check is one function that returns a ``Check``, and one line in ``CHECKS``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mayak.doctor import hardware, models, software
from mayak.doctor.check import GB, Check, Machine
from mayak.doctor.modes import Mode, usable_modes
from mayak.doctor.probe import run_probe

__all__ = ["GB", "Check", "Mode", "diagnose", "usable_modes"]

CHECKS: tuple[Callable[[Machine], Check], ...] = (
    software.python,
    software.torch,
    software.libraries,
    hardware.gpu,
    hardware.bf16,
    software.bitsandbytes,
    models.embedded_model,
    models.model_cache,
    models.offline,
    software.fonts,
    software.codecs,
    hardware.processor,
    hardware.memory,
    hardware.disk,
    software.sqlite,
)
"""In this order they are shown."""


def diagnose(folder: Path) -> list[Check]:
    """Run all checks. Something broken is a result, never an exception.

    ``folder`` is where data and outputs would be written.
    """
    machine = Machine(run_probe(), folder)
    return [check(machine) for check in CHECKS]
