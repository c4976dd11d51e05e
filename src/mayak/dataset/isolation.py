"""Work in other processes where a crash costs the one item that caused it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import connection
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Crashed:
    """What stands in the place of a result when the process died over the item."""


class Workers(Generic[Item, Result]):
    """Runs ``function(item)`` in ``count`` fresh processes, at most two items each in flight.

    ``function`` is a top-level function and the processes are spawned, so that it works alike on
    every system and with threads (torch's) in the parent. Exceptions of ``function`` are raised
    here; a process that dies (a codec's crash, the system's memory killer) yields ``Crashed``.
    """

    def __init__(self, function: Callable[[Item], Result], count: int) -> None:
        self._function = function
        # Windows can wait for no more than 61 processes at once.
        self._count = min(count, 61) if sys.platform == "win32" else count

    def run(self, items: Iterable[Item]) -> Iterator[tuple[Item, Result | Crashed]]:
        """(item, result) in the order in which they are done."""
        left = iter(items)
        while True:
            suspects: list[Item] = []
            yield from self._until_broken(left, suspects)
            if not suspects:
                return
            # The pool cannot say who broke it: each is tried alone.
            for item in suspects:
                yield item, self._alone(item)

    def _until_broken(
        self, left: Iterator[Item], suspects: list[Item]
    ) -> Iterator[tuple[Item, Result | Crashed]]:
        flying: dict[Future[Result], Item] = {}
        with self._pool(self._count) as pool:
            try:
                while True:
                    for item in islice(left, 2 * self._count - len(flying)):
                        # Noted before it is handed over: a broken pool refuses it.
                        suspects.append(item)
                        flying[pool.submit(self._function, item)] = item
                        suspects.pop()
                    if not flying:
                        return
                    for future in wait(flying, return_when=FIRST_COMPLETED).done:
                        item = flying[future]
                        result = future.result()
                        del flying[future]
                        yield item, result
            except BrokenProcessPool:
                suspects.extend(flying.values())
            finally:
                pool.shutdown(cancel_futures=True)

    def _alone(self, item: Item) -> Result | Crashed:
        with self._pool(1) as pool:
            try:
                return pool.submit(self._function, item).result()
            except BrokenProcessPool:
                return Crashed()

    def _pool(self, count: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(count, mp_context=context, initializer=_start)


def _start() -> None:
    """In each worker: the parent alone answers Ctrl-C, and nobody outlives the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A killed parent cannot say goodbye, and its workers would wait for work for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
