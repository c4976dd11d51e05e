"""Calibration of the cascade: tier 0's head, temperatures, and thresholds with a risk bound.

The head is fitted to the labels of the training images. Temperatures and thresholds are set on
images that neither it nor the model was trained on. All images are decoded as triage decodes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mayak.case.scores import ranked
from mayak.dataset.manifest import MISSING, Manifest, groups_with
from mayak.dataset.training_images import Leakage, TrainingImages
from mayak.errors import ConfigError, ManifestError
from mayak.evaluation.held_out import HeldOut, held_out
from mayak.evaluation.run import decode_image, read_ahead
from mayak.i18n import msg, msg_in
from mayak.imaging.redecode import Redecoder
from mayak.labels import LABELS
from mayak.model import Calibration, VisionLanguageModel
from mayak.model.calibration import Head
from mayak.model.cascade import LAST, TIERS, CascadeTiers, HeadOnDevice, log_odds
from mayak.model.risk_control import RiskBound, choose_thresholds, min_relevant
from mayak.model.scoring import THREADS, queued, require_finite
from mayak.types import DecodedImage, Failure, Progress, Sample

_TOWER_FACTOR = 8
"""Batch size of the vision tower as a multiple of the whole model's."""
_STRENGTH = 0.1
"""Inverse regularisation of the head (scikit-learn's C). It is strong because there are two
thousand features and only some thousand images. On nano's images, 0.001, 0.01 and 1 ranked images
of another style worse or no better."""
_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.05, 20.0


