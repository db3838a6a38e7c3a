"""Which conversation is this, and which turns of it are new? Pure.

Clients that resend their history are found by prefix: the first turn names the conversation, the chain of digests
the place in it. Clients that give an explicit id may send only what is new; then their turns go on after the stored
head. A client that gives an id and resends is recognised by its first turn standing at the stored root. A client that
drops or summarises its oldest turns sends a window: its end is stored, its beginning is not where it was.
"""

from bisect import bisect_left
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from memory_core.transcript import Turn, chain, digest_of, root_digest
from proxy.identity import Identity
from proxy.message import NO_TURNS, SYSTEM_ROLES, Message

FRONT_MAX = 2
"""So many messages in front of a window may be new to us: a summary of what was dropped, and its acknowledgement."""

_AFTER_FRONT_MIN = 2
"""Behind such a front so many turns at least must be the newest that are stored."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """A stored turn in brief: enough to plan with, without its text. `tokens` are o200k's."""

    role: str
    fingerprint: bytes
    digest: bytes
    tokens: int


class Lineage(msgspec.Struct, frozen=True):
    """The transcript of a request: `stored` turns that only the log holds, then the request's own `turns`.

    `digests` are those of all turns, `places[i]` is the index in the request's messages of `turns[i]`, `pinned` are
    the indexes of what is no turn: system messages, and the `front` that a client put before its window.
    `is_window`: the client left the stored turns out on purpose, so that its own messages are the whole prompt.
    """

    conversation: str
    identity: Identity
    root: bytes
    stored: tuple[Head, ...]
    turns: tuple[Turn, ...]
    places: tuple[int, ...]
    digests: list[bytes]
    pinned: tuple[int, ...] = ()
    front: tuple[Turn, ...] = ()
    is_window: bool = False

    @property
    def explicit(self) -> bool:
        """The client named the conversation: what it sends follows the stored head."""
        return self.identity.names

    @property
    def is_only_ours(self) -> bool:
        """The client may send only what is new: nobody else holds its turns."""
        return self.identity.names and not self.identity.resends

    @property
    def is_thin(self) -> bool:
        """Nobody but us holds the turns before the request's own, and the prompt needs them."""
        return bool(self.stored) and not self.is_window

    @property
    def length(self) -> int:
        """How many turns the transcript has."""
        return len(self.digests)

    def role(self, place: int) -> str:
        """Of the turn at `place` (from 0)."""
        held = len(self.stored)
        return self.stored[place].role if place < held else self.turns[place - held].role


def trace(
    messages: Sequence[Message], tenant: bytes, identity: Identity, before: Lineage | None = None, same: int = 0
) -> Lineage:
    """The lineage of a client that sent its whole history.

    `before` is what `trace` made of other messages, of which the first `same` were these: it is gone on from, so that a
    resent history costs what is new in it.
    """
    root = root_digest(tenant, identity.scope)
    turns: tuple[Turn, ...] = ()
    places: tuple[int, ...] = ()
    pinned: tuple[int, ...] = ()
    digests: list[bytes] = []
    start = 0
    if before is not None and before.root == root:
        start = same
        known = bisect_left(before.places, same)
        turns, places, digests = before.turns[:known], before.places[:known], before.digests[:known]
        pinned = before.pinned[: bisect_left(before.pinned, same)]
    roles = [message.role for message in messages[start:]]  # no properties: a call takes longer than all the rest
    follow = tuple([place for place, role in enumerate(roles, start) if role not in NO_TURNS])
    if len(follow) < len(roles):
        pinned += tuple([place for place, role in enumerate(roles, start) if role in SYSTEM_ROLES])
    added = _linked(turns[-1].digest if turns else root, [messages[place] for place in follow])
    places, turns = places + follow, turns + added
    digests += [turn.digest for turn in added]
    conversation = root if identity.names or not digests else digests[0]
    return Lineage(conversation.hex(), identity, root, (), turns, places, digests, pinned)


def continued(lineage: Lineage, stored: Sequence[Head], digests: Sequence[bytes] = ()) -> Lineage:
    """The lineage of a client that named its conversation, given the turns stored of it.

    `digests` are the stored turns' own, where the caller has them in a list: ten thousand are faster copied than read.
    Resent from the first turn on: as traced. Otherwise the request's turns follow the stored ones, less the overlap
    if the client repeats the newest of them (it keeps a window of its own).
    """
    if not stored or not lineage.turns or _is_resent(lineage, stored):
        return lineage
    front, repeated = _aligned(lineage, stored, at_least=_AFTER_FRONT_MIN)
    follows = _following(lineage, stored[: len(stored) - repeated], front, digests)
    return replace(follows, is_window=True) if front or lineage.identity.resends else follows


