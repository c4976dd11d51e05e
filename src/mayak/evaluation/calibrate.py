"""``calibrate``: the head of tier 0, temperatures, and thresholds that keep a promise.

The head is fitted to the training images' labels; temperatures and thresholds are set on images
that neither it nor the model was trained on. All are decoded as triage decodes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mayak.dataset.manifest import MISSING, Manifest
from mayak.dataset.training_images import Leakage
from mayak.errors import ConfigError, ManifestError
from mayak.evaluation.promise import choose_thresholds, needed
from mayak.evaluation.run import read_ahead
from mayak.i18n import msg, msg_in
from mayak.imaging.redecode import Redecoder
from mayak.labels import LABELS
from mayak.model import Calibration, VisionLanguageModel
from mayak.model.calibration import Head, Promise
from mayak.model.cascade import LAST, TIERS, HeadOnDevice, Readings, log_odds
from mayak.model.scoring import THREADS, queued, require_finite
from mayak.types import DecodedImage, Failure, Progress, Sample

_GLANCES = 8
"""Batches of the whole model in one of the tower's."""
_STRENGTH = 0.1
"""Of the head (scikit-learn's C), held back, for two thousand numbers are seen of some thousand
images. On nano's images 0.001, 0.01 and 1 order those of another style worse or no better."""
_COLDEST, _HOTTEST = 0.05, 20.0


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A calibration and what came of making it."""

    calibration: Calibration
    failures: tuple[Failure, ...]
    """Images that could not be read, and took no part."""
    relevant: int
    """Calibration images that the whole model calls relevant, one of each duplicate group."""
    needed: int
    """Of these, how many a promise takes at least."""


def calibrate(
    vlm: VisionLanguageModel,
    train: Manifest,
    validation: Manifest,
    *,
    alpha: float,
    confidence: float,
    batch_size: int,
    progress: Progress,
    leakage: Leakage,
) -> Calibrated:
    """Calibrate a model: of the images that it calls relevant, at most ``alpha`` may be lost.

    Raises ConfigError for an ``alpha`` or ``confidence`` that is no share, ManifestError for
    manifests that share images or lack a label, ModelError for a model that cannot do it.
    """
    for name, value in (("alpha", alpha), ("confidence", confidence)):
        if not 0 < value < 1:
            raise ConfigError(
                msg("--{name} is {value}", name=name, value=value),
                remedy=msg("use a number between 0 and 1"),
            )
    _check_apart(train, validation)
    failures: list[Failure] = []
    readings = Readings(vlm)
    with (
        Redecoder(vlm.least, THREADS) as closer,
        ThreadPoolExecutor(THREADS, "preprocess", torch.set_num_threads, (1,)) as pool,
    ):
        asked = Reader(vlm, readings, closer, pool, batch_size, progress, failures)
        labels, seen = asked.glances(train)
        head = fit_head(labels, seen)
        samples, logits = asked.all_tiers(validation, head)
    truth = np.array([sample.label for sample in samples])
    odds = np.stack([log_odds(torch.from_numpy(part)).numpy() for part in logits])
    promise, relevant = make_promise(samples, logits, odds, alpha, confidence)
    calibration = Calibration(
        engine=vlm.engine.fingerprint,
        head=head,
        temperatures=tuple(_temperature(part, truth) for part in logits),  # type: ignore[arg-type]
        promise=promise,
        data={
            "train": train.digest,
            "train_images": len(labels),
            "calibration": validation.digest,
            "calibration_images": len(samples),
            "training_record": leakage.record,
            "validation_images": leakage.validation_images,
        },
    )
    return Calibrated(calibration, tuple(failures), relevant, needed(alpha, confidence))


def _check_apart(train: Manifest, validation: Manifest) -> None:
    # Groups have names within one data folder only; the bytes are the same in all of them.
    known = {name for sample in train.samples for name in (sample.group, sample.sha256)} - {MISSING}
    shared = next((s for s in validation.samples if known & {s.group, s.sha256}), None)
    if shared is not None:
        raise ManifestError(
            msg(
                "{image_path} of {path}, or a duplicate of it, is a training image too: on such "
                "images nothing can be promised",
                image_path=shared.image_path,
                path=validation.path,
            ),
            remedy=msg("use data/val_drug_data.json"),
        )
    there = {sample.label for sample in train.samples}
    lacking = [label.name for label in LABELS if label.index not in there]
    if lacking:
        raise ManifestError(
            msg("{path} holds no image of {lacking}", path=train.path, lacking=", ".join(lacking)),
            remedy=msg("add images and run `mayak prepare`"),
        )


class Reader:
    """A model's readings of whole manifests."""

    def __init__(
        self,
        vlm: VisionLanguageModel,
        readings: Readings,
        closer: Redecoder,
        pool: ThreadPoolExecutor,
        batch_size: int,
        progress: Progress,
        failures: list[Failure],
    ) -> None:
        self._vlm, self._readings, self._closer, self._pool = vlm, readings, closer, pool
        self._batch_size, self._progress, self._failures = batch_size, progress, failures

    def glances(self, manifest: Manifest) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Labels (N,) and what the tower sees (N, D) of each readable image."""
        labels: list[int] = []
        seen: list[NDArray[np.float32]] = []
        title = msg("looking at training images")
        for samples, images in self._batches(manifest, _GLANCES * self._batch_size, title):
            pieces = list(self._pool.map(partial(self._readings.prepare, 0), images))
            seen.append(queued(partial(self._readings.glance, pieces))().numpy())
            labels += [sample.label for sample in samples]
        return np.array(labels), np.concatenate(seen)

    def all_tiers(self, manifest: Manifest, head: Head) -> tuple[list[Sample], NDArray[np.float64]]:
        """The readable samples, and each tier's logits of the labels, (3, N, 4)."""
        there = HeadOnDevice(head, torch.device("cpu"))
        kept: list[Sample] = []
        parts: list[NDArray[np.float64]] = []
        title = msg("calibrating")
        for samples, images in self._batches(manifest, self._batch_size, title):
            rows = []
            for tier in TIERS:
                if tier == LAST:
                    images = list(self._pool.map(self._closer, images))
                pieces = list(self._pool.map(partial(self._readings.prepare, tier), images))
                if tier == 0:
                    said = there(queued(partial(self._readings.glance, pieces))()).double()
                else:
                    read = queued(partial(self._readings.read, pieces))()
                    require_finite(read)
                    said = read[:, :-1]
                rows.append(said.numpy())
            parts.append(np.stack(rows))
            kept += samples
        return kept, np.concatenate(parts, axis=1)

    def _batches(
        self, manifest: Manifest, size: int, title: str
    ) -> Iterator[tuple[list[Sample], list[DecodedImage]]]:
        samples: list[Sample] = []
        images: list[DecodedImage] = []
        found = False
        with self._progress.task(title, len(manifest.samples), msg_in("unit", "images")) as task:
            least = self._vlm.least_for_base
            for sample, image in read_ahead(manifest, manifest.samples, least=least):
                task.advance()
                if isinstance(image, Failure):
                    self._failures.append(image)
                    continue
                found = True
                samples.append(sample)
                images.append(image)
                if len(images) == size:
                    yield samples, images
                    samples, images = [], []
            if images:
                yield samples, images
        if not found:
            raise ManifestError(
                msg("none of the images of {path} can be read", path=manifest.path),
                remedy=msg("run `mayak prepare` again"),
            )


