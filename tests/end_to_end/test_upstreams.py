"""Several upstreams behind one address: told apart by the model, each with its own key, headers and failures."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from config.settings import Settings
from proxy.app import Given, create_app
from proxy.demo.serving import serve_app
from tests.support import upstreams
from tests.support.embedders import HashedWordsEmbedder
from tests.support.proxying import CHAT, HELLO, quick_client

MINE = {"authorization": "Bearer mine", "x-api-key": "mine too"}


def models(*names: str) -> bytes:
    listed = [{"id": name, "object": "model", "created": 1, "owned_by": "me"} for name in names]
    return json.dumps({"object": "list", "data": listed}).encode()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {json.dumps(each)}" for name, each in value.items()) + "}"
    return json.dumps(value)


@asynccontextmanager
async def behind(folder: Path, *rows: Mapping[str, object], **settings: object) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a proxy with these rows."""
    lines = [
        line for row in rows for line in ("[[upstream]]", *(f"{key} = {toml(value)}" for key, value in row.items()))
    ]
    file = folder / "upstreams.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    loaded = Settings.model_validate({"upstreams": str(file), "store": "memory://", **settings})
    app = create_app(loaded, Given(embedder=HashedWordsEmbedder()))
    async with serve_app(app, stop_timeout_s=1) as port, quick_client() as client:
        client.base_url = httpx.URL(f"http://127.0.0.1:{port}")
        yield client


async def asked(client: httpx.AsyncClient, model: str, path: str = CHAT, **fields: object) -> httpx.Response:
    body = {"model": model, "messages": HELLO, **fields}
    return await client.post(path, content=json.dumps(body), headers={**MINE, "content-type": "application/json"})


def headers(answer: httpx.Response) -> dict[str, str]:
    """What the echo received."""
    return dict(answer.json()["headers"])


async def test_the_model_decides_on_every_path_that_names_one(tmp_path: Path):
    async with serve_app(upstreams.echo()) as left, serve_app(upstreams.echo()) as right:
        rows = [
            {"name": "left", "url": f"http://127.0.0.1:{left}/v1", "models": ["Qwen*", "llama?"]},
            {"name": "right", "url": f"http://127.0.0.1:{right}", "models": ["*"]},
        ]
        async with behind(tmp_path, *rows) as client:
            for model, port in (("qwen3-8b", left), ("QWEN", left), ("llama3", left), ("llama33", right), ("", right)):
                for path in (CHAT, "/v1/embeddings", "/v1/completions", "/v1/responses"):
                    answer = await asked(client, model, path)
                    assert headers(answer)["host"] == f"127.0.0.1:{port}", (model, path)
                    assert answer.json()["path"] == path
            assert headers(await client.get("/v1/models/qwen%2D7b"))["host"] == f"127.0.0.1:{left}"
            assert headers(await client.get("/v1/files"))["host"] == f"127.0.0.1:{right}"
            upload = await client.post("/v1/audio/transcriptions", files={"file": b"RIFF"}, data={"model": "qwen"})
            assert headers(upload)["host"] == f"127.0.0.1:{right}"
            broken = await client.post("/v1/embeddings", content=b"{", headers={"content-type": "application/json"})
            assert (headers(broken)["host"], broken.json()["body"]) == (f"127.0.0.1:{right}", "{")


async def test_each_gets_its_own_key_and_headers_or_the_client_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LEFT_KEY", "left-secret")
    async with serve_app(upstreams.echo()) as port:
        url = f"http://127.0.0.1:{port}"
        rows = [
            {"name": "left", "url": url, "models": ["left"], "key_env": "LEFT_KEY", "headers": {"X-Team": "blue"}},
            {"name": "right", "url": url, "models": ["*"]},
        ]
        async with behind(tmp_path, *rows) as client:
            left, right = headers(await asked(client, "left")), headers(await asked(client, "other"))
    assert (left["authorization"], left["x-team"]) == ("Bearer left-secret", "blue")
    assert "x-api-key" not in left
    assert "x-team" not in right
    assert (right["authorization"], right["x-api-key"]) == ("Bearer mine", "mine too")


