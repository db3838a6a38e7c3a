"""The guarded call: what goes upstream when memory works, is slow, or fails, and what is said of it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from config.prices import Price
from embedders import Embedder
from memory_core.stores import LedgerEntry, Store, open_store
from proxy.compose import Composer, Composition
from proxy.ledger import Row, encode_row
from proxy.metrics import Metrics
from proxy.options import Options
from proxy.plan import Budget, uncached
from proxy.wire import ChatRequest, parse
from tests.support.composing import replica
from tests.support.embedders import GatedEmbedder

BUDGET = Budget(window_tokens=100, epoch_tokens=200, context_tokens=200, block_tokens=40, recall_tokens_max=160)
PRICE = Price("p", "*", 1.0, "input", read=0.5, write=1.0, cacheable_min=1, step=1, ttl_s=300.0)
AT = 1_000.0


@dataclass(frozen=True, slots=True)
class Bench:
    composer: Composer
    metrics: Metrics

    async def compose(self, request: ChatRequest, mode: str | None = None, at: float = AT) -> Composition:
        return await self.composer.compose(request, asked(mode), at)


@asynccontextmanager
async def composing(
    embedder: Embedder, *, memory_timeout_s: float = 30.0, shared: Store | None = None, price: Price = PRICE
) -> AsyncIterator[Bench]:
    """A replica, on a store of its own or a `shared` one."""
    store = await open_store("memory://") if shared is None else shared
    one = await replica(
        store, embedder=embedder, price=price, budget=BUDGET, block_share=0.2, memory_timeout_s=memory_timeout_s
    )
    try:
        yield Bench(one.composer, one.metrics)
    finally:
        await one.composer.aclose()
        if shared is None:
            await store.aclose()


def request(exchanges: int, question: str = "Which berth did I book?") -> ChatRequest:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "I booked berth 27."}]
    for number in range(exchanges):
        messages.append({"role": "assistant", "content": f"Noted as item {number}, go on whenever you like to."})
        messages.append({"role": "user", "content": f"Item {number} is about paint, rope and weather as ever."})
    messages[-1]["content"] = question
    return parse(json.dumps({"model": "m", "temperature": 0.5, "messages": messages}).encode())


def asked(mode: str | None = None) -> Options:
    return Options(conversation="", mode=mode, context_tokens=None, credential="Bearer a")


async def test_short_is_passed_on_byte_for_byte():
    async with composing(GatedEmbedder()) as bench:
        made = await bench.compose(request(3))
    assert made.body == request(3).body
    assert (made.mode, made.error, made.epoch) == ("passthrough", "", 0)
    assert made.full_tokens == made.sent_tokens > 0


async def test_long_is_compacted_and_the_fact_is_recalled():
    embedder = GatedEmbedder()
    async with composing(embedder) as bench:
        made = await bench.compose(request(60))
    sent = json.loads(made.body)
    assert made.mode == "compact"
    assert made.epoch > 0
    assert made.sent_tokens < made.full_tokens
    assert sent["temperature"] == 0.5
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert sent["messages"][-1]["content"].startswith("Which berth did I book?\n\n<memory")
    assert "I booked berth 27." in sent["messages"][-1]["content"] + sent["messages"][1]["content"]


async def test_passthrough_embeds_nothing_on_the_way():
    embedder = GatedEmbedder(is_open=False)
    async with composing(embedder) as bench:
        made = await bench.compose(request(60), "passthrough")
    assert made.body == request(60).body
    assert embedder.calls == []


async def test_nothing_is_compacted_that_would_not_save():
    modes = set()
    for exchanges in range(3, 15):
        async with composing(GatedEmbedder(), price=uncached(PRICE)) as bench:
            made = await bench.compose(request(exchanges), "compact")
        modes.add(made.mode)
        if made.mode == "passthrough":
            assert made.body == request(exchanges).body
            assert made.sent_tokens == made.full_tokens
        else:
            assert made.sent_tokens < made.full_tokens
    assert modes == {"passthrough", "compact"}


async def test_slow_memory_stands_aside_then_at_once_then_is_there():
    embedder = GatedEmbedder(is_open=False)
    async with composing(embedder, memory_timeout_s=0.05) as bench:
        first = await bench.compose(request(60))
        second = await bench.compose(request(60))
        assert (first.error, second.error) == ("timeout", "CatchingUpError")
        assert first.body == second.body == request(60).body
        assert first.lineage is not None  # so that the learner still gets it
        embedder.gate.set()
        third = await bench.compose(request(60), "compact")  # waits its turn behind the first
        assert third.mode == "compact"
        fourth = await bench.compose(request(60))
        assert (fourth.mode, fourth.error) == ("compact", "")


@pytest.mark.parametrize("mode", ["auto", "compact"])
async def test_a_broken_embedder_changes_nothing_and_is_counted(mode: str):
    embedder = GatedEmbedder(poison=["Which berth did I book?"])
    async with composing(embedder) as bench:
        made = await bench.compose(request(60), mode)
        assert made.body == request(60).body
        assert (made.mode, made.error) == ("passthrough", "EmbedderError")
        assert b'isocost_memory_errors_total{reason="EmbedderError"} 1.0' in bench.metrics.render()


async def test_the_same_transcript_gives_the_same_bytes_on_another_replica():
    """The epochs are in the store that they share, and the ledger there tells when the conversation was last sent."""
    store = await open_store("memory://")
    epochs = set()
    async with composing(GatedEmbedder(), shared=store) as one:
        for exchanges in range(46, 60):
            asks = request(exchanges, "Is there another item about paint and rope?")
            grown = await one.compose(asks)
            assert grown.lineage is not None
            row = Row(at=AT, turn=1, model="m", mode="compact", full_tokens=1, sent_tokens=1, overhead_ms=0)
            await store.record(LedgerEntry(grown.lineage.conversation, encode_row(row), row.at))
            async with composing(GatedEmbedder(), shared=store) as other:
                cold = await other.compose(asks, at=AT + 1)
            assert (cold.mode, cold.epoch) == ("compact", grown.epoch)
            assert cold.body == grown.body
            epochs.add(grown.epoch)
    await store.aclose()
    assert len(epochs) > 2
