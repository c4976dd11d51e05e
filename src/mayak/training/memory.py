"""Estimate of the memory that a training step needs, from one forward pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import psutil
import torch
from torch.autograd.graph import saved_tensors_hooks

from mayak.i18n import msg
from mayak.model.torch_internals import storage_reference
from mayak.training.data import Collate, TrainingBatch
from mayak.training.module import FineTuning, trained
from mayak.types import DecodedImage

_STATE_BYTES = 12
"""Bytes per trained parameter that are allocated in the first step: gradient, AdamW's moments."""
_MARGIN = 1.2
"""Factor for gradients of activations, and for memory that the allocator cannot use."""


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Memory that a step on the largest batch needs, and free memory, in bytes."""

    needed: int
    free: int

    @property
    def is_within_memory(self) -> bool:
        """Whether all activations can be kept for the backward pass."""
        return self.needed <= self.free

    def __str__(self) -> str:
        needed, free = (f"{part / 2**30:.1f}" for part in (self.needed, self.free))
        if self.is_within_memory:
            return msg(
                "activations are kept for the backward pass: {needed} GiB at most, {free} free "
                "(gradient_checkpointing: auto)",
                needed=needed,
                free=free,
            )
        return msg(
            "activations are computed again in the backward pass: keeping them takes up to "
            "{needed} GiB, {free} are free (gradient_checkpointing: auto)",
            needed=needed,
            free=free,
        )


def estimate_memory(module: FineTuning, batch: TrainingBatch, *, mixed: bool) -> MemoryEstimate:
    """Run one forward pass without keeping activations, and count the bytes that would be kept.

    ``mixed``: compute in bf16 on the GPU, as Lightning will.
    """
    device = module.model.device
    before, free = _usage(device)
    kept = kept_bytes(module, batch, mixed=mixed)
    passing = max(0, _peak(device) - before)
    state = _STATE_BYTES * sum(weight.numel() for weight in trained(module.model).values())
    return MemoryEstimate(int(_MARGIN * (kept + 2 * passing + state)), free)


def kept_bytes(module: FineTuning, batch: TrainingBatch, *, mixed: bool) -> int:
    """Return the bytes that autograd keeps of a forward pass besides the weights, each storage
    counted once."""
    known = {
        ref.cdata: ref
        for part in (*module.parameters(), *module.buffers())
        for ref in [storage_reference(part)]
    }
    total = 0

    def count(saved: torch.Tensor) -> None:
        nonlocal total
        ref = storage_reference(saved)
        # An address is used again after its storage is freed.
        if ref.cdata not in known or known[ref.cdata].expired():
            known[ref.cdata] = ref
            total += saved.untyped_storage().nbytes()

    def never(_: None) -> torch.Tensor:
        raise AssertionError("this forward pass has no backward pass")

    device = module.model.device.type
    with (
        torch.autocast(device, torch.bfloat16, enabled=mixed),
        saved_tensors_hooks(count, never),
    ):
        module(batch)
    return total


def largest_batch(collate: Collate, size: int) -> TrainingBatch:
    """Return a batch of ``size`` blank images in the shape that takes the most tokens."""
    blank = [
        DecodedImage("", np.zeros((height, width, 3), np.uint8), (width, height), "")
        for height, width in collate.packer.config.image_grid_pinpoints
    ]
    return max((collate([(image, 0)] * size) for image in blank), key=lambda b: b.packed.bounds[-1])


def _usage(device: torch.device) -> tuple[int, int]:
    """Return the bytes that tensors use, and the bytes that are free for them."""
    if device.type != "cuda":
        return 0, psutil.virtual_memory().available
    torch.cuda.reset_peak_memory_stats(device)
    used, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    return used, torch.cuda.mem_get_info(device)[0] + reserved - used


def _peak(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
