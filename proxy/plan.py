"""Passthrough or epoch layout, and where to cut? Pure arithmetic on token counts and a row of the price table.

Within an epoch the cut stands still: the prompt only grows at its end, so a provider's prefix cache holds. With the
prices r of reading a token from that cache and w of writing one (both in fresh tokens), a block of B tokens, a window
of W, recall of R, and a transcript that grows by m tokens a request,

    rewrite     D = (w - r) · (B + W), and the system messages with them where they are too short to be cached
    epoch       E = √(2·D·m / r), tokens that a window grows before reading them has cost as much as a rewrite
    marginal    M = B + W + E/2 + (w·R + D·m/E) / r, the transcript at which a turn of either layout costs the same
    break-even  M + E: passthrough until staying with it has cost as much too much as the rewrite will

E is the lot size of Harris (1913), taken by part-period balancing (DeMatteis 1968): begin anew once what a cut would
spare holds E tokens. As every rewrite waits until waiting has cost as much, a conversation has at no request paid more
than passthrough and, on top, D of its dearest epoch, one recall (w·R) and one step of the cache ((w - r)·step); where
exchanges are longer than an epoch, also (w - r) of the longest (tests/proxy/test_plan_bound.py). An edit before the
cut may force an epoch that has earned nothing yet, and so may a cache that was colder than its row says. Where the
cache is cold anyway a rewrite is free. EXPERIMENTS.md has what was tried.
"""

from dataclasses import dataclass, replace
from math import inf, sqrt

import msgspec

from config.prices import Price
from proxy.meter import Measured

RECALL_FIRST_TOKENS = 512
"""Of the context that a client names, so much belongs to recall before the memory block gets any."""

TOPIC_SHARE = 0.5
"""Where the topic switches a new epoch begins early: half of what would else have to be spared is enough."""

SPARED_SHARE_MIN = 0.5
"""A free rewrite too must spare half a window: the reader of a prompt need not see it change for a few words."""

MODES = ("auto", "passthrough", "compact")


@dataclass(frozen=True, slots=True)
class Budget:
    """In tokens: the window that an epoch begins with, how far it may grow, the most for recall and for the block.

    Recall has what the block leaves of both together, but for `recall_tokens_max`. A prompt of more than
    `full_max_tokens` is not passed through whole in `auto`; 0: of any length.
    """

    window_tokens: int
    epoch_tokens: int
    context_tokens: int
    block_tokens: int
    recall_tokens_max: int
    full_max_tokens: int = 0

    def asked(self, context_tokens: int, block_share: float) -> "Budget":
        """The same for a client that names its context.

        Recall knows the question and the block does not: a quarter of 256 tokens for it costs .02 of LoCoMo's evidence.
        """
        block = int(max(0, context_tokens - RECALL_FIRST_TOKENS) * block_share)
        return replace(self, context_tokens=context_tokens, block_tokens=block, recall_tokens_max=context_tokens)


class Standing(msgspec.Struct, frozen=True):
    """How a conversation stands: the epoch in force (`cut` 0 and `number` 0 if none), with its block's tokens.

    `is_cold`: what it sent last is no longer in the provider's cache. `is_moving`: the client changes the beginning of
    its own prompt with each request, so that passthrough is never cached. `is_edited`: an epoch there was, of turns
    that this transcript does not have. `has_switched`: the question has left the topic.
    """

    cut: int = 0
    number: int = 0
    block_tokens: int = 0
    is_cold: bool = False
    is_moving: bool = False
    is_edited: bool = False
    has_switched: bool = False


class Terms(msgspec.Struct, frozen=True):
    """What a price row means for a conversation: the price of a rewrite in fresh tokens, the others in its tokens."""

    rewrite: float
    epoch: float
    marginal: float
    break_even: float


class Layout(msgspec.Struct, frozen=True):
    """The turns before `cut` are left out, the turn at `asked` (from 0) gets the recall; epoch 0 is passthrough.

    `why` a new epoch begins with this request, "" if none does: asked, context, break-even, moving, cold, edit, topic,
    budget.
    """

    cut: int
    asked: int
    epoch: int = 0
    why: str = ""

    @property
    def is_compact(self) -> bool:
        """Something is left out."""
        return self.epoch > 0


def uncached(price: Price) -> Price:
    """The row where nothing is ever read from a cache."""
    return replace(price, read=1.0, write=1.0, at_marks=False)


