"""Forward pass of the training over packed images, without padding.

The vision tower and the projector are frozen and store nothing for the backward pass. Logits are
computed for the answers' tokens only. ``tests/training/test_forward.py`` compares losses and
gradients with those of the stock model.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mayak.i18n import msg
from mayak.model import VisionLanguageModel
from mayak.model.accelerate import CheckedCompile
from mayak.model.packer import PackedBatch
from mayak.model.torch_internals import flash_attention
from mayak.model.varlen import VarlenModel, compiles, decoder_layer, wide_logits

MIN_IMAGES_TO_COMPILE = 1000
"""Images from which on compiling layers saves time over a run: it took 94 s on an H100 and saved
.09 s per image (``benchmarks/results.csv``)."""


class AnswerForward:
    """Computes the logits of the answers to packed images, with a model that has adapters."""

    def __init__(self, vlm: VisionLanguageModel) -> None:
        self._varlen = VarlenModel(vlm)
        self._model, self._device = vlm.base, vlm.device
        self._forward_train: Callable[..., torch.Tensor] = decoder_layer
        self._forward_eval: Callable[..., torch.Tensor] = decoder_layer
        self.checkpointed = False
        """Whether only each layer's input is kept for the backward pass, which computes the rest
        again."""
        self.compiled = False

    def compile(self) -> None:
        """Compile the decoder layers: one graph with a gradient and one without, for all lengths.
        Compiling the tower is not worth it: it takes 3 % of a step."""
        self._forward_train = torch.compile(decoder_layer, dynamic=True)
        # Only this one can be checked: dropout makes each training pass different.
        layers = len(self._model.model.language_model.layers)
        self._forward_eval = CheckedCompile(decoder_layer, layers)
        self.compiled = True

    def __call__(self, packed: PackedBatch, count: int) -> torch.Tensor:
        """Return float32 logits (B, count, V) of each image's last ``count`` positions, for a batch
        on the model's device.

        Without a gradient they are computed in float32, as in scoring. With one, that would keep
        the head in float32 for the backward pass: half a gibibyte.
        """
        # 1. Embed, in the precision of scoring: autocast would widen what is never trained.
        with torch.no_grad(), torch.autocast(self._device.type, enabled=False):
            hidden, cos, sin = self._varlen.embedded(packed)
        training = torch.is_grad_enabled()
        if training and self.compiled:
            # Otherwise the compiler would make a graph of its own for the first layer.
            hidden.requires_grad_()
        # 2. All decoder layers, with a gradient if one is wanted.
        forward = self._forward_train if training else self._forward_eval
        language = self._model.model.language_model
        attention = self._attention(packed, hidden, language.layers[0].self_attn.head_dim)
        for layer in language.layers:
            if training and self.checkpointed:
                hidden = checkpoint(
                    forward, layer, hidden, cos, sin, *attention, use_reentrant=False
                )
            else:
                hidden = forward(layer, hidden, cos, sin, *attention)
        # 3. The head, for the answers' positions only.
        back = torch.arange(-count, 0, device=self._device)
        answers = hidden[packed.last[:, None] + 1 + back]
        if not training:
            return wide_logits(self._model, answers)
        logits: torch.Tensor = self._model.lm_head(language.norm(answers))
        return logits.float()

    def _attention(
        self, packed: PackedBatch, hidden: torch.Tensor, head_dim: int
    ) -> tuple[Callable[..., torch.Tensor], torch.Tensor, int]:
        """Return the attention function and its arguments: the images' bounds and the longest
        length."""
        longest = int(packed.bounds.diff().max())
        if _has_flash(hidden) and head_dim % 8 == 0:
            ends = packed.bounds.to(self._device, torch.int32, non_blocking=True)
            return _attend_together, ends, longest
        return _attend_one_by_one, packed.bounds, longest


def compiling(device: torch.device, *, mixed: bool, images: int) -> tuple[bool, str]:
    """Return whether a run over so many ``images`` uses compiled layers, and the reason as a
    message. ``mixed``: it computes in bf16 on a GPU.
    """
    if not mixed:
        return False, msg(
            "images are packed without padding; layers are not compiled, which is for bf16 on a GPU"
        )
    if images < MIN_IMAGES_TO_COMPILE:
        return False, msg(
            "images are packed without padding; layers are not compiled, which takes longer than "
            "it saves under {min_images_to_compile:,} images",
            min_images_to_compile=MIN_IMAGES_TO_COMPILE,
        )
    if not compiles(device):
        return False, msg(
            "images are packed without padding; layers are not compiled, for PyTorch's compiler "
            "does not work here (it needs Triton, a C compiler and Python's headers)"
        )
    return True, msg(
        "images are packed without padding; layers are compiled, for which the first step takes a "
        "minute or two"
    )


def _has_flash(hidden: torch.Tensor) -> bool:
    """Return whether PyTorch's flash attention can be used."""
    half = hidden.dtype in (torch.bfloat16, torch.float16)
    return hidden.is_cuda and half and torch.backends.cuda.is_flash_attention_available()


def _attend_together(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, longest: int
) -> torch.Tensor:
    """Causal attention within each image, all images in one kernel; query (M, heads, d), key and
    value (M, fewer heads, d), bounds (B + 1,) int32 on the same device."""
    query, key = query.to(value.dtype), key.to(value.dtype)
    return flash_attention(query, key, value, bounds, longest)


def _attend_one_by_one(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    longest: int,  # noqa: ARG001 - the other function needs it
) -> torch.Tensor:
    """Causal attention, one image after the other; bounds (B + 1,) on the CPU."""
    lengths = bounds.diff().tolist()
    # Not every kernel lets heads share keys; without one that does, memory is quadratic in length.
    shared = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(shared, dim=1) for part in (key, value))
    # Split, not slice: the gradient of each slice would be as large as the whole.
    parts = (torch.split(part.to(value.dtype), lengths) for part in (query, key, value))
    mixed = []
    for image in zip(*parts, strict=True):
        queries, keys, values = (part.transpose(0, 1)[None] for part in image)
        mixed.append(functional.scaled_dot_product_attention(queries, keys, values, is_causal=True))
    return torch.cat([part[0].transpose(0, 1) for part in mixed])