async def test_a_model_that_nobody_serves_is_openai_s_404(tmp_path: Path):
    async with serve_app(upstreams.echo()) as port:
        rows = [{"name": name, "url": f"http://127.0.0.1:{port}", "models": [name]} for name in ("a", "b")]
        async with behind(tmp_path, *rows) as client:
            for path in (CHAT, "/v1/embeddings"):
                answer = await asked(client, "gpt-9", path)
                assert answer.status_code == 404
                error = answer.json()["error"]
                assert (error["code"], error["param"]) == ("model_not_found", "model")


async def test_the_configured_upstream_is_the_last_of_them(tmp_path: Path):
    async with serve_app(upstreams.echo()) as left, serve_app(upstreams.echo()) as rest:
        row = {"name": "left", "url": f"http://127.0.0.1:{left}", "models": ["left"]}
        async with behind(tmp_path, row, upstream=f"http://127.0.0.1:{rest}") as client:
            assert headers(await asked(client, "left"))["host"] == f"127.0.0.1:{left}"
            assert headers(await asked(client, "other"))["host"] == f"127.0.0.1:{rest}"


async def test_models_are_listed_together_and_a_failure_stays_its_owner_s(tmp_path: Path):
    left = upstreams.canned(models("shared", "left-1", "right-7"))
    right = upstreams.canned(models("shared", "right-1"))
    async with serve_app(left) as one, serve_app(right) as two, serve_app(upstreams.broken()) as three:
        rows = [
            {"name": "left", "url": f"http://127.0.0.1:{one}", "models": ["shared", "left-*"]},
            {"name": "away", "url": f"http://127.0.0.1:{closed_port()}", "models": ["away"], "connect_retries": 0},
            {"name": "broken", "url": f"http://127.0.0.1:{three}", "models": ["broken"]},
            {"name": "right", "url": f"http://127.0.0.1:{two}/v1", "models": ["*"]},
        ]
        async with behind(tmp_path, *rows) as client:
            listed = (await client.get("/v1/models")).json()
            assert listed["object"] == "list"
            assert [model["id"] for model in listed["data"]] == ["shared", "left-1", "right-1"]
            assert (await asked(client, "away")).status_code == 502
            assert (await asked(client, "left-1")).status_code == 200


async def test_models_of_nobody_are_an_error(tmp_path: Path):
    rows = [{"name": name, "url": f"http://127.0.0.1:{closed_port()}", "models": ["*"]} for name in ("a", "b")]
    async with behind(tmp_path, *rows, connect_retries=0) as client:
        answer = await client.get("/v1/models")
    assert answer.status_code == 502
    assert answer.json()["error"]["type"] == "upstream_error"


async def test_where_nobody_lists_models_the_first_refusal_is_told(tmp_path: Path):
    refusal = b'{"error": {"message": "No key.", "type": "invalid_request_error", "param": null, "code": null}}'
    async with serve_app(upstreams.canned(refusal, status=401)) as port:
        rows = [{"name": name, "url": f"http://127.0.0.1:{port}", "models": [name]} for name in ("a", "b")]
        async with behind(tmp_path, *rows) as client:
            answer = await client.get("/v1/models")
    assert (answer.status_code, answer.content) == (401, refusal)


async def test_a_list_of_models_tells_the_client_s_key_to_the_default_alone(tmp_path: Path):
    told: dict[str, list[str]] = {"left": [], "default": []}

    def listening(name: str) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                told[name] = [
                    value.decode() for key, value in scope["headers"] if key in (b"authorization", b"x-api-key")
                ]
                await upstreams.canned(models(name))(scope, receive, send)

        return app

    async with serve_app(listening("left")) as left, serve_app(listening("default")) as default:
        rows = [
            {"name": "left", "url": f"http://127.0.0.1:{left}", "models": ["left"]},
            {"name": "default", "url": f"http://127.0.0.1:{default}", "models": ["*"]},
        ]
        async with behind(tmp_path, *rows) as client:
            assert len((await client.get("/v1/models", headers=MINE)).json()["data"]) == 2
    assert told == {"left": [], "default": list(MINE.values())}


