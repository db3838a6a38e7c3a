"""What a turn cost and what it would have cost: two simulated prefix caches a conversation, ours and the rival's.

The rival is the client's own prompts, cached as well as a provider caches them: the only honest thing to be cheaper
than. A running factor for each model corrects our token counts to those that its upstream reports.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

import msgspec

from config.prices import Price
from proxy.prefix_cache import Outline, PrefixCache, Usage
from proxy.segmented import LONG_TURNS, Segmented

TURNS_MAX = 100_000
"""Of all prompts that are kept, some 100 bytes each."""

_CONVERSATION_TURNS = 8
"""What a conversation takes, whatever its length, as much as so many turns."""

_PROBATION = 1 / 4
"""Of the room, for conversations that have not gone on: the latest 2,777 of one turn. With nine of these a second that
is the five minutes for which providers keep a prefix."""

MODELS_MAX = 1_000
FACTOR_RANGE = (0.25, 4.0)
"""A usage that says otherwise is not about this prompt (images by their size, a gateway's own instructions)."""

FORGETS = 0.98
"""What a model's factor keeps of the past with each answer: the last fifty count."""

NOTHING = Usage(0, 0, 0, 0.0)


class Bill(msgspec.Struct, frozen=True):
    """`sent`: what was sent. `rival`: the client's own prompt. `planned`: what would have been sent in its stead.

    Prices are in fresh input tokens.
    """

    sent: Usage = NOTHING
    rival: Usage = NOTHING
    planned: Usage = NOTHING
    factor: float = 1.0


class Prompts(msgspec.Struct, frozen=True):
    """What was sent, what the client would have sent, and what would have been sent in shadow, if anything."""

    sent: Outline
    full: Outline
    planned: Outline | None = None


@dataclass(slots=True)
class _Factor:
    ours: float = 0.0
    theirs: float = 0.0


@dataclass(slots=True)
class _Account:
    """`rival` is None as long as it was sent nothing but what we sent: then it is the same cache."""

    sent: PrefixCache[Outline] = field(default_factory=PrefixCache)
    rival: PrefixCache[Outline] | None = None
    planned: PrefixCache[Outline] = field(default_factory=PrefixCache)
    turns: int = 0

    def settle(self, prompts: Prompts, price: Price, at: float, factor: float) -> tuple[Usage, Usage]:
        """Ours and the rival's."""
        if prompts.sent is not prompts.full and self.rival is None:
            self.rival = self.sent.copy()
        sent = self.sent.send(prompts.sent, price, at, factor)
        return sent, sent if self.rival is None else self.rival.send(prompts.full, price, at, factor)


class Accounts:
    """Of one process; a conversation that it does not know begins with a cold cache, ours and the rival's alike."""

    def __init__(self, *, turns_max: int = TURNS_MAX) -> None:
        self._accounts: Segmented[tuple[str, str], _Account] = Segmented(turns_max, probation=_PROBATION)
        self._factors: OrderedDict[str, _Factor] = OrderedDict()

    def settle(self, conversation: str, model: str, price: Price, prompts: Prompts, at: float) -> Bill:
        """The bill of a request that was sent at `at` (seconds)."""
        factor = self.factor(model)
        account = self._account((conversation, model), prompts.full.length)
        planned = NOTHING if prompts.planned is None else account.planned.send(prompts.planned, price, at, factor)
        return Bill(*account.settle(prompts, price, at, factor), planned, factor)

    def factor(self, model: str) -> float:
        """The upstream's tokens for each of ours."""
        found = self._factors.get(model)
        if found is None or not found.ours:
            return 1.0
        return min(max(found.theirs / found.ours, FACTOR_RANGE[0]), FACTOR_RANGE[1])

    def reported(self, model: str, ours: int, theirs: int) -> None:
        """Learn from what an upstream says that a prompt of `ours` tokens had."""
        if not ours or not FACTOR_RANGE[0] <= theirs / ours <= FACTOR_RANGE[1]:
            return
        factor = self._factors.setdefault(model, _Factor())
        factor.ours = FORGETS * factor.ours + ours
        factor.theirs = FORGETS * factor.theirs + theirs
        self._factors.move_to_end(model)
        if len(self._factors) > MODELS_MAX:
            self._factors.popitem(last=False)

    def _account(self, key: tuple[str, str], turns: int) -> _Account:
        found = self._accounts.get(key) or _Account()
        goes_on = turns > (found.turns or LONG_TURNS)
        found.turns = turns
        self._accounts.put(key, found, turns + _CONVERSATION_TURNS, lasts=goes_on)
        return found
