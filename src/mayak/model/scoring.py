"""Label scoring: one forward pass an image, read at the position of the label's token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import torch
from transformers import BatchFeature

from mayak.config import Precision
from mayak.errors import ModelError
from mayak.language import tr
from mayak.model.batching import answer_in_order
from mayak.model.load import VisionLanguageModel, load_model, out_of_memory
from mayak.model.prompt import Prompt, ask
from mayak.types import DecodedImage, Engine, Prediction


def label_scores(logits: torch.Tensor, prompt: Prompt) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores (B, 4) and off-label mass (B,) from the logits (B, V) of the label's position.

    Scores are the softmax over the four label tokens; the off-label mass is what the softmax over
    the whole vocabulary leaves to all others. Both float64: sums hold to 1e-12. Raises ModelError
    for logits that are not finite: no score, and never label 0 by default.
    """
    if not torch.isfinite(logits).all():
        raise ModelError(
            tr(
                "the model's output is not a number: no label can be read from it",
                "모델 출력이 숫자가 아니어서 라벨을 읽을 수 없습니다",
            ),
            remedy=tr(
                "weights or adapter are damaged, or training diverged (lower learning_rate)",
                "가중치나 어댑터가 손상되었거나 학습이 발산했습니다(learning_rate를 낮추십시오)",
            ),
        )
    wide = logits.double()
    labels = wide[:, list(prompt.label_ids)]
    # log of the labels' share of the vocabulary; 1 - exp without cancellation near 0
    inside = labels.logsumexp(dim=1) - wide.logsumexp(dim=1)
    return labels.softmax(dim=1), -torch.expm1(inside.clamp(max=0.0))


class LabelScorer:
    """``types.Classifier`` over a loaded model."""

    def __init__(self, vlm: VisionLanguageModel, batch_size: int = 8) -> None:
        self._vlm = vlm
        self._batch_size = batch_size

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

    def classify(self, images: Iterable[DecodedImage]) -> Iterator[Prediction]:
        """One prediction an image, in order. Raises ModelError when the GPU's memory is full."""
        fingerprint = self.engine.fingerprint
        rows = answer_in_order(
            images, self._vlm.processor, self._batch_size, self._prepare, self._run
        )
        for image, (scores, off_label) in rows:
            yield Prediction(
                sha256=image.sha256,
                scores=(scores[0], scores[1], scores[2], scores[3]),
                off_label=off_label,
                calibrated=False,
                engine=fingerprint,
            )

    def _prepare(self, images: list[DecodedImage]) -> BatchFeature:
        return ask(self._vlm.processor, self._vlm.prompt, images, self._vlm.prompt.lead_ids)

    def _run(self, batch: BatchFeature) -> list[tuple[list[float], float]]:
        try:
            with torch.inference_mode():
                output = self._vlm.model(
                    **self._vlm.inputs(batch), logits_to_keep=1, use_cache=False
                )
                scores, off_label = label_scores(output.logits[:, -1], self._vlm.prompt)
        except torch.OutOfMemoryError as error:
            raise out_of_memory(error) from error
        return list(zip(scores.tolist(), off_label.tolist(), strict=True))
