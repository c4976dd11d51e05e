from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mayak.dataset.mixed_split import mixed_fold, mixed_split
from mayak.errors import ManifestError

FRACTIONS = {"test_fraction": 0.15, "val_fraction": 0.15}


def phones(count, seed):
    """Labels and phones of images: each phone has of each label none to thirty."""
    rng = np.random.default_rng(seed)
    rows = [
        (label, f"phone-{phone:02d}")
        for phone in range(count)
        for label in range(4)
        for _ in range(rng.integers(0, 31))
    ]
    labels, groups = zip(*rows, strict=True)
    return list(labels), list(groups)


@pytest.mark.parametrize("seed", range(5))
def test_whole_phones_are_split_and_every_label_is_near_its_share(seed):
    labels, groups = phones(60, seed)

    splits = mixed_split(labels, groups, seed=42, **FRACTIONS)

    assert all(len(its) == 1 for its in split_sets(groups, splits).values())
    found, total = Counter(zip(labels, splits, strict=True)), Counter(labels)
    for label in range(4):
        assert found[label, "test"] / total[label] == pytest.approx(0.15, abs=0.03)
        assert found[label, "val"] / total[label] == pytest.approx(0.1275, abs=0.03)


def test_folds_test_each_phone_once_and_have_every_label_alike():
    labels, groups = phones(60, 3)
    folds = [
        mixed_fold(labels, groups, fold=fold, folds=5, val_fraction=0.15, seed=42)
        for fold in range(1, 6)
    ]
    tested = [[split == "test" for split in splits] for splits in folds]
    assert all(sum(column) == 1 for column in zip(*tested, strict=True))
    for splits in folds:
        assert all(len(its) == 1 for its in split_sets(groups, splits).values())
        found = Counter(zip(labels, splits, strict=True))
        for label, total in Counter(labels).items():
            assert found[label, "test"] / total == pytest.approx(0.2, abs=0.03)
            assert found[label, "val"] / total == pytest.approx(0.12, abs=0.03)


def test_a_division_that_is_not_found_is_not_called_impossible():
    with pytest.raises(ManifestError, match="no division of the groups of images was found"):
        mixed_fold([0, 1], ["a", "a"], fold=1, folds=2, val_fraction=0.15, seed=42)


def split_sets(groups, splits):
    sets = {}
    for group, split in zip(groups, splits, strict=True):
        sets.setdefault(group, set()).add(split)
    return sets


def test_neither_the_order_nor_another_seed_parts_a_phone():
    labels, groups = phones(20, 1)
    first = dict(zip(groups, mixed_split(labels, groups, seed=1, **FRACTIONS), strict=True))
    again = mixed_split(labels[::-1], groups[::-1], seed=1, **FRACTIONS)
    assert first == dict(zip(groups[::-1], again, strict=True))
    assert first != dict(zip(groups, mixed_split(labels, groups, seed=2, **FRACTIONS), strict=True))


def test_a_rare_label_is_in_every_split():
    labels, groups = phones(20, 1)
    labels += [2] * 3
    groups += ["phone-03", "phone-07", "phone-11"]
    rare = [
        3 if label == 2 and number < len(labels) - 3 else label
        for number, label in enumerate(labels)
    ]
    found = mixed_split(rare, groups, seed=42, **FRACTIONS)
    assert {split for label, split in zip(rare, found, strict=True) if label == 2} == {
        "train",
        "val",
        "test",
    }


def test_a_label_on_two_phones_cannot_be_in_three_splits():
    labels, groups = [0, 1] * 3, ["a", "a", "b", "b", "c", "c"]
    assert set(mixed_split(labels, groups, seed=42, **FRACTIONS)) == {"train", "val", "test"}
    labels[5] = 0
    with pytest.raises(ManifestError, match="1_chat_history: 2"):
        mixed_split(labels, groups, seed=42, **FRACTIONS)
