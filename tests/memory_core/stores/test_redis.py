"""What is Redis's own: its keys, its bounds, its memory, and other places than one plain server."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from memory_core.stores import (
    KINDS,
    ConversationSummary,
    Entry,
    LedgerEntry,
    StoreError,
    StoreMismatchError,
    Tally,
    Total,
)
from memory_core.stores.redis import RedisStore
from tests.support.redis_server import RedisServer
from tests.support.store_places import branch, digests, snapshot

pytest_plugins = ["tests.support.redis_server"]

START_S = 20.0


async def fill(store: RedisStore, conversation: str) -> None:
    await store.append(conversation, branch("a", 3))
    await store.save(conversation, snapshot(1))
    tallies = [Tally(kind, conversation, {"requests": 1.0}) for kind in KINDS]
    await store.record(LedgerEntry(conversation, b"row", at=1.0, totals=tallies))


async def works(store: RedisStore) -> None:
    """Every kind of call, once."""
    assert await store.pin("name", b"value") == b"value"
    await fill(store, "c")
    assert await store.known("c", digests(branch("a", 4))) == [True, True, True, False]
    assert await store.read("c", digests(branch("a", 1))) == [b"a payload 1"]
    assert await store.path("c", branch("a", 3)[-1].digest) == digests(branch("a", 3))
    assert await store.load("c") == snapshot(1)
    assert await store.rows("c", 1) == [b"row"]
    assert await store.conversations(1) == [ConversationSummary("c", 1, 1.0)]
    for kind in KINDS:
        assert await store.totals(kind, 1) == [Total("c", {"requests": 1.0}, 1.0)]
    await store.delete("c")
    assert await store.load("c") is None
    assert await store.totals("conversation", 1) == []


async def test_keys_of_a_conversation_share_a_tag_and_never_expire(redis_url: str) -> None:
    store = await RedisStore.open(redis_url)
    await fill(store, "tenant/chat")
    await fill(store, "}brace%")
    async with Redis.from_url(redis_url) as client:
        keys = {key async for key in client.scan_iter()}
        tags = ("tenant/chat", "%7Dbrace%25")
        parts = ("log", "parents", "snapshot", "ledger", "recorded", "total")
        expected = {f"isocost:{{{tag}}}:{part}".encode() for tag in tags for part in parts}
        kept = {
            f"isocost:total:{{{kind}}}:{name}".encode() for kind in KINDS[1:] for name in ("tenant/chat", "}brace%")
        }
        kept |= {f"isocost:totals:{{{kind}}}".encode() for kind in KINDS[1:]} | {b"isocost:format"}
        assert keys == expected | kept | {b"isocost:conversations", b"isocost:totals:{conversation}"}
        assert {await client.ttl(key) for key in keys} == {-1}
        await store.delete("tenant/chat")
        await store.delete("}brace%")
        assert {key async for key in client.scan_iter()} == kept
    await store.aclose()


async def test_the_ledger_keeps_the_newest_rows_and_counts_all(redis_url: str) -> None:
    store = await RedisStore.open(redis_url, rows_max=3)
    for n in range(5):
        await store.record(LedgerEntry("c", b"%d" % n, at=float(n)))
    assert await store.rows("c", 99) == [b"2", b"3", b"4"]
    assert await store.conversations(9) == [ConversationSummary("c", 5, 4.0)]
    await store.aclose()


async def test_another_format_is_refused_and_left_as_it_is(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        await client.set("isocost:format", b"2")
        with pytest.raises(StoreMismatchError, match="another isocost format"):
            await RedisStore.open(redis_url)
        assert [key async for key in client.scan_iter()] == [b"isocost:format"]
        assert await client.get("isocost:format") == b"2"


async def test_a_full_redis_says_so_reads_on_and_recovers(own_redis: RedisServer) -> None:
    store = await RedisStore.open(own_redis.url)
    await store.append("c", branch("a", 3))
    own_redis.command("CONFIG", "SET", "maxmemory", "1")
    for _ in range(5):  # more often than the breaker takes failures: a full Redis is alive
        with pytest.raises(StoreError, match=r"out of memory \(OOM\)"):
            await store.append("c", branch("a", 5))
    with pytest.raises(StoreError, match="OOM"):
        await store.save("c", snapshot(1))
    with pytest.raises(StoreError, match="OOM"):
        await store.record(LedgerEntry("c", b"row", 1.0, [Tally(kind, "c", {"requests": 1.0}) for kind in KINDS]))
    assert [await store.totals(kind, 9) for kind in KINDS] == [[]] * len(KINDS)
    assert await store.path("c", branch("a", 3)[-1].digest) == digests(branch("a", 3))
    assert await store.known("c", digests(branch("a", 5))[3:]) == [False, False]
    assert await store.read("c", digests(branch("a", 5))[3:]) == [None, None]
    another = await RedisStore.open(own_redis.url)
    assert await another.conversations(9) == []
    await another.delete("c")
    own_redis.command("CONFIG", "SET", "maxmemory", "0")
    await works(another)
    await another.aclose()
    await store.aclose()


async def test_a_replica_is_refused(own_redis: RedisServer) -> None:
    own_redis.command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreError, match="read-only replica"):
        await RedisStore.open(own_redis.url)


async def test_many_calls_share_few_connections(own_redis: RedisServer) -> None:
    store = await RedisStore.open(own_redis.url, timeout_s=10.0)
    entries = branch("a", 300)
    await asyncio.gather(*(store.append("c", [entry]) for entry in entries))
    assert await store.path("c", entries[-1].digest) == digests(entries)
    async with Redis.from_url(own_redis.url) as client:
        assert (await client.info("clients"))["connected_clients"] <= 32 + 1
        await store.aclose()
        async with asyncio.timeout(START_S):  # Redis itself may see to this client before it sees that the others went
            while (await client.info("clients"))["connected_clients"] > 1:
                await asyncio.sleep(0.01)


async def test_cancelled_calls_give_their_connection_back_clean(own_redis: RedisServer) -> None:
    store = await RedisStore.open(own_redis.url)
    await store.append("c", [Entry(one.digest, one.parent, one.seq, one.payload * 100) for one in branch("a", 200)])
    for hops in range(60):  # cancelled at every stage: waiting, connecting, sending, reading
        tasks = [asyncio.create_task(store.read("c", digests(branch("a", 200)))) for _ in range(3)]
        for _ in range(hops):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    answers = await asyncio.gather(*(store.read("c", [one]) for one in digests(branch("a", 64))))
    assert answers == [[f"a payload {seq}".encode() * 100] for seq in range(1, 65)]
    await store.aclose()


async def test_a_password_is_used_and_never_told(redis_program: str, tmp_path: Path) -> None:
    server = RedisServer(redis_program, tmp_path, "--requirepass", "s3cret@?/")
    server.start()
    try:
        store = await RedisStore.open(f"redis://:s3cret%40%3F%2F@127.0.0.1:{server.port}/0")
        await works(store)
        await store.aclose()
        for password in ("s3cret", "s3cret@?/"):  # the second is not a URL
            with pytest.raises(StoreError) as caught:
                await RedisStore.open(f"redis://:{password}@127.0.0.1:{server.port}/0")
            assert f"127.0.0.1:{server.port}" in str(caught.value)
            assert "s3cret" not in str(caught.value)
            assert "s3cret" not in str(caught.value.__cause__)
    finally:
        server.stop()


@pytest.fixture
def cluster(redis_program: str, tmp_path: Path) -> Iterator[RedisServer]:
    """A cluster of one node: it holds all slots, and refuses what crosses them as a large one does."""
    server = RedisServer(redis_program, tmp_path, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")
    server.start()
    assert server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383").startswith(b"+OK")
    yield server
    server.stop()


@pytest.mark.slow
async def test_a_cluster(cluster: RedisServer) -> None:
    url = f"redis+cluster://127.0.0.1:{cluster.port},127.0.0.1:1"
    async with asyncio.timeout(START_S):  # it takes a moment to call itself well
        while b"cluster_state:ok" not in cluster.command("CLUSTER", "INFO"):
            await asyncio.sleep(0.01)
    store = await RedisStore.open(url)
    await works(store)
    for name in ("}", "{a}", "b"):
        await fill(store, name)
        await store.delete(name)
    await store.aclose()


@pytest.mark.slow
async def test_a_master_behind_sentinel(own_redis: RedisServer, redis_program: str, tmp_path: Path) -> None:
    settings = tmp_path / "sentinel.conf"
    settings.write_text(f"sentinel monitor main 127.0.0.1 {own_redis.port} 1\nbind 127.0.0.1\n")
    sentinel = RedisServer(redis_program, tmp_path, str(settings), "--sentinel")
    sentinel.start()
    silent = socket.create_server(("127.0.0.1", 0))
    try:
        # one sentinel is dead, one accepts and never answers: the third is asked, in time
        place = f"127.0.0.1:1,127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{sentinel.port}"
        store = await RedisStore.open(f"redis+sentinel://{place}/main/3")
        await works(store)
        await fill(store, "kept")
        await store.aclose()
        assert b"db3:" in own_redis.command("INFO", "keyspace")
        with pytest.raises(StoreError, match="nobody"):
            await RedisStore.open(f"redis+sentinel://{place}/nobody")
    finally:
        silent.close()
        sentinel.stop()
