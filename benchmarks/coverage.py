"""How often the intervals contain the truth: ``python benchmarks/coverage.py [--repeats N]``.

Draws runs with a known accuracy, or two paired runs with a known difference, and counts in how many
the 95 % interval of ``mayak.metrics`` contains it. Sizes of test sets, of duplicate groups (1 to 20
images) and the correlation of answers within a group vary. Correlated answers are drawn in two
ways: each group has an accuracy of its own from a beta distribution (``beta``), or a part of the
groups gets one answer for all its images while the others are independent (``alike``).
Correlation 1, identical answers in each group, is the hard case. The kinds of runs with the lowest
coverage are drawn again, ten times as often.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mayak.metrics import MIN_GROUPS, difference_limits, share_limits

Floats = NDArray[np.float64]

IMAGES = (60, 100, 200, 500, 2000)
SHAPES = ("single", "half", "uneven", "largest")
ACCURACIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.9634, 0.98, 0.99)
CHANGES = ((0.01, 0.01), (0.02, 0.0), (0.05, 0.01), (0.1, 0.1), (0.3, 0.02), (0.46, 0.01))
"""Shares of images that the second run puts right and makes wrong."""
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
LARGEST = 20
BLOCK = 4_000_000
"""Groups drawn at once, which bounds the memory."""


@dataclass(frozen=True)
class Scenario:
    """A kind of run to draw."""

    images: int
    shape: str
    truth: float | tuple[float, float]
    """Accuracy; or shares gained and lost."""
    way: str
    correlation: float
    repeats: int

    def coverage(self, seed: int) -> tuple[float, float]:
        """Return the share of intervals that contain the truth, and their mean width."""
        rng = np.random.default_rng([seed, self.images, *self.shape.encode()])
        sizes = group_sizes(self.images, self.shape)
        inside = width = 0.0
        left = self.repeats
        while left:
            count = min(left, max(1, BLOCK // len(sizes)))
            low, high, truth = self._limits(sizes, count, rng)
            inside += float(((low <= truth) & (truth <= high)).sum())
            width += float((high - low).sum())
            left -= count
        return inside / self.repeats, width / self.repeats

    def _limits(
        self, sizes: NDArray[np.int64], count: int, rng: np.random.Generator
    ) -> tuple[Floats, Floats, float]:
        if isinstance(self.truth, tuple):
            gained, lost = self.truth
            changed = drawn(sizes, (gained, lost, 1 - gained - lost), self, count, rng)
            low, high, _ = difference_limits(changed[0], changed[1], sizes.astype(float))
            return low, high, gained - lost
        hits = drawn(sizes, (self.truth, 1 - self.truth), self, count, rng)[0]
        low, high, _ = share_limits(hits, sizes.astype(float))
        return low, high, self.truth


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
    sizes: NDArray[np.int64],
    shares: tuple[float, ...],
    how: Scenario,
    count: int,
    rng: np.random.Generator,
) -> list[Floats]:
    """Return for each kind of answer but the last the number of images, (count, groups)."""
    left = np.broadcast_to(sizes, (count, len(sizes)))
    alike = rng.random(left.shape) < (how.correlation if how.way == "alike" else 0.0)
    only = rng.choice(len(shares), size=left.shape, p=shares)
    counts, rest = [], 1.0
    for kind, share in enumerate(shares[:-1]):
        chance = np.full(left.shape, share / rest)
        if how.way == "beta" and how.correlation and share > 0:
            # A Dirichlet distribution, one cell after the other.
            spread = 1 / how.correlation - 1
            chance = rng.beta(share * spread, (rest - share) * spread, size=left.shape)
        taken = rng.binomial(left, chance)
        counts.append(np.where(alike, sizes * (only == kind), taken).astype(float))
        left, rest = left - taken, rest - share
    return counts


def scenarios(repeats: int) -> list[Scenario]:
    """Return all kinds of runs: shares, then differences."""
    return [
        Scenario(images, shape, truth, way, correlation, repeats)
        for truths in (ACCURACIES, CHANGES)
        for images in IMAGES
        for shape in SHAPES
        for truth in truths
        for way, correlation in (CORRELATIONS if shape != "single" else CORRELATIONS[:1])
    ]


def main() -> None:
    """Draw, count, print a table by size and shape, and the lowest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2000)
    asked = parser.parse_args()
    found = [(*how.coverage(1), how) for how in scenarios(asked.repeats)]
    for name, kind in (("share", float), ("difference", tuple)):
        rows = [row for row in found if isinstance(row[2].truth, kind)]
        print(f"{name}: {len(rows)} kinds of runs; lowest and mean coverage, mean width")
        for images in IMAGES:
            for shape in SHAPES:
                cell = [(c, w) for c, w, h in rows if (h.images, h.shape) == (images, shape)]
                lowest, mean = min(c for c, _ in cell), np.mean([c for c, _ in cell])
                width = np.mean([w for _, w in cell])
                print(f"{images:5} {shape:8} {lowest:.4f} {mean:.4f} {width:.4f}")
        rows.sort(key=lambda row: row[0])
        for coverage, _, how in rows[:5]:
            again, width = replace(how, repeats=10 * asked.repeats).coverage(2)
            print(json.dumps(vars(how) | {"coverage": [coverage, again], "width": width}))


if __name__ == "__main__":
    main()
