"""Stores to test: the fixtures `store` and `open_again`, on a SQLite file, memory:// and a real Redis each.

Use them from a test module with `pytest_plugins = ["tests.support.store_places"]`.
PYTEST_DONT_REWRITE: a test module may import names from here before pytest sees it as a plugin.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from memory_core.stores import Entry, Snapshot, Store, open_store

pytest_plugins = ["tests.support.redis_server"]

TIMEOUT_S = 5.0
ROOT = bytes(16)
OpenStore = Callable[[], Awaitable[Store]]


@pytest.fixture(params=["sqlite", "memory", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "sqlite":
            return f"sqlite:///{tmp_path}/store.sqlite"
        case "memory":
            return "memory://"
    return request.getfixturevalue("redis_url")


@pytest.fixture
async def open_again(store_url: str) -> AsyncIterator[OpenStore]:
    """Opens stores on the same place; all are closed at the end."""
    opened: list[Store] = []

    async def open_one() -> Store:
        opened.append(await open_store(store_url, timeout_s=TIMEOUT_S))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.aclose()


@pytest.fixture
async def store(open_again: OpenStore) -> Store:
    return await open_again()


def digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def branch(name: str, turns: int, parent: bytes = ROOT, first_seq: int = 1) -> list[Entry]:
    """A chain of `turns` entries after `parent`."""
    entries = []
    for seq in range(first_seq, first_seq + turns):
        here = digest(f"{name} {seq}")
        entries.append(Entry(here, parent, seq, f"{name} payload {seq}".encode()))
        parent = here
    return entries


def digests(entries: list[Entry]) -> list[bytes]:
    return [entry.digest for entry in entries]


def snapshot(version: int, state: bytes = b"state") -> Snapshot:
    return Snapshot(version, digest("head"), 7, state)
