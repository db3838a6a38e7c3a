"""`isocost totals`: what the ledger adds up to, by conversation, model, tenant, day, or share (sampling.py)."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from rich.table import Table

from config.settings import Settings, load_settings
from memory_core.stores import Total, open_store
from proxy.cli_output import Flag, console, name

LISTED = 50

HEADINGS = {
    "requests": "requests",
    "full_tokens": "full",
    "sent_tokens": "sent",
    "cached_tokens": "cached",
    "paid": "paid",
    "rival": "cached full history",
    "saved": "saved",
    "planned_tokens": "planned, tokens",
    "planned": "planned, price",
    "paid_usd": "paid USD",
    "saved_usd": "saved USD",
}
"""Amounts in the order of their columns; others follow under their own names."""

MONEY_DIGITS = 4


def totals(
    *,
    by: Literal["conversation", "model", "tenant", "day", "share"] = "conversation",
    last: int = LISTED,
    store: Annotated[str | None, Flag] = None,
    config: Annotated[Path | None, Flag] = None,
) -> int:
    """Print totals, the newest first: tokens, what was paid, what cached full history would have cost, what was saved.

    Prices are in fresh input tokens, so that those of unlike models add up; in USD where the price row has them.

    Parameters
    ----------
    by
        what is added up; a share is "live", or what `shadow_share` and `holdout_share` leave alone
    last
        how many totals at most
    store
        where to look, as for `serve`
    """
    settings = load_settings({"store": store}, config)
    return asyncio.run(_totals(settings, by, last))


async def _totals(settings: Settings, kind: str, last: int) -> int:
    async with aclosing(await open_store(settings.store_url, timeout_s=settings.store_timeout_s)) as store:
        found = await store.totals(kind, last)
    console.print(totals_table(kind, found))
    return 0


def totals_table(kind: str, found: Sequence[Total]) -> Table:
    """A line a total, a column an amount that any of them has; empty where one lacks it."""
    there = {amount for total in found for amount in total.amounts}
    amounts = [*(amount for amount in HEADINGS if amount in there), *sorted(there - HEADINGS.keys())]
    table = Table(kind, box=None)
    for amount in amounts:
        table.add_column(HEADINGS.get(amount, amount), justify="right")
    table.add_column("newest (UTC)", no_wrap=True)
    for total in found:
        numbers = [_number(amount, total.amounts[amount]) if amount in total.amounts else "" for amount in amounts]
        newest = datetime.fromtimestamp(total.at, UTC).strftime("%Y-%m-%d %H:%M")
        table.add_row(name(total.name), *numbers, newest)
    return table


def _number(amount: str, value: float) -> str:
    return f"{value:,.{MONEY_DIGITS if amount.endswith('_usd') else 0}f}"