async def test_one_upstream_lists_its_models_in_its_own_bytes(tmp_path: Path):
    async with serve_app(upstreams.canned(b'{"object":"list",  "data":[]}')) as port:
        row = {"name": "only", "url": f"http://127.0.0.1:{port}", "models": ["*"]}
        async with behind(tmp_path, row) as client:
            assert (await client.get("/v1/models")).content == b'{"object":"list",  "data":[]}'


async def test_where_one_cannot_be_reached_its_fallback_is_asked_without_the_client_s_key(tmp_path: Path):
    async with serve_app(upstreams.echo()) as port:
        rows = [
            {"name": "away", "url": f"http://127.0.0.1:{closed_port()}", "models": ["m"], "fallback": "spare"},
            {"name": "spare", "url": f"http://127.0.0.1:{port}", "models": []},
        ]
        vendors = {"x-goog-api-key": "mine", "x-auth-token": "mine", "x-of-whoever": "mine", "cookie": "a=mine"}
        async with behind(tmp_path, *rows) as client:
            client.headers.update(vendors)
            answer = await asked(client, "m", f"{CHAT}?key=mine")
    assert headers(answer)["host"] == f"127.0.0.1:{port}"
    assert "mine" not in str({**answer.json(), "body": ""})


async def test_what_may_have_run_is_asked_of_nobody_else(tmp_path: Path):
    """An upstream that answers with an error, or breaks off, did hear the question."""
    asked_spare = []

    async def spare(scope, receive, send):
        if scope["type"] == "http":
            asked_spare.append(scope["path"])
            await upstreams.answers()(scope, receive, send)

    for app, status in ((upstreams.broken(), 500), (upstreams.rate_limited(), 429)):
        async with serve_app(app) as port, serve_app(spare) as other:
            rows = [
                {"name": "one", "url": f"http://127.0.0.1:{port}", "models": ["m"], "fallback": "spare"},
                {"name": "spare", "url": f"http://127.0.0.1:{other}", "models": []},
            ]
            async with behind(tmp_path, *rows) as client:
                assert (await asked(client, "m")).status_code == status
    assert asked_spare == []


async def test_a_question_that_was_heard_and_not_answered_is_asked_of_nobody_again(tmp_path: Path):
    asked_first: list[bytes] = []
    asked_spare: list[str] = []

    async def hears_and_hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked_first.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async def spare(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            asked_spare.append(scope["path"])
            await upstreams.answers()(scope, receive, send)

    async with await asyncio.start_server(hears_and_hangs_up, "127.0.0.1", 0) as server, serve_app(spare) as other:
        port = server.sockets[0].getsockname()[1]
        rows = [
            {"name": "one", "url": f"http://127.0.0.1:{port}", "models": ["m"], "fallback": "spare"},
            {"name": "spare", "url": f"http://127.0.0.1:{other}", "models": []},
        ]
        async with behind(tmp_path, *rows) as client:
            assert (await asked(client, "m")).status_code == 502
    assert len(asked_first) == 1
    assert asked_spare == []


async def test_a_row_s_own_time_outs_hold(tmp_path: Path):
    async with serve_app(upstreams.slow(30), stop_timeout_s=1) as port:
        rows = [{"name": "slow", "url": f"http://127.0.0.1:{port}", "models": ["*"], "first_byte_timeout_s": 0.2}]
        async with behind(tmp_path, *rows) as client:
            answer = await asyncio.wait_for(asked(client, "m"), 5)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
