"""The private part of Lightning that mayak uses: an upgrade that renames it fails here."""

from __future__ import annotations

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from mayak.training.lightning_internals import terminate_helpers


class Process:
    ended = False

    def terminate(self):
        self.ended = True


def trainer_of(**options):
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def test_the_helper_processes_of_a_run_are_ended():
    trainer = trainer_of(devices=2, strategy=DDPStrategy())
    trainer.strategy._configure_launcher()
    launcher = trainer.strategy.launcher
    assert isinstance(launcher, _SubprocessScriptLauncher)
    assert launcher.procs == []
    helper = Process()
    launcher.procs.append(helper)
    terminate_helpers(trainer)
    assert helper.ended


def test_a_run_on_one_device_has_none():
    terminate_helpers(trainer_of(devices=1))
