"""Self-checking torch.compile and CUDA graphs.

Both give the same result in less time, and must prove it on this machine first: a compiler or
driver that we have never seen must not decide what is evidence. If a result differs by more than
rounding, a warning is given and the plain work is done instead.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch

from mayak.errors import MayakWarning
from mayak.i18n import msg

CHANGE_TOLERANCE, _SIZE_TOLERANCE = 0.1, 2**-7
"""Largest accepted difference at a position: the first as a share of what the layer changes there,
plus the second as a share of the result's size. On simulated layers of 7B's shape, with and without
large positions, two orders of computing in bf16 differed by a third of this at most."""
CHANGE_TOLERANCE_FP8 = 0.5
"""In fp8, a rounding that flips grows from one product to the next: to 0.05 to 0.17 of the change
on simulated layers. ``mayak evaluate`` measures on the user's images whether fp8 is good enough."""
_GRAPH_TOLERANCE = 0.01
"""A graph runs the very kernels that were recorded: on an H100 it changed no bit."""


class CheckedCompile:
    """A layer's forward function, compiled once for all layers and lengths.

    The first ``layers`` calls run both ways and return the plain result. If the two differ at any
    position, all later calls run uncompiled, with a warning.
    """

    def __init__(
        self,
        forward: Callable[..., torch.Tensor],
        layers: int,
        *,
        tolerance: float = CHANGE_TOLERANCE,
    ) -> None:
        self._plain, self._fast = forward, torch.compile(forward, dynamic=True)
        self._unchecked, self._tolerance = layers, tolerance

    def __call__(
        self,
        layer: Any,  # noqa: ANN401 - as the function takes it
        hidden: torch.Tensor,
        *args: Any,  # noqa: ANN401 - likewise
    ) -> torch.Tensor:
        found = self._fast(layer, hidden, *args)
        if not self._unchecked:
            return found
        self._unchecked -= 1
        right = self._plain(layer, hidden, *args)
        if not _same_step(hidden, found, right, self._tolerance):
            self._fast, self._unchecked = self._plain, 0
            _warn(msg("compiled layers give other results on this machine"))
        return right


class CheckedCudaGraph:
    """A function of up to ``count`` rows of a tensor; on an NVIDIA GPU as a CUDA graph.

    Python releases its interpreter lock for each kernel that it starts, and waits to get it back
    from other threads: hundreds of kernels took three times as long as the GPU needs
    (``benchmarks/``). The graph is recorded at the first call with ``count`` rows; a later
    call with fewer computes the remaining rows for nothing. The function must not wait for the GPU,
    and its results must be finite for rows that are.
    """

    def __init__(
        self,
        function: Callable[[torch.Tensor], torch.Tensor],
        count: int,
        device: torch.device,
    ) -> None:
        self._function, self._count, self._device = function, count, device
        self._may_record = device.type == "cuda"
        self._input: torch.Tensor | None = None
        """What the graph reads; None until there is a graph."""

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Apply the function to rows (B, …) from the CPU, page-locked for a GPU; on a GPU
        asynchronously.

        Raises:
            ValueError: more than ``count`` rows.
        """
        count = len(rows)
        if count > self._count:
            raise ValueError(f"{count} rows, {self._count} at most")
        if self._may_record and self._input is None and count == self._count:
            self._record(rows)
        if self._input is None:
            return self._function(rows.to(self._device, non_blocking=True))
        self._input[:count].copy_(rows, non_blocking=True)
        self._graph.replay()
        # The next call overwrites the graph's output.
        return self._output[:count].clone()

    def _record(self, rows: torch.Tensor) -> None:
        """Record the graph, and keep it if it can be made here and reproduces the function."""
        self._may_record = False  # one attempt only
        given = rows.to(self._device)
        # 1. Run twice on a side stream: what is done only once (compiling, choosing algorithms)
        #    must not be recorded.
        current = torch.cuda.current_stream(self._device)
        side = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        side.wait_stream(current)
        with torch.cuda.stream(side):
            self._function(given)
            right = self._function(given)
        current.wait_stream(side)
        # 2. Record, while other threads may go on using the GPU.
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                output = self._function(given)
        except RuntimeError as error:
            torch.cuda.set_stream(current)
            why = str(error).partition("\n")[0]
            _warn(msg("no CUDA graph could be made ({why})", why=why))
            return
        # 3. Compare; NaN first, so that the comparison is with what the graph writes.
        output.fill_(math.nan)
        graph.replay()
        if torch.allclose(output, right, rtol=_GRAPH_TOLERANCE, atol=_GRAPH_TOLERANCE):
            self._input, self._output, self._graph = given, output, graph
        else:
            _warn(msg("a CUDA graph gives other results on this machine"))


def _same_step(
    hidden: torch.Tensor, found: torch.Tensor, right: torch.Tensor, tolerance: float
) -> bool:
    """Return whether two results of a layer for hidden states (…, D) agree at each position.

    A few positions are far larger than all others, and would hide those in a mean. A value that is
    not finite agrees with nothing.
    """
    with torch.no_grad():
        apart, change, size = (
            torch.linalg.vector_norm(part.float(), dim=-1)
            for part in (found - right, right - hidden, right)
        )
        return bool((apart <= tolerance * change + _SIZE_TOLERANCE * size).all())


def _warn(what: str) -> None:
    message = msg("{what}: it continues without, slower", what=what)
    warnings.warn(message, MayakWarning, stacklevel=2)
