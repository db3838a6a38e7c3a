"""A turn is written the same whether it was folded or not; without a fold only what surely completes the log."""

import pytest

from memory_core.stores import open_store
from proxy.lineage import extended
from proxy.log_entries import Fork
from tests.support.messages import chat, said, traced
from tests.support.remembering import QUESTION, TALK, learn, remembering
from tests.support.stores import FailingStore

ANSWER = "Words that make a text of more than one chunk. " * 30


@pytest.fixture
async def store():
    opened = await open_store("memory://")
    yield opened
    await opened.aclose()


async def logged(store, lineage, answer):
    whole = extended(lineage, said("assistant", answer))
    assert await store.path(whole.conversation, whole.digests[-1]) == list(whole.digests)
    return await store.read(whole.conversation, whole.digests)


def fork(question):
    return traced(chat(*TALK, question))


def outrun(lineage, answer):
    whole = extended(lineage, said("assistant", answer))
    return Fork(whole, lineage.length, 1.0)


async def test_what_is_only_logged_is_what_would_have_been_learned(store):
    elsewhere = await open_store("memory://")
    remember, other = remembering(store), remembering(elsewhere)
    for each in (remember, other):
        await learn(each, fork(QUESTION), "It is 7431.")
    lineage = fork("What else was said?")
    assert await remember.log([outrun(lineage, ANSWER)]) == [True]
    await learn(other, lineage, ANSWER)
    assert await logged(store, lineage, ANSWER) == await logged(elsewhere, lineage, ANSWER)
    assert (await store.load(lineage.conversation)).digest == extended(
        fork(QUESTION), said("assistant", "It is 7431.")
    ).digests[-1]
    await elsewhere.aclose()


async def test_one_that_goes_on_after_all_is_learned_from_the_log(store):
    remember = remembering(store)
    await learn(remember, fork(QUESTION), "It is 7431.")
    lineage = fork("What else was said?")
    assert await remember.log([outrun(lineage, ANSWER)]) == [True]
    await learn(remember, traced(chat(*TALK, "What else was said?", ANSWER, "And then?")), "Nothing.")
    whole = traced(chat(*TALK, "What else was said?", ANSWER, "And then?", "Nothing."))
    assert await store.path(whole.conversation, whole.digests[-1]) == list(whole.digests)
    assert (await store.load(whole.conversation)).digest == whole.digests[-1]


async def test_where_the_log_may_lack_more_nothing_is_written(store):
    """A log with a turn missing could not be walked."""
    remember, lineage = remembering(store), fork(QUESTION)
    asked = outrun(lineage, "It is 7431.")
    assert await remember.log([asked]) == [False]  # nothing is hot
    await remember.question(lineage, lineage.length - 1)  # now it is, and still not logged
    assert await remember.log([asked]) == [False]
    await learn(remember, fork("Another question?"), "Yes.")
    later = outrun(traced(chat(*TALK, QUESTION, "It is 7431.", "And then?")), "Nothing.")
    assert await remember.log([later, outrun(fork("Another question?"), "Yes.")]) == [False, False]
    assert not any(await store.known(lineage.conversation, later.whole.digests[-4:]))
    assert await remember.log([later, asked]) == [False, True]
    assert await store.known(lineage.conversation, later.whole.digests[-4:]) == [True, True, False, False]


async def test_many_are_written_at_once_each_after_what_it_follows(store):
    counted = FailingStore(store, [])
    remember = remembering(counted)
    await learn(remember, fork(QUESTION), "It is 7431.")
    forks = [outrun(fork(f"And number {number // 2}?"), f"{number}. {ANSWER}") for number in range(9)]
    assert await remember.log(forks) == [True] * 9
    assert counted.calls.count("append") == 1
    for each in forks:
        assert await store.path(each.whole.conversation, each.whole.digests[-1]) == list(each.whole.digests)


async def test_first_exchanges_need_nothing_before_them(store):
    remember = remembering(store)
    forks = [outrun(traced(chat("Tell me a joke.")), f"Joke {number}.") for number in range(3)]
    assert await remember.log(forks) == [True] * 3
    for each in forks:
        assert await store.path(each.whole.conversation, each.whole.digests[-1]) == list(each.whole.digests)
