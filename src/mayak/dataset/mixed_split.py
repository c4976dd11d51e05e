"""Splits of groups that hold images of several labels, such as everything from one phone."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from mayak.dataset.split import SPLITS
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
    members: dict[str, Counter[int]] = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        members[group][label] += 1
    rest = {group: members[group] for group in sorted(members, key=lambda one: _rank(seed, one))}
    chosen: dict[str, SplitName] = dict.fromkeys(rest, "train")
    splits: tuple[tuple[SplitName, float, int], ...] = (
        ("test", test_fraction, 2),
        ("val", val_fraction, 1),
    )
    for split, fraction, spare in splits:
        for group in _take(rest, fraction, spare):
            chosen[group] = split
            del rest[group]
    found = [chosen[group] for group in groups]
    if len(set(zip(labels, found, strict=True))) < len(set(labels)) * len(SPLITS):
        raise _too_few(members)
    return found


def _rank(seed: int, group: str) -> bytes:
    return hashlib.sha256(f"{seed}:{group}".encode()).digest()


def _take(rest: dict[str, Counter[int]], fraction: float, spare: int) -> list[str]:
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
            "the groups of images cannot be divided so that train, validation and test have every "
            "label (groups with each label: {listed})",
            listed=listed,
        ),
        remedy=msg("add images of other origins, use finer ones, or use --test-only"),
    )
