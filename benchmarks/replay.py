"""What a conversation costs: replayed turn by turn in `auto`, beside full history, cached full history, and rewriting.

    python -m benchmarks.replay [--full]

Every request of a chat goes through the proxy's own composer, memory and store; the prompts that it would forward are
priced by the simulator of a provider's prefix cache on their token ids (prefix_cache.Encoded; minimum 1,024 tokens,
steps of 128, as OpenAI documents), 30 seconds between two requests. Beside it: the client's own prompts with no cache
and with one (the honest rival), and prompts of the same length written anew each turn. Each forwarded body passes a
validator of the message grammar. `--full` replays all conversations instead of a sample.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks import replay_data
from benchmarks.embedding import SilentEmbedder
from benchmarks.replay_data import Conversation
from benchmarks.replay_table import Played, Turn, bars_held, is_flat, print_tables
from config.prices import Price
from embedders import Embedder, open_embedder
from memory_core.state import Capacities
from memory_core.stores import Store, open_store
from proxy import grammar
from proxy.accounts import Accounts
from proxy.claim import Claim
from proxy.compose import Composer, Composition
from proxy.draft import Drafter
from proxy.epochs import Epochs
from proxy.message import read_message
from proxy.meter import Meter
from proxy.metrics import Metrics
from proxy.options import Options
from proxy.plan import Budget
from proxy.prefix_cache import Encoded, PrefixCache
from proxy.recent import Recent
from proxy.remember import Remember
from proxy.runs import Runs
from proxy.sampling import Shares
from proxy.tokens import TokenCounter, load_encoding
from proxy.wire import ChatRequest, parse

GAP_S = 30.0
STARTED_AT = 1_700_000_000.0
TYPICAL = (0.1, 1.0)
FAR_MESSAGES, FAR_REQUESTS = 5_100, 100
"""A synthetic continuation: these requests are the last of so many messages."""

READS = (0.025, 0.1, 0.25, 0.5)
WRITES = (1.0, 1.25)
BUDGET = Budget(window_tokens=800, epoch_tokens=2000, context_tokens=900, block_tokens=500, recall_tokens_max=400)
"""The settings' defaults."""

_START, _END = -1, -2
_ROLES = {"system": -10, "developer": -11, "user": -12, "assistant": -13, "tool": -14}


def priced(read: float, write: float) -> Price:
    """A row like OpenAI's."""
    return Price("replay", "*", 1.0, "input", read, write, cacheable_min=1024, step=128, ttl_s=300.0)


@dataclass(slots=True)
class Player:
    """The parts of one proxy, on a store of its own."""

    composer: Composer
    remember: Remember
    metrics: Metrics
    accounts: Accounts = field(default_factory=Accounts)
    sent: PrefixCache[Encoded] = field(default_factory=PrefixCache)
    rival: PrefixCache[Encoded] = field(default_factory=PrefixCache)

    def spent(self, stage: str) -> float:
        """Seconds that a stage of the composer has taken so far."""
        found = self.metrics.registry.get_sample_value("isocost_stage_seconds_sum", {"stage": stage})
        return found or 0.0

    async def turn(self, request: ChatRequest, options: Options, price: Price, at: float) -> tuple[Turn, Composition]:
        """Compose a request and price what goes out."""
        made = await self.composer.compose(request, options, at)
        if made.error or made.prompts is None:
            raise RuntimeError(f"memory stood aside: {made.error}")
        forwarded = [message.raw for message in parse(made.body).messages]
        asked = [message.raw for message in request.messages]
        sent, full = Encoded(encoded(forwarded)), Encoded(encoded(asked))
        paid, rival = self.sent.send(sent, price, at), self.rival.send(full, price, at)
        estimated = self.accounts.settle("replay", request.model, price, made.prompts, at)
        return (
            Turn(
                messages=len(asked),
                full=full.tokens,
                sent=sent.tokens,
                paid=paid.price,
                rival=rival.price,
                rewritten=price.write * sent.tokens,
                cached=paid.cached,
                estimated=estimated.sent.cached,
                epoch=made.epoch,
                why=made.draft.why if made.draft else "",
                rewrite=(price.write - price.read) * sent.tokens if made.draft and made.draft.why else 0.0,
                fault=grammar.fault_of_rewrite(asked, forwarded),
            ),
            made,
        )


