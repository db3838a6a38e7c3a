"""What long use leaves in the proxy's memory: thousands of requests, then thousands of streams that are hung up on.

    python -m benchmarks.soak [--requests 20000] [--aborted 5000]

Clients hold conversations, each resending what was said, and when they are through their three, they hold these again;
then streams are left after their first event. So the warm-up, half of the same again, has seen every conversation: what
grows after it is no cache that fills. Memory is read when the learner rests.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count, islice
from random import Random
from typing import NamedTuple

import httpx
import uvloop

from benchmarks.overhead import messages
from benchmarks.wire import MIDDLE_EXCHANGES
from benchmarks.wire_client import Connection, Heard, post
from benchmarks.wire_latency import LONG_EXCHANGES, said
from benchmarks.wire_mock import ANSWER, BURST_EVENTS
from benchmarks.wire_places import OTHER_CORE, Place, isocost, mock, pin

CLIENTS, LEAVERS, WARM_UP_MIN = 32, 64, 500
CONVERSATIONS = 3
START_MB_MAX, GROWTH_MB_MAX = 260.0, 10.0
SETTLE_S, ANSWER_S_MAX = 10.0, 120.0
SPOKEN = {
    "json": json.loads(ANSWER.split(b"\r\n\r\n", 1)[1])["choices"][0]["message"]["content"],
    "burst": "".join(f" word{number}" for number in range(BURST_EVENTS - 1)),
}
"""What the mock says, for the client to send back."""


class Kind(NamedTuple):
    """Conversations that begin with so much history and go on for so many turns."""

    exchanges: int
    turns: int
    mode: str = "auto"
    model: str = "json"


SHORT, STREAMED, HURRIED = Kind(1, 30), Kind(1, 30, model="burst"), Kind(1, 1, model="paced")
LONG, COMPACT = Kind(LONG_EXCHANGES, 10, "passthrough"), Kind(MIDDLE_EXCHANGES, 10, "compact")


class Leaver(Connection):
    """Hangs up after the first event."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._heard.pieces and self._answer is not None and not self._answer.done():
            self._answer.set_result(self._heard)
            self.transport.abort()


class Soak:
    """`wrong` counts what was not answered with 200; `read` is when, memory in MB, exchanges not yet learned."""

    def __init__(self, proxy: Place) -> None:
        self._proxy = proxy
        self._asked = self.wrong = 0
        self.read: list[tuple[str, float, int]] = []

    @property
    def holds(self) -> bool:
        """It began small, little was added since the warm-up, all was answered, and the learner came to its end."""
        (_, start, _), (_, warm, _), *_, (_, last, _) = self.read
        is_flat = start <= START_MB_MAX and last - warm < GROWTH_MB_MAX
        return is_flat and not self.wrong and not any(waiting for _, _, waiting in self.read)

    async def ask(self, requests: Iterable[bytes], kind: type[Connection] = Connection) -> None:
        """One after the other, on one connection; a Leaver's is good for one."""
        connection = await kind.open(self._proxy.port)
        for request in requests:
            if connection.transport.is_closing():
                connection = await kind.open(self._proxy.port)
            heard = Heard()
            with suppress(OSError, TimeoutError):
                heard = await asyncio.wait_for(connection.ask(request), ANSWER_S_MAX)
            self.wrong += heard.status != 200
            self._asked += 1
            if self._asked % 1_000 == 0:
                said(f"{self._asked:,} asked, {self._proxy.rss_mb:.0f} MB")
        connection.close()

    async def note(self, when: str, settle_s: float) -> None:
        """Read the memory after a while, once the learner has nothing left to do or has taken too long."""
        await asyncio.sleep(settle_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(12 * settle_s):
                while await self._waiting():
                    await asyncio.sleep(1.0)
        self.read.append((when, self._proxy.rss_mb, await self._waiting()))

    async def _waiting(self) -> int:
        async with httpx.AsyncClient(timeout=ANSWER_S_MAX) as client:
            text = (await client.get(f"http://127.0.0.1:{self._proxy.port}/metrics")).text
        return int(float(text.split("\nisocost_learner_queue ", 1)[1].split("\n", 1)[0]))


def conversation(name: str, kind: Kind) -> Iterator[bytes]:
    """Its requests, each with all that was said before."""
    talk = [{"role": "user", "content": f"I am {name}."}, {"role": "assistant", "content": f"Go on, {name}."}]
    talk += messages(kind.exchanges, "")[:-1]
    for turn in range(kind.turns):
        talk.append({"role": "user", "content": f"What was said about number {turn}, and why?"})
        body = json.dumps({"model": kind.model, "stream": kind.model != "json", "messages": talk}).encode()
        yield post(body, {"x-isocost-mode": kind.mode})
        talk.append({"role": "assistant", "content": SPOKEN.get(kind.model, "")})


def client(number: int) -> Iterator[bytes]:
    """One conversation after the other, without end."""
    kinds = Random(number).choices((SHORT, STREAMED, LONG, COMPACT), (24, 8, 2, 1), k=CONVERSATIONS)
    for begun in count():
        place = begun % CONVERSATIONS
        yield from conversation(f"client {number}-{place}", kinds[place])


async def measure(requests: int, aborted: int, settle_s: float = SETTLE_S) -> Soak:
    """All of it. Who hangs up asks again: those streams are of 200 conversations."""
    pin((OTHER_CORE,))
    clients = [client(number) for number in range(CLIENTS)]
    streams = (next(conversation(f"the hurried {number % 200}", HURRIED)) for number in range(aborted))
    async with mock() as upstream, isocost(upstream.port) as proxy:
        soak = Soak(proxy)
        await soak.note("at the start", 0.0)
        await asyncio.gather(*(soak.ask(islice(each, max(WARM_UP_MIN, requests // 2) // CLIENTS)) for each in clients))
        await soak.note("after the warm-up", settle_s)
        await asyncio.gather(*(soak.ask(islice(each, requests // CLIENTS)) for each in clients))
        await soak.note("after the requests", settle_s)
        await asyncio.gather(*(soak.ask(streams, Leaver) for _ in range(LEAVERS)))
        await soak.note("after the aborted streams", settle_s)
    return soak


def main() -> int:
    """0 if all bars are held, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--aborted", type=int, default=5_000)
    soak = uvloop.run(measure(**vars(parser.parse_args())))
    print("| memory | MB | since the warm-up | not yet learned |\n|---|---:|---:|---:|")
    for when, mb, waiting in soak.read:
        print(f"| {when} | {mb:.0f} | {mb - soak.read[1][1]:+.1f} | {waiting} |")
    print(f"\nnot answered with 200: {soak.wrong}")
    bars = f"{START_MB_MAX:.0f} MB at the start, under {GROWTH_MB_MAX:.0f} more, all answered and learned"
    print("All bars are held." if soak.holds else f"Missed: {bars}.")
    return 0 if soak.holds else 1


if __name__ == "__main__":
    sys.exit(main())
