"""The memory of conversations: a function of the transcript, on any replica, hot or from the log."""

import asyncio

import pytest

from memory_core.codec import MismatchError, decode_record
from memory_core.handoff import Section
from memory_core.stores import StoreError, open_store
from proxy.remember import LEARNED_TURNS_MAX
from tests.support.embedders import GatedEmbedder, HashedWordsEmbedder
from tests.support.messages import asks, chat, replies, said, traced
from tests.support.remembering import CODE_TURN, FACTS, QUESTION, TALK, learn, recalled, recollect, remembering, same
from tests.support.stores import FailingStore, StaleStore


@pytest.fixture
async def store():
    opened = await open_store("memory://")
    yield opened
    await opened.aclose()


# --- recollecting


async def test_a_fact_is_recollected_at_its_question(store):
    remember = remembering(store)
    found = await recollect(remember, traced(chat(*TALK, QUESTION)))
    assert recalled(found)[0].turn == CODE_TURN
    assert (recalled(found)[0].role, recalled(found)[0].text) == ("user", "The door code is 7431.")
    assert 0 <= found.report.fsm <= 1


async def test_nothing_from_the_cut_on_is_recollected(store):
    remember = remembering(store)
    lineage = traced(chat(*TALK, QUESTION))
    found = await recollect(remember, lineage, cut=CODE_TURN - 1)
    assert {quote.turn for quote in recalled(found)} <= set(range(1, CODE_TURN))


async def test_learning_changes_nothing_that_is_recollected(store):
    """Memory is a function of the transcript: not learned, learned, hot, on a replica, after a restart."""
    lineage = traced(chat(*TALK, QUESTION))
    fresh = await recollect(remembering(store), lineage)
    learner = remembering(store)
    await learn(learner, lineage, "It is 7431.")
    hot = await recollect(learner, lineage)
    replica = await recollect(remembering(store), lineage)
    for found in (hot, replica, await recollect(learner, lineage)):
        assert same(found, fresh)


async def test_turn_by_turn_is_the_same_as_all_at_once(store):
    remember = remembering(store)
    for length in range(1, len(TALK), 2):
        await learn(remember, traced(chat(*TALK[:length])), TALK[length])
    grown = await recollect(remember, traced(chat(*TALK, QUESTION)))
    elsewhere = await open_store("memory://")
    assert same(grown, await recollect(remembering(elsewhere), traced(chat(*TALK, QUESTION))))
    await elsewhere.aclose()


async def test_a_restart_in_the_middle_finds_every_turn_again(tmp_path):
    lineage = traced(chat(*TALK, QUESTION))
    url = f"sqlite:///{tmp_path}/store.sqlite"
    before = await open_store(url)
    await learn(remembering(before), lineage, "It is 7431.")
    kept = await recollect(remembering(before), lineage)
    await before.aclose()
    after = await open_store(url)
    embedder = GatedEmbedder()
    assert same(await recollect(remembering(after, embedder), lineage), kept)
    assert embedder.calls == [[QUESTION]]
    await after.aclose()


async def test_long_turns_are_quoted_by_chunk(store):
    remember = remembering(store)
    long = (
        "[2023-05-08 13:56] "
        + " ".join(f"Sentence {number} is here." for number in range(200))
        + " The vault opens at dawn. "
        + "And so on. " * 20
    )
    found = await recollect(remember, traced(chat(long, "ok", "When does the vault open?")))
    best = next(quote for quote in recalled(found) if quote.turn == 1)
    assert best.chunk > 0
    assert "vault opens at dawn" in best.text
    assert best.text.strip(" …") in long
    assert best.stamp == "2023-05-08 13:56"


async def test_a_question_without_a_subject_borrows_it_from_the_last_turns(store):
    about_doors, about_cats = ("So much for the door.", "Yes, the door."), ("So much for the cat.", "Yes, the cat.")
    ranked = {}
    for context in (about_doors, about_cats):
        lineage = traced(chat(*TALK, *context, "And what about it?"))
        found = await recollect(remembering(store), lineage, cut=len(TALK))
        ranked[context] = [quote.text for quote in recalled(found) if quote.text in FACTS]
    assert ranked[about_doors][0] == "The door code is 7431."
    assert ranked[about_cats][0] == "My cat is named Zorbas."


