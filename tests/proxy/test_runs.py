"""A client that drops its oldest turns is found by a run that only one conversation holds, and never by less."""

from dataclasses import replace

import pytest

from memory_core.stores import StoreError, open_store
from memory_core.transcript import digest_of
from proxy.identity import ANONYMOUS, Identity
from proxy.lineage import trace
from proxy.runs import RUN_CHARS_MIN, RUN_TURNS, Run, Runs
from tests.support.messages import TENANT, asks, chat, replies, said
from tests.support.stores import FailingStore, ForgetfulStore, WrappedStore


@pytest.fixture
async def store():
    opened = await open_store("memory://")
    yield WrappedStore(opened)
    await opened.aclose()


def lineage(messages, identity=ANONYMOUS, tenant=TENANT):
    return trace(messages, tenant, identity)


def talk(topic, turns):
    """Turns that nobody else says, of fifty letters and more each."""
    return chat(*(f"About {topic}, point {place}: {'so it is, as we all know, ' * 2}" for place in range(turns)))


def run_of(messages, **whose):
    found = lineage(messages, **whose)
    return Run(found.conversation, found.digests[-1])


HERONS = talk("herons", 20)
"""Ten exchanges."""
NEW = said("user", "And at night?")


async def test_a_window_is_found_by_its_newest_exchanges(store):
    runs = Runs(store)
    for turns in range(2, 21, 2):
        await runs.note(lineage(HERONS[:turns]))
    for dropped in range(2, 21 - RUN_TURNS, 2):
        assert await runs.find(lineage([*HERONS[dropped:], NEW])) == run_of(HERONS)
    assert await runs.find(lineage([*HERONS[20 - RUN_TURNS + 2 :], NEW])) is None  # too few are left


async def test_the_newest_exchange_may_not_be_noted_yet(store):
    runs = Runs(store)
    await runs.note(lineage(HERONS[:18]))
    assert await runs.find(lineage([*HERONS[10:], NEW])) == run_of(HERONS[:18])
    assert await runs.find(lineage([*HERONS[10:], NEW, said("assistant", "A"), NEW])) is None


async def test_what_follows_the_question_does_not_hide_the_run(store):
    runs = Runs(store)
    await runs.note(lineage(HERONS))
    loop = [*HERONS[4:], NEW, asks("1"), replies("1"), asks("2"), replies("2")]
    assert await runs.find(lineage(loop)) == run_of(HERONS)


async def test_a_run_that_two_conversations_hold_attaches_nobody(store):
    runs, window = Runs(store), [*HERONS[4:], NEW]
    other = [*talk("ladders", 2), *HERONS[2:]]
    await runs.note(lineage(HERONS))
    assert await runs.find(lineage(window)) is not None
    await runs.note(lineage(other))
    assert await runs.find(lineage(window)) is None
    await runs.note(lineage(HERONS))  # nor afterwards, whoever goes on
    assert await runs.find(lineage(window)) is None
    await runs.note(lineage([*HERONS, NEW, said("assistant", "At night they stand, as they do by day. " * 5)]))
    unique = [*HERONS[8:], NEW, said("assistant", "At night they stand, as they do by day. " * 5), said("user", "Why?")]
    assert (await runs.find(lineage(unique))).conversation == lineage(HERONS).conversation


async def test_noting_a_run_again_changes_nothing(store):
    runs = Runs(store)
    for _ in range(3):
        await runs.note(lineage(HERONS))
    assert await runs.find(lineage([*HERONS[4:], NEW])) == run_of(HERONS)
    assert await Runs(store.inner).find(lineage([*HERONS[4:], NEW])) == run_of(HERONS)  # another replica


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": b"another tenant"},
        {"identity": Identity("prompt_cache_key k")},
        {"identity": Identity("prompt_cache_key k"), "tenant": b"another tenant"},
    ],
)
async def test_never_for_another_tenant_nor_under_another_cache_key(store, other):
    runs, window = Runs(store), [*HERONS[4:], NEW]
    await runs.note(lineage(HERONS))
    assert await runs.find(lineage(window, **other)) is None
    await runs.note(lineage(HERONS, **other))  # the same words there are no second holder here
    assert await runs.find(lineage(window)) == run_of(HERONS)
    assert await runs.find(lineage(window, **other)) == run_of(HERONS, **other)


