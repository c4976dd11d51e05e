from importlib.resources import files

import pytest
import yaml

from mayak.config import PRESETS, TrainConfig, load_train_config
from mayak.errors import ConfigError

SHIPPED = sorted(f.name for f in files("mayak.configs").iterdir() if f.name.endswith(".yaml"))


def test_every_shipped_file_is_a_preset():
    assert [name.removesuffix(".yaml") for name in SHIPPED] == sorted(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_shipped_files_are_complete_and_commented(name):
    text = (files("mayak.configs") / f"{name}.yaml").read_text(encoding="utf-8")
    assert set(yaml.safe_load(text)) == set(TrainConfig.model_fields)
    assert text.startswith("# ")
    load_train_config(name)


def test_repo_is_the_published_scripts():
    config = load_train_config("repo")
    assert config.model == "llava-hf/llava-v1.6-mistral-7b-hf"
    assert (config.lora.r, config.lora.alpha, config.lora.dropout) == (16, 32, 0.05)
    assert (config.epochs, config.learning_rate) == (5, 1e-5)
    assert (config.batch_size, config.accumulate, config.gradient_clip) == (1, 16, 1.0)
    assert (config.precision, config.validations_per_epoch, config.keep_best) == ("nf4", 4, 2)


def test_the_base_tile_is_taught_only_where_it_is_asked_for(tmp_path):
    assert not any(load_train_config(name).base_tile for name in PRESETS)
    values = yaml.safe_load((files("mayak.configs") / "repo.yaml").read_text(encoding="utf-8"))
    del values["base_tile"]
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert load_train_config(str(path)) == load_train_config("repo")
    with pytest.raises(ConfigError, match="base_tile"):
        load_train_config("repo", {"base_tile": 0.5})


def test_paper_differs_from_repo_in_the_rank_alone():
    repo, paper = (load_train_config(name).model_dump() for name in ("repo", "paper"))
    assert paper.pop("lora") == {"r": 8, "alpha": 16, "dropout": 0.05}
    del repo["lora"]
    assert paper == repo


def test_a_key_given_twice_is_refused(tmp_path):
    path = tmp_path / "own.yaml"
    text = (files("mayak.configs") / "repo.yaml").read_text(encoding="utf-8")
    path.write_text(text + "epochs: 1\nlora: {r: 8, alpha: 16, dropout: 0.1, r: 4}\n", "utf-8")
    with pytest.raises(ConfigError) as refused:
        load_train_config(str(path))
    last = len(text.splitlines()) + 1
    assert f"epochs ({text[: text.index('epochs:')].count(chr(10)) + 1}, {last})" in str(
        refused.value
    )
    assert f"r ({last + 1}, {last + 1})" in str(refused.value)


def test_an_alias_is_no_second_key(tmp_path):
    path = tmp_path / "own.yaml"
    text = (files("mayak.configs") / "repo.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("lora:", "lora: &own", 1) + "\nmodel: *own\n", "utf-8")
    with pytest.raises(ConfigError, match=r"model \("):
        load_train_config(str(path))
    path.write_text("&all [*all]", "utf-8")
    with pytest.raises(ConfigError, match="has no keys"):
        load_train_config(str(path))


def test_given_values_replace_the_file_and_none_does_not():
    config = load_train_config("repo", {"epochs": 2, "model": "nano", "seed": None})
    assert (config.epochs, config.model, config.seed) == (2, "nano", 42)


def test_a_file_of_the_users_own(tmp_path):
    path = tmp_path / "own.yaml"
    text = (files("mayak.configs") / "repo.yaml").read_text(encoding="utf-8")
    # YAML 1.1 reads 2e-4 (no dot) as text; users write it all the same.
    path.write_text(text.replace("1.0e-5", "2e-4"), encoding="utf-8")
    assert load_train_config(str(path)).learning_rate == 2e-4


def test_all_faults_are_reported_together_with_their_keys(tmp_path):
    path = tmp_path / "own.yaml"
    values = yaml.safe_load((files("mayak.configs") / "repo.yaml").read_text(encoding="utf-8"))
    del values["gradient_clip"]
    values |= {"epochs": 0, "precision": "int3", "lerning_rate": 1}
    values["lora"]["dropout"] = 1.5
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_train_config(str(path))
    for key in ("epochs", "precision", "lerning_rate", "lora.dropout", "gradient_clip"):
        assert f"{key}: " in caught.value.message
    assert str(path) in caught.value.message
    assert "repo.yaml" in caught.value.remedy


def test_a_fault_given_on_the_command_line_is_reported_too():
    with pytest.raises(ConfigError, match="batch_size"):
        load_train_config("repo", {"batch_size": -1})


@pytest.mark.parametrize("content", [b"model: [", b"- 1\n- 2\n", b"", b"\xff\xfe\x00bad"], ids=str)
def test_files_that_are_no_configuration(tmp_path, content):
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_train_config(str(path))
    assert str(path) in caught.value.message
    assert caught.value.remedy


def test_a_missing_file_names_the_presets(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_train_config(str(tmp_path / "none.yaml"))
    assert "repo, paper, nano" in caught.value.remedy
