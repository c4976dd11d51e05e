"""Train, validation and test splits: stratified by label, by whole groups or as in the paper."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from mayak.errors import ManifestError
from mayak.i18n import join, msg
from mayak.labels import LABELS
from mayak.types import SplitName

SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
TOLERANCE = Fraction(2, 100)
"""Largest deviation from a fraction that is neither corrected nor reported, as a share."""


@dataclass(frozen=True, slots=True)
class SplitDeviation:
    """A split whose share of the images is not the one that was asked for."""

    label: int | None
    """None for all images together."""
    split: SplitName
    share: float
    target: float


def plain_split(
    labels: Sequence[int], *, test_fraction: float, val_fraction: float, seed: int
) -> list[SplitName]:
    """Split images in this order as the paper does: scikit-learn's stratified ``train_test_split``
    for the test set, then again for the validation set out of the rest.

    Raises:
        ManifestError: a class is too small to be in all three.
    """
    from sklearn.model_selection import train_test_split

    rest_share = (1 - Fraction(str(test_fraction))) * Fraction(str(val_fraction))
    needed = math.ceil(1 / min(Fraction(str(test_fraction)), rest_share))
    splits: list[SplitName] = ["train"] * len(labels)
    try:
        rest, test = train_test_split(
            range(len(labels)), test_size=test_fraction, stratify=labels, random_state=seed
        )
        _, val = train_test_split(
            rest, test_size=val_fraction, stratify=[labels[i] for i in rest], random_state=seed
        )
    except ValueError as error:
        raise _too_few(Counter(labels), needed, msg("images")) from error
    for index in test:
        splits[index] = "test"
    for index in val:
        splits[index] = "val"
    if not _everywhere(labels, splits):
        raise _too_few(Counter(labels), needed, msg("images"))
    return splits


def grouped_split(
    labels: Sequence[int],
    groups: Sequence[str],
    *,
    test_fraction: float,
    val_fraction: float,
    seed: int,
) -> list[SplitName]:
    """Split whole groups, with the fractions of each label met as closely as possible.

    A group belongs to the label that most of its images have (the lowest of equals). Within a
    label:

    1. The groups are sorted by SHA-256(seed, group).
    2. In this order, a group is taken for the test set if it brings the number of images nearer to
       the fraction.
    3. If large groups bring it off the fraction by more than TOLERANCE, groups are added, removed
       and exchanged as long as that brings it nearer: the first in order are taken first, and the
       last are given back first.
    4. The validation set is taken from the rest in the same way.

    No random-number generator is used, so that the split is the same with every version of every
    library, and a new image changes the split of few others.

    Raises:
        ManifestError: a label has fewer than three groups.
    """
    size = Counter(groups)
    return _split_strata(
        labels,
        groups,
        lambda order: _take(order, size, test_fraction, spare=2),
        needed=len(SPLITS),
        val_fraction=val_fraction,
        seed=seed,
    )


def fold_split(
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

    Within a label the groups go, largest first and in the order of ``grouped_split``, to the fold
    that has the fewest images. The validation set is taken from the other folds as there.

    Raises:
        ManifestError: a label has fewer groups than folds, or than three.
    """
    size = Counter(groups)

    def tested(order: list[str]) -> set[str]:
        held = [0] * folds
        chosen = set()
        for group in sorted(order, key=lambda group: -size[group]):  # stable: keeps the order
            smallest = held.index(min(held))
            held[smallest] += size[group]
            if smallest == fold - 1:
                chosen.add(group)
        return chosen

    return _split_strata(
        labels,
        groups,
        tested,
        needed=max(folds, len(SPLITS)),
        val_fraction=val_fraction,
        seed=seed,
    )


