"""Watches the processes of a run on several devices, so that none waits for one that has ended."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from lightning.pytorch import Callback, Trainer

from mayak.i18n import msg
from mayak.training.lightning_internals import helpers, terminate_helpers

_SECONDS = 0.5
"""Between two looks. Lightning looks every five seconds and then kills the run without a word."""
_INTERRUPTED = (128 + signal.SIGINT, -signal.SIGINT)
"""Exit codes after Ctrl-C, which reaches all processes and which each handles itself."""
_EXIT_CODE = 2


class ProcessWatch(Callback):  # type: ignore[misc]  # lightning is untyped
    """Ends this process, with a message, if another process of the run has failed.

    The run's own thread is then often inside a collective operation, which no exception can reach
    and which waits for half an hour. A helper process ends when the leading one is gone.
    """

    def __init__(self, note: Callable[[str], object]) -> None:
        self._note = note
        self._over = Event()

    @contextmanager
    def watching(self, trainer: Trainer) -> Iterator[None]:
        """Watch while a trainer runs. To be entered before it starts the helper processes."""
        Thread(target=self._watch, args=(trainer, os.getppid()), daemon=True).start()
        try:
            yield
        finally:
            self._over.set()

    def on_exception(self, *_: object) -> None:
        """Stop watching: this process has an error of its own, and ends the others for it."""
        self._over.set()

    def _watch(self, trainer: Trainer, parent: int) -> None:
        while not self._over.wait(_SECONDS):
            for device, process in enumerate(helpers(trainer), start=1):
                code = process.poll()
                if code and code not in _INTERRUPTED and not self._over.is_set():
                    terminate_helpers(trainer)
                    self._end(device, code)
            if os.getppid() != parent:
                os._exit(_EXIT_CODE)

    def _end(self, device: int, code: int) -> None:
        self._note(
            msg(
                "the process of device {device} has ended (exit code {code}), and the run cannot "
                "continue without it; its own message is above, if it had time for one. Training "
                "ends; the same command with --resume continues from the last checkpoint",
                device=device,
                code=code,
            )
        )
        sys.stderr.flush()
        os._exit(_EXIT_CODE)
