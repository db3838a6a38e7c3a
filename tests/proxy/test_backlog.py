"""A backlog is bounded by number and by weight, and gives what waits together in its order."""

import asyncio

import pytest

from proxy.backlog import GATHER_S, LINGER_S, Backlog


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


async def test_what_does_not_linger_is_taken_at_once():
    backlog: Backlog[int] = Backlog(10, lingers=False)
    backlog.put(1)
    async with asyncio.timeout(LINGER_S / 2):
        assert await backlog.take(3) == [1]


async def test_what_comes_meanwhile_is_waited_with_but_not_for_long():
    loop, backlog = asyncio.get_running_loop(), Backlog[int](1_000)
    taking = asyncio.create_task(backlog.take(1_000))
    begun, put = loop.time(), 0
    while not taking.done():
        backlog.put(put)
        put += 1
        await asyncio.sleep(LINGER_S / 4)
    assert GATHER_S <= loop.time() - begun + 1e-3 < GATHER_S + 10 * LINGER_S
    assert put - 1 <= len(await taking) <= put


async def test_as_many_as_can_be_taken_are_reason_enough():
    backlog: Backlog[int] = Backlog(100)
    for number in range(20):
        backlog.put(number)
    async with asyncio.timeout(GATHER_S):
        assert len(await backlog.take(10)) == 10
