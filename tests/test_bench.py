"""What `mayak bench` measures, and what it makes of it."""

import ast
import json
from importlib import import_module
from pathlib import Path

import pytest

from mayak import bench
from mayak.bench import FULL_MODEL, Stage, outlook
from mayak.cli.app import main

ROOT = Path(__file__).parents[1]
RATES = {
    "read": 1000.0,
    "decode base": 250.0,
    "decode": 200.0,
    "tiles base": 500.0,
    "tiles all": 100.0,
    "tower": 1000.0,
    "base tile": 50.0,
    "full": 10.0,
}
STAGES = [Stage(name, rate, "here") for name, rate in RATES.items()]


@pytest.fixture
def small(monkeypatch):
    """Small pictures instead of photos."""
    monkeypatch.setattr(bench, "KINDS", ((320, 240, 3), (240, 320, 1)))


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    return stopped.value.code or 0


def test_the_slowest_of_stages_side_by_side_bounds_them():
    alone = outlook(STAGES, FULL_MODEL, apart=True)
    assert (alone.bound, alone.images_s) == ("full", pytest.approx(10))
    assert alone.model_time == (0, 0, 1)
    # 1 ms in the tower, 0.1 x 20 ms, 0.05 x 100 ms: 8 ms, while decoding takes 4 + 0.05 x 5.
    mixed = outlook(STAGES, (0.9, 0.05, 0.05), apart=True)
    assert (mixed.bound, mixed.images_s) == ("full", pytest.approx(125))
    assert mixed.model_time == pytest.approx((1 / 8, 2 / 8, 5 / 8))
    # 1 ms, 0.02 x 20, 0.01 x 100: 2.4 ms; decoding takes 4 + 0.01 x 5.
    easy = outlook(STAGES, (0.98, 0.01, 0.01), apart=True)
    assert (easy.bound, easy.images_s) == ("decode", pytest.approx(1000 / 4.05))


def test_on_one_processor_the_stages_take_turns():
    # 1 ms read, 5 decoded, 10 made tiles of, 100 in the model.
    alone = outlook(STAGES, FULL_MODEL, apart=False)
    assert (alone.bound, alone.images_s) == (None, pytest.approx(1000 / 116))
    # 1 + (4 + 0.05 x 5) + (2 + 0.05 x 10) + 8
    mixed = outlook(STAGES, (0.9, 0.05, 0.05), apart=False)
    assert mixed.images_s == pytest.approx(1000 / 15.75)


def test_every_stage_of_this_machine_is_measured(small, capsys):
    asked = ("bench", "--model", "nano", "--precision", "fp32", "--device", "cpu")
    assert run(*asked, "--seconds", "0.1", "--batch-size", "1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"].startswith("nano@sha256:")
    assert found["device"] == "cpu"
    assert [stage["name"] for stage in found["stages"]] == list(RATES)
    assert all(stage["images_s"] > 0 for stage in found["stages"])
    assert [told["mix"] for told in found["outlooks"]] == [list(mix) for mix in bench.MIXES]


def test_it_speaks_korean(small, capsys):
    asked = ("--lang", "ko", "bench", "--model", "nano", "--device", "cpu")
    assert run(*asked, "--seconds", "0.1", "--batch-size", "1") == 0
    shown = capsys.readouterr().out
    assert "0단계: 비전 인코더" in shown
    assert "0 / 0 / 100 %" in shown


def test_the_same_pictures_each_time(small, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    made = []
    for folder in folders:
        folder.mkdir()
        made.append([path.read_bytes() for path in bench.make_images(folder)])
    assert made[0] == made[1]
    assert len(set(made[0])) == 4


@pytest.mark.parametrize("wrong", [("--batch-size", "0"), ("--seconds", "0")])
def test_nothing_is_measured_in_no_time(wrong, capsys):
    assert run("--lang", "en", "bench", "--model", "nano", *wrong) == 2
    assert wrong[0] in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.name)
def test_a_benchmark_imports_what_exists(path):
    """They run on other machines, and rarely: a renamed class would be noticed there only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mayak"):
            module = import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    import_module(f"{node.module}.{alias.name}")
