"""What is learned while requests come has its turn in spells; who is waited for, and the end, wait for none."""

import asyncio

import pytest

from proxy.exchange import Exchange
from proxy.remember import LEARNED_TURNS_MAX
from proxy.spells import APART_S, QUIET_S
from tests.support.learner import exchange, soon
from tests.support.messages import chat, said, traced
from tests.support.stores import SlowStore

pytest_plugins = ["tests.support.learner"]

QUESTION_S = 0.02
"""From one question to the next of a client that does not pause."""


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


async def test_a_spell_ends_while_exchanges_of_its_conversation_come(bench):
    """On a slow store: who comes meanwhile waits for the next, and only the newest of each is folded."""
    bench.store.inner = SlowStore(bench.store.inner, QUESTION_S, ["append", "save"])
    offered = []
    async with bench.running():
        for number in range(40):
            offered.append(bench.learner.offer(exchange("a", "fine", f"and {number}?", answer="well")))
            await asyncio.sleep(QUESTION_S)
        assert all([await soon(future) for future in offered])
    seconds = 40 * QUESTION_S
    assert bench.store.calls.count("save") <= 3 + seconds / APART_S
    assert bench.counted("learned") == 40


async def test_one_that_cannot_be_learned_does_not_take_the_others_along(bench):
    bench.embedder.poison = frozenset(["and 3?"])
    async with bench.running():
        assert await soon(bench.learner.offer(exchange("a", answer="fine")))
        forks = [bench.learner.offer(exchange("a", "fine", f"and {number}?", answer="well")) for number in range(9)]
        assert [await soon(future) for future in forks] == [number != 3 for number in range(9)]
    assert (bench.counted("learned"), bench.counted("failed")) == (9, 1)


async def test_who_is_cut_off_while_it_waits_for_a_spell_is_told(bench):
    async with bench.running():
        offered = [bench.learner.offer(exchange("a", answer=f"answer {number}")) for number in range(3)]
        await asyncio.sleep(QUIET_S / 4)
        assert not any(future.done() for future in offered)
    assert bench.counted("failed") == 3


@pytest.mark.parametrize("said_before", [("turn 0",), ("turn 0", "turn 1", "else?", "hm")])
async def test_a_long_import_comes_to_its_end_beside_branches_of_its_conversation(bench, said_before):
    """Each branch that is folded cuts the fold back to where it leaves the import."""
    long = exchange(*(f"turn {number}" for number in range(12 * LEARNED_TURNS_MAX - 1)))
    async with bench.running():
        imported = bench.learner.offer(long)
        offered = []
        async with asyncio.timeout(20):
            while not imported.done():
                answer = f"branch {len(offered)}"
                offered.append(bench.learner.offer(exchange(*said_before, answer=answer)))
                await asyncio.sleep(QUESTION_S)
        assert imported.result()
        assert all([await soon(future) for future in offered])
    assert await bench.store.path(long.conversation, long.lineage.digests[-1]) == list(long.lineage.digests)


async def test_one_failure_does_not_have_all_that_follow_learned_one_by_one(bench):
    async with bench.running():
        assert await soon(bench.learner.offer(exchange("a", answer="fine")))
        bench.store.failing = {"append"}
        assert all(await asyncio.gather(*map(bench.learner.offer, asked("hm", 9))))
        bench.store.failing = set()
        saves = bench.store.calls.count("save")
        assert all(await asyncio.gather(*map(bench.learner.offer, asked("and", 30))))
    assert bench.store.calls.count("save") == saves + 1
    assert (bench.counted("failed"), bench.counted("learned")) == (0, 40)


async def test_a_call_of_tools_is_one_exchange(bench):
    async with bench.running():
        assert await soon(bench.learner.offer(exchange("a", answer="fine")))
        forks = [exchange("a", "fine", f"ask {n}", "calling", f"came of {n}", answer="well") for n in range(9)]
        assert all(await asyncio.gather(*map(bench.learner.offer, forks)))
    assert bench.store.calls.count("save") == 2


def asked(word, count):
    return [exchange("a", "fine", f"{word} {number}?", answer="well") for number in range(count)]
