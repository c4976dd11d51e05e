"""``mayak train`` as a user meets it."""

import json

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
