"""Three readings of an image, each dearer than the one before, and a classifier that stops early.

Tier 0 looks at the base tile with the vision tower and a small head; tier 1 reads the base tile
with the language model (about 660 tokens); tier 2 is the whole model, tiles and all. A tier that is
sure enough that an image is irrelevant dismisses it, the others pass it on; whatever is called
relevant, tier 2 has said. How sure is enough, ``mayak calibrate`` measures.

A later tier computes the base tile's features anew: that is a thousandth of a second on a GPU, for
the few images that come so far. For the same few, photos are decoded anew, at the scale that the
tiles need: the base tile alone needs a quarter of their pixels.
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
from mayak.model.calibration import Calibration, Head
from mayak.model.load import VisionLanguageModel
from mayak.model.packed import PackedModel, compiles
from mayak.model.packing import Piece, gathered
from mayak.model.scoring import THREADS, Launcher, label_logits, require_finite
from mayak.model.shortcuts import Recorded
from mayak.types import DecodedImage, Engine, Prediction, Scores, Sides, Tier

TIERS: tuple[Tier, ...] = get_args(Tier)
LAST: Tier = 2
_FACTORS = (8, 4, 1)
"""Batches of each tier in those of the whole model: its images are as much smaller."""
_QUEUED = 3
"""Batches that a GPU has before it while the answers of those before are taken in: writing some
hundred of them takes longer than the tower needs for a batch. Elsewhere an answer is there at once,
and none waits for the next batch to be gathered."""
_WINDOW = 1024
"""Images at most between the first that is not answered and the last that was taken. Where few get
to the last tier, that is how long they wait for company."""
_SHARE = 8
"""Of the machine's memory one part in so many is for images that are not answered: one of twelve
megapixels takes 36 MB where it is no JPEG, which decodes smaller."""


class Readings:
    """The three readings of a loaded model. ``compiled``: see ``LabelScorer``."""

    def __init__(self, vlm: VisionLanguageModel, *, compiled: bool | None = None) -> None:
        self.packed = PackedModel(
            vlm, compiled=compiles(vlm.device) if compiled is None else compiled
        )
        self.prompt, self._device = vlm.prompt, vlm.device

    def prepare(self, tier: Tier, image: DecodedImage) -> Piece:
        """What a tier looks at; tiers 0 and 1 look at the same."""
        return self.packed.prepare(image) if tier == LAST else self.packed.prepare_base(image)

    def base_tiles(self, pieces: list[Piece]) -> torch.Tensor:
        """(B, 3, side, side) uint8 on the CPU, pinned where a GPU is to take them."""
        return gathered([p.tiles[:1] for p in pieces], pinned=self._device.type == "cuda")

    def glance(self, pieces: list[Piece]) -> torch.Tensor:
        """What the vision tower sees in the base tiles, (B, D), on the model's device."""
        return self.packed.glance(self.base_tiles(pieces).to(self._device, non_blocking=True))

    def read(self, pieces: list[Piece]) -> torch.Tensor:
        """What the language model says of the labels, as ``label_logits``, on its device."""
        return label_logits(self.packed.logits(self.packed.pack(pieces)), self.prompt)


def log_odds(logits: torch.Tensor) -> torch.Tensor:
    """Of being irrelevant, (B,), from the four labels' logits (B, 4)."""
    return logits[:, 0] - logits[:, 1:].logsumexp(dim=1)


class HeadOnDevice:
    """A ``Head`` beside the model."""

    def __init__(self, head: Head, device: torch.device) -> None:
        self._mean, self._scale, weights, self._bias = (
            torch.tensor(part, dtype=torch.float32, device=device)
            for part in (head.mean, head.scale, head.weights, head.bias)
        )
        self._weights = weights.T

    def __call__(self, seen: torch.Tensor) -> torch.Tensor:
        """The four labels' logits (B, 4) from what the tower sees (B, D)."""
        return (seen - self._mean) / self._scale @ self._weights + self._bias


@dataclass(slots=True, eq=False)
class _Case:
    """An image on its way through the tiers."""

    sha256: str
    image: DecodedImage | None
    """As long as a tier may still ask for it."""
    piece: Future[Piece] | None = None
    odds: float = float("nan")
    """Tier 0's."""
    said: Prediction | None = None


