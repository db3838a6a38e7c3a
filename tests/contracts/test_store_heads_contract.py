"""The store protocol, the rest: snapshots, the ledger, deleting, isolation, opening and closing, on all stores."""

import asyncio
from collections.abc import Awaitable

import pytest

from memory_core.stores import ConversationSummary, Entry, LedgerEntry, Snapshot, Store, StoreError, open_store
from tests.support.store_places import ROOT, OpenStore, branch, digest, digests, snapshot

pytest_plugins = ["tests.support.store_places"]


async def test_a_snapshot_is_loaded_as_it_was_saved(store: Store) -> None:
    assert await store.load("c") is None
    saved = snapshot(1, state=b"\x00\xff" * 200_000)
    assert await store.save("c", saved)
    assert await store.load("c") == saved
    assert await store.save("c", Snapshot(2, digest("next"), 8, b""))
    assert await store.load("c") == Snapshot(2, digest("next"), 8, b"")


@pytest.mark.parametrize("version", [-1, 0, 2])
async def test_the_first_save_must_be_version_1(store: Store, version: int) -> None:
    assert await store.save("c", snapshot(version)) is False
    assert await store.load("c") is None


@pytest.mark.parametrize("version", [0, 1, 2, 4])
async def test_only_the_next_version_is_saved(store: Store, version: int) -> None:
    for n in (1, 2):
        assert await store.save("c", snapshot(n, state=b"%d" % n)) is True
    assert await store.save("c", snapshot(version, state=b"x")) is False
    assert await store.load("c") == snapshot(2, state=b"2")


async def test_entries_are_appended_with_a_snapshot_and_even_without_it(store: Store) -> None:
    first, second = branch("a", 3), branch("b", 600)
    assert await store.save("c", snapshot(1), first) is True
    assert await store.save("c", snapshot(7), second) is False
    assert await store.load("c") == snapshot(1)
    assert await store.path("c", first[-1].digest) == digests(first)
    assert await store.path("c", second[-1].digest) == digests(second)
    assert await store.save("c", snapshot(2), first) is True
    assert await store.read("c", digests(first)) == [entry.payload for entry in first]


async def test_of_concurrent_saves_exactly_one_wins(open_again: OpenStore, store_url: str) -> None:
    stores = [await open_again() for _ in range(1 if store_url == "memory://" else 4)]
    for version in range(1, 6):
        tries = [snapshot(version, state=b"%d" % n) for n in range(8)]
        won = await asyncio.gather(*(stores[n % len(stores)].save("c", s) for n, s in enumerate(tries)))
        assert sorted(won) == [False] * 7 + [True]
        assert await stores[0].load("c") == tries[won.index(True)]


async def test_rows_are_the_newest_oldest_first(store: Store) -> None:
    assert await store.rows("c", 5) == []
    for n in range(5):
        await store.record(LedgerEntry("c", b"row %d" % n, at=float(n)))
    assert await store.rows("c", 3) == [b"row 2", b"row 3", b"row 4"]
    assert await store.rows("c", 99) == [b"row %d" % n for n in range(5)]
    assert await store.rows("c", 0) == []
    assert await store.rows("c", -1) == []


async def test_conversations_come_newest_first_then_by_id(store: Store) -> None:
    for name, at in (("old", 1.5), ("b", 7.25), ("a", 7.25), ("new", 9.0), ("old", 8.0)):
        await store.record(LedgerEntry(name, b"row", at))
    await store.append("only a log", branch("a", 1))
    expected = [
        ConversationSummary("new", 1, 9.0),
        ConversationSummary("old", 2, 8.0),
        ConversationSummary("a", 1, 7.25),
        ConversationSummary("b", 1, 7.25),
    ]
    assert await store.conversations(10) == expected
    assert await store.conversations(2) == expected[:2]
    assert await store.conversations(0) == []
    assert await store.conversations(-1) == []


async def test_a_late_row_does_not_make_a_conversation_older(store: Store) -> None:
    await store.record(LedgerEntry("c", b"first", at=1_700_000_000.123456))
    await store.record(LedgerEntry("c", b"second", at=1_600_000_000.0))
    assert await store.conversations(1) == [ConversationSummary("c", 2, 1_700_000_000.123456)]
    assert await store.rows("c", 9) == [b"first", b"second"]


async def test_delete_forgets_all_of_one_and_nothing_of_others(store: Store) -> None:
    entries = branch("a", 3)
    for name in ("c", "d"):
        await store.append(name, entries)
        await store.set_note(name, b"n", b"noted")
        await store.save(name, snapshot(1))
        await store.record(LedgerEntry(name, b"row", at=1.0))
    await store.pin("name", b"value")

    await store.delete("c")
    await store.delete("never was")

    assert await store.known("c", digests(entries)) == [False] * 3
    assert await store.note("c", b"n") is None
    assert await store.read("c", digests(entries)) == [None] * 3
    assert await store.path("c", entries[-1].digest) == []
    assert await store.load("c") is None
    assert await store.rows("c", 9) == []
    assert await store.conversations(9) == [ConversationSummary("d", 1, 1.0)]
    assert await store.path("d", entries[-1].digest) == digests(entries)
    assert await store.read("d", digests(entries)) == [entry.payload for entry in entries]
    assert await store.note("d", b"n") == b"noted"
    assert await store.load("d") == snapshot(1)
    assert await store.rows("d", 9) == [b"row"]
    assert await store.pin("name", b"other") == b"value"


