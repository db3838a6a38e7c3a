"""Passthrough or epoch layout, and where to cut? Pure arithmetic on token counts.

An epoch is a stretch of `epoch_tokens` of transcript. Within one, the cut stands still: the prompt only grows at its
end, so a provider's prefix cache holds. With x tokens of transcript before the user's turn,

    epoch = max(0, (x - window_tokens) // epoch_tokens)
    cut   = the first user turn that begins at or after epoch · epoch_tokens; nothing in epoch 0

so the window before the user's turn is always between `window_tokens` and `window_tokens + epoch_tokens` (less at
most what lies between the boundary and the next user turn). It follows from the transcript alone: any replica cuts at
the same place, and an edit before the cut moves it as a fresh conversation would. Prices come into it with the
planner of a later version; until then `auto` compacts once the full history is over a configured size.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

RECALL_FIRST_TOKENS = 512
"""Of the context, so much belongs to recall before the memory block gets any."""

MODES = ("auto", "passthrough", "compact")


@dataclass(frozen=True, slots=True)
class Budget:
    """In tokens. `context_tokens` is the most that block and recall may add, `block_share` the block's part of it."""

    compact_above_tokens: int
    window_tokens: int
    epoch_tokens: int
    context_tokens: int
    block_share: float

    @property
    def block_tokens(self) -> int:
        """The most that the memory block may take: a share of what is left once recall has enough.

        Recall knows the question and the block does not: a quarter of 256 tokens for it costs .02 of LoCoMo's evidence.
        Of what the block does not take recall has the rest.
        """
        return int(max(0, self.context_tokens - RECALL_FIRST_TOKENS) * self.block_share)


@dataclass(frozen=True, slots=True)
class Layout:
    """`cut` turns are left out (0: all is sent), the turn at `asked` (from 0) gets the recall."""

    cut: int
    asked: int
    epoch: int

    @property
    def is_compact(self) -> bool:
        """Something is left out."""
        return self.cut > 0


def plan(mode: str, roles: Sequence[str], tokens: Sequence[int], other_tokens: int, budget: Budget) -> Layout:
    """The layout for a transcript of turns with these roles and token counts.

    `other_tokens` is what is sent whatever we do: system messages, tools.
    """
    asked = _last_user(roles)
    whole = Layout(0, asked, 0)
    full = sum(tokens) + other_tokens
    if asked < 0 or mode == "passthrough" or (mode == "auto" and full <= budget.compact_above_tokens):
        return whole
    begins = [0, *accumulate(tokens)]
    epoch = (begins[asked] - budget.window_tokens) // budget.epoch_tokens
    if epoch <= 0:  # all fits: nor is a greeting before the first user turn cut off
        return whole
    cut = bisect_left(begins, epoch * budget.epoch_tokens)
    while cut < asked and roles[cut] != "user":
        cut += 1
    return Layout(cut, asked, epoch)


def _last_user(roles: Sequence[str]) -> int:
    return next((place for place in range(len(roles) - 1, -1, -1) if roles[place] == "user"), -1)
