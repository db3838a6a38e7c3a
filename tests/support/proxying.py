"""The proxy in front of an upstream, both on real ports: in this event loop (`proxied`) or as `isocost serve`.

`durable_store`, a SQLite file and a real Redis, comes with `pytest_plugins = ["tests.support.proxying"]`.
PYTEST_DONT_REWRITE: a test module may import names from here before pytest sees it as a plugin.
"""

import asyncio
import json
import re
import sysconfig
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from config.settings import Settings
from proxy.app import Given, create_app
from proxy.demo.recorder import Recorder
from proxy.demo.serving import serve_app
from tests.support import upstreams
from tests.support.embedders import HashedWordsEmbedder

pytest_plugins = ["tests.support.redis_server"]

CHAT = "/v1/chat/completions"
START_S = 30.0
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Proxied:
    """A running pair. `url` is the proxy's, `upstream_url` the upstream's own, both without a path."""

    url: str
    upstream_url: str
    recorder: Recorder
    client: httpx.AsyncClient

    async def chat(self, messages: object, *, headers: Mapping[str, str] | None = None, **fields: object) -> Any:
        """One chat request; the response, whatever its status."""
        body = {"model": "isocost-demo", "messages": messages, **fields}
        return await self.client.post(self.url + CHAT, content=json.dumps(body), headers=dict(headers or {}))

    def forwarded(self) -> list[Json]:
        """The messages that the upstream received last."""
        messages: list[Json] = json.loads(self.recorder.body)["messages"]
        return messages

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels; 0 if there is none."""
        text = (await self.client.get(f"{self.url}/metrics")).text
        samples = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(float(value) for found, value in samples if all(label in found for label in wanted))

    async def until_learned(self, count: int, *, outcome: str = "learned") -> None:
        """Wait until so many exchanges have this outcome, and all ledger rows are written."""

        async def enough() -> bool:
            learned = await self.metric("isocost_learned_total", outcome=outcome) >= count
            return learned and not await self.metric("isocost_ledger_queue")

        await eventually(enough)


@asynccontextmanager
async def proxied(
    app: ASGIApp, /, *, given: Given | None = None, store: str = "memory://", **settings: object
) -> AsyncIterator[Proxied]:
    """Serve `app` and the proxy in front of it; hashed words embed unless `given` says otherwise."""
    recorder = Recorder(app)
    parts = Given(embedder=HashedWordsEmbedder()) if given is None else given
    async with quick_client() as client, _stopped_at_once() as enter:
        upstream_url = f"http://127.0.0.1:{await enter(serve_app(recorder, stop_timeout_s=1))}"
        loaded = Settings.model_validate({"upstream": upstream_url, "store": store, **settings})
        port = await enter(serve_app(create_app(loaded, parts), stop_timeout_s=1))
        yield Proxied(f"http://127.0.0.1:{port}", upstream_url, recorder, client)


@asynccontextmanager
async def _stopped_at_once() -> AsyncIterator[Callable[[AbstractAsyncContextManager[int]], Awaitable[int]]]:
    """Servers entered one after the other and left all at once: each takes .2 s to stop, in every test."""
    entered: list[AbstractAsyncContextManager[int]] = []

    async def enter(server: AbstractAsyncContextManager[int]) -> int:
        port = await server.__aenter__()
        entered.append(server)
        return port

    try:
        yield enter
    finally:
        await asyncio.gather(*(server.__aexit__(None, None, None) for server in entered))


def quick_client() -> httpx.AsyncClient:
    """A client that asks nobody else's proxy and gives up before the test run does."""
    return httpx.AsyncClient(trust_env=False, timeout=60)


async def eventually(condition: Callable[[], Awaitable[bool]], *, within_s: float = 10.0) -> None:
    """Poll `condition` until it holds; fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < deadline, f"not so within {within_s} s"
        await asyncio.sleep(0.01)


def history(exchanges: int, *, words: int = 30, planted: Mapping[int, str] | None = None) -> list[Json]:
    """`exchanges` questions and answers, each of its own words; `planted` replaces the user's n-th (from 1)."""
    messages: list[Json] = []
    for turn in range(1, exchanges + 1):
        said = " ".join(f"word{turn}x{number}" for number in range(words // 3))
        messages.append({"role": "user", "content": (planted or {}).get(turn, f"Question {turn}: {said}")})
        messages.append({"role": "assistant", "content": f"Answer {turn}: {said}"})
    return messages


COMPACT = {"x-isocost-mode": "compact"}
THIN = {"x-isocost-conversation": "thin"}
HELLO: list[Json] = [{"role": "user", "content": "hello"}]
LONG: list[Json] = [*history(60), {"role": "user", "content": "What about word3x1?"}]
"""Over every default budget, so that compact has something to leave out."""


async def answered_unchanged(pair: Proxied, messages: list[Json], headers: Mapping[str, str]) -> httpx.Response:
    """Send it; the upstream must get the client's bytes and the client the upstream's answer."""
    response: httpx.Response = await pair.chat(messages, headers=headers)
    assert response.status_code == 200
    assert response.json() == upstreams.ANSWER
    assert response.headers["x-isocost-mode"] == "passthrough"
    assert pair.recorder.body == response.request.content
    return response


@dataclass(frozen=True, slots=True)
class Process:
    """`isocost serve` as its users start it."""

    url: str
    handle: asyncio.subprocess.Process
    log: Path

    async def ended(self, within_s: float = 20.0) -> int:
        """Its exit status, once it has ended."""
        return await asyncio.wait_for(self.handle.wait(), within_s)


@asynccontextmanager
async def serving(folder: Path, port: int, flags: Sequence[str], **environ: str) -> AsyncIterator[Process]:
    """`isocost serve` on `port`, ready; killed at the end if it still runs. `folder` is its home and holds its log."""
    log = folder / "serve.log"
    with log.open("ab") as output:
        handle = await asyncio.create_subprocess_exec(
            isocost_command(),
            *("serve", "--port", str(port), *flags),
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **environ},
            stdout=output,
            stderr=output,
        )
    process = Process(f"http://127.0.0.1:{port}", handle, log)
    try:
        async with quick_client() as client:
            await eventually(lambda: _is_ready(client, process), within_s=START_S)
        yield process
    finally:
        if handle.returncode is None:
            handle.kill()
        await handle.wait()


async def run_isocost(folder: Path, *words: str, within_s: float = 120.0, **environ: str) -> tuple[int, str, str]:
    """Run a command of `isocost` to its end, `folder` its home: exit status, output, errors."""
    handle = await asyncio.create_subprocess_exec(
        isocost_command(),
        *words,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(handle.communicate(), within_s)
    finally:
        if handle.returncode is None:
            handle.kill()
            await handle.wait()
    return await handle.wait(), output.decode(), errors.decode()


def isocost_command() -> str:
    """The installed `isocost`."""
    command = Path(sysconfig.get_path("scripts")) / "isocost"
    if not command.exists():
        pytest.skip("needs the command `isocost`: pip install -e .")
    return str(command)


async def _is_ready(client: httpx.AsyncClient, process: Process) -> bool:
    assert process.handle.returncode is None, process.log.read_text()
    try:
        return (await client.get(f"{process.url}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(params=["sqlite", "redis"])
def durable_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that outlives the process, empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/isocost.sqlite"
    url: str = request.getfixturevalue("redis_url")
    return url