def terms(
    price: Price, budget: Budget, *, exchange: float, fixed: int = 0, block: int = 0, window: int | None = None
) -> Terms:
    """What follows from a row for requests that grow by `exchange` tokens, with `fixed` tokens sent whatever we do.

    `block` and `window` are the tokens that the next epoch would begin with.
    """
    least = window_tokens(price, budget, fixed + block)
    recall = min(budget.recall_tokens_max, budget.context_tokens)
    if price.at_marks and price.read > 0:  # no compact prompt is read back, so that each may be written anew
        marginal = price.write * (fixed + block + least + recall) / price.read - fixed
        return Terms(0.0, 0.0, marginal, marginal)
    kept = least if window is None else max(least, window)
    rewritten = block + kept + (fixed if fixed < price.cacheable_min else 0)
    rewrite = (price.write - price.read) * rewritten
    if price.read <= 0:  # reading is free: no length ever pays for a rewrite
        return Terms(rewrite, budget.epoch_tokens, inf, inf)
    held = sqrt(2 * rewrite * exchange / price.read)
    epoch = min(held, budget.epoch_tokens)
    spread = rewrite * exchange / epoch if epoch else 0.0
    marginal = block + least + epoch / 2 + (price.write * recall + spread) / price.read
    return Terms(rewrite, epoch, marginal, marginal + held)


def window_tokens(price: Price, budget: Budget, before: int) -> int:
    """The window that an epoch begins with: long enough, with what stands before it, to be cached at all."""
    if price.read >= price.write:
        return budget.window_tokens
    return max(budget.window_tokens, price.cacheable_min + price.step - before)


def plan(mode: str, measured: Measured, standing: Standing, price: Price, budget: Budget) -> Layout:
    """The layout for a transcript: the epoch in force, a new one if that pays, or passthrough."""
    asked = measured.asked
    if asked < 0 or mode == "passthrough":
        return Layout(measured.seen_from, asked)
    kept = Layout(standing.cut if standing.number else measured.seen_from, asked, standing.number)
    cut = _new_cut(measured, kept.cut, price, budget, standing.block_tokens)
    if cut <= kept.cut:
        return kept
    why = _why_compact(mode, measured, standing, price, budget, cut) if not standing.number else ""
    if standing.number:
        why = _why_anew(measured, standing, price, budget, cut)
    return Layout(cut, asked, standing.number + 1, why) if why else kept


def _new_cut(measured: Measured, after: int, price: Price, budget: Budget, block: int) -> int:
    """Where a new epoch would cut: the latest user turn that leaves a whole window before the question.

    Where the window would be longer than an epoch may make it, for a single turn is that long, the next one that
    leaves an exchange; `after` if there is none.
    """
    asked = measured.asked
    window = window_tokens(price, budget, measured.other + block)
    cut, later = measured.users_around(measured.begins[asked] - window, asked)
    if cut >= 0 and later < asked and measured.between(cut, asked) > window + budget.epoch_tokens:
        cut = later
    return max(cut, after)


def _why_compact(mode: str, measured: Measured, standing: Standing, price: Price, budget: Budget, cut: int) -> str:
    """Why to leave passthrough, "" to stay."""
    seen = measured.between(measured.seen_from, measured.asked)
    meant = uncached(price) if standing.is_moving else price
    following = _terms(measured, standing, meant, budget, cut)
    if mode == "compact":
        spared = measured.between(measured.seen_from, cut)
        return "asked" if spared >= following.epoch else ""
    if 0 < budget.full_max_tokens < measured.full:
        return "context"
    if seen >= following.break_even:
        return "moving" if standing.is_moving else "break-even"
    if standing.is_cold and _cold_pays(seen, measured, following, price, budget, cut):
        return "edit" if standing.is_edited else "cold"
    return ""


def _cold_pays(seen: int, measured: Measured, following: Terms, price: Price, budget: Budget, cut: int) -> bool:
    """With a cold cache a rewrite spares at once what it leaves out; that must be worth it, and cover what the layout
    costs too much, turn by turn, until the transcript has grown to where both cost the same."""
    left = budget.block_tokens + measured.between(cut, measured.asked) + budget.recall_tokens_max
    gain = price.write * (seen - left)
    missing = max(0.0, following.marginal - seen)
    worth = measured.between(measured.seen_from, cut) >= SPARED_SHARE_MIN * budget.window_tokens
    return worth and gain > 0 and gain >= price.read * missing * missing / (2 * measured.exchange)


def _why_anew(measured: Measured, standing: Standing, price: Price, budget: Budget, cut: int) -> str:
    """Why to begin another epoch, "" to go on with the one in force."""
    spared = measured.between(standing.cut, cut)
    following = _terms(measured, standing, price, budget, cut)
    if standing.is_cold and spared >= SPARED_SHARE_MIN * budget.window_tokens:
        return "edit" if standing.is_edited else "cold"
    if spared >= following.epoch:
        return "budget"
    return "topic" if standing.has_switched and spared >= TOPIC_SHARE * following.epoch else ""


def _terms(measured: Measured, standing: Standing, price: Price, budget: Budget, cut: int) -> Terms:
    return terms(
        price,
        budget,
        exchange=measured.exchange,
        fixed=measured.other,
        block=standing.block_tokens if standing.number else budget.block_tokens,
        window=measured.between(cut, measured.asked),
    )
