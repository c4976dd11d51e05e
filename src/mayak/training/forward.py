"""The packed pass with a gradient: images and answers one behind the other, nothing padded.

The vision tower and the projector are frozen and leave nothing for a backward pass. Logits are
computed for the answers' tokens alone. ``tests/training/test_forward.py`` holds losses and
gradients against the stock model's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mayak.i18n import msg
from mayak.model import VisionLanguageModel
from mayak.model.packed import PackedModel, compiles, read
from mayak.model.packing import Packed
from mayak.model.shortcuts import Compiled

WORTH_COMPILING = 1000
"""Images from which on a run is over sooner with compiled layers: compiling took 94 s on an H100
and saved .09 s an image (``benchmarks/results.csv``)."""


class AnswerPass:
    """A model with adapters, asked for the logits of what is answered to packed images."""

    def __init__(self, vlm: VisionLanguageModel) -> None:
        self._packed = PackedModel(vlm)
        self._model, self._device = vlm.base, vlm.device
        self._read: Callable[..., torch.Tensor] = read
        self._judge: Callable[..., torch.Tensor] = read
        """The same where nothing is learnt."""
        self.checkpointed = False
        """Whether each layer's input alone is kept for the backward pass, and the rest computed
        again there."""
        self.compiled = False

    def compile(self) -> None:
        """From now on, compiled decoder layers: one graph with a gradient and one without, for all
        lengths. The tower is not worth it: it takes 3 % of a step."""
        self._read = torch.compile(read, dynamic=True)
        # Only here: what dropout leaves out differs each time.
        self._judge = Compiled(read, len(self._model.model.language_model.layers))
        self.compiled = True

    def __call__(self, packed: Packed, count: int) -> torch.Tensor:
        """Float32 logits (B, count, V) of each image's last ``count`` positions; ``packed`` lies on
        the model's device."""
        # As when images are scored; and what autocast would widen there is never trained.
        with torch.no_grad(), torch.autocast(self._device.type, enabled=False):
            hidden, cos, sin = self._packed.embedded(packed)
        learning = torch.is_grad_enabled()
        if learning and self.compiled:
            # Or the compiler would make a graph of its own for the first layer.
            hidden.requires_grad_()
        through = self._read if learning else self._judge
        language = self._model.model.language_model
        where = self._where(packed, hidden, language.layers[0].self_attn.head_dim)
        for layer in language.layers:
            if learning and self.checkpointed:
                hidden = checkpoint(through, layer, hidden, cos, sin, *where, use_reentrant=False)
            else:
                hidden = through(layer, hidden, cos, sin, *where)
        back = torch.arange(-count, 0, device=self._device)
        answers = hidden[packed.last[:, None] + 1 + back]
        logits: torch.Tensor = self._model.lm_head(language.norm(answers))
        return logits.float()

    def _where(
        self, packed: Packed, hidden: torch.Tensor, width: int
    ) -> tuple[Callable[..., torch.Tensor], torch.Tensor, int]:
        """Which attention, and what it is told of the images."""
        longest = int(packed.bounds.diff().max())
        if _flashes(hidden) and width % 8 == 0:
            ends = packed.bounds.to(self._device, torch.int32, non_blocking=True)
            return _attend_at_once, ends, longest
        return _attend_singly, packed.bounds, longest


def compiling(device: torch.device, *, mixed: bool, images: int) -> tuple[bool, str]:
    """Whether a run over so many ``images`` goes through compiled layers, and why.

    ``mixed``: it computes in bf16 on a GPU.
    """
    if not mixed:
        return False, msg(
            "images are packed without padding; layers are not compiled, which is for bf16 on a GPU"
        )
    if images < WORTH_COMPILING:
        return False, msg(
            "images are packed without padding; layers are not compiled, which takes longer than "
            "it saves under {worth_compiling:,} images",
            worth_compiling=WORTH_COMPILING,
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


def _flashes(hidden: torch.Tensor) -> bool:
    """Whether PyTorch's flash attention takes it."""
    half = hidden.dtype in (torch.bfloat16, torch.float16)
    return hidden.is_cuda and half and torch.backends.cuda.is_flash_attention_available()


def _attend_at_once(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, longest: int
) -> torch.Tensor:
    """Causal attention within each image, all images in one kernel; query (M, heads, d), key and
    value (M, fewer heads, d), bounds (B + 1,) int32 beside them."""
    query, key = query.to(value.dtype), key.to(value.dtype)
    # PyTorch's public form of it is too young, and has changed with each version so far.
    mixed: torch.Tensor = torch.ops.aten._flash_attention_forward(
        query, key, value, bounds, bounds, longest, longest, 0.0, True, False
    )[0]
    return mixed


def _attend_singly(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    longest: int,  # noqa: ARG001 - as the other is called
) -> torch.Tensor:
    """The same, one image after the other; bounds (B + 1,) on the CPU."""
    lengths = bounds.diff().tolist()
    # Not every kernel lets heads share keys; without one that does, memory grows with the square.
    shared = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(shared, dim=1) for part in (key, value))
    # Split, not cut out: the gradients of pieces cut out would each be as large as the whole.
    parts = (torch.split(part.to(value.dtype), lengths) for part in (query, key, value))
    mixed = []
    for image in zip(*parts, strict=True):
        asked, keys, values = (part.transpose(0, 1)[None] for part in image)
        mixed.append(functional.scaled_dot_product_attention(asked, keys, values, is_causal=True))
    return torch.cat([part[0].transpose(0, 1) for part in mixed])
