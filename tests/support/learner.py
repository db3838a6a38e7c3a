"""A learner with its parts at hand, and exchanges to offer it.

Use the fixture from a test module with `pytest_plugins = ["tests.support.learner"]`.
PYTEST_DONT_REWRITE: a test module may import names from here before pytest sees it as a plugin.
"""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from memory_core.state import Capacities
from memory_core.stores import open_store
from proxy.exchange import Exchange
from proxy.learn import Learner
from proxy.ledger import Row
from proxy.metrics import Metrics
from proxy.remember import Remember
from proxy.runs import Runs
from tests.support.embedders import GatedEmbedder
from tests.support.messages import chat, said, traced
from tests.support.stores import FailingStore


class Bench:
    """A learner with its parts at hand; `running` runs it for a block."""

    def __init__(self, inner, *, queue_max=100):
        self.store = FailingStore(inner, [])
        self.embedder = GatedEmbedder()
        self.metrics = Metrics()
        self.remember = Remember(
            self.store, self.embedder, count=lambda _: 1, capacities=Capacities(), cache_bytes_max=10**8
        )
        self.learner = Learner(self.remember, Runs(self.store), self.store, self.metrics, queue_max=queue_max)

    def counted(self, outcome):
        return self.metrics.registry.get_sample_value("isocost_learned_total", {"outcome": outcome}) or 0

    @property
    def queued(self):
        return self.metrics.registry.get_sample_value("isocost_learner_queue")

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.learner.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def bench():
    store = await open_store("memory://")
    yield Bench(store)
    await store.aclose()


def exchange(*texts, answer="fine", turn=1):
    lineage = traced(chat(*texts))
    row = Row(at=5.0, turn=turn, model="m", mode="auto", full_tokens=1, sent_tokens=1, overhead_ms=0)
    return Exchange(lineage.conversation, lineage, (said("assistant", answer),) if answer else (), row)


async def soon(future):
    return await asyncio.wait_for(future, 5)
