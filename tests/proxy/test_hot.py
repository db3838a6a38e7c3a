"""The hot conversations: bounded, least recently used out first, and who is heard once pushes out nobody."""

import tracemalloc

import numpy as np
import pytest

from memory_core.fold import Fold
from memory_core.index import quantise
from memory_core.lexical import terms
from memory_core.state import Capacities
from memory_core.transcript import chain
from proxy.hot import PROBATION, Hot, HotCache
from proxy.lineage import Head


def empty():
    return Fold(64, Capacities())


EMPTY_BYTES = Hot(empty()).nbytes
ROOM_FOR_ONE_NEW = EMPTY_BYTES / PROBATION


def holding(new=1, lasting=1):
    """A cache with room for so many on probation; as many of the others as `lasting` says are held at first."""
    cache = HotCache(empty, bytes_max=int(new * ROOM_FOR_ONE_NEW) + 32)
    for number in range(lasting):
        goes_on(cache, f"lasting {number}")
    return cache


def goes_on(cache, name):
    hot = cache.of(name)
    cache.account(name, hot, goes_on=True)
    return hot


def held(cache, names):
    return [name for name in names if cache.peek(name) is not None]


def test_the_least_recently_used_goes_first():
    cache = holding(3)
    for name in "abc":
        cache.of(name)
    kept = cache.of("a")
    cache.peek("b")
    cache.of("d")
    assert held(cache, "abcd") == ["a", "c", "d"]
    assert cache.of("a") is kept


def test_conversations_that_are_never_learned_take_no_room():
    """Ids are the client's to invent: an upstream that refuses each must not make us keep each."""
    cache = holding(10)
    for number in range(1000):
        cache.of(f"invented {number}")
    assert len(held(cache, [f"invented {number}" for number in range(1000)])) == 10


def test_who_is_heard_once_pushes_out_nobody_who_goes_on():
    cache = holding(2)
    kept = [goes_on(cache, name) for name in "abc"]
    for number in range(100):
        once = cache.of(f"once {number}")
        cache.account(f"once {number}", once)
        cache.of(f"once {number}")  # its learner
    assert [cache.peek(name) for name in "abc"] == kept
    assert len(held(cache, [f"once {number}" for number in range(100)])) == 2


def test_who_goes_on_is_the_same_and_leaves_its_place_to_others():
    cache = holding(1)
    first = cache.of("a")
    assert goes_on(cache, "a") is first is cache.of("a")
    second = cache.of("b")
    assert (cache.peek("a"), cache.peek("b")) == (first, second)
    cache.account("a", first)  # once on its way it stays there, whatever the next request says
    cache.of("c")
    assert held(cache, "abc") == ["a", "c"]


def test_of_those_who_go_on_too_the_least_recently_used_goes_first():
    cache = HotCache(empty, bytes_max=int(3 * EMPTY_BYTES / (1 - PROBATION)) + 2)
    for name in "abc":
        goes_on(cache, name)
    cache.of("a")
    goes_on(cache, "d")
    assert held(cache, "abcd") == ["a", "c", "d"]


@pytest.mark.parametrize("lasts", [False, True])
def test_one_that_grows_pushes_others_out_but_never_itself(lasts):
    cache = holding(3, lasting=0)
    large, _, _ = (cache.of(name) for name in "abc")
    if lasts:
        for name in "abc":
            goes_on(cache, name)
    large.fold.index._reserve(100_000)
    cache.of("a")
    cache.account("a", large)
    assert held(cache, "abc") == ["a"]
    if lasts:
        goes_on(cache, "d")
    cache.of("d")
    assert held(cache, "ad") == ["d"]


@pytest.mark.parametrize("lasts", [False, True])
def test_an_evicted_one_is_not_counted_again(lasts):
    cache = holding(2)
    gone = cache.of("a")
    cache.of("b")
    cache.of("c")
    gone.fold.index._reserve(100_000)
    cache.account("a", gone, goes_on=lasts)
    assert held(cache, "abc") == ["b", "c"]
    again = cache.of("a")
    cache.account("a", gone, goes_on=lasts)
    assert cache.peek("a") is again is not gone
    assert held(cache, "abc") == ["a", "c"]


def test_the_newest_stays_even_if_there_is_no_room_at_all():
    cache = HotCache(empty, bytes_max=0)
    cache.of("a")
    assert cache.of("b") is cache.of("b")
    assert held(cache, "ab") == ["b"]
    goes_on(cache, "b")
    assert cache.of("c") is cache.of("c")
    assert held(cache, "abc") == ["b", "c"]
    assert goes_on(cache, "d") is cache.of("d")
    assert held(cache, "abcd") == ["d"]


def grown(conversation: int, turns: int) -> Hot:
    """Of that many turns of one chunk each, of words that it shares with others and words that it does not."""
    hot, random = Hot(Fold(384)), np.random.default_rng(conversation)
    digests = chain(b"root", [f"{conversation} {turn}".encode() for turn in range(turns)])
    for turn, digest in enumerate(digests):
        text = " ".join(f"word{number}" for number in random.integers(0, 2_000, 25))
        row = random.normal(size=(1, 384)).astype(np.float32)
        hot.fold.append(digest, quantise(row), (text,), is_input=turn % 2 == 0)
        hot.heads.append(Head("user", bytes([turn % 256]) * 16, digest, 300 + turn))
    return hot


@pytest.mark.parametrize(
    ("turns", "conversations"),
    [(0, 50), (2, 50), (4, 30), (40, 5), *(pytest.param(turns, 1, marks=pytest.mark.slow) for turns in (400, 1_000))],
)
def test_nbytes_is_what_a_conversation_takes_short_or_long(turns, conversations):
    terms(" ".join(f"word{number}" for number in range(2_000)))
    for number in range(conversations):  # what is cached for all conversations does not grow while one is weighed
        grown(number, turns)
    tracemalloc.start()
    try:
        kept = [grown(number, turns) for number in range(conversations)]
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert sum(hot.nbytes for hot in kept) == pytest.approx(taken, rel=0.2)


def test_a_conversation_holds_the_beginnings_of_its_own_transcript_and_of_no_other():
    hot = grown(1, 3)
    own, other = hot.fold.digests, [*hot.fold.digests[:1], b"another", b"third"]
    assert [hot.holds(own, turns) for turns in range(4)] == [True] * 4
    assert [hot.holds(other, turns) for turns in range(4)] == [True, True, False, False]
    assert not hot.holds([*own, b"more"], 4)
