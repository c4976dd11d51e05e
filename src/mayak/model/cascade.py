"""The cascade: three tiers of increasing cost, and a classifier that stops at the first sure one.

1. Tier 0: a linear head on the vision tower's features of the base tile.
2. Tier 1: the language model on the base tile (about 660 tokens).
3. Tier 2: the whole model on all tiles.

A tier that is sure enough that an image is irrelevant dismisses it; otherwise the next tier reads
it. Only tier 2 calls an image relevant. ``mayak calibrate`` measures how sure is enough.

A later tier computes the base tile's features again, which takes a thousandth of a second on a GPU
for the few images that get that far. The last tier also decodes these photos again, at the scale
that the tiles need: the base tile alone needs a quarter of their pixels.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

import psutil
import torch

from mayak.imaging.redecode import Redecoder
from mayak.model.accelerate import CheckedCudaGraph
from mayak.model.calibration import Calibration, Head
from mayak.model.load import VisionLanguageModel
from mayak.model.packer import PreparedImage, concatenated
from mayak.model.scoring import THREADS, Launcher, label_logits, require_finite
from mayak.model.varlen import VarlenModel, compiles
from mayak.types import DecodedImage, Engine, Prediction, Scores, Sides, Tier

TIERS: tuple[Tier, ...] = get_args(Tier)
LAST: Tier = 2
_FACTORS = (8, 4, 1)
"""Batch size of each tier as a multiple of the whole model's: its input is as much smaller."""
_QUEUED = 3
"""Batches queued on a GPU while earlier results are processed: storing some hundred predictions
takes longer than the tower needs for a batch. On a CPU a result is available at once, and must not
wait until the next batch is full."""
_WINDOW = 1024
"""Largest number of images between the first unanswered one and the last one taken. If few images
reach the last tier, so many may wait until it has a full batch."""
_MEMORY_SHARE = 8
"""One part in so many of the machine's memory may hold unanswered images: one of twelve megapixels
takes 36 MB unless it is a JPEG, which is decoded at a reduced scale."""


class CascadeTiers:
    """The three tiers of a loaded model. ``compiled``: see ``LabelScorer``."""

    def __init__(self, vlm: VisionLanguageModel, *, compiled: bool | None = None) -> None:
        self.model = VarlenModel(
            vlm, compiled=compiles(vlm.device) if compiled is None else compiled
        )
        self.prompt, self._device = vlm.prompt, vlm.device

    def prepare(self, tier: Tier, image: DecodedImage) -> PreparedImage:
        """Prepare a tier's input: all tiles for the last one, the base tile for the others."""
        packer = self.model.packer
        return packer.prepare(image) if tier == LAST else packer.prepare_base(image)

    def base_tiles(self, images: list[PreparedImage]) -> torch.Tensor:
        """Return the base tiles (B, 3, side, side) uint8 on the CPU, page-locked for a GPU."""
        return concatenated([p.tiles[:1] for p in images], pinned=self._device.type == "cuda")

    def pooled_features(self, images: list[PreparedImage]) -> torch.Tensor:
        """Return the vision tower's features of the base tiles, (B, D), on the model's device."""
        tiles = self.base_tiles(images).to(self._device, non_blocking=True)
        return self.model.pooled_features(tiles)

    def label_logits(self, images: list[PreparedImage]) -> torch.Tensor:
        """Return ``scoring.label_logits`` of the language model, on its device."""
        return label_logits(self.model.logits(self.model.pack(images)), self.prompt)


def log_odds(logits: torch.Tensor) -> torch.Tensor:
    """Return the log-odds of being irrelevant, (B,), from the four labels' logits (B, 4)."""
    return logits[:, 0] - logits[:, 1:].logsumexp(dim=1)


class HeadOnDevice:
    """A ``Head`` as tensors on a device."""

    def __init__(self, head: Head, device: torch.device) -> None:
        self._mean, self._scale, weights, self._bias = (
            torch.tensor(part, dtype=torch.float32, device=device)
            for part in (head.mean, head.scale, head.weights, head.bias)
        )
        self._weights = weights.T

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Return the four labels' logits (B, 4) for pooled features (B, D)."""
        return (features - self._mean) / self._scale @ self._weights + self._bias


