"""One embedder and one tenant key a store, whoever comes first."""

import asyncio

import pytest

from memory_core.stores import StoreError, StoreMismatchError, open_store
from proxy.claim import Claim
from tests.support.stores import FailingStore, WrappedStore


@pytest.fixture
async def store():
    opened = await open_store("memory://")
    yield opened
    await opened.aclose()


async def test_replicas_agree_on_the_tenants(store):
    one, other = Claim(store, "e"), Claim(store, "e")
    first, second = await asyncio.gather(one.tenant("Bearer a"), other.tenant("Bearer a"))
    assert first == second
    assert await one.tenant("Bearer b") != first


async def test_another_store_has_another_key(store):
    elsewhere = await open_store("memory://")
    try:
        assert await Claim(store, "e").tenant("a") != await Claim(elsewhere, "e").tenant("a")
    finally:
        await elsewhere.aclose()


async def test_a_store_of_another_embedder_is_refused_and_left_as_it_is(store):
    await Claim(store, "first").confirm()
    other = Claim(store, "second")
    for ask in (other.confirm(), other.tenant("a"), other.confirm()):
        with pytest.raises(StoreMismatchError, match=r"'first'.*'second'"):
            await ask
    await Claim(store, "first").confirm()


async def test_the_store_is_asked_once(store):
    counted = WrappedStore(store)
    claim = Claim(counted, "e")
    for _ in range(3):
        await claim.tenant("a")
    assert counted.calls == ["pin", "pin"]


async def test_a_store_that_was_away_is_asked_again(store):
    away = FailingStore(store)
    claim = Claim(away, "e")
    with pytest.raises(StoreError):
        await claim.tenant("a")
    away.failing.clear()
    assert await claim.tenant("a") == await Claim(store, "e").tenant("a")
