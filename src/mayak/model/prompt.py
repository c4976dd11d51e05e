"""The paper's question as token ids, and the token ids of the four labels.

Mistral's tokenizer splits an answer `` 0`` into a blank and ``0``. The blank is the same for every
label, so it belongs to the prompt when labels are scored. It is detected, not assumed: other
tokenizers have one token for `` 0``, and after a template that ends with white space there is none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from transformers import BatchFeature, LlavaNextProcessor

from mayak.errors import ModelError
from mayak.files import json_digest
from mayak.i18n import msg
from mayak.labels import LABELS, QUESTION
from mayak.model.chat_template import TemplateError, render
from mayak.model.transformers_internals import image_token_counts
from mayak.types import DecodedImage


@dataclass(frozen=True, slots=True)
class Prompt:
    """The rendered question: its text, and the ids of everything that follows it."""

    text: str
    """One user turn with an image, rendered by the processor's chat template."""
    question_ids: tuple[int, ...]
    """Ids of ``text``, with one image token."""
    lead_ids: tuple[int, ...]
    """Ids between the prompt and every label's own token (Mistral: one blank)."""
    label_ids: tuple[int, ...]
    """The four labels' tokens at the scored position, in order of label."""
    end_id: int

    @classmethod
    def of(cls, processor: LlavaNextProcessor) -> Prompt:
        """Render the question and find the labels' tokens.

        Raises:
            ModelError: the chat template is missing or takes too long; or the four labels are not
                four distinct single tokens at one position, so that a softmax over them would mean
                nothing.
        """
        tokenizer = processor.tokenizer
        text = _rendered(processor)
        # The tokenizer adds the start token itself; a template that also writes it would double it.
        if tokenizer.bos_token:
            text = text.removeprefix(tokenizer.bos_token)
        # The template's own white space stays: ChatML and Llama 3 end the assistant's header with
        # line ends, and their models were trained on answers that follow these without a blank.
        blank = "" if text[-1:].isspace() else " "
        question = tokenizer(text)["input_ids"]
        answers = [tokenizer(f"{text}{blank}{label.answer}")["input_ids"] for label in LABELS]
        tails = [ids[len(question) :] for ids in answers]
        lead = _common_prefix(tails)
        labels = [tail[len(lead)] for tail in tails if len(tail) == len(lead) + 1]
        if (
            any(ids[: len(question)] != question for ids in answers)
            or len(set(labels)) != len(LABELS)
            or tokenizer.eos_token_id is None
        ):
            raise ModelError(
                msg(
                    "this tokenizer gives the labels no single tokens of their own: {tails}",
                    tails=tails,
                ),
                remedy=msg("use a LLaVA-NeXT checkpoint"),
            )
        return cls(text, tuple(question), tuple(lead), tuple(labels), tokenizer.eos_token_id)

    @property
    def digest(self) -> str:
        """SHA-256 of the ids of question, lead, labels and end."""
        ids = [self.question_ids, self.lead_ids, self.label_ids, self.end_id]
        return json_digest(ids, "ascii")

    def answer_ids(self, label: int) -> tuple[int, ...]:
        """Return the ids of a training answer: lead, label, end."""
        return (*self.lead_ids, self.label_ids[label], self.end_id)


def _rendered(processor: LlavaNextProcessor) -> str:
    """Render the user's turn, an image and the question, with the processor's chat template."""
    template = processor.chat_template
    if isinstance(template, dict):  # several of them, by name
        template = template.get("default")
    if not template:
        raise ModelError(
            msg("the processor has no chat template"),
            remedy=msg("use the folder of the complete checkpoint"),
        )
    try:
        text = _render(template, json.dumps(processor.tokenizer.special_tokens_map, default=str))
        if (images := text.count(processor.image_token)) != 1:
            raise TemplateError(f"{images} × {processor.image_token:.50}")
        return text
    except TemplateError as error:
        raise ModelError(
            msg("the model's chat template cannot be rendered: {error}", error=error),
            remedy=msg("use the chat_template.jinja of the published checkpoint"),
        ) from error


@lru_cache(maxsize=8)
def _render(template: str, special_tokens: str) -> str:
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}
    return render(template, [turn], json.loads(special_tokens))


def _common_prefix(rows: list[list[int]]) -> list[int]:
    prefix: list[int] = []
    for column in zip(*rows, strict=False):
        if len(set(column)) > 1:
            break
        prefix.append(column[0])
    return prefix


def ask(
    processor: LlavaNextProcessor,
    prompt: Prompt,
    images: list[DecodedImage],
    suffix: tuple[int, ...],
) -> BatchFeature:
    """Return a left-padded batch with the question for each image.

    ``suffix`` is appended to every row: nothing to generate an answer, ``prompt.lead_ids`` to score
    the labels. The batch has ``input_ids`` and ``attention_mask`` (B, T), ``pixel_values``
    (B, tiles, 3, side, side), ``image_sizes`` (B, 2). Image tokens are never truncated.
    """
    batch = _processed(processor, prompt, images)
    if suffix:
        rows = torch.tensor([suffix]).expand(len(images), -1)
        _append(batch, rows)
    return batch


def token_counts(processor: LlavaNextProcessor, images: list[DecodedImage]) -> list[int]:
    """Return the number of image tokens of each image, to batch images of similar length."""
    return image_token_counts(processor, [image.pixels.shape[:2] for image in images])


def _processed(
    processor: LlavaNextProcessor, prompt: Prompt, images: list[DecodedImage]
) -> BatchFeature:
    # By keyword: the processor's positional order of text and images is not the obvious one.
    return processor(
        images=[torch.from_numpy(image.pixels).permute(2, 0, 1) for image in images],
        text=[prompt.text] * len(images),
        padding=True,
        padding_side="left",
        input_data_format="channels_first",
        return_tensors="pt",
    )


def _append(batch: BatchFeature, rows: Any) -> None:  # noqa: ANN401 - a tensor (B, n)
    batch["input_ids"] = torch.cat([batch["input_ids"], rows], dim=1)
    batch["attention_mask"] = torch.cat([batch["attention_mask"], torch.ones_like(rows)], dim=1)
