"""How often the intervals contain the truth: ``python benchmarks/coverage.py [--repeats N]``.

Draws runs with a known accuracy, or two paired runs with a known difference, and counts in how many
the 95 % interval of ``mayak.metrics`` contains it. Sizes of test sets, of duplicate groups (1 to 20
images) and the correlation of answers within a group vary. Correlated answers are drawn in two
ways: each group has an accuracy of its own from a beta distribution (``beta``), or a part of the
groups gets one answer for all its images while the others are independent (``alike``).
Correlation 1, identical answers in each group, is the hard case.

Three parts: (``fixed``) sizes are given, and accuracy does not depend on them. (``drawn``) groups
are drawn at random, and accuracy or change moves with their size, from single images to groups of
20. If large groups are rare, a test set may have none, and no method can know what they are like.
(``few``) the same with fewer than 20 groups; such figures are marked. The kinds of runs with the
lowest coverage of each shape and size are drawn again, ten times as often.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mayak.metrics import MIN_GROUPS, difference_limits, share_limits

Floats = NDArray[np.float64]
Shares = tuple[float, ...]

IMAGES = (60, 100, 200, 500, 2000)
FEW = (15, 30, 55)
"""Images of 5, 10 and 18 or 19 groups."""
SHAPES = ("single", "half", "uneven", "largest")
LARGEST = 20
SIZES = np.arange(1, LARGEST + 1)
DRAWN = {
    "tenth": np.array([0.9, *[0.0] * 18, 0.1]),
    "thirtieth": np.array([29 / 30, *[0.0] * 18, 1 / 30]),
    "geometric": (2 / 3) ** SIZES / ((2 / 3) ** SIZES).sum(),
}
"""Probabilities of the sizes of groups drawn at random."""
ACCURACIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.9634, 0.98, 0.99)
CHANGES = ((0.01, 0.01), (0.02, 0.0), (0.05, 0.01), (0.1, 0.1), (0.3, 0.02), (0.46, 0.01))
"""Shares of images that the second run puts right and makes wrong."""
BY_SIZE: tuple[tuple[Shares, Shares], ...] = (
    ((0.99,), (0.9,)),
    ((0.99,), (0.79,)),
    ((0.99,), (0.6,)),
    ((0.95,), (0.8,)),
    ((0.9,), (0.5,)),
    ((0.8,), (0.8,)),
    ((0.5,), (0.8,)),
    ((0.8,), (0.95,)),
    ((0.01, 0.01), (0.1, 0.01)),
    ((0.01, 0.01), (0.4, 0.01)),
    ((0.02, 0.01), (0.01, 0.2)),
    ((0.3, 0.02), (0.05, 0.02)),
    ((0.1, 0.1), (0.1, 0.1)),
    ((0.46, 0.01), (0.01, 0.46)),
)
"""Accuracy, or shares gained and lost, of single images and in groups of 20."""
CORRELATIONS = (
    ("beta", 0.0),
    ("beta", 0.1),
    ("beta", 0.3),
    ("beta", 0.6),
    ("beta", 0.9),
    ("alike", 0.3),
    ("alike", 0.6),
    ("alike", 1.0),
)
SOME = (("beta", 0.0), ("beta", 0.3), ("beta", 0.9), ("alike", 1.0))
BLOCK = 4_000_000
"""Groups drawn at once, which bounds the memory."""


@dataclass(frozen=True)
class Scenario:
    """A kind of run to draw."""

    part: str
    images: int
    shape: str
    alone: Shares
    """Accuracy, or shares gained and lost, of single images."""
    large: Shares
    """The same in groups of 20."""
    way: str
    correlation: float
    repeats: int

    def coverage(self, seed: int) -> tuple[float, float]:
        """Return the share of intervals that contain the truth, and their mean width."""
        rng = np.random.default_rng([seed, self.images, *self.shape.encode()])
        inside = width = 0.0
        left = self.repeats
        while left:
            count = min(left, max(1, BLOCK // len(self._sizes(1, rng)[0])))
            low, high = self._limits(self._sizes(count, rng), rng)
            inside += float(((low <= self.truth) & (self.truth <= high)).sum())
            width += float((high - low).sum())
            left -= count
        return inside / self.repeats, width / self.repeats

    @property
    def truth(self) -> float:
        """Accuracy, or difference, over all images that could be drawn."""
        chances = DRAWN.get(self.shape)
        images = SIZES == 1 if chances is None else chances * SIZES
        right, *lost = ((images * part).sum() / images.sum() for part in self._shares(SIZES))
        return float(right - sum(lost))

    def _sizes(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the sizes of the groups of each run (count, groups)."""
        if self.shape in DRAWN:
            chances = DRAWN[self.shape]
            n_groups = round(self.images / float(chances @ SIZES))
            return rng.choice(SIZES, p=chances, size=(count, n_groups))
        sizes = group_sizes(self.images, self.shape)
        return np.broadcast_to(sizes, (count, len(sizes)))

    def _shares(self, sizes: NDArray[np.int64]) -> list[Floats]:
        weight = (sizes - 1) / (LARGEST - 1)
        pairs = zip(self.alone, self.large, strict=True)
        return [one + weight * (other - one) for one, other in pairs]

    def _limits(self, sizes: NDArray[np.int64], rng: np.random.Generator) -> tuple[Floats, Floats]:
        counts = drawn(sizes, self._shares(sizes), self, rng)
        limits = share_limits if len(counts) == 1 else difference_limits
        low, high, _ = limits(*counts, sizes.astype(float))
        return low, high


