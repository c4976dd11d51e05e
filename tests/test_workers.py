from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from mayak.workers import Lost, WorkerPool, divide_memory, free_memory


def doubled_or_dead(number):
    if number in (3, 11):
        os._exit(1)
    if number == 100:
        raise ValueError("a hundred")
    return 2 * number


def numbered(_):
    return os.getpid()


def slow_or_greedy(what):
    if what == "slow":
        time.sleep(600)
    if what == "greedy":
        return len(bytearray(2**31))
    return what


def test_a_crash_costs_the_item_that_caused_it():
    results = dict(WorkerPool(doubled_or_dead, 2).run(range(16)))

    assert results == {n: Lost("crashed") if n in (3, 11) else 2 * n for n in range(16)}


def test_a_hang_costs_the_item_that_caused_it():
    items = ["a", "slow", "b", "c"]
    results = dict(WorkerPool(slow_or_greedy, 2, seconds=10).run(items))

    assert results == {"a": "a", "slow": Lost("too-slow"), "b": "b", "c": "c"}


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of memory there")
def test_a_glut_of_memory_costs_the_item_that_caused_it():
    results = dict(WorkerPool(slow_or_greedy, 1, memory=2**29).run(["a", "greedy", "b"]))

    assert results == {"a": "a", "greedy": Lost("out-of-memory"), "b": "b"}


def loud(what):
    os.write(2, b"libtiff: what a file\n")
    return what


def test_what_a_codec_prints_stays_off_the_terminal(capfd):
    assert list(WorkerPool(loud, 1).run(["a"])) == [("a", "a")]

    assert capfd.readouterr().err == ""


def test_an_exception_comes_through():
    with pytest.raises(ValueError, match="a hundred"):
        list(WorkerPool(doubled_or_dead, 1).run([100]))


def test_items_are_fetched_as_needed():
    fetched = []

    def items():
        for number in range(20, 1000):
            fetched.append(number)
            yield number

    run = WorkerPool(doubled_or_dead, 1).run(items())
    next(run)
    run.close()

    assert len(fetched) <= 5


def test_who_takes_no_more_waits_for_no_process_and_leaves_none():
    before = set(psutil.Process().children())
    run = WorkerPool(slow_or_greedy, 2).run(["a", "slow", "slow", "slow"])
    assert next(run) == ("a", "a")
    run.close()
    left = set(psutil.Process().children()) - before
    assert not [process for process in left if "spawn_main" in " ".join(process.cmdline())]


def test_items_that_results_bring_are_done_by_the_same_processes():
    class Agenda:
        left = [1]  # noqa: RUF012

        def __iter__(self):
            return self

        def __next__(self):
            if not self.left:
                raise StopIteration
            return self.left.pop()

    agenda, processes = Agenda(), set()
    for number, process in WorkerPool(numbered, 2).run(agenda):
        processes.add(process)
        if number < 5:
            agenda.left.append(number + 1)

    assert number == 5
    assert len(processes) == 1


def squared(numbers):
    return numbers.size, numbers * numbers


def test_arrays_of_any_size_come_through_and_stay_what_they_were():
    # The largest does not fit into the memory that is shared, and goes through the pipe.
    sent = [np.arange(size, dtype=np.int64) for size in (0, 5, 1_000_000, 3_000_000, 7)]
    results = [result for _, result in WorkerPool(squared, 1).run(sent)]

    assert [size for size, _ in results] == [0, 5, 1_000_000, 3_000_000, 7]
    for numbers, (_, squares) in zip(sent, results, strict=True):
        assert np.array_equal(squares, numbers * numbers)


def test_nothing_to_do_is_done_at_once():
    assert list(WorkerPool(doubled_or_dead, 2).run([])) == []


def test_a_process_stays_until_an_item_costs_it():
    with WorkerPool(doubled_or_dead, 1, seconds=30) as pool:
        assert [pool(1), pool(2)] == [2, 4]
        assert pool(11) == Lost("crashed")
        assert pool(4) == 8


def test_a_process_that_hangs_is_ended():
    with WorkerPool(slow_or_greedy, 1, seconds=5) as pool:
        assert pool("slow") == Lost("too-slow")


def test_a_script_without_a_guard_is_told_so_and_no_item_is_blamed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from mayak.workers import WorkerPool\n"
        "print(list(WorkerPool(len, 2, seconds=60).run(['one', 'two'])))\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout
    assert "under `if __name__ == '__main__':`" in done.stderr


def test_large_buffers_arrive_as_they_were_sent():
    large = np.arange(40 << 20, dtype=np.uint8)  # more than fits into the shared memory
    small = b"x" * 100

    with WorkerPool(returned, 1) as pool:
        back, fixed, little = pool((large, pickle.PickleBuffer(bytes(large)), small))

    assert np.array_equal(back, large)
    assert (bytes(fixed), little) == (bytes(large), small)
    back[0] = 1  # an array that came back may be written to


def returned(item):
    large, fixed, little = item
    return large, pickle.PickleBuffer(bytes(fixed)), little


def test_no_more_is_fetched_than_may_be_under_way():
    under_way = peak = 0

    def items():
        nonlocal under_way, peak
        for number in range(12):
            under_way += 10
            peak = max(peak, under_way)
            yield number

    for _, _ in WorkerPool(numbered, 2).run(items(), weight=lambda _: 10, max_weight=15):
        under_way -= 10

    # One below the bound lets one more in; of four places two stay empty.
    assert peak == 20


def test_processes_share_the_memory_that_there_is(monkeypatch):
    for free, shared in ((64, (8, 4)), (20, (8, 2.5)), (9, (4, 2.25)), (1, (1, 2))):
        monkeypatch.setattr("mayak.workers.free_memory", lambda free=free: free << 30)
        count, memory = divide_memory(8, 4 << 30, 2 << 30)
        assert (count, memory / 2**30) == shared


def test_a_control_group_may_have_less_memory_than_the_machine(monkeypatch, tmp_path):
    (tmp_path / "max").write_text("3000000\n")
    (tmp_path / "current").write_text("1000000\n")
    places = ((str(tmp_path / "max"), str(tmp_path / "current")), ("missing", "missing"))
    monkeypatch.setattr("mayak.workers._CGROUP", places)
    assert free_memory() == 2_000_000
    (tmp_path / "max").write_text("max\n")
    assert free_memory() > 2_000_000
