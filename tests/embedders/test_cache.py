"""No text is embedded twice, within the bytes given, whoever leaves."""

import asyncio
import gc
import weakref
from collections.abc import Sequence

import numpy as np
import pytest

from embedders import LATER, EmbedderError, Vectors
from embedders.batching import BatchingEmbedder
from embedders.cache import ENTRY_OVERHEAD_BYTES, CachingEmbedder
from tests.support.embedders import GatedEmbedder, HashedWordsEmbedder

ENTRY_BYTES = 64 * 4 + ENTRY_OVERHEAD_BYTES


async def test_a_text_is_embedded_once() -> None:
    inner = GatedEmbedder()
    cache = CachingEmbedder(inner, bytes_max=10 * ENTRY_BYTES)
    first = await cache.embed(["a", "b", "a"])
    second = await cache.embed(["c", "b", "a"])
    assert inner.calls == [["a", "b"], ["c"]]
    assert (cache.hits, cache.misses) == (3, 3)
    assert second.tobytes() == (await HashedWordsEmbedder().embed(["c", "b", "a"])).tobytes()
    np.testing.assert_array_equal(first[0], second[2])
    await cache.aclose()
    assert inner.closed


async def test_the_least_recently_used_goes_first() -> None:
    inner = GatedEmbedder()
    cache = CachingEmbedder(inner, bytes_max=3 * ENTRY_BYTES - 1)
    for text in ("a", "b", "a", "c", "a", "b"):
        await cache.embed([text])
    assert inner.calls == [["a"], ["b"], ["c"], ["b"]]
    await cache.aclose()


async def test_a_kept_row_does_not_keep_its_batch() -> None:
    answers: list[weakref.ref[Vectors]] = []

    class Watched(HashedWordsEmbedder):
        async def embed(self, texts: Sequence[str]) -> Vectors:
            vectors = await super().embed(texts)
            answers.append(weakref.ref(vectors))
            return vectors

    cache = CachingEmbedder(Watched(), bytes_max=1 * ENTRY_BYTES)
    await cache.embed(["a", "b", "c"])
    gc.collect()
    assert [answer() is None for answer in answers] == [True]
    await cache.embed(["c"])
    assert len(answers) == 1
    await cache.aclose()


async def test_without_room_nothing_is_kept_but_computations_are_shared() -> None:
    inner = GatedEmbedder(is_open=False)
    cache = CachingEmbedder(inner, bytes_max=0)
    calls = [asyncio.create_task(cache.embed(["a"])) for _ in range(3)]
    await inner.started.wait()
    inner.gate.set()
    await asyncio.gather(*calls)
    await cache.embed(["a"])
    assert inner.calls == [["a"], ["a"]]
    await cache.aclose()


async def test_concurrent_calls_share_what_is_under_way() -> None:
    inner = GatedEmbedder(is_open=False)
    cache = CachingEmbedder(inner, bytes_max=10 * ENTRY_BYTES)
    calls = [asyncio.create_task(cache.embed(texts)) for texts in (["a", "b"], ["b", "c"], ["c", "a"])]
    await inner.started.wait()
    inner.gate.set()
    one, two, three = await asyncio.gather(*calls)
    assert inner.calls == [["a", "b"], ["c"]]
    assert (cache.hits, cache.misses) == (3, 3)
    assert three.tobytes() == np.stack([two[1], one[0]]).tobytes()
    await cache.aclose()


