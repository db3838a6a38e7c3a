"""An answer may take its time, but not for ever: silence, and the whole of it; a slow reader is another matter."""

import asyncio
import time
from contextlib import asynccontextmanager

import httpx
import pytest

from proxy.demo.serving import serve_app
from proxy.errors import UpstreamTimeoutError
from proxy.patience import Patience
from proxy.transport import PooledTransport
from proxy.upstream import Target, Upstream
from tests.support.upstreams import canned, never_answers

pytestmark = pytest.mark.slow  # they wait for time to pass


def trickles(gap_s: float, pieces: int):
    """A stream of so many pieces, so far apart."""
    return canned(b"x" * pieces, cut=1, pause_s=gap_s)


@asynccontextmanager
async def answered(app, **seconds: float):
    """The response of an upstream with these time-outs."""
    transport = PooledTransport()
    patience = Patience(**{"connect_s": 5, "first_byte_s": 5, "idle_s": 5, **seconds})
    async with serve_app(app, stop_timeout_s=1) as port:
        upstream = Upstream(Target(f"http://127.0.0.1:{port}"), transport, patience)
        try:
            response = await upstream.send("POST", "/", b"", [], b"{}")
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            await transport.aclose()


async def test_a_stream_that_never_pauses_for_long_may_take_its_time():
    async with answered(trickles(0.05, 12), idle_s=0.3) as response:
        assert b"".join([chunk async for chunk in response.stream]) == b"x" * 12


async def test_the_whole_answer_has_a_time_out_however_it_trickles():
    async with answered(trickles(0.05, 100), idle_s=2, total_s=0.5) as response:
        started = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            [chunk async for chunk in response.stream]
        assert 0.3 < time.monotonic() - started < 1.5


async def test_a_slow_reader_is_no_silence_of_the_upstream():
    async with answered(trickles(0.01, 5), idle_s=0.2) as response:
        heard = b""
        async for chunk in response.stream:
            heard += chunk
            await asyncio.sleep(0.5)
    assert heard == b"x" * 5


async def test_who_cancels_the_reader_is_not_taken_for_a_time_out():
    async with answered(never_answers(asyncio.Event(), asyncio.Event(), first=b"data: 1\n\n"), idle_s=5) as response:
        first = asyncio.Event()

        async def read() -> None:
            async for _ in response.stream:
                first.set()

        reading = asyncio.create_task(read())
        await asyncio.wait_for(first.wait(), 5)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_the_first_byte_may_take_longer_than_a_later_silence():
    async def thinks(scope, receive, send):
        await asyncio.sleep(0.6)
        await canned(b"x")(scope, receive, send)

    async with answered(thinks, first_byte_s=3, idle_s=0.2) as response:
        assert b"".join([chunk async for chunk in response.stream]) == b"x"


async def test_a_first_byte_that_does_not_come_in_time():
    async def thinks(scope, receive, send):
        await asyncio.sleep(1)

    started = time.monotonic()
    with pytest.raises(UpstreamTimeoutError):
        async with answered(thinks, first_byte_s=0.2, idle_s=3):
            pytest.fail("it has answered")
    assert time.monotonic() - started < 3


async def test_an_upload_may_take_longer_than_an_answer_s_first_byte():
    async def slowly():
        for _ in range(6):
            await asyncio.sleep(0.1)
            yield b"x"

    transport = PooledTransport()
    async with serve_app(canned(b"ok"), stop_timeout_s=1) as port:
        try:
            upstream = Upstream(Target(f"http://127.0.0.1:{port}"), transport, Patience(5, 0.3, 5))
            response = await upstream.send("POST", "/", b"", [(b"transfer-encoding", b"chunked")], slowly())
            assert response.status_code == 200
            await response.aclose()
        finally:
            await transport.aclose()
