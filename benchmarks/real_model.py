"""What a real engine says: one 60-turn chat straight to it and once through isocost, both resending all they know.

    python -m benchmarks.real_model --direct http://127.0.0.1:8081 --proxy http://127.0.0.1:8400

`examples/real_model.sh` starts both. The user's side is the first turns of the demo's script; the assistant's side is
what the model answered on that path. The first table has the engine's prefix cache on, as it is when one conversation
has a slot to itself; the second asks again, without the cache, as when more conversations than slots share an engine.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import httpx
import msgspec

from proxy.demo.script import load_script
from proxy.sse import EventReader

MILESTONES = (1, 20, 40, 60)
SYSTEM = "You are a friendly listener. Answer in one or two short sentences."
Messages = list[dict[str, str]]

TRIES = 3
"""As the openai SDK does. llama.cpp may close a kept connection just as the next request arrives on it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The engine's own count. `prefilled_tokens` are those it had to compute, None where it does not say."""

    prompt_tokens: int
    prefilled_tokens: int | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of the stream: the text it adds, and the usage that the last one carries."""

    text: str
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer, timed by the client, `retries` included. `mode` and `error` are isocost's headers, "" if none."""

    text: str
    first_token_ms: float
    usage: Usage
    mode: str = ""
    error: str = ""
    retries: int = 0


class UnavailableError(Exception):
    """No answer began: a 502 from isocost whose connection to the engine was closed."""


@dataclass(frozen=True, slots=True)
class Path:
    """A way to the engine: its base URL without /v1, and the headers that this way takes."""

    name: str
    url: str
    headers: dict[str, str]


def read_chunk(data: bytes) -> Chunk:
    """An event's data as a chunk; raises ValueError for the error that a stream may end in."""
    if data == b"[DONE]":
        return Chunk("", None)
    event = msgspec.json.decode(data)
    if "error" in event:
        raise ValueError(f"the engine broke off: {event['error']}")
    choices = event.get("choices") or [{}]
    text = choices[0].get("delta", {}).get("content") or ""
    usage = event.get("usage")
    return Chunk(text, None if usage is None else _usage(usage, event.get("timings") or {}))


def _usage(usage: dict[str, object], timings: dict[str, object]) -> Usage:
    """llama.cpp's `timings.prompt_n` where given; else prompt less cached tokens, as OpenAI and vLLM report them."""
    prompt, computed = usage["prompt_tokens"], timings.get("prompt_n")
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    assert isinstance(prompt, int)
    if computed is None and cached is not None:
        computed = prompt - cached
    assert computed is None or isinstance(computed, int)
    return Usage(prompt, computed)


async def ask(client: httpx.AsyncClient, path: Path, messages: Messages, options: dict[str, object]) -> Turn:
    """One streamed answer. Raises httpx.HTTPError, or ValueError with what was said instead of one."""
    body = {
        "model": "real",
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "seed": 1,
        **options,
    }
    began = time.perf_counter()
    for retries in range(TRIES - 1):
        try:
            return replace(await _attempt(client, path, body, began), retries=retries)
        except (httpx.RemoteProtocolError, UnavailableError):
            continue
    return replace(await _attempt(client, path, body, began), retries=TRIES - 1)


async def _attempt(client: httpx.AsyncClient, path: Path, body: dict[str, object], began: float) -> Turn:
    text, usage, first_ms = "", None, None
    reader = EventReader()
    async with client.stream("POST", f"{path.url}/v1/chat/completions", json=body, headers=path.headers) as response:
        if response.status_code == 502:
            raise UnavailableError(path.name)
        if response.status_code != 200:
            said = (await response.aread()).decode(errors="replace")[:300]
            raise ValueError(f"{path.name} answered {response.status_code}: {said}")
        async for part in response.aiter_bytes():
            for data in reader.feed(part):
                chunk = read_chunk(data)
                if chunk.text and first_ms is None:
                    first_ms = (time.perf_counter() - began) * 1000
                text += chunk.text
                usage = usage if chunk.usage is None else chunk.usage
    if usage is None:
        raise ValueError(f"{path.name} ended without usage")
    if first_ms is None:  # an empty answer is an answer: its first token was the last
        first_ms = (time.perf_counter() - began) * 1000
    mode, error = (response.headers.get(f"x-isocost-{name}", "") for name in ("mode", "error"))
    return Turn(text, first_ms, usage, mode, error)


async def chat(
    client: httpx.AsyncClient, path: Path, says: Sequence[str], *, answer_tokens: int
) -> tuple[list[Turn], list[Messages]]:
    """The whole chat, turn by turn, and the messages that each turn's request held."""
    messages: Messages = [{"role": "system", "content": SYSTEM}]
    turns, requests = [], []
    began = time.monotonic()
    for number, say in enumerate(says, start=1):
        messages.append({"role": "user", "content": say})
        requests.append(list(messages))
        turn = await ask(client, path, messages, {"max_tokens": answer_tokens})
        messages.append({"role": "assistant", "content": turn.text})
        turns.append(turn)
        seconds = time.monotonic() - began
        _progress(f"{path.name}: turn {number} of {len(says)}, {turn.usage.prompt_tokens:,} tokens, {seconds:.0f} s")
    print(file=sys.stderr)
    return turns, requests


