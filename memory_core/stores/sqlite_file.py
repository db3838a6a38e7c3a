"""The file under the embedded store: where it lies, its schema, the thread that owns a connection, errors in words."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from memory_core.stores import StoreError, StoreMismatchError

T = TypeVar("T")

APPLICATION_ID = 0x69736F63  # "isoc", in the header of each file of ours
PENDING_MAX = 1024  # calls that wait for a thread; further ones are refused at once
PARAMETERS_MAX = 999  # of a statement, before SQLite 3.32
BUSY_SHARE = 0.8  # of the time-out is spent waiting for a lock, so that SQLite's own error comes first

# Numbered from 1; PRAGMA user_version says how many a file has seen. Never change one: add one.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE pin (name TEXT PRIMARY KEY, value BLOB NOT NULL)",
        # links before the payload: walking them does not read a payload's overflow pages
        """CREATE TABLE log (conversation TEXT NOT NULL, digest BLOB NOT NULL, parent BLOB NOT NULL,
           seq INTEGER NOT NULL, payload BLOB NOT NULL, UNIQUE (conversation, digest))""",
        """CREATE TABLE snapshot (conversation TEXT PRIMARY KEY, version INTEGER NOT NULL, digest BLOB NOT NULL,
           seq INTEGER NOT NULL, state BLOB NOT NULL)""",
        "CREATE TABLE ledger (id INTEGER PRIMARY KEY, conversation TEXT NOT NULL, row BLOB NOT NULL)",
        "CREATE INDEX ledger_conversation ON ledger (conversation)",
        "CREATE TABLE summary (conversation TEXT PRIMARY KEY, rows INTEGER NOT NULL, at REAL NOT NULL)",
        "CREATE INDEX summary_newest ON summary (at DESC, conversation)",
    ),
    (
        """CREATE TABLE total (kind TEXT NOT NULL, name TEXT NOT NULL, field TEXT NOT NULL, amount REAL NOT NULL,
           PRIMARY KEY (kind, name, field)) WITHOUT ROWID""",
        """CREATE TABLE total_newest (kind TEXT NOT NULL, name TEXT NOT NULL, at REAL NOT NULL,
           PRIMARY KEY (kind, name)) WITHOUT ROWID""",
        "CREATE INDEX total_newest_first ON total_newest (kind, at DESC, name)",
        """CREATE TABLE note (conversation TEXT NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL,
           PRIMARY KEY (conversation, name)) WITHOUT ROWID""",
    ),
)

SENTENCES = {
    sqlite3.SQLITE_BUSY: "is locked by another program; end it or raise the store's time-out",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk is full or failing",
    sqlite3.SQLITE_READONLY: "is read-only",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: it is a folder, or its folder may not be written to",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database; it was left as it is",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore a copy or move it away",
}


class Lane:
    """One thread and the connection that only it touches.

    A job that was accepted is finished even if its caller is cancelled; one that waited for longer than
    `timeout_s` before its turn is dropped, as its caller has been told so.
    """

    def __init__(self, *, place: str, timeout_s: float) -> None:
        self._place = place
        self._timeout_s = timeout_s
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="isocost-sqlite")
        self._connection: sqlite3.Connection | None = None
        self._pending = 0
        self._closed = False

    async def open(self, connect: Callable[[], sqlite3.Connection]) -> None:
        def work() -> None:
            self._connection = connect()

        await self._submit(work)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the thread; StoreError for all that SQLite refuses and after `timeout_s`."""
        if self._closed:
            raise StoreError(f"{self._place}: the store is closed")
        if self._pending >= PENDING_MAX:
            raise StoreError(f"{self._place}: {PENDING_MAX} calls are waiting already; the disk is too slow")
        late_at_s = time.monotonic() + self._timeout_s

        def job() -> T:
            if time.monotonic() > late_at_s or self._connection is None:
                raise StoreError(self._late())
            return work(self._connection)

        return await self._submit(job)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            await self._submit(self._disconnect)
        finally:
            self._executor.shutdown(wait=False)  # what was submitted is still finished

    async def _submit(self, job: Callable[[], T]) -> T:
        """Not `run_in_executor` and `asyncio.wait`, whose futures, callbacks and sets take half as long again."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[T] = loop.create_future()

        def tell(done: "Future[T]") -> None:  # in the thread
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(self._settle, told, done)

        self._pending += 1
        self._executor.submit(job).add_done_callback(tell)
        late = loop.call_later(self._timeout_s, self._give_up, told)
        try:
            return await told
        except sqlite3.Error as error:
            raise StoreError(f"{self._place} {sentence(error)}") from error
        except (OSError, UnicodeError, OverflowError) as error:
            raise StoreError(f"{self._place}: {type(error).__name__}: {error}") from error
        finally:
            late.cancel()

    def _settle(self, told: "asyncio.Future[T]", done: "Future[T]") -> None:
        self._pending -= 1
        if told.done():  # its caller may be gone
            return
        error = done.exception()
        if error is None:
            told.set_result(done.result())
        else:
            told.set_exception(error)

    def _give_up(self, told: "asyncio.Future[T]") -> None:
        if not told.done():
            told.set_exception(StoreError(self._late()))

    def _late(self) -> str:
        return f"{self._place} did not answer within {self._timeout_s:g} s: a slow disk, or a long queue"

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()


def locate(url: str) -> Path | None:
    """The file that `url` names in SQLAlchemy's habit; None for a private database in memory."""
    if url.partition("://")[0] == "memory":
        return None
    name = url.removeprefix("sqlite:///")
    if name in (url, "", "/"):
        raise StoreError(f"{url}: name a file, sqlite:///relative.db or sqlite:////absolute.db, or use memory://")
    return Path(name).expanduser()


