"""A small data set on disk and models that answer from a table."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from PIL import Image

from mayak.labels import LABELS, QUESTION
from mayak.types import Engine, Prediction, Scores


def engine(**changes):
    values = {
        "model": "fake@sha256:0",
        "adapter": None,
        "precision": "fp32",
        "prompt": "1",
        "preprocessing": "2",
        "software": (("mayak", "0"),),
    }
    return Engine(**(values | changes))


class FakeClassifier:
    """Sees the label in the image's red channel; says ``wrong[label]`` for labels in it."""

    def __init__(self, wrong=None, stop_after=None, ahead=3, **changes):
        self.engine = engine(**changes)
        self.wrong = wrong or {}
        self.stop_after = stop_after
        self.ahead = ahead
        self.seen = 0

    def _batches(self, images):
        batch = []
        for image in images:
            self.seen += 1
            batch.append(image)
            if len(batch) == self.ahead:
                yield from batch
                batch = []
        yield from batch

    def classify(self, images):
        for done, image in enumerate(self._batches(images)):
            if self.stop_after is not None and done == self.stop_after:
                raise KeyboardInterrupt
            label = int(image.pixels[0, 0, 0]) // 60
            label = self.wrong.get(label, label)
            scores = tuple(0.91 if i == label else 0.03 for i in range(4))
            yield Prediction(image.sha256, Scores(scores, 0.01), False, self.engine.fingerprint)


class FakeAnswerer(FakeClassifier):
    """Answers in words; ``wrong`` maps a label to the words for it."""

    classify = None

    def answer(self, images):
        for image in self._batches(images):
            label = int(image.pixels[0, 0, 0]) // 60
            yield self.wrong.get(label, f"{label}번입니다.")


def make_data(root, per_class=5):
    """``raw_data/`` and ``data/test_drug_data.json``: per class, the first two share a group."""
    rows, images = [], []
    for label in LABELS:
        folder = root / "raw_data" / label.folder
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            path = folder / f"사진 {number}.png"
            pixels = np.full((40, 60, 3), (label.index * 60, 20 * number, 90), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
            relative = path.relative_to(root).as_posix()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            name = f"{label.index}-{number}"
            rows.append(
                {
                    "id": name,
                    "image_path": relative,
                    "question": QUESTION,
                    "answer": label.answer,
                }
            )
            group = f"{label.index}-{max(number, 1)}"
            images.append({"image_path": relative, "sha256": digest, "group": group})
    data = root / "data"
    data.mkdir(exist_ok=True)
    manifest = data / "test_drug_data.json"
    manifest.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    (data / "dataset.json").write_text(
        json.dumps({"images": images}, ensure_ascii=False), encoding="utf-8"
    )
    return manifest