def attached(
    lineage: Lineage, conversation: str, stored: Sequence[Head], digests: Sequence[bytes], *, at_least: int
) -> Lineage | None:
    """The lineage as a window on another conversation, whose turns up to a run that it repeats are `stored`.

    All that the client sent before its new turns must be the newest stored turns, `at_least` of them, but for a front.
    """
    front, repeated = _aligned(lineage, stored, at_least=at_least)
    if repeated < at_least:
        return None
    follows = _following(lineage, stored[: len(stored) - repeated], front, digests)
    return replace(follows, conversation=conversation, is_window=True)


def extended(lineage: Lineage, *answer: Message) -> Lineage:
    """The lineage with the upstream's answer as its newest turns."""
    parent = lineage.digests[-1] if lineage.length else lineage.root
    added = _linked(parent, answer)
    return replace(
        lineage,
        turns=lineage.turns + added,
        places=(*lineage.places, *[-1 for _ in added]),
        digests=[*lineage.digests, *[turn.digest for turn in added]],
    )


def as_sent(lineage: Lineage) -> Lineage:
    """The lineage of the request's own turns alone, as `trace` gave it: to be continued from a newer head."""
    turns = relinked(lineage.root, lineage.front + lineage.turns)
    front = lineage.pinned[len(lineage.pinned) - len(lineage.front) :]
    return replace(
        lineage,
        stored=(),
        turns=turns,
        places=front + lineage.places,
        digests=[turn.digest for turn in turns],
        pinned=lineage.pinned[: len(lineage.pinned) - len(lineage.front)],
        front=(),
        is_window=False,
    )


def relinked(parent: bytes, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The same turns, following another parent."""
    digests = chain(parent, [turn.fingerprint for turn in turns])
    return tuple(
        [
            Turn(turn.role, turn.text, turn.message, turn.fingerprint, digest)
            for turn, digest in zip(turns, digests, strict=True)
        ]
    )


def tenant_of(key: bytes, credential: str) -> bytes:
    """The tenant: a keyed hash of the credential, so that the store never learns the credential itself."""
    return digest_of(b"isocost tenant", key, credential.encode("utf-8", "surrogateescape"))


def _following(lineage: Lineage, stored: Sequence[Head], front: int, digests: Sequence[bytes]) -> Lineage:
    """The request's turns, but for a front of so many, after these stored ones."""
    before = list(digests[: len(stored)]) if digests else [head.digest for head in stored]
    own = relinked(stored[-1].digest if stored else lineage.root, lineage.turns[front:])
    return replace(
        lineage,
        stored=tuple(stored),
        turns=own,
        places=lineage.places[front:],
        digests=before + [turn.digest for turn in own],
        pinned=lineage.pinned + lineage.places[:front],
        front=lineage.turns[:front],
    )


def _is_resent(lineage: Lineage, stored: Sequence[Head]) -> bool:
    """The stored first turn followed by more, or all that is stored and nothing else.

    One turn alone that equals the stored first one stays ambiguous ("yes" said again, or a first turn regenerated);
    it is taken as new when the conversation has gone on, for a turn heard twice does less harm than a history lost.
    """
    if lineage.turns[0].digest != stored[0].digest:
        return False
    return len(lineage.turns) > 1 or len(stored) == 1


def _aligned(lineage: Lineage, stored: Sequence[Head], *, at_least: int) -> tuple[int, int]:
    """The shortest front behind which the turns begin with the newest stored ones, and how many these are.

    (0, 0) where nothing matches; behind a front `at_least` so many must.
    """
    sent = [turn.fingerprint for turn in lineage.turns]
    newest = [head.fingerprint for head in stored[-len(sent) :]]
    for front in range(min(FRONT_MAX, len(sent)) + 1):
        repeated = _overlap(newest, sent[front:])
        if repeated >= (at_least if front else 1):
            return front, repeated
    return 0, 0


def _overlap(stored: Sequence[bytes], sent: Sequence[bytes]) -> int:
    """The most turns that are both the end of `stored` and the beginning of `sent`."""
    for size in range(min(len(stored), len(sent)), 0, -1):
        if stored[-size] == sent[0] and list(stored[-size:]) == list(sent[:size]):
            return size
    return 0


def _linked(root: bytes, messages: Sequence[Message]) -> tuple[Turn, ...]:
    digests = chain(root, [message.fingerprint for message in messages])
    return tuple(
        [
            Turn(message.role, message.text, message.raw, message.fingerprint, digest)
            for message, digest in zip(messages, digests, strict=True)
        ]
    )