async def player(embedder: Embedder, price: Price, *, budget: Budget = BUDGET, store: Store | None = None) -> Player:
    """A proxy with one row of prices, on an empty store if none is given."""
    counter, metrics = TokenCounter({}), Metrics(time.thread_time)
    if store is None:
        store = await open_store("memory://")
    claim = Claim(store, embedder.name)
    await claim.confirm()
    remember = Remember(store, embedder, count=counter.message, capacities=Capacities(), cache_bytes_max=2**30)
    drafter = Drafter(
        remember, Epochs(store), Recent(store), lambda _: price, counter, metrics, block_placement="message"
    )
    composer = Composer(
        remember,
        Runs(store),
        claim,
        Meter(counter),
        drafter,
        metrics,
        mode="auto",
        budget=budget,
        block_share=0.25,
        shares=Shares(),
        memory_timeout_s=600.0,
        compact_timeout_s=600.0,
    )
    return Player(composer, remember, metrics)


async def play(embedder: Embedder, conversation: Conversation, price: Price, *, last: int | None = None) -> Played:
    """One conversation at one row of prices; with `last`, what is before so many requests comes with the first."""
    proxy = await player(embedder, price)
    turns = []
    requests = list(conversation.requests())
    for number, (messages, answer) in enumerate(requests[-last:] if last else requests):
        at = STARTED_AT + number * GAP_S
        request = as_request(messages)
        turn, made = await proxy.turn(request, Options("", None, None, ""), price, at)
        turns.append(turn)
        assert made.lineage is not None
        heard = read_message(json.dumps(answer).encode())
        while not await proxy.remember.learn(made.lineage, [heard], at):
            pass
    await proxy.composer.aclose()
    return Played(conversation.corpus, price, tuple(turns))


def as_request(messages: Sequence[object]) -> ChatRequest:
    """As a client would send it."""
    return parse(json.dumps({"model": "replay", "messages": messages}).encode())


def encoded(messages: Sequence[bytes]) -> NDArray[np.int32]:
    """The prompt's token ids: o200k's, with ids of our own for what a chat template puts round a message."""
    opening = np.array([_START, _ROLES["assistant"], _START], np.int32)
    return np.concatenate([*(_message_ids(raw) for raw in messages), opening])


@lru_cache(maxsize=20_000)
def _message_ids(raw: bytes) -> NDArray[np.int32]:
    message = read_message(raw)
    text = load_encoding("o200k_base").encode_ordinary(message.text)
    return np.array([_START, _ROLES.get(message.role, -20), _START, *text, _END], np.int32)


async def replay(conversations: Sequence[Conversation], prices: Sequence[Price]) -> list[Played]:
    """All at all prices; each is embedded once."""
    embedder = await open_embedder(
        "builtin", threads=1, batch_tokens_max=2048, queue_tokens_max=10**6, cache_bytes_max=2**30, timeout_s=60.0
    )
    played = []
    try:
        for number, conversation in enumerate(conversations, start=1):
            for price in prices:
                line = f"{conversation.corpus} {number} of {len(conversations)}, r = {price.read}, w = {price.write}"
                print(f"\r{line:<72}", end="", file=sys.stderr, flush=True)
                played.append(await play(embedder, conversation, price))
    finally:
        await embedder.aclose()
        print(file=sys.stderr)
    return played


def main(*, full: bool = False) -> bool:
    """Print the tables; False if a bar is missed."""
    if not replay_data.DATA.exists():
        print(f"skipped: {replay_data.DATA} is not there")
        return True
    prices = [priced(read, write) for read in READS for write in WRITES]
    sample: tuple[int | None, ...] = (None, None, None) if full else (3, 2, 40)
    chats = [
        *replay_data.longmemeval(sample[0]),
        *replay_data.locomo(sample[1]),
        *replay_data.tool_chats(sample[2]),
    ]
    played = asyncio.run(replay(chats, prices))
    print_tables(played)
    endless = replay_data.endless(replay_data.longmemeval(1)[0], FAR_MESSAGES)
    far = asyncio.run(play(SilentEmbedder(), endless, priced(*TYPICAL), last=FAR_REQUESTS))
    near = [run for run in played if run.corpus == "LongMemEval-S" and (run.price.read, run.price.write) == TYPICAL]
    return all([bars_held(played), is_flat(near, [far])])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay")
    parser.add_argument("--full", action="store_true", help="all conversations, not a sample")
    sys.exit(0 if main(full=parser.parse_args().full) else 1)
