"""Clients that name their conversation and send only what is new: the log is all there is of the rest."""

import asyncio

import pytest

from memory_core.stores import StoreError, open_store
from proxy.remember import LEARNED_TURNS_MAX
from tests.support.messages import asks, chat, replies, said, traced
from tests.support.remembering import QUESTION, TALK, learn, recalled, recollect, remembering, same


@pytest.fixture
async def store():
    opened = await open_store("memory://")
    yield opened
    await opened.aclose()


async def test_a_thin_client_goes_on_where_it_was_on_any_replica(store):
    remember = remembering(store)
    await learn(remember, traced(chat(*TALK), "mine"))
    request = traced([said("user", QUESTION)], "mine")
    for replica in (remember, remembering(store)):
        lineage = await replica.resume(request)
        assert lineage.digests == traced(chat(*TALK, QUESTION), "mine").digests
        assert [head.tokens for head in lineage.stored] == [len(text) for text in TALK]
        found = await recollect(replica, lineage)
        assert recalled(found)[0].text == "The door code is 7431."
        assert [message.text for message in await replica.stored_messages(lineage, 60)] == TALK[60:]
        assert [message.raw for message in await replica.stored_messages(lineage, 0)] == [m.raw for m in chat(*TALK)]


async def test_thin_and_resending_clients_recollect_the_same(store):
    remember = remembering(store)
    await learn(remember, traced(chat(*TALK), "mine"))
    thin = await remember.resume(traced([said("user", QUESTION)], "mine"))
    resending = traced(chat(*TALK, QUESTION), "mine")
    assert same(await recollect(remember, thin), await recollect(remember, resending))


async def test_a_question_that_only_the_log_holds(store):
    remember = remembering(store)
    await learn(remember, traced([*chat(*TALK, QUESTION), asks("1")], "mine"))
    lineage = await remember.resume(traced([replies("1")], "mine"))
    found = await recollect(remember, lineage, asked=len(TALK))
    assert recalled(found)[0].text == "The door code is 7431."


async def test_resuming_without_an_id_or_without_a_past_is_nothing(store):
    remember = remembering(store)
    for lineage in (traced(chat("a")), traced(chat("a"), "never heard of")):
        assert await remember.resume(lineage) == lineage


async def test_two_thin_requests_at_once_keep_both_exchanges(store):
    remember, replica = remembering(store), remembering(store)
    await learn(remember, traced(chat("a", "b"), "mine"))
    requests = [traced([said("user", text)], "mine") for text in ("left", "right")]
    resumed = [await one.resume(request) for one, request in zip((remember, replica), requests, strict=True)]
    await asyncio.gather(
        learn(remember, resumed[0], "left answer"),
        learn(replica, resumed[1], "right answer"),
    )
    lineage = await remembering(store).resume(traced([said("user", "next")], "mine"))
    texts = [message.text for message in await remember.stored_messages(lineage, 0)]
    assert texts[:2] == ["a", "b"]
    assert sorted([texts[2:4], texts[4:]]) == [["left", "left answer"], ["right", "right answer"]]


async def test_many_thin_requests_at_once_on_one_replica(store):
    remember = remembering(store)
    requests = [traced([said("user", f"message {number}")], "mine") for number in range(12)]
    await asyncio.gather(*(learn(remember, request, f"answer {n}") for n, request in enumerate(requests)))
    lineage = await remember.resume(traced([said("user", "next")], "mine"))
    texts = [message.text for message in await remember.stored_messages(lineage, 0)]
    assert sorted(texts) == sorted([f"{kind} {number}" for kind in ("message", "answer") for number in range(12)])
    for number in range(12):
        assert texts[texts.index(f"message {number}") + 1] == f"answer {number}"


async def test_a_retry_of_a_thin_request_that_was_never_answered_is_one_turn(store):
    remember = remembering(store)
    await learn(remember, traced(chat("a", "b"), "mine"))
    request = traced([said("user", "c")], "mine")
    await learn(remember, await remember.resume(request))
    await learn(remember, await remember.resume(request), "d")
    lineage = await remember.resume(traced([said("user", "next")], "mine"))
    assert [message.text for message in await remember.stored_messages(lineage, 0)] == ["a", "b", "c", "d"]


async def test_a_long_thin_import_is_learned_in_steps_without_doubling(store):
    remember = remembering(store)
    await learn(remember, traced(chat("a", "b"), "mine"))
    words = [f"turn {number}" for number in range(2 * LEARNED_TURNS_MAX + 5)]
    request = traced([said("user", word) for word in words], "mine")
    assert await learn(remember, await remember.resume(request), "answer") > 1
    lineage = await remember.resume(traced([said("user", "next")], "mine"))
    texts = [message.text for message in await remember.stored_messages(lineage, 0)]
    assert texts == ["a", "b", *words, "answer"]


async def test_a_log_that_lost_a_turn_is_an_error_and_not_a_guess(store):
    remember = remembering(store)
    await learn(remember, traced(chat("a", "b", "c", "d"), "mine"))
    lineage = await remember.resume(traced([said("user", "next")], "mine"))
    await store.delete(lineage.conversation)
    with pytest.raises(StoreError):
        await remember.stored_messages(lineage, 0)
    with pytest.raises(StoreError):
        await recollect(remembering(store), lineage)
