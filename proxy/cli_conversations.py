"""`isocost conversations`, `handoff` and `forget`: what lies in the store of each conversation."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Annotated

from rich.table import Table

from config.settings import Settings, load_settings
from memory_core.stores import Store, open_store
from proxy.app import open_configured_embedder
from proxy.claim import Claim
from proxy.cli_output import Flag, console, name
from proxy.handing_over import handed_over
from proxy.ledger import Row, decode_row
from proxy.tokens import TokenCounter

LISTED = 50
HANDED_OVER_TOKENS = 1_500


def conversations(
    conversation: str | None = None,
    /,
    *,
    store: Annotated[str | None, Flag] = None,
    config: Annotated[Path | None, Flag] = None,
    last: int = LISTED,
) -> int:
    """List conversations, or the ledger of one: a row a turn, its tokens, what they cost, mode, epoch, overhead.

    Prices are in fresh input tokens; net is what was saved against the full history, cached as well as it can be.

    Parameters
    ----------
    conversation
        a conversation's id, as in x-isocost-conversation
    store
        where to look, as for `serve`
    last
        how many rows at most
    """
    settings = load_settings({"store": store}, config)
    return asyncio.run(_conversations(settings, conversation, last))


def hand_off(
    conversation: str,
    /,
    *,
    store: Annotated[str | None, Flag] = None,
    config: Annotated[Path | None, Flag] = None,
    tokens: int = HANDED_OVER_TOKENS,
) -> int:
    """Print what a conversation settled, in Markdown: rules, decisions, open errors, test results, exact values.

    Parameters
    ----------
    conversation
        a conversation's id, as in x-isocost-conversation
    store
        where to look, as for `serve`
    tokens
        the most that the block may take; sections of low priority are dropped whole
    """
    settings = load_settings({"store": store}, config)
    return asyncio.run(_hand_off(settings, conversation, tokens))


def forget(
    conversation: str, /, *, store: Annotated[str | None, Flag] = None, config: Annotated[Path | None, Flag] = None
) -> int:
    """Delete a conversation from the store: its log, state and ledger. A client that resends it begins it anew.

    Parameters
    ----------
    conversation
        a conversation's id, as in x-isocost-conversation
    store
        where to look, as for `serve`
    """
    settings = load_settings({"store": store}, config)
    return asyncio.run(_forget(settings, conversation))


async def _open(settings: Settings) -> Store:
    return await open_store(settings.store_url, timeout_s=settings.store_timeout_s)


async def _conversations(settings: Settings, conversation: str | None, last: int) -> int:
    async with aclosing(await _open(settings)) as store:
        if conversation is None:
            return await _list(store, last)
        rows = [decode_row(row) for row in await store.rows(conversation, last)]
    if not rows:
        return _none(conversation)
    console.print(_ledger_table(rows))
    return 0


async def _hand_off(settings: Settings, conversation: str, tokens: int) -> int:
    async with AsyncExitStack() as stack:
        embedder = await open_configured_embedder(settings)
        stack.push_async_callback(embedder.aclose)
        store = await stack.enter_async_context(aclosing(await _open(settings)))
        await Claim(store, embedder.name).confirm()
        block = await handed_over(store, embedder.name, conversation, tokens, TokenCounter({}).text)
    if block is None:
        return _none(conversation)
    console.print(block or "Nothing was settled in this conversation.", markup=False, highlight=False, soft_wrap=True)
    return 0


async def _forget(settings: Settings, conversation: str) -> int:
    async with aclosing(await _open(settings)) as store:
        if await store.load(conversation) is None and not await store.rows(conversation, 1):
            return _none(conversation)
        await store.delete(conversation)
    return 0


async def _list(store: Store, last: int) -> int:
    table = Table("conversation", "requests", box=None)
    for summary in await store.conversations(last):
        table.add_row(name(summary.conversation), str(summary.rows))
    console.print(table)
    return 0


def _none(conversation: str) -> int:
    console.print(f"no conversation {conversation!r} in this store", markup=False)
    return 1


def _ledger_table(rows: list[Row]) -> Table:
    table = Table(box=None)
    for heading in ("turn", "full", "sent", "cached", "paid", "cached full history", "net"):
        table.add_column(heading, justify="right")
    for heading in ("mode", "epoch", "why", "cut", "phase", "overhead ms", "status", "error", "recalled"):
        table.add_column(heading)
    for row in rows:
        prices = [f"{price:.0f}" for price in (row.paid, row.rival, row.net)]
        counts = [row.turn, row.full_tokens, row.sent_tokens, row.cached_tokens, *prices]
        layout = [row.mode, row.epoch, row.why, row.cut, row.phase, f"{row.overhead_ms:.1f}", row.status, row.error]
        table.add_row(*map(str, [*counts, *layout, _places(row)]))
    return table


def _places(row: Row) -> str:
    """Turns that were recalled; "12.2" is the second part of turn 12."""
    return " ".join(f"{turn}.{chunk + 1}" if chunk else str(turn) for turn, chunk in row.recalled)
