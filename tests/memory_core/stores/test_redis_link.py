"""Redis that is dead, hung, gone and back: every call ends in time, and a dead one costs nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import SSLConnection

from memory_core.stores import StoreError
from memory_core.stores.redis import RedisStore
from memory_core.stores.redis_link import FAILURES_MAX, PAUSE_S, Breaker, connect
from tests.support.redis_server import RedisServer, free_port
from tests.support.store_places import branch, digests

pytest_plugins = ["tests.support.redis_server"]

TIMEOUT_S = 0.3
SLACK_S = 1.0  # for a machine that is busy with other things


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def fails_within(seconds: float, match: str) -> AsyncIterator[None]:
    began = time.monotonic()
    with pytest.raises(StoreError, match=match):
        yield
    assert time.monotonic() - began < seconds


async def test_nobody_listens() -> None:
    async with fails_within(TIMEOUT_S + SLACK_S, "Connection"):
        await RedisStore.open(f"redis://127.0.0.1:{free_port()}/0", timeout_s=TIMEOUT_S)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+cluster", "redis+sentinel"])
async def test_somebody_listens_and_never_answers(scheme: str) -> None:
    gone = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with fails_within(TIMEOUT_S + SLACK_S, rf"{scheme.replace('+', '.')}://127.0.0.1:{port}"):
            await RedisStore.open(f"{scheme}://127.0.0.1:{port}/0", timeout_s=TIMEOUT_S)
        gone.set()


@pytest.mark.slow
async def test_a_hung_redis_costs_three_time_outs_and_then_nothing(own_redis: RedisServer) -> None:
    clock = Clock()
    store = await RedisStore.open(own_redis.url, timeout_s=TIMEOUT_S, clock=clock)
    await store.append("c", branch("a", 3))
    own_redis.hang()
    for _ in range(FAILURES_MAX):
        async with fails_within(TIMEOUT_S + SLACK_S, "did not answer within 0.3 s"):
            await store.read("c", digests(branch("a", 3)))
    async with fails_within(TIMEOUT_S / 2, "failed 3 times in a row"):
        await store.read("c", digests(branch("a", 3)))
    own_redis.go_on()
    async with fails_within(TIMEOUT_S / 2, "failed 3 times in a row"):  # it is not asked before its time
        await store.read("c", digests(branch("a", 3)))
    clock.now_s += PAUSE_S
    assert await store.path("c", branch("a", 3)[-1].digest) == digests(branch("a", 3))
    await store.aclose()


@pytest.mark.slow
async def test_a_redis_that_died_is_found_again(own_redis: RedisServer) -> None:
    clock = Clock()
    store = await RedisStore.open(own_redis.url, timeout_s=2.0, clock=clock)
    await asyncio.gather(*(store.append("c", [entry]) for entry in branch("a", 40)))
    own_redis.stop()
    for _ in range(FAILURES_MAX):
        async with fails_within(2.0 + SLACK_S, "Connection"):
            await store.load("c")
    async with fails_within(TIMEOUT_S, "failed 3 times in a row"):
        await store.load("c")
    clock.now_s += PAUSE_S
    async with fails_within(2.0 + SLACK_S, "Connection"):  # the probe
        await store.load("c")
    async with fails_within(TIMEOUT_S, "failed 3 times in a row"):
        await store.load("c")
    own_redis.start()
    clock.now_s += PAUSE_S
    assert await store.load("c") is None  # the probe; this server keeps nothing on disk
    ended = await asyncio.gather(*(store.append("c", [entry]) for entry in branch("b", 40)))
    assert ended == [1] * 40  # no connection of before is used as it was
    await store.aclose()


async def test_a_restart_between_two_calls_is_not_noticed(own_redis: RedisServer) -> None:
    store = await RedisStore.open(own_redis.url)
    await store.append("c", branch("a", 3))
    await asyncio.to_thread(own_redis.stop)
    await asyncio.to_thread(own_redis.start)
    assert await store.known("c", digests(branch("a", 1))) == [False]
    await store.append("c", branch("a", 3))
    assert await store.path("c", branch("a", 3)[-1].digest) == digests(branch("a", 3))
    await store.aclose()


@pytest.mark.slow
async def test_waiting_for_a_connection_ends_too(own_redis: RedisServer) -> None:
    store = await RedisStore.open(own_redis.url, timeout_s=TIMEOUT_S)
    own_redis.hang()
    began = time.monotonic()
    ended = await asyncio.gather(*(store.load("c") for _ in range(200)), return_exceptions=True)
    assert [type(end) for end in ended] == [StoreError] * 200
    assert time.monotonic() - began < TIMEOUT_S + SLACK_S
    own_redis.go_on()
    await store.aclose()


def test_the_breaker_opens_probes_and_closes() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(FAILURES_MAX):
        assert breaker.admits()
        breaker.settle(alive=False)
    assert not breaker.admits()
    clock.now_s += PAUSE_S
    assert breaker.admits()
    assert not breaker.admits(), "one probe at a time"
    breaker.settle(alive=False)
    assert not breaker.admits(), "a failed probe opens it again"
    clock.now_s += PAUSE_S
    assert breaker.admits()
    breaker.settle(alive=None)
    assert breaker.admits(), "a cancelled probe makes room for another"
    breaker.settle(alive=True)
    assert [breaker.admits() for _ in range(5)] == [True] * 5


def test_the_breaker_counts_failures_in_a_row() -> None:
    breaker = Breaker(Clock())
    for alive in (False, False, True, False, None, False):
        assert breaker.admits()
        breaker.settle(alive=alive)
    assert breaker.admits()


@pytest.mark.parametrize(
    "url",
    [
        "redis",
        "redis://host:port/0",
        "redis://[::1/0",
        "redis://host/0?socket_timeout=soon",
        "redis+sentinel://host:26379",
        "redis+sentinel://host/main/zero",
        "redis+cluster://a:1,b:two",
    ],
)
def test_a_url_that_cannot_be_read_is_named(url: str) -> None:
    with pytest.raises(StoreError, match="not a URL that can be read"):
        connect(url, timeout_s=1.0)


async def test_tls_is_asked_for_by_url() -> None:
    (plain,), (tls,) = connect("redis://h", 1.0), connect("rediss://h", 1.0)
    behind, *sentinels = connect("redis+sentinel://h/main?ssl=true", 1.0)
    (cluster,) = connect("redis+cluster://h?ssl=true", 1.0)
    classes = [client.connection_pool.connection_class for client in (plain, tls, behind, *sentinels)]
    assert [issubclass(one, SSLConnection) for one in classes] == [False, True, True, True]
    assert cluster.connection_kwargs["connection_class"] is SSLConnection
