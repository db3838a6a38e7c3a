"""Batches by tokens, a bounded queue, callers who leave, errors that reach the right ones."""

import asyncio

import pytest

from embedders import LATER, EmbedderError, OverloadedError
from embedders.batching import BatchingEmbedder, estimate_tokens
from tests.support.embedders import GatedEmbedder, HashedWordsEmbedder


async def held_up(inner: GatedEmbedder, batching: BatchingEmbedder) -> asyncio.Task[object]:
    """A call that occupies the model, so that all others queue."""
    first = asyncio.create_task(batching.embed(["first"]))
    await inner.started.wait()
    assert batching.queued_tokens == 0
    return first


async def queued(batching: BatchingEmbedder, tokens: int) -> None:
    async with asyncio.timeout(5):
        while batching.queued_tokens != tokens:
            await asyncio.sleep(0)


def test_the_estimate_counts_every_text_for_something() -> None:
    assert [estimate_tokens(text) for text in ("", "a", "abcd", "abcde")] == [2, 3, 3, 4]


async def test_calls_that_wait_become_one_batch_in_their_order() -> None:
    inner = GatedEmbedder(is_open=False)
    batching = BatchingEmbedder(inner, batch_tokens_max=100, queue_tokens_max=100)
    first = await held_up(inner, batching)
    others = [asyncio.create_task(batching.embed([f"t{n}", f"u{n}"])) for n in range(3)]
    await queued(batching, 18)
    inner.gate.set()
    await asyncio.gather(first, *others)
    assert inner.calls == [["first"], ["t0", "u0", "t1", "u1", "t2", "u2"]]
    assert (await others[1]).tobytes() == (await HashedWordsEmbedder().embed(["t1", "u1"])).tobytes()
    await batching.aclose()


async def test_batches_hold_at_most_their_tokens_but_always_one_text() -> None:
    inner = GatedEmbedder()
    batching = BatchingEmbedder(inner, batch_tokens_max=7, queue_tokens_max=100)
    await batching.embed(["abcd", "efgh", "i", "a text far longer than any batch", "jklm"])
    assert inner.calls == [["abcd", "efgh"], ["i"], ["a text far longer than any batch"], ["jklm"]]
    await batching.aclose()


async def test_a_full_queue_refuses_and_recovers() -> None:
    inner = GatedEmbedder(is_open=False)
    batching = BatchingEmbedder(inner, batch_tokens_max=100, queue_tokens_max=6)
    first = await held_up(inner, batching)
    waiting = asyncio.create_task(batching.embed(["abcd"]))
    await queued(batching, 3)
    with pytest.raises(OverloadedError, match=r"3 of 6 tokens wait, 4 asked"):
        await batching.embed(["abcde"])
    fits = asyncio.create_task(batching.embed(["efgh"]))
    await queued(batching, 6)
    inner.gate.set()
    await asyncio.gather(first, waiting, fits)
    assert len(await batching.embed(["abcde"])) == 1
    await batching.aclose()


async def test_a_call_larger_than_the_queue_is_taken_when_it_is_empty() -> None:
    inner = GatedEmbedder()
    batching = BatchingEmbedder(inner, batch_tokens_max=6, queue_tokens_max=6)
    assert (await batching.embed([f"t{n}" for n in range(20)])).shape == (20, 64)
    assert [len(call) for call in inner.calls] == [2] * 10
    await batching.aclose()


async def test_callers_who_left_are_not_computed_and_free_their_room() -> None:
    inner = GatedEmbedder(is_open=False)
    batching = BatchingEmbedder(inner, batch_tokens_max=100, queue_tokens_max=6)
    first = await held_up(inner, batching)
    leaves = asyncio.create_task(batching.embed(["gone", "gone too"]))
    await queued(batching, 7)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    assert batching.queued_tokens == 0
    stays = asyncio.create_task(batching.embed(["stay"]))
    await queued(batching, 3)
    inner.gate.set()
    await asyncio.gather(first, stays)
    assert inner.calls == [["first"], ["stay"]]
    await batching.aclose()


