"""Pieces that share a pace come one in a turn of the loop; one without a pace waits for none of them."""

import asyncio

from proxy.pace import Pace, piece


async def test_one_piece_in_each_turn_of_the_loop():
    pace, turn, done = Pace(), 0, []

    async def work(number):
        for part in range(2):
            async with piece(pace):
                done.append((turn, number, part))

    async def count():
        nonlocal turn
        while len(done) < 20:
            turn += 1
            await asyncio.sleep(0)

    await asyncio.gather(count(), *[work(number) for number in range(10)])
    turns = [when for when, _, _ in done]
    assert turns == sorted(set(turns)), "two pieces in one turn"
    assert [(number, part) for _, number, part in done] == [(n, part) for part in range(2) for n in range(10)]


async def test_one_in_a_hurry_waits_for_nobody():
    pace, done = Pace(), []

    async def patient():
        async with piece(pace):
            done.append("patient")

    async def hurried():
        async with piece():
            done.append("hurried")

    await asyncio.gather(*[patient() for _ in range(5)], hurried())
    assert done.index("hurried") == 1


async def test_a_piece_that_fails_makes_room_for_the_next():
    pace, done = Pace(), []

    async def work(number):
        async with piece(pace):
            if number == 0:
                raise ValueError
            done.append(number)

    outcomes = await asyncio.gather(*[work(number) for number in range(3)], return_exceptions=True)
    assert isinstance(outcomes[0], ValueError)
    assert done == [1, 2]
