import errno

import pytest
import torch

from mayak.errors import ConfigError, ModelError
from mayak.training.checkpoint import Checkpoint, Checkpoints, Validation, write_file


def state(step, best=()):
    return Checkpoint(step, {"a": torch.full((2,), float(step))}, {"state": {}}, tuple(best))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def run(store, *validations):
    best = ()
    for validation in validations:
        best = store.rank(best, validation)
        store.save(state(validation.step, best))
    return best


def test_the_best_are_kept_by_accuracy_then_loss_then_age(tmp_path):
    store = Checkpoints(tmp_path, 2)
    best = run(
        store,
        Validation(1, 0.9, 0.5),
        Validation(2, 0.5, 0.75),
        Validation(3, 0.4, 0.75),
        Validation(4, 0.4, 0.75),
        Validation(5, 0.1, 0.25),
    )
    assert [v.step for v in best] == [3, 4]
    assert names(tmp_path) == [
        "best-step000003-accuracy0.7500.ckpt",
        "best-step000004-accuracy0.7500.ckpt",
        "last.ckpt",
    ]
    last = store.last()
    assert last.step == 5
    assert last.best == best
    assert store.best(last).adapter["a"].tolist() == [3.0, 3.0]


def test_what_base_tiles_were_worth_is_kept_and_has_no_say(tmp_path):
    store = Checkpoints(tmp_path, 2)
    best = run(store, Validation(1, 0.4, 0.75, 0.5), Validation(2, 0.5, 0.75, 1.0))
    assert [v.step for v in best] == [1, 2]
    assert store.last().best == best


def test_nothing_saved_yet(tmp_path):
    assert Checkpoints(tmp_path / "none", 2).last() is None


def test_what_a_killed_process_left_is_removed(tmp_path):
    store = Checkpoints(tmp_path, 2)
    run(store, Validation(1, 0.9, 0.5))
    before = names(tmp_path)
    (tmp_path / "last.ckpt.part").write_bytes(b"half")
    (tmp_path / "best-step000009-accuracy0.9000.ckpt").write_bytes(b"of a future to come again")
    store.tidy(store.last())
    assert names(tmp_path) == before


def test_a_full_disk_leaves_the_previous_checkpoint_whole(tmp_path, monkeypatch):
    store = Checkpoints(tmp_path, 2)
    store.save(state(1))

    def full(content, file):
        file.write(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(ConfigError, match=r"last\.ckpt cannot be written: No space left") as caught:
        store.save(state(2))
    assert "--resume" in caught.value.remedy
    assert names(tmp_path) == ["last.ckpt"]
    assert store.last().step == 1


def test_torch_reports_a_full_disk_in_its_own_way_and_is_understood(tmp_path):
    class FullFile:
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self): ...

    with pytest.raises(ConfigError, match="No space left on device"):
        write_file(tmp_path / "a", lambda _: torch.save({"a": torch.ones(9)}, FullFile()))
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="cannot be written"):
        Checkpoints(tmp_path / "file" / "checkpoints", 2).save(state(1))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04" + b"0" * 64])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(ModelError, match=r"last\.ckpt cannot be read") as caught:
        Checkpoints(tmp_path, 2).last()
    assert "--overwrite" in caught.value.remedy


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"step": Evil()}, tmp_path / "last.ckpt")
    with pytest.raises(ModelError, match="cannot be read"):
        Checkpoints(tmp_path, 2).last()
