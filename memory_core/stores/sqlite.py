"""The embedded store: one SQLite file, shared by the processes of one machine; or `memory://`, gone with its store.

WAL with synchronous=NORMAL: what was committed survives the death of the process, and a commit costs no
fsync; a power cut may take the last commits, never the file. As a commit is that cheap, the writes of several
callers are not grouped. One thread owns the writing connection and one the reading one: SQLite has one writer
anyway, and reads do not wait for it. Not chosen: aiosqlite, which is the same thread with more parts.
"""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from memory_core.stores import (
    NAMES_MAX,
    ConversationSummary,
    Entry,
    LedgerEntry,
    Snapshot,
    StoreError,
    Total,
    sqlite_totals,
    summed,
)
from memory_core.stores.sqlite_file import PARAMETERS_MAX, Lane, connect, insert, locate, open_writer, transaction

T = TypeVar("T")

PATH = """
WITH RECURSIVE walk(digest, parent, seq) AS (
    SELECT digest, parent, seq FROM log WHERE conversation = :conversation AND digest = :digest
    UNION ALL
    SELECT log.digest, log.parent, log.seq FROM walk CROSS JOIN log
    ON log.conversation = :conversation AND log.digest = walk.parent AND log.seq = walk.seq - 1
    WHERE walk.seq > 1
)
SELECT digest, seq FROM walk ORDER BY seq"""


UNLESS_THERE = "ON CONFLICT DO NOTHING"

SEEN = "ON CONFLICT DO UPDATE SET rows = rows + excluded.rows, at = max(at, excluded.at)"


