"""The queue between two stages of triage, bounded by the bytes in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from threading import Condition
from typing import Generic, TypeVar

Element = TypeVar("Element")

_MAX_TAKEN = 32
_MAX_TAKEN_BYTES = 1 << 25
"""How much is taken together: a thread that takes elements one by one waits for Python's lock each
time, and one that takes all of them keeps too much in memory."""
_TIMEOUT = 1.0
"""Seconds that an iteration waits for elements."""


class ByteBoundedQueue(Generic[Element]):
    """A queue between two threads, bounded by the bytes of its elements.

    Elements are put in while it contains less than ``max_bytes``, as ``size_of`` counts them; the
    last ones may exceed that.
    """

    def __init__(self, size_of: Callable[[Element], int], max_bytes: int) -> None:
        self._size_of, self._max_bytes = size_of, max_bytes
        self._elements: deque[Element] = deque()
        self._bytes = 0
        self._changed = Condition()
        self._ended = self._closed = False
        self._error: BaseException | None = None

    def put(self, elements: Collection[Element], timeout: float | None = None) -> bool:
        """Add elements as soon as there is room; an empty collection needs none.

        Returns False, and adds nothing, if there is no room within ``timeout`` seconds. After
        ``close`` the elements are dropped.
        """
        with self._changed:
            has_room = not elements or self._changed.wait_for(
                lambda: self._bytes < self._max_bytes or self._closed, timeout
            )
            if has_room and not self._closed:
                self._elements += elements
                self._bytes += sum(map(self._size_of, elements))
                self._changed.notify_all()
        return has_room

    def end(self, error: BaseException | None = None) -> None:
        """State that no more will be put in; the first error is raised after the last element."""
        with self._changed:
            self._ended, self._error = True, self._error or error
            self._changed.notify_all()

    def close(self) -> None:
        """State that no more will be taken."""
        with self._changed:
            self._closed = True
            self._elements.clear()
            self._changed.notify_all()

    @property
    def is_exhausted(self) -> bool:
        """Whether no more elements will come out."""
        with self._changed:
            return self._closed or (self._ended and not self._elements)

    def __iter__(self) -> Iterator[list[Element]]:
        """Yield the elements in order, some at a time; an empty list after each second without
        any, so that the caller can do other work. Raises the error of ``end`` after the last."""
        while not self.is_exhausted:
            yield self.take(_TIMEOUT)
        if self._error is not None:
            raise self._error

    def take(self, timeout: float) -> list[Element]:
        """Remove and return some elements; none if none come within ``timeout`` seconds."""
        taken: list[Element] = []
        size = 0
        with self._changed:
            self._changed.wait_for(lambda: self._elements or self._ended or self._closed, timeout)
            while self._elements and len(taken) < _MAX_TAKEN and size < _MAX_TAKEN_BYTES:
                taken.append(self._elements.popleft())
                size += self._size_of(taken[-1])
            self._bytes -= size
            self._changed.notify_all()
        return taken