def fit_head(labels: NDArray[np.int64], seen: NDArray[np.float32]) -> Head:
    """A multinomial logistic regression on standardised numbers."""
    scaler = StandardScaler().fit(seen)
    # The patches of flat images can be all alike: StandardScaler leaves such numbers unscaled.
    model = LogisticRegression(C=_STRENGTH, max_iter=1000)
    model.fit(scaler.transform(seen), labels)
    return Head(
        mean=tuple(scaler.mean_.tolist()),
        scale=tuple(scaler.scale_.tolist()),
        weights=tuple(tuple(row) for row in model.coef_.tolist()),
        bias=tuple(model.intercept_.tolist()),
    )


def _temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """That at which the labels (N,) are likeliest under logits (N, 4) (Guo et al. 2017,
    arXiv:1706.04599), had one image more of each label been seen by chance (Laplace's rule): a few
    images without an error prove no certainty."""
    chance = len(LABELS) / (len(truth) + len(LABELS))

    def surprise(log_temperature: float) -> float:
        scores = log_softmax(logits / np.exp(log_temperature), axis=1)
        right = scores[np.arange(len(truth)), truth].mean()
        return -float((1 - chance) * right + chance * scores.mean())

    bounds = (np.log(_COLDEST), np.log(_HOTTEST))
    return float(np.exp(minimize_scalar(surprise, bounds=bounds, method="bounded").x))


def make_promise(
    samples: list[Sample],
    logits: NDArray[np.float64],
    odds: NDArray[np.float64],
    alpha: float,
    confidence: float,
) -> tuple[Promise | None, int]:
    """The promise, and on how many relevant images it was tested.

    Of each group of duplicates the image with the lowest hash takes part: the others say the same
    again, and the bound is for independent images.
    """
    first: dict[str, int] = {}
    for row in sorted(range(len(samples)), key=lambda row: samples[row].sha256):
        first.setdefault(samples[row].group, row)
    rows = sorted(first.values())
    tiers, relevant = odds[:2, rows].T, logits[2, rows].argmax(axis=1) != 0
    chosen = choose_thresholds(tiers, relevant, alpha=alpha, confidence=confidence)
    count = int(relevant.sum())
    if chosen is None:
        return None, count
    limits = np.array([np.inf if limit is None else limit for limit in chosen])
    dismissed = tiers > limits
    at_first, at_all = dismissed[:, 0], dismissed.any(axis=1)
    shares = (at_first.mean(), (at_all & ~at_first).mean(), (~at_all).mean())
    return Promise(
        alpha=alpha,
        confidence=confidence,
        relevant=count,
        lost=int((at_all & relevant).sum()),
        thresholds=chosen,
        shares=(float(shares[0]), float(shares[1]), float(shares[2])),
        kept=tuple(tiers[relevant & ~at_all, 0].tolist()),
    ), count