async def test_where_a_first_caller_leaves_the_next_goes_on_for_all() -> None:
    inner = GatedEmbedder(is_open=False)
    cache = CachingEmbedder(inner, bytes_max=10 * ENTRY_BYTES)
    leaves = asyncio.create_task(cache.embed(["a", "b"]))
    await inner.started.wait()
    stay = [asyncio.create_task(cache.embed(texts)) for texts in (["a"], ["a", "c"], ["b", "a"])]
    while cache.hits < 4:
        await asyncio.sleep(0)
    leaves.cancel()
    stay[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    inner.gate.set()
    two, three = await asyncio.gather(*stay[1:])
    assert two.tobytes() == (await HashedWordsEmbedder().embed(["a", "c"])).tobytes()
    assert three.tobytes() == (await HashedWordsEmbedder().embed(["b", "a"])).tobytes()
    assert sorted(text for call in inner.calls for text in call) == ["a", "a", "b", "b", "c"]
    assert (cache.hits + cache.misses, cache.misses) == (7, 5)
    await cache.aclose()


async def test_what_others_bring_besides_is_no_reason_to_be_content() -> None:
    inner = GatedEmbedder(is_open=False)
    cache = CachingEmbedder(inner, bytes_max=10 * ENTRY_BYTES)
    brings = asyncio.create_task(cache.embed(["a", "x", "y", "z"]))
    leaves = asyncio.create_task(cache.embed(["b"]))
    stays = asyncio.create_task(cache.embed(["a", "b"]))
    while cache.hits < 2:
        await asyncio.sleep(0)
    leaves.cancel()
    inner.gate.set()
    assert (await stays).tobytes() == (await HashedWordsEmbedder().embed(["a", "b"])).tobytes()
    await brings
    await cache.aclose()


async def test_what_was_under_way_is_had_though_it_is_not_kept() -> None:
    inner = GatedEmbedder(is_open=False)
    cache = CachingEmbedder(inner, bytes_max=0)
    calls = [asyncio.create_task(cache.embed(texts)) for texts in (["a"], ["b", "a"])]
    await inner.started.wait()
    await asyncio.sleep(0)
    inner.gate.set()
    await asyncio.gather(*calls)
    assert inner.calls == [["a"], ["b"]]
    await cache.aclose()


async def test_what_nobody_waits_for_is_cancelled_and_can_be_asked_again() -> None:
    inner = GatedEmbedder(is_open=False)
    cache = CachingEmbedder(inner, bytes_max=10 * ENTRY_BYTES)
    leaves = asyncio.create_task(cache.embed(["a"]))
    await inner.started.wait()
    leaves.cancel()
    # Asked while the cancelled computation is still going down: it must not be joined.
    again = asyncio.create_task(cache.embed(["a"]))
    with pytest.raises(asyncio.CancelledError):
        await leaves
    inner.gate.set()
    assert (await again).shape == (1, 64)
    assert inner.cancelled_calls == 1
    await cache.aclose()


async def test_leaving_through_cache_and_batching_frees_the_queue() -> None:
    inner = GatedEmbedder(is_open=False)
    batching = BatchingEmbedder(inner, batch_tokens_max=3, queue_tokens_max=100)
    cache = CachingEmbedder(batching, bytes_max=10 * ENTRY_BYTES)
    first = asyncio.create_task(cache.embed(["a"]))
    await inner.started.wait()
    leaves = asyncio.create_task(cache.embed(["b"]))
    while batching.queued_tokens == 0:
        await asyncio.sleep(0)
    leaves.cancel()
    async with asyncio.timeout(5):
        while batching.queued_tokens != 0:
            await asyncio.sleep(0)
    inner.gate.set()
    await first
    assert inner.calls == [["a"]]
    await cache.aclose()


async def test_an_error_reaches_all_who_share_it_and_is_not_kept() -> None:
    inner = GatedEmbedder(is_open=False, poison=["a"])
    cache = CachingEmbedder(inner, bytes_max=10 * ENTRY_BYTES)
    calls = [asyncio.create_task(cache.embed(["a"])) for _ in range(2)]
    await inner.started.wait()
    inner.gate.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["poisoned", "poisoned"]
    inner.poison = frozenset()
    assert (await cache.embed(["a"])).shape == (1, 64)
    await cache.aclose()


async def test_a_bug_reaches_all_who_share_it_at_once() -> None:
    class Broken(GatedEmbedder):
        async def embed(self, texts: Sequence[str]) -> Vectors:
            await super().embed(texts)
            raise MemoryError

    inner = Broken(is_open=False)
    cache = CachingEmbedder(inner, bytes_max=10 * ENTRY_BYTES)
    calls = [asyncio.create_task(cache.embed(["a"])) for _ in range(9)]
    await inner.started.wait()
    inner.gate.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [MemoryError] * 9
    assert len(inner.calls) == 1
    await cache.aclose()


async def test_closing_fails_those_who_wait() -> None:
    inner = GatedEmbedder(is_open=False)
    cache = CachingEmbedder(BatchingEmbedder(inner, 100, 100), bytes_max=10 * ENTRY_BYTES)
    waiting = [asyncio.create_task(cache.embed(["a"])) for _ in range(2)]
    await inner.started.wait()
    await cache.aclose()
    for each in waiting:
        with pytest.raises(EmbedderError, match="closed"):
            await each
    assert inner.cancelled_calls == 1


async def test_who_is_in_a_hurry_does_not_wait_for_what_someone_begins_who_can_wait() -> None:
    inner = GatedEmbedder(is_open=False)
    caching = CachingEmbedder(inner, 10**6)

    async def waits() -> None:
        LATER.set(True)
        await caching.embed(["same"])

    patient = asyncio.create_task(waits())
    await inner.started.wait()
    hurried = asyncio.create_task(caching.embed(["same"]))
    await asyncio.sleep(0.01)
    assert inner.calls == [["same"], ["same"]]
    also_patient = asyncio.create_task(waits())  # boards what is there already
    await asyncio.sleep(0.01)
    assert len(inner.calls) == 2
    inner.gate.set()
    await asyncio.gather(patient, hurried, also_patient)
    await caching.embed(["same"])
    assert len(inner.calls) == 2
    await caching.aclose()
