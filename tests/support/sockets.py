"""Servers that speak HTTP/1.1 by hand, and a client's side that asks them through the proxy's own transport."""

import asyncio
from contextlib import asynccontextmanager

import httpx

from proxy.transport import PooledTransport

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Server:
    """Answers each request on a connection with the next of these bytes; `closes` after the last of them."""

    def __init__(self, *answers: bytes, closes: bool = False, cut: int = 0) -> None:
        self.answers = answers
        self.closes = closes
        self.cut = cut
        self.connections = 0
        self.asked: list[bytes] = []
        self.gone = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for answer in self.answers:
                self.asked.append(await reader.readuntil(b"\r\n\r\n"))
                for start in range(0, len(answer), self.cut or len(answer) or 1):
                    writer.write(answer[start : start + (self.cut or len(answer))])
                    await writer.drain()
                    await asyncio.sleep(0.001 if self.cut else 0)
            if not self.closes:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.gone.set()


@asynccontextmanager
async def asking(server, **options):
    """A function that asks the server for status and headers and an answer yet to be read."""
    transport = PooledTransport(**options)
    serving = set()

    async def serve(reader, writer):
        serving.add(asyncio.current_task())
        try:
            await server(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**20)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"

    async def ask(method="GET", headers=(), stream=None, **extensions):
        chunked = [(b"transfer-encoding", b"chunked")] if stream else []
        stream = stream or httpx.ByteStream(b"")
        request = httpx.Request(method, url, headers=[*headers, *chunked], stream=stream, extensions=extensions)
        return await transport.handle_async_request(request)

    try:
        yield ask
    finally:
        await transport.aclose()
        listening.close()
        await asyncio.gather(*serving)


async def read(response):
    """The body, and back with the connection."""
    body = b"".join([piece async for piece in response.stream])
    await response.aclose()
    return body
