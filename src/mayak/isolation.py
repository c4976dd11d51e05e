"""Work in other processes where a crash, a hang or a glut costs the one item that caused it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import connection, reduction
from pathlib import Path
from queue import LifoQueue, SimpleQueue
from threading import Lock
from typing import Any, Generic, Literal, TypeVar

import psutil
import threadpoolctl

Item = TypeVar("Item")
Result = TypeVar("Result")
Answer = tuple[Literal["done", "raised", "memory"], Any]

_SHARED = 16 << 20
"""Bytes beside each pipe. Only what is used of them takes memory."""

_MALLOPT = {-1: 256 << 20, -3: 64 << 20}
"""M_TRIM_THRESHOLD: bytes free at the end that are kept; M_MMAP_THRESHOLD: smaller blocks come from
what is kept (glibc's malloc.h)."""


_CGROUP = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True, slots=True)
class Lost:
    """What stands in the place of a result that could not be had."""

    why: Literal["crashed", "too-slow", "out-of-memory"]


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int:
    """Bytes of memory that this machine, or this process's control group, still has."""
    free = int(psutil.virtual_memory().available)
    for limit, used in _CGROUP:
        with suppress(OSError, ValueError):  # not Linux, the other version, or "max"
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
    return max(free, 0)


def shares(count: int, memory: int, least: int) -> tuple[int, int]:
    """How many of ``count`` processes the memory has room for, and what each may take: ``memory``
    bytes, or less but at least ``least``."""
    free = free_memory()
    count = max(1, min(count, free // least))
    return count, max(least, min(memory, free // count))


class Workers(Generic[Item, Result]):
    """Runs ``function(item)`` in ``count`` fresh processes, one item each at a time; each starts
    when it is first needed, and stays until ``close``.

    ``function`` is a top-level function and the processes are spawned, so that it works alike on
    every system and with threads (torch's) in the parent. Exceptions of ``function`` are raised
    here. A process that dies over an item (a codec's crash, the system's memory killer) or takes
    longer than ``seconds`` over it (its start may take as long) yields ``Lost`` and is replaced; so
    does an item that asks for more than ``memory`` bytes beyond what the process began with (on
    POSIX systems; elsewhere there is no such limit).
    """

    def __init__(
        self,
        function: Callable[[Item], Result],
        count: int,
        *,
        seconds: float | None = None,
        memory: int | None = None,
    ) -> None:
        self._all = [Helper(function, seconds=seconds, memory=memory) for _ in range(count)]
        # Those that have run before come first: the others need not start.
        self._free: LifoQueue[Helper[Item, Result]] = LifoQueue()
        for helper in self._all:
            self._free.put(helper)

    def __call__(self, item: Item) -> Result | Lost:
        """For callers of any thread, who wait for a process that is free. Raises what ``Helper``
        raises."""
        helper = self._free.get()
        try:
            return helper(item)
        finally:
            self._free.put(helper)

    def close(self) -> None:
        """End the processes; calls that are under way elsewhere end with them."""
        for helper in self._all:
            helper.close()

    def run(
        self,
        items: Iterable[Item],
        *,
        weight: Callable[[Item], int] | None = None,
        most: int = 0,
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """(item, result) in the order in which they are done, and the end of the processes; items
        are fetched as needed, one for each process ahead, and with ``weight`` only as long as those
        under way are lighter than ``most`` together. They are asked for again after each result,
        also when they had ended: results may bring further items."""
        left = iter(items)
        done: SimpleQueue[Future[tuple[Item, Result | Lost]]] = SimpleQueue()

        def one(item: Item) -> tuple[Item, Result | Lost]:
            return item, self(item)

        # A thread for each process: it has its next item as soon as its result is taken, whatever
        # whoever reads the results is at.
        count = len(self._all)
        hands = ThreadPoolExecutor(count, "hand")
        under_way = load = 0
        try:
            while True:
                room = under_way < 2 * count and (weight is None or not load or load < most)
                fetched = 0
                for item in islice(left, int(room)):
                    hands.submit(one, item).add_done_callback(done.put)
                    fetched += 1
                    load += weight(item) if weight else 0
                    del item  # an item may be large
                under_way += fetched
                if not under_way:
                    return
                if fetched and done.empty():
                    continue
                result = done.get().result()
                under_way -= 1
                load -= weight(result[0]) if weight else 0
                yield result
                del result
        finally:
            hands.shutdown(wait=False, cancel_futures=True)
            self.close()
            hands.shutdown()


class Helper(Generic[Item, Result]):
    """Runs ``function(item)`` in one process that stays, for callers of any thread, in turn.

    As ``Workers`` otherwise: what ends the process or overruns gives ``Lost``, and the next call
    gets a fresh one. What the function keeps in its module is kept from call to call.
    """

    def __init__(
        self,
        function: Callable[[Item], Result],
        *,
        seconds: float | None = None,
        memory: int | None = None,
    ) -> None:
        self._function, self._seconds, self._memory = function, seconds, memory
        self._turn, self._change = Lock(), Lock()
        self._worker: _Worker[Item, Result] | None = None
        self._closed = False

    def __call__(self, item: Item) -> Result | Lost:
        """Raises what the function raises; RuntimeError once it is closed, or where the process
        ends as it begins: no fault of the item then."""
        with self._turn:
            with self._change:
                if self._closed:
                    raise RuntimeError("closed")
                worker = self._worker = self._worker or _Worker(self._function, self._memory)
            result = worker.result_of(item, self._seconds)
            if isinstance(result, Lost):
                self._end()
            return result

    def close(self) -> None:
        """End the process; a call that is under way elsewhere ends with it."""
        with self._change:
            self._closed = True
            if self._worker is not None:
                self._worker.kill()
        with self._turn:
            self._end()

    def _end(self) -> None:
        with self._change:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()


class _Worker(Generic[Item, Result]):
    """One process."""

    def __init__(self, function: Callable[[Item], Result], memory: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._shared = _Shared.new()
        self._process = context.Process(
            target=_serve, args=(theirs, self._shared, function, memory), daemon=True
        )
        self._process.start()
        theirs.close()  # so that the process's death ends the pipe
        self._begun = False

    def result_of(self, item: Item, seconds: float | None) -> Result | Lost:
        with suppress(ConnectionError):  # it died between items: the answer will say so
            _send(self._pipe, self._shared, item)
        try:
            if not (self._has_begun(seconds) and self._pipe.poll(seconds)):
                return Lost("too-slow")
            kind, value = _receive(self._pipe, self._shared)
        except (EOFError, ConnectionError):
            return Lost("crashed")
        if kind == "memory":
            return Lost("out-of-memory")
        if kind == "raised":
            raise value
        result: Result = value
        return result

    def _has_begun(self, seconds: float | None) -> bool:
        """Waits for the process to say that it is there. Raises RuntimeError if it ended instead:
        no fault of the item then."""
        if not self._begun:
            try:
                if not self._pipe.poll(seconds):
                    return False
                self._pipe.recv()
            except (EOFError, ConnectionError) as error:
                raise RuntimeError(
                    "a worker process ended as it began; a script that starts some must do so "
                    "under `if __name__ == '__main__':`"
                ) from error
            self._begun = True
        return self._begun

    def kill(self) -> None:
        """End the process, whoever may be waiting for it."""
        self._process.kill()

    def end(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()


class _Shared:
    """Memory that two processes see: a file without a name or a disk."""

    def __init__(self, file: int) -> None:
        self.file = file

    @classmethod
    def new(cls) -> _Shared | None:
        """None where there is no such memory (not Linux)."""
        if not hasattr(os, "memfd_create"):
            return None
        return cls(os.memfd_create("mayak"))

    def __reduce__(self) -> tuple[Any, ...]:
        return _attached, (reduction.DupFd(self.file),)

    def __del__(self) -> None:
        os.close(self.file)


def _attached(file: Any) -> _Shared:  # noqa: ANN401 - multiprocessing's wrapper of a descriptor
    return _Shared(file.detach())


def _send(pipe: connection.Connection, shared: _Shared | None, value: object) -> None:
    """Send a value, its buffers (pickle's, PEP 574) through shared memory as far as they fit: a
    pipe takes a photo in fifty pieces, and its reader wakes up for each. The others follow as they
    are: pickled, a file of a gigabyte would be copied twice."""
    beside: list[tuple[int, bool]] = []
    following: list[memoryview] = []
    end = 0

    def keep(buffer: pickle.PickleBuffer) -> bool:
        nonlocal end
        raw = buffer.raw()
        if shared is None or end + raw.nbytes > _SHARED:
            following.append(raw)
            beside.append((-1, raw.readonly))
        else:
            os.pwrite(shared.file, raw, end)
            beside.append((raw.nbytes, raw.readonly))
            end += raw.nbytes
        return False

    pipe.send((pickle.dumps(value, protocol=5, buffer_callback=keep), beside))
    for raw in following:
        pipe.send_bytes(raw)


def _receive(pipe: connection.Connection, shared: _Shared | None) -> Any:  # noqa: ANN401
    """What was sent; nothing of it lies in the shared memory any more."""
    import numpy as np  # here: whoever only asks for ``cores`` starts faster

    head, beside = pipe.recv()
    buffers: list[Any] = []
    end = 0
    # By the system, while other threads run: copying here would hold Python's lock.
    for size, readonly in beside:
        if size < 0 or shared is None:
            received = pipe.recv_bytes()
            buffers.append(received if readonly else bytearray(received))
            continue
        if readonly:
            buffers.append(os.pread(shared.file, size, end))
        else:
            # A bytearray would be filled with zeros first, under that lock.
            own = np.empty(size, dtype=np.uint8)
            if os.preadv(shared.file, [own.data], end) != size:
                raise EOFError("shared memory ends early")
            buffers.append(own)
        end += size
    return pickle.loads(head, buffers=buffers)  # noqa: S301 - as multiprocessing's own pipes do


def _serve(
    pipe: connection.Connection,
    shared: _Shared | None,
    function: Callable[[Any], Any],
    memory: int | None,
) -> None:
    # The parent alone answers Ctrl-C, and nobody outlives the parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Codecs print what they think of a broken file: in the middle of the parent's progress display.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Each process has a core to itself: numpy's threads would fight over those of the others.
    threadpoolctl.threadpool_limits(1)
    _keep_memory()
    if memory is not None:
        _limit(memory)
    with suppress(EOFError):
        pipe.send(None)  # it has begun
        while True:
            _send(pipe, shared, _answer(function, _receive(pipe, shared)))


def _answer(function: Callable[[Any], Any], item: Any) -> Answer:  # noqa: ANN401
    try:
        return "done", function(item)
    except MemoryError:
        return "memory", None
    except Exception as error:  # noqa: BLE001 - raised again in the parent
        return "raised", error


def _keep_memory() -> None:
    """Keep freed memory for the next item, where the C library is glibc.

    It gives large blocks back to the system at once, which hands them out again page by page: a
    quarter of the time that a 12-megapixel photograph takes.
    """
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        for parameter, value in _MALLOPT.items():
            library.mallopt(parameter, value)


def _limit(memory: int) -> None:
    """Let the process ask for so many bytes of address space beyond what it has."""
    try:
        import resource
    except ImportError:  # Windows
        return
    most = psutil.Process().memory_info().vms + memory
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _end_with_parent() -> None:
    # A killed parent cannot say goodbye, and its workers would wait for work for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
