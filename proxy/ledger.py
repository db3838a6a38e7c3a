"""The ledger: one row a turn, what it would have cost and what it did. Rows are msgspec JSON, kept by the store."""

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from config.prices import Price
from memory_core.stores import Tally
from proxy.accounts import Bill

_DAY_S = 86_400


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request. Tokens are our own counts of the prompt, those `reported_` the upstream's, 0 if it said none.

    `at` is in unix seconds, `overhead_ms` our own time before the upstream was asked, `error` why memory stood aside.
    Of these `cached_tokens` were read from the provider's prefix cache, `written_tokens` written into it and
    `fresh_tokens` neither, as simulated, in the upstream's tokens as far as these are known. `paid` is their price,
    `rival` that of the whole history, cached as well as it can be, both in fresh input tokens; a million of these cost
    `input` in `unit`. `why` a new epoch began with this request, `cut` turns were left out, `recalled` names what stood
    in the recall: (turn from 1, chunk from 0), in the order of the log. `share` is "shadow" or "holdout" where the
    client's own prompt was sent on purpose; in shadow `planned_tokens` would have been sent for `planned`.
    """

    at: float
    turn: int
    model: str
    mode: str
    full_tokens: int
    sent_tokens: int
    overhead_ms: float
    epoch: int = 0
    phase: str = ""
    status: int = 0
    reported_tokens: int = 0
    error: str = ""
    recalled: tuple[tuple[int, int], ...] = ()
    cached_tokens: int = 0
    written_tokens: int = 0
    paid: float = 0.0
    rival: float = 0.0
    input: float = 0.0
    unit: str = ""
    why: str = ""
    cut: int = 0
    reported_cached_tokens: int = 0
    reported_written_tokens: int = 0
    share: str = ""
    planned_tokens: int = 0
    planned: float = 0.0
    fresh_tokens: int = 0

    @property
    def net(self) -> float:
        """What was saved against cached full history, in fresh input tokens; below 0 it cost more."""
        return self.rival - self.paid


class Reported(msgspec.Struct, frozen=True):
    """What an upstream said of a prompt's tokens; 0 where it said nothing."""

    tokens: int = 0
    cached: int = 0
    written: int = 0


def encode_row(row: Row) -> bytes:
    """Row to bytes; inverse of `decode_row`."""
    return msgspec.json.encode(row)


def decode_row(payload: bytes) -> Row:
    """Bytes to row; raises msgspec.DecodeError (a ValueError) for bytes that are no row."""
    return msgspec.json.decode(payload, type=Row)


def billed(row: Row, bill: Bill, price: Price) -> Row:
    """The row with what the turn cost, by a row of the price table."""
    return msgspec.structs.replace(
        row,
        cached_tokens=bill.sent.cached,
        written_tokens=bill.sent.written,
        fresh_tokens=bill.sent.fresh,
        paid=round(bill.sent.price, 2),
        rival=round(bill.rival.price, 2),
        planned=round(bill.planned.price, 2),
        input=price.input,
        unit=price.unit,
    )


def reported(usage: Mapping[str, Any]) -> Reported:
    """The prompt's tokens in an upstream's usage: OpenAI's names, and those of vendors that differ."""
    details = usage.get("prompt_tokens_details", usage.get("input_tokens_details"))
    inner: Mapping[str, Any] = details if isinstance(details, dict) else {}
    cached = _count(inner, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens", "cache_read_input_tokens")
    written = _count(inner, "cache_write_tokens", "cache_creation_tokens") or _count(
        usage, "cache_write_tokens", "cache_creation_input_tokens"
    )
    return Reported(_count(usage, "prompt_tokens", "input_tokens"), cached, written)


def tallies(row: Row, conversation: str, tenant: str) -> list[Tally]:
    """What a row adds to the totals of its conversation, model, tenant, day (UTC), and share ("live" if none)."""
    amounts = {
        "requests": 1.0,
        "full_tokens": float(row.full_tokens),
        "sent_tokens": float(row.sent_tokens),
        "cached_tokens": float(row.cached_tokens),
        "paid": row.paid,
        "rival": row.rival,
        "saved": row.net,
    }
    if row.unit == "USD":
        amounts |= {"paid_usd": row.paid * row.input / 1e6, "saved_usd": row.net * row.input / 1e6}
    if row.planned_tokens:
        amounts |= {"planned_tokens": float(row.planned_tokens), "planned": row.planned}
    day, share = _day(int(row.at // _DAY_S)), row.share if row.share else "live"
    kinds = {"conversation": conversation, "model": row.model, "tenant": tenant, "day": day, "share": share}
    return [Tally(kind, name, amounts) for kind, name in kinds.items() if name]


@lru_cache(maxsize=16)
def _day(number: int) -> str:
    """The name of a day (UTC), days numbered from 1970."""
    return time.strftime("%Y-%m-%d", time.gmtime(number * _DAY_S))


def _count(usage: Mapping[str, Any], *names: str) -> int:
    for name in names:
        found = usage.get(name)
        if isinstance(found, int) and not isinstance(found, bool) and 0 < found < 2**63:
            return found
    return 0