class CascadeScorer:
    """``types.Classifier`` that asks the whole model only where the earlier tiers are in doubt.

    Answers come in the order of the images; those that are quick wait for those before them.
    Raises ModelError for a calibration of another engine. Without a promise in the calibration the
    whole model reads every image, and only the temperature is applied.
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
        self.found: list[float] = []
        """Tier 0's log-odds of the images that were called relevant."""
        self.read = 0
        """Images that were answered."""
        self._engine = replace(vlm.engine, calibration=calibration.digest)
        self._fingerprint = self._engine.fingerprint
        self._readings = Readings(vlm, compiled=compiled)
        self._head = HeadOnDevice(calibration.head, vlm.device)
        self._sizes = tuple(factor * batch_size for factor in _FACTORS)
        self._most_bytes = psutil.virtual_memory().total // _SHARE
        self._glance = Recorded(self._glanced, self._sizes[0], vlm.device)
        self._read_base = Recorded(self._base_read, self._sizes[1], vlm.device)
        promise = calibration.promise
        self._first: Tier = LAST if promise is None else 0
        asked = [] if promise is None else list(enumerate(promise.thresholds))
        self._thresholds = {tier: least for tier, least in asked if least is not None}
        self._vlm = vlm
        self._next: dict[Tier, Tier] = {0: 1 if 1 in self._thresholds else LAST, 1: LAST}

    @property
    def engine(self) -> Engine:
        """What the scores come from."""
        return self._engine

    @property
    def least(self) -> Sides:
        """Above these sides a JPEG may come at a reduced scale; with its bytes, or else the last
        tier sees it as small."""
        return self._vlm.least if self._first == LAST else self._vlm.least_for_base

    def classify(self, images: Iterable[DecodedImage]) -> Iterator[Prediction]:
        """One prediction an image, in order. Raises ModelError when the GPU's memory is full."""
        stream = iter(images)
        order: deque[_Case] = deque()
        waiting: tuple[deque[_Case], ...] = tuple(deque() for _ in TIERS)
        asked: deque[tuple[Tier, list[_Case], Callable[[], torch.Tensor]]] = deque()
        with (
            Redecoder(self._vlm.least, THREADS) as closer,
            ThreadPoolExecutor(THREADS, "preprocess", torch.set_num_threads, (1,)) as pool,
            Launcher(self._vlm.device) as launch,
        ):

            def prepare(tier: Tier, image: DecodedImage) -> Piece:
                return self._readings.prepare(tier, closer(image) if tier == LAST else image)

            def put(tier: Tier, case: _Case) -> None:
                if case.image is not None and (case.piece is None or tier == LAST):
                    case.piece = pool.submit(prepare, tier, case.image)
                waiting[tier].append(case)

            queued = _QUEUED if launch.beside else 0
            ended = False
            while True:
                room = 2 * self._sizes[self._first] - len(waiting[self._first])
                room = min(room, _WINDOW - len(order))
                space = self._most_bytes - sum(c.image.nbytes for c in order if c.image is not None)
                while room > 0 and space > 0 and not ended:
                    if (image := next(stream, None)) is None:
                        ended = True
                        break
                    room, space = room - 1, space - image.nbytes
                    order.append(_Case(image.sha256, image))
                    put(self._first, order[-1])
                full = ended or len(order) >= _WINDOW or space <= 0
                tier = self._due(waiting)
                if tier is None and full and not asked:
                    tier = self._last_resort(waiting, ended=ended)
                if tier is not None:
                    size = min(self._sizes[tier], len(waiting[tier]))
                    cases = [waiting[tier].popleft() for _ in range(size)]
                    asked.append((tier, cases, launch(partial(self._ask, tier, cases))))
                if asked and (tier is None or len(asked) > queued):
                    for tier, case in self._settle(*asked.popleft()):
                        put(tier, case)
                while order and (said := order[0].said) is not None:
                    order.popleft()
                    yield said
                if ended and not order:
                    return

    def _due(self, waiting: tuple[deque[_Case], ...]) -> Tier | None:
        """The last tier that can fill a batch."""
        full = (tier for tier in reversed(TIERS) if len(waiting[tier]) >= self._sizes[tier])
        return next(full, None)

    def _last_resort(self, waiting: tuple[deque[_Case], ...], *, ended: bool) -> Tier | None:
        """The tier to ask where none can fill a batch and no more images come for now: the fullest,
        which makes the most room; at the end the first, so that what it passes on fills those after
        it."""
        some = [tier for tier in TIERS if waiting[tier]]
        if ended:
            return some[0] if some else None
        return max(some, key=lambda tier: len(waiting[tier]) / self._sizes[tier], default=None)

    def _ask(self, tier: Tier, cases: list[_Case]) -> torch.Tensor:
        pieces = [case.piece.result() for case in cases if case.piece is not None]
        if tier == LAST:
            return self._answers(LAST, self._readings.read(pieces))
        ask = self._read_base if tier else self._glance
        return ask(self._readings.base_tiles(pieces))

    def _glanced(self, tiles: torch.Tensor) -> torch.Tensor:
        logits = self._head(self._readings.packed.glance(tiles)).double()
        return self._answers(0, torch.cat([logits, torch.zeros_like(logits[:, :1])], dim=1))

    def _base_read(self, tiles: torch.Tensor) -> torch.Tensor:
        logits = self._readings.packed.logits_of_base(tiles)
        return self._answers(1, label_logits(logits, self._readings.prompt))

    def _answers(self, tier: Tier, said: torch.Tensor) -> torch.Tensor:
        """All that is wanted of a tier, from what ``label_logits`` gives: four scores, log-odds and
        off-label mass, (B, 6). Computed where the model is: each step on the CPU would wait its
        turn among the threads that read."""
        # Whatever is not finite decides nothing: NaN is above no threshold, and no score.
        said = said.where(torch.isfinite(said).all(dim=1, keepdim=True), math.nan)
        logits = said[:, :-1]
        scores = (logits / self.calibration.temperatures[tier]).softmax(dim=1)
        return torch.cat([scores, log_odds(logits)[:, None], said[:, -1:]], dim=1)

    def _settle(
        self, tier: Tier, cases: list[_Case], answer: Callable[[], torch.Tensor]
    ) -> Iterator[tuple[Tier, _Case]]:
        """Take in what a tier says; the images that it passes on, with the tier that they go to."""
        answers = answer()
        if tier:
            require_finite(answers)
        for case, (*row, odds, outside) in zip(cases, answers.tolist(), strict=True):
            if tier == 0:
                case.odds = odds
            if tier != LAST and not odds > self._thresholds[tier]:
                yield self._next[tier], case
                continue
            case.image = case.piece = None
            self.read += 1
            case.said = Prediction(
                sha256=case.sha256,
                scores=Scores((row[0], row[1], row[2], row[3]), outside),
                calibrated=True,
                engine=self._fingerprint,
                tier=tier,
            )
            if case.said.scores.label:
                self.found.append(case.odds)
