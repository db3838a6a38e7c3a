"""Which conversations stay hot: those that go on, whoever is heard once beside them."""

import pytest

from memory_core.stores import open_store
from proxy.segmented import LONG_TURNS
from tests.support.messages import chat, traced
from tests.support.remembering import learn, recollect, remembering
from tests.support.stores import WrappedStore

CACHE_BYTES = 400_000
"""Room for the two latest of one exchange and for those that go on here, not for a hundred."""


@pytest.fixture
async def store():
    opened = await open_store("memory://")
    yield WrappedStore(opened)
    await opened.aclose()


async def crowd(remember, number=100):
    """Others, heard once."""
    for place in range(number):
        await learn(remember, traced(chat(f"once {place}")), "Noted.")


async def is_hot(remember, store, *texts):
    """Whether the next exchange is learned without asking what is stored of the others."""
    store.calls.clear()
    await learn(remember, traced(chat(*texts)), "Yes.")
    return "known" not in store.calls


async def test_one_that_goes_on_stays_while_a_hundred_are_heard_once(store):
    remember = remembering(store, cache_bytes_max=CACHE_BYTES)
    await learn(remember, traced(chat("a")), "b")
    await learn(remember, traced(chat("a", "b", "c")), "d")
    await crowd(remember)
    assert await is_hot(remember, store, "a", "b", "c", "d", "e")


@pytest.mark.parametrize("again", [["b"], ["b", "x", "y"], []])
async def test_one_that_was_heard_once_goes_however_often_it_was_sampled(store, again):
    remember = remembering(store, cache_bytes_max=CACHE_BYTES)
    for answer in ("b", *again):
        await learn(remember, traced(chat("a")), answer)
    await crowd(remember)
    assert not await is_hot(remember, store, "a", "b", "c")


async def test_what_the_request_itself_recollects_is_no_going_on(store):
    remember = remembering(store, cache_bytes_max=CACHE_BYTES)
    lineage = traced(chat("an example", "its answer", "a"))
    await recollect(remember, lineage)
    await recollect(remember, lineage)
    await learn(remember, lineage, "b")
    await crowd(remember)
    assert not await is_hot(remember, store, "an example", "its answer", "a", "b", "c")


async def test_one_that_comes_back_after_it_was_let_go_is_known_from_the_log_and_stays(store):
    remember = remembering(store, cache_bytes_max=CACHE_BYTES)
    await learn(remember, traced(chat("a")), "b")
    await crowd(remember)
    assert not await is_hot(remember, store, "a", "b", "c")
    await crowd(remember)
    assert await is_hot(remember, store, "a", "b", "c", "Yes.", "e")


async def test_one_that_comes_with_a_long_history_stays(store):
    remember = remembering(store, cache_bytes_max=CACHE_BYTES)
    said = [f"turn {place}" for place in range(LONG_TURNS + 1)]
    await recollect(remember, traced(chat(*said)))
    await crowd(remember)
    assert remember._hot.peek(traced(chat(*said)).conversation) is not None
    await learn(remember, traced(chat(*said)), "b")
    await crowd(remember)
    assert await is_hot(remember, store, *said, "b", "c")


async def test_an_id_that_is_used_again_stays(store):
    remember = remembering(store, cache_bytes_max=CACHE_BYTES)
    for said in ("a", "b"):
        lineage = await remember.resume(traced(chat(said), "mine"))
        await learn(remember, lineage, "Yes.")
    kept = remember._hot.peek(lineage.conversation)
    await crowd(remember)
    assert remember._hot.peek(lineage.conversation) is kept is not None
