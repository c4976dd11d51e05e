"""Whether the cascade's promise holds: ``python benchmarks/risk_bound.py ADAPTER [--images N]``.

Draws fresh synthetic images (seeds of its own), reads them with all three tiers of nano and an
adapter that ``mayak demo`` made, and takes them for the world: a hundred times it draws images from
them (with replacement, so that draws are independent) and calibrates on these. In how many is the
share that is lost of all relevant images at most alpha, which is known exactly? Then the same
thresholds on images of the style that the adapter was never trained on: what is lost there, and
does the drift check warn? The training images of the demo's folder fit the head.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mayak.dataset import PrepareOptions, prepare
from mayak.dataset.manifest import FILES, read_manifest
from mayak.evaluation.calibrate import ManifestScorer, fit_head
from mayak.model import load_model
from mayak.model.cascade import log_odds
from mayak.model.risk_control import choose_thresholds, drift
from mayak.types import SilentProgress
from mayak_synthetic.raw_folder import generate

TIMES = 100
DRAWN = 1200
"""Images of one calibration."""
CONFIDENCE = 0.95
ALPHAS = (0.01, 0.02, 0.05)


def drawn(folder: Path, count: int, seed: int, style: str) -> Path:
    """A manifest of ``count`` images, two fifths of them irrelevant."""
    few = count // 5
    counts = {0: count - 3 * few, 1: few, 2: few, 3: few}
    generate(folder / "raw", counts, seed=seed, style=style, workers=2, progress=SilentProgress())
    options = PrepareOptions(
        raw=folder / "raw", data=folder / "data", workers=2, seed=seed, test_only=True
    )
    prepare(options, progress=SilentProgress())
    return folder / "data" / FILES["test"]


def main() -> None:
    """Draw, read, resample, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("adapter", type=Path, help="demo/outputs/final_model_checkpoint")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--shifted", type=int, default=250)
    asked = parser.parse_args()
    demo = asked.adapter.parent.parent
    torch.set_num_threads(1)
    vlm = load_model("nano", adapter=asked.adapter, device="cpu")
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    with (
        tempfile.TemporaryDirectory() as place,
        ManifestScorer(vlm, 8, SilentProgress()) as reader,
    ):
        head = fit_head(*reader.pooled_features(read_manifest(demo / "data" / FILES["train"])))
        for style, count, seed in (("base", asked.images, 101), ("heldout", asked.shifted, 102)):
            manifest = read_manifest(drawn(Path(place) / style, count, seed, style))
            _, logits = reader.all_tiers(manifest, head)
            odds = np.stack([log_odds(torch.from_numpy(part)).numpy() for part in logits[:2]], 1)
            found[style] = odds, logits[2].argmax(axis=1) != 0
            print(style, len(odds), "images,", int(found[style][1].sum()), "relevant", flush=True)
    for alpha in ALPHAS:
        print(json.dumps(resampled(*found["base"], *found["heldout"], alpha)), flush=True)


def resampled(
    odds: np.ndarray,
    relevant: np.ndarray,
    other: np.ndarray,
    other_relevant: np.ndarray,
    alpha: float,
) -> dict[str, Any]:
    """A hundred calibrations on draws from these images, each measured on all of them, which are
    the world that it drew from, and on images of the other style."""
    rng = np.random.default_rng(1)
    rows: list[tuple[float, float, float, bool, bool]] = []
    none = 0
    for _ in range(TIMES):
        mine = rng.integers(0, len(odds), DRAWN)
        chosen = choose_thresholds(odds[mine], relevant[mine], alpha=alpha, confidence=CONFIDENCE)
        if chosen is None:
            none += 1
            continue
        limits = np.array([np.inf if limit is None else limit for limit in chosen])
        gone, gone_other = ((part > limits).any(axis=1) for part in (odds, other))
        seen = odds[:, 0]
        kept = tuple(seen[mine][(relevant & ~gone)[mine]].tolist())
        later = rng.integers(0, len(odds), DRAWN // 4)
        rows.append(
            (
                float(gone[relevant].mean()),
                float(gone[~relevant].mean()),
                float(gone_other[other_relevant].mean()),
                drift(kept, seen[later][(relevant & ~gone)[later]].tolist()).has_drifted,
                drift(kept, other[other_relevant & ~gone_other, 0].tolist()).has_drifted,
            )
        )
    if not rows:
        return {"alpha": alpha, "no promise": none}
    table = np.array(rows, dtype=float)
    return {
        "alpha": alpha,
        "no promise": none,
        "at or below alpha": none + int((table[:, 0] <= alpha).sum()),
        "lost, mean and most": [round(float(f(table[:, 0])), 4) for f in (np.mean, np.max)],
        "irrelevant dismissed": round(float(table[:, 1].mean()), 3),
        "shifted: lost, mean": round(float(table[:, 2].mean()), 4),
        "warned, unshifted and shifted": [int(table[:, 3].sum()), int(table[:, 4].sum())],
    }


if __name__ == "__main__":
    main()
