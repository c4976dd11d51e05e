"""Label scoring: one forward pass per image, evaluated at the position of the label's token."""

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
from mayak.model.packer import PackedBatch, PreparedImage
from mayak.model.prompt import Prompt
from mayak.model.varlen import VarlenModel, compiles
from mayak.types import DecodedImage, Engine, Prediction, Scores, Sides

THREADS = 4
"""Threads that prepare images: one resizes about 40 photos of 12 megapixels per second."""


def label_logits(logits: torch.Tensor, prompt: Prompt) -> torch.Tensor:
    """Return the four labels' logits and the off-label mass, (B, 5) float64 on the same device,
    from the logits (B, V) of the label's position.

    The off-label mass is the share of all other tokens in the softmax over the vocabulary. An image
    with logits that are not finite gets NaN.
    """
    wide = logits.double()
    # Not with a list of indices: that would be copied to the GPU first, synchronously.
    labels = torch.stack([wide[:, token] for token in prompt.label_ids], dim=1)
    # log of the labels' share of the vocabulary; 1 - exp without cancellation near 0
    inside = labels.logsumexp(dim=1) - wide.logsumexp(dim=1)
    rows = torch.cat([labels, -torch.expm1(inside.clamp(max=0.0))[:, None]], dim=1)
    return rows.where(torch.isfinite(logits).all(dim=1, keepdim=True), math.nan)


def label_scores(logits: torch.Tensor, prompt: Prompt) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores (B, 4), the softmax over the four labels' logits, and off-label mass (B,) for
    the logits (B, V) of the label's position. Both are float64, so that sums are exact to 1e-12.

    Raises:
        ModelError: a logit is not finite.
    """
    return scores_of(label_logits(logits, prompt))


def scores_of(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores (N, 4) and off-label masses (N,) for the result of ``label_logits``."""
    require_finite(rows)
    return rows[:, :-1].softmax(dim=1), rows[:, -1]


def require_finite(rows: torch.Tensor) -> None:
    """Refuse values that are not finite: they must not become a score, or label 0 by default.

    Raises:
        ModelError: a value is not finite.
    """
    if not torch.isfinite(rows).all():
        raise ModelError(
            msg("the model's output is not a number: no label can be read from it"),
            remedy=msg(
                "weights or adapter are damaged, or training diverged (lower learning_rate)"
            ),
        )


def queued(function: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    """Start a function of the model, on a GPU asynchronously, and return a function that waits for
    its result and returns it on the CPU.

    Raises:
        ModelError: the GPU's memory is full.
    """
    try:
        with torch.inference_mode():
            result = function()
            if not result.is_cuda:
                return lambda: result
            # Not simply .cpu(): that would also wait for everything queued after it.
            on_cpu = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
            on_cpu.copy_(result, non_blocking=True)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record()
    except torch.OutOfMemoryError as error:
        raise out_of_memory(error) from error

    def wait() -> torch.Tensor:
        done.synchronize()
        return on_cpu

    return wait


class Launcher:
    """``queued`` for a model on ``device``; a context manager.

    On a GPU, one thread starts the functions one after the other: starting a kernel blocks if a
    thousand are queued, and the caller has other things to do.
    """

    def __init__(self, device: torch.device) -> None:
        self._thread = (
            ThreadPoolExecutor(1, "launch", torch.cuda.set_device, (device,))
            if device.type == "cuda"
            else None
        )

    @property
    def is_threaded(self) -> bool:
        """Whether functions run in a thread of their own."""
        return self._thread is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def __call__(self, function: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        """Start a function and return one that waits for its result, or raises its exception
        (ModelError if the GPU's memory is full)."""
        if self._thread is None:
            return queued(function)
        launched = self._thread.submit(queued, function)
        return lambda: launched.result()()


class LabelScorer:
    """``types.Classifier`` over a loaded model.

    A few threads prepare images ahead of the model. On a GPU the next batch is queued before the
    last one's result is read, so that the model never waits. ``compiled``: see ``VarlenModel``; by
    default if the compiler works. It saves time from about a thousand images on.
    """

    def __init__(
        self, vlm: VisionLanguageModel, batch_size: int = 8, *, compiled: bool | None = None
    ) -> None:
        self._vlm = vlm
        self._batch_size = batch_size
        chosen = compiles(vlm.device) if compiled is None else compiled
        self._model = VarlenModel(vlm, compiled=chosen)

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
        """Load a classifier for a model given by hub id, folder or ``nano``.

        Raises:
            ModelError: the model or adapter cannot be used.
        """
        vlm = load_model(model, precision=precision, adapter=adapter, device=device)
        return cls(vlm, batch_size)

    @property
    def engine(self) -> Engine:
        """The engine that the scores come from."""
        return self._vlm.engine

    @property
    def min_sides(self) -> Sides:
        """A JPEG with larger sides may be decoded at a reduced scale."""
        return self._vlm.min_sides

    def classify(self, images: Iterable[DecodedImage]) -> Iterator[Prediction]:
        """Yield one prediction per image, in order.

        Raises:
            ModelError: the GPU's memory is full.
        """
        running: deque[tuple[list[str], Callable[[], torch.Tensor]]] = deque()
        for digests, packed in self._batches(images):
            running.append((digests, queued(partial(self._forward, packed))))
            if len(running) > 1:
                yield from self._predictions(*running.popleft())
        while running:
            yield from self._predictions(*running.popleft())

    def _batches(self, images: Iterable[DecodedImage]) -> Iterator[tuple[list[str], PackedBatch]]:
        """Yield packed batches, prepared ahead, with their images' SHA-256."""
        stream = iter(images)
        with ThreadPoolExecutor(THREADS, "preprocess", torch.set_num_threads, (1,)) as pool:
            waiting: deque[tuple[str, Future[PreparedImage]]] = deque()
            while True:
                ahead = 2 * self._batch_size - len(waiting)
                waiting.extend(
                    (image.sha256, pool.submit(self._model.packer.prepare, image))
                    for image in islice(stream, ahead)
                )
                if not waiting:
                    return
                batch = [waiting.popleft() for _ in range(min(self._batch_size, len(waiting)))]
                prepared = [image.result() for _, image in batch]
                yield [digest for digest, _ in batch], self._model.pack(prepared)

    def _forward(self, packed: PackedBatch) -> torch.Tensor:
        return label_logits(self._model.logits(packed), self._vlm.prompt)

    def _predictions(
        self, digests: list[str], result: Callable[[], torch.Tensor]
    ) -> Iterator[Prediction]:
        scores, off_label = scores_of(result())
        for digest, row, mass in zip(digests, scores.tolist(), off_label.tolist(), strict=True):
            yield Prediction(
                sha256=digest,
                scores=Scores((row[0], row[1], row[2], row[3]), mass),
                is_calibrated=False,
                engine=self.engine.fingerprint,
            )
