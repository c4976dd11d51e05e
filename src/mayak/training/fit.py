"""One training run, from manifests to the final folder."""

from __future__ import annotations

import platform
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from mayak.config import FINAL, TrainConfig
from mayak.dataset.manifest import FILES, read_manifest
from mayak.dataset.training_images import TrainingImages
from mayak.errors import ConfigError, ManifestError
from mayak.i18n import msg, msg_in
from mayak.model import VisionLanguageModel, load_model
from mayak.model.load import out_of_memory
from mayak.model.packing import Packing
from mayak.training.checkpoint import Checkpoint, Checkpoints, Validation
from mayak.training.data import Collate, Feed, Images, verify, worker_count
from mayak.training.devices import Devices
from mayak.training.final import write_final
from mayak.training.forward import compiling
from mayak.training.loop import Watch, quiet
from mayak.training.memory import foresee, largest_batch
from mayak.training.module import FineTuning, load_adapter, trained
from mayak.training.plan import Plan
from mayak.training.record import IDENTITY, LOG, RunLog, check_same, read_json, write_json
from mayak.types import Progress, SilentProgress

CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"

Note = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a run came to."""

    final: Path
    """Folder of the adapter and processor of the best validation."""
    best_step: int
    best_accuracy: float
    best_loss: float
    best_base_tile_accuracy: float | None
    """Of that state, reading the base tiles alone; None where they were not taught."""
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
    leads: bool = True
    """False in the helper processes of a run on several devices."""

    def summary(self) -> dict[str, Any]:
        """As JSON can hold it; the same keys as ``run.json`` where they mean the same."""
        values = asdict(self)
        del values["leads"]
        return values | {"final": str(self.final)}


def train(
    config: TrainConfig,
    *,
    data: Path,
    output: Path,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    device: str = "auto",
    devices: int | None = None,
    note: Note | None = None,
) -> TrainResult:
    """Fine-tune on ``data``'s training split, choosing by its validation split, into ``output``.

    ``resume`` goes on with an interrupted run of the same configuration and data; ``overwrite``
    discards an earlier run. ``device`` is ``auto``, ``cpu``, ``cuda`` (all GPUs) or ``cuda:N``, and
    ``devices`` how many. ``note`` is told single lines. Raises ManifestError for data that cannot
    be trained on, ConfigError for an output that is in the way or cannot be written, ModelError for
    a model or device that cannot do it.
    """
    where = Devices.of(device, devices)
    if not where.leads:
        progress = note = None
    run = _Run(config, data, output, where, progress or SilentProgress(), note or (lambda _: None))
    if where.leads:
        run.enter(resume=resume, overwrite=overwrite)
    return run.go()


class _Run:
    """The parts of one run and the order in which they are made."""

    def __init__(
        self,
        config: TrainConfig,
        data: Path,
        output: Path,
        where: Devices,
        progress: Progress,
        note: Note,
    ) -> None:
        self.config, self.output, self.where = config, output, where
        self.progress, self.note = progress, note
        self.train_set = read_manifest(data / FILES["train"])
        self.val_set = read_manifest(data / FILES["val"])
        for manifest in (self.train_set, self.val_set):
            if len(manifest.samples) < where.processes:
                raise ManifestError(
                    msg(
                        "{path} has fewer images than there are devices ({n_samples} < "
                        "{processes})",
                        path=manifest.path,
                        n_samples=len(manifest.samples),
                        processes=where.processes,
                    ),
                    remedy=msg("use fewer --devices"),
                )
        self.plan = Plan(
            samples=len(self.train_set.samples),
            epochs=config.epochs,
            batch_size=config.batch_size,
            accumulate=config.accumulate,
            processes=where.processes,
            validations_per_epoch=config.validations_per_epoch,
            seed=config.seed,
        )
        self.checkpoints = Checkpoints(output / CHECKPOINTS, config.keep_best)
        self.log = RunLog(output / LOG)
        self.discarded: list[Path] = []

    def enter(self, *, resume: bool, overwrite: bool) -> None:
        """Claim the output folder, or find that the run in it is this one."""
        # What a run leaves, in the order in which it is safe to lose it.
        own = [self.output / name for name in (FINAL, CHECKPOINTS, LOG, TENSORBOARD, IDENTITY)]
        if resume and overwrite:
            raise ConfigError(
                msg("--resume and --overwrite exclude each other"),
                remedy=msg("leave one of them out"),
            )
        # Not before the model is loaded: what cannot begin must not end what was there.
        self.discarded = [path for path in own if path.exists()] if overwrite else []
        if resume:
            if (self.output / IDENTITY).exists():
                check_same(read_json(self.output / IDENTITY), self._identity(), self.output)
            elif self.checkpoints.last() is not None:
                raise ConfigError(
                    msg(
                        "{output} is missing, so that nobody can tell what the run there is",
                        output=self.output / IDENTITY,
                    ),
                    remedy=msg("put it back, or begin anew with --overwrite"),
                )
            if self.checkpoints.last() is None:
                self.note(
                    msg("no checkpoint in {output} yet; beginning at the start", output=self.output)
                )
        elif not overwrite and any(path.exists() for path in own):
            raise ConfigError(
                msg("{output} already holds a training run", output=self.output),
                remedy=msg(
                    "go on with --resume, choose another --output, or discard it with --overwrite"
                ),
            )
        for manifest in (self.train_set, self.val_set):
            verify(manifest, self.progress)
        images = TrainingImages.of(self.train_set, self.val_set)
        if shared := len({*images.train} & {*images.validation}):
            self.note(
                msg(
                    "{shared} validation image(s) are training images too, byte for byte: the "
                    "validation accuracy will be too good",
                    shared=shared,
                )
            )

    def _identity(self) -> dict[str, Any]:
        """What must stay the same for a run to be resumed."""
        return {
            "config": self.config.model_dump(mode="json"),
            "dataset": {"train": self.train_set.digest, "val": self.val_set.digest},
            "processes": self.where.processes,
        }

    def go(self) -> TrainResult:
        vlm = load_model(
            self.config.model,
            precision=self.config.precision,
            device=self.where.own,
            revision=self.config.revision,
        )
        state = None if self.discarded else self.checkpoints.last()
        if self.where.leads:
            self._begin(vlm, state)
        module = FineTuning(
            vlm,
            self.config,
            self.plan,
            done=state.step if state else 0,
            process=self.where.process,
            optimizer_state=state.optimizer if state else None,
        )
        if state is not None:
            load_adapter(module.model, state.adapter)
        fitted = None
        if state is None or state.step < self.plan.total_steps:
            packing = Packing(vlm.processor, vlm.prompt, vlm.base.config)
            collate = Collate(packing, self.config.base_tile)
            self._choose(module, collate, state.step if state else 0)
            state = fitted = self._fit(module, collate, state)
        result = self._result(module, state)
        if self.where.leads and (fitted or not result.final.exists()):
            load_adapter(module.model, self.checkpoints.best(state).adapter)
            images = TrainingImages.of(self.train_set, self.val_set)
            record = self._record(vlm, result, images)
            write_final(result.final, module.model, vlm, record, images)
        return result

    def _choose(self, module: FineTuning, collate: Collate, done: int) -> None:
        """Settle how a step is computed, which changes no result, and say what and why."""
        asked, mixed = self.config.gradient_checkpointing, self.where.mixed(self.config.precision)
        if asked == "auto":
            batch = largest_batch(collate, self.config.batch_size).on(module.model.device)
            found = foresee(module, batch, mixed=mixed)
            self.note(str(found))
        module.answers.checkpointed = not found.fits if asked == "auto" else asked
        # Not before: the compiler would take the counting for a part of the pass.
        left = self._left(done)
        compiled, why = compiling(module.model.device, mixed=mixed, images=left)
        self.note(why)
        if compiled:
            module.answers.compile()

    def _left(self, done: int) -> int:
        """Images that this process still trains on after ``done`` steps."""
        return sum(
            self.plan.samples_in(step) for step in range(done + 1, self.plan.total_steps + 1)
        )

    def _begin(self, vlm: VisionLanguageModel, state: Checkpoint | None) -> None:
        """Record what the run is, or set its records back to the last checkpoint."""
        for path in self.discarded:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        identity = self._identity() | {
            "engine": {
                "model": vlm.engine.model,
                "prompt": vlm.engine.prompt,
                "preprocessing": vlm.engine.preprocessing,
            }
        }
        if (self.output / IDENTITY).exists():
            check_same(read_json(self.output / IDENTITY), identity, self.output)
        write_json(self.output / IDENTITY, identity)
        self.checkpoints.tidy(state)
        done = state.step if state else 0
        if done < self.plan.total_steps:
            self.log.rewind(done)
            self.log.append("resume" if done else "start", step=done)
        plan = self.plan
        if done == plan.total_steps:
            self.note(
                msg("the run in {output} is finished; nothing is left to train", output=self.output)
            )
            return
        if done:
            self.note(
                msg(
                    "resuming after step {done} of {total_steps}",
                    done=done,
                    total_steps=plan.total_steps,
                )
            )
        self.note(
            msg(
                "{samples} images, {total_steps} steps of {effective_batch} images ({batch_size} "
                "× {accumulate} accumulated × {processes} device(s))",
                samples=plan.samples,
                total_steps=plan.total_steps,
                effective_batch=plan.effective_batch,
                batch_size=plan.batch_size,
                accumulate=plan.accumulate,
                processes=plan.processes,
            )
        )
        if self.config.base_tile:
            self.note(
                msg("each image is taught whole and as its base tile alone (base_tile: true)")
            )

    def _fit(self, module: FineTuning, collate: Collate, state: Checkpoint | None) -> Checkpoint:
        done = state.step if state else 0
        plan, where = self.plan, self.where
        logger = TensorBoardLogger(
            self.output, name=TENSORBOARD, version="", purge_step=done + 1 if done else None
        )
        left = self._left(done)
        if where.gpus:
            torch.cuda.reset_peak_memory_stats(where.gpus[where.process])
        feed = Feed(
            Images(self.train_set),
            Images(self.val_set),
            collate,
            plan,
            done=done,
            process=where.process,
            # On a CPU they would take the model's own cores.
            workers=worker_count(left, where.processes) if where.gpus else 0,
            pin=bool(where.gpus),
        )
        name = msg("training")
        with (
            quiet(),
            feed,
            self.progress.task(name, left * where.processes, msg_in("unit", "images")) as task,
        ):
            watch = Watch(
                module,
                state,
                plan=plan,
                where=where,
                checkpoints=self.checkpoints,
                every=self.config.checkpoint_every,
                log=self.log,
                board=logger,
                task=task,
            )
            # Each stretch up to a validation is an epoch to Lightning, so that validations and
            # checkpoints fall on any step, and a run can begin after any.
            trainer = Trainer(
                **where.trainer_options(self.config.precision),
                max_epochs=len(plan.rounds(done)),
                reload_dataloaders_every_n_epochs=1,
                # Nothing that is made in a validation may be unfit for the training after it.
                inference_mode=False,
                accumulate_grad_batches=plan.accumulate,
                gradient_clip_val=self.config.gradient_clip,
                callbacks=[watch],
                logger=logger,
                log_every_n_steps=1,
                num_sanity_val_steps=0,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                use_distributed_sampler=False,
            )
            try:
                trainer.fit(module, datamodule=feed)
            except torch.OutOfMemoryError as error:
                raise out_of_memory(error) from error
            except SystemExit:
                # Lightning turns Ctrl-C into exit 1 and leaves the signal ignored.
                if not watch.interrupted:
                    raise
                if threading.current_thread() is threading.main_thread():
                    signal.signal(signal.SIGINT, signal.default_int_handler)
                raise KeyboardInterrupt from None
        return watch.state

    def _result(self, module: FineTuning, state: Checkpoint) -> TrainResult:
        events = self.log.events()
        steps = [row for row in events if row["event"] == "step"]
        seconds = sum(row["seconds"] for row in events if "seconds" in row)
        peaks = [row["peak_gpu_gib"] for row in steps if row["peak_gpu_gib"] is not None]
        return TrainResult(
            final=self.output / FINAL,
            best_step=state.best[0].step,
            best_accuracy=state.best[0].accuracy,
            best_loss=state.best[0].loss,
            best_base_tile_accuracy=state.best[0].base_tile_accuracy,
            validations=tuple(
                Validation(row["step"], row["loss"], row["accuracy"], row.get("base_tile_accuracy"))
                for row in events
                if row["event"] == "validation"
            ),
            losses=tuple(row["loss"] for row in steps),
            steps=state.step,
            trained_parameters=sum(w.numel() for w in trained(module.model).values()),
            seconds=round(seconds, 3),
            samples_per_second=_rate(steps[1:] or steps),
            peak_gpu_gib=max(peaks, default=None),
            leads=self.where.leads,
        )

    def _record(
        self, vlm: VisionLanguageModel, result: TrainResult, images: TrainingImages
    ) -> dict[str, Any]:
        """``run.json``: everything that made the adapter beside it."""
        events = self.log.events()
        return {
            "config": self.config.model_dump(mode="json"),
            "dataset": {
                split: {"digest": manifest.digest, "images": len(manifest.samples)}
                for split, manifest in (("train", self.train_set), ("val", self.val_set))
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
            "devices": self.where.names,
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


def _rate(steps: list[dict[str, Any]]) -> float:
    seconds = sum(row["seconds"] for row in steps)
    return float(sum(row["samples"] for row in steps) / seconds) if seconds else 0.0
