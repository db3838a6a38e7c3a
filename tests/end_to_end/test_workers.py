"""Several workers on one store: whoever is asked knows the conversation; and all of them end in order."""

import signal
from pathlib import Path

from benchmarks.wire_places import free_port
from tests.support.proxying import CHAT, quick_client, serving

pytest_plugins = ["tests.support.proxying"]

TURNS = 12


async def test_a_thin_client_s_turns_are_one_conversation_whichever_worker_hears_them(
    tmp_path: Path, durable_store: str
):
    flags = ["--workers", "2", "--store", durable_store]
    async with serving(tmp_path, free_port(), flags, ISOCOST_LOG_LEVEL="warning") as process:

        async def say(number: int) -> str:
            # a connection each: the system gives it to whichever worker is free
            async with quick_client() as client:
                body = {"model": "isocost-demo", "messages": [{"role": "user", "content": f"Crate number {number}."}]}
                answer = await client.post(process.url + CHAT, json=body, headers={"x-isocost-conversation": "one"})
            assert answer.status_code == 200
            assert "x-isocost-error" not in answer.headers
            return answer.headers["x-isocost-turn"]

        turns = [await say(number) for number in range(TURNS)]
        assert turns == [str(2 * number + 1) for number in range(TURNS)]
        assert await say(TURNS) == str(2 * TURNS + 1)
        process.handle.send_signal(signal.SIGTERM)
        assert await process.ended() == 0
    assert "Traceback" not in process.log.read_text()
