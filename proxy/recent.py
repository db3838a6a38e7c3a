"""When and how a conversation was last sent: is it still in the provider's prefix cache?

Known of what this process sent; the ledger's newest row tells what another replica did. An estimate like the cache's
own time to live, which no provider promises.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from math import inf

from memory_core.stores import Store
from proxy.ledger import decode_row

KEPT_MAX = 20_000

MOVING_AFTER = 2
"""Once is a change of tools; a prompt whose beginning changed with each of two requests has a clock in it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request: at (unix seconds), a digest of what stands before its turns (`head`) and with its first one (`front`).

    `heads` and `fronts` count how often in a row these changed, `cut` is the latest that was ever made.
    """

    at: float
    head: bytes
    front: bytes
    heads: int = 0
    fronts: int = 0
    cut: int = 0


class Recent:
    """The latest requests by conversation and model."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sent: OrderedDict[tuple[str, str], Sent] = OrderedDict()

    async def idle_s(self, conversation: str, model: str, at: float, ttl_s: float) -> float:
        """Seconds since the conversation was last sent to the model; infinite if it never was."""
        sent = self._sent.get((conversation, model))
        idle = at - sent.at if sent else inf
        if idle <= ttl_s:
            return max(0.0, idle)
        rows = [decode_row(row) for row in await self._store.rows(conversation, 1)]
        return min([idle, *(max(0.0, at - row.at) for row in rows if row.model == model)])

    def sent(self, conversation: str, model: str, now: Sent) -> Sent:
        """Note a request; returns it with what it continues."""
        key = (conversation, model)
        before = self._sent.get(key)
        if before is not None:
            heads = before.heads + 1 if before.head != now.head else 0
            fronts = before.fronts + 1 if before.front != now.front else 0
            now = replace(now, heads=heads, fronts=fronts, cut=max(before.cut, now.cut))
        self._sent[key] = now
        self._sent.move_to_end(key)
        if len(self._sent) > KEPT_MAX:
            self._sent.popitem(last=False)
        return now
