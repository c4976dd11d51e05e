import multiprocessing
import shutil
from dataclasses import replace

import pytest
import torch

from checkpoints import processor_for, published_tokenizer
from mayak.dataset.manifest import read_manifest
from mayak.errors import ManifestError
from mayak.model.packer import BatchPacker
from mayak.model.prompt import Prompt
from mayak.training.data import (
    Collate,
    EpochSlice,
    LoaderOptions,
    ManifestImages,
    PackedDataModule,
    stated_tokens,
    verify,
    worker_count,
)
from mayak.training.plan import Plan
from mayak.types import SilentProgress
from model_folder import make_data, tiny_config


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("feed")
    make_data(root, train=3, val=2)
    return root


@pytest.fixture(scope="module")
def collate():
    processor = processor_for(tiny_config(), published_tokenizer())
    return Collate(BatchPacker(processor, Prompt.of(processor), tiny_config()))


def manifest(root, split="train"):
    return read_manifest(root / "data" / f"{split}_drug_data.json")


@pytest.fixture
def own(root, tmp_path):
    """A copy whose images may be spoilt."""
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    return tmp_path


def feed(root, collate, *, done=0, process=0, processes=1, workers=0):
    plan = Plan(
        samples=12,
        epochs=2,
        batch_size=2,
        accumulate=2,
        processes=processes,
        validations_per_epoch=2,
        seed=1,
    )
    return plan, PackedDataModule(
        ManifestImages(manifest(root)),
        ManifestImages(manifest(root, "val")),
        collate,
        plan,
        LoaderOptions(process=process, workers=workers),
        done=done,
    )


def labels(batch, collate):
    """Labels 0–3 back from the taught ids."""
    return [collate.packer.prompt.label_ids.index(row[-2]) for row in batch.answers.tolist()]


def same(left, right):
    """Whether two batches are the same to the bit."""
    parts = ("tiles", "rows", "positions", "last", "bounds")
    return torch.equal(left.answers, right.answers) and all(
        torch.equal(getattr(left.packed, part), getattr(right.packed, part)) for part in parts
    )


def test_sound_images_pass(root):
    verify(manifest(root), SilentProgress())


def test_every_bad_image_is_named_before_training(own):
    files = sorted((own / "raw" / "train").iterdir())
    files[0].unlink()
    files[1].write_bytes(files[2].read_bytes())
    files[3].write_bytes(files[3].read_bytes()[:-50])
    with pytest.raises(ManifestError, match=r"3 image\(s\) cannot be trained on") as caught:
        verify(manifest(own), SilentProgress())
    assert f"{files[0]}: No such file or directory" in caught.value.message
    assert f"{files[1]}: changed since the manifest was made" in caught.value.message
    assert str(files[3]) in caught.value.message
    assert "mayak prepare" in caught.value.remedy


def test_a_manifest_without_hashes_still_refuses_unreadable_images(own):
    (own / "data" / "dataset.json").unlink()  # as the original's scripts leave it
    file = own / "raw" / "train" / "0_000.png"
    file.write_bytes(b"no image at all")
    with pytest.raises(ManifestError, match=r"0_000\.png: not an image"):
        verify(manifest(own), SilentProgress())


def test_an_image_that_changes_during_training_is_an_error_and_no_picture(own):
    images = ManifestImages(manifest(own))
    file = own / "raw" / "train" / "0_000.png"
    file.write_bytes((own / "raw" / "train" / "1_000.png").read_bytes())
    with pytest.raises(ManifestError, match=r"0_000\.png: changed"):
        images[0]


def test_long_lists_of_faults_are_cut(own):
    for file in (own / "raw" / "train").iterdir():
        file.unlink()
    with pytest.raises(ManifestError, match="and 7 more"):
        verify(manifest(own), SilentProgress())


def test_stretches_end_at_validations_and_go_on_where_the_last_ended(root, collate):
    plan, source = feed(root, collate)
    rows = manifest(root).samples
    with source:
        got = [list(source.train_dataloader()) for _ in plan.rounds(0)]
        val = source.val_dataloader()
        val_labels = [label for batch in val for label in labels(batch, collate)]
        again = [label for batch in source.val_dataloader() for label in labels(batch, collate)]
    assert [len(part) for part in got] == [4, 2, 4, 2]  # 3 steps an epoch, validated after 2 and 3
    expected = [[rows[index].label for index in batch] for batch in plan.batches(0)]
    assert [labels(batch, collate) for part in got for batch in part] == expected
    assert len(val) == 4
    assert val_labels == again == [sample.label for sample in manifest(root, "val").samples]


