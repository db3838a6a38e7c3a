"""A backlog is bounded by number and by weight, and gives what waits together in its order."""

import asyncio

import pytest

from proxy.backlog import Backlog


async def test_what_waits_is_taken_together_in_its_order():
    backlog: Backlog[int] = Backlog(10)
    for number in range(5):
        backlog.put(number, urgent=number == 4)
    assert await backlog.take(3) == [0, 1, 2]
    assert await backlog.take(3) == [3, 4]
    backlog.done(5)
    await asyncio.wait_for(backlog.join(), 1)


async def test_it_is_bounded_by_number():
    backlog: Backlog[int] = Backlog(2)
    backlog.put(1)
    backlog.put(2)
    with pytest.raises(asyncio.QueueFull):
        backlog.put(3)


async def test_it_is_bounded_by_weight_but_for_the_first_and_what_weighs_nothing():
    backlog: Backlog[int] = Backlog(10, weight_max=100)
    backlog.put(1, weight=150)
    with pytest.raises(asyncio.QueueFull):
        backlog.put(2, weight=1)
    backlog.put(3)
    assert await backlog.take(10) == [1, 3]
    backlog.put(4, weight=60)
    backlog.put(5, weight=40)
    with pytest.raises(asyncio.QueueFull):
        backlog.put(6, weight=1)
    assert len(backlog) == 2
