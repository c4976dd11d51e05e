"""What one thread hands to the next: in order, whole, and not too much at once."""

from threading import Thread

import pytest

from mayak.triage.handover import Handover


def in_a_thread(work):
    thread = Thread(target=work, daemon=True)
    thread.start()
    return thread


def everything(handover):
    return [thing for things in handover for thing in things]


def test_all_comes_in_order_and_no_more_waits_than_has_room():
    handover = Handover(lambda size: size, 100)
    waiting = []

    def put():
        for number in range(1, 200):
            handover.put([number, number])
            waiting.append(handover._load)
        handover.end()

    thread = in_a_thread(put)
    assert everything(handover) == [n for number in range(1, 200) for n in (number, number)]
    thread.join()
    # What is put in last may be larger than the room that is left.
    assert max(waiting) < 100 + 2 * 200


def test_a_little_is_taken_at_a_time():
    handover = Handover(lambda size: size, 1 << 40)
    handover.put([1] * 100)
    handover.put([1 << 24] * 5)
    handover.end()
    assert [len(things) for things in handover] == [32, 32, 32, 6, 2, 1]


def test_a_fault_comes_after_what_came_before_it():
    handover = Handover(lambda _: 1, 100)
    handover.put([1, 2])
    handover.end(ValueError("torn off"))
    found = []
    with pytest.raises(ValueError, match="torn off"):
        for things in handover:
            found += things
    assert found == [1, 2]


def test_whoever_puts_in_is_not_kept_by_one_who_takes_no_more():
    handover = Handover(lambda _: 1, 1)
    thread = in_a_thread(lambda: [handover.put([number]) for number in range(1000)])
    assert next(iter(handover))
    handover.close()
    thread.join(10)
    assert not thread.is_alive()
    assert everything(handover) == []


def test_nothing_needs_no_room_and_whoever_has_other_things_to_do_does_not_wait_for_any():
    handover = Handover(lambda _: 1, 1)
    assert handover.put(["a"])
    assert handover.put([])
    assert not handover.put(["b"], 0.01)
    handover.end()
    assert everything(handover) == ["a"]


def test_whoever_waits_can_see_to_other_things(monkeypatch):
    monkeypatch.setattr("mayak.triage.handover._PATIENCE", 0.01)
    handover = Handover(lambda _: 1, 1)
    things = iter(handover)
    assert next(things) == []
    handover.put(["a"])
    assert next(things) == ["a"]
    handover.end()
    assert list(things) == []
