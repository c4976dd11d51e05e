"""Run a function in worker processes: a crash, a hang or an out-of-memory error loses only the item
that caused it."""

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
from typing import Any, Generic, Literal, Self, TypeVar

import psutil
import threadpoolctl

Item = TypeVar("Item")
Result = TypeVar("Result")
Reply = tuple[Literal["done", "raised", "memory"], Any]

_SHARED_BYTES = 16 << 20
"""Shared memory of each worker. Only what is used of it takes memory."""

_MALLOPT = {-1: 256 << 20, -3: 64 << 20}
"""M_TRIM_THRESHOLD: free bytes at the end of the heap that are kept; M_MMAP_THRESHOLD: smaller
blocks are taken from the heap (glibc's malloc.h)."""


_CGROUP = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True, slots=True)
class Lost:
    """The result of an item whose worker died or was ended."""

    why: Literal["crashed", "too-slow", "out-of-memory"]


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int:
    """Return the bytes of memory that this machine, or this process's control group, still has."""
    free = int(psutil.virtual_memory().available)
    for limit, used in _CGROUP:
        with suppress(OSError, ValueError):  # not Linux, the other version, or "max"
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
    return max(free, 0)


def divide_memory(count: int, memory: int, min_memory: int) -> tuple[int, int]:
    """Return how many of ``count`` processes fit into the free memory, and the bytes for each:
    ``memory``, or less but at least ``min_memory``."""
    free = free_memory()
    count = max(1, min(count, free // min_memory))
    return count, max(min_memory, min(memory, free // count))


def limit_process(memory: int, cpu_seconds: int | None = None) -> None:
    """Limit the address space of this process to ``memory`` bytes more than it has now, and its
    processor time; on POSIX systems. A lower limit that it has already stays."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {resource.RLIMIT_AS: psutil.Process().memory_info().vms + memory}
    if cpu_seconds is not None:
        limits[resource.RLIMIT_CPU] = cpu_seconds
    for kind, limit in limits.items():
        _, hard = resource.getrlimit(kind)
        if hard == resource.RLIM_INFINITY or limit < hard:
            resource.setrlimit(kind, (limit, limit))  # both: it cannot be raised again


class WorkerPool(Generic[Item, Result]):
    """Runs ``function(item)`` in ``count`` worker processes, one item at a time in each; a context
    manager.

    A process starts when it is first needed and stays until ``close``; what the function stores in
    its module is kept from item to item. ``function`` must be a top-level function: the processes
    are spawned, which works on every system and with threads (torch's) in the parent. Exceptions of
    ``function`` are raised here.

    The result is ``Lost``, and the process is replaced, if the process dies (a codec's crash, the
    system's out-of-memory killer), if it takes longer than ``seconds`` (its start may take as long
    again), or if it asks for more than ``memory`` bytes in addition to what it started with (POSIX
    only).
    """

    def __init__(
        self,
        function: Callable[[Item], Result],
        count: int,
        *,
        seconds: float | None = None,
        memory: int | None = None,
    ) -> None:
        self._workers = [_Worker(function, seconds, memory) for _ in range(count)]
        # Last in, first out: a worker that has run before is used before another has to start.
        self._free: LifoQueue[_Worker[Item, Result]] = LifoQueue()
        for worker in self._workers:
            self._free.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, item: Item) -> Result | Lost:
        """Return the result for one item; callers of any thread wait for a free process.

        Raises what the function raises; RuntimeError if the pool is closed or a process cannot
        start.
        """
        worker = self._free.get()
        try:
            return worker(item)
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """End the processes, and with them the calls of other threads."""
        for worker in self._workers:
            worker.close()

    def run(
        self,
        items: Iterable[Item],
        *,
        weight: Callable[[Item], int] | None = None,
        max_weight: int = 0,
    ) -> Iterator[tuple[Item, Result | Lost]]:
        """Yield (item, result) in the order of completion, then end the processes.

        Items are fetched as needed: up to two for each process, and with ``weight`` only while the
        items under way weigh less than ``max_weight`` together. The iterator is polled again after
        every result, even once exhausted, because results may add items.
        """
        remaining = iter(items)
        done: SimpleQueue[Future[tuple[Item, Result | Lost]]] = SimpleQueue()

        def one(item: Item) -> tuple[Item, Result | Lost]:
            return item, self(item)

        # One thread for each process, so that a process gets its next item at once, even if the
        # consumer of the results is busy.
        count = len(self._workers)
        dispatchers = ThreadPoolExecutor(count, "dispatch")
        under_way = load = 0
        try:
            while True:
                room = under_way < 2 * count and (weight is None or not load or load < max_weight)
                fetched = 0
                for item in islice(remaining, int(room)):
                    dispatchers.submit(one, item).add_done_callback(done.put)
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
            dispatchers.shutdown(wait=False, cancel_futures=True)
            self.close()
            dispatchers.shutdown()


class _Worker(Generic[Item, Result]):
    """One process, replaced after a loss; callers of any thread take turns."""

    def __init__(
        self, function: Callable[[Item], Result], seconds: float | None, memory: int | None
    ) -> None:
        self._function, self._seconds, self._memory = function, seconds, memory
        self._turn, self._change = Lock(), Lock()
        self._process: _Process[Item, Result] | None = None
        self._closed = False

    def __call__(self, item: Item) -> Result | Lost:
        with self._turn:
            with self._change:
                if self._closed:
                    raise RuntimeError("closed")
                process = self._process = self._process or _Process(self._function, self._memory)
            result = process.result_of(item, self._seconds)
            if isinstance(result, Lost):
                self._end()
            return result

    def close(self) -> None:
        with self._change:
            self._closed = True
            if self._process is not None:
                self._process.kill()
        with self._turn:
            self._end()

    def _end(self) -> None:
        with self._change:
            process, self._process = self._process, None
        if process is not None:
            process.end()


class _Process(Generic[Item, Result]):
    """A spawned process with its pipe and its shared memory."""

    def __init__(self, function: Callable[[Item], Result], memory: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._shared = SharedMemory.new()
        self._process = context.Process(
            target=_serve, args=(theirs, self._shared, function, memory), daemon=True
        )
        self._process.start()
        theirs.close()  # so that the process's death ends the pipe
        self._started = False

    def result_of(self, item: Item, seconds: float | None) -> Result | Lost:
        with suppress(ConnectionError):  # it died between items: reading will fail too
            _send(self._pipe, self._shared, item)
        try:
            if not (self._has_started(seconds) and self._pipe.poll(seconds)):
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

    def _has_started(self, seconds: float | None) -> bool:
        """Wait for the first message of the process; return False if it takes too long.

        Raises:
            RuntimeError: the process ended instead, which is not the item's fault.
        """
        if not self._started:
            try:
                if not self._pipe.poll(seconds):
                    return False
                self._pipe.recv()
            except (EOFError, ConnectionError) as error:
                raise RuntimeError(
                    "a worker process ended while it started; a script must start worker processes "
                    "under `if __name__ == '__main__':`"
                ) from error
            self._started = True
        return self._started

    def kill(self) -> None:
        """End the process, even if a thread is waiting for its result."""
        self._process.kill()

    def end(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()


class SharedMemory:
    """Memory of two processes: a file without a name that is on no disk (memfd)."""

    def __init__(self, file: int) -> None:
        self.file = file

    @classmethod
    def new(cls) -> SharedMemory | None:
        """Return None on systems without memfd (all but Linux)."""
        if not hasattr(os, "memfd_create"):
            return None
        return cls(os.memfd_create("mayak"))

    def __reduce__(self) -> tuple[Any, ...]:
        return _attached, (reduction.DupFd(self.file),)

    def __del__(self) -> None:
        os.close(self.file)


def _attached(file: Any) -> SharedMemory:  # noqa: ANN401 - multiprocessing's wrapper of a descriptor
    return SharedMemory(file.detach())


def _send(pipe: connection.Connection, shared: SharedMemory | None, value: object) -> None:
    """Send a value; its buffers (pickle's, PEP 574) go through shared memory as far as they fit.

    A pipe takes a photo in fifty pieces, and its reader wakes up for each. Buffers that do not fit
    follow in the pipe, unpickled: pickled, a file of a gigabyte would be copied twice.
    """
    buffers: list[tuple[int, bool]] = []
    following: list[memoryview] = []
    end = 0

    def keep(buffer: pickle.PickleBuffer) -> bool:
        nonlocal end
        raw = buffer.raw()
        if shared is None or end + raw.nbytes > _SHARED_BYTES:
            following.append(raw)
            buffers.append((-1, raw.readonly))
        else:
            os.pwrite(shared.file, raw, end)
            buffers.append((raw.nbytes, raw.readonly))
            end += raw.nbytes
        return False

    pipe.send((pickle.dumps(value, protocol=5, buffer_callback=keep), buffers))
    for raw in following:
        pipe.send_bytes(raw)


def _receive(pipe: connection.Connection, shared: SharedMemory | None) -> Any:  # noqa: ANN401
    """Return the value that was sent; its buffers are copied out of the shared memory."""
    import numpy as np  # here, so that callers of ``cores`` start faster

    head, described = pipe.recv()
    buffers: list[Any] = []
    end = 0
    # Copied by the system (preadv) while other threads run: Python would keep its lock.
    for size, readonly in described:
        if size < 0 or shared is None:
            received = pipe.recv_bytes()
            buffers.append(received if readonly else bytearray(received))
            continue
        if readonly:
            buffers.append(os.pread(shared.file, size, end))
        else:
            # Not a bytearray: it would be filled with zeros first, under that lock.
            own = np.empty(size, dtype=np.uint8)
            if os.preadv(shared.file, [own.data], end) != size:
                raise EOFError("shared memory ends early")
            buffers.append(own)
        end += size
    return pickle.loads(head, buffers=buffers)  # noqa: S301 - as multiprocessing's own pipes do


def _serve(
    pipe: connection.Connection,
    shared: SharedMemory | None,
    function: Callable[[Any], Any],
    memory: int | None,
) -> None:
    become_worker(memory)
    with suppress(EOFError):
        pipe.send(None)  # it has started
        while True:
            _send(pipe, shared, _reply(function, _receive(pipe, shared)))


def become_worker(memory: int | None) -> None:
    """Prepare this process, which ``multiprocessing`` has started: it leaves Ctrl-C to its parent,
    prints nothing, ends with its parent, and may use ``memory`` bytes more than now."""
    # Only the parent handles Ctrl-C; workers end with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Codecs print messages about broken files into the parent's progress display.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    _end_with_parent()
    # Each process has one core: numpy's threads would compete with the other processes.
    threadpoolctl.threadpool_limits(1)
    _keep_memory()
    if memory is not None:
        limit_process(memory)


def _reply(function: Callable[[Any], Any], item: Any) -> Reply:  # noqa: ANN401
    try:
        return "done", function(item)
    except MemoryError:
        return "memory", None
    except Exception as error:  # noqa: BLE001 - raised again in the parent
        return "raised", error


def _keep_memory() -> None:
    """Make glibc keep freed memory for the next item.

    By default it returns large blocks to the system at once, which hands them out again page by
    page: a quarter of the time that a 12-megapixel photograph takes.
    """
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        for parameter, value in _MALLOPT.items():
            library.mallopt(parameter, value)


def _end_with_parent() -> None:
    """End this process when its parent ends: a parent that is killed cannot end its workers, which
    would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()
    # That thread never runs while a library hangs and keeps Python's lock. So the system itself
    # sends a signal when the parent's end of this pipe closes; SIGIO ends a process by default.
    with suppress(ImportError, AttributeError, OSError):  # not a POSIX system
        import fcntl

        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | fcntl.FASYNC)


def _exit_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
