"""The recorder keeps what the upstream received, and changes nothing."""

import httpx
import pytest

from proxy.demo.model import demo_model
from proxy.demo.recorder import Recorder


@pytest.fixture
def recorder():
    return Recorder(demo_model())


@pytest.fixture
async def http(recorder):
    transport = httpx.ASGITransport(app=recorder)
    async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
        yield client


async def test_keeps_the_newest_chat_body_and_its_text(recorder, http):
    assert (recorder.body, recorder.prompt()) == (b"", "")
    parts = [{"type": "text", "text": "Sørine “Marie”"}, {"type": "text", "text": "second part"}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    response = await http.post("/v1/chat/completions", json={"messages": messages})
    assert response.status_code == 200
    assert recorder.prompt() == "Be brief.\nSørine “Marie”\nsecond part"
    await http.get("/v1/models")
    await http.post("/v1/embeddings", content=b"not a chat")
    assert recorder.prompt().startswith("Be brief.")


async def test_puts_a_body_in_pieces_together(recorder, http):
    async def pieces():
        yield b'{"messages": [{"role": "user", '
        yield b'"content": "whole"}]}'

    assert (await http.post("/v1/chat/completions", content=pieces())).status_code == 200
    assert recorder.prompt() == "whole"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"messages": 3}', b'{"messages": [3]}'])
async def test_an_unreadable_body_has_no_prompt(recorder, http, body):
    assert (await http.post("/v1/chat/completions", content=body)).status_code == 400
    assert recorder.body == body
    assert recorder.prompt() == ""