async def test_a_caller_who_leaves_mid_batch_does_not_hurt_the_others() -> None:
    inner = GatedEmbedder(is_open=False)
    batching = BatchingEmbedder(inner, batch_tokens_max=100, queue_tokens_max=100)
    leaves, stays = (asyncio.create_task(batching.embed([text])) for text in ("leaves", "stays"))
    await inner.started.wait()
    leaves.cancel()
    inner.gate.set()
    assert (await stays).shape == (1, 64)
    assert inner.calls == [["leaves", "stays"]]
    await batching.aclose()


async def test_an_error_reaches_the_callers_of_its_batch_and_no_other() -> None:
    inner = GatedEmbedder(is_open=False, poison=["poison"])
    batching = BatchingEmbedder(inner, batch_tokens_max=9, queue_tokens_max=100)
    first = await held_up(inner, batching)
    bad = asyncio.create_task(batching.embed(["poison"]))
    beside = asyncio.create_task(batching.embed(["abcd"]))
    after = asyncio.create_task(batching.embed(["efgh"]))
    await queued(batching, 10)
    inner.gate.set()
    outcomes = await asyncio.gather(first, bad, beside, after, return_exceptions=True)
    assert inner.calls == [["first"], ["poison", "abcd"], ["efgh"]]
    assert [isinstance(outcome, EmbedderError) for outcome in outcomes] == [False, True, True, False]
    await batching.aclose()


async def test_what_is_left_of_a_failed_call_is_not_computed() -> None:
    inner = GatedEmbedder(poison=["poison"])
    batching = BatchingEmbedder(inner, batch_tokens_max=3, queue_tokens_max=100)
    with pytest.raises(EmbedderError, match="poisoned"):
        await batching.embed(["poison", *(f"t{n}" for n in range(10))])
    await batching.embed(["next"])
    assert len(inner.calls) <= 3
    assert inner.calls[-1] == ["next"]
    assert batching.queued_tokens == 0
    await batching.aclose()


async def test_a_model_that_answers_too_few_rows_is_an_error() -> None:
    class Short(HashedWordsEmbedder):
        async def embed(self, texts: list[str]) -> object:  # type: ignore[override]
            return (await super().embed(texts))[1:]

    batching = BatchingEmbedder(Short(), batch_tokens_max=100, queue_tokens_max=100)
    with pytest.raises(EmbedderError, match=r"answered \(1, 64\) for 2 texts"):
        await batching.embed(["a", "b"])
    await batching.aclose()


async def test_closing_fails_those_who_wait_and_ends_the_worker() -> None:
    inner = GatedEmbedder(is_open=False)
    batching = BatchingEmbedder(inner, batch_tokens_max=3, queue_tokens_max=100)
    first = await held_up(inner, batching)
    waiting = asyncio.create_task(batching.embed(["waiting"]))
    await queued(batching, 4)
    await batching.aclose()
    for call in (first, waiting):
        with pytest.raises(EmbedderError, match="closed"):
            await call
    assert inner.cancelled_calls == 1
    assert inner.closed
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "embedder-batches"] == []


async def test_who_is_in_a_hurry_does_not_queue_behind_who_can_wait() -> None:
    inner = GatedEmbedder(is_open=False)
    batching = BatchingEmbedder(inner, batch_tokens_max=5, queue_tokens_max=1000)

    async def waits(text: str) -> None:
        LATER.set(True)
        await batching.embed([text])

    patient = [asyncio.create_task(waits(f"long text {n}")) for n in range(5)]
    await inner.started.wait()
    hurried = asyncio.create_task(batching.embed(["now"]))
    await asyncio.sleep(0.01)
    assert inner.calls == [["long text 0"], ["now"]]
    inner.gate.set()
    await asyncio.gather(hurried, *patient)
    assert [text for call in inner.calls for text in call][2:] == [f"long text {n}" for n in range(1, 5)]
    await batching.aclose()
