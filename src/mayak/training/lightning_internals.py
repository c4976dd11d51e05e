"""Adapter for the part of Lightning that is not its public interface.

``tests/training/test_lightning_internals.py`` fails if an upgrade renames it.
"""

from __future__ import annotations

from lightning.pytorch import Trainer


def terminate_helpers(trainer: Trainer) -> None:
    """End the processes that Lightning started for the other devices of a run."""
    launcher = trainer.strategy.launcher
    if launcher is None:  # a single device, or a helper process itself
        return
    for process in launcher.procs:
        process.terminate()
