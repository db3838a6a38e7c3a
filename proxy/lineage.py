"""Which conversation is this, and which turns of it are new? Pure.

Clients that resend their history are found by prefix: the first turn names the conversation, the chain of digests
the place in it. Clients that give an explicit id may send only what is new; then their turns go on after the stored
head. A client that gives an id and resends is recognised by its first turn standing at the stored root.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memory_core.transcript import Turn, chain, digest_of, root_digest
from proxy.wire import Message


@dataclass(frozen=True, slots=True)
class Head:
    """A stored turn in brief: enough to plan with, without its text. `tokens` are o200k's."""

    role: str
    fingerprint: bytes
    digest: bytes
    tokens: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """The transcript of a request: `stored` turns that only the log holds, then the request's own `turns`.

    `places[i]` is the index in the request's messages of `turns[i]`.
    """

    conversation: str
    explicit: bool
    root: bytes
    stored: tuple[Head, ...]
    turns: tuple[Turn, ...]
    places: tuple[int, ...]

    @property
    def is_thin(self) -> bool:
        """Nobody but us holds the turns before the request's own."""
        return bool(self.stored)

    @property
    def digests(self) -> list[bytes]:
        """Of all turns, from the first."""
        return [head.digest for head in self.stored] + [turn.digest for turn in self.turns]

    @property
    def roles(self) -> list[str]:
        """Of all turns, from the first."""
        return [head.role for head in self.stored] + [turn.role for turn in self.turns]

    @property
    def length(self) -> int:
        """How many turns the transcript has."""
        return len(self.stored) + len(self.turns)


def trace(messages: Sequence[Message], tenant: bytes, explicit_id: str) -> Lineage:
    """The lineage of a client that sent its whole history."""
    places = tuple(place for place, message in enumerate(messages) if not message.is_system)
    root = root_digest(tenant, explicit_id)
    turns = _linked(root, [messages[place] for place in places])
    first = turns[0].digest if turns else root
    return Lineage((root if explicit_id else first).hex(), bool(explicit_id), root, (), turns, places)


def continued(lineage: Lineage, stored: Sequence[Head]) -> Lineage:
    """The lineage of a client that named its conversation, given the turns stored of it.

    Resent from the first turn on: as traced. Otherwise the request's turns follow the stored ones, less the overlap
    if the client repeats the newest of them (it keeps a window of its own).
    """
    if not stored or not lineage.turns or _is_resent(lineage, stored):
        return lineage
    fingerprints = [turn.fingerprint for turn in lineage.turns]
    repeated = _overlap([head.fingerprint for head in stored], fingerprints)
    kept = tuple(stored[: len(stored) - repeated])
    root = kept[-1].digest if kept else lineage.root
    return Lineage(lineage.conversation, True, lineage.root, kept, relinked(root, lineage.turns), lineage.places)


def extended(lineage: Lineage, answer: Message) -> Lineage:
    """The lineage with the upstream's answer as its newest turn."""
    parent = lineage.digests[-1] if lineage.length else lineage.root
    return replace(lineage, turns=lineage.turns + _linked(parent, [answer]), places=(*lineage.places, -1))


def as_sent(lineage: Lineage) -> Lineage:
    """The lineage of the request's own turns alone, as `trace` gave it: to be continued from a newer head."""
    return replace(lineage, stored=(), turns=relinked(lineage.root, lineage.turns))


def relinked(parent: bytes, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The same turns, following another parent."""
    digests = chain(parent, [turn.fingerprint for turn in turns])
    return tuple(
        Turn(turn.role, turn.text, turn.message, turn.fingerprint, digest)
        for turn, digest in zip(turns, digests, strict=True)
    )


def tenant_of(key: bytes, credential: str) -> bytes:
    """The tenant: a keyed hash of the credential, so that the store never learns the credential itself."""
    return digest_of(b"isocost tenant", key, credential.encode("utf-8", "surrogateescape"))


def _is_resent(lineage: Lineage, stored: Sequence[Head]) -> bool:
    """The stored first turn followed by more, or all that is stored and nothing else.

    One turn alone that equals the stored first one stays ambiguous ("yes" said again, or a first turn regenerated);
    it is taken as new when the conversation has gone on, for a turn heard twice does less harm than a history lost.
    """
    if lineage.turns[0].digest != stored[0].digest:
        return False
    return len(lineage.turns) > 1 or len(stored) == 1


def _overlap(stored: Sequence[bytes], sent: Sequence[bytes]) -> int:
    """The most turns that are both the end of `stored` and the beginning of `sent`."""
    for size in range(min(len(stored), len(sent)), 0, -1):
        if stored[-size] == sent[0] and list(stored[-size:]) == list(sent[:size]):
            return size
    return 0


def _linked(root: bytes, messages: Sequence[Message]) -> tuple[Turn, ...]:
    digests = chain(root, [message.fingerprint for message in messages])
    return tuple(
        Turn(message.role, message.text, message.raw, message.fingerprint, digest)
        for message, digest in zip(messages, digests, strict=True)
    )