@dataclass(slots=True, eq=False)
class _Pending:
    """An image on its way through the tiers."""

    sha256: str
    image: DecodedImage | None
    """None as soon as no tier needs it any more."""
    prepared: Future[PreparedImage] | None = None
    odds: float = float("nan")
    """Tier 0's."""
    prediction: Prediction | None = None


_Batches = tuple[deque[_Pending], ...]
"""The images that wait for each tier."""


class CascadeScorer:
    """``types.Classifier`` that runs the whole model only if the earlier tiers are in doubt.

    Predictions come in the order of the images. Without a risk bound in the calibration the whole
    model reads every image, and only its temperature is applied.

    Raises:
        ModelError: the calibration belongs to another engine.
    """

    def __init__(
        self,
        vlm: VisionLanguageModel,
        calibration: Calibration,
        batch_size: int = 8,
        *,
        compiled: bool | None = None,
    ) -> None:
        calibration.require(vlm.engine)
        self.calibration = calibration
        self.relevant_odds: dict[str, float] = {}
        """By SHA-256: tier 0's log-odds of the images that were called relevant."""
        self.n_answered = 0
        self.reduced: list[str] = []
        """SHA-256 of images that the last tier saw at a reduced scale: no decoder survived them."""
        self._engine = replace(vlm.engine, calibration=calibration.digest)
        self._fingerprint = self._engine.fingerprint
        self._tiers = CascadeTiers(vlm, compiled=compiled)
        self._head = HeadOnDevice(calibration.head, vlm.device)
        self._sizes = tuple(factor * batch_size for factor in _FACTORS)
        self._max_bytes = psutil.virtual_memory().total // _MEMORY_SHARE
        self._graph_of_head = CheckedCudaGraph(self._score_head, self._sizes[0], vlm.device)
        self._graph_of_base = CheckedCudaGraph(self._score_base, self._sizes[1], vlm.device)
        bound = calibration.risk_bound
        self._first: Tier = LAST if bound is None else 0
        thresholds = [] if bound is None else list(enumerate(bound.thresholds))
        self._thresholds = {tier: limit for tier, limit in thresholds if limit is not None}
        self._vlm = vlm
        self._next: dict[Tier, Tier] = {0: 1 if 1 in self._thresholds else LAST, 1: LAST}

    @property
    def engine(self) -> Engine:
        """The engine that the scores come from."""
        return self._engine

    @property
    def min_sides(self) -> Sides:
        """A JPEG with larger sides may be decoded at a reduced scale. Without its bytes the last
        tier sees it at that scale."""
        return self._vlm.min_sides if self._first == LAST else self._vlm.min_base_sides

    def classify(self, images: Iterable[DecodedImage]) -> Iterator[Prediction]:
        """Yield one prediction per image, in order.

        Raises:
            ModelError: the GPU's memory is full.
        """
        stream = iter(images)
        order: deque[_Pending] = deque()
        waiting: _Batches = tuple(deque() for _ in TIERS)
        running: deque[tuple[Tier, list[_Pending], Callable[[], torch.Tensor]]] = deque()
        with (
            Redecoder(self._vlm.min_sides, THREADS, self.reduced) as redecode,
            ThreadPoolExecutor(THREADS, "preprocess", torch.set_num_threads, (1,)) as pool,
            Launcher(self._vlm.device) as launch,
        ):

            def prepare(tier: Tier, image: DecodedImage) -> PreparedImage:
                return self._tiers.prepare(tier, redecode(image) if tier == LAST else image)

            def enqueue(tier: Tier, item: _Pending) -> None:
                if item.image is not None and (item.prepared is None or tier == LAST):
                    item.prepared = pool.submit(prepare, tier, item.image)
                waiting[tier].append(item)

            max_running = _QUEUED if launch.is_threaded else 0
            ended = False
            while True:
                # 1. Take images as long as window, memory and the first tier have room.
                room = 2 * self._sizes[self._first] - len(waiting[self._first])
                room = min(room, _WINDOW - len(order))
                space = self._max_bytes - sum(c.image.nbytes for c in order if c.image is not None)
                while room > 0 and space > 0 and not ended:
                    if (image := next(stream, None)) is None:
                        ended = True
                        break
                    room, space = room - 1, space - image.nbytes
                    order.append(_Pending(image.sha256, image))
                    enqueue(self._first, order[-1])
                # 2. Start a batch of the tier that is due.
                full = ended or len(order) >= _WINDOW or space <= 0
                tier = self._due(waiting)
                if tier is None and full and not running:
                    tier = self._partial_batch(waiting, ended=ended)
                if tier is not None:
                    size = min(self._sizes[tier], len(waiting[tier]))
                    items = [waiting[tier].popleft() for _ in range(size)]
                    running.append((tier, items, launch(partial(self._run, tier, items))))
                # 3. Take the results of the oldest batch, if enough later ones are queued.
                if running and (tier is None or len(running) > max_running):
                    for tier, item in self._settle(*running.popleft()):
                        enqueue(tier, item)
                # 4. Yield what is answered, in the order of the images.
                while order and (prediction := order[0].prediction) is not None:
                    order.popleft()
                    yield prediction
                if ended and not order:
                    return

    def _due(self, waiting: _Batches) -> Tier | None:
        """Return the last tier that has a full batch."""
        full = (tier for tier in reversed(TIERS) if len(waiting[tier]) >= self._sizes[tier])
        return next(full, None)

    def _partial_batch(self, waiting: _Batches, *, ended: bool) -> Tier | None:
        """Return the tier to run if none has a full batch and no more images come for now.

        That is the fullest, because it frees most room; at the end the first, so that the images
        that it passes on fill the batches of later tiers.
        """
        some = [tier for tier in TIERS if waiting[tier]]
        if ended:
            return some[0] if some else None
        return max(some, key=lambda tier: len(waiting[tier]) / self._sizes[tier], default=None)

    def _run(self, tier: Tier, items: list[_Pending]) -> torch.Tensor:
        images = [item.prepared.result() for item in items if item.prepared is not None]
        if tier == LAST:
            return self._results(LAST, self._tiers.label_logits(images))
        graph = self._graph_of_base if tier else self._graph_of_head
        return graph(self._tiers.base_tiles(images))

    def _score_head(self, tiles: torch.Tensor) -> torch.Tensor:
        logits = self._head(self._tiers.model.pooled_features(tiles)).double()
        return self._results(0, torch.cat([logits, torch.zeros_like(logits[:, :1])], dim=1))

    def _score_base(self, tiles: torch.Tensor) -> torch.Tensor:
        logits = self._tiers.model.logits_of_base(tiles)
        return self._results(1, label_logits(logits, self._tiers.prompt))

    def _results(self, tier: Tier, logits: torch.Tensor) -> torch.Tensor:
        """Return four scores, log-odds and off-label mass, (B, 6), from ``label_logits`` (B, 5).
        Computed on the model's device: each step on the CPU would compete with the threads that
        decode."""
        # A row that is not finite becomes NaN: it exceeds no threshold, and is refused as a score.
        logits = logits.where(torch.isfinite(logits).all(dim=1, keepdim=True), math.nan)
        labels = logits[:, :-1]
        scores = (labels / self.calibration.temperatures[tier]).softmax(dim=1)
        return torch.cat([scores, log_odds(labels)[:, None], logits[:, -1:]], dim=1)

    def _settle(
        self, tier: Tier, items: list[_Pending], result: Callable[[], torch.Tensor]
    ) -> Iterator[tuple[Tier, _Pending]]:
        """Store a tier's predictions; yield the images that it passes on, with their next tier."""
        rows = result()
        if tier:
            require_finite(rows)
        for item, (*row, odds, off_label) in zip(items, rows.tolist(), strict=True):
            if tier == 0:
                item.odds = odds
            if tier != LAST and not odds > self._thresholds[tier]:
                yield self._next[tier], item
                continue
            item.image = item.prepared = None
            self.n_answered += 1
            item.prediction = Prediction(
                sha256=item.sha256,
                scores=Scores((row[0], row[1], row[2], row[3]), off_label),
                is_calibrated=True,
                engine=self._fingerprint,
                tier=tier,
            )
            if item.prediction.scores.label:
                self.relevant_odds[item.sha256] = item.odds
