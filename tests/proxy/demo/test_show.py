"""The demo as a client sees it, and that it can fail: a client's history cut to ten messages loses every fact."""

import io
import json

import httpx
import pytest
from rich.console import Console
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from proxy.demo.answers import NO_ANSWER
from proxy.demo.model import demo_model
from proxy.demo.recorder import Recorder
from proxy.demo.script import Line, Script, load_script
from proxy.demo.serving import serve_app
from proxy.demo.show import run_demo

pytestmark = pytest.mark.slow  # each starts a server

SCRIPT = load_script()
SHORT = Script(
    title="short",
    facts={"colour": "ochre and teal"},
    turns=(
        Line("We painted the doors in ochre and teal.", plants="colour"),
        Line("It rained."),
        Line("How were the doors painted?", asks="colour"),
    ),
)


def plain_console():
    return Console(file=io.StringIO(), width=100)


def cutting_proxy(upstream, *, keep):
    """A proxy that forwards the last `keep` messages and tells characters as tokens."""
    inside = httpx.ASGITransport(app=upstream)

    async def forward(request):
        asked = await request.json()
        kept = asked["messages"][-keep:]
        async with httpx.AsyncClient(transport=inside, base_url="http://model") as client:
            answer = await client.post("/v1/chat/completions", json={**asked, "messages": kept})
        headers = {
            "x-isocost-mode": request.headers["x-isocost-mode"],
            "x-isocost-epoch": "3",
            "x-isocost-full-tokens": str(len(json.dumps(asked["messages"]))),
            "x-isocost-sent-tokens": str(len(json.dumps(kept))),
        }
        return JSONResponse(answer.json(), headers=headers)

    return Starlette(routes=[Route("/v1/chat/completions", forward, methods=["POST"])])


def replies(recorder):
    """Answers by turn, from the history that the client sent with the last turn."""
    said = json.loads(recorder.body)["messages"]
    return [message["content"] for message in said if message["role"] == "assistant"]


async def test_full_history_holds_every_fact_and_the_model_finds_each():
    recorder, console = Recorder(demo_model()), plain_console()
    async with serve_app(recorder) as port:
        assert await run_demo(f"http://127.0.0.1:{port}", console, last_prompt=recorder.prompt) == 0
    output = console.file.getvalue()
    assert "16/16" in output
    assert output.count("yes: ") == 16
    assert len(recorder.prompt()) / 4 > 15_000
    for line, reply in zip(SCRIPT.turns, replies(recorder), strict=False):
        if line.asks is None:
            assert 40 <= len(reply.split()) <= 60
        else:
            assert reply.startswith("You told me: “")
            assert SCRIPT.facts[line.asks] in reply


async def test_a_history_cut_to_ten_messages_fails_the_demo():
    recorder, console = Recorder(demo_model()), plain_console()
    async with serve_app(cutting_proxy(recorder, keep=10)) as port:
        assert await run_demo(f"http://127.0.0.1:{port}", console, last_prompt=recorder.prompt, mode="auto") == 1
    output = console.file.getvalue()
    assert "facts in the prompt at their question: 0/16" in output
    assert output.count("NO: ") == output.count("missing") == 16
    assert NO_ANSWER in recorder.prompt()
    assert " auto " in output
    assert all(f"turn {turn:>3}: full" in output for turn in (20, 60, 120))


async def test_the_sums_of_the_summary():
    recorder, console = Recorder(demo_model()), plain_console()
    async with serve_app(cutting_proxy(recorder, keep=1)) as port:
        url = f"http://127.0.0.1:{port}/"
        assert await run_demo(url, console, last_prompt=recorder.prompt, script=SHORT) == 1
    lines = console.file.getvalue().splitlines()
    rows = [line.split() for line in lines[2:5]]
    full, sent = (sum(int(row[column].replace(",", "")) for row in rows) for column in (1, 2))
    assert [row[4:6] for row in rows] == [["compact", "3"]] * 3
    assert lines[-1] == f"all turns: sent {sent:,} of {full:,} tokens, {sent / full:.1%} of full history"


async def test_a_prompt_that_is_not_this_turns_does_not_count():
    """A turn answered without a call leaves an older prompt behind, which may well hold the fact."""
    console = plain_console()
    async with serve_app(demo_model()) as port:
        url = f"http://127.0.0.1:{port}"
        stale = SHORT.turns[0].say
        assert await run_demo(url, console, last_prompt=lambda: stale, script=SHORT) == 1
        fresh = stale + SHORT.turns[2].say
        assert await run_demo(url, console, last_prompt=lambda: fresh, script=SHORT) == 0


@pytest.mark.parametrize("answer", [Response("no", 503), Response("{}"), Response("<html>"), JSONResponse([])])
async def test_a_failing_turn_ends_the_demo_with_a_sentence(answer):
    console = plain_console()
    app = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])
    async with serve_app(app) as port:
        assert await run_demo(f"http://127.0.0.1:{port}", console, last_prompt=str, script=SHORT) == 1
    assert "turn 1 failed: " in console.file.getvalue()


async def test_nobody_listening_ends_the_demo_with_a_sentence():
    console = plain_console()
    async with serve_app(demo_model()) as port:
        pass
    assert await run_demo(f"http://127.0.0.1:{port}", console, last_prompt=str, script=SHORT) == 1
    assert "turn 1 failed: ConnectError" in console.file.getvalue()


async def test_a_terminal_gets_a_table_and_a_lent_client_stays_open():
    recorder = Recorder(demo_model())
    console = Console(file=io.StringIO(), width=100, height=40, force_terminal=True)
    async with serve_app(recorder) as port, httpx.AsyncClient(trust_env=False, timeout=10) as client:
        url = f"http://127.0.0.1:{port}"
        assert await run_demo(url, console, last_prompt=recorder.prompt, client=client, script=SHORT) == 0
        assert not client.is_closed
    output = console.file.getvalue()
    assert "short, turn 3 of 3" in output
    assert "yes: ochre and teal" in output
    assert "1/1" in output
