"""``mayak train`` as a user meets it."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from mayak.cli.app import main
from mayak.config import load_train_config
from model_folder import make_data


@pytest.fixture
def trained(model_folder, tmp_path, capsys):
    """Trains one epoch with changes to the configuration; gives exit code, stdout and stderr."""
    data = make_data(tmp_path / "root", train=1, val=1)

    def call(*options, **changes):
        settings = {"model": str(model_folder), "precision": "fp32", "epochs": 1} | changes
        config = load_train_config("nano", settings).model_dump(mode="json")
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        given = ["--config", tmp_path / "own.yaml", "--data", data, "--output", tmp_path / "out"]
        arguments = ["--lang", "en", "train", *given, "--device", "cpu", *options]
        with pytest.raises(SystemExit) as left:
            main([*map(str, arguments)])
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    return call


def test_the_base_tiles_accuracy_is_shown_where_they_are_taught(trained):
    code, out, told = trained(base_tile=True)
    assert code == 0
    assert "as its base tile alone" in told
    assert "validation accuracy, base tile alone" in out


def test_nothing_is_said_of_base_tiles_where_they_are_not_taught(trained):
    code, out, told = trained()
    assert code == 0
    assert "base tile" not in out + told


def test_json_has_both_accuracies(trained):
    code, out, _ = trained("--json", base_tile=True)
    assert code == 0
    found = json.loads(out)
    assert 0 <= found["best_accuracy"] <= 1
    assert 0 <= found["best_base_tile_accuracy"] <= 1


def test_repeats_have_seeds_of_their_own_and_resume(trained, tmp_path):
    code, out, _ = trained("--repeat", "2", "--seed", "5", "--json")
    assert code == 0
    found = json.loads(out)
    assert [run["seed"] for run in found["runs"]] == [5, 6]
    values = [run["best"]["accuracy"] for run in found["runs"]]
    assert found["best_accuracy"]["mean"] == pytest.approx(sum(values) / 2)
    assert found["best_accuracy"]["sd"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    for run in found["runs"]:
        record = json.loads((Path(run["final"]) / "run.json").read_text(encoding="utf-8"))
        assert record["seed"] == run["seed"]

    code, _, told = trained("--repeat", "2", "--seed", "5")
    assert code == 2
    assert "already holds a training run" in told

    # The first is kept as it is; the second has no adapter yet, as after an interruption.
    first, second = (tmp_path / f"out_seed{seed}" / "final_model_checkpoint" for seed in (5, 6))
    before = (first / "run.json").stat().st_mtime_ns
    shutil.rmtree(second)
    code, out, told = trained("--repeat", "2", "--seed", "5", "--resume")
    assert code == 0
    assert "run 1 of 2, seed 5: finished before" in told
    assert (first / "run.json").stat().st_mtime_ns == before
    assert (second / "run.json").is_file()
    assert "standard deviation" in out
    manifest = tmp_path / "root" / "data" / "test_drug_data.json"
    assert out.count(f"mayak evaluate --manifest {manifest} --adapter ") == 2
    assert "mayak summary evaluation_seed5 evaluation_seed6" in out


def test_a_repeat_that_fails_ends_them_all(trained, tmp_path):
    (tmp_path / "root" / "raw" / "train" / "0_000.png").write_bytes(b"no image")
    code, _, _ = trained("--repeat", "2", "--seed", "5")
    assert code == 2
    assert not (tmp_path / "out_seed6").exists()


def test_one_repeat_is_refused(trained):
    code, _, told = trained("--repeat", "1")
    assert code == 2
    assert "--repeat is 1" in told
