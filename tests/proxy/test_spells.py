"""Who can wait has a turn together with others: when it is quiet, and at the latest after a while."""

import asyncio

import pytest

from proxy.spells import APART_S, QUIET_S, Spells


async def test_a_lone_one_waits_for_a_quiet_moment():
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await asyncio.wait_for(Spells().turn(), 2)
    assert QUIET_S <= loop.time() - begun + 1e-3 < APART_S


async def test_while_others_come_all_wait_and_then_begin_together():
    loop, spells = asyncio.get_running_loop(), Spells()
    begun, turns = loop.time(), []

    async def turn() -> None:
        await spells.turn()
        turns.append(loop.time() - begun)

    waiting = []
    while loop.time() - begun < 0.8 * APART_S:
        waiting.append(asyncio.create_task(turn()))
        await asyncio.sleep(QUIET_S / 4)
    assert not turns
    await asyncio.wait_for(asyncio.gather(*waiting), 2)
    assert max(turns) - min(turns) < QUIET_S
    assert min(turns) > 0.8 * APART_S


async def test_it_is_not_quiet_while_anything_comes():
    loop, spells = asyncio.get_running_loop(), Spells()
    spells.stir()  # nobody waits: nothing to put off
    begun, turn = loop.time(), asyncio.create_task(spells.turn())
    while not turn.done():
        await asyncio.sleep(QUIET_S / 4)
        spells.stir()
    assert 0.8 * APART_S < loop.time() - begun < APART_S + 10 * QUIET_S


async def test_nobody_waits_longer_than_that():
    loop, spells = asyncio.get_running_loop(), Spells()
    first = asyncio.create_task(spells.turn())
    begun, others = loop.time(), []
    while not first.done():
        others.append(asyncio.create_task(spells.turn()))
        await asyncio.sleep(QUIET_S / 4)
    assert loop.time() - begun < APART_S + 10 * QUIET_S
    spells.begin()
    await asyncio.gather(first, *others)


async def test_a_spell_can_be_begun_and_who_has_gone_is_not_missed():
    spells = Spells()
    spells.begin()
    gone, here = asyncio.create_task(spells.turn()), asyncio.create_task(spells.turn())
    await asyncio.sleep(0)
    gone.cancel()
    spells.begin()
    async with asyncio.timeout(QUIET_S / 2):
        await here
    with pytest.raises(asyncio.CancelledError):
        await gone
