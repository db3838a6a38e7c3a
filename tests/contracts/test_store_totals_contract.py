"""The store protocol, totals: sums, listing, bounds, two writers, deleting and dying, on all stores."""

import asyncio
import math
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from memory_core.stores import KINDS, OTHER, ConversationSummary, LedgerEntry, Store, StoreError, Tally, Total
from memory_core.stores.redis import RedisStore
from memory_core.stores.sqlite import SqliteStore
from tests.support.store_places import TIMEOUT_S, OpenStore

pytest_plugins = ["tests.support.store_places"]

REPOSITORY = Path(__file__).parents[2]
ONE = {"requests": 1.0}
NAMES = [
    "a",
    "a:total",
    "a}",
    "{a",
    "{a}",
    "a%7D",
    "%7B",
    "}",
    "",
    " ",
    "A",
    "a\x00",
    "a\x00b",
    "a*",
    "ä 🦊",
    "x" * 2000,
]


def of_model(name: str, amounts: Mapping[str, float] = ONE) -> Tally:
    return Tally("model", name, amounts)


async def test_nothing_counted_is_an_empty_listing(store: Store) -> None:
    await store.record(LedgerEntry("c", b"row", at=1.0))
    for kind in (*KINDS, "never heard of"):
        assert await store.totals(kind, 9) == []


async def test_each_field_is_summed_by_kind_and_name(store: Store) -> None:
    for n, model in enumerate(["m", "n", "m"]):
        amounts = {"requests": 1, "paid": 0.25 * n, "saved": -1.5}
        await store.record(
            LedgerEntry(
                "t/c",
                b"row",
                float(n),
                [of_model(model, amounts), Tally("tenant", "t", amounts), Tally("day", "m", ONE)],
            )
        )
    assert await store.totals("model", 9) == [
        Total("m", {"requests": 2.0, "paid": 0.5, "saved": -3.0}, 2.0),
        Total("n", {"requests": 1.0, "paid": 0.25, "saved": -1.5}, 1.0),
    ]
    assert await store.totals("tenant", 9) == [Total("t", {"requests": 3.0, "paid": 0.75, "saved": -4.5}, 2.0)]
    assert await store.totals("day", 9) == [Total("m", {"requests": 3.0}, 2.0)]
    assert await store.totals("conversation", 9) == []
    assert await store.rows("t/c", 9) == [b"row"] * 3


async def test_small_amounts_add_up(store: Store) -> None:
    for _ in range(100):
        await store.record(LedgerEntry("c", b"row", 1.0, [of_model("m", {"paid": 1e-7, "tokens": 2**40 + 1})]))
    (total,) = await store.totals("model", 1)
    assert total.amounts["paid"] == pytest.approx(1e-5, rel=1e-9)
    assert total.amounts["tokens"] == 100 * (2**40 + 1)


async def test_a_row_may_count_twice_and_nothing(store: Store) -> None:
    await store.record(
        LedgerEntry("c", b"row", 1.0, [of_model("m"), of_model("m"), of_model("none", {}), of_model("zero", {"x": 0})])
    )
    expected = [Total("m", {"requests": 2.0}, 1.0), Total("none", {}, 1.0), Total("zero", {"x": 0.0}, 1.0)]
    assert await store.totals("model", 9) == expected


async def test_totals_come_newest_first_then_by_name(store: Store) -> None:
    for kind in ("model", "conversation"):
        for name, at in (
            ("old", 1.5),
            ("b", 7.25),
            ("a", 7.25),
            ("new", 1_700_000_000.123456),
            ("old", 8.0),
            ("b", 2.0),
        ):
            await store.record(LedgerEntry("c", b"row", at, [Tally(kind, name, ONE)]))
        listed = [(total.name, total.at) for total in await store.totals(kind, 9)]
        assert listed == [("new", 1_700_000_000.123456), ("old", 8.0), ("a", 7.25), ("b", 7.25)]
        assert [total.name for total in await store.totals(kind, 3)] == ["new", "old", "a"]
        assert await store.totals(kind, 0) == []
        assert await store.totals(kind, -1) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_totals_with_similar_names_do_not_touch(store: Store, kind: str) -> None:
    for n, name in enumerate(NAMES):
        await store.record(LedgerEntry("c", b"row", 1.0, [Tally(kind, name, {name: n + 1.0, "n": 0.5})]))
    for _ in range(2):
        listed = await store.totals(kind, 99)
        assert listed == [Total(name, {name: NAMES.index(name) + 1.0, "n": 0.5}, 1.0) for name in sorted(NAMES)]
        await store.delete("total")  # neither a total's name nor a part of its place


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf, 10**400])
async def test_an_amount_that_is_not_finite_is_refused_and_nothing_written(store: Store, amount: float) -> None:
    with pytest.raises(ValueError, match="paid"):
        await store.record(
            LedgerEntry("c", b"row", 1.0, [of_model("fine"), of_model("m", {"requests": 1, "paid": amount})])
        )
    await assert_untouched(store)


