"""Composers on a store, as the application makes them, and requests through them with time under control."""

from collections.abc import Sequence
from dataclasses import dataclass

from config.prices import Price
from embedders import Embedder
from memory_core.stores import Store
from proxy.claim import Claim
from proxy.compose import Composer, Composition
from proxy.draft import Drafter
from proxy.epochs import Epochs
from proxy.lineage import extended
from proxy.meter import Meter
from proxy.metrics import Metrics
from proxy.options import Options
from proxy.plan import Budget
from proxy.recent import Recent
from proxy.remember import Remember
from proxy.runs import Runs
from proxy.sampling import Shares
from proxy.tokens import TokenCounter
from proxy.wire import parse
from tests.support.embedders import HashedWordsEmbedder
from tests.support.messages import said
from tests.support.remembering import learn, remembering
from tests.support.transcripts import Msg, raws

PRICE = Price("test", "*", 1.0, "input", read=0.5, write=1.0, cacheable_min=16, step=4, ttl_s=300.0)
BUDGET = Budget(window_tokens=60, epoch_tokens=150, context_tokens=200, block_tokens=80, recall_tokens_max=120)
UNASKED = Options("", None, None, "")


@dataclass(frozen=True, slots=True)
class Replica:
    """One process's parts."""

    composer: Composer
    remember: Remember
    runs: Runs
    metrics: Metrics

    async def send(self, messages: Sequence[Msg], at: float, options: Options = UNASKED) -> "Sent":
        """Compose a request and learn it, as if its answer had been lost."""
        raw = b",".join(raws(messages))
        made = await self.composer.compose(parse(b'{"model":"m","messages":[' + raw + b"]}"), options, at)
        if made.lineage is not None:
            await learn(self.remember, made.lineage, at=at)
        return Sent(made, raws(messages), [message.raw for message in parse(made.body).messages])

    async def answered(self, sent: "Sent", answer: str, at: float) -> None:
        """Learn the answer to a request, as the learner does."""
        lineage = sent.made.lineage
        assert lineage is not None
        await learn(self.remember, lineage, answer, at=at)
        await self.runs.note(extended(lineage, said("assistant", answer)))


@dataclass(frozen=True, slots=True)
class Sent:
    """What was made of a request: the client's raw messages, and those that would have gone upstream."""

    made: Composition
    asked: list[bytes]
    forwarded: list[bytes]


async def replica(
    store: Store,
    *,
    mode: str = "auto",
    price: Price = PRICE,
    budget: Budget = BUDGET,
    embedder: Embedder | None = None,
    block_placement: str = "message",
    block_share: float = 0.25,
    memory_timeout_s: float = 60.0,
    shares: Shares = Shares(),  # noqa: B008 -- frozen
) -> Replica:
    """A process that has just started on this store."""
    embeds = embedder or HashedWordsEmbedder()
    counter, metrics, runs = TokenCounter({}), Metrics(), Runs(store)
    remember = remembering(store, embeds)
    claim = Claim(store, embeds.name)
    await claim.confirm()
    drafter = Drafter(
        remember, Epochs(store), Recent(store), lambda _: price, counter, metrics, block_placement=block_placement
    )
    composer = Composer(
        remember,
        runs,
        claim,
        Meter(counter),
        drafter,
        metrics,
        mode=mode,
        budget=budget,
        block_share=block_share,
        shares=shares,
        memory_timeout_s=memory_timeout_s,
        compact_timeout_s=60.0,
    )
    return Replica(composer, remember, runs, metrics)
