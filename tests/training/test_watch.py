"""What becomes of a run on several devices if one of its processes fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest

import mayak
from mayak.config import load_train_config
from mayak.training import watch
from mayak.training.watch import ProcessWatch
from model_folder import make_data

SCRIPT = """
import os, sys
if os.environ.get("LOCAL_RANK") == "1":
    sys.exit(3)
from mayak.cli.app import main
if __name__ == "__main__":
    main(sys.argv[1:])
"""


def test_a_process_that_cannot_start_ends_the_run_with_a_message(model_folder, tmp_path):
    data = make_data(tmp_path / "root", train=1, val=1)
    changes = {"model": str(model_folder), "precision": "fp32", "epochs": 1}
    config = tmp_path / "own.yaml"
    found = load_train_config("nano", changes).model_dump(mode="json")
    config.write_text(json.dumps(found), encoding="utf-8")
    script = tmp_path / "command.py"
    script.write_text(SCRIPT, encoding="utf-8")
    options = ["--config", config, "--data", data, "--output", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, script, "--lang", "en", "train", *options, "--device=cpu", "--devices=2"],
        env=os.environ | {"PYTHONPATH": str(Path(mayak.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "the process of device 1 has ended (exit code 3)" in " ".join(done.stderr.split())
    assert "--resume" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def ends(monkeypatch):
    """Exit codes with which the watch would have ended this process, again and again."""
    found = []
    monkeypatch.setattr(os, "_exit", found.append)
    monkeypatch.setattr(watch, "_SECONDS", 0.01)
    return found


class Helper:
    """A process with a given exit code; None while it runs."""

    def __init__(self, code):
        self.code, self.looked, self.terminated = code, Event(), False

    def poll(self):
        self.looked.set()
        return self.code

    def terminate(self):
        self.terminated = True


def watched(helper, ends, notes):
    launcher = SimpleNamespace(procs=[helper])
    trainer = SimpleNamespace(strategy=SimpleNamespace(launcher=launcher))
    with ProcessWatch(notes.append).watching(trainer):
        assert helper.looked.wait(10)
        for _ in range(200):
            if ends:
                break
            Event().wait(0.01)


@pytest.mark.parametrize("code", [1, 2, -9])
def test_a_process_that_failed_ends_the_others(ends, code):
    helper, notes = Helper(code), []
    watched(helper, ends, notes)
    assert set(ends) == {2}
    assert helper.terminated
    assert f"device 1 has ended (exit code {code})" in notes[0]


@pytest.mark.parametrize("code", [None, 0, 130, -2])
def test_a_process_that_runs_or_is_through_or_was_interrupted_ends_nothing(ends, code):
    notes = []
    watched(Helper(code), ends, notes)
    assert (ends, notes) == ([], [])


def test_a_helper_ends_if_the_leading_process_is_gone(ends, monkeypatch):
    parents = iter([1234])
    monkeypatch.setattr(os, "getppid", lambda: next(parents, 1))
    trainer = SimpleNamespace(strategy=SimpleNamespace(launcher=None))
    with ProcessWatch(print).watching(trainer):
        for _ in range(1000):
            if ends:
                break
            Event().wait(0.01)
    assert set(ends) == {2}