async def test_an_unknown_kind_is_refused_and_nothing_written(store: Store) -> None:
    with pytest.raises(ValueError, match="'colour', only by conversation, model, tenant, day"):
        await store.record(LedgerEntry("c", b"row", 1.0, [of_model("fine"), Tally("colour", "red", ONE)]))
    await assert_untouched(store)


@pytest.mark.parametrize("kind", ["model", "conversation"])
@pytest.mark.parametrize("where", ["name", "field"])
async def test_a_name_that_is_not_unicode_is_a_store_error_and_nothing_written(
    store: Store, kind: str, where: str
) -> None:
    bad = Tally(kind, "\ud800", ONE) if where == "name" else Tally(kind, "m", {"a": 1.0, "\udfff": 1.0})
    with pytest.raises(StoreError):
        await store.record(LedgerEntry("c", b"row", 1.0, [of_model("fine"), bad]))
    await assert_untouched(store)


async def assert_untouched(store: Store) -> None:
    assert await store.rows("c", 9) == []
    assert await store.conversations(9) == []
    for kind in KINDS:
        assert await store.totals(kind, 9) == []


async def test_amounts_may_be_any_real_number(store: Store) -> None:
    for amount in (1, True, np.float32(0.5), np.float64(0.25), np.int64(3)):
        await store.record(
            LedgerEntry("c", b"row", 1.0, [of_model("m", {"x": amount}), Tally("conversation", "c", {"x": amount})])
        )
    assert await store.totals("model", 1) == [Total("m", {"x": 5.75}, 1.0)]
    assert await store.totals("conversation", 1) == [Total("c", {"x": 5.75}, 1.0)]


async def test_writers_at_once_lose_no_increment(open_again: OpenStore, store_url: str) -> None:
    stores = [await open_again() for _ in range(1 if store_url == "memory://" else 2)]
    for store in stores:
        assert await store.totals("model", 9) == []  # both are at work
    tallies = [Tally(kind, name, {"requests": 1, "paid": 0.125}) for kind in KINDS for name in ("m", "n")]
    await asyncio.gather(
        *(stores[n % len(stores)].record(LedgerEntry(f"c{n % 3}", b"row", float(n), tallies)) for n in range(120))
    )
    for store in stores:
        for kind in KINDS:
            expected = [Total(name, {"requests": 120.0, "paid": 15.0}, 119.0) for name in ("m", "n")]
            assert await store.totals(kind, 9) == expected


async def test_delete_forgets_the_total_of_the_conversation_alone(store: Store) -> None:
    for name in ("c", "d"):
        for kind in KINDS:
            await store.record(LedgerEntry(name, b"row", 5.0, [Tally(kind, "c", ONE), Tally(kind, name, ONE)]))
    before = [await store.totals(kind, 9) for kind in KINDS]
    await store.delete("c")
    await store.delete("never was")
    assert await store.totals("conversation", 9) == [Total("d", ONE, 5.0)]
    assert [await store.totals(kind, 9) for kind in KINDS[1:]] == before[1:]
    await store.record(
        LedgerEntry("c", b"row", 1.0, [Tally("conversation", "c", {"paid": 2.0})])
    )  # it begins again, from nothing
    assert await store.totals("conversation", 9) == [Total("d", ONE, 5.0), Total("c", {"paid": 2.0}, 1.0)]


@pytest.fixture
async def bounded(store_url: str) -> AsyncIterator[Store]:
    """A store that tells three names of a kind apart."""
    opened: Store
    if store_url.startswith("redis"):
        opened = await RedisStore.open(store_url, timeout_s=TIMEOUT_S, names_max=3)
    else:
        opened = await SqliteStore.open(store_url, timeout_s=TIMEOUT_S, names_max=3)
    yield opened
    await opened.aclose()