STATED = [
    "My budget is 1,200 EUR.",
    "Noted.",
    "Always answer in French.",
    "Oui.",
    "The budget is 1,350 EUR now.",
    "Ok.",
]


async def test_the_block_holds_what_was_stated_before_the_cut(store):
    remember = remembering(store)
    lineage = traced(chat(*STATED, *TALK, QUESTION))
    rules, values = (await recollect(remember, lineage)).block
    assert isinstance(rules, Section)
    assert "Always answer in French." in rules.lines[0]
    assert "1,350 EUR" in values.lines[0]
    early = await recollect(remember, lineage, cut=2)
    assert "1,200 EUR" in str(early.block)
    assert "French" not in str(early.block)
    assert "1,350" not in str(early.block)
    without = await recollect(remember, lineage, with_block=False)
    assert without.block == ()
    assert recalled(without) == recalled(await recollect(remember, lineage))


async def test_the_block_is_the_same_whether_read_at_once_epoch_by_epoch_or_backwards(store):
    lineage = traced(chat(*STATED, *TALK, *STATED, QUESTION))
    at_once = await recollect(remembering(store), lineage)
    remember = remembering(store)
    for cut in (3, 6, 20, 5, 40):
        fresh = await recollect(remembering(store), lineage, cut=cut)
        assert same(await recollect(remember, lineage, cut=cut), fresh)
    assert same(await recollect(remember, lineage), at_once)


@pytest.mark.parametrize("question", ["", "x" * 50_000, "\0\N{REPLACEMENT CHARACTER}", "word " * 5_000])
async def test_odd_questions_are_answered(store, question):
    assert recalled(await recollect(remembering(store), traced(chat("a b", "c d", question)))) is not None


async def test_the_phase_of_what_is_hot(store):
    remember = remembering(store)
    lineage = traced(chat(*TALK[:20]))
    assert remember.phase(lineage.conversation) == "initialization"
    await learn(remember, lineage)
    assert remember.phase(lineage.conversation) != "initialization"
    assert remember.phase("unheard of") == "initialization"


# --- what is written


async def test_every_turn_is_in_the_log_with_its_words_and_where_they_came_from(store):
    remember = remembering(store)
    messages = [said("user", "q"), asks("1"), replies("1")]
    lineage = traced(messages)
    await learn(remember, lineage, "done", at=17.5)
    whole = traced([*messages, said("assistant", "done")])
    payloads = await store.read(lineage.conversation, whole.digests)
    records = [decode_record(payload, HashedWordsEmbedder().name) for payload in payloads]
    assert [record.role for record in records] == ["user", "assistant", "tool", "assistant"]
    assert [record.message for record in records[:3]] == [message.raw for message in messages]
    assert [record.text for record in records] == ["q", "look({})", "42", "done"]
    assert [record.meta["source"] for record in records] == ["client", "client", "client", "upstream"]
    assert {record.at for record in records} == {17.5}


async def test_learning_twice_is_learning_once(store):
    remember = remembering(store)
    lineage = traced(chat("a", "b", "c"))
    for _ in range(3):
        await learn(remember, lineage, "d")
    snapshot = await store.load(lineage.conversation)
    assert snapshot.seq == 4
    assert await store.path(lineage.conversation, snapshot.digest) == traced(chat("a", "b", "c", "d")).digests


async def test_a_long_import_is_learned_in_steps(store):
    remember = remembering(store)
    lineage = traced(chat(*(f"turn {number}" for number in range(3 * LEARNED_TURNS_MAX))))
    assert await learn(remember, lineage) == 3
    assert all(await store.known(lineage.conversation, lineage.digests))
    assert (await store.load(lineage.conversation)).seq == lineage.length


