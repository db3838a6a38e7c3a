"""What Redis is told to add a ledger row to its totals. Sums are kept to 17 decimals, as HINCRBYFLOAT writes them."""

from collections.abc import Iterable
from typing import Any

from memory_core.stores import OTHER, Tally
from memory_core.stores.redis_keys import listing_key, total_key

Command = tuple[Any, ...]

# amounts go from argument to argument: a Lua number would round them
ADD = """
local name, sums = ARGV[1], KEYS[2]
if not redis.call('ZSCORE', KEYS[1], name) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then
  name, sums = ARGV[2], KEYS[3]
end
redis.call('ZADD', KEYS[1], 'LT', ARGV[3], name)
for i = 5, #ARGV, 2 do redis.call('HINCRBYFLOAT', sums, ARGV[i], ARGV[i + 1]) end"""


def additions(tallies: Iterable[tuple[Tally, float]], *, names_max: int) -> list[Command]:
    """Commands that add each tally, of a time, to its total, or to OTHER's if names_max others are listed.

    Raises UnicodeError before anything is sent.
    """
    return [command for tally, at in tallies for command in _addition(tally, at, names_max)]


def _addition(tally: Tally, at: float, names_max: int) -> list[Command]:
    listing, sums = listing_key(tally.kind), total_key(tally.kind, tally.name)
    name, amounts = tally.name.encode(), [(field.encode(), amount) for field, amount in tally.amounts.items()]
    if tally.kind == "conversation":  # not bounded, and its sums lie on another node: no script
        return [("ZADD", listing, "LT", -at, name), *(("HINCRBYFLOAT", sums, *one) for one in amounts)]
    keys = (listing, sums, total_key(tally.kind, OTHER))
    return [("EVAL", ADD, len(keys), *keys, name, OTHER, -at, names_max, *(part for one in amounts for part in one))]
