"""Adapter for the part of Lightning that is not its public interface.

``tests/training/test_lightning_internals.py`` fails if an upgrade renames it.
"""

from __future__ import annotations

from subprocess import Popen

from lightning.pytorch import Trainer


def helpers(trainer: Trainer) -> list[Popen[bytes]]:
    """Return the processes that Lightning started for the other devices of a run. There are none
    for a single device, and in such a process itself."""
    launcher = trainer.strategy.launcher
    return [] if launcher is None else list(launcher.procs)


def terminate_helpers(trainer: Trainer) -> None:
    """End the processes that Lightning started for the other devices of a run."""
    for process in helpers(trainer):
        process.terminate()
