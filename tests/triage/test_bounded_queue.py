"""The queue between two stages: in order, complete, and bounded by the bytes in it."""

from threading import Thread

import pytest

from mayak.triage.bounded_queue import ByteBoundedQueue


def in_a_thread(work):
    thread = Thread(target=work, daemon=True)
    thread.start()
    return thread


def everything(queue):
    return [element for elements in queue for element in elements]


def test_all_comes_in_order_and_no_more_waits_than_has_room():
    queue = ByteBoundedQueue(lambda size: size, 100)
    waiting = []

    def put():
        for number in range(1, 200):
            queue.put([number, number])
            waiting.append(queue._bytes)
        queue.end()

    thread = in_a_thread(put)
    assert everything(queue) == [n for number in range(1, 200) for n in (number, number)]
    thread.join()
    # What is put in last may be larger than the room that is left.
    assert max(waiting) < 100 + 2 * 200


def test_a_little_is_taken_at_a_time():
    queue = ByteBoundedQueue(lambda size: size, 1 << 40)
    queue.put([1] * 100)
    queue.put([1 << 24] * 5)
    queue.end()
    assert [len(elements) for elements in queue] == [32, 32, 32, 6, 2, 1]


def test_an_error_comes_after_what_came_before_it():
    queue = ByteBoundedQueue(lambda _: 1, 100)
    queue.put([1, 2])
    queue.end(ValueError("torn off"))
    found = []
    with pytest.raises(ValueError, match="torn off"):
        for elements in queue:
            found += elements
    assert found == [1, 2]


def test_a_thread_that_puts_in_does_not_wait_for_one_that_takes_no_more():
    queue = ByteBoundedQueue(lambda _: 1, 1)
    thread = in_a_thread(lambda: [queue.put([number]) for number in range(1000)])
    assert next(iter(queue))
    queue.close()
    thread.join(10)
    assert not thread.is_alive()
    assert everything(queue) == []


def test_nothing_needs_no_room_and_a_timeout_ends_the_wait_for_room():
    queue = ByteBoundedQueue(lambda _: 1, 1)
    assert queue.put(["a"])
    assert queue.put([])
    assert not queue.put(["b"], 0.01)
    queue.end()
    assert everything(queue) == ["a"]


def test_a_thread_that_waits_can_do_other_work(monkeypatch):
    monkeypatch.setattr("mayak.triage.bounded_queue._TIMEOUT", 0.01)
    queue = ByteBoundedQueue(lambda _: 1, 1)
    elements = iter(queue)
    assert next(elements) == []
    queue.put(["a"])
    assert next(elements) == ["a"]
    queue.end()
    assert list(elements) == []


def test_elements_that_weigh_nothing_never_wait():
    queue = ByteBoundedQueue(lambda _: 0, 1)
    assert all(queue.put([number], 0) for number in range(100))
    assert not queue.is_exhausted
    queue.end()
    assert not queue.is_exhausted
    assert queue.take(0) == list(range(32))
    assert everything(queue) == list(range(32, 100))
    assert queue.is_exhausted
