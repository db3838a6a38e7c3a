"""What arrives behind us, over real sockets: what was sent, less what is ours or the connection's."""

import json
from contextlib import asynccontextmanager

import pytest

from proxy.demo.serving import serve_app
from proxy.headers import HOP_BY_HOP
from proxy.patience import Patience
from proxy.transport import PooledTransport
from proxy.upstream import Target, Upstream
from tests.support.upstreams import canned, echo

pytestmark = pytest.mark.slow  # each starts a server


@asynccontextmanager
async def calling(url, *, key="", timeout_s=5.0):
    transport = PooledTransport()
    try:
        yield Upstream(Target(url, key), transport, Patience(timeout_s, timeout_s, timeout_s))
    finally:
        await transport.aclose()


@asynccontextmanager
async def echoing(*, base="", key=""):
    """Calls an echo; gives a function that sends and returns what the echo received."""
    async with serve_app(echo()) as port, calling(f"http://localhost:{port}{base}", key=key) as upstream:

        async def send(method="POST", path="/v1/chat/completions", query=b"", headers=(), body=b"{}"):
            response = await upstream.send(method, path, query, list(headers), body)
            answer = b"".join([chunk async for chunk in response.stream])
            await response.aclose()
            received = json.loads(answer)
            received["headers"] = [
                (name.encode("latin-1"), value.encode("latin-1")) for name, value in received["headers"]
            ]
            return received

        yield send, f"localhost:{port}".encode()


# --- headers


async def test_nothing_is_added_to_the_headers_but_host_and_length():
    asked = [
        (b"content-type", b"application/json"),
        (b"accept", b"text/event-stream"),
        (b"user-agent", b"OpenAI/Python 1.0"),
        (b"authorization", b"Bearer mine"),
        (b"openai-organization", b"org"),
        (b"accept-encoding", b"gzip"),
        (b"x-empty", b""),
        (b"x-utf8", "é".encode()),
        (b"cookie", b"a=1"),
    ]
    async with echoing() as (send, host):
        received = await send(
            headers=[(b"host", b"isocost:8400"), *asked, (b"content-length", b"999")], body=b'{"a": 1}'
        )
        assert sorted(received["headers"]) == sorted([*asked, (b"host", host), (b"content-length", b"8")])
        assert (received["method"], received["body"]) == ("POST", '{"a": 1}')
        bare = await send(method="GET", body=b"")
        assert bare["headers"] == [(b"host", host)]


async def test_what_is_ours_or_the_connection_s_does_not_leave():
    private = [(name, b"x") for name in HOP_BY_HOP - {b"connection"}]
    ours = [(b"x-isocost-mode", b"compact"), (b"x-isocost-conversation", b"7"), (b"X-Isocost-User", b"ann")]
    named = [
        (b"connection", b"keep-alive, X-Session"),
        (b"connection", b"x-other"),
        (b"x-session", b"1"),
        (b"X-OTHER", b"2"),
    ]
    async with echoing() as (send, host):
        received = await send(headers=[*private, *ours, *named, (b"expect", b"100-continue"), (b"x-kept", b"1")])
        assert sorted(received["headers"]) == [(b"content-length", b"2"), (b"host", host), (b"x-kept", b"1")]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], [b"Bearer ours"]),
        ([(b"authorization", b"Bearer mine")], [b"Bearer mine"]),
        ([(b"Authorization", b"Bearer mine")], [b"Bearer mine"]),
        ([(b"connection", b"authorization"), (b"authorization", b"Bearer mine")], [b"Bearer ours"]),
        ([(b"x-api-key", b"mine")], []),
        ([(b"cookie", b"a=1")], [b"Bearer ours"]),
    ],
)
async def test_our_key_is_sent_only_where_the_client_sends_none(headers, expected):
    async with echoing(key="ours") as (send, _):
        received = await send(headers=headers)
        assert [value for name, value in received["headers"] if name == b"authorization"] == expected


