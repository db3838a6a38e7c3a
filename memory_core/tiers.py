"""Three tiers, 15 / 50 / 200 turns by default: all land in short, what matters stays longer.

A turn enters short term and leaves it in the order of arrival. Medium term holds what is worth most of what came out
(retention.py), long term what falls out of medium; past its capacity the least is let go, though the log still has it.
An access lifts a turn of the long term back to medium, where it has to hold its place.

Long term is consolidated: turns that say nearly the same form a cluster, named by the turn that came first. A cluster
orders and bounds and never merges: each turn stays listed under its own number, because a recall that returns a merged
cluster spends its whole budget on one thing. Past FOLLOWERS_MAX turns that follow the same leader the least of these
goes before anything else does; so a model that repeats itself cannot fill the memory. Sharing one score among a
cluster was tried and cost recall, as did a discount for all but its best (EXPERIMENTS.md).
"""

import math
from bisect import bisect_left
from collections import Counter
from operator import attrgetter
from typing import NamedTuple

from msgspec.structs import replace

from memory_core.retention import DECIMALS, recency, score, unrounded_score
from memory_core.state import Capacities, Kept

FOLLOWERS_MAX = 8
_ROUNDING = 10.0**-DECIMALS
_TURN, _WEIGHT = attrgetter("turn"), attrgetter("weight")

Tier = tuple[Kept, ...]


class Tiers(NamedTuple):
    """The kept turns of each tier, in the order of the log."""

    short: Tier
    medium: Tier
    long: Tier


def accessed(tiers: Tiers, turn: int, now: int, eviction: str) -> Tiers:
    """The tiers after the input `now` came back to `turn`; as they are if no tier keeps it."""
    for place, tier in enumerate(tiers):
        for kept in tier:
            if kept.turn == turn:
                touched = replace(kept, accesses=kept.accesses + 1, touched=now)
                return _replaced(tiers, place, kept, touched, rises=eviction == "retention")
    return tiers


def entered(tiers: Tiers, newest: Tier, capacities: Capacities, now: int) -> Tiers:
    """The tiers after `newest` (none or one) has come in and each tier is back within its capacity."""
    short = tiers.short + newest
    over = max(0, len(short) - capacities.short)
    medium, falling = _bounded(_ordered(tiers.medium, short[:over]), capacities.medium, now, capacities.eviction)
    long, _ = _bounded(_ordered(tiers.long, falling), capacities.long, now, capacities.eviction, consolidated=True)
    return Tiers(short[over:], medium, long)


def _replaced(tiers: Tiers, place: int, old: Kept, new: Kept, *, rises: bool) -> Tiers:
    if place == 2 and rises:
        return Tiers(tiers.short, _ordered(tiers.medium, (new,)), _without(tiers.long, old))
    changed = tuple(new if kept is old else kept for kept in tiers[place])
    return Tiers(*(changed if number == place else tier for number, tier in enumerate(tiers)))


def _bounded(tier: Tier, capacity: int, now: int, eviction: str, *, consolidated: bool = False) -> tuple[Tier, Tier]:
    """The tier within its capacity, and what fell out of it."""
    falling: Tier = ()
    while len(tier) > capacity:
        pool = _crowd(tier) if consolidated else tier
        least = tier[0] if eviction == "fifo" else _least(pool, now)
        tier, falling = _without(tier, least), _ordered(falling, (least,))
    return tier, falling


def _crowd(tier: Tier) -> Tier:
    """The followers of the leader that has most (of two the older), if they are too many; else the whole tier."""
    leaders = [kept.leader for kept in tier if kept.leader]
    if len(leaders) <= FOLLOWERS_MAX:
        return tier
    followers = Counter(leaders)
    crowded = [leader for leader, count in followers.items() if count > FOLLOWERS_MAX]
    if not crowded:
        return tier
    largest = min(crowded, key=lambda leader: (-followers[leader], leader))
    return tuple(kept for kept in tier if kept.leader == largest)


def _least(tier: Tier, now: int) -> Kept:
    """The turn of the lowest score, of two equals the older. None can be worth less than were it as old as the oldest,
    which skips most."""
    least, lowest = tier[0], math.inf
    oldest = 1.0 + recency(now - tier[0].turn)
    for kept in sorted(tier, key=_WEIGHT):
        if kept.weight * oldest > lowest + _ROUNDING:
            break
        if unrounded_score(kept, now) <= lowest + _ROUNDING:
            worth = score(kept, now)
            if (worth, kept.turn) < (lowest, least.turn):
                least, lowest = kept, worth
    return least


def _without(tier: Tier, gone: Kept) -> Tier:
    place = bisect_left(tier, gone.turn, key=_TURN)
    assert tier[place] is gone, "a tier is in the order of the log"
    return tier[:place] + tier[place + 1 :]


def _ordered(tier: Tier, more: Tier) -> Tier:
    """The tier with a few more, each put where its turn belongs."""
    for kept in more:
        place = bisect_left(tier, kept.turn, key=_TURN)
        tier = (*tier[:place], kept, *tier[place:])
    return tier
