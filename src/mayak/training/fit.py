"""A training run, from manifests to the final folder."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from mayak.config import FINAL, TrainConfig
from mayak.dataset.manifest import FILES, Manifest, read_manifest
from mayak.dataset.training_images import TrainingImages
from mayak.errors import ConfigError, ManifestError
from mayak.i18n import msg, msg_in
from mayak.model import VisionLanguageModel, load_model
from mayak.model.load import out_of_memory
from mayak.model.packer import BatchPacker
from mayak.training.callback import RunCallback, RunOutputs, quiet
from mayak.training.checkpoint import Checkpoint, Checkpoints
from mayak.training.data import (
    Collate,
    LoaderOptions,
    ManifestImages,
    PackedDataModule,
    stated_tokens,
    verify,
    worker_count,
)
from mayak.training.devices import Devices
from mayak.training.final import write_final
from mayak.training.forward import compiling
from mayak.training.memory import estimate_memory, largest_batch
from mayak.training.module import FineTuning, load_adapter, trained
from mayak.training.plan import Plan
from mayak.training.record import IDENTITY, LOG, RunLog, check_same, read_json, write_json
from mayak.training.result import RunInputs, TrainResult
from mayak.training.watch import ProcessWatch
from mayak.types import Progress, SilentProgress

CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"

Note = Callable[[str], object]


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
    """Fine-tune on ``data``'s training split, select by its validation split, write into
    ``output``.

    ``resume`` continues an interrupted run of the same configuration and data; ``overwrite``
    discards an earlier run. ``device`` is ``auto``, ``cpu``, ``cuda`` (all GPUs) or ``cuda:N``, and
    ``devices`` their number. ``note`` receives messages of one line.

    Raises:
        ManifestError: the data cannot be trained on.
        ConfigError: the output folder holds another run or cannot be written.
        ModelError: the model or the device cannot be trained.
    """
    where = Devices.of(device, devices)
    if not where.is_leader:
        progress = note = None
    inputs = _inputs(config, data, where)
    run = _Run(inputs, output, progress or SilentProgress(), note or (lambda _: None))
    return run.execute(resume=resume, overwrite=overwrite)


def _inputs(config: TrainConfig, data: Path, devices: Devices) -> RunInputs:
    """Read the manifests and make the plan."""
    manifests = [read_manifest(data / FILES[split]) for split in ("train", "val")]
    for manifest in manifests:
        if len(manifest.samples) < devices.processes:
            raise ManifestError(
                msg(
                    "{path} has fewer images than there are devices ({n_samples} < {processes})",
                    path=manifest.path,
                    n_samples=len(manifest.samples),
                    processes=devices.processes,
                ),
                remedy=msg("use fewer --devices"),
            )
    train_set, val_set = manifests
    plan = Plan(
        samples=len(train_set.samples),
        epochs=config.epochs,
        batch_size=config.batch_size,
        accumulate=config.accumulate,
        processes=devices.processes,
        validations_per_epoch=config.validations_per_epoch,
        seed=config.seed,
    )
    return RunInputs(config, train_set, val_set, devices, plan)


class _Run:
    """One run in one process; only the leading process writes files and messages."""

    def __init__(self, inputs: RunInputs, output: Path, progress: Progress, note: Note) -> None:
        self.inputs, self.config, self.plan = inputs, inputs.config, inputs.plan
        self.devices, self.output = inputs.devices, output
        self.progress, self.note = progress, note
        self.checkpoints = Checkpoints(output / CHECKPOINTS, self.config.keep_best)
        self.log = RunLog(output / LOG)
        self.discarded: list[Path] = []

    @property
    def manifests(self) -> tuple[Manifest, Manifest]:
        """The training split, then the validation split."""
        return self.inputs.train, self.inputs.val

    def execute(self, *, resume: bool, overwrite: bool) -> TrainResult:
        """Do the run's steps in order."""
        images = TrainingImages.of(*self.manifests)
        if self.devices.is_leader:
            # 1. Check that the output folder may be used. Nothing is written or removed yet: what
            #    cannot begin must not end what was there.
            self.discarded = self._claim_output(resume=resume, overwrite=overwrite)
            self.checkpoints.check_writable()
            self._warn_of_shared(images)
        # 2. Load the base model and the last checkpoint, before hours go into decoding.
        vlm = load_model(
            self.config.model,
            precision=self.config.precision,
            device=self.devices.own,
            revision=self.config.revision,
        )
        state = None if self.discarded else self.checkpoints.last()
        done = state.step if state else 0
        # 3. Attach the adapters, with the checkpoint's weights.
        module = self._module(vlm, state)
        parameters = sum(weight.numel() for weight in trained(module.model).values())
        packer = BatchPacker(vlm.processor, vlm.prompt, vlm.base.config)
        collate = Collate(packer, self.config.base_tile)
        if done < self.plan.total_steps:
            # 4. Check the room for checkpoints, and choose how a step is computed, which changes no
            #    result and needs the memory of a step.
            if self.devices.is_leader:
                self.checkpoints.check_room(parameters)
            self._choose(module, collate, done)
        if self.devices.is_leader:
            # 5. Decode every image once.
            for manifest in self.manifests:
                verify(manifest, self.progress)
            # 6. Write the run's identity, and rewind its log to the checkpoint.
            self._begin(vlm, state)
        fitted = None
        if state is None or done < self.plan.total_steps:
            # 7. Train, validate and save checkpoints.
            state = fitted = self._fit(module, collate, state, self._lengths(vlm))
        # 8. Write the best checkpoint's adapter, with the record of the run.
        result = TrainResult.of(
            self.output / FINAL,
            state,
            self.log.events(),
            trained=parameters,
            is_leader=self.devices.is_leader,
        )
        if self.devices.is_leader and (fitted or not result.final.exists()):
            load_adapter(module.model, self.checkpoints.best(state).adapter)
            record = self.inputs.record(vlm, result, self.log.events(), images)
            write_final(result.final, module.model, vlm, record, images)
        return result

    def _claim_output(self, *, resume: bool, overwrite: bool) -> list[Path]:
        """Check that the output folder is free, to be overwritten, or holds this run; return the
        files of an earlier run that ``overwrite`` discards."""
        # The files of a run, in the order in which it is safe to remove them.
        own = [self.output / name for name in (FINAL, CHECKPOINTS, LOG, TENSORBOARD, IDENTITY)]
        existing = [path for path in own if path.exists()]
        if resume and overwrite:
            raise ConfigError(
                msg("--resume and --overwrite exclude each other"),
                remedy=msg("leave one of them out"),
            )
        if resume:
            self._check_resumable()
        elif not overwrite and existing:
            raise ConfigError(
                msg("{output} already holds a training run", output=self.output),
                remedy=msg(
                    "continue with --resume, choose another --output, or discard it with "
                    "--overwrite"
                ),
            )
        return existing if overwrite else []

    def _check_resumable(self) -> None:
        identity = self.output / IDENTITY
        begun = self.checkpoints.last() is not None
        if identity.exists():
            check_same(read_json(identity), self.inputs.identity, self.output)
        elif begun:
            raise ConfigError(
                msg(
                    "{identity} is missing, so that nobody can tell what the run there is",
                    identity=identity,
                ),
                remedy=msg("put it back, or start again with --overwrite"),
            )
        if not begun:
            self.note(
                msg("no checkpoint in {output} yet; beginning at the start", output=self.output)
            )

    def _warn_of_shared(self, images: TrainingImages) -> None:
        if shared := len({*images.train} & {*images.validation}):
            self.note(
                msg(
                    "{shared} validation image(s) are training images too, byte for byte: the "
                    "validation accuracy will be too good",
                    shared=shared,
                )
            )

    def _begin(self, vlm: VisionLanguageModel, state: Checkpoint | None) -> None:
        """Remove what is discarded, write the identity, and rewind the log to the checkpoint."""
        for path in self.discarded:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        identity = self.inputs.identity | {
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
        self._announce(done)

    def _announce(self, done: int) -> None:
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

    def _module(self, vlm: VisionLanguageModel, state: Checkpoint | None) -> FineTuning:
        module = FineTuning(
            vlm,
            self.config,
            self.plan,
            done=state.step if state else 0,
            process=self.devices.process,
            optimizer_state=state.optimizer if state else None,
        )
        if state is not None:
            load_adapter(module.model, state.adapter)
        return module

    def _choose(self, module: FineTuning, collate: Collate, done: int) -> None:
        """Decide on activation checkpointing and on compiled layers, and note why."""
        choice, mixed = (
            self.config.gradient_checkpointing,
            self.devices.mixed(self.config.precision),
        )
        if choice == "auto":
            batch = largest_batch(collate, self.config.batch_size).on(module.model.device)
            try:
                estimate = estimate_memory(module, batch, mixed=mixed)
            except torch.OutOfMemoryError as error:
                raise out_of_memory(error) from error
            self.note(str(estimate))
            choice = not estimate.is_within_memory
        module.answers.checkpointed = choice
        # Only now: the compiler would compile the estimate's counting into the forward pass.
        compiled, why = compiling(module.model.device, mixed=mixed, images=self._images_left(done))
        self.note(why)
        if compiled:
            module.answers.compile()

    def _images_left(self, done: int) -> int:
        """Return how many images this process still trains on after ``done`` steps."""
        return sum(
            self.plan.samples_in(step) for step in range(done + 1, self.plan.total_steps + 1)
        )

    def _lengths(self, vlm: VisionLanguageModel) -> list[int]:
        """Return the training images' lengths, by which several processes share them evenly."""
        several = self.devices.processes > 1
        return stated_tokens(self.inputs.train, vlm.processor) if several else []

    def _fit(
        self, module: FineTuning, collate: Collate, state: Checkpoint | None, lengths: list[int]
    ) -> Checkpoint:
        """Train from a checkpoint to the end of the run; return the last checkpoint."""
        done = state.step if state else 0
        gpus, process = self.devices.gpus, self.devices.process
        logger = TensorBoardLogger(
            self.output, name=TENSORBOARD, version="", purge_step=done + 1 if done else None
        )
        left = self._images_left(done)
        if gpus:
            torch.cuda.reset_peak_memory_stats(gpus[process])
        # On a CPU, loader processes would compete with the model for its cores.
        workers = worker_count(left, self.devices.processes) if gpus else 0
        data = PackedDataModule(
            ManifestImages(self.inputs.train),
            ManifestImages(self.inputs.val),
            collate,
            self.plan,
            LoaderOptions(process, workers, pin=bool(gpus), lengths=lengths),
            done=done,
        )
        total = left * self.devices.processes
        with (
            quiet(),
            data,
            self.progress.task(msg("training"), total, msg_in("unit", "images")) as task,
        ):
            outputs = RunOutputs(
                self.checkpoints, self.config.checkpoint_every, self.log, logger, task
            )
            callback = RunCallback(module, state, self.plan, self.devices, outputs)
            watch = ProcessWatch(self.note)
            trainer = self._trainer([watch, callback], logger, done)
            try:
                with watch.watching(trainer):
                    trainer.fit(module, datamodule=data)
            except torch.OutOfMemoryError as error:
                raise out_of_memory(error) from error
            except SystemExit:
                # Lightning turns Ctrl-C into exit 1 and leaves the signal ignored.
                if not callback.interrupted:
                    raise
                if threading.current_thread() is threading.main_thread():
                    signal.signal(signal.SIGINT, signal.default_int_handler)
                raise KeyboardInterrupt from None
        return callback.state

    def _trainer(self, callbacks: list[Callback], logger: TensorBoardLogger, done: int) -> Trainer:
        return Trainer(
            **self.devices.trainer_options(self.config.precision),
            # Each slice up to a validation is an epoch to Lightning, so that validations and
            # checkpoints can follow any step, and a run can begin after any.
            max_epochs=len(self.plan.rounds(done)),
            reload_dataloaders_every_n_epochs=1,
            # Tensors made in inference mode could not be used in the training after a validation.
            inference_mode=False,
            accumulate_grad_batches=self.plan.accumulate,
            gradient_clip_val=self.config.gradient_clip,
            callbacks=callbacks,
            logger=logger,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
