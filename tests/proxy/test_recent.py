"""Is a conversation still warm? By what this process sent, and by the ledger for what another did."""

from math import inf

import pytest

from memory_core.stores import open_store
from proxy.ledger import Row, encode_row
from proxy.recent import KEPT_MAX, MOVING_AFTER, Recent, Sent
from tests.support.stores import WrappedStore


@pytest.fixture
async def store():
    opened = await open_store("memory://")
    yield WrappedStore(opened)
    await opened.aclose()


async def record(store, at, model="m", conversation="c"):
    row = Row(at=at, turn=1, model=model, mode="compact", full_tokens=1, sent_tokens=1, overhead_ms=0)
    await store.record(conversation, encode_row(row), at)


def sent(at, head=b"h", front=b"f", cut=0):
    return Sent(at, head, front, cut=cut)


async def test_what_was_never_sent_is_infinitely_cold(store):
    assert await Recent(store).idle_s("c", "m", 100.0, 60.0) == inf


async def test_within_the_time_to_live_nobody_else_is_asked(store):
    recent = Recent(store)
    recent.sent("c", "m", sent(100.0))
    assert await recent.idle_s("c", "m", 160.0, 60.0) == 60
    assert store.calls == []
    assert await recent.idle_s("c", "m", 161.0, 60.0) == 61
    assert store.calls == ["rows"]
    assert await recent.idle_s("c", "other", 101.0, 60.0) == inf
    assert await recent.idle_s("d", "m", 101.0, 60.0) == inf


async def test_another_replica_may_have_kept_it_warm(store):
    recent = Recent(store)
    recent.sent("c", "m", sent(100.0))
    await record(store, 90.0)
    assert await recent.idle_s("c", "m", 300.0, 60.0) == 200
    await record(store, 280.0)
    assert await recent.idle_s("c", "m", 300.0, 60.0) == 20
    assert await Recent(store).idle_s("c", "m", 300.0, 60.0) == 20  # after a restart
    assert await Recent(store).idle_s("c", "other", 300.0, 60.0) == inf  # each model has a cache of its own
    assert await Recent(store).idle_s("d", "m", 300.0, 60.0) == inf


async def test_clocks_that_differ_make_nothing_colder_than_now(store):
    await record(store, 500.0)
    recent = Recent(store)
    assert await recent.idle_s("c", "m", 300.0, 60.0) == 0
    recent.sent("c", "m", sent(400.0))
    assert await recent.idle_s("c", "m", 300.0, 60.0) == 0


def test_what_changes_with_each_request_is_counted_and_forgiven_when_it_stands_still():
    recent = Recent(None)
    found = [recent.sent("c", "m", sent(n, head=head)).heads for n, head in enumerate([b"1", b"2", b"3", b"3", b"4"])]
    assert found == [0, 1, 2, 0, 1]
    fronts = [recent.sent("d", "m", sent(n, front=b"%d" % n)).fronts for n in range(4)]
    assert fronts == [0, 1, 2, 3]
    assert MOVING_AFTER == 2  # once is a change of tools
    assert recent.sent("c", "other", sent(9, head=b"5")).heads == 0


def test_a_front_may_move_under_a_head_that_stands():
    recent = Recent(None)
    found = [recent.sent("c", "m", sent(n, front=b"%d" % (n % 2))) for n in range(3)]
    assert [(each.heads, each.fronts) for each in found] == [(0, 0), (0, 1), (0, 2)]


def test_the_latest_cut_is_remembered():
    recent = Recent(None)
    assert [recent.sent("c", "m", sent(n, cut=cut)).cut for n, cut in enumerate([0, 8, 4, 0, 12])] == [0, 8, 8, 8, 12]
    assert recent.sent("d", "m", sent(9, cut=2)).cut == 2


async def test_only_so_many_are_kept(store):
    recent = Recent(store)
    for place in range(KEPT_MAX):
        recent.sent(f"c{place}", "m", sent(1.0))
    recent.sent("c0", "m", sent(1.0))
    recent.sent("one more", "m", sent(1.0))
    assert await recent.idle_s("c0", "m", 2.0, 60.0) == 1
    assert await recent.idle_s("c1", "m", 2.0, 60.0) == inf
    assert await recent.idle_s("c2", "m", 2.0, 60.0) == 1
