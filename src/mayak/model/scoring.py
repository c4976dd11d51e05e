"""Label scoring: one forward pass an image, read at the position of the label's token."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self

import torch

from mayak.config import Precision
from mayak.errors import ModelError
from mayak.i18n import msg
from mayak.model.load import VisionLanguageModel, load_model, out_of_memory
from mayak.model.packed import PackedModel, compiles
from mayak.model.packing import Packed, Piece
from mayak.model.prompt import Prompt
from mayak.types import DecodedImage, Engine, Prediction, Scores, Sides

THREADS = 4
"""That prepare images: one shrinks about 40 photos of 12 megapixels a second."""


def label_logits(logits: torch.Tensor, prompt: Prompt) -> torch.Tensor:
    """What the logits (B, V) of the label's position say, (B, 5) float64 beside them: the four
    labels' logits and the off-label mass, which is what the softmax over the whole vocabulary
    leaves to all other tokens. NaN for an image with logits that are not finite."""
    wide = logits.double()
    # Not by a list of indices: that would go to the GPU first, and be waited for.
    labels = torch.stack([wide[:, token] for token in prompt.label_ids], dim=1)
    # log of the labels' share of the vocabulary; 1 - exp without cancellation near 0
    inside = labels.logsumexp(dim=1) - wide.logsumexp(dim=1)
    said = torch.cat([labels, -torch.expm1(inside.clamp(max=0.0))[:, None]], dim=1)
    return said.where(torch.isfinite(logits).all(dim=1, keepdim=True), math.nan)


def label_scores(logits: torch.Tensor, prompt: Prompt) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores (B, 4), the softmax over the four labels' logits, and off-label mass (B,) of the
    logits (B, V) of the label's position.

    Both float64: sums hold to 1e-12. Raises ModelError for logits that are not finite.
    """
    return scores_of(label_logits(logits, prompt))


def scores_of(said: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same of what ``label_logits`` gives."""
    require_finite(said)
    return said[:, :-1].softmax(dim=1), said[:, -1]


def require_finite(said: torch.Tensor) -> None:
    """Raises ModelError for what is not a number: no score, and never label 0 by default."""
    if not torch.isfinite(said).all():
        raise ModelError(
            msg("the model's output is not a number: no label can be read from it"),
            remedy=msg(
                "weights or adapter are damaged, or training diverged (lower learning_rate)"
            ),
        )


def queued(work: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    """Start some work of the model, which on a GPU is not waited for; what is returned waits for
    its result, on the CPU. Raises ModelError when the GPU's memory is full."""
    try:
        with torch.inference_mode():
            result = work()
            if not result.is_cuda:
                return lambda: result
            # Not simply .cpu(): that waits for all that has been queued behind it, too.
            answer = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
            answer.copy_(result, non_blocking=True)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record()
    except torch.OutOfMemoryError as error:
        raise out_of_memory(error) from error

    def waited() -> torch.Tensor:
        done.synchronize()
        return answer

    return waited


class Launcher:
    """``queued`` for a model on ``device``, as a context.

    On a GPU by a thread of its own, one after the other: starting a kernel waits where a thousand
    are before it, and whoever asks has other things to do.
    """

    def __init__(self, device: torch.device) -> None:
        self._thread = (
            ThreadPoolExecutor(1, "launch", torch.cuda.set_device, (device,))
            if device.type == "cuda"
            else None
        )

    @property
    def beside(self) -> bool:
        """Whether the work goes on beside whoever asks for it."""
        return self._thread is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def __call__(self, work: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        """What waits for the result of some work, and raises what the work raises; ModelError when
        the GPU's memory is full."""
        if self._thread is None:
            return queued(work)
        launched = self._thread.submit(queued, work)
        return lambda: launched.result()()


class LabelScorer:
    """``types.Classifier`` over a loaded model.

    Images are prepared by a few threads ahead of the model; on a GPU the next batch is queued
    before the last one's result is waited for, so that the model never waits. ``compiled``: see
    ``PackedModel``; where it can be, unless said otherwise. It pays from about a thousand images.
    """

    def __init__(
        self, vlm: VisionLanguageModel, batch_size: int = 8, *, compiled: bool | None = None
    ) -> None:
        self._vlm = vlm
        self._batch_size = batch_size
        chosen = compiles(vlm.device) if compiled is None else compiled
        self._packed = PackedModel(vlm, compiled=chosen)

    @classmethod
    def load(
        cls,
        model: str,
        *,
        adapter: Path | None = None,
        precision: Precision = "auto",
        device: str = "auto",
        batch_size: int = 8,
    ) -> Self:
        """A classifier over a model given by hub id, folder or ``nano``. Raises ModelError."""
        vlm = load_model(model, precision=precision, adapter=adapter, device=device)
        return cls(vlm, batch_size)

    @property
    def engine(self) -> Engine:
        """What the scores come from."""
        return self._vlm.engine

    @property
    def least(self) -> Sides:
        """Above these sides a JPEG may come at a reduced scale."""
        return self._vlm.least

    def classify(self, images: Iterable[DecodedImage]) -> Iterator[Prediction]:
        """One prediction an image, in order. Raises ModelError when the GPU's memory is full."""
        asked: deque[tuple[list[str], Callable[[], torch.Tensor]]] = deque()
        for digests, packed in self._batches(images):
            asked.append((digests, queued(partial(self._read, packed))))
            if len(asked) > 1:
                yield from self._answer(*asked.popleft())
        while asked:
            yield from self._answer(*asked.popleft())

    def _batches(self, images: Iterable[DecodedImage]) -> Iterator[tuple[list[str], Packed]]:
        """Packed batches with their images' hashes, prepared ahead."""
        stream = iter(images)
        with ThreadPoolExecutor(THREADS, "preprocess", torch.set_num_threads, (1,)) as pool:
            waiting: deque[tuple[str, Future[Piece]]] = deque()
            while True:
                ahead = 2 * self._batch_size - len(waiting)
                waiting.extend(
                    (image.sha256, pool.submit(self._packed.prepare, image))
                    for image in islice(stream, ahead)
                )
                if not waiting:
                    return
                batch = [waiting.popleft() for _ in range(min(self._batch_size, len(waiting)))]
                pieces = [piece.result() for _, piece in batch]
                yield [digest for digest, _ in batch], self._packed.pack(pieces)

    def _read(self, packed: Packed) -> torch.Tensor:
        return label_logits(self._packed.logits(packed), self._vlm.prompt)

    def _answer(self, digests: list[str], said: Callable[[], torch.Tensor]) -> Iterator[Prediction]:
        scores, off_label = scores_of(said())
        for digest, row, outside in zip(digests, scores.tolist(), off_label.tolist(), strict=True):
            yield Prediction(
                sha256=digest,
                scores=Scores((row[0], row[1], row[2], row[3]), outside),
                calibrated=False,
                engine=self.engine.fingerprint,
            )
