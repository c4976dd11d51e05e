"""Row-wise fp8 for the language model's projections (Hopper, Ada and later GPUs).

Each weight's row and each token's activations are scaled to fill e4m3's range (±448; Micikevicius
et al. 2022, *FP8 Formats for Deep Learning*); products are summed in wider numbers and scaled back.
Three bits of mantissa change the scores. The change must be measured on real images, because random
weights do not show it (``mayak.evaluation.agreement``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mayak.errors import ModelError
from mayak.i18n import msg
from mayak.model.torch_internals import multiply_fp8

_LARGEST = torch.finfo(torch.float8_e4m3fn).max
_MIN_SCALE = 1e-12
"""Lower bound of a row's largest value, so that a row of zeros stays zero."""


class RowwiseLinear(nn.Module):
    """``y = x Wᵀ + b`` in row-wise fp8, with input and output in the replaced layer's dtype."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = _scaled(linear.weight.detach())
        self.weight = nn.Buffer(weight)
        self.scale = nn.Buffer(scale.T.contiguous())
        self.bias = linear.bias

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(…, in) → (…, out)."""
        rows, scale = _scaled(hidden.flatten(0, -2))
        out = multiply_fp8(rows, scale, self.weight.T, self.scale, hidden.dtype)
        wide: torch.Tensor = out if self.bias is None else out + self.bias
        return wide.view(*hidden.shape[:-1], -1)


def _scaled(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows (N, K) as e4m3, and the float32 scales (N, 1) that restore them."""
    wide = rows.float()
    scale = wide.abs().amax(dim=1, keepdim=True).clamp(min=_MIN_SCALE) / _LARGEST
    return (wide / scale).to(torch.float8_e4m3fn), scale


def to_fp8(language: Any, device: torch.device) -> None:  # noqa: ANN401 - a transformers model
    """Replace the projections of a language model's layers, in place.

    Raises:
        ModelError: the device cannot multiply fp8.
    """
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 9):
        raise ModelError(
            msg("{device} has no fp8", device=torch.cuda.get_device_name(device)),
            remedy="--precision bf16",
        )
    for layer in language.layers:
        for block in (layer.self_attn, layer.mlp):
            for name, part in list(block.named_children()):
                if isinstance(part, nn.Linear):
                    setattr(block, name, RowwiseLinear(part))
