"""Lightning callback of a run: progress figures, log, validations and checkpoints."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from mayak.errors import ModelError
from mayak.i18n import msg
from mayak.training.checkpoint import Checkpoint, Checkpoints, Validation
from mayak.training.devices import Devices
from mayak.training.lightning_internals import terminate_helpers
from mayak.training.module import FineTuning
from mayak.training.plan import Plan
from mayak.training.record import RunLog
from mayak.types import Task


@dataclass(frozen=True, slots=True)
class RunOutputs:
    """The places that a run writes its progress to."""

    checkpoints: Checkpoints
    checkpoint_every: int
    """Steps between two saves of the last checkpoint."""
    log: RunLog
    board: TensorBoardLogger
    task: Task


class RunCallback(Callback):  # type: ignore[misc]  # lightning is untyped
    """Logs every step and validation, and saves checkpoints."""

    def __init__(
        self,
        module: FineTuning,
        state: Checkpoint | None,
        plan: Plan,
        devices: Devices,
        outputs: RunOutputs,
    ) -> None:
        self._module, self._plan, self._devices = module, plan, devices
        self._outputs = outputs
        self._validations = set(plan.validation_steps)
        self._last_step = state.step if state else 0
        self._clock = time.perf_counter()
        self.state = state or Checkpoint(0, {}, {}, ())
        """The checkpoint last saved."""
        self.interrupted = False

    def on_train_epoch_start(self, *_: object) -> None:
        """Start the clock for the slice's first step, after the validation before it."""
        self._clock = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """After the batch that completes a step, log it, and save it if it is due."""
        step = self._module.step
        if step == self._last_step:
            return
        self._last_step = step
        loss = trainer.strategy.reduce(self._module.take_step_loss(), reduce_op="mean").item()
        if not math.isfinite(loss):
            raise ModelError(
                msg("training diverged: the loss of step {step} is {loss}", step=step, loss=loss),
                remedy=msg("lower learning_rate; the last checkpoint is from before"),
            )
        seconds = time.perf_counter() - self._clock
        samples = self._plan.samples_in(step) * self._plan.processes
        peak = self._devices.peak_gib()
        if self._devices.is_leader:
            self._outputs.log.append(
                "step",
                step=step,
                epoch=round(step / self._plan.steps_per_epoch, 4),
                loss=loss,
                samples=samples,
                seconds=round(seconds, 4),
                peak_gpu_gib=None if peak is None else round(peak, 3),
            )
            self._outputs.board.log_metrics(
                {"train/loss": loss, "train/samples_per_second": samples / seconds}, step
            )
        figures: dict[str, float | str] = {"loss": loss, "step": f"{step}/{self._plan.total_steps}"}
        if peak is not None:
            figures["GPU-GiB"] = round(peak, 1)
        if self.state.best:
            figures["val"] = self.state.best[0].accuracy
        self._outputs.task.advance(samples, **figures)
        # A step with a validation is saved after it; otherwise a resumed run would skip the
        # validation.
        if step % self._outputs.checkpoint_every == 0 and step not in self._validations:
            self._save(trainer, step, self.state.best)
        self._clock = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, *_: object) -> None:
        """Log the scores, and save the step, also under its own name if it is among the best."""
        validation = self._module.take_validation()
        if self._devices.is_leader:
            figures = {"loss": validation.loss, "accuracy": validation.accuracy}
            if validation.base_tile_accuracy is not None:
                figures["base_tile_accuracy"] = validation.base_tile_accuracy
            seconds = round(time.perf_counter() - self._clock, 4)
            self._outputs.log.append("validation", step=validation.step, **figures, seconds=seconds)
            shown = {f"val/{name}": value for name, value in figures.items()}
            self._outputs.board.log_metrics(shown, validation.step)
        best = self._outputs.checkpoints.rank(self.state.best, validation)
        self._save(trainer, validation.step, best)

    def on_fit_end(self, trainer: Trainer, *_: object) -> None:
        """Let all processes wait until the leading one has written everything."""
        trainer.strategy.barrier()

    def on_exception(self, trainer: Trainer, _: object, exception: BaseException) -> None:
        """Remember a Ctrl-C; end the helper processes, which would wait forever for this one."""
        self.interrupted = isinstance(exception, KeyboardInterrupt)
        terminate_helpers(trainer)

    def _save(self, trainer: Trainer, step: int, best: tuple[Validation, ...]) -> None:
        optimizer = trainer.optimizers[0].state_dict()
        self.state = Checkpoint(step, self._module.adapter(), optimizer, best)
        if self._devices.is_leader:
            self._outputs.log.flush()
            self._outputs.checkpoints.save(self.state)


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress Lightning's announcements, and warnings about its own internals."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`")
            # Its new name is not in every supported version of torch.
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
