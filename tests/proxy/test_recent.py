"""Is a conversation still warm? By what this process sent, and by the ledger for what another did."""

from math import inf

import pytest

from memory_core.stores import LedgerEntry, open_store
from proxy.ledger import Row, encode_row
from proxy.recent import KEPT_MAX, LAYOUTS_MAX, MOVING_AFTER, Key, Layout, Recent
from tests.support.stores import WrappedStore


@pytest.fixture
async def store():
    opened = await open_store("memory://")
    yield WrappedStore(opened)
    await opened.aclose()


async def record(store, at, model="m", conversation="c"):
    row = Row(at=at, turn=1, model=model, mode="compact", full_tokens=1, sent_tokens=1, overhead_ms=0)
    await store.record(LedgerEntry(conversation, encode_row(row), at))


C = Key("c", "m")


def used(recent, at, cut=0, boundary=b"", key=C):
    recent.noted(key, b"h", b"f")
    recent.used(key, Layout(cut, boundary, at))


async def test_what_was_never_sent_is_infinitely_cold(store):
    assert await Recent(store).idle_s(C, 0, b"", 100.0, 60.0) == inf


async def test_within_the_time_to_live_nobody_else_is_asked(store):
    recent = Recent(store)
    used(recent, 100.0)
    assert await recent.idle_s(C, 0, b"", 160.0, 60.0) == 60
    assert store.calls == []
    assert await recent.idle_s(C, 0, b"", 161.0, 60.0) == 61
    assert store.calls == ["rows"]
    assert await recent.idle_s(Key("c", "other"), 0, b"", 101.0, 60.0) == inf
    assert await recent.idle_s(Key("d", "m"), 0, b"", 101.0, 60.0) == inf


async def test_each_layout_is_as_warm_as_it_was_sent_itself(store):
    """A branch that was left before the cut is not kept warm by the other one."""
    recent = Recent(store)
    used(recent, 100.0)
    used(recent, 150.0, 8, b"eight")
    used(recent, 170.0, 8, b"elsewhere")
    assert await recent.idle_s(C, 0, b"", 180.0, 60.0) == 80
    assert await recent.idle_s(C, 8, b"eight", 180.0, 60.0) == 30
    assert await recent.idle_s(C, 8, b"elsewhere", 180.0, 60.0) == 10
    assert await recent.idle_s(C, 4, b"four", 180.0, 60.0) == inf
    assert recent.noted(C, b"h", b"f").latest_cut == 8


async def test_another_replica_may_have_kept_it_warm(store):
    recent = Recent(store)
    used(recent, 100.0)
    await record(store, 90.0)
    assert await recent.idle_s(C, 0, b"", 300.0, 60.0) == 200
    await record(store, 280.0)
    assert await recent.idle_s(C, 0, b"", 300.0, 60.0) == 20
    assert await recent.idle_s(C, 8, b"eight", 300.0, 60.0) == inf  # that was another layout
    assert await Recent(store).idle_s(C, 0, b"", 300.0, 60.0) == 20  # after a restart
    assert await Recent(store).idle_s(Key("c", "other"), 0, b"", 300.0, 60.0) == inf  # each model has its own cache
    assert await Recent(store).idle_s(Key("d", "m"), 0, b"", 300.0, 60.0) == inf


async def test_clocks_that_differ_make_nothing_colder_than_now(store):
    await record(store, 500.0)
    recent = Recent(store)
    assert await recent.idle_s(C, 0, b"", 300.0, 60.0) == 0
    used(recent, 400.0)
    assert await recent.idle_s(C, 0, b"", 300.0, 60.0) == 0


def test_what_changes_with_each_request_is_counted_and_forgiven_when_it_stands_still():
    recent = Recent(None)
    found = [recent.noted(C, head, b"f").heads for head in (b"1", b"2", b"3", b"3", b"4")]
    assert found == [0, 1, 2, 0, 1]
    fronts = [recent.noted(Key("d", "m"), b"h", b"%d" % n).fronts for n in range(4)]
    assert fronts == [0, 1, 2, 3]
    assert MOVING_AFTER == 2  # once is a change of tools
    assert recent.noted(Key("c", "other"), b"5", b"f").heads == 0


def test_a_front_may_move_under_a_head_that_stands():
    recent = Recent(None)
    found = [recent.noted(C, b"h", b"%d" % (n % 2)) for n in range(3)]
    assert [(each.heads, each.fronts) for each in found] == [(0, 0), (0, 1), (0, 2)]


def test_layouts_are_bounded_and_a_request_that_was_not_noted_is_nothing():
    recent = Recent(None)
    for cut in range(1, LAYOUTS_MAX + 3):
        used(recent, float(cut), cut, b"%d" % cut)
    kept = recent.noted(C, b"h", b"f").layouts
    assert [layout.cut for layout in kept] == list(range(3, LAYOUTS_MAX + 3))
    recent.used(Key("d", "m"), Layout(1, b"1", 1.0))
    assert recent.noted(Key("d", "m"), b"h", b"f").layouts == ()


async def test_only_so_many_are_kept(store):
    recent = Recent(store)
    used(recent, 1.0, key=C)
    used(recent, 1.0, key=C)
    for place in range(KEPT_MAX):
        used(recent, 1.0, key=Key(f"c{place}", "m"))
    assert await recent.idle_s(C, 0, b"", 2.0, 60.0) == 1  # it went on: those that did not push it out
    assert await recent.idle_s(Key(f"c{KEPT_MAX - 1}", "m"), 0, b"", 2.0, 60.0) == 1
    assert await recent.idle_s(Key("c0", "m"), 0, b"", 2.0, 60.0) == inf
    for place in range(KEPT_MAX):
        used(recent, 1.0, key=Key(f"d{place}", "m"))
        used(recent, 1.0, key=Key(f"d{place}", "m"))
    assert await recent.idle_s(C, 0, b"", 2.0, 60.0) == inf
