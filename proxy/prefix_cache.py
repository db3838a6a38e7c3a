"""A provider's prefix cache, simulated: of the prompts really sent, how much was read, written, fresh, and the price.

    shared   the longest beginning that this prompt has in common with one sent within the time to live; where a
             provider matches only at the end of an earlier prompt, one that this prompt continues
    cached   shared, but for the prompt's last token; 0 below the row's minimum, else rounded down to its step
    written  what is cached for the next time and was not: the whole prompt rounded down, less `cached`
    fresh    all the rest
    price    read · cached + write · written + fresh, in fresh input tokens

A prompt is anything that knows its tokens and what it shares with another: `Outline` (what the proxy keeps of one,
whole messages at a time, so that ten thousand turns compare as fast as ten) or `Encoded` (its token ids, exact).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.prices import Price
from memory_core.transcript import longest_prefix
from proxy.tokens import REPLY_TOKENS

ENTRIES_MAX = 8
"""Prompts that are remembered: an agent's parallel branches. What one of them continues is one with it."""


class Prompt(Protocol):
    """What the simulator needs of a prompt."""

    @property
    def tokens(self) -> int:
        """How long it is."""
        ...

    @property
    def lasting(self) -> int:
        """How many leading tokens the next prompt has if it goes on from this one."""
        ...

    def shared(self, earlier: Self, *, with_answer: bool) -> int:
        """How many leading tokens it has in common with an earlier one, and with the answer to that one if asked."""
        ...


P = TypeVar("P", bound=Prompt)


class Usage(NamedTuple):
    """What one prompt takes: tokens, and their price in fresh input tokens."""

    cached: int
    written: int
    fresh: int
    price: float


@dataclass(frozen=True, slots=True)
class _Entry(Generic[P]):
    prompt: P
    at: float


class PrefixCache(Generic[P]):
    """The cache of one conversation. Times in seconds, of any clock that does not go back."""

    def __init__(self) -> None:
        self._entries: list[_Entry[P]] = []

    def copy(self) -> "PrefixCache[P]":
        """One of its own that holds the same."""
        other: PrefixCache[P] = PrefixCache()
        other._entries = [*self._entries]
        return other

    def send(self, prompt: P, price: Price, at: float, factor: float = 1.0) -> Usage:
        """What it takes to send a prompt now; it is in the cache afterwards.

        `factor`: the upstream's tokens for each of ours.
        """
        longest, others = 0, []
        for entry in self._entries:
            if at - entry.at > price.ttl_s:
                continue
            shared = prompt.shared(entry.prompt, with_answer=price.caches_answers)
            if not price.at_marks or shared >= entry.prompt.tokens - REPLY_TOKENS:
                longest = max(longest, shared)
            if shared < entry.prompt.lasting:
                others.append(entry)
        total = round(prompt.tokens * factor)
        cached = cacheable(price, min(round(longest * factor), total - 1))
        written = max(0, cacheable(price, total) - cached)
        self._entries = [*others[-ENTRIES_MAX + 1 :], _Entry(prompt, at)]
        return usage(price, cached, written, total)


def usage(price: Price, cached: int, written: int, total: int) -> Usage:
    """The price of a prompt of which so many tokens were read and written."""
    fresh = max(0, total - cached - written)
    return Usage(cached, written, fresh, price.read * cached + price.write * written + fresh)


def cacheable(price: Price, tokens: int) -> int:
    """How much of so long a beginning is cached."""
    if tokens < price.cacheable_min or price.read >= price.write:
        return 0
    return tokens // price.step * price.step


class Part(NamedTuple):
    """A message before the turns, or the tools: a digest, its tokens, its text if it may change little by little."""

    digest: bytes
    tokens: int
    text: str = ""


NO_RECALL = Part(b"", 0)


class Outline(msgspec.Struct, frozen=True):
    """A prompt in brief: `head` parts, the turns `first` to `length` of a transcript, with `recall` after turn `asked`.

    `digests` and `begins` are the transcript's, as in lineage.py and meter.py.
    """

    head: tuple[Part, ...]
    digests: Sequence[bytes]
    begins: Sequence[int]
    first: int
    asked: int
    length: int
    recall: Part = NO_RECALL

    @property
    def tokens(self) -> int:
        """How long it is."""
        return self._until(self.length) + self.recall.tokens + REPLY_TOKENS

    @property
    def lasting(self) -> int:
        """Recall is gone next time, and all that stands behind it is elsewhere."""
        return self._until(self.asked + 1 if self.recall.tokens else self.length)

    def _until(self, place: int) -> int:
        """Tokens of the head and of the turns before `place`."""
        return sum(part.tokens for part in self.head) + self.begins[place] - self.begins[self.first]

    def shared(self, earlier: "Outline", *, with_answer: bool) -> int:
        """Whole messages at a time; of a part of the head that changed, its beginning."""
        tokens = 0
        for part, before in zip(self.head, earlier.head, strict=False):
            if part.digest != before.digest:
                return tokens + _beginning(part, before)
            tokens += part.tokens
        if len(self.head) != len(earlier.head) or self.first != earlier.first:
            return tokens
        return tokens + self._shared_turns(earlier, with_answer=with_answer)

    def _shared_turns(self, earlier: "Outline", *, with_answer: bool) -> int:
        same_recall = (self.asked, self.recall.digest) == (earlier.asked, earlier.recall.digest)
        runs_on = same_recall or not earlier.recall.tokens
        end = earlier.length + (1 if with_answer else 0) if runs_on else earlier.asked + 1
        if not same_recall and self.recall.tokens:
            end = min(end, self.asked + 1)
        # digest n covers all before it: what is equal at `first + n` is equal up to there
        most = min(end, self.length) - self.first
        kept = min(most, earlier.length - self.first)
        shared = longest_prefix(max(0, kept), lambda n: self._same(earlier, self.first + n - 1))
        if shared == kept < most:  # the turn after an earlier prompt is the answer to it
            shared = most
        stop = self.first + shared
        recalled = self.recall.tokens if same_recall and stop > self.asked else 0
        return self.begins[stop] - self.begins[self.first] + recalled

    def _same(self, earlier: "Outline", place: int) -> bool:
        return self.digests[place] == earlier.digests[place]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt as its token ids; `answer` are those of the answer to it, where an engine keeps them."""

    ids: NDArray[np.int32]
    answer: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))

    @property
    def tokens(self) -> int:
        """How long it is."""
        return len(self.ids)

    @property
    def lasting(self) -> int:
        """All but the opening of the reply."""
        return len(self.ids) - REPLY_TOKENS

    def shared(self, earlier: "Encoded", *, with_answer: bool) -> int:
        """Token by token."""
        before = np.concatenate([earlier.ids, earlier.answer]) if with_answer else earlier.ids
        size = min(len(before), len(self.ids))
        differs = np.flatnonzero(self.ids[:size] != before[:size])
        return int(differs[0]) if len(differs) else size


def _beginning(part: Part, earlier: Part) -> int:
    """About how many leading tokens two versions of a text have in common."""
    if not part.text:
        return 0
    shorter = min(len(part.text), len(earlier.text))
    same = longest_prefix(shorter, lambda n: part.text[:n] == earlier.text[:n])
    return part.tokens * same // max(1, len(part.text))
