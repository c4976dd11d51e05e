"""The samples of each step and the steps of validations: a pure function of counts and seed.

How a step's samples are dealt to several processes depends on their lengths as well.

Everything random in a run is derived from (seed, epoch) or (seed, step). A run that was killed and
resumed at step *s* therefore does exactly what an uninterrupted one does from *s* on, and no
generator's state is needed in the checkpoint.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True, slots=True)
class Plan:
    """The schedule of one run.

    A *batch* is one forward pass of one process, a *step* one update of the weights: ``accumulate``
    batches on each of ``processes``. Steps count from 1; step 0 is the base model.
    """

    samples: int
    epochs: int
    batch_size: int
    accumulate: int
    processes: int
    validations_per_epoch: int
    seed: int

    @property
    def batches_per_epoch(self) -> int:
        """Batches of one process in one epoch; the last may be short."""
        return math.ceil(math.ceil(self.samples / self.processes) / self.batch_size)

    @property
    def steps_per_epoch(self) -> int:
        """Updates per epoch; the last may have fewer batches. No step spans two epochs."""
        return math.ceil(self.batches_per_epoch / self.accumulate)

    @property
    def total_steps(self) -> int:
        """Updates in the whole run."""
        return self.epochs * self.steps_per_epoch

    @property
    def effective_batch(self) -> int:
        """Images per step, over all processes."""
        return self.batch_size * self.accumulate * self.processes

    @property
    def validation_steps(self) -> tuple[int, ...]:
        """The steps after which the validation set is scored: evenly spaced in every epoch, and at
        its end. An epoch with fewer steps than validations is validated after every step."""
        per_epoch = self.steps_per_epoch
        wanted = self.validations_per_epoch
        within = sorted({math.ceil(i * per_epoch / wanted) for i in range(1, wanted + 1)})
        return tuple(epoch * per_epoch + step for epoch in range(self.epochs) for step in within)

    def rounds(self, done: int) -> list[range]:
        """Return the steps that remain after ``done``, cut after each validation."""
        ends = [step for step in self.validation_steps if step > done]
        return [range(start + 1, end + 1) for start, end in pairwise([done, *ends])]

    def passes(self, step: int) -> int:
        """Return the number of batches that one process accumulates in a step."""
        first = (step - 1) % self.steps_per_epoch * self.accumulate
        return min(self.accumulate, self.batches_per_epoch - first)

    def samples_in(self, step: int) -> int:
        """Return the number of samples that one process takes in a step."""
        first = (step - 1) % self.steps_per_epoch * self.accumulate * self.batch_size
        left = math.ceil(self.samples / self.processes) - first
        return min(self.accumulate * self.batch_size, left)

    def order(self, epoch: int) -> list[int]:
        """Return the epoch's permutation of the samples. With several processes its first few are
        repeated at the end, fewer than there are processes, so that all take equally many."""
        generator = np.random.default_rng([self.seed, epoch])
        order: list[int] = generator.permutation(self.samples).tolist()
        return order + order[: -self.samples % self.processes]

    def batches(
        self, done: int, process: int = 0, lengths: Sequence[int] = ()
    ) -> Iterator[list[int]]:
        """Yield the sample indices of each batch of one process after ``done`` steps.

        ``lengths`` of all samples balance the processes: see ``deal``. Which samples a step takes
        does not depend on them.
        """
        epoch, skipped = divmod(done, self.steps_per_epoch)
        size = self.batch_size
        for current in range(epoch, self.epochs):
            order = self.order(current)
            for start in range(skipped * self.effective_batch, len(order), self.effective_batch):
                step = order[start : start + self.effective_batch]
                own = deal(step, self.processes, lengths)[process]
                yield from (own[first : first + size] for first in range(0, len(own), size))
            skipped = 0

    def seed_of(self, step: int, batch: int, process: int) -> int:
        """Return the seed of one forward pass (LoRA's dropout is random)."""
        text = f"{self.seed}/{step}/{batch}/{process}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def deal(samples: list[int], processes: int, lengths: Sequence[int] = ()) -> list[list[int]]:
    """Deal the samples of a step to the processes, equally many to each.

    With ``lengths`` of all samples, the sums of the processes differ little, because at the end of
    a step each waits for the slowest: the longest samples are dealt first, and of each round the
    longest goes to the process with the smallest sum so far.
    """
    if not lengths:
        return [samples[process::processes] for process in range(processes)]
    dealt: list[list[int]] = [[] for _ in range(processes)]
    longest_first = sorted(samples, key=lambda sample: lengths[sample], reverse=True)
    for start in range(0, len(samples), processes):
        by_sum = sorted(dealt, key=lambda own: sum(lengths[sample] for sample in own))
        for own, sample in zip(by_sum, longest_first[start : start + processes], strict=True):
            own.append(sample)
    return dealt
