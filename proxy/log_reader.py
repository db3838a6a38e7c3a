"""The words of a transcript: the client's own where the request carries them, else those of the log."""

from collections.abc import Sequence

from memory_core.codec import Record, decode_record
from memory_core.stores import Store, StoreError
from memory_core.transcript import Turn
from proxy.lineage import Lineage
from proxy.message import Message, read_message

_LOST = "the log has lost a turn that its head still names"


class LogReader:
    """Reads the logs of one store that one embedder wrote. Raises StoreError for a turn that has gone."""

    def __init__(self, store: Store, embedder_name: str) -> None:
        self._store = store
        self._embedder_name = embedder_name

    async def records(self, conversation: str, digests: Sequence[bytes]) -> list[Record]:
        """The log's records of these digests, in their order."""
        if not digests:
            return []
        payloads = await self._store.read(conversation, digests)
        if any(payload is None for payload in payloads):
            raise StoreError(_LOST)
        return [decode_record(payload or b"", self._embedder_name) for payload in payloads]

    async def messages(self, lineage: Lineage, start: int) -> list[Message]:
        """The turns from `start` (from 0) on that only the log holds, as messages."""
        digests = [head.digest for head in lineage.stored[start:]]
        return [read_message(record.message) for record in await self.records(lineage.conversation, digests)]

    async def text(self, lineage: Lineage, place: int) -> str:
        """The text of the turn at `place` (from 0)."""
        return (await self.texts(lineage, {place + 1}))[place + 1][1]

    async def texts(self, lineage: Lineage, turns: set[int]) -> dict[int, tuple[str, str]]:
        """Role and text of these turns (from 1)."""
        held, sent = len(lineage.stored), lineage.turns
        if not held:
            return {turn: (sent[turn - 1].role, sent[turn - 1].text) for turn in turns}
        own = {turn: sent[turn - 1 - held] for turn in turns if turn > held}
        elsewhere = sorted(turns - own.keys())
        records = await self.records(lineage.conversation, [lineage.stored[turn - 1].digest for turn in elsewhere])
        found = {turn: (record.role, record.text) for turn, record in zip(elsewhere, records, strict=True)}
        return found | {turn: (said.role, said.text) for turn, said in own.items()}


def own_turns(lineage: Lineage, start: int) -> Sequence[Turn]:
    """The request's turns from position `start` of the whole transcript on."""
    if start < len(lineage.stored):
        raise StoreError(_LOST)
    return lineage.turns[start - len(lineage.stored) :]