@pytest.mark.parametrize("kind", KINDS[1:])
async def test_further_names_are_counted_as_other(bounded: Store, kind: str) -> None:
    for n in range(6):
        await bounded.record(LedgerEntry("c", b"row", float(n), [Tally(kind, f"name {n}", {"requests": 1, "n": n})]))
    await bounded.record(LedgerEntry("c", b"row", 9.0, [Tally(kind, "name 1", {"n": 10})]))  # what is known stays so
    await bounded.record(LedgerEntry("c", b"row", 2.5, [Tally(kind, "late", {"late": 1})]))
    await bounded.record(LedgerEntry("c", b"row", 2.5, [Tally(kind, OTHER, {"n": 100})]))
    assert await bounded.totals(kind, 9) == [
        Total("name 1", {"requests": 1.0, "n": 11.0}, 9.0),
        Total(OTHER, {"requests": 3.0, "n": 3.0 + 4.0 + 5.0 + 100.0, "late": 1.0}, 5.0),
        Total("name 2", {"requests": 1.0, "n": 2.0}, 2.0),
        Total("name 0", {"requests": 1.0, "n": 0.0}, 0.0),
    ]
    others = set(KINDS) - {kind}
    assert [await bounded.totals(other, 9) for other in others] == [[]] * len(others)


async def test_new_names_at_once_stay_within_the_bound(bounded: Store) -> None:
    names = [f"name {n}" for n in range(40)]
    await asyncio.gather(
        *(bounded.record(LedgerEntry("c", b"row", 1.0, [of_model(name), of_model(name)])) for name in names)
    )
    listed = await bounded.totals("model", 99)
    assert len(listed) == 4
    assert {total.name: total.amounts["requests"] for total in listed}[OTHER] == 2 * 37
    assert sum(total.amounts["requests"] for total in listed) == 2 * 40


async def test_conversations_are_not_bounded(bounded: Store) -> None:
    for n in range(9):
        await bounded.record(LedgerEntry(f"c{n}", b"row", 1.0, [Tally("conversation", f"c{n}", ONE)]))
    assert [total.name for total in await bounded.totals("conversation", 99)] == [f"c{n}" for n in range(9)]


async def test_what_was_counted_is_there_after_reopening(open_again: OpenStore, store_url: str) -> None:
    if store_url == "memory://":
        pytest.skip("memory:// ends with its store")
    first = await open_again()
    await first.record(LedgerEntry("c", b"row", 1.0, [of_model("m", {"paid": 0.1})]))
    await first.aclose()
    second = await open_again()
    await second.record(LedgerEntry("c", b"row", 2.0, [of_model("m", {"paid": 0.2})]))
    (total,) = await second.totals("model", 9)
    assert (total.name, total.amounts["paid"], total.at) == ("m", pytest.approx(0.3), 2.0)


RECORD_FOR_EVER = """
import asyncio, sys
from memory_core.stores import KINDS, LedgerEntry, Tally, open_store
async def main():
    store = await open_store(sys.argv[1], timeout_s=30)
    tallies = [Tally(kind, "c", {"requests": 1, "paid": 0.25}) for kind in KINDS]
    for n in range(1, 100_000):
        await store.record(LedgerEntry("c", b"row", float(n), tallies))
        print(n, flush=True)
asyncio.run(main())
"""


@pytest.mark.slow
async def test_row_and_totals_survive_kill_9_together(open_again: OpenStore, store_url: str) -> None:
    if store_url == "memory://":
        pytest.skip("memory:// ends with its process")
    command = [sys.executable, "-c", RECORD_FOR_EVER, store_url]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(150)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
    assert writer.returncode == -signal.SIGKILL
    store = await open_again()
    (summary,) = await store.conversations(9)
    assert acknowledged[-1] <= summary.rows <= acknowledged[-1] + 1
    assert summary == ConversationSummary("c", summary.rows, float(summary.rows))
    for kind in KINDS:
        expected = Total("c", {"requests": float(summary.rows), "paid": 0.25 * summary.rows}, float(summary.rows))
        assert await store.totals(kind, 9) == [expected]
