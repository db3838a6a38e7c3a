"""Clients that forget: they drop or summarise their oldest turns, or name the conversation; memory reaches back."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from memory_core.stores import Store, open_store
from proxy.options import Options
from proxy.wire import parse
from tests.support.composing import PRICE, UNASKED, Replica, Sent, replica
from tests.support.transcripts import Msg

CODE = "The door code of the boat house is 7431."
ASKED = {"role": "user", "content": "What is the door code of the boat house?"}


def talk(exchanges: int, first: str = CODE) -> list[Msg]:
    """A chat that begins with a fact, each exchange of its own words."""
    says = [first, *(f"Tell me of topic {n}, and of what follows from {n * 7} of them." for n in range(1, exchanges))]
    answers = [f"Topic {n} is about {n * n} things, {n} of them rather dull and {n + 3} not." for n in range(exchanges)]
    return [
        message
        for say, answer in zip(says, answers, strict=True)
        for message in ({"role": "user", "content": say}, {"role": "assistant", "content": answer})
    ]


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    opened = await open_store("memory://")
    yield opened
    await opened.aclose()


async def chatted(one: Replica, messages: Sequence[Msg], options: Options = UNASKED) -> Sent:
    """Send the chat exchange by exchange, resending all of it; the last request's outcome."""
    for place in range(1, len(messages), 2):
        sent = await one.send(messages[:place], float(place), options)
        await one.answered(sent, messages[place]["content"], float(place))
    return sent


def conversation(sent: Sent) -> str:
    assert sent.made.error == ""
    assert sent.made.lineage is not None
    return sent.made.lineage.conversation


async def test_a_client_that_drops_its_oldest_turns_is_found_and_remembers_longer_than_its_window(store: Store):
    one = await replica(store, mode="compact")
    whole = await chatted(one, talk(20))
    window = await one.send([*talk(20)[-12:], ASKED], 100.0)
    assert conversation(window) == conversation(whole)
    lineage = window.made.lineage
    assert lineage is not None
    assert (lineage.is_window, lineage.is_thin, lineage.length) == (True, False, 41)
    assert "7431" in json.loads(window.forwarded[-1])["content"]
    elsewhere = await replica(store, mode="compact")  # and after a restart
    again = await elsewhere.send([*talk(20)[-12:], ASKED], 101.0)
    assert again.forwarded == window.forwarded


async def test_it_goes_on_sliding(store: Store):
    one = await replica(store)
    whole = await chatted(one, talk(12))
    messages = talk(30)
    for place in range(25, 59, 2):
        sent = await one.send(messages[place - 10 : place], float(place))
        assert conversation(sent) == conversation(whole)
        await one.answered(sent, messages[place]["content"], float(place))
    assert sent.made.lineage is not None
    assert sent.made.lineage.length == 57


async def test_a_prompt_that_never_stands_still_is_compacted_early(store: Store):
    """A sliding window is never cached, so that a stable prefix pays at once."""
    messages, whys = talk(40), []
    one = await replica(store, price=replace(PRICE, read=0.02))
    assert (await chatted(one, messages[:40])).made.mode == "passthrough"
    for place in range(41, 79, 2):
        sent = await one.send(messages[place - 30 : place], float(place))
        await one.answered(sent, messages[place]["content"], float(place))
        whys.append(sent.made.draft.why if sent.made.draft else "")
    assert sent.made.mode == "compact"
    assert "moving" in whys


async def test_a_client_that_summarises_its_history_keeps_its_summary_and_is_found(store: Store):
    one = await replica(store, mode="compact")
    whole = await chatted(one, talk(20))
    summary = {"role": "user", "content": "Summary so far: we spoke of topics."}
    sent = await one.send([summary, *talk(20)[-12:], ASKED], 100.0)
    assert conversation(sent) == conversation(whole)
    assert json.loads(sent.forwarded[0]) == summary
    assert "7431" in json.loads(sent.forwarded[-1])["content"]


