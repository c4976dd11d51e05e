"""From one thread to the next, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from threading import Condition
from typing import Generic, TypeVar

Thing = TypeVar("Thing")

_FEW = 32
_LITTLE = 1 << 25
"""So many things, of so many bytes, are taken together: whoever takes them one by one waits for
Python's lock each time, and whoever takes all of them has too much in hand."""
_PATIENCE = 1.0
"""Seconds."""


class Handover(Generic[Thing]):
    """A queue between two threads. More is put in only while less than ``most`` bytes are in it, as
    ``weight`` counts."""

    def __init__(self, weight: Callable[[Thing], int], most: int) -> None:
        self._weight, self._most = weight, most
        self._things: deque[Thing] = deque()
        self._load = 0
        self._change = Condition()
        self._ended = self._closed = False
        self._fault: BaseException | None = None

    def put(self, things: Collection[Thing], patience: float | None = None) -> bool:
        """Hand on, as soon as there is room; after ``close``, to nobody. Nothing needs no room.
        False, and nothing is handed on, where there is none for so many seconds."""
        with self._change:
            room = not things or self._change.wait_for(
                lambda: self._load < self._most or self._closed, patience
            )
            if room and not self._closed:
                self._things += things
                self._load += sum(map(self._weight, things))
                self._change.notify_all()
        return room

    def end(self, fault: BaseException | None = None) -> None:
        """No more will be put in; a fault is raised where they would have been taken."""
        with self._change:
            self._ended, self._fault = True, self._fault or fault
            self._change.notify_all()

    def close(self) -> None:
        """No more will be taken."""
        with self._change:
            self._closed = True
            self._things.clear()
            self._change.notify_all()

    def __iter__(self) -> Iterator[list[Thing]]:
        """Some at a time, as they come; none after a second without any, in which whoever waits can
        see to other things. Raises the fault that ended them."""
        while (taken := self._take()) is not None:
            yield taken
        if self._fault is not None:
            raise self._fault

    def _take(self) -> list[Thing] | None:
        taken: list[Thing] = []
        load = 0
        with self._change:
            self._change.wait_for(
                lambda: self._things or self._ended or self._closed, timeout=_PATIENCE
            )
            if not self._things and (self._ended or self._closed):
                return None
            while self._things and len(taken) < _FEW and load < _LITTLE:
                taken.append(self._things.popleft())
                load += self._weight(taken[-1])
            self._load -= load
            self._change.notify_all()
        return taken
