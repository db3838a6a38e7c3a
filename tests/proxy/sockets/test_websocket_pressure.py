"""Who does not read makes the other side wait: nothing grows, nothing is lost, nobody is kept when one is gone."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.support.websocket_upstreams import connected, relayed

pytestmark = pytest.mark.slow  # real sockets, and time that passes

PIECE = 2**16
PIECES = 2_048
"""128 MiB; the kernel alone may hold some MiB between any two of us."""
WAITING_MAX = PIECES // 4


async def pours(send: Callable[[bytes], Awaitable[None]], sent: list[int]) -> None:
    """Numbered pieces, as fast as they are taken."""
    for number in range(PIECES):
        await send(number.to_bytes(4, "big") * (PIECE // 4))
        sent[0] += 1


async def stalled(sent: list[int]) -> int:
    """How much was sent when nothing went on for a while."""
    async with asyncio.timeout(20):
        before = -1
        while before != sent[0] or not sent[0]:
            before = sent[0]
            await asyncio.sleep(0.3)
    return before


async def arrive(receive: Callable[[], Awaitable[object]]) -> None:
    for number in range(PIECES):
        piece = await receive()
        assert isinstance(piece, bytes)
        assert len(piece) == PIECE
        assert piece[:4] == number.to_bytes(4, "big")


async def test_a_client_that_does_not_read_makes_the_upstream_wait():
    sent = [0]

    async def handler(upstream: ServerConnection) -> None:
        await pours(upstream.send, sent)
        await upstream.wait_closed()

    async with relayed(handler) as url, connected(url, max_queue=1) as client, asyncio.timeout(30):
        assert await stalled(sent) < WAITING_MAX
        await arrive(client.recv)


async def test_an_upstream_that_does_not_read_makes_the_client_wait():
    read, done = asyncio.Event(), asyncio.Event()
    sent = [0]

    async def handler(upstream: ServerConnection) -> None:
        await read.wait()
        await arrive(upstream.recv)
        done.set()
        await upstream.wait_closed()

    async with relayed(handler, max_queue=1) as url, connected(url) as client, asyncio.timeout(30):
        pouring = asyncio.create_task(pours(client.send, sent))
        assert await stalled(sent) < WAITING_MAX
        read.set()
        await pouring
        await done.wait()


async def test_a_client_that_leaves_while_it_does_not_read_is_let_go():
    gone = asyncio.Event()

    async def handler(upstream: ServerConnection) -> None:
        try:
            await pours(upstream.send, [0])
        except ConnectionClosed:
            gone.set()

    async with relayed(handler) as url:
        client = await connected(url, max_queue=1)
        await asyncio.sleep(0.3)
        client.transport.abort()
        async with asyncio.timeout(5):
            await gone.wait()


async def test_both_sides_pour_at_once():
    async def handler(upstream: ServerConnection) -> None:
        await asyncio.gather(pours(upstream.send, [0]), arrive(upstream.recv))
        await upstream.close(4000, "all of it")

    async with relayed(handler) as url, connected(url) as client, asyncio.timeout(60):
        await asyncio.gather(pours(client.send, [0]), arrive(client.recv))
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (4000, "all of it")