async def ask_cold(client: httpx.AsyncClient, path: Path, requests: dict[int, Messages]) -> dict[int, Turn]:
    """Requests of the chat again, for their first token, and the engine told to compute the whole prompt."""
    turns = {}
    for number, messages in requests.items():
        turns[number] = await ask(client, path, messages, {"max_tokens": 1, "cache_prompt": False})
        _progress(f"{path.name}, cold: turn {number}, {turns[number].first_token_ms / 1000:.1f} s")
    print(file=sys.stderr)
    return turns


def warm_table(direct: Sequence[Turn], proxied: Sequence[Turn], milestones: Sequence[int]) -> str:
    """Milestones (turns from 1) that were reached, the sums over all turns, and isocost's share of direct's."""
    rows = [_cells(f"{number}", direct[number - 1 : number], proxied[number - 1 : number]) for number in milestones]
    rows.append(_cells(f"sum of 1–{len(direct)}", direct, proxied))
    ratios = [_ratio(_total(proxied, of), _total(direct, of)) for of in COLUMNS]
    rows.append(["isocost ÷ direct", *(cell for ratio in ratios for cell in ("", ratio))])
    return _markdown(["turn", *(f"{name}, {way}" for name in COLUMNS for way in ("direct", "isocost"))], rows)


def cold_table(direct: dict[int, Turn], proxied: dict[int, Turn]) -> str:
    """The same turns without the engine's prefix cache: every token of the prompt is computed."""
    rows = []
    for number, turn in direct.items():
        other = proxied[number]
        ratio = _ratio(other.first_token_ms, turn.first_token_ms)
        rows.append([*_cells(str(number), [turn], [other], COLUMNS[:2]), ratio])
    names = [f"{name}, {way}" for name in COLUMNS[:2] for way in ("direct", "isocost")]
    return _markdown(["turn, cold", *names, "TTFT, isocost ÷ direct"], rows)


COLUMNS = ("TTFT ms", "prompt tokens", "prefilled")


def _cells(label: str, direct: Sequence[Turn], proxied: Sequence[Turn], columns: Sequence[str] = COLUMNS) -> list[str]:
    return [label, *(_number(_total(turns, of)) for of in columns for turns in (direct, proxied))]


def _total(turns: Sequence[Turn], column: str) -> float | None:
    """A column's sum; None as soon as one turn lacks it."""
    if column == "TTFT ms":
        return sum(turn.first_token_ms for turn in turns)
    if column == "prompt tokens":
        return sum(turn.usage.prompt_tokens for turn in turns)
    counts = [turn.usage.prefilled_tokens for turn in turns]
    return None if None in counts else sum(count for count in counts if count is not None)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _ratio(part: float | None, whole: float | None) -> str:
    return "–" if part is None or whole is None or whole == 0 else f"{part / whole:.2f}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def remark(direct: Sequence[Turn], proxied: Sequence[Turn]) -> str:
    """What isocost did, so that a run in which memory stood aside does not pass for one in which it worked."""
    compact = sum(turn.mode == "compact" for turn in proxied)
    errors = sorted({turn.error for turn in proxied if turn.error})
    retries = [sum(turn.retries for turn in turns) for turns in (direct, proxied)]
    return (
        f"isocost compacted {compact} of {len(proxied)} turns; errors: {', '.join(errors) if errors else 'none'}; "
        f"requests sent again: direct {retries[0]}, isocost {retries[1]}"
    )


def _progress(line: str) -> None:
    print(f"\r{line:<72}", end="", file=sys.stderr, flush=True)


async def run(direct: str, proxy: str, *, turns: int, answer_tokens: int, timeout_s: float) -> None:
    """Both chats, then the milestones cold, then the tables on stdout."""
    says = [line.say for line in load_script().turns[:turns]]
    milestones = [number for number in MILESTONES if number <= len(says)]
    ways = (Path("direct", direct.rstrip("/"), {}), Path("isocost", proxy.rstrip("/"), {"x-isocost-mode": "compact"}))
    # trust_env off: a proxy from the environment must not stand between the client and its own machine
    # a new connection each: see TRIES
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=timeout_s, trust_env=False, limits=limits) as client:
        chats = []
        for way in ways:
            # both chats begin alike: without another prompt between, the second would find the first's prefix cached
            await ask(client, ways[0], [{"role": "user", "content": "Hello"}], {"max_tokens": 1})
            chats.append(await chat(client, way, says, answer_tokens=answer_tokens))
        print(warm_table(chats[0][0], chats[1][0], milestones), flush=True)
        again = [{number: requests[number - 1] for number in milestones} for _, requests in chats]
        cold = [await ask_cold(client, way, requests) for way, requests in zip(ways, again, strict=True)]
    print(f"\n{cold_table(*cold)}\n\n{remark(chats[0][0], chats[1][0])}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_model", description=__doc__.partition("\n")[0])
    parser.add_argument("--direct", required=True, metavar="URL", help="the engine, without /v1")
    parser.add_argument("--proxy", required=True, metavar="URL", help="isocost in front of it, without /v1")
    parser.add_argument("--turns", type=int, default=60, help="user turns to play (60)")
    parser.add_argument("--answer-tokens", type=int, default=32, help="the most that the model answers (32)")
    parser.add_argument("--timeout-s", type=float, default=600.0, help="longest silence of an answer, in seconds (600)")
    args = parser.parse_args()
    asyncio.run(
        run(args.direct, args.proxy, turns=args.turns, answer_tokens=args.answer_tokens, timeout_s=args.timeout_s)
    )


if __name__ == "__main__":
    main()
