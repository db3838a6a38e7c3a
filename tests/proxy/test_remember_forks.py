"""Edits, forks and regenerates; and that neither they nor eviction nor replicas change what is recollected."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.stores import open_store
from proxy.remember import LEARNED_TURNS_MAX
from tests.support.embedders import GatedEmbedder
from tests.support.messages import chat, said, traced
from tests.support.remembering import QUESTION, TALK, learn, recalled, recollect, remembering, same


@pytest.fixture
async def store():
    opened = await open_store("memory://")
    yield opened
    await opened.aclose()


async def test_a_fork_recollects_what_it_said_and_not_what_the_other_did(store):
    remember = remembering(store)
    trunk = chat(*TALK[:8])
    left = [*trunk, said("user", "The door code is now 9999."), said("assistant", "Changed.")]
    right = [*trunk, said("user", "The weather is fine today."), said("assistant", "Good.")]
    question = said("user", QUESTION)
    await learn(remember, traced(left))
    of_right = await recollect(remember, traced([*right, question]))
    assert "9999" not in " ".join(quote.text for quote in recalled(of_right))
    assert "9999" not in str(of_right.block)
    of_left = await recollect(remember, traced([*left, question]))
    assert "9999" in recalled(of_left)[0].text
    await learn(remember, traced(right))
    for messages, found in ((right, of_right), (left, of_left)):
        assert same(await recollect(remember, traced([*messages, question])), found)
        assert same(await recollect(remembering(store), traced([*messages, question])), found)


async def test_an_edit_and_a_regenerate_are_forks_whose_turns_both_stay_in_the_log(store):
    remember = remembering(store)
    await learn(remember, traced(chat("a", "b", "c")), "d")
    await learn(remember, traced(chat("a", "b", "c")), "another d")
    await learn(remember, traced(chat("a", "edited", "c")), "e")
    for words in (("a", "b", "c", "d"), ("a", "b", "c", "another d"), ("a", "edited", "c", "e")):
        lineage = traced(chat(*words))
        assert await store.known(lineage.conversation, lineage.digests) == [True] * 4
        assert await store.path(lineage.conversation, lineage.digests[-1]) == lineage.digests


BRANCHES = [
    [*TALK[:9], *(f"left {number}" for number in range(40))],
    [*TALK[:9], *(f"right {number}" for number in range(40))],
    [*TALK[:3], *(f"early {number}" for number in range(40))],
]
STEPS = st.lists(
    st.tuples(st.sampled_from(["learn", "recollect"]), st.integers(0, 1), st.integers(0, 2), st.integers(1, 48)),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=25)
@given(STEPS, st.sampled_from(["", "mine"]), st.sampled_from([1, 10**9]))
async def test_whatever_was_done_before_memory_is_a_function_of_the_transcript(steps, conversation, cache_bytes_max):
    """Two replicas learn and recollect three branches in any order; then each knows what a newcomer would."""
    shared, untouched = await open_store("memory://"), await open_store("memory://")
    replicas = [remembering(shared, cache_bytes_max=cache_bytes_max) for _ in range(2)]
    learned = []
    for what, replica, branch, length in steps:
        lineage = traced(chat(*BRANCHES[branch][: length | 1]), conversation)
        if what == "recollect":
            await recollect(replicas[replica], lineage)
        else:
            await learn(replicas[replica], lineage, "an answer")
            learned.append(lineage.digests)
    for branch in BRANCHES:
        lineage = traced(chat(*branch[:31], QUESTION), conversation)
        expected = await recollect(remembering(untouched), lineage)
        for replica in (*replicas, remembering(shared)):
            assert same(await recollect(replica, lineage), expected)
    for digests in learned:
        assert await shared.path(traced(chat(TALK[0]), conversation).conversation, digests[-1]) == digests
    await shared.aclose()
    await untouched.aclose()


async def test_eviction_keeps_the_answers_right(store):
    embedder = GatedEmbedder()
    small, large = remembering(store, embedder, cache_bytes_max=1), remembering(store)
    lineages = [traced(chat(f"I am number {number}.", "ok", *TALK, QUESTION)) for number in range(4)]
    for lineage in lineages:
        await learn(small, lineage)
    embedder.calls.clear()
    for _ in range(2):
        for lineage in lineages:
            assert same(await recollect(small, lineage), await recollect(large, lineage))
    assert {text for call in embedder.calls for text in call} == {QUESTION}


async def test_what_cannot_stay_hot_between_its_steps_is_learned_in_as_many(store):
    remember = remembering(store, cache_bytes_max=1)  # only one conversation stays: each step begins without its own
    both = [traced(chat(*(f"{name} {turn}" for turn in range(3 * LEARNED_TURNS_MAX)))) for name in ("one", "other")]
    for step in range(3):
        for lineage in both:
            assert await remember.learn(lineage, (), 1.0) is (step == 2)
    for lineage in both:
        assert all(await store.known(lineage.conversation, lineage.digests))
