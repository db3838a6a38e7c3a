"""The file under the embedded store: where it lies, who may read it, whose it is, and what is refused."""

import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from memory_core.stores import ConversationSummary, LedgerEntry, StoreError, StoreMismatchError, Tally, Total
from memory_core.stores.sqlite import SqliteStore
from memory_core.stores.sqlite_file import APPLICATION_ID, MIGRATIONS, insert, sentence
from tests.support.store_places import branch, digests

REPOSITORY = Path(__file__).parents[3]


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def opens_and_works(url: str) -> None:
    store = await SqliteStore.open(url)
    await store.append("c", branch("a", 2))
    assert await store.path("c", branch("a", 2)[-1].digest) == digests(branch("a", 2))
    await store.aclose()


@pytest.mark.parametrize("url", ["sqlite:///below/rel.db", "sqlite:///~/below/home.db", "sqlite:///{}/below/abs.db"])
async def test_urls_name_files_as_in_sqlalchemy(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    await opens_and_works(url.format(tmp_path))
    assert [path.suffix for path in (tmp_path / "below").iterdir()] == [".db"]


async def test_folder_and_files_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "store.db"
    store = await SqliteStore.open(url_of(path))
    await store.append("c", branch("a", 1))
    assert mode(path.parent) == 0o700
    files = {file.name: mode(file) for file in path.parent.iterdir()}
    assert files == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}
    await store.aclose()


@pytest.mark.parametrize("below", ["a file/store.db", "a file/deeper/store.db", "a folder"])
async def test_a_place_that_cannot_be_made_is_named(below: str, tmp_path: Path) -> None:
    (tmp_path / "a file").write_bytes(b"text")
    (tmp_path / "a folder").mkdir()
    with pytest.raises(StoreError, match=f"{tmp_path}/{below}.* cannot be"):
        await SqliteStore.open(url_of(tmp_path / below))
    assert (tmp_path / "a file").read_bytes() == b"text"


WRITE_AS_ANOTHER = """
import asyncio, os, sys
from memory_core.stores import StoreError
from memory_core.stores.sqlite import SqliteStore
if os.geteuid() == 0:  # who may write everywhere
    os.setuid(65534)
for url in sys.argv[1:]:
    try:
        asyncio.run(SqliteStore.open(url))
    except StoreError as error:
        print(error)
"""


@pytest.mark.slow
async def test_a_file_or_folder_that_may_not_be_written_is_named() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        open_folder, closed_folder = Path(name) / "open", Path(name) / "closed"
        await opens_and_works(url_of(open_folder / "store.db"))
        (open_folder / "store.db").chmod(0o444)
        closed_folder.mkdir()
        for folder, bits in ((Path(name), 0o755), (open_folder, 0o777), (closed_folder, 0o555)):
            folder.chmod(bits)
        urls = [url_of(open_folder / "store.db"), url_of(closed_folder / "new.db")]
        command = [sys.executable, "-c", WRITE_AS_ANOTHER, *urls]
        ended = subprocess.run(command, check=False, cwd=REPOSITORY, capture_output=True, text=True, timeout=30)
    assert ended.stdout.splitlines() == [
        f"sqlite {open_folder}/store.db is read-only",
        f"sqlite {closed_folder}/new.db cannot be created: Permission denied",
    ], ended.stderr


async def test_what_is_not_a_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear reader, " * 1000)
    with pytest.raises(StoreError, match="not a SQLite database"):
        await SqliteStore.open(url_of(path))
    assert path.read_bytes() == b"Dear reader, " * 1000
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE theirs (x)",
        "PRAGMA application_id = 77",
        "PRAGMA user_version = 1",
        f"PRAGMA user_version = {len(MIGRATIONS) + 1}; PRAGMA application_id = {APPLICATION_ID}",
    ],
)
async def test_another_or_newer_database_is_refused_and_left_as_it_is(statement: str, tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.executescript(statement)
    before = path.read_bytes()
    with pytest.raises(StoreMismatchError, match=str(path)):
        await SqliteStore.open(url_of(path))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


async def test_our_files_say_whose_they_are(tmp_path: Path) -> None:
    await opens_and_works(url_of(tmp_path / "store.db"))
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_file_from_before_totals_keeps_what_it_holds_and_counts_from_now_on(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as old:
        for statement in MIGRATIONS[0]:
            old.execute(statement)
        old.execute("INSERT INTO ledger (conversation, row) VALUES ('c', x'01')")
        old.execute("INSERT INTO summary VALUES ('c', 1, 5.0)")
        old.execute("PRAGMA user_version = 1")
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        old.commit()
    store = await SqliteStore.open(url_of(path))
    assert await store.totals("model", 9) == []
    await store.record(LedgerEntry("c", b"\x02", 6.0, [Tally("model", "m", {"requests": 1.0})]))
    assert await store.rows("c", 9) == [b"\x01", b"\x02"]
    assert await store.conversations(9) == [ConversationSummary("c", 2, 6.0)]
    assert await store.totals("model", 9) == [Total("m", {"requests": 1.0}, 6.0)]
    await store.aclose()


async def test_an_empty_file_becomes_ours(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    await opens_and_works(url_of(tmp_path / "store.db"))


def test_a_full_database_is_said_so(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "small.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA max_page_count = 4")
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    assert sentence(caught.value) == "cannot grow: the disk is full"


async def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqliteStore.open(url_of(path))
    await store.append("c", branch("a", 500))
    await store.aclose()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * (path.stat().st_size - 8192))
    store = await SqliteStore.open(url_of(path))
    with pytest.raises(StoreError, match="damaged"):
        await store.path("c", digests(branch("a", 500))[-1])
    await store.aclose()


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 255, 256, 499, 1000])
def test_many_rows_go_in_as_one_by_one_and_in_order(rows):
    written = [(f"name {number % 7}", number) for number in range(rows)]
    tables = []
    for way in ("together", "one by one"):
        connection = sqlite3.connect(":memory:")
        connection.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, name TEXT, number INTEGER)")
        connection.execute("CREATE TABLE sums (name TEXT PRIMARY KEY, number INTEGER)")
        add = "ON CONFLICT DO UPDATE SET number = number + excluded.number"
        if way == "together":
            insert(connection, "kept (name, number)", written)
            insert(connection, "sums", written, add)
        else:
            connection.executemany("INSERT INTO kept (name, number) VALUES (?, ?)", written)
            connection.executemany(f"INSERT INTO sums VALUES (?, ?) {add}", written)
        tables.append([connection.execute(f"SELECT * FROM {name}").fetchall() for name in ("kept", "sums")])
        connection.close()
    assert tables[0] == tables[1]
    assert len(tables[0][0]) == rows
