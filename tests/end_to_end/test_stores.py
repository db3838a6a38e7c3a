"""The store fails, at start or later: a sentence and nothing overwritten, or an answer and a count of what was lost."""

import asyncio
import os
import sqlite3
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from memory_core.stores import open_store
from memory_core.stores.sqlite import SqliteStore
from memory_core.stores.sqlite_file import Lane, connect, open_writer
from proxy.app import Given
from tests.support import upstreams
from tests.support.embedders import HashedWordsEmbedder
from tests.support.proxying import COMPACT, HELLO, LONG, THIN, Proxied, answered_unchanged, proxied
from tests.support.redis_server import free_port
from tests.support.stores import METHODS, FailingStore, ForgetfulStore, SlowStore

pytest_plugins = ["tests.support.proxying"]


@asynccontextmanager
async def with_store(wrap, **settings):
    """A pair on a wrapped store in memory; and the wrapper."""
    store = wrap(await open_store("memory://"))
    given = Given(embedder=HashedWordsEmbedder(), store=store)
    async with proxied(upstreams.answers(), given=given, drain_timeout_s=0, **settings) as pair:
        yield pair, store


@pytest.mark.parametrize("headers", [COMPACT, THIN], ids=["resending", "thin"])
async def test_a_store_that_fails(headers: dict[str, str]):
    async with with_store(lambda inner: FailingStore(inner, ()), ack_timeout_s=0.2) as (pair, store):
        store.failing = set(METHODS)
        for _ in range(2):
            answer = await answered_unchanged(pair, LONG, headers)
            assert answer.headers["x-isocost-error"] == "StoreError"
        await pair.until_learned(2, outcome="failed")
        assert await pair.metric("isocost_memory_errors_total", reason="StoreError") == 2
        store.failing = set()
        healed = await pair.chat(LONG, headers=headers)
        assert "x-isocost-error" not in healed.headers
        await pair.until_learned(1)


async def test_readiness_follows_the_store():
    async with with_store(lambda inner: FailingStore(inner, ())) as (pair, store):
        assert (await pair.client.get(f"{pair.url}/readyz")).status_code == 200
        store.failing = {"conversations"}
        away = await pair.client.get(f"{pair.url}/readyz")
        assert (away.status_code, away.json()["ready"]) == (503, False)
        assert (await pair.client.get(f"{pair.url}/healthz")).status_code == 200


@pytest.mark.parametrize("headers", [COMPACT, THIN], ids=["resending", "thin"])
@pytest.mark.parametrize("slow", [("read", "load", "append", "save"), ("note",), ("rows",)], ids=" ".join)
async def test_a_store_that_is_too_slow(slow: tuple[str, ...], headers: dict[str, str]):
    limits = {"memory_timeout_s": 0.1, "compact_timeout_s": 0.1, "ack_timeout_s": 0.1}
    async with with_store(lambda inner: SlowStore(inner, 30, slow), **limits) as (pair, _):
        began = time.monotonic()
        answer = await answered_unchanged(pair, LONG, headers)
        assert answer.headers["x-isocost-error"] == "timeout"
        assert time.monotonic() - began < 5


async def test_a_store_that_forgets_costs_time_but_no_word():
    """A client that resends its history loses nothing by it."""
    async with with_store(ForgetfulStore) as (pair, _):
        for _ in range(2):
            answer = await pair.chat(LONG, headers=COMPACT)
            assert (answer.status_code, answer.headers["x-isocost-mode"]) == (200, "compact")
            assert "word3x1" in pair.forwarded()[-1]["content"].split("\n", 1)[1]
            await pair.until_learned(1)
        answer = await answered_unchanged(pair, HELLO, THIN)
        assert "x-isocost-error" not in answer.headers


@asynccontextmanager
async def on_a_file(path, **settings):
    """A pair on a SQLite file whose writing connection the test can reach: `await pragma("...")`."""
    place, timeout_s = f"sqlite {path}", 0.4
    writer, reader = (Lane(place=place, timeout_s=timeout_s) for _ in range(2))
    await writer.open(lambda: open_writer(path, timeout_s))
    await reader.open(lambda: connect(path, timeout_s))

    async def pragma(statement: str) -> list:
        return await writer.run(lambda connection: connection.execute(f"PRAGMA {statement}").fetchall())

    given = Given(embedder=HashedWordsEmbedder(), store=SqliteStore(writer, reader, place=place))
    async with proxied(upstreams.answers(), given=given, **settings) as pair:
        yield pair, pragma


async def lost_but_answered(pair: Proxied, headers: dict[str, str]) -> None:
    """Each request is answered, and what could not be written is counted."""
    for number in range(1, 3):
        answer = await pair.chat(LONG, headers=headers)
        assert answer.status_code == 200
        assert answer.json() == upstreams.ANSWER
        await pair.until_learned(number, outcome="failed")
    if headers is THIN:
        assert await pair.metric("isocost_late_acknowledgements_total") == 2


