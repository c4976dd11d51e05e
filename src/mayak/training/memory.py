"""Whether a backward pass fits into memory, found out without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef

from mayak.i18n import msg
from mayak.training.data import Batch, Collate
from mayak.training.module import FineTuning, trained
from mayak.types import DecodedImage

_STATE = 12
"""Bytes a trained parameter that are not there before the first step: gradient, AdamW's moments."""
_ROOM = 1.2
"""Of what is foreseen: gradients of activations, and what the allocator cannot use."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What a step on the largest batch needs, and what there is, in bytes."""

    needed: int
    free: int

    @property
    def fits(self) -> bool:
        """Whether all activations can be kept."""
        return self.needed <= self.free

    def __str__(self) -> str:
        needed, free = (f"{part / 2**30:.1f}" for part in (self.needed, self.free))
        if self.fits:
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


def foresee(module: FineTuning, batch: Batch, *, mixed: bool) -> Fit:
    """Run one forward pass of the training in which nothing is kept, and count what would be.

    ``mixed``: it computes in bf16 on the GPU, as Lightning will.
    """
    device = module.model.device
    before, free = _state(device)
    kept = kept_bytes(module, batch, mixed=mixed)
    passing = max(0, _peak(device) - before)
    state = _STATE * sum(weight.numel() for weight in trained(module.model).values())
    return Fit(int(_ROOM * (kept + 2 * passing + state)), free)


def kept_bytes(module: FineTuning, batch: Batch, *, mixed: bool) -> int:
    """Bytes that autograd keeps of a forward pass besides the weights, each storage once."""
    known = {
        ref.cdata: ref
        for part in (*module.parameters(), *module.buffers())
        for ref in [_reference(part)]
    }
    total = 0

    def count(saved: torch.Tensor) -> None:
        nonlocal total
        ref = _reference(saved)
        # An address is used again when what lay there is gone.
        if ref.cdata not in known or known[ref.cdata].expired():
            known[ref.cdata] = ref
            total += saved.untyped_storage().nbytes()

    def never(_: None) -> torch.Tensor:
        raise AssertionError("no backward pass belongs to this")

    device = module.model.device.type
    with (
        torch.autocast(device, torch.bfloat16, enabled=mixed),
        saved_tensors_hooks(count, never),
    ):
        module(batch)
    return total


def largest_batch(collate: Collate, size: int) -> Batch:
    """``size`` blank images that take the most tokens of all shapes, with their answers."""
    blank = [
        DecodedImage("", np.zeros((height, width, 3), np.uint8), (width, height), "")
        for height, width in collate.packing.config.image_grid_pinpoints
    ]
    return max((collate([(image, 0)] * size) for image in blank), key=lambda b: b.packed.bounds[-1])


def _reference(tensor: torch.Tensor) -> Any:  # noqa: ANN401 - untyped in torch
    """To where it lies; keeps nothing alive."""
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def _state(device: torch.device) -> tuple[int, int]:
    """Bytes in use by tensors, and bytes that could be."""
    if device.type != "cuda":
        return 0, psutil.virtual_memory().available
    torch.cuda.reset_peak_memory_stats(device)
    used, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    return used, torch.cuda.mem_get_info(device)[0] + reserved - used


def _peak(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