def group_sizes(images: int, shape: str) -> NDArray[np.int64]:
    """Return the sizes of at least 20 groups: ``single`` images; ``half`` of the images in groups
    of 20; ``uneven`` from 1 to at most 20; ``largest``: as many groups of 20 as possible."""
    if shape == "uneven":
        cycle = np.arange(1, min(LARGEST, 2 * images // MIN_GROUPS - 1) + 1)
        sizes = np.resize(cycle, images)
        return sizes[: int(np.searchsorted(sizes.cumsum(), images)) + 1]
    most = (images - MIN_GROUPS) // (LARGEST - 1)
    large = {"single": 0, "half": images // (2 * LARGEST), "largest": most}[shape]
    large = min(large, images // LARGEST)
    return np.array([LARGEST] * large + [1] * (images - LARGEST * large))


def drawn(
    sizes: NDArray[np.int64], shares: list[Floats], how: Scenario, rng: np.random.Generator
) -> list[Floats]:
    """Return for each kind of answer the number of images, (count, groups). ``shares``: of each
    kind in a group; the rest is another kind."""
    alike = rng.random(sizes.shape) < (how.correlation if how.way == "alike" else 0.0)
    only = rng.random(sizes.shape)
    counts, left, rest = [], sizes, np.ones(sizes.shape)
    for share in shares:
        chance = np.minimum(share / rest, 1.0)
        if how.way == "beta" and how.correlation and (share > 0).all():
            # A Dirichlet distribution, one cell after the other.
            spread = 1 / how.correlation - 1
            chance = rng.beta(share * spread, (rest - share) * spread)
        taken = rng.binomial(left, chance)
        is_kind = (only > rest - share) & (only <= rest)
        counts.append(np.where(alike, sizes * is_kind, taken).astype(float))
        left, rest = left - taken, rest - share
    return counts


def scenarios(repeats: int) -> list[Scenario]:
    """Return all kinds of runs: with sizes that are given, then with groups drawn at random."""
    truths: list[Shares] = [*((accuracy,) for accuracy in ACCURACIES), *CHANGES]
    fixed = [
        Scenario("fixed", images, shape, truth, truth, way, correlation, repeats)
        for truth in truths
        for images in IMAGES
        for shape in SHAPES
        for way, correlation in (CORRELATIONS if shape != "single" else CORRELATIONS[:1])
    ]
    return fixed + [
        Scenario(part(images, shape), images, shape, alone, large, way, correlation, repeats)
        for alone, large in BY_SIZE
        for images in (*FEW, *IMAGES)
        for shape in DRAWN
        for way, correlation in SOME
    ]


def part(images: int, shape: str) -> str:
    """Return the part of runs whose groups are drawn."""
    n_groups = images / float(DRAWN[shape] @ SIZES)
    return "few" if round(n_groups) < MIN_GROUPS else "drawn"


def main() -> None:
    """Draw, count, and print a table for each part and shape with its lowest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2000)
    asked = parser.parse_args()
    tables: dict[tuple[str, str, str], list[tuple[float, float, Scenario]]] = {}
    for how in scenarios(asked.repeats):
        figure = "share" if len(how.alone) == 1 else "difference"
        rows = tables.setdefault((figure, how.part, how.shape), [])
        rows.append((*how.coverage(1), how))
    for key, rows in tables.items():
        print(", ".join(key) + f": {len(rows)} kinds; by images: lowest coverage, mean, mean width")
        for images in sorted({how.images for _, _, how in rows}):
            cell = [row for row in rows if row[2].images == images]
            coverages, widths, _ = zip(*cell, strict=True)
            lowest, _, how = min(cell, key=lambda row: row[0])
            again, _ = replace(how, repeats=10 * asked.repeats).coverage(2)
            print(
                f"{images:5} {lowest:.4f} {np.mean(coverages):.4f} {np.mean(widths):.4f} "
                f"drawn again: {again:.4f}",
                json.dumps([how.alone, how.large, how.way, how.correlation]),
            )


if __name__ == "__main__":
    main()
