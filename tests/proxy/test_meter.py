"""Sums that grow in place, against a count from scratch: growing, forked, resent, thin, windowed, and all at once."""

import asyncio
import random
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from proxy.histories import History
from proxy.identity import ANONYMOUS, Identity
from proxy.lineage import Head, continued, trace
from proxy.message import read_message
from proxy.meter import EXCHANGE_TOKENS, Meter
from proxy.tokens import REPLY_TOKENS, TokenCounter
from proxy.wire import ChatRequest
from tests.support.messages import TENANT, asks, chat, replies, said
from tests.support.transcripts import sessions

THIN = Identity("c", names=True, resends=False)
RESENT = Identity("c", names=True)


def tokens_of(message):
    """The same for the same content however it is written: a client may trim what it sends again."""
    return 4 + message.fingerprint[0]


class CountingCounter(TokenCounter):
    """Notes how many messages it was asked for, and lets others go first."""

    def __init__(self, yields=0):
        super().__init__({"odd": "cl100k_base"})
        self.asked = 0
        self._yields = random.Random(yields) if yields else None

    async def messages(self, messages, model):
        self.asked += len(messages)
        for _ in range(self._yields.randrange(4) if self._yields else 0):
            await asyncio.sleep(0)
        return [tokens_of(message) * (2 if model == "odd" else 1) for message in messages]


def request_of(messages, model="m", **fields):
    return ChatRequest(b"", fields, History(tuple(messages)), model, False)


def heads_of(messages):
    """Those of stored turns, by THIN's chain."""
    turns = trace(messages, TENANT, THIN).turns
    return [
        Head(turn.role, turn.fingerprint, turn.digest, tokens_of(m)) for turn, m in zip(turns, messages, strict=True)
    ]