@dataclass(frozen=True, slots=True)
class RiskTarget:
    """The risk bound that is asked for."""

    alpha: float
    """Largest share that may be lost of the images that the whole model calls relevant."""
    confidence: float

    def check(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: a value is not between 0 and 1.
        """
        for name, value in (("alpha", self.alpha), ("confidence", self.confidence)):
            if not 0 < value < 1:
                raise ConfigError(
                    msg("--{name} is {value}", name=name, value=value),
                    remedy=msg("use a number between 0 and 1"),
                )


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """A calibration and the numbers that it is based on."""

    calibration: Calibration
    failures: tuple[Failure, ...]
    """Images that could not be read, and were left out."""
    relevant: int
    """Calibration images that the whole model calls relevant, one per duplicate group."""
    needed: int
    """How many of these a bound needs at least."""
    held_out: HeldOut | None
    """Measured by cross-fitting; None if there are too few images for a bound without a part."""


def calibrate(
    vlm: VisionLanguageModel,
    train: Manifest,
    validation: Manifest,
    target: RiskTarget,
    *,
    batch_size: int,
    progress: Progress,
    leakage: Leakage,
) -> CalibrationResult:
    """Calibrate a model's cascade.

    Raises:
        ConfigError: the target is out of range.
        ManifestError: the manifests share images, lack a label, or cannot be read at all.
        ModelError: the device cannot run the model.
    """
    # 1. Check the request.
    target.check()
    _check_apart(train, validation)
    with ManifestScorer(vlm, batch_size, progress) as scorer:
        # 2. Fit tier 0's head to the training images.
        labels, features = scorer.pooled_features(train)
        head = fit_head(labels, features)
        # 3. Score the calibration images with every tier.
        samples, logits = scorer.all_tiers(validation, head)
    # 4. Choose thresholds and temperatures; measure what such a choice does to other images.
    odds = np.stack([log_odds(torch.from_numpy(part)).numpy() for part in logits])
    bound, relevant = risk_bound(samples, logits, odds, target)
    fit = partial(_fit, samples, logits, odds, target)
    measured = held_out(samples, logits, odds, fit)
    calibration = Calibration(
        engine=vlm.engine.fingerprint,
        head=head,
        temperatures=_temperatures(samples, logits),
        risk_bound=bound,
        images=tuple(sorted({sample.sha256 for sample in samples})),
        held_out=None if measured is None else measured.as_json(),
        data={
            "train": train.digest,
            "train_images": len(labels),
            "calibration": validation.digest,
            "calibration_images": len(samples),
            "training_record": leakage.record,
            "validation_images": leakage.validation_images,
        },
    )
    return CalibrationResult(
        calibration,
        tuple(scorer.failures),
        relevant,
        min_relevant(target.alpha, target.confidence),
        measured,
    )


def _fit(
    samples: list[Sample],
    logits: NDArray[np.float64],
    odds: NDArray[np.float64],
    target: RiskTarget,
    rows: NDArray[np.int64],
) -> tuple[tuple[float, ...], RiskBound | None]:
    """Return temperatures and risk bound as set on some of the images."""
    some = [samples[row] for row in rows]
    bound, _ = risk_bound(some, logits[:, rows], odds[:, rows], target)
    return _temperatures(some, logits[:, rows]), bound


def _check_apart(train: Manifest, validation: Manifest) -> None:
    record = TrainingImages.of(train, validation)
    copies = record.seen_of(validation) - {MISSING}
    # Not by the names of both: another data folder may have other groups of the same names.
    groups = groups_with(validation, record.train)
    shared = next((s for s in validation.samples if s.group in groups or s.sha256 in copies), None)
    if shared is not None:
        raise ManifestError(
            msg(
                "{image_path} of {path}, or a duplicate of it, is a training image too: on such "
                "images no bound can be given",
                image_path=shared.image_path,
                path=validation.path,
            ),
            remedy=msg("use data/val_drug_data.json"),
        )
    there = {sample.label for sample in train.samples}
    lacking = [label.name for label in LABELS if label.index not in there]
    if lacking:
        raise ManifestError(
            msg("{path} has no image of {lacking}", path=train.path, lacking=", ".join(lacking)),
            remedy=msg("add images and run `mayak prepare`"),
        )


class ManifestScorer:
    """Scores whole manifests with the tiers of a model; a context manager.

    Images that cannot be read are left out and collected in ``failures``.
    """

    def __init__(self, vlm: VisionLanguageModel, batch_size: int, progress: Progress) -> None:
        self._vlm, self._tiers = vlm, CascadeTiers(vlm)
        self._batch_size, self._progress = batch_size, progress
        self._resources = ExitStack()
        self.failures: list[Failure] = []

    def __enter__(self) -> Self:
        self._redecode = self._resources.enter_context(Redecoder(self._vlm.min_sides, THREADS))
        self._pool = self._resources.enter_context(
            ThreadPoolExecutor(THREADS, "preprocess", torch.set_num_threads, (1,))
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def pooled_features(self, manifest: Manifest) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the label (N,) and the vision tower's features (N, D) of each readable image."""
        labels: list[int] = []
        features: list[NDArray[np.float32]] = []
        title = msg("looking at training images")
        for samples, images in self._batches(manifest, _TOWER_FACTOR * self._batch_size, title):
            prepared = list(self._pool.map(partial(self._tiers.prepare, 0), images))
            features.append(queued(partial(self._tiers.pooled_features, prepared))().numpy())
            labels += [sample.label for sample in samples]
        return np.array(labels), np.concatenate(features)

    def all_tiers(self, manifest: Manifest, head: Head) -> tuple[list[Sample], NDArray[np.float64]]:
        """Return the readable samples, and each tier's logits of the labels, (3, N, 4)."""
        on_cpu = HeadOnDevice(head, torch.device("cpu"))
        kept: list[Sample] = []
        parts: list[NDArray[np.float64]] = []
        title = msg("calibrating")
        for samples, images in self._batches(manifest, self._batch_size, title):
            rows = []
            for tier in TIERS:
                if tier == LAST:
                    images = list(self._pool.map(self._redecode, images))
                prepared = list(self._pool.map(partial(self._tiers.prepare, tier), images))
                if tier == 0:
                    features = queued(partial(self._tiers.pooled_features, prepared))()
                    logits = on_cpu(features).double()
                else:
                    found = queued(partial(self._tiers.label_logits, prepared))()
                    require_finite(found)
                    logits = found[:, :-1]
                rows.append(logits.numpy())
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
            decode_bytes = partial(decode_image, min_sides=self._vlm.min_base_sides)
            for sample, image in read_ahead(manifest, manifest.samples, decode_bytes):
                task.advance()
                if isinstance(image, Failure):
                    self.failures.append(image)
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


def fit_head(labels: NDArray[np.int64], features: NDArray[np.float32]) -> Head:
    """Fit a multinomial logistic regression on standardised features."""
    scaler = StandardScaler().fit(features)
    # The patches of plain images can all be equal: StandardScaler leaves such features unscaled.
    model = LogisticRegression(C=_STRENGTH, max_iter=1000)
    model.fit(scaler.transform(features), labels)
    return Head(
        mean=tuple(scaler.mean_.tolist()),
        scale=tuple(scaler.scale_.tolist()),
        weights=tuple(tuple(row) for row in model.coef_.tolist()),
        bias=tuple(model.intercept_.tolist()),
    )


def _temperatures(samples: list[Sample], logits: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return each tier's temperature on these images, from its logits (3, N, 4)."""
    truth = np.array([sample.label for sample in samples])
    first, second, third = (_temperature(part, truth) for part in logits)
    return first, second, third


def _temperature(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Return the temperature that maximises the likelihood of the labels (N,) under logits (N, 4).

    Guo et al. 2017, arXiv:1706.04599, with one more random image per label (Laplace's rule): a few
    images without an error do not prove certainty.
    """
    chance = len(LABELS) / (len(truth) + len(LABELS))

    def negative_log_likelihood(log_temperature: float) -> float:
        scores = log_softmax(logits / np.exp(log_temperature), axis=1)
        right = scores[np.arange(len(truth)), truth].mean()
        return -float((1 - chance) * right + chance * scores.mean())

    bounds = (np.log(_MIN_TEMPERATURE), np.log(_MAX_TEMPERATURE))
    best = minimize_scalar(negative_log_likelihood, bounds=bounds, method="bounded").x
    return float(np.exp(best))


def risk_bound(
    samples: list[Sample],
    logits: NDArray[np.float64],
    odds: NDArray[np.float64],
    target: RiskTarget,
) -> tuple[RiskBound | None, int]:
    """Return the risk bound, if there is one, and the number of relevant images.

    Of each duplicate group only the image with the lowest hash is used, because the bound assumes
    independent images.
    """
    first: dict[str, int] = {}
    for row in sorted(range(len(samples)), key=lambda row: samples[row].sha256):
        first.setdefault(samples[row].group, row)
    rows = sorted(first.values())
    whole, _ = ranked(logits[LAST, rows])
    tiers, relevant = odds[:2, rows].T, whole != 0
    chosen = choose_thresholds(tiers, relevant, alpha=target.alpha, confidence=target.confidence)
    count = int(relevant.sum())
    if chosen is None:
        return None, count
    limits = np.array([np.inf if limit is None else limit for limit in chosen])
    dismissed = tiers > limits
    at_first, at_all = dismissed[:, 0], dismissed.any(axis=1)
    shares = (at_first.mean(), (at_all & ~at_first).mean(), (~at_all).mean())
    return RiskBound(
        alpha=target.alpha,
        confidence=target.confidence,
        relevant=count,
        lost=int((at_all & relevant).sum()),
        thresholds=chosen,
        shares=(float(shares[0]), float(shares[1]), float(shares[2])),
        kept=tuple(tiers[relevant & ~at_all, 0].tolist()),
    ), count
