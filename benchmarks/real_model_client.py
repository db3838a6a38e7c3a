"""A chat client for a real engine: one streamed answer at a time, with what the engine and isocost say of it."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import httpx
import msgspec

from proxy.sse import EventReader

SYSTEM = "You are a friendly colleague. Answer in one or two short sentences."
Messages = list[dict[str, str]]

TRIES = 3
"""As the openai SDK does. llama.cpp may close a kept connection just as the next request arrives on it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The engine's own count: of the prompt, of its part found in the prefix cache, and the time for the rest.

    None where the engine does not say.
    """

    prompt_tokens: int
    cached_tokens: int | None = None
    prompt_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of the stream: the text it adds, and the usage that the last one carries."""

    text: str
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer, timed by the client, `retries` included. `isocost` has its response headers without their prefix."""

    text: str
    first_token_ms: float
    usage: Usage
    isocost: Mapping[str, str] = field(default_factory=dict)
    retries: int = 0


class UnavailableError(Exception):
    """No answer began: a 502 from isocost whose connection to the engine was closed."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to the engine: its base URL without /v1, and the headers that this way takes."""

    name: str
    url: str
    headers: Mapping[str, str]


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
    """`cached_tokens` as OpenAI, vLLM and llama.cpp report them, else less what llama.cpp's timings say it computed."""
    prompt, computed, prompt_ms = usage["prompt_tokens"], timings.get("prompt_n"), timings.get("prompt_ms")
    assert isinstance(prompt, int)
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    if cached is None and isinstance(computed, int):
        cached = prompt - computed
    assert cached is None or isinstance(cached, int)
    assert prompt_ms is None or isinstance(prompt_ms, int | float)
    return Usage(prompt, cached, prompt_ms)


async def ask(client: httpx.AsyncClient, way: Way, messages: Messages, options: Mapping[str, object]) -> Turn:
    """One streamed answer. Raises httpx.HTTPError, or ValueError with what was said instead of one."""
    body = {
        "model": "smollm2-135m-instruct",
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
            return replace(await _attempt(client, way, body, began), retries=retries)
        except (httpx.RemoteProtocolError, UnavailableError):
            continue
    return replace(await _attempt(client, way, body, began), retries=TRIES - 1)


async def _attempt(client: httpx.AsyncClient, way: Way, body: Mapping[str, object], began: float) -> Turn:
    text, usage, first_ms = "", None, None
    reader = EventReader()
    url, headers = f"{way.url}/v1/chat/completions", dict(way.headers)
    async with client.stream("POST", url, json=body, headers=headers) as response:
        if response.status_code == 502:
            raise UnavailableError(way.name)
        if response.status_code != 200:
            said = (await response.aread()).decode(errors="replace")[:300]
            raise ValueError(f"{way.name} answered {response.status_code}: {said}")
        async for part in response.aiter_bytes():
            for data in reader.feed(part):
                chunk = read_chunk(data)
                if chunk.text and first_ms is None:
                    first_ms = (time.perf_counter() - began) * 1000
                text += chunk.text
                usage = usage if chunk.usage is None else chunk.usage
    if usage is None:
        raise ValueError(f"{way.name} ended without usage")
    if first_ms is None:  # an empty answer is an answer: its first token was the last
        first_ms = (time.perf_counter() - began) * 1000
    prefix = "x-isocost-"
    isocost = {name.removeprefix(prefix): value for name, value in response.headers.items() if name.startswith(prefix)}
    return Turn(text, first_ms, usage, isocost)


def messages_at(says: Sequence[str], answers: Sequence[str], turn: int) -> Messages:
    """What a client resends at this turn (from 1): all that was said before, and what is said now."""
    messages = [{"role": "system", "content": SYSTEM}]
    for say, answer in zip(says[: turn - 1], answers[: turn - 1], strict=True):
        messages += [{"role": "user", "content": say}, {"role": "assistant", "content": answer}]
    return [*messages, {"role": "user", "content": says[turn - 1]}]


async def chat(
    client: httpx.AsyncClient, way: Way, says: Sequence[str], *, answer_tokens: int
) -> AsyncGenerator[Turn, None]:
    """The whole chat, turn by turn; what the model answered on this way stands in the requests after it."""
    answers: list[str] = []
    for number in range(1, len(says) + 1):
        turn = await ask(client, way, messages_at(says, answers, number), {"max_tokens": answer_tokens})
        answers.append(turn.text)
        yield turn


async def ask_cold(client: httpx.AsyncClient, way: Way, messages: Messages) -> Turn:
    """A request again, for its first token, and the engine told to compute the whole prompt."""
    return await ask(client, way, messages, {"max_tokens": 1, "cache_prompt": False})
