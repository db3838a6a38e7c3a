"""An ASGI app on a real port, in the running event loop: the demo model's way to be an upstream."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from proxy.server import OPTIONS


class _Server(uvicorn.Server):
    """Leaves signals to the program around it, and tells when it listens or why it does not."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # an app that fails to start ends the process in newer versions of uvicorn, and returns in older ones
        with suppress(SystemExit):
            await super().startup(sockets)
        if self.listening.done():
            return
        if self.started:
            self.listening.set_result(None)
        else:
            self.should_exit = True
            self.listening.set_exception(RuntimeError("the app did not start; the log says why"))


@asynccontextmanager
async def serve_app(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    start_timeout_s: float = 30.0,
    stop_timeout_s: int = 5,
) -> AsyncIterator[int]:
    """Serve `app` while the block runs; yields the port (`port=0` takes a free one).

    Requests still open at the end get `stop_timeout_s` seconds. Raises OSError if the port cannot be bound,
    RuntimeError if the app's lifespan fails, TimeoutError if it takes longer than `start_timeout_s`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=2048) as listener:
        # asyncio sets this only on sockets it made itself; without it each keep-alive request waits 40 ms
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound_port: int = listener.getsockname()[1]
        config = uvicorn.Config(
            app,
            log_level="warning",
            **OPTIONS,
            timeout_graceful_shutdown=stop_timeout_s,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]), name=f"serve_app:{bound_port}")
        try:
            await asyncio.wait_for(server.listening, start_timeout_s)
            yield bound_port
        finally:
            server.should_exit = True
            if not server.started:
                serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