def test_base_tiles_follow_the_whole_images_as_tier_1_reads_them(root, collate):
    images = ManifestImages(manifest(root))
    rows = [images[index] for index in (0, 1, 2)]
    packer, whole = collate.packer, collate(rows)
    both = replace(collate, base_tiles=True)(rows)
    assert len(both) == len(whole) == 3
    assert torch.equal(both.answers, whole.answers.repeat(2, 1))
    count, tiles = len(whole.packed.rows), len(whole.packed.tiles)
    assert torch.equal(both.packed.rows[:count], whole.packed.rows)
    assert torch.equal(both.packed.tiles[:tiles], whole.packed.tiles)
    read = packer.pack([packer.prepare_base(image) for image, _ in rows])
    assert torch.equal(both.packed.tiles[tiles:], read.tiles)
    parts = (both.packed.rows[count:], both.packed.positions[0, count:])
    for part, expected in zip(parts, (read.rows, read.positions[0]), strict=True):
        # The label's token is read too; features are counted on.
        taught, asked = part.view(3, -1)[:, :-1], expected.view(3, -1)
        assert torch.equal(torch.where(taught >= 64 * tiles, taught - 64 * tiles, taught), asked)


@pytest.mark.parametrize("base_tiles", [False, True])
def test_resuming_gives_the_same_tensors(root, collate, base_tiles):
    collate = replace(collate, base_tiles=base_tiles)
    _, whole = feed(root, collate)
    _, rest = feed(root, collate, done=1)
    with whole, rest:
        first = list(whole.train_dataloader())
        second = list(rest.train_dataloader())
    assert len(first) == 4
    assert len(second) == 2
    assert all(map(same, first[2:], second))


def test_processes_validate_each_image_once(root, collate):
    seen = []
    for process in range(2):
        _, source = feed(root, collate, process=process, processes=2)
        with source:
            seen += [row for batch in source.val_dataloader() for row in labels(batch, collate)]
    assert sorted(seen) == sorted(sample.label for sample in manifest(root, "val").samples)


def test_lengths_are_those_of_the_images_in_tokens(own, collate):
    images = ManifestImages(manifest(own))
    processor = processor_for(tiny_config(), published_tokenizer())
    packed = [len(collate.packer.prepare(images[index][0]).rows) for index in range(len(images))]
    lengths = stated_tokens(manifest(own), processor)
    # The question's tokens are not counted.
    assert len({whole - part for whole, part in zip(packed, lengths, strict=True)}) == 1
    assert len(set(lengths)) > 1
    (own / "raw" / "train" / "0_000.png").write_bytes(b"no image at all")
    (own / "raw" / "train" / "1_000.png").unlink()
    assert stated_tokens(manifest(own), processor)[2:] == lengths[2:]


def test_processes_share_the_tokens_of_a_step(root, collate):
    lengths = stated_tokens(manifest(root), processor_for(tiny_config(), published_tokenizer()))
    plan = Plan(12, 1, 1, 6, 2, 1, 1)
    sums = {}
    for way in (lengths, ()):
        sums[bool(way)] = []
        for process in range(2):
            source = PackedDataModule(
                ManifestImages(manifest(root)),
                ManifestImages(manifest(root, "val")),
                collate,
                plan,
                LoaderOptions(process=process, lengths=way),
                done=0,
            )
            with source:
                batches = list(source.train_dataloader())
            sums[bool(way)].append(sum(len(batch.packed.rows) for batch in batches))
    apart = {way: abs(first - second) for way, (first, second) in sums.items()}
    assert apart[True] < apart[False]


def test_a_stretch_takes_no_more_than_its_share():
    stream = iter([{"n": n} for n in range(5)])
    assert [batch["n"] for batch in EpochSlice(stream, 2)] == [0, 1]
    assert [batch["n"] for batch in EpochSlice(stream, 2)] == [2, 3]


@pytest.mark.parametrize("base_tiles", [False, True])
def test_worker_processes_give_the_same_batches_and_end(root, collate, base_tiles):
    collate, got = replace(collate, base_tiles=base_tiles), []
    for workers in (0, 2):
        _, source = feed(root, collate, done=5, workers=workers)
        with source:
            train, val = source.train_dataloader(), source.val_dataloader()
            got.append([*train, *val])
            assert len(multiprocessing.active_children()) == 2 * workers
        # Held on to, as Lightning does.
        assert train
        assert val
        assert multiprocessing.active_children() == []
    alone, shared = got
    assert len(alone) == len(shared) == 2 + 4
    assert all(map(same, alone, shared))


def test_workers_only_where_they_pay():
    assert worker_count(10, 1) == 0
    assert 1 <= worker_count(10_000, 1) <= 8
    assert worker_count(10_000, 10_000) == 1
