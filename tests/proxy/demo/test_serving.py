"""An app on a port: started, stopped, and its failures told."""

import asyncio
import signal
import socket

import httpx
import pytest
from starlette.responses import PlainTextResponse

from proxy.demo.serving import serve_app


class App:
    """Says hello; its lifespan can fail or never begin."""

    def __init__(self, *, start="well"):
        self.start = start
        self.stopped = False

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            if self.start == "never":
                await asyncio.Event().wait()
            kind = "complete" if self.start == "well" else "failed"
            await send({"type": f"lifespan.startup.{kind}"})
            await receive()
            self.stopped = True
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await PlainTextResponse("hello")(scope, receive, send)


async def test_serves_while_the_block_runs_and_frees_the_port():
    app = App()
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        async with serve_app(app) as port:
            assert (await client.get(f"http://127.0.0.1:{port}/")).text == "hello"
            assert not app.stopped
        assert app.stopped
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{port}/")
    async with serve_app(App(), port=port) as again:
        assert again == port


async def test_leaves_signal_handlers_alone():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with serve_app(App()):
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_an_error_in_the_block_stops_the_server_and_passes_through():
    app = App()
    with pytest.raises(KeyError, match="mine"):
        async with serve_app(app):
            raise KeyError("mine")
    assert app.stopped


async def test_a_lifespan_that_fails_is_an_error_and_not_the_end_of_the_process():
    with pytest.raises(RuntimeError, match="did not start"):
        async with serve_app(App(start="badly")):
            pytest.fail("the block must not run")


async def test_a_lifespan_that_never_starts_is_given_up():
    with pytest.raises(TimeoutError):
        async with serve_app(App(start="never"), start_timeout_s=0.05):
            pytest.fail("the block must not run")


async def test_a_port_that_is_taken_is_an_os_error():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="already in use"):
        async with serve_app(App(), port=taken.getsockname()[1]):
            pytest.fail("the block must not run")


async def test_a_kept_connection_does_not_wait_for_delayed_acknowledgements():
    async with serve_app(App()) as port, httpx.AsyncClient(trust_env=False, timeout=10) as client:
        clock = asyncio.get_running_loop().time
        taken_s = []
        for _ in range(21):
            began = clock()
            await client.get(f"http://127.0.0.1:{port}/")
            taken_s.append(clock() - began)
    assert sorted(taken_s)[5] < 0.03  # the fastest quarter: a busy machine is slow too
