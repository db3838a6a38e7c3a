"""What is SQLite's own: locks, queues, a full disk, several processes, kill -9."""

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from memory_core.stores import LedgerEntry, StoreError
from memory_core.stores.sqlite import SqliteStore
from memory_core.stores.sqlite_file import PENDING_MAX
from tests.support.store_places import branch, digest, digests, snapshot

REPOSITORY = Path(__file__).parents[3]


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


@contextmanager
def write_locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_lock_held_for_too_long_is_an_error_and_then_over(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqliteStore.open(url_of(path), timeout_s=0.5)
    await store.append("c", branch("a", 2))
    with write_locked(path):
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"store\.db is locked by another program"):
            await store.append("c", branch("a", 3))
        assert 0.3 < time.monotonic() - began < 2.0
        assert await store.known("c", digests(branch("a", 3))) == [True, True, False]  # reading goes on
        second = await SqliteStore.open(url_of(path), timeout_s=0.5)  # and so does opening
        await second.aclose()
    await store.append("c", branch("a", 3))
    assert await store.known("c", digests(branch("a", 3))) == [True, True, True]
    await store.aclose()


async def test_a_write_that_waited_too_long_is_not_done_later(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqliteStore.open(url_of(path), timeout_s=0.3)
    with write_locked(path):
        rows = [store.record(LedgerEntry("c", b"row", at=1.0)) for _ in range(4)]
        ended = await asyncio.gather(*rows, return_exceptions=True)
    assert [type(end) for end in ended] == [StoreError] * 4
    await store.record(LedgerEntry("c", b"last", at=2.0))
    # the second may have come to its turn just before its time was up; the others waited longer
    assert len(await store.rows("c", 9)) <= 2
    assert (await store.rows("c", 9))[-1] == b"last"
    await store.aclose()


async def test_too_many_waiting_calls_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqliteStore.open(url_of(path), timeout_s=1.0)
    with write_locked(path):
        waiting = [asyncio.create_task(store.record(LedgerEntry("c", b"row", at=1.0))) for _ in range(PENDING_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(StoreError, match="are waiting already"):
            await store.record(LedgerEntry("c", b"row", at=1.0))
    await asyncio.gather(*waiting, return_exceptions=True)
    await store.record(LedgerEntry("c", b"row", at=1.0))
    await store.aclose()


async def test_a_full_disk_is_an_error_and_nothing_is_lost(tmp_path: Path) -> None:
    store = await SqliteStore.open(url_of(tmp_path / "store.db"))
    await store.append("c", branch("a", 3))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, before[1]))  # no file may grow past this
    try:
        with pytest.raises(StoreError, match="full"):
            for n in range(100):
                await store.save("c", snapshot(n + 1, state=os.urandom(50_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    standing = await store.load("c")
    assert standing is not None
    assert await store.save("c", snapshot(standing.version + 1)) is True
    assert await store.path("c", branch("a", 3)[-1].digest) == digests(branch("a", 3))
    await store.aclose()


async def test_forgotten_text_is_not_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqliteStore.open(url_of(path))
    await store.append("c", branch("secret", 300))
    await store.append("d", branch("kept", 3))
    await store.delete("c")
    await store.aclose()
    left = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"secret payload" not in left
    assert b"kept payload 2" in left


async def test_closing_ends_the_threads(tmp_path: Path) -> None:
    store = await SqliteStore.open(url_of(tmp_path / "store.db"))
    await store.load("c")
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("isocost-sqlite")]
    assert len(ours) >= 2
    await store.aclose()
    for thread in ours:
        thread.join(timeout=5)
    assert not any(thread.is_alive() for thread in ours)


APPEND_FOR_EVER = """
import asyncio, sys
from memory_core.stores.sqlite import SqliteStore
from tests.support.store_places import branch
async def main():
    store = await SqliteStore.open(sys.argv[1], timeout_s=30)
    for seq, entry in enumerate(branch(sys.argv[2], int(sys.argv[3])), 1):
        await store.append("c", [entry])
        print(seq, flush=True)
    await store.aclose()
asyncio.run(main())
"""


def start_appending(path: Path, name: str, turns: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", APPEND_FOR_EVER, url_of(path), name, str(turns)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
async def test_what_append_returned_from_survives_kill_9(tmp_path: Path) -> None:
    with start_appending(tmp_path / "store.db", "a", 100_000) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(150)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
    assert writer.returncode == -signal.SIGKILL
    store = await SqliteStore.open(url_of(tmp_path / "store.db"))
    expected = branch("a", acknowledged[-1])
    assert await store.read("c", digests(expected)) == [entry.payload for entry in expected]
    assert await store.path("c", expected[-1].digest) == digests(expected)
    await store.aclose()


@pytest.mark.slow
async def test_processes_may_open_a_new_file_at_once_and_share_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    writers = [start_appending(path, name, 40) for name in ("a", "b", "c", "d")]
    for writer in writers:
        assert len(writer.communicate(timeout=60)[0].splitlines()) == 40
        assert writer.returncode == 0
    store = await SqliteStore.open(url_of(path))
    for name in ("a", "b", "c", "d"):
        assert await store.path("c", digest(f"{name} 40")) == digests(branch(name, 40))
    await store.aclose()
