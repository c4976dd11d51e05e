"""Train, validation and test splits: stratified by label, by whole groups or as in the paper."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction

from mayak.errors import ManifestError
from mayak.i18n import join, msg
from mayak.labels import LABELS
from mayak.types import SplitName

SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


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
    3. The validation set is taken from the rest in the same way.

    No random-number generator is used, so that the split is the same with every version of every
    library, and a new image changes the split of few others.

    Raises:
        ManifestError: a label has fewer than three groups.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for label, group in zip(labels, groups, strict=True):
        members[group].append(label)
    strata: dict[int, list[str]] = defaultdict(list)
    for group, its in members.items():
        strata[max(sorted(set(its)), key=its.count)].append(group)
    counts = Counter({label: len(strata[label]) for label in set(labels)})
    if min(counts.values()) < len(SPLITS):
        raise _too_few(counts, len(SPLITS), msg("duplicate groups"))
    chosen: dict[str, SplitName] = {}
    for stratum in strata.values():
        rest = sorted(stratum, key=lambda group: _rank(seed, group))
        size = {group: len(members[group]) for group in rest}
        test = _take(rest, size, test_fraction, spare=2)
        rest = [group for group in rest if group not in test]
        val = _take(rest, size, val_fraction, spare=1)
        chosen |= dict.fromkeys(rest, "train")
        chosen |= dict.fromkeys(val, "val")
        chosen |= dict.fromkeys(test, "test")
    splits = [chosen[group] for group in groups]
    if not _everywhere(labels, splits):
        # Only near-duplicates under two labels cause this: other labels' groups took the class.
        raise _too_few(counts, len(SPLITS) + 1, msg("duplicate groups"))
    return splits


def _rank(seed: int, group: str) -> bytes:
    return hashlib.sha256(f"{seed}:{group}".encode()).digest()


def _take(rest: list[str], size: dict[str, int], fraction: float, *, spare: int) -> set[str]:
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
    return taken or {min(rest, key=lambda group: size[group])}


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
