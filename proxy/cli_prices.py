"""`isocost prices`: the price row that applies to a model, where its figures stand, and what follows for a chat."""

from collections.abc import Sequence
from math import ceil, isinf
from pathlib import Path
from typing import Annotated

from rich.table import Table
from rich.text import Text

from config.prices import Price, load_prices
from config.settings import load_settings
from proxy.app import budget_of
from proxy.cli_output import Flag, console, name
from proxy.plan import Budget, terms

SYSTEM_TOKENS = 400
EXCHANGES_TOKENS = (200, 400)
"""The chats that are computed: tokens before the transcript, and tokens by which a request outgrows the last."""

WHAT_FOLLOWS = (
    f"\nA chat with {SYSTEM_TOKENS} system tokens, by the tokens of an exchange: "
    "auto compacts from which exchange on, and an epoch spans how many"
)


def prices(*model: str, config: Annotated[Path | None, Flag] = None) -> int:
    """Print what the tokens of a prompt cost: the row that applies to each MODEL, or all rows.

    input: a million fresh tokens. read, write: a token read from the prefix cache, and one written into it, as ratios
    of a fresh one. minimum, step: the shortest prefix that is cached, and what cached lengths are rounded down to.

    Parameters
    ----------
    model
        names as in requests
    config
        a TOML file; its prices, price_row and budgets count
    """
    settings = load_settings({}, config)
    table = load_prices(Path(settings.prices) if settings.prices else None, settings.price_row)
    asked = [(each, table.of(each)) for each in model] or [(row.pattern, row) for row in table.rows]
    heading = "model" if model else "pattern"
    console.print(_figures(heading, asked))
    console.print(Text(WHAT_FOLLOWS), soft_wrap=True)
    console.print(_consequences(heading, asked, budget_of(settings)))
    console.print()
    for row in dict.fromkeys(row for _, row in asked):
        console.print(Text(f"{row.name}: {row.source}"), soft_wrap=True)
    return 0


def _figures(heading: str, asked: Sequence[tuple[str, Price]]) -> Table:
    table = Table(heading, "row", box=None)
    for column in ("input", "read", "write", "minimum", "step", "lives s"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("cache")
    table.add_column("as of", no_wrap=True)
    for place, row in asked:
        ratios = (row.read, row.write, row.cacheable_min, row.step, row.ttl_s)
        numbers = (f"{row.input:g} {row.unit}", *(f"{figure:g}" for figure in ratios))
        table.add_row(name(place), name(row.name), *map(Text, numbers), _cache(row), row.as_of)
    return table


def _cache(row: Price) -> str:
    notes = {
        "answers too": row.caches_answers,
        "needs cache_control": row.needs_breakpoints,
        "prompt_cache_key": row.takes_cache_key,
    }
    return ", ".join(note for note, holds in notes.items() if holds)


def _consequences(heading: str, asked: Sequence[tuple[str, Price]], budget: Budget) -> Table:
    table = Table(heading, "row", box=None)
    for exchange in EXCHANGES_TOKENS:
        table.add_column(f"from ({exchange})", justify="right", no_wrap=True)
        table.add_column(f"epoch ({exchange})", justify="right", no_wrap=True)
    for place, row in asked:
        cells: list[str] = []
        for exchange in EXCHANGES_TOKENS:
            found = terms(row, budget, exchange=exchange, fixed=SYSTEM_TOKENS, block=budget.block_tokens)
            cells += [_exchanges(found.break_even, exchange), _exchanges(found.epoch, exchange)]
        table.add_row(name(place), name(row.name), *cells)
    return table


def _exchanges(tokens: float, exchange: int) -> str:
    return "never" if isinf(tokens) else str(ceil(tokens / exchange))
