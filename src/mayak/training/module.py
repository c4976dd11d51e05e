"""The model under training: LoRA on the language model, loss on the answer alone."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import LightningModule
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn import functional
from torchmetrics import MeanMetric

from mayak.config import LoraOptions, TrainConfig
from mayak.errors import ModelError
from mayak.i18n import msg
from mayak.model import VisionLanguageModel
from mayak.model.scoring import label_scores
from mayak.training.checkpoint import Validation
from mayak.training.data import TrainingBatch
from mayak.training.forward import AnswerForward
from mayak.training.plan import Plan

TARGETS = r".*language_model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"
"""Modules that get an adapter. A plain list of names would also train the CLIP tower, which has q,
k and v projections too."""

Adapter = dict[str, torch.Tensor]


def attach_lora(
    model: Any,  # noqa: ANN401 - transformers is untyped
    options: LoraOptions,
    *,
    name: str,
    revision: str | None,
    seed: int,
) -> PeftModel:
    """Freeze ``model`` and attach new float32 adapters to its language model.

    The adapter records ``name`` and ``revision`` as its base model.

    Raises:
        ModelError: the number of trained parameters differs from the one that the configuration's
            shapes predict.
    """
    model.requires_grad_(False)
    # LoRA's A is random and must depend on the seed only.
    torch.manual_seed(seed)
    settings = LoraConfig(
        r=options.r,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=TARGETS,
    )
    try:
        expected = expected_parameters(model.config.text_config, options.r)
        with warnings.catch_warnings():
            # PEFT reads a property that transformers has renamed.
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
            adapted = get_peft_model(model, settings)
    except (AttributeError, ValueError) as error:
        # Other model families lack these keys, or projections of these names.
        raise _unfit(str(error).splitlines()[0]) from error
    adapted.peft_config["default"].base_model_name_or_path = name
    adapted.peft_config["default"].revision = revision
    for parameter in trained(adapted).values():
        parameter.data = parameter.data.float()
    weights = trained(adapted)
    count = sum(weight.numel() for weight in weights.values())
    astray = [key for key in weights if "language_model.layers." not in key]
    if count != expected or astray:
        raise _unfit(
            msg(
                "LoRA would train {count:,} parameters instead of {expected:,}",
                count=count,
                expected=expected,
            )
            + "".join(f"; {key}" for key in astray[:1])
        )
    return adapted


def _unfit(reason: str) -> ModelError:
    return ModelError(
        msg("this model's language model cannot be fine-tuned: {reason}", reason=reason),
        remedy=msg("use a LLaVA-NeXT checkpoint with a Mistral or Llama language model"),
    )


def trained(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Return the parameters that are trained, by name."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def expected_parameters(text_config: Any, rank: int) -> int:  # noqa: ANN401
    """Return Σ r · (in + out) over the seven projections of every layer."""
    hidden, inner = text_config.hidden_size, text_config.intermediate_size
    heads = text_config.num_attention_heads
    width = getattr(text_config, "head_dim", None) or hidden // heads
    query, key = heads * width, text_config.num_key_value_heads * width
    attention = 2 * (hidden + query) + 2 * (hidden + key)
    return int(text_config.num_hidden_layers * rank * (attention + 3 * (hidden + inner)))


class FineTuning(LightningModule):  # type: ignore[misc]  # lightning is untyped
    """LLaVA-NeXT with adapters, as a Lightning module.

    Lightning counts steps from zero at each start. ``done`` steps were done before, so that the
    absolute step is ``done + trainer.global_step``.
    """

    def __init__(
        self,
        vlm: VisionLanguageModel,
        config: TrainConfig,
        plan: Plan,
        *,
        done: int = 0,
        process: int = 0,
        optimizer_state: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.model = attach_lora(
            vlm.model, config.lora, name=config.model, revision=config.revision, seed=config.seed
        )
        self.answers = AnswerForward(replace(vlm, model=self.model))
        self._prompt = vlm.prompt
        self._config, self._plan = config, plan
        self._done, self._process = done, process
        self._optimizer_state = optimizer_state
        self._step_loss: list[torch.Tensor] = []
        self._loss, self._accuracy, self._base_tile_accuracy = (MeanMetric() for _ in range(3))
        self.train()

    @property
    def step(self) -> int:
        """Updates of the weights since the beginning of the run, across restarts."""
        return self._done + int(self.trainer.global_step)

    def forward(self, batch: TrainingBatch) -> torch.Tensor:
        """Return the mean loss of the answers' tokens, for a batch on the model's device."""
        logits = self.answers(batch.packed, batch.answers.shape[1])
        return functional.cross_entropy(logits.flatten(0, 1), batch.answers.flatten())

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> torch.Tensor:
        """Return the batch's loss, weighted so that a step's gradient is the mean over its
        samples."""
        step = self.step + 1
        within = batch_idx % self._plan.accumulate
        torch.manual_seed(self._plan.seed_of(step, within, self._process))
        loss: torch.Tensor = self(batch)
        share = len(batch) / self._plan.samples_in(step)
        self._step_loss.append(loss.detach() * share)
        # Lightning divides by `accumulate`, even if an epoch's last step has fewer batches.
        return loss * (share * self._plan.accumulate)

    def take_step_loss(self) -> torch.Tensor:
        """Return the mean loss of the finished step's samples in this process, and reset it."""
        total = torch.stack(self._step_loss).sum()
        self._step_loss.clear()
        return total

    def validation_step(self, batch: TrainingBatch) -> None:
        """Accumulate loss and accuracy from one forward pass; the loss counts whole images only."""
        answers, count = batch.answers, len(batch)
        logits = self.answers(batch.packed, answers.shape[1])
        losses = functional.cross_entropy(logits.flatten(0, 1), answers.flatten(), reduction="none")
        self._loss.update(losses.view_as(answers).mean(dim=1)[:count])
        position = len(self._prompt.lead_ids)
        scores, _ = label_scores(logits[:, position], self._prompt)
        ids = torch.tensor(self._prompt.label_ids, device=answers.device)
        truth = (answers[:, position, None] == ids).int().argmax(dim=1)
        best, second = scores.topk(2, dim=1).values.T
        right = (scores.argmax(dim=1) == truth) & (best > second)
        self._accuracy.update(right[:count].float())
        if batch.base_tiles:
            self._base_tile_accuracy.update(right[count:].float())

    def take_validation(self) -> Validation:
        """Return the scores of the whole validation set over all processes, and reset them."""
        metrics = [self._loss, self._accuracy]
        if self._config.base_tile:
            metrics.append(self._base_tile_accuracy)
        found = Validation(self.step, *(metric.compute().item() for metric in metrics))
        for metric in metrics:
            metric.reset()
        return found

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW at a constant rate with PyTorch's other defaults (weight decay .01)."""
        optimizer = torch.optim.AdamW(
            list(trained(self.model).values()), lr=self._config.learning_rate
        )
        if self._optimizer_state is not None:
            optimizer.load_state_dict(self._optimizer_state)
        return optimizer

    def adapter(self) -> Adapter:
        """Return the trained weights, on the CPU."""
        return {name: value.detach().cpu() for name, value in trained(self.model).items()}


def load_adapter(model: torch.nn.Module, adapter: Adapter) -> None:
    """Copy trained weights into a model with adapters.

    Raises:
        ModelError: the weights belong to another model.
    """
    weights = trained(model)
    if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in adapter.items()}:
        raise ModelError(
            msg("the checkpoint's adapter does not fit this base model"),
            remedy=msg("resume with the model that the run began with"),
        )
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(adapter[name])
