"""Within an epoch every prompt is a byte-exact extension of the last up to its recall; and none is ever malformed.

Random sessions (edits, forks, regenerates, tool loops, restarts, long waits) against two replicas on one store.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import count, pairwise, takewhile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_core.stores import Store, open_store
from proxy.grammar import fault_of_rewrite
from tests.support.composing import PRICE, UNASKED, Replica, Sent, replica
from tests.support.transcripts import CHANGES, Request, sessions

pytest_plugins = ["tests.support.redis_server"]

PRICES = st.builds(
    lambda read, write, least, step: replace(PRICE, read=read, write=write, cacheable_min=least, step=step),
    st.sampled_from([0.05, 0.3, 0.9]),
    st.sampled_from([1.0, 1.25]),
    st.sampled_from([1, 100, 400]),
    st.sampled_from([1, 16]),
)
STEADY = [change for change in CHANGES if change != "strip"]
"""A client that strips its history changes the bytes itself."""

keys = count()
quick = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


async def played(store: Store, session: Sequence[Request], key: str = "", **parts: object) -> list[Sent]:
    """Each request of a session through its replica; one that restarts forgets all but the store."""
    replicas: dict[int, Replica] = {}
    now, sent = 1_000_000.0, []
    for request in session:
        now += request.wait_s + 1
        if request.restart_before or request.replica not in replicas:
            replicas[request.replica] = await replica(store, **parts)
        sent.append(await replicas[request.replica].send(request.messages, now, replace(UNASKED, credential=key)))
    return sent


def play(session: Sequence[Request], **parts: object) -> list[Sent]:
    async def run() -> list[Sent]:
        store = await open_store("memory://")
        try:
            return await played(store, session, **parts)
        finally:
            await store.aclose()

    return asyncio.run(run())


def stable_part(sent: Sent) -> tuple[list[bytes], int]:
    """The forwarded messages before the one that is asked, and the place of that one in the client's list."""
    asked = max(place for place, raw in enumerate(sent.asked) if json.loads(raw)["role"] == "user")
    return sent.forwarded[: len(sent.forwarded) - (len(sent.asked) - asked)], asked


def assert_stable(before: Sent, after: Sent) -> bool:
    """Compare two prompts of one epoch; False if they need not have anything in common."""
    one, other = before.made, after.made
    if one.draft is None or other.draft is None or one.lineage is None or other.lineage is None:
        return False
    same_epoch = (one.lineage.conversation, one.draft.epoch) == (other.lineage.conversation, other.draft.epoch)
    kept, asked = stable_part(before)
    if not same_epoch or before.asked[: asked + 1] != after.asked[: asked + 1]:
        return False
    assert after.forwarded[: len(kept)] == kept
    text = json.loads(before.asked[asked])["content"]
    here = json.loads(after.forwarded[len(kept)])["content"]
    assert here[: len(text)] == text
    if stable_part(after)[1] == asked:  # the same question: in a tool loop, or sent again; it may go on otherwise
        both = takewhile(lambda pair: pair[0] == pair[1], zip(before.asked, after.asked, strict=False))
        until = len(kept) + len(list(both)) - asked
        assert after.forwarded[:until] == before.forwarded[:until]
    return True


@pytest.mark.slow
@quick
@given(sessions(changes=STEADY, forgetting=False), PRICES, st.sampled_from(["auto", "compact"]))
def test_within_an_epoch_prompts_only_grow(session, price, mode):
    sent = play(session, price=price, mode=mode)
    for number, after in enumerate(sent):
        for before in sent[:number]:
            assert_stable(before, after)


@pytest.mark.slow
@quick
@given(sessions(), PRICES, st.sampled_from(["auto", "compact"]), st.sampled_from(["message", "system"]))
def test_no_session_makes_a_malformed_prompt_or_an_error(session, price, mode, placement):
    for each in play(session, price=price, mode=mode, block_placement=placement):
        assert each.made.error == ""
        assert fault_of_rewrite(each.asked, each.forwarded) == ""
        assert each.made.sent_tokens <= each.made.full_tokens


def test_the_property_is_about_something():
    """A long plain session has several epochs, and most prompts extend the one before."""
    talk = [
        {"role": role, "content": f"{n} " + "words and words " * 12}
        for n in range(40)
        for role in ("user", "assistant")
    ]
    sent = play([Request(tuple(talk[: 2 * n + 1]), replica=n % 2) for n in range(40)], mode="compact")
    extended = [assert_stable(before, after) for before, after in pairwise(sent)]
    assert len({each.made.epoch for each in sent}) > 4
    assert sum(extended) > 15


@pytest.mark.slow
@settings(quick, max_examples=15, suppress_health_check=list(HealthCheck))
@given(session=sessions(changes=STEADY, forgetting=False))
def test_two_replicas_on_one_redis_forward_the_same_prefix(redis_url, session):
    async def run() -> list[Sent]:  # under a key of its own: the examples share the server
        store = await open_store(redis_url)
        try:
            return await played(store, session, key=str(next(keys)), mode="compact")
        finally:
            await store.aclose()

    sent = asyncio.run(run())
    for number, after in enumerate(sent):
        for before in sent[:number]:
            assert_stable(before, after)