def assert_counted(measured, roles, tokens, seen_from=0, head=0):
    """All that a Measured says, from these turns alone."""
    length = len(roles)
    assert measured.length == length
    assert list(measured.begins[: length + 1]) == [0, *accumulate(tokens)]
    for role, places in (("user", measured.users), ("assistant", measured.replies)):
        assert [place for place in places if place < length] == [p for p, each in enumerate(roles) if each == role]
    users = [place for place, role in enumerate(roles) if role == "user"]
    asked = users[-1] if users else -1
    assert measured.asked == asked
    assert measured.seen_from == seen_from
    assert measured.other == head + REPLY_TOKENS
    assert measured.full == sum(tokens[seen_from:]) + head + REPLY_TOKENS
    answers = roles[seen_from : max(asked, 0)].count("assistant")
    grown = sum(tokens[seen_from : max(asked, 0)])
    assert measured.exchange == (grown / answers if answers and grown else EXCHANGE_TOKENS)
    for begin in (-1, 0, sum(tokens) // 2, measured.begins[max(asked, 0)]):
        before = [place for place in users if measured.begins[place] <= begin]
        after = [place for place in users if measured.begins[place] > begin]
        if users:
            expected = (before[-1] if before else -1, after[0] if after else asked)
            assert measured.users_around(begin, asked) == expected


def assert_whole(measured, messages):
    turns = [message for message in messages if not message.is_system]
    head = sum(tokens_of(message) for message in messages if message.is_system)
    assert_counted(measured, [turn.role for turn in turns], [tokens_of(turn) for turn in turns], 0, head)


async def measure(meter, messages, model="m"):
    return await meter.measure(request_of(messages, model), trace(messages, TENANT, ANONYMOUS))


@given(sessions(requests_max=12), st.integers(20, 400))
async def test_whatever_a_client_sends_is_counted_as_from_scratch(session, turns_max):
    meter, seen = Meter(CountingCounter(), turns_max=turns_max), []
    for sent in session:
        messages = [read_message(raw) for raw in sent.raws]
        seen.append((await measure(meter, messages), messages))
        for measured, before in seen:  # what was measured earlier still holds, however the lists went on
            assert_whole(measured, before)


@given(sessions(requests_max=10), st.integers(1, 2**32))
async def test_requests_of_one_conversation_may_be_counted_at_once(session, yields):
    meter = Meter(CountingCounter(yields))
    requests = [[read_message(raw) for raw in sent.raws] for sent in session]
    measured = await asyncio.gather(*(measure(meter, messages) for messages in requests))
    again = await asyncio.gather(*(measure(meter, messages) for messages in requests))
    for found, messages in zip((*measured, *again), (*requests, *requests), strict=True):
        assert_whole(found, messages)


@given(st.lists(st.integers(1, 6), min_size=2, max_size=8), st.integers(0, 3))
async def test_a_thin_client_is_counted_with_what_is_stored(sizes, overlap):
    """The stored turns count as the store says, the request's own as they are."""
    meter, said_so_far = Meter(CountingCounter()), []
    for size in sizes:
        new = chat(*(f"turn {len(said_so_far) + place} {'x' * place}" for place in range(size)))
        sent = [*said_so_far[len(said_so_far) - overlap :], *new] if overlap <= len(said_so_far) > 1 else new
        stored = heads_of(said_so_far)
        lineage = continued(trace(sent, TENANT, THIN), stored)
        said_so_far += new
        measured = await meter.measure(request_of(sent), lineage)
        assert lineage.length == len(said_so_far)
        assert_whole(measured, said_so_far)


async def test_a_window_is_seen_from_where_it_begins_but_counted_from_the_start():
    old, new = chat("a" * 30, "b" * 20, "c" * 10, "d"), chat("e", "f", "g")
    lineage = continued(trace([*old[2:], *new], TENANT, RESENT), heads_of(old))
    assert lineage.is_window
    measured = await Meter(CountingCounter()).measure(request_of([*old[2:], *new]), lineage)
    turns = [*old, *new]
    assert_counted(measured, [turn.role for turn in turns], [tokens_of(turn) for turn in turns], len(lineage.stored))


async def test_a_loop_of_tools_grows_by_requests_not_by_questions():
    turns = [
        said("user", "u"),
        asks("1"),
        replies("1"),
        asks("2"),
        replies("2"),
        said("assistant", "a"),
        said("user", "u"),
    ]
    measured = await measure(Meter(CountingCounter()), turns)
    assert measured.exchange == sum(tokens_of(turn) for turn in turns[:-1]) / 3


async def test_a_request_costs_its_new_turns():
    counter = CountingCounter()
    meter, turns = Meter(counter), chat(*(f"turn {place}" for place in range(401)))
    for length in range(1, 402, 2):
        counter.asked = 0
        await measure(meter, turns[:length])
        assert counter.asked == min(length, 2)
    counter.asked = 0
    assert_whole(await measure(meter, turns), turns)  # a resend
    assert_whole(await measure(meter, turns[:201]), turns[:201])  # a regenerate
    assert counter.asked == 0
    fork = [*turns[:200], said("user", "else")]
    assert_whole(await measure(meter, fork), fork)
    assert counter.asked == 1


async def test_a_system_message_that_changes_costs_no_turn():
    counter = CountingCounter()
    meter, turns = Meter(counter), chat(*(f"turn {place}" for place in range(101)))
    for clock in range(3):
        counter.asked = 0
        messages = [said("system", f"It is {clock}."), *turns]
        measured = await measure(meter, messages)
        assert_whole(measured, messages)
        assert [part.text for part in measured.head] == [f"It is {clock}."]
    assert counter.asked == 1


async def test_tools_stand_first_and_count_as_they_are_sent():
    messages = [said("system", "S"), *chat("u")]
    request = request_of(messages, tools=b'[{"type":"function"}]')
    counter = CountingCounter()
    measured = await Meter(counter).measure(request, trace(messages, TENANT, ANONYMOUS))
    tools = await counter.payload(request.fields["tools"], "m")
    assert [part.tokens for part in measured.head] == [tools, tokens_of(messages[0])]


async def test_models_of_another_vocabulary_and_conversations_are_counted_apart():
    meter, one, other = Meter(CountingCounter()), chat("a" * 9, "b", "c"), chat("d", "e", "f")
    for _ in range(2):
        assert_whole(await measure(meter, one), one)
        assert_whole(await measure(meter, other), other)
        assert (await measure(meter, one, "odd")).between(0, 3) == 2 * (await measure(meter, one)).between(0, 3)


async def test_it_forgets_what_was_longest_unused_and_counts_that_again():
    counter = CountingCounter()
    meter, chats = Meter(counter, turns_max=100), [chat(*(f"{n} {place}" for place in range(9))) for n in range(40)]
    for turns in chats:
        await measure(meter, turns[:7])
        await measure(meter, turns)
    counter.asked = 0
    for turns in chats[-5:]:
        await measure(meter, turns)
    assert counter.asked == 0
    assert_whole(await measure(meter, chats[0]), chats[0])
    assert counter.asked == 9
    endless = chat(*map(str, range(199)))
    assert_whole(await measure(meter, endless), endless)  # the one in use stays, however long
    counter.asked = 0
    await measure(meter, [*endless, said("assistant", "!")])
    assert counter.asked == 1


async def test_who_asks_once_pushes_out_nobody_who_goes_on():
    counter = CountingCounter()
    meter, turns = Meter(counter, turns_max=100), chat("u", "a", "v")
    for length in (1, 3):
        await measure(meter, turns[:length])
    for place in range(100):
        for _ in range(3):  # sampled, not gone on
            await measure(meter, chat(f"once {place}"))
    counter.asked = 0
    await measure(meter, turns)
    assert counter.asked == 0


async def test_one_that_comes_with_a_long_history_stays_too():
    counter = CountingCounter()
    meter, turns = Meter(counter, turns_max=100), chat(*map(str, range(51)))
    await measure(meter, turns)
    for place in range(100):
        await measure(meter, chat(f"once {place}"))
    counter.asked = 0
    await measure(meter, turns)
    assert counter.asked == 0


async def test_a_conversation_takes_the_room_of_its_length_however_often_it_is_sent():
    counter = CountingCounter()
    meter, other, turns = Meter(counter, turns_max=60), chat(*"abcdefghi"), chat(*map(str, range(30)))
    await measure(meter, other[:7])
    await measure(meter, other)
    for length in range(1, 31):
        await measure(meter, turns[:length])
        await measure(meter, [*turns[: length - 1], said("user", "else")])
    counter.asked = 0
    await measure(meter, other)
    assert counter.asked == 0


async def test_conversations_share_the_system_prompt_that_they_have_in_common():
    meter = Meter(CountingCounter())
    system = "You are a clerk. " * 200
    heads = [(await measure(meter, [said("system", system), *chat(f"u{place}")])).head for place in range(3)]
    assert all(head[0] is heads[0][0] for head in heads)
    assert (await measure(meter, [said("system", "Else."), *chat("u")])).head[0].text == "Else."
    for place in range(100):
        await measure(meter, [said("system", f"It is {place}."), *chat("u")])
    (again,) = (await measure(meter, [said("system", system), *chat("u")])).head
    assert again == heads[0][0]
    assert again is not heads[0][0]


async def test_no_turn_at_all():
    messages = [said("system", "S")]
    assert_whole(await measure(Meter(CountingCounter()), messages), messages)
