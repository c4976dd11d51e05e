"""Shorter ways to the same result, each of which must show once that it is the same.

A compiler or driver of a machine that nobody of us has seen must not decide what is evidence: what
differs by more than rounding, here and now, is left out, and the long way is taken.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

from mayak.language import tr

_ROUNDING = 0.05
"""Of the norm. Two orders of computing a layer in bf16 lie some thousandths apart, in fp8 a
hundredth or two; a wrong scale or an unset buffer, tens of hundredths or NaN."""


class Compiled:
    """A layer's work, compiled once for all layers and lengths.

    Until each of ``layers`` had its turn it is done both ways. Where they differ, it goes on
    uncompiled, with a warning.
    """

    def __init__(self, work: Callable[..., torch.Tensor], layers: int) -> None:
        self._work, self._short, self._unproven = work, torch.compile(work, dynamic=True), layers

    def __call__(self, layer: Any, *given: Any) -> torch.Tensor:  # noqa: ANN401 - as the work takes
        found = self._short(layer, *given)
        if not self._unproven:
            return found
        self._unproven -= 1
        right = self._work(layer, *given)
        if not _alike(found, right):
            self._short, self._unproven = self._work, 0
            _warn(tr("compiled layers", "컴파일한 계층"))
        return right


class Recorded:
    """``work`` on up to ``count`` rows of a tensor; on an NVIDIA GPU as a CUDA graph.

    Each kernel that is started from Python lets other threads have the interpreter, and waits until
    they give it back: hundreds of them took three times as long as the GPU needs
    (``benchmarks/LOG.md``). A graph is for one number of rows; where there are fewer, it computes
    the rest in vain. The work must not wait for the GPU.
    """

    def __init__(
        self,
        work: Callable[[torch.Tensor], torch.Tensor],
        count: int,
        device: torch.device,
        *,
        possible: bool = True,
    ) -> None:
        self._work, self._count, self._device = work, count, device
        self._possible = possible and device.type == "cuda"
        self._replay: Callable[[], None] | None = None
        self._taken = self._given = torch.empty(0)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """``work`` of rows (B, …) from the CPU, pinned where a GPU takes them; on a GPU, without
        waiting for it."""
        if self._possible and self._replay is None:
            self._record(rows)
        count = len(rows)
        if self._replay is None or count > self._count:
            return self._work(rows.to(self._device, non_blocking=True))
        self._taken[:count].copy_(rows, non_blocking=True)
        self._replay()
        # The next call overwrites what the graph gives.
        return self._given[:count].clone()

    def _record(self, first: torch.Tensor) -> None:
        shape = (self._count, *first.shape[1:])
        self._taken = torch.zeros(shape, dtype=first.dtype, device=self._device)
        self._taken[: len(first)].copy_(first[: self._count])
        here = torch.cuda.current_stream(self._device)
        beside = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        beside.wait_stream(here)
        with torch.cuda.stream(beside):
            # What is done but once (compiling, choosing algorithms) must not be recorded.
            for _ in range(2):
                right = self._work(self._taken)
        here.wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may go on using the GPU.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._given = self._work(self._taken)
        except RuntimeError:
            # What cannot be recorded here (or has no room for it) can be had without.
            self._possible = False
            return
        graph.replay()
        if _alike(self._given, right):
            self._replay = graph.replay
        else:
            self._possible = False
            _warn(tr("recorded CUDA graphs", "기록한 CUDA 그래프"))


def _alike(found: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether both are the same but for rounding; nothing that is not finite is."""
    with torch.no_grad():
        apart, whole = (
            torch.linalg.vector_norm(part, dtype=torch.float32) for part in (found - right, right)
        )
        return bool(apart <= _ROUNDING * whole)


def _warn(what: str) -> None:
    warnings.warn(
        tr(
            f"{what} give other results on this machine: it goes on without them, slower",
            f"이 컴퓨터에서는 {what}의 결과가 달라, 이를 쓰지 않고 더 느리게 계속합니다",
        ),
        RuntimeWarning,
        stacklevel=2,
    )
