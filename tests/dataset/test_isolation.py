from __future__ import annotations

import os

import pytest

from mayak.dataset.isolation import Crashed, Workers


def doubled_or_dead(number):
    if number in (3, 11):
        os._exit(1)
    if number == 100:
        raise ValueError("a hundred")
    return 2 * number


def test_a_crash_costs_the_item_that_caused_it():
    results = dict(Workers(doubled_or_dead, 2).run(range(16)))

    crashed = {number for number, result in results.items() if isinstance(result, Crashed)}
    assert crashed == {3, 11}
    assert {n: r for n, r in results.items() if n not in crashed} == {
        n: 2 * n for n in range(16) if n not in crashed
    }


def test_an_exception_comes_through():
    with pytest.raises(ValueError, match="a hundred"):
        list(Workers(doubled_or_dead, 1).run([100]))


def test_items_are_fetched_as_needed():
    fetched = []

    def items():
        for number in range(20, 1000):
            fetched.append(number)
            yield number

    run = Workers(doubled_or_dead, 1).run(items())
    next(run)
    run.close()

    assert len(fetched) <= 5
