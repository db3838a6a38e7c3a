"""A sound rewriting of a client's messages passes; each change to what came from the client is found."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.grammar import fault, fault_of_rewrite
from proxy.message import SYSTEM_ROLES, new_message, with_text_after
from tests.support.messages import asks, replies, said
from tests.support.transcripts import (
    NUMBERS,
    SHOUT,
    Msg,
    inserted,
    part,
    raws,
    replaced,
    round_of,
    transcripts,
    without,
)

SMALL = transcripts(exchanges_max=3)
ROLES = ("user", "assistant", "user", "user")
STRANGE = "there are turns before the window that the client did not send there"
SENT = ["S", "q1", "a1", "q2"]
BLOCK, RECALL = "<memory>block</memory>", "<memory>recall</memory>"


@dataclass(frozen=True, slots=True)
class Way:
    """How a list is rewritten: where it is cut, what is put in, and how many first turns stay as the client's front."""

    cut: int
    block: str = BLOCK
    placement: str = "message"
    recall: str = RECALL
    front: int = 0


def rewritten(messages: Sequence[Msg], way: Way) -> list[bytes]:
    """The design in brief: what stays of the part that is cut, a block, the messages from the cut on, a recall."""
    sent = raws(messages)
    before = list(range(way.cut))
    front = [place for place in before if messages[place]["role"] not in SYSTEM_ROLES][: way.front]
    systems = [place for place in before if messages[place]["role"] in SYSTEM_ROLES]
    head = {place: sent[place] for place in sorted(systems + front)}
    own = [new_message("system", way.block)] if way.block else []
    if own and way.placement == "system" and systems:
        head[systems[-1]] = with_text_after(head[systems[-1]], way.block)
        own = []
    kept = list(sent[way.cut :])
    if way.recall:
        asked = max(place for place, message in enumerate(messages) if message["role"] == "user") - way.cut
        kept[asked] = with_text_after(kept[asked], way.recall)
    return [*head.values(), *own, *kept]


def cuts(messages: Sequence[Msg]) -> list[int]:
    """Where a window may begin: at the first turn, or at a user message."""
    turns = [place for place, message in enumerate(messages) if message["role"] not in SYSTEM_ROLES]
    return [place for place in turns if place == turns[0] or messages[place]["role"] == "user"]


def ways(messages: Sequence[Msg]) -> list[Way]:
    """All sound ways to rewrite these, with one block and one recall; no front ends between a call and its reply."""
    options = product(cuts(messages), ("", BLOCK), ("message", "system"), ("", RECALL), range(3))
    return [way for way in (Way(*each) for each in options) if not fault(rewritten(messages, way))]


REWRITINGS = SMALL.filter(lambda messages: len(messages) > 3).flatmap(
    lambda messages: st.tuples(st.just(messages), st.sampled_from(ways(messages)))
)


@given(REWRITINGS)
def test_a_sound_rewriting_passes(rewriting):
    messages, way = rewriting
    assert fault_of_rewrite(raws(messages), rewritten(messages, way)) == ""


@given(SMALL, SMALL, NUMBERS)
def test_turns_from_the_log_may_stand_before_all_that_a_thin_client_sent(older, messages, number):
    last = max(place for place, message in enumerate(older) if message["role"] == "user")
    log = [message for message in older[: last + 1] if message["role"] not in SYSTEM_ROLES]
    stored = raws([*log, *round_of(number, 50)])

    def with_stored(cut: int, *more: Msg) -> list[bytes]:
        forwarded = rewritten(messages, Way(cut))
        place = len(forwarded) - (len(messages) - cut)
        return [*forwarded[:place], *stored, *raws(more), *forwarded[place:]]

    first, *later = cuts(messages)
    assert fault_of_rewrite(raws(messages), with_stored(first)) == ""
    assert fault_of_rewrite(raws(messages), with_stored(first, SHOUT)) != ""
    for cut in later:
        assert fault_of_rewrite(raws(messages), with_stored(cut)) != ""


@pytest.mark.parametrize(
    ("own", "new", "is_sound"),
    [
        ('"a\\ud83d"', '"a\\ud83d more"', True),
        ('"a\\ud83d", "n": NaN', '"a\\ud83d more", "n": NaN', True),
        ('"a", "n": NaN', '"a more", "n": null', False),
        ('"a", "n": 1', '"a more", "n": 1.0', False),
        ('"a", "n": 1', '"a more", "n": true', False),
        ('"a", "n": [1e2, "\\u00e9"]', '"a more","n":[100.0,"é"]', True),
        ('[{"type": "x", "n": 1}]', '[{"type":"x","n":1},{"type":"text","text":"more"}]', True),
        ('[{"type": "x", "n": 1}]', '[{"type":"x","n":true},{"type":"text","text":"more"}]', False),
        ('"a"', '[{"type":"text","text":"a"},{"type":"text","text":"more"}]', False),
    ],
)
def test_what_was_put_after_is_told_from_what_was_changed_by_value(own, new, is_sound):
    sent, forwarded = (f'{{"role": "user", "content": {content}}}'.encode() for content in (own, new))
    assert (fault_of_rewrite([sent], [forwarded]) == "") == is_sound


