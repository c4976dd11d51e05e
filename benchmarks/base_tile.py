"""What teaching the base tile alone is worth: ``python benchmarks/base_tile.py DEMO PLACE``.

Trains nano on the data of a ``mayak demo`` without and with ``base_tile``, for the same number of
steps, and reads fresh synthetic images (seeds of their own) with all three tiers. Thresholds are
set on the ``val`` images as ``mayak calibrate`` sets them; with ``--test`` they are then held
against images that decided nothing, and against the style that nothing was trained on. What is in
PLACE already is not made again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from mayak.config import FINAL, load_train_config
from mayak.dataset.manifest import FILES, Manifest, read_manifest
from mayak.evaluation.calibrate import ManifestScorer, RiskTarget, fit_head, risk_bound
from mayak.model import load_model
from mayak.model.cascade import log_odds
from mayak.training import train
from mayak.types import Sample, SilentProgress
from risk_bound import CONFIDENCE, drawn

ALPHAS = (0.01, 0.05)
SETS = {"val": ("base", 201), "test": ("base", 202), "heldout": ("heldout", 203)}
"""Style and seed of what is drawn."""

Read = tuple[list[Sample], NDArray[np.float64]]


def main() -> None:
    """Draw, train, read, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path, help="folder that `mayak demo` made")
    parser.add_argument("place", type=Path, help="folder for images and adapters")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--test", action="store_true", help="read the test images too")
    asked = parser.parse_args()
    sets = {}
    for name in SETS if asked.test else ["val"]:
        style, seed = SETS[name]
        path = asked.place / name / "data" / FILES["test"]
        count = asked.images if style == "base" else asked.images // 4
        sets[name] = read_manifest(
            path if path.exists() else drawn(asked.place / name, count, seed, style)
        )
    data = asked.demo / "data"
    for seed in asked.seeds:
        for base_tile in (False, True):
            output = asked.place / f"base_tile-{base_tile}-{seed}"
            if not (output / FINAL).exists():
                config = load_train_config("nano", {"base_tile": base_tile, "seed": seed})
                result = train(config, data=data, output=output, device="cpu").summary()
                del result["losses"]
                print(json.dumps(result), flush=True)
            report(output / FINAL, read_manifest(data / FILES["train"]), sets)


def report(adapter: Path, trained: Manifest, sets: dict[str, Manifest]) -> None:
    """Print what an adapter's tiers make of each set, and of the thresholds that the first sets."""
    vlm = load_model("nano", adapter=adapter, device="cpu")
    with ManifestScorer(vlm, 8, SilentProgress()) as reader:
        head = fit_head(*reader.pooled_features(trained))
        found = {name: reader.all_tiers(manifest, head) for name, manifest in sets.items()}
    limits: dict[float, tuple[float, ...] | None] = {}
    for alpha in ALPHAS:
        samples, logits = found["val"]
        target = RiskTarget(alpha, CONFIDENCE)
        bound, _ = risk_bound(samples, logits, odds_of(logits), target)
        limits[alpha] = bound and tuple(np.inf if t is None else t for t in bound.thresholds)
    for name, read in found.items():
        told = {f"alpha {alpha}": kept and cascade(read, kept) for alpha, kept in limits.items()}
        row = {"adapter": adapter.parent.name, "set": name, **quality(read), **told}
        print(json.dumps(row), flush=True)


def odds_of(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds (3, N) of being irrelevant from logits (3, N, 4)."""
    return np.stack([log_odds(torch.from_numpy(part)).numpy() for part in logits])


def quality(read: Read) -> dict[str, Any]:
    """Each tier's area under the curve of relevant against irrelevant, and accuracy of labels."""
    samples, logits = read
    labels = np.array([sample.label for sample in samples])
    areas = [roc_auc_score(labels == 0, part) for part in odds_of(logits)]
    right = (logits.argmax(axis=2) == labels).mean(axis=1)
    return {
        "images": len(labels),
        "auc": [round(float(area), 5) for area in areas],
        "accuracy": [round(float(share), 4) for share in right],
    }


def cascade(read: Read, limits: tuple[float, ...]) -> dict[str, Any]:
    """What tiers 0 and 1 dismiss above these log-odds."""
    _, logits = read
    above = np.array(limits) < odds_of(logits)[:2].T
    relevant = logits[2].argmax(axis=1) != 0
    first, gone = above[:, 0], above.any(axis=1)
    shares = (first, gone & ~first, ~gone)
    return {
        "tier 1 asked": bool(np.isfinite(limits[1])),
        "decided by tier": [round(float(share.mean()), 4) for share in shares],
        "irrelevant dismissed": round(float(gone[~relevant].mean()), 4),
        "relevant lost": f"{int((gone & relevant).sum())} of {int(relevant.sum())}",
    }


if __name__ == "__main__":
    main()
