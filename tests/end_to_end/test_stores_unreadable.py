"""What a store holds of a conversation cannot be read: it is left as it is, and the request goes through unchanged."""

import hashlib
import sqlite3

import pytest

from tests.support import upstreams
from tests.support.proxying import COMPACT, HELLO, LONG, THIN, answered_unchanged, proxied


def _damaged(state: bytes) -> bytes:
    return state[:-1] + bytes([state[-1] ^ 1])


def _of_a_newer_format(state: bytes) -> bytes:
    head, body = state[:4] + bytes([state[4] + 1]), state[13:]
    return head + hashlib.sha256(head + body).digest()[:8] + body


@pytest.mark.parametrize("headers", [THIN, COMPACT], ids=["thin", "resending"])
@pytest.mark.parametrize(
    ("spoil", "error"), [(_damaged, "StateCorruptionError"), (_of_a_newer_format, "MismatchError")]
)
async def test_a_conversation_that_cannot_be_read_is_left_as_it_is(tmp_path, spoil, error: str, headers):
    url = f"sqlite:///{tmp_path}/store.sqlite"
    async with proxied(upstreams.answers(), store=url) as pair:
        await pair.chat(LONG, headers=headers)
        await pair.until_learned(1)
    file = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    for table, column in (("snapshot", "state"), ("log", "payload")):
        for rowid, value in file.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
            if is_codecs(value):
                file.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (spoil(value), rowid))
    before = everything(file)
    async with proxied(upstreams.answers(), store=url) as pair:
        answer = await answered_unchanged(pair, LONG, headers)
        assert answer.headers["x-isocost-error"] == error
        await pair.until_learned(1, outcome="failed")
        # it is this conversation that is refused, not the store
        assert "x-isocost-error" not in (await pair.chat(HELLO)).headers
        await pair.until_learned(1)
    after = everything(file)
    file.close()
    assert before <= after


async def test_an_epoch_that_cannot_be_read_is_left_as_it_is(tmp_path):
    url = f"sqlite:///{tmp_path}/store.sqlite"
    async with proxied(upstreams.answers(), store=url) as pair:
        answer = await pair.chat(LONG, headers=COMPACT)
        assert answer.headers["x-isocost-epoch"] == "1"
        await pair.until_learned(1)
    file = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    conversation = (answer.headers["x-isocost-conversation"],)
    rows = file.execute("SELECT rowid, payload FROM log WHERE conversation = ?", conversation).fetchall()
    (epoch,) = [row for row in rows if not is_codecs(row[1])]
    file.execute("UPDATE log SET payload = ? WHERE rowid = ?", (epoch[1][:-1], epoch[0]))
    before = file.execute("SELECT * FROM log").fetchall()
    async with proxied(upstreams.answers(), store=url) as pair:
        answer = await answered_unchanged(pair, LONG, COMPACT)
        assert answer.headers["x-isocost-error"] == "StoreError"
        await pair.until_learned(1)
    assert set(before) <= set(file.execute("SELECT * FROM log"))
    file.close()


def is_codecs(payload: bytes) -> bool:
    """A snapshot's state or a turn's record; what else the log of a conversation holds is an epoch."""
    return payload.startswith(b"iso")


@pytest.mark.parametrize("spoil", [_damaged, _of_a_newer_format])
async def test_a_snapshot_that_cannot_be_read_is_not_overwritten(tmp_path, spoil):
    """Only the snapshot is spoiled: the log of a client that resends is sound, and its turns are known."""
    url = f"sqlite:///{tmp_path}/store.sqlite"
    async with proxied(upstreams.answers(), store=url) as pair:
        await pair.chat(HELLO, headers=THIN)
        await pair.chat(HELLO)
        await pair.until_learned(2)
    file = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    for conversation, state in file.execute("SELECT conversation, state FROM snapshot").fetchall():
        file.execute("UPDATE snapshot SET state = ? WHERE conversation = ?", (spoil(state), conversation))
    before = file.execute("SELECT * FROM snapshot").fetchall()
    async with proxied(upstreams.answers(), store=url) as pair:
        answer = await pair.chat([*HELLO, {"role": "assistant", "content": "Noted, sir."}, *HELLO])
        assert answer.json() == upstreams.ANSWER
        await pair.until_learned(1, outcome="failed")
    assert file.execute("SELECT * FROM snapshot").fetchall() == before
    file.close()


def everything(file: sqlite3.Connection) -> set[tuple]:
    return {row for table in ("snapshot", "log") for row in file.execute(f"SELECT * FROM {table}")}
