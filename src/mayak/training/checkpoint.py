"""Checkpoints: adapter, optimiser and position, written so that a kill never leaves a broken one.

Lightning's own checkpoints are not used: they would hold the frozen base (or rely on its being
filtered out), and resuming inside an epoch depends on loop counters that differ between its
versions. What a run still has to do follows from one number, the steps done (see ``plan``).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from mayak.errors import ConfigError, ModelError
from mayak.files import PARTIAL, write_durably
from mayak.i18n import msg, system_error

LAST = "last.ckpt"


@dataclass(frozen=True, slots=True)
class Validation:
    """The validation set's scores after ``step`` steps."""

    step: int
    loss: float
    accuracy: float
    base_tile_accuracy: float | None = None
    """Of the base tiles alone; None where they are not taught. It has no say in what is best."""

    @property
    def rank(self) -> tuple[float, float, int]:
        """Sorts the better first: higher accuracy, then lower loss, then earlier."""
        return -self.accuracy, self.loss, self.step

    @property
    def file(self) -> str:
        """Its checkpoint's name."""
        return f"best-step{self.step:06d}-accuracy{self.accuracy:.4f}.ckpt"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that a run needs to go on after ``step`` steps."""

    step: int
    adapter: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    best: tuple[Validation, ...]
    """The best validations so far, best first; each has a checkpoint of its own."""


class Checkpoints:
    """The folder of one run's checkpoints: ``last.ckpt`` and the ``keep`` best."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep

    def rank(self, best: tuple[Validation, ...], new: Validation) -> tuple[Validation, ...]:
        """The best so far, with a new validation among them if it belongs there."""
        return tuple(sorted((*best, new), key=lambda v: v.rank)[: self._keep])

    def save(self, state: Checkpoint) -> None:
        """Write ``last.ckpt``, and the same under a name of its own when the validation after this
        very step is among the best.

        The order matters: whatever checkpoint ``last.ckpt`` names is there whenever ``last.ckpt``
        is. Raises ConfigError when the folder cannot be written; the previous checkpoints are then
        still whole.
        """
        for validation in state.best:
            if validation.step == state.step:
                self._write(validation.file, state)
        self._write(LAST, state)
        self.tidy(state)

    def last(self) -> Checkpoint | None:
        """The state to resume from; None when none was saved yet. Raises ModelError if damaged."""
        path = self._folder / LAST
        return self._read(path) if path.exists() else None

    def best(self, state: Checkpoint) -> Checkpoint:
        """The checkpoint of the best validation so far."""
        return self._read(self._folder / state.best[0].file)

    def tidy(self, state: Checkpoint | None) -> None:
        """Remove what ``last.ckpt`` (``state``) does not know: checkpoints that are no longer among
        the best, and what a killed process left, unfinished or of a future that is to come again.
        """
        known = {LAST} | ({v.file for v in state.best} if state else set())
        for path in self._folder.glob("*"):
            if path.suffix == PARTIAL or (path.suffix == ".ckpt" and path.name not in known):
                path.unlink()

    def _write(self, name: str, state: Checkpoint) -> None:
        content = {
            "step": state.step,
            "adapter": state.adapter,
            "optimizer": state.optimizer,
            "best": [astuple(validation) for validation in state.best],
        }
        write_file(self._folder / name, lambda file: torch.save(content, file))

    def _read(self, path: Path) -> Checkpoint:
        try:
            # weights_only: a checkpoint is data, and must not be able to run code.
            content = torch.load(path, map_location="cpu", weights_only=True)
            best = tuple(Validation(*row) for row in content["best"])
            return Checkpoint(content["step"], content["adapter"], content["optimizer"], best)
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as e:
            raise ModelError(
                msg("the checkpoint {path} cannot be read", path=path)
                + f" ({str(e).splitlines()[0] if str(e) else type(e).__name__})",
                remedy=msg("begin anew with --overwrite"),
            ) from e


def write_file(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file durably (``files.write_durably``); its folder is made if it is missing.

    Raises ConfigError naming the file when the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, content)
    except (OSError, RuntimeError) as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: Exception) -> ConfigError:
    """A failed write as an error that says what to do."""
    # torch wraps the operating system's error in a RuntimeError of its own.
    cause = error if isinstance(error, OSError) else error.__context__ or error
    reason = system_error(cause) if isinstance(cause, OSError) else str(cause).splitlines()[0]
    return ConfigError(
        msg("{path} cannot be written: {reason}", path=path, reason=reason),
        remedy=msg("free some space there and go on with --resume, or choose another --output"),
    )
