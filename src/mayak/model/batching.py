"""From a stream of images to batches of like length, prepared ahead, answered in order."""

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
"""Images of this many batches are sorted by length together: enough to keep padding small, few
enough that memory stays bounded (8 × 8 photos of 12 megapixels are 2.3 GB)."""


def answer_in_order(
    images: Iterable[DecodedImage],
    processor: LlavaNextProcessor,
    batch_size: int,
    prepare: Callable[[list[DecodedImage]], BatchFeature],
    run: Callable[[BatchFeature], list[T]],
) -> Iterator[tuple[DecodedImage, T]]:
    """Every image with ``run``'s answer, in the order of ``images``.

    ``prepare`` (the processor's work, on the CPU) is called in a thread of its own, one batch ahead
    of ``run`` (the model's), so that neither waits for the other.
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
