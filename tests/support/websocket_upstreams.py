"""The proxy in front of upstreams that take upgrades: the library's server, or one that writes bytes by hand."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from config.settings import Settings
from proxy.app import Given, create_app
from proxy.demo.serving import serve_app
from tests.support.embedders import HashedWordsEmbedder

PATH = "/v1/realtime"
UPGRADE = (
    b"host: us\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@asynccontextmanager
async def proxying(upstream: str, **settings: object) -> AsyncIterator[int]:
    """The port of a proxy in front of this URL."""
    loaded = Settings.model_validate({"upstream": upstream, "store": "memory://", **settings})
    async with serve_app(create_app(loaded, Given(embedder=HashedWordsEmbedder())), stop_timeout_s=1) as port:
        yield port


@asynccontextmanager
async def relayed(
    handler: Callable[[ServerConnection], Awaitable[None]],
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    **serving: object,
) -> AsyncIterator[str]:
    """The proxy's ws:// URL in front of the library's server."""
    options = {"compression": None, "ping_interval": None, **serving}
    async with serve(handler, "127.0.0.1", 0, ssl=tls, **options) as server:
        scheme = "https" if tls else "http"
        async with proxying(f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}") as port:
            yield f"ws://127.0.0.1:{port}{PATH}"


def connected(url: str, **options: object) -> connect:
    """A client that asks nobody else's proxy."""
    return connect(url, proxy=None, **{"compression": None, "ping_interval": None, **options})


@asynccontextmanager
async def by_hand(server: Callable[..., Awaitable[None]]) -> AsyncIterator[str]:
    """The http:// URL of a server that is given each connection's reader and writer."""
    serving = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            await server(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(take, "127.0.0.1", 0, limit=2**20)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        await asyncio.gather(*serving)


@asynccontextmanager
async def asking(port: int, target: bytes, headers: bytes = b"") -> AsyncIterator[asyncio.StreamReader]:
    """What the proxy answers to an upgrade that is written by hand; the client hangs up when the block ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET " + target + b" HTTP/1.1\r\n" + UPGRADE + headers + b"\r\n")
        yield reader
    finally:
        writer.close()


async def answered(reader: asyncio.StreamReader) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers (names in lower case), body to the end of the connection."""
    async with asyncio.timeout(10):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
    return int(first.split()[1]), headers, body


async def last_words(client: ClientConnection) -> tuple[int | None, str | None]:
    """How it was closed, when it is."""
    async with asyncio.timeout(10):
        await client.wait_closed()
    return client.close_code, client.close_reason
