"""A turn is written the same whether it was folded or not; without a fold only what surely completes the log."""

from hashlib import sha256

import pytest

from memory_core.stores import open_store
from proxy.forks import LOT_BYTES, NEW_TURNS_MAX, Fork
from proxy.lineage import extended
from tests.support.embedders import HashedWordsEmbedder
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


class InterruptedEmbedder(HashedWordsEmbedder):
    """Something happens once, while a text is embedded."""

    at, meanwhile = "", None

    async def embed(self, texts):
        if self.at in texts and self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        return await super().embed(texts)


class SizedStore(FailingStore):
    """How many bytes each call of `append` holds."""

    def __init__(self, inner):
        super().__init__(inner, [])
        self.sizes = []

    async def append(self, conversation, entries):
        self.sizes.append(sum(len(entry.payload) for entry in entries))
        return await super().append(conversation, entries)


async def questioned(remember, lineage, place):
    """Folds what stands before the turn at `place`."""
    return await remember.question(lineage, await remember.embed(lineage, place))


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
    await questioned(remember, lineage, lineage.length - 1)  # now it is, and still not logged
    assert await remember.log([asked]) == [False]
    await learn(remember, fork("Another question?"), "Yes.")
    more = [f"And then {number}?" for number in range(NEW_TURNS_MAX + 1)]
    later = outrun(traced(chat(*TALK, QUESTION, "It is 7431.", *more)), "Nothing.")
    assert await remember.log([later, outrun(fork("Another question?"), "Yes.")]) == [False, False]
    assert not any(await store.known(lineage.conversation, later.whole.digests[-len(more) - 3 :]))
    assert await remember.log([later, asked]) == [False, True]
    assert sum(await store.known(lineage.conversation, later.whole.digests[-len(more) - 3 :])) == 2


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


async def test_a_turn_that_many_hold_is_written_once_and_no_call_holds_much(store):
    """One long prompt that is sampled many times; many long ones."""
    counted = SizedStore(store)
    remember = remembering(counted)
    codes = [sha256(b"%d" % number).hexdigest() for number in range(1_500)]
    question = f"Which of these is mine? {' '.join(codes)}"
    sampled = [outrun(traced(chat(question)), f"Answer {number}.") for number in range(30)]
    assert await remember.log(sampled) == [True] * 30
    assert (len(counted.sizes), sum(counted.sizes) < 3 * len(question)) == (1, True)
    assert sum(counted.sizes) > len(question) / 4  # not squeezed to nothing
    counted.sizes.clear()
    long = [outrun(traced(chat(question, f"Answer {number}.", question)), ANSWER) for number in range(12)]
    assert await remember.log([outrun(traced(chat(question)), "Answer 0."), *long]) == [True] * 13
    assert len(counted.sizes) > 1
    assert max(counted.sizes) < LOT_BYTES + 3 * len(question)
    for each in (*sampled, *long):
        assert await store.path(each.whole.conversation, each.whole.digests[-1]) == list(each.whole.digests)


async def test_a_branch_that_is_folded_meanwhile_leaves_no_hole(store):
    """What a fork has in common with the one before it was just written, what the fold has lost is in the log."""
    talk, embedder = chat("a", "b", "c", "d"), InterruptedEmbedder()
    remember = remembering(store, embedder=embedder)
    await learn(remember, traced(talk[:3]), "d")
    forks = [outrun(traced([*talk, said("user", "and?")]), answer) for answer in ("first", "second")]
    branch = traced(chat("a", "b", "x", "y", "z"))
    embedder.at, embedder.meanwhile = "first", lambda: questioned(remember, branch, 4)
    assert await remember.log(forks) == [True, True]
    assert embedder.meanwhile is None
    for each in forks:
        assert await store.path(each.whole.conversation, each.whole.digests[-1]) == list(each.whole.digests)
