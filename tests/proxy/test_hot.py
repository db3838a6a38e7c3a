"""The hot conversations: bounded, least recently used out first."""

from memory_core.fold import Fold
from memory_core.state import Capacities
from proxy.hot import HotCache


def empty():
    return Fold(64, Capacities())


EMPTY_BYTES = empty().nbytes


def held(cache, names):
    return [name for name in names if cache.peek(name) is not None]


def test_the_least_recently_used_goes_first():
    cache = HotCache(empty, bytes_max=3 * EMPTY_BYTES)
    for name in "abc":
        cache.of(name)
    kept = cache.of("a")
    cache.peek("b")
    cache.of("d")
    assert held(cache, "abcd") == ["a", "c", "d"]
    assert cache.of("a") is kept


def test_conversations_that_are_never_learned_take_no_room():
    """Ids are the client's to invent: an upstream that refuses each must not make us keep each."""
    cache = HotCache(empty, bytes_max=10 * EMPTY_BYTES)
    for number in range(1000):
        cache.of(f"invented {number}")
    assert len(held(cache, [f"invented {number}" for number in range(1000)])) == 10


def test_one_that_grows_pushes_others_out_but_never_itself():
    cache = HotCache(empty, bytes_max=3 * EMPTY_BYTES)
    large, _, _ = (cache.of(name) for name in "abc")
    large.fold.index._reserve(100_000)
    cache.of("a")
    cache.account("a", large)
    assert held(cache, "abc") == ["a"]
    cache.of("d")
    assert held(cache, "ad") == ["d"]


def test_an_evicted_one_is_not_counted_again():
    cache = HotCache(empty, bytes_max=2 * EMPTY_BYTES)
    gone = cache.of("a")
    cache.of("b")
    cache.of("c")
    gone.fold.index._reserve(100_000)
    cache.account("a", gone)
    assert held(cache, "abc") == ["b", "c"]


def test_the_newest_stays_even_if_there_is_no_room_at_all():
    cache = HotCache(empty, bytes_max=0)
    cache.of("a")
    assert cache.of("b") is cache.of("b")
    assert held(cache, "ab") == ["b"]
