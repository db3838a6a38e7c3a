"""What is too much: heads, bodies, requests at once; each with a clear error, and life goes on."""

import asyncio
import json

import httpx
import pytest

from proxy.server import HEAD_BYTES_MAX
from tests.support import upstreams
from tests.support.proxying import CHAT, HELLO, Proxied, eventually, proxied


async def spoken(pair: Proxied, *pieces: bytes) -> bytes:
    """What is answered to these bytes until the connection closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(pair.url).port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def error_in(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)["error"]["code"]


async def test_a_header_that_never_ends_is_refused():
    async with proxied(upstreams.answers()) as pair:
        begun = b"GET /v1/models HTTP/1.1\r\nhost: a\r\nx-long: "
        assert error_in(await spoken(pair, begun, *[b"x" * 16_384] * 6)) == (431, "headers_too_large")
        assert (await pair.chat(HELLO)).status_code == 200


async def test_headers_that_are_too_many_are_refused():
    async with proxied(upstreams.answers()) as pair:
        answer = await pair.chat(HELLO, headers={f"x-{n}": "y" * 1000 for n in range(HEAD_BYTES_MAX // 1000 + 1)})
        assert (answer.status_code, answer.json()["error"]["code"]) == (431, "headers_too_large")
        assert (await pair.chat(HELLO, headers={"x-long": "y" * (HEAD_BYTES_MAX - 1000)})).status_code == 200


async def test_what_is_no_http_gets_an_error_in_openai_s_shape():
    async with proxied(upstreams.answers()) as pair:
        answer = await spoken(pair, b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("settings", "status", "code"),
    [({"requests_max": 2}, 503, "overloaded"), ({"requests_each_max": 2}, 429, "rate_limit_exceeded")],
)
async def test_one_request_too_many_is_refused_at_once(settings: dict[str, int], status: int, code: str):
    asked, gone = asyncio.Event(), asyncio.Event()
    async with proxied(upstreams.never_answers(asked, gone), **settings) as pair:
        waiting = [asyncio.create_task(pair.chat(HELLO, headers={"authorization": "Bearer a"})) for _ in range(2)]
        await asyncio.wait_for(asked.wait(), 5)

        async def refused() -> bool:
            answer = await pair.client.get(f"{pair.url}/v1/models", headers={"authorization": "Bearer a"})
            if answer.status_code == 200:
                return False
            assert answer.status_code == status
            assert answer.json()["error"]["code"] == code
            assert answer.headers["retry-after"] == "1"
            return True

        await eventually(refused)
        assert (await pair.client.get(f"{pair.url}/healthz")).status_code == 200
        other = await pair.client.get(f"{pair.url}/v1/models", headers={"authorization": "Bearer b"})
        assert other.status_code == (503 if status == 503 else 200)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

        async def free() -> bool:
            answer = await pair.client.get(f"{pair.url}/v1/models", headers={"authorization": "Bearer a"})
            return answer.status_code == 200

        await eventually(free)


async def test_a_body_over_the_cap_is_refused():
    async with proxied(upstreams.answers(), body_mib_max=1) as pair:
        answer = await pair.client.post(pair.url + CHAT, content=b" " * (2**20 + 1))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
