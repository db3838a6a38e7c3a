"""An upstream that answers at once: a bare asyncio protocol, so that what is measured is the proxy before it.

    python -m benchmarks.wire_mock

prints its port. What it answers is named by the request's model: `json`, `burst` (53 events and [DONE], unpaced),
`first` (the same, all but the first event 5 ms later, as no model says its second word with its first: else what is
timed is how client and mock share a core), `paced` (50 events, 20 ms apart, and [DONE]).
"""

import asyncio
import json
from typing import Any

import uvloop

PACED_EVENTS, GAP_S = 50, 0.02
BURST_EVENTS = 53
FIRST_S = 0.005

_HEADERS = b"x-request-id: req_0123456789\r\nx-ratelimit-remaining-requests: 9999\r\nopenai-version: 2020-10-01\r\n"


def _answer() -> bytes:
    content = "The ferry leaves at ten past six from the eastern pier. " * 9
    message = {"role": "assistant", "content": content, "refusal": None}
    usage = {"prompt_tokens": 100, "completion_tokens": 117, "total_tokens": 217}
    body = json.dumps(
        {
            "id": "chatcmpl-0123456789",
            "object": "chat.completion",
            "created": 1767225600,
            "model": "mock",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": usage,
        }
    ).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % len(body)
    return head + _HEADERS + b"\r\n" + body


def _event(number: int, last: int) -> bytes:
    delta = {"content": f" word{number}"} if number < last - 1 else {}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None if delta else "stop"}
    data = {
        "id": "chatcmpl-0123456789",
        "object": "chat.completion.chunk",
        "created": 1767225600,
        "model": "mock",
        "system_fingerprint": "fp_0123456789",
        "choices": [choice],
    }
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


ANSWER = _answer()
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n" + _HEADERS + b"\r\n"
BURST = [_chunk(_event(number, BURST_EVENTS)) for number in range(BURST_EVENTS)]
PACED = [_chunk(_event(number, PACED_EVENTS)) for number in range(PACED_EVENTS)]
END = _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Mock(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._heard = bytearray()
        self._wanted = -1
        self._answering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport  # uvloop's is none of asyncio's own classes

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answering is not None:
            self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if self._wanted < 0:
            head = self._heard.find(b"\r\n\r\n")
            if head < 0:
                return
            place = self._heard.lower().find(b"content-length:", 0, head)
            length = int(self._heard[place + 15 : self._heard.find(b"\r\n", place)]) if place >= 0 else 0
            self._wanted = head + 4 + length
        if len(self._heard) >= self._wanted:
            body = bytes(self._heard)
            self._heard.clear()
            self._wanted = -1
            self._answer(body)

    def _answer(self, request: bytes) -> None:
        tail, front = request[-400:], request[:1_500]
        if b'"paced"' in tail or b'"paced"' in front:
            self._transport.write(STREAM + PACED[0])
            self._later(1)
        elif b'"burst"' in tail or b'"burst"' in front:
            self._transport.write(STREAM)
            for event in BURST:
                self._transport.write(event)
            self._transport.write(END)
        elif b'"first"' in tail or b'"first"' in front:
            self._transport.write(STREAM + BURST[0])
            rest = b"".join(BURST[1:]) + END
            self._answering = asyncio.get_running_loop().call_later(FIRST_S, self._transport.write, rest)
        else:
            self._transport.write(ANSWER)

    def _later(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        if number < len(PACED):
            self._answering = loop.call_later(GAP_S, self._send, number)
        else:
            self._answering = None
            self._transport.write(END)

    def _send(self, number: int) -> None:
        self._transport.write(PACED[number])
        self._later(number + 1)


async def serve() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