@pytest.mark.parametrize("front", [[], [{"role": "user", "content": "Summary so far: topics."}]])
async def test_by_an_id_in_the_metadata_memory_reaches_back_however_little_is_resent(store: Store, front: list[Msg]):
    one = await replica(store, mode="compact")
    body = {"model": "m", "metadata": {"conversation_id": "mine", "other": 1}}
    for place in range(1, 40, 2):
        made = await one.composer.compose(parse(_body(body, talk(20)[:place])), UNASKED, float(place))
        assert made.lineage is not None
        assert await one.remember.learn(made.lineage, [], float(place))
    asked = parse(_body(body, [*front, ASKED]))
    made = await one.composer.compose(asked, UNASKED, 99.0)
    assert made.lineage is not None
    assert (made.lineage.is_window, made.lineage.is_thin) == (True, False)
    assert made.lineage.length == 39 + len(front) + 1
    # it asked for a short prompt: passthrough is what it sent, not what we hold
    whole = await one.composer.compose(asked, replace(UNASKED, mode="passthrough"), 99.0)
    assert whole.body == asked.body


def _body(fields: Msg, messages: Sequence[Msg]) -> bytes:
    return json.dumps({**fields, "messages": messages}).encode()


async def test_nobody_else_is_attached(store: Store):
    one = await replica(store, mode="compact")
    whole = await chatted(one, talk(20))
    window = [*talk(20)[-12:], ASKED]
    other_key = await one.send(window, 100.0, replace(UNASKED, credential="other"))
    assert conversation(other_key) != conversation(whole)
    assert "7431" not in json.dumps([raw.decode() for raw in other_key.forwarded])
    short = await one.send([*talk(20)[-2:], ASKED], 100.0)
    assert conversation(short) != conversation(whole)
    changed = await one.send([*talk(20)[-12:-3], {"role": "user", "content": "no"}, *talk(20)[-2:], ASKED], 100.0)
    assert conversation(changed) != conversation(whole)


async def test_a_run_that_two_conversations_hold_attaches_nobody(store: Store):
    one = await replica(store, mode="compact")
    ids = {conversation(await chatted(one, talk(20, first))) for first in (CODE, "The door code is 1111.")}
    assert len(ids) == 2
    sent = await one.send([*talk(20)[-12:], ASKED], 100.0)
    assert conversation(sent) not in ids


async def test_eight_requests_at_once_on_one_prefix_share_an_epoch_and_its_bytes(store: Store):
    one, other = await replica(store, mode="compact"), await replica(store, mode="compact")
    base = talk(20)
    branches = [[*base, {"role": "user", "content": f"Branch {n}: what is the door code?"}] for n in range(8)]
    sent = await asyncio.gather(*((one, other)[n % 2].send(branch, 100.0) for n, branch in enumerate(branches)))
    assert {each.made.mode for each in sent} == {"compact"}
    assert len({(each.made.draft.epoch.cut, each.made.draft.epoch.block) for each in sent if each.made.draft}) == 1
    assert len({tuple(each.forwarded[:-1]) for each in sent}) == 1


async def test_the_same_request_again_gives_the_same_bytes(store: Store):
    one = await replica(store, mode="compact")
    await chatted(one, talk(20))
    first, second = [await one.send([*talk(20), ASKED], at) for at in (50.0, 51.0)]
    assert first.made.mode == "compact"
    assert first.made.body == second.made.body


async def test_a_clock_in_the_system_prompt_is_one_conversation_and_is_never_taken_for_cached(store: Store):
    one = await replica(store)
    messages, whys, ids = talk(30), [], set()
    for place in range(1, 60, 2):
        clock = {"role": "system", "content": f"It is {place} o'clock."}
        sent = await one.send([clock, *messages[:place]], float(place))
        ids.add(conversation(sent))
        assert json.loads(sent.forwarded[0]) == clock
        whys.append(sent.made.draft.why if sent.made.draft else "")
    assert len(ids) == 1
    assert whys[-1] in ("cold", "")
    assert "cold" in whys