async def test_credentials_in_the_base_url_are_sent_where_the_client_sends_none():
    async with serve_app(echo()) as port, calling(f"http://ann:pass@127.0.0.1:{port}") as upstream:
        for asked, expected in (([], "Basic YW5uOnBhc3M="), ([(b"authorization", b"Bearer mine")], "Bearer mine")):
            response = await upstream.send("POST", "/", b"", asked, b"{}")
            received = json.loads(b"".join([chunk async for chunk in response.stream]))
            await response.aclose()
            sent = [value for name, value in received["headers"] if name == "authorization"]
            assert sent == [expected]


async def test_cookies_of_the_upstream_are_the_client_s_to_keep():
    """A jar of ours would give one client's session to the next."""
    seen = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            seen.append([value for name, value in scope["headers"] if name == b"cookie"])
            await canned(b"{}", headers=[(b"set-cookie", b"session=of-ann; Path=/")])(scope, receive, send)

    async with serve_app(app) as port, calling(f"http://localhost:{port}") as upstream:
        for _ in range(2):
            response = await upstream.send("GET", "/", b"", [], b"")
            assert response.headers["set-cookie"] == "session=of-ann; Path=/"
            await response.aclose()
    assert seen == [[], []]


async def test_redirects_and_compressed_bodies_are_the_client_s_too():
    headers = [(b"location", b"/elsewhere"), (b"content-encoding", b"gzip")]
    async with (
        serve_app(canned(b"raw", status=302, headers=headers)) as port,
        calling(f"http://127.0.0.1:{port}") as upstream,
    ):
        response = await upstream.send("GET", "/", b"", [], b"")
        assert response.status_code == 302
        assert response.headers["location"] == "/elsewhere"
        assert b"".join([chunk async for chunk in response.stream]) == b"raw"
        await response.aclose()


# --- bodies


async def pieces(*parts):
    for part in parts:
        yield part


async def test_bodies_of_all_kinds():
    big = b"x" * 3_000_000
    async with echoing() as (send, _):
        assert (await send(body=big, headers=[(b"content-length", b"7")]))["body"] == big.decode()
        known = await send(body=pieces(b"ab", b"cd"), headers=[(b"content-length", b"4")])
        assert known["body"] == "abcd"
        assert (b"content-length", b"4") in known["headers"]
        unknown = await send(body=pieces(b"ab", b"cd"), headers=[(b"transfer-encoding", b"chunked")])
        assert unknown["body"] == "abcd"
        assert (b"transfer-encoding", b"chunked") in unknown["headers"]
        empty = await send(body=b"", headers=[(b"content-length", b"0")])
        assert (b"content-length", b"0") in empty["headers"]


# --- where to


@pytest.mark.parametrize(
    ("base", "path", "expected"),
    [
        ("", "/v1/chat/completions", "/v1/chat/completions"),
        ("/", "/v1/models", "/v1/models"),
        ("/v1", "/v1/models", "/v1/models"),
        ("/v1/", "/v1/models", "/v1/models"),
        ("/v1", "/v1", "/v1"),
        ("/v1", "/v1beta/models", "/v1/v1beta/models"),
        ("/v1", "/models", "/v1/models"),
        ("/openai/v1", "/v1/models", "/openai/v1/models"),
        ("/api", "/v1/models", "/api/v1/models"),
        ("", "/v1//files", "/v1//files"),
        ("", "/v1/files/a%2Fb%20c", "/v1/files/a%2Fb%20c"),
    ],
)
async def test_paths_are_joined_and_v1_is_not_doubled(base, path, expected):
    async with echoing(base=base) as (send, _):
        assert (await send(method="GET", path=path, body=b""))["path"] == expected


@pytest.mark.parametrize("query", [b"", b"a=1&a=2&b", b"limit=20&after=x%20y", b"q=a+b", b"e=%C3%A9"])
async def test_queries_arrive_as_they_were(query):
    async with echoing() as (send, _):
        assert (await send(query=query))["query"] == query.decode()
