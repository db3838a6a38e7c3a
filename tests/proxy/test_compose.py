"""The guarded call: what goes upstream when memory works, is slow, or fails, and what is said of it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from embedders import Embedder
from memory_core.stores import open_store
from proxy.claim import Claim
from proxy.compose import Composer
from proxy.metrics import Metrics
from proxy.options import Options
from proxy.plan import Budget
from proxy.tokens import TokenCounter
from proxy.wire import ChatRequest, parse
from tests.support.embedders import GatedEmbedder
from tests.support.remembering import remembering

BUDGET = Budget(compact_above_tokens=600, window_tokens=100, epoch_tokens=200, context_tokens=200, block_share=0.2)


@dataclass(frozen=True, slots=True)
class Bench:
    composer: Composer
    metrics: Metrics


@asynccontextmanager
async def composing(embedder: Embedder, *, memory_timeout_s: float = 30.0) -> AsyncIterator[Bench]:
    store = await open_store("memory://")
    claim = Claim(store, embedder.name)
    await claim.confirm()
    metrics = Metrics()
    composer = Composer(
        remembering(store, embedder),
        claim,
        TokenCounter({}),
        metrics,
        mode="auto",
        budget=BUDGET,
        block_placement="message",
        memory_timeout_s=memory_timeout_s,
        compact_timeout_s=30.0,
    )
    try:
        yield Bench(composer, metrics)
    finally:
        await composer.aclose()
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
        made = await bench.composer.compose(request(3), asked())
    assert made.body == request(3).body
    assert (made.mode, made.error, made.epoch) == ("passthrough", "", 0)
    assert made.full_tokens == made.sent_tokens > 0


async def test_long_is_compacted_and_the_fact_is_recalled():
    embedder = GatedEmbedder()
    async with composing(embedder) as bench:
        made = await bench.composer.compose(request(60), asked())
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
        made = await bench.composer.compose(request(60), asked("passthrough"))
    assert made.body == request(60).body
    assert embedder.calls == []


async def test_nothing_is_compacted_that_would_not_save():
    async with composing(GatedEmbedder()) as bench:
        made = await bench.composer.compose(request(14), asked("compact"))
    assert made.sent_tokens <= made.full_tokens
    if made.mode == "passthrough":
        assert made.body == request(14).body


async def test_slow_memory_stands_aside_then_at_once_then_is_there():
    embedder = GatedEmbedder(is_open=False)
    async with composing(embedder, memory_timeout_s=0.05) as bench:
        first = await bench.composer.compose(request(60), asked())
        second = await bench.composer.compose(request(60), asked())
        assert (first.error, second.error) == ("timeout", "CatchingUpError")
        assert first.body == second.body == request(60).body
        assert first.lineage is not None  # so that the learner still gets it
        embedder.gate.set()
        third = await bench.composer.compose(request(60), asked("compact"))  # waits its turn behind the first
        assert third.mode == "compact"
        fourth = await bench.composer.compose(request(60), asked())
        assert (fourth.mode, fourth.error) == ("compact", "")


@pytest.mark.parametrize("mode", ["auto", "compact"])
async def test_a_broken_embedder_changes_nothing_and_is_counted(mode: str):
    embedder = GatedEmbedder(poison=["Which berth did I book?"])
    async with composing(embedder) as bench:
        made = await bench.composer.compose(request(60), asked(mode))
        assert made.body == request(60).body
        assert (made.mode, made.error) == ("passthrough", "EmbedderError")
        assert b'isocost_memory_errors_total{reason="EmbedderError"} 1.0' in bench.metrics.render()


async def test_the_same_transcript_gives_the_same_bytes_on_another_replica():
    async with composing(GatedEmbedder()) as one, composing(GatedEmbedder()) as other:
        grown = [await one.composer.compose(request(n), asked()) for n in range(40, 60)]
        cold = await other.composer.compose(request(59), asked())
    # tenants hash under each store's own key, so conversations differ by name; what is forwarded does not
    assert cold.body == grown[-1].body