class SqliteStore:
    """The store protocol on SQLite. Every method answers or raises StoreError within `timeout_s`."""

    def __init__(self, writer: Lane, reader: Lane, *, place: str, names_max: int = NAMES_MAX) -> None:
        self._writer = writer
        self._reader = reader
        self._place = place
        self._names_max = names_max

    @classmethod
    async def open(cls, url: str, timeout_s: float = 2.0, *, names_max: int = NAMES_MAX) -> "SqliteStore":
        """Open `sqlite:///relative.db`, `sqlite:////absolute.db` (`~` is expanded) or `memory://`.

        The folder is made if need be (mode 0700), and the file (0600). Raises StoreError, and
        StoreMismatchError for a file of another application or of a newer isocost, which is left as it is.
        """
        path = locate(url)
        place = "memory://" if path is None else f"sqlite {path}"
        writer = Lane(place=place, timeout_s=timeout_s)
        reader = writer if path is None else Lane(place=place, timeout_s=timeout_s)
        store = cls(writer, reader, place=place, names_max=names_max)
        try:
            await writer.open(lambda: open_writer(path, timeout_s))
            if path is not None:
                await reader.open(lambda: _open_reader(path, timeout_s))
        except BaseException:
            await store.aclose()
            raise
        return store

    async def pin(self, name: str, value: bytes) -> bytes:
        def work(connection: sqlite3.Connection) -> bytes:
            connection.execute("INSERT INTO pin VALUES (?, ?) ON CONFLICT DO NOTHING", (name, value))
            (stands,) = connection.execute("SELECT value FROM pin WHERE name = ?", (name,)).fetchone()
            return bytes(stands)

        return await self._write(work)

    async def append(self, conversation: str, entries: Sequence[Entry]) -> int:
        rows = _log_rows(conversation, entries)
        write = self._write if len(rows) > 1 else self._writer.run  # one statement is a transaction by itself
        return await write(lambda connection: insert(connection, "log", rows, UNLESS_THERE))

    async def known(self, conversation: str, digests: Sequence[bytes]) -> list[bool]:
        query = "SELECT digest, digest FROM log WHERE conversation = ? AND digest IN"
        return [value is not None for value in await self._look_up(query, conversation, digests)]

    async def read(self, conversation: str, digests: Sequence[bytes]) -> list[bytes | None]:
        query = "SELECT digest, payload FROM log WHERE conversation = ? AND digest IN"
        return await self._look_up(query, conversation, digests)

    async def path(self, conversation: str, digest: bytes) -> list[bytes]:
        names = {"conversation": conversation, "digest": digest}
        walked = await self._reader.run(lambda connection: connection.execute(PATH, names).fetchall())
        if walked and walked[0][1] != 1:
            raise StoreError(f"{self._place}: turn {walked[0][1] - 1} of a log is missing")
        return [digest for digest, _ in walked]

    async def note(self, conversation: str, name: bytes) -> bytes | None:
        query, names = "SELECT value FROM note WHERE conversation = ? AND name = ?", (conversation, name)
        row = await self._reader.run(lambda connection: connection.execute(query, names).fetchone())
        return None if row is None else bytes(row[0])

    async def set_note(self, conversation: str, name: bytes, value: bytes) -> None:
        row = (conversation, name, value)
        query = "INSERT OR REPLACE INTO note VALUES (?, ?, ?)"
        await self._writer.run(lambda connection: connection.execute(query, row))

    async def load(self, conversation: str) -> Snapshot | None:
        query = "SELECT version, digest, seq, state FROM snapshot WHERE conversation = ?"
        row = await self._reader.run(lambda connection: connection.execute(query, (conversation,)).fetchone())
        return None if row is None else Snapshot(*row)

    async def save(self, conversation: str, snapshot: Snapshot, entries: Sequence[Entry] = ()) -> bool:
        s, rows = snapshot, _log_rows(conversation, entries)

        def work(connection: sqlite3.Connection) -> bool:
            insert(connection, "log", rows, UNLESS_THERE)
            query = "SELECT version FROM snapshot WHERE conversation = ?"
            (version,) = connection.execute(query, (conversation,)).fetchone() or (0,)
            if version != s.version - 1:
                return False
            row = (conversation, s.version, s.digest, s.seq, s.state)
            connection.execute("INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?, ?, ?)", row)
            return True

        return await self._write(work)

    async def record(self, *entries: LedgerEntry) -> None:
        tallies = summed(entries)
        rows = [(entry.conversation, entry.row) for entry in entries]
        seen: dict[str, tuple[int, float]] = {}
        for entry in entries:
            before, at = seen.get(entry.conversation, (0, entry.at))
            seen[entry.conversation] = before + 1, max(at, entry.at)

        def work(connection: sqlite3.Connection) -> None:
            insert(connection, "ledger (conversation, row)", rows)
            insert(connection, "summary", [(conversation, *counted) for conversation, counted in seen.items()], SEEN)
            sqlite_totals.add(connection, tallies, names_max=self._names_max)

        await self._write(work)

    async def rows(self, conversation: str, limit: int) -> list[bytes]:
        query = "SELECT row FROM ledger WHERE conversation = ? ORDER BY id DESC LIMIT ?"
        names = (conversation, max(limit, 0))  # to SQLite a negative limit is none
        newest_first = await self._reader.run(lambda connection: connection.execute(query, names).fetchall())
        return [row for (row,) in reversed(newest_first)]

    async def conversations(self, limit: int) -> list[ConversationSummary]:
        query = "SELECT conversation, rows, at FROM summary ORDER BY at DESC, conversation LIMIT ?"
        listed = await self._reader.run(lambda connection: connection.execute(query, (max(limit, 0),)).fetchall())
        return [ConversationSummary(*row) for row in listed]

    async def totals(self, kind: str, limit: int) -> list[Total]:
        return await self._reader.run(lambda connection: sqlite_totals.newest(connection, kind, max(limit, 0)))

    async def delete(self, conversation: str) -> None:
        def work(connection: sqlite3.Connection) -> None:
            for table in ("log", "note", "snapshot", "ledger", "summary"):
                connection.execute(f"DELETE FROM {table} WHERE conversation = ?", (conversation,))  # noqa: S608
            sqlite_totals.forget(connection, "conversation", conversation)

        await self._write(work)

    async def aclose(self) -> None:
        try:
            await self._reader.aclose()
        finally:
            await self._writer.aclose()

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._writer.run(lambda connection: transaction(connection, lambda: work(connection)))

    async def _look_up(self, query: str, conversation: str, digests: Sequence[bytes]) -> list[bytes | None]:
        """The second column of `query` for each digest, in order; None where there is no row."""

        def work(connection: sqlite3.Connection) -> dict[bytes, bytes]:
            found: dict[bytes, bytes] = {}
            for start in range(0, len(digests), PARAMETERS_MAX - 1):
                chunk = digests[start : start + PARAMETERS_MAX - 1]
                marks = ",".join("?" * len(chunk))
                found.update(connection.execute(f"{query} ({marks})", (conversation, *chunk)).fetchall())
            return found

        found = await self._reader.run(work)
        return [found.get(digest) for digest in digests]


def _log_rows(conversation: str, entries: Sequence[Entry]) -> list[tuple[object, ...]]:
    return [(conversation, e.digest, e.parent, e.seq, e.payload) for e in entries]


def _open_reader(path: Path, timeout_s: float) -> sqlite3.Connection:
    connection = connect(path, timeout_s)
    connection.execute("PRAGMA query_only = ON")
    return connection