async def test_a_transcript_of_no_turns_is_nothing_to_learn(store):
    lineage = traced([said("system", "x")])
    await learn(remembering(store), lineage)
    assert await store.load(lineage.conversation) is None


async def test_turns_that_were_stored_while_the_store_was_away_come_with_the_next_request(store):
    flaky = FailingStore(store, ["save"])
    remember = remembering(flaky)
    with pytest.raises(StoreError):
        await learn(remember, traced(chat("a")), "b")
    flaky.failing.clear()
    await learn(remember, traced(chat("a", "b", "c")), "d")
    lineage = traced(chat("a", "b", "c", "d"))
    assert all(await store.known(lineage.conversation, lineage.digests))


async def test_a_save_that_was_lost_to_another_replica_is_done_again(store):
    remember = remembering(StaleStore(store))
    lineage = traced(chat("a", "b", "c"), "mine")
    await learn(remember, lineage, "d")
    assert (await store.load(lineage.conversation)).seq == 4
    plain = traced(chat("a", "b", "c"))
    await learn(remember, plain, "d")
    assert (await store.load(plain.conversation)).seq == 4


# --- embedding


async def test_what_is_known_is_not_embedded_again(store):
    embedder = GatedEmbedder()
    remember = remembering(store, embedder)
    await learn(remember, traced(chat(*TALK)))
    assert sorted(text for call in embedder.calls for text in call) == sorted(TALK)
    embedder.calls.clear()
    longer = traced(chat(*TALK, "new question"))
    await recollect(remember, longer)
    await learn(remember, longer, "new answer")
    # the question once for its vector and once as a turn: CachingEmbedder stands before the model and makes it one
    assert [text for call in embedder.calls for text in call] == ["new question", "new question", "new answer"]
    replica = GatedEmbedder()
    await recollect(remembering(store, replica), traced(chat(*TALK, "new question")))
    assert replica.calls == [["new question"]]


async def test_an_embedder_that_fails_leaves_nothing_half_done(store):
    embedder = GatedEmbedder(poison=["c"])
    remember = remembering(store, embedder)
    with pytest.raises(Exception, match="poisoned"):
        await learn(remember, traced(chat("a", "b", "c")), "d")
    embedder.poison = frozenset()
    lineage = traced(chat("a", "b", "c", "d", QUESTION))
    await learn(remember, lineage)
    elsewhere = await open_store("memory://")
    assert same(await recollect(remember, lineage), await recollect(remembering(elsewhere), lineage))
    await elsewhere.aclose()


async def test_a_request_that_gives_up_while_embedding_leaves_nothing_half_done(store):
    embedder = GatedEmbedder(is_open=False)
    remember = remembering(store, embedder)
    lineage = traced(chat(*TALK[:6], QUESTION))
    asking = asyncio.create_task(learn(remember, lineage))
    await asyncio.wait_for(embedder.started.wait(), 5)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    embedder.gate.set()
    assert recalled(await recollect(remember, lineage))[0].turn == CODE_TURN
    await learn(remember, lineage)
    assert all(await store.known(lineage.conversation, lineage.digests))


@pytest.mark.parametrize("explicit", ["", "mine"])
async def test_a_record_of_another_embedder_is_refused_and_kept(store, explicit):
    lineage = traced(chat(*TALK), explicit)
    await learn(remembering(store), lineage)
    before = await store.read(lineage.conversation, lineage.digests), await store.load(lineage.conversation)
    other = remembering(store, HashedWordsEmbedder(32))
    longer = traced(chat(*TALK, QUESTION), explicit)
    with pytest.raises(MismatchError):
        await recollect(other, longer)
    with pytest.raises(MismatchError):
        await learn(other, longer, "answer")
    if explicit:
        with pytest.raises(MismatchError):
            await other.resume(traced([said("user", QUESTION)], explicit))
    after = await store.read(lineage.conversation, lineage.digests), await store.load(lineage.conversation)
    assert after == before