async def test_a_run_of_a_few_words_is_nobodys(store):
    runs, letters = Runs(store), RUN_CHARS_MIN // RUN_TURNS
    short = chat(*(str(place) * letters for place in range(3)), "3" * (letters - 1))
    enough = chat(*(str(place) * letters for place in range(4)))
    for messages, found in ((short, None), (enough, run_of(enough))):
        await runs.note(lineage(messages))
        assert await runs.find(lineage([*messages, NEW])) == found
    greeting = chat("Hi", "Hello! How can I help?", "Thanks", "You are welcome!")
    await runs.note(lineage(greeting))
    assert await runs.find(lineage([*greeting, NEW])) is None


async def test_a_conversation_that_has_a_name_needs_no_run(store):
    named = Identity("c", names=True)
    await Runs(store).note(lineage(HERONS, named))
    assert store.calls == []
    assert await Runs(store).find(lineage([*HERONS[4:], NEW], named)) is None


async def test_a_run_that_somebody_edited_is_not_found(store):
    runs = Runs(store)
    await runs.note(lineage(HERONS))
    for place in range(len(HERONS) - RUN_TURNS, len(HERONS)):
        edited = [*HERONS[:place], said(HERONS[place].role, "Something else."), *HERONS[place + 1 :], NEW]
        assert await runs.find(lineage(edited[4:])) is None
    swapped = [*HERONS[4:-2], HERONS[-1], HERONS[-2], NEW]
    assert await runs.find(lineage(swapped)) is None


@pytest.mark.parametrize("messages", [[], [said("user", "x" * 900)], [said("assistant", "x" * 900)] * 6, HERONS[:4]])
async def test_without_enough_before_a_question_nobody_is_asked(store, messages):
    assert await Runs(store).find(lineage(messages)) is None
    assert store.calls == []


async def test_it_takes_as_many_round_trips_whatever_the_length(store):
    counts = []
    for turns in (20, 400):
        store.calls.clear()
        long = talk(f"length {turns}", turns)
        await Runs(store).note(lineage(long))
        await Runs(store).find(lineage([*long[4:], NEW]))
        counts.append(list(store.calls))
    assert counts[0] == counts[1]
    assert len(counts[0]) <= 4


async def test_a_store_that_lost_its_entries_attaches_nobody(store):
    runs = Runs(ForgetfulStore(store))
    await runs.note(lineage(HERONS))
    assert await runs.find(lineage([*HERONS[4:], NEW])) is None
    await Runs(store).note(lineage(HERONS))  # noted anew, it is found again
    assert await runs.find(lineage([*HERONS[4:], NEW])) == run_of(HERONS)


async def test_a_store_that_fails_says_so(store):
    for doing in (Runs(FailingStore(store)).note(lineage(HERONS)), Runs(FailingStore(store)).find(lineage(HERONS))):
        with pytest.raises(StoreError):
            await doing


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"null", b"\x92\x01\x02"])
async def test_bytes_that_are_no_run_are_an_error_of_the_store(store, payload):
    noted = []

    class Spy(WrappedStore):
        async def append(self, conversation, entries):
            noted.append((conversation, *entries))
            await super().append(conversation, [replace(entry, payload=payload) for entry in entries])

    await Runs(Spy(store)).note(lineage(HERONS))
    partition, key, *_ = noted[0]
    assert await store.read(partition, [key.digest]) == [payload]
    await store.delete(partition)
    await store.append(partition, [replace(key, payload=payload)])
    with pytest.raises(StoreError):
        await Runs(store).find(lineage([*HERONS[4:], NEW]))


def test_a_run_names_no_text():
    conversation, end = run_of(HERONS)
    assert len(end) == len(digest_of(b""))
    assert bytes.fromhex(conversation)
