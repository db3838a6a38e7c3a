"""How long is this transcript, in tokens? Counted once a turn and summed up, so that a request costs its new turns.

Sums grow in place as a conversation does, and every request holds a view of its own length on them; a fork copies.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from memory_core.transcript import common_prefix, digest_of
from proxy.lineage import Lineage
from proxy.prefix_cache import Part
from proxy.segmented import LONG_TURNS, Segmented
from proxy.tokens import REPLY_TOKENS, TokenCounter
from proxy.wire import ChatRequest

EXCHANGE_TOKENS = 200
"""What an exchange is taken to hold before the first one has been seen."""

_RACES_MAX = 4

_CONVERSATION_TURNS = 5
"""What a conversation takes, whatever its length, as much as so many turns: some 500 bytes."""

_PROBATION = 1 / 32
"""Of the room, for conversations that have not gone on: the counter has the counts of those that were let go."""

_PARTS_MAX = 64
"""System prompts and tools that are shared by the conversations that have the same."""

_HEAD_FIELDS = ("tools", "instructions")
"""Fields beside the messages that stand in the prompt."""


class Measured(msgspec.Struct, frozen=True):
    """A transcript of `length` turns. The lists may go on beyond it.

    `begins[i]` is how many tokens stand before turn i, `users` and `replies` are the places of users' and assistants'
    turns. The client itself sent those from `seen_from` on. `head` is what is sent whatever we do: tools, messages that
    are no turns.
    """

    length: int
    begins: Sequence[int]
    users: Sequence[int]
    replies: Sequence[int]
    seen_from: int = 0
    head: tuple[Part, ...] = ()

    @property
    def other(self) -> int:
        """What is no turn: the head, and the opening of the reply."""
        return sum(part.tokens for part in self.head) + REPLY_TOKENS

    @property
    def asked(self) -> int:
        """The place of the last user turn, -1 if there is none."""
        users = bisect_left(self.users, self.length)
        return self.users[users - 1] if users else -1

    @property
    def exchange(self) -> float:
        """Mean tokens by which a request outgrew the one before it, up to the question."""
        asked = self.asked
        requests = bisect_left(self.replies, asked) - bisect_left(self.replies, self.seen_from)
        grown = self.between(self.seen_from, asked)
        return grown / requests if requests > 0 and grown > 0 else EXCHANGE_TOKENS

    @property
    def full(self) -> int:
        """The whole prompt as the client means it."""
        return self.between(self.seen_from, self.length) + self.other

    def between(self, start: int, stop: int) -> int:
        """Tokens of the turns from `start` up to, not including, `stop`."""
        return self.begins[stop] - self.begins[start]

    def users_around(self, begin: int, asked: int) -> tuple[int, int]:
        """The last user turn that begins at `begin` tokens or before (-1 if none does), and the next one, both up to
        the user turn at `asked`."""
        last = bisect_right(self.begins, begin, 0, asked + 1) - 1
        place = bisect_right(self.users, last)
        return self.users[place - 1] if place else -1, self.users[place] if last < asked else asked


@dataclass(slots=True)
class _Sums:
    digests: list[bytes] = field(default_factory=list)
    begins: list[int] = field(default_factory=lambda: [0])
    users: list[int] = field(default_factory=list)
    replies: list[int] = field(default_factory=list)

    def first(self, turns: int) -> "_Sums":
        """These sums if they are no longer, else a copy of those of the first turns."""
        if turns == len(self.digests):
            return self
        users, replies = bisect_left(self.users, turns), bisect_left(self.replies, turns)
        return _Sums(self.digests[:turns], self.begins[: turns + 1], self.users[:users], self.replies[:replies])

    def add(self, role: str, tokens: int) -> None:
        if role == "user":
            self.users.append(len(self.begins) - 1)
        elif role == "assistant":
            self.replies.append(len(self.begins) - 1)
        self.begins.append(self.begins[-1] + tokens)


class Meter:
    """Measures for one process. `turns_max` bounds what it keeps of all conversations together, some 100 bytes each."""

    def __init__(self, counter: TokenCounter, *, turns_max: int = 100_000) -> None:
        self._counter = counter
        self._kept: Segmented[tuple[str, str], _Sums] = Segmented(turns_max, probation=_PROBATION)
        self._parts: OrderedDict[tuple[bytes, int], Part] = OrderedDict()

    async def measure(self, request: ChatRequest, lineage: Lineage) -> Measured:
        """The request's transcript in the tokens of its model."""
        key = (lineage.conversation, self._counter.encoding(request.model))
        head = await self._head(request, lineage)
        for _ in range(_RACES_MAX):  # another request of this conversation may come in between while texts are counted
            first = self._shared(key, lineage)
            counts = await self._counts(request, lineage, first)
            if (shared := self._shared(key, lineage)) >= first:
                sums = self._kept.get(key) or _Sums()
                if shared < lineage.length:
                    sums = self._grown(key, sums.first(shared), lineage, counts[shared - first :])
                break
        else:
            sums = _grow(_Sums(), lineage, await self._counts(request, lineage, 0))
        seen_from = len(lineage.stored) if lineage.is_window else 0
        return Measured(lineage.length, sums.begins, sums.users, sums.replies, seen_from, head)

    async def _counts(self, request: ChatRequest, lineage: Lineage, first: int) -> list[int]:
        """Tokens of the turns from `first` on."""
        held = len(lineage.stored)
        if first == lineage.length:
            return []
        known = [head.tokens for head in lineage.stored[first:]]
        own = [request.messages[place] for place in lineage.places[max(0, first - held) :]]
        return known + await self._counter.messages(own, request.model)

    async def _head(self, request: ChatRequest, lineage: Lineage) -> tuple[Part, ...]:
        fields = [request.fields[name] for name in _HEAD_FIELDS if name in request.fields]
        if not lineage.pinned and not fields:
            return ()
        pinned = [request.messages[place] for place in sorted(lineage.pinned)]
        counts = await self._counter.messages(pinned, request.model)
        parts = [Part(each.fingerprint, count, each.text) for each, count in zip(pinned, counts, strict=True)]
        before = [Part(digest_of(b"tools", raw), await self._counter.payload(raw, request.model)) for raw in fields]
        return tuple([self._same(part) for part in (*before, *parts)])

    def _same(self, part: Part) -> Part:
        """The one that was made before, if there is one: a thousand conversations hold one system prompt so."""
        key = part.digest, part.tokens
        found = self._parts.setdefault(key, part)
        self._parts.move_to_end(key)
        if len(self._parts) > _PARTS_MAX:
            self._parts.popitem(last=False)
        return found

    def _shared(self, key: tuple[str, str], lineage: Lineage) -> int:
        """How many of these turns are kept."""
        kept = self._kept.get(key)
        return common_prefix(kept.digests, lineage.digests) if kept is not None else 0

    def _grown(self, key: tuple[str, str], sums: _Sums, lineage: Lineage, counts: Sequence[int]) -> _Sums:
        before = self._kept.get(key)
        goes_on = lineage.length > (LONG_TURNS if before is None else len(before.digests))
        grown = _grow(sums, lineage, counts)
        self._kept.put(key, grown, lineage.length + _CONVERSATION_TURNS, lasts=goes_on)
        return grown


def _grow(sums: _Sums, lineage: Lineage, counts: Sequence[int]) -> _Sums:
    for tokens in counts:
        sums.add(lineage.role(len(sums.begins) - 1), tokens)
    sums.digests.extend(lineage.digests[len(sums.digests) :])  # to let go of ten thousand old ones would take time too
    return sums
