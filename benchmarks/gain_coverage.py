"""How often the intervals of the gain curve contain the truth: ``python benchmarks/gain_coverage.py
[--repeats N]``.

Draws test sets of duplicate groups (1 to 3 images with nearly equal scores), two fifths of them
irrelevant, whose scores overlap with those of the three classes. The truth, recall at each share
viewed and AUROC, is that of 400,000 groups.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from numpy.typing import NDArray

from mayak.evaluation.gain import PERCENT, RELEVANT, aurocs, gain_curves

GROUPS = (60, 250)
MANY = 400_000
CLASSES = (0.4, 0.2, 0.2, 0.2)
MEANS = np.array([2.0, -1.0, -2.0, -1.5])
"""Of each class's logit of being irrelevant."""
SPREAD, WITHIN = 1.3, 0.2
"""Standard deviation between groups, and within one."""

Drawn = tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]]


def drawn(rng: np.random.Generator, groups: int) -> Drawn:
    """Return labels (N,), groups (N,) and scores (N, 4) of a test set."""
    labels = rng.choice(4, groups, p=CLASSES)
    place = np.repeat(np.arange(groups), rng.integers(1, 4, groups))
    logits = rng.normal(MEANS[labels], SPREAD)[place] + rng.normal(0, WITHIN, len(place))
    scores = np.zeros((len(place), 4))
    scores[:, 0] = 1 / (1 + np.exp(-logits))
    return labels[place], place.astype(str), scores


def main() -> None:
    """Draw, count, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=400)
    asked = parser.parse_args()
    rng = np.random.default_rng(3)
    labels, _, scores = drawn(rng, MANY)
    order = np.argsort(scores[:, 0])
    ranked = labels[order]
    targets = {RELEVANT: ranked != 0} | {str(label): ranked == label for label in (1, 2, 3)}
    ends = [-(-percent * len(ranked) // 100) - 1 for percent in PERCENT]
    truth = {key: (mask.cumsum() / mask.sum())[ends] for key, mask in targets.items()}
    is_relevant = ranked != 0
    found, wrong = is_relevant.cumsum() / is_relevant.sum(), (~is_relevant).cumsum()
    area = np.trapezoid(found, wrong / wrong[-1])
    for groups in GROUPS:
        hits = {key: np.zeros(len(PERCENT)) for key in truth}
        n_areas = 0
        for _ in range(asked.repeats):
            labels, names, scores = drawn(rng, groups)
            for key, curve in gain_curves(labels, names, np.argsort(scores[:, 0])).items():
                low, high = np.array(curve.bounds).T
                hits[key] += (low <= truth[key] + 1e-12) & (truth[key] <= high + 1e-12)
            one = aurocs(labels, scores, names)[RELEVANT]
            n_areas += one is not None and one.interval.low <= area <= one.interval.high
        coverage = {key: hit[:-1] / asked.repeats for key, hit in hits.items()}
        print(
            json.dumps(
                {
                    "groups": groups,
                    "lowest": {key: round(float(part.min()), 4) for key, part in coverage.items()},
                    "mean": {key: round(float(part.mean()), 4) for key, part in coverage.items()},
                    "auroc": n_areas / asked.repeats,
                    "true auroc": round(float(area), 4),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
