"""Generation of free answers to the paper's question, for the zero-shot measurement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import BatchFeature

from mayak.model.batching import answer_in_order
from mayak.model.load import VisionLanguageModel, out_of_memory
from mayak.model.prompt import ask
from mayak.model.varlen import wide_head
from mayak.types import DecodedImage, Engine


class AnswerGenerator:
    """``types.Answerer`` over a loaded model: greedy decoding, left-padded, at most 50 tokens by
    default (the paper's zero-shot run)."""

    def __init__(
        self, vlm: VisionLanguageModel, batch_size: int = 4, max_new_tokens: int = 50
    ) -> None:
        self._vlm = vlm
        self._batch_size = batch_size
        self._max_new_tokens = max_new_tokens

    @property
    def engine(self) -> Engine:
        """The engine that the answers come from."""
        return self._vlm.engine

    def answer(self, images: Iterable[DecodedImage]) -> Iterator[str]:
        """Yield one answer per image, in order.

        Raises:
            ModelError: the GPU's memory is full.
        """
        rows = answer_in_order(
            images, self._vlm.processor, self._batch_size, self._prepare, self._run
        )
        return (text for _, text in rows)

    def _prepare(self, images: list[DecodedImage]) -> BatchFeature:
        return ask(self._vlm.processor, self._vlm.prompt, images, ())

    def _run(self, batch: BatchFeature) -> list[str]:
        tokenizer = self._vlm.processor.tokenizer
        try:
            with torch.inference_mode(), _float32_logits(self._vlm.base):
                ids = self._vlm.model.generate(
                    **self._vlm.inputs(batch),
                    max_new_tokens=self._max_new_tokens,
                    do_sample=False,
                    pad_token_id=tokenizer.pad_token_id,
                )
        except torch.OutOfMemoryError as error:
            raise out_of_memory(error) from error
        # With left padding, every answer begins after the prompt's columns.
        answers = ids[:, batch["input_ids"].shape[1] :]
        texts: list[str] = tokenizer.batch_decode(answers, skip_special_tokens=True)
        return [text.strip() for text in texts]


@contextmanager
def _float32_logits(model: Any) -> Iterator[None]:  # noqa: ANN401 - a base model
    """Let a base model compute its logits as ``wide_logits`` does.

    In 16 bits the two most likely tokens would often be equal, and the one with the lower id, which
    is the lower label, would be written.
    """
    normed = torch.empty(0)

    def before_norm(_: object, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (given[0].float(),)

    def before_head(head: torch.nn.Linear, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        nonlocal normed
        (normed,) = given
        return (normed.to(head.weight.dtype),)

    def after_head(head: torch.nn.Linear, *_: object) -> torch.Tensor:
        return wide_head(head, normed)

    hooks = [
        model.model.language_model.norm.register_forward_pre_hook(before_norm),
        model.lm_head.register_forward_pre_hook(before_head),
        model.lm_head.register_forward_hook(after_head),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
