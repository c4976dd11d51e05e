"""Tells the process that waits for a reader that a long step goes on."""

from __future__ import annotations

from collections.abc import Callable


class _Listener:
    note: Callable[[], None] = staticmethod(lambda: None)


def note_progress() -> None:
    """Note that a step is not hanging: a password was tried, or a block was unpacked."""
    _Listener.note()


def on_progress(note: Callable[[], None]) -> None:
    """Have ``note`` called by each ``note_progress`` in this process."""
    _Listener.note = staticmethod(note)
