"""When and how a conversation was last sent: is what a prompt begins with still in the provider's prefix cache?

Known of what this process sent, layout by layout; the ledger's newest row tells what another replica did. An estimate
like the cache's own time to live, which no provider promises.
"""

from math import inf
from typing import NamedTuple

import msgspec

from memory_core.stores import Store
from proxy.ledger import decode_row
from proxy.segmented import Segmented

KEPT_MAX = 8_192
"""Half a kilobyte each; of any other the ledger tells."""

_PROBATION = 1 / 4

LAYOUTS_MAX = 8
"""As many as epochs are named: the branches of an agent that are alive at once."""

MOVING_AFTER = 2
"""Once is a change of tools; a prompt whose beginning changed with each of two requests has a clock in it."""


class Key(NamedTuple):
    """What has a prefix cache of its own."""

    conversation: str
    model: str


class Layout(NamedTuple):
    """A layout that was sent: `cut`, the digest of the last turn before it (`boundary`, b"" for none), when (`at`)."""

    cut: int
    boundary: bytes
    at: float


class Sent(msgspec.Struct, frozen=True):
    """What stands before the turns (`head`, a digest) and with the first of them (`front`) in the newest request.

    `heads` and `fronts` count how often in a row these changed; `layouts` are the latest, newest last.
    """

    head: bytes
    front: bytes
    heads: int = 0
    fronts: int = 0
    layouts: tuple[Layout, ...] = ()

    @property
    def latest_cut(self) -> int:
        """Of these layouts."""
        return max((layout.cut for layout in self.layouts), default=0)


class Recent:
    """The latest requests, least recently sent out first. Times in unix seconds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sent: Segmented[Key, Sent] = Segmented(KEPT_MAX, probation=_PROBATION)

    async def idle_s(self, key: Key, cut: int, boundary: bytes, at: float, ttl_s: float) -> float:
        """Seconds since this layout of the conversation was last sent; infinite if it never was."""
        sent = self._sent.get(key)
        layouts = sent.layouts if sent is not None else ()
        idle = min((at - each.at for each in layouts if each.boundary == boundary), default=inf)
        if idle <= ttl_s:
            return max(0.0, idle)
        rows = [decode_row(row) for row in await self._store.rows(key.conversation, 1)]
        others = (max(0.0, at - row.at) for row in rows if (row.model, row.cut) == (key.model, cut))
        return min([idle, *others])

    def noted(self, key: Key, head: bytes, front: bytes) -> Sent:
        """Note how a request begins; returns it with what it continues."""
        before = self._sent.get(key)
        now = Sent(head, front)
        if before is not None:
            heads = before.heads + 1 if before.head != head else 0
            fronts = before.fronts + 1 if before.front != front else 0
            now = Sent(head, front, heads, fronts, before.layouts)
        self._sent.put(key, now, 1, lasts=before is not None)
        return now

    def used(self, key: Key, layout: Layout) -> None:
        """Note the layout of a request that was noted."""
        sent = self._sent.get(key)
        if sent is not None:
            others = tuple(each for each in sent.layouts if each.boundary != layout.boundary)
            layouts = (*others, layout)[-LAYOUTS_MAX:]
            self._sent.put(key, Sent(sent.head, sent.front, sent.heads, sent.fronts, layouts), 1, lasts=False)
