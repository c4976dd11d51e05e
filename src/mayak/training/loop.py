"""What happens between Lightning's steps: figures, logs, validations' results, checkpoints."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from mayak.errors import ModelError
from mayak.i18n import msg
from mayak.training.checkpoint import Checkpoint, Checkpoints, Validation
from mayak.training.devices import Devices
from mayak.training.module import FineTuning
from mayak.training.plan import Plan
from mayak.training.record import RunLog
from mayak.types import Task


class Watch(Callback):  # type: ignore[misc]  # lightning is untyped
    """Follows a run: every step and validation is logged, and saved when its time has come."""

    def __init__(
        self,
        module: FineTuning,
        state: Checkpoint | None,
        *,
        plan: Plan,
        where: Devices,
        checkpoints: Checkpoints,
        every: int,
        log: RunLog,
        board: TensorBoardLogger,
        task: Task,
    ) -> None:
        self._module, self._plan, self._where = module, plan, where
        self._checkpoints, self._every = checkpoints, every
        self._log, self._board, self._task = log, board, task
        self._validations = set(plan.validation_steps)
        self._seen = state.step if state else 0
        self._clock = time.perf_counter()
        self.state = state or Checkpoint(0, {}, {}, ())
        """The state last saved."""
        self.interrupted = False

    def on_train_epoch_start(self, *_: object) -> None:
        """The time of a stretch's first step begins here, after the validation before it."""
        self._clock = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """After the batch that completes a step: log it, and save it if it is its turn."""
        step = self._module.step
        if step == self._seen:
            return
        self._seen = step
        loss = trainer.strategy.reduce(self._module.take_step_loss(), reduce_op="mean").item()
        if not math.isfinite(loss):
            raise ModelError(
                msg("training diverged: the loss of step {step} is {loss}", step=step, loss=loss),
                remedy=msg("lower learning_rate; the last checkpoint is from before"),
            )
        seconds = time.perf_counter() - self._clock
        samples = self._plan.samples_in(step) * self._plan.processes
        peak = self._where.peak_gib()
        if self._where.leads:
            self._log.append(
                "step",
                step=step,
                epoch=round(step / self._plan.steps_per_epoch, 4),
                loss=loss,
                samples=samples,
                seconds=round(seconds, 4),
                peak_gpu_gib=None if peak is None else round(peak, 3),
            )
            self._board.log_metrics(
                {"train/loss": loss, "train/samples_per_second": samples / seconds}, step
            )
        figures: dict[str, float | str] = {"loss": loss, "step": f"{step}/{self._plan.total_steps}"}
        if peak is not None:
            figures["GPU-GiB"] = round(peak, 1)
        if self.state.best:
            figures["val"] = self.state.best[0].accuracy
        self._task.advance(samples, **figures)
        # A step that is validated is saved after its validation, or a resumed run would miss it.
        if step % self._every == 0 and step not in self._validations:
            self._save(trainer, step, self.state.best)
        self._clock = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, *_: object) -> None:
        """Log the scores, and save the step, by itself if it is among the best."""
        validation = self._module.take_validation()
        if self._where.leads:
            figures = {"loss": validation.loss, "accuracy": validation.accuracy}
            if validation.base_tile_accuracy is not None:
                figures["base_tile_accuracy"] = validation.base_tile_accuracy
            seconds = round(time.perf_counter() - self._clock, 4)
            self._log.append("validation", step=validation.step, **figures, seconds=seconds)
            shown = {f"val/{name}": value for name, value in figures.items()}
            self._board.log_metrics(shown, validation.step)
        best = self._checkpoints.rank(self.state.best, validation)
        self._save(trainer, validation.step, best)

    def on_fit_end(self, trainer: Trainer, *_: object) -> None:
        """No process goes on before the leading one has written everything."""
        trainer.strategy.barrier()

    def on_exception(self, trainer: Trainer, _: object, exception: BaseException) -> None:
        """Remember a Ctrl-C; end the helper processes, which would wait for this one for ever."""
        self.interrupted = isinstance(exception, KeyboardInterrupt)
        for helper in getattr(trainer.strategy.launcher, "procs", []):
            helper.terminate()

    def _save(self, trainer: Trainer, step: int, best: tuple[Validation, ...]) -> None:
        optimizer = trainer.optimizers[0].state_dict()
        self.state = Checkpoint(step, self._module.adapter(), optimizer, best)
        if self._where.leads:
            self._log.flush()
            self._checkpoints.save(self.state)


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning's announcements are kept back, and warnings about its own insides."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`")
            # The name that replaces it is not in every torch that is supported.
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
