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
    seen = []

    class Writes(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            seen.append("written")
            await asyncio.sleep(0.01)
            return httpx.Response(200, json={"choices": []})

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