@pytest.mark.parametrize("headers", [COMPACT, THIN], ids=["resending", "thin"])
@pytest.mark.parametrize("fault", ["locked", "read-only", "full"])
async def test_a_file_that_cannot_be_written(tmp_path, fault: str, headers: dict[str, str]):
    path = tmp_path / "store.sqlite"
    async with on_a_file(path) as (pair, pragma):
        other = sqlite3.connect(path, isolation_level=None)
        match fault:
            case "locked":
                other.execute("BEGIN IMMEDIATE")
            case "read-only":
                await pragma("query_only = ON")
            case "full":
                (pages,) = (await pragma("page_count"))[0]
                await pragma(f"max_page_count = {pages}")
        await lost_but_answered(pair, headers)
        # and when the fault is over, the client's next request brings back what was lost
        if fault == "locked":
            other.execute("ROLLBACK")
        await pragma("query_only = OFF")
        await pragma("max_page_count = 1000000")
        answer = await pair.chat(LONG, headers=headers)
        assert "x-isocost-error" not in answer.headers
        await pair.until_learned(1)
        other.close()
    assert await logged(f"sqlite:///{path}", answer.headers["x-isocost-conversation"]) == len(LONG) + 1


async def logged(url: str, conversation: str) -> int:
    """How many turns of a conversation are in the log, all of them up to its head."""
    store = await open_store(url)
    snapshot = await store.load(conversation)
    assert snapshot is not None
    digests = await store.path(conversation, snapshot.digest)
    assert all(await store.known(conversation, digests))
    assert snapshot.seq == len(digests)
    await store.aclose()
    return len(digests)


async def test_many_requests_while_all_fails():
    """The guard holds under load, and nothing piles up behind it."""
    async with with_store(lambda inner: FailingStore(inner, ()), learner_queue=4) as (pair, store):
        store.failing = set(METHODS)
        answers = await asyncio.gather(*(pair.chat(HELLO, headers=THIN) for _ in range(40)))
        assert [answer.status_code for answer in answers] == [200] * 40
        assert await pair.metric("isocost_memory_errors_total") >= 40
        assert await pair.metric("isocost_learner_queue") <= 4


async def refused(caplog: pytest.LogCaptureFixture, store: str, dimension: int = 64) -> str:
    """Starting on this store must fail; the sentence that says why."""
    caplog.clear()
    given = Given(embedder=HashedWordsEmbedder(dimension))
    with pytest.raises(RuntimeError, match="did not start"):
        async with proxied(upstreams.answers(), given=given, store=store, store_timeout_s=0.5):
            pytest.fail("it must not start")
    (sentence,) = [record.getMessage() for record in caplog.records if "cannot start" in record.getMessage()]
    return sentence


async def written(store: str) -> None:
    """Two turns of the thin client's conversation, and as many of one that resends."""
    async with proxied(upstreams.answers(), store=store) as pair:
        await pair.chat(HELLO, headers=THIN)
        await pair.chat(HELLO)
        await pair.until_learned(2)


async def goes_on(store: str) -> None:
    """What `written` wrote is found."""
    async with proxied(upstreams.answers(), store=store) as pair:
        await pair.chat([{"role": "user", "content": "and now?"}], headers=THIN)
        assert [message["content"] for message in pair.forwarded()] == ["hello", "Noted, sir.", "and now?"]


async def test_a_store_of_another_embedder_is_refused_and_kept(durable_store: str, tmp_path, caplog):
    await written(durable_store)
    before = {path: path.read_bytes() for path in tmp_path.glob("*.sqlite*")}
    sentence = await refused(caplog, durable_store, dimension=32)
    assert "'hashed-words@64'" in sentence
    assert "'hashed-words@32'" in sentence
    assert {path: path.read_bytes() for path in tmp_path.glob("*.sqlite*")} == before
    await goes_on(durable_store)


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is my diary, not a database\n" * 300)


def _of_another_application(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE diary (day TEXT)")
    connection.close()


def _newer(path: Path) -> None:
    connection = open_writer(path, 1)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [(_garbage, "not a SQLite database"), (_of_another_application, "another application"), (_newer, "newer isocost")],
)
async def test_a_file_that_is_not_ours_is_refused_and_kept(tmp_path, caplog, make, words: str):
    path = tmp_path / "diary.sqlite"
    make(path)
    before = path.read_bytes()
    sentence = await refused(caplog, f"sqlite:///{path}")
    assert words in sentence
    assert str(path) in sentence
    assert path.read_bytes() == before


async def test_a_place_where_no_file_can_be(tmp_path, caplog):
    assert "cannot be" in await refused(caplog, f"sqlite:///{tmp_path}")


async def test_a_file_that_another_program_holds(tmp_path, caplog):
    url = f"sqlite:///{tmp_path}/store.sqlite"
    await written(url)
    other = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "locked by another program" in await refused(caplog, url)
    other.execute("ROLLBACK")
    other.close()
    await goes_on(url)


async def test_a_read_only_file(tmp_path, caplog):
    path = tmp_path / "store.sqlite"
    await written(f"sqlite:///{path}")
    path.chmod(0o444)
    if os.access(path, os.W_OK):
        pytest.skip("needs a user whom file modes bind: root writes anywhere")
    before = path.read_bytes()
    assert "read-only" in await refused(caplog, f"sqlite:///{path}")
    assert path.read_bytes() == before


async def test_a_redis_that_is_away(caplog):
    address = f"127.0.0.1:{free_port()}"
    sentence = await refused(caplog, f"redis://anna:secret@{address}/0")
    assert address in sentence
    assert "secret" not in sentence
