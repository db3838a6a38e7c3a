"""A turn is written the same whether it was folded or not; without a fold only what surely completes the log."""

import pytest

from memory_core.stores import open_store
from proxy.lineage import extended
from tests.support.messages import chat, said, traced
from tests.support.remembering import QUESTION, TALK, learn, remembering

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


async def test_what_is_only_logged_is_what_would_have_been_learned(store):
    elsewhere = await open_store("memory://")
    remember, other = remembering(store), remembering(elsewhere)
    for each in (remember, other):
        await learn(each, fork(QUESTION), "It is 7431.")
    lineage = fork("What else was said?")
    unlogged = await remember.read_ahead(extended(lineage, said("assistant", ANSWER)))
    assert len(unlogged) == 2
    assert await remember.log(lineage, [said("assistant", ANSWER)], 1.0, unlogged)
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
    unlogged = await remember.read_ahead(extended(lineage, said("assistant", ANSWER)))
    await remember.log(lineage, [said("assistant", ANSWER)], 1.0, unlogged)
    await learn(remember, traced(chat(*TALK, "What else was said?", ANSWER, "And then?")), "Nothing.")
    whole = traced(chat(*TALK, "What else was said?", ANSWER, "And then?", "Nothing."))
    assert await store.path(whole.conversation, whole.digests[-1]) == list(whole.digests)
    assert (await store.load(whole.conversation)).digest == whole.digests[-1]


async def test_where_the_log_may_lack_more_nothing_is_written(store):
    """A log with a turn missing could not be walked."""
    remember, lineage = remembering(store), fork(QUESTION)
    answer = [said("assistant", "It is 7431.")]
    whole = extended(lineage, *answer)
    newest = frozenset(whole.digests[-2:])
    assert not await remember.log(lineage, answer, 1.0, newest)  # nothing is hot
    await remember.question(lineage, lineage.length - 1)  # now it is, and still not logged
    assert not await remember.log(lineage, answer, 1.0, newest)
    await learn(remember, fork("Another question?"), "Yes.")
    assert not await remember.log(lineage, answer, 1.0, frozenset())
    assert not await remember.log(lineage, answer, 1.0, frozenset(whole.digests[-3:-1]))
    assert not any(await store.known(whole.conversation, whole.digests[-2:]))
    assert await remember.log(lineage, answer, 1.0, newest)
