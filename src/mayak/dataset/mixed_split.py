"""Splits of groups that hold images of several labels, such as everything from one phone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from mayak.dataset.split import SPLITS, rank
from mayak.errors import ManifestError
from mayak.i18n import msg
from mayak.labels import LABELS
from mayak.types import SplitName

_EXCHANGED, _COMPARED = 20, 20_000
"""Groups that are exchanged, and others that these are compared with in all, at most: with
thousands of small groups none needs to be exchanged."""


def mixed_split(
    labels: Sequence[int],
    groups: Sequence[str],
    *,
    test_fraction: float,
    val_fraction: float,
    seed: int,
) -> list[SplitName]:
    """Split whole groups, with the fractions of all labels met as closely as possible together.

    1. The groups are sorted by SHA-256(seed, group).
    2. In this order, a group is taken for the test set if it brings the shares of the labels nearer
       to the fraction (the sum of the squared differences), and leaves two groups of each label.
    3. A label that the test set still lacks takes its group that costs least.
    4. Each of the last groups that were taken is exchanged for the one that fits best instead.
    5. The validation set is taken from the rest in the same way, and leaves one group.

    Raises:
        ManifestError: a label is in too few groups to be in all three splits.
    """
    members = _members(labels, groups, seed)
    return _split(labels, groups, members, _take(members, test_fraction, spare=2), val_fraction)


def mixed_fold(
    labels: Sequence[int],
    groups: Sequence[str],
    *,
    fold: int,
    folds: int,
    val_fraction: float,
    seed: int,
) -> list[SplitName]:
    """Return the splits of one fold (1 …) of a cross-validation: each group is in the test set of
    one fold, and the folds have about as many images of each label.

    The groups go, largest first and in the order of ``mixed_split``, to the fold whose shares of
    the labels grow least (the sum of their squares). The validation set is taken from the other
    folds as there.

    Raises:
        ManifestError: a label is in too few groups to be in all three splits of the fold.
    """
    members = _members(labels, groups, seed)
    total = sum(members.values(), Counter[int]())
    held = [Counter[int]() for _ in range(folds)]
    tested = []

    def growth(held: Counter[int], its: Counter[int]) -> float:
        return sum(n * (n + 2 * held[label]) / total[label] ** 2 for label, n in its.items())

    # Stable, so that groups of one size keep their order.
    for group, its in sorted(members.items(), key=lambda item: -item[1].total()):
        least = min(range(folds), key=lambda one: growth(held[one], its))
        held[least].update(its)
        if least == fold - 1:
            tested.append(group)
    return _split(labels, groups, members, tested, val_fraction)


def _members(labels: Sequence[int], groups: Sequence[str], seed: int) -> dict[str, Counter[int]]:
    """Return the images of each label in each group, the groups in the order of their ranks."""
    members: dict[str, Counter[int]] = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        members[group][label] += 1
    return {group: members[group] for group in sorted(members, key=lambda one: rank(seed, one))}


def _split(
    labels: Sequence[int],
    groups: Sequence[str],
    members: dict[str, Counter[int]],
    tested: Sequence[str],
    val_fraction: float,
) -> list[SplitName]:
    """Return the split of each image: ``tested`` are the test set's groups, the validation set is
    taken from the rest."""
    chosen: dict[str, SplitName] = dict.fromkeys(members, "train")
    chosen |= dict.fromkeys(tested, "test")
    rest = {group: its for group, its in members.items() if chosen[group] == "train"}
    chosen |= dict.fromkeys(_take(rest, val_fraction, spare=1), "val")
    found = [chosen[group] for group in groups]
    if len(set(zip(labels, found, strict=True))) < len(set(labels)) * len(SPLITS):
        raise _too_few(members)
    return found


def _take(rest: dict[str, Counter[int]], fraction: float, *, spare: int) -> list[str]:
    """Return the groups to take, each of which leaves ``spare`` others of its labels."""
    total = sum(rest.values(), Counter[int]())
    holders = Counter(label for its in rest.values() for label in its)
    taken: dict[str, None] = {}
    held: Counter[int] = Counter()

    def cost(held: Counter[int]) -> float:
        return sum((held[label] / total[label] - fraction) ** 2 for label in sorted(total))

    def take(group: str) -> None:
        taken[group] = None
        held.update(rest[group])
        holders.subtract(rest[group].keys())

    def untake(group: str) -> None:
        del taken[group]
        held.subtract(rest[group])
        holders.update(rest[group].keys())

    def is_spare(group: str) -> bool:
        return all(holders[label] > spare for label in rest[group])

    for group, its in rest.items():
        if is_spare(group) and cost(held + its) < cost(held):
            take(group)
    for label in sorted(total):
        others = [group for group in rest if label in rest[group] and is_spare(group)]
        if not held[label] and others:
            take(min(others, key=lambda group: cost(held + rest[group])))
    exchanged = min(_EXCHANGED, _COMPARED // max(len(rest), 1))
    for group in list(taken)[len(taken) - min(exchanged, len(taken)) :]:
        present = {label for label in held if held[label]}
        untake(group)
        others = [
            other
            for other in rest
            if other not in taken and is_spare(other) and present <= (held + rest[other]).keys()
        ]
        take(min(others, key=lambda other: cost(held + rest[other])))
    return list(taken)


def _too_few(members: dict[str, Counter[int]]) -> ManifestError:
    held = Counter(label for its in members.values() for label in its)
    listed = ", ".join(f"{LABELS[label].folder}: {held[label]}" for label in sorted(held))
    return ManifestError(
        msg(
            "no division of the groups of images was found in which train, validation and test "
            "have every label (groups with each label: {listed})",
            listed=listed,
        ),
        remedy=msg("add images of other origins, use finer ones, fewer --folds or another --seed"),
    )
