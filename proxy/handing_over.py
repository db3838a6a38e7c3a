"""A stored conversation as a hand-off block: what the next session, or the next model, must know of it."""

from collections.abc import Callable

from memory_core.facts import Facts, settled
from memory_core.handoff import handoff
from memory_core.stores import Store
from proxy.log_reader import LogReader

_TURNS_PER_READ = 256


async def handed_over(
    store: Store, embedder_name: str, conversation: str, tokens_max: int, count: Callable[[str], int]
) -> str | None:
    """The Markdown block of at most `tokens_max` tokens, "" if nothing was settled; None if nobody knows of it."""
    snapshot = await store.load(conversation)
    if snapshot is None:
        return None
    log = LogReader(store, embedder_name)
    facts = Facts()
    path = await store.path(conversation, snapshot.digest)
    for start in range(0, len(path), _TURNS_PER_READ):
        for record in await log.records(conversation, path[start : start + _TURNS_PER_READ]):
            facts = facts.after(record.role, record.text)
    return handoff(settled(facts), tokens_max, count)
