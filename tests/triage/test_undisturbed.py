"""A case that was disturbed at random and resumed equals the undisturbed one."""

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from disturbances import Attempt, differences, make_material, random_attempt, run_triage, state

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "disturbed.py"

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs links, forks and signals")


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    return make_material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="module")
def expected(material, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    run_triage(Attempt(seed=0), material, folder / "case")
    return state(folder / "case")


@posix
def test_the_material_has_every_kind_of_outcome(expected):
    assert expected["faults of the record"] == []
    assert expected["counts"].is_balanced
    assert len(expected["alerts"]) == 2
    assert len(expected["groups"]) >= 1 and len(expected["stacks"]) >= 1
    assert set(expected["left out"]) == {
        "SymbolicLink",
        "apple-double",
        "container",
        "document",
        "empty",
        "known-good",
        "no-pictures",
        "program",
        "too-small",
        "unknown",
    }
    assert set(expected["not read"]) >= {"Damaged", "DecodeError"}


@posix
@pytest.mark.parametrize("seed", [1, 2])
def test_delays_and_faults_leave_no_trace(tmp_path, material, expected, seed):
    dice = random.Random(seed)
    attempt = replace(random_attempt(dice), delay=0.02, faults={"read": 2, "die": 1, "raise": 1})
    attempt.arm(tmp_path / "tokens")
    ended_by = None
    try:
        run_triage(attempt, material, tmp_path / "case")
    except Exception as error:  # noqa: BLE001 - any fault may end it
        ended_by = error
    came = attempt.disarm()
    assert came or ended_by is None
    last = random_attempt(dice)
    last.arm(tmp_path / "tokens")
    run_triage(last, material, tmp_path / "case")

    assert differences(expected, state(tmp_path / "case")) == []


@posix
def test_kills_leave_no_trace(tmp_path):
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), "--runs", "1", "--seed", "21", "--folder", str(tmp_path)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
