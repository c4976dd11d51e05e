"""Check which ways to train and to score fit into this machine's GPU memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mayak.doctor.check import GB, Check
from mayak.i18n import msg


@dataclass(frozen=True, slots=True)
class Mode:
    """A way of working and the GPU memory that it needs, in bytes (0: no GPU)."""

    name: str
    title: str
    memory: float
    quantised: bool


def modes() -> tuple[Mode, ...]:
    """Return the ways of working, the least demanding first.

    The memory is for the 7B model with full AnyRes images, batch 1 and gradient checkpointing. nf4
    training was measured (benchmarks/). The others are the weights (4.9 GB in nf4, 15.1 GB in
    bf16) and room for activations, rounded up to the sizes of common cards.
    """
    return (
        Mode("nano-cpu", msg("nano on the CPU"), 0, quantised=False),
        Mode("nf4-inference", msg("7B inference, nf4"), 7.5 * GB, quantised=True),
        Mode("nf4-training", msg("7B training, nf4"), 9 * GB, quantised=True),
        Mode("bf16-inference", msg("7B inference, bf16"), 19 * GB, quantised=False),
        Mode("bf16-training", msg("7B training, bf16"), 23 * GB, quantised=False),
    )


def usable_modes(checks: Iterable[Check]) -> list[tuple[Mode, bool]]:
    """Return each mode with whether it runs on the largest GPU of these checks."""
    by_name = {check.name: check for check in checks}
    if any(check.status == "fault" for check in by_name.values()):
        return [(mode, False) for mode in modes()]
    embedded = by_name["nano"].status == "ok"
    four_bit = by_name["bitsandbytes"].status == "ok"
    gpus = [gpu for gpu in by_name["gpu"].figures.get("gpus", []) if gpu["bf16"]]
    largest = max((gpu["memory"] for gpu in gpus), default=0)
    return [
        (mode, mode.memory <= largest and (four_bit or not mode.quantised))
        if mode.memory
        else (mode, embedded)
        for mode in modes()
    ]
