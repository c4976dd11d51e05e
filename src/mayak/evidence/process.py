"""A process that reads containers, and the ways in which it may be lost."""

from __future__ import annotations

import multiprocessing
import sys
import time
from concurrent.futures import CancelledError
from functools import cache
from multiprocessing.context import ForkServerContext, SpawnContext
from threading import Event

from mayak.evidence.serving import ReaderJob, serve
from mayak.evidence.wire import Channel, Json, error_of
from mayak.types import OutcomeReason
from mayak.untrusted import PARSE_ERRORS
from mayak.workers import SharedMemory

_START_S = 120.0
"""Seconds in which a process must have started, whatever the limit of its steps."""
_POLL_S = 0.1
_END_S = 5.0


class LossError(Exception):
    """A process that was lost."""

    def __init__(self, outcome: OutcomeReason, step: int = 0, container: int = 0) -> None:
        super().__init__(outcome)
        self.outcome, self.step, self.container = outcome, step, container


class ReaderProcess:
    """One process with its channel; the caller sees to it that one thread at a time uses it."""

    def __init__(self, job: ReaderJob) -> None:
        context = _context()
        pipe, theirs = context.Pipe()
        shared = SharedMemory.new()
        self._notes = context.RawArray("Q", 3)
        self._limits = job.limits
        self.channel = Channel(pipe, shared)
        self._process = context.Process(
            target=serve, args=(theirs, shared, self._notes, job), daemon=True
        )
        self._process.start()
        theirs.close()  # so that the process's death ends the pipe

    def start(self, stop: Event | None = None) -> None:
        """Wait until it runs.

        Raises:
            RuntimeError: it ended instead.
        """
        try:
            self._receive(_START_S, stop)
        except LossError as loss:
            raise RuntimeError(
                "the process that reads containers ended while it started; a script must open "
                "evidence under `if __name__ == '__main__':`"
            ) from loss

    def ask(self, request: Json, stop: Event | None = None) -> tuple[Json, list[bytes]]:
        """Send a request and return its answer. Raises as ``answer``."""
        self.send(request)
        return self.answer(stop)

    def send(self, request: Json) -> None:
        """Send a request; it fails when the answer is received, if the process is lost."""
        try:
            self.channel.send(request)
        except OSError:
            return

    def answer(self, stop: Event | None = None) -> tuple[Json, list[bytes]]:
        """Return the answer to the next request that was sent.

        Raises:
            LossError: the process crashed, made no progress, or took too much memory.
            CancelledError: ``stop`` was set.
            MayakError: what the reader raised.
        """
        message, parts = self._receive(self._limits.seconds, stop)
        if "lost" in message:
            raise self._lost(OutcomeReason.OUT_OF_MEMORY)
        if "error" in message:
            raise error_of(message["error"])
        return message, parts

    def _receive(self, seconds: float, stop: Event | None) -> tuple[Json, list[bytes]]:
        progress, since = self._notes[0], time.monotonic()
        try:
            while True:
                if stop is not None and stop.is_set():
                    raise CancelledError
                if self.channel.poll(min(_POLL_S, seconds)):
                    return self.channel.receive()
                now = time.monotonic()
                if progress != self._notes[0]:
                    progress, since = self._notes[0], now
                elif now - since > seconds:
                    raise self._lost(OutcomeReason.TOO_SLOW)
        except (EOFError, OSError, *PARSE_ERRORS) as error:
            raise self._lost(OutcomeReason.CRASHED) from error

    def _lost(self, outcome: OutcomeReason) -> LossError:
        _, step, container = self._notes
        return LossError(outcome, int(step), int(container))

    def kill(self) -> None:
        """End the process, even if a thread is waiting for its answer."""
        self._process.kill()

    def end(self) -> None:
        """End the process and release what it held."""
        self._process.kill()
        # Not longer: a process that waits for a failing disk ends only when that answers.
        self._process.join(_END_S)
        self.channel.close()


@cache
def _context() -> ForkServerContext | SpawnContext:
    """Return how processes are started: on Linux by a server that has imported the readers, which
    takes a twentieth of the time."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mayak.evidence.serving"])
    return context
