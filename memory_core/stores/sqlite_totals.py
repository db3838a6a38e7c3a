"""Totals in the embedded store: a row a field in `total`, and in `total_newest` a row a name, for the listing.

Not chosen: one row a name with its fields as JSON, which SQLite cannot add to in place.
"""

import sqlite3
from collections.abc import Sequence

from memory_core.stores import OTHER, Tally, Total
from memory_core.stores.sqlite_file import insert

KNOWN = "SELECT 1 FROM total_newest WHERE kind = ? AND name = ?"
LISTED = "ON CONFLICT DO UPDATE SET at = max(at, excluded.at)"
ADDED = "ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"

# one statement, so that names and sums are of one moment; LEFT: a tally may have had no amounts
NEWEST = """
WITH newest AS (SELECT name, at FROM total_newest WHERE kind = :kind ORDER BY at DESC, name LIMIT :limit)
SELECT newest.name, newest.at, field, amount FROM newest
LEFT JOIN total ON kind = :kind AND total.name = newest.name
ORDER BY newest.at DESC, newest.name, field"""


def add(connection: sqlite3.Connection, tallies: Sequence[tuple[Tally, float]], *, names_max: int) -> None:
    """Add each tally, of a time, to its total, or to OTHER's; belongs inside a transaction."""
    own = [(tally, at) for tally, at in tallies if tally.kind == "conversation"]
    insert(connection, "total_newest", [(tally.kind, tally.name, at) for tally, at in own], LISTED)
    insert(connection, "total", [row for tally, _ in own for row in _rows(tally, tally.name)], ADDED)
    for tally, at in tallies:
        if tally.kind != "conversation":  # one by one: each may be the last name that is admitted
            name = _admitted(connection, tally, names_max)
            insert(connection, "total_newest", [(tally.kind, name, at)], LISTED)
            insert(connection, "total", _rows(tally, name), ADDED)


def _rows(tally: Tally, name: str) -> list[tuple[str, str, str, float]]:
    return [(tally.kind, name, field, amount) for field, amount in tally.amounts.items()]


def newest(connection: sqlite3.Connection, kind: str, limit: int) -> list[Total]:
    """The `limit` newest totals, newest first; ties by name."""
    found: dict[str, tuple[float, dict[str, float]]] = {}
    for name, at, field, amount in connection.execute(NEWEST, {"kind": kind, "limit": limit}):
        amounts = found.setdefault(name, (at, {}))[1]
        if field is not None:
            amounts[field] = amount
    return [Total(name, amounts, at) for name, (at, amounts) in found.items()]


def forget(connection: sqlite3.Connection, kind: str, name: str) -> None:
    """Drop one total; belongs inside a transaction."""
    for table in ("total", "total_newest"):
        connection.execute(f"DELETE FROM {table} WHERE kind = ? AND name = ?", (kind, name))  # noqa: S608


def _admitted(connection: sqlite3.Connection, tally: Tally, names_max: int) -> str:
    """The name to count under: the tally's own, or OTHER if it is new where names_max are listed."""
    if connection.execute(KNOWN, (tally.kind, tally.name)).fetchone():
        return tally.name
    # only for names that are new: a hostile client pays with the scan of an index of names_max rows
    (names,) = connection.execute("SELECT count(*) FROM total_newest WHERE kind = ?", (tally.kind,)).fetchone()
    return tally.name if names < names_max else OTHER
