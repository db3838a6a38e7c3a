"""Memory reads along while the upstream is at work: in passthrough nothing waits for it."""

import asyncio

import httpx

from memory_core.stores import open_store
from proxy.app import Given
from tests.support import upstreams
from tests.support.embedders import HashedWordsEmbedder
from tests.support.proxying import proxied
from tests.support.stores import WrappedStore


async def test_what_leaves_as_it_came_is_written_before_memory_begins():
    """As aiohttp does before Python 3.12, the body is written in a task of its own."""
    seen = []

    class Writes(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            await asyncio.create_task(self._write())
            return httpx.Response(200, json={"choices": []})

        async def _write(self):
            seen.append("written")

    class Reads(WrappedStore):
        async def _pass_on(self, method, *arguments):
            seen.append(method)
            return await super()._pass_on(method, *arguments)

    given = Given(HashedWordsEmbedder(), Reads(await open_store("memory://")), Writes())
    talk = [{"role": ("user", "assistant")[n % 2], "content": f"turn {n}"} for n in range(9)]
    async with proxied(upstreams.answers(), given=given) as pair:
        seen.clear()
        response = await pair.chat(talk, headers={"x-isocost-mode": "passthrough"})
        assert response.headers["x-isocost-turn"] == "9"
    assert seen[:2] == ["written", "load"]
