"""Several upstreams: which models each serves, where it is, whose key it gets. `upstreams` of isocost.toml names the
file; upstreams.example.toml shows one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from config.prices import Text
from config.sources import SettingsError
from config.tables import read_rows
from config.values import HttpUrl

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _headers(given: dict[str, str]) -> dict[str, str]:
    for name, value in given.items():
        if not _HEADER_NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
            raise ValueError(f"{name!r} is no header that can be sent")
    return {name.lower(): value for name, value in given.items()}


Seconds = Annotated[float, Field(gt=0, le=864_000)]


@dataclass(frozen=True, slots=True)
class UpstreamRow:
    """A row.

    `models` are patterns, shell style over the lower-cased name; the first row that fits a model serves it, and one
    with "*" what names no model. `key_env` names the environment variable with the key that is sent instead of the
    client's own; without it the client's goes on. `headers` are set on each request. Times are in seconds, those of
    the settings where left out. `fallback` names the row that is asked where this one cannot be reached; it never
    gets a credential of the client.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: Text
    url: Annotated[HttpUrl, Field(min_length=1)]
    models: tuple[Text, ...] = ()
    key_env: str = ""
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = field(default_factory=dict)
    price_row: str = ""
    connect_timeout_s: Seconds | None = None
    first_byte_timeout_s: Seconds | None = None
    idle_timeout_s: Seconds | None = None
    total_timeout_s: Seconds | None = None
    connect_retries: Annotated[int, Field(ge=0, le=10, strict=True)] | None = None
    fallback: str = ""


def load_upstreams(file: Path, environ: Mapping[str, str]) -> tuple[UpstreamRow, ...]:
    """The rows in order; raises SettingsError: a sentence for each fault."""
    rows = read_rows(file, "upstream", UpstreamRow)
    faults = [] if rows else ["there is no [[upstream]] in it"]
    faults += [fault for row in rows for fault in _misfits(row, rows, environ)]
    if faults:
        raise SettingsError("\n- ".join([f"the upstream file {file} cannot be used:", *faults]))
    return rows


def _misfits(row: UpstreamRow, rows: Sequence[UpstreamRow], environ: Mapping[str, str]) -> list[str]:
    faults = []
    if row.key_env and not environ.get(row.key_env):
        faults.append(f"{row.name!r}, key_env: the environment has no {row.key_env}")
    elif not (environ.get(row.key_env, "").isascii() and environ.get(row.key_env, "").isprintable()):
        faults.append(f"{row.name!r}, key_env: what {row.key_env} holds cannot be sent in a header")
    if row.fallback and (row.fallback == row.name or row.fallback not in {other.name for other in rows}):
        faults.append(f"{row.name!r}, fallback: names no other row")
    if row.fallback and any(other.name == row.fallback and other.fallback for other in rows):
        faults.append(f"{row.name!r}, fallback: {row.fallback!r} falls back itself; one step is all there is")
    if not row.models and row.name not in {other.fallback for other in rows}:
        faults.append(f"{row.name!r}, models: is empty, and no row falls back to it: nobody would ever reach it")
    return faults
