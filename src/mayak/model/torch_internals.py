"""Adapter for the parts of PyTorch that are not its public interface.

No other module of this package calls them. ``tests/model/test_internals.py`` fails if an upgrade
renames or changes one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.data import DataLoader


def multiply_fp8(
    rows: torch.Tensor,
    row_scales: torch.Tensor,
    weight: torch.Tensor,
    weight_scales: torch.Tensor,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Multiply scaled float8 rows (N, K) by a scaled float8 weight (K, M); the result has
    ``dtype``. The scales are (N, 1) and (1, M)."""
    return torch._scaled_mm(
        rows,
        weight,
        scale_a=row_scales,
        scale_b=weight_scales,
        out_dtype=dtype,
        use_fast_accum=True,
    )


def flash_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, longest: int
) -> torch.Tensor:
    """Causal attention within each of several sequences in one kernel, on a GPU.

    ``query`` (M, heads, d), ``key`` and ``value`` (M, fewer heads, d) in 16 bits; ``bounds``
    (B + 1,) int32 on the GPU; ``longest`` is the length of the longest sequence. PyTorch's public
    form is recent, and has changed with each version so far.
    """
    mixed: torch.Tensor = torch.ops.aten._flash_attention_forward(
        query, key, value, bounds, bounds, longest, longest, 0.0, True, False
    )[0]
    return mixed


def storage_reference(tensor: torch.Tensor) -> Any:  # noqa: ANN401 - untyped in torch
    """Return a weak reference to a tensor's storage, with its address in ``cdata``."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def stop_workers(loader: DataLoader[Any]) -> None:
    """End a loader's persistent worker processes, even if somebody still holds its iterator."""
    if loader.num_workers and loader._iterator is not None:
        loader._iterator._shutdown_workers()  # type: ignore[attr-defined]
