"""Shorter ways to the same result, each of which must show once that it is the same.

A compiler or driver of a machine that nobody of us has seen must not decide what is evidence: what
differs by more than rounding, here and now, is left out, and the long way is taken.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch

from mayak.errors import MayakWarning
from mayak.i18n import msg

OF_CHANGE, _OF_WHOLE = 0.1, 2**-7
"""How far a position may lie from where the long way puts it: a share of what the layer changes
there, and of what it comes to. On simulated layers of 7B's shape, with and without large positions,
two orders of computing in bf16 came to a third of this at most."""
OF_CHANGE_FP8 = 0.5
"""There, a rounding that flips grows from one product to the next: to 0.05 to 0.17 of the change on
simulated layers. What fp8 is worth, ``mayak evaluate`` measures on the user's images."""
_OF_ANSWERS = 0.01
"""A graph runs the very kernels that were recorded: on an H100 it changed no bit."""


class Compiled:
    """A layer's work, compiled once for all layers and lengths.

    Until each of ``layers`` had its turn it is done both ways. Where they differ at any position,
    it goes on uncompiled, with a warning.
    """

    def __init__(
        self, work: Callable[..., torch.Tensor], layers: int, *, of_change: float = OF_CHANGE
    ) -> None:
        self._work, self._short, self._unproven = work, torch.compile(work, dynamic=True), layers
        self._of_change = of_change

    def __call__(
        self,
        layer: Any,  # noqa: ANN401 - as the work takes it
        hidden: torch.Tensor,
        *given: Any,  # noqa: ANN401 - likewise
    ) -> torch.Tensor:
        found = self._short(layer, hidden, *given)
        if not self._unproven:
            return found
        self._unproven -= 1
        right = self._work(layer, hidden, *given)
        if not _same_step(hidden, found, right, self._of_change):
            self._short, self._unproven = self._work, 0
            _warn(msg("compiled layers give other results on this machine"))
        return right


class Recorded:
    """``work`` on up to ``count`` rows of a tensor; on an NVIDIA GPU as a CUDA graph.

    Each kernel that is started from Python lets other threads have the interpreter, and waits until
    they give it back: hundreds of them took three times as long as the GPU needs
    (``benchmarks/``). The graph is made when there are first ``count`` rows; where there are
    fewer later, it computes the rest in vain. The work must not wait for the GPU, and its results
    are finite for rows that are.
    """

    def __init__(
        self,
        work: Callable[[torch.Tensor], torch.Tensor],
        count: int,
        device: torch.device,
    ) -> None:
        self._work, self._count, self._device = work, count, device
        self._possible = device.type == "cuda"
        self._taken: torch.Tensor | None = None
        """What the graph reads; None as long as there is none."""

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """``work`` of rows (B, …) from the CPU, pinned where a GPU takes them; on a GPU, without
        waiting for it. Raises ValueError for more than ``count``."""
        count = len(rows)
        if count > self._count:
            raise ValueError(f"{count} rows, {self._count} at most")
        if self._possible and self._taken is None and count == self._count:
            self._record(rows)
        if self._taken is None:
            return self._work(rows.to(self._device, non_blocking=True))
        self._taken[:count].copy_(rows, non_blocking=True)
        self._graph.replay()
        # The next call overwrites what the graph gives.
        return self._given[:count].clone()

    def _record(self, rows: torch.Tensor) -> None:
        """Make the graph, if one can be made here that gives what the work gives."""
        self._possible = False  # to be tried once
        taken = rows.to(self._device)
        here = torch.cuda.current_stream(self._device)
        beside = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        beside.wait_stream(here)
        with torch.cuda.stream(beside):
            # What is done but once (compiling, choosing algorithms) must not be recorded.
            self._work(taken)
            right = self._work(taken)
        here.wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may go on using the GPU.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                given = self._work(taken)
        except RuntimeError as error:
            torch.cuda.set_stream(here)
            why = str(error).partition("\n")[0]
            _warn(msg("no CUDA graph could be made ({why})", why=why))
            return
        given.fill_(math.nan)  # so that what is compared is what the graph writes
        graph.replay()
        if torch.allclose(given, right, rtol=_OF_ANSWERS, atol=_OF_ANSWERS):
            self._taken, self._given, self._graph = taken, given, graph
        else:
            _warn(msg("a CUDA graph gives other results on this machine"))


def _same_step(
    hidden: torch.Tensor, found: torch.Tensor, right: torch.Tensor, of_change: float
) -> bool:
    """Whether a layer's two ways from hidden states (…, D) end at the same but for rounding, at
    each position: a few of them are far larger than all others, and would hide those. Nothing that
    is not finite is the same."""
    with torch.no_grad():
        apart, change, whole = (
            torch.linalg.vector_norm(part.float(), dim=-1)
            for part in (found - right, right - hidden, right)
        )
        return bool((apart <= of_change * change + _OF_WHOLE * whole).all())


def _warn(what: str) -> None:
    told = msg("{what}: it goes on without, slower", what=what)
    warnings.warn(told, MayakWarning, stacklevel=2)
