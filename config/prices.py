"""The price table: what a prompt's tokens cost a model, cached and not. prices.toml has the rows and their sources.

Only ratios decide a plan; `input` turns them into money for the ledger.
"""

from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from config.sources import SettingsError
from config.tables import read_rows

PRICES = Path(__file__).with_name("prices.toml")
LONGEST_NAME = 200
"""Characters of a model's name that patterns see: a request may carry megabytes there."""


def _iso_date(text: str) -> str:
    if text:
        date.fromisoformat(text)
    return text


# strict: neither "0.5" nor true is a number
Text = Annotated[str, Field(min_length=1, max_length=100)]
Tokens = Annotated[int, Field(ge=1, strict=True)]
Flag = Annotated[bool, Field(strict=True)]


@dataclass(frozen=True, slots=True)
class Price:
    """A row.

    `pattern` is shell style over the lower-cased model name, and the first row that fits wins; a row without one is
    asked for by `name`. `input` is the price of a million fresh input tokens in `unit`: "USD", "prefill" for engines
    of one's own (1.0 = a million tokens prefilled), or "input" where only the ratios are known. `read` and `write`
    are the prices of a token that is read from the prefix cache and of one written into it, as ratios of `input`.
    `cacheable_min` and `step` are in tokens: the shortest prefix that is cached, and what cached lengths are rounded
    down to. `ttl_s`: a prefix unused for so many seconds is taken as gone.
    """

    # where pydantic looks for it; without an annotation it is no field
    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: Text
    pattern: Annotated[str, Field(max_length=100)]
    input: Annotated[float, Field(gt=0, strict=True)]
    unit: Text
    read: Annotated[float, Field(ge=0, le=1, strict=True)]
    write: Annotated[float, Field(ge=1, strict=True)]
    cacheable_min: Tokens
    step: Tokens
    ttl_s: Annotated[float, Field(gt=0, strict=True)]
    caches_answers: Flag = False
    """Generated tokens stay in the prefix cache."""
    needs_breakpoints: Flag = False
    """Cached only where the client set `cache_control`."""
    at_marks: Flag = False
    """A prefix is matched only where a request ended: at its newest message. As recall stands there in ours, a compact
    prompt is not read back."""
    takes_cache_key: Flag = False
    """The upstream takes `prompt_cache_key`."""
    as_of: Annotated[str, AfterValidator(_iso_date)] = ""
    source: str = ""
    """Where the figures stand, and what in them is assumed."""


@dataclass(frozen=True, slots=True)
class Prices:
    """The rows in the order in which they are tried, at least one; the last is for every model that no other fits.

    With `only`, that row is for every model.
    """

    rows: tuple[Price, ...]
    only: Price | None = None

    def of(self, model: str) -> Price:
        """The row for a model; never fails."""
        if self.only is not None:
            return self.only
        name = model[:LONGEST_NAME].lower()
        fitting = (row for row in self.rows if row.pattern and fnmatchcase(name, row.pattern.lower()))
        return next(fitting, self.rows[-1])

    def named(self, name: str) -> Price:
        """The row of that name, in upper or lower case; raises SettingsError with the names there are."""
        for row in self.rows:
            if row.name.casefold() == name.casefold():
                return row
        raise SettingsError(f"no price row is named {name!r}; there are: {', '.join(row.name for row in self.rows)}")


def load_prices(own: Path | None = None, row: str = "") -> Prices:
    """The rows of `own`, then the built-in ones; with `row`, the row of that name for every model.

    Raises SettingsError: a sentence for each fault, with file, row and field.
    """
    prices = Prices((*(read_rows(own, "price", Price) if own else ()), *read_rows(PRICES, "price", Price)))
    return Prices(prices.rows, prices.named(row)) if row else prices