async def test_a_deleted_conversation_can_begin_again(store: Store) -> None:
    await store.save("c", snapshot(1))
    await store.record(LedgerEntry("c", b"old", at=5.0))
    await store.delete("c")
    assert await store.save("c", snapshot(2)) is False
    assert await store.save("c", snapshot(1, state=b"new")) is True
    await store.record(LedgerEntry("c", b"new", at=1.0))
    assert await store.rows("c", 9) == [b"new"]
    assert await store.conversations(9) == [ConversationSummary("c", 1, 1.0)]


async def test_the_last_note_stands_under_its_name(store: Store) -> None:
    assert await store.note("c", b"n") is None
    await store.set_note("c", b"n", b"first")
    await store.set_note("c", b"n\x00", b"")
    await store.set_note("c", b"n", b"last")
    assert await store.note("c", b"n") == b"last"
    assert await store.note("c", b"n\x00") == b""
    assert await store.note("d", b"n") is None


NAMES = ["a", "a:log", "a}", "{a", "{a}", "a%7D", "}", "", "ab", "A", "a\x00", "a*", "tenant/ä 🦊", "x" * 2000]


async def test_conversations_with_similar_names_do_not_touch(store: Store) -> None:
    for name in NAMES:
        await store.append(name, [Entry(digest("same"), ROOT, 1, name.encode())])
        await store.save(name, snapshot(1, state=name.encode()))
        await store.record(LedgerEntry(name, name.encode(), at=1.0))
    for name in NAMES:
        assert await store.read(name, [digest("same")]) == [name.encode()]
        assert await store.load(name) == snapshot(1, state=name.encode())
        assert await store.rows(name, 9) == [name.encode()]
    listed = [summary.conversation for summary in await store.conversations(99)]
    assert listed == sorted(NAMES, key=str.encode)
    await store.delete("a")
    assert await store.known("a", [digest("same")]) == [False]
    for name in NAMES[1:]:
        assert await store.known(name, [digest("same")]) == [True]


async def test_an_id_that_is_not_unicode_is_a_store_error(store: Store) -> None:
    with pytest.raises(StoreError):
        await store.append("lone \ud800 surrogate", branch("a", 1))
    with pytest.raises(StoreError):
        await store.record(LedgerEntry("lone \ud800 surrogate", b"row", at=1.0))
    assert await store.conversations(9) == []


async def test_two_stores_on_one_place_see_each_other(open_again: OpenStore, store_url: str) -> None:
    here, there = await open_again(), await open_again()
    entries = branch("a", 3)
    await here.append("c", entries)
    await here.save("c", snapshot(1))
    await here.record(LedgerEntry("c", b"row", at=1.0))
    if store_url == "memory://":
        assert await there.path("c", entries[-1].digest) == []
        assert await there.conversations(9) == []
        return
    assert await there.path("c", entries[-1].digest) == digests(entries)
    assert await there.save("c", snapshot(1)) is False
    assert await there.save("c", snapshot(2)) is True
    assert await here.load("c") == snapshot(2)
    assert await there.rows("c", 9) == [b"row"]
    await there.delete("c")
    assert await here.load("c") is None


async def test_what_was_written_is_there_after_reopening(open_again: OpenStore, store_url: str) -> None:
    if store_url == "memory://":
        pytest.skip("memory:// ends with its store")
    entries = branch("a", 3)
    first = await open_again()
    await first.append("c", entries)
    assert await first.pin("name", b"value") == b"value"
    await first.aclose()
    second = await open_again()
    assert await second.read("c", digests(entries)) == [entry.payload for entry in entries]
    assert await second.pin("name", b"other") == b"value"


async def test_many_appends_at_once_all_arrive(open_again: OpenStore, store_url: str) -> None:
    stores = [await open_again() for _ in range(1 if store_url == "memory://" else 2)]
    entries = branch("a", 50)
    await asyncio.gather(*(stores[n % len(stores)].append("c", [entry]) for n, entry in enumerate(entries)))
    assert await stores[0].path("c", entries[-1].digest) == digests(entries)


async def test_closing_twice_is_harmless_and_a_closed_store_says_so(store: Store) -> None:
    await store.aclose()
    await store.aclose()
    calls: list[Awaitable[object]] = [
        store.pin("name", b""),
        store.append("c", branch("a", 1)),
        store.known("c", [digest("a")]),
        store.read("c", [digest("a")]),
        store.path("c", digest("a")),
        store.load("c"),
        store.save("c", snapshot(1)),
        store.record(LedgerEntry("c", b"", 1.0)),
        store.rows("c", 1),
        store.conversations(1),
        store.totals("model", 1),
        store.delete("c"),
    ]
    for call in calls:
        with pytest.raises(StoreError, match="closed"):
            await call


async def test_closing_finishes_what_was_accepted(open_again: OpenStore, store_url: str) -> None:
    store = await open_again()
    entries = branch("a", 40)
    appends = [asyncio.create_task(store.append("c", [entry])) for entry in entries]
    await asyncio.sleep(0)  # each has been accepted
    await store.aclose()
    assert await asyncio.gather(*appends) == [1] * 40
    if store_url != "memory://":
        assert await (await open_again()).path("c", entries[-1].digest) == digests(entries)


async def test_a_cancelled_call_leaves_the_store_well(store: Store) -> None:
    entries = branch("a", 200)
    tasks = [asyncio.create_task(store.append("c", entries)) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ended] == [asyncio.CancelledError, int] * 10
    assert await store.path("c", entries[-1].digest) == digests(entries)
    assert await store.save("c", snapshot(1)) is True
    assert await store.load("c") == snapshot(1)


@pytest.mark.parametrize("url", ["nowhere://x", "redis", "", "sqlite://file.db", "sqlite:///"])
async def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(StoreError):
        await open_store(url)