def _split_strata(
    labels: Sequence[int],
    groups: Sequence[str],
    tested: Callable[[list[str]], set[str]],
    *,
    needed: int,
    val_fraction: float,
    seed: int,
) -> list[SplitName]:
    """Split each label's groups: ``tested`` chooses the test set from the groups in their order,
    the validation set is taken from the rest."""
    members: dict[str, list[int]] = defaultdict(list)
    for label, group in zip(labels, groups, strict=True):
        members[group].append(label)
    strata: dict[int, list[str]] = defaultdict(list)
    for group, its in members.items():
        strata[max(sorted(set(its)), key=its.count)].append(group)
    counts = Counter({label: len(strata[label]) for label in set(labels)})
    if min(counts.values()) < needed:
        raise _too_few(counts, needed, msg("duplicate groups"))
    chosen: dict[str, SplitName] = {}
    for stratum in strata.values():
        rest = sorted(stratum, key=lambda group: rank(seed, group))
        test = tested(rest)
        rest = [group for group in rest if group not in test]
        val = _take(rest, Counter(groups), val_fraction, spare=1)
        chosen |= dict.fromkeys(rest, "train")
        chosen |= dict.fromkeys(val, "val")
        chosen |= dict.fromkeys(test, "test")
    splits = [chosen[group] for group in groups]
    if not _everywhere(labels, splits):
        # Only near-duplicates under two labels cause this: other labels' groups took the class.
        raise _too_few(counts, needed + 1, msg("duplicate groups"))
    return splits


def rank(seed: int, group: str) -> bytes:
    """Return the sort key of a group: SHA-256(seed, group)."""
    return hashlib.sha256(f"{seed}:{group}".encode()).digest()


def _take(rest: list[str], size: Mapping[str, int], fraction: float, *, spare: int) -> set[str]:
    """Return the first groups that fill ``fraction`` of the images, leaving ``spare`` groups."""
    images = sum(size[group] for group in rest)
    target = int(images * Fraction(str(fraction)) + Fraction(1, 2))
    taken: set[str] = set()
    count = 0
    for group in rest:
        nearer = abs(count + size[group] - target) < abs(count - target)
        if nearer and len(rest) - len(taken) > spare:
            taken.add(group)
            count += size[group]
    taken = taken or {min(rest, key=lambda group: size[group])}
    if abs(sum(size[group] for group in taken) - target) > images * TOLERANCE:
        _correct(rest, taken, size, target, spare=spare)
    return taken


def _correct(
    rest: list[str], taken: set[str], size: Mapping[str, int], target: int, *, spare: int
) -> None:
    """Add, remove or exchange one group at a time while that brings the images nearer to target."""
    while True:
        excess = sum(size[group] for group in taken) - target
        # Of equal size only the first that is free and the last that is taken can move.
        gains = {size[group]: group for group in reversed(rest) if group not in taken}
        losses = {size[group]: group for group in rest if group in taken}
        moves = [(excess + more - less, more, less) for more in gains for less in losses]
        if len(rest) - len(taken) > spare:
            moves += [(excess + more, more, 0) for more in gains]
        if len(taken) > 1:
            moves += [(excess - less, 0, less) for less in losses]
        left, more, less = min(moves, key=lambda move: (abs(move[0]), move), default=(excess, 0, 0))
        if abs(left) >= abs(excess):
            return
        taken -= {losses[less]} if less else set()
        taken |= {gains[more]} if more else set()


def deviations(
    labels: Sequence[int],
    splits: Sequence[SplitName],
    *,
    test_fraction: float,
    val_fraction: float,
) -> tuple[SplitDeviation, ...]:
    """Return the test and validation sets, of all images and of each label, that deviate from their
    share of the images by more than TOLERANCE and by at least one image."""
    test, val = Fraction(str(test_fraction)), Fraction(str(val_fraction))
    wanted: dict[SplitName, Fraction] = {"test": test, "val": (1 - test) * val}
    found = []
    for label in (None, *sorted(set(labels))):
        its = [s for at, s in zip(labels, splits, strict=True) if label is None or at == label]
        for split, target in wanted.items():
            share = Fraction(its.count(split), len(its))
            if abs(share - target) > TOLERANCE and abs(share - target) * len(its) >= 1:
                found.append(SplitDeviation(label, split, float(share), float(target)))
    return tuple(found)


def _everywhere(labels: Sequence[int], splits: Sequence[SplitName]) -> bool:
    return len(set(zip(labels, splits, strict=True))) == len(set(labels)) * len(SPLITS)


def _too_few(counts: Counter[int], needed: int, unit: str) -> ManifestError:
    listed = join(
        "; ",
        [
            msg(
                "{folder}: has {counts}, needs {needed}",
                folder=LABELS[label].folder,
                counts=counts[label],
                needed=needed,
            )
            for label in sorted(counts)
            if counts[label] < needed
        ],
    ) or msg("{needed} a class are needed", needed=needed)
    return ManifestError(
        msg("too few {unit} for train, validation and test ({listed})", unit=unit, listed=listed),
        remedy=msg("add images that are not copies of the ones there, or use --test-only"),
    )