def open_writer(path: Path | None, timeout_s: float) -> sqlite3.Connection:
    """A connection to a database of ours, made or migrated if needed; blocks, raises StoreError and sqlite3.Error."""
    if path is not None:
        _make_file(path)
    connection = connect(path, timeout_s)
    try:
        _version(connection, path)
        _use_wal(connection, timeout_s)
        _migrate(connection, path)
        connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten, not only unlinked
    except BaseException:
        connection.close()
        raise
    return connection


def connect(path: Path | None, timeout_s: float) -> sqlite3.Connection:
    name = ":memory:" if path is None else str(path.absolute())
    connection = sqlite3.connect(name, timeout=timeout_s * BUSY_SHARE, isolation_level=None)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def transaction(connection: sqlite3.Connection, work: Callable[[], T]) -> T:
    """Run `work` and commit, or leave everything as it was."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def insert(connection: sqlite3.Connection, into: str, rows: Sequence[Sequence[object]], then: str = "") -> int:
    """INSERT rows of one width INTO a table, many with one statement; returns how many were inserted or changed.

    Not executemany, which lets go of the interpreter at each row and then waits for it behind a busy event loop. A
    statement takes a power of two rows, so that there are few different ones to prepare and keep.
    """
    start = changed = 0
    while start < len(rows):
        width = len(rows[start])
        size = 1 << (min(len(rows) - start, PARAMETERS_MAX // width).bit_length() - 1)
        marks = ",".join([f"({','.join('?' * width)})"] * size)
        values = [value for row in rows[start : start + size] for value in row]
        changed += connection.execute(f"INSERT INTO {into} VALUES {marks} {then}", values).rowcount  # noqa: S608 -- of ours
        start += size
    return changed


def sentence(error: sqlite3.Error) -> str:
    """What went wrong and what to do, as the end of a sentence that begins with the file's name."""
    known = SENTENCES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)  # the low byte is the family of the error
    return known if known is not None else f"failed: {type(error).__name__}: {error}"


def _make_file(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # never open a file that exists by hand: closing it would drop the locks of this process's other connections
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise StoreError(f"sqlite {path} cannot be created: {error.strerror}") from error
    if not os.access(path, os.W_OK):  # SQLite would open it and fail at the first write
        raise StoreError(f"sqlite {path} is read-only")


def _version(connection: sqlite3.Connection, path: Path | None) -> int:
    """How many migrations the database has seen; raises StoreMismatchError if it is another's, or newer."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application_id != APPLICATION_ID and (application_id, version, tables) != (0, 0, 0):
        raise StoreMismatchError(f"sqlite {path} is another application's database; it was left as it is")
    if version > len(MIGRATIONS):
        raise StoreMismatchError(f"sqlite {path} was written by a newer isocost (schema {version}); upgrade isocost")
    return int(version)


def _migrate(connection: sqlite3.Connection, path: Path | None) -> None:
    def work() -> None:
        for statements in MIGRATIONS[_version(connection, path) :]:  # read again: another process may have been first
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    if _version(connection, path) < len(MIGRATIONS):
        transaction(connection, work)


def _use_wal(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Tried again while busy: when two processes open a new file at once, SQLite itself does not wait here."""
    give_up_at_s = time.monotonic() + timeout_s * BUSY_SHARE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at_s:
                raise
            time.sleep(0.01)
        else:
            return
