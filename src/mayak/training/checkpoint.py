"""Checkpoints of adapter, optimiser and step number, written atomically.

Lightning's own checkpoints are not used: they would contain the frozen base model, and resuming
inside an epoch depends on loop counters that differ between its versions. The rest of a run follows
from one number, the steps done (see ``plan``).
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import torch

from mayak.errors import ConfigError, ModelError
from mayak.files import PARTIAL, write_durably
from mayak.i18n import msg, system_error

LAST = "last.ckpt"
_BYTES_PER_PARAMETER = 12
"""Of a checkpoint: the weight and AdamW's two moments, in float32."""


@dataclass(frozen=True, slots=True)
class Validation:
    """The validation set's scores after ``step`` steps."""

    step: int
    loss: float
    accuracy: float
    base_tile_accuracy: float | None = None
    """Of the base tiles alone; None if they are not trained. It does not affect the ranking."""

    @property
    def rank(self) -> tuple[float, float, int]:
        """Sort key, best first: higher accuracy, then lower loss, then earlier step."""
        return -self.accuracy, self.loss, self.step

    @property
    def file(self) -> str:
        """Name of its checkpoint file."""
        return f"best-step{self.step:06d}-accuracy{self.accuracy:.4f}.ckpt"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state from which a run continues after ``step`` steps."""

    step: int
    adapter: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    best: tuple[Validation, ...]
    """The best validations so far, best first; each has a checkpoint of its own."""


class Checkpoints:
    """The folder of one run's checkpoints: ``last.ckpt`` and the ``keep`` best."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep

    def check_writable(self) -> None:
        """Check, without leaving a trace, that files can be written where the folder is or will be.

        Raises:
            ConfigError: they cannot.
        """
        try:
            with TemporaryFile(dir=self._existing()):
                pass
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def check_room(self, parameters: int) -> None:
        """Check that the disk has room for the checkpoints of so many trained parameters: the
        ``keep`` best, the last, and one that is being written.

        Raises:
            ConfigError: it has not; names the folder and the sizes.
        """
        needed = _BYTES_PER_PARAMETER * parameters * (self._keep + 2)
        held = sum(path.stat().st_size for path in self._folder.glob("*.ckpt"))
        free = shutil.disk_usage(self._existing()).free + held
        if free < needed:
            raise ConfigError(
                msg(
                    "the checkpoints in {folder} need {needed:.1f} GiB, {free:.1f} GiB are free",
                    folder=self._folder,
                    needed=needed / 2**30,
                    free=free / 2**30,
                ),
                remedy=msg("free some space there, or choose another --output"),
            )

    def _existing(self) -> Path:
        """Return the folder, or its nearest parent that exists."""
        folder = self._folder.absolute()
        return next(path for path in (folder, *folder.parents) if path.exists())

    def rank(self, best: tuple[Validation, ...], new: Validation) -> tuple[Validation, ...]:
        """Return the ``keep`` best of the best so far and a new validation."""
        return tuple(sorted((*best, new), key=lambda v: v.rank)[: self._keep])

    def save(self, state: Checkpoint) -> None:
        """Write ``last.ckpt``, and a copy under its own name if the validation after this step is
        among the best.

        The copy is written first: every checkpoint that ``last.ckpt`` names exists whenever
        ``last.ckpt`` does.

        Raises:
            ConfigError: the folder cannot be written; the previous checkpoints are still complete.
        """
        for validation in state.best:
            if validation.step == state.step:
                self._write(validation.file, state)
        self._write(LAST, state)
        self.tidy(state)

    def last(self) -> Checkpoint | None:
        """Return the state to resume from, or None if none was saved yet.

        Raises:
            ModelError: the checkpoint is damaged.
        """
        path = self._folder / LAST
        return self._read(path) if path.exists() else None

    def best(self, state: Checkpoint) -> Checkpoint:
        """Return the checkpoint of the best validation so far."""
        return self._read(self._folder / state.best[0].file)

    def tidy(self, state: Checkpoint | None) -> None:
        """Remove all files but ``last.ckpt`` (``state``) and the checkpoints that it names.

        The others are no longer among the best, or of a killed process, and then may be incomplete
        or of steps that are repeated.
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
            # weights_only: a checkpoint must not be able to run code.
            content = torch.load(path, map_location="cpu", weights_only=True)
            best = tuple(Validation(*row) for row in content["best"])
            return Checkpoint(content["step"], content["adapter"], content["optimizer"], best)
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as e:
            raise ModelError(
                msg("the checkpoint {path} cannot be read", path=path)
                + f" ({str(e).splitlines()[0] if str(e) else type(e).__name__})",
                remedy=msg("start again with --overwrite"),
            ) from e


def write_file(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file durably (``files.write_durably``); its folder is made if it is missing.

    Raises:
        ConfigError: the disk is full or the folder cannot be written; names the file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, content)
    except (OSError, RuntimeError) as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: Exception) -> ConfigError:
    """Return a failed write as an error with a remedy."""
    # torch wraps the operating system's error in a RuntimeError.
    cause = error if isinstance(error, OSError) else error.__context__ or error
    reason = system_error(cause) if isinstance(cause, OSError) else str(cause).splitlines()[0]
    return ConfigError(
        msg("{path} cannot be written: {reason}", path=path, reason=reason),
        remedy=msg("free some space there and continue with --resume, or choose another --output"),
    )
