"""The store protocol, the log: every sentence about pins, entries, reading and paths, on all stores."""

import asyncio

import pytest

from memory_core.stores import Entry, Store, StoreError
from tests.support.store_places import ROOT, OpenStore, branch, digest, digests

pytest_plugins = ["tests.support.store_places"]


async def test_a_pin_stands_once_set(store: Store) -> None:
    assert await store.pin("embedder", b"first") == b"first"
    assert await store.pin("embedder", b"second") == b"first"
    assert await store.pin("other", b"second") == b"second"


async def test_concurrent_pins_agree(open_again: OpenStore, store_url: str) -> None:
    stores = [await open_again() for _ in range(1 if store_url == "memory://" else 3)]
    values = [b"%d" % n for n in range(12)]
    stand = await asyncio.gather(*(stores[n % len(stores)].pin("name", value) for n, value in enumerate(values)))
    assert len(set(stand)) == 1
    assert stand[0] in values


async def test_what_is_appended_is_known_and_read(store: Store) -> None:
    entries = branch("a", 3)
    await store.append("c", entries)
    assert await store.known("c", digests(entries)) == [True] * 3
    assert await store.read("c", digests(entries)) == [entry.payload for entry in entries]


async def test_appending_again_keeps_the_first_payload_and_link(store: Store) -> None:
    first, second = branch("a", 2)
    await store.append("c", [first, second])
    await store.append("c", [Entry(second.digest, digest("elsewhere"), 9, b"later"), *branch("b", 1)])
    assert await store.read("c", [second.digest]) == [second.payload]
    assert await store.path("c", second.digest) == [first.digest, second.digest]
    assert await store.known("c", digests(branch("b", 1))) == [True]


async def test_a_side_entry_disturbs_no_path(store: Store) -> None:
    """An entry whose parent is a turn and that no turn names as its own parent: something kept beside the log."""
    turns = branch("a", 4)
    sides = [Entry(digest(f"side {n}"), turns[n].digest, n + 2, b"kept %d" % n) for n in (0, 1, 3)]
    await store.append("c", [*turns[:2], *sides[:2]])
    await store.append("c", [*turns[2:], sides[2]])
    for length in range(1, 5):
        assert await store.path("c", turns[length - 1].digest) == digests(turns[:length])
    assert await store.path("c", sides[1].digest) == [*digests(turns[:2]), sides[1].digest]
    assert await store.read("c", digests(sides)) == [b"kept 0", b"kept 1", b"kept 3"]


async def test_of_two_payloads_for_a_side_entry_the_first_stands(open_again: OpenStore, store_url: str) -> None:
    stores = [await open_again() for _ in range(1 if store_url == "memory://" else 2)]
    (turn,) = branch("a", 1)
    payloads = [b"first", *(b"later %d" % n for n in range(8))]
    entries = [Entry(digest("side"), turn.digest, 2, payload) for payload in payloads]
    await stores[0].append("c", [turn, entries[0]])
    await asyncio.gather(*(stores[n % len(stores)].append("c", [entry]) for n, entry in enumerate(entries)))
    for store in stores:
        assert await store.read("c", [digest("side")]) == [b"first"]


async def test_one_call_may_hold_the_same_entry_twice(store: Store) -> None:
    (entry,) = branch("a", 1)
    await store.append("c", [entry, Entry(entry.digest, ROOT, 1, b"later")])
    assert await store.read("c", [entry.digest]) == [entry.payload]


async def test_empty_questions_have_empty_answers(store: Store) -> None:
    await store.append("c", [])
    assert await store.known("c", []) == []
    assert await store.read("c", []) == []
    assert await store.conversations(10) == []


async def test_known_and_read_keep_order_and_duplicates(store: Store) -> None:
    a, b = branch("a", 2)
    await store.append("c", [a, b])
    asked = [b.digest, digest("nobody"), a.digest, b.digest]
    assert await store.known("c", asked) == [True, False, True, True]
    assert await store.read("c", asked) == [b.payload, None, a.payload, b.payload]


async def test_an_empty_payload_is_not_an_unknown_one(store: Store) -> None:
    await store.append("c", [Entry(digest("x"), ROOT, 1, b"")])
    assert await store.read("c", [digest("x"), digest("y")]) == [b"", None]


async def test_payloads_are_opaque_bytes(store: Store) -> None:
    payloads = [b"\x00", b"nul \x00 within", bytes(range(256)), b"\xff\xfe", b"\r\n$5\r\n", b"\x00\xff" * 500_000]
    entries = [Entry(digest(f"p{n}"), ROOT, 1, payload) for n, payload in enumerate(payloads)]
    await store.append("c", entries)
    assert await store.read("c", digests(entries)) == payloads


async def test_digests_may_hold_any_byte(store: Store) -> None:
    first = Entry(b"\x00" * 8 + b"\xff" * 8, b"\r\n" * 8, 1, b"1")
    second = Entry(b"%{}*" * 4, first.digest, 2, b"2")
    await store.append("c", [first, second])
    assert await store.path("c", second.digest) == [first.digest, second.digest]


async def test_the_path_of_a_linear_log_is_the_log(store: Store) -> None:
    entries = branch("a", 5)
    await store.append("c", entries[::-1])
    for length in range(1, 6):
        assert await store.path("c", entries[length - 1].digest) == digests(entries[:length])


async def test_a_fork_has_two_paths(store: Store) -> None:
    trunk = branch("trunk", 4)
    left = branch("left", 2, parent=trunk[2].digest, first_seq=4)
    await store.append("c", [*trunk, *left])
    assert await store.path("c", trunk[-1].digest) == digests(trunk)
    assert await store.path("c", left[-1].digest) == digests(trunk[:3]) + digests(left)


async def test_the_path_to_an_unknown_digest_is_empty(store: Store) -> None:
    await store.append("c", branch("a", 3))
    assert await store.path("c", digest("nobody")) == []
    assert await store.path("d", digests(branch("a", 3))[-1]) == []


@pytest.mark.parametrize("missing", [0, 2])
async def test_a_missing_link_is_an_error(store: Store, missing: int) -> None:
    entries = branch("a", 5)
    await store.append("c", [entry for n, entry in enumerate(entries) if n != missing])
    with pytest.raises(StoreError, match=f"turn {missing + 1} of a log is missing"):
        await store.path("c", entries[-1].digest)


async def test_a_circle_is_an_error_and_ends(store: Store) -> None:
    a, b = digest("a"), digest("b")
    await store.append("c", [Entry(a, b, 2, b""), Entry(b, a, 3, b"")])
    with pytest.raises(StoreError, match=r"broken|missing"):
        await store.path("c", b)


async def test_a_long_log_is_walked_read_and_known(store: Store) -> None:
    entries = branch("long", 3000)
    await store.append("c", entries)
    assert await store.path("c", entries[-1].digest) == digests(entries)
    assert await store.path("c", entries[999].digest) == digests(entries[:1000])
    assert await store.read("c", digests(entries)) == [entry.payload for entry in entries]
    assert await store.known("c", [*digests(entries), digest("nobody")]) == [True] * 3000 + [False]
