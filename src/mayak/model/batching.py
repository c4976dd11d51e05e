"""Batches of images with similar lengths for generation, prepared ahead, results in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from transformers import BatchFeature, LlavaNextProcessor

from mayak.model.prompt import token_counts
from mayak.types import DecodedImage

T = TypeVar("T")

_WINDOW_BATCHES = 8
"""Number of batches whose images are sorted by length together: enough to keep padding small, few
enough to bound memory (8 × 8 photos of 12 megapixels take 2.3 GB)."""


def answer_in_order(
    images: Iterable[DecodedImage],
    processor: LlavaNextProcessor,
    batch_size: int,
    prepare: Callable[[list[DecodedImage]], BatchFeature],
    run: Callable[[BatchFeature], list[T]],
) -> Iterator[tuple[DecodedImage, T]]:
    """Yield every image with its answer from ``run``, in the order of ``images``.

    ``prepare`` (the processor, on the CPU) runs in a thread, one batch ahead of ``run`` (the
    model), so that neither waits for the other.
    """
    stream = iter(images)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="preprocess") as pool:
        while window := list(islice(stream, batch_size * _WINDOW_BATCHES)):
            lengths = token_counts(processor, window)
            order = sorted(range(len(window)), key=lambda i: -lengths[i])
            chunks = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
            answers: dict[int, T] = {}
            ahead: Future[BatchFeature] = pool.submit(prepare, [window[i] for i in chunks[0]])
            for position, chunk in enumerate(chunks):
                batch = ahead.result()
                if position + 1 < len(chunks):
                    following = [window[i] for i in chunks[position + 1]]
                    ahead = pool.submit(prepare, following)
                answers.update(zip(chunk, run(batch), strict=True))
            yield from ((image, answers[i]) for i, image in enumerate(window))
