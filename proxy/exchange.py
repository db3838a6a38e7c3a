"""What a request leaves behind to be learned, and what becomes of it."""

import asyncio
from dataclasses import dataclass

import msgspec

from memory_core.stores import LedgerEntry
from proxy.ledger import Row, encode_row, tallies
from proxy.lineage import Lineage
from proxy.message import Message


class Exchange(msgspec.Struct, frozen=True):
    """What a request leaves behind: its transcript (None if only the row counts), the answer's turns, the ledger row.

    `tenant` (hexadecimal) is whose totals the row adds to, `tokens` what of it waits in memory.
    """

    conversation: str
    lineage: Lineage | None
    answer: tuple[Message, ...]
    row: Row
    tenant: str = ""
    tokens: int = 0

    @property
    def is_urgent(self) -> bool:
        """Someone waits until it is learned."""
        return self.lineage is not None and self.lineage.is_only_ours


class Receipt:
    """Of an exchange: `future` tells once its row was written and its turns learned, or not."""

    __slots__ = ("_good", "_open", "future")

    def __init__(self) -> None:
        self.future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._open = 2
        self._good = True

    def tell(self, good: bool) -> None:
        """One of the two is done."""
        self._open -= 1
        self._good = self._good and good
        if not self._open and not self.future.done():
            self.future.set_result(self._good)


class Unwritten(msgspec.Struct, frozen=True):
    """A row that waits. No more of the exchange: rows may wait for long, and answers are large."""

    conversation: str
    row: Row
    tenant: str
    receipt: Receipt

    def entry(self) -> LedgerEntry:
        """For the store."""
        totals = tallies(self.row, self.conversation, self.tenant)
        return LedgerEntry(self.conversation, encode_row(self.row), self.row.at, totals)


@dataclass(slots=True, eq=False)
class Waiting:
    """An exchange to be learned, and whom to tell; `whole` is its transcript with the answer. It `had_turn` once
    it has waited for a spell; `ahead` are the digests of the turns that were embedded for its next step."""

    exchange: Exchange
    whole: Lineage | None
    told: list[Receipt]
    had_turn: bool = False
    ahead: frozenset[bytes] | None = None

    def goes_on_in(self, later: Lineage) -> bool:
        """All of it is in a later transcript, which is then enough to learn."""
        if self.whole is None or self.whole.explicit or later.length < self.whole.length:
            return False
        return self.whole.length > 0 and later.digests[self.whole.length - 1] == self.whole.digests[-1]