def with_strangers(messages: Sequence[Msg], way: Way) -> Iterator[list[bytes]]:
    """With a message that nobody said: anywhere but where a thin client's turns may stand."""
    way = replace(way, front=0)
    forwarded = rewritten(messages, way)
    window = len(forwarded) - (len(messages) - way.cut)
    for place in range(len(forwarded) + 1):
        if place != window or way.cut != cuts(messages)[0]:
            yield inserted(forwarded, place, new_message("assistant", "I was never said."))
            yield inserted(forwarded, place, new_message("user", "Nor was I."))


def changed(forwarded: list[bytes], sent: list[bytes]) -> Iterator[list[bytes]]:
    """All single changes of some kinds to what is forwarded, that touch what came from the client."""
    own = new_message("system", BLOCK)
    for place, raw in enumerate(forwarded):
        message = json.loads(raw)
        if place + 1 < len(forwarded):
            yield [*forwarded[:place], forwarded[place + 1], raw, *forwarded[place + 2 :]]
        if raw == own:
            yield inserted(forwarded, place, own)
            continue
        yield without(forwarded, place)
        yield replaced(forwarded, place, json.dumps(message | {"name": "other"}).encode())
        content = message.get("content")
        if isinstance(content, str) and content:
            yield replaced(forwarded, place, json.dumps(message | {"content": f"¿{content}"}).encode())
        if isinstance(content, list):
            yield replaced(forwarded, place, json.dumps(message | {"content": [part("¿"), *content]}).encode())
        if raw in sent and message["role"] not in ("user", *SYSTEM_ROLES):
            yield replaced(forwarded, place, with_text_after(raw, "more"))


def asks_something(messages: Sequence[Msg]) -> bool:
    """Any message of the user's goes on from an empty one: there is nothing in it to change."""
    return [message for message in messages if message["role"] == "user"][-1]["content"] != ""


@pytest.mark.slow
@given(REWRITINGS.filter(lambda rewriting: asks_something(rewriting[0])))
def test_every_change_to_what_came_from_the_client_is_found(rewriting):
    messages, way = rewriting
    sent = raws(messages)
    for other in chain(changed(rewritten(messages, way), sent), with_strangers(messages, way)):
        assert fault_of_rewrite(sent, other) or other in [rewritten(messages, each) for each in ways(messages)], other


@pytest.mark.parametrize(
    ("forwarded", "found"),
    [
        (["S", "q1", "a1", "q2"], ""),
        (["S", "B", "q2"], ""),
        (["S", "B", "q2 and more"], ""),
        (["S and more", "q2"], ""),
        (["S", "B", "q"], "the last user message, messages[3], is not there with its own content first"),
        (["S", "B", "a1", "q2"], STRANGE),
        (["B", "q2"], "a system message of the client's is missing, changed or out of place"),
        (["B", "S", "q2"], "a system message of the client's is missing, changed or out of place"),
        (
            ["S and more", "B", "q2"],
            "there is more than one system message that the client did not send, or it is out of place",
        ),
        (["S", "B", "x", "q2"], STRANGE),
        (["S", "B", "q2", "a1"], "the last user message, messages[3], is not there with its own content first"),
    ],
)
def test_a_rewriting_by_hand(forwarded, found):
    def said(text: str) -> bytes:
        return new_message({"S": "system", "B": "system", "q": "user"}.get(text[0], "assistant"), text)

    assert (
        fault_of_rewrite([said(text) for text in ("S", "q1", "a1", "q2")], [said(text) for text in forwarded]) == found
    )


def test_a_front_that_ends_like_what_was_cut_is_still_the_front():
    summary, answer, cut, last = (new_message(role, role + text) for role, text in zip(ROLES, "1234", strict=True))
    assert fault_of_rewrite([summary, answer, cut, answer, last], [summary, answer, last]) == ""


def test_after_the_last_user_message_nothing_may_change():
    sent = [said("user", "hello").raw, asks("a").raw, replies("a").raw]
    found = "messages[2] stands after the last user message and is not forwarded as it came"
    assert fault_of_rewrite(sent, [*sent[:2], replies("a", "43").raw]) == found


def test_what_was_malformed_when_it_came_may_be_forwarded_so():
    hello = said("user", "hello").raw
    sent = [hello, asks("a").raw, hello]
    assert fault_of_rewrite(sent, [new_message("system", BLOCK), *sent]) == ""
    assert fault_of_rewrite([hello], [new_message("system", BLOCK), *sent]).startswith("forwarded messages[3] comes")
