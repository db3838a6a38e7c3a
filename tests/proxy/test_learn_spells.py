"""What is learned while requests come has its turn in spells; who is waited for, and the end, wait for none."""

import asyncio

from proxy.exchange import Exchange
from proxy.remember import LEARNED_TURNS_MAX
from proxy.spells import QUIET_S
from tests.support.learner import exchange, soon
from tests.support.messages import chat, said, traced

pytest_plugins = ["tests.support.learner"]


async def test_while_exchanges_come_they_are_embedded_at_once_and_folded_together(bench):
    async with bench.running():
        offered = []
        for number in range(20):
            offered.append(bench.learner.offer(exchange(f"about {number}")))
            await asyncio.sleep(QUIET_S / 4)
        embedded = {text for call in bench.embedder.calls for text in call}
        assert {f"about {number}" for number in range(19)} <= embedded
        assert "save" not in bench.store.calls
        assert all([await soon(future) for future in offered])


async def test_of_one_conversation_all_begin_with_the_first(bench):
    forks = [exchange("a", "fine", f"and {number}?", answer="well") for number in range(40)]
    async with bench.running():
        async with asyncio.timeout(QUIET_S * 30):  # and not forty spells
            assert all(await asyncio.gather(*map(bench.learner.offer, forks)))


async def test_who_is_waited_for_and_who_is_the_last_wait_for_no_spell(bench):
    lineage = traced(chat("a"), "an id")
    urgent = Exchange(lineage.conversation, lineage, (said("assistant", "fine"),), exchange("a").row)
    assert urgent.is_urgent
    async with bench.running():
        for number in range(3):
            bench.learner.offer(exchange(f"about {number}"))
            await asyncio.sleep(QUIET_S / 4)
        assert await soon(bench.learner.offer(urgent))
        assert bench.store.calls.count("save") == 1
        await bench.learner.drain(5)
    assert bench.counted("learned") == 4


async def test_a_long_import_waits_for_one_spell_and_no_more(bench):
    steps = 24
    long = exchange(*(f"turn {number}" for number in range(steps * LEARNED_TURNS_MAX - 1)))
    async with bench.running():
        async with asyncio.timeout(QUIET_S * steps):
            assert await bench.learner.offer(long)
    assert bench.store.calls.count("save") == steps
